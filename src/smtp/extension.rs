//! EHLO keywords: what the backends offer, and what of it we can offer too (RFC 5321 4.1.1.1, 2.2).

use super::reply::Reply;
use super::sasl;

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
    /// All of them, in the order in which EHLO lists them.
    pub const ALL: [Extension; 12] = [
        Extension::Pipelining,
        Extension::Size,
        Extension::EightBitMime,
        Extension::SmtpUtf8,
        Extension::Chunking,
        Extension::BinaryMime,
        Extension::Dsn,
        Extension::EnhancedStatusCodes,
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

    const fn bit(self) -> u16 {
        1 << self as u16
    }
}

/// A set of extensions with their arguments, as a server offered them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extensions {
    bits: u16,
    /// SIZE: `Some(0)` is "offered without a limit".
    size: Option<u64>,
    /// Mechanisms behind AUTH, upper case.
    mechanisms: Vec<String>,
    /// Attribute names behind XCLIENT and XFORWARD, upper case.
    xclient: Vec<String>,
    xforward: Vec<String>,
}

impl Extensions {
    /// Reads an EHLO reply. Unknown keywords are passed over; a SIZE that is no number sets no limit.
    pub fn from_reply(reply: &Reply) -> Self {
        let mut extensions = Self::default();
        for line in reply.lines().skip(1) {
            let Ok(line) = std::str::from_utf8(line) else { continue };
            let mut words = line.split_ascii_whitespace();
            let Some(extension) = words.next().and_then(Extension::from_keyword) else { continue };
            extensions.insert(extension);
            match extension {
                Extension::Size => extensions.size = Some(words.next().and_then(|n| n.parse().ok()).unwrap_or(0)),
                Extension::Auth => extensions.add_mechanisms(words),
                Extension::Xclient => extensions.xclient = words.map(str::to_ascii_uppercase).collect(),
                Extension::Xforward => extensions.xforward = words.map(str::to_ascii_uppercase).collect(),
                _ => {}
            }
        }
        extensions
    }

    /// With SIZE offered: `None` is "without a limit".
    #[must_use]
    pub fn with_size(mut self, limit: Option<u64>) -> Self {
        self.insert(Extension::Size);
        self.size = Some(limit.unwrap_or(0));
        self
    }

    /// True if offered.
    pub fn has(&self, extension: Extension) -> bool {
        self.bits & extension.bit() != 0
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

    /// Attribute names that XCLIENT takes.
    pub fn xclient_attributes(&self) -> &[String] {
        &self.xclient
    }

    /// Attribute names that XFORWARD takes.
    pub fn xforward_attributes(&self) -> &[String] {
        &self.xforward
    }

    /// What both offer; the larger of the size limits (DECISIONS 3), none if one has none.
    pub fn intersection(&self, other: &Self) -> Self {
        let common = |ours: &[String], theirs: &[String]| -> Vec<String> {
            ours.iter().filter(|name| theirs.contains(name)).cloned().collect()
        };
        let bits = self.bits & other.bits;
        let limit = self.size_limit().zip(other.size_limit()).map_or(0, |(ours, theirs)| ours.max(theirs));
        Self {
            bits,
            size: (bits & Extension::Size.bit() != 0).then_some(limit),
            mechanisms: common(&self.mechanisms, &other.mechanisms),
            xclient: common(&self.xclient, &other.xclient),
            xforward: common(&self.xforward, &other.xforward),
        }
    }
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
mod tests {
    use super::*;

    fn offered(text: &'static str) -> Extensions {
        Extensions::from_reply(&Reply::plain(250, text))
    }

    #[test]
    fn keywords_are_read_in_any_case_and_the_greeting_line_is_not_one() {
        let extensions = offered("DSN\npipelining\nSIZE 1000\nXCLIENT NAME addr\nX-UNKNOWN\n8BITMIME ");
        let found: Vec<_> = extensions.iter().collect();
        assert_eq!(found, [Extension::Pipelining, Extension::Size, Extension::EightBitMime, Extension::Xclient]);
        assert_eq!(extensions.size_limit(), Some(1000));
        assert_eq!(extensions.xclient_attributes(), ["NAME", "ADDR"]);
    }

    #[test]
    fn mechanisms_that_work_through_us_are_known_and_shared() {
        let one = offered("a\nAUTH PLAIN login EXTERNAL SCRAM-SHA-256-PLUS SCRAM-SHA-256\nAUTH=PLAIN\nAUTH PLAIN");
        assert_eq!(one.mechanisms(), ["PLAIN", "LOGIN", "SCRAM-SHA-256"]);
        let other = offered("b\nAUTH LOGIN PLAIN CRAM-MD5");
        assert_eq!(one.intersection(&other).mechanisms(), ["PLAIN", "LOGIN"]);
        assert!(one.has(Extension::Auth) && !one.intersection(&offered("c")).has(Extension::Auth));
    }

    #[test]
    fn size_without_a_number_is_no_limit() {
        for text in ["mx\nSIZE", "mx\nSIZE 0", "mx\nSIZE lots", "mx\nSIZE 99999999999999999999"] {
            let extensions = offered(text);
            assert!(extensions.has(Extension::Size));
            assert_eq!(extensions.size_limit(), None, "{text}");
        }
    }

    #[test]
    fn the_intersection_takes_the_larger_size() {
        let small = offered("a\nSIZE 100\nDSN\nXCLIENT ADDR NAME");
        let large = offered("b\nSIZE 200\nCHUNKING\nXCLIENT ADDR PORT");
        let both = small.intersection(&large);
        assert_eq!(both.iter().collect::<Vec<_>>(), [Extension::Size, Extension::Xclient]);
        assert_eq!(both.size_limit(), Some(200));
        assert_eq!(both.xclient_attributes(), ["ADDR"]);
        assert_eq!(small.intersection(&offered("c\nSIZE")).size_limit(), None);
        assert!(!small.intersection(&offered("d")).has(Extension::Size));
    }

    #[test]
    fn removing_takes_the_arguments_along() {
        let mut extensions = Extensions::default().with_size(Some(5));
        extensions.remove(Extension::Size);
        assert_eq!(extensions, Extensions::default());
        let set: Extensions = [Extension::Dsn].into_iter().collect();
        assert!(set.has(Extension::Dsn) && !set.has(Extension::Size));
    }

    #[test]
    fn every_extension_has_its_own_bit_and_keyword() {
        for extension in Extension::ALL {
            assert_eq!(Extension::from_keyword(extension.keyword()), Some(extension));
        }
    }
}
