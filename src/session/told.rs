//! What recipients who did not get a message are to be told at RCPT when it comes again, in the backend's words
//! (DECISIONS 26).
//!
//! By the envelope: before a message has come nobody can know that it is the same. In memory, as digests, bounded and for
//! a while; what is forgotten costs an attempt.

use std::hash::{BuildHasher, RandomState};
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lru::LruCache;
use tokio::time::Instant;

use super::origins::{Origin, origins};
use crate::facts::MailFacts;
use crate::smtp::{ForwardPath, Reply};

/// Verdicts of the backend, by envelope and recipient.
pub(super) struct Verdicts {
    /// By a digest of both.
    verdicts: Mutex<LruCache<u64, (Reply, Instant)>>,
    lifetime: Duration,
    digests: RandomState,
}

impl Verdicts {
    /// Holds at most `capacity`, each for `lifetime`.
    pub(super) fn new(capacity: NonZeroUsize, lifetime: Duration) -> Self {
        Self { verdicts: Mutex::new(LruCache::new(capacity)), lifetime, digests: RandomState::new() }
    }

    /// What the backend has said of the last message in this envelope to `recipient`. Once: who comes again after that is
    /// a recipient like others.
    pub(super) fn take(&self, mail: &MailFacts, recipient: &ForwardPath) -> Option<Reply> {
        let mut verdicts = self.verdicts.lock().unwrap_or_else(PoisonError::into_inner);
        if verdicts.is_empty() {
            return None;
        }
        // Under every origin, or it would be told twice.
        let found: Vec<_> =
            origins(mail).filter_map(|origin| verdicts.pop(&self.key(&origin, mail, recipient))).collect();
        found.into_iter().find(|(_, until)| *until > Instant::now()).map(|(reply, _)| reply)
    }

    /// Keeps what was said of these recipients, none of whom has the message.
    pub(super) fn keep<'r>(&self, mail: &MailFacts, said: impl Iterator<Item = (&'r ForwardPath, &'r Reply)>) {
        let until = Instant::now() + self.lifetime;
        let mut verdicts = self.verdicts.lock().unwrap_or_else(PoisonError::into_inner);
        // 421 ends a session, which is not what is meant; who heard it is tried again.
        for (path, reply) in said.filter(|(_, reply)| reply.code() != 421) {
            for origin in origins(mail) {
                verdicts.put(self.key(&origin, mail, path), (reply.clone(), until));
            }
        }
    }

    fn key(&self, origin: &Origin, mail: &MailFacts, recipient: &ForwardPath) -> u64 {
        let envelope = (mail.reverse_path.to_string(), mail.params.to_string());
        self.digests.hash_one((origin, envelope, recipient.to_string()))
    }
}
