//! lists.toml.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::macros::section;

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
