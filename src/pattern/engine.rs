//! One expression, parsed when it is added and compiled when it is first run.

use std::ops::Range;
use std::sync::OnceLock;

use fancy_regex::{BytesMode, Expr, RegexInput};
use regex_automata::util::iter::Searcher;
use regex_automata::{Anchored, Input, Match, meta};
use regex_syntax::hir::{Class, Hir, HirKind};

use super::budget::STEPS_PER_TRY;
use super::loose::{is_beyond_ascii, is_counted, loose, uncounted};
use super::loosened::loosened;
use super::relaxed::relaxed;
use super::{Budget, Expression, PatternError, literals};

/// Octets that one compiled expression may take.
const SIZE_LIMIT: usize = 32 << 20;
/// States, about, of one that is accepted: beyond, compiling takes long.
const STATES_MOST: usize = 400_000;
/// Octets of an expression as written.
const TEXT_MOST: usize = 256 << 10;
/// Octets of the lazy automaton of one expression, for each that runs at the same time.
const CACHE: usize = 2 << 20;
/// Octets of an expression that backtracks, as compiled, for each octet written: measured, about.
const BACKTRACKING_SIZE: usize = 200;

/// Places where an expression could begin that are looked at one by one.
const PLACES: usize = 64;

/// One expression.
#[derive(Debug)]
pub(super) struct Engine {
    text: Box<str>,
    ignores_case: bool,
    is_octets: bool,
    backtracks: bool,
    most: usize,
    compiled: OnceLock<Option<Compiled>>,
    /// What backtracks, without what makes it so: where this does not match, it need not be tried.
    relaxed: Option<Box<str>>,
    /// What is linear asks for edges of words of Unicode.
    has_edges: bool,
    /// What is linear counts repetitions: so many that its automaton would have too many states.
    is_counted: bool,
    /// Each match has an octet beyond ASCII.
    is_beyond_ascii: bool,
    /// Matches at least where the expression does, in any text: one that backtracks, that has edges in a text beyond
    /// ASCII, or that counts, is tried only there.
    sieve: OnceLock<Option<Box<meta::Regex>>>,
    /// The same with the edges, for texts within ASCII and what counts.
    strict_sieve: OnceLock<Option<Box<meta::Regex>>>,
}

/// A text in which is looked for something.
#[derive(Clone, Copy, Debug)]
pub(super) struct Haystack<'t> {
    pub(super) octets: &'t [u8],
    is_ascii: bool,
}

#[derive(Debug)]
enum Compiled {
    Linear(Box<meta::Regex>),
    Backtracking(Box<Tries>),
}

/// What backtracks, once for each number of steps that a try may take; compiled when a try needs it.
#[derive(Debug)]
struct Tries([OnceLock<Option<fancy_regex::Regex>>; STEPS_PER_TRY.len()]);

/// It took more steps than any try may, or cannot be compiled.
struct TookTooMany;

/// Octets of which each match contains one; `None` if there are none that every match needs.
type Literals = Option<Vec<Vec<u8>>>;

impl Engine {
    fn new(text: String, expression: &Expression) -> Self {
        Self {
            text: text.into(),
            ignores_case: expression.is_caseless(),
            is_octets: expression.is_octets,
            backtracks: false,
            most: expression.most.max(1),
            compiled: OnceLock::new(),
            relaxed: None,
            has_edges: false,
            is_counted: false,
            is_beyond_ascii: false,
            sieve: OnceLock::new(),
            strict_sieve: OnceLock::new(),
        }
    }

    /// The engine for an expression, and the literals of which each match contains one. One that backtracks takes long
    /// to compile: a lazy one does it when it is first run, and then may turn out to be refused.
    pub(super) fn of(expression: &Expression, is_lazy: bool) -> Result<(Self, Literals), PatternError> {
        let text = expression.text()?;
        if text.len() > TEXT_MOST {
            return Err(PatternError::TooLarge);
        }
        let mut engine = Self::new(text, expression);
        let relaxed = relaxed(&engine.text);
        if relaxed.as_ref().is_none_or(|relaxed| **relaxed == *engine.text) {
            match engine.parsed(&engine.text) {
                Ok(hir) if states(&hir) > STATES_MOST => return Err(PatternError::TooLarge),
                Ok(hir) => {
                    engine.has_edges = hir.properties().look_set().contains_word_unicode();
                    engine.is_counted = is_counted(&hir);
                    engine.is_beyond_ascii = is_beyond_ascii(&hir);
                    return Ok((engine, literals::required(&hir)));
                }
                // Nothing in it is for the other engine.
                Err(error) if relaxed.is_some() => return Err(PatternError::Syntax(last_line(&error.to_string()))),
                Err(_) => {}
            }
        }
        engine.backtracks = true;
        let hir = relaxed.as_ref().and_then(|text| engine.parsed(text).ok());
        engine.relaxed = relaxed.filter(|_| hir.is_some()).map(String::into_boxed_str);
        if hir.as_ref().is_some_and(|hir| states(hir) > STATES_MOST) {
            return Err(PatternError::TooLarge);
        }
        let refused = |error: fancy_regex::Error| PatternError::Syntax(last_line(&error.to_string()));
        if is_lazy && hir.is_some() {
            Expr::parse_tree(&engine.text).map_err(refused)?;
        } else {
            engine.compiled = OnceLock::from(Some(engine.tries().map_err(refused)?));
        }
        Ok((engine, hir.as_ref().and_then(literals::required)))
    }

    /// The same for what is known to have a meaning.
    pub(super) fn of_phrase(expression: &Expression) -> Result<Self, PatternError> {
        let text = expression.text()?;
        if text.len() > TEXT_MOST {
            return Err(PatternError::TooLarge);
        }
        Ok(Self::new(text, expression))
    }

    /// Tells `found` of the matches, as many as the expression asks for.
    pub(super) fn run(&self, text: Haystack<'_>, budget: &mut Budget, found: &mut dyn FnMut(Range<usize>)) {
        if (self.is_beyond_ascii && text.is_ascii) || !budget.admits(false) {
            return;
        }
        let Some(first) = self.first_place(text.octets) else { return };
        if self.backtracks && !budget.admits(true) {
            return;
        }
        match self.compiled.get_or_init(|| self.compile()) {
            None => budget.stop(),
            Some(Compiled::Linear(regex)) => {
                let sieve = match self.has_edges && !text.is_ascii {
                    true => self.sieve(),
                    false if self.is_counted => self.strict_sieve(),
                    false => None,
                };
                let mut searcher = Searcher::new(Input::new(text.octets));
                let mut next = || match sieve {
                    Some(sieve) => searcher.advance(|input| Ok(find(regex, sieve, input))),
                    None => searcher.advance(|input| Ok(regex.search(input))),
                };
                (0..self.most).map_while(|_| next()).for_each(|one| found(one.range()));
            }
            Some(Compiled::Backtracking(tries)) => self.backtrack(tries, text.octets, first, budget, found),
        }
    }

    /// How often it matches, up to what is asked for.
    pub(super) fn count(&self, text: Haystack<'_>, budget: &mut Budget) -> usize {
        if self.most == 1
            && !self.has_edges
            && !self.is_counted
            && let Some(Some(Compiled::Linear(regex))) = self.compiled.get()
        {
            // Where it matches does not matter, which is told sooner.
            return usize::from(budget.admits(false) && regex.is_match(text.octets));
        }
        let mut count = 0;
        self.run(text, budget, &mut |_| count += 1);
        count
    }

    /// Where one that backtracks may match first; none if nowhere.
    fn first_place(&self, text: &[u8]) -> Option<usize> {
        if !self.backtracks {
            return Some(0);
        }
        match self.sieve() {
            Some(sieve) => Some(sieve.search(&Input::new(text))?.start()),
            None => Some(0),
        }
    }

    /// What matches at least where this does; see the field.
    fn sieve(&self) -> Option<&meta::Regex> {
        let sieve = || Some(Box::new(linear(&self.looser()?)?));
        self.sieve.get_or_init(sieve).as_deref()
    }

    /// See the field.
    fn strict_sieve(&self) -> Option<&meta::Regex> {
        let sieve = || Some(Box::new(linear(&uncounted(&self.parsed(&self.text).ok()?))?));
        self.strict_sieve.get_or_init(sieve).as_deref()
    }

    /// An expression that the fast automaton of the linear engine runs on any text, and that matches at least where
    /// this one does.
    fn looser(&self) -> Option<Hir> {
        self.linear_part().map(|hir| uncounted(&loose(&hir)))
    }

    /// What an automaton of many expressions and texts can follow, and what matches at least where this one does.
    pub(super) fn loosened(&self) -> Option<Hir> {
        self.linear_part().map(|hir| loosened(&hir))
    }

    /// What is left of it without what the linear engine refuses.
    fn linear_part(&self) -> Option<Hir> {
        let text = if self.backtracks { self.relaxed.as_ref()? } else { &self.text };
        self.parsed(text).ok()
    }

    /// From the first place at which it may match.
    fn backtrack(
        &self,
        tries: &Tries,
        text: &[u8],
        first: usize,
        budget: &mut Budget,
        found: &mut dyn FnMut(Range<usize>),
    ) {
        // Where it may match is known, so that only there it is tried; after many of those it looks for itself. `\G`
        // means where it is tried.
        let sieve = self.sieve().filter(|_| !self.text.contains(r"\G"));
        let (mut at, mut left, mut places) = (if sieve.is_some() { first } else { 0 }, self.most, 0);
        while left > 0 && at <= text.len() {
            if places > 0 && !budget.admits(true) {
                return;
            }
            let sieve = sieve.filter(|_| places < PLACES);
            places += 1;
            let next = match self.attempt(tries, text, at, sieve.is_some(), budget) {
                Ok(Some(one)) => {
                    found(one.clone());
                    left -= 1;
                    one.end + usize::from(one.is_empty())
                }
                Ok(None) if sieve.is_some() => at + 1,
                Ok(None) => return,
                Err(TookTooMany) => return budget.stop(),
            };
            at = match sieve {
                Some(_) if next > text.len() => return,
                Some(sieve) => match sieve.search(&Input::new(text).range(next..)) {
                    Some(place) => place.start(),
                    None => return,
                },
                None => next,
            };
        }
    }

    /// Looks for a match at a place, or from there on, with as few steps as suffice. Each try costs all that it may
    /// take.
    fn attempt(
        &self,
        tries: &Tries,
        text: &[u8],
        at: usize,
        is_anchored: bool,
        budget: &mut Budget,
    ) -> Result<Option<Range<usize>>, TookTooMany> {
        for (regex, steps) in tries.0.iter().zip(STEPS_PER_TRY) {
            let regex = regex.get_or_init(|| self.backtracking(steps).ok()).as_ref().ok_or(TookTooMany)?;
            budget.spend(steps);
            if let Ok(one) = regex.find_input(RegexInput::new(text).from_pos(at).anchored(is_anchored)) {
                return Ok(one.map(|one| one.start()..one.end()));
            }
        }
        Err(TookTooMany)
    }

    /// Why it cannot run, which only compiling it tells.
    pub(super) fn refusal(&self) -> Option<String> {
        let is_compiled = self.compiled.get().is_some_and(Option::is_some);
        if !self.backtracks || is_compiled {
            return None;
        }
        self.backtracking(STEPS_PER_TRY[0]).err().map(|error| last_line(&error.to_string()))
    }

    /// Octets that it takes, about.
    pub(super) fn octets(&self) -> usize {
        let compiled = match self.compiled.get() {
            Some(Some(Compiled::Linear(regex))) => regex.memory_usage(),
            Some(Some(Compiled::Backtracking(tries))) => {
                let compiled = tries.0.iter().filter(|regex| regex.get().is_some());
                self.text.len() * BACKTRACKING_SIZE * compiled.count()
            }
            _ => 0,
        };
        let sieve = |kept: &OnceLock<Option<Box<meta::Regex>>>| {
            kept.get().and_then(Option::as_deref).map_or(0, meta::Regex::memory_usage)
        };
        size_of::<Self>() + self.text.len() + compiled + sieve(&self.sieve) + sieve(&self.strict_sieve)
    }

    pub(super) fn backtracks(&self) -> bool {
        self.backtracks
    }

    fn parsed(&self, text: &str) -> Result<Hir, Box<regex_syntax::Error>> {
        let mut parser = regex_syntax::ParserBuilder::new();
        parser.utf8(false).unicode(!self.is_octets).case_insensitive(self.ignores_case);
        parser.build().parse(text).map_err(Box::new)
    }

    fn compile(&self) -> Option<Compiled> {
        if self.backtracks {
            return self.tries().ok();
        }
        let hir = self.parsed(&self.text).ok()?;
        Some(Compiled::Linear(Box::new(linear(&hir)?)))
    }

    fn tries(&self) -> Result<Compiled, fancy_regex::Error> {
        let first = self.backtracking(STEPS_PER_TRY[0])?;
        let tries = Tries(Default::default());
        tries.0[0].get_or_init(|| Some(first));
        Ok(Compiled::Backtracking(Box::new(tries)))
    }

    /// What backtracks, and gives up after so many steps.
    fn backtracking(&self, steps: usize) -> Result<fancy_regex::Regex, fancy_regex::Error> {
        let mode = if self.is_octets { BytesMode::Ascii } else { BytesMode::UnicodeBytes };
        fancy_regex::RegexBuilder::new(&self.text)
            .case_insensitive(self.ignores_case)
            .unicode_mode(!self.is_octets)
            .bytes_mode(mode)
            .backtrack_limit(steps)
            .delegate_size_limit(SIZE_LIMIT)
            .max_prog_size(STATES_MOST)
            .build()
    }
}

impl<'t> Haystack<'t> {
    pub(super) fn of(octets: &'t [u8]) -> Self {
        Self { octets, is_ascii: octets.is_ascii() }
    }
}

fn linear(hir: &Hir) -> Option<meta::Regex> {
    let config = meta::Config::new()
        .utf8_empty(false)
        .nfa_size_limit(Some(SIZE_LIMIT))
        .onepass_size_limit(Some(1 << 20))
        .hybrid_cache_capacity(CACHE);
    meta::Builder::new().configure(config).build_from_hir(hir).ok()
}

/// The first match of `regex`, which begins where `sieve` has a match: so only the text from there on is read by it,
/// and most often little of it.
fn find(regex: &meta::Regex, sieve: &meta::Regex, input: &Input<'_>) -> Option<Match> {
    let mut from = input.start();
    for _ in 0..PLACES {
        let at = sieve.search(&input.clone().range(from..input.end()))?.start();
        let found = regex.search(&input.clone().range(at..input.end()).anchored(Anchored::Yes));
        if found.is_some() {
            return found;
        }
        from = at + 1;
        if from > input.end() {
            return None;
        }
    }
    regex.search(&input.clone().range(from..input.end()))
}

/// What an error says last: before stands the expression, with marks below it.
fn last_line(error: &str) -> String {
    let line = error.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or(error);
    line.trim().trim_start_matches("error: ").to_owned()
}

/// States that an expression comes to, about.
pub(super) fn states(hir: &Hir) -> usize {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => 1,
        HirKind::Literal(literal) => literal.0.len(),
        HirKind::Class(Class::Bytes(_)) => 1,
        HirKind::Class(Class::Unicode(class)) => class.ranges().len().min(400),
        HirKind::Capture(capture) => states(&capture.sub).saturating_add(2),
        HirKind::Repetition(repetition) => {
            let times = repetition.max.unwrap_or(repetition.min.saturating_add(1)).max(1);
            states(&repetition.sub).saturating_mul(times as usize)
        }
        HirKind::Concat(parts) | HirKind::Alternation(parts) => {
            parts.iter().fold(1, |sum: usize, part| sum.saturating_add(states(part)))
        }
    }
}
