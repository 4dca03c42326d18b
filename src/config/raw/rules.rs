//! The files in `rules/`: weights, lists, policy.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::macros::{Real, section};

section! {
    /// weights.toml: what each symbol weighs.
    pub struct WeightsFile {
        /// Symbol = points. A symbol without a weight counts nothing.
        weights: BTreeMap<String, Real> = BTreeMap::new(),
        /// Groups with a cap on their sum.
        group: Vec<Group> = Vec::new(),
        /// Symbols made of others.
        composite: Vec<Composite> = Vec::new(),
    }
}

section! {
    /// Symbols whose sum is capped.
    #[schemars(extend("required" = ["name", "symbols", "cap"]))]
    pub struct Group {
        /// Its name, in traces.
        name: String = String::new(),
        /// The symbols.
        symbols: Vec<String> = Vec::new(),
        /// The most that they add together, in points.
        cap: Real = Real(0.0),
    }
}

section! {
    /// A symbol that counts as found when its condition holds; all parts that are given must hold.
    #[schemars(extend("required" = ["symbol"]))]
    pub struct Composite {
        /// Its name; it is weighed like any other.
        symbol: String = String::new(),
        /// Each of these was found.
        all_of: Vec<String> = Vec::new(),
        /// At least one of these was found.
        any_of: Vec<String> = Vec::new(),
        /// None of these was found.
        none_of: Vec<String> = Vec::new(),
        /// At least so many of the symbols in `of` were found.
        #[schemars(range(min = 1, max = 1000))]
        count: Option<u64> = None,
        /// The symbols that `count` counts.
        of: Vec<String> = Vec::new(),
    }
}

section! {
    /// lists.toml: DNS lists.
    pub struct ListsFile {
        /// Lists of addresses.
        dnsbl: Vec<Dnsbl> = Vec::new(),
    }
}

section! {
    /// One list of addresses (RFC 5782).
    #[schemars(extend("required" = ["name", "zone", "codes"]))]
    pub struct Dnsbl {
        /// Its short name, in logs and metrics.
        name: String = String::new(),
        /// The zone, such as `bl.example.net`.
        zone: String = String::new(),
        /// False: it is not asked.
        enabled: bool = true,
        /// True: its symbols are seen and counted but decide nothing.
        shadow: bool = false,
        /// Kinds of addresses that it lists.
        families: Vec<Family> = vec![Family::Ipv4],
        /// How long it may take.
        #[schemars(range(min = 10, max = 60_000))]
        deadline_ms: u64 = 2000,
        /// Return code = symbol: `127.0.0.2`, a range `127.0.0.4-127.0.0.7`, or bits `mask:0.0.0.4`.
        codes: BTreeMap<String, String> = BTreeMap::new(),
    }
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

section! {
    /// policy.toml: what follows from symbols and scores.
    pub struct PolicyFile {
        /// Forwarded mail with at least so many points carries `X-Spam-Flag: YES`.
        tag: Option<Real> = None,
        /// The clauses in order; the first that holds wins, none means forward.
        clause: Vec<Clause> = Vec::new(),
    }
}

section! {
    /// A condition, and the verdict if it holds.
    #[schemars(extend("required" = ["name", "verdict"]))]
    pub struct Clause {
        /// Its name, in traces, logs and metrics.
        name: String = String::new(),
        /// Sees only what is known by then, and decides without waiting for more.
        stage: Option<Stage> = None,
        /// Each of these symbols was found.
        all_of: Vec<String> = Vec::new(),
        /// At least one of these symbols was found.
        any_of: Vec<String> = Vec::new(),
        /// None of these symbols was found.
        none_of: Vec<String> = Vec::new(),
        /// The score is at least this, in points.
        at_least: Option<Real> = None,
        /// The score is below this, in points.
        below: Option<Real> = None,
        /// What becomes of the mail.
        verdict: Verdict = Verdict::Forward,
        /// Words for the client instead of the usual ones.
        text: Option<String> = None,
        /// True: evaluated and counted, never enacted.
        shadow: bool = false,
        /// True: it acts on exempt recipients (postmaster, abuse) too.
        binds_exempt: bool = false,
    }
}

/// A point in the dialogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// The client has connected.
    Connect,
    /// HELO or EHLO was said.
    Helo,
    /// MAIL was said.
    Mail,
    /// RCPT was said.
    Rcpt,
    /// The message is here.
    Message,
}

/// What becomes of the mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Refused for good (5xx).
    Reject,
    /// Refused for now (4xx).
    Defer,
    /// Handed to the backend.
    Forward,
}
