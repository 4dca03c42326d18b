//! Enacts single commands: greetings, envelopes, TLS, XCLIENT. Messages have a file of their own.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::time::Instant;

use super::driver::{End, Session, rules_for};
use super::offer::Offer;
use super::recording;
use super::refusal;
use super::relay::Relay;
use super::settings::RefuseAt;
use super::transaction::Transaction;
use crate::backend::machine::ROOM_FOR_FIELDS;
use crate::backend::{Identity, Need, Pool, Ways};
use crate::checks::Deed;
use crate::facts::{ClientFacts, HeloFacts, MailFacts, Stage, Violation};
use crate::net::tls::{TlsAcceptorSource, TlsError};
use crate::pipeline::{Assessment, Decision};
use crate::records::TransactionId;
use crate::smtp::{ForwardPath, HeloName, Params, ReversePath, XclientAttribute, XforwardAttribute};

impl Session {
    pub(super) async fn hello(&mut self, name: HeloName, extended: bool) -> Result<(), End> {
        self.check_pipelining(Violation::Pipelining).await?;
        self.abandon();
        self.assessment.rewind(Stage::Connect);
        let name = match self.vouched_helo.take().and_then(|vouched| HeloName::parse(vouched.as_bytes()).ok()) {
            Some(vouched) => vouched,
            None => name,
        };
        let facts = Arc::new(HeloFacts::new(self.client.clone(), name, extended, self.tls.clone()));
        self.assessment.learn(&facts);
        self.helo = Some(facts);
        if self.settings.refuse_at == RefuseAt::Earliest
            && let Some(decision) = self.assessment.peek()
        {
            return self.refuse_session(&decision);
        }
        let offer = self.offer();
        let reply = self.machine.hello_reply(&self.settings.hostname, extended, offer);
        self.say(&reply);
        Ok(())
    }

    /// What this client is offered: our own extensions, and what all backends have.
    fn offer(&self) -> Offer {
        let ways = self.ways();
        let backends = ways.as_ref().map(Ways::offer).unwrap_or_default();
        let ours = self.settings.limits.message_size.0;
        let theirs = backends.size_limit().map_or(ours, |limit| limit.saturating_sub(ROOM_FOR_FIELDS));
        // Whoever must not send without TLS is not helped by hiding it (DECISIONS 30).
        let failed = || self.is_edge() && self.shared.tls_failures.contains(&self.peer.ip());
        let limits = &self.settings.limits;
        Offer {
            tls: self.acceptor.is_some() && self.tls.is_none() && !self.machine.is_encrypted() && !failed(),
            encrypted: self.machine.is_encrypted(),
            xclient: self.may_xclient,
            xforward: self.may_xforward,
            access: self.access(),
            has_backend: ways.is_some(),
            size: ours.min(theirs),
            recipients: u32::try_from(limits.recipients).unwrap_or(u32::MAX),
            transactions: limits.transactions,
            outgoing: self.listener.role.is_outgoing(),
            relayed: self.listener.relayed_commands,
            may_ask: self.listener.command_networks.contains(self.peer.ip()),
            backends,
        }
    }

    pub(super) fn mail(&mut self, path: ReversePath, params: Params, size: Option<u64>) -> Result<(), End> {
        let helo = match self.helo.clone() {
            Some(helo) if !self.health_check => helo,
            _ => {
                self.machine.end_transaction();
                self.say(&refusal::HEALTH_CHECK);
                return Ok(());
            }
        };
        self.tell_errors();
        self.take_new_rules();
        let at = self.shared.clock.now();
        let need = Need::of_mail(&params, size);
        if self.own.as_ref().is_some_and(|own| !own.is_alive()) {
            self.say(&refusal::OWN_BACKEND_LOST);
            return Err(End::Refused);
        }
        let Some(ways) = self.ways() else {
            self.machine.end_transaction();
            self.lost_pool();
            self.say(&refusal::BACKEND_DOWN);
            return Ok(());
        };
        let facts = Arc::new(MailFacts::new(helo, path, params, at).with_login(self.login.clone()));
        self.assessment.learn(&facts);
        if self.settings.refuse_at == RefuseAt::Earliest
            && let Some(decision) = self.assessment.peek()
        {
            self.machine.end_transaction();
            return self.refuse_session(&decision);
        }
        let id = TransactionId::new(at);
        let relay = Relay::new(ways, self.identity(&facts, id), need).over(self.own.clone());
        if let Some(forwarded) = &self.forwarded {
            tracing::info!(%id, client = %self.peer.ip(), %forwarded, "transaction.forwarded");
        }
        let mut transaction = Box::new(Transaction::new(id, facts, size, relay));
        transaction.slowed = self.assessment.is_slowed(None);
        self.transaction = Some(transaction);
        self.say(&refusal::SENDER_OK);
        Ok(())
    }

    /// Where the mail of this client goes: over its own connection if it has one, otherwise where the listener's goes,
    /// at the edge by recipient. `None` if a reload has removed that pool; then it goes nowhere, and least of all to
    /// another one.
    pub(super) fn ways(&self) -> Option<Ways> {
        if self.is_edge() && self.own.is_none() {
            return Ways::by_recipient(self.shared.pools.load_full(), self.listener.pool.as_ref());
        }
        self.pool().map(Ways::only)
    }

    /// The same without routes.
    pub(super) fn pool(&self) -> Option<Arc<Pool>> {
        match &self.own {
            Some(own) => Some(own.pool().clone()),
            None => self.shared.pools.load().get(self.listener.pool.as_deref()).cloned(),
        }
    }

    /// Tells the operator that somebody is turned away because of that.
    pub(super) fn lost_pool(&self) {
        self.shared.metrics.lost_pools.inc();
        let pool = self.listener.pool.as_deref().unwrap_or_default();
        tracing::warn!(client = %self.peer.ip(), listener = %self.listener.name, pool, "session.pool_gone");
    }

    /// Who the client is, for the backend, while no transaction is open.
    pub(super) fn identity_between(&self) -> Identity {
        let helo = self.helo.as_deref();
        Identity {
            addr: self.peer,
            local: self.local,
            name: self.client.confirmed_name().map(str::to_owned),
            helo: helo.map(|helo| helo.name.as_str().to_owned()).unwrap_or_default(),
            extended: helo.is_none_or(|helo| helo.extended),
            ident: None,
            forwarded: None,
        }
    }

    fn identity(&self, mail: &MailFacts, id: TransactionId) -> Identity {
        Identity {
            helo: mail.helo.name.as_str().to_owned(),
            extended: mail.helo.extended,
            ident: Some(id.to_string()),
            forwarded: self.forwarded.clone(),
            ..self.identity_between()
        }
    }

    /// A reload since this session began: the next transaction is judged by the new rules, from the start.
    fn take_new_rules(&mut self) {
        let settings = self.shared.settings.load();
        let rules = rules_for(&self.shared, &settings, self.listener.role, self.peer.ip());
        if Arc::ptr_eq(&rules, self.assessment.ruleset()) {
            return;
        }
        self.assessment = Assessment::new(rules);
        self.assessment.learn(&self.client);
        for violation in self.violations.clone() {
            self.observe(violation);
        }
        if let Some(helo) = &self.helo {
            self.assessment.learn(helo);
        }
    }

    pub(super) async fn rcpt(&mut self, path: ForwardPath, params: Params) {
        let needs_utf8 = matches!(&path, ForwardPath::Mailbox(mailbox) if mailbox.needs_smtputf8());
        let Some(transaction) = &mut self.transaction else {
            return self.say(&refusal::NEED_MAIL);
        };
        if needs_utf8 && transaction.mail.params.get("SMTPUTF8").is_none() {
            return transaction.refuse(&self.shared, "syntax", refusal::NEEDS_SMTPUTF8);
        }
        transaction.rcpt(&self.shared, &self.settings, &mut self.assessment, path, params).await;
    }

    pub(super) async fn start_tls(&mut self) -> Result<(), End> {
        let Some(acceptor) = self.acceptor.clone() else {
            self.say(&refusal::NO_TLS_NOW);
            return Ok(());
        };
        self.check_pipelining(Violation::Pipelining).await?;
        self.say(&refusal::READY_FOR_TLS);
        self.flush().await?;
        // What came in clear behind STARTTLS is not part of the encrypted session (RFC 3207 4.2).
        self.input = Vec::new();
        self.at = 0;
        self.shake_hands(&acceptor).await?;
        self.start_over(true);
        Ok(())
    }

    /// From now on what is said is said under TLS.
    pub(super) async fn shake_hands(&mut self, acceptor: &TlsAcceptorSource) -> Result<(), End> {
        let plain = std::mem::replace(&mut self.io, Box::new(tokio::io::empty()));
        let by = Instant::now() + self.settings.timeouts.tls_handshake;
        let counted = |outcome: &str| self.shared.metrics.tls.with_label_values(&[outcome]).inc();
        match acceptor.accept(plain, by).await {
            Ok((io, tls)) => {
                counted("ok");
                self.io = io;
                self.tls = Some(tls);
            }
            Err(why) => {
                counted(if matches!(why, TlsError::TimedOut) { "timed_out" } else { "failed" });
                tracing::info!(client = %self.peer.ip(), error = %why, "session.tls_failed");
                if self.is_edge() {
                    self.shared.tls_failures.insert(self.peer.ip());
                }
                return Err(End::Closed);
            }
        }
        Ok(())
    }

    fn start_over(&mut self, encrypted: bool) {
        self.abandon();
        self.log_out();
        self.machine.start_over(encrypted);
        self.helo = None;
        self.assessment.rewind(Stage::Connect);
    }

    /// A mail filter or a front end says from whom it had the next message. That is noted and handed on; the client is
    /// still who it is (Postfix XFORWARD_README).
    pub(super) fn xforward(&mut self, attributes: Vec<(XforwardAttribute, Option<String>)>) {
        let mut forwarded = self.forwarded.take().map(Arc::unwrap_or_clone).unwrap_or_default();
        forwarded.hear(attributes);
        self.forwarded = Some(Arc::new(forwarded));
        self.say(&refusal::OK);
    }

    /// A trusted front end says who the client is. Everything starts over (Postfix XCLIENT_README).
    pub(super) fn xclient(&mut self, attributes: Vec<XclientAttribute>) {
        self.tell_errors();
        // Nothing of the former client may stay.
        let mut name = None;
        self.vouched_helo = None;
        self.tls = None;
        self.peer.set_port(0);
        for attribute in attributes {
            match attribute {
                XclientAttribute::Addr(Some(addr)) => {
                    self.peer = SocketAddr::new(addr.to_canonical(), self.peer.port())
                }
                XclientAttribute::Name(given) => name = given,
                XclientAttribute::Helo(given) => self.vouched_helo = given,
                XclientAttribute::Addr(None) | XclientAttribute::Other(_) => {}
            }
        }
        self.start_over(false);
        self.machine.forget_client();
        self.errors_told = 0;
        let (listener, hostname) = (self.listener.name.clone(), self.settings.hostname.clone());
        let role = self.listener.role;
        self.client = Arc::new(ClientFacts::new(self.peer.ip(), listener, hostname, name).with_role(role));
        self.assessment = Assessment::new(rules_for(&self.shared, &self.settings, role, self.peer.ip()));
        self.auth_failures = 0;
        self.violations.clear();
        self.assessment.learn(&self.client);
        self.tell(Deed::Connection);
        let greeting = refusal::greeting(&self.settings.hostname);
        self.say(&greeting);
    }

    fn refuse_session(&mut self, decision: &Decision) -> Result<(), End> {
        let id = TransactionId::new(self.shared.clock.now());
        let reply = refusal::decision(decision, None, id);
        tracing::info!(
            %id, client = %self.peer.ip(), stage = "session", verdict = %decision.verdict,
            clause = decision.clause.as_deref().unwrap_or(""), score = %decision.score,
            symbols = %self.assessment.summary(), reply = %reply.to_log(), "session.refused"
        );
        let (client, helo) = (&self.client, self.helo.as_deref());
        recording::session(&self.shared, &self.assessment, id, client, helo, decision, reply.to_log());
        self.say(&reply);
        Err(End::Refused)
    }
}
