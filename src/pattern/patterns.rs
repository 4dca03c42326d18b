//! Many expressions against one text.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::OnceLock;

use super::batches::Batches;
use super::candidates::Candidates;
use super::engine::{Engine, Haystack};
use super::phrase::{Phrase, Place};
use super::scan::Scanner;
use super::{Budget, Expression, Kind, PatternError, Texts};

/// Patterns without phrases that are not told apart in a single text: each finds its own literals sooner.
const FEW: usize = 8;

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
    /// Those patterns that are looked for without an engine.
    phrases: Vec<(u32, Phrase)>,
    /// Which patterns a literal speaks for.
    literals: BTreeMap<Vec<u8>, Meaning>,
    /// Patterns that require none.
    always: Vec<u32>,
    is_lazy: bool,
}

/// What it means that a literal was seen.
#[derive(Debug, Default)]
struct Meaning {
    /// These patterns may match.
    engines: Vec<u32>,
    /// These phrases, by their place among them, are there if what stands around the literal is theirs.
    phrases: Vec<(u32, Place)>,
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
        let id = u32::try_from(self.engines.len()).map_err(|_| PatternError::TooLarge)?;
        if let Some((phrase, place, pieces)) = phrase(expression) {
            self.engines.push(Engine::of_phrase(expression)?);
            for piece in pieces {
                self.literals.entry(piece).or_default().phrases.push((self.phrases.len() as u32, place));
            }
            self.phrases.push((id, phrase));
            return Ok(PatternId(id));
        }
        let (engine, literals) = Engine::of(expression, self.is_lazy)?;
        match literals {
            Some(literals) => {
                for literal in literals {
                    self.literals.entry(literal).or_default().engines.push(id);
                }
            }
            None => self.always.push(id),
        }
        self.engines.push(engine);
        Ok(PatternId(id))
    }

    /// All that were added, ready to match.
    pub fn build(mut self) -> Patterns {
        let literals = Scanner::of(self.literals.keys());
        if literals.is_none() {
            // Too many for an automaton: slower, but right.
            self.always = (0..self.engines.len() as u32).collect();
        }
        let meanings = self.literals.into_values().collect();
        let is_few = self.engines.len() <= FEW
            && self.phrases.is_empty()
            && self.engines.iter().all(|engine| !engine.backtracks());
        Patterns {
            engines: self.engines,
            phrases: self.phrases,
            literals,
            meanings,
            always: self.always,
            batches: OnceLock::new(),
            is_few,
        }
    }
}

/// What is looked for without an engine: a phrase, and where in it which pieces stand.
fn phrase(expression: &Expression) -> Option<(Phrase, Place, Vec<Vec<u8>>)> {
    match &expression.kind {
        Kind::Phrase(text) if expression.most <= 1 && !expression.is_octets => {
            let phrase = Phrase::of(text)?;
            let (place, pieces) = phrase.piece()?;
            Some((phrase, place, pieces))
        }
        _ => None,
    }
}

/// Expressions that are matched together.
#[derive(Debug)]
pub struct Patterns {
    /// One for each pattern, those that are phrases included.
    engines: Vec<Engine>,
    phrases: Vec<(u32, Phrase)>,
    literals: Option<Scanner>,
    /// Which patterns each literal of the automaton speaks for.
    meanings: Vec<Meaning>,
    always: Vec<u32>,
    /// What tells those apart that require no literal, in many texts; made when many are first read.
    batches: OnceLock<Batches>,
    is_few: bool,
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

    /// The same, for those patterns that are still wanted: the others are not run. Those are given back of which a match
    /// may be missing, as the budget did not suffice.
    pub fn matches_where(
        &self,
        text: &[u8],
        budget: &mut Budget,
        is_wanted: &dyn Fn(PatternId) -> bool,
        found: &mut dyn FnMut(PatternId, Range<usize>),
    ) -> Vec<PatternId> {
        let mut stopped = Vec::new();
        if self.engines.is_empty() {
            return stopped;
        }
        let mut candidates = Marks::none_of(self.engines.len());
        let phrases = if self.is_few {
            (0..self.engines.len() as u32).for_each(|id| candidates.mark(id));
            Vec::new()
        } else {
            self.always.iter().for_each(|id| candidates.mark(*id));
            self.seen(text, &mut candidates)
        };
        let text = Haystack::of(text);
        candidates.each(|id| {
            if !is_wanted(PatternId(id)) {
                return;
            }
            let before = budget.stopped();
            match phrases.iter().find(|(phrase, _)| *phrase == id) {
                Some((_, range)) if budget.admits(false) => found(PatternId(id), range.clone()),
                Some(_) => {}
                None => self.engines[id as usize].run(text, budget, &mut |range| found(PatternId(id), range)),
            }
            if budget.stopped() > before {
                stopped.push(PatternId(id));
            }
        });
        stopped
    }

    /// Tells `found` of each pattern that matches one of many texts: which, in the text of which number, and how often,
    /// up to what it was added with. It says whether more texts are wanted of that pattern. Patterns come in the order
    /// of adding, texts of each in theirs. Those are given back of which a match may be missing, as the budget did not
    /// suffice.
    pub fn matches_in(
        &self,
        texts: &Texts,
        budget: &mut Budget,
        found: &mut dyn FnMut(PatternId, usize, usize) -> bool,
    ) -> Vec<PatternId> {
        let mut stopped = Vec::new();
        if self.engines.is_empty() || texts.is_empty() {
            return stopped;
        }
        let haystacks: Vec<Haystack<'_>> = texts.iter().map(Haystack::of).collect();
        let candidates = self.candidates(texts, budget);
        for (number, engine) in (0..).zip(&self.engines) {
            let (id, before) = (PatternId(number), budget.stopped());
            for text in candidates.texts_of(id.index()) {
                // What is late stays so: of a pattern this is said once, and not of each text.
                if budget.is_late() {
                    budget.stop();
                    break;
                }
                let Some(haystack) = haystacks.get(text) else { break };
                let count = engine.count(*haystack, budget);
                if count > 0 && !found(id, text, count) {
                    break;
                }
            }
            if budget.stopped() > before {
                stopped.push(id);
            }
        }
        stopped
    }

    /// Which pattern might match in which text.
    fn candidates(&self, texts: &Texts, budget: &mut Budget) -> Candidates {
        let mut candidates = Candidates::none_of(self.engines.len(), texts.len());
        if let Some(literals) = self.literals.as_ref().filter(|_| !self.meanings.is_empty()) {
            let mut places = texts.places();
            // The text, from 1, in which each literal was seen last: what it means there is noted once.
            let mut last = vec![0; self.meanings.len()];
            literals.read(texts.octets(), &mut |literal, start, end| {
                let text = places.number_of(end);
                let Some((meaning, last)) = self
                    .meanings
                    .get(literal as usize)
                    .zip(last.get_mut(literal as usize))
                    .filter(|_| start >= places.start())
                else {
                    return;
                };
                if std::mem::replace(last, text + 1) > text {
                    return;
                }
                meaning.engines.iter().for_each(|id| candidates.mark(*id, text));
                let phrases = meaning.phrases.iter().filter_map(|(phrase, _)| self.phrases.get(*phrase as usize));
                phrases.for_each(|(id, _)| candidates.mark(*id, text));
            });
        }
        let loosened = |id: &u32| (*id, self.engines.get(*id as usize).and_then(Engine::loosened));
        let batches = self.batches.get_or_init(|| Batches::of(self.always.iter().map(loosened).collect()));
        batches.read(texts, &mut || budget.is_late(), &mut candidates);
        candidates
    }

    /// Marks the patterns of which a literal is in the text, and phrases that are there; says where those are.
    fn seen(&self, text: &[u8], candidates: &mut Marks) -> Vec<(u32, Range<usize>)> {
        let mut phrases = Vec::new();
        let Some(literals) = self.literals.as_ref().filter(|_| !self.meanings.is_empty()) else { return phrases };
        let mut seen = Marks::none_of(self.meanings.len());
        literals.read(text, &mut |literal, start, _| {
            let Some(meaning) = self.meanings.get(literal as usize) else { return };
            if !meaning.engines.is_empty() && seen.mark_first(literal) {
                meaning.engines.iter().for_each(|id| candidates.mark(*id));
            }
            for (phrase, place) in &meaning.phrases {
                let Some((id, phrase)) = self.phrases.get(*phrase as usize) else { continue };
                if !candidates.is_marked(*id)
                    && let Some(range) = phrase.around(*place, text, start)
                {
                    candidates.mark(*id);
                    phrases.push((*id, range));
                }
            }
        });
        phrases
    }

    /// Tells of the matches of one pattern alone.
    pub fn matches_of(&self, id: PatternId, text: &[u8], budget: &mut Budget, found: &mut dyn FnMut(Range<usize>)) {
        if let Some(engine) = self.engines.get(id.index()) {
            engine.run(Haystack::of(text), budget, found);
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
        let phrases: usize = self.phrases.iter().map(|(_, phrase)| phrase.octets()).sum();
        let meaning = |one: &Meaning| size_of::<Meaning>() + one.engines.len() * 4 + one.phrases.len() * 8;
        let meanings: usize = self.meanings.iter().map(meaning).sum();
        let batches = self.batches.get().map_or(0, Batches::octets);
        engines + phrases + meanings + batches + self.literals.as_ref().map_or(0, Scanner::octets)
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

    fn is_marked(&self, number: u32) -> bool {
        self.0[number as usize / 64] & (1 << (number % 64)) != 0
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
