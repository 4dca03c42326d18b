use proptest::prelude::*;

use super::*;

fn mailbox(name: &str, local: &str, domain: &str) -> Mailbox {
    Mailbox { name: name.into(), local: local.into(), domain: domain.into() }
}

#[test]
fn rfc5322_3_4_lists_become_mailboxes_and_groups() {
    let list =
        parse(b" Ann \"of\t A.\" (x) Lee <ann.lee@A.example>,, <>,\r\n board: b@[192.0.2.1], \"c d\"@c;").unwrap();
    let expected = [
        Address::Mailbox(Some(mailbox("Ann of  A. Lee", "ann.lee", "A.example"))),
        Address::Mailbox(None),
        Address::Group(vec![mailbox("", "b", "[192.0.2.1]"), mailbox("", "\"c d\"", "c")]),
    ];
    assert_eq!(list, expected);
    assert_eq!(
        parse(b" =?utf-8?q?A=40b?= <c@d>"),
        Ok(vec![Address::Mailbox(Some(mailbox("=?utf-8?q?A=40b?=", "c", "d")))])
    );
}

#[test]
fn what_has_two_readings_is_not_read() {
    for value in [
        "a",
        "<a",
        "a@",
        "@a",
        "<@a:b@c>",
        "a@b c@d",
        "a@b <c@d>",
        "<a@b> c",
        "a:",
        "a: b@c",
        ":;",
        "a: b: c@d;;",
        "a;",
        "a@b(c).d",
        "a(c)@b",
        "a@b.c .d",
        "a b@c",
        "\"a\" b@c",
        "\"a@b\"@c",
        "\"a\\b\"@c",
        "\"a\\\"@\" <b@c>",
        "(a@b) c@d",
        "a@\"b\"",
        "a@[b",
        "a)",
        "a]",
        "a\\b@c",
        "\"a",
        "(a",
        "<a@b>>",
        "=?utf-8?q?a?=@b",
    ] {
        assert_eq!(parse(value.as_bytes()), Err(AddressError::Malformed), "{value}");
    }
    assert_eq!(parse(b"a@b\0"), Err(AddressError::Control));
    assert_eq!(parse(b"a@b\rc"), Err(AddressError::Control));
    assert_eq!(parse(&[b'a'; MAX_FIELD + 1]), Err(AddressError::TooLong));
    assert_eq!(parse("a@b,".repeat(MAX_MAILBOXES + 1).as_bytes()), Err(AddressError::TooLong));
}

#[test]
fn domain_names_are_what_dns_can_hold() {
    for (written, name) in [
        ("Mail.Example.", Some("mail.example")),
        ("b\u{fc}cher.example", Some("xn--bcher-kva.example")),
        ("faß.example", Some("xn--fa-hia.example")),
        ("a_b.example", Some("a_b.example")),
        ("", None),
        (".", None),
        ("a..b", None),
        (".a", None),
        ("[192.0.2.1]", None),
        ("192.0.2.1", None),
        ("a b", None),
        ("a\u{ff0e}\u{ff0e}b", None),
        ("a\u{ff20}b", None),
        ("a\u{ff0f}b", None),
    ] {
        assert_eq!(domain_name(written).as_deref(), name, "{written}");
    }
}

proptest! {
    #[test]
    fn what_has_one_reading_is_among_the_claims(value in r#"[a1@.<>,:;()\\"' =?q\[\]-]{0,30}"#) {
        let Ok(list) = parse(value.as_bytes()) else { return Ok(()) };
        let Some(claims) = claims(value.as_bytes()) else { return Ok(()) };
        let read = list.into_iter().flat_map(|address| match address {
            Address::Mailbox(mailbox) => mailbox.into_iter().collect(),
            Address::Group(members) => members,
        });
        for mailbox in read {
            let seen = claims.iter().any(|claim| claim.domain == mailbox.domain);
            prop_assert!(seen || domain_name(&mailbox.domain).is_none(), "{:?} in {:?}", mailbox, claims);
        }
    }

    #[test]
    fn any_octets_can_be_read(value in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = (parse(&value), claims(&value), domain_name(&String::from_utf8_lossy(&value)));
    }
}
