//! Awaits the client: reads commands, lets the machine say what they mean, enacts it, writes replies.
//!
//! Replies are collected and written in one go when the client's input is used up (RFC 2920 3.2).
//! A session that waits holds neither a read nor a write buffer.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;

use super::incoming::Incoming;
use super::machine::{Action, Machine};
use super::manners::Offences;
use super::settings::Settings;
use super::shared::Shared;
use super::transaction::Transaction;
use super::wire::{read_with, write_batch};
use super::{recording, refusal, wire};
use crate::backend::Own;
use crate::checks::{Deed, Fate};
use crate::facts::{ClientFacts, HeloFacts, Login, Role, Stage, TlsInfo, Violation};
use crate::net::tls::TlsAcceptorSource;
use crate::net::{BoxIo, Refused, listener};
use crate::pipeline::{Assessment, Ruleset};
use crate::records;
use crate::smtp::{Forwarded, Line, LineEnd, Reply, command, next_line};
use crate::verdict::Verdict;

/// How a session ended: a label of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The client said QUIT.
    Quit,
    /// The client closed the connection, or it broke.
    Closed,
    /// The client was silent for too long.
    TimedOut,
    /// The session has lasted too long.
    TooLong,
    /// We refused to go on.
    Refused,
    /// We are going down.
    Drained,
}

/// One session.
pub(super) struct Session {
    pub(super) shared: Arc<Shared>,
    pub(super) settings: Arc<Settings>,
    pub(super) io: BoxIo,
    /// Octets read; those before `at` are done with.
    pub(super) input: Vec<u8>,
    pub(super) at: usize,
    /// Replies not written yet.
    pub(super) out: Vec<u8>,
    pub(super) machine: Machine,
    pub(super) transaction: Option<Box<Transaction>>,
    pub(super) assessment: Assessment,
    pub(super) client: Arc<ClientFacts>,
    pub(super) helo: Option<Arc<HeloFacts>>,
    pub(super) tls: Option<TlsInfo>,
    /// What a trusted front end said the client's HELO was.
    pub(super) vouched_helo: Option<String>,
    pub(super) violations: Vec<Violation>,
    pub(super) peer: SocketAddr,
    pub(super) local: SocketAddr,
    pub(super) listener: Arc<listener::Settings>,
    pub(super) acceptor: Option<Arc<TlsAcceptorSource>>,
    /// The connection is a trusted front end's: it may name one client after another, or say whom it has mail from.
    pub(super) may_xclient: bool,
    pub(super) may_xforward: bool,
    /// From whom it has the next message, or the one under way.
    pub(super) forwarded: Option<Arc<Forwarded>>,
    /// A balancer asks whether we live: it gets a dialogue and no transaction.
    pub(super) health_check: bool,
    /// As whom the client has authenticated, and the backend connection on which it has.
    pub(super) login: Option<Arc<Login>>,
    pub(super) own: Option<Own>,
    /// Authentications that the backend refused.
    pub(super) auth_failures: u32,
    began: Instant,
    /// When the last whole command had its reply.
    last_command: Instant,
    /// Errors that were told already.
    pub(super) errors_told: u32,
    /// Ends waits for the client, even in a transaction.
    pub(super) cut: CancellationToken,
    /// The rest of an overlong line is still to come.
    in_long_line: bool,
    drain: CancellationToken,
}

/// Holds one session with `incoming`, to its end. `drain` asks it to end as soon as no transaction is open.
pub fn serve(
    shared: Arc<Shared>,
    incoming: Incoming,
    drain: CancellationToken,
) -> impl Future<Output = ()> + Send + 'static {
    shared.metrics.sessions_total.inc();
    let mut session = Session::new(shared, incoming, drain);
    async move {
        let end = match session.dialogue().await {
            Ok(never) => match never {},
            Err(end) => end,
        };
        Box::pin(session.farewell(end)).await;
    }
}

/// Tells a connection that it gets no session, and why.
pub async fn refuse(shared: Arc<Shared>, mut io: BoxIo, why: Refused) {
    let reply = match why {
        Refused::Full => refusal::TOO_BUSY,
        Refused::PerClient | Refused::PerNetwork => refusal::TOO_MANY_FROM_YOU,
    };
    let mut out = Vec::new();
    reply.write(true, &mut out);
    let limit = shared.settings.load().timeouts.write;
    if write_batch(&mut io, &mut out, limit).await.is_ok() {
        wire::close(&mut io).await;
    }
}

/// What [`Session::dialogue`] never returns: it ends by an [`End`] only.
enum Never {}

impl Session {
    fn new(shared: Arc<Shared>, incoming: Incoming, drain: CancellationToken) -> Self {
        let settings = shared.settings.load_full();
        let peer = SocketAddr::new(incoming.peer.ip().to_canonical(), incoming.peer.port());
        let (role, listener) = (incoming.listener.role, incoming.listener.name.clone());
        let client = ClientFacts::new(peer.ip(), listener, settings.hostname.clone(), None).with_role(role);
        let client = Arc::new(client);
        let assessment = Assessment::new(rules_for(&shared, &settings, role, peer.ip()));
        Self {
            shared,
            settings,
            io: incoming.io,
            input: incoming.early,
            at: 0,
            out: Vec::new(),
            machine: Machine::new(),
            transaction: None,
            assessment,
            client,
            helo: None,
            tls: None,
            vouched_helo: None,
            violations: Vec::new(),
            peer,
            local: incoming.local,
            may_xclient: incoming.listener.xclient_networks.contains(peer.ip()),
            may_xforward: incoming.listener.xforward_networks.contains(peer.ip()),
            forwarded: None,
            listener: incoming.listener,
            acceptor: incoming.tls,
            health_check: incoming.health_check,
            login: None,
            own: None,
            auth_failures: 0,
            began: Instant::now(),
            last_command: Instant::now(),
            errors_told: 0,
            cut: incoming.cut,
            in_long_line: false,
            drain,
        }
    }

    async fn dialogue(&mut self) -> Result<Never, End> {
        self.greet().await?;
        loop {
            self.answer_before_next_line().await?;
            let rest = self.input.get(self.at..).unwrap_or_default();
            let limits = &self.settings.limits;
            let limit = self.line_limit(rest, command::LINE_LIMIT);
            let (action, consumed, offences) = match next_line(rest, limit) {
                Line::NeedMore => {
                    self.hold_back().await?;
                    self.flush().await?;
                    self.wait_for_command().await?;
                    continue;
                }
                Line::TooLong { consumed, complete: false } => {
                    self.at += consumed;
                    self.in_long_line = true;
                    continue;
                }
                Line::TooLong { consumed, complete: true } => {
                    (self.machine.line_too_long(limits), consumed, Offences::default())
                }
                Line::Complete { consumed, .. } if self.in_long_line => {
                    (self.machine.line_too_long(limits), consumed, Offences::default())
                }
                Line::Complete { text, consumed, end } => {
                    let header = command::looks_like_header(text);
                    let action = self.machine.line(text, limits);
                    let http = matches!(&action, Action::Close(reply) if *reply == refusal::NOT_HTTP);
                    (action, consumed, Offences { header, http, bare: end == LineEnd::BareLf })
                }
            };
            self.in_long_line = false;
            self.at += consumed;
            if !matches!(action, Action::Rcpt { .. }) {
                // A line that began like RCPT and was none: its reply has its turn behind those that are owed.
                self.answer_recipients().await?;
            }
            self.take_offence(offences).await?;
            self.enact(action).await?;
            self.last_command = Instant::now();
            if self.out.len() > MAX_BATCH {
                self.flush().await?;
            }
        }
    }

    /// Owed RCPT replies come before anything but a further RCPT is looked at.
    async fn answer_before_next_line(&mut self) -> Result<(), End> {
        let Some(transaction) = &self.transaction else { return Ok(()) };
        if !transaction.owes_replies() {
            return Ok(());
        }
        let rest = self.input.get(self.at..).unwrap_or_default();
        let another = rest.get(..4).is_some_and(|verb| verb.eq_ignore_ascii_case(b"RCPT")) && rest.contains(&b'\n');
        if another && !transaction.is_batch_full(self.settings.limits.recipients) {
            return Ok(());
        }
        self.answer_recipients().await
    }

    /// Hands waiting recipients on and says the replies that are owed.
    async fn answer_recipients(&mut self) -> Result<(), End> {
        if !self.transaction.as_ref().is_some_and(|transaction| transaction.owes_replies()) {
            return Ok(());
        }
        Box::pin(self.answer_owed()).await
    }

    async fn answer_owed(&mut self) -> Result<(), End> {
        let Some(transaction) = &mut self.transaction else { return Ok(()) };
        let taken = transaction.taken();
        let replies = transaction.answer_batch(&self.shared, &mut self.assessment).await;
        for _ in taken..transaction.taken() {
            self.machine.recipient_accepted();
        }
        // What the backend took for its answer is not the client's time.
        self.last_command = Instant::now();
        let unknown = transaction.newly_unknown();
        let is_report = transaction.mail.reverse_path.is_null();
        // Reports about mail that somebody forged in our name are honest.
        if unknown > 0 && !is_report {
            self.tell(Deed::UnknownRecipients(unknown));
        }
        for reply in replies {
            let close = reply.code() == 421;
            self.say(&reply);
            if close {
                return Err(End::Refused);
            }
        }
        Ok(())
    }

    async fn enact(&mut self, action: Action) -> Result<(), End> {
        match action {
            Action::Reply(reply) => self.say(&reply),
            Action::Close(reply) => {
                self.say(&reply);
                return Err(End::Refused);
            }
            Action::Hello { name, extended } => self.hello(name, extended).await?,
            Action::Mail { path, params, size } => self.mail(path, params, size)?,
            Action::Rcpt { path, params } => {
                let transaction = self.transaction.as_ref();
                if transaction.is_some_and(|transaction| transaction.depends_on_answers(&self.shared, &path)) {
                    self.answer_recipients().await?;
                }
                Box::pin(self.rcpt(path, params)).await;
            }
            Action::Data => Box::pin(self.data()).await?,
            Action::Bdat { size, last } => Box::pin(self.bdat(size, last)).await?,
            Action::Discard { size, reply } => Box::pin(self.discard(size, &reply)).await?,
            Action::Reset => {
                self.abandon();
                self.say(&refusal::OK);
            }
            Action::Auth { mechanism, initial } => Box::pin(self.auth(&mechanism, initial)).await?,
            Action::StartTls => Box::pin(self.start_tls()).await?,
            Action::Xclient(attributes) => self.xclient(attributes),
            Action::Xforward(attributes) => self.xforward(attributes),
            Action::Ask(question) => Box::pin(self.ask(&question)).await?,
            Action::Quit => {
                self.say(&refusal::BYE);
                return Err(End::Quit);
            }
        }
        Ok(())
    }

    /// True where strangers come.
    pub(super) fn is_edge(&self) -> bool {
        !self.listener.role.is_outgoing()
    }

    /// Lets replies wait where the policy wants it: only within a transaction, never for the null reverse-path
    /// (DECISIONS 20), and never with a backend connection.
    async fn hold_back(&mut self) -> Result<(), End> {
        let slowed = |transaction: &Transaction| transaction.slowed && !transaction.mail.reverse_path.is_null();
        let delay = self.settings.limits.tarpit;
        if delay.is_zero() || self.out.is_empty() || !self.transaction.as_deref().is_some_and(slowed) {
            return Ok(());
        }
        let shared = self.shared.clone();
        let stuck = shared.tarpit.enter(self.settings.limits.tarpit_sessions);
        shared.metrics.tarpit.with_label_values(&[if stuck.is_some() { "held" } else { "full" }]).inc();
        if stuck.is_none() {
            return Ok(());
        }
        self.release_backend();
        let until = (Instant::now() + delay).min(self.ends_by());
        let cut = self.cut.clone();
        cut.run_until_cancelled(sleep_until(until)).await.ok_or(End::Drained)?;
        // The client's own time begins with our reply.
        self.last_command = Instant::now();
        Ok(())
    }

    /// Forgets the open transaction, if there is one; nothing of it was delivered.
    pub(super) fn abandon(&mut self) {
        self.drop_transaction("abandoned", Fate::new(Verdict::Forward, 0, true), None);
    }

    /// Ends the open transaction with a refusal of its message that no verdict was needed for.
    pub(super) fn refuse_transaction(&mut self, reply: &Reply) {
        let (end, verdict) =
            if reply.class() == 5 { ("rejected", Verdict::Reject) } else { ("deferred", Verdict::Defer) };
        self.drop_transaction(end, Fate::new(verdict, reply.code(), false), Some(reply));
    }

    /// `reply` refuses its message; without one it was left.
    fn drop_transaction(&mut self, end: &'static str, fate: Fate, reply: Option<&Reply>) {
        self.machine.end_transaction();
        self.forwarded = None;
        if let Some(mut transaction) = self.transaction.take() {
            transaction.relay.release();
            self.shared.metrics.transactions.with_label_values(&[end]).inc();
            tracing::info!(
                id = %transaction.id, client = %self.peer.ip(), helo = %transaction.mail.helo.name,
                reverse_path = %transaction.mail.reverse_path, recipients = transaction.accepted.len(), traps = transaction.traps(),
                refused_recipients = transaction.refused, symbols = %self.assessment.summary(),
                verdict = %fate.verdict, end, reply_code = fate.reply_code,
                total_ms = transaction.age().as_millis() as u64, "transaction.end"
            );
            let recorded = records::Fate {
                stage: if reply.is_some() { Stage::Message } else { Stage::Rcpt },
                verdict: reply.map(|_| fate.verdict),
                end: end.into(),
                reply: reply.map_or_else(String::new, Reply::to_log),
                after_data_ms: None,
                total_ms: transaction.age().as_millis() as u64,
            };
            recording::transaction(&self.shared, &self.assessment, &mut transaction, None, recorded);
            transaction.remember(&mut self.assessment, fate, 0);
        }
        self.assessment.rewind(Stage::Helo);
    }

    /// The transaction ended with a reply to its message.
    pub(super) fn end_transaction(&mut self) {
        self.machine.end_transaction();
        self.forwarded = None;
        if let Some(mut transaction) = self.transaction.take() {
            transaction.relay.release();
        }
        self.assessment.rewind(Stage::Helo);
    }

    /// Queues a reply.
    pub(super) fn say(&mut self, reply: &Reply) {
        if reply.class() >= 4 {
            self.shared.metrics.count_refusal(reply);
        }
        reply.write(self.machine.enhanced(), &mut self.out);
    }

    /// Writes what is queued.
    pub(super) async fn flush(&mut self) -> Result<(), End> {
        let limit = self.settings.timeouts.write;
        write_batch(&mut self.io, &mut self.out, limit).await.map_err(|_| End::Closed)
    }

    /// Waits for more commands, within all limits of time.
    async fn wait_for_command(&mut self) -> Result<(), End> {
        self.input.drain(..self.at);
        self.at = 0;
        if self.input.is_empty() {
            self.input = Vec::new();
        }
        // Both clocks run from the last whole command: one octet at a time stops neither.
        let (since, limit) = (self.last_command, self.settings.timeouts.command);
        if self.transaction.is_some() {
            return self.read_more(since, limit).await;
        }
        let drain = self.drain.clone();
        tokio::select! {
            biased;
            () = drain.cancelled() => Err(End::Drained),
            read = self.read_more(since, limit) => read,
        }
    }

    /// Reads what comes, at most until `limit` after `since`.
    pub(super) async fn read_more(&mut self, since: Instant, limit: Duration) -> Result<(), End> {
        let by = (since + limit).min(self.ends_by());
        let cut = self.cut.clone();
        loop {
            let until = self.tend_at(since).map_or(by, |tend| tend.min(by));
            let Self { io, input, .. } = self;
            let read = timeout_at(until, read_with(io, |octets| input.extend_from_slice(octets)));
            // Only waits for the client are cut: what the backend says of a message is always awaited.
            match cut.run_until_cancelled(read).await {
                None => return Err(End::Drained),
                Some(Ok(Ok(Some(())))) => return Ok(()),
                Some(Ok(_)) => return Err(End::Closed),
                Some(Err(_elapsed)) if until < by => self.tend_backend().await,
                Some(Err(_elapsed)) => return Err(self.out_of_time()),
            }
        }
    }

    /// Whose time is up: the session's, or the client's for its next word.
    pub(super) fn out_of_time(&self) -> End {
        if Instant::now() >= self.ends_by() { End::TooLong } else { End::TimedOut }
    }

    /// When a backend connection must be seen to, if the client that began to wait (or to send) at `since` goes on
    /// to be slow: one of the pool's is given back (DECISIONS 27), its own must not be hung up.
    pub(super) fn tend_at(&self, since: Instant) -> Option<Instant> {
        let hold = self.settings.timeouts.hold_backend;
        let held = self.transaction.as_ref().and_then(|transaction| transaction.relay.tend_at(since, hold));
        held.or_else(|| self.own.as_ref()?.silent_until())
    }

    /// Sees to it.
    pub(super) async fn tend_backend(&mut self) {
        if let Some(transaction) = &mut self.transaction {
            transaction.relay.tend().await;
        }
        if let Some(own) = self.own.as_ref().filter(|own| own.silent_until().is_some_and(|at| at <= Instant::now())) {
            own.keep_alive().await;
        }
    }

    /// When the session ends, whatever it is doing: one octet a minute is no way to send mail.
    pub(super) fn ends_by(&self) -> Instant {
        self.began + self.settings.limits.session
    }

    /// The effective client address.
    pub(super) fn client_addr(&self) -> IpAddr {
        self.peer.ip()
    }

    /// Somebody else may have the connection; a client's own is nobody else's.
    pub(super) fn release_backend(&mut self) {
        if let Some(transaction) = self.transaction.as_mut().filter(|_| self.own.is_none()) {
            transaction.relay.release();
        }
    }

    /// Says the last words and closes.
    async fn farewell(&mut self, end: End) {
        match end {
            End::TimedOut => self.say(&refusal::TIMED_OUT),
            End::TooLong => self.say(&refusal::SESSION_TOO_LONG),
            End::Drained => self.say(&refusal::SHUTTING_DOWN),
            End::Quit | End::Closed | End::Refused => {}
        }
        self.abandon();
        self.tell_errors();
        self.log_out();
        let label = match end {
            End::Quit => "quit",
            End::Closed => "closed",
            End::TimedOut => "timed_out",
            End::TooLong => "too_long",
            End::Refused => "refused",
            End::Drained => "drained",
        };
        self.shared.metrics.endings.with_label_values(&[label]).inc();
        if end != End::Closed && self.flush().await.is_ok() {
            wire::close(&mut self.io).await;
        }
        tracing::debug!(client = %self.peer.ip(), end = label, seconds = self.began.elapsed().as_secs_f64(), "session.end");
    }
}

/// Octets of replies that are collected before they are written, whatever else waits to be read.
const MAX_BATCH: usize = 16 * 1024;

/// The rules that `client` is judged by.
pub(super) fn rules_for(shared: &Shared, settings: &Settings, role: Role, client: IpAddr) -> Arc<Ruleset> {
    let is_unjudged = settings.trusted.contains(client) || settings.hops.contains(client);
    let rules = shared.rules_of(client);
    match &rules.unjudged {
        _ if !is_unjudged => rules.for_role(role),
        Some(unjudged) => unjudged.for_role(role),
        None => shared.unjudged.clone(),
    }
}
