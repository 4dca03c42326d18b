//! The real network: hickory-resolver, UDP first, TCP for answers that do not fit.
//!
//! Promises: names are absolute, no search domain is ever appended, no hosts file is read; a question
//! ends after `timeout * attempts`. Its own cache is off: ours is the only one.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::lookup;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::system_conf::read_system_conf;

use super::cache::Cache;
use super::question::{Kind, Network, Question, Records, Response};
use super::{LookupError, Metrics, Settings};

/// The resolver of production: our cache before the configured servers.
pub type Resolver = Cache<Servers>;

/// The configured DNS servers.
pub struct Servers {
    resolver: TokioResolver,
    give_up: Duration,
}

/// Why there is no resolver: the system names no usable server.
#[derive(Debug, thiserror::Error)]
#[error("no DNS server: {0}; name one in the configuration or in /etc/resolv.conf")]
pub struct SetupError(String);

/// Room for the last attempt to report its own error before ours cuts it off.
const GRACE: Duration = Duration::from_millis(100);

impl Resolver {
    /// Sends nothing yet. Errors: no servers are given, and the system has none.
    pub fn over_servers(settings: &Settings, metrics: Arc<Metrics>) -> Result<Self, SetupError> {
        Ok(Cache::new(Servers::new(settings)?, settings, metrics))
    }
}

impl Servers {
    fn new(settings: &Settings) -> Result<Self, SetupError> {
        let refused = |why: NetError| SetupError(why.to_string());
        let servers = if settings.servers.is_empty() {
            // Only the servers are taken over: never its search list, nor its options.
            read_system_conf().map_err(refused)?.0.name_servers().to_vec()
        } else {
            settings.servers.iter().copied().map(name_server).collect()
        };
        let attempts = settings.attempts.max(1);
        let resolver = TokioResolver::builder_with_config(
            ResolverConfig::from_name_servers(servers),
            TokioRuntimeProvider::default(),
        )
        .with_options(options(settings.timeout, attempts))
        .build()
        .map_err(refused)?;
        let give_up =
            settings.timeout.saturating_mul(u32::try_from(attempts).unwrap_or(u32::MAX)).saturating_add(GRACE);
        Ok(Self { resolver, give_up })
    }
}

impl Network for Servers {
    async fn ask(&self, question: &Question) -> Result<Response, LookupError> {
        let name = absolute(question.name())?;
        let lookup = self.resolver.lookup(name, record_type(question.kind()));
        match tokio::time::timeout(self.give_up, lookup).await {
            Ok(Ok(lookup)) => Ok(response(question.kind(), &lookup)),
            Ok(Err(error)) => no_answer(question.kind(), &error),
            Err(_) => Err(LookupError::Timeout),
        }
    }
}

fn name_server(addr: SocketAddr) -> NameServerConfig {
    let (mut udp, mut tcp) = (ConnectionConfig::udp(), ConnectionConfig::tcp());
    udp.port = addr.port();
    tcp.port = addr.port();
    NameServerConfig::new(addr.ip(), true, vec![udp, tcp])
}

fn options(timeout: Duration, attempts: usize) -> ResolverOpts {
    let mut options = ResolverOpts::default();
    options.timeout = timeout;
    // There it means how often a question is repeated.
    options.attempts = attempts - 1;
    options.edns0 = true;
    options.use_hosts_file = ResolveHosts::Never;
    options.cache_size = 0;
    options.try_tcp_on_error = true;
    options
}

/// Label by label, so that no character of a hostile name has a meaning.
fn absolute(name: &str) -> Result<Name, LookupError> {
    let mut name = Name::from_labels(name.split('.').map(str::as_bytes)).map_err(|_| LookupError::NotAName)?;
    name.set_fqdn(true);
    Ok(name)
}

fn record_type(kind: Kind) -> RecordType {
    match kind {
        Kind::A => RecordType::A,
        Kind::Aaaa => RecordType::AAAA,
        Kind::Ptr => RecordType::PTR,
        Kind::Txt => RecordType::TXT,
        Kind::Mx => RecordType::MX,
        Kind::Ns => RecordType::NS,
    }
}

fn response(kind: Kind, lookup: &lookup::Lookup) -> Response {
    let data = || lookup.answers().iter().map(|record| &record.data);
    let records = match kind {
        Kind::A => {
            Records::A(data().filter_map(|data| if let RData::A(a) = data { Some(a.0) } else { None }).collect())
        }
        Kind::Aaaa => {
            Records::Aaaa(data().filter_map(|data| if let RData::AAAA(a) = data { Some(a.0) } else { None }).collect())
        }
        Kind::Ptr => {
            Records::Ptr(data().filter_map(|data| if let RData::PTR(to) = data { host(&to.0) } else { None }).collect())
        }
        Kind::Ns => {
            Records::Ns(data().filter_map(|data| if let RData::NS(to) = data { host(&to.0) } else { None }).collect())
        }
        Kind::Txt => Records::Txt(
            data()
                .filter_map(|data| if let RData::TXT(txt) = data { Some(txt) } else { None })
                .map(|txt| String::from_utf8_lossy(&txt.txt_data.concat()).into())
                .collect(),
        ),
        Kind::Mx => Records::Mx(
            data()
                .filter_map(|data| if let RData::MX(mx) = data { Some(mx) } else { None })
                .filter_map(|mx| Some((mx.preference, host(&mx.exchange).or_else(|| null_mx(&mx.exchange))?)))
                .collect(),
        ),
    };
    let ttl = lookup.answers().iter().map(|record| record.ttl).min();
    Response { records, exists: true, ttl: ttl.map(|seconds| Duration::from_secs(seconds.into())) }
}

/// A name as we write names, unless it is one that we could not ask for.
/// Label by label: the text form of a name escapes characters that are merely rare, such as `/`.
fn host(name: &Name) -> Option<Arc<str>> {
    let label = |octets| std::str::from_utf8(octets).ok().filter(|label| !label.contains('.'));
    let labels: Vec<&str> = name.iter().map(label).collect::<Option<_>>()?;
    Question::new(Kind::A, &labels.join(".")).ok().map(|question| question.name().into())
}

/// RFC 7505: the exchanger `.` says that the domain takes no mail; kept as the empty name.
fn null_mx(name: &Name) -> Option<Arc<str>> {
    name.is_root().then(|| "".into())
}

fn no_answer(kind: Kind, error: &NetError) -> Result<Response, LookupError> {
    match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) => Ok(Response {
            records: Records::none(kind),
            exists: none.response_code != ResponseCode::NXDomain,
            ttl: none.negative_ttl.map(|seconds| Duration::from_secs(seconds.into())),
        }),
        NetError::Dns(_) => Err(LookupError::ServerFailure),
        NetError::Timeout => Err(LookupError::Timeout),
        _ => Err(LookupError::Unreachable),
    }
}
