//! One message against all rules.

use std::cell::RefCell;

use super::evals::Context;
use super::interval::Interval;
use super::mail::Part;
use super::message::{Envelope, Read};
use super::request;
use super::set::{Found, Group, HeaderGroup, RuleSet, is_inner};
use crate::pattern::{Budget, Texts};

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

/// A message such as there are many.
const USUAL: &[u8] = b"Return-Path: <a@example.org>\n\
    Received: from mx.example.org (mx.example.org [192.0.2.1])\n\tby here.example.org (Postfix) with ESMTPS id 4F2A1\n\
    \tfor <b@example.net>; Thu, 3 Oct 2002 10:00:00 +0000\nFrom: \"Ann Example\" <a@example.org>\nTo: b@example.net\n\
    Subject: =?utf-8?q?Your_order?= of today\nDate: Thu, 3 Oct 2002 09:59:58 +0000\nMessage-ID: <1@mx.example.org>\n\
    MIME-Version: 1.0\nContent-Type: multipart/alternative; boundary=\"b\"\n\n--b\n\
    Content-Type: text/plain; charset=utf-8\n\nDear Bob,\n\nthank you for your order at http://www.example.org/1.\n\
    --b\nContent-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n\
    <html><body><p>Dear <b>Bob</b>,</p><p><a href=3D\"https://www.example.org/1\">your order</a></p></body></html>\n\
    --b--\n";

impl RuleSet {
    /// Compiles what every message needs, so that the first one does not wait for it: as long as `budget` lasts.
    pub fn warm(&self, budget: &mut Budget) {
        self.hits(USUAL, &Envelope::default(), 0, budget);
    }

    /// The rules that hit `message`, in the order of their names; `now` is in seconds since 1970.
    ///
    /// Where the budget ends, rules are uncertain that were not run to their end: they do not hit, and neither do those
    /// that hang on whether they do.
    pub fn hits(&self, message: &[u8], envelope: &Envelope, now: i64, budget: &mut Budget) -> Vec<Hit<'_>> {
        let read = Read::of(message, envelope, now, budget);
        // What code tells of a page that was not read to its end is uncertain.
        let is_whole = !budget.ran_out();
        let rules = self.rules.len();
        let mut counts = Counts { set: self, counts: vec![0; rules], uncertain: vec![false; rules] };
        for header in &self.headers {
            counts.field(header, request::value(&read, &header.request), budget);
        }
        for (rule, request, negated) in &self.exists {
            if request::value(&read, request).is_some() != *negated {
                counts.add(*rule, 1);
            }
        }
        counts.texts(
            &self.body,
            &read.texts.body.iter().map(Vec::as_slice).collect(),
            read.texts.subject_lines,
            budget,
        );
        counts.texts(&self.raw_body, &read.texts.raw.iter().map(Vec::as_slice).collect(), 0, budget);
        counts.texts(&self.full, &[&*read.mail.octets].into_iter().collect(), 0, budget);
        counts.texts(&self.uri, &read.uris.iter().map(String::as_bytes).collect(), 0, budget);
        for header in &self.mime_headers {
            counts.mime_header(header, &read, budget);
        }
        for eval in &self.evals {
            let before = budget.stopped();
            let (pattern, kept) = (eval.pattern.as_ref(), RefCell::new(&mut *budget));
            let context = Context { read: &read, settings: &self.settings, pattern, budget: kept };
            let holds = (eval.eval)(&context, &eval.arguments);
            match holds {
                true if is_whole => counts.add(eval.rule, 1),
                _ => counts.uncertain[eval.rule] |= !is_whole || budget.stopped() > before,
            }
        }
        let mut stack = Vec::new();
        for (rule, meta) in &self.metas {
            counts.take_value(*rule, meta.value(&mut stack, &mut |rule| counts.interval(*rule)));
        }
        let found = self.rules.iter().zip(&counts.counts).filter(|(_, count)| **count > 0);
        found.map(|(rule, count)| Hit { name: &rule.name, count: *count, is_inner: is_inner(&rule.name) }).collect()
    }
}

struct Counts<'r> {
    set: &'r RuleSet,
    counts: Vec<u32>,
    /// Rules that may hit, for all that is known: they were not run to their end.
    uncertain: Vec<bool>,
}

impl Counts<'_> {
    fn add(&mut self, rule: usize, count: u32) {
        let limit = self.set.rules[rule].limit;
        self.counts[rule] = self.counts[rule].saturating_add(count).min(limit);
    }

    /// How often a rule hits, at least and at most; one that does not run never does.
    fn interval(&self, rule: Option<usize>) -> Interval {
        let Some(rule) = rule else { return Interval::of(0.0) };
        let count = f64::from(self.counts[rule]);
        match self.uncertain[rule] {
            true => Interval::between(count, f64::from(self.set.rules[rule].limit).max(count)),
            false => Interval::of(count),
        }
    }

    /// What a rule over others comes to. One of which it cannot be told whether that is nothing is uncertain, and does
    /// not hit.
    fn take_value(&mut self, rule: usize, value: Interval) {
        if value.may_be_zero() {
            self.uncertain[rule] |= !value.is_zero();
            return;
        }
        let is_counted = self.set.rules[rule].limit > 1;
        self.add(rule, if is_counted { value.least().clamp(1.0, 1e6) as u32 } else { 1 });
        self.uncertain[rule] |= is_counted && !value.is_certain();
    }

    /// Rules about texts, of which the first so many are of the subject.
    fn texts(&mut self, group: &Group, texts: &Texts, subjects: usize, budget: &mut Budget) {
        let set = self.set;
        let stopped = group.patterns.matches_in(texts, budget, &mut |id, text, count| {
            let rule = group.rules[id.index()];
            let compiled = &set.rules[rule];
            if text >= subjects || !compiled.without_subject {
                self.add(rule, u32::try_from(count).unwrap_or(u32::MAX));
            }
            self.counts[rule] < compiled.limit
        });
        for id in stopped {
            self.uncertain[group.rules[id.index()]] = true;
        }
    }

    fn field(&mut self, header: &HeaderGroup, value: Option<Vec<u8>>, budget: &mut Budget) {
        let Some(value) = value else {
            // A field that is not there is an empty text: even `!~` and `^$` have something to say about it, always the
            // same.
            let found = header.if_absent.get_or_init(|| header.found([&*header.unset()], &mut Budget::default()));
            return self.take(found);
        };
        self.take(&header.found([&*value], budget));
    }

    fn take(&mut self, found: &Found) {
        for (rule, count) in &found.hits {
            self.add(*rule, *count);
        }
        for rule in &found.uncertain {
            self.uncertain[*rule] = true;
        }
    }

    fn mime_header(&mut self, header: &HeaderGroup, read: &Read<'_>, budget: &mut Budget) {
        let (name, is_raw) = match header.request.strip_suffix(":raw") {
            Some(name) => (name, true),
            None => (header.request.as_str(), false),
        };
        let value = |part: &Part| match part.last(name) {
            _ if name == "ALL" => request::all(&part.fields, is_raw),
            Some(field) if is_raw => field.raw.clone(),
            Some(field) => field.value.clone(),
            None => header.unset(),
        };
        let values: Vec<Vec<u8>> = read.mail.parts.iter().map(value).collect();
        self.take(&header.found(values.iter().map(Vec::as_slice), budget));
    }
}

impl HeaderGroup {
    /// What stands for a field that is not there.
    fn unset(&self) -> Vec<u8> {
        self.if_unset.iter().flat_map(|text| text.chars()).map(|c| c as u32 as u8).collect()
    }

    /// What these values say.
    fn found<'v>(&self, values: impl IntoIterator<Item = &'v [u8]>, budget: &mut Budget) -> Found {
        let mut hits: Vec<(usize, u32)> = Vec::new();
        let texts = values.into_iter().collect();
        let stopped = self.group.patterns.matches_in(&texts, budget, &mut |id, _, count| {
            hits.push((self.group.rules[id.index()], u32::try_from(count).unwrap_or(u32::MAX)));
            true
        });
        let uncertain: Vec<usize> = stopped.into_iter().map(|id| self.group.rules[id.index()]).collect();
        let misses = self.negated.iter().filter(|rule| !hits.iter().any(|(hit, _)| hit == *rule));
        let misses: Vec<_> = misses.filter(|rule| !uncertain.contains(rule)).map(|rule| (*rule, 1)).collect();
        hits.retain(|(rule, _)| !self.negated.contains(rule));
        hits.extend(misses);
        Found { hits, uncertain }
    }
}
