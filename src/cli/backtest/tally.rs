//! What flips: by kind, by sender domain, one by one.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::Serialize;

use super::judged::Changes;
use crate::cli::recorded::{plain, points};
use crate::cli::{Failed, columns};
use crate::scoring::Symbol;
use crate::verdict::Action;

/// Flips that are kept one by one; beyond that they are counted.
const MOST_FLIPS: usize = 100_000;
/// Sender domains that are told apart; mail of others is counted.
const MOST_DOMAINS: usize = 50_000;
/// Names of new symbols, and of changed files, that are printed.
const SHOWN_NAMES: usize = 12;
/// Ids that are printed of a domain.
const SHOWN_IDS: usize = 2;

/// One mail that was decided again.
#[derive(Clone, Debug)]
pub(super) struct Mail {
    /// Its id, or its file.
    pub(super) name: String,
    pub(super) domain: String,
    /// What of it is decided otherwise.
    pub(super) changes: Changes,
    /// Before and after, in hundredths.
    pub(super) score: (i32, Option<i32>),
}

/// One of the ways in which one mail would be decided otherwise.
#[derive(Clone, Debug, Serialize)]
struct Flip {
    name: String,
    domain: String,
    was: Action,
    now: Action,
    /// Nothing that was not heard then could change it.
    is_certain: bool,
    score: (i32, Option<i32>),
}

/// How often a kind of flip was seen in mail of one domain, with the names of some.
#[derive(Clone, Debug, Default)]
struct Seen {
    count: u64,
    names: Vec<String>,
}

/// Rejected, and was not.
fn is_new_reject((_, now): &(Action, Action)) -> bool {
    *now == Action::Reject
}

/// Deferred, and was accepted.
fn is_new_defer((was, now): &(Action, Action)) -> bool {
    *now == Action::Defer && *was < Action::Defer
}

/// All of it.
#[derive(Debug, Default, Serialize)]
pub(in crate::cli) struct Tally {
    rules: String,
    /// Decided again.
    pub(super) decided: u64,
    /// Never decided: the client went away, or nobody looks at its mail.
    pub(super) unjudged: u64,
    /// Could not be read, or their rules could not.
    pub(super) unreadable: u64,
    /// By the rules of then, they do not come out as they did.
    pub(super) unreproducible: u64,
    /// Mails that are decided otherwise. One may be of several kinds: some recipients pass, others do not.
    otherwise: u64,
    /// By kind: certain ones, and those that depend on checks that were not heard.
    kinds: BTreeMap<String, (u64, u64)>,
    /// Symbols that records cannot know.
    strange: BTreeSet<String>,
    /// Files of rules that say otherwise what is to be looked for than they did then.
    changed: BTreeSet<String>,
    flips: Vec<Flip>,
    #[serde(skip)]
    domains: BTreeMap<String, BTreeMap<(Action, Action), Seen>>,
    /// Flips of mail whose domain is not among them.
    #[serde(skip)]
    elsewhere: u64,
    new_rejects: u64,
    new_defers: u64,
}

impl Tally {
    pub(super) fn new(rules: &str) -> Self {
        Self { rules: rules.to_owned(), ..Self::default() }
    }

    /// How many mails say something, and how many say nothing that should.
    pub(in crate::cli) fn said(&self) -> (u64, u64) {
        (self.decided.saturating_sub(self.unreproducible), self.unreadable + self.unreproducible)
    }

    /// Symbols of checks that were not there then.
    pub(super) fn strange(&mut self, symbols: Vec<&Symbol>) {
        self.strange.extend(symbols.into_iter().map(ToString::to_string));
    }

    /// Files that looked for something else then.
    pub(super) fn changed(&mut self, files: Vec<String>) {
        self.changed.extend(files);
    }

    /// Takes a mail of which something is decided otherwise, for somebody.
    pub(super) fn add(&mut self, mail: Mail) {
        let Mail { name, domain, changes, score } = mail;
        self.otherwise += u64::from(!changes.is_empty());
        self.new_rejects += u64::from(changes.keys().any(is_new_reject));
        self.new_defers += u64::from(changes.keys().any(is_new_defer));
        for ((was, now), is_certain) in changes {
            let kind = self.kinds.entry(format!("{} -> {}", was.as_str(), now.as_str())).or_default();
            if is_certain {
                kind.0 += 1
            } else {
                kind.1 += 1
            }
            self.see(&domain, (was, now), &name);
            if self.flips.len() < MOST_FLIPS {
                self.flips.push(Flip { name: name.clone(), domain: domain.clone(), was, now, is_certain, score });
            }
        }
    }

    fn see(&mut self, domain: &str, kind: (Action, Action), name: &str) {
        if self.domains.len() >= MOST_DOMAINS && !self.domains.contains_key(domain) {
            self.elsewhere += 1;
            return;
        }
        let seen = self.domains.entry(domain.to_owned()).or_default().entry(kind).or_default();
        seen.count += 1;
        if seen.names.len() < SHOWN_IDS {
            seen.names.push(name.to_owned());
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
        let strict = self
            .flips
            .iter()
            .filter(|flip| is_new_reject(&(flip.was, flip.now)) || is_new_defer(&(flip.was, flip.now)));
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
        let Self { rules, decided, otherwise, .. } = self;
        let mut text = format!("rules {rules}: {decided} mails decided again, {otherwise} otherwise\n");
        for (kind, (certain, unsure)) in &self.kinds {
            let perhaps = if *unsure > 0 { format!(", {unsure} of them perhaps") } else { String::new() };
            let _ = writeln!(text, "  {kind:<20} {:>8}{perhaps}", certain + unsure);
        }
        if self.kinds.values().any(|(_, unsure)| *unsure > 0) {
            text.push_str(
                "  perhaps: checks that were not heard, as the verdict was certain then, or not there, might matter now\n",
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
            let names = some_of(&self.strange);
            let _ =
                writeln!(text, "nobody looked for {names} when this was recorded: see what they find with --on MAIL");
        }
        if !self.changed.is_empty() {
            let names = some_of(&self.changed);
            let _ = writeln!(
                text,
                "changed since this was recorded: {names}; what is found by them now, only --on MAIL can tell"
            );
        }
        text
    }

    fn write_domains(&self, top: usize, text: &mut String) {
        if self.domains.is_empty() {
            return;
        }
        let count = |kinds: &BTreeMap<_, Seen>| kinds.values().map(|seen| seen.count).sum::<u64>();
        let mut domains: Vec<_> = self.domains.iter().collect();
        domains.sort_by_key(|(_, kinds)| std::cmp::Reverse(count(kinds)));
        let mut rows = vec![["sender domain", "mails", "from", "to", "for example"].map(str::to_owned).to_vec()];
        for (domain, kinds) in domains.iter().take(top) {
            for ((was, now), seen) in *kinds {
                let [was, now] = [was.as_str(), now.as_str()].map(str::to_owned);
                rows.push(vec![plain(domain), seen.count.to_string(), was, now, plain(&seen.names.join(", "))]);
            }
        }
        let _ = write!(text, "\n{}", columns(&rows));
        if domains.len() > top {
            let _ = writeln!(text, "and {} more domains", domains.len() - top);
        }
        if self.elsewhere > 0 {
            let _ = writeln!(text, "and {} of domains that are not told apart any more", self.elsewhere);
        }
        if let Some(flip) = self.flips.first() {
            let now = flip.score.1.map(points).unwrap_or_default();
            let _ = writeln!(text, "\nscore of {}: {}, now {now}", plain(&flip.name), points(flip.score.0));
        }
    }
}

fn some_of(names: &BTreeSet<String>) -> String {
    let shown: Vec<&str> = names.iter().take(SHOWN_NAMES).map(String::as_str).collect();
    let more = names.len().saturating_sub(shown.len());
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", plain(&shown.join(", ")))
}
