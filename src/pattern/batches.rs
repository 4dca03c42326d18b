//! Which of many patterns might match, and in which of many texts: each text read a few times, however many they are.
//!
//! The patterns are loosened and put together in lazy automata, some in each, so that states stay few. Where they do
//! not, an automaton gives up, and all its patterns may match; one that often does is parted in two. Who sends what
//! makes many states so costs others no more than an automaton of its own for each pattern.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use regex_automata::hybrid::CacheError;
use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::nfa::thompson;
use regex_automata::util::pool::Pool;
use regex_automata::{Input, MatchError, MatchKind};
use regex_syntax::hir::Hir;

use super::candidates::Candidates;
use super::engine::states;
use super::texts::Texts;

/// States of the expressions that share an automaton, about.
const STATES: usize = 1_200;
/// Patterns that share an automaton.
const PATTERNS: usize = 32;
/// Octets of the states that are remembered of one automaton, for each that runs at the same time.
const CACHE: usize = 2 << 20;
/// Texts, read as one, on which an automaton gives up before it is parted.
const PATIENCE: u32 = 3;
/// An automaton whose memory was full so often gives up, unless it is still worth it.
const CLEARED_MOST: usize = 2;
/// Octets that are read for each new state, at least, to be worth it.
const OCTETS_PER_STATE: usize = 10;
/// Octets between two looks at whether it is worth it.
const STRIDE: usize = 4096;

/// Automata that say "perhaps".
#[derive(Debug, Default)]
pub(super) struct Batches {
    batches: RwLock<Vec<Arc<Batch>>>,
}

/// Patterns that are told apart together.
struct Batch {
    /// Which, and what they come to; loosened.
    patterns: Vec<(u32, Option<Hir>)>,
    /// None for those that nothing speaks for: they may match anywhere.
    automaton: Option<(DFA, Pool<Cache, NewCache>)>,
    given_up: AtomicU32,
}

type NewCache = Box<dyn Fn() -> Cache + Send + Sync + UnwindSafe + RefUnwindSafe>;

impl Batches {
    /// Of patterns with their expressions, loosened; none where that could not be.
    pub(super) fn of(patterns: Vec<(u32, Option<Hir>)>) -> Self {
        let (known, unknown): (Vec<_>, Vec<_>) =
            patterns.into_iter().partition(|(_, hir)| hir.as_ref().is_some_and(|hir| states(hir) <= STATES * 4));
        let mut batches = Vec::new();
        let (mut open, mut size) = (Vec::new(), 0);
        for (id, hir) in known {
            let more = hir.as_ref().map_or(0, states);
            if !open.is_empty() && (size + more > STATES || open.len() >= PATTERNS) {
                batches.push(Arc::new(Batch::of(std::mem::take(&mut open))));
                size = 0;
            }
            size += more;
            open.push((id, hir));
        }
        if !open.is_empty() {
            batches.push(Arc::new(Batch::of(open)));
        }
        batches.extend(unknown.into_iter().map(|(id, _)| Arc::new(Batch::of(vec![(id, None)]))));
        Self { batches: RwLock::new(batches) }
    }

    /// Notes which patterns might match in which texts. Those that nobody looked at, as it was late, might in all.
    pub(super) fn read(&self, texts: &Texts, is_late: &mut dyn FnMut() -> bool, candidates: &mut Candidates) {
        let batches = self.batches.read().unwrap_or_else(PoisonError::into_inner).clone();
        for batch in &batches {
            if is_late() {
                batch.all(candidates);
                continue;
            }
            if batch.read(texts, candidates).is_err() {
                batch.all(candidates);
                if batch.given_up.fetch_add(1, Ordering::Relaxed) + 1 == PATIENCE && batch.patterns.len() > 1 {
                    self.part(batch);
                }
            }
        }
    }

    /// Puts two in the place of one.
    fn part(&self, batch: &Arc<Batch>) {
        let two = batch.halves();
        let mut batches = self.batches.write().unwrap_or_else(PoisonError::into_inner);
        batches.retain(|other| !Arc::ptr_eq(other, batch));
        batches.extend(two.into_iter().map(Arc::new));
    }

    /// Octets of memory that it takes, about, without the states that are remembered.
    pub(super) fn octets(&self) -> usize {
        let batches = self.batches.read().unwrap_or_else(PoisonError::into_inner);
        batches.iter().map(|batch| batch.octets()).sum()
    }
}

/// It gave up: it needs more states than are worth it.
struct GaveUp;

impl From<CacheError> for GaveUp {
    fn from(_: CacheError) -> Self {
        Self
    }
}

impl From<MatchError> for GaveUp {
    fn from(_: MatchError) -> Self {
        Self
    }
}

impl Batch {
    fn of(patterns: Vec<(u32, Option<Hir>)>) -> Self {
        let hirs: Option<Vec<&Hir>> = patterns.iter().map(|(_, hir)| hir.as_ref()).collect();
        let automaton = hirs.and_then(|hirs| automaton(&hirs)).map(|automaton| {
            let maker = automaton.clone();
            let new: NewCache = Box::new(move || maker.create_cache());
            (automaton, Pool::new(new))
        });
        Self { patterns, automaton, given_up: AtomicU32::new(0) }
    }

    /// The same patterns in two.
    fn halves(&self) -> [Self; 2] {
        let (one, other) = self.patterns.split_at(self.patterns.len() / 2);
        [one, other].map(|half| Self::of(half.to_vec()))
    }

    fn all(&self, candidates: &mut Candidates) {
        self.patterns.iter().for_each(|(id, _)| candidates.mark_all(*id));
    }

    fn read(&self, texts: &Texts, candidates: &mut Candidates) -> Result<(), GaveUp> {
        let Some((automaton, caches)) = &self.automaton else {
            self.all(candidates);
            return Ok(());
        };
        let mut cache = caches.get();
        let cache = &mut *cache;
        let octets = texts.octets();
        let mut places = texts.places();
        let mut state = automaton.start_state_forward(cache, &Input::new(octets))?;
        cache.search_start(0);
        // The same state again in the same text says nothing new, unless states were forgotten.
        let mut last = None;
        for (at, octet) in octets.iter().enumerate() {
            state = automaton.next_state(cache, state, *octet)?;
            if state.is_tagged() {
                if state.is_match() {
                    let text = places.number_of(at);
                    let seen = Some((state, text, cache.clear_count()));
                    if last != seen {
                        last = seen;
                        for number in 0..automaton.match_len(cache, state) {
                            let pattern = automaton.match_pattern(cache, state, number).as_usize();
                            self.patterns.get(pattern).into_iter().for_each(|(id, _)| candidates.mark(*id, text));
                        }
                    }
                } else if state.is_quit() {
                    return Err(GaveUp);
                }
            }
            if at % STRIDE == 0 {
                cache.search_update(at);
            }
        }
        // A text ends before its line end, so that nothing ends only behind the last.
        cache.search_finish(octets.len());
        Ok(())
    }

    fn octets(&self) -> usize {
        let automaton = self.automaton.as_ref();
        let own = automaton.map_or(0, |(automaton, _)| automaton.memory_usage() + automaton.get_nfa().memory_usage());
        size_of::<Self>() + own
    }
}

fn automaton(hirs: &[&Hir]) -> Option<DFA> {
    let nfa = thompson::Config::new().utf8(false).which_captures(thompson::WhichCaptures::None);
    let nfa = thompson::Compiler::new().configure(nfa).build_many_from_hir(hirs).ok()?;
    let config = DFA::config()
        .match_kind(MatchKind::All)
        .cache_capacity(CACHE)
        .skip_cache_capacity_check(true)
        .minimum_cache_clear_count(Some(CLEARED_MOST))
        .minimum_bytes_per_state(Some(OCTETS_PER_STATE));
    DFA::builder().configure(config).build_from_nfa(nfa).ok()
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch").field("patterns", &self.patterns.len()).finish_non_exhaustive()
    }
}
