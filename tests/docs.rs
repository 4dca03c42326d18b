//! What is written for people is held against the program: replies, metrics, keys, snippets, links.
//!
//! Tables between `<!-- generated -->` and `<!-- end -->` are the program's own words. With
//! `GATEPOST_WRITE_DOCS=1` in the environment they are written instead of compared.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gatepost::config;
use gatepost::net::listener::Inherited;
use gatepost::server::proxy::Proxy;
use gatepost::server::reload::Refused;
use gatepost::server::{Loader, Server};
use gatepost::session::refusal;
use gatepost::smtp::{DataError, Reply};
use gatepost::telemetry::metrics;
use prometheus::Registry;

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text(name: &str) -> String {
    std::fs::read_to_string(repository().join(name)).unwrap_or_else(|why| panic!("{name}: {why}"))
}

/// Holds the generated part of a document against `table`, or writes it.
fn assert_generated(name: &str, table: &str) {
    let document = text(name);
    let (begin, end) = ("<!-- generated -->\n", "<!-- end -->");
    let from = document.find(begin).expect("where it begins") + begin.len();
    let to = from + document[from..].find(end).expect("where it ends");
    if std::env::var_os("GATEPOST_WRITE_DOCS").is_some() {
        let written = format!("{}{table}{}", &document[..from], &document[to..]);
        std::fs::write(repository().join(name), written).expect("a writable document");
        return;
    }
    assert!(&document[from..to] == table, "{name} is out of date: GATEPOST_WRITE_DOCS=1 cargo test --test docs");
}

/// Everything that a running proxy registers. Some of it is there as long as the proxy is.
async fn registry() -> (Registry, Arc<Proxy>) {
    let directory = tempfile::tempdir().expect("a directory");
    let made = rcgen::generate_simple_self_signed(["mx.example.org".to_owned()]).expect("a certificate");
    let files = ["chain.pem", "key.pem"].map(|name| directory.path().join(name));
    std::fs::write(&files[0], made.cert.pem()).expect("writable");
    std::fs::write(&files[1], made.signing_key.serialize_pem()).expect("writable");
    let listener = format!(
        "[[listen]]\naddress = \"127.0.0.1:0\"\nname = \"tls\"\ntls = {{ certificate = {:?}, key = {:?} }}\n",
        files[0], files[1]
    );
    let text = text("config/demo.toml")
        + &listener
        + "[dns]\nservers = [\"127.0.0.1:53\"]\n\
        [[dns.zone]]\nname = \"bl.example.org\"\nfile = \"bl.txt\"\nformat = \"ip4set\"\n";
    let loaded = config::parse_text(&text).expect("a configuration");
    let registry = metrics::registry().expect("constant names");
    let plan = Proxy::plan(&loaded);
    let proxy = Proxy::new(loaded, None, &registry).expect("a proxy");
    let ready = proxy.backends_ready();
    let loader: Loader = Arc::new(|_| Err(Refused::because("nothing to read")));
    Server::bind(plan, Inherited::default(), registry.clone(), proxy.clone(), loader, ready).expect("free ports");
    (registry, proxy)
}

#[tokio::test]
async fn every_metric_is_documented() {
    let (registry, _proxy) = registry().await;
    let families = registry.gather();
    let mut table = "| name | type | labels | what it tells |\n|---|---|---|---|\n".to_owned();
    for (known, family) in metrics::catalogue(&registry).zip(&families) {
        let labels: BTreeSet<&str> =
            family.get_metric().iter().flat_map(|metric| metric.get_label()).map(|pair| pair.name()).collect();
        let labels: Vec<String> = labels.into_iter().map(|label| format!("`{label}`")).collect();
        let _ = writeln!(table, "| `{}` | {} | {} | {} |", known.name, known.kind, labels.join(" "), known.help);
    }
    assert_generated("docs/metrics.md", &table);
}

#[tokio::test]
async fn dashboards_name_only_metrics_that_exist() {
    let (registry, _proxy) = registry().await;
    let known: BTreeSet<String> = metrics::catalogue(&registry)
        .flat_map(|family| match family.kind {
            "histogram" => ["_bucket", "_sum", "_count"].map(|part| family.name.clone() + part).to_vec(),
            _ => vec![family.name],
        })
        .collect();
    let mut dashboards = 0;
    for entry in std::fs::read_dir(repository().join("dashboards")).expect("a directory") {
        let path = entry.expect("an entry").path();
        let dashboard = std::fs::read_to_string(&path).expect("a readable file");
        if path.extension() == Some("json".as_ref()) {
            let json = serde_json::from_str::<serde_json::Value>(&dashboard);
            json.unwrap_or_else(|why| panic!("{}: {why}", path.display()));
        }
        // What rules record has colons in its name, and is theirs.
        let is_name = |octet: char| octet.is_ascii_alphanumeric() || octet == '_' || octet == ':';
        let names = dashboard.split(|octet| !is_name(octet)).filter(|word| word.starts_with("gatepost_"));
        let names: BTreeSet<&str> = names.collect();
        assert!(!names.is_empty(), "{} shows nothing", path.display());
        for name in names {
            assert!(known.contains(name), "{}: there is no metric {name}", path.display());
        }
        dashboards += 1;
    }
    assert!(dashboards > 0);
}

#[test]
fn every_key_of_the_configuration_is_documented() {
    let mut table = "| key | default | meaning |\n|---|---|---|\n".to_owned();
    for (key, default, meaning) in config::why::catalogue() {
        let default = if default.is_null() { String::new() } else { format!("`{default}`") };
        let meaning = meaning.replace('\n', " ").replace('|', "\\|");
        let _ = writeln!(table, "| `{key}` | {default} | {meaning} |");
    }
    assert_generated("docs/config.md", &table);
}

#[test]
fn what_happens_when_something_fails_is_documented() {
    let loaded = config::parse_text(&text("config/gatepost.toml")).unwrap_or_else(|problems| panic!("{problems}"));
    let mut table = "| what fails | how | what becomes of mail |\n|---|---|---|\n".to_owned();
    for row in config::failures::table(&loaded) {
        let cells = [row.dependency, row.failure, row.answer].map(|cell| cell.replace('|', "\\|"));
        let _ = writeln!(table, "| {} |", cells.join(" | "));
    }
    assert_generated("docs/failures.md", &table);
}

/// Lines of code that call us, each up to where the shell takes over.
fn shown_commands(document: &str) -> impl Iterator<Item = &str> {
    let indented = document.lines().filter_map(|line| line.strip_prefix("    "));
    let fenced = blocks(document, "sh").into_iter().flat_map(|(_, text)| text.lines());
    let calls = indented.chain(fenced).map(str::trim).filter(|line| line.starts_with("gatepost "));
    calls.map(|line| line.split(['>', '<', '|', '#', ';', '&']).next().unwrap_or_default().trim())
}

#[test]
fn commands_in_the_documents_are_commands() {
    use clap::Parser;
    let mut shown = 0;
    for document in documents().iter().filter(|path| !path.ends_with("cli.md")) {
        let text = std::fs::read_to_string(document).expect("a readable file");
        for command in shown_commands(&text).filter(|command| !command.contains("...") && !command.contains('…')) {
            // A shell keeps together what is quoted, and knows the way home.
            let words = command.split('"').enumerate().flat_map(|(number, part)| match number % 2 {
                0 => part.split_whitespace().map(str::to_owned).collect(),
                _ => vec![part.to_owned()],
            });
            let words = words.map(|word| word.replace('~', "/home/ann"));
            let parsed = gatepost::cli::Arguments::try_parse_from(words);
            assert!(parsed.is_ok(), "{}: {command}: {}", document.display(), parsed.expect_err("just seen"));
            shown += 1;
        }
    }
    assert!(shown > 20, "{shown}");
}

#[test]
fn every_command_is_documented() {
    assert_generated("docs/cli.md", &gatepost::cli::reference::text());
}

#[test]
fn what_init_prints_for_postfix_is_what_the_first_hour_types() {
    use clap::Parser;
    let document = text("docs/postfix.md");
    let init = shown_commands(&document).find(|command| command.starts_with("gatepost init ")).expect("it is shown");
    let words = init.split_whitespace().chain(["--config", "-"]);
    let gatepost::cli::Command::Init(arguments) = gatepost::cli::Arguments::parse_from(words).command else {
        panic!("{init}")
    };
    let mut printed = Vec::new();
    gatepost::cli::init::run(&arguments, &mut printed).unwrap_or_else(|why| panic!("{why:?}"));
    let printed = String::from_utf8(printed).expect("text");
    let typed = blocks(&document, "sh").into_iter().flat_map(|(_, text)| text.lines());
    let typed: Vec<&str> =
        typed.filter(|line| line.starts_with("post") && !line.starts_with("postconf -M 'smtp/")).collect();
    assert!(typed.len() > 7, "{typed:?}");
    for line in typed {
        assert!(printed.contains(line), "{line} is not in\n{printed}");
    }
}

/// The code blocks of a document whose fence begins with `language`: what follows it, and the text.
fn blocks<'d>(document: &'d str, language: &str) -> Vec<(&'d str, &'d str)> {
    let fence = format!("```{language}");
    let begin = document.split(fence.as_str()).skip(1);
    begin
        .filter_map(|rest| rest.split("\n```").next()?.split_once('\n'))
        .map(|(info, text)| (info.trim(), text))
        .collect()
}

#[test]
fn the_rules_in_the_manual_do_what_it_says() {
    let document = text("docs/rules.md");
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::create_dir(directory.path().join("maps")).expect("writable");
    for (name, text) in blocks(&document, "text").into_iter().filter(|(name, _)| name.starts_with("maps/")) {
        std::fs::write(directory.path().join(name), text).expect("writable");
    }
    let rules = blocks(&document, "toml").into_iter().filter(|(_, text)| text.contains("[[rule]]"));
    for (number, (_, text)) in rules.enumerate() {
        std::fs::write(directory.path().join(format!("manual-{number}.toml")), text).expect("writable");
    }
    let content = config::content::load(Some(directory.path())).unwrap_or_else(|problems| panic!("{problems}"));
    let local: Vec<_> = content.test().into_iter().filter(|rule| rule.symbol.as_str().starts_with("LOCAL_")).collect();
    assert_eq!(local.len(), 6);
    for (rule, samples) in content.samples().filter(|(rule, _)| rule.symbol.as_str().starts_with("LOCAL_")) {
        let survivors = gatepost::checks::rules::mutate::survivors(rule, &samples);
        assert!(survivors.is_empty(), "{}: {survivors:?}", rule.symbol);
    }
    assert!(local.iter().all(|rule| rule.failures.is_empty()), "{local:#?}");
}

#[test]
fn every_word_of_rule_files_is_documented() {
    use gatepost::checks::rules::condition::{
        AddressPart, AttachmentPart, EnvelopePart, LinkPart, MimePart, ORIGINS, RawPart, TRICKS, TextPart, Whose,
    };
    let mut table = "| word | what it counts |\n|---|---|\n".to_owned();
    for (word, meaning) in gatepost::checks::rules::structure::Fact::words() {
        let _ = writeln!(table, "| `{word}` | {meaning} |");
    }
    assert_generated("docs/rules.md", &table);
    let document = text("docs/rules.md");
    let words = [
        Whose::ALL.iter().map(|one| one.word()).collect::<Vec<_>>(),
        AddressPart::ALL.iter().map(|one| one.word()).collect(),
        EnvelopePart::ALL.iter().map(|one| one.word()).collect(),
        TextPart::ALL.iter().map(|one| one.word()).collect(),
        RawPart::ALL.iter().map(|one| one.word()).collect(),
        LinkPart::ALL.iter().map(|one| one.word()).collect(),
        AttachmentPart::ALL.iter().map(|one| one.word()).collect(),
        MimePart::ALL.iter().map(|one| one.word()).collect(),
        ORIGINS.iter().map(|(word, _)| *word).collect(),
        TRICKS.iter().map(|(word, _)| *word).collect(),
    ];
    for word in words.concat() {
        let is_there = [format!("`{word}`"), format!("\"{word}\"")].iter().any(|word| document.contains(word.as_str()));
        assert!(is_there, "{word} is not in docs/rules.md");
    }
}

/// A reply as the document writes it: code, status, text, lines joined by ` / `.
fn written(reply: &Reply) -> String {
    format!("`{}`", reply.to_log())
}

#[test]
fn every_reply_of_ours_is_documented_and_no_other() {
    let data_errors = [DataError::LoneDot, DataError::BareNewline, DataError::HeaderControl];
    let mut replies: BTreeSet<String> = refusal::ALL.iter().map(|(_, reply)| written(reply)).collect();
    replies.extend(data_errors.map(|why| written(&refusal::data_error(why))));
    replies.extend([&refusal::START_MAIL, &refusal::HELP].map(written));
    let document = text("docs/replies.md");
    let rows = document.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` |"));
    let documented: BTreeSet<String> =
        rows.map(|(reply, _)| format!("`{reply}`")).filter(|reply| !reply.contains('…')).collect();
    let missing: Vec<_> = replies.difference(&documented).collect();
    let unknown: Vec<_> = documented.difference(&replies).collect();
    assert!(missing.is_empty() && unknown.is_empty(), "missing: {missing:#?}\nnobody says: {unknown:#?}");
}

/// Documents for people, as paths from the repository's root.
fn documents() -> Vec<PathBuf> {
    let docs = std::fs::read_dir(repository().join("docs")).expect("a directory");
    let docs = docs.map(|entry| entry.expect("an entry").path()).filter(|path| path.extension() == Some("md".as_ref()));
    docs.chain(["README.md", "CHANGELOG.md"].map(|name| repository().join(name))).collect()
}

#[test]
fn links_lead_somewhere() {
    for document in documents() {
        let text = std::fs::read_to_string(&document).expect("a readable file");
        let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for link in links.filter(|link| !link.contains("://") && !link.starts_with('#')) {
            let file = link.split('#').next().unwrap_or_default();
            let target = document.parent().expect("a directory").join(file);
            assert!(target.exists(), "{} links to {link}", document.display());
        }
    }
}

#[test]
fn configurations_in_the_readme_load() {
    let readme = text("README.md");
    let snippets: Vec<&str> = readme.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(!snippets.is_empty());
    let whole: Vec<String> = documents().iter().map(|path| std::fs::read_to_string(path).expect("readable")).collect();
    let whole = whole.iter().flat_map(|text| blocks(text, "toml")).filter(|(info, _)| *info == "gatepost.toml");
    let whole: Vec<&str> = whole.map(|(_, text)| text).collect();
    assert!(!whole.is_empty());
    for snippet in snippets.into_iter().chain(whole) {
        let loaded = config::parse_text(snippet).unwrap_or_else(|problems| panic!("{snippet}\n{problems}"));
        assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
    }
}

/// True if `name` is a dialogue, or a test, of that file.
fn is_test(file: &str, name: &str) -> bool {
    let text = text(file);
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    if file.ends_with(".smtp") {
        return lines.contains(&format!("=== {name}").as_str());
    }
    lines.windows(2).any(|pair| {
        let signature = pair[1].strip_prefix("async ").unwrap_or(pair[1]);
        pair[0].starts_with("#[") && pair[0].contains("test") && signature.starts_with(&format!("fn {name}("))
    })
}

#[test]
fn tests_that_are_to_show_something_exist() {
    let document = text("docs/rfc2505.md");
    let rows: Vec<&str> = document.lines().filter(|line| line.starts_with("| ") && line.contains(".")).collect();
    assert_eq!(rows.len(), 15, "every recommendation has a row");
    for row in rows {
        let shown_by = row.trim_end_matches('|').rsplit('|').next().expect("a last column");
        let tests: Vec<&str> = shown_by.split('`').skip(1).step_by(2).collect();
        assert!(!tests.is_empty(), "nothing shows {row}");
        for test in tests {
            let (file, name) = test.split_once(": ").unwrap_or_else(|| panic!("{test}"));
            assert!(is_test(file, name), "there is no test {test}");
        }
    }
}

#[test]
fn every_module_is_in_the_architecture() {
    let architecture = text("docs/architecture.md");
    let mut waiting = vec![repository().join("src")];
    while let Some(directory) = waiting.pop() {
        for entry in std::fs::read_dir(&directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            if path.is_dir() {
                waiting.extend((name != "tests").then_some(path));
            } else if !["mod.rs", "tests.rs"].contains(&name.as_str()) {
                assert!(architecture.contains(&format!("`{name}`")), "{} is not in it", path.display());
            }
        }
    }
}
