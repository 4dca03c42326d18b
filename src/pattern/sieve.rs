//! Expressions that require no literal, read together: one automaton tells which of them may match a text.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::atomic::{AtomicU32, Ordering};

use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::nfa::thompson::{self, WhichCaptures};
use regex_automata::util::pool::Pool;
use regex_automata::{Input, MatchKind, PatternSet};
use regex_syntax::hir::Hir;

/// Expressions in one automaton.
const MOST: usize = 48;
/// Octets of the compiled expressions.
const SIZE_LIMIT: usize = 1 << 20;
/// Octets that the automaton may take for each text that is read at the same time.
const CACHE: usize = 2 << 20;
/// Texts that it gave up on, after which it is no longer tried.
const PATIENCE: u32 = 16;

/// Several expressions.
pub(super) struct Sieve {
    automaton: DFA,
    caches: Pool<Cache, Create>,
    ids: Vec<u32>,
    given_up: AtomicU32,
}

type Create = Box<dyn Fn() -> Cache + Send + Sync + UnwindSafe + RefUnwindSafe>;

impl Sieve {
    /// Of what is matched where the patterns are; and the patterns that are in no sieve.
    pub(super) fn all(patterns: Vec<(u32, Option<Hir>)>) -> (Vec<Self>, Vec<u32>) {
        let (known, unknown): (Vec<_>, Vec<_>) = patterns.into_iter().partition(|(_, hir)| hir.is_some());
        let mut rest: Vec<u32> = unknown.into_iter().map(|(id, _)| id).collect();
        let mut sieves = Vec::new();
        for several in known.chunks(MOST) {
            let ids = several.iter().map(|(id, _)| *id);
            let hirs: Vec<&Hir> = several.iter().filter_map(|(_, hir)| hir.as_ref()).collect();
            match Self::of(&hirs, ids.clone().collect()).filter(|sieve| sieve.ids.len() > 1) {
                Some(sieve) => sieves.push(sieve),
                None => rest.extend(ids),
            }
        }
        rest.sort_unstable();
        (sieves, rest)
    }

    fn of(hirs: &[&Hir], ids: Vec<u32>) -> Option<Self> {
        let config =
            thompson::Config::new().utf8(false).which_captures(WhichCaptures::None).nfa_size_limit(Some(SIZE_LIMIT));
        let nfa = thompson::Compiler::new().configure(config).build_many_from_hir(hirs).ok()?;
        let config = DFA::config()
            .match_kind(MatchKind::All)
            .cache_capacity(CACHE)
            .minimum_cache_clear_count(Some(3))
            .minimum_bytes_per_state(Some(10));
        let automaton = DFA::builder().configure(config).build_from_nfa(nfa).ok()?;
        let own = automaton.clone();
        let caches: Pool<Cache, Create> = Pool::new(Box::new(move || own.create_cache()));
        Some(Self { automaton, caches, ids, given_up: AtomicU32::new(0) })
    }

    /// Tells `may` of all that may match.
    pub(super) fn read(&self, text: &[u8], may: &mut dyn FnMut(u32)) {
        if self.given_up.load(Ordering::Relaxed) < PATIENCE {
            let mut seen = PatternSet::new(self.ids.len());
            let input = Input::new(text);
            let read = self.automaton.try_which_overlapping_matches(&mut self.caches.get(), &input, &mut seen);
            if read.is_ok() {
                return seen.iter().filter_map(|at| self.ids.get(at.as_usize())).for_each(|id| may(*id));
            }
            self.given_up.fetch_add(1, Ordering::Relaxed);
        }
        self.ids.iter().for_each(|id| may(*id));
    }

    /// Octets of memory that it takes, about, but for what it has learnt of texts.
    pub(super) fn octets(&self) -> usize {
        self.automaton.memory_usage() + self.automaton.get_nfa().memory_usage()
    }
}

impl fmt::Debug for Sieve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sieve").field("ids", &self.ids).finish_non_exhaustive()
    }
}
