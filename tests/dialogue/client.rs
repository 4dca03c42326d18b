//! The client's end of a session: it says what it is told to, and notes every reply line.

use std::sync::{Arc, Mutex, PoisonError};

use gatepost::net::BoxIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

use super::{Log, printable, stream};

/// One client.
pub(crate) struct Client {
    orders: Option<mpsc::UnboundedSender<Order>>,
    intent: Arc<Mutex<Intent>>,
}

enum Order {
    Write(Vec<u8>),
    HalfClose,
    StartTls,
    GoDeaf,
}

/// What the client means by the octets that it sends: which of them are its message.
#[derive(Debug, Default)]
pub(crate) struct Intent {
    state: Speaking,
    line: Vec<u8>,
    raw: Vec<u8>,
    /// The message that it sent last, as it meant it.
    pub(crate) message: Vec<u8>,
    /// Final reply lines heard: all lines, their codes.
    pub(crate) replies: Vec<u16>,
}

#[derive(Debug, Default, PartialEq)]
enum Speaking {
    #[default]
    Commands,
    Message,
    Chunk(usize),
}

impl Intent {
    fn sent(&mut self, octets: &[u8]) {
        for &octet in octets {
            match self.state {
                Speaking::Message => {
                    self.raw.push(octet);
                    if self.raw == b".\r\n" || self.raw.ends_with(b"\r\n.\r\n") {
                        self.message = unstuffed(&self.raw[..self.raw.len() - 3]);
                        self.state = Speaking::Commands;
                    }
                }
                Speaking::Chunk(left) => {
                    self.message.push(octet);
                    self.state = if left > 1 { Speaking::Chunk(left - 1) } else { Speaking::Commands };
                }
                Speaking::Commands => {
                    self.line.push(octet);
                    if octet == b'\n' {
                        let line = String::from_utf8_lossy(&std::mem::take(&mut self.line)).to_ascii_uppercase();
                        let mut words = line.split_ascii_whitespace();
                        match words.next() {
                            Some("MAIL") => self.message.clear(),
                            Some("BDAT") => {
                                let size = words.next().and_then(|size| size.parse().ok()).unwrap_or(0);
                                self.state = if size > 0 { Speaking::Chunk(size) } else { Speaking::Commands };
                            }
                            _ => {}
                        }
                    }
                }
            }
        }
    }

    fn heard(&mut self, line: &[u8]) {
        if line.get(3) == Some(&b' ') {
            let code = std::str::from_utf8(&line[..3]).ok().and_then(|code| code.parse().ok()).expect("a reply code");
            self.replies.push(code);
            if code == 354 {
                self.state = Speaking::Message;
                self.raw.clear();
            }
        }
    }
}

fn unstuffed(raw: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len());
    for (at, &octet) in raw.iter().enumerate() {
        let begins_line = at == 0 || raw[..at].ends_with(b"\r\n");
        if !(begins_line && octet == b'.') {
            out.push(octet);
        }
    }
    out
}

impl Client {
    /// A client on `io`; what it hears is noted in `log` behind `label`.
    pub(crate) fn start(io: BoxIo, label: String, log: Log) -> Self {
        let (orders, received) = mpsc::unbounded_channel();
        let intent = Arc::new(Mutex::new(Intent::default()));
        tokio::spawn(run(io, received, label, log, intent.clone()));
        Self { orders: Some(orders), intent }
    }

    pub(crate) fn send(&self, octets: &[u8]) {
        self.intent.lock().unwrap_or_else(PoisonError::into_inner).sent(octets);
        self.order(Order::Write(octets.to_vec()));
    }

    pub(crate) fn half_close(&self) {
        self.order(Order::HalfClose);
    }

    pub(crate) fn start_tls(&self) {
        self.order(Order::StartTls);
    }

    pub(crate) fn go_deaf(&self) {
        self.order(Order::GoDeaf);
    }

    /// Drops the connection.
    pub(crate) fn close(&mut self) {
        self.orders = None;
    }

    pub(crate) fn intent(&self) -> Arc<Mutex<Intent>> {
        self.intent.clone()
    }

    fn order(&self, order: Order) {
        if let Some(orders) = &self.orders {
            let _ = orders.send(order);
        }
    }
}

async fn run(
    mut io: BoxIo,
    mut orders: mpsc::UnboundedReceiver<Order>,
    label: String,
    log: Log,
    intent: Arc<Mutex<Intent>>,
) {
    let mut line = Vec::new();
    let mut space = vec![0; 16 * 1024];
    let mut listens = true;
    loop {
        tokio::select! {
            biased;
            order = orders.recv() => match order {
                None => return,
                Some(Order::Write(octets)) => {
                    let _ = io.write_all(&octets).await;
                    let _ = io.flush().await;
                }
                Some(Order::HalfClose) => {
                    let _ = io.shutdown().await;
                }
                Some(Order::GoDeaf) => listens = false,
                Some(Order::StartTls) => match stream::as_client(io).await {
                    Ok(secured) => {
                        log.push(format!("{label}: (TLS)"));
                        io = secured;
                    }
                    Err(why) => {
                        log.push(format!("{label}: (no TLS: {why})"));
                        return;
                    }
                },
            },
            read = io.read(&mut space), if listens => {
                let count = read.unwrap_or(0);
                if count == 0 {
                    if !line.is_empty() {
                        log.push(format!("{label}: (incomplete) {}", printable(&line)));
                    }
                    log.push(format!("{label}: (closed)"));
                    listens = false;
                }
                for &octet in &space[..count] {
                    line.push(octet);
                    if octet == b'\n' {
                        let said = std::mem::take(&mut line);
                        let said = said.strip_suffix(b"\r\n").expect("reply lines end in CRLF");
                        intent.lock().unwrap_or_else(PoisonError::into_inner).heard(said);
                        log.push(format!("{label}: {}", printable(said)).trim_end().to_owned());
                    }
                }
            }
        }
    }
}
