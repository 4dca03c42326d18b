//! The pool: which member takes a message, connections across sessions, and what all members offer.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::machine::{Identity, Need};
use super::member::{Dial, Member, SocketDial};
use super::settings::{IdentityMethod, Settings, TlsMode};
use super::turns::Turns;
use super::{BackendError, Bounds, Connection, Exchanges, InFlight, Metrics, Own};
use crate::net::tls::{ClientTls, TlsError, Trust};
use crate::smtp::Extensions;

/// A pool of one or more members.
pub struct Pool {
    pub(super) settings: Settings,
    members: Vec<Arc<Member>>,
    turns: Turns,
    dial: Box<dyn Dial>,
    exchanges: Exchanges,
    /// What is counted.
    pub metrics: Metrics,
}

/// A connection of one's own, until it is given back or dropped (which closes it).
pub struct Lease {
    pub(super) connection: Connection,
    pub(super) member: Arc<Member>,
    pub(super) pool: Arc<Pool>,
    /// Where it goes back to, if it is one client's own; never to the pool.
    pub(super) home: Option<Own>,
    _slot: OwnedSemaphorePermit,
    _busy: Busy,
    /// True if it had been idle: the backend may have closed it in this very moment.
    pub reused: bool,
}

/// Counts a lease for as long as it lives.
struct Busy(prometheus::IntGauge);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// How often idle connections are looked at.
const SWEEP: Duration = Duration::from_millis(200);
/// How long RSET may take before a connection is closed instead.
const RESET_LIMIT: Duration = Duration::from_secs(5);

impl Pool {
    /// A pool whose members are reached over sockets.
    ///
    /// # Errors
    /// If the roots or the name for a verified member cannot be used.
    pub fn new(settings: Settings, metrics: Metrics) -> Result<Arc<Self>, TlsError> {
        Self::with_dial(settings, metrics, Box::new(SocketDial))
    }

    /// A pool whose members are reached by `dial`.
    ///
    /// # Errors
    /// If the roots or the name for a verified member cannot be used.
    pub fn with_dial(settings: Settings, metrics: Metrics, dial: Box<dyn Dial>) -> Result<Arc<Self>, TlsError> {
        let mut members = Vec::with_capacity(settings.members.len());
        for member in &settings.members {
            let trust = match (member.tls, &member.tls_ca) {
                (TlsMode::Off, _) => None,
                (TlsMode::Opportunistic | TlsMode::Required, _) => Some(Trust::Anyone),
                (TlsMode::Verify, None) => Some(Trust::System),
                (TlsMode::Verify, Some(file)) => Some(Trust::File(file.clone())),
            };
            let tls = trust.map(|trust| ClientTls::new(&member.server_name(), &trust)).transpose()?;
            let member = Member::new(member.clone(), tls);
            metrics.idle.with_label_values(&[&member.label]);
            metrics.up.with_label_values(&[&member.label]);
            members.push(Arc::new(member));
        }
        let exchanges = Exchanges::new(metrics.exchanges.clone());
        let turns = Turns::new(members.len());
        Ok(Arc::new(Self { settings, members, turns, dial, exchanges, metrics }))
    }

    /// The settings that it was made of.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What every member that was ever reached offers (DECISIONS 3, 25).
    pub fn offer(&self) -> Arc<Extensions> {
        common(self.members.iter().filter_map(|member| member.offered()))
    }

    /// The same; `None` if none was ever reached.
    pub fn known_offer(&self) -> Option<Arc<Extensions>> {
        self.members.iter().any(|member| member.offered().is_some()).then(|| self.offer())
    }

    /// Takes over what a former pool knew of members that are the same servers, however much mail they get now.
    pub fn inherit(&self, former: &Pool) {
        if self.settings.protocol != former.settings.protocol {
            // What a server offers to EHLO it may not offer to LHLO.
            return;
        }
        for member in &self.members {
            if let Some(known) = former.members.iter().find(|known| known.settings.is_same_server(&member.settings)) {
                member.inherit(known);
            }
        }
    }

    /// Asks every member what it offers, at most for `limit`: so that the first clients are offered it.
    pub async fn warm_up(self: &Arc<Self>, limit: Duration) {
        let probes = self.members.iter().map(|member| self.clone().probe(member.clone()));
        let _ = timeout(limit, futures_util::future::join_all(probes)).await;
    }

    /// True if a member is up.
    pub fn is_ready(&self) -> bool {
        self.members.iter().any(|member| member.is_up())
    }

    /// The members with their state, for readiness and metrics.
    pub fn members(&self) -> &[Arc<Member>] {
        &self.members
    }

    /// A connection on which `client` is known and which can carry what is needed. `fresh` never reuses
    /// an idle one. Members that are up come first; nothing was transacted when this fails.
    ///
    /// # Errors
    /// The failure of the last member tried.
    pub async fn lease(self: &Arc<Self>, client: &Identity, need: &Need, fresh: bool) -> Result<Lease, BackendError> {
        let mut last = BackendError::Down;
        for member in self.candidates(need)? {
            match self.lease_from(&member, client, fresh).await {
                Ok(lease) if need.met_by(&lease.connection.extensions) => return Ok(lease),
                Ok(lease) => {
                    lease.give_back();
                    last = self.cannot_carry(need);
                }
                Err(why) => {
                    self.note_failure(&member, &why);
                    last = why;
                }
            }
        }
        Err(last)
    }

    /// The right to let `client` begin one more exchange of AUTH, waited for as a connection is. At most `all` are in
    /// flight, or half as many as there are connections; `per_client` of them one client's.
    ///
    /// # Errors
    /// [`BackendError::Busy`].
    pub async fn begin_exchange(
        &self,
        client: IpAddr,
        all: Option<usize>,
        per_client: usize,
    ) -> Result<InFlight, BackendError> {
        let connections = || self.settings.members.iter().map(|member| member.connections).sum::<usize>();
        let bounds = Bounds { all: all.unwrap_or_else(|| (connections() / 2).max(1)), per_client };
        self.exchanges.enter(client, bounds, self.settings.timeouts.queue).await.ok_or(BackendError::Busy)
    }

    /// A connection of `client`'s own, to authenticate on: opened for it, over TLS or to this machine only, and never
    /// used by anybody else (DECISIONS 24).
    ///
    /// # Errors
    /// The failure of the last member tried.
    pub async fn lease_own(self: &Arc<Self>, client: &Identity) -> Result<Lease, BackendError> {
        let mut last = BackendError::Down;
        for member in self.candidates(&Need::default())? {
            let lease = async {
                let slot = self.slot(&member).await?;
                let lease = self.lease_fresh(&member, client, slot).await?;
                let is_private = lease.connection.encrypted || member.settings.is_loopback();
                if is_private { Ok(lease) } else { Err(BackendError::InClear) }
            };
            match lease.await {
                Ok(lease) => return Ok(lease),
                Err(why) => {
                    self.note_failure(&member, &why);
                    last = why;
                }
            }
        }
        Err(last)
    }

    fn note_failure(&self, member: &Member, why: &BackendError) {
        self.metrics.failures.with_label_values(&[why.label()]).inc();
        tracing::warn!(member = %member.label, error = %why, "backend.failure");
    }

    /// Members worth trying, in order: those that are up, those that are free, those that are not for emergencies; of
    /// several whose turn it is.
    fn candidates(&self, need: &Need) -> Result<Vec<Arc<Member>>, BackendError> {
        let now = Instant::now();
        let mut candidates: Vec<_> = Vec::with_capacity(self.members.len());
        for (at, member) in self.members.iter().enumerate() {
            if is_able(member, need) && member.may_try(now) {
                let rank = (!member.is_up(), member.slots.available_permits() == 0, member.settings.backup);
                candidates.push((rank, at));
            }
        }
        candidates.sort_unstable();
        let Some((best, _)) = candidates.first().copied() else {
            let lacks = self.members.iter().any(|member| member.is_up() && !is_able(member, need));
            let is_permanent = !self.members.iter().any(|member| is_able(member, need));
            return Err(if lacks || is_permanent { self.cannot_carry(need) } else { BackendError::Down });
        };
        let equals = candidates.iter().take_while(|(rank, _)| *rank == best).count();
        let mut order: Vec<usize> = candidates.into_iter().map(|(_, at)| at).collect();
        if let Some(equals) = order.get_mut(..equals) {
            self.turns.order(equals, |at| self.settings.members.get(at).map_or(1, |member| member.weight));
        }
        Ok(order.into_iter().filter_map(|at| self.members.get(at).cloned()).collect())
    }

    /// Nobody who is up can carry what is needed (DECISIONS 25).
    fn cannot_carry(&self, need: &Need) -> BackendError {
        let any = |need: &Need| self.members.iter().any(|member| is_able(member, need));
        BackendError::CannotCarry { permanent: !any(need), too_big: any(&need.but_for_size()) }
    }

    async fn lease_from(
        self: &Arc<Self>,
        member: &Arc<Member>,
        client: &Identity,
        fresh: bool,
    ) -> Result<Lease, BackendError> {
        let slot = self.slot(member).await?;
        while let Some(mut connection) = member.pop_idle(&self.settings) {
            if fresh {
                connection.quit();
                continue;
            }
            match member.introduce(&mut connection, &self.settings, client).await {
                Ok(()) => {
                    self.metrics.reused.inc();
                    return Ok(self.lease_of(connection, member, slot, true));
                }
                Err(why) if why.is_about_client() => return Err(why),
                Err(_stale) => {}
            }
        }
        self.lease_fresh(member, client, slot).await
    }

    /// A place among the connections of `member`.
    async fn slot(&self, member: &Member) -> Result<OwnedSemaphorePermit, BackendError> {
        match member.slots.clone().try_acquire_owned() {
            Ok(slot) => Ok(slot),
            Err(_full) => timeout(self.settings.timeouts.queue, member.slots.clone().acquire_owned())
                .await
                .map_err(|_| BackendError::Busy)?
                .map_err(|_| BackendError::Busy),
        }
    }

    async fn lease_fresh(
        self: &Arc<Self>,
        member: &Arc<Member>,
        client: &Identity,
        slot: OwnedSemaphorePermit,
    ) -> Result<Lease, BackendError> {
        let mut connection = self.open(member, Some(client)).await?;
        member.introduce(&mut connection, &self.settings, client).await.inspect_err(|why| {
            if !why.is_about_client() {
                member.mark_down();
            }
        })?;
        Ok(self.lease_of(connection, member, slot, false))
    }

    fn lease_of(
        self: &Arc<Self>,
        connection: Connection,
        member: &Arc<Member>,
        slot: OwnedSemaphorePermit,
        reused: bool,
    ) -> Lease {
        self.metrics.busy.inc();
        let busy = Busy(self.metrics.busy.clone());
        Lease { connection, member: member.clone(), pool: self.clone(), home: None, _slot: slot, _busy: busy, reused }
    }

    async fn open(&self, member: &Member, client: Option<&Identity>) -> Result<Connection, BackendError> {
        let opened = member.open(&*self.dial, &self.settings, client).await;
        let outcome = opened.as_ref().map_or_else(BackendError::label, |_| "ok");
        self.metrics.connections.with_label_values(&[outcome]).inc();
        opened
    }

    /// Looks after idle connections and health until `stop`.
    pub async fn watch(self: Arc<Self>, stop: CancellationToken) {
        let mut tick = interval(SWEEP);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = tick.tick() => {}
            }
            for member in &self.members {
                member.sweep(&self.settings);
                if member.is_probe_due(Instant::now()) {
                    member.probe_again_in(self.settings.probe_interval);
                    tokio::spawn(self.clone().probe(member.clone()));
                }
                self.metrics.idle.with_label_values(&[&member.label]).set(member.idle_count() as i64);
                self.metrics.up.with_label_values(&[&member.label]).set(i64::from(member.is_up()));
            }
        }
        for member in &self.members {
            member.close_idle();
            // Another pool may have the same member; its next look sets them again.
            let _ = self.metrics.idle.remove_label_values(&[&member.label]);
            let _ = self.metrics.up.remove_label_values(&[&member.label]);
        }
    }

    /// Asks a member what it offers; the connection stays for the next message.
    pub async fn probe(self: Arc<Self>, member: Arc<Member>) {
        let was_up = member.is_up();
        let Ok(_slot) = member.slots.clone().try_acquire_owned() else { return };
        match self.open(&member, None).await {
            Ok(connection) => {
                if !was_up {
                    tracing::info!(member = %member.label, "backend.up");
                }
                member.give_back(connection, &self.settings);
            }
            Err(why) => {
                if was_up {
                    tracing::warn!(member = %member.label, error = %why, "backend.down");
                }
                self.metrics.failures.with_label_values(&[why.label()]).inc();
            }
        }
    }
}

/// True unless `member` is known not to carry what is needed.
fn is_able(member: &Member, need: &Need) -> bool {
    member.offered().is_none_or(|offered| need.met_by(&offered))
}

/// What all of them have.
pub(super) fn common(mut offers: impl Iterator<Item = Arc<Extensions>>) -> Arc<Extensions> {
    let Some(first) = offers.next() else { return Arc::default() };
    offers.fold(first, |common, other| if common == other { common } else { Arc::new(common.intersection(&other)) })
}

impl Lease {
    /// The connection.
    pub fn connection(&mut self) -> &mut Connection {
        &mut self.connection
    }

    /// What this member offers.
    pub fn extensions(&self) -> &Extensions {
        &self.connection.extensions
    }

    /// The member's address, for logs.
    pub fn member(&self) -> &Arc<str> {
        &self.member.label
    }

    /// The pool that it came from.
    pub fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    /// True if it is one client's own.
    pub fn is_own(&self) -> bool {
        self.home.is_some()
    }

    /// Says QUIT; nobody gets it any more.
    pub fn quit(self) {
        self.connection.quit();
    }

    /// No transaction is open: the next session may have it, or the client whose own it is.
    pub fn give_back(mut self) {
        if let Some(home) = self.home.take() {
            return home.put(self, false);
        }
        let Lease { connection, member, pool, home: _, _slot: slot, _busy, reused: _ } = self;
        // The connection is back before its slot is free: whoever waits for the slot finds it.
        member.give_back(connection, &pool.settings);
        drop(slot);
    }

    /// A transaction is open: end it with RSET, apart from the session, then give back.
    pub fn reset(mut self) {
        if let Some(home) = self.home.take() {
            return home.put(self, true);
        }
        if self.pool.settings.identity == IdentityMethod::ProxyV2 || !self.connection.is_healthy() {
            return;
        }
        tokio::spawn(async move {
            let mut lease = self;
            let connection = &mut lease.connection;
            if connection.send(b"RSET\r\n", RESET_LIMIT).await.is_ok()
                && connection.reply(RESET_LIMIT).await.is_ok_and(|reply| reply.is_positive())
            {
                lease.give_back();
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::BoxFuture;
    use prometheus::Registry;
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, duplex};

    use super::*;
    use crate::backend::settings::{Address, MemberSettings, Protocol, Reuse, Timeouts};
    use crate::net::BoxIo;
    use crate::smtp::Extension;

    /// Servers that have DSN, and whatever else is said say yes.
    struct Servers;

    impl Dial for Servers {
        fn dial<'a>(&'a self, _: &'a Address) -> BoxFuture<'a, std::io::Result<BoxIo>> {
            let (near, far) = duplex(4096);
            tokio::spawn(async move {
                let mut stream = BufReader::new(far);
                let mut reply = "220 backend\r\n";
                let mut line = String::new();
                while stream.write_all(reply.as_bytes()).await.is_ok()
                    && stream.read_line(&mut line).await.is_ok_and(|count| count > 0)
                {
                    reply = "250-backend\r\n250 DSN\r\n";
                    line.clear();
                }
            });
            Box::pin(std::future::ready(Ok(Box::new(near) as BoxIo)))
        }
    }

    fn pool(members: Vec<MemberSettings>, protocol: Protocol) -> Arc<Pool> {
        let short = Duration::from_secs(5);
        let settings = Settings {
            members,
            protocol,
            identity: IdentityMethod::None,
            helo: "mx.receiver.example".into(),
            timeouts: Timeouts { connect: short, command: short, write: short, end_of_data: short, queue: short },
            reuse: Reuse { idle: 1, idle_time: short, transactions: 9, refusals: 9, age: short },
            probe_interval: short,
        };
        let metrics = Metrics::register(&Registry::new()).expect("constant names");
        Pool::with_dial(settings, metrics, Box::new(Servers)).expect("a pool")
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_server_offers_is_known_of_it_whatever_share_of_the_mail_it_gets() {
        let member = MemberSettings {
            address: Address::Host("backend.example".to_owned(), 25),
            connections: 2,
            weight: 1,
            backup: false,
            tls: TlsMode::Off,
            implicit_tls: false,
            tls_name: None,
            tls_ca: None,
        };
        let former = pool(vec![member.clone()], Protocol::Smtp);
        former.warm_up(Duration::from_secs(1)).await;
        assert!(former.offer().has(Extension::Dsn));
        let elsewhere = Address::Host("other.example".to_owned(), 25);
        for (changed, protocol, is_known) in [
            (MemberSettings { weight: 3, backup: true, connections: 9, ..member.clone() }, Protocol::Smtp, true),
            (MemberSettings { address: elsewhere, ..member.clone() }, Protocol::Smtp, false),
            (MemberSettings { tls: TlsMode::Opportunistic, ..member.clone() }, Protocol::Smtp, false),
            (member, Protocol::Lmtp, false),
        ] {
            let next = pool(vec![changed.clone()], protocol);
            next.inherit(&former);
            let known = (next.known_offer().is_some(), next.is_ready());
            assert_eq!(known, (is_known, is_known), "{changed:?} {protocol:?}");
        }
    }
}
