//! One SMTP client of the cast: says octets as they are, hears replies, over a real socket.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::backend::{Identity, machine};
use crate::smtp::{Reply, Step, parse_reply};

/// How long the proxy may take for a reply.
const PATIENCE: Duration = Duration::from_secs(15);
/// Where the cast believes to be connected to.
const SERVER: ([u8; 4], u16) = ([192, 0, 2, 25], 25);

/// A connection.
pub(super) struct Client {
    io: TcpStream,
    input: Vec<u8>,
}

/// What came instead of a reply, or with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// A reply.
    Reply(Reply),
    /// The connection ended.
    End,
    /// Nothing in time, or no SMTP.
    Nothing(String),
}

impl Client {
    /// Connects as `from`, which a PROXY header tells, with `first` right behind it.
    pub(super) async fn connect(proxy: SocketAddr, from: IpAddr, first: &[u8]) -> io::Result<Self> {
        let mut io = TcpStream::connect(proxy).await?;
        io.set_nodelay(true)?;
        let identity = Identity {
            addr: SocketAddr::new(from, 40_000),
            local: SocketAddr::from(SERVER),
            name: None,
            helo: String::new(),
            extended: true,
            ident: None,
            forwarded: None,
        };
        let mut octets = machine::proxy_v2(Some(&identity));
        octets.extend_from_slice(first);
        io.write_all(&octets).await?;
        Ok(Self { io, input: Vec::new() })
    }

    /// Sends octets. That the other side has gone is heard, not felt.
    pub(super) async fn say(&mut self, octets: &[u8]) {
        let _ = timeout(PATIENCE, self.io.write_all(octets)).await;
    }

    /// The next reply.
    pub(super) async fn hear(&mut self) -> Heard {
        loop {
            match parse_reply(&self.input) {
                Ok(Step::Ready { value, consumed }) => {
                    self.input.drain(..consumed);
                    return Heard::Reply(value);
                }
                Ok(Step::NeedMore) => {}
                Err(why) => return Heard::Nothing(why.to_string()),
            }
            match timeout(PATIENCE, self.io.read_buf(&mut self.input)).await {
                Ok(Ok(0) | Err(_)) => return Heard::End,
                Ok(Ok(_)) => {}
                Err(_elapsed) => return Heard::Nothing("no reply in time".to_owned()),
            }
        }
    }
}
