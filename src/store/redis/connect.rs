//! Where Redis is, and how a connection to it is made: one server, the master that sentinels name, or a cluster.

use std::fmt;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::cluster::{ClusterClient, ClusterClientBuilder};
use redis::cluster_async::ClusterConnection;
use redis::sentinel::{SentinelClientBuilder, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisError,
    TlsCertificates, TlsMode, Value,
};

use super::failure::Failure;
use super::{Mode, RedisSettings};

/// For one TCP connection.
const CONNECT: Duration = Duration::from_secs(1);
/// Commands that may wait to be sent; beyond that the caller waits, as long as its deadline allows.
const BUFFER: usize = 1024;
/// How often a command goes to another node of a cluster, and how long it waits before, in milliseconds.
const RETRIES: u32 = 3;
const RETRY_WAIT: (u64, u64) = (5, 40);

/// A connection that many use at the same time.
pub(super) enum Connection {
    One(MultiplexedConnection),
    Cluster(ClusterConnection),
}

/// Where to connect to.
pub(super) struct Server {
    settings: RedisSettings,
    infos: Vec<ConnectionInfo>,
}

// === impl Connection ===

impl Connection {
    pub(super) fn is_cluster(&self) -> bool {
        matches!(self, Self::Cluster(_))
    }

    pub(super) async fn ask(&self, command: &Cmd) -> Result<Value, Failure> {
        Ok(self.try_ask(command).await?)
    }

    pub(super) async fn try_ask(&self, command: &Cmd) -> Result<Value, RedisError> {
        match self {
            Self::One(connection) => command.query_async(&mut connection.clone()).await,
            Self::Cluster(connection) => command.query_async(&mut connection.clone()).await,
        }
    }
}

// === impl Server ===

impl Server {
    /// Understands the addresses.
    ///
    /// # Errors
    /// If one is none.
    pub(super) fn new(settings: RedisSettings) -> Result<Self, RedisError> {
        let infos = settings.urls.iter().map(|url| info(&settings, url)).collect::<Result<_, _>>()?;
        Ok(Self { settings, infos })
    }

    /// A new connection.
    pub(super) async fn connect(&self) -> Result<Connection, Failure> {
        Ok(match &self.settings.mode {
            Mode::Standalone => Connection::One(self.standalone().await?),
            Mode::Sentinel { master } => Connection::One(self.master(master).await?),
            Mode::Cluster => Connection::Cluster(self.cluster()?.get_async_connection().await?),
        })
    }

    /// The first server that answers.
    async fn standalone(&self) -> Result<MultiplexedConnection, RedisError> {
        let mut failed = None;
        for info in &self.infos {
            let client = match self.certificates().filter(|_| is_tls(info)) {
                Some(certificates) => Client::build_with_tls(info.clone(), certificates)?,
                None => Client::open(info.clone())?,
            };
            match client.get_multiplexed_async_connection_with_config(&options()).await {
                Ok(connection) => return Ok(connection),
                Err(why) => failed = Some(why),
            }
        }
        Err(failed.unwrap_or_else(|| (redis::ErrorKind::InvalidClientConfig, "no address").into()))
    }

    async fn master(&self, name: &str) -> Result<MultiplexedConnection, RedisError> {
        let addresses: Vec<ConnectionAddr> = self.infos.iter().map(|info| info.addr().clone()).collect();
        let is_tls = self.infos.iter().any(is_tls);
        let mut builder = SentinelClientBuilder::new(addresses, name, SentinelServerType::Master)?;
        if let Some(username) = &self.settings.username {
            builder = builder.set_client_to_redis_username(username);
        }
        if let Some(password) = &self.settings.password {
            builder = builder.set_client_to_redis_password(password.reveal());
        }
        if let Some(password) = &self.settings.sentinel_password {
            builder = builder.set_client_to_sentinel_password(password.reveal());
        }
        if is_tls {
            let modes = builder.set_client_to_redis_tls_mode(TlsMode::Secure);
            builder = modes.set_client_to_sentinel_tls_mode(TlsMode::Secure);
        }
        if let Some(certificates) = self.certificates().filter(|_| is_tls) {
            let of_master = builder.set_client_to_redis_certificates(certificates.clone());
            builder = of_master.set_client_to_sentinel_certificates(certificates);
        }
        if let Some(info) = self.infos.first() {
            builder = builder.set_client_to_redis_db(info.redis_settings().db());
        }
        builder.build()?.get_async_connection_with_config(&options()).await
    }

    fn cluster(&self) -> Result<ClusterClient, RedisError> {
        let mut builder = ClusterClientBuilder::new(self.infos.clone())
            .connection_timeout(CONNECT)
            .retries(RETRIES)
            .min_retry_wait(RETRY_WAIT.0)
            .max_retry_wait(RETRY_WAIT.1)
            // Our own deadline ends waiting sooner; this one lets a silent node be given up.
            .response_timeout(self.settings.deadline.max(CONNECT));
        if let Some(certificates) = self.certificates() {
            builder = builder.certs(certificates);
        }
        builder.build()
    }

    fn certificates(&self) -> Option<TlsCertificates> {
        let roots = self.settings.tls_ca.as_ref()?;
        Some(TlsCertificates { client_tls: None, root_cert: Some(roots.as_bytes().to_vec()) })
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.settings.urls.join(", "))
    }
}

fn options() -> AsyncConnectionConfig {
    // Answers are waited for by whoever asked.
    AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT))
        .set_response_timeout(None)
        .set_pipeline_buffer_size(BUFFER)
}

fn is_tls(info: &ConnectionInfo) -> bool {
    matches!(info.addr(), ConnectionAddr::TcpTls { .. })
}

fn info(settings: &RedisSettings, url: &str) -> Result<ConnectionInfo, RedisError> {
    let info = url.into_connection_info()?;
    // Sentinels have passwords of their own, and get none by this way.
    if matches!(settings.mode, Mode::Sentinel { .. }) {
        return Ok(info);
    }
    let mut redis = info.redis_settings().clone().set_skip_set_lib_name();
    if let Some(username) = &settings.username {
        redis = redis.set_username(username);
    }
    if let Some(password) = &settings.password {
        redis = redis.set_password(password.reveal());
    }
    Ok(info.set_redis_settings(redis))
}

/// Says what is wrong with an address, if something is.
///
/// # Errors
/// What is wrong.
pub fn check_url(url: &str) -> Result<(), String> {
    let example = "such as redis://192.0.2.1:6379, rediss://redis.example.org:6380 (TLS) or unix:///run/redis.sock";
    let parsed = redis::parse_redis_url(url).ok_or_else(|| format!("`{url}` is no address of Redis, {example}"))?;
    if parsed.password().is_some() || !parsed.username().is_empty() {
        return Err("must not hold a name or password: write username and password_file".to_owned());
    }
    url.into_connection_info().map(drop).map_err(|why| format!("`{url}`: {why}; write it {example}"))
}
