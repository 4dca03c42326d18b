//! Files of rules, line by line.

use std::collections::{BTreeMap, BTreeSet};

use super::interval::Interval;
use super::meta::Expression;
use super::perl;
use super::rule::{Flags, Kind, Rule, Test};

/// Files included by files, at most so deep.
const DEEPEST: usize = 8;
/// The version that conditions are told.
const VERSION: f64 = 4.000_001;
const PERL_VERSION: f64 = 5.036;

/// Plugins that a usual installation has loaded. Their rules are read, also those that cannot run here.
const PLUGINS: &[&str] = &[
    "AskDNS",
    "AutoLearnThreshold",
    "Bayes",
    "BodyEval",
    "Check",
    "DKIM",
    "DMARC",
    "DNSEval",
    "FreeMail",
    "HTMLEval",
    "HTTPSMismatch",
    "HashBL",
    "HeaderEval",
    "ImageInfo",
    "MIMEEval",
    "MIMEHeader",
    "Pyzor",
    "Razor2",
    "RelayEval",
    "ReplaceTags",
    "SPF",
    "SpamCop",
    "URIDNSBL",
    "URIDetail",
    "URIEval",
    "VBounce",
    "WLBLEval",
    "WelcomeListSubject",
];

/// What the files say.
#[derive(Debug, Default)]
pub(super) struct Settings {
    pub(super) rules: BTreeMap<String, Rule>,
    pub(super) scores: BTreeMap<String, f64>,
    pub(super) descriptions: BTreeMap<String, String>,
    pub(super) flags: BTreeMap<String, Flags>,
    pub(super) tags: BTreeMap<String, String>,
    pub(super) before: BTreeMap<String, String>,
    pub(super) behind: BTreeMap<String, String>,
    pub(super) between: BTreeMap<String, String>,
    pub(super) replaced: BTreeSet<String>,
    /// `enlist_uri_host` and `enlist_addrlist`, and lists of addresses by the name of their setting.
    pub(super) lists: BTreeMap<String, BTreeSet<String>>,
    /// Settings that are not for us, and how often they stand.
    pub(super) ignored: BTreeMap<String, usize>,
    /// Lines that nobody understands.
    pub(super) problems: Vec<Problem>,
}

/// A line that is not understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong.
    pub reason: String,
}

/// Reads the file that a file includes, by the name that it gives.
pub type Open<'o> = &'o mut dyn FnMut(&str) -> Result<Vec<u8>, String>;

impl Settings {
    /// Reads one file; what it says comes after what was read before.
    pub(super) fn read(&mut self, file: &str, octets: &[u8], open: Open<'_>) {
        self.read_at(file, octets, open, 0);
    }

    fn read_at(&mut self, file: &str, octets: &[u8], open: Open<'_>, depth: usize) {
        // Whether each condition that is open holds, and all around it.
        let mut conditions: Vec<bool> = Vec::new();
        for (number, line) in octets.split(|octet| *octet == b'\n').enumerate() {
            let line = cleaned(line);
            if line.is_empty() {
                continue;
            }
            let complain = |reason: String| Problem { file: file.to_owned(), line: number + 1, reason };
            let (key, value) = line.split_once(char::is_whitespace).unwrap_or((&line, ""));
            let (key, value) = (key.to_ascii_lowercase(), value.trim());
            let holds = conditions.iter().all(|holds| *holds);
            match key.as_str() {
                "ifplugin" => conditions.push(is_loaded(value)),
                "if" => match condition(value) {
                    Ok(is_true) => conditions.push(is_true),
                    Err(reason) => {
                        self.problems.push(complain(reason));
                        conditions.push(false);
                    }
                },
                "else" => match conditions.last_mut() {
                    Some(last) => *last = !*last,
                    None => self.problems.push(complain("`else` without `if`".to_owned())),
                },
                "endif" => {
                    if conditions.pop().is_none() {
                        self.problems.push(complain("`endif` without `if`".to_owned()));
                    }
                }
                _ if !holds => {}
                "include" if depth >= DEEPEST => self.problems.push(complain("included too deep".to_owned())),
                "include" => match open(value) {
                    Ok(octets) => self.read_at(value, &octets, open, depth + 1),
                    Err(reason) => self.problems.push(complain(reason)),
                },
                // Texts in other languages.
                "lang" => {}
                _ => {
                    if let Err(reason) = self.set(&key, value) {
                        self.problems.push(complain(reason));
                    }
                }
            }
        }
        if !conditions.is_empty() {
            self.problems.push(Problem { file: file.to_owned(), line: 0, reason: "`if` without `endif`".to_owned() });
        }
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        let (name, rest) = value.split_once(char::is_whitespace).unwrap_or((value, ""));
        let rest = rest.trim();
        let kind = match key {
            "header" => Some(Kind::Header),
            "body" => Some(Kind::Body),
            "rawbody" => Some(Kind::RawBody),
            "full" => Some(Kind::Full),
            "uri" => Some(Kind::Uri),
            "mimeheader" => Some(Kind::MimeHeader),
            "meta" => Some(Kind::Meta),
            _ => None,
        };
        if let Some(kind) = kind {
            if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                return Err(format!("`{name}` is no name of a rule"));
            }
            self.rules.insert(name.to_owned(), Rule { kind, test: test(kind, rest) });
            return Ok(());
        }
        match key {
            "score" => return self.score(name, rest),
            "describe" => {
                let text: Vec<u8> = rest.chars().map(|c| c as u32 as u8).collect();
                self.descriptions.insert(name.to_owned(), String::from_utf8_lossy(&text).into_owned());
            }
            "tflags" => self.flags.entry(name.to_owned()).or_default().read(rest),
            "replace_tag" => drop(self.tags.insert(name.to_owned(), rest.to_owned())),
            "replace_pre" => drop(self.before.insert(name.to_owned(), rest.to_owned())),
            "replace_post" => drop(self.behind.insert(name.to_owned(), rest.to_owned())),
            "replace_inter" => drop(self.between.insert(name.to_owned(), rest.to_owned())),
            "replace_rules" => self.replaced.extend(value.split_whitespace().map(str::to_owned)),
            "enlist_uri_host" | "enlist_addrlist" => {
                let list = name.trim_matches(['(', ')']).to_owned();
                self.enlist(&format!("{key}:{list}"), rest);
            }
            "freemail_domains" | "freemail_welcomelist" | "freemail_whitelist" => {
                self.enlist(&key.replace("white", "welcome"), value);
            }
            "welcomelist_from"
            | "whitelist_from"
            | "blocklist_from"
            | "blacklist_from"
            | "welcomelist_to"
            | "whitelist_to"
            | "blocklist_to"
            | "blacklist_to"
            | "more_spam_to"
            | "all_spam_to"
            | "welcomelist_subject"
            | "whitelist_subject"
            | "blocklist_subject"
            | "blacklist_subject" => {
                self.enlist(&key.replace("white", "welcome").replace("black", "block"), value);
            }
            "clear_uri_host" | "delist_uri_host" => *self.ignored.entry(key.to_owned()).or_default() += 1,
            "test" | "reuse" | "priority" | "require_version" => {}
            _ => *self.ignored.entry(key.to_owned()).or_default() += 1,
        }
        Ok(())
    }

    fn enlist(&mut self, list: &str, words: &str) {
        let list = self.lists.entry(list.to_owned()).or_default();
        list.extend(words.split_whitespace().map(str::to_ascii_lowercase));
    }

    /// One score, or four of which the first is for local tests without a classifier, as we have our own.
    fn score(&mut self, name: &str, rest: &str) -> Result<(), String> {
        let first = rest.split_whitespace().next().ok_or("a score without a number")?;
        let relative = first.strip_prefix('(').map(|first| first.trim_end_matches(')'));
        let number: f64 = relative.unwrap_or(first).parse().map_err(|_| format!("`{first}` is no number"))?;
        if !number.is_finite() {
            return Err(format!("`{first}` is no number"));
        }
        let base = relative.map_or(0.0, |_| self.score_of(name));
        self.scores.insert(name.to_owned(), base + number);
        Ok(())
    }

    /// What a rule weighs.
    pub(super) fn score_of(&self, name: &str) -> f64 {
        let default = || {
            let points = if name.starts_with("T_") { 0.01 } else { 1.0 };
            if self.flags.get(name).is_some_and(|flags| flags.nice) { -points } else { points }
        };
        self.scores.get(name).copied().unwrap_or_else(default)
    }

    pub(super) fn list(&self, name: &str) -> impl Iterator<Item = &str> {
        self.lists.get(name).into_iter().flatten().map(String::as_str)
    }
}

/// A line without its comment, each octet as the character of its number.
fn cleaned(line: &[u8]) -> String {
    let mut text = String::with_capacity(line.len());
    let mut octets = line.iter().peekable();
    while let Some(&octet) = octets.next() {
        match octet {
            b'\\' if octets.peek() == Some(&&b'#') => {
                octets.next();
                text.push('#');
            }
            b'\\' => {
                text.push('\\');
                text.extend(octets.next().map(|octet| *octet as char));
            }
            b'#' => break,
            octet => text.push(octet as char),
        }
    }
    text.trim_matches([' ', '\t', '\r', '\n']).to_owned()
}

fn is_loaded(plugin: &str) -> bool {
    let name = plugin.rsplit("::").next().unwrap_or(plugin);
    plugin.starts_with("Mail::SpamAssassin::Plugin::") && PLUGINS.contains(&name)
}

/// Whether a condition holds.
fn condition(text: &str) -> Result<bool, String> {
    let mut plain = String::new();
    let mut rest = text;
    // A call: a word, parentheses, a name in them.
    let first =
        |rest: &str| ["plugin", "can", "has"].into_iter().filter_map(|word| Some((rest.find(word)?, word))).min();
    while let Some((at, word)) = first(rest) {
        let behind = &rest[at + word.len()..];
        let (Some(open), Some(close)) = (behind.find('('), behind.find(')')) else { break };
        let argument = behind.get(open + 1..close).ok_or("parentheses that are none")?.trim();
        plain.push_str(&rest[..at]);
        let holds = if word == "plugin" { is_loaded(argument) } else { can(argument) };
        plain.push_str(if holds { " 1 " } else { " 0 " });
        rest = &behind[close + 1..];
    }
    plain.push_str(rest);
    let expression = Expression::parse(&plain).map_err(|reason| format!("condition `{text}`: {reason}"))?;
    let value = expression.value(&mut Vec::new(), &mut |name| {
        Interval::of(match name.as_str() {
            "version" => VERSION,
            "perl_version" => PERL_VERSION,
            "local_tests_only" => 1.0,
            _ => 0.0,
        })
    });
    Ok(!value.is_zero())
}

/// Whether a feature is there.
fn can(feature: &str) -> bool {
    match feature.rsplit_once("::") {
        Some((plugin, _)) if plugin.contains("::Plugin::") => is_loaded(plugin),
        Some((_, name)) => name.starts_with("feature_") || name.starts_with("perl_min_version_5"),
        None => false,
    }
}

fn test(kind: Kind, text: &str) -> Result<Test, String> {
    if kind == Kind::Meta {
        return Expression::parse(text).map(Test::Meta);
    }
    if let Some(call) = text.strip_prefix("eval:") {
        return eval(call);
    }
    if !matches!(kind, Kind::Header | Kind::MimeHeader) {
        return matching(String::new(), text, false, None);
    }
    if let Some(request) = text.strip_prefix("exists:") {
        return Ok(Test::Exists { request: request.trim().to_owned(), negated: false });
    }
    let (request, rest) = text.split_once(char::is_whitespace).ok_or("no expression")?;
    let rest = rest.trim_start();
    let (rest, negated) = match (rest.strip_prefix("=~"), rest.strip_prefix("!~")) {
        (Some(rest), _) => (rest, false),
        (_, Some(rest)) => (rest, true),
        _ => return Err("neither =~ nor !~".to_owned()),
    };
    let (rest, if_unset) = match rest.rfind("[if-unset:") {
        Some(at) => (&rest[..at], Some(rest[at + 10..].trim().trim_end_matches(']').to_owned())),
        None => (rest, None),
    };
    matching(request.to_owned(), rest, negated, if_unset)
}

fn matching(request: String, text: &str, negated: bool, if_unset: Option<String>) -> Result<Test, String> {
    let (body, flags) = perl::delimited(text).ok_or("no expression between delimiters")?;
    Ok(Test::Match { request, body: body.to_owned(), flags: flags.to_owned(), negated, if_unset })
}

/// `name('argument', 2)`.
fn eval(call: &str) -> Result<Test, String> {
    let call = call.trim();
    let (function, rest) = call.split_once('(').unwrap_or((call, ")"));
    let mut arguments = Vec::new();
    let mut rest = rest.trim().strip_suffix(')').unwrap_or(rest).trim();
    while !rest.is_empty() {
        let quote = rest.chars().next().filter(|c| matches!(c, '\'' | '"'));
        let end = match quote {
            Some(quote) => rest[1..].find(quote).map(|at| at + 1).ok_or("a quote that nothing closes")?,
            None => rest.find(',').unwrap_or(rest.len()),
        };
        let start = usize::from(quote.is_some());
        arguments.push(rest[start..end].trim().to_owned());
        rest = rest[end + start..].trim_start();
        rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
    }
    Ok(Test::Eval { function: function.trim().to_owned(), arguments })
}
