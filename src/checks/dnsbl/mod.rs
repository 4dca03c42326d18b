//! DNS blocklists and allowlists of addresses (RFC 5782): one zone is one check.

pub mod code;

use std::time::Duration;

use crate::scoring::Symbol;
pub use code::CodePattern;

/// One list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Its short name; the check is called `dnsbl.<name>`.
    pub name: String,
    /// Its zone, such as `zen.spamhaus.org`.
    pub zone: String,
    /// It lists IPv4 addresses.
    pub ipv4: bool,
    /// It lists IPv6 addresses.
    pub ipv6: bool,
    /// How long it may take to answer.
    pub deadline: Duration,
    /// What its return codes mean. Every pattern that matches a code emits its symbol.
    pub codes: Vec<(CodePattern, Symbol)>,
    /// Its symbols count for nothing but the record of what would have been.
    pub shadow: bool,
}
