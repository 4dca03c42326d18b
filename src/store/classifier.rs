//! What the classifier has been taught, as operations of the domain.
//!
//! A table of cells, and for each message that was learned what it has added to them, so that it counts once and can be
//! taken back. How much a lesson adds, `crate::classifier` says.

pub(super) mod board;
pub(super) mod table;

use std::time::SystemTime;

use futures_util::future::BoxFuture;

use super::StoreError;
use crate::classifier::{BINS, Cell};

/// Names a message that was learned: a hash of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LessonId(pub u128);

/// A message to learn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lesson {
    /// Which.
    pub id: LessonId,
    /// It is unwanted.
    pub is_spam: bool,
    /// The cells of its features, each once.
    pub cells: Vec<u32>,
}

/// What a message meets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weighed {
    /// What its cells hold, in their order.
    pub held: Vec<Cell>,
    /// Of each class of margins how many messages were learned as ham, and as spam.
    pub taught: [[u32; 2]; BINS],
}

/// What became of a lesson.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taught {
    /// It was learned.
    New,
    /// It had been learned as the same: it counts once, and was brought up to date.
    Again,
    /// It had been learned as the opposite, which was taken back first.
    Corrected,
    /// It was taken back.
    Unlearned,
    /// There was nothing to take back.
    Unknown,
}

/// How much was learned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TaughtCount {
    /// Messages learned as spam.
    pub spam: u64,
    /// And as ham.
    pub ham: u64,
    /// Messages that can be taken back; of older ones what they have added remains.
    pub lessons: usize,
    /// Cells in use.
    pub cells: usize,
}

/// What the classifier was taught.
pub trait Teachings: Send + Sync + 'static {
    /// What the cells of a message hold.
    fn classifier_weigh<'a>(&'a self, cells: &'a [u32]) -> BoxFuture<'a, Result<Weighed, StoreError>>;

    /// Learns a message.
    fn classifier_learn(&self, lesson: Lesson, at: SystemTime) -> BoxFuture<'_, Result<Taught, StoreError>>;

    /// Takes back what was learned of a message with these cells.
    fn classifier_unlearn(&self, id: LessonId, cells: Vec<u32>) -> BoxFuture<'_, Result<Taught, StoreError>>;

    /// How much was learned.
    fn classifier_count(&self) -> BoxFuture<'_, Result<TaughtCount, StoreError>>;
}

impl Taught {
    /// The word for people and metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::New => "learned",
            Self::Again => "learned again",
            Self::Corrected => "corrected",
            Self::Unlearned => "unlearned",
            Self::Unknown => "unknown",
        }
    }
}
