//! Before the first command: TLS where it comes first, a moment to see who speaks before he is greeted, the greeting.

use tokio::time::timeout;

use super::driver::{End, Session};
use super::recording;
use super::refusal;
use super::settings::Response;
use super::wire::read_with;
use crate::checks::Deed;
use crate::facts::{Role, Violation};
use crate::net::stream::Rewound;
use crate::records::TransactionId;

impl Session {
    /// Holds the banner back for a while to see who speaks first, then greets.
    pub(super) async fn greet(&mut self) -> Result<(), End> {
        if self.listener.role == Role::Submissions {
            Box::pin(self.begin_with_tls()).await?;
        }
        self.assessment.learn(&self.client);
        // A front end's connections are no client's, and a balancer's carry no mail.
        if !self.may_xclient && !self.health_check {
            self.turn_away()?;
            self.tell(Deed::Connection);
        }
        if self.is_edge() && self.shared.tls_failures.contains(&self.peer.ip()) {
            self.violate(Violation::TlsFailed, Response::Score).await?;
        }
        let protocol = &self.settings.protocol;
        let delay = protocol.greet_delay;
        if self.is_edge()
            && self.input.is_empty()
            && !delay.is_zero()
            && !protocol.greet_at_once.contains(self.peer.ip())
        {
            let Self { io, input, .. } = self;
            if let Ok(read) = timeout(delay, read_with(io, |octets| input.extend_from_slice(octets))).await {
                read.ok().flatten().ok_or(End::Closed)?;
            }
        }
        if !self.input.is_empty() {
            self.violate(Violation::Pregreet, self.settings.protocol.pregreet).await?;
        }
        let greeting = refusal::greeting(&self.settings.hostname);
        self.say(&greeting);
        self.flush().await
    }

    /// The client begins with a handshake, of which a part may have come with the PROXY header.
    async fn begin_with_tls(&mut self) -> Result<(), End> {
        let Some(acceptor) = self.acceptor.clone() else { return Err(End::Closed) };
        let early = std::mem::take(&mut self.input);
        if !early.is_empty() {
            let rest = std::mem::replace(&mut self.io, Box::new(tokio::io::empty()));
            self.io = Box::new(Rewound::new(early, rest));
        }
        self.shake_hands(&acceptor).await?;
        self.machine.start_over(true);
        Ok(())
    }

    /// Ends a session that is to come again later by what is known of the connection alone.
    fn turn_away(&mut self) -> Result<(), End> {
        let Some(decision) = self.assessment.turned_away() else { return Ok(()) };
        let id = TransactionId::new(self.shared.clock.now());
        let reply = refusal::turned_away(&decision, id);
        tracing::info!(
            %id, client = %self.peer.ip(), stage = "connect", verdict = %decision.verdict,
            clause = decision.clause.as_deref().unwrap_or(""), reply = %reply.to_log(), "session.refused"
        );
        recording::session(&self.shared, &self.assessment, id, &self.client, None, &decision, reply.to_log());
        self.shared.metrics.count_refusal(&reply);
        reply.write(true, &mut self.out);
        Err(End::Refused)
    }
}
