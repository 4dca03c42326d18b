//! Rule files as written: what is wrong with them, and where.

use super::*;

const RULE: &str = "[[rule]]\nsymbol = \"A\"\ndescription = \"about\"\n";
const HITS: &str = "hits = [\"Subject: x\\n\\n\"]\n";

/// What is wrong with a text, as people read it.
fn problems(text: &str) -> Vec<String> {
    let found = match Content::of_text(text) {
        Ok((_, warnings)) => warnings,
        Err(problems) => problems,
    };
    found.iter().map(ToString::to_string).collect()
}

#[test]
fn a_condition_that_makes_no_sense_is_told_with_its_place_and_the_nearest_choice() {
    for (condition, expected) in [
        (
            "{ headr = 'Subject', regex = 'x' }",
            "4:10: error: rule[0].all[0].headr: no such key; did you mean `header`?",
        ),
        ("{ header = 'Subject' }", "4:8: error: rule[0].all[0]: does not say what to look for: write one of"),
        ("{ regex = 'x' }", "4:8: error: rule[0].all[0]: does not say where to look: write one of header"),
        (
            "{ header = 'Subject', text = 'shown', regex = 'x' }",
            "4:37: error: rule[0].all[0].text: cannot stand beside `header`",
        ),
        (
            "{ header = 'Subject', regex = 'x', phrases = ['y'] }",
            "4:53: error: rule[0].all[0].phrases: cannot stand beside `regex`",
        ),
        ("{ header = 'Subject', regex = '(' }", "4:38: error: rule[0].all[0].regex: no regular expression"),
        ("{ header = 'Subject', phrases = ['a', ' '] }", "error: rule[0].all[0].phrases[1]: it is empty"),
        ("{ header = 'Sub ject', exists = true }", "rule[0].all[0].header: `sub ject` is no name of a header field"),
        ("{ header = ['*', 'To'], exists = true }", "rule[0].all[0].header: `*` is every field"),
        (
            "{ header = 5, exists = true }",
            "rule[0].all[0].header: must be a string or an array of strings, not an integer",
        ),
        ("{ header = ['a', 5], exists = true }", "rule[0].all[0].header[1]: must be a string, not an integer"),
        (
            "{ address = 'form', regex = 'x' }",
            "rule[0].all[0].address: `form` means nothing here; did you mean `from`?",
        ),
        (
            "{ address = 'from', part = 'nmae', regex = 'x' }",
            "rule[0].all[0].part: `nmae` means nothing here; did you mean `name`?",
        ),
        ("{ text = 'shown', part = 'name', regex = 'x' }", "rule[0].all[0].part: has a meaning beside `address` only"),
        ("{ text = 'shown', raw = true, regex = 'x' }", "rule[0].all[0].raw: true has a meaning beside `header` only"),
        ("{ text = 'shown', origin = 'form', regex = 'x' }", "rule[0].all[0].origin: has a meaning beside `link` only"),
        ("{ text = 'shown', same_as = 'from' }", "rule[0].all[0].same_as: has a meaning beside `address` only"),
        ("{ raw = 'bdy', regex = 'x' }", "rule[0].all[0].raw: `bdy` means nothing here; did you mean `body`?"),
        (
            "{ link = 'host', origin = 'frm', exists = true }",
            "rule[0].all[0].origin: `frm` means nothing here; did you mean `form`?",
        ),
        ("{ link = 'host', map = 'maps/none.txt' }", "rule[0].all[0].map: there is no map `maps/none.txt`"),
        (
            "{ structure = 'oddity:broken_base46' }",
            "rule[0].all[0].structure: `oddity:broken_base46` means nothing here; did you mean `oddity:broken_base64`?",
        ),
        ("{ structure = 'links', regex = 'x' }", "rule[0].all[0].regex: has no meaning for a number: write at_least"),
        ("{ structure = 'links', at_least = 5, at_most = 4 }", "rule[0].all[0].at_least: is more than `at_most` (4)"),
        ("{ structure = 'links', at_least = 0 }", "rule[0].all[0].at_least: 0 always holds"),
        ("{ structure = 'links', at_least = -1 }", "rule[0].all[0].at_least: must lie between 0 and 1000000000"),
    ] {
        let text = format!("{RULE}all = [{condition}]\n{HITS}");
        let found = problems(&text);
        assert!(found.len() == 1 && found[0].starts_with("rules.toml:4:"), "{condition}: {found:#?}");
        assert!(found[0].contains(expected), "{condition}: {found:#?}");
    }
}

#[test]
fn a_rule_that_makes_no_sense_is_told_with_its_place() {
    let condition = "all = [{ header = 'Subject', exists = true }]\n";
    for (text, expected) in [
        (format!("[[rule]]\n{condition}{HITS}"), &["symbol: is missing", "description: is missing"][..]),
        (
            format!("[[rule]]\nsymbol = 'low'\ndescription = 'about'\n{condition}{HITS}"),
            &["rules.toml:2:10: error: rule[0].symbol: `low` is no symbol"],
        ),
        (format!("[[rule]]\nsymbol = 'A'\ndescription = ' '\n{condition}{HITS}"), &["rule[0].description: is empty"]),
        (format!("{RULE}{HITS}"), &["rules.toml:1:1: error: rule[0]: has no condition"]),
        (
            format!("{RULE}{condition}{HITS}\n{RULE}{condition}{HITS}"),
            &["rules.toml:8:10: error: rule[1].symbol: another rule finds `A` already"],
        ),
        (format!("{RULE}{condition}"), &["rules.toml:1:1: warning: rule[0]: `A` has no `hits`"]),
        (format!("{RULE}{condition}{HITS}"), &[]),
        ("[[rules]]\n".to_owned(), &["rules: no such key; did you mean `rule`?"]),
        ("[[rule]\n".to_owned(), &["rules.toml:1:"]),
    ] {
        let found = problems(&text);
        assert_eq!(found.len(), expected.len(), "{text}: {found:#?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.contains(expected), "{text}: {found}");
        }
    }
}

#[test]
fn a_rule_set_that_fails_its_own_messages_does_not_load() {
    let text = format!(
        "{RULE}all = [{{ header = 'Subject', regex = 'x' }}]\nany = [{{ text = 'shown', regex = 'y' }}]\n\
         hits = ['''Subject: x\n\ny''', '''Subject: x\n\nz''']\nmisses = ['''Subject: xx\n\nyy''', \"@who\\n\"]\n"
    );
    assert_eq!(
        problems(&text),
        [
            "rules.toml:8:7: error: rule[0].hits[1]: `A` does not find this message, because of any[0]",
            "rules.toml:11:11: error: rule[0].misses[0]: `A` finds this message: subject: \"x\"; text shown: \"y\"",
            "rules.toml:13:8: error: rule[0].misses[1]: `@who` means nothing: before a message stand @helo, @from, @to, \
         @client and @client-name",
        ]
    );
}

#[test]
fn files_of_a_directory_stand_beside_those_compiled_in_and_name_maps() {
    let directory = tempfile::tempdir().expect("a directory");
    let write = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a directory")).expect("writable");
        std::fs::write(path, text).expect("writable");
    };
    let rule = |symbol: &str, map: &str| {
        format!(
            "[[rule]]\nsymbol = '{symbol}'\ndescription = 'about'\n\
             all = [{{ address = 'from', part = 'domain', map = '{map}' }}]\nhits = ['From: a@mail.evil.test']\n"
        )
    };
    write("b.toml", &rule("LOCAL_B", "maps/evil.txt"));
    write("a.toml", &rule("LOCAL_A", "maps/evil.txt"));
    write("policy.toml", "this is no rule file");
    write(".hidden.toml", "nor this");
    write("maps/evil.txt", "evil.test # all of it\n");
    let load = |problems: &mut Problems| {
        let nowhere = Document::empty(Source::new("x", ""));
        let mut files = Files::beside(&directory.path().join("x"));
        let report = &mut Report { document: &nowhere, problems };
        let content = Content::read(directory.path(), &["policy.toml"], &mut files, report);
        (content, files.into_paths())
    };
    let mut problems = Problems::default();
    let (content, paths) = load(&mut problems);
    assert!(!problems.has_errors(), "{problems}");
    let local: Vec<_> = content.symbols.iter().map(Symbol::as_str).filter(|name| name.starts_with("LOCAL_")).collect();
    assert_eq!(local, ["LOCAL_A", "LOCAL_B"]);
    for watched in ["", "a.toml", "b.toml", "maps/evil.txt"] {
        assert!(paths.contains(&directory.path().join(watched)), "{watched} of {paths:?}");
    }
    assert!(content.test().iter().all(|tested| tested.failures.is_empty()));

    write("maps/evil.txt", "good.test\ntwo words\n/(/\n");
    let mut problems = Problems::default();
    load(&mut problems);
    let found: Vec<String> = problems.iter().map(ToString::to_string).collect();
    for expected in
        ["maps/evil.txt:2:1: error: is more than one word", "maps/evil.txt:3:2: error: no regular expression"]
    {
        assert!(found.iter().any(|problem| problem.contains(expected)), "{expected}: {found:#?}");
    }

    write("maps/evil.txt", "good.test\n");
    let mut problems = Problems::default();
    load(&mut problems);
    let found = problems.to_string();
    assert!(found.contains("a.toml:5:9: error: rule[0].hits[0]: `LOCAL_A` does not find this message"), "{found}");

    std::fs::remove_file(directory.path().join("maps/evil.txt")).expect("it was there");
    let mut problems = Problems::default();
    let (_, paths) = load(&mut problems);
    assert!(problems.to_string().contains("a.toml:4:51: error: rule[0].all[0].map: cannot read"), "{problems}");
    assert!(paths.contains(&directory.path().join("maps/evil.txt")), "it may come");
}

#[test]
fn the_rules_compiled_in_do_what_their_messages_say() {
    let mut problems = Problems::default();
    let content = Content::compiled_in(&mut problems);
    assert!(problems.is_empty(), "{problems}");
    assert_eq!(content.test().len(), content.set.rules().len());
}
