//! Backends: well-behaved by themselves, and otherwise exactly as told.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use gatepost::backend::member::Dial;
use gatepost::backend::settings::Address;
use gatepost::net::BoxIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::sync::CancellationToken;

use super::client::Intent;
use super::{Log, printable, stream, unescape};

/// Extensions of a backend that nobody told otherwise.
const OFFERED: &str = "PIPELINING, SIZE 10000000, 8BITMIME, SMTPUTF8, DSN, ENHANCEDSTATUSCODES, CHUNKING";

/// All backends of one dialogue.
#[derive(Clone)]
pub(crate) struct Backends(Arc<Mutex<State>>, Log);

#[derive(Default)]
struct State {
    offers: HashMap<String, String>,
    answers: Vec<Answer>,
    down: Vec<String>,
    connections: Vec<(String, CancellationToken)>,
    proxy_header: bool,
    tls_at_once: bool,
    stored: Vec<Stored>,
    /// Lines that a well-behaved backend does not understand.
    misunderstood: Vec<String>,
    intents: Vec<Arc<Mutex<Intent>>>,
}

/// A message that a backend took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) envelope: Vec<String>,
    pub(crate) octets: Vec<u8>,
}

/// What a script says about one command.
#[derive(Clone, Debug)]
struct Answer {
    member: Option<String>,
    to: String,
    once: bool,
    what: Vec<Deed>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Deed {
    Say(Vec<u8>),
    Wait(Duration),
    Silence,
    Close,
    /// As if nothing had been told.
    Usual,
}

impl Backends {
    pub(crate) fn new(log: Log) -> Self {
        Self(Arc::default(), log)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn expects_proxy_header(&self) {
        self.state().proxy_header = true;
    }

    pub(crate) fn knows(&self, intent: Arc<Mutex<Intent>>) {
        self.state().intents.push(intent);
    }

    pub(crate) fn stored(&self) -> Vec<Stored> {
        self.state().stored.clone()
    }

    /// Lines that no backend understood: nothing but commands and messages may ever reach one.
    pub(crate) fn misunderstood(&self) -> Vec<String> {
        self.state().misunderstood.clone()
    }

    /// `[MEMBER] offers LIST | answers WHAT [once] with DEEDS | dies | lives | closes`; `shakes hands at once`: TLS comes
    /// before the greeting.
    pub(crate) fn told(&self, text: &str) {
        let (member, text) = match text.split_once(' ') {
            Some((name @ ("a" | "b"), rest)) => (Some(name.to_owned()), rest),
            _ => (None, text),
        };
        let (verb, rest) = text.split_once(' ').unwrap_or((text, ""));
        let mut state = self.state();
        let concerned = |name: &str| member.as_deref().is_none_or(|member| member == name);
        match verb {
            "offers" => {
                for name in ["a", "b"].into_iter().filter(|name| concerned(name)) {
                    state.offers.insert(name.to_owned(), rest.to_owned());
                }
            }
            "lacks" => {
                for name in ["a", "b"].into_iter().filter(|name| concerned(name)) {
                    let left = OFFERED.split(", ").filter(|word| !rest.contains(word.split(' ').next().expect("one")));
                    state.offers.insert(name.to_owned(), left.collect::<Vec<_>>().join(", "));
                }
            }
            "adds" => {
                for name in ["a", "b"].into_iter().filter(|name| concerned(name)) {
                    state.offers.insert(name.to_owned(), format!("{OFFERED}, {rest}"));
                }
            }
            "answers" => {
                let (to, what) = rest.split_once(" with ").expect("answers WHAT with DEEDS");
                let (to, once) = to.strip_suffix(" once").map_or((to, false), |to| (to, true));
                let what = what.split(" then ").map(deed).collect();
                state.answers.insert(0, Answer { member, to: to.to_owned(), once, what });
            }
            "dies" => {
                state.down.extend(["a", "b"].into_iter().filter(|name| concerned(name)).map(str::to_owned));
                cut(&mut state, concerned);
            }
            "lives" => state.down.retain(|name| !concerned(name)),
            "closes" => cut(&mut state, concerned),
            "shakes" => state.tls_at_once = true,
            "behaves" => state.answers.retain(|answer| member.is_some() && answer.member != member),
            other => panic!("backends cannot be told `{other}`"),
        }
    }

    fn deeds(&self, member: &str, to: &str) -> Option<Vec<Deed>> {
        let mut state = self.state();
        let found = state.answers.iter().position(|answer| {
            answer.member.as_deref().is_none_or(|name| name == member) && to.starts_with(answer.to.as_str())
        })?;
        let answer = state.answers[found].clone();
        if answer.once {
            state.answers.remove(found);
        }
        (answer.what != [Deed::Usual]).then_some(answer.what)
    }
}

fn cut(state: &mut State, concerned: impl Fn(&str) -> bool) {
    for (name, cut) in &state.connections {
        if concerned(name) {
            cut.cancel();
        }
    }
}

fn deed(text: &str) -> Deed {
    match text.split_once(' ') {
        _ if text == "silence" => Deed::Silence,
        _ if text == "close" => Deed::Close,
        _ if text == "usual" => Deed::Usual,
        Some(("wait", seconds)) => Deed::Wait(Duration::from_secs_f64(seconds.parse().expect("seconds"))),
        Some(("raw", octets)) => Deed::Say(unescape(octets)),
        Some(("endless", line)) => Deed::Say(format!("{line}\r\n").repeat(4000).into_bytes()),
        _ => Deed::Say(format!("{}\r\n", text.replace("\\n", "\r\n")).into_bytes()),
    }
}

/// How the pool reaches them.
pub(crate) struct Dialer(pub(crate) Backends);

impl Dial for Dialer {
    fn dial<'a>(&'a self, address: &'a Address) -> BoxFuture<'a, io::Result<BoxIo>> {
        Box::pin(async move {
            let Address::Socket(address) = address else { return Err(io::ErrorKind::NotFound.into()) };
            let member = if address.port() == 2501 { "a" } else { "b" }.to_owned();
            let Backends(state, log) = &self.0;
            if self.0.deeds(&member, "connect").is_some() {
                std::future::pending::<()>().await;
            }
            let (number, cut) = {
                let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
                if state.down.contains(&member) {
                    return Err(io::ErrorKind::ConnectionRefused.into());
                }
                let cut = CancellationToken::new();
                state.connections.push((member.clone(), cut.clone()));
                (state.connections.len(), cut)
            };
            log.push(format!("B{number}: (opened to {member})"));
            let (near, far) = tokio::io::duplex(256 * 1024);
            let served = Served {
                backends: self.0.clone(),
                log: log.clone(),
                member,
                label: format!("B{number}"),
                io: Box::new(far),
                input: Vec::new(),
                envelope: Vec::new(),
                chunks: Vec::new(),
                asks: false,
                answers_each: false,
            };
            tokio::spawn(async move {
                let label = served.label.clone();
                let log = served.log.clone();
                match cut.run_until_cancelled(served.run()).await {
                    Some(End::TheyClosed) => log.push(format!("{label}: (closed by us)")),
                    Some(End::WeClosed) | None => log.push(format!("{label}: (closed by the backend)")),
                }
            });
            Ok(Box::new(near) as BoxIo)
        })
    }
}

/// Why a backend's connection ended.
enum End {
    TheyClosed,
    WeClosed,
}

/// One connection of a backend.
struct Served {
    backends: Backends,
    log: Log,
    member: String,
    label: String,
    io: BoxIo,
    input: Vec<u8>,
    envelope: Vec<String>,
    chunks: Vec<u8>,
    /// The last thing that it said was a challenge.
    asks: bool,
    /// It was greeted by LHLO: a message is answered for each recipient.
    answers_each: bool,
}

/// A line as it is shown; of a very long one the beginning.
fn shortened(line: &[u8]) -> String {
    match line.len() {
        0..600 => printable(line),
        long => format!("{} ({long} octets)", printable(&line[..20])),
    }
}

impl Served {
    async fn run(mut self) -> End {
        match self.converse().await {
            Ok(never) => never,
            Err(end) => end,
        }
    }

    async fn converse(&mut self) -> Result<End, End> {
        if self.backends.state().proxy_header {
            self.proxy_header().await?;
        }
        if self.backends.state().tls_at_once {
            self.shake_hands().await?;
        }
        self.answer("greeting", "220 backend.example ESMTP").await?;
        loop {
            let line = self.line().await?;
            self.log.push(format!("{}< {}", self.label, shortened(&line)));
            let line = String::from_utf8_lossy(&line).into_owned();
            self.command(&line).await?;
        }
    }

    async fn command(&mut self, line: &str) -> Result<(), End> {
        let verb = line.split(' ').next().unwrap_or_default().to_ascii_uppercase();
        match verb.as_str() {
            "EHLO" | "HELO" | "LHLO" => {
                self.envelope.clear();
                self.answers_each = verb == "LHLO";
                let offers = self.backends.state().offers.get(&self.member).cloned();
                let offers = offers.unwrap_or_else(|| OFFERED.to_owned());
                let mut usual = "250-backend.example".to_owned();
                for offer in offers.split(", ").filter(|offer| !offer.is_empty()) {
                    usual.push_str(&format!("\\n250-{offer}"));
                }
                let last = usual.rfind("250-").expect("at least one line");
                usual.replace_range(last..last + 4, "250 ");
                self.answer(line, &usual).await
            }
            "XCLIENT" => self.answer(line, "220 backend.example ESMTP").await,
            "XFORWARD" | "NOOP" => self.answer(line, "250 2.0.0 Ok").await,
            "VRFY" => self.answer(line, "250 2.1.5 <user@ours.example>").await,
            "EXPN" => self.answer(line, "250-2.1.5 <a@ours.example>\\n250 2.1.5 <b@ours.example>").await,
            "ETRN" => self.answer(line, "253 2.0.0 3 messages wait").await,
            "MAIL" if self.envelope.is_empty() => {
                if self.answer(line, "250 2.1.0 sender fine").await? {
                    self.envelope.push(line.to_owned());
                }
                Ok(true)
            }
            "RCPT" if !self.envelope.is_empty() => {
                if self.answer(line, "250 2.1.5 recipient fine").await? {
                    self.envelope.push(line.to_owned());
                }
                Ok(true)
            }
            "RSET" => {
                self.envelope.clear();
                self.chunks.clear();
                self.answer(line, "250 2.0.0 Ok").await
            }
            "DATA" if self.envelope.len() > 1 => {
                if self.answer(line, "354 go on").await? {
                    self.dotted().await?;
                }
                Ok(true)
            }
            "BDAT" if self.envelope.len() > 1 => {
                self.counted(line).await?;
                Ok(true)
            }
            "STARTTLS" => {
                if self.answer(line, "220 2.0.0 go on").await? {
                    self.shake_hands().await?;
                }
                Ok(true)
            }
            "AUTH" => {
                self.authenticate(line).await?;
                Ok(true)
            }
            "QUIT" => {
                self.answer(line, "221 2.0.0 bye").await?;
                Err(End::WeClosed)
            }
            "MAIL" | "RCPT" | "DATA" | "BDAT" => self.answer(line, "503 5.5.1 not now").await,
            _ => {
                self.backends.state().misunderstood.push(line.to_owned());
                self.answer(line, "500 5.5.2 what?").await
            }
        }
        .map(drop)
    }

    async fn shake_hands(&mut self) -> Result<(), End> {
        let plain = std::mem::replace(&mut self.io, Box::new(tokio::io::empty()));
        self.io = stream::as_server(plain).await.map_err(|_| End::WeClosed)?;
        self.input.clear();
        self.log.push(format!("{}: (TLS)", self.label));
        Ok(())
    }

    /// As many challenges as the mechanism has, less those that the client answers before they are asked.
    async fn authenticate(&mut self, line: &str) -> Result<(), End> {
        let words: Vec<&str> = line.split(' ').collect();
        let rounds = if words[1] == "LOGIN" { 2 } else { 1 };
        let mut left = rounds + 2 - words.len();
        let usual = |left| if left > 0 { "334 Y2hhbGxlbmdl" } else { "235 2.7.0 welcome" };
        self.answer(line, usual(left)).await?;
        while self.asks {
            let response = self.line().await?;
            self.log.push(format!("{}< {}", self.label, shortened(&response)));
            left = left.saturating_sub(1);
            let response = String::from_utf8_lossy(&response).into_owned();
            let usual = if response == "*" { "501 5.7.0 cancelled" } else { usual(left) };
            self.answer(&response, usual).await?;
        }
        Ok(())
    }

    async fn dotted(&mut self) -> Result<(), End> {
        self.interrupt().await?;
        let mut raw = Vec::new();
        loop {
            let line = self.raw_line().await?;
            if line == b".\r\n" && (raw.is_empty() || raw.ends_with(b"\r\n")) {
                break;
            }
            raw.extend_from_slice(if line.starts_with(b".") { &line[1..] } else { &line });
        }
        self.finish(raw).await
    }

    async fn counted(&mut self, line: &str) -> Result<(), End> {
        let size = line.split(' ').nth(1).and_then(|size| size.parse().ok()).expect("we count chunks");
        self.interrupt().await?;
        while self.input.len() < size {
            self.fill().await?;
        }
        let chunk: Vec<u8> = self.input.drain(..size).collect();
        self.chunks.extend(chunk);
        if line.ends_with("LAST") {
            let message = std::mem::take(&mut self.chunks);
            return self.finish(message).await;
        }
        self.answer("chunk", "250 2.0.0 chunk fine").await.map(drop)
    }

    /// What the script has in store for the middle of a message.
    async fn interrupt(&mut self) -> Result<(), End> {
        match self.backends.deeds(&self.member, "message") {
            Some(deeds) => {
                self.fill().await?;
                self.act(&deeds).await.map(drop)
            }
            None => Ok(()),
        }
    }

    async fn finish(&mut self, octets: Vec<u8>) -> Result<(), End> {
        self.describe(&octets);
        let mut envelope = std::mem::take(&mut self.envelope);
        if self.answers_each {
            let recipients = envelope.split_off(1);
            for recipient in recipients {
                let whom = recipient.split(['<', '>']).nth(1).unwrap_or_default();
                if self.answer(&format!("end of data for {whom}"), &format!("250 2.0.0 stored for {whom}")).await? {
                    envelope.push(recipient);
                }
            }
            if envelope.len() > 1 {
                self.backends.state().stored.push(Stored { envelope, octets });
            }
            return Ok(());
        }
        let fine = format!("250 2.0.0 stored for {}", envelope.len() - 1);
        if self.answer("end of data", &fine).await? {
            self.backends.state().stored.push(Stored { envelope, octets });
        }
        Ok(())
    }

    /// Notes a message: whether it is what a client meant behind fields of ours.
    fn describe(&self, octets: &[u8]) {
        let ours = our_fields(octets);
        let intents = self.backends.state().intents.clone();
        let as_sent = intents.iter().any(|intent| {
            let intent = intent.lock().unwrap_or_else(PoisonError::into_inner);
            octets[ours..] == intent.message || octets[ours..].strip_suffix(b"\r\n") == Some(&intent.message[..])
        });
        let label = &self.label;
        if as_sent {
            return self.log.push(format!("{label}< (the message as it was sent)"));
        }
        self.log.push(format!("{label}< (another message than was sent)"));
        for line in octets[ours..].split_inclusive(|&octet| octet == b'\n').take(60) {
            let shown = line.strip_suffix(b"\r\n").map_or_else(|| line.escape_ascii().to_string(), printable);
            self.log.push(format!("{label}| {shown}").trim_end().to_owned());
        }
    }

    /// Answers as told, or as usual; true if that was positive.
    async fn answer(&mut self, to: &str, usual: &str) -> Result<bool, End> {
        match self.backends.deeds(&self.member, to) {
            Some(deeds) => self.act(&deeds).await,
            None => self.say(format!("{}\r\n", usual.replace("\\n", "\r\n")).as_bytes()).await,
        }
    }

    async fn act(&mut self, deeds: &[Deed]) -> Result<bool, End> {
        let mut positive = false;
        for deed in deeds {
            match deed {
                Deed::Say(octets) => {
                    let shown = octets.get(..400).unwrap_or(octets);
                    for line in shown.split_inclusive(|&octet| octet == b'\n').take(4) {
                        let shown =
                            line.strip_suffix(b"\r\n").map_or_else(|| line.escape_ascii().to_string(), printable);
                        self.log.push(format!("{}> {shown}", self.label));
                    }
                    positive = self.say(octets).await?;
                }
                Deed::Wait(time) => tokio::time::sleep(*time).await,
                Deed::Silence => std::future::pending().await,
                Deed::Close => return Err(End::WeClosed),
                Deed::Usual => {}
            }
        }
        Ok(positive)
    }

    async fn say(&mut self, octets: &[u8]) -> Result<bool, End> {
        self.io.write_all(octets).await.map_err(|_| End::TheyClosed)?;
        self.io.flush().await.map_err(|_| End::TheyClosed)?;
        self.asks = octets.starts_with(b"334");
        Ok(matches!(octets.first(), Some(b'2' | b'3')))
    }

    async fn line(&mut self) -> Result<Vec<u8>, End> {
        let mut line = self.raw_line().await?;
        assert!(line.ends_with(b"\r\n"), "a command line to a backend ends in CRLF: {}", printable(&line));
        line.truncate(line.len() - 2);
        Ok(line)
    }

    async fn raw_line(&mut self) -> Result<Vec<u8>, End> {
        let mut searched = 0;
        loop {
            if let Some(at) = self.input[searched..].iter().position(|&octet| octet == b'\n') {
                return Ok(self.input.drain(..=searched + at).collect());
            }
            searched = self.input.len();
            self.fill().await?;
        }
    }

    async fn proxy_header(&mut self) -> Result<(), End> {
        while self.input.len() < 16 {
            self.fill().await?;
        }
        let length = 16 + usize::from(u16::from_be_bytes([self.input[14], self.input[15]]));
        while self.input.len() < length {
            self.fill().await?;
        }
        let header: Vec<u8> = self.input.drain(..length).collect();
        self.log.push(format!("{}< (octets) {}", self.label, header.escape_ascii()));
        Ok(())
    }

    async fn fill(&mut self) -> Result<(), End> {
        let mut space = vec![0; 64 * 1024];
        match self.io.read(&mut space).await {
            Ok(count) if count > 0 => {
                self.input.extend_from_slice(&space[..count]);
                Ok(())
            }
            _ => Err(End::TheyClosed),
        }
    }
}

/// How many octets at the beginning of a message are fields that we put there: `X-Spam-*`, then one `Received`.
pub(crate) fn our_fields(octets: &[u8]) -> usize {
    let mut at = 0;
    let mut received = false;
    for line in octets.split_inclusive(|&octet| octet == b'\n') {
        let folded = line.starts_with(b" ") || line.starts_with(b"\t");
        let ours =
            (folded && at > 0) || (!received && (line.starts_with(b"X-Spam-") || line.starts_with(b"Received:")));
        if !ours {
            break;
        }
        received |= line.starts_with(b"Received:");
        at += line.len();
    }
    at
}
