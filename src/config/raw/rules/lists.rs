//! lists.toml.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::macros::section;

section! {
    /// lists.toml: DNS lists.
    pub struct ListsFile {
        /// Domains that no list is asked about, with everything below them; our own never are.
        skip: Vec<String> = Vec::new(),
        /// The lists.
        dnsbl: Vec<Dnsbl> = Vec::new(),
    }
}

section! {
    /// One list (RFC 5782).
    #[schemars(extend("required" = ["name", "zone", "codes"]))]
    pub struct Dnsbl {
        /// Its short name, in logs and metrics.
        name: String = String::new(),
        /// The zone, such as `bl.example.net`.
        zone: String = String::new(),
        /// What it is asked about.
        of: Subject = Subject::Client,
        /// False: it is not asked.
        enabled: bool = true,
        /// True: its symbols are seen and counted but decide nothing.
        shadow: bool = false,
        /// Kinds of addresses that it lists; IPv4 by default.
        families: Option<Vec<Family>> = None,
        /// Forms of a name that it is asked about; both by default.
        names: Option<Names> = None,
        /// Questions about one client or message at most.
        #[schemars(range(min = 1, max = 100))]
        questions: u64 = 10,
        /// How long it may take.
        #[schemars(range(min = 10, max = 60_000))]
        deadline_ms: u64 = 2000,
        /// Return code = symbol: `127.0.0.2`, a range `127.0.0.4-127.0.0.7`, or bits `mask:0.0.0.4`.
        codes: BTreeMap<String, String> = BTreeMap::new(),
        /// Return codes that are errors of this list, such as `127.0.0.255` or `127.0.1.0/24`.
        errors: Vec<String> = Vec::new(),
    }
}

/// What a list is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// The client's address.
    Client,
    /// The name in HELO or EHLO.
    Helo,
    /// The client's confirmed name.
    ClientName,
    /// The domain of the reverse-path.
    Sender,
    /// The domains that From fields name.
    Author,
    /// The domains of DKIM signatures that passed.
    Dkim,
    /// The names of the name servers of the sender's and the author's domains.
    #[serde(rename = "nameserver")]
    NameServer,
    /// The addresses of those name servers.
    #[serde(rename = "nameserver-address")]
    NameServerAddress,
    /// The hosts of links in the message.
    Url,
    /// The addresses of those hosts.
    UrlAddress,
    /// Digests of mail addresses in the message.
    EmailHash,
}

/// Forms of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Names {
    /// The name as it is, and the registered domain above it.
    Both,
    /// The name as it is.
    Host,
    /// The registered domain.
    Registered,
}

/// A kind of address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
}
