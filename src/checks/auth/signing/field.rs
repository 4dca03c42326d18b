//! The tags that signature fields share: who signs, with what, and what is signed.

use std::ops::Range;

use super::tags::{Tags, items, squeeze};
use super::{BodyHash, Form, Unsound};
use crate::checks::auth::mail_auth::{Algorithm, decode_base64};

/// Who signs, and the signature itself: DKIM-Signature, ARC-Message-Signature and ARC-Seal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// `a=`.
    pub algorithm: Algorithm,
    /// `d=`, in lower case.
    pub domain: String,
    /// `s=`.
    pub selector: String,
    /// `b=`, decoded.
    pub signature: Vec<u8>,
    /// Where `b=` has its value: the field is signed without it.
    pub cut: Range<usize>,
    /// `t=`, in seconds since 1970.
    pub at: Option<u64>,
}

/// What is signed: DKIM-Signature and ARC-Message-Signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coverage {
    /// `bh=`, decoded.
    pub body_hash: Vec<u8>,
    /// `h=`: names of fields in lower case, in order, with repetitions.
    pub signed: Vec<String>,
    /// `c=`, for the fields.
    pub header_form: Form,
    /// `c=`, for the body.
    pub body_form: Form,
    /// `l=`: octets of the canonical body.
    pub length: Option<u64>,
    /// `x=`, in seconds since 1970.
    pub expires: Option<u64>,
}

/// Names in `h=` that are read; there are some thirty.
const MAX_NAMES: usize = 1000;

impl Proof {
    /// Reads the tags.
    ///
    /// # Errors
    /// One is missing or malformed, or the algorithm is one that nobody may rely on (RFC 8301 3.1).
    pub fn read(tags: &Tags<'_>) -> Result<Self, Unsound> {
        let algorithm = Algorithm::parse(tags.need("a")?).ok_or_else(|| Unsound::new("`a=` is unknown to us"))?;
        if algorithm == Algorithm::RsaSha1 {
            return Err(Unsound::new("rsa-sha1 proves nothing any more"));
        }
        Ok(Self {
            algorithm,
            domain: domain(tags.need("d")?, 2).ok_or_else(|| Unsound::new("`d=` is no domain name"))?,
            selector: domain(tags.need("s")?, 1).ok_or_else(|| Unsound::new("`s=` is no selector"))?,
            signature: base64(tags, "b")?,
            cut: tags.place("b").unwrap_or_default(),
            at: tags.number("t", 12)?,
        })
    }

    /// The name where its key stands.
    pub fn key_name(&self) -> String {
        ascii(&format!("{}._domainkey.{}", self.selector, self.domain))
    }
}

impl Coverage {
    /// Reads the tags; `form` is that of fields and body where `c=` does not say.
    ///
    /// # Errors
    /// One is missing or malformed.
    pub fn read(tags: &Tags<'_>, form: Form) -> Result<Self, Unsound> {
        let (header_form, body_form) = tags.get("c").map_or(Ok((form, form)), forms)?;
        let names = || tags.need("h").map(|names| items(names).filter(|name| !name.is_empty()));
        if names()?.nth(MAX_NAMES).is_some() {
            return Err(Unsound::new("`h=` has too many names"));
        }
        let coverage = Self {
            body_hash: base64(tags, "bh")?,
            signed: names()?.map(str::to_ascii_lowercase).collect(),
            header_form,
            body_form,
            length: tags.number("l", 76)?,
            expires: tags.number("x", 12)?,
        };
        let at = tags.number("t", 12)?;
        if coverage.expires.is_some_and(|expires| at.is_some_and(|at| expires <= at)) {
            return Err(Unsound::new("`x=` is not later than `t=`"));
        }
        Ok(coverage)
    }

    /// True if it signs the field of this name (lower case).
    pub fn signs(&self, name: &str) -> bool {
        self.signed.iter().any(|signed| signed == name)
    }

    /// True if `hash` is of the form and length that `bh=` is about.
    pub fn is_hashed_by(&self, hash: &BodyHash) -> bool {
        (hash.form, hash.length) == (self.body_form, self.length)
    }
}

/// A domain name of at least `labels` labels in lower case, `None` if `text` is none. U-labels stay
/// (RFC 8616), underscores pass.
pub fn domain(text: &str, labels: usize) -> Option<String> {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len()) && label.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_'))
    };
    let fits = text.len() <= 253 && text.split('.').count() >= labels && text.split('.').all(is_label);
    fits.then(|| text.to_lowercase())
}

/// A domain name in A-labels; as it is if it has none.
pub fn ascii(name: &str) -> String {
    match name.is_ascii() {
        true => name.to_ascii_lowercase(),
        false => idna::domain_to_ascii(name).unwrap_or_else(|_| name.to_owned()),
    }
}

fn base64(tags: &Tags<'_>, name: &str) -> Result<Vec<u8>, Unsound> {
    let text = squeeze(tags.need(name)?);
    if text.is_empty() {
        return Err(Unsound::new(format!("`{name}=` is empty")));
    }
    decode_base64(&text).ok_or_else(|| Unsound::new(format!("`{name}=` is no Base64")))
}

/// `c=`: a form for the fields, and one for the body, simple if it is not said.
fn forms(text: &str) -> Result<(Form, Form), Unsound> {
    let form = |name: &str| match name {
        _ if name.eq_ignore_ascii_case("simple") => Ok(Form::Simple),
        _ if name.eq_ignore_ascii_case("relaxed") => Ok(Form::Relaxed),
        _ => Err(Unsound::new("`c=` is unknown to us")),
    };
    let (header, body) = text.split_once('/').unwrap_or((text, "simple"));
    Ok((form(header)?, form(body)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOUND: &str = "a=rsa-sha256; d=Example.ORG; s=a.B; b=AA A=; bh=AAAA; h=From : TO::from";

    fn read(text: &str) -> Result<(Proof, Coverage), String> {
        let tags = Tags::parse(text.as_bytes()).map_err(|why| why.to_string())?;
        Ok((
            Proof::read(&tags).map_err(|why| why.to_string())?,
            Coverage::read(&tags, Form::Simple).map_err(|why| why.to_string())?,
        ))
    }

    #[test]
    fn tags_become_values() {
        let (proof, coverage) = read(SOUND).unwrap();
        assert_eq!((&*proof.domain, &*proof.selector), ("example.org", "a.b"));
        assert_eq!(proof.signature, [0, 0]);
        assert_eq!(&SOUND[proof.cut.clone()], "AA A=");
        assert_eq!(proof.key_name(), "a.b._domainkey.example.org");
        assert_eq!(coverage.signed, ["from", "to", "from"]);
        assert_eq!((coverage.header_form, coverage.body_form), (Form::Simple, Form::Simple));
        let (_, coverage) = read(&format!("{SOUND}; c=relaxed; l=7; t=1; x=2")).unwrap();
        assert_eq!((coverage.header_form, coverage.body_form), (Form::Relaxed, Form::Simple));
        assert_eq!((coverage.length, coverage.expires), (Some(7), Some(2)));
        let (proof, _) = read(&SOUND.replace("Example", "B\u{fc}cher")).unwrap();
        assert_eq!(proof.key_name(), "a.b._domainkey.xn--bcher-kva.org");
    }

    #[test]
    fn what_is_signed_has_an_end() {
        let signing = |names: usize| SOUND.replacen("h=From", &format!("h=From{}", ":a".repeat(names - 3)), 1);
        assert!(read(&signing(MAX_NAMES)).is_ok());
        assert_eq!(read(&signing(MAX_NAMES + 1)), Err("`h=` has too many names".to_owned()));
    }

    #[test]
    fn malformed_tags_are_named() {
        for (from, to, why) in [
            ("a=rsa-sha256; ", "", "`a=` is missing"),
            ("rsa-sha256", "rsa-sha512", "`a=` is unknown to us"),
            ("rsa-sha256", "rsa-sha1", "rsa-sha1 proves nothing any more"),
            ("rsa-sha256", "rsa - sha256", "`a=` is unknown to us"),
            ("Example.ORG", "", "`d=` is no domain name"),
            ("Example.ORG", "org", "`d=` is no domain name"),
            ("Example.ORG", "example.org.", "`d=` is no domain name"),
            ("Example.ORG", "exa mple.org", "`d=` is no domain name"),
            ("Example.ORG", "example...", "`d=` is no domain name"),
            ("s=a.B", "s=", "`s=` is no selector"),
            ("s=a.B; ", "", "`s=` is missing"),
            ("b=AA A=", "b= ", "`b=` is empty"),
            ("b=AA A=", "b=A-A", "`b=` is no Base64"),
            ("b=AA A=", "b=A=A", "`b=` is no Base64"),
            ("bh=AAAA", "bh=", "`bh=` is empty"),
            ("h=From : TO::from", "c=simple", "`h=` is missing"),
            ("h=From", "c=; h=From", "`c=` is unknown to us"),
            ("h=From", "c=relaxed/; h=From", "`c=` is unknown to us"),
            ("h=From", "c=nofws; h=From", "`c=` is unknown to us"),
            ("h=From", "c=simple/simple/simple; h=From", "`c=` is unknown to us"),
            ("h=From", "t=now; h=From", "`t=` is no number"),
            ("h=From", "l=-1; h=From", "`l=` is no number"),
            ("h=From", "t=5; x=5; h=From", "`x=` is not later than `t=`"),
        ] {
            assert_eq!(read(&SOUND.replacen(from, to, 1)), Err(why.to_owned()), "{from} -> {to}");
        }
    }
}
