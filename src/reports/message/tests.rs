use std::time::{Duration, UNIX_EPOCH};

use mail_parser::{MessageParser, MimeHeaders};
use proptest::prelude::*;

use super::*;
use crate::reports::destination::mailbox;
use crate::reports::sample;

fn written() -> (Report, Vec<u8>) {
    let settings = sample::settings();
    let report = Report::new(&sample::batch(&[]), &settings).expect("a report");
    let to = mailbox("rua@author.example").expect("an address");
    let mail = report.message(&settings, &to, UNIX_EPOCH + Duration::from_secs(101 * sample::DAY + 60));
    (report, mail)
}

#[test]
fn a_message_says_what_receivers_look_for() {
    let (report, mail) = written();
    let parsed = MessageParser::default().parse(&mail).expect("a message");
    let expected = format!("Report Domain: author.example Submitter: receiver.example Report-ID: <{}>", report.id);
    assert_eq!(parsed.subject(), Some(expected.as_str()));
    assert_eq!(
        parsed.from().and_then(|from| from.first()).and_then(|from| from.address()),
        Some("dmarc@receiver.example")
    );
    assert_eq!(parsed.to().and_then(|to| to.first()).and_then(|to| to.address()), Some("rua@author.example"));
    assert_eq!(parsed.date().map(mail_parser::DateTime::to_timestamp), Some(101 * 86_400 + 60));
    assert_eq!(parsed.header_raw("Auto-Submitted").map(str::trim), Some("auto-generated"));
    assert!(parsed.message_id().is_some_and(|id| id.ends_with("@mx.receiver.example")));
    let attachment = parsed.attachment(0).expect("an attachment");
    assert!(attachment.is_content_type("application", "gzip"));
    let name = format!("receiver.example!author.example!8640000!8726399!{}.xml.gz", report.id);
    assert_eq!(attachment.attachment_name(), Some(name.as_str()));
    assert_eq!(attachment.contents(), report.attachment);
    // unique-id = 1*(ALPHA / DIGIT), in the file name and in the Subject.
    assert!(!report.id.is_empty() && report.id.bytes().all(|octet| octet.is_ascii_alphanumeric()), "{}", report.id);
    assert!(parsed.body_text(0).is_some_and(|text| text.contains("author.example")));
}

#[test]
fn a_receiver_can_unpack_it() {
    let (_, mail) = written();
    let read = mail_auth_report(&mail);
    assert_eq!(read, ("author.example".to_owned(), 2));
}

fn mail_auth_report(mail: &[u8]) -> (String, usize) {
    let read = mail_auth::report::Report::parse_rfc5322(mail, 1 << 20).expect("a report");
    (read.domain().to_owned(), read.records().len())
}

#[test]
fn every_server_can_carry_it() {
    let mut settings = sample::settings();
    settings.org_name = "\"Bad\\ \u{fc}\r\nBcc: victim@example.org".to_owned();
    let mut batch = sample::batch(&[]);
    batch.domain = format!("a b\r\nBcc: victim.{}", "x".repeat(240)).into();
    let report = Report::new(&batch, &settings).expect("a report");
    let mail = report.message(&settings, &mailbox("rua@author.example").expect("an address"), UNIX_EPOCH);
    let text = String::from_utf8(mail).expect("ASCII");
    assert!(text.is_ascii() && text.ends_with("\r\n"));
    for line in text.split_terminator("\r\n") {
        assert!(line.len() <= 998 && !line.contains(['\r', '\n']), "{line}");
        assert!(!line.starts_with("Bcc"), "{line}");
    }
}

#[test]
fn a_batch_has_one_identifier_and_each_proxy_its_own() {
    let settings = sample::settings();
    let other = Settings { hostname: "mx2.receiver.example".into(), ..settings.clone() };
    let batch = sample::batch(&[]);
    let id = |settings: &Settings| Report::new(&batch, settings).expect("a report").id;
    assert_eq!(id(&settings), id(&settings));
    assert_ne!(id(&settings), id(&other));
}

proptest! {
    #[test]
    fn base64_is_read_back(octets in proptest::collection::vec(any::<u8>(), 0..400)) {
        let mut out = Vec::new();
        base64(&octets, &mut out);
        let text = String::from_utf8(out).expect("ASCII");
        prop_assert!(text.split_terminator("\r\n").all(|line| line.len() <= LINE));
        let read = mail_parser::decoders::base64::base64_decode(text.as_bytes()).unwrap_or_default();
        prop_assert_eq!(read, octets);
    }
}
