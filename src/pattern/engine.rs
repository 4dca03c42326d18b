//! One expression, parsed when it is added and compiled when it is first run.

use std::ops::Range;
use std::sync::OnceLock;

use fancy_regex::{BytesMode, Expr};
use regex_automata::meta;
use regex_automata::util::syntax;
use regex_syntax::hir::{Class, Hir, HirKind};

use super::budget::STEPS_PER_RUN;
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
    sieve: OnceLock<Option<Box<meta::Regex>>>,
}

#[derive(Debug)]
enum Compiled {
    Linear(Box<meta::Regex>),
    Backtracking(Box<fancy_regex::Regex>),
}

/// Octets of which each match contains one; `None` if there are none that every match needs.
type Literals = Option<Vec<Vec<u8>>>;

impl Engine {
    /// The engine for an expression, and the literals of which each match contains one. One that backtracks takes long
    /// to compile: a lazy one does it when it is first run, and then may turn out to be refused.
    pub(super) fn of(expression: &Expression, is_lazy: bool) -> Result<(Self, Literals), PatternError> {
        let text = expression.text()?;
        if text.len() > TEXT_MOST {
            return Err(PatternError::TooLarge);
        }
        let mut engine = Self {
            text: text.into(),
            ignores_case: expression.is_caseless(),
            is_octets: expression.is_octets,
            backtracks: false,
            most: expression.most.max(1),
            compiled: OnceLock::new(),
            relaxed: None,
            sieve: OnceLock::new(),
        };
        let relaxed = relaxed(&engine.text);
        if relaxed.as_ref().is_none_or(|relaxed| **relaxed == *engine.text) {
            match engine.parsed(&engine.text) {
                Ok(hir) if states(&hir) > STATES_MOST => return Err(PatternError::TooLarge),
                Ok(hir) => return Ok((engine, literals::required(&hir))),
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
            engine.compiled = OnceLock::from(Some(engine.backtracking().map_err(refused)?));
        }
        Ok((engine, hir.as_ref().and_then(literals::required)))
    }

    /// Tells the matches in `text`, from the first to the last that is asked for.
    pub(super) fn run(&self, text: &[u8], budget: &mut Budget, found: &mut dyn FnMut(Range<usize>)) {
        if !budget.admits(self.backtracks) {
            return;
        }
        if self.is_sieved_out(text) {
            return;
        }
        match self.compiled.get_or_init(|| self.compile()) {
            None => budget.miss(),
            Some(Compiled::Linear(regex)) => {
                regex.find_iter(text).take(self.most).for_each(|found_one| found(found_one.range()));
            }
            Some(Compiled::Backtracking(regex)) => self.backtrack(regex, text, budget, found),
        }
    }

    /// Whether it cannot match, as the linear engine says in less time.
    fn is_sieved_out(&self, text: &[u8]) -> bool {
        let Some(relaxed) = &self.relaxed else { return false };
        let sieve = self.sieve.get_or_init(|| self.linear(relaxed).map(Box::new));
        sieve.as_ref().is_some_and(|sieve| !sieve.is_match(text))
    }

    fn backtrack(
        &self,
        regex: &fancy_regex::Regex,
        text: &[u8],
        budget: &mut Budget,
        found: &mut dyn FnMut(Range<usize>),
    ) {
        let mut at = 0;
        for number in 0..self.most {
            if number > 0 && !budget.admits(true) {
                return;
            }
            match regex.find_from_pos(text, at) {
                Ok(Some(one)) => {
                    budget.spend(one.end().saturating_sub(at));
                    found(one.start()..one.end());
                    at = one.end() + usize::from(one.start() == one.end());
                }
                Ok(None) => return budget.spend(text.len().saturating_sub(at)),
                Err(_) => return budget.give_up(),
            }
            if at > text.len() {
                return;
            }
        }
    }

    /// Why it cannot run, which only compiling it tells.
    pub(super) fn refusal(&self) -> Option<String> {
        let is_compiled = self.compiled.get().is_some_and(Option::is_some);
        if !self.backtracks || is_compiled {
            return None;
        }
        self.backtracking().err().map(|error| last_line(&error.to_string()))
    }

    /// Octets that it takes, about.
    pub(super) fn octets(&self) -> usize {
        let compiled = match self.compiled.get() {
            Some(Some(Compiled::Linear(regex))) => regex.memory_usage(),
            Some(Some(Compiled::Backtracking(_))) => self.text.len() * BACKTRACKING_SIZE,
            _ => 0,
        };
        size_of::<Self>() + self.text.len() + compiled
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
            return self.backtracking().ok();
        }
        Some(Compiled::Linear(Box::new(self.linear(&self.text)?)))
    }

    fn linear(&self, text: &str) -> Option<meta::Regex> {
        let config = meta::Config::new()
            .utf8_empty(false)
            .nfa_size_limit(Some(SIZE_LIMIT))
            .onepass_size_limit(Some(1 << 20))
            .hybrid_cache_capacity(CACHE);
        let syntax = syntax::Config::new().utf8(false).unicode(!self.is_octets).case_insensitive(self.ignores_case);
        meta::Builder::new().configure(config).syntax(syntax).build(text).ok()
    }

    fn backtracking(&self) -> Result<Compiled, fancy_regex::Error> {
        let mode = if self.is_octets { BytesMode::Ascii } else { BytesMode::UnicodeBytes };
        let regex = fancy_regex::RegexBuilder::new(&self.text)
            .case_insensitive(self.ignores_case)
            .unicode_mode(!self.is_octets)
            .bytes_mode(mode)
            .backtrack_limit(STEPS_PER_RUN)
            .delegate_size_limit(SIZE_LIMIT)
            .max_prog_size(STATES_MOST)
            .build()?;
        Ok(Compiled::Backtracking(Box::new(regex)))
    }
}

/// What an error says last: before stands the expression, with marks below it.
fn last_line(error: &str) -> String {
    let line = error.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or(error);
    line.trim().trim_start_matches("error: ").to_owned()
}

/// States that an expression comes to, about.
fn states(hir: &Hir) -> usize {
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
