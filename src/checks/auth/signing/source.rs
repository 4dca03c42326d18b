//! A message to work on, and where the work is done: not on the reactor if there is much of it, and never
//! so that a mistake of ours or of a library ends more than the question at hand.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::{BodyHash, Form, hashes};
use crate::facts::{MessageFacts, Rest};
use crate::message::Message;

/// Beyond that many octets, work goes to the blocking pool.
const AT_HAND: usize = 256 * 1024;
/// Beyond that many signatures as well.
const MANY: usize = 8;
/// Fields of a header section in which signatures are looked for; far beyond what any message has.
const MAX_FIELDS: usize = 10_000;

/// The reason that is written where a bug of ours or of a library ended the work.
pub const PANICKED: &str = "given up: an internal error";

/// A message in memory and file.
#[derive(Clone, Debug)]
pub struct Source {
    /// Its beginning.
    pub message: Arc<Message>,
    rest: Option<Arc<dyn Rest>>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Stopped {
    /// A bug.
    #[error("panicked")]
    Panicked,
    /// The spool file.
    #[error("the message could not be read")]
    Unreadable(#[from] io::Error),
}

impl Source {
    /// The message of these facts.
    pub fn new(facts: &MessageFacts) -> Self {
        Self { message: facts.message.clone(), rest: facts.rest.clone() }
    }

    /// False if the header section may go on in the file: then nobody knows what it says.
    pub fn has_whole_header(&self) -> bool {
        let section = self.message.header_section();
        self.rest.is_none() || !self.message.body().is_empty() || section.ends_with(b"\n\r\n") || section == b"\r\n"
    }

    /// True if there are so many fields that nobody looks through them for each signature.
    pub fn has_too_many_fields(&self) -> bool {
        self.message.fields().nth(MAX_FIELDS).is_some()
    }

    /// Does something with the header section, about as much as verifying so many signatures, each of which
    /// may cover all of it.
    ///
    /// # Errors
    /// It panicked.
    pub async fn work<T: Send + 'static>(
        &self,
        signatures: usize,
        work: impl FnOnce(&Message) -> T + Send + 'static,
    ) -> Result<T, Stopped> {
        let message = self.message.clone();
        let octets = message.header_section().len();
        let much = octets.saturating_mul(signatures.max(1)) > AT_HAND || signatures > MANY;
        guarded(much, move || work(&message)).await
    }

    /// Hashes the body.
    ///
    /// # Errors
    /// It panicked, or the file could not be read.
    pub async fn hash(
        &self,
        wanted: impl IntoIterator<Item = (Form, Option<u64>)> + Send + 'static,
    ) -> Result<Vec<BodyHash>, Stopped> {
        let source = self.clone();
        let much = self.rest.is_some() || self.message.body().len() > AT_HAND;
        let hashes = guarded(much, move || hashes::hash(&source.message, source.rest.as_deref(), wanted)).await??;
        Ok(hashes)
    }
}

async fn guarded<T: Send + 'static>(much: bool, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Stopped> {
    let done = match much {
        true => tokio::task::spawn_blocking(work).await.ok(),
        false => catch_unwind(AssertUnwindSafe(work)).ok(),
    };
    done.ok_or(Stopped::Panicked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_ends_only_the_question_at_hand() {
        for much in [true, false] {
            assert!(matches!(guarded(much, || panic!("as it happens")).await, Err::<(), _>(Stopped::Panicked)));
            assert!(matches!(guarded(much, || 7).await, Ok(7)));
        }
    }
}
