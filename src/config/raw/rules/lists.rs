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
        /// The zone, such as `bl.example.net`; `{key}` in it stands for the key.
        zone: String = String::new(),
        /// The key that its makers gave us; never shown to clients.
        key: Option<String> = None,
        /// What it is asked about.
        of: Subject = Subject::Client,
        /// False: it is not asked.
        enabled: bool = true,
        /// True: its symbols are seen and counted but decide nothing.
        shadow: bool = false,
        /// Kinds of addresses that it lists; IPv4 by default, none where it is asked about links.
        families: Option<Vec<Family>> = None,
        /// Forms of a name that it is asked about; both by default, the registered domain of links.
        names: Option<Names> = None,
        /// How it hides mail addresses; SHA-1 in hexadecimal by default.
        digest: Option<Digest> = None,
        /// Questions about one client or message at most; 10 by default, 30 about links.
        #[schemars(range(min = 1, max = 100))]
        questions: Option<u64> = None,
        /// How long it may take.
        #[schemars(range(min = 10, max = 60_000))]
        deadline_ms: u64 = 2000,
        /// Return code = symbol: `127.0.0.2`, a range `127.0.0.4-127.0.0.7`, or bits `mask:0.0.0.4`.
        codes: BTreeMap<String, String> = BTreeMap::new(),
        /// Return codes that are errors of this list, such as `127.0.0.255` or `127.0.1.0/24`.
        errors: Vec<String> = Vec::new(),
        /// Test points of RFC 5782 that it is tested with; both by default.
        test: Option<Test> = None,
        /// More that it must list: addresses, names or digests, as it lists them.
        test_listed: Vec<String> = Vec::new(),
        /// More that it must never list.
        test_not_listed: Vec<String> = Vec::new(),
        /// Time between two tests while all is well.
        #[schemars(range(min = 30, max = 86_400))]
        test_interval_seconds: u64 = 600,
    }
}

/// Test points of RFC 5782: 127.0.0.2 (`TEST`) must be listed, 127.0.0.1 (`INVALID`) must not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Test {
    /// Both.
    Both,
    /// The one that must be listed.
    Positive,
    /// The one that must not be listed.
    Negative,
    /// None.
    None,
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
    /// Digests of mail addresses: reverse-path, author, Reply-To, and those in the message.
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

/// How a list hides mail addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Digest {
    /// SHA-1, hexadecimal.
    #[serde(rename = "sha1-hex")]
    Sha1Hex,
    /// SHA-1, base32 without padding.
    #[serde(rename = "sha1-base32")]
    Sha1Base32,
    /// SHA-256, base32 without padding.
    #[serde(rename = "sha256-base32")]
    Sha256Base32,
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
