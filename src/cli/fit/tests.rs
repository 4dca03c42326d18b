use super::*;

fn arguments(words: &[&str]) -> Arguments {
    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }
    <Line as clap::Parser>::parse_from(["fit"].iter().chain(words)).arguments
}

/// A directory of rules, and in it sources of mail: spam without Message-ID and Date, ham with both.
fn place() -> tempfile::TempDir {
    let place = tempfile::tempdir().expect("a directory");
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules");
    copy(&shipped, &place.path().join("rules"));
    for (kind, fields) in
        [("spam", ""), ("ham", "Date: Fri, 6 Mar 2020 10:00:00 +0000\nMessage-ID: <1@sender.example>\n")]
    {
        for source in ["one", "two", "three"] {
            let directory = place.path().join(kind).join(source);
            fs::create_dir_all(&directory).expect("a directory");
            for number in 0..10 {
                let message = format!("From: a@sender.example\nSubject: {number}\n{fields}\nGood day.\n");
                fs::write(directory.join(format!("{number}.eml")), message).expect("written");
            }
        }
    }
    place
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("readable") {
        let entry = entry.expect("readable");
        match entry.path().is_dir() {
            true => copy(&entry.path(), &to.join(entry.file_name())),
            false => drop(fs::copy(entry.path(), to.join(entry.file_name())).expect("copied")),
        }
    }
}

fn fitted(place: &Path, extra: &[&str]) -> Result<String, Failed> {
    let at = |name: &str| place.join(name).display().to_string();
    let (spam, ham, rules) = (at("spam"), at("ham"), at("rules"));
    let words = [&["--spam", &*spam, "--ham", &*ham, "--rules", &*rules, "--support", "5"], extra].concat();
    let mut out = Vec::new();
    run(&arguments(&words), &mut out)?;
    Ok(String::from_utf8(out).expect("text"))
}

#[test]
fn what_only_spam_has_gains_and_only_its_number_changes() {
    let place = place();
    let path = place.path().join("rules/weights.toml");
    let before = fs::read_to_string(&path).expect("weights");
    let text = fitted(place.path(), &[]).expect("fitted");
    assert!(text.contains("-MISSING_DATE = 1.0\n") && text.contains("+MISSING_DATE = 1.5\n"), "{text}");
    assert!(text.contains("30 ham and 30 spam of 6 sources") && text.contains("5 parts, each measured"), "{text}");
    assert_eq!(fs::read_to_string(&path).expect("weights"), before, "nobody asked to write");

    let text = fitted(place.path(), &["--write", "--keep", "MISSING_DATE"]).expect("fitted");
    assert!(text.contains("written:") && !text.contains("MISSING_DATE = 1.5"), "{text}");
    let after = fs::read_to_string(&path).expect("weights");
    let changed: Vec<_> = before.lines().zip(after.lines()).filter(|(one, other)| one != other).collect();
    assert!(!changed.is_empty() && before.lines().count() == after.lines().count());
    for (one, other) in changed {
        let name = |line: &str| line.split_once('=').expect("a weight").0.to_owned();
        assert_eq!(name(one), name(other));
    }
}

#[test]
fn traces_of_scan_serve_as_well_as_mail() {
    use crate::cli::scan;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        arguments: scan::Arguments,
    }
    let place = place();
    let rules = place.path().join("rules").display().to_string();
    for kind in ["spam", "ham"] {
        let directory = place.path().join(kind).display().to_string();
        let line: Line = clap::Parser::parse_from(["scan", "--json", "--rules", &rules, &directory]);
        let mut out = Vec::new();
        scan::run(&line.arguments, &mut out).expect("scanned");
        fs::write(place.path().join(format!("{kind}.jsonl")), out).expect("written");
    }
    let at = |name: &str| place.path().join(name).display().to_string();
    let (spam, ham) = (at("spam.jsonl"), at("ham.jsonl"));
    let mut out = Vec::new();
    run(&arguments(&["--spam", &spam, "--ham", &ham, "--rules", &rules, "--support", "5"]), &mut out).expect("fitted");
    let text = String::from_utf8(out).expect("text");
    assert!(text.contains("+MISSING_DATE = 1.5\n") && text.contains("divided by message"), "{text}");
}

#[test]
fn what_is_compiled_in_cannot_be_written() {
    let place = place();
    let at = |name: &str| place.path().join(name).display().to_string();
    let words = ["--spam", &at("spam"), "--ham", &at("ham"), "--write"].map(str::to_owned);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let Failed(why) = run(&arguments(&words), &mut Vec::new()).expect_err("there is no file");
    assert!(why.contains("--rules"), "{why}");
}
