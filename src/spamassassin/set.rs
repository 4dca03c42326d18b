//! All rules, compiled: what runs, and what does not and why.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use super::evals::{self, Eval};
use super::meta::Expression as Meta;
use super::perl;
use super::reader::{Open, Problem, Settings};
use super::replace::replaced;
use super::rule::{Kind, Rule, Test};
use crate::pattern::{Builder, Expression, PatternId, Patterns};

/// Matches of one rule in one text that are counted.
const MATCHES_MOST: usize = 1_000;

/// Rules that run.
#[derive(Debug, Default)]
pub struct RuleSet {
    pub(super) rules: Vec<Compiled>,
    pub(super) by_name: BTreeMap<String, usize>,
    /// Fields that rules are about, each with its patterns.
    pub(super) headers: Vec<HeaderGroup>,
    pub(super) mime_headers: Vec<HeaderGroup>,
    pub(super) exists: Vec<(usize, String, bool)>,
    pub(super) body: Group,
    pub(super) raw_body: Group,
    pub(super) full: Group,
    pub(super) uri: Group,
    pub(super) evals: Vec<EvalRule>,
    /// In an order in which each comes behind those that it needs.
    pub(super) metas: Vec<(usize, Meta<Option<usize>>)>,
    pub(super) settings: Settings,
    unsupported: Vec<Unsupported>,
    idle: Vec<String>,
}

/// One rule that runs.
#[derive(Debug)]
pub(super) struct Compiled {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) limit: u32,
    pub(super) without_subject: bool,
}

/// Patterns that read the same text.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) patterns: Patterns,
    /// The rule of each pattern.
    pub(super) rules: Vec<usize>,
}

/// Rules about one request.
#[derive(Debug)]
pub(super) struct HeaderGroup {
    pub(super) request: String,
    pub(super) if_unset: Option<String>,
    pub(super) group: Group,
    /// Rules that hit where their pattern does not match.
    pub(super) negated: BTreeSet<usize>,
    /// What is found where there is no such field.
    pub(super) if_absent: OnceLock<Found>,
}

/// What some values say.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Rules that hit, and how often.
    pub(super) hits: Vec<(usize, u32)>,
    /// Rules that were not run to their end.
    pub(super) uncertain: Vec<usize>,
}

/// A rule that is code.
#[derive(Debug)]
pub(super) struct EvalRule {
    pub(super) rule: usize,
    pub(super) eval: Eval,
    pub(super) arguments: Vec<String>,
    pub(super) pattern: Option<(Patterns, PatternId)>,
}

/// A rule that does not run.
#[derive(Clone, Debug, PartialEq)]
pub struct Unsupported {
    /// Its name.
    pub name: String,
    /// What it would read.
    pub kind: Kind,
    /// Why it does not run.
    pub reason: String,
    /// What it weighs.
    pub score: f64,
}

/// What became of the files.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Rules that run and rules that there are, by what they read.
    pub kinds: BTreeMap<Kind, (usize, usize)>,
    /// Rules that do not run.
    pub unsupported: Vec<Unsupported>,
    /// Rules of lists in which nothing stands: they cannot hit.
    pub idle: Vec<String>,
    /// Points of all rules that become symbols, and of those that do not run: sums of sizes.
    pub mass: f64,
    /// See `mass`.
    pub lost: f64,
    /// Settings that mean nothing here, and how often they stand.
    pub ignored: BTreeMap<String, usize>,
    /// Lines that are not understood.
    pub problems: Vec<Problem>,
    /// Patterns that need the backtracking engine.
    pub backtracking: usize,
    /// Patterns that run on every text.
    pub unfiltered: usize,
    /// Octets of memory, about.
    pub octets: usize,
}

/// Patterns that are being collected.
struct Collected {
    builder: Builder,
    rules: Vec<usize>,
    negated: BTreeSet<usize>,
}

impl Default for Collected {
    fn default() -> Self {
        Self { builder: Builder::lazy(), rules: Vec::new(), negated: BTreeSet::new() }
    }
}

impl Collected {
    fn group(self) -> Group {
        Group { patterns: self.builder.build(), rules: self.rules }
    }
}

impl RuleSet {
    /// Reads files, in their order; `open` reads what they include.
    pub fn read(files: &[(String, Vec<u8>)], open: Open<'_>) -> Self {
        let mut settings = Settings::default();
        for (name, octets) in files {
            settings.read(name, octets, open);
        }
        Self::compile(settings)
    }

    fn compile(settings: Settings) -> Self {
        let mut set = Self::default();
        let mut plain: BTreeMap<Kind, Collected> = BTreeMap::new();
        let mut fields: BTreeMap<(Kind, String, Option<String>), Collected> = BTreeMap::new();
        let mut metas: BTreeMap<String, Meta> = BTreeMap::new();
        for (name, rule) in &settings.rules {
            if !is_inner(name) && settings.score_of(name) == 0.0 {
                continue;
            }
            if let Ok(Test::Eval { function, arguments }) = &rule.test
                && evals::is_idle(function, arguments, &settings)
            {
                set.idle.push(name.clone());
                continue;
            }
            let flags = settings.flags.get(name).cloned().unwrap_or_default();
            let index = set.rules.len();
            let added = match &rule.test {
                Err(reason) => Err(reason.clone()),
                Ok(Test::Meta(meta)) => {
                    metas.insert(name.clone(), meta.clone());
                    Ok(())
                }
                Ok(Test::Exists { request, negated }) => {
                    set.exists.push((index, request.clone(), *negated));
                    Ok(())
                }
                Ok(Test::Eval { function, arguments }) => set.add_eval(index, function, arguments),
                Ok(Test::Match { request, body, flags: letters, negated, if_unset }) => {
                    let is_field = matches!(rule.kind, Kind::Header | Kind::MimeHeader);
                    let collected = if is_field {
                        fields.entry((rule.kind, request.clone(), if_unset.clone())).or_default()
                    } else {
                        plain.entry(rule.kind).or_default()
                    };
                    if *negated {
                        collected.negated.insert(index);
                    }
                    let body = if settings.replaced.contains(name) { replaced(body, &settings) } else { body.clone() };
                    let most = flags.limit().min(MATCHES_MOST as u32) as usize;
                    add_pattern(collected, index, &body, letters, most)
                }
            };
            match added {
                Ok(()) => {
                    set.by_name.insert(name.clone(), index);
                    set.rules.push(Compiled {
                        name: name.clone(),
                        kind: rule.kind,
                        limit: flags.limit(),
                        without_subject: flags.without_subject,
                    });
                }
                Err(reason) => set.refuse(name, rule, reason, settings.score_of(name)),
            }
        }
        for (kind, collected) in plain {
            let group = collected.group();
            match kind {
                Kind::Body => set.body = group,
                Kind::RawBody => set.raw_body = group,
                Kind::Full => set.full = group,
                _ => set.uri = group,
            }
        }
        for ((kind, request, if_unset), mut collected) in fields {
            let negated = std::mem::take(&mut collected.negated);
            let group =
                HeaderGroup { request, if_unset, group: collected.group(), negated, if_absent: OnceLock::new() };
            if kind == Kind::Header { set.headers.push(group) } else { set.mime_headers.push(group) }
        }
        set.order(metas);
        set.settings = settings;
        set
    }

    fn refuse(&mut self, name: &str, rule: &Rule, reason: String, score: f64) {
        self.unsupported.push(Unsupported { name: name.to_owned(), kind: rule.kind, reason, score });
    }

    fn add_eval(&mut self, rule: usize, function: &str, arguments: &[String]) -> Result<(), String> {
        let eval = evals::find(function)?;
        if !evals::knows(function, arguments) {
            return Err(format!("eval:{function}('{}') is not known", arguments.join("', '")));
        }
        let pattern = match evals::pattern_of(function, arguments) {
            Some(text) => {
                let mut builder = Builder::new();
                let text = perl::translated(text, "")?;
                let id = builder.add(&Expression::octets(text)).map_err(|error| error.to_string())?;
                Some((builder.build(), id))
            }
            None => None,
        };
        self.evals.push(EvalRule { rule, eval, arguments: arguments.to_vec(), pattern });
        Ok(())
    }

    /// Puts metas behind those that they need.
    fn order(&mut self, metas: BTreeMap<String, Meta>) {
        let mut done: BTreeSet<&str> = BTreeSet::new();
        let mut waiting: Vec<&String> = metas.keys().collect();
        let mut ordered = Vec::with_capacity(metas.len());
        while !waiting.is_empty() {
            let before = waiting.len();
            waiting.retain(|name| {
                let is_ready = metas[*name].names().all(|other| !metas.contains_key(other) || done.contains(other));
                if is_ready {
                    done.insert(name.as_str());
                    ordered.push((*name).clone());
                }
                !is_ready
            });
            if waiting.len() == before {
                break;
            }
        }
        // What is left needs itself: it counts in the order of names, with what is known then.
        ordered.extend(waiting.into_iter().cloned());
        self.metas = ordered
            .into_iter()
            .filter_map(|name| {
                let meta = metas.get(&name)?.with(|other| self.by_name.get(other).copied());
                Some((*self.by_name.get(&name)?, meta))
            })
            .collect();
    }

    /// The rules that become symbols: name, score and description.
    pub fn symbols(&self) -> impl Iterator<Item = (&str, f64, &str)> {
        self.rules.iter().filter(|rule| !is_inner(&rule.name)).map(|rule| {
            let description = self.settings.descriptions.get(&rule.name).map_or("", String::as_str);
            (rule.name.as_str(), self.settings.score_of(&rule.name), description)
        })
    }

    /// Lines of the files that are not understood.
    pub fn problems(&self) -> &[Problem] {
        &self.settings.problems
    }

    /// Rules that do not run. Compiles what backtracks.
    fn refused(&self) -> Vec<Unsupported> {
        let refused = self.groups().flat_map(|group| {
            group.patterns.refused().map(|(id, reason)| {
                let rule = &self.rules[group.rules[id.index()]];
                let score = self.settings.score_of(&rule.name);
                Unsupported { name: rule.name.clone(), kind: rule.kind, reason, score }
            })
        });
        self.unsupported.iter().cloned().chain(refused).collect()
    }

    /// What became of the files. Takes a while: all that backtracks is compiled.
    pub fn report(&self) -> Report {
        let mut report = Report {
            unsupported: self.refused(),
            idle: self.idle.clone(),
            ignored: self.settings.ignored.clone(),
            problems: self.settings.problems.clone(),
            ..Report::default()
        };
        for rule in &self.rules {
            let entry = report.kinds.entry(rule.kind).or_default();
            entry.0 += 1;
            entry.1 += 1;
            if !is_inner(&rule.name) {
                report.mass += self.settings.score_of(&rule.name).abs();
            }
        }
        let refused = report.unsupported.split_off(self.unsupported.len());
        for rule in &refused {
            report.kinds.entry(rule.kind).or_default().0 -= 1;
            if !is_inner(&rule.name) {
                report.lost += rule.score.abs();
            }
        }
        for rule in &report.unsupported {
            report.kinds.entry(rule.kind).or_default().1 += 1;
            if !is_inner(&rule.name) {
                report.mass += rule.score.abs();
                report.lost += rule.score.abs();
            }
        }
        report.unsupported.extend(refused);
        for group in self.groups() {
            report.backtracking += group.patterns.backtracking();
            report.unfiltered += group.patterns.unfiltered();
            report.octets += group.patterns.octets();
        }
        report
    }

    fn groups(&self) -> impl Iterator<Item = &Group> {
        let fields = self.headers.iter().chain(&self.mime_headers).map(|header| &header.group);
        [&self.body, &self.raw_body, &self.full, &self.uri].into_iter().chain(fields)
    }
}

/// Whether a rule only serves others.
pub(super) fn is_inner(name: &str) -> bool {
    name.starts_with("__")
}

fn add_pattern(collected: &mut Collected, rule: usize, body: &str, letters: &str, most: usize) -> Result<(), String> {
    if body.contains("%{") {
        return Err("it uses what another rule captured".to_owned());
    }
    let text = perl::translated(body, letters)?;
    collected.builder.add(&Expression::octets(text).up_to(most)).map_err(|error| error.to_string())?;
    collected.rules.push(rule);
    Ok(())
}
