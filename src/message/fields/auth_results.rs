//! `Authentication-Results` (RFC 8601) and `Received-SPF` (RFC 7208 9.1): what we found out about who sends.
//!
//! Values are quoted where they are no tokens, and never hold anything that ends a line; comments hold
//! our own words, in which what strangers said is reduced to harmless characters. What identifies somebody is
//! written whole or not at all: the beginning of a name may look like another name.

use std::net::IpAddr;

use super::writer::{FieldWriter, MAX_VALUE, clipped};

/// What one method came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MethodResult {
    /// The method as registered, such as `spf`.
    pub method: &'static str,
    /// The result as registered, such as `pass`.
    pub result: &'static str,
    /// Words for people; empty: none.
    pub comment: String,
    /// `ptype.property` with its value, in order.
    pub properties: Vec<(&'static str, String)>,
}

/// The whole field.
#[derive(Clone, Copy, Debug)]
pub struct AuthResults<'a> {
    /// Our host name.
    pub authserv_id: &'a str,
    /// By method; empty: nobody looked (`none`).
    pub results: &'a [MethodResult],
    /// True if the message may hold UTF-8 in its header section (RFC 6532): other values stay ASCII.
    pub utf8: bool,
}

/// The older field about SPF alone.
#[derive(Clone, Copy, Debug)]
pub struct ReceivedSpf<'a> {
    /// The result as registered, such as `pass`.
    pub result: &'static str,
    /// Words for people; empty: none.
    pub comment: &'a str,
    /// The client.
    pub client: IpAddr,
    /// The reverse-path without brackets; empty for the null reverse-path.
    pub envelope_from: &'a str,
    /// The HELO name.
    pub helo: &'a str,
    /// Our host name.
    pub receiver: &'a str,
    /// True if the reverse-path was checked, not the HELO name.
    pub of_mail: bool,
    /// See [`AuthResults::utf8`].
    pub utf8: bool,
}

impl MethodResult {
    /// Nothing but a method and its result.
    pub fn new(method: &'static str, result: &'static str) -> Self {
        Self { method, result, comment: String::new(), properties: Vec::new() }
    }

    /// With words for people.
    pub fn comment(self, comment: impl Into<String>) -> Self {
        Self { comment: comment.into(), ..self }
    }

    /// With one more property, unless its value is empty. One that is too long for a field is not written.
    pub fn with(mut self, property: &'static str, value: impl Into<String>) -> Self {
        let value = value.into();
        if !value.is_empty() {
            self.properties.push((property, value));
        }
        self
    }
}

impl AuthResults<'_> {
    /// Appends the field with its CRLF.
    pub fn write(&self, out: &mut Vec<u8>) {
        let mut field = FieldWriter::new("Authentication-Results", out);
        field.word(&format!("{};", value(self.authserv_id, false)));
        if self.results.is_empty() {
            field.word("none");
        }
        let last = self.results.len().saturating_sub(1);
        for (index, result) in self.results.iter().enumerate() {
            let mut words = vec![format!("{}={}", result.method, result.result)];
            words.extend(comment(&result.comment));
            let written = |(name, text): &(&str, String)| format!("{name}={}", value(text, self.utf8));
            words.extend(result.properties.iter().filter(|(_, text)| text.len() <= MAX_VALUE).map(written));
            if let (Some(word), true) = (words.last_mut(), index < last) {
                word.push(';');
            }
            field.line();
            words.iter().for_each(|word| field.word(word));
        }
        field.end();
    }
}

impl ReceivedSpf<'_> {
    /// Appends the field with its CRLF.
    pub fn write(&self, out: &mut Vec<u8>) {
        let mut field = FieldWriter::new("Received-SPF", out);
        field.word(self.result);
        comment(self.comment).iter().for_each(|word| field.word(word));
        let identity = if self.of_mail { "mailfrom" } else { "helo" };
        let pairs = [
            ("receiver", self.receiver.to_owned()),
            ("identity", identity.to_owned()),
            ("envelope-from", self.envelope_from.to_owned()),
            ("helo", self.helo.to_owned()),
            ("client-ip", self.client.to_canonical().to_string()),
        ];
        let pairs: Vec<_> = pairs.iter().filter(|(_, text)| text.len() <= MAX_VALUE).collect();
        let last = pairs.len().saturating_sub(1);
        for (index, (key, text)) in pairs.into_iter().enumerate() {
            // An empty value is said, too: `envelope-from=""` is the null reverse-path.
            let end = if index < last { ";" } else { "" };
            field.word(&format!("{key}={}{end}", value(text, self.utf8)));
        }
        field.end();
    }
}

/// The words of a comment (RFC 5322 3.2.2) in brackets; nothing for an empty one. What separates results and
/// properties is replaced: there are readers who know no comments.
fn comment(text: &str) -> Vec<String> {
    let text = text.replace(';', ",").replace('=', ":").replace('"', "'");
    let harmless = |character: char| matches!(character, ' '..='~') && !"()\\".contains(character);
    let text = clipped(&text, harmless);
    let mut words: Vec<String> = text.split_ascii_whitespace().map(str::to_owned).collect();
    if let Some(first) = words.first_mut() {
        first.insert(0, '(');
    }
    if let Some(last) = words.last_mut() {
        last.push(')');
    }
    words
}

/// A `value` or an address of RFC 8601 2.2: bare where it may be, else a quoted string. Whatever may stand
/// in neither becomes `?`. At most [`MAX_VALUE`] octets: longer ones are left out by who calls.
fn value(text: &str, utf8: bool) -> String {
    let fits =
        |character: char| matches!(character, ' '..='~') || (utf8 && !character.is_ascii() && !character.is_control());
    let text: String = text.chars().map(|character| if fits(character) { character } else { '?' }).collect();
    if is_bare(&text) {
        return text;
    }
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        if matches!(character, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(character);
    }
    quoted.push('"');
    quoted
}

/// True for a token (RFC 2045 5.1), a domain name, and an address whose local part is a dot-atom.
fn is_bare(text: &str) -> bool {
    let is_atom = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"!#$%&'*+-^_`{|}~.".contains(&octet))
    };
    let is_name = |part: &str| {
        !part.is_empty() && part.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-._".contains(&octet))
    };
    match text.rsplit_once('@') {
        Some((local, domain)) => {
            let dots_between = !local.starts_with('.') && !local.ends_with('.') && !local.contains("..");
            (local.is_empty() || (is_atom(local) && dots_between)) && is_name(domain)
        }
        None => is_atom(text),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::message::header::{Fields, body_offset};

    fn written(results: &[MethodResult], utf8: bool) -> String {
        let mut out = Vec::new();
        AuthResults { authserv_id: "mx.example.org", results, utf8 }.write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_field_says_what_each_method_came_to() {
        let results = [
            MethodResult::new("iprev", "pass").with("policy.iprev", "2001:db8::1"),
            MethodResult::new("spf", "softfail").comment("~all of example.net").with("smtp.mailfrom", "a@example.net"),
            MethodResult::new("dkim", "pass")
                .with("header.d", "example.net")
                .with("header.b", "dG/f+k=")
                .with("header.i", ""),
        ];
        assert_eq!(
            written(&results, false),
            "Authentication-Results: mx.example.org;\r\n\
             \tiprev=pass policy.iprev=\"2001:db8::1\";\r\n\
             \tspf=softfail (~all of example.net) smtp.mailfrom=a@example.net;\r\n\
             \tdkim=pass header.d=example.net header.b=\"dG/f+k=\"\r\n"
        );
        assert_eq!(written(&[], false), "Authentication-Results: mx.example.org; none\r\n");
    }

    #[test]
    fn strangers_words_cannot_leave_their_place() {
        for (text, utf8, expected) in [
            ("a@example.net", false, "a@example.net"),
            ("@example.net", false, "@example.net"),
            ("a+b=c@example.net", false, "\"a+b=c@example.net\""),
            ("\"a b\"@example.net", false, "\"\\\"a b\\\"@example.net\""),
            ("a;dkim=pass@example.net", false, "\"a;dkim=pass@example.net\""),
            ("a\r\nX-Spam-Flag: NO@example.net", false, "\"a??X-Spam-Flag: NO@example.net\""),
            ("x\\\" ; spf=pass", false, "\"x\\\\\\\" ; spf=pass\""),
            ("(comment", false, "\"(comment\""),
            ("b\u{fc}cher@example.net", false, "b?cher@example.net"),
            ("b\u{fc}cher@example.net", true, "\"b\u{fc}cher@example.net\""),
            ("b\u{85}x@example.net", true, "b?x@example.net"),
            ("a..b@example.net", false, "\"a..b@example.net\""),
            ("", false, "\"\""),
        ] {
            let expected = expected.replace("b?cher@example.net", "\"b?cher@example.net\"");
            let expected = expected.replace("b?x@example.net", "\"b?x@example.net\"");
            assert_eq!(value(text, utf8), expected, "{text:?}");
        }
        assert_eq!(comment("a) (b \\ \r\n c").join(" "), "(a? ?b ? ?? c)");
        assert_eq!(comment("exists:;dmarc=pass;x=\"y\"").join(" "), "(exists:,dmarc:pass,x:'y')");
        assert!(comment(" ").is_empty());
    }

    #[test]
    fn an_identity_is_written_whole_or_not_at_all() {
        let shown = |identity: &str| written(&[MethodResult::new("dkim", "pass").with("header.i", identity)], true);
        let local = "x".repeat(64);
        let long = format!("{local}@{}example.org", "a.".repeat(122));
        assert!(shown(&long).contains(&long));
        let longer = format!("{}@bank.example.{}evil.example", local, "a.".repeat(150));
        assert_eq!(shown(&longer), "Authentication-Results: mx.example.org;\r\n\tdkim=pass\r\n");
    }

    #[test]
    fn received_spf_names_its_keys() {
        let mut out = Vec::new();
        let field = ReceivedSpf {
            result: "pass",
            comment: "mx of example.net",
            client: "192.0.2.1".parse().unwrap(),
            envelope_from: "a@example.net",
            helo: "mail.example.net",
            receiver: "mx.example.org",
            of_mail: true,
            utf8: false,
        };
        field.write(&mut out);
        assert_eq!(
            String::from_utf8(out).unwrap().replace("\r\n\t", " "),
            "Received-SPF: pass (mx of example.net) receiver=mx.example.org; identity=mailfrom; \
             envelope-from=a@example.net; helo=mail.example.net; client-ip=192.0.2.1\r\n"
        );
    }

    proptest! {
        #[test]
        fn whatever_is_said_is_one_field_of_lines_that_fit(
            texts in proptest::collection::vec(any::<String>(), 1..6), utf8: bool,
        ) {
            let results: Vec<_> = texts
                .iter()
                .map(|text| MethodResult::new("dkim", "fail").comment(text.clone()).with("header.d", text.clone()))
                .collect();
            let text = written(&results, utf8);
            prop_assert_eq!(Fields::new(text.as_bytes()).count(), 1);
            prop_assert_eq!(body_offset(text.as_bytes()), text.len());
            prop_assert!(text.split("\r\n").all(|line| line.len() <= 998));
            prop_assert!(utf8 || text.is_ascii());
        }
    }
}
