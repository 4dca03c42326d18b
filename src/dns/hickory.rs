//! The real network: hickory-resolver, UDP first, TCP for answers that do not fit.
//!
//! Promises: names are absolute, no search domain is ever appended, no hosts file is read. A reply
//! with another id or another question is not taken for one; records that are not about the name
//! asked for, or what it is an alias of, are left out; a referral is no answer.
//!
//! One resolver for each server, for one attempt: whom to ask next is for [`Servers`] to say. Its own
//! cache is off: ours is the only one.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use hickory_resolver::system_conf::read_system_conf;

use super::cache::Cache;
use super::question::{Kind, Network, Question, Records, Response};
use super::servers::Servers;
use super::{LookupError, Metrics, Settings};

/// The resolver of production: our cache before the configured servers.
pub type Resolver = Cache<Servers<NameServer>>;

/// One DNS server.
pub struct NameServer {
    resolver: TokioResolver,
}

/// Why there is no resolver: the system names no usable server.
#[derive(Debug, thiserror::Error)]
#[error("no DNS server: {0}; name one in the configuration or in /etc/resolv.conf")]
pub struct SetupError(String);

/// Questions at a time on one TCP connection; the bound that matters is ours.
const ON_ONE_CONNECTION: usize = 1000;

/// An alias of an alias of an alias: no further.
const ALIASES: usize = 16;

impl Resolver {
    /// Sends nothing yet. Errors: no servers are given, and the system has none.
    pub fn over_servers(settings: &Settings, metrics: Arc<Metrics>) -> Result<Self, SetupError> {
        let refused = |why: NetError| SetupError(why.to_string());
        let configs = servers(settings)?;
        if configs.is_empty() {
            return Err(SetupError("none is named".to_owned()));
        }
        let mut servers = Vec::new();
        for addr in configs {
            servers.push((addr.to_string(), NameServer::new(addr, settings.timeout).map_err(refused)?));
        }
        let servers = Servers::new(servers, settings, &metrics);
        Ok(Cache::new(servers, settings, metrics))
    }
}

/// The servers that are asked: those of the settings, or those of the system.
///
/// # Errors
/// The settings name none, and those of the system cannot be read.
pub fn servers(settings: &Settings) -> Result<Vec<SocketAddr>, SetupError> {
    if !settings.servers.is_empty() {
        return Ok(settings.servers.clone());
    }
    // Only the servers are taken over: never its search list, nor its options.
    let system = read_system_conf().map_err(|why| SetupError(why.to_string()))?.0;
    Ok(system_servers(system.name_servers()))
}

impl NameServer {
    fn new(addr: SocketAddr, timeout: Duration) -> Result<Self, NetError> {
        let config = ResolverConfig::from_name_servers(vec![name_server(addr)]);
        let builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        Ok(Self { resolver: builder.with_options(options(timeout)).build()? })
    }
}

impl Network for NameServer {
    async fn ask(&self, question: &Question) -> Result<Response, LookupError> {
        let name = absolute(question.name())?;
        match self.resolver.lookup(name.clone(), record_type(question.kind())).await {
            Ok(lookup) => response(question.kind(), name, lookup.answers()),
            Err(error) => no_answer(question.kind(), &error),
        }
    }
}

/// The system's list has one entry for each server, or one for each of its protocols.
fn system_servers(configs: &[NameServerConfig]) -> Vec<SocketAddr> {
    let mut servers = Vec::new();
    for config in configs {
        let port = config.connections.first().map_or(53, |connection| connection.port);
        let addr = SocketAddr::new(config.ip, port);
        if !servers.contains(&addr) {
            servers.push(addr);
        }
    }
    servers
}

fn name_server(addr: SocketAddr) -> NameServerConfig {
    let (mut udp, mut tcp) = (ConnectionConfig::udp(), ConnectionConfig::tcp());
    udp.port = addr.port();
    tcp.port = addr.port();
    NameServerConfig::new(addr.ip(), true, vec![udp, tcp])
}

fn options(timeout: Duration) -> ResolverOpts {
    let mut options = ResolverOpts::default();
    options.timeout = timeout;
    // There it means how often a question is repeated; lost packets are repeated all the same.
    options.attempts = 0;
    options.edns0 = true;
    options.use_hosts_file = ResolveHosts::Never;
    options.cache_size = 0;
    // Without the aliases we could not tell which records are about the name.
    options.preserve_intermediates = true;
    options.max_active_requests = ON_ONE_CONNECTION;
    options
}

/// Label by label, so that no character of a hostile name has a meaning.
pub(super) fn absolute(name: &str) -> Result<Name, LookupError> {
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

fn response(kind: Kind, name: Name, answers: &[Record]) -> Result<Response, LookupError> {
    let names = aliases(name, answers);
    let of_the_name = || answers.iter().filter(|record| names.contains(&record.name));
    if !of_the_name().any(|record| record.record_type() == record_type(kind)) {
        return Err(LookupError::ServerFailure);
    }
    let data = || of_the_name().map(|record| &record.data);
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
    let ttl = of_the_name().map(|record| record.ttl).min();
    Ok(Response { records, exists: true, ttl: ttl.map(|seconds| Duration::from_secs(seconds.into())) })
}

/// The name, and what it is an alias of.
fn aliases(name: Name, answers: &[Record]) -> Vec<Name> {
    let mut names = vec![name];
    while names.len() <= ALIASES {
        let target = answers.iter().find_map(|record| match &record.data {
            RData::CNAME(target) if names.last() == Some(&record.name) => Some(&target.0),
            _ => None,
        });
        match target {
            Some(target) if !names.contains(target) => names.push(target.clone()),
            _ => break,
        }
    }
    names
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
        NetError::Dns(DnsError::NoRecordsFound(none)) => {
            let exists = match none.response_code {
                ResponseCode::NXDomain => false,
                // RFC 2308 2.2: "ask over there". From a server that should have done so itself.
                ResponseCode::NoError if none.soa.is_none() && none.ns.is_some() => {
                    return Err(LookupError::ServerFailure);
                }
                ResponseCode::NoError => true,
                _ => return Err(LookupError::ServerFailure),
            };
            let ttl = none.negative_ttl.map(|seconds| Duration::from_secs(seconds.into()));
            Ok(Response { records: Records::none(kind), exists, ttl })
        }
        NetError::Dns(_) => Err(LookupError::ServerFailure),
        NetError::Timeout => Err(LookupError::Timeout),
        _ => Err(LookupError::Unreachable),
    }
}
