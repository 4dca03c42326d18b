//! EHLO keywords: what the backends offer, and what of it we can offer too (RFC 5321 4.1.1.1, 2.2).

use std::collections::BTreeMap;

use super::reply::Reply;
use super::sasl;

mod arguments;

/// The extensions that we know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Extension {
    /// RFC 2920.
    Pipelining,
    /// RFC 1870.
    Size,
    /// RFC 6152.
    EightBitMime,
    /// RFC 6531.
    SmtpUtf8,
    /// RFC 3030.
    Chunking,
    /// RFC 3030.
    BinaryMime,
    /// RFC 3461.
    Dsn,
    /// RFC 2034.
    EnhancedStatusCodes,
    /// RFC 2852.
    DeliverBy,
    /// RFC 4865.
    FutureRelease,
    /// RFC 6710.
    MtPriority,
    /// RFC 8689.
    RequireTls,
    /// RFC 3865.
    NoSoliciting,
    /// RFC 9422.
    Limits,
    /// RFC 1985.
    Etrn,
    /// RFC 5321 3.5.2.
    Vrfy,
    /// RFC 5321 3.5.2.
    Expn,
    /// RFC 3207.
    StartTls,
    /// RFC 4954.
    Auth,
    /// Postfix.
    Xclient,
    /// Postfix.
    Xforward,
}

impl Extension {
    /// All of them.
    pub const ALL: [Extension; 21] = [
        Extension::Pipelining,
        Extension::Size,
        Extension::EightBitMime,
        Extension::SmtpUtf8,
        Extension::Chunking,
        Extension::BinaryMime,
        Extension::Dsn,
        Extension::EnhancedStatusCodes,
        Extension::DeliverBy,
        Extension::FutureRelease,
        Extension::MtPriority,
        Extension::RequireTls,
        Extension::NoSoliciting,
        Extension::Limits,
        Extension::Etrn,
        Extension::Vrfy,
        Extension::Expn,
        Extension::StartTls,
        Extension::Auth,
        Extension::Xclient,
        Extension::Xforward,
    ];

    /// The EHLO keyword.
    pub const fn keyword(self) -> &'static str {
        match self {
            Extension::Pipelining => "PIPELINING",
            Extension::Size => "SIZE",
            Extension::EightBitMime => "8BITMIME",
            Extension::SmtpUtf8 => "SMTPUTF8",
            Extension::Chunking => "CHUNKING",
            Extension::BinaryMime => "BINARYMIME",
            Extension::Dsn => "DSN",
            Extension::EnhancedStatusCodes => "ENHANCEDSTATUSCODES",
            Extension::DeliverBy => "DELIVERBY",
            Extension::FutureRelease => "FUTURERELEASE",
            Extension::MtPriority => "MT-PRIORITY",
            Extension::RequireTls => "REQUIRETLS",
            Extension::NoSoliciting => "NO-SOLICITING",
            Extension::Limits => "LIMITS",
            Extension::Etrn => "ETRN",
            Extension::Vrfy => "VRFY",
            Extension::Expn => "EXPN",
            Extension::StartTls => "STARTTLS",
            Extension::Auth => "AUTH",
            Extension::Xclient => "XCLIENT",
            Extension::Xforward => "XFORWARD",
        }
    }

    /// The extension of a keyword in any case.
    pub fn from_keyword(keyword: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|extension| extension.keyword().eq_ignore_ascii_case(keyword))
    }

    const fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// Extensions without what they were offered with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExtensionSet(u32);

impl FromIterator<Extension> for ExtensionSet {
    fn from_iter<I: IntoIterator<Item = Extension>>(extensions: I) -> Self {
        Self(extensions.into_iter().fold(0, |bits, extension| bits | extension.bit()))
    }
}

impl ExtensionSet {
    /// True if it is one of them.
    pub fn has(self, extension: Extension) -> bool {
        self.0 & extension.bit() != 0
    }
}

/// Keywords that we do not know and pass on, of one server: more are passed over.
const MAX_UNKNOWN: usize = 16;
/// Octets of the line of one such keyword; longer ones are passed over.
const MAX_UNKNOWN_LINE: usize = 200;

/// Keywords that are no promise of ours: commands that we do not pass on, what changes the dialogue itself, and words
/// that are no extensions. Those that begin with X are private to the server (RFC 5321 2.2.2, DECISIONS 3).
const NOT_OURS: [&str; 17] = [
    "ATRN",
    "BURL",
    "CHECKPOINT",
    "HELP",
    "OK",
    "ONEX",
    "PIPECONNECT",
    "PRDR",
    "QUICKSTART",
    "SAML",
    "SEND",
    "SOML",
    "TLS",
    "TURN",
    "UTF8SMTP",
    "VERB",
    "WELLKNOWN",
];

/// A set of extensions with their arguments, as a server offered them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extensions {
    bits: u32,
    /// SIZE: `Some(0)` is "offered without a limit".
    size: Option<u64>,
    /// Mechanisms behind AUTH, upper case.
    mechanisms: Vec<String>,
    /// Attribute names behind XCLIENT and XFORWARD, upper case.
    xclient: Vec<String>,
    xforward: Vec<String>,
    /// What stands behind the keywords that [`arguments`] knows.
    arguments: BTreeMap<Extension, String>,
    /// Lines of keywords that we do not know, upper case, with the arguments as they came.
    unknown: Vec<(String, String)>,
}

impl Extensions {
    /// Reads an EHLO reply. A SIZE that is no number sets no limit; an extension whose arguments cannot be read is
    /// not offered.
    pub fn from_reply(reply: &Reply) -> Self {
        let mut extensions = Self::default();
        for line in reply.lines().skip(1) {
            let Ok(line) = std::str::from_utf8(line) else { continue };
            let mut words = line.split_ascii_whitespace();
            let Some(keyword) = words.next() else { continue };
            let Some(extension) = Extension::from_keyword(keyword) else {
                extensions.add_unknown(keyword, words);
                continue;
            };
            match extension {
                Extension::Size => extensions.size = Some(words.next().and_then(|n| n.parse().ok()).unwrap_or(0)),
                Extension::Auth => extensions.add_mechanisms(words),
                Extension::Xclient => extensions.xclient = words.map(str::to_ascii_uppercase).collect(),
                Extension::Xforward => extensions.xforward = words.map(str::to_ascii_uppercase).collect(),
                _ => match arguments::read(extension, words) {
                    Ok(Some(text)) => {
                        extensions.arguments.insert(extension, text);
                    }
                    Ok(None) => {}
                    Err(arguments::Unreadable) => continue,
                },
            }
            extensions.insert(extension);
        }
        extensions
    }

    /// True if offered.
    pub fn has(&self, extension: Extension) -> bool {
        self.bits & extension.bit() != 0
    }

    /// True if all of them are offered.
    pub fn has_all(&self, wanted: ExtensionSet) -> bool {
        self.bits & wanted.0 == wanted.0
    }

    /// Adds one.
    pub fn insert(&mut self, extension: Extension) {
        self.bits |= extension.bit();
        if extension == Extension::Size {
            self.size.get_or_insert(0);
        }
    }

    /// Takes one away, with its arguments.
    pub fn remove(&mut self, extension: Extension) {
        self.bits &= !extension.bit();
        self.arguments.remove(&extension);
        match extension {
            Extension::Size => self.size = None,
            Extension::Auth => self.mechanisms.clear(),
            Extension::Xclient => self.xclient.clear(),
            Extension::Xforward => self.xforward.clear(),
            _ => {}
        }
    }

    /// Those offered, in the order of [`Extension::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = Extension> + '_ {
        Extension::ALL.into_iter().filter(|&extension| self.has(extension))
    }

    /// The message size limit in octets, if one was given and is not 0.
    pub fn size_limit(&self) -> Option<u64> {
        self.size.filter(|&limit| limit > 0)
    }

    /// Mechanisms of AUTH that work through us, in the server's order.
    pub fn mechanisms(&self) -> &[String] {
        &self.mechanisms
    }

    fn add_mechanisms<'w>(&mut self, words: impl Iterator<Item = &'w str>) {
        for mechanism in words.map(str::to_ascii_uppercase).filter(|word| sasl::is_relayed(word)) {
            if !self.mechanisms.contains(&mechanism) {
                self.mechanisms.push(mechanism);
            }
        }
    }

    fn add_unknown<'w>(&mut self, keyword: &str, words: impl Iterator<Item = &'w str>) {
        let keyword = keyword.to_ascii_uppercase();
        let arguments = words.collect::<Vec<_>>().join(" ");
        let fits = keyword.len() + arguments.len() < MAX_UNKNOWN_LINE
            && self.unknown.len() < MAX_UNKNOWN
            && arguments.bytes().all(|octet| octet.is_ascii_graphic() || octet == b' ');
        if fits && is_passed_on(&keyword) && !self.takes(&keyword) {
            self.unknown.push((keyword, arguments));
        }
    }

    /// Keywords that we do not know and offer all the same, with their arguments.
    pub fn unknown(&self) -> impl Iterator<Item = (&str, &str)> {
        self.unknown.iter().map(|(keyword, arguments)| (keyword.as_str(), arguments.as_str()))
    }

    /// True if a keyword that we do not know stands for this parameter of MAIL or RCPT: its name is the keyword, as
    /// with nearly all extensions.
    pub fn takes(&self, parameter: &str) -> bool {
        self.unknown.iter().any(|(keyword, _)| keyword.eq_ignore_ascii_case(parameter))
    }

    /// What stands behind the keyword of an extension that `arguments` knows; empty if nothing.
    pub fn arguments(&self, extension: Extension) -> &str {
        self.arguments.get(&extension).map_or("", String::as_str)
    }

    /// The number that LIMITS names so, such as `MAILMAX` (RFC 9422).
    pub fn limit(&self, name: &str) -> Option<u32> {
        arguments::limits(self.arguments(Extension::Limits)).find(|(known, _)| *known == name).map(|(_, limit)| limit)
    }

    /// Attribute names that XCLIENT takes.
    pub fn xclient_attributes(&self) -> &[String] {
        &self.xclient
    }

    /// Attribute names that XFORWARD takes.
    pub fn xforward_attributes(&self) -> &[String] {
        &self.xforward
    }

    /// What both offer; the larger of the size limits (DECISIONS 3), none if one has none, and of every other bound
    /// the closer one. What would mean something else to each is not offered.
    pub fn intersection(&self, other: &Self) -> Self {
        let common = |ours: &[String], theirs: &[String]| -> Vec<String> {
            ours.iter().filter(|name| theirs.contains(name)).cloned().collect()
        };
        let mut bits = self.bits & other.bits;
        let mut shared = BTreeMap::new();
        for extension in self.iter().filter(|&extension| other.has(extension)) {
            match arguments::shared(extension, self.arguments(extension), other.arguments(extension)) {
                Some(text) if text.is_empty() => {}
                Some(text) => {
                    shared.insert(extension, text);
                }
                None => bits &= !extension.bit(),
            }
        }
        let limit = self.size_limit().zip(other.size_limit()).map_or(0, |(ours, theirs)| ours.max(theirs));
        Self {
            bits,
            size: (bits & Extension::Size.bit() != 0).then_some(limit),
            mechanisms: common(&self.mechanisms, &other.mechanisms),
            xclient: common(&self.xclient, &other.xclient),
            xforward: common(&self.xforward, &other.xforward),
            arguments: shared,
            unknown: self.unknown.iter().filter(|line| other.unknown.contains(line)).cloned().collect(),
        }
    }
}

/// RFC 5321 ehlo-keyword, and none that is private or [`NOT_OURS`].
fn is_passed_on(keyword: &str) -> bool {
    keyword.starts_with(|first: char| first.is_ascii_alphanumeric() && first != 'X')
        && keyword.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-')
        && !NOT_OURS.contains(&keyword)
}

impl FromIterator<Extension> for Extensions {
    fn from_iter<I: IntoIterator<Item = Extension>>(extensions: I) -> Self {
        extensions.into_iter().fold(Self::default(), |mut set, extension| {
            set.insert(extension);
            set
        })
    }
}

#[cfg(test)]
mod tests;
