//! The mail server of the demonstration: takes mail for a few users, keeps it in a Maildir, and
//! breaks down when told to.
//!
//! It stores the octets that it was given and adds nothing, so that they can be compared.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::maildir::Maildir;
use crate::net::listener;
use crate::smtp::{
    Command, CommandError, DataDecoder, DataStep, ForwardPath, Framing, NewlinePolicy, Reply, XclientAttribute, command,
};

/// Octets of a message that it takes.
const SIZE: u64 = 10 << 20;
/// What it offers beside SIZE.
const EXTENSIONS: [&str; 7] = [
    "PIPELINING",
    "8BITMIME",
    "SMTPUTF8",
    "CHUNKING",
    "DSN",
    "ENHANCEDSTATUSCODES",
    "XCLIENT NAME ADDR PORT PROTO HELO",
];
/// Octets of a command line.
const LINE: u64 = 4096;
/// How long stopping may take.
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// A message that was accepted.
#[derive(Clone, Debug)]
pub(super) struct Delivery {
    /// Its file in the Maildir.
    pub(super) file: String,
    /// To whom.
    pub(super) recipients: Vec<String>,
    /// The client's address as we were told by XCLIENT.
    pub(super) client: Option<IpAddr>,
}

/// What all its sessions share.
#[derive(Debug)]
pub(super) struct Office {
    pub(super) maildir: Maildir,
    deliveries: Mutex<Vec<Delivery>>,
    /// The next message is not heard out.
    dies: AtomicBool,
}

/// The mail server while it runs.
pub(super) struct Backend {
    pub(super) address: SocketAddr,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Office {
    pub(super) fn new(maildir: Maildir) -> Arc<Self> {
        Arc::new(Self { maildir, deliveries: Mutex::default(), dies: AtomicBool::new(false) })
    }

    /// Everything accepted so far, in order.
    pub(super) fn deliveries(&self) -> Vec<Delivery> {
        self.deliveries.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The next message breaks the connection in its middle.
    pub(super) fn die_in_next_message(&self) {
        self.dies.store(true, Ordering::Relaxed);
    }
}

impl Backend {
    /// Listens at `address`.
    pub(super) fn start(address: SocketAddr, office: Arc<Office>) -> io::Result<Self> {
        let socket = listener::bind(address, false)?;
        let (address, stop, tasks) = (socket.local_addr()?, CancellationToken::new(), TaskTracker::new());
        let accepting = accept(socket, office, stop.clone(), tasks.clone());
        tasks.spawn(accepting);
        tasks.close();
        Ok(Self { address, stop, tasks })
    }

    /// Closes every socket.
    pub(super) async fn stop(self) {
        self.stop.cancel();
        // What does not end in time ends with the process.
        let _ = tokio::time::timeout(STOP_LIMIT, self.tasks.wait()).await;
    }
}

async fn accept(socket: TcpListener, office: Arc<Office>, stop: CancellationToken, tasks: TaskTracker) {
    while let Some(Ok((stream, _))) = stop.run_until_cancelled(socket.accept()).await {
        let (office, stop) = (office.clone(), stop.clone());
        tasks.spawn(async move {
            let mut session = Session::new(office, stream);
            // However the connection ends, what was accepted is stored by then.
            let _ = stop.run_until_cancelled(session.run()).await;
        });
    }
}

struct Session {
    office: Arc<Office>,
    io: BufReader<TcpStream>,
    /// Replies not sent yet.
    out: Vec<u8>,
    client: Option<IpAddr>,
    in_transaction: bool,
    recipients: Vec<String>,
    chunks: Vec<u8>,
}

impl Session {
    fn new(office: Arc<Office>, stream: TcpStream) -> Self {
        let (io, out) = (BufReader::new(stream), Vec::new());
        Self { office, io, out, client: None, in_transaction: false, recipients: Vec::new(), chunks: Vec::new() }
    }

    async fn run(&mut self) -> io::Result<()> {
        self.say(Reply::plain(220, "mail.demo.example ESMTP")).await?;
        loop {
            let mut line = Vec::new();
            (&mut self.io).take(LINE).read_until(b'\n', &mut line).await?;
            if line.is_empty() {
                return Ok(());
            }
            let line = line.trim_ascii_end();
            if line.eq_ignore_ascii_case(b"QUIT") {
                return self.say(Reply::plain(221, "2.0.0 Bye")).await;
            }
            let reply = match command::parse(line) {
                Ok(command) => self.obey(command).await?,
                Err(CommandError::Unknown) => Reply::plain(500, "5.5.2 Unknown command"),
                Err(_) => Reply::plain(501, "5.5.4 Syntax error"),
            };
            self.say(reply).await?;
        }
    }

    async fn obey(&mut self, command: Command) -> io::Result<Reply> {
        Ok(match command {
            Command::Ehlo(_) => {
                self.forget();
                Reply::new(250, None, format!("mail.demo.example\nSIZE {SIZE}\n{}", EXTENSIONS.join("\n")))
            }
            Command::Helo(_) => Reply::plain(250, "mail.demo.example"),
            Command::Xclient(attributes) => {
                let told = attributes.into_iter().find_map(|attribute| match attribute {
                    XclientAttribute::Addr(addr) => addr,
                    _ => None,
                });
                self.client = told.or(self.client);
                Reply::plain(220, "mail.demo.example ESMTP")
            }
            Command::Mail { .. } if self.in_transaction => Reply::plain(503, "5.5.1 Nested MAIL"),
            Command::Mail { .. } => {
                self.in_transaction = true;
                Reply::plain(250, "2.1.0 Sender noted")
            }
            Command::Rcpt { path, .. } if self.in_transaction => self.recipient(&path),
            Command::Data if self.recipients.is_empty() => Reply::plain(503, "5.5.1 No recipients"),
            Command::Data => {
                self.say(Reply::plain(354, "Go on")).await?;
                let message = self.read_dotted().await?;
                self.keep(message).await
            }
            Command::Bdat { size, last } => self.chunk(size, last).await?,
            Command::Rset => {
                self.forget();
                Reply::plain(250, "2.0.0 Forgotten")
            }
            Command::Noop => Reply::plain(250, "2.0.0 Here"),
            _ => Reply::plain(503, "5.5.1 Not now"),
        })
    }

    fn recipient(&mut self, path: &ForwardPath) -> Reply {
        let known = match path {
            ForwardPath::Postmaster(_) => true,
            ForwardPath::Mailbox(mailbox) => {
                let user = mailbox.unquoted_local().to_ascii_lowercase();
                ["alice", "bob", "postmaster", "abuse"].contains(&user.as_str())
            }
        };
        if known {
            self.recipients.push(path.to_string());
            return Reply::plain(250, "2.1.5 Recipient noted");
        }
        Reply::new(550, None, format!("5.1.1 <{path}>: no such user\n5.1.1 Here live alice and bob"))
    }

    async fn read_dotted(&mut self) -> io::Result<Vec<u8>> {
        let mut decoder = DataDecoder::new(Framing::Dot, NewlinePolicy::Reject);
        let mut message = Vec::new();
        loop {
            let octets = self.io.fill_buf().await?;
            if octets.is_empty() || message.len() as u64 > SIZE {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if self.office.dies.swap(false, Ordering::Relaxed) {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            let count = octets.len();
            match decoder.decode(octets, &mut message).map_err(io::Error::other)? {
                DataStep::More => self.io.consume(count),
                DataStep::End { consumed } => {
                    self.io.consume(consumed);
                    return Ok(message);
                }
            }
        }
    }

    async fn chunk(&mut self, size: u64, last: bool) -> io::Result<Reply> {
        if self.chunks.len() as u64 + size > SIZE {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        let dies = self.office.dies.swap(false, Ordering::Relaxed);
        let wanted = if dies { size / 2 } else { size };
        let taken = (&mut self.io).take(wanted).read_to_end(&mut self.chunks).await?;
        if dies || taken as u64 != size {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        if self.recipients.is_empty() {
            self.forget();
            return Ok(Reply::plain(503, "5.5.1 No recipients"));
        }
        if !last {
            return Ok(Reply::plain(250, "2.0.0 Chunk taken"));
        }
        let message = std::mem::take(&mut self.chunks);
        Ok(self.keep(message).await)
    }

    async fn keep(&mut self, message: Vec<u8>) -> Reply {
        let reply = match self.office.maildir.store(&message).await {
            Ok(file) => {
                let reply = Reply::new(250, None, format!("2.0.0 Stored as {file}"));
                let delivery = Delivery { file, recipients: std::mem::take(&mut self.recipients), client: self.client };
                self.office.deliveries.lock().unwrap_or_else(PoisonError::into_inner).push(delivery);
                reply
            }
            Err(_) => Reply::plain(452, "4.3.1 Cannot store it"),
        };
        self.forget();
        reply
    }

    fn forget(&mut self) {
        self.in_transaction = false;
        self.recipients.clear();
        self.chunks.clear();
    }

    /// Queues a reply, and sends what is queued once no command waits.
    async fn say(&mut self, reply: Reply) -> io::Result<()> {
        reply.write(false, &mut self.out);
        if self.io.buffer().is_empty() {
            self.io.get_mut().write_all(&self.out).await?;
            self.out.clear();
        }
        Ok(())
    }
}
