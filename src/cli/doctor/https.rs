//! One page over HTTPS, from the host that our name servers name, as MTA-STS fetches policies (RFC 8461 3.3): no
//! redirection is followed, and the certificate must be the host's.

use std::net::SocketAddr;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper::header::HOST;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::PATIENCE;
use crate::dns::Lookup;
use crate::net::BoxIo;
use crate::net::tls::{ClientTls, Trust};

const PORT: u16 = 443;

/// The page at `path` of `host`, of `largest` octets at most.
///
/// # Errors
/// Why there is none, for people.
pub(super) async fn get(dns: &dyn Lookup, host: &str, path: &str, largest: usize) -> Result<String, String> {
    let deadline = Instant::now() + PATIENCE;
    let fetched = timeout_at(deadline, async {
        let stream = connect(dns, host).await?;
        let tls = ClientTls::new(host, &Trust::System).map_err(|why| why.to_string())?;
        let (stream, _) = tls.connect(Box::new(stream), deadline).await.map_err(|why| why.to_string())?;
        fetch(stream, host, path, largest).await
    });
    fetched.await.unwrap_or_else(|_elapsed| Err("no answer in time".to_owned()))
}

async fn connect(dns: &dyn Lookup, host: &str) -> Result<TcpStream, String> {
    let (v4, v6) = tokio::join!(dns.a(host), dns.aaaa(host));
    let v4 = v4.map_err(|why| why.to_string())?.records.to_vec().into_iter().map(|ip| SocketAddr::from((ip, PORT)));
    let v6 = v6.into_iter().flat_map(|answer| answer.records.to_vec()).map(|ip| SocketAddr::from((ip, PORT)));
    let mut why = "it has no address".to_owned();
    for address in v4.chain(v6) {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(refused) => why = format!("{address}: {refused}"),
        }
    }
    Err(why)
}

async fn fetch(stream: BoxIo, host: &str, path: &str, largest: usize) -> Result<String, String> {
    let words = |why: hyper::Error| why.to_string();
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(words)?;
    let request = Request::get(path).header(HOST, host).body(Empty::<&[u8]>::new()).map_err(|why| why.to_string())?;
    let asking = async {
        let answer = sender.send_request(request).await.map_err(words)?;
        let status = answer.status();
        if status.is_redirection() {
            return Err(format!("{status}: senders follow no redirection"));
        }
        if status != StatusCode::OK {
            return Err(status.to_string());
        }
        let body = Limited::new(answer.into_body(), largest).collect().await;
        let octets = body.map_err(|why| why.to_string())?.to_bytes();
        String::from_utf8(octets.into()).map_err(|_| "it is no text".to_owned())
    };
    // The connection ends with the answer, or before it.
    let connection = async {
        let _ = connection.await;
        std::future::pending().await
    };
    tokio::select! {
        answer = asking => answer,
        () = connection => Err("the connection ended".to_owned()),
    }
}
