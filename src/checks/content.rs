//! First tests of the message itself: the test string for spam filters, and missing header fields.

use memchr::memmem;

use super::Check;
use crate::facts::MessageFacts;
use crate::message::Message;
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
        Outcome::from_findings(judge(&self.settings, &facts.message))
    }
}

/// What the message shows.
pub fn judge(settings: &Settings, message: &Message) -> Vec<Finding> {
    let mut findings = Vec::new();
    // As plain text only: what is encoded has no reading yet.
    if settings.gtube && memmem::find(message.body(), GTUBE).is_some() {
        findings.push(Finding::new(Symbol::known("GTUBE"), "the test string is in the body"));
    }
    if settings.fields {
        findings.extend(judge_fields(message));
    }
    findings
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
        judge(&Settings::default(), &message).iter().map(|finding| finding.symbol.to_string()).collect()
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
    fn tests_that_are_off_observe_nothing() {
        let message = Message::new(GTUBE.to_vec(), GTUBE.len() as u64);
        assert!(judge(&Settings { gtube: false, fields: false }, &message).is_empty());
    }

    #[test]
    fn every_symbol_that_it_emits_is_declared() {
        let check = Content::new(Settings::default());
        for symbol in ["GTUBE", "MULTIPLE_FROM", "MISSING_FROM", "MISSING_DATE", "MISSING_MESSAGE_ID"] {
            assert!(Check::spec(&check).emits.iter().any(|known| known.as_str() == symbol), "{symbol}");
        }
    }
}
