//! Which questions come of which things.

use proptest::prelude::*;

use super::super::{Settings, Subject};
use super::*;

fn settings(names: Names) -> Settings {
    Settings { of: Subject::Sender, names, questions: 4, ..Settings::new("test", "z.example") }
}

fn asked(things: &[Thing], settings: &Settings, skipped: &[&str]) -> Vec<String> {
    let Chosen { questions, .. } = questions(things, settings, &Skipped::new(skipped.iter().copied()));
    questions
        .into_iter()
        .map(|question| question.name.strip_suffix(".z.example").expect("the zone").to_owned())
        .collect()
}

#[test]
fn names_are_asked_about_in_their_normal_form_as_hosts_and_as_registered_domains() {
    for (written, both, host, registered) in [
        (
            "mail.sender.example",
            &["mail.sender.example", "sender.example"][..],
            "mail.sender.example",
            "sender.example",
        ),
        ("Mail.Sender.Example.", &["mail.sender.example", "sender.example"], "mail.sender.example", "sender.example"),
        ("sender.example", &["sender.example"], "sender.example", "sender.example"),
        ("a.b.example.co.uk", &["a.b.example.co.uk", "example.co.uk"], "a.b.example.co.uk", "example.co.uk"),
        ("bücher.example", &["xn--bcher-kva.example"], "xn--bcher-kva.example", "xn--bcher-kva.example"),
        (
            "x.BÜCHER.example",
            &["x.xn--bcher-kva.example", "xn--bcher-kva.example"],
            "x.xn--bcher-kva.example",
            "xn--bcher-kva.example",
        ),
        ("a_b.sender.example", &["a_b.sender.example", "sender.example"], "a_b.sender.example", "sender.example"),
        ("co.uk", &["co.uk"], "co.uk", "co.uk"),
    ] {
        let thing = [Thing::Name(written.into())];
        assert_eq!(asked(&thing, &settings(Names::Both), &[]), both, "{written}");
        assert_eq!(asked(&thing, &settings(Names::Host), &[]), [host], "{written}");
        assert_eq!(asked(&thing, &settings(Names::Registered), &[]), [registered], "{written}");
    }
}

#[test]
fn what_is_no_public_name_is_not_asked_about() {
    let long = format!("{}.example", "a.".repeat(120));
    for written in [
        "",
        ".",
        "localhost",
        "[192.0.2.1]",
        "[IPv6:2001:db8::1]",
        "192.0.2.1",
        "2001:db8::1",
        "a..example",
        "a b.example",
        "a@b.example",
        "a/b.example",
        "-",
        "a.123",
        "\u{0}.example",
        "a,b.example",
        long.as_str(),
    ] {
        let thing = [Thing::Name(written.into())];
        assert_eq!(asked(&thing, &settings(Names::Both), &[]), Vec::<String>::new(), "{written}");
    }
}

#[test]
fn names_that_are_skipped_are_skipped_with_all_below_them_and_nothing_else() {
    for (written, skipped, asked_about) in [
        ("gmail.com", &["gmail.com"][..], false),
        ("a.b.gmail.com", &["gmail.com"], false),
        ("A.Gmail.Com.", &["GMAIL.com."], false),
        ("notgmail.com", &["gmail.com"], true),
        ("gmail.com.evil.example", &["gmail.com"], true),
        ("com", &["gmail.com"], false),
        ("x.ours.example", &[".ours.example"], false),
        ("x.xn--bcher-kva.example", &["bücher.example"], false),
        ("sender.example", &["", "*", "[192.0.2.1]", "nonsense"], true),
    ] {
        let thing = [Thing::Name(written.into())];
        assert_eq!(!asked(&thing, &settings(Names::Host), skipped).is_empty(), asked_about, "{written} {skipped:?}");
    }
}

#[test]
fn each_question_is_asked_once_and_only_so_many() {
    let names = ["a.one.example", "b.one.example", "a.one.example.", "two.example", "three.example"];
    let things = names.map(|name| Thing::Name(name.into()));
    assert_eq!(
        asked(&things, &settings(Names::Both), &[]),
        ["a.one.example", "one.example", "b.one.example", "two.example"]
    );
    assert_eq!(asked(&things, &settings(Names::Registered), &[]), ["one.example", "two.example", "three.example"]);
}

#[test]
fn digests_stand_as_they_are() {
    let thing = Thing::Digest { label: "4d4h".into(), shown: "a@sender.example".into() };
    let question = Question { name: "4d4h.z.example".into(), about: "a@sender.example".into() };
    assert_eq!(questions(&[thing], &settings(Names::Both), &Skipped::default()).questions, [question]);
}

#[test]
fn a_name_that_does_not_fit_before_the_zone_is_left_out() {
    let host = format!("{}.example", ["a".repeat(60), "b".repeat(60), "c".repeat(60), "d".repeat(53)].join("."));
    assert!(normal_name(&host).is_some());
    assert_eq!(
        asked(&[Thing::Name(host.as_str().into())], &settings(Names::Both), &[]),
        [format!("{}.example", "d".repeat(53))]
    );
}

proptest! {
    #[test]
    fn whatever_comes_becomes_names_that_dns_takes(written in "\\PC{0,80}|[a-zA-Z0-9.\\-_]{0,300}", skip in "[a-z.]{0,20}") {
        let list = settings(Names::Both);
        let skipped = Skipped::new([skip.as_str()]);
        for question in questions(&[Thing::Name(written.as_str().into())], &list, &skipped).questions {
            let asked = crate::dns::question::Question::new(crate::dns::question::Kind::A, &question.name);
            prop_assert_eq!(asked.as_ref().map(|asked| asked.name()), Ok(question.name.as_str()));
        }
    }
}

#[test]
fn nobody_hides_a_link_behind_ten_others() {
    let names: Vec<Thing> = (0..60).map(|number| Thing::Name(format!("a{number}.example").into())).collect();
    let settings =
        Settings { of: Subject::Url, names: Names::Host, questions: 10, ..Settings::new("test", "z.example") };
    let mut seen = HashSet::new();
    for _ in 0..500 {
        let Chosen { questions, left_out } = questions(&names, &settings, &Skipped::default());
        assert_eq!((questions.len(), left_out), (10, 50));
        let about: Vec<&str> = questions.iter().map(|question| question.about.as_str()).collect();
        for always in ["a0.example", "a1.example", "a2.example", "a58.example", "a59.example"] {
            assert!(about.contains(&always), "{about:?}");
        }
        let order: Vec<usize> = about.iter().map(|name| name[1..name.len() - 8].parse().expect("number")).collect();
        assert!(order.is_sorted(), "{about:?}");
        seen.extend(order);
    }
    assert_eq!(seen.len(), 60, "each has a chance");
}

#[test]
fn of_what_no_message_orders_the_first_are_asked_about() {
    let names: Vec<Thing> = (0..20).map(|number| Thing::Name(format!("a{number}.example").into())).collect();
    let first = ["a0.example", "a1.example", "a2.example", "a3.example"];
    assert_eq!(asked(&names, &settings(Names::Host), &[]), first);
}
