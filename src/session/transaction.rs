//! One transaction, from MAIL to the verdict: its facts, its recipients, and what becomes of it.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::known::Existence;
use super::message::Inbound;
use super::recording::Notes;
use super::relay::{Envelope, Recipient, Relay};
use super::settings::Settings;
use super::shared::Shared;
use super::splits::Group;
use super::{refusal, settings};
use crate::checks::Fate;
use crate::facts::{ClientFacts, MailFacts, RcptFacts};
use crate::pipeline::{Assessment, Decision, Policies};
use crate::records::TransactionId;
use crate::smtp::{Domain, EnhancedStatus, ForwardPath, Params, Reply};
use crate::verdict::Verdict;

/// One transaction.
pub struct Transaction {
    /// Its name.
    pub id: TransactionId,
    /// Its envelope so far.
    pub mail: Arc<MailFacts>,
    /// The envelope of whoever is behind a hop of ours, once the hop has named him.
    pub judged: Option<Arc<MailFacts>>,
    /// The declared size.
    pub size: Option<u64>,
    /// Recipients that the backend accepted.
    pub accepted: Vec<Recipient>,
    /// Traps that it does not know: the client believes that they were accepted, the backend never hears of them again.
    pub kept_back: Vec<Recipient>,
    /// With whom they may be sent to, by index.
    pub(super) groups: Vec<Option<Group>>,
    /// Those who come another time, so that others come through.
    pub(super) giving_way: Vec<Group>,
    /// Somebody was told to come another time because his mail goes to another pool.
    pub(super) pools_part: bool,
    /// Recipients waiting to be handed on together, and refusals that must be spoken in their turn.
    pub(super) batch: Vec<Turn>,
    /// When RCPT stops waiting for checks.
    settle_by: Option<Instant>,
    /// The backend's side.
    pub relay: Relay,
    /// The message, once it began to arrive.
    pub inbound: Option<Inbound>,
    /// When MAIL came.
    pub began: Instant,
    /// Refused recipients.
    pub refused: usize,
    /// RCPT commands so far: refused ones are bounded too.
    tried: usize,
    /// Recipients that the backend does not know, and how many of them have been told of.
    unknown: u32,
    told: u32,
    /// The policy wants replies held back.
    pub slowed: bool,
    /// What its record will tell beside.
    pub notes: Notes,
}

/// One RCPT whose reply has its turn.
pub(super) enum Turn {
    Say(Reply),
    HandOn { path: ForwardPath, params: Params, index: usize, is_trap: bool },
}

/// RCPT commands handed on in one go.
const BATCH: usize = 100;

impl Transaction {
    /// Begins with MAIL.
    pub fn new(id: TransactionId, mail: Arc<MailFacts>, size: Option<u64>, relay: Relay) -> Self {
        Self {
            id,
            mail,
            judged: None,
            size,
            accepted: Vec::new(),
            kept_back: Vec::new(),
            groups: Vec::new(),
            giving_way: Vec::new(),
            pools_part: false,
            batch: Vec::new(),
            settle_by: None,
            relay,
            inbound: None,
            began: Instant::now(),
            refused: 0,
            tried: 0,
            unknown: 0,
            told: 0,
            slowed: false,
            notes: Notes::default(),
        }
    }

    /// True if RCPT replies are still owed.
    pub fn owes_replies(&self) -> bool {
        !self.batch.is_empty()
    }

    /// True if so many are owed that they should be given before more is read.
    pub fn is_batch_full(&self, limit: usize) -> bool {
        self.batch.len() >= BATCH || self.taken() + self.batch.len() >= limit
    }

    /// Recipients that the client may send the message to.
    pub fn taken(&self) -> usize {
        self.accepted.len() + self.kept_back.len()
    }

    /// How many of them are traps.
    pub fn traps(&self) -> usize {
        self.kept_back.len() + self.accepted.iter().filter(|recipient| recipient.is_trap).count()
    }

    /// True if nobody else is to have the message. No backend will be given it.
    pub fn is_for_traps_alone(&self) -> bool {
        self.traps() > 0 && self.accepted.iter().all(|recipient| recipient.is_trap)
    }

    /// Judges one RCPT; its reply comes with [`Transaction::answer_batch`].
    pub async fn rcpt(
        &mut self,
        shared: &Shared,
        settings: &Settings,
        assessment: &mut Assessment,
        path: ForwardPath,
        params: Params,
    ) {
        if let Some((label, reply)) = self.answer_at_once(shared, settings, &path) {
            return self.refuse(shared, label, reply);
        }
        let mail = Arc::clone(&self.mail);
        let client = &mail.helo.client;
        let group = shared.splits.group(&self.mail, &path);
        if let Some(own) = group
            && !self.may_come(shared, own)
        {
            return self.refuse(shared, "split", refusal::OTHER_TRANSACTION);
        }
        let exempt = !client.role.is_outgoing() && settings.exempt.contains(&path);
        let is_trap = !exempt && is_trap(assessment, &settings.relay, client, &path);
        // One reply to the message cannot say that it is for one and not for the other.
        if !is_trap && !self.kept_back.is_empty() {
            return self.refuse(shared, "split", refusal::OTHER_TRANSACTION);
        }
        // A trap is nobody's, and yet its mail is to be read.
        if !is_trap && let Some(reply) = self.is_unknown_by_map(shared, settings, &path) {
            return self.refuse(shared, "unknown", reply);
        }
        let index = self.groups.len();
        self.groups.push(None);
        assessment.add_recipient(index, exempt);
        assessment.judge_as(index, &path);
        assessment.learn(&Arc::new(RcptFacts { mail: self.mail.clone(), forward_path: path.clone(), index, is_trap }));
        let by = *self.settle_by.get_or_insert_with(|| Instant::now() + settings.budgets.rcpt);
        let asked = Instant::now();
        let settled = assessment.settle(index, by).await;
        shared.metrics.rcpt_wait_seconds.observe(asked.elapsed().as_secs_f64());
        self.slowed |= assessment.is_slowed(Some(index));
        // The domain by which the sender is known from elsewhere may have been found out meanwhile.
        let group = group.or_else(|| shared.splits.group(&self.mail, &path));
        if let Some(slot) = self.groups.last_mut() {
            *slot = group;
        }
        if let Some(decision) = settled {
            let (label, reply) = self.refused_by(&decision, &path, assessment);
            self.notes.refused(shared, assessment, index, &path, &decision, reply.to_log());
            assessment.drop_recipient(index);
            return self.refuse(shared, label, reply);
        }
        if let Some(own) = group
            && !self.may_come(shared, own)
        {
            assessment.drop_recipient(index);
            return self.refuse(shared, "split", refusal::OTHER_TRANSACTION);
        }
        if self.accepted.is_empty() {
            self.relay.turn_to(&path);
        }
        self.batch.push(Turn::HandOn { path, params, index, is_trap });
    }

    /// The refusal of a recipient about whom nothing need be asked.
    fn answer_at_once(
        &mut self,
        shared: &Shared,
        settings: &Settings,
        path: &ForwardPath,
    ) -> Option<(&'static str, Reply)> {
        self.tried += 1;
        let client = &self.mail.helo.client;
        if self.tried > settings.limits.recipients {
            return Some(("too_many", refusal::TOO_MANY_RECIPIENTS));
        }
        if !may_relay(&settings.relay, client, path) {
            tracing::info!(
                id = %self.id, client = %client.addr, helo = %self.mail.helo.name,
                reverse_path = %self.mail.reverse_path, forward_path = %path, stage = "rcpt",
                reply = %refusal::RELAYING_DENIED.to_log(), "recipient.refused"
            );
            return Some(("relaying_denied", refusal::RELAYING_DENIED));
        }
        if !self.may_go(shared, path) {
            return Some(("split", refusal::OTHER_TRANSACTION));
        }
        let verdict = shared.partial.take_verdict(&self.mail, path)?;
        tracing::info!(
            id = %self.id, client = %self.mail.helo.client.addr, reverse_path = %self.mail.reverse_path,
            forward_path = %path, reply = %verdict.to_log(), "recipient.answered_later"
        );
        Some(("backend", verdict))
    }

    /// What a recipient hears whom the policy refuses, and what that is counted as.
    fn refused_by(&self, decision: &Decision, path: &ForwardPath, assessment: &Assessment) -> (&'static str, Reply) {
        let reply = refusal::decision(decision, Some(path), self.id);
        tracing::info!(
            id = %self.id, client = %self.mail.helo.client.addr, helo = %self.mail.helo.name,
            reverse_path = %self.mail.reverse_path, forward_path = %path, stage = "rcpt",
            verdict = %decision.verdict, policy = decision.policy.as_deref().unwrap_or(Policies::SITE),
            clause = decision.clause.as_deref().unwrap_or(""),
            score = %decision.score, symbols = %assessment.summary(),
            reply = %reply.to_log(), "recipient.refused"
        );
        (if decision.verdict == Verdict::Reject { "rejected" } else { "deferred" }, reply)
    }

    /// The refusal of a recipient whom the map of its domain does not know (DECISIONS 33).
    fn is_unknown_by_map(&mut self, shared: &Shared, settings: &Settings, path: &ForwardPath) -> Option<Reply> {
        if self.mail.helo.client.role.is_outgoing() {
            return None;
        }
        match settings.relay.known.look(path, shared.clock.now())? {
            Existence::Known => None,
            Existence::Doubtful => Some(refusal::RECIPIENT_DOUBTFUL),
            Existence::Unknown => {
                self.unknown += 1;
                Some(refusal::NO_SUCH_RECIPIENT)
            }
        }
    }

    /// Queues a refusal of our own, counted as `label`.
    pub fn refuse(&mut self, shared: &Shared, label: &str, reply: Reply) {
        shared.metrics.recipients.with_label_values(&[label]).inc();
        self.refused += 1;
        self.batch.push(Turn::Say(reply));
    }

    /// Hands the waiting recipients on; one reply for each RCPT since the last time, in order.
    pub async fn answer_batch(&mut self, shared: &Shared, assessment: &mut Assessment) -> Vec<Reply> {
        let mut turns = std::mem::take(&mut self.batch);
        let mut new = Vec::new();
        for turn in &mut turns {
            if let Turn::HandOn { path, params, .. } = turn {
                new.push((path.clone(), std::mem::take(params)));
            }
        }
        let answers = if new.is_empty() { Vec::new() } else { self.hand_on(&new).await };
        let is_trap = |turn: &&Turn| matches!(turn, Turn::HandOn { is_trap: true, .. });
        let handed_on = turns.iter().filter(|turn| matches!(turn, Turn::HandOn { .. }));
        let is_real = |(turn, reply): (&Turn, &Reply)| !is_trap(&turn) && reply.is_positive();
        let has_real = !self.accepted.is_empty() || handed_on.zip(&answers).any(is_real);
        let mut answers = answers.into_iter();
        let mut new = new.into_iter();
        let mut replies = Vec::with_capacity(turns.len());
        for turn in turns {
            let (path, index, is_trap) = match turn {
                Turn::Say(reply) => {
                    replies.push(reply);
                    continue;
                }
                Turn::HandOn { path, index, is_trap, .. } => (path, index, is_trap),
            };
            let params = new.next().map(|(_, params)| params).unwrap_or_default();
            let reply = answers.next().unwrap_or(refusal::BACKEND_DOWN);
            if reply.is_positive() {
                shared.metrics.accepted.inc();
                self.accepted.push(Recipient { path, params, index, code: reply.code(), is_trap });
            } else if is_trap && !has_real && !self.relay.is_sender_refused() && is_certainly_unknown(&reply) {
                // So that the message is read, learned from, and refused. Beside real recipients the backend has its say.
                shared.metrics.recipients.with_label_values(&["trap"]).inc();
                self.kept_back.push(Recipient { path, params, index, code: reply.code(), is_trap });
                replies.push(refusal::RECIPIENT_OK);
                continue;
            } else {
                assessment.drop_recipient(index);
                shared.metrics.recipients.with_label_values(&["backend"]).inc();
                self.unknown += u32::from(!self.relay.is_sender_refused() && is_unknown(&reply));
                self.refused += 1;
            }
            replies.push(reply);
        }
        replies
    }

    async fn hand_on(&mut self, new: &[(ForwardPath, Params)]) -> Vec<Reply> {
        let envelope =
            Envelope { reverse_path: &self.mail.reverse_path, params: &self.mail.params, accepted: &self.accepted };
        self.relay.recipients(&envelope, new).await
    }

    /// Tells the checks what became of it; its message had so many octets.
    pub fn remember(&self, assessment: &mut Assessment, fate: Fate, octets: u64) {
        if assessment.remembers() {
            let recipients = self.accepted.iter().map(|recipient| recipient.path.clone()).collect();
            assessment.remember(Fate { recipients, octets, unknown_recipients: self.unknown, ..fate });
        }
    }

    /// Recipients that the backend does not know, since this was last asked.
    pub fn newly_unknown(&mut self) -> u32 {
        let new = self.unknown - self.told;
        self.told = self.unknown;
        new
    }

    /// How long it has been going on.
    pub fn age(&self) -> Duration {
        self.began.elapsed()
    }
}

/// True if nobody uses `path`. It lies in our domains, and whoever may relay is one of us, who deserves to hear the truth.
fn is_trap(assessment: &Assessment, relay: &settings::Relay, client: &ClientFacts, path: &ForwardPath) -> bool {
    let traps = &assessment.ruleset().traps;
    !traps.is_empty() && !client.role.is_outgoing() && !relay.networks.contains(client.addr) && traps.contains(path)
}

/// The same, said by an enhanced status code: other refusals come without one.
fn is_certainly_unknown(reply: &Reply) -> bool {
    reply.status().or_else(|| reply.enhanced_in_text()).is_some() && is_unknown(reply)
}

/// Whether a reply to RCPT says that there is no such recipient (RFC 3463 3.2: 5.1.x), and not that mail for it is
/// not wanted, or not now.
pub(super) fn is_unknown(reply: &Reply) -> bool {
    match reply.status().or_else(|| reply.enhanced_in_text()) {
        Some(EnhancedStatus(5, 1, detail)) => !matches!(detail, 7 | 8),
        Some(_) => false,
        None => matches!(reply.code(), 550 | 551 | 553),
    }
}

/// Whether mail from `client` may go to `path`: our domains, or a client that may relay. Addresses that
/// smuggle another destination in their local part are not ours, whatever stands behind the `@`.
fn may_relay(relay: &settings::Relay, client: &ClientFacts, path: &ForwardPath) -> bool {
    let mailbox = match path {
        ForwardPath::Postmaster(_) => return true,
        ForwardPath::Mailbox(mailbox) => mailbox,
    };
    // Where mail leaves, MAIL was let pass only from whoever may send anywhere.
    if client.role.is_outgoing() || relay.networks.contains(client.addr) {
        return true;
    }
    if mailbox.unquoted_local().contains(['%', '!', '@']) {
        return false;
    }
    match mailbox.domain() {
        Domain::Name(_) => relay.domains.contains(&mailbox.domain().to_ascii_lower()),
        Domain::Literal(..) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::smtp::{Command, command};

    fn path(text: &str) -> ForwardPath {
        match command::parse(format!("RCPT TO:<{text}>").as_bytes()) {
            Ok(Command::Rcpt { path, .. }) => path,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn a_recipient_is_unknown_if_the_backend_says_so() {
        for (code, text, unknown) in [
            (550, "5.1.1 no such user", true),
            (550, "5.1.10 no such user", true),
            (550, "no such user", true),
            (551, "user not local", true),
            (553, "mailbox name not allowed", true),
            (550, "5.1.8 sender's domain does not exist", false),
            (550, "5.7.1 not wanted", false),
            (552, "5.2.2 mailbox full", false),
            (552, "mailbox full", false),
            (554, "no", false),
            (450, "4.1.1 not known now", false),
            (451, "later", false),
            (250, "2.1.5 fine", false),
        ] {
            assert_eq!(is_unknown(&Reply::new(code, None, text)), unknown, "{code} {text}");
        }
        assert!(!is_unknown(&refusal::CANNOT_CARRY_UTF8) && !is_unknown(&refusal::BACKEND_DOWN));
    }

    #[test]
    fn only_our_domains_are_relayed_whatever_the_trick() {
        let mut domains = crate::units::DomainSet::default();
        for pattern in ["ours.example", ".sub.example", "xn--mnchen-3ya.example"] {
            domains.insert(pattern).expect(pattern);
        }
        let networks = std::iter::once("192.0.2.0/24".parse().expect("network")).collect();
        let relay = settings::Relay { domains: Arc::new(domains), networks, ..settings::Relay::default() };
        let client =
            |addr: &str| ClientFacts::new(addr.parse().expect(addr), "test".into(), "mx.ours.example".into(), None);
        for (text, ours) in [
            ("user@ours.example", true),
            ("User@OURS.example", true),
            ("user@a.sub.example", true),
            ("user@münchen.example", true),
            ("postmaster", true),
            ("@theirs.example:user@ours.example", true),
            ("user@sub.example", false),
            ("user@theirs.example", false),
            ("user@notours.example", false),
            ("user%theirs.example@ours.example", false),
            ("theirs.example!user@ours.example", false),
            ("\"user@theirs.example\"@ours.example", false),
            ("\"user%theirs.example\"@ours.example", false),
            ("@ours.example:user@theirs.example", false),
            ("user@[192.0.2.1]", false),
        ] {
            assert_eq!(may_relay(&relay, &client("198.51.100.1"), &path(text)), ours, "{text}");
            assert!(may_relay(&relay, &client("192.0.2.9"), &path(text)), "{text} from a relay client");
        }
    }
}
