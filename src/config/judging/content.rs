//! Rule files: what is meant.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::super::Content;
use super::super::problem::{Problems, Report, nearest};
use super::super::raw::rules as written;
use super::super::source::{element, join};
use crate::checks::rules::condition::{
    AddressPart, AttachmentPart, Condition, EnvelopePart, LinkPart, Matcher, MimePart, ORIGINS, RawPart, TRICKS,
    Target, TextPart, Whose,
};
use crate::checks::rules::structure::Fact;
use crate::checks::rules::{EnvelopeRules, Map, MessageRules, Phase, Rule, Set};
use crate::checks::{Registry, dnsbl};
use crate::scoring::{CheckName, Symbol};

/// Keys that say where to look.
const TARGETS: [&str; 9] = ["header", "address", "envelope", "text", "raw", "link", "attachment", "mime", "structure"];
/// Keys that say what for.
const MATCHERS: [&str; 6] = ["exists", "regex", "phrases", "map", "equals", "same_as"];
/// Conditions of one rule at most.
const MAX_CONDITIONS: usize = 100;

/// Adds the checks of the rules; no other check finds what they find.
pub(super) fn add(content: &Content, shared: &dnsbl::Shared, registry: &mut Registry, problems: &mut Problems) {
    let set = &content.set;
    let taken: Vec<(Symbol, CheckName)> = set
        .rules()
        .filter_map(|rule| registry.symbols().get_key_value(&rule.symbol))
        .map(|(symbol, owner)| (symbol.clone(), owner.clone()))
        .collect();
    for (symbol, owner) in &taken {
        content.error(symbol, format!("`{symbol}` is what the check `{owner}` finds: take another name"), problems);
    }
    if !taken.is_empty() {
        return;
    }
    let added = [
        set.symbols(Phase::Envelope).next().map(|_| registry.add(EnvelopeRules::new(set.clone()))),
        set.symbols(Phase::Message)
            .next()
            .map(|_| registry.add(MessageRules::new(set.clone(), shared.client_names.clone()))),
    ];
    // Whatever could collide was looked at.
    debug_assert!(added.into_iter().flatten().all(|added| added.is_ok()), "names of the checks of rules are theirs");
}

/// Symbols of rules that count in shadow only.
pub(super) fn shadow(set: &Set) -> BTreeSet<Symbol> {
    set.rules().filter(|rule| rule.shadow).map(|rule| rule.symbol.clone()).collect()
}

/// Where conditions of a rule stand, in the order in which a rule counts them.
pub(in crate::config) fn places(rule: &written::Rule, at: &str) -> Vec<String> {
    let lists = [("all", rule.all.len()), ("any", rule.any.len()), ("none", rule.none.len())];
    let of = |(name, len): (&str, usize)| {
        let list = join(at, name);
        (0..len).map(move |index| element(&list, index)).collect::<Vec<_>>()
    };
    lists.into_iter().flat_map(of).collect()
}

/// One rule, if it makes sense. `maps` knows the files that rules name; with `is_whole` false, something
/// that stood there was taken out already.
pub(in crate::config) fn rule(
    written: &written::Rule,
    at: &str,
    maps: &dyn Fn(&str) -> Option<Arc<Map>>,
    is_whole: bool,
    report: &mut Report<'_>,
) -> Option<Rule> {
    let symbol = if written.symbol.is_empty() && !report.document.has(&join(at, "symbol")) {
        None
    } else {
        report.take(&join(at, "symbol"), Symbol::new(&written.symbol))
    };
    if written.description.trim().is_empty() && report.document.has(&join(at, "description")) {
        report.error(&join(at, "description"), "is empty: say in one line what it means");
    }
    let count = written.all.len() + written.any.len() + written.none.len();
    if count == 0 && is_whole {
        report.error(at, "has no condition: write `all`, `any` or `none`");
    }
    if count > MAX_CONDITIONS {
        report.error(at, format!("has {count} conditions: {MAX_CONDITIONS} at most"));
    }
    let mut part = |name: &str, list: &[written::Condition]| -> Option<Vec<Condition>> {
        let at = join(at, name);
        let mut whole = Some(Vec::with_capacity(list.len()));
        for (index, one) in list.iter().enumerate() {
            let mut reader = Reader { written: one, at: element(&at, index), is_whole, report };
            match (reader.condition(maps), &mut whole) {
                (Some(condition), Some(list)) => list.push(condition),
                _ => whole = None,
            }
        }
        whole
    };
    let (all, any, none) = (part("all", &written.all), part("any", &written.any), part("none", &written.none));
    let description = written.description.trim().to_owned();
    Some(Rule { symbol: symbol?, description, shadow: written.shadow, all: all?, any: any?, none: none? })
}

/// One condition and where it stands.
struct Reader<'a, 'r> {
    written: &'a written::Condition,
    at: String,
    is_whole: bool,
    report: &'a mut Report<'r>,
}

impl Reader<'_, '_> {
    fn condition(&mut self, maps: &dyn Fn(&str) -> Option<Arc<Map>>) -> Option<Condition> {
        let target = self.target();
        let matcher = self.matcher(target.as_ref(), maps);
        self.bounds();
        if let Some(target) = &target {
            self.strangers(target);
        }
        let (target, matcher) = (target?, matcher?);
        let written = self.written;
        let negated = written.not != (written.exists == Some(false));
        Some(Condition { target, matcher, at_least: written.at_least, at_most: written.at_most, negated })
    }

    fn key(&self, name: &str) -> String {
        join(&self.at, name)
    }

    fn error(&mut self, name: &str, reason: impl Into<String>) {
        let key = self.key(name);
        self.report.error(&key, reason);
    }

    /// The word of `name`, or a problem with the nearest one that means something.
    fn word<T>(&mut self, name: &str, word: &str, of: impl Fn(&str) -> Option<T>, known: &[String]) -> Option<T> {
        let found = of(word);
        if found.is_none() {
            let near = nearest(word, known.iter().map(String::as_str));
            let reason = match near {
                None if known.len() <= 12 => format!("`{word}` means nothing: there are {}", known.join(", ")),
                _ => format!("`{word}` means nothing here"),
            };
            let key = self.key(name);
            self.report.error_near(&key, reason, near);
        }
        found
    }

    fn target(&mut self) -> Option<Target> {
        let written = self.written;
        let has = |name: &&str| self.report.document.has(&join(&self.at, name));
        let mut named: Vec<&str> = TARGETS.into_iter().filter(has).collect();
        if matches!(written.raw, Some(written::Raw::Flag(_))) {
            named.retain(|name| *name != "raw");
        }
        match &named[..] {
            [one] => self.target_of(one),
            [] => {
                if self.is_whole {
                    let at = self.at.clone();
                    self.report.error(&at, format!("does not say where to look: write one of {}", TARGETS.join(", ")));
                }
                None
            }
            [first, second, ..] => {
                let reason = format!("cannot stand beside `{first}`: a condition looks at one thing");
                self.error(second, reason);
                None
            }
        }
    }

    fn target_of(&mut self, name: &str) -> Option<Target> {
        let written = self.written;
        let word = |word: &Option<String>| word.clone().unwrap_or_default();
        macro_rules! of_words {
            ($words:ident, $word:expr) => {{
                let known: Vec<String> = $words::ALL.iter().map(ToString::to_string).collect();
                self.word(name, $word, $words::of_word, &known)
            }};
        }
        Some(match name {
            "header" => self.header()?,
            "address" => {
                let of = of_words!(Whose, &word(&written.address));
                let part = self.address_part();
                Target::Address { of: of?, part: part? }
            }
            "envelope" => Target::Envelope(of_words!(EnvelopePart, &word(&written.envelope))?),
            "text" => Target::Text(of_words!(TextPart, &word(&written.text))?),
            "raw" => {
                let Some(written::Raw::Part(part)) = &written.raw else { return None };
                Target::Raw(of_words!(RawPart, part)?)
            }
            "link" => {
                let part = of_words!(LinkPart, &word(&written.link));
                let origin = self.chosen("origin", written.origin.as_deref(), ORIGINS);
                let trick = self.chosen("trick", written.trick.as_deref(), TRICKS);
                Target::Link { part: part?, origin: origin?, trick: trick? }
            }
            "attachment" => Target::Attachment(of_words!(AttachmentPart, &word(&written.attachment))?),
            "mime" => Target::Mime(of_words!(MimePart, &word(&written.mime))?),
            _ => {
                let known: Vec<String> = Fact::words().map(|(word, _)| word).collect();
                Target::Structure(self.word(name, &word(&written.structure), Fact::of_word, &known)?)
            }
        })
    }

    fn header(&mut self) -> Option<Target> {
        let names = self.written.header.as_ref().map(|names| names.0.clone()).unwrap_or_default();
        let mut lower: Vec<Arc<str>> = Vec::new();
        for name in &names {
            let name = name.trim_end_matches(':').to_ascii_lowercase();
            if name.is_empty() || (!name.bytes().all(|octet| octet.is_ascii_graphic() && octet != b':')) {
                self.error("header", format!("`{name}` is no name of a header field"));
                return None;
            }
            lower.push(name.into());
        }
        if lower.is_empty() {
            self.error("header", "names no field: write `*` for all of them");
            return None;
        }
        let is_any = lower.iter().any(|name| &**name == "*");
        if is_any && lower.len() > 1 {
            self.error("header", "`*` is every field: no other name may stand beside it");
        }
        if is_any {
            lower.clear();
        }
        lower.sort();
        lower.dedup();
        Some(Target::Header { names: lower, raw: self.written.raw == Some(written::Raw::Flag(true)) })
    }

    fn address_part(&mut self) -> Option<AddressPart> {
        let Some(part) = self.written.part.clone() else { return Some(AddressPart::Address) };
        let known: Vec<String> = AddressPart::ALL.iter().map(ToString::to_string).collect();
        self.word("part", &part, AddressPart::of_word, &known)
    }

    /// `Some(None)` where nothing was written.
    fn chosen<T: Copy>(&mut self, name: &str, word: Option<&str>, table: &[(&str, T)]) -> Option<Option<T>> {
        let Some(word) = word else { return Some(None) };
        let known: Vec<String> = table.iter().map(|(name, _)| (*name).to_owned()).collect();
        let of = |word: &str| table.iter().find(|(name, _)| *name == word).map(|(_, one)| *one);
        self.word(name, word, of, &known).map(Some)
    }

    fn matcher(&mut self, target: Option<&Target>, maps: &dyn Fn(&str) -> Option<Arc<Map>>) -> Option<Matcher> {
        let written = self.written;
        let named: Vec<&str> = MATCHERS.into_iter().filter(|name| self.report.document.has(&self.key(name))).collect();
        if let [first, second, ..] = &named[..] {
            let reason = format!("cannot stand beside `{first}`: a condition has one matcher");
            self.error(second, reason);
            return None;
        }
        if let (Some(Target::Structure(_)), Some(name)) = (target, named.first()) {
            self.error(name, "has no meaning for a number: write at_least or at_most");
            return None;
        }
        match named.first().copied() {
            Some("regex") => written.regex.clone().map(Matcher::Regex),
            Some("phrases") => self.several("phrases", written.phrases.as_ref()).map(Matcher::Phrases),
            Some("equals") => self.several("equals", written.equals.as_ref()).map(Matcher::Equals),
            Some("map") => self.map(target, written.map.as_deref().unwrap_or_default(), maps),
            Some("same_as") => self.same_as(target),
            Some(_) => Some(Matcher::Anything),
            None => {
                let is_flag = match target {
                    Some(Target::Structure(_)) => true,
                    Some(Target::Attachment(part)) => part.is_flag(),
                    _ => written.at_least.is_some() || written.at_most.is_some(),
                };
                if !is_flag && target.is_some() && self.is_whole {
                    let at = self.at.clone();
                    self.report
                        .error(&at, format!("does not say what to look for: write one of {}", MATCHERS.join(", ")));
                }
                (is_flag || target.is_none()).then_some(Matcher::Anything)
            }
        }
    }

    fn several(&mut self, name: &str, words: Option<&written::Words>) -> Option<Vec<String>> {
        let words = words.map(|words| words.0.clone()).unwrap_or_default();
        if words.is_empty() {
            self.error(name, "is empty");
            return None;
        }
        Some(words)
    }

    fn map(&mut self, target: Option<&Target>, name: &str, maps: &dyn Fn(&str) -> Option<Arc<Map>>) -> Option<Matcher> {
        // A map that is not there was reported where it was looked for.
        let map = maps(name)?;
        if target.is_some_and(Target::is_text) && map.len() > map.patterns().len() {
            self.error("map", format!("{name} has entries that are no patterns: in a text only /patterns/ are found"));
        }
        Some(Matcher::Map(map))
    }

    fn same_as(&mut self, target: Option<&Target>) -> Option<Matcher> {
        let written = self.written.same_as.clone().unwrap_or_default();
        let Some(Target::Address { part, .. }) = target else {
            if target.is_some() {
                self.error("same_as", "has a meaning beside `address` only");
            }
            return None;
        };
        let known: Vec<String> = Whose::ALL.iter().map(ToString::to_string).collect();
        let of = self.word("same_as", &written, Whose::of_word, &known)?;
        Some(Matcher::SameAs(Box::new(Target::Address { of, part: *part })))
    }

    fn bounds(&mut self) {
        if let (Some(least), Some(most)) = (self.written.at_least, self.written.at_most)
            && least > most
        {
            self.error("at_least", format!("is more than `at_most` ({most}): this never holds"));
        }
        if self.written.at_least == Some(0) && self.written.at_most.is_none() {
            self.error("at_least", "0 always holds: write at_most, or leave it out");
        }
    }

    /// Keys that say nothing about such a target.
    fn strangers(&mut self, target: &Target) {
        let is_address = matches!(target, Target::Address { .. });
        let is_link = matches!(target, Target::Link { .. });
        let flag = matches!(self.written.raw, Some(written::Raw::Flag(_)));
        let is_raw = flag && !matches!(target, Target::Header { .. });
        let home = [("part", is_address, "address"), ("origin", is_link, "link"), ("trick", is_link, "link")];
        for (name, belongs, beside) in home {
            if !belongs && self.report.document.has(&self.key(name)) {
                self.error(name, format!("has a meaning beside `{beside}` only"));
            }
        }
        if is_raw {
            self.error("raw", "true has a meaning beside `header` only");
        }
    }
}
