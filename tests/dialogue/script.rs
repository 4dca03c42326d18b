//! Scripts: what is said and done, and behind each of it everything that came of it.
//!
//! A file holds dialogues, each under a line `=== what it shows`. `#` begins a comment. What is done:
//!
//! ```text
//! set KEY VALUE              one key of the configuration (dialogues/gatepost.toml), value as in TOML
//! rules FILE                 a file of rules, such as weights; the indented lines below replace it
//! file NAME                  another file beside the configuration, of the indented lines below
//! dns ...                    see Setup::dns; names may change while the proxy runs
//! tested                     somebody asks the test points of lists
//! tls                        the listener has a certificate
//! remembers                  there is a store
//! cold                       nobody has asked the backends yet what they offer
//! backend [a|b] ...          see Backends::told; a is the first member, b the second
//! client from ADDR           a client connects; `client from ADDR saying OCTETS` speaks at once
//! C: LINE                    the client says a line; C2: is the second client
//! C+ LINE                    the same, sent together with what follows
//! C! OCTETS                  octets with \r, \n, \xHH; no line end is added
//! C= COUNT WORDS             the words, a space, and so many letters A behind them
//! C* MESSAGE OCTETS          a long message, see `long_message`, with dots stuffed and its end
//! chunks MESSAGE N OCTETS    the same message in chunks of N octets
//! client [N] closes|half-closes|starts TLS|stops listening
//! block WHOM                 the operator blocks user:NAME, sender:ADDRESS or client:ADDRESS
//! wait SECONDS               time passes
//! clock SECONDS              the clock on the wall is put forward; otherwise it stands still
//! drain, cut, reload         the server is told so
//! show fields                the fields that we put before the last stored message
//! logged WORD                lines of the log that have the word, since it was last asked for one
//! count METRIC               its value; METRIC{value,value} picks children by label values
//! stored                     how many messages the backends have
//! ```
//!
//! What came of it follows: `S:` what the client heard, `B1<` what the first backend connection was
//! told, `B1>` what it answered where that is not the usual, `B1|` a message that is not octet for
//! octet what was sent, `=` a number. `...` stands for anything. Set GATEPOST_REWRITE_DIALOGUES=1 to
//! have the files rewritten as it is.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::backend::{Backends, our_fields};
use super::world::{Setup, World};
use super::{Log, unescape};

/// Plays every dialogue in `tests/dialogues/{topic}.smtp`.
pub(crate) fn play(topic: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dialogues").join(format!("{topic}.smtp"));
    let text = std::fs::read_to_string(&path).expect("a file of dialogues");
    let rewrite = std::env::var_os("GATEPOST_REWRITE_DIALOGUES").is_some();
    let mut played = String::new();
    let mut wrong = Vec::new();
    for dialogue in dialogues(&text) {
        let again = std::panic::catch_unwind(|| play_one(dialogue))
            .unwrap_or_else(|_| panic!("in {topic}: {}", dialogue.lines().next().unwrap_or_default()));
        if again != dialogue {
            wrong.push(difference(dialogue, &again));
        }
        played.push_str(&again);
    }
    if rewrite {
        std::fs::write(&path, played).expect("a writable file");
    } else {
        assert!(wrong.is_empty(), "{topic}: {} dialogues went otherwise\n\n{}", wrong.len(), wrong.join("\n"));
    }
}

/// The text before the first heading, then one text for each heading.
fn dialogues(text: &str) -> Vec<&str> {
    let mut starts: Vec<usize> = text.match_indices("=== ").map(|(at, _)| at).collect();
    starts.retain(|&at| at == 0 || text[..at].ends_with('\n'));
    let ends = starts.iter().copied().skip(1).chain([text.len()]);
    let first = starts.first().copied().unwrap_or(text.len());
    let mut all: Vec<&str> = starts.iter().zip(ends).map(|(&start, end)| &text[start..end]).collect();
    if first > 0 {
        all.insert(0, &text[..first]);
    }
    all
}

/// Only the lines that differ, under the heading.
fn difference(expected: &str, played: &str) -> String {
    let (expected, played): (Vec<&str>, Vec<&str>) = (expected.lines().collect(), played.lines().collect());
    let same = expected.iter().zip(&played).take_while(|(a, b)| a == b).count();
    let tail = expected.iter().rev().zip(played.iter().rev()).take_while(|(a, b)| a == b).count();
    let tail = tail.min(expected.len() - same).min(played.len() - same);
    let mut out = format!("{}\n", expected.first().unwrap_or(&""));
    for line in &expected[same.saturating_sub(3)..same] {
        out.push_str(&format!("    {line}\n"));
    }
    for line in &expected[same..expected.len() - tail] {
        out.push_str(&format!("  - {line}\n"));
    }
    for line in &played[same..played.len() - tail] {
        out.push_str(&format!("  + {line}\n"));
    }
    out
}

/// Plays one dialogue and writes it down as it went.
fn play_one(text: &str) -> String {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime");
    let journal = Journal::default();
    // Only for those who look: it makes all others slower.
    let _writing = text.contains("\nlogged ").then(|| journal.open());
    runtime.block_on(async {
        let mut player = Player::new(journal);
        let mut lines = text.lines().peekable();
        while let Some(line) = lines.next() {
            if is_outcome(line) {
                continue;
            }
            let mut block = Vec::new();
            while (line.starts_with("rules ") || line.starts_with("file "))
                && lines.peek().is_some_and(|next| next.starts_with("  "))
            {
                block.extend(lines.next());
            }
            let mut expected = Vec::new();
            player.out.push(line.to_owned());
            player.out.extend(block.iter().map(|line| (*line).to_owned()));
            while lines.peek().is_some_and(|next| is_outcome(next)) {
                expected.extend(lines.next());
            }
            let came = player.perform(line, &block).await;
            player.out.extend(reconcile(&expected, came));
        }
        if let Some(world) = &mut player.world {
            world.end().await;
        }
        player.out.iter().map(|line| format!("{line}\n")).collect()
    })
}

fn is_outcome(line: &str) -> bool {
    let tag = line.split([' ', ':', '<', '>', '|']).next().unwrap_or_default();
    let mark = line.get(tag.len()..tag.len() + 1).unwrap_or_default();
    match tag.as_bytes() {
        [b'S', digits @ ..] => mark == ":" && digits.iter().all(u8::is_ascii_digit),
        [b'B', digits @ ..] => !mark.trim().is_empty() && !digits.is_empty() && digits.iter().all(u8::is_ascii_digit),
        b"=" => mark == " ",
        _ => false,
    }
}

/// What was written stays where it says the same with `...` in it.
fn reconcile(expected: &[&str], came: Vec<String>) -> Vec<String> {
    let fits = expected.len() == came.len() && expected.iter().zip(&came).all(|(pattern, line)| matches(pattern, line));
    if fits { expected.iter().map(|line| (*line).to_owned()).collect() } else { came }
}

fn matches(pattern: &str, line: &str) -> bool {
    let mut parts = pattern.split("...");
    let Some(mut rest) = parts.next().and_then(|first| line.strip_prefix(first)) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// One dialogue while it is played.
struct Player {
    setup: Setup,
    log: Log,
    backends: Backends,
    world: Option<World>,
    held: Vec<Vec<u8>>,
    out: Vec<String>,
    journal: Journal,
}

/// What the program logs on this thread, at the level of an operator.
#[derive(Clone, Default)]
struct Journal(Arc<Mutex<Vec<u8>>>);

impl Journal {
    /// Begins to write it, until the guard is dropped.
    fn open(&self) -> tracing::subscriber::DefaultGuard {
        let writer = self.clone();
        let log = tracing_subscriber::fmt().without_time().with_target(false).with_ansi(false);
        let log = log.with_max_level(tracing::Level::INFO).with_writer(move || writer.clone());
        tracing::subscriber::set_default(log.finish())
    }

    /// The lines with `word`; all are forgotten.
    fn take(&self, word: &str) -> Vec<String> {
        let text = std::mem::take(&mut *self.0.lock().expect("nobody panics while holding it"));
        let text = String::from_utf8(text).expect("a log of text");
        text.lines().filter(|line| line.contains(word)).map(|line| without_id(&format!("= {}", line.trim()))).collect()
    }
}

impl std::io::Write for Journal {
    fn write(&mut self, octets: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("nobody panics while holding it").extend_from_slice(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Player {
    fn new(journal: Journal) -> Self {
        let log = Log::default();
        let backends = Backends::new(log.clone());
        Self { setup: Setup::new(), log, backends, world: None, held: Vec::new(), out: Vec::new(), journal }
    }

    async fn perform(&mut self, line: &str, block: &[&str]) -> Vec<String> {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        match verb {
            "" | "#" | "===" => return Vec::new(),
            _ if line.starts_with('#') => return Vec::new(),
            "set" => self.setup.set(rest),
            "rules" => {
                let text: Vec<&str> = block.iter().map(|line| &line[2..]).collect();
                self.setup.set_rules(rest, text.join("\n"));
            }
            "file" => {
                let text: String = block.iter().map(|line| format!("{}\n", &line[2..])).collect();
                self.setup.set_file(rest, text);
            }
            "shipped" => self.setup.set_shipped_rules(),
            "dns" => {
                self.setup.dns(rest);
                if let Some(world) = &self.world {
                    world.set_dns(&self.setup);
                }
            }
            "tested" => self.setup.tests_lists = true,
            "remembers" => self.setup.remembers = true,
            "tls" => self.setup.offer_tls(),
            "cold" => self.setup.cold = true,
            "backend" => self.backends.told(rest),
            "client" if rest.starts_with("from ") => self.connect(&rest[5..], false).await,
            "health-check" => self.connect(rest.strip_prefix("from ").expect("from ADDR"), true).await,
            "client" => self.client_does(rest),
            "chunks" => self.chunks(rest),
            "block" => self.world().block(rest).await,
            "wait" => tokio::time::sleep(Duration::from_secs_f64(rest.parse().expect("seconds"))).await,
            "clock" => self.world().put_forward(rest.parse().expect("seconds")),
            "drain" => self.world().drain.cancel(),
            "cut" => self.world().cut.cancel(),
            "reload" => {
                let setup = std::mem::replace(&mut self.setup, Setup::new());
                self.world().reload(&setup);
                self.setup = setup;
            }
            "show" => return self.show_fields(),
            "logged" => return self.journal.take(rest),
            "count" => return vec![format!("= {}", self.world().metric(rest))],
            "stored" => return vec![format!("= {}", self.backends.stored().len())],
            _ if verb.starts_with('C') => self.say(verb, rest),
            other => panic!("`{other}` is nothing that a script can say"),
        }
        if let Some(world) = &self.world {
            world.rest().await;
        }
        self.log.take().into_iter().map(|line| without_id(&line)).collect()
    }

    fn world(&mut self) -> &mut World {
        self.world.as_mut().expect("a client came before")
    }

    async fn connect(&mut self, text: &str, health_check: bool) {
        let (addr, early) = text.split_once(" saying ").unwrap_or((text, ""));
        if self.world.is_none() {
            self.world = Some(World::start(&self.setup, self.backends.clone(), self.log.clone()).await);
        }
        let peer = SocketAddr::new(addr.parse().expect(addr), 40_000);
        self.world().connect(peer, unescape(early), health_check);
    }

    fn client_does(&mut self, text: &str) {
        let (number, what) = match text.split_once(' ') {
            Some((number, what)) if number.parse::<usize>().is_ok() => (number.parse().expect("a number"), what),
            _ => (1, text),
        };
        let client: &mut super::client::Client = &mut self.world().clients[number - 1];
        match what {
            "closes" => client.close(),
            "half-closes" => client.half_close(),
            "starts TLS" => client.start_tls(),
            "stops listening" => client.go_deaf(),
            other => panic!("a client cannot do `{other}`"),
        }
    }

    fn say(&mut self, verb: &str, rest: &str) {
        let number = verb[1..verb.len() - 1].parse().unwrap_or(1);
        let octets = match &verb[verb.len() - 1..] {
            "+" => {
                self.held.push(format!("{rest}\r\n").into_bytes());
                return;
            }
            ":" => format!("{rest}\r\n").into_bytes(),
            "!" => unescape(rest),
            "*" => dotted(&long_message(rest)),
            "=" => {
                let (count, words) = rest.split_once(' ').unwrap_or((rest, ""));
                let words = if words.is_empty() { String::new() } else { format!("{words} ") };
                format!("{words}{}\r\n", "A".repeat(count.parse().expect("a number"))).into_bytes()
            }
            other => panic!("C{other} is nothing that a client does"),
        };
        let mut all = std::mem::take(&mut self.held).concat();
        all.extend(octets);
        self.world().clients[number - 1].send(&all);
    }

    fn chunks(&mut self, text: &str) {
        let (text, size) = text.rsplit_once(' ').expect("chunks KIND OCTETS SIZE");
        let message = long_message(text);
        let size: usize = size.parse().expect("a number");
        let count = message.len().div_ceil(size);
        for (at, chunk) in message.chunks(size).enumerate() {
            let last = if at + 1 == count { " LAST" } else { "" };
            let client = &self.world().clients[0];
            client.send(format!("BDAT {}{last}\r\n", chunk.len()).as_bytes());
            client.send(chunk);
        }
    }

    fn show_fields(&self) -> Vec<String> {
        let Some(last) = self.backends.stored().pop() else { return vec!["= nothing stored".to_owned()] };
        let ours = String::from_utf8_lossy(&last.octets[..our_fields(&last.octets)]).into_owned();
        ours.lines().map(|line| without_id(&format!("= {line}"))).collect()
    }
}

/// A message of `OCTETS` octets of a `KIND`: `dots` has dots and line ends at every place that a
/// border of blocks can have, `text` is text, `long-header` is a header section only.
fn long_message(text: &str) -> Vec<u8> {
    let (kind, size) = text.split_once(' ').expect("KIND OCTETS");
    let size: usize = size.parse().expect("a number");
    let mut message = b"From: <a@sender.example>\r\nDate: Mon, 21 Sep 2026 10:00:00 +0000\r\n".to_vec();
    let mut number = 0_u32;
    if kind != "long-header" {
        message.extend_from_slice(b"Message-ID: <1@sender.example>\r\n\r\n");
    }
    while message.len() < size {
        number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        match kind {
            "dots" => message.extend_from_slice([&b".\r\n"[..], b"..\r\n", b"\r\n", b"x\r\n"][number as usize >> 30]),
            "text" => message.extend_from_slice(format!("line {number:08x} of a text that goes on\r\n").as_bytes()),
            "long-header" => message.extend_from_slice(format!("X-Field-{number:08x}: value\r\n").as_bytes()),
            other => panic!("no messages of {other}"),
        }
    }
    message.truncate(size - 2);
    while message.ends_with(b"\r") || message.ends_with(b"\n") {
        message.pop();
        message.insert(6, b' ');
    }
    message.extend_from_slice(b"\r\n");
    message
}

fn dotted(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() + 3);
    for line in message.split_inclusive(|&octet| octet == b'\n') {
        if line.starts_with(b".") {
            out.push(b'.');
        }
        out.extend_from_slice(line);
    }
    out.extend_from_slice(b".\r\n");
    out
}

/// The clock hardly moves, so the names of transactions begin alike; the random rest is hidden.
fn without_id(line: &str) -> String {
    const BEGINNING: &str = "d0rh";
    let is_id = |word: &&str| {
        word.len() == 13 && word.starts_with(BEGINNING) && word.bytes().all(|b| b.is_ascii_alphanumeric())
    };
    let word = line.split(|c: char| !c.is_ascii_alphanumeric()).find(is_id).map(str::to_owned);
    word.map_or_else(|| line.to_owned(), |word| line.replace(&word, "ID"))
}
