//! One message against all rules.

use super::evals::Context;
use super::message::{Envelope, Read};
use super::request;
use super::set::{Group, HeaderGroup, RuleSet, is_inner};
use crate::pattern::{Budget, PatternId};

/// A rule that hit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit<'r> {
    /// Its name.
    pub name: &'r str,
    /// How often; more than once only where it counts.
    pub count: u32,
    /// True for a rule that only serves others.
    pub is_inner: bool,
}

impl RuleSet {
    /// The rules that hit `message`, in the order of their names; `now` is in seconds since 1970.
    pub fn hits(&self, message: &[u8], envelope: &Envelope, now: i64, budget: &mut Budget) -> Vec<Hit<'_>> {
        let read = Read::of(message, envelope, now);
        let mut counts = Counts { set: self, counts: vec![0; self.rules.len()] };
        for header in &self.headers {
            let value = request::value(&read, &header.request);
            counts.field(header, value, budget);
        }
        for (rule, request, negated) in &self.exists {
            if request::value(&read, request).is_some() != *negated {
                counts.add(*rule, 1);
            }
        }
        for (at, line) in read.texts.body.iter().enumerate() {
            counts.text(&self.body, line, at < read.texts.subject_lines, budget);
        }
        for chunk in &read.texts.raw {
            counts.text(&self.raw_body, chunk, false, budget);
        }
        counts.text(&self.full, &read.mail.octets, false, budget);
        for uri in &read.uris {
            counts.text(&self.uri, uri.as_bytes(), false, budget);
        }
        counts.mime_headers(&read, budget);
        for eval in &self.evals {
            let context = Context { read: &read, settings: &self.settings, pattern: eval.pattern.as_ref() };
            if (eval.eval)(&context, &eval.arguments) {
                counts.add(eval.rule, 1);
            }
        }
        for (rule, meta) in &self.metas {
            let value = meta.value(&mut |name| counts.of(name));
            if value != 0.0 {
                let count = if self.rules[*rule].limit > 1 { value.clamp(1.0, 1e6) as u32 } else { 1 };
                counts.add(*rule, count);
            }
        }
        let found = self.rules.iter().zip(&counts.counts).filter(|(_, count)| **count > 0);
        found.map(|(rule, count)| Hit { name: &rule.name, count: *count, is_inner: is_inner(&rule.name) }).collect()
    }
}

struct Counts<'r> {
    set: &'r RuleSet,
    counts: Vec<u32>,
}

impl Counts<'_> {
    fn add(&mut self, rule: usize, count: u32) {
        let limit = self.set.rules[rule].limit;
        self.counts[rule] = self.counts[rule].saturating_add(count).min(limit);
    }

    fn of(&self, name: &str) -> f64 {
        self.set.by_name.get(name).map_or(0.0, |rule| f64::from(self.counts[*rule]))
    }

    fn text(&mut self, group: &Group, text: &[u8], is_subject: bool, budget: &mut Budget) {
        let mut found = Vec::new();
        let is_wanted = |id: PatternId| {
            let rule = group.rules[id.index()];
            let compiled = &self.set.rules[rule];
            self.counts[rule] < compiled.limit && !(is_subject && compiled.without_subject)
        };
        group.patterns.matches_where(text, budget, &is_wanted, &mut |id, _| found.push(group.rules[id.index()]));
        found.into_iter().for_each(|rule| self.add(rule, 1));
    }

    fn field(&mut self, header: &HeaderGroup, value: Option<Vec<u8>>, budget: &mut Budget) {
        let unset = || header.if_unset.as_ref().map(|text| text.chars().map(|c| c as u32 as u8).collect());
        // A field that is not there is an empty text: even `!~` and `^$` have something to say about it.
        let text: Vec<u8> = value.or_else(unset).unwrap_or_default();
        let mut found = Vec::new();
        header.group.patterns.matches(&text, budget, &mut |id, _| found.push(header.group.rules[id.index()]));
        for rule in header.negated.iter().filter(|rule| !found.contains(rule)) {
            self.add(*rule, 1);
        }
        found.into_iter().filter(|rule| !header.negated.contains(rule)).for_each(|rule| self.add(rule, 1));
    }

    fn mime_headers(&mut self, read: &Read<'_>, budget: &mut Budget) {
        for header in &self.set.mime_headers {
            let (name, is_raw) = match header.request.strip_suffix(":raw") {
                Some(name) => (name, true),
                None => (header.request.as_str(), false),
            };
            let mut found = Vec::new();
            for part in &read.mail.parts {
                let value = if name == "ALL" {
                    request::all(&part.fields, is_raw)
                } else {
                    match (part.last(name), &header.if_unset) {
                        (Some(field), _) if is_raw => field.raw.clone(),
                        (Some(field), _) => field.value.clone(),
                        (None, Some(text)) => text.chars().map(|c| c as u32 as u8).collect(),
                        (None, None) => Vec::new(),
                    }
                };
                let rules = &header.group.rules;
                header.group.patterns.matches(&value, budget, &mut |id, _| found.push(rules[id.index()]));
            }
            for rule in header.negated.iter().filter(|rule| !found.contains(rule)) {
                self.add(*rule, 1);
            }
            found.into_iter().filter(|rule| !header.negated.contains(rule)).for_each(|rule| self.add(rule, 1));
        }
    }
}
