//! Messages that some recipients have and others have not (DECISIONS 26).
//!
//! A backend that speaks LMTP answers a message for each recipient, and the client hears one reply for all. Where
//! the answers are alike that is the reply. Where they differ the client is asked to come again; who has the message
//! does not get it twice, and everybody else hears at RCPT, in the backend's words, what became of it ([`Verdicts`]): so
//! every verdict is told at the second attempt. What a lost connection left unsaid is nobody's verdict: it is tried again.
//!
//! Who has a message is remembered in the store, by a digest of the message and of the recipient. The declared size of
//! an envelope must be the same for somebody to be told by it; where the client declares none, recipients are taken apart
//! as those are whose verdicts differ ([`Splits`](super::splits::Splits)), which takes more attempts and needs no guess.
//!
//! A digest says nothing of when: a message without a Message-ID and a Date field may be another one that says the same,
//! so it is known again for an hour only, and not at all once everybody has it. What names itself is the same message
//! whenever it comes; it is known for another hour after the last reply, which the client may not have heard.
//!
//! What is forgotten costs attempts, and a copy for whoever has the message; nobody goes without one.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_lc_rs::digest;
use tokio::time::timeout;

use super::handover::{Failure, Parcel};
use super::refusal;
use super::relay::{Envelope, Recipient};
use super::shared::Shared;
use super::spool::Overflow;
use super::told::Verdicts;
use super::transaction::Transaction;
use crate::facts::MailFacts;
use crate::message::Message;
use crate::smtp::{ForwardPath, Reply};
use crate::store::{Deliveries, DeliveryKey};
use crate::verdict::Verdict;

/// What is remembered of messages that not all recipients have.
pub struct Partial {
    deliveries: Arc<dyn Deliveries>,
    verdicts: Verdicts,
}

/// What the backend said of a message.
pub struct Told {
    /// To the client.
    pub reply: Reply,
    /// The classes of all that was heard; `None` for what was lost with the connection.
    pub heard: Vec<Option<u8>>,
}

/// Clients give up after four or five days (RFC 5321 4.5.4.1).
const KEPT: Duration = Duration::from_secs(6 * 86_400);
/// Another message that says the same may follow; and so long a client that did not hear the last reply comes again.
const KEPT_SHORTLY: Duration = Duration::from_secs(3600);
/// How long the reply waits for that to be on disk.
const PATIENCE: Duration = Duration::from_secs(2);

impl Partial {
    /// Holds at most `capacity` verdicts, each for `lifetime`.
    pub fn new(capacity: NonZeroUsize, lifetime: Duration, deliveries: Arc<dyn Deliveries>) -> Self {
        Self { deliveries, verdicts: Verdicts::new(capacity, lifetime) }
    }

    /// What the backend has said of the last message in this envelope to `recipient`, who did not get it. Once: who
    /// comes again after that is a recipient like others.
    pub fn take_verdict(&self, mail: &MailFacts, recipient: &ForwardPath) -> Option<Reply> {
        self.verdicts.take(mail, recipient)
    }

    /// Hands a message over: to everybody, or where the backend answers for each to those who do not have it yet.
    ///
    /// # Errors
    /// As [`Relay::deliver`](super::relay::Relay::deliver).
    pub async fn deliver(
        &self,
        transaction: &mut Transaction,
        mut parcel: Parcel<'_>,
        shared: &Shared,
    ) -> Result<Told, Failure> {
        let Transaction { mail, accepted, relay, .. } = transaction;
        if !relay.answers_each() {
            let envelope = Envelope { reverse_path: &mail.reverse_path, params: &mail.params, accepted };
            let replies = relay.deliver(&envelope, parcel).await?;
            let heard = classes(&replies);
            let reply = replies.into_iter().flatten().next().unwrap_or(refusal::BACKEND_LOST);
            return Ok(Told { reply, heard });
        }
        let now = shared.clock.now();
        let digest = digest_of(parcel.message, parcel.overflow.as_deref_mut()).await.map_err(|why| {
            tracing::error!(error = %why, "spool.read_failed");
            Failure::Before(refusal::SPOOL_FULL)
        })?;
        let sender = mail.reverse_path.to_string();
        let keys: Vec<_> =
            accepted.iter().map(|one| DeliveryKey::new(digest.as_ref(), &sender, &one.path.to_string())).collect();
        let have = self.deliveries.delivered_look(&keys, now).await.unwrap_or_default();
        let has = |at: usize| have.get(at).copied().unwrap_or(false);
        let (rest, rest_keys): (Vec<Recipient>, Vec<DeliveryKey>) = accepted
            .iter()
            .zip(&keys)
            .enumerate()
            .filter(|(at, _)| !has(*at))
            .map(|(_, (one, key))| (one.clone(), *key))
            .unzip();
        if rest.len() < accepted.len() {
            // The backend was told of all of them; it is told of the others again.
            relay.release();
        }
        let names_itself = names_itself(parcel.message);
        if rest.is_empty() {
            self.settle(keys, names_itself, now).await;
            return Ok(Told { reply: refusal::DELIVERED_BEFORE, heard: Vec::new() });
        }
        let envelope = Envelope { reverse_path: &mail.reverse_path, params: &mail.params, accepted: &rest };
        let replies = relay.deliver(&envelope, parcel).await?;
        let heard = classes(&replies);
        let all_new = rest.len() == accepted.len();
        if let Some(reply) = for_all(&replies).filter(|reply| all_new || reply.is_positive()) {
            if !all_new {
                self.settle(keys, names_itself, now).await;
            }
            return Ok(Told { reply: reply.clone(), heard });
        }
        let is_taken = |reply: &Option<Reply>| reply.as_ref().is_some_and(Reply::is_positive);
        let taken = rest_keys.iter().zip(&replies).filter(|(_, reply)| is_taken(reply)).map(|(key, _)| *key);
        // On disk before the client comes again, unless that takes too long; what a home cannot keep it has counted.
        let kept = if names_itself { KEPT } else { KEPT_SHORTLY };
        let _ = timeout(PATIENCE, self.deliveries.delivered_note(taken.collect(), kept, now)).await;
        for (one, reply) in rest.iter().zip(&replies).filter(|(_, reply)| !is_taken(reply)) {
            let reply = reply.as_ref().map_or_else(|| refusal::BACKEND_LOST.to_log(), Reply::to_log);
            tracing::info!(id = %transaction.id, forward_path = %one.path, reply, "recipient.not_delivered");
        }
        let judged = rest.iter().map(|one| &one.path).zip(&replies);
        self.keep_apart(shared, &transaction.mail, judged, accepted_before(&transaction.accepted, &rest));
        let nobody_has_it = all_new && !replies.iter().any(is_taken);
        let is_lost = nobody_has_it && heard.contains(&None);
        Ok(Told { reply: if is_lost { refusal::BACKEND_LOST } else { refusal::DELIVERED_TO_SOME }, heard })
    }

    /// Sees to it that everybody hears his own verdict when the envelope comes again.
    fn keep_apart<'r>(
        &self,
        shared: &Shared,
        mail: &MailFacts,
        judged: impl Iterator<Item = (&'r ForwardPath, &'r Option<Reply>)>,
        before: impl Iterator<Item = &'r ForwardPath>,
    ) {
        if mail.params.get("SIZE").is_none() {
            let verdict = |reply: &Option<Reply>| match reply.as_ref().map(Reply::class) {
                Some(2) => Verdict::Forward,
                Some(5) => Verdict::Reject,
                _ => Verdict::Defer,
            };
            let judged = judged.map(|(path, reply)| (path, verdict(reply)));
            return shared.splits.remember(mail, judged.chain(before.map(|path| (path, Verdict::Forward))));
        }
        let said = judged.filter_map(|(path, reply)| Some((path, reply.as_ref()?)));
        self.verdicts.keep(mail, said.filter(|(_, reply)| !reply.is_positive()));
    }

    /// Everybody has it.
    async fn settle(&self, keys: Vec<DeliveryKey>, names_itself: bool, now: SystemTime) {
        // What a home cannot forget it forgets in time.
        let _ = match names_itself {
            true => timeout(PATIENCE, self.deliveries.delivered_note(keys, KEPT_SHORTLY, now)).await,
            false => timeout(PATIENCE, self.deliveries.delivered_drop(keys)).await,
        };
    }
}

fn classes(replies: &[Option<Reply>]) -> Vec<Option<u8>> {
    replies.iter().map(|reply| reply.as_ref().map(Reply::class)).collect()
}

/// Those who have it from an earlier attempt.
fn accepted_before<'r>(accepted: &'r [Recipient], rest: &'r [Recipient]) -> impl Iterator<Item = &'r ForwardPath> {
    let is_new = |one: &Recipient| rest.iter().any(|new| new.index == one.index);
    accepted.iter().filter(move |one| !is_new(one)).map(|one| &one.path)
}

/// The reply that says what all of them say: that it was taken, that it may come again, or that it was refused for one
/// and the same reason. Where one is not known there is none.
fn for_all(replies: &[Option<Reply>]) -> Option<&Reply> {
    let first = replies.first()?.as_ref()?;
    let said = |reply: &Reply| match reply.class() {
        5 => (5, reply.code(), reply.status().or_else(|| reply.enhanced_in_text())),
        class => (class, 0, None),
    };
    replies.iter().all(|reply| reply.as_ref().is_some_and(|reply| said(reply) == said(first))).then_some(first)
}

/// True if nothing but the same message can have this digest.
fn names_itself(message: &Message) -> bool {
    let says = |value: &[u8]| !value.trim_ascii().is_empty();
    message.fields().any(|field| (field.is("Message-ID") || field.is("Date")) && says(field.value))
}

/// The message without Received fields, of which the next attempt may have others.
async fn digest_of(message: &Message, overflow: Option<&mut Overflow>) -> std::io::Result<digest::Digest> {
    let mut context = digest::Context::new(&digest::SHA256);
    for field in message.fields().filter(|field| !field.is("Received")) {
        context.update(message.header_section().get(field.start..field.end).unwrap_or_default());
    }
    context.update(message.body());
    if let Some(overflow) = overflow {
        let mut blocks = overflow.blocks().await?;
        while let Some(block) = blocks.next().await? {
            context.update(block);
        }
    }
    Ok(context.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::smtp::EnhancedStatus;

    fn reply(code: u16, detail: u8) -> Reply {
        Reply::new(code, Some(EnhancedStatus((code / 100) as u8, 2, detail.into())), format!("in words {detail}"))
    }

    #[test]
    fn replies_are_alike_if_a_client_would_do_the_same() {
        for (replies, alike) in [
            (vec![reply(250, 0)], true),
            (vec![reply(250, 0), reply(250, 5)], true),
            (vec![reply(451, 0), reply(452, 2)], true),
            (vec![reply(552, 2), reply(552, 2)], true),
            (vec![reply(552, 2), reply(550, 2)], false),
            (vec![reply(552, 2), reply(552, 3)], false),
            (vec![reply(250, 0), reply(452, 2)], false),
            (vec![reply(452, 2), reply(552, 2)], false),
            (Vec::new(), false),
        ] {
            let mut heard: Vec<_> = replies.iter().cloned().map(Some).collect();
            assert_eq!(for_all(&heard), replies.first().filter(|_| alike), "{replies:?}");
            heard.push(None);
            assert_eq!(for_all(&heard), None, "{replies:?}");
        }
    }

    #[test]
    fn a_message_names_itself_by_its_id_or_its_date() {
        for (header, expected) in [
            ("Message-ID: <1@sender.example>\r\n", true),
            ("Subject: x\r\ndate: Mon, 21 Sep 2026 10:00:00 +0000\r\n", true),
            ("Date:\r\nMessage-ID: \r\n", false),
            ("Received: by a; Mon, 21 Sep 2026 10:00:00 +0000\r\nSubject: x\r\n", false),
        ] {
            let octets = format!("{header}\r\nDate: in the body\r\n").into_bytes();
            let len = octets.len() as u64;
            assert_eq!(names_itself(&Message::new(octets, len)), expected, "{header}");
        }
    }

    #[tokio::test]
    async fn a_message_is_the_same_whichever_way_it_came() {
        let of = async |text: &str| {
            let message = Message::new(text.as_bytes().to_vec(), text.len() as u64);
            digest_of(&message, None).await.expect("no file").as_ref().to_vec()
        };
        let first = of("Received: by a\r\nSubject: x\r\n\r\nbody\r\n").await;
        assert_eq!(first, of("Received: by b\r\n\tfor c\r\nSubject: x\r\n\r\nbody\r\n").await);
        assert_ne!(first, of("Received: by a\r\nSubject: y\r\n\r\nbody\r\n").await);
        assert_ne!(first, of("Received: by a\r\nSubject: x\r\n\r\nbody.\r\n").await);
    }
}
