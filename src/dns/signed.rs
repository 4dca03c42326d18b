//! Questions whose answers are worth nothing unless DNSSEC vouches for them: TLSA (RFC 6698).
//!
//! Asked of the configured servers, past the cache, and never for mail: our own checks do without. We validate nothing
//! ourselves; whether the server did, its answer says (the AD bit, RFC 6840 5.7), for what that is worth on the way
//! from it to here.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::StreamExt;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::tcp::TcpClientStream;
use hickory_resolver::net::udp::UdpClientStream;
use hickory_resolver::net::xfer::{DnsExchange, DnsHandle};
use hickory_resolver::proto::op::{DnsRequestOptions, DnsResponse, Query, ResponseCode};
use hickory_resolver::proto::rr::{RData, RecordType};

use super::hickory::{absolute, servers};
use super::{LookupError, Settings};

/// A TLSA record (RFC 6698 2.1), as it was published: whether its numbers mean anything is for others to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tlsa {
    /// Which certificate is meant, and what else must hold of it.
    pub usage: u8,
    /// What of the certificate.
    pub selector: u8,
    /// In what form.
    pub matching: u8,
    /// The certificate, its key, or a digest.
    pub data: Vec<u8>,
}

/// An answer, and whether the server vouches for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed<T> {
    /// The records, in the order received; none: there are none.
    pub records: Vec<T>,
    /// The server has validated it.
    pub is_authentic: bool,
}

/// The TLSA records at `name`, from the first server that answers.
///
/// # Errors
/// Why the last one did not.
pub async fn tlsa(settings: &Settings, name: &str) -> Result<Signed<Tlsa>, LookupError> {
    let servers = servers(settings).map_err(|_| LookupError::Unreachable)?;
    let mut answer = Err(LookupError::Unreachable);
    for server in servers {
        answer = ask(server, name, settings.timeout).await;
        if answer.is_ok() {
            break;
        }
    }
    answer
}

async fn ask(server: SocketAddr, name: &str, timeout: Duration) -> Result<Signed<Tlsa>, LookupError> {
    let query = Query::query(absolute(name)?, RecordType::TLSA);
    let provider = TokioRuntimeProvider::default();
    let exchange = UdpClientStream::builder(server, provider.clone()).with_timeout(Some(timeout)).exchange();
    let mut answer = exchanged(exchange, query.clone()).await?;
    if answer.metadata.truncation {
        let exchange = TcpClientStream::exchange(server, None, timeout, None, provider).await;
        answer = exchanged(exchange.map_err(|_| LookupError::Unreachable)?, query).await?;
    }
    match answer.metadata.response_code {
        ResponseCode::NoError | ResponseCode::NXDomain => {}
        _ => return Err(LookupError::ServerFailure),
    }
    let records = answer.answers.iter().filter_map(|record| match &record.data {
        RData::TLSA(tlsa) => Some(Tlsa {
            usage: tlsa.cert_usage.into(),
            selector: tlsa.selector.into(),
            matching: tlsa.matching.into(),
            data: tlsa.cert_data.clone(),
        }),
        _ => None,
    });
    Ok(Signed { records: records.collect(), is_authentic: answer.metadata.authentic_data })
}

async fn exchanged(exchange: DnsExchange<TokioRuntimeProvider>, query: Query) -> Result<DnsResponse, LookupError> {
    let mut options = DnsRequestOptions::default();
    // Asks for what DNSSEC says of it (RFC 3225).
    options.edns_set_dnssec_ok = true;
    match exchange.lookup(query, options).next().await {
        Some(Ok(answer)) => Ok(answer),
        Some(Err(_)) => Err(LookupError::Unreachable),
        None => Err(LookupError::Timeout),
    }
}
