//! Asks the admin page of a running proxy.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::{DEFAULT_CONFIG, Failed, check_config, wants_colour};
use crate::config;

/// How long the proxy may take to be reached, and how long to say the next thing.
const CONNECT: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(20);
/// No answer is larger.
const LARGEST: u64 = 256 << 20;

const UNSET: &str = "[admin] address is not set, so the running proxy cannot be asked";

/// How to ask the running proxy, and how to print what it says.
#[derive(Debug, clap::Args)]
pub struct Common {
    /// The configuration file, which names the admin address of the running proxy.
    #[arg(long, short, value_name = "FILE", env = "GATEPOST_CONFIG", default_value = DEFAULT_CONFIG)]
    pub config: PathBuf,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

impl Common {
    /// What the proxy of that configuration answers.
    pub(super) fn ask<T: DeserializeOwned>(&self, request: &Request) -> Result<T, Failed> {
        let address = check_config::load(&self.config)?.config.admin;
        ask(address.ok_or_else(|| Failed(UNSET.to_owned()))?, request).map_err(|refused| match refused {
            Refused::Nobody(why) | Refused::Answer(why) => Failed(why),
        })
    }
}

/// Where the proxy of that configuration is asked, whatever else is written there.
pub(super) fn address(config: &Path) -> Result<SocketAddr, Failed> {
    let address = config::admin_address(config).map_err(|problems| Failed(problems.render(wants_colour())))?;
    address.ok_or_else(|| Failed(UNSET.to_owned()))
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Request {
    target: String,
    /// JSON to POST.
    body: Option<String>,
}

/// Why there is no answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// Nobody is there.
    Nobody(String),
    /// Somebody is there, and says something else.
    Answer(String),
}

impl Request {
    /// For a page that tells.
    pub(super) fn get(target: String) -> Self {
        Self { target, body: None }
    }

    /// For a page that changes something.
    pub(super) fn post(target: String, body: String) -> Self {
        Self { target, body: Some(body) }
    }

    /// 1.0: the answer ends where the connection does, and comes in one piece.
    fn octets(&self, address: SocketAddr) -> String {
        let target = &self.target;
        match &self.body {
            None => format!("GET {target} HTTP/1.0\r\nHost: {address}\r\n\r\n"),
            Some(body) => format!(
                "POST {target} HTTP/1.0\r\nHost: {address}\r\nContent-Type: application/json\r\n\
                 Content-Length: {}\r\n\r\n{body}",
                body.len()
            ),
        }
    }
}

/// What the proxy with admin pages at `address` answers.
pub(super) fn ask<T: DeserializeOwned>(address: SocketAddr, request: &Request) -> Result<T, Refused> {
    let answer = page(address, request)?;
    serde_json::from_slice(&answer).map_err(|why| strange(address, why.to_string()))
}

/// The same as text, for pages that are no JSON.
pub(super) fn text(address: SocketAddr, target: &str) -> Result<String, Refused> {
    let answer = page(address, &Request::get(target.to_owned()))?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// Status and text of a page, whatever the status is.
pub(super) fn whatever(address: SocketAddr, target: &str) -> Result<(u16, String), Refused> {
    let address = reachable(address);
    let answer = asked(address, &Request::get(target.to_owned()))?;
    let (status, body) = parts(&answer).map_err(|why| strange(address, why))?;
    let code = status.split(' ').nth(1).and_then(|code| code.parse().ok());
    Ok((code.ok_or_else(|| strange(address, status))?, String::from_utf8_lossy(body).into_owned()))
}

fn strange(address: SocketAddr, why: String) -> Refused {
    Refused::Answer(format!("{address} does not answer as a proxy of ours: {why}"))
}

fn page(address: SocketAddr, request: &Request) -> Result<Vec<u8>, Refused> {
    let address = reachable(address);
    let answer = asked(address, request)?;
    let body = body(&answer).map_err(|why| strange(address, why))?;
    Ok(body.to_vec())
}

/// Head and body of what is answered.
fn asked(address: SocketAddr, request: &Request) -> Result<Vec<u8>, Refused> {
    let nobody = |why: io::Error| Refused::Nobody(format!("no proxy answers at {address} ({why})"));
    let stream = TcpStream::connect_timeout(&address, CONNECT).map_err(nobody)?;
    exchange(stream, address, request).map_err(|why| strange(address, why.to_string()))
}

/// A proxy that listens everywhere listens here too.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

fn exchange(mut stream: TcpStream, address: SocketAddr, request: &Request) -> io::Result<Vec<u8>> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(request.octets(address).as_bytes())?;
    let mut answer = Vec::new();
    stream.take(LARGEST).read_to_end(&mut answer)?;
    Ok(answer)
}

/// The first line of an answer, and its body.
fn parts(answer: &[u8]) -> Result<(String, &[u8]), String> {
    let end = memchr::memmem::find(answer, b"\r\n\r\n").ok_or("no HTTP")?;
    let (head, rest) = answer.split_at(end);
    let status = head.split(|octet| *octet == b'\r').next().unwrap_or_default();
    Ok((String::from_utf8_lossy(status).into_owned(), rest.get(4..).unwrap_or_default()))
}

/// The body of an answer that says 200; otherwise what it says.
fn body(answer: &[u8]) -> Result<&[u8], String> {
    let (status, body) = parts(answer)?;
    match status.split(' ').nth(1) {
        Some("200") => Ok(body),
        _ => Err(format!("{status}; {}", String::from_utf8_lossy(body.get(..200).unwrap_or(body))).trim().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_a_body_or_what_is_wrong() {
        for (answer, expected) in [
            ("HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\n[]", Ok("[]")),
            ("HTTP/1.0 200 OK\r\n\r\n", Ok("")),
            ("HTTP/1.0 404 Not Found\r\nx: y\r\n\r\n", Err("HTTP/1.0 404 Not Found;")),
            ("HTTP/1.0 503 Busy\r\n\r\nthe store is busy\n", Err("HTTP/1.0 503 Busy; the store is busy")),
            ("220 mx.example ESMTP\r\n", Err("no HTTP")),
            ("", Err("no HTTP")),
        ] {
            let body = body(answer.as_bytes()).map(|body| String::from_utf8_lossy(body).into_owned());
            assert_eq!(body.as_deref().map_err(String::as_str), expected, "{answer}");
        }
    }

    #[test]
    fn who_listens_everywhere_is_asked_here() {
        for (address, asked) in
            [("0.0.0.0:9125", "127.0.0.1:9125"), ("[::]:9125", "[::1]:9125"), ("192.0.2.1:1", "192.0.2.1:1")]
        {
            assert_eq!(reachable(address.parse().expect(address)).to_string(), asked);
        }
    }
}
