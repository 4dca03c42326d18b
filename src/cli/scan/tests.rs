use std::fs;

use serde_json::Value;

use super::*;

fn arguments(messages: &[&Path], extra: &[&str]) -> Arguments {
    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }
    let words = ["scan".as_ref()].into_iter().chain(messages.iter().map(|path| path.as_os_str()));
    let words = words.chain(extra.iter().map(|word| word.as_ref()));
    <Line as clap::Parser>::parse_from(words).arguments
}

fn scanned(messages: &[&Path], extra: &[&str]) -> String {
    let mut out = Vec::new();
    run(&arguments(messages, extra), &mut out).expect("scanned");
    String::from_utf8(out).expect("text")
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

const PLAIN: &str = "From: Ann <a@sender.example>\nTo: b@there.example\nSubject: minutes\nDate: Fri, 6 Mar 2020 10:00:00 +0000\n\
                     Message-ID: <1@sender.example>\n\nThe minutes of our last meeting are ready; please tell me what is missing.\n";
const GTUBE: &str = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X";

#[test]
fn a_message_is_judged_and_its_trace_adds_up() {
    let place = tempfile::tempdir().expect("a directory");
    let path = place.path().join("a.eml");
    fs::write(&path, format!("{PLAIN}{GTUBE}\n")).expect("written");
    let told = ["--client", "192.0.2.7", "--helo", "localhost", "--from", "", "--rcpt", "b@there.example"];
    let read = lines(&scanned(&[&path], &[&["--json"][..], &told].concat()));
    let message = &read[0];
    assert_eq!((&message["action"], &message["is_spam"]), (&"reject".into(), &true.into()));
    assert_eq!((&message["verdict"], &message["clause"]), (&"reject".into(), &"gtube".into()));
    let trace = &message["trace"];
    let score = |value: &Value| (value.as_f64().expect("points") * 100.0).round() as i64;
    let account = &trace["accounts"][0];
    let parts: i64 = account["parts"].as_array().expect("parts").iter().map(|part| score(&part["score"])).sum();
    let last = trace["lines"].as_array().expect("lines").last().expect("a line");
    assert_eq!(parts, score(&account["score"]));
    assert_eq!(parts, score(&last["running_score"]));
    assert_eq!(parts, score(&message["score"]));
    let text = scanned(&[&path], &told);
    assert!(text.contains("a.eml: reject") && text.contains("HELO_LOCALHOST"), "{text}");
}

#[test]
fn what_would_ask_the_network_is_skipped_and_says_so() {
    let place = tempfile::tempdir().expect("a directory");
    let path = place.path().join("a.eml");
    fs::write(&path, PLAIN).expect("written");
    let told = ["--json", "--client", "192.0.2.7", "--helo", "mail.sender.example", "--from", "a@sender.example"];
    let read = lines(&scanned(&[&path], &told));
    let lines = read[0]["trace"]["lines"].as_array().expect("lines");
    let needs_network: Vec<&str> = lines
        .iter()
        .filter(|line| line["outcome"] == "skipped" && line["reason"] == "needs the network")
        .map(|line| line["check"].as_str().expect("a name"))
        .collect();
    for name in ["rdns", "helo", "spf", "dmarc"] {
        assert!(needs_network.contains(&name), "{name}: {lines:#?}");
    }
    for name in ["content", "rules", "trust.client"] {
        assert!(!needs_network.contains(&name), "{name} looks at what there is");
    }
}

#[test]
fn envelopes_tell_what_was_found_when_the_message_came() {
    let place = tempfile::tempdir().expect("a directory");
    for name in ["1.eml", "2.eml"] {
        fs::write(place.path().join(name), PLAIN).expect("written");
    }
    let envelopes = place.path().join("envelopes.jsonl");
    let one = r#"{"path": "2.eml", "ip": "192.0.2.7", "helo": "mail.sender.example", "rdns": "dsl-192-0-2-7.example",
        "mail_from": "a@sender.example", "mail_from_known": true, "rcpt": "b@there.example", "spf": "fail",
        "dkim": "none", "dmarc": "fail", "date": 1583489000}"#;
    fs::write(&envelopes, format!("{}\n{{\"path\": \"1.eml\"}}\n", one.replace('\n', ""))).expect("written");
    let directory = place.path().to_str().expect("a name");
    let batch = ["--batch", directory, "--envelopes", envelopes.to_str().expect("a name")];
    let read = lines(&scanned(&[], &batch));
    assert_eq!(read.iter().map(|line| &line["path"]).collect::<Vec<_>>(), ["2.eml", "1.eml"]);
    assert!(read.iter().all(|line| line["is_spam"].is_boolean() && line["action"].is_string()));
    assert_eq!(read[1]["score"], 0.0, "nothing is known of it, and nothing is wrong with it");
    let full = lines(&scanned(&[], &[&batch[..], &["--json"]].concat()));
    let found: Vec<_> = full[0]["trace"]["lines"].as_array().expect("lines").iter().collect();
    let symbols: Vec<_> = found.iter().flat_map(|line| line["findings"].as_array().expect("findings")).collect();
    for symbol in ["SPF_FAIL", "DMARC_FAIL_NONE", "RDNS_GENERIC"] {
        assert!(symbols.iter().any(|finding| finding["symbol"] == symbol), "{symbol}: {symbols:#?}");
    }
}

#[test]
fn what_cannot_be_read_does_not_keep_the_others() {
    let place = tempfile::tempdir().expect("a directory");
    fs::write(place.path().join("1.eml"), PLAIN).expect("written");
    let envelopes = place.path().join("envelopes.jsonl");
    fs::write(&envelopes, "{\"path\": \"gone.eml\"}\n{\"path\": \"1.eml\"}\n").expect("written");
    let directory = place.path().to_str().expect("a name");
    let mut out = Vec::new();
    let batch = ["--batch", directory, "--envelopes", envelopes.to_str().expect("a name")];
    let why = run(&arguments(&[], &batch), &mut out).expect_err("one is gone").0;
    assert_eq!(why, "1 messages could not be read");
    assert_eq!(lines(&String::from_utf8(out).expect("text")).len(), 1);
}

#[test]
fn each_recipient_is_judged_by_the_policy_that_is_theirs() {
    let place = tempfile::tempdir().expect("a directory");
    let rules = place.path().join("rules");
    fs::create_dir(&rules).expect("a directory");
    let policy = "[[clause]]\nname = \"gtube\"\nall_of = [\"GTUBE\"]\nverdict = \"reject\"\n\
                  [[policy]]\nname = \"tester\"\nrecipients = [\"@test.example\"]\n\
                  clause = [{ name = \"gtube\", off = true }]\n";
    for (name, text) in [("weights", ""), ("lists", ""), ("policy", policy)] {
        fs::write(rules.join(name).with_extension("toml"), text).expect("written");
    }
    let path = place.path().join("a.eml");
    fs::write(&path, format!("{PLAIN}{GTUBE}\n")).expect("written");
    let rules = rules.to_str().expect("a name");
    for (recipient, action) in [("a@there.example", "reject"), ("a@test.example", "forward")] {
        let read = lines(&scanned(&[&path], &["--json", "--rules", rules, "--rcpt", recipient]));
        assert_eq!(read[0]["action"], action, "{recipient}");
        let named = (action == "forward").then_some("tester");
        assert_eq!(read[0]["trace"]["recipients"][0]["policy"].as_str(), named);
    }
}
