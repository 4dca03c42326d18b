use proptest::prelude::*;

use super::*;

fn author(fields: impl AsRef<[u8]>) -> Author {
    let octets = [fields.as_ref(), b"\r\nbody\r\n"].concat();
    let length = octets.len() as u64;
    Author::of(&Message::new(octets, length))
}

/// What becomes of a From field, in few words.
fn outcome(value: impl AsRef<[u8]>) -> String {
    said(&Author::of_field(value.as_ref()))
}

fn said(author: &Author) -> String {
    let domains = author.domains().join(" ");
    match author {
        Author::One { .. } => domains,
        Author::SeveralDomains(_) => format!("several: {domains}"),
        Author::SeveralFields(_) => format!("fields: {domains}"),
        Author::Missing => "missing".into(),
        Author::NoAddress => "nobody".into(),
        Author::Unparsable => "unparsable".into(),
        Author::Obscure(_) => format!("obscure: {domains}"),
    }
}

fn assert_outcomes(cases: &[(&str, &str)]) {
    for (value, expected) in cases {
        assert_eq!(outcome(value), *expected, "{value:?}");
    }
}

#[test]
fn rfc5322_3_4_one_author() {
    assert_outcomes(&[
        (" ann@a.example", "a.example"),
        (" Ann <ann@a.example>", "a.example"),
        (" \"Ann, of A\" <ann@a.example>", "a.example"),
        (" Ann Q. Public <ann@a.example>", "a.example"),
        (" (of A) ann@a.example (Ann)", "a.example"),
        (" Ann\r\n <ann@\r\n\ta.example>", "a.example"),
        (" Ann\n <ann@a.example>", "a.example"),
        (" \r\n \r\n ann@a.example\r\n ", "a.example"),
        (" ann @ a.example", "a.example"),
        (" ANN@A.Example", "a.example"),
        (" <ann@a.example.>", "a.example"),
        (" \"ann of\"@a.example", "a.example"),
        (" ann..lee.@a.example", "a.example"),
        (" ann%b.example@a.example", "a.example"),
        (" ,, ann@a.example,", "a.example"),
        (" ann@localhost", "localhost"),
        (" ann@b\u{fc}cher.example", "xn--bcher-kva.example"),
        (" ann@B\u{dc}CHER\u{3002}example", "xn--bcher-kva.example"),
        (" ann@xn--bcher-kva.example", "xn--bcher-kva.example"),
        (" ann@a.example, lee@A.EXAMPLE", "a.example"),
    ]);
    assert_eq!(outcome(b" J\xf6rg <ann@a.example>"), "a.example");
    let Author::One { address, .. } = Author::of_field(b" (x) Ann < Ann.Lee @ A.example > (y)") else { panic!() };
    assert_eq!(address, "Ann.Lee@A.example");
}

#[test]
fn display_names_are_no_authors() {
    assert_outcomes(&[
        (" \"ceo@bank.example\" <x@evil.example>", "evil.example"),
        (" \"<ceo@bank.example>\" <x@evil.example>", "evil.example"),
        (" =?utf-8?q?ceo=40bank.example?= <x@evil.example>", "evil.example"),
        (" =?utf-8?q?ceo@bank.example?= <x@evil.example>", "evil.example"),
        (" =?utf-8?B?Y2VvQGJhbmsuZXhhbXBsZQ==?= <x@evil.example>", "evil.example"),
        (" =?utf-8?q?Bank,_Inc.?= <x@evil.example>", "evil.example"),
    ]);
}

#[test]
fn rfc5322_3_6_2_several_authors_are_all_named() {
    assert_outcomes(&[
        (" ann@a.example, lee@b.example", "several: a.example b.example"),
        (" Ann <ann@a.example>, lee@b.example, x@a.example", "several: a.example b.example"),
        (" ann@a.example,\r\n\tLee <lee@b.example>", "several: a.example b.example"),
    ]);
}

#[test]
fn rfc6854_groups() {
    assert_outcomes(&[
        (" undisclosed:;", "nobody"),
        (" undisclosed: ;", "nobody"),
        (" \"the board\": (none) , ;", "nobody"),
        (" board: ann@a.example;", "a.example"),
        (" board: Ann <ann@a.example>, lee@b.example;, c@c.example", "several: a.example b.example c.example"),
        (" board: ann@a.example, lee@b.example", "several: a.example b.example"),
        (" a: b: ann@a.example;;", "a.example"),
        (" undisclosed:", "unparsable"),
    ]);
}

#[test]
fn nobody_is_not_somebody() {
    assert_outcomes(&[
        ("", "nobody"),
        ("  ", "nobody"),
        (" (nobody)", "nobody"),
        (" <>", "nobody"),
        (" Mail Delivery System < >", "nobody"),
        (" ,,,", "nobody"),
        (" root", "unparsable"),
        (" <root>", "unparsable"),
        (" @a.example", "a.example"),
        (" ann@", "unparsable"),
        (" ann@[192.0.2.1]", "unparsable"),
        (" ann@192.0.2.1", "unparsable"),
        (" ann@[192.0.2.1], lee@b.example", "obscure: b.example"),
        (" ann@-..example", "unparsable"),
        (" ann@a!b.example", "obscure: a"),
        (" ann@a.example/b.example", "obscure: a.example"),
        (" ann@\u{ff20}b.example", "unparsable"),
        (" ann@a\u{ff20}b.example", "unparsable"),
    ]);
    assert_eq!(outcome(b" ann@b\xfccher.example"), "unparsable");
    assert_eq!(outcome(format!(" ann@{}.example", "a".repeat(64))), "unparsable");
    assert_eq!(outcome(format!(" ann@{}example", "a.".repeat(150))), "unparsable");
    assert_eq!(outcome(format!(" ann@{}.example", "\u{fc}".repeat(2000))), "unparsable");
}

#[test]
fn what_is_malformed_names_all_that_anybody_could_read() {
    assert_outcomes(&[
        (" Bank, Inc. <ann@a.example>", "a.example"),
        (" ann@a.example <ann@a.example>", "a.example"),
        (" 'ann@a.example' <ann@a.example>", "a.example"),
        (" \"Ann <ann@a.example>", "a.example"),
        (" Ann [of A] <ann@a.example>", "a.example"),
        (" <<<><ann@a.example>>>", "a.example"),
        (" From: Ann <ann@a.example>", "a.example"),
        (" Mail From:<ann@a.example>", "a.example"),
        (" Ann <ann(his account)@a.example(his host)>", "a.example"),
        (" Ann <ann@(his host)a.example>", "a.example"),
        (" <a@b> <c@d>", "several: b d"),
        (" a@b, c@d", "several: b d"),
        (" a@b; c@d", "several: b d"),
        (" a@b@d", "several: b d"),
        (" ceo@bank.example <x@evil.example>", "several: bank.example evil.example"),
        (" <@x:a@b>", "several: x b"),
        (" <@evil.example,@y.example:ceo@bank.example>", "several: evil.example y.example bank.example"),
        (" \"ceo@bank.example\"@evil.example", "several: bank.example evil.example"),
        (" \"x\\\" <ceo@bank.example>, \\\"y\" <x@evil.example>", "several: bank.example evil.example"),
        (" (ceo@bank.example) x@evil.example", "several: bank.example evil.example"),
        (" x@evil.example (a (b) <ceo@bank.example>)", "several: evil.example bank.example"),
        (" ceo@bank.example(x).evil.example", "several: bank.example bank.example.evil.example"),
        (" ceo@bank . example", "several: bank bank.example"),
        (" ceo@ba\r\n nk.example", "several: ba bank.example"),
        (" \"( ceo@bank.example)\" x@evil.example", "several: bank.example evil.example"),
        (" ceo@bank.example\\x <x@evil.example>", "obscure: bank.example evil.example"),
    ]);
}

#[test]
fn rfc2047_encoded_words_that_a_reader_may_decode_first_are_doubtful() {
    assert_outcomes(&[
        (" =?utf-8?q?ceo=40bank.example=3E?=@evil.example", "obscure: evil.example"),
        (" =?utf-8?q?ceo=40bank.example?=, x@evil.example", "obscure: evil.example"),
        (" =?utf-8?B?PGNlb0BiYW5rLmV4YW1wbGU+?=,<x@evil.example>", "obscure: evil.example"),
        (" =?utf-7?q?ceo+AEA-bank.example?=, x@evil.example", "obscure: evil.example"),
        (" =?utf-8?b?****?=, x@evil.example", "obscure: evil.example"),
        (" =?utf-8?q?ceo@bank.example,?= <x@evil.example>", "obscure: bank.example evil.example"),
        (" =?utf-8?q?<ceo@bank.example>?= <x@evil.example>", "obscure: bank.example evil.example"),
        (" =?utf-8?b?QmFuaw==?=, Inc. <ann@a.example>", "a.example"),
        (" =?utf-8?q?Bank?=, Inc. <ann@a.example>", "a.example"),
    ]);
}

#[test]
fn control_characters_and_excess_make_a_field_unreadable() {
    for octet in (0..32).chain([127]).filter(|octet| !b"\t\n".contains(octet)) {
        let value = [b" Ann <ann@a.example", &[octet][..], b".b.example>"].concat();
        assert_eq!(outcome(value), "obscure: a.example a.example.b.example", "{octet:#x}");
    }
    assert_eq!(outcome(format!(" {} <ann@a.example>", "a".repeat(70_000))), "unparsable");
    assert_eq!(outcome("ann@a.example,".repeat(3000)), "obscure: a.example");
    assert_eq!(outcome("(".repeat(60_000)), "unparsable");
    assert_eq!(outcome("\"".repeat(59_999)), "unparsable");
    let many: String = (0..500).map(|number| format!("a@h{number}.example,")).collect();
    assert_eq!(Author::of_field(many.as_bytes()).domains().len(), MAX_DOMAINS);
}

#[test]
fn rfc5322_3_6_more_or_less_than_one_field() {
    for (fields, expected) in [
        ("Subject: x\r\n", "missing"),
        ("From : ann@a.example\r\n", "a.example"),
        ("FROM:ann@a.example\r\n", "a.example"),
        ("From:\r\n", "nobody"),
        ("Resent-From: ann@a.example\r\n", "missing"),
        ("From: ann@a.example\r\nFrom: ann@a.example\r\n", "fields: a.example"),
        ("From: ann@a.example\r\nfrom: lee@b.example, c@c.example\r\n", "fields: a.example b.example c.example"),
        ("From: x\r\nFrom:\r\n", "fields: "),
        ("From: x\r\nFrom: lee@b.example\r\n", "fields: b.example"),
        ("\r\nFrom: ann@a.example\r\n", "missing"),
    ] {
        assert_eq!(said(&author(fields)), expected, "{fields:?}");
    }
}

#[test]
fn addresses_are_compared_in_one_spelling() {
    for (fields, expected) in [
        ("From: Ann <Ann.Lee@A.Example.>\r\n", "Ann.Lee@a.example"),
        ("From: \"ann\"@a.example\r\n", "ann@a.example"),
        ("From: ann@b\u{fc}cher.example\r\n", "ann@xn--bcher-kva.example"),
        ("From: ann@a.example, lee@a.example\r\n", "ann@a.example lee@a.example"),
        ("From: ann@a.example\r\nFrom: lee@b.example\r\n", "ann@a.example lee@b.example"),
        ("From: ann@[192.0.2.1]\r\n", ""),
        ("Subject: x\r\n", ""),
    ] {
        let octets = format!("{fields}\r\n").into_bytes();
        let length = octets.len() as u64;
        assert_eq!(Author::addresses(&Message::new(octets, length)).join(" "), expected, "{fields:?}");
    }
}

#[test]
fn what_can_be_read_in_an_unreadable_field_is_kept() {
    assert_outcomes(&[
        (" ceo@ours.example, x@[127.0.0.1]", "obscure: ours.example"),
        (" ceo@ours.example\x01", "obscure: ours.example"),
        (" ceo@ou\x01rs.example", "obscure: ou ours.example"),
        (" ceo@(x\x01)ours.example", "obscure: ours.example"),
        (" ceo@ours.example\\x <x@evil.example>", "obscure: ours.example evil.example"),
        (" x\x01", "unparsable"),
    ]);
    let many: String = (0..500).map(|number| format!("a@h{number}.example,")).collect();
    assert_eq!(Author::of_field(format!("\x01{many}").as_bytes()).domains().len(), MAX_DOMAINS);
    assert_eq!(outcome(format!("{}ann@a.example", "x@a.example,".repeat(10_000))), "obscure: a.example");
}

proptest! {
    #[test]
    fn any_octets_have_an_outcome(value in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = outcome(value);
    }

    #[test]
    fn one_author_is_the_only_one_that_is_shown(
        value in r#"[ab@.<>,:;()\\" =?]{0,24}"#, phrase in r#"[ab (),.<>@:;"\\]{0,12}"#,
    ) {
        // A second address that stands beside the first in the open is never lost.
        for value in [format!("{value}, x@evil.example"), format!("{phrase}<x@evil.example>")] {
            match Author::of_field(value.as_bytes()) {
                Author::One { domain, .. } => prop_assert_eq!(&*domain, "evil.example"),
                Author::SeveralDomains(domains) => {
                    prop_assert!(domains.iter().any(|domain| domain.ends_with("evil.example")));
                }
                Author::Unparsable | Author::Obscure(_) => {}
                other => prop_assert!(false, "{:?}", other),
            }
        }
    }
}
