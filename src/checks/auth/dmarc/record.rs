//! The DMARC policy record (RFC 9989 4.7 and 4.8).

use crate::facts::DmarcPolicy;
use crate::smtp::Mailbox;

/// Report addresses of one record that are kept.
const MAX_ADDRESSES: usize = 20;

/// What the owner of a domain publishes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// What is asked for; `None` if `p`, `sp` or `np` are beyond use and nobody wants reports, so that DMARC
    /// does not apply (RFC 9989 4.10.1).
    pub policies: Option<Policies>,
    /// `adkim=s`.
    pub strict_dkim: bool,
    /// `aspf=s`.
    pub strict_spf: bool,
    /// `psd=`.
    pub psd: Psd,
    /// `t=y`.
    pub testing: bool,
    /// The mail addresses of `rua=`, each with its size limit in octets if it has one (obsolete).
    pub rua: Vec<(String, Option<u64>)>,
    /// `fo=`, as written; `0` by default.
    pub failure_options: String,
}

/// What is asked for whom, defaults filled in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policies {
    /// `p=`: the domain itself.
    pub domain: DmarcPolicy,
    /// `sp=`: its subdomains.
    pub subdomains: DmarcPolicy,
    /// `np=`: subdomains that do not exist.
    pub nonexistent: DmarcPolicy,
}

/// Does the domain belong to many?
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Psd {
    /// `psd=y`: a public suffix.
    Yes,
    /// `psd=n`: an organizational domain.
    No,
    /// Not said.
    #[default]
    Unknown,
}

/// A tag as far as it was found. Two of one name are a mistake like any other.
enum Tag<'t> {
    Absent,
    Value(&'t str),
    Repeated,
}

impl Record {
    /// Reads a TXT record; `None` if it is no DMARC record of this version. Unknown tags are ignored, and
    /// mistakes give way to defaults. Names and keywords are read in any case, but the version is not.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(';');
        let (name, version) = name_and_value(parts.next()?)?;
        if !name.eq_ignore_ascii_case("v") || version != "DMARC1" {
            return None;
        }
        let tags: Vec<(&str, &str)> = parts.filter_map(name_and_value).collect();
        let (has_destination, rua) = destinations(tag(&tags, "rua").value().unwrap_or_default());
        Some(Self {
            policies: policies(&tags, has_destination),
            strict_dkim: tag(&tags, "adkim").is("s"),
            strict_spf: tag(&tags, "aspf").is("s"),
            psd: match tag(&tags, "psd") {
                tag if tag.is("y") => Psd::Yes,
                tag if tag.is("n") => Psd::No,
                _ => Psd::Unknown,
            },
            testing: tag(&tags, "t").is("y"),
            rua,
            failure_options: failure_options(&tag(&tags, "fo")),
        })
    }
}

impl<'t> Tag<'t> {
    fn value(&self) -> Option<&'t str> {
        match self {
            Self::Value(value) => Some(value),
            Self::Absent | Self::Repeated => None,
        }
    }

    fn is(&self, keyword: &str) -> bool {
        self.value().is_some_and(|value| value.eq_ignore_ascii_case(keyword))
    }

    /// `Ok(None)`: not there. `Err`: beyond use.
    fn policy(&self) -> Result<Option<DmarcPolicy>, ()> {
        let all = [DmarcPolicy::None, DmarcPolicy::Quarantine, DmarcPolicy::Reject];
        match self {
            Self::Absent => Ok(None),
            _ => all.into_iter().find(|policy| self.is(policy.as_str())).map(Some).ok_or(()),
        }
    }
}

fn name_and_value(part: &str) -> Option<(&str, &str)> {
    let (name, value) = part.split_once('=')?;
    Some((name.trim_ascii(), value.trim_ascii()))
}

fn tag<'t>(tags: &[(&str, &'t str)], name: &str) -> Tag<'t> {
    let mut values = tags.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name));
    match (values.next(), values.next()) {
        (None, _) => Tag::Absent,
        (Some((_, value)), None) => Tag::Value(value),
        _ => Tag::Repeated,
    }
}

/// RFC 9989 4.10.1: a missing `p`, or a mistake in any of the three, is `p=none` for those who want reports.
fn policies(tags: &[(&str, &str)], has_destination: bool) -> Option<Policies> {
    let [p, sp, np] = ["p", "sp", "np"].map(|name| tag(tags, name).policy());
    if let (Ok(Some(domain)), Ok(sp), Ok(np)) = (p, sp, np) {
        let subdomains = sp.unwrap_or(domain);
        return Some(Policies { domain, subdomains, nonexistent: np.unwrap_or(subdomains) });
    }
    let none = DmarcPolicy::None;
    has_destination.then_some(Policies { domain: none, subdomains: none, nonexistent: none })
}

/// Is there any URI to report to, and which of them are mail addresses?
fn destinations(list: &str) -> (bool, Vec<(String, Option<u64>)>) {
    let uris = list.split(',').map(str::trim_ascii).filter_map(|text| Some((text, scheme(text)?)));
    let mut has_any = false;
    let mut addresses = Vec::new();
    for (text, scheme) in uris {
        has_any = true;
        let address = text.get(scheme.len() + 1..).filter(|_| scheme.eq_ignore_ascii_case("mailto"));
        if let Some(address) = address.and_then(address_and_limit).filter(|_| addresses.len() < MAX_ADDRESSES) {
            addresses.push(address);
        }
    }
    (has_any, addresses)
}

/// The scheme of something that could be a URI (RFC 3986 3).
fn scheme(text: &str) -> Option<&str> {
    let (scheme, rest) = text.split_once(':')?;
    let fits = |octet: u8| octet.is_ascii_alphanumeric() || b"+-.".contains(&octet);
    let is_uri = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(fits)
        && !rest.is_empty()
        && rest.bytes().all(|octet| octet.is_ascii_graphic());
    is_uri.then_some(scheme)
}

/// `address`, perhaps with `!10m` behind it; header fields of the URI are not ours to set.
fn address_and_limit(text: &str) -> Option<(String, Option<u64>)> {
    let (address, limit) = match text.split_once('!') {
        Some((address, limit)) => (address, size(limit)),
        None => (text, None),
    };
    let address = unescaped(address.split('?').next()?)?;
    Mailbox::parse(&address).ok().map(|_| (address, limit))
}

/// Octets, in powers of 1024. A mistake is no limit: the suffix is obsolete.
fn size(text: &str) -> Option<u64> {
    let (digits, factor) = match text.as_bytes().last()?.to_ascii_lowercase() {
        b'k' => (text.get(..text.len() - 1)?, 1_u64 << 10),
        b'm' => (text.get(..text.len() - 1)?, 1 << 20),
        b'g' => (text.get(..text.len() - 1)?, 1 << 30),
        b't' => (text.get(..text.len() - 1)?, 1 << 40),
        _ => (text, 1),
    };
    let is_number = digits.bytes().all(|digit| digit.is_ascii_digit());
    digits.parse::<u64>().ok().filter(|_| is_number).map(|number| number.saturating_mul(factor))
}

/// Percent-encoding undone (RFC 3986 2.1).
fn unescaped(text: &str) -> Option<String> {
    let mut octets = Vec::with_capacity(text.len());
    let mut parts = text.split('%');
    octets.extend_from_slice(parts.next()?.as_bytes());
    for part in parts {
        let (code, rest) =
            part.split_at_checked(2).filter(|(code, _)| code.bytes().all(|hex| hex.is_ascii_hexdigit()))?;
        octets.push(u8::from_str_radix(code, 16).ok()?);
        octets.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(octets).ok()
}

/// `0` or `1`, `d`, `s`, each once, in any order.
fn failure_options(tag: &Tag) -> String {
    let written = tag.value().unwrap_or("0");
    let options: Vec<String> = written.split(':').map(|option| option.trim_ascii().to_ascii_lowercase()).collect();
    let known = |option: &String| ["0", "1", "d", "s"].contains(&option.as_str());
    let count = |wanted: &str| options.iter().filter(|option| *option == wanted).count();
    let is_valid = options.iter().all(known) && count("0") + count("1") < 2 && count("d") < 2 && count("s") < 2;
    if is_valid { written.to_owned() } else { "0".to_owned() }
}
