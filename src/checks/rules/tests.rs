//! What conditions see, as tables: a rule file's words are tested in `config::content`.

use std::sync::Arc;

use super::condition::{
    AddressPart, Condition, EnvelopePart, LinkPart, Matcher, RawPart, Rule, Target, TextPart, Whose,
};
use super::map::Map;
use super::structure::Fact;
use super::{Phase, Sample, Set};
use crate::pattern::Budget;
use crate::scoring::Symbol;

const MESSAGE: &str = "@helo mail.evil.test\n@from bounce@evil.test\n@to one@site.test\n@to two@site.test\n\
@client 198.51.100.7\n@client-name host.evil.test\n\
From: \"PayPal Support\" <service@mail.evil.example.com>\n\
To: One <one@site.test>, two@site.test\n\
Reply-To: Other@Evil.Example.com\n\
Subject: Your  account is   limited\n\
Received: a\n\
Received: b\n\
X-Empty:\n\
\n\
Dear customer,\n\
please verify your account. Please   verify\n\
it now: http://evil.example.net/login?x=1\n";

fn rule(symbol: &str, all: Vec<Condition>) -> Rule {
    let symbol = Symbol::new(symbol).expect("a symbol");
    Rule { symbol, description: "about".into(), shadow: false, all, any: Vec::new(), none: Vec::new() }
}

fn regex(target: Target, text: &str) -> Condition {
    Condition::new(target, Matcher::Regex(text.into()))
}

fn header(names: &[&str]) -> Target {
    Target::Header { names: names.iter().map(|name| Arc::from(*name)).collect(), raw: false }
}

fn raw_header(name: &str) -> Target {
    Target::Header { names: vec![name.into()], raw: true }
}

fn address(of: Whose, part: AddressPart) -> Target {
    Target::Address { of, part }
}

fn structure(word: &str) -> Target {
    Target::Structure(Fact::of_word(word).expect(word))
}

fn map(text: &str) -> Matcher {
    Matcher::Map(Arc::new(Map::read("maps/x.txt", text, &mut |broken| panic!("{broken:?}"))))
}

fn holds(condition: Condition, message: &str) -> bool {
    let set = Set::compile(vec![rule("SOMETHING", vec![condition])]).expect("a rule");
    set.judge_one(0, &Sample::parse(message).expect("a message").view()).is_ok()
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[test]
fn conditions_look_where_they_say() {
    let text = |part| Target::Text(part);
    for (condition, expected) in [
        (regex(header(&["subject"]), "^Your +account"), true),
        (regex(header(&["x-none"]), "."), false),
        (regex(header(&["to", "subject"]), "limited"), true),
        (regex(header(&[]), "^Reply-To: Other"), true),
        (regex(raw_header("subject"), "^ Your  account is   limited$"), true),
        (regex(address(Whose::From, AddressPart::Name), "^PayPal Support$"), true),
        (regex(address(Whose::From, AddressPart::Local), "^service$"), true),
        (regex(address(Whose::From, AddressPart::Domain), r"^mail\.evil\.example\.com$"), true),
        (regex(address(Whose::From, AddressPart::Registered), r"^example\.com$"), true),
        (regex(address(Whose::ReplyTo, AddressPart::Address), "^Other@evil.example.com$"), true),
        (regex(address(Whose::To, AddressPart::Address), "^two@site.test$"), true),
        (regex(address(Whose::Cc, AddressPart::Address), "."), false),
        (regex(address(Whose::EnvelopeFrom, AddressPart::Local), "^bounce$"), true),
        (regex(address(Whose::Recipient, AddressPart::Local), "^one$"), true),
        (regex(Target::Envelope(EnvelopePart::Helo), "^mail.evil.test$"), true),
        (regex(Target::Envelope(EnvelopePart::From), "^bounce@evil.test$"), true),
        (regex(Target::Envelope(EnvelopePart::Recipient), "^two@"), true),
        (regex(Target::Envelope(EnvelopePart::Client), "^198"), true),
        (regex(Target::Envelope(EnvelopePart::ClientName), "^host"), true),
        (regex(text(TextPart::Shown), "verify it now"), true),
        (regex(text(TextPart::Subject), "^Your account is limited$"), true),
        (regex(text(TextPart::SubjectAndShown), "limited\nDear"), true),
        (regex(text(TextPart::FirstLines), "^Dear customer, please"), true),
        (regex(text(TextPart::Hidden), "."), false),
        (regex(Target::Raw(RawPart::Body), r"Please   verify\r\nit"), true),
        (regex(Target::Raw(RawPart::Headers), r"\r\nX-Empty:\r\n"), true),
        (regex(Target::Raw(RawPart::Headers), "Dear"), false),
        (regex(Target::Raw(RawPart::Message), r"(?s)X-Empty.*Dear"), true),
    ] {
        assert_eq!(holds(condition.clone(), MESSAGE), expected, "{condition:?}");
        let negated = Condition { negated: true, ..condition };
        assert_eq!(holds(negated.clone(), MESSAGE), !expected, "{negated:?}");
    }
}

#[test]
fn matchers_find_what_they_say() {
    let shown = || Target::Text(TextPart::Shown);
    let from = || address(Whose::From, AddressPart::Domain);
    for (target, matcher, expected) in [
        (header(&["x-empty"]), Matcher::Anything, true),
        (header(&["x-none"]), Matcher::Anything, false),
        (Target::Text(TextPart::Hidden), Matcher::Anything, false),
        (shown(), Matcher::Phrases(words(&["verify  YOUR account"])), true),
        (shown(), Matcher::Phrases(words(&["verify your accoun"])), false),
        (shown(), Matcher::Phrases(words(&["nothing", "dear customer"])), true),
        (header(&["reply-to"]), Matcher::Equals(words(&["nobody", "OTHER@evil.example.com"])), true),
        (header(&["subject"]), Matcher::Equals(words(&["your"])), false),
        (from(), map("evil.example.com"), true),
        (from(), map("example.net\n/^mail\\./\n"), true),
        (from(), map("example.net\n"), false),
        (Target::Envelope(EnvelopePart::Client), map("198.51.100.0/24"), true),
        (Target::Envelope(EnvelopePart::Client), map("192.0.2.0/24"), false),
        (
            address(Whose::ReplyTo, AddressPart::Registered),
            Matcher::SameAs(Box::new(address(Whose::From, AddressPart::Registered))),
            true,
        ),
        (from(), Matcher::SameAs(Box::new(address(Whose::ReplyTo, AddressPart::Domain))), false),
        (from(), Matcher::SameAs(Box::new(address(Whose::Cc, AddressPart::Domain))), false),
    ] {
        let condition = Condition::new(target, matcher);
        assert_eq!(holds(condition.clone(), MESSAGE), expected, "{condition:?}");
    }
}

#[test]
fn counts_are_of_matches_in_texts_of_values_elsewhere_and_of_different_phrases() {
    let shown = || Target::Text(TextPart::Shown);
    let phrases = || Matcher::Phrases(words(&["please", "verify", "nothing"]));
    let bounded = |condition: Condition, least, most| Condition { at_least: least, at_most: most, ..condition };
    for (condition, least, most, expected) in [
        (regex(shown(), "(?i)verify"), Some(2), None, true),
        (regex(shown(), "(?i)verify"), Some(3), None, false),
        (regex(shown(), "(?i)verify"), None, Some(2), true),
        (regex(shown(), "(?i)verify"), None, Some(1), false),
        (regex(shown(), "nothing"), None, Some(1), true),
        (regex(header(&["received"]), "[ab]"), Some(2), Some(2), true),
        (regex(header(&["subject"]), "[a-z]"), Some(2), None, false),
        (Condition::new(header(&["received"]), Matcher::Anything), Some(2), None, true),
        (Condition::new(shown(), phrases()), Some(2), None, true),
        (Condition::new(shown(), phrases()), Some(3), None, false),
        (Condition::new(structure("received"), Matcher::Anything), None, None, true),
        (Condition::new(structure("received"), Matcher::Anything), Some(3), None, false),
        (Condition::new(structure("recipients"), Matcher::Anything), Some(2), Some(2), true),
        (Condition::new(structure("to_addresses"), Matcher::Anything), Some(2), Some(2), true),
        (Condition::new(structure("null_sender"), Matcher::Anything), None, None, false),
        (Condition::new(structure("subject_letters"), Matcher::Anything), Some(20), Some(20), true),
    ] {
        let condition = bounded(condition, least, most);
        assert_eq!(holds(condition.clone(), MESSAGE), expected, "{condition:?}");
    }
}

#[test]
fn a_rule_needs_all_one_of_any_and_none_of_none() {
    let yes = || regex(header(&["subject"]), "account");
    let no = || regex(header(&["subject"]), "nothing");
    for (all, any, none, expected) in [
        (vec![yes(), yes()], vec![], vec![], true),
        (vec![yes(), no()], vec![], vec![], false),
        (vec![], vec![no(), yes()], vec![], true),
        (vec![], vec![no(), no()], vec![], false),
        (vec![yes()], vec![no()], vec![], false),
        (vec![yes()], vec![yes()], vec![no()], true),
        (vec![yes()], vec![], vec![no(), yes()], false),
        (vec![], vec![], vec![no()], true),
    ] {
        let rule = Rule { any, none, ..rule("SOMETHING", all) };
        let set = Set::compile(vec![rule.clone()]).expect("a rule");
        let found = set.judge_one(0, &Sample::parse(MESSAGE).expect("a message").view());
        assert_eq!(found.is_ok(), expected, "{rule:?}");
    }
}

#[test]
fn what_is_not_looked_for_any_more_could_not_be_found() {
    let subject = |text: &str| regex(header(&["subject"]), text);
    let shown = |text: &str| regex(Target::Text(TextPart::Shown), text);
    let choices =
        [vec![], vec![subject("account")], vec![shown("(?i)nobody")], vec![subject("nobody"), shown("(?i)please")]];
    let mut rules = Vec::new();
    for (all, any) in choices.iter().flat_map(|all| choices.iter().map(move |any| (all, any))) {
        for none in &choices {
            let number = rules.len();
            let symbol = Symbol::new(&format!("RULE_{number}")).expect("a symbol");
            rules.push(Rule { symbol, any: any.clone(), none: none.clone(), ..rule("RULE", all.clone()) });
        }
    }
    let set = Set::compile(rules).expect("rules");
    let sample = Sample::parse(MESSAGE).expect("a message");
    let together = set.judge(Phase::Message, &sample.view(), &mut Budget::default());
    let together: Vec<String> =
        together.iter().map(|one| format!("{} {}", one.symbol, one.evidence.as_str())).collect();
    let alone = set.rules().enumerate().filter(|(_, rule)| !rule.is_of_envelope());
    let alone = alone
        .filter_map(|(index, rule)| Some(format!("{} {}", rule.symbol, set.judge_one(index, &sample.view()).ok()?)));
    assert_eq!(together, alone.collect::<Vec<_>>());
    assert!(together.len() > 5);
}

#[test]
fn rules_are_judged_together_as_alone_and_in_their_phase() {
    let rules = vec![
        rule("SUBJECT", vec![regex(header(&["subject"]), "account")]),
        rule("HELO", vec![regex(Target::Envelope(EnvelopePart::Helo), "evil")]),
        rule("OTHER_SUBJECT", vec![regex(header(&["subject"]), "account"), regex(header(&["subject"]), "nothing")]),
        rule("TWO", vec![regex(header(&["subject"]), "limited"), regex(Target::Text(TextPart::Shown), "(?i)please")]),
    ];
    let set = Set::compile(rules).expect("rules");
    assert_eq!(set.targets(), 3);
    let sample = Sample::parse(MESSAGE).expect("a message");
    let found = |phase| -> Vec<(String, String)> {
        let findings = set.judge(phase, &sample.view(), &mut Budget::default());
        findings.iter().map(|one| (one.symbol.to_string(), one.evidence.as_str().to_owned())).collect()
    };
    let pair = |symbol: &str, evidence: &str| (symbol.to_owned(), evidence.to_owned());
    assert_eq!(found(Phase::Envelope), [pair("HELO", "envelope helo: \"evil\"")]);
    assert_eq!(
        found(Phase::Message),
        [pair("SUBJECT", "subject: \"account\""), pair("TWO", "subject: \"limited\"; text shown: \"please\"")]
    );
}

#[test]
fn evidence_is_short_and_harmless() {
    let message = format!("Subject: a\u{1b}[31m{}\n\n", "b".repeat(300));
    let set = Set::compile(vec![rule("SOMETHING", vec![regex(header(&["subject"]), "a.*")])]).expect("a rule");
    let evidence = set.judge_one(0, &Sample::parse(&message).expect("a message").view()).expect("found");
    assert!(evidence.starts_with("subject: \"a\\u{1b}[31mbbb") && evidence.ends_with("b…\""), "{evidence}");
    assert!(evidence.chars().count() < 80);
}

#[test]
fn what_has_no_meaning_is_told_with_its_place() {
    let bad = Condition::new(header(&["subject"]), Matcher::Phrases(words(&["good", " "])));
    let rules = vec![
        rule("A", vec![regex(header(&["subject"]), "a")]),
        Rule { none: vec![regex(header(&["subject"]), "(")], any: vec![bad], ..rule("B", Vec::new()) },
    ];
    let faults = Set::compile(rules).expect_err("two mistakes");
    let places: Vec<_> = faults.iter().map(|fault| (fault.rule, fault.condition, fault.item)).collect();
    assert_eq!(places, [(1, 0, Some(1)), (1, 1, None)]);
}

#[test]
fn lines_before_a_message_are_its_envelope() {
    for (text, expected) in
        [("@hello x\n\n", "`@hello` means nothing"), ("@client x\n\n", "`x` is no address"), ("@\n", "`@` means")]
    {
        let why = Sample::parse(text).expect_err(text);
        assert!(why.starts_with(expected), "{why}");
    }
    assert!(Sample::parse("@from <>").is_ok());
}

#[test]
fn every_word_for_a_fact_means_it() {
    for (word, meaning) in Fact::words() {
        let fact = Fact::of_word(&word).unwrap_or_else(|| panic!("{word}"));
        assert_eq!(fact.to_string(), word);
        assert!(!meaning.is_empty());
    }
}

#[test]
fn links_are_seen_in_part() {
    let part = |part| Target::Link { part, origin: None, trick: None };
    // Parts of links have words of their own.
    for one in LinkPart::ALL {
        assert_eq!(part(*one).to_string(), format!("link {one}"));
        assert_eq!(LinkPart::of_word(one.word()), Some(*one));
    }
}

#[test]
fn the_spelling_counts_in_which_more_is_found() {
    let message = "From: S\u{443}stem <a@b.example>\nSubject: f\u{200b}ree f\u{ff52}ee, free\nX-A: \u{1d4ea}b\nX-A: ab\n\n\
                   vi\u{200b}agra, c\u{456}alis and viagra";
    let subject = || Target::Text(TextPart::Subject);
    let both = || Target::Text(TextPart::SubjectAndShown);
    let bounded = |condition: Condition, count| Condition { at_least: Some(count), at_most: Some(count), ..condition };
    for (condition, count) in [
        (regex(subject(), "free"), 3),
        (regex(subject(), "f\u{200b}ree"), 1),
        (regex(both(), "viagra|cialis|free"), 6),
        (Condition::new(both(), Matcher::Phrases(words(&["viagra", "cialis", "free"]))), 3),
        (regex(header(&["subject"]), "free"), 1),
        (regex(header(&["x-a"]), "^ab$"), 2),
        (Condition::new(header(&["x-a"]), Matcher::Equals(words(&["ab"]))), 2),
        (Condition::new(header(&["x-a"]), Matcher::Anything), 2),
        (regex(address(Whose::From, AddressPart::Name), "^System$"), 1),
        (regex(Target::Text(TextPart::FirstLines), "viagra"), 2),
        (regex(Target::Text(TextPart::All), "viagra"), 2),
        // Octets are what they are.
        (regex(raw_header("subject"), "free"), 1),
        (regex(Target::Raw(RawPart::Body), "viagra"), 1),
    ] {
        assert!(holds(bounded(condition.clone(), count), message), "{condition:?} {count}");
    }
    for (word, count) in [("invisible_letters", 2), ("mixed_words", 1)] {
        assert!(holds(bounded(Condition::new(structure(word), Matcher::Anything), count), message), "{word}");
    }
}

#[test]
fn facts_that_take_more_than_a_field() {
    let html = |hidden: &str| {
        format!("Content-Type: text/html\n\n<p>Some words are shown</p><p style=\"display:none\">{hidden}</p>")
    };
    let long = "word after word ".repeat(100_000);
    for (word, message, count) in [
        ("answers", "In-Reply-To: <1@a>\n\n> hello", 1),
        ("answers", "In-Reply-To: <1@a>\n\nhello", 0),
        ("list", "@from a@lists.example.org\nList-Id: <talk.example.org>\n\nhello", 1),
        ("list", "@from a@evil.test\nList-Id: <talk.example.org>\n\nhello", 0),
        ("hidden_words", &html("Other words are hidden, other words"), 2),
        ("hidden_words", &html("Some words are shown"), 0),
        ("hidden_words", "\nhello there", 0),
        ("hidden_percent", &html("Some words are shown"), 50),
        ("hidden_percent", "\n", 0),
        ("may_hide", &format!("\n{long}"), 0),
        ("is_cut", &format!("\n{long}"), 1),
        ("may_hide", &format!("Content-Type: text/html\n\n<p>{long}"), 1),
        ("language:en", "\nThis is what a person writes in ordinary English words to another person.", 1),
        ("language:de", "\nThis is what a person writes in ordinary English words to another person.", 0),
        ("language:de", "\nDas schreibt jemand in ganz gewöhnlichem Deutsch an einen anderen Menschen.", 1),
    ] {
        let condition = Condition {
            at_least: Some(count).filter(|count| *count > 0),
            at_most: Some(count),
            ..Condition::new(structure(word), Matcher::Anything)
        };
        let start: String = message.chars().take(100).collect();
        assert!(holds(condition, message), "{word} {start}");
    }
}

#[test]
fn what_was_stopped_neither_holds_nor_fails() {
    // Only the engine that counts its steps can run it.
    let stopped = || regex(Target::Text(TextPart::Shown), "(?!x)(?:please|nowhere)");
    let absent = || regex(Target::Text(TextPart::Shown), "(?!x)please(?=!)");
    let negated = |condition: Condition| Condition { negated: true, ..condition };
    let at_most = |condition: Condition| Condition { at_most: Some(0), ..condition };
    let sure = || regex(Target::Text(TextPart::Shown), "customer");
    let all = |condition: Condition| rule("SOMETHING", vec![sure(), condition]);
    let except = |condition: Condition| Rule { none: vec![condition], ..rule("SOMETHING", vec![sure()]) };
    let either = |condition: Condition| Rule { any: vec![condition, sure()], ..rule("SOMETHING", vec![sure()]) };
    for (rule, in_time, stopped) in [
        (all(stopped()), true, false),
        (all(negated(absent())), true, false),
        (all(at_most(absent())), true, false),
        (except(absent()), true, false),
        (except(stopped()), false, false),
        (except(negated(stopped())), true, false),
        // What holds anyway hangs on nothing.
        (either(stopped()), true, true),
    ] {
        let set = Set::compile(vec![rule.clone()]).expect("a rule");
        let sample = Sample::parse(MESSAGE).expect("a message");
        let judged = |mut budget: Budget| set.judge(Phase::Message, &sample.view(), &mut budget).len();
        assert_eq!(judged(Budget::default()), usize::from(in_time), "{rule:?}");
        assert_eq!(judged(Budget::of_steps(0)), usize::from(stopped), "{rule:?}");
    }
}

#[test]
fn a_number_that_may_be_greater_says_what_it_can() {
    use crate::scoring::Tri::{Maybe, No, Yes};
    let between = |at_least, at_most| Condition {
        at_least,
        at_most,
        ..Condition::new(Target::Text(TextPart::Shown), Matcher::Anything)
    };
    for (condition, count, whole, stopped) in [
        (between(None, None), 0, No, Maybe),
        (between(None, None), 1, Yes, Yes),
        (between(Some(3), None), 2, No, Maybe),
        (between(Some(3), None), 3, Yes, Yes),
        (between(None, Some(2)), 0, Yes, Maybe),
        (between(None, Some(2)), 3, No, No),
        (between(Some(1), Some(2)), 0, No, Maybe),
        (between(Some(1), Some(2)), 2, Yes, Maybe),
    ] {
        assert_eq!((condition.holds(count, false), condition.holds(count, true)), (whole, stopped), "{condition:?}");
        let negated = Condition { negated: true, ..condition };
        assert_eq!((negated.holds(count, false), negated.holds(count, true)), (!whole, !stopped), "{negated:?}");
    }
}
