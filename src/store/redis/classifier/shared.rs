//! The table that all proxies have: each has all of it in memory, and hears through a log what lessons have changed.

use std::sync::Weak;
use std::time::Duration;

use tokio::sync::Mutex;

use super::super::failure::Failure;
use super::super::link::{State, WeakLink};
use super::super::script::scripts;
use crate::classifier::Cell;
use crate::store::classifier::board::Board;
use crate::store::classifier::table::decode;

scripts! {
    HEAR = "../taught_hear.lua";
    LOAD = "../taught_load.lua";
}

/// Between two looks at the log: so long after one proxy was taught the others know it.
const INTERVAL: Duration = Duration::from_millis(100);
/// Changes that are heard at once.
const AT_ONCE: usize = 256;
/// Changes that can be heard; who has missed more loads the table.
pub(super) const ENTRIES: usize = 4096;
/// To load the table may take so much longer than other operations.
const PATIENCE: u32 = 20;
/// What nobody asks for in a year is forgotten.
pub(super) const KEPT: Duration = Duration::from_secs(366 * 86_400);

/// What one proxy has of it.
pub(in crate::store::redis) struct Shared {
    pub(super) board: Board,
    heard: Mutex<Heard>,
}

/// How far it has heard.
#[derive(Default)]
struct Heard {
    /// Which table it is: another one after Redis has forgotten everything.
    born: Vec<u8>,
    changes: u64,
}

/// What to do after an answer.
enum Then {
    Done,
    HearMore,
    Load,
}

// === impl Shared ===

impl Shared {
    pub(super) fn new() -> Self {
        Self { board: Board::new(), heard: Mutex::default() }
    }

    /// Does what others, and we ourselves, have changed since the last time. Returns which table it is.
    pub(super) async fn catch_up(&self, link: &State) -> Result<Vec<u8>, Failure> {
        let mut heard = self.heard.lock().await;
        loop {
            let call = HEAR.at(base(link.prefix())).arg(heard.changes).arg(AT_ONCE);
            let answer: Vec<Vec<u8>> = link.ask_one(&call, link.deadline()).await?;
            match heard.hear(&answer, &self.board)? {
                Then::Done => return Ok(heard.born.clone()),
                Then::HearMore => {}
                Then::Load => self.load(&mut heard, link, answer.first().is_some_and(Vec::is_empty)).await?,
            }
        }
    }

    /// Loads all of it, or proposes what is known here if Redis `has_none`.
    async fn load(&self, heard: &mut Heard, link: &State, has_none: bool) -> Result<(), Failure> {
        let known = if has_none && self.board.used() > 0 { self.board.octets() } else { Vec::new() };
        let name = format!("{:016x}", rand::random::<u64>());
        let call = LOAD.at(base(link.prefix())).arg(KEPT.as_secs()).arg(name).arg(heard.changes).arg(known);
        let answer: Vec<Vec<u8>> = link.ask_one(&call, link.deadline() * PATIENCE).await?;
        let Ok([born, changes, octets]) = <[Vec<u8>; 3]>::try_from(answer) else { return Err(Failure::UNREADABLE) };
        let changes = number(&changes).ok_or(Failure::UNREADABLE)?;
        self.board.load(&octets);
        *heard = Heard { born, changes };
        Ok(())
    }
}

impl Heard {
    /// What [`HEAR`] says.
    fn hear(&mut self, answer: &[Vec<u8>], board: &Board) -> Result<Then, Failure> {
        let ([born, changes], entries) = answer.split_first_chunk().ok_or(Failure::UNREADABLE)?;
        let changes: u64 = number(changes).ok_or(Failure::UNREADABLE)?;
        if *born != self.born || self.born.is_empty() || changes < self.changes {
            return Ok(Then::Load);
        }
        for entry in entries.as_chunks().0 {
            let [place, cells, sum, mass, classes] = entry;
            if number(place) != Some(self.changes + 1) {
                return Ok(Then::Load);
            }
            let (Some(sum), Some(mass)) = (number(sum), number(mass)) else { return Err(Failure::UNREADABLE) };
            change(board, cells, sum, mass, classes);
            self.changes += 1;
        }
        Ok(match self.changes.cmp(&changes) {
            std::cmp::Ordering::Less if entries.is_empty() => Then::Load,
            std::cmp::Ordering::Less => Then::HearMore,
            _ => Then::Done,
        })
    }
}

/// Hears of others until nobody needs it any more.
pub(super) async fn follow(link: WeakLink, shared: Weak<Shared>) {
    loop {
        let (Some(link), Some(shared)) = (link.upgrade(), shared.upgrade()) else { return };
        // A failure was counted where it happened; another look follows.
        let _ = shared.catch_up(&link).await;
        drop((link, shared));
        tokio::time::sleep(INTERVAL).await;
    }
}

/// What the keys begin with. A release that makes other features of messages has others: what it was taught before is
/// forgotten when nobody asks for it any more ([`KEPT`]).
pub(super) fn base(prefix: &str) -> String {
    format!("{prefix}{{taught.v3}}")
}

fn change(board: &Board, cells: &[u8], sum: i32, mass: i64, classes: &[u8]) {
    if (sum, mass) != (0, 0) {
        for cell in decode(cells) {
            let Cell { sum: held, mass: weighs } = board.read(cell);
            let mass = u32::try_from((i64::from(weighs) + mass).max(0)).unwrap_or(u32::MAX);
            board.set(cell, Cell { sum: held.saturating_add(sum), mass });
        }
    }
    let classes = std::str::from_utf8(classes).unwrap_or_default();
    for (class, number) in classes.split(' ').zip([-1, 1]) {
        if let Ok(class) = class.parse::<u8>() {
            board.count(class / 2, class % 2 == 1, number);
        }
    }
}

fn number<T: std::str::FromStr>(octets: &[u8]) -> Option<T> {
    std::str::from_utf8(octets).ok()?.parse().ok()
}

/// A class as its place among counts; see [`Board::octets`].
pub(super) fn class(bin: u8, is_spam: bool) -> i32 {
    2 * i32::from(bin) + i32::from(is_spam)
}
