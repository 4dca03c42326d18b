//! One member of a pool: how to reach it, what it offers, whether it is up, its idle connections.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use futures_util::future::BoxFuture;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use super::machine::{self, Identity, identify, proxy_v2, sane_helo};
use super::settings::{Address, IdentityMethod, MemberSettings, Protocol, Settings, TlsMode};
use super::{BackendError, Connection};
use crate::net::BoxIo;
use crate::net::tls::ClientTls;
use crate::smtp::{Extension, Extensions};

/// How streams to members are opened: sockets, or pipes in tests.
pub trait Dial: Send + Sync + 'static {
    /// Opens a stream to `address`.
    fn dial<'a>(&'a self, address: &'a Address) -> BoxFuture<'a, io::Result<BoxIo>>;
}

/// Opens connections over TCP, and to sockets of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct SocketDial;

impl Dial for SocketDial {
    fn dial<'a>(&'a self, address: &'a Address) -> BoxFuture<'a, io::Result<BoxIo>> {
        Box::pin(async move {
            let stream = match address {
                Address::Socket(addr) => tokio::net::TcpStream::connect(addr).await?,
                Address::Host(host, port) => tokio::net::TcpStream::connect((host.as_str(), *port)).await?,
                Address::Unix(path) => return Ok(Box::new(tokio::net::UnixStream::connect(path).await?) as BoxIo),
            };
            stream.set_nodelay(true)?;
            Ok(Box::new(stream) as BoxIo)
        })
    }
}

/// One member of a pool.
pub struct Member {
    /// As configured.
    pub settings: MemberSettings,
    /// Its address as written: the label of metrics.
    pub label: Arc<str>,
    /// Leases at a time.
    pub(super) slots: Arc<Semaphore>,
    idle: Mutex<Vec<Connection>>,
    health: Mutex<Health>,
    offered: ArcSwapOption<Extensions>,
    tls: Option<ClientTls>,
}

/// Whether a member is up, and when it is asked again.
#[derive(Debug)]
struct Health {
    up: bool,
    failures: u32,
    retry_at: Instant,
    probe_at: Instant,
}

/// After a failure a member is left alone for so long, doubling up to the second figure.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

impl Member {
    /// A member that nobody has spoken to yet.
    pub fn new(settings: MemberSettings, tls: Option<ClientTls>) -> Self {
        let now = Instant::now();
        let label: Arc<str> = settings.address.to_string().into();
        Self {
            slots: Arc::new(Semaphore::new(settings.connections)),
            settings,
            label,
            idle: Mutex::default(),
            health: Mutex::new(Health { up: false, failures: 0, retry_at: now, probe_at: now }),
            offered: ArcSwapOption::empty(),
            tls,
        }
    }

    /// What it offered last; `None` if it was never reached.
    pub fn offered(&self) -> Option<Arc<Extensions>> {
        self.offered.load_full()
    }

    /// True if the last attempt to speak to it went well.
    pub fn is_up(&self) -> bool {
        self.health().up
    }

    /// True unless it failed a moment ago.
    pub fn may_try(&self, now: Instant) -> bool {
        let health = self.health();
        health.up || now >= health.retry_at
    }

    /// True if it is time to ask how it is.
    pub fn is_probe_due(&self, now: Instant) -> bool {
        let health = self.health();
        now >= health.probe_at && now >= health.retry_at
    }

    /// Puts the next probe off.
    pub fn probe_again_in(&self, interval: Duration) {
        self.health().probe_at = Instant::now() + interval;
    }

    /// Takes it as failed; the next attempt waits a little longer each time.
    pub fn mark_down(&self) {
        let mut health = self.health();
        let now = Instant::now();
        if !health.up && now < health.retry_at {
            // Several sessions met the same outage: it counts once.
            return;
        }
        health.up = false;
        let wait = BACKOFF.0.saturating_mul(1 << health.failures.min(10)).min(BACKOFF.1);
        health.failures = health.failures.saturating_add(1);
        health.retry_at = now + wait;
        health.probe_at = health.retry_at;
    }

    fn mark_up(&self) {
        let mut health = self.health();
        health.up = true;
        health.failures = 0;
    }

    /// How many leases are held, at least the one that is being given back.
    fn in_use(&self) -> usize {
        self.settings.connections.saturating_sub(self.slots.available_permits()).max(1)
    }

    /// Knows what a member with the same settings knew.
    pub fn inherit(&self, known: &Self) {
        self.offered.store(known.offered());
        if known.is_up() {
            self.mark_up();
        }
    }

    /// Says QUIT on all idle connections.
    pub fn close_idle(&self) {
        std::mem::take(&mut *self.idle_list()).into_iter().for_each(Connection::quit);
    }

    /// How many idle connections it has.
    pub fn idle_count(&self) -> usize {
        self.idle_list().len()
    }

    /// The most recently used idle connection that is still good.
    pub fn pop_idle(&self, settings: &Settings) -> Option<Connection> {
        loop {
            let mut connection = self.idle_list().pop()?;
            if connection.is_quiet() && !is_retired(&connection, settings) {
                return Some(connection);
            }
        }
    }

    /// Keeps `connection` for the next one, or says QUIT if it is spent.
    pub fn give_back(&self, mut connection: Connection, settings: &Settings) {
        connection.idle_since = Instant::now();
        let spent = !connection.is_quiet()
            || is_retired(&connection, settings)
            || settings.identity == IdentityMethod::ProxyV2
            || self.in_use() - 1 + self.idle_count() >= self.settings.connections;
        if !spent {
            let mut idle = self.idle_list();
            if idle.len() < settings.reuse.idle.max(1) {
                idle.push(connection);
                return;
            }
        }
        connection.quit();
    }

    /// Drops idle connections that ended or are too old; true if the backend ended one.
    pub fn sweep(&self, settings: &Settings) -> bool {
        let now = Instant::now();
        let mut lost = false;
        let mut spent = Vec::new();
        {
            let mut idle = self.idle_list();
            let mut index = 0;
            while index < idle.len() {
                let connection = &mut idle[index];
                if !connection.is_quiet() {
                    lost = true;
                    idle.swap_remove(index);
                } else if now >= connection.idle_since + settings.reuse.idle_time || is_retired(connection, settings) {
                    spent.push(idle.swap_remove(index));
                } else {
                    index += 1;
                }
            }
        }
        spent.into_iter().for_each(Connection::quit);
        if lost {
            self.health().probe_at = now;
        }
        lost
    }

    /// Opens a connection, as far as its last EHLO reply. For PROXY the identity goes first.
    pub async fn open(
        &self,
        dial: &dyn Dial,
        settings: &Settings,
        client: Option<&Identity>,
    ) -> Result<Connection, BackendError> {
        let opened = self.open_inner(dial, settings, client).await;
        match &opened {
            Ok(connection) => {
                self.mark_up();
                self.offered.store(Some(connection.extensions.clone()));
            }
            // With PROXY a refusal in the greeting is meant for this client.
            Err(BackendError::NotReady(_)) if client.is_some() && settings.identity == IdentityMethod::ProxyV2 => {}
            Err(_) => self.mark_down(),
        }
        opened
    }

    async fn open_inner(
        &self,
        dial: &dyn Dial,
        settings: &Settings,
        client: Option<&Identity>,
    ) -> Result<Connection, BackendError> {
        let limit = settings.timeouts.command;
        let io = timeout(settings.timeouts.connect, dial.dial(&self.settings.address))
            .await
            .map_err(|_| BackendError::TimedOut)?
            .map_err(BackendError::Connect)?;
        let mut connection = Connection::new(io);
        if settings.identity == IdentityMethod::ProxyV2 {
            connection.send(&proxy_v2(client), limit).await?;
        }
        if self.settings.implicit_tls {
            connection = self.shake_hands(connection, settings).await?;
        }
        let greeting = connection.reply(limit).await?;
        if !greeting.is_positive() {
            return Err(BackendError::NotReady(greeting));
        }
        self.hello(&mut connection, settings, &settings.helo).await?;
        let mut connection = self.secure(connection, settings).await?;
        if !connection.is_healthy() || !connection.is_quiet() {
            return Err(BackendError::Unsolicited);
        }
        Ok(connection)
    }

    async fn secure(&self, mut connection: Connection, settings: &Settings) -> Result<Connection, BackendError> {
        let limit = settings.timeouts.command;
        if self.tls.is_none() || connection.encrypted {
            return Ok(connection);
        }
        let required = matches!(self.settings.tls, TlsMode::Required | TlsMode::Verify);
        if !connection.extensions.has(Extension::StartTls) {
            return if required { Err(BackendError::Tls("STARTTLS is not offered".into())) } else { Ok(connection) };
        }
        connection.send(b"STARTTLS\r\n", limit).await?;
        let reply = connection.reply(limit).await?;
        if reply.code() != 220 {
            return if required || !connection.is_healthy() {
                Err(BackendError::Tls(format!("STARTTLS was refused: {}", reply.to_log())))
            } else {
                Ok(connection)
            };
        }
        let mut connection = self.shake_hands(connection, settings).await?;
        self.hello(&mut connection, settings, &settings.helo).await?;
        Ok(connection)
    }

    async fn shake_hands(&self, connection: Connection, settings: &Settings) -> Result<Connection, BackendError> {
        let Some(tls) = &self.tls else { return Ok(connection) };
        let stream = connection.into_stream()?;
        let by = Instant::now() + settings.timeouts.connect;
        let (stream, _) = tls.connect(stream, by).await.map_err(|why| BackendError::Tls(why.to_string()))?;
        let mut connection = Connection::new(stream);
        connection.encrypted = true;
        Ok(connection)
    }

    /// Tells the backend on `connection` who the client is. Never skipped: it fails where it cannot.
    pub async fn introduce(
        &self,
        connection: &mut Connection,
        settings: &Settings,
        client: &Identity,
    ) -> Result<(), BackendError> {
        let limit = settings.timeouts.command;
        let (method, accepted) = match settings.identity {
            IdentityMethod::None | IdentityMethod::ProxyV2 => return Ok(()),
            IdentityMethod::Xclient => ("XCLIENT", 220),
            IdentityMethod::Xforward => ("XFORWARD", 250),
        };
        let commands = identify(settings.identity, client, &connection.extensions)
            .ok_or(BackendError::Identity("the configured method: it is not offered"))?;
        for command in commands {
            connection.send(&command, limit).await?;
            let reply = connection.reply(limit).await?;
            if reply.code() != accepted {
                return Err(match reply.class() {
                    _ if reply.code() == 421 => BackendError::NotReady(reply),
                    5 => BackendError::IdentityRefused(reply),
                    _ => BackendError::Identity(method),
                });
            }
        }
        if settings.identity == IdentityMethod::Xclient {
            let name = sane_helo(&client.helo).unwrap_or(&settings.helo).to_owned();
            self.hello(connection, settings, &name).await?;
        }
        Ok(())
    }

    /// Says EHLO and notes what is offered.
    async fn hello(&self, connection: &mut Connection, settings: &Settings, name: &str) -> Result<(), BackendError> {
        let limit = settings.timeouts.command;
        connection.send(&machine::hello(settings.protocol, name), limit).await?;
        let reply = connection.reply(limit).await?;
        if !reply.is_positive() {
            return Err(BackendError::NotReady(reply));
        }
        let mut offered = Extensions::from_reply(&reply);
        // What must not be read by others must not be handed to others either (RFC 8689 4.2.1).
        let is_certain = self.settings.tls == TlsMode::Verify || self.settings.is_loopback();
        if !(connection.encrypted && is_certain) {
            offered.remove(Extension::RequireTls);
        }
        if settings.protocol == Protocol::Lmtp {
            // How many replies a refused chunk has, no document says.
            offered.remove(Extension::Chunking);
            offered.remove(Extension::BinaryMime);
        }
        if *connection.extensions != offered {
            connection.extensions = Arc::new(offered);
        }
        Ok(())
    }

    fn idle_list(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// True if a connection is to be closed before the backend's own limits bite (DECISIONS 23).
fn is_retired(connection: &Connection, settings: &Settings) -> bool {
    let most = connection.extensions.limit("MAILMAX");
    connection.transactions >= settings.reuse.transactions
        || most.is_some_and(|most| connection.mails >= most)
        || connection.refusals >= settings.reuse.refusals
        || Instant::now() >= connection.opened + settings.reuse.age
}
