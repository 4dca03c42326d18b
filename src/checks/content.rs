//! First tests of the message itself: the test string for spam filters, and missing header fields.

use memchr::memmem;

use super::Check;
use super::model::model;
use crate::facts::MessageFacts;
use crate::message::{Message, Model};
use crate::scoring::{CheckName, Finding, Outcome, Spec, Symbol};

/// Which tests are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Look for the GTUBE test string.
    pub gtube: bool,
    /// Look for header fields that are missing or repeated (RFC 5322 3.6).
    pub fields: bool,
}

/// The check.
pub struct Content {
    settings: Settings,
    spec: Spec,
}

/// The agreed string that every filter takes for spam.
const GTUBE: &[u8] = b"XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X";

/// Fields that every message should have, with the symbols of their absence.
const EXPECTED: [(&str, &str); 3] =
    [("From", "MISSING_FROM"), ("Date", "MISSING_DATE"), ("Message-ID", "MISSING_MESSAGE_ID")];

impl Default for Settings {
    fn default() -> Self {
        Self { gtube: true, fields: true }
    }
}

impl Content {
    /// With these tests.
    pub fn new(settings: Settings) -> Self {
        let symbols = ["GTUBE", "MULTIPLE_FROM"].into_iter().chain(EXPECTED.map(|(_, symbol)| symbol));
        let spec =
            Spec { name: CheckName::new("content"), emits: symbols.map(Symbol::known).collect(), exclusive: false };
        Self { settings, spec }
    }
}

impl Check for Content {
    type Facts = MessageFacts;

    fn spec(&self) -> &Spec {
        &self.spec
    }

    async fn run(&self, facts: &MessageFacts) -> Outcome {
        Outcome::from_findings(judge(&self.settings, &facts.message, model(facts).await))
    }
}

/// What the message shows.
pub fn judge(settings: &Settings, message: &Message, model: &Model) -> Vec<Finding> {
    let mut findings = Vec::new();
    if settings.gtube {
        let evidence = gtube(message, model);
        findings.extend(evidence.map(|evidence| Finding::new(Symbol::known("GTUBE"), evidence)));
    }
    if settings.fields {
        findings.extend(judge_fields(message));
    }
    findings
}

/// Where the test string is: in the body as it came, or in the text of a part, whatever it is encoded in.
fn gtube(message: &Message, model: &Model) -> Option<&'static str> {
    let has = |text: &str| memmem::find(text.as_bytes(), GTUBE).is_some();
    if memmem::find(message.body(), GTUBE).is_some() {
        return Some("the test string is in the body");
    }
    let in_text = model.texts.iter().any(|text| has(&text.source) || has(&text.shown) || has(&text.hidden));
    (in_text || has(&model.shown)).then_some("the test string is in the text of a part")
}

fn judge_fields(message: &Message) -> Vec<Finding> {
    let mut seen = [0usize; EXPECTED.len()];
    for field in message.fields() {
        let names = EXPECTED.iter().map(|(name, _)| name.as_bytes());
        for (count, _) in seen.iter_mut().zip(names).filter(|(_, name)| field.name.eq_ignore_ascii_case(name)) {
            *count += 1;
        }
    }
    let missing = EXPECTED.iter().zip(seen).filter(|(_, count)| *count == 0);
    let mut findings: Vec<Finding> =
        missing.map(|((name, symbol), _)| Finding::new(Symbol::known(symbol), format!("no {name} field"))).collect();
    let [from, ..] = seen;
    if from > 1 {
        findings.push(Finding::new(Symbol::known("MULTIPLE_FROM"), format!("{from} From fields")));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn symbols(message: &str) -> Vec<String> {
        let message = Message::new(message.as_bytes().to_vec(), message.len() as u64);
        judge(&Settings::default(), &message, &Model::of(&message))
            .iter()
            .map(|finding| finding.symbol.to_string())
            .collect()
    }

    #[test]
    fn what_a_message_lacks_or_has_too_much_of_is_observed() {
        let whole = "From: a@example.org\r\nDate: today\r\nMessage-ID: <1@example.org>\r\n";
        let gtube = String::from_utf8_lossy(GTUBE).into_owned();
        for (message, expected) in [
            (format!("{whole}\r\nhello\r\n"), &[][..]),
            (format!("{}\r\nhello\r\n", whole.to_uppercase()), &[]),
            (format!("{whole}\r\n{gtube}\r\n"), &["GTUBE"]),
            (format!("{whole}\r\nsome words {gtube} and more\r\n"), &["GTUBE"]),
            (format!("{whole}Subject: {gtube}\r\n\r\nhello\r\n"), &[]),
            (format!("{whole}From: b@example.org\r\n\r\nhello\r\n"), &["MULTIPLE_FROM"]),
            ("Subject: x\r\n\r\nhello\r\n".into(), &["MISSING_FROM", "MISSING_DATE", "MISSING_MESSAGE_ID"]),
            (String::new(), &["MISSING_FROM", "MISSING_DATE", "MISSING_MESSAGE_ID"]),
        ] {
            assert_eq!(symbols(&message), expected, "{message}");
        }
    }

    #[test]
    fn the_test_string_is_found_in_every_encoding() {
        let gtube = String::from_utf8_lossy(GTUBE).into_owned();
        let (begin, end) = gtube.split_at(30);
        let base64 = data_encoding::BASE64.encode(format!("words\r\n{gtube}\r\n").as_bytes());
        let part = |fields: &str, body: &str| {
            format!(
                "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nhello\r\n--b\r\n{fields}\r\n\r\n{body}\r\n--b--\r\n"
            )
        };
        for message in [
            format!("Content-Transfer-Encoding: base64\r\n\r\n{base64}\r\n"),
            format!("Content-Transfer-Encoding: quoted-printable\r\n\r\nwords {begin}=\r\n{end}\r\n"),
            format!("Content-Type: text/html\r\n\r\n<p>words <b>{begin}</b>{end}</p>\r\n"),
            part("Content-Type: text/plain\r\nContent-Transfer-Encoding: base64", &base64),
            part(
                "Content-Type: text/plain; name=a.txt\r\nContent-Disposition: attachment; filename=a.txt\r\n\
                 Content-Transfer-Encoding: base64",
                &base64,
            ),
        ] {
            assert!(symbols(&message).contains(&"GTUBE".to_owned()), "{message}");
        }
    }

    #[test]
    fn tests_that_are_off_observe_nothing() {
        let message = Message::new(GTUBE.to_vec(), GTUBE.len() as u64);
        assert!(judge(&Settings { gtube: false, fields: false }, &message, &Model::of(&message)).is_empty());
    }

    #[test]
    fn every_symbol_that_it_emits_is_declared() {
        let check = Content::new(Settings::default());
        for symbol in ["GTUBE", "MULTIPLE_FROM", "MISSING_FROM", "MISSING_DATE", "MISSING_MESSAGE_ID"] {
            assert!(Check::spec(&check).emits.iter().any(|known| known.as_str() == symbol), "{symbol}");
        }
    }
}
