use proptest::prelude::*;

use super::*;

fn reverse(text: &str) -> Result<String, PathError> {
    ReversePath::parse_bracketed(text).map(|(path, rest)| format!("{path}|{rest}"))
}

fn forward(text: &str) -> Result<String, PathError> {
    ForwardPath::parse_bracketed(text).map(|(path, rest)| format!("{path}|{rest}"))
}

#[test]
fn a_path_is_what_stands_between_the_brackets() {
    let cases: [(&str, Result<&str, PathError>); 31] = [
        ("<>", Ok("|")),
        ("<> SIZE=1", Ok("| SIZE=1")),
        ("<a@b.example>", Ok("a@b.example|")),
        ("<a@b.example> X", Ok("a@b.example| X")),
        ("<A.b+c=d@B.Example.>", Ok("A.b+c=d@B.Example.|")),
        ("<.a..b.@x>", Ok(".a..b.@x|")),
        ("<u%x@ours.example>", Ok("u%x@ours.example|")),
        ("<x!u@ours.example>", Ok("x!u@ours.example|")),
        ("<\"u@x\"@ours.example>", Ok("\"u@x\"@ours.example|")),
        ("<\"a b\\\"c>\"@x>", Ok("\"a b\\\"c>\"@x|")),
        ("<\"\"@x>", Ok("\"\"@x|")),
        ("<a_b@x_y.example>", Ok("a_b@x_y.example|")),
        ("<a@[192.0.2.1]>", Ok("a@[192.0.2.1]|")),
        ("<a@[ipv6:2001:DB8::1]>", Ok("a@[ipv6:2001:DB8::1]|")),
        ("<@a.example,@b.example:c@d.example>", Ok("c@d.example|")),
        ("<@[IPv6:::1]:c@d.example>", Ok("c@d.example|")),
        ("<gr\u{fc}n@b\u{fc}cher.example>", Ok("gr\u{fc}n@b\u{fc}cher.example|")),
        ("a@b.example", Err(PathError::Brackets)),
        ("", Err(PathError::Brackets)),
        ("<a@b", Err(PathError::Brackets)),
        ("<\"a@b>", Err(PathError::Brackets)),
        ("<<a@b>>", Err(PathError::Brackets)),
        ("<a>", Err(PathError::Incomplete)),
        ("<@b>", Err(PathError::Incomplete)),
        ("<a@>", Err(PathError::Incomplete)),
        ("<\"a\"b@c>", Err(PathError::Incomplete)),
        ("<a b@c>", Err(PathError::LocalPart)),
        ("<a\"b\"@c>", Err(PathError::LocalPart)),
        ("<a\\@b@c>", Err(PathError::LocalPart)),
        ("<a@@b>", Err(PathError::Domain)),
        ("<@a,b:c@d>", Err(PathError::Domain)),
    ];
    for (text, expected) in cases {
        assert_eq!(reverse(text), expected.map(str::to_owned), "{text}");
    }
}

#[test]
fn domains_are_names_or_address_literals() {
    let good = ["a", "a.b", "a.", "1.2.3.4", "a-b.c-", "xn--bcher-kva.example", "b\u{fc}cher.example"];
    for text in good {
        assert_eq!(Domain::parse(text).unwrap().to_string(), text);
    }
    let bad = [
        "",
        ".",
        "a..b",
        ".a",
        "a..",
        "a b",
        "a@b",
        "a,b",
        "a\u{1}",
        "[",
        "[]",
        "[1.2.3]",
        "[1.2.3.4",
        "1.2.3.4]",
        "[1.2.3.4]x",
        "[::1]",
        "[IPv6:1.2.3.4]",
        "[IPv6:g::]",
        "[tag:x]",
        "[01.2.3.4]",
        "a\u{85}b",
        "\u{fdfa}\u{200e}.x y",
        "a(b)",
    ];
    for text in bad {
        assert_eq!(Domain::parse(text).unwrap_err(), PathError::Domain, "{text:?}");
    }
    assert!(Domain::parse(&"a".repeat(63)).is_ok() && Domain::parse(&"a".repeat(64)).is_err());
}

#[test]
fn lengths_are_limited() {
    let mailbox = |local: usize, domain: usize| {
        let labels = format!("{}.{}", "d".repeat(60), "e.".repeat(domain));
        Mailbox::parse(&format!("{}@{}", "l".repeat(local), &labels[..domain]))
    };
    assert!(mailbox(64, 189).is_ok());
    assert_eq!(mailbox(65, 100), Err(PathError::TooLong));
    assert_eq!(mailbox(64, 190), Err(PathError::TooLong));
    assert_eq!(mailbox(1, 256), Err(PathError::TooLong));
}

#[test]
fn postmaster_needs_no_domain() {
    assert_eq!(forward("<PostMaster>"), Ok("PostMaster|".to_owned()));
    assert_eq!(forward("<postmaster@x>").unwrap(), "postmaster@x|");
    assert_eq!(forward("<@relay.example:postmaster>").unwrap(), "postmaster|");
    assert_eq!(forward("<>"), Err(PathError::Incomplete));
    assert_eq!(reverse("<postmaster>"), Err(PathError::Incomplete));
}

#[test]
fn domains_compare_as_hosts() {
    let same = [
        ("Example.ORG", "example.org"),
        ("example.org.", "example.org"),
        ("B\u{dc}CHER.example", "xn--bcher-kva.EXAMPLE"),
        ("[IPv6:2001:db8:0:0::1]", "[ipv6:2001:DB8::1]"),
    ];
    for (ours, theirs) in same {
        assert_eq!(Domain::parse(ours).unwrap(), Domain::parse(theirs).unwrap());
        assert_eq!(Domain::parse(ours).unwrap().to_ascii_lower(), Domain::parse(theirs).unwrap().to_ascii_lower());
    }
    assert_ne!(Domain::parse("1.2.3.4").unwrap(), Domain::parse("[1.2.3.4]").unwrap());
    assert_eq!(Domain::parse("[1.2.3.4]").unwrap().to_ascii_lower(), "[1.2.3.4]");
    assert_eq!(Domain::parse("B\u{dc}CHER.example.").unwrap().to_ascii_lower(), "xn--bcher-kva.example");
}

#[test]
fn local_parts_compare_to_the_letter_without_their_quotes() {
    let mailbox = |text: &str| Mailbox::parse(text).unwrap();
    assert_eq!(mailbox("\"a\\b\"@x"), mailbox("ab@X"));
    assert_ne!(mailbox("a@x"), mailbox("A@x"));
    assert_eq!(mailbox("\"a\\ \\\"b\"@x").unquoted_local(), "a \"b");
    assert_eq!(mailbox("a@x").unquoted_local(), "a");
    assert!(mailbox("\u{e4}@x").needs_smtputf8() && mailbox("a@\u{e4}").needs_smtputf8());
    assert!(!mailbox("a@xn--4ca").needs_smtputf8());
}

proptest! {
    #[test]
    fn any_text_is_a_path_or_an_error(text in "[<>@a.:,\"\\\\ \\[\\]\u{fc}\u{0}-]{0,40}") {
        if let Ok((path, rest)) = ReversePath::parse_bracketed(&text) {
            prop_assert!(text.ends_with(rest));
            let printed = path.to_string();
            prop_assert!(!printed.contains(char::is_control));
            let bracketed = format!("<{printed}>");
            prop_assert_eq!(ReversePath::parse_bracketed(&bracketed), Ok((path, "")));
        }
        let _ = ForwardPath::parse_bracketed(&text);
        let _ = Mailbox::parse(&text);
    }

    #[test]
    fn a_good_mailbox_is_kept_as_it_came(local in "[a-zA-Z0-9!#$%&'*+/=?^_`{|}~.-]{1,30}", domain in "[a-z]{1,10}(\\.[a-z0-9]{1,10}){0,4}") {
        let text = format!("{local}@{domain}");
        prop_assert_eq!(Mailbox::parse(&text).unwrap().to_string(), text);
    }
}
