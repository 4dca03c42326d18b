//! Many expressions against one text.

use std::collections::BTreeMap;
use std::ops::Range;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

use super::engine::Engine;
use super::{Budget, Expression, PatternError};

/// Which pattern, in the order of adding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PatternId(u32);

impl PatternId {
    /// Its place in the order of adding.
    pub fn index(self) -> usize {
        self.0 as usize
    }

    #[cfg(test)]
    pub(super) fn from_number(number: u32) -> Self {
        Self(number)
    }
}

/// Collects expressions.
#[derive(Debug, Default)]
pub struct Builder {
    engines: Vec<Engine>,
    /// Which patterns a literal speaks for.
    literals: BTreeMap<Vec<u8>, Vec<u32>>,
    /// Patterns that require none.
    always: Vec<u32>,
    is_lazy: bool,
}

impl Builder {
    /// Without any.
    pub fn new() -> Self {
        Self::default()
    }

    /// Without any; what backtracks is compiled when it is first run, and refused then only. See
    /// [`Patterns::refused`].
    pub fn lazy() -> Self {
        Self { is_lazy: true, ..Self::default() }
    }

    /// Adds one. An error if it has no meaning, or would become too large.
    pub fn add(&mut self, expression: &Expression) -> Result<PatternId, PatternError> {
        let (engine, literals) = Engine::of(expression, self.is_lazy)?;
        let id = u32::try_from(self.engines.len()).map_err(|_| PatternError::TooLarge)?;
        match literals {
            Some(literals) => {
                for literal in literals {
                    self.literals.entry(literal).or_default().push(id);
                }
            }
            None => self.always.push(id),
        }
        self.engines.push(engine);
        Ok(PatternId(id))
    }

    /// All that were added, ready to match.
    pub fn build(mut self) -> Patterns {
        let literals = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::Standard)
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .build(self.literals.keys());
        let literals = literals.ok();
        if literals.is_none() {
            // Too many for an automaton: slower, but right.
            self.always = (0..self.engines.len() as u32).collect();
        }
        let named = self.literals.into_values().map(Vec::into_boxed_slice).collect();
        Patterns { engines: self.engines, literals, named, always: self.always }
    }
}

/// Expressions that are matched together.
#[derive(Debug)]
pub struct Patterns {
    engines: Vec<Engine>,
    literals: Option<AhoCorasick>,
    /// Which patterns each literal of the automaton speaks for.
    named: Vec<Box<[u32]>>,
    always: Vec<u32>,
}

impl Default for Patterns {
    fn default() -> Self {
        Builder::new().build()
    }
}

impl Patterns {
    /// Tells `found` of the first match of each pattern that matches `text`, in the order of adding; of those that
    /// were added with `most`, of so many matches.
    pub fn matches(&self, text: &[u8], budget: &mut Budget, found: &mut dyn FnMut(PatternId, Range<usize>)) {
        self.matches_where(text, budget, &|_| true, found);
    }

    /// The same, for those patterns that are still wanted: the others are not run.
    pub fn matches_where(
        &self,
        text: &[u8],
        budget: &mut Budget,
        is_wanted: &dyn Fn(PatternId) -> bool,
        found: &mut dyn FnMut(PatternId, Range<usize>),
    ) {
        if self.engines.is_empty() {
            return;
        }
        let mut candidates = Marks::none_of(self.engines.len());
        self.always.iter().for_each(|id| candidates.mark(*id));
        if let Some(literals) = self.literals.as_ref().filter(|_| !self.named.is_empty()) {
            let mut seen = Marks::none_of(self.named.len());
            for literal in literals.find_overlapping_iter(text) {
                let literal = literal.pattern();
                if seen.mark_first(literal.as_u32()) {
                    self.named[literal.as_usize()].iter().for_each(|id| candidates.mark(*id));
                }
            }
        }
        candidates.each(|id| {
            if !is_wanted(PatternId(id)) {
                return;
            }
            self.engines[id as usize].run(text, budget, &mut |range| found(PatternId(id), range));
        });
    }

    /// Tells of the matches of one pattern alone.
    pub fn matches_of(&self, id: PatternId, text: &[u8], budget: &mut Budget, found: &mut dyn FnMut(Range<usize>)) {
        if let Some(engine) = self.engines.get(id.index()) {
            engine.run(text, budget, found);
        }
    }

    /// Whether one pattern matches.
    pub fn is_match(&self, id: PatternId, text: &[u8], budget: &mut Budget) -> bool {
        let mut matches = false;
        self.matches_of(id, text, budget, &mut |_| matches = true);
        matches
    }

    /// Patterns that cannot run, and why: compiles all that backtrack, which takes a while.
    pub fn refused(&self) -> impl Iterator<Item = (PatternId, String)> {
        let refusals = (0..).zip(&self.engines).map(|(id, engine)| (PatternId(id), engine.refusal()));
        refusals.filter_map(|(id, reason)| Some((id, reason?)))
    }

    /// Octets of memory that they take, about. It grows, as patterns are compiled when they are first run.
    pub fn octets(&self) -> usize {
        let engines: usize = self.engines.iter().map(Engine::octets).sum();
        let named: usize = self.named.iter().map(|ids| 16 + ids.len() * 4).sum();
        engines + named + self.literals.as_ref().map_or(0, AhoCorasick::memory_usage)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.engines.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.engines.is_empty()
    }

    /// How many of them need the backtracking engine.
    pub fn backtracking(&self) -> usize {
        self.engines.iter().filter(|engine| engine.backtracks()).count()
    }

    /// How many of them are run on every text, as they require no literal.
    pub fn unfiltered(&self) -> usize {
        self.always.len()
    }
}

/// A set of small numbers.
struct Marks(Vec<u64>);

impl Marks {
    fn none_of(count: usize) -> Self {
        Self(vec![0; count.div_ceil(64)])
    }

    fn mark(&mut self, number: u32) {
        self.0[number as usize / 64] |= 1 << (number % 64);
    }

    /// Marks it, and says whether that is new.
    fn mark_first(&mut self, number: u32) -> bool {
        let word = &mut self.0[number as usize / 64];
        let bit = 1 << (number % 64);
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }

    /// Calls for each in order.
    fn each(&self, mut call: impl FnMut(u32)) {
        for (at, word) in self.0.iter().enumerate() {
            let mut word = *word;
            while word != 0 {
                call(at as u32 * 64 + word.trailing_zeros());
                word &= word - 1;
            }
        }
    }
}
