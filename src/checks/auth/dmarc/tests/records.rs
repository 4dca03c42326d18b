//! RFC 9989 4.7 and 4.8: what a record says.

use super::*;

fn policies(record: &str) -> Option<[&'static str; 3]> {
    let policies = Record::parse(record).unwrap_or_else(|| panic!("{record} is a record")).policies?;
    Some([policies.domain, policies.subdomains, policies.nonexistent].map(DmarcPolicy::as_str))
}

#[test]
fn section_4_7_the_version_comes_first_and_is_spelled_so() {
    for (text, is_record) in [
        ("v=DMARC1", true),
        ("v=DMARC1;", true),
        ("v=DMARC1; p=none", true),
        (" v = DMARC1 ;p=none", true),
        ("V=DMARC1; p=none", true),
        ("v=DMARC1;;;", true),
        ("", false),
        ("v=", false),
        ("V=BOB", false),
        ("v=dmarc1; p=none", false),
        ("v=DMARC2; p=none", false),
        ("v=DMARC1 p=none", false),
        ("v=DMARC10; p=none", false),
        ("p=none; v=DMARC1", false),
        ("; v=DMARC1; p=none", false),
        ("v=spf1 -all", false),
        ("some words", false),
    ] {
        assert_eq!(Record::parse(text).is_some(), is_record, "{text:?}");
    }
}

#[test]
fn section_4_7_policies_have_defaults() {
    let (none, quarantine, reject) = ("none", "quarantine", "reject");
    for (tags, expected) in [
        ("p=none", [none; 3]),
        ("p=quarantine", [quarantine; 3]),
        ("p=reject", [reject; 3]),
        ("p=REJEcT", [reject; 3]),
        ("p = reject ", [reject; 3]),
        ("p=reject; sp=none", [reject, none, none]),
        ("p=none; np=reject", [none, none, reject]),
        ("p=none; sp=Quarantine; np=Reject", [none, quarantine, reject]),
        ("np=reject;sp=quarantine;p=none", [none, quarantine, reject]),
        ("P=reject; SP=none", [reject, none, none]),
    ] {
        assert_eq!(policies(&format!("v=DMARC1; {tags}")), Some(expected), "{tags}");
    }
}

#[test]
fn section_4_10_1_a_mistaken_policy_is_none_for_those_who_want_reports() {
    let broken = [
        "",
        "p=n",
        "p=bob",
        "p=none silly",
        "p=",
        "p=none; sp=bob",
        "p=reject; np=nones",
        "p=none; p=none",
        "sp=reject",
    ];
    for tags in broken {
        assert_eq!(policies(&format!("v=DMARC1; {tags}")), None, "{tags}");
        for rua in ["mailto:a@b.example", "https://b.example/report", "x, MAILTO:a@b.example"] {
            let expected = Some(["none"; 3]);
            assert_eq!(policies(&format!("v=DMARC1; {tags}; rua={rua}")), expected, "{tags}");
        }
        for rua in ["", "a@b.example", ",", ":", "mailto:", "1:a"] {
            assert_eq!(policies(&format!("v=DMARC1; {tags}; rua={rua}")), None, "{tags} {rua}");
        }
    }
}

#[test]
fn section_4_8_unknown_tags_are_ignored_and_mistakes_give_way_to_defaults() {
    let plain = Record::parse("v=DMARC1; p=reject").unwrap();
    for tags in [
        "foo=bar; buzz=happy;",
        "adkim=bob",
        "adkim=relaxed",
        "adkim=",
        "aspf=bob",
        "aspf=strict",
        "aspf=R",
        "adkim=s; adkim=s",
        "psd=yes",
        "psd=maybe",
        "psd=u",
        "psd=U",
        "t=yes",
        "t=N",
        "t=testing",
        "fo=00",
        "fo=dd",
        "fo=0:1",
        "fo=d:d",
        "fo=",
        "fo=x",
        // Tags of RFC 7489 only, their mistakes too.
        "pct=0",
        "pct=50",
        "pct=500",
        "rf=afrf",
        "rf=bob",
        "ri=86400",
        "ri=bob",
        "rua=ftp://b.example",
        "rua=mailto://b.example",
        "rua=nonsense",
        "ruf=mail:a@b.example",
        "words",
        "=",
        "=;=",
        " ; ;; ",
        "v=DMARC2",
        "\u{e4}=\u{e4}",
    ] {
        assert_eq!(Record::parse(&format!("v=DMARC1; p=reject; {tags}")).as_ref(), Some(&plain), "{tags}");
    }
}

#[test]
fn section_4_7_tags_that_say_something() {
    let record = |tags: &str| Record::parse(&format!("v=DMARC1; p=none; {tags}")).unwrap();
    for value in ["s", "S"] {
        assert!(record(&format!("adkim={value}")).strict_dkim && !record(&format!("adkim={value}")).strict_spf);
        assert!(record(&format!("aspf={value}")).strict_spf && !record(&format!("aspf={value}")).strict_dkim);
    }
    for (value, psd) in [("y", Psd::Yes), ("Y", Psd::Yes), ("n", Psd::No), ("N", Psd::No), ("u", Psd::Unknown)] {
        assert_eq!(record(&format!("psd={value}")).psd, psd);
    }
    assert!(record("t=y").testing && record("t=Y").testing && !record("t=n").testing);
    for options in ["0", "1", "d", "s", "D", "S", "0:d", "1:d:s", "d:s:0", "d:1"] {
        assert_eq!(record(&format!("fo={options}")).failure_options, options);
    }
    assert_eq!(record("").failure_options, "0");
}

#[test]
fn section_4_6_report_addresses() {
    let rua = |text: &str| Record::parse(&format!("v=DMARC1; p=none; rua={text}")).unwrap().rua;
    let one = |address: &str, limit| vec![(address.to_owned(), limit)];
    for (text, expected) in [
        ("mailto:a@b.example", one("a@b.example", None)),
        ("MailTo:A@B.example", one("A@B.example", None)),
        ("mailto:a@b.example!512", one("a@b.example", Some(512))),
        ("mailto:a@b.example!10m", one("a@b.example", Some(10 << 20))),
        ("mailto:a@b.example!3K", one("a@b.example", Some(3 << 10))),
        ("mailto:a@b.example!1g", one("a@b.example", Some(1 << 30))),
        ("mailto:a@b.example!9999999999t", one("a@b.example", Some(u64::MAX))),
        ("mailto:a@b.example!", one("a@b.example", None)),
        ("mailto:a@b.example!m", one("a@b.example", None)),
        ("mailto:a@b.example!+5", one("a@b.example", None)),
        ("mailto:a@b.example?subject=x", one("a@b.example", None)),
        ("mailto:a%2Bc%40b.example", one("a+c@b.example", None)),
        ("mailto:a%4@b.example", vec![]),
        ("mailto:a%00@b.example", vec![]),
        ("mailto:a%0d%0a@b.example", vec![]),
        ("mailto:a%ff@b.example", vec![]),
        ("mailto:nobody", vec![]),
        ("https://b.example/x!30m", vec![]),
        (
            " mailto:a@b.example , https://x , mailto:c@d.example",
            [one("a@b.example", None), one("c@d.example", None)].concat(),
        ),
    ] {
        assert_eq!(rua(text), expected, "{text}");
    }
    assert_eq!(rua(&"mailto:a@b.example,".repeat(1000)).len(), 20);
}

proptest! {
    #[test]
    fn any_text_can_be_read_and_an_unknown_tag_changes_nothing(
        head in "(v=DMARC1;)?", text in r#"(p|sp|np|rua|psd|t|fo|=|;| |none|mailto:a@b|!|9|m|%4|[^x])*"#,
    ) {
        let text = head + &text;
        prop_assert_eq!(Record::parse(&text), Record::parse(&format!("{text};unknown=1")));
    }
}
