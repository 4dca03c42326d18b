//! What it costs to judge a message with all rules that are shipped: the mean over different messages of about 10 KiB,
//! plain and HTML, stage by stage; hostile ones and those of the MIME torture set against a bound; and the memory that
//! the rules take.
//!
//! Time on one thread that does nothing else, which is its processor time. `SCAN_MESSAGES=DIR cargo bench --bench scan`
//! measures messages of that directory, too: the sixty whose size comes nearest to 10 KiB.

#![allow(clippy::print_stdout, reason = "it is what a benchmark is for")]

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;

use divan::Bencher;
use divan::counter::ItemsCount;
use gatepost::checks::rules;
use gatepost::classifier::Features;
use gatepost::cli::scan::examiner::Examiner;
use gatepost::cli::scan::messages::Item;
use gatepost::cli::scan::{Judging, envelope::Envelope, item};
use gatepost::config::content;
use gatepost::message::{Message, Model};
use gatepost::pattern::Budget;
use gatepost::similarity::{DEFAULT_KEY, Digest};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::runtime::{Builder, Runtime};
use tokio::time::Instant;

/// Different messages.
const MESSAGES: usize = 60;
/// Octets of each, about.
const LENGTH: usize = 10 * 1024;
/// Times that each is judged.
const ROUNDS: usize = 20;
/// What judging one of them may cost on average.
const MEAN: Duration = Duration::from_micros(500);
/// No hostile message of a megabyte takes longer.
const HOSTILE: Duration = Duration::from_millis(250);
/// No message of the MIME torture set takes longer.
const TORTURE: Duration = Duration::from_millis(10);
/// Messages with which programs for mail are tortured, where the repository of the conformance kit stands beside ours.
const TORTURE_SET: &str = "../shared/conformance/suites/mime/messages";

static MAIL: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| (0..MESSAGES).map(|number| message(number as u64)).collect());

struct Bench {
    runtime: Runtime,
    examiner: Examiner,
}

fn main() {
    let bench = Bench::new();
    let mut late = Vec::new();
    late.extend(bench.mean("generated", &MAIL));
    if let Some(directory) = std::env::var_os("SCAN_MESSAGES") {
        late.extend(bench.mean("of the directory", &nearest(Path::new(&directory))));
    }
    for (name, octets) in hostile() {
        late.extend(bench.bounded(name, &octets, HOSTILE));
    }
    for (name, octets) in torture() {
        late.extend(bench.bounded(&name, &octets, TORTURE));
    }
    memory();
    assert!(late.is_empty(), "took too long: {}", late.join(", "));
    divan::main();
}

impl Bench {
    fn new() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let examiner = {
            let _within = runtime.enter();
            Judging::default().basis().and_then(|basis| basis.examiner()).unwrap_or_else(|why| panic!("{}", why.0))
        };
        Self { runtime, examiner }
    }

    fn examine(&self, octets: &[u8]) {
        let examined = self.examiner.examine(item("bench", octets), Envelope::default(), true);
        divan::black_box(self.runtime.block_on(examined).score);
    }

    /// Judges each message several times, and tells the mean of all and where the time goes.
    fn mean(&self, name: &str, mail: &[Vec<u8>]) -> Option<String> {
        mail.iter().for_each(|octets| self.examine(octets));
        let mean = each(mail, |octets| self.examine(octets));
        let octets: usize = mail.iter().map(Vec::len).sum();
        let late = mean > MEAN;
        let mark = if late { ", TOO LONG" } else { "" };
        println!("{} messages {name} of {} octets: {mean:?} each{mark}", mail.len(), octets / mail.len().max(1));
        self.stages(mail);
        late.then(|| name.to_owned())
    }

    fn stages(&self, mail: &[Vec<u8>]) {
        let messages: Vec<Message> = mail.iter().map(|octets| message_of(item("bench", octets))).collect();
        let models: Vec<Model> = messages.iter().map(Model::of).collect();
        println!("  model: {:?}", each(&messages, |message| drop(divan::black_box(Model::of(message)))));
        println!(
            "  similarity: {:?}",
            each(&models, |model| {
                divan::black_box(Digest::of_message(&model.text, &model.found, DEFAULT_KEY));
            })
        );
        println!(
            "  classifier: {:?}",
            each(&models, |model| {
                divan::black_box(Features::of(model).cells());
            })
        );
        let mut took: BTreeMap<String, u64> = BTreeMap::new();
        for octets in mail.iter().cycle().take(ROUNDS * mail.len()) {
            let examined = self.examiner.examine(item("bench", octets), Envelope::default(), true);
            for line in self.runtime.block_on(examined).trace().lines {
                *took.entry(line.check).or_default() += line.took_us;
            }
        }
        let mut took: Vec<(String, u64)> = took.into_iter().collect();
        took.sort_by_key(|(_, took)| std::cmp::Reverse(*took));
        // Of whole microseconds, little is left of what takes less than one.
        for (check, took) in took.iter().take(8) {
            let mean = Duration::from_micros(*took) / u32::try_from(ROUNDS * mail.len()).expect("few");
            println!("  check {check}: {mean:?}");
        }
    }

    /// Judges a message once against a bound.
    fn bounded(&self, name: &str, octets: &[u8], bound: Duration) -> Option<String> {
        let began = Instant::now();
        self.examine(octets);
        let took = began.elapsed();
        let late = took > bound;
        println!("{name} ({} octets): {took:?} of {bound:?}{}", octets.len(), if late { ", TOO LONG" } else { "" });
        late.then(|| name.to_owned())
    }
}

/// What the rules take as they are loaded, and once they have judged all those messages: patterns are compiled when
/// they are first run.
fn memory() {
    let set = content::load(None).unwrap_or_else(|_| panic!("the rules that are shipped")).set;
    println!("{} rules for {} targets: {} KiB of memory", set.rules().len(), set.targets(), set.octets() / 1024);
    let sender = rules::view::Envelope {
        helo: "mail.example".to_owned(),
        from: "sender@mail.example".to_owned(),
        recipients: vec!["bob@there.example".to_owned()],
        client: [198, 51, 100, 1].into(),
        client_name: None,
    };
    for octets in MAIL.iter().chain(hostile().iter().map(|(_, octets)| octets)) {
        let message = message_of(item("bench", octets));
        let model = Model::of(&message);
        let view = rules::view::View::new(&message, &model, &sender);
        divan::black_box(set.judge(rules::Phase::Message, &view, &mut Budget::default()));
    }
    println!("  {} KiB after all these messages", set.octets() / 1024);
}

/// The mean time of doing something with each of them.
fn each<T>(all: &[T], mut work: impl FnMut(&T)) -> Duration {
    let began = Instant::now();
    for one in all.iter().cycle().take(ROUNDS * all.len()) {
        work(one);
    }
    began.elapsed() / u32::try_from(ROUNDS * all.len().max(1)).expect("few")
}

fn message_of(item: Item) -> Message {
    Message::new(item.octets, item.len)
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut files: Vec<PathBuf> = entries.filter(|path| path.is_file()).collect();
    files.sort();
    files
}

/// The messages of a directory whose size comes nearest to [`LENGTH`].
fn nearest(directory: &Path) -> Vec<Vec<u8>> {
    let distance = |path: &PathBuf| fs::metadata(path).map_or(u64::MAX, |found| found.len().abs_diff(LENGTH as u64));
    let mut files = files(directory);
    files.sort_by_cached_key(distance);
    files.iter().take(MESSAGES).filter_map(|path| fs::read(path).ok()).collect()
}

fn torture() -> Vec<(String, Vec<u8>)> {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join(TORTURE_SET);
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    files(&place).iter().filter_map(|path| Some((name(path), fs::read(path).ok()?))).collect()
}

#[divan::bench]
fn sixty_messages(bencher: Bencher) {
    let bench = Bench::new();
    bencher.counter(ItemsCount::new(MESSAGES)).bench_local(|| MAIL.iter().for_each(|octets| bench.examine(octets)));
}

/// Words of usual lengths, some of them often.
fn words(random: &mut StdRng, octets: usize) -> String {
    let mut words = String::new();
    while words.len() < octets {
        let rank = (3000.0_f64).powf(random.random::<f64>()) as u64;
        let mut letters = StdRng::seed_from_u64(rank);
        let length = letters.random_range(2..10);
        words.extend((0..length).map(|_| char::from(letters.random_range(b'a'..=b'z'))));
        words.push_str(match random.random_range(0..20) {
            0 => ", ",
            1 => ".\n",
            _ => " ",
        });
    }
    words
}

/// Every third is plain, one HTML, one both; every sixth with an attachment, every fifth from a list.
fn message(number: u64) -> Vec<u8> {
    let mut random = StdRng::seed_from_u64(number);
    let mut out = format!(
        "Return-Path: <sender{number}@mail{number}.example>\n\
         Received: from mail{number}.example (mail{number}.example [198.51.100.{}])\n\tby mx.there.example with ESMTPS \
         id {number}x for <bob@there.example>; Fri, 6 Mar 2020 10:00:00 +0000\n\
         From: \"{}\" <sender{number}@mail{number}.example>\nTo: Bob <bob@there.example>\nSubject: {}\n\
         Date: Fri, 6 Mar 2020 09:59:58 +0000\nMessage-ID: <{number}.1@mail{number}.example>\nMIME-Version: 1.0\n",
        number % 250 + 1,
        words(&mut random, 12).trim().replace(['\n', ',', '.'], ""),
        words(&mut random, 40).replace('\n', " "),
    );
    if number.is_multiple_of(5) {
        let _ = writeln!(out, "List-Id: <list{number}.example>\nList-Unsubscribe: <https://list{number}.example/u/1>");
    }
    let plain = |random: &mut StdRng, octets| {
        format!(
            "Content-Type: text/plain; charset=utf-8\n\n{}\nhttps://www{number}.example/page?x={number}\n",
            words(random, octets)
        )
    };
    let body = match number % 3 {
        0 => plain(&mut random, LENGTH),
        1 => format!("Content-Type: text/html; charset=utf-8\n\n{}", html(&mut random, number, LENGTH)),
        _ => {
            let (one, other) = (plain(&mut random, LENGTH / 4), html(&mut random, number, LENGTH * 3 / 4));
            format!(
                "Content-Type: multipart/alternative; boundary=\"b{number}\"\n\n--b{number}\n{one}\n--b{number}\n\
                 Content-Type: text/html; charset=utf-8\n\n{other}\n--b{number}--\n"
            )
        }
    };
    if number.is_multiple_of(6) {
        let file: String =
            (0..40).map(|_| "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXJzdHV2d3h5eg==\n").collect();
        let _ = write!(
            out,
            "Content-Type: multipart/mixed; boundary=\"m{number}\"\n\n--m{number}\n{body}\n--m{number}\n\
             Content-Type: application/pdf; name=\"a{number}.pdf\"\nContent-Transfer-Encoding: base64\n\
             Content-Disposition: attachment; filename=\"a{number}.pdf\"\n\n{file}\n--m{number}--\n"
        );
    } else {
        out.push_str(&body);
    }
    out.into_bytes()
}

fn html(random: &mut StdRng, number: u64, octets: usize) -> String {
    let mut out =
        "<html><head><style>p { color: #333; font-size: 12px } .x { display: none }</style></head><body>".to_owned();
    let mut paragraph = 0;
    while out.len() < octets {
        paragraph += 1;
        let _ = writeln!(
            out,
            "<table width=\"100%\"><tr><td style=\"padding:4px;color:#222\"><p class=\"c{paragraph}\">{}</p>\
             <a href=\"https://www{number}.example/{paragraph}?u={number}\">{}</a><img src=\"https://img.example/{paragraph}.png\" \
             width=\"20\" height=\"20\"></td></tr></table>",
            words(random, 300),
            words(random, 20).trim(),
        );
    }
    out.push_str("</body></html>\n");
    out
}

/// About a megabyte of what costs most.
fn hostile() -> Vec<(&'static str, Vec<u8>)> {
    const SIZE: usize = 1 << 20;
    let filled = |head: &str, piece: &str| {
        let mut out = head.to_owned();
        while out.len() < SIZE {
            out.push_str(piece);
        }
        out.into_bytes()
    };
    let nested = |count: usize| {
        let mut out = "MIME-Version: 1.0\n".to_owned();
        for depth in 0..count {
            let _ = write!(out, "Content-Type: multipart/mixed; boundary=\"b{depth}\"\n\n--b{depth}\n");
        }
        out.into_bytes()
    };
    let html = "Content-Type: text/html\n\n";
    let links = (0..100_000).fold(html.to_owned(), |mut out, number| {
        let _ = write!(out, "<a href=http://www{number}.a{}.example/>b</a>", number % 1000);
        out
    });
    vec![
        ("a hundred thousand links", links.into_bytes()),
        (
            "words of several languages",
            filled("Content-Type: text/plain; charset=utf-8\n\n", "fre\u{e9} freed \u{e4}money "),
        ),
        ("letters apart", filled("A: b\n\n", "a b c d e f ")),
        ("figures and letters", filled("A: b\n\n", "1a1a1a1bcdf ")),
        ("names without addresses", filled("A: b\n\n", "full name country ")),
        ("what could be a wallet", filled("A: b\n\n", "bc1aaaaaaaaaaaaaaaaaaaaaa. 1AAAAAAAAAAAAAAAAAAAAAAAA. ")),
        ("phrases", filled("A: b\n\n", "this is the free money back in your account number ")),
        ("a long subject", filled("Subject: ", "free money 123 !!! ")),
        ("header fields", filled("", "X-A: b\n")),
        ("one long field", filled("Subject: ", "=?utf-8?q?a?= ")),
        ("words that never end", filled("", &format!("X-A: {}\n", "=?a?b?x".repeat(4600)))),
        ("addresses", filled("From: ", "\"a\" <a@b.example>, ")),
        ("nested parts", nested(10_000)),
        ("many parts", filled("Content-Type: multipart/mixed; boundary=b\n\n", "--b\n\na\n")),
        ("nested elements", filled(html, "<div>")),
        ("attributes", filled(&format!("{html}<a "), "a=b ")),
        ("links", filled(html, "<a href=http://a.example/>b</a>")),
        ("links in text", filled("A: b\n\n", "http://a.example/ ")),
        ("style", filled(&format!("{html}<style>"), "a>b,c:not(d){color:#fff}")),
        ("entities", filled(html, "&amp;&#x41;&lt")),
        ("one long line", filled("A: b\n\n", "a")),
        ("open angles", filled(html, "<")),
        ("base64", filled("Content-Transfer-Encoding: base64\n\n", "====QQ\n")),
        ("quoted-printable", filled("Content-Transfer-Encoding: quoted-printable\n\n", "=3D=\n=")),
        ("dots and dashes", filled("A: b\n\n", "a.b-c.")),
        ("signatures", filled("", "DKIM-Signature: v=1; d=a.example; s=b; h=from; bh=AA==; b=AA==\n")),
    ]
}
