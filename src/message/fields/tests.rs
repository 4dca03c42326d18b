use std::time::{Duration, SystemTime};

use proptest::prelude::*;

use super::*;
use crate::message::header::{Fields, body_offset};

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn label(helo: &str, name: Option<&str>, addr: &str) -> ClientLabel {
    ClientLabel { helo: helo.to_owned(), name: name.map(str::to_owned), addr: addr.parse().unwrap() }
}

fn received(client: &ClientLabel, recipient: Option<&ForwardPath>) -> String {
    let mut out = Vec::new();
    let hostname = "mx.example.org";
    let protocol = Protocol::spoken(true, true, false);
    Received { client, hostname, protocol, id: "0123ABC", recipient, at: at(1_700_000_000) }.write(&mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn received_says_who_brought_what_when() {
    let client = label("client.example", Some("client.example"), "192.0.2.1");
    let recipient = ForwardPath::parse("user@example.org").unwrap();
    assert_eq!(
        received(&client, Some(&recipient)),
        "Received: from client.example (client.example [192.0.2.1])\r\n\
         \tby mx.example.org with ESMTPS id 0123ABC\r\n\
         \tfor <user@example.org>;\r\n\
         \tTue, 14 Nov 2023 22:13:20 +0000\r\n"
    );
    assert_eq!(
        received(&label("[IPv6:2001:db8::1]", None, "2001:db8::1"), None),
        "Received: from [IPv6:2001:db8::1] (unknown [IPv6:2001:db8::1])\r\n\
         \tby mx.example.org with ESMTPS id 0123ABC;\r\n\
         \tTue, 14 Nov 2023 22:13:20 +0000\r\n"
    );
}

#[test]
fn strangers_words_cannot_leave_their_place() {
    let client = label("a)\r\nX-Spam-Flag: NO\r\n\r\n(\0", Some("b\"\\)("), "::ffff:192.0.2.1");
    let text = received(&client, None);
    assert_eq!(
        text,
        "Received: from a???X-Spam-Flag:?NO?????? (b???? [192.0.2.1])\r\n\
         \tby mx.example.org with ESMTPS id 0123ABC;\r\n\
         \tTue, 14 Nov 2023 22:13:20 +0000\r\n"
    );
    assert_eq!(Fields::new(text.as_bytes()).count(), 1);
}

#[test]
fn spam_fields_fold_behind_commas() {
    let tests = (0..6).map(|number| (format!("DNSBL_LIST_{number}"), "1.00".to_owned())).collect();
    let fields = SpamFields { flagged: true, score: "6.00".into(), tests, unfinished: vec![], id: "0123ABC".into() };
    let mut out = Vec::new();
    fields.write(&mut out);
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "X-Spam-Flag: YES\r\n\
         X-Spam-Score: 6.00\r\n\
         X-Spam-Status: Yes, score=6.00 tests=[DNSBL_LIST_0=1.00,DNSBL_LIST_1=1.00,\r\n\
         \tDNSBL_LIST_2=1.00,DNSBL_LIST_3=1.00,DNSBL_LIST_4=1.00,DNSBL_LIST_5=1.00]\r\n\
         X-Spam-Id: 0123ABC\r\n"
    );
}

#[test]
fn clean_mail_is_not_flagged_and_missing_answers_are_named() {
    let unfinished = vec!["dnsbl.zen".to_owned()];
    let mut out = Vec::new();
    SpamFields { score: "-0.50".into(), unfinished, id: "1".into(), ..SpamFields::default() }.write(&mut out);
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "X-Spam-Score: -0.50\r\nX-Spam-Status: No, score=-0.50 tests=[] unfinished=[dnsbl.zen]\r\nX-Spam-Id: 1\r\n"
    );
}

#[test]
fn authentication_results_are_forged_if_they_claim_our_name() {
    let cases = [
        ("Authentication-Results: mx.example.org; spf=pass\r\n", true),
        ("authentication-results : MX.Example.ORG 1; none\r\n", true),
        ("Authentication-Results:\r\n\t(a (nested\\) ) comment)\r\n mx.example.org(x);none\r\n", true),
        ("Authentication-Results: \"mx.example.org\"; none\r\n", true),
        ("Authentication-Results: \"mx.exam\\ple.org\"; none\r\n", true),
        ("Authentication-Results: mx.example.org.; none\r\n", true),
        ("Authentication-Results: mx.example.org\r\n", true),
        ("Authentication-Results: other.example; x=mx.example.org\r\n", false),
        ("Authentication-Results: (mx.example.org) other.example; none\r\n", false),
        ("Authentication-Results: (mx.example.org", false),
        ("Authentication-Results: ;\r\n", false),
        ("Authentication-Results:\r\n", false),
        ("ARC-Authentication-Results: i=1; mx.example.org; none\r\n", false),
        ("Authentication-Results: \x0bmx.example.org; dmarc=pass\r\n", true),
        ("Authentication-Results: \x0c\x7fmx.example.org\x01; dmarc=pass\r\n", true),
        ("Authentication-Results: mx.exam\x01ple.org; dmarc=pass\r\n", true),
        ("X-Spam-Flag: NO\r\n", true),
        ("x-spam-anything\t: \r\n folded\r\n", true),
        ("X-Spam: no\r\n", false),
        ("X-Spammer: no\r\n", false),
    ];
    for (field, forged) in cases {
        let section = format!("Subject: a\r\n{field}\r\n");
        let ranges = forged_ranges(section.as_bytes(), "mx.example.org");
        let expected = forged.then_some(12..12 + field.len());
        assert_eq!(ranges, Vec::from_iter(expected), "{field:?}");
    }
}

#[test]
fn received_fields_are_counted_and_ours_are_known() {
    let section = "Received: from by (by mx.example.org) by other.example with SMTP; date\r\n\
        Received: from a.example (a [192.0.2.1])\r\n\tby (us) MX.example.org with ESMTP id 1; date\r\n\
        Received: by mx.example.org; date\r\n\
        Received: (qmail 1 invoked by uid 0); by mx.example.org\r\n\
        X-Received: by mx.example.org\r\n\r\n\
        Received: by mx.example.org\r\n";
    assert_eq!(count_received(section.as_bytes(), "mx.example.org"), ReceivedCount { total: 4, ours: 2 });
}

proptest! {
    #[test]
    fn what_we_write_is_one_field_of_short_lines(helo in ".{0,400}", name in ".{0,400}", id in ".{0,40}") {
        let client = label(&helo, Some(&name), "192.0.2.1");
        let mut out = received(&client, None).into_bytes();
        prop_assert_eq!(Fields::new(&out).count(), 1);
        SpamFields { score: helo.clone(), tests: vec![(name, id.clone()); 20], id, ..SpamFields::default() }.write(&mut out);
        prop_assert_eq!(Fields::new(&out).count(), 4);
        prop_assert_eq!(body_offset(&out), out.len());
        for line in out.split_inclusive(|&octet| octet == b'\n') {
            prop_assert!(line.len() <= 998 && line.ends_with(b"\r\n"));
            prop_assert!(line[..line.len() - 2].iter().all(|octet| matches!(octet, b'\t' | b' '..=b'~')));
        }
        // What we wrote as ours is recognised as ours.
        prop_assert_eq!(count_received(&out, "mx.example.org"), ReceivedCount { total: 1, ours: 1 });
        prop_assert_eq!(forged_ranges(&out, "mx.example.org").len(), 3);
    }
}
