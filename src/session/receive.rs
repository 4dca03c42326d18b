//! Reads messages: DATA, BDAT, and chunks that are only thrown away.

use tokio::time::{Instant, timeout_at};

use super::driver::{End, Session};
use super::message::{self, Broken, Inbound};
use super::refusal;
use super::wire::{is_gone, read_with};
use crate::facts::Violation;
use crate::smtp::{DataStep, NewlinePolicy, Reply, data::Framing};

impl Session {
    /// Says 354 and takes the message.
    pub(super) async fn data(&mut self) -> Result<(), End> {
        self.check_pipelining(Violation::EarlyData).await?;
        self.say(&refusal::START_MAIL);
        self.flush().await?;
        let mut inbound = self.begin_message(Framing::Dot);
        loop {
            match self.take_input(&mut inbound, u64::MAX) {
                Ok((DataStep::End { .. }, _)) => break,
                Ok((DataStep::More, _)) => inbound.settle().await,
                Err(broken) => return self.break_off(broken),
            }
            let wait = match inbound.is_empty() {
                true => self.settings.timeouts.data_start,
                false => self.settings.timeouts.data_block,
            };
            let by = Instant::now() + wait;
            let (step, _) = match self.read_into(&mut inbound, u64::MAX, by).await? {
                Ok(step) => step,
                Err(broken) => return self.break_off(broken),
            };
            if let DataStep::End { .. } = step {
                break;
            }
            inbound.settle().await;
        }
        self.conclude(inbound).await
    }

    /// Takes one chunk.
    pub(super) async fn bdat(&mut self, size: u64, last: bool) -> Result<(), End> {
        let mut inbound = match self.transaction.as_mut().and_then(|transaction| transaction.inbound.take()) {
            Some(inbound) => inbound,
            None => self.begin_message(Framing::Counted),
        };
        let mut left = size;
        while left > 0 {
            let taken = if self.at < self.input.len() {
                self.take_input(&mut inbound, left)
            } else {
                // The client may wait for the replies to what it sent with BDAT before it sends the chunk.
                self.flush().await?;
                let by = Instant::now() + self.settings.timeouts.data_block;
                self.read_into(&mut inbound, left, by).await?
            };
            match taken {
                Ok((_, count)) => left -= count,
                Err(broken) => return self.break_off(broken),
            }
            inbound.settle().await;
        }
        if last {
            return match inbound.finish_chunks() {
                Ok(()) => self.conclude(inbound).await,
                Err(broken) => self.break_off(broken),
            };
        }
        if let Some(reply) = inbound.refused().cloned() {
            // The transaction has failed: further chunks are thrown away and refused (RFC 3030 2).
            self.say(&reply);
            self.refuse_transaction(&reply);
            return Ok(());
        }
        if let Some(transaction) = &mut self.transaction {
            transaction.inbound = Some(inbound);
        }
        self.say(&refusal::CHUNK_OK);
        Ok(())
    }

    /// Throws the octets of a refused chunk away: they are not commands.
    pub(super) async fn discard(&mut self, size: u64, reply: &Reply) -> Result<(), End> {
        if size > self.settings.limits.message_size.0 {
            self.say(reply);
            return Err(End::Refused);
        }
        let mut left = size;
        loop {
            let here = (self.input.len() - self.at).min(usize::try_from(left).unwrap_or(usize::MAX));
            self.at += here;
            left -= here as u64;
            if left == 0 {
                break;
            }
            self.input.clear();
            self.at = 0;
            self.flush().await?;
            self.read_more(Instant::now(), self.settings.timeouts.data_block).await?;
        }
        self.say(reply);
        Ok(())
    }

    /// Ready for the first octet. A message that no backend will be given needs none.
    fn begin_message(&mut self, framing: Framing) -> Inbound {
        if self.transaction.as_ref().is_some_and(|transaction| transaction.is_for_traps_alone()) {
            self.release_backend();
        }
        self.inbound(framing)
    }

    fn inbound(&self, framing: Framing) -> Inbound {
        let protocol = &self.settings.protocol;
        let excepted = || protocol.newline_exceptions.contains(self.client_addr());
        let policy = match protocol.newlines {
            // Whatever the octets are, they are meant so.
            _ if framing == Framing::Counted && self.machine.is_binary() => NewlinePolicy::Keep,
            NewlinePolicy::Reject if excepted() => NewlinePolicy::Normalize,
            policy => policy,
        };
        let declared = self.transaction.as_ref().and_then(|transaction| transaction.size);
        let draft = self.shared.spool.draft(declared);
        Inbound::new(framing, policy, draft, self.machine.offer().size.max(1))
    }

    /// Feeds what was read already, at most `left` octets.
    fn take_input(&mut self, inbound: &mut Inbound, left: u64) -> Result<(DataStep, u64), Broken> {
        let here = self.input.get(self.at..).unwrap_or_default();
        let here = here.get(..usize::try_from(left).unwrap_or(usize::MAX)).unwrap_or(here);
        let step = inbound.take(here)?;
        let count = match step {
            DataStep::More => here.len(),
            DataStep::End { consumed } => consumed,
        };
        self.at += count;
        if self.at >= self.input.len() {
            self.input = Vec::new();
            self.at = 0;
        }
        Ok((step, count as u64))
    }

    /// Reads from the client straight into the message, at most `left` octets; what is more stays in the input.
    async fn read_into(
        &mut self,
        inbound: &mut Inbound,
        left: u64,
        by: Instant,
    ) -> Result<Result<(DataStep, u64), Broken>, End> {
        loop {
            let by = by.min(self.ends_by());
            let cut = self.cut.clone();
            let until = self.tend_at(inbound.began).map_or(by, |tend| tend.min(by));
            let Self { io, input, .. } = self;
            let read = read_with(io, |octets| {
                let (ours, rest) = octets.split_at(usize::try_from(left).unwrap_or(usize::MAX).min(octets.len()));
                let step = inbound.take(ours)?;
                let count = match step {
                    DataStep::More => ours.len(),
                    DataStep::End { consumed } => {
                        input.extend_from_slice(ours.get(consumed..).unwrap_or_default());
                        consumed
                    }
                };
                input.extend_from_slice(rest);
                Ok((step, count as u64))
            });
            let Some(read) = cut.run_until_cancelled(timeout_at(until, read)).await else {
                return Err(End::Drained);
            };
            match read {
                Ok(Ok(Some(taken))) => return Ok(taken),
                Ok(_) => return Err(End::Closed),
                Err(_elapsed) if until < by => self.tend_backend().await,
                Err(_elapsed) => return Err(self.out_of_time()),
            }
        }
    }

    /// The message is here: the verdict, and the reply that goes with it.
    async fn conclude(&mut self, inbound: Inbound) -> Result<(), End> {
        let Some(mut transaction) = self.transaction.take() else { return Err(End::Closed) };
        let (reply, close) =
            message::decide(&self.shared, &self.settings, &mut self.assessment, &mut transaction, inbound).await;
        let id = transaction.id;
        self.transaction = Some(transaction);
        self.end_transaction();
        self.say(&reply);
        if reply.is_positive() {
            let gone = is_gone(&mut self.io, &mut self.input) && self.at >= self.input.len();
            let unheard = self.flush().await.is_err();
            if unheard || gone {
                // The window that SMTP leaves open: stored, and the client may not know (RFC 1047).
                self.shared.metrics.unheard.inc();
                tracing::warn!(%id, client = %self.client_addr(), "transaction.unheard_acceptance");
            }
            if unheard {
                return Err(End::Closed);
            }
        }
        if close { Err(End::Refused) } else { Ok(()) }
    }

    /// The end of the message cannot be agreed upon: nothing behind it can be trusted either.
    fn break_off(&mut self, broken: Broken) -> Result<(), End> {
        let (reply, label) = match broken {
            Broken::Data(why) => (refusal::data_error(why), "ambiguous_message"),
            Broken::Endless => (refusal::TOO_BIG, "endless_message"),
        };
        self.shared.metrics.violations.with_label_values(&[label, "refuse"]).inc();
        tracing::warn!(client = %self.client_addr(), reply = %reply.to_log(), "session.broken_off");
        self.say(&reply);
        self.refuse_transaction(&reply);
        Err(End::Refused)
    }
}
