//! What flips: by kind, by sender domain, one by one.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::Serialize;

use crate::cli::recorded::{plain, points};
use crate::cli::{Failed, columns};
use crate::pipeline::Replayed;
use crate::records::Record;
use crate::scoring::Symbol;
use crate::verdict::Verdict;

/// Flips that are kept one by one; beyond that they are counted.
const MOST_FLIPS: usize = 100_000;
/// Names of new symbols that are printed.
const SHOWN_SYMBOLS: usize = 12;
/// Ids that are printed of a domain.
const SHOWN_IDS: usize = 2;

/// What becomes of mail, strictest last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::cli) enum Action {
    Forward,
    /// Forwarded with a mark.
    Tag,
    Defer,
    Reject,
}

/// One mail that would be decided otherwise.
#[derive(Clone, Debug, Serialize)]
pub(in crate::cli) struct Flip {
    /// Its id, or its file.
    pub(super) name: String,
    pub(super) domain: String,
    pub(super) was: Action,
    pub(super) now: Action,
    /// Nothing that was not heard then could change it.
    pub(super) is_certain: bool,
    /// Before and after, in hundredths.
    pub(super) score: (i32, Option<i32>),
}

/// All of it.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct Tally {
    rules: String,
    /// Decided again.
    pub(in crate::cli) decided: u64,
    /// Never decided: the client went away, or nobody looks at its mail.
    pub(super) unjudged: u64,
    /// Could not be read, or their rules could not.
    pub(super) unreadable: u64,
    /// By the rules of then, they do not come out as they did.
    pub(super) unreproducible: u64,
    /// By kind: certain ones, and those that depend on checks that were not heard.
    kinds: BTreeMap<String, (u64, u64)>,
    /// Symbols that records cannot know.
    strange: BTreeSet<String>,
    flips: Vec<Flip>,
    #[serde(skip)]
    domains: BTreeMap<String, BTreeMap<(Action, Action), Vec<String>>>,
    new_rejects: u64,
    new_defers: u64,
}

impl Action {
    fn new(verdict: Verdict, tagged: bool) -> Self {
        match verdict {
            Verdict::Forward if tagged => Self::Tag,
            Verdict::Forward => Self::Forward,
            Verdict::Defer => Self::Defer,
            Verdict::Reject => Self::Reject,
        }
    }

    /// What the checks decided then; `None` if it did not come to that.
    pub(super) fn recorded(record: &Record) -> Option<(Self, bool)> {
        let strictest = record.decisions().map(|decided| decided.verdict).max()?;
        Some((Self::new(strictest, record.judgement.tagged), true))
    }

    /// What they come to now.
    pub(super) fn of(again: &Replayed) -> Option<(Self, bool)> {
        let (verdict, is_certain) = again.verdict()?;
        Some((Self::new(verdict, again.tagged), is_certain))
    }

    /// The same of a message that was scanned.
    pub(super) fn scanned(verdict: Verdict, tagged: bool) -> Self {
        Self::new(verdict, tagged)
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Tag => "tag",
            Self::Defer => "defer",
            Self::Reject => "reject",
        }
    }
}

impl Flip {
    fn is_new_reject(&self) -> bool {
        self.now == Action::Reject
    }

    fn is_new_defer(&self) -> bool {
        self.now == Action::Defer && self.was < Action::Defer
    }
}

impl Tally {
    pub(super) fn new(rules: &str) -> Self {
        Self {
            rules: rules.to_owned(),
            decided: 0,
            unjudged: 0,
            unreadable: 0,
            unreproducible: 0,
            kinds: BTreeMap::new(),
            strange: BTreeSet::new(),
            flips: Vec::new(),
            domains: BTreeMap::new(),
            new_rejects: 0,
            new_defers: 0,
        }
    }

    /// Symbols of checks that were not there then.
    pub(super) fn strange(&mut self, symbols: Vec<&Symbol>) {
        self.strange.extend(symbols.into_iter().map(ToString::to_string));
    }

    pub(super) fn add(&mut self, flip: Flip) {
        let kind = self.kinds.entry(format!("{} -> {}", flip.was.as_str(), flip.now.as_str())).or_default();
        if flip.is_certain {
            kind.0 += 1
        } else {
            kind.1 += 1
        }
        self.new_rejects += u64::from(flip.is_new_reject());
        self.new_defers += u64::from(flip.is_new_defer());
        let of_domain = self.domains.entry(flip.domain.clone()).or_default();
        of_domain.entry((flip.was, flip.now)).or_default().push(flip.name.clone());
        if self.flips.len() < MOST_FLIPS {
            self.flips.push(flip);
        }
    }

    /// Whether not more mails would be rejected that were not, and deferred that were accepted.
    ///
    /// # Errors
    /// How many more.
    pub(in crate::cli) fn within(&self, rejects: Option<u64>, defers: Option<u64>) -> Result<(), String> {
        let more = [
            (self.new_rejects, rejects, "rejected that were not"),
            (self.new_defers, defers, "deferred that were accepted"),
        ];
        let more = more.into_iter().filter(|(count, most, _)| most.is_some_and(|most| *count > most));
        let told: Vec<String> = more
            .map(|(count, most, what)| format!("{count} mails would be {what}: more than {}", most.unwrap_or_default()))
            .collect();
        if told.is_empty() { Ok(()) } else { Err(told.join("\n")) }
    }

    /// Mails that would be rejected or deferred and were not, one by one.
    pub(in crate::cli) fn stricter(&self, most: usize) -> String {
        let mut rows = vec![["mail", "sender domain", "from", "to", "score", "now"].map(str::to_owned).to_vec()];
        let strict = self.flips.iter().filter(|flip| flip.is_new_reject() || flip.is_new_defer());
        let count = strict.clone().count();
        for flip in strict.take(most) {
            let (was, now) = (flip.was.as_str().to_owned(), flip.now.as_str().to_owned());
            let score = [points(flip.score.0), flip.score.1.map(points).unwrap_or_default()];
            let [before, after] = score;
            rows.push(vec![plain(&flip.name), plain(&flip.domain), was, now, before, after]);
        }
        let more = count.saturating_sub(most);
        let more = if more > 0 { format!("and {more} more\n") } else { String::new() };
        if count == 0 { String::new() } else { columns(&rows) + &more }
    }

    pub(super) fn to_json(&self) -> Result<String, Failed> {
        Ok(serde_json::to_string_pretty(self)?)
    }

    pub(in crate::cli) fn to_text(&self, top: usize) -> String {
        let flips: u64 = self.kinds.values().map(|(certain, unsure)| certain + unsure).sum();
        let mut text = format!("rules {}: {} mails decided again, {flips} otherwise\n", self.rules, self.decided);
        for (kind, (certain, unsure)) in &self.kinds {
            let perhaps = if *unsure > 0 { format!(", {unsure} of them perhaps") } else { String::new() };
            let _ = writeln!(text, "  {kind:<20} {:>8}{perhaps}", certain + unsure);
        }
        if self.kinds.values().any(|(_, unsure)| *unsure > 0) {
            text.push_str(
                "  perhaps: checks that were not heard, because the verdict was certain then, might matter now\n",
            );
        }
        self.write_domains(top, &mut text);
        for (count, what) in [
            (self.unjudged, "were never decided, or are of clients that nothing is asked about"),
            (self.unreadable, "could not be read"),
            (self.unreproducible, "do not come out by the rules of then as they did; they are left out"),
        ] {
            if count > 0 {
                let _ = writeln!(text, "{count} {what}");
            }
        }
        if !self.strange.is_empty() {
            let shown: Vec<&str> = self.strange.iter().take(SHOWN_SYMBOLS).map(String::as_str).collect();
            let more = self.strange.len().saturating_sub(shown.len());
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let _ = writeln!(
                text,
                "nobody looked for {}{more} when this was recorded: see what they find with --on MAIL",
                shown.join(", ")
            );
        }
        text
    }

    fn write_domains(&self, top: usize, text: &mut String) {
        if self.domains.is_empty() {
            return;
        }
        let count = |kinds: &BTreeMap<_, Vec<String>>| kinds.values().map(Vec::len).sum::<usize>();
        let mut domains: Vec<_> = self.domains.iter().collect();
        domains.sort_by_key(|(_, kinds)| std::cmp::Reverse(count(kinds)));
        let mut rows = vec![["sender domain", "mails", "from", "to", "for example"].map(str::to_owned).to_vec()];
        for (domain, kinds) in domains.iter().take(top) {
            for ((was, now), names) in *kinds {
                let shown: Vec<&str> = names.iter().take(SHOWN_IDS).map(String::as_str).collect();
                let words = [was.as_str(), now.as_str()].map(str::to_owned);
                let [was, now] = words;
                rows.push(vec![plain(domain), names.len().to_string(), was, now, plain(&shown.join(", "))]);
            }
        }
        let _ = write!(text, "\n{}", columns(&rows));
        if domains.len() > top {
            let _ = writeln!(text, "and {} more domains", domains.len() - top);
        }
        if let Some(flip) = self.flips.first() {
            let now = flip.score.1.map(points).unwrap_or_default();
            let _ = writeln!(text, "\nscore of {}: {}, now {now}", plain(&flip.name), points(flip.score.0));
        }
    }
}
