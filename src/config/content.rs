//! Rule files and the maps that they name: read, compiled, and held against the messages that stand in them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use tokio::time::Instant;

use super::files::Files;
use super::judging::content as judging;
use super::problem::{Report, nearest};
use super::raw::File;
use super::raw::rules::{self as written, RuleFile};
use super::source::{element, join};
use super::{Document, Problem, Problems, Source, shape};
use crate::checks::rules::map::Map;
use crate::checks::rules::mutate::Samples;
use crate::checks::rules::set::Fault;
use crate::checks::rules::{Rule, Sample, Set};
use crate::facts::Stage;
use crate::pattern::{Builder, Expression};
use crate::scoring::Symbol;

/// Rule files that are compiled in.
const RULE_FILES: &[(&str, &str)] = &[
    ("commerce.toml", include_str!("../../rules/commerce.toml")),
    ("evasion.toml", include_str!("../../rules/evasion.toml")),
    ("extortion.toml", include_str!("../../rules/extortion.toml")),
    ("forgery.toml", include_str!("../../rules/forgery.toml")),
    ("fraud.toml", include_str!("../../rules/fraud.toml")),
    ("honest.toml", include_str!("../../rules/honest.toml")),
    ("impersonation.toml", include_str!("../../rules/impersonation.toml")),
    ("links.toml", include_str!("../../rules/links.toml")),
    ("malware.toml", include_str!("../../rules/malware.toml")),
    ("phishing.toml", include_str!("../../rules/phishing.toml")),
    ("spamware.toml", include_str!("../../rules/spamware.toml")),
    ("structure.toml", include_str!("../../rules/structure.toml")),
];

/// Maps that are compiled in, by the name that rules have for them.
const MAPS: &[(&str, &str)] = &[
    ("maps/freemail.txt", include_str!("../../rules/maps/freemail.txt")),
    ("maps/hosting.txt", include_str!("../../rules/maps/hosting.txt")),
    ("maps/sharing.txt", include_str!("../../rules/maps/sharing.txt")),
    ("maps/shorteners.txt", include_str!("../../rules/maps/shorteners.txt")),
];

/// Rule files of a directory at most.
const MAX_FILES: usize = 1000;

/// All rules, compiled, with where they were written.
#[derive(Clone, Debug, Default)]
pub struct Content {
    /// The rules.
    pub set: Arc<Set>,
    /// Their symbols, those included that could not be compiled.
    pub symbols: BTreeSet<Symbol>,
    /// Where each rule of the set stands.
    places: Vec<Place>,
    files: Arc<[(RuleFile, Document)]>,
    /// Every text that was read: files and maps.
    sources: Vec<Arc<Source>>,
}

/// Where a rule stands: the file, and its place in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    file: usize,
    rule: usize,
}

/// A rule, for people.
#[derive(Clone, Debug)]
pub struct Listed {
    /// The file as people know it.
    pub path: String,
    /// The line where the rule begins.
    pub line: usize,
    /// Its symbol.
    pub symbol: Symbol,
    /// What it means.
    pub description: String,
    /// True: it decides nothing.
    pub shadow: bool,
    /// When it is judged.
    pub stage: Stage,
    /// What its conditions look at.
    pub conditions: Vec<String>,
    /// How many messages stand beside it: hits and misses.
    pub messages: (usize, usize),
}

/// Where maps come from.
enum Maps<'a> {
    CompiledIn,
    Directory(&'a Path, &'a mut Files),
}

/// What one rule's messages say of it.
#[derive(Clone, Debug)]
pub struct Tested {
    /// The file as people know it.
    pub path: String,
    /// The line where the rule begins.
    pub line: usize,
    /// Its symbol.
    pub symbol: Symbol,
    /// Messages that it must find, and that it must not.
    pub messages: (usize, usize),
    /// How long it took.
    pub took: std::time::Duration,
    /// What is wrong, one for each message that was judged otherwise.
    pub failures: Vec<String>,
}

/// The rules of a directory, or those compiled in, whatever the messages that stand beside them say.
///
/// # Errors
/// Everything else that is wrong with them.
pub fn load(directory: Option<&Path>) -> Result<Content, Problems> {
    let mut problems = Problems::default();
    let content = match directory {
        None => {
            let sources = RULE_FILES.iter().map(|(name, text)| compiled_in(name, text)).collect();
            Content::of(sources, Maps::CompiledIn, &mut problems)
        }
        Some(directory) => {
            let nowhere = Document::empty(Source::new(directory.display().to_string(), ""));
            let report = &mut Report { document: &nowhere, problems: &mut problems };
            Content::gather(directory, &super::rules::FIXED, &mut Files::beside(directory), report)
        }
    };
    problems.sort();
    problems.guard(Some(content)).map(|(content, _)| content)
}

/// The directory of rules that a configuration names.
///
/// # Errors
/// It cannot be read.
pub fn directory(config: &Path) -> Result<Option<PathBuf>, Problems> {
    let mut files = Files::beside(config);
    let mut problems = Problems::default();
    let shown = config.display().to_string();
    let raw = match files.read(config) {
        Ok(text) => shape::read::<File>(&Source::new(shown, text), &mut problems),
        Err(why) => {
            problems.push(Problem::at(&Source::new(shown, ""), None, "", why));
            None
        }
    };
    let directory = raw.map(|(file, _)| file.rules.directory.map(|directory| files.resolve(&directory)));
    problems.guard(directory).map(|(directory, _)| directory)
}

impl Content {
    /// The rules compiled in.
    pub(super) fn compiled_in(problems: &mut Problems) -> Self {
        static KEPT: LazyLock<(Content, Problems)> = LazyLock::new(|| {
            let mut problems = Problems::default();
            let sources = RULE_FILES.iter().map(|(name, text)| compiled_in(name, text)).collect();
            let content = Content::of(sources, Maps::CompiledIn, &mut problems);
            content.hold_against_messages(&mut problems);
            (content, problems)
        });
        let (content, found) = &*KEPT;
        problems.append(found.clone());
        content.clone()
    }

    /// The rules of a directory, beside those compiled in that it does not replace; held against their messages.
    pub(super) fn read(directory: &Path, fixed: &[&str], files: &mut Files, report: &mut Report<'_>) -> Self {
        let content = Self::gather(directory, fixed, files, report);
        content.hold_against_messages(report.problems);
        content
    }

    fn gather(directory: &Path, fixed: &[&str], files: &mut Files, report: &mut Report<'_>) -> Self {
        // A file may come.
        files.miss(directory);
        let names = report.take("rules.directory", rule_files(directory, fixed)).unwrap_or_default();
        let compiled = RULE_FILES.iter().filter(|(name, _)| !names.contains(*name));
        let mut sources: Vec<Arc<Source>> = compiled.map(|(name, text)| compiled_in(name, text)).collect();
        for name in &names {
            let path = directory.join(name);
            let text = report.take("rules.directory", files.read(&path));
            sources.extend(text.map(|text| Source::new(path.display().to_string(), text)));
        }
        Self::of(sources, Maps::Directory(directory, files), report.problems)
    }

    /// Rules of one text alone, without any map.
    pub fn of_text(text: &str) -> Result<(Self, Problems), Problems> {
        let mut problems = Problems::default();
        let content = Self::of(vec![Source::new("rules.toml", text)], Maps::CompiledIn, &mut problems);
        content.hold_against_messages(&mut problems);
        problems.sort();
        problems.guard(Some(content))
    }

    fn of(sources: Vec<Arc<Source>>, mut maps: Maps<'_>, problems: &mut Problems) -> Self {
        let mut content = Self { sources: sources.clone(), ..Self::default() };
        let mut files: Vec<(RuleFile, Document, bool)> = Vec::new();
        for source in &sources {
            let mut found = Problems::default();
            let read = shape::read::<RuleFile>(source, &mut found);
            let is_whole = found.is_empty();
            problems.append(found);
            files.extend(read.map(|(file, document)| (file, document, is_whole)));
        }
        let maps = content.maps(&files, &mut maps, problems);
        let rules = content.rules(&files, &maps, problems);
        content.files = files.into_iter().map(|(file, document, _)| (file, document)).collect();
        match Set::compile(rules) {
            Ok(set) => content.set = Arc::new(set),
            Err(faults) => content.report(&faults, problems),
        }
        content
    }

    /// Every map that a rule names, read once.
    fn maps(
        &mut self,
        files: &[(RuleFile, Document, bool)],
        from: &mut Maps<'_>,
        problems: &mut Problems,
    ) -> BTreeMap<String, Option<Arc<Map>>> {
        let mut maps = BTreeMap::new();
        for (file, document, _) in files {
            for (index, rule) in file.rule.iter().enumerate() {
                let conditions = rule.all.iter().chain(&rule.any).chain(&rule.none);
                let places = judging::places(rule, &element("rule", index));
                for (condition, at) in conditions.zip(places) {
                    let Some(name) = &condition.map else { continue };
                    let read = maps.entry(name.clone()).or_insert_with(|| {
                        let text = from.text(name);
                        let source = text.map(|(path, text)| Source::new(path, text));
                        source.map(|source| {
                            self.sources.push(source.clone());
                            Arc::new(read_map(name, &source, problems))
                        })
                    });
                    if let Err(why) = read {
                        let near = nearest(name, MAPS.iter().map(|(name, _)| *name));
                        Report { document, problems }.error_near(&join(&at, "map"), why.clone(), near);
                    }
                }
            }
        }
        maps.into_iter().map(|(name, map)| (name, map.ok())).collect()
    }

    /// The rules that make sense, each symbol once.
    fn rules(
        &mut self,
        files: &[(RuleFile, Document, bool)],
        maps: &BTreeMap<String, Option<Arc<Map>>>,
        problems: &mut Problems,
    ) -> Vec<Rule> {
        let mut rules = Vec::new();
        for (number, (file, document, is_whole)) in files.iter().enumerate() {
            for (index, rule) in file.rule.iter().enumerate() {
                let at = element("rule", index);
                let report = &mut Report { document, problems };
                if let Ok(symbol) = Symbol::new(&rule.symbol)
                    && !self.symbols.insert(symbol)
                {
                    let reason = format!("another rule finds `{}` already", rule.symbol);
                    report.error(&join(&at, "symbol"), reason);
                    continue;
                }
                let find = |name: &str| maps.get(name).cloned().flatten();
                if let Some(rule) = judging::rule(rule, &at, &find, *is_whole, report) {
                    rules.push(rule);
                    self.places.push(Place { file: number, rule: index });
                }
            }
        }
        rules
    }

    fn report(&self, faults: &[Fault], problems: &mut Problems) {
        for fault in faults {
            let Some((rule, document, at)) = self.written(fault.rule) else { continue };
            let Some(condition) = judging::places(rule, &at).into_iter().nth(fault.condition) else { continue };
            let key = match fault.item {
                Some(item) => element(&join(&condition, "phrases"), item),
                None => join(&condition, if document.has(&join(&condition, "map")) { "map" } else { "regex" }),
            };
            Report { document, problems }.error(&key, fault.reason.to_string());
        }
    }

    /// A rule of the set as it is written, its document, and its key there.
    fn written(&self, index: usize) -> Option<(&written::Rule, &Document, String)> {
        let place = self.places.get(index)?;
        let (file, document) = self.files.get(place.file)?;
        Some((file.rule.get(place.rule)?, document, element("rule", place.rule)))
    }

    /// Where something is wrong, what follows from it would only hide it.
    fn hold_against_messages(&self, problems: &mut Problems) {
        if problems.has_errors() {
            return;
        }
        for index in 0..self.places.len() {
            let Some((rule, document, at)) = self.written(index) else { continue };
            let report = &mut Report { document, problems };
            if rule.hits.is_empty() {
                report.warning(&at, format!("`{}` has no `hits`: nobody knows whether it finds anything", rule.symbol));
            }
        }
        for (index, key, reason) in self.all_failures() {
            let Some((_, document, _)) = self.written(index) else { continue };
            Report { document, problems }.error(&key, reason);
        }
    }

    /// Rules that nobody has held against their messages yet: not those that are as they were compiled in, which
    /// our own tests have, unless a map that they read is another.
    fn untested(&self) -> Vec<usize> {
        let known = |texts: &[(&str, &str)], source: &Source| texts.iter().any(|(_, text)| *text == source.text);
        let maps = self.sources.iter().skip(self.files.len());
        let are_maps_ours = maps.clone().all(|map| known(MAPS, map));
        let is_untested = |place: &Place| {
            let file = self.files.get(place.file).map(|(_, document)| &document.source);
            !are_maps_ours || !file.is_some_and(|file| known(RULE_FILES, file))
        };
        let places = self.places.iter().enumerate();
        places.filter(|(_, place)| is_untested(place)).map(|(index, _)| index).collect()
    }

    /// The failures of all rules, in their order. Whoever starts or reloads waits for it: all processors work on it.
    fn all_failures(&self) -> Vec<(usize, String, String)> {
        let rules = self.untested();
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let of = |rules: &[usize]| -> Vec<(usize, String, String)> {
            let failures = |rule: &usize| {
                let found = self.failures(*rule).into_iter();
                found.map(|(key, reason)| (*rule, key, reason)).collect::<Vec<_>>()
            };
            rules.iter().flat_map(failures).collect()
        };
        std::thread::scope(|scope| {
            let chunks = rules.chunks(rules.len().div_ceil(threads).max(1));
            let running: Vec<_> = chunks.map(|chunk| scope.spawn(move || of(chunk))).collect();
            running.into_iter().flat_map(|thread| thread.join().expect("judging does not panic")).collect()
        })
    }

    /// The messages of one rule that it judges otherwise than they say: each with its key and why.
    fn failures(&self, index: usize) -> Vec<(String, String)> {
        let Some((rule, _, at)) = self.written(index) else { return Vec::new() };
        let mut failures = Vec::new();
        for (name, texts, wanted) in [("hits", &rule.hits, true), ("misses", &rule.misses, false)] {
            for (place, text) in texts.iter().enumerate() {
                let why = match Sample::parse(text) {
                    Err(why) => Some(why),
                    Ok(sample) => self.disagreement(index, &sample, wanted),
                };
                failures.extend(why.map(|why| (element(&join(&at, name), place), why)));
            }
        }
        failures
    }

    /// Why a rule does not judge a message as it should; `None` if it does.
    fn disagreement(&self, index: usize, sample: &Sample, wanted: bool) -> Option<String> {
        let (rule, _, _) = self.written(index)?;
        match (self.set.judge_one(index, &sample.view()), wanted) {
            (Ok(_), true) | (Err(_), false) => None,
            (Ok(evidence), false) => Some(format!("`{}` finds this message: {evidence}", rule.symbol)),
            (Err(obstacles), true) => {
                let places = judging::places(rule, "");
                let name = |at: &usize| places.get(*at).cloned().unwrap_or_default();
                let names: Vec<String> = obstacles.iter().map(name).collect();
                Some(format!("`{}` does not find this message, because of {}", rule.symbol, names.join(", ")))
            }
        }
    }

    /// Holds every rule against its own messages.
    pub fn test(&self) -> Vec<Tested> {
        let tested = |index: usize| {
            let (rule, document, at) = self.written(index)?;
            let begin = Instant::now();
            let failures = self.failures(index);
            let shown = failures.into_iter().map(|(key, why)| format!("line {}: {why}", line(document, &key)));
            Some(Tested {
                path: document.source.path.clone(),
                line: line(document, &join(&at, "symbol")),
                symbol: self.set.rule(index)?.symbol.clone(),
                messages: (rule.hits.len(), rule.misses.len()),
                failures: shown.collect(),
                took: begin.elapsed(),
            })
        };
        (0..self.places.len()).filter_map(tested).collect()
    }

    /// The rules, for people.
    pub fn listed(&self) -> Vec<Listed> {
        let listed = |(index, rule): (usize, &Rule)| {
            let (written, document, at) = self.written(index)?;
            Some(Listed {
                path: document.source.path.clone(),
                line: line(document, &join(&at, "symbol")),
                symbol: rule.symbol.clone(),
                description: rule.description.clone(),
                shadow: rule.shadow,
                stage: if rule.is_of_envelope() { Stage::Mail } else { Stage::Message },
                conditions: rule.conditions().map(|condition| condition.target.to_string()).collect(),
                messages: (written.hits.len(), written.misses.len()),
            })
        };
        self.set.rules().enumerate().filter_map(listed).collect()
    }

    /// The rules with the messages that stand beside them.
    pub fn samples(&self) -> impl Iterator<Item = (&Rule, Samples)> {
        self.set.rules().enumerate().filter_map(|(index, rule)| {
            let (written, _, _) = self.written(index)?;
            let parse = |texts: &[String]| texts.iter().filter_map(|text| Sample::parse(text).ok()).collect();
            Some((rule, Samples { hits: parse(&written.hits), misses: parse(&written.misses) }))
        })
    }

    /// Every text that it was made of.
    pub(super) fn sources(&self) -> &[Arc<Source>] {
        &self.sources
    }

    /// Says of a rule, by its symbol, what is wrong with it.
    pub(super) fn error(&self, symbol: &Symbol, reason: String, problems: &mut Problems) {
        let place = self.set.rules().position(|rule| rule.symbol == *symbol);
        if let Some((_, document, at)) = place.and_then(|index| self.written(index)) {
            Report { document, problems }.error(&join(&at, "symbol"), reason);
        }
    }
}

impl Maps<'_> {
    /// Path and text of a map.
    fn text(&mut self, name: &str) -> Result<(String, String), String> {
        let compiled = MAPS.iter().find(|(known, _)| *known == name);
        let compiled = compiled.map(|(name, text)| (format!("rules/{name} (compiled in)"), (*text).to_owned()));
        match self {
            Self::CompiledIn => compiled.ok_or_else(|| format!("there is no map `{name}` among those compiled in")),
            Self::Directory(directory, files) => {
                let path = files.of_rules(directory, name);
                files.is_named_by_rules(directory, &path);
                match compiled {
                    Some(compiled) if !path.exists() => {
                        // It may come; where there is no directory, nobody can wait for it.
                        if path.parent().is_some_and(Path::is_dir) {
                            files.miss(&path);
                        }
                        Ok(compiled)
                    }
                    _ => files.read(&path).map(|text| (path.display().to_string(), text)),
                }
            }
        }
    }
}

/// The line where the value of a key stands.
fn line(document: &Document, key: &str) -> usize {
    document.source.line_column(document.value_span(key).unwrap_or_default().start).0
}

fn compiled_in(name: &str, text: &str) -> Arc<Source> {
    Source::new(format!("rules/{name} (compiled in)"), text)
}

/// Names of the rule files in a directory, sorted.
fn rule_files(directory: &Path, fixed: &[&str]) -> Result<BTreeSet<String>, String> {
    let cannot = |why: std::io::Error| format!("cannot read {}: {why}", directory.display());
    let mut names = BTreeSet::new();
    for entry in std::fs::read_dir(directory).map_err(cannot)? {
        let name = entry.map_err(cannot)?.file_name().to_string_lossy().into_owned();
        // Editors leave hidden files behind.
        if name.ends_with(".toml") && !name.starts_with('.') && !fixed.contains(&&*name) {
            names.insert(name);
        }
        if names.len() > MAX_FILES {
            return Err(format!("{} has more than {MAX_FILES} rule files", directory.display()));
        }
    }
    Ok(names)
}

fn read_map(name: &str, source: &Arc<Source>, problems: &mut Problems) -> Map {
    let mut report = |at: std::ops::Range<usize>, reason: String| {
        problems.push(Problem::at(source, Some(at), "", reason));
    };
    let map = Map::read(name, &source.text, &mut |broken| report(broken.at..broken.at + broken.length, broken.reason));
    for pattern in map.patterns() {
        if let Err(why) = Builder::new().add(&Expression::regex(pattern)) {
            let written = pattern.trim_start_matches("(?i)");
            let at = source.text.find(written).unwrap_or(0);
            report(at..at + written.len(), why.to_string());
        }
    }
    map
}

#[cfg(test)]
mod tests;
