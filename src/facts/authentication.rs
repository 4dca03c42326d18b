//! What sender authentication found, as values: SPF, DKIM, ARC, DMARC, and whom a message names as its author.
//!
//! Each result says enough for three readers: the checks that turn it into symbols, the
//! `Authentication-Results` field, and the record of why.

use std::sync::Arc;

/// How an authentication method ended; the words of RFC 8601 2.7. Not every method can end in every way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AuthResult {
    /// Nothing to check: no record, no signature.
    None,
    /// Authenticated.
    Pass,
    /// Claimed, and false.
    Fail,
    /// SPF: probably not authorized (RFC 7208 2.6.5).
    SoftFail,
    /// No assertion, or one that cannot be used.
    Neutral,
    /// Genuine, but not acceptable to us, such as a signature with a key that is too short.
    Policy,
    /// Could not be found out now; it may be another time.
    TempError,
    /// Can never be found out: a broken record.
    PermError,
}

/// One SPF check (RFC 7208).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spf {
    /// How it ended.
    pub result: AuthResult,
    /// The domain whose record was asked, in A-labels and lower case; empty if there was none to ask.
    pub domain: Arc<str>,
    /// The term that matched, or what went wrong; ours, but it may quote the record.
    pub reason: String,
    /// What the domain itself says to a client that fails (RFC 7208 6.2); a stranger's text, ASCII, bounded.
    pub explanation: Option<String>,
    /// The record lets (nearly) everybody pass, so that a pass authenticates nobody (DECISIONS 16).
    pub permissive: bool,
    /// The domain has a record of Sender ID (RFC 4406, historic): reported, never evaluated.
    pub sender_id: bool,
}

/// One DKIM signature (RFC 6376), verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// How it ended.
    pub result: AuthResult,
    /// `d=`, lower case, as written otherwise; empty if the field was beyond reading.
    pub domain: Arc<str>,
    /// `s=`.
    pub selector: String,
    /// `i=`, or empty.
    pub identity: String,
    /// `a=`, such as `rsa-sha256`; empty if unknown.
    pub algorithm: &'static str,
    /// The first characters of `b=`, which tell signatures apart (RFC 6008).
    pub tag: String,
    /// Why it did not pass; ours.
    pub reason: String,
    /// Bits of an RSA key, if it is one and was read.
    pub key_bits: Option<u32>,
    /// `l=` leaves octets at the end of the body unsigned.
    pub partial_body: bool,
    /// The From field is among the signed ones (a signature without it proves nothing, RFC 6376 5.4).
    pub signs_from: bool,
    /// The key says `t=y`: the domain is testing. A failure then says nothing; a pass is a pass.
    pub testing: bool,
    /// It has expired, or comes from the future.
    pub out_of_time: bool,
}

/// All DKIM signatures of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dkim {
    /// Those that were looked at, from the top of the message down.
    pub signatures: Vec<Signature>,
    /// Signatures beyond the bound, not looked at.
    pub ignored: usize,
    /// A DomainKey-Signature field (RFC 4870, historic) is there: reported, never trusted.
    pub domainkeys: bool,
    /// A bug of ours or of a library ended the work: what `TempError` stands for was not found out.
    pub panicked: bool,
}

/// One set of an ARC chain (RFC 8617).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArcSet {
    /// Its instance number, from 1.
    pub instance: u32,
    /// `d=` of its seal: the sealer.
    pub sealer: Arc<str>,
    /// What the sealer says it found: the text of ARC-Authentication-Results behind the instance.
    pub results: String,
}

/// The ARC chain of a message. A valid one counts nothing by itself (DECISIONS 13).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArcChain {
    /// `None`, `Pass`, `Fail` or `TempError`.
    pub result: AuthResult,
    /// Its sets by instance; empty unless the structure of the chain was sound.
    pub sets: Vec<ArcSet>,
    /// Why it does not pass; ours.
    pub reason: String,
    /// A bug of ours or of a library ended the work.
    pub panicked: bool,
}

/// Whom the From fields name (RFC 5322 3.6.2); more or less than one is an anomaly with a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Author {
    /// One From field with one domain: the usual case, and the only one that DMARC speaks about.
    One {
        /// The address as written, cleaned of white space and comments.
        address: String,
        /// Its domain in A-labels and lower case.
        domain: Arc<str>,
    },
    /// One From field with addresses of several domains, in order of appearance, without repetition.
    SeveralDomains(Vec<Arc<str>>),
    /// More than one From field; the domains of all of them.
    SeveralFields(Vec<Arc<str>>),
    /// No From field.
    Missing,
    /// A From field without any address: empty, or a group without members (RFC 6854).
    NoAddress,
    /// A From field in which no address can be told with certainty, or whose domain is none.
    Unparsable,
    /// Such a field in which somebody could read these domains all the same; never none.
    Obscure(Vec<Arc<str>>),
}

/// What a domain owner asks for (RFC 9989 4.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DmarcPolicy {
    /// Nothing.
    None,
    /// Suspicion.
    Quarantine,
    /// Refusal.
    Reject,
}

/// The DMARC policy record that applies, as far as reports need it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DmarcRecord {
    /// Where it was found.
    pub domain: Arc<str>,
    /// `p=`.
    pub policy: DmarcPolicy,
    /// `sp=`, or its default.
    pub subdomain_policy: DmarcPolicy,
    /// `np=`, or its default.
    pub nonexistent_policy: DmarcPolicy,
    /// `adkim=s`.
    pub strict_dkim: bool,
    /// `aspf=s`.
    pub strict_spf: bool,
    /// `t=y`.
    pub testing: bool,
    /// `rua=` addresses (mailto only), each with its size limit in octets if it has one.
    pub rua: Vec<(String, Option<u64>)>,
    /// `fo=`, as written; `0` by default.
    pub failure_options: String,
}

/// What DMARC says of a message (RFC 9989).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dmarc {
    /// `None` (no record), `Pass`, `Fail`, `TempError`, `PermError`. Where From is anything but one field with
    /// one domain, the worst that any domain in it comes to, and never `Pass`.
    pub result: AuthResult,
    /// The author domain, if there is exactly one.
    pub author_domain: Option<Arc<str>>,
    /// What the domain owner asks for mail that fails, with `sp`, `np` and `t` applied; of several domains that
    /// fail, the strictest.
    pub policy: DmarcPolicy,
    /// The same before `t` was applied.
    pub published: DmarcPolicy,
    /// The record that applies, if one does.
    pub record: Option<DmarcRecord>,
    /// An SPF pass with an aligned domain.
    pub spf_aligned: bool,
    /// The domain of the aligned DKIM signature that passed, if there is one.
    pub dkim_aligned: Option<Arc<str>>,
    /// Why it ended so; ours.
    pub reason: String,
}

impl AuthResult {
    /// The word of RFC 8601.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::SoftFail => "softfail",
            Self::Neutral => "neutral",
            Self::Policy => "policy",
            Self::TempError => "temperror",
            Self::PermError => "permerror",
        }
    }
}

impl DmarcPolicy {
    /// The word of the record.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Quarantine => "quarantine",
            Self::Reject => "reject",
        }
    }
}

impl Spf {
    /// A result about `domain`, with why.
    pub fn new(result: AuthResult, domain: impl Into<Arc<str>>, reason: impl Into<String>) -> Self {
        Self {
            result,
            domain: domain.into(),
            reason: reason.into(),
            explanation: None,
            permissive: false,
            sender_id: false,
        }
    }
}

impl Signature {
    /// A result about `domain`; everything else is unknown, or not so.
    pub fn new(result: AuthResult, domain: impl Into<Arc<str>>) -> Self {
        Self {
            result,
            domain: domain.into(),
            selector: String::new(),
            identity: String::new(),
            algorithm: "",
            tag: String::new(),
            reason: String::new(),
            key_bits: None,
            partial_body: false,
            signs_from: false,
            testing: false,
            out_of_time: false,
        }
    }
}

impl Dkim {
    /// The signatures that passed.
    pub fn passed(&self) -> impl Iterator<Item = &Signature> {
        self.signatures.iter().filter(|signature| signature.result == AuthResult::Pass)
    }
}

impl Author {
    /// The one author domain, if there is exactly one.
    pub fn domain(&self) -> Option<&Arc<str>> {
        match self {
            Self::One { domain, .. } => Some(domain),
            _ => None,
        }
    }

    /// All domains that From fields name.
    pub fn domains(&self) -> &[Arc<str>] {
        match self {
            Self::One { domain, .. } => std::slice::from_ref(domain),
            Self::SeveralDomains(domains) | Self::SeveralFields(domains) | Self::Obscure(domains) => domains,
            Self::Missing | Self::NoAddress | Self::Unparsable => &[],
        }
    }
}
