//! What a record costs, and how fast many of them are searched and decided again.
//!
//!     cargo bench --bench records -- [--records 1000000] [--keep DIR]
//!
//! Records are made of two messages that the rules compiled in judge for real, with ids, clients and addresses of their
//! own, spread over 14 days. `--keep` leaves them where `scripts/bench-records` finds them.
#![allow(clippy::print_stdout, reason = "it is what a benchmark is for")]

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gatepost::clock::Clock;
use gatepost::config::rules::{self, Ports};
use gatepost::facts::{ClientFacts, HeloFacts, MailFacts, MessageFacts, RcptFacts, Stage};
use gatepost::message::Message;
use gatepost::pipeline::{Assessment, Replay, Ruleset};
use gatepost::records::{
    Addressee, Archive, Client, Envelope, Fate, Filter, Found, Json, Judgement, MessageSeen, Metrics, Record, Recorder,
    Redact, Settings, TransactionId, Whose, Written,
};
use gatepost::smtp::{ForwardPath, HeloName, Params, ReversePath};
use gatepost::units::ByteSize;
use gatepost::verdict::Verdict;
use tokio::time::Instant;

const HAM: &[u8] =
    b"From: Ann <ann@sender.example>\r\nTo: bob@ours.example\r\nSubject: lunch\r\nMessage-ID: <1@sender.example>\r\n\
    Date: Fri, 20 Nov 2026 12:00:00 +0000\r\n\r\nSee you at noon.\r\n";
const SPAM: &[u8] = b"From: Ann <ann@sender.example>\r\nTo: bob@ours.example\r\nSubject: you won\r\n\r\n\
    XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X\r\n";
const SPAN: Duration = Duration::from_secs(14 * 86_400);
/// Taken before everybody waits for the disk, so that none is lost.
const AT_ONCE: usize = 2000;
const ROUNDS: usize = 50;

/// The time of the record that is being made.
#[derive(Debug, Default)]
struct Then(AtomicU64);

impl Clock for Then {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.0.load(Ordering::Relaxed))
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let value = |name: &str| arguments.iter().position(|word| word == name).and_then(|at| arguments.get(at + 1));
    let count = value("--records").map_or(1_000_000, |text| text.parse().expect("a number"));
    let kept = value("--keep").map(PathBuf::from);
    let place = tempfile::tempdir().expect("a directory");
    let directory = kept.unwrap_or_else(|| place.path().join("records"));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let ruleset = Arc::new(rules::compiled_in(&Ports::silent()).expect("the rules compiled in"));
    let samples = [HAM, SPAM].map(|text| runtime.block_on(judged(&ruleset, text)));
    let start = millis(SystemTime::now() - SPAN);
    write(&runtime, &samples, &directory, count, start);
    search(&directory, count, start);
    decide_again(&directory, &ruleset);
}

/// A judgement as a session would record it, and the rules behind it.
async fn judged(ruleset: &Arc<Ruleset>, text: &[u8]) -> (Judgement, Arc<Written>, Verdict) {
    let mut assessment = Assessment::new(ruleset.clone());
    let client = Arc::new(ClientFacts::new([192, 0, 2, 1].into(), "edge".into(), "mx.example".into(), None));
    assessment.examine(&client).await;
    let name = HeloName::parse(b"mail.sender.example").expect("a word");
    let helo = Arc::new(HeloFacts::new(client, name, true, None));
    assessment.examine(&helo).await;
    let path = ReversePath::parse("ann@sender.example").expect("an address");
    let mail = Arc::new(MailFacts::new(helo, path, Params::default(), SystemTime::now()));
    assessment.examine(&mail).await;
    let path = ForwardPath::parse("bob@ours.example").expect("an address");
    let facts = RcptFacts { mail: mail.clone(), forward_path: path.clone(), index: 0, is_trap: false };
    assessment.examine(&Arc::new(facts)).await;
    let message = Arc::new(Message::new(text.to_vec(), text.len() as u64));
    assessment.examine(&Arc::new(MessageFacts::new(mail, vec![path], message, None))).await;
    let conclusion = assessment.examined();
    let verdict = conclusion.recipients.first().map_or(Verdict::Forward, |(_, decision)| decision.verdict);
    (assessment.judgement(Some(&conclusion)), assessment.book().clone(), verdict)
}

fn record(judgement: &Judgement, verdict: Verdict, at: u64, number: usize) -> Record {
    let octets = u32::try_from(number % 16_000_000).expect("small").to_be_bytes();
    Record {
        id: TransactionId::from_parts(at, (number % 8_000_000) as u32),
        client: Client {
            addr: [10, octets[1], octets[2], octets[3]].into(),
            hop: None,
            name: Some(format!("mail{}.sender.example", number % 1000)),
            helo: Some("mail.sender.example".to_owned()),
            tls: Some("TLSv1.3".to_owned()),
            user: None,
            listener: "edge".into(),
        },
        envelope: Some(Envelope {
            reverse_path: format!("ann{}@sender{}.example", number % 5000, number % 20_000),
            recipients: vec![Addressee {
                index: 0,
                forward_path: format!("bob{}@ours.example", number % 3000),
                trap: false,
            }],
            refused: 0,
        }),
        authentication: Vec::new(),
        message: Some(MessageSeen { size: 3000, author_domains: vec!["sender.example".to_owned()], subject: None }),
        judgement: judgement.clone(),
        fate: Fate {
            stage: Stage::Message,
            verdict: Some(verdict),
            end: if verdict == Verdict::Forward { "forwarded" } else { "rejected" }.into(),
            reply: "250 2.0.0 Ok: queued as 4XyZ12345".to_owned(),
            after_data_ms: Some(40),
            total_ms: 300,
        },
    }
}

fn write(
    runtime: &tokio::runtime::Runtime,
    samples: &[(Judgement, Arc<Written>, Verdict); 2],
    directory: &Path,
    count: usize,
    start: u64,
) {
    let settings = Settings {
        directory: Some(directory.to_owned()),
        max_size: ByteSize(64 << 30),
        max_age: Duration::from_secs(365 * 86_400),
        queue: 2 * AT_ONCE,
        queue_memory: ByteSize(1 << 30),
        redact: Redact::default(),
        json: Json::Off,
    };
    let metrics = Metrics::register(&prometheus::Registry::new()).expect("registered once");
    let then = Arc::new(Then::default());
    then.0.store(start, Ordering::Relaxed);
    let recorder = Recorder::start(settings, then.clone(), metrics).expect("a thread");
    let (began, used) = (Instant::now(), cpu());
    let mut handed = Duration::ZERO;
    for number in 0..count {
        let at = start + SPAN.as_millis() as u64 * number as u64 / count as u64;
        then.0.store(at, Ordering::Relaxed);
        let [ham, spam] = samples;
        let (judgement, book, verdict) = if number % 10 == 0 { spam } else { ham };
        let record = record(judgement, *verdict, at, number);
        let handing = Instant::now();
        recorder.record(record, book);
        handed += handing.elapsed();
        if number % AT_ONCE == 0 {
            runtime.block_on(recorder.flush());
        }
    }
    runtime.block_on(recorder.flush());
    let (took, used) = (began.elapsed(), cpu() - used);
    let size: u64 = files(directory).map(|file| file.metadata().map_or(0, |metadata| metadata.len())).sum();
    println!("written    {count} records in {:.1} s", took.as_secs_f64());
    println!("           {:.1} us of CPU each, making them included", used.as_secs_f64() * 1e6 / count as f64);
    println!("           {:.2} us each for the session to hand over", handed.as_secs_f64() * 1e6 / count as f64);
    println!("           {} octets each, {} segments", size / count as u64, files(directory).count() / 2);
}

fn files(directory: &Path) -> impl Iterator<Item = fs::DirEntry> {
    fs::read_dir(directory).expect("a directory").filter_map(Result::ok)
}

fn search(directory: &Path, count: usize, start: u64) {
    let id = |number: usize| {
        let at = start + SPAN.as_millis() as u64 * number as u64 / count as u64;
        TransactionId::from_parts(at, (number % 8_000_000) as u32)
    };
    timed("find by id", |round| {
        let mut archive = Archive::open(directory).expect("a directory");
        archive.find(id(round * 7919 % count)).expect("readable").map_or(0, |_| 1)
    });
    timed("find none", |round| {
        let mut archive = Archive::open(directory).expect("a directory");
        archive
            .find(TransactionId::from_parts(start + round as u64 * 1000, 8_100_000))
            .expect("readable")
            .map_or(0, |_| 1)
    });
    let latest = |name: &str, filter: &dyn Fn(usize) -> Filter| {
        timed(name, |round| {
            let mut archive = Archive::open(directory).expect("a directory");
            archive.latest(&filter(round), 100).expect("readable").len()
        });
    };
    latest("no condition", &|_| Filter::default());
    latest("rejected", &|_| Filter { verdict: Some(Verdict::Reject), ..Filter::default() });
    latest("one client in all", &|round| {
        let octets = u32::try_from(round * 7919 % count).expect("small").to_be_bytes();
        let addr = std::net::IpAddr::from([10, octets[1], octets[2], octets[3]]);
        Filter { client: Some(addr.into()), ..Filter::default() }
    });
    latest("one sender", &|round| {
        let number = round * 7919 % count;
        let address = format!("ann{}@sender{}.example", number % 5000, number % 20_000);
        Filter { from: Some(Whose::Address(address)), ..Filter::default() }
    });
    latest("nobody", &|round| Filter { from: Some(Whose::Domain(format!("n{round}.example"))), ..Filter::default() });
    latest("a symbol and a day", &|_| Filter {
        symbols: vec!["GTUBE".to_owned()],
        since: Some(start + 3 * 86_400_000),
        until: Some(start + 4 * 86_400_000),
        ..Filter::default()
    });
    latest("no such symbol", &|_| Filter { symbols: vec!["NEVER_FOUND".to_owned()], ..Filter::default() });
}

fn timed(name: &str, mut what: impl FnMut(usize) -> usize) {
    let mut found = 0;
    let mut times: Vec<Duration> = (0..ROUNDS)
        .map(|round| {
            let began = Instant::now();
            found = what(round);
            began.elapsed()
        })
        .collect();
    times.sort();
    let [median, worst] = [times[ROUNDS / 2], times[ROUNDS - 1]].map(|time| time.as_secs_f64() * 1e3);
    println!("{name:<20} median {median:>7.2} ms, worst {worst:>7.2} ms, {found} found");
}

fn decide_again(directory: &Path, ruleset: &Arc<Ruleset>) {
    const MOST: usize = 100_000;
    let replay = Replay::by_rules(ruleset.clone());
    let mut archive = Archive::open(directory).expect("a directory");
    let mut prepared = None;
    let (mut decided, mut same) = (0, 0);
    let began = Instant::now();
    let take = |Found { record, book }: Found| {
        let book = book.expect("its rules");
        let prepared = prepared.get_or_insert_with(|| replay.prepare(&book).expect("our own"));
        same += usize::from(prepared.decide(&record).reproduces(&record));
        decided += 1;
        if decided == MOST { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    archive.each(&Filter::default(), take).expect("readable");
    println!("decided again {decided} in {:.1} s, {same} as they were", began.elapsed().as_secs_f64());
    assert_eq!(decided, same, "unchanged rules reproduce every decision");
}

/// CPU time of this process, all threads.
fn cpu() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").expect("Linux");
    let fields: Vec<&str> = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|text| text.parse::<u64>().ok()).expect("a number");
    // Hundredths of a second, wherever Linux runs.
    Duration::from_millis(10 * (ticks(11) + ticks(12)))
}

fn millis(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}
