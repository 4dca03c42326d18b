//! rates.toml.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::macros::{Size, section};

section! {
    /// rates.toml: how much of something somebody may do in a time.
    pub struct RatesFile {
        /// The limits.
        rate: Vec<Rate> = Vec::new(),
    }
}

section! {
    /// One limit.
    #[schemars(extend("required" = ["name", "per", "of", "allow", "within_seconds", "then"]))]
    pub struct Rate {
        /// Its short name, of which its symbol is made: `client-errors` is RATE_CLIENT_ERRORS. Who is over a limit is
        /// known by its name: with another name it begins anew.
        name: String = String::new(),
        /// Whom it limits.
        per: RateSubject = RateSubject::Client,
        /// What it counts.
        of: RateUnit = RateUnit::Transactions,
        /// So much may come at once, and comes back steadily within the time; of bytes a size such as "1 GiB".
        allow: Size = Size::new("1"),
        /// In this time.
        #[schemars(range(min = 1, max = 604_800))]
        within_seconds: u64 = 3600,
        /// What follows for whoever is over it.
        then: RateAnswer = RateAnswer::Score,
        /// True: it holds for mail that leaves (listeners of roles other than `edge`), and only for that. Limits per
        /// `user` and of `auth-failures` always do.
        outgoing: bool = false,
        /// True: it is seen and counted but decides nothing.
        shadow: bool = false,
        /// Networks of clients that it does not limit. Our own and those that may relay it never does.
        exempt_networks: Vec<String> = Vec::new(),
        /// Domains that it does not limit, where it is about a name, a domain or an address; `.example.org` means all
        /// below it.
        exempt_domains: Vec<String> = Vec::new(),
    }
}

/// Whom a limit is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RateSubject {
    /// The client: an IPv4 address, or an IPv6 /64.
    Client,
    /// Its network: an IPv4 /24, or an IPv6 /48.
    Network,
    /// The name in HELO or EHLO.
    Helo,
    /// The registered domain of the reverse-path.
    SenderDomain,
    /// The reverse-path.
    Sender,
    /// The forward-path.
    Recipient,
    /// The user who has authenticated, or wants to.
    User,
}

/// What a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RateUnit {
    /// Connections.
    Connections,
    /// Transactions.
    Transactions,
    /// Recipients that the backend accepted.
    Recipients,
    /// Recipients that the backend does not know.
    UnknownRecipients,
    /// Wrong commands.
    Errors,
    /// Octets of messages.
    Bytes,
    /// Authentications that the backend refused.
    AuthFailures,
}

/// What follows for whoever is over a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RateAnswer {
    /// It is one of those that RATES_DEFER stands for; of connections, RATES_CONNECT.
    Defer,
    /// It is one of those that RATES_TARPIT stands for.
    Tarpit,
    /// Only what its symbol weighs.
    Score,
}
