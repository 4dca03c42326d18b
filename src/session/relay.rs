//! One transaction as the backend sees it: which backend reply becomes which client reply.
//!
//! The backend is connected at the first recipient that our own checks let pass (DECISIONS 3); a slow
//! client gives the connection back and takes one again (DECISIONS 27). Until the message is handed
//! over nothing is lost by starting anew, so a connection that proves stale is replaced once.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::handover::{Failure, Parcel, hand_over};
use super::refusal;
use crate::backend::machine::{self, Identity, Need};
use crate::backend::settings::Protocol;
use crate::backend::{BackendError, Lease, Metrics, Own, Way, Ways};
use crate::smtp::{Extension, Extensions, ForwardPath, Params, Reply, ReversePath};

/// The envelope so far, as it is handed on.
pub struct Envelope<'a> {
    /// The sender.
    pub reverse_path: &'a ReversePath,
    /// Its parameters.
    pub params: &'a Params,
    /// Recipients that the backend accepted, with its replies.
    pub accepted: &'a [Recipient],
}

/// A recipient that the backend accepted.
#[derive(Clone, Debug)]
pub struct Recipient {
    /// The recipient.
    pub path: ForwardPath,
    /// Its parameters.
    pub params: Params,
    /// Its place in the transaction.
    pub index: usize,
    /// The code that accepted it, or refused a trap.
    pub code: u16,
    /// Nobody uses it.
    pub is_trap: bool,
}

/// One transaction with a backend.
pub struct Relay {
    ways: Ways,
    /// Where it goes, until somebody is accepted who goes elsewhere.
    way: Way,
    identity: Identity,
    need: Need,
    /// Where the client has authenticated: the only connection that will do.
    own: Option<Own>,
    lease: Option<Lease>,
    /// MAIL was refused: every recipient hears it.
    mail_refused: Option<Reply>,
}

/// RCPT commands sent before their replies are read: neither side's buffers can fill up.
const GROUP: usize = 100;
impl Relay {
    /// Nothing is connected yet.
    pub fn new(ways: Ways, identity: Identity, need: Need) -> Self {
        let way = ways.home().clone();
        Self { ways, way, identity, need, own: None, lease: None, mail_refused: None }
    }

    /// True if `path` goes where this transaction goes (DECISIONS 2).
    pub fn goes_to(&self, path: &ForwardPath) -> bool {
        !self.ways.part() || Arc::ptr_eq(&self.ways.to(path).pool, &self.way.pool)
    }

    /// The pool that `path` goes to, by name; `None` where all mail goes the same way.
    pub fn way_of(&self, path: &ForwardPath) -> Option<Way> {
        self.ways.part().then(|| self.ways.to(path))
    }

    /// Goes where `path` goes: nobody was accepted elsewhere.
    pub fn turn_to(&mut self, path: &ForwardPath) {
        let way = self.ways.to(path);
        if !Arc::ptr_eq(&way.pool, &self.way.pool) {
            self.release();
            self.mail_refused = None;
        }
        self.way = way;
    }

    /// The same, over the client's own connection if it has one.
    #[must_use]
    pub fn over(self, own: Option<Own>) -> Self {
        Self { own, ..self }
    }

    /// A connection; `fresh` is one that was not idle before.
    async fn lease(&mut self, fresh: bool) -> Result<Lease, BackendError> {
        match &self.own {
            Some(own) => own.lease(&self.identity, &self.need).await,
            None => self.way.pool.lease(&self.identity, &self.need, fresh).await,
        }
    }

    /// What the client hears of `why`. Without the connection on which it has authenticated it is nobody.
    fn failed(&self, why: &BackendError) -> Reply {
        match (why, &self.own) {
            (BackendError::CannotCarry { .. }, _) | (_, None) => refusal::backend_failure(why, &self.need),
            (_, Some(_)) => refusal::OWN_BACKEND_LOST,
        }
    }

    /// When something must be done about the connection that is held, if the client goes on to be slow; `hold` is
    /// how long it may hold one of the pool's, since `since`.
    pub fn tend_at(&self, since: Instant, hold: Duration) -> Option<Instant> {
        let lease = self.lease.as_ref()?;
        Some(if lease.is_own() { lease.silent_until() } else { since + hold })
    }

    /// Does it: gives the connection back, or lets the backend hear that its own client is still there.
    pub async fn tend(&mut self) {
        let Some(mut lease) = self.lease.take() else { return };
        if !lease.is_own() {
            return lease.reset();
        }
        if lease.keep_alive().await.is_ok() {
            self.lease = Some(lease);
        }
    }

    /// True if the backend refused the sender: every recipient hears that, which says nothing about recipients.
    pub fn is_sender_refused(&self) -> bool {
        self.mail_refused.is_some()
    }

    /// What is counted about backends.
    pub fn metrics(&self) -> Metrics {
        self.way.pool.metrics.clone()
    }

    /// Hands `new` recipients on (and MAIL before the first); one reply each.
    pub async fn recipients(&mut self, envelope: &Envelope<'_>, new: &[(ForwardPath, Params)]) -> Vec<Reply> {
        let before = self.need;
        self.need = before.with_recipients(new.iter().map(|(_, params)| params));
        let replies = self.hand_on(envelope, new).await;
        // Whoever was refused asks for nothing any more.
        let taken = new.iter().zip(&replies).filter(|(_, reply)| reply.is_positive());
        self.need = before.with_recipients(taken.map(|((_, params), _)| params));
        replies
    }

    async fn hand_on(&mut self, envelope: &Envelope<'_>, new: &[(ForwardPath, Params)]) -> Vec<Reply> {
        if self.lease.as_ref().is_some_and(|lease| !self.need.met_by(lease.extensions())) {
            // Another member may have what this one lacks.
            self.release();
        }
        if let Some(refused) = &self.mail_refused {
            return vec![refused.clone(); new.len()];
        }
        let outcome = match self.lease.take() {
            Some(lease) => match self.more(lease, new).await {
                // What was accepted is accepted again elsewhere; these recipients have no answer yet.
                Err(_) => match self.replay(envelope).await {
                    Ok(lease) => self.more(lease, new).await,
                    Err(reply) => return vec![reply; new.len()],
                },
                replies => replies,
            },
            None if envelope.accepted.is_empty() => self.first(envelope, new).await,
            None => match self.replay(envelope).await {
                Ok(lease) => self.more(lease, new).await,
                Err(reply) => return vec![reply; new.len()],
            },
        };
        outcome.unwrap_or_else(|why| vec![self.failed(&why); new.len()])
    }

    /// MAIL and the first recipients.
    async fn first(
        &mut self,
        envelope: &Envelope<'_>,
        new: &[(ForwardPath, Params)],
    ) -> Result<Vec<Reply>, BackendError> {
        let mut lease = self.lease(false).await?;
        let mut begun = begin(&mut lease, envelope, new).await;
        let has_ended = begun.as_ref().map_or(true, |(mail, _)| mail.code() == 421);
        if has_ended && lease.reused {
            drop(lease);
            lease = self.lease(true).await?;
            begun = begin(&mut lease, envelope, new).await;
        }
        let (mail, replies) = begun?;
        Ok(self.begun(lease, mail, replies))
    }

    fn begun(&mut self, lease: Lease, mail: Reply, replies: Vec<Reply>) -> Vec<Reply> {
        if mail.is_positive() {
            self.lease = Some(lease);
            return replies;
        }
        lease.give_back();
        let count = replies.len();
        self.mail_refused = Some(mail.clone());
        vec![mail; count]
    }

    /// Further recipients of an open transaction.
    async fn more(&mut self, mut lease: Lease, new: &[(ForwardPath, Params)]) -> Result<Vec<Reply>, BackendError> {
        let replies = name_recipients(&mut lease, &borrowed(new)).await?;
        self.lease = Some(lease);
        Ok(replies)
    }

    /// Opens the transaction again, if an idle connection fails then on a new one. The answers must be what they were.
    async fn replay(&mut self, envelope: &Envelope<'_>) -> Result<Lease, Reply> {
        let opened = self.open_again(envelope).await;
        opened.unwrap_or_else(|why| Err(self.failed(&why)))
    }

    async fn open_again(&mut self, envelope: &Envelope<'_>) -> Result<Result<Lease, Reply>, BackendError> {
        let lease = self.lease(false).await?;
        let is_reused = lease.reused;
        match again(lease, envelope).await {
            Err(_) if is_reused => again(self.lease(true).await?, envelope).await,
            other => other,
        }
    }

    /// Gives the connection back: the transaction is over, or does not need it for now.
    pub fn release(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.reset();
        }
    }

    /// Hands the message over and waits for the backend's word on it, however long that takes: one reply, or where it
    /// answers for each one for each recipient of `envelope`, `None` where it was lost with the connection.
    ///
    /// # Errors
    /// [`Failure`] says whether the backend may have it.
    pub async fn deliver(
        &mut self,
        envelope: &Envelope<'_>,
        parcel: Parcel<'_>,
    ) -> Result<Vec<Option<Reply>>, Failure> {
        let held = self.lease.take().and_then(|mut lease| lease.connection().is_quiet().then_some(lease));
        let mut lease = match held {
            Some(lease) => lease,
            None => self.replay(envelope).await.map_err(Failure::Before)?,
        };
        if !lease.connection().is_quiet() {
            // An answer that nobody asked for would be taken for the answer to the message.
            return Err(Failure::Before(refusal::BACKEND_DOWN));
        }
        let timer = self.way.pool.metrics.end_of_data.start_timer();
        let outcome = hand_over(&mut lease, parcel, envelope.accepted.len()).await;
        timer.observe_duration();
        let replies = outcome?;
        lease.connection().transactions += 1;
        // Where DATA or a chunk was refused the transaction may still be open.
        if replies.iter().all(|reply| reply.as_ref().is_some_and(Reply::is_positive)) {
            lease.give_back()
        } else {
            lease.reset()
        }
        Ok(replies)
    }

    /// True if the backend answers a message for each recipient (RFC 2033).
    pub fn answers_each(&self) -> bool {
        self.way.pool.settings().protocol == Protocol::Lmtp
    }
}

/// The whole envelope once more; the inner error is the reply to a changed answer.
async fn again(mut lease: Lease, envelope: &Envelope<'_>) -> Result<Result<Lease, Reply>, BackendError> {
    let (mail, _) = begin(&mut lease, envelope, &[]).await?;
    if mail.code() == 421 {
        return Err(BackendError::NotReady(mail));
    }
    if !mail.is_positive() {
        lease.give_back();
        return Ok(Err(refusal::ENVELOPE_CHANGED));
    }
    let recipients: Vec<_> = envelope.accepted.iter().map(|recipient| (&recipient.path, &recipient.params)).collect();
    let replies = name_recipients(&mut lease, &recipients).await?;
    if replies.iter().zip(envelope.accepted).any(|(reply, before)| reply.code() != before.code) {
        lease.reset();
        return Ok(Err(refusal::ENVELOPE_CHANGED));
    }
    Ok(Ok(lease))
}

/// MAIL and `new` recipients in one go where the backend pipelines; the reply to MAIL and one for each recipient.
async fn begin(
    lease: &mut Lease,
    envelope: &Envelope<'_>,
    new: &[(ForwardPath, Params)],
) -> Result<(Reply, Vec<Reply>), BackendError> {
    let timeouts = lease.pool().settings().timeouts.clone();
    let pipelining = lease.extensions().has(Extension::Pipelining);
    let mut commands = Vec::with_capacity(256);
    machine::mail(envelope.reverse_path, &taken_by(lease.extensions(), envelope.params), &mut commands);
    if pipelining {
        for (path, params) in new {
            machine::rcpt(path, params, &mut commands);
        }
    }
    let connection = lease.connection();
    connection.mails += 1;
    connection.send(&commands, timeouts.write).await?;
    let mail = connection.verdict(timeouts.command).await?;
    if !pipelining {
        if !mail.is_positive() {
            return Ok((mail.clone(), vec![mail; new.len()]));
        }
        let replies = name_recipients(lease, &borrowed(new)).await?;
        return Ok((mail, replies));
    }
    let mut replies = Vec::with_capacity(new.len());
    for _ in new {
        match connection.verdict(timeouts.command).await {
            Ok(reply) => replies.push(reply),
            Err(_) if !mail.is_positive() => replies.push(mail.clone()),
            Err(why) => return Err(why),
        }
    }
    Ok((mail, replies))
}

/// MAIL's parameters without SIZE and AUTH where the member does not offer them: those are ours to offer, not its.
fn taken_by<'p>(offered: &Extensions, params: &'p Params) -> Cow<'p, Params> {
    let ours = [("SIZE", Extension::Size), ("AUTH", Extension::Auth)];
    let unknown = ours.map(|(name, extension)| (name, !offered.has(extension) && params.get(name).is_some()));
    if unknown.iter().all(|(_, unknown)| !unknown) {
        return Cow::Borrowed(params);
    }
    let mut params = params.clone();
    for (name, _) in unknown.iter().filter(|(_, unknown)| *unknown) {
        params.remove(name);
    }
    Cow::Owned(params)
}

/// RCPT for each, pipelined where the backend does.
async fn name_recipients(
    lease: &mut Lease,
    recipients: &[(&ForwardPath, &Params)],
) -> Result<Vec<Reply>, BackendError> {
    let timeouts = lease.pool().settings().timeouts.clone();
    let pipelining = lease.extensions().has(Extension::Pipelining);
    let connection = lease.connection();
    let mut replies = Vec::with_capacity(recipients.len());
    for group in recipients.chunks(if pipelining { GROUP } else { 1 }) {
        let mut commands = Vec::with_capacity(64 * group.len());
        for (path, params) in group {
            machine::rcpt(path, params, &mut commands);
        }
        connection.send(&commands, timeouts.write).await?;
        for _ in group {
            replies.push(connection.verdict(timeouts.command).await?);
        }
    }
    Ok(replies)
}

fn borrowed(new: &[(ForwardPath, Params)]) -> Vec<(&ForwardPath, &Params)> {
    new.iter().map(|(path, params)| (path, params)).collect()
}
