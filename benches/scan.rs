//! What it costs to judge a message with all rules that are shipped: the mean over different messages of about 10 KiB,
//! plain and HTML, stage by stage; hostile ones and those of the MIME torture set against a bound; and the memory that
//! the rules take. The same for the rules of SpamAssassin, where they are installed (Debian: spamassassin; or
//! `SPAMASSASSIN_RULES=DIR`).
//!
//! Time on one thread that does nothing else, which is its processor time. `SCAN_MESSAGES=DIR cargo bench --bench scan`
//! measures messages of that directory, too: the sixty whose size comes nearest to 10 KiB.

#![allow(clippy::print_stdout, reason = "it is what a benchmark is for")]

mod mail;

use std::collections::BTreeMap;
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
use gatepost::spamassassin::{Envelope as Sender, RuleSet};
use mail::{MESSAGES, files, hostile, nearest};
use tokio::runtime::{Builder, Runtime};
use tokio::time::Instant;

/// Times that each is judged.
const ROUNDS: usize = 20;
/// What judging one of them may cost on average.
const MEAN: Duration = Duration::from_micros(500);
/// No hostile message of a megabyte takes longer.
const HOSTILE: Duration = Duration::from_millis(250);
const HOSTILE_LENGTH: usize = 1 << 20;
/// The same with the rules of SpamAssassin: the mean, and for half a megabyte, which is what its check reads.
const SPAMASSASSIN_MEAN: Duration = Duration::from_millis(3);
const SPAMASSASSIN_HOSTILE: Duration = Duration::from_millis(1500);
const SPAMASSASSIN_LENGTH: usize = 512 << 10;
/// When the check begins nothing more.
const SPAMASSASSIN_LATE: Duration = Duration::from_millis(500);
/// Where Debian has them.
const SPAMASSASSIN_RULES: &str = "/usr/share/spamassassin";
/// Seconds since 1970, at which messages come.
const NOW: i64 = 1_700_000_000;
/// No message of the MIME torture set takes longer.
const TORTURE: Duration = Duration::from_millis(10);
/// Messages with which programs for mail are tortured, where the repository of the conformance kit stands beside ours.
const TORTURE_SET: &str = "../shared/conformance/suites/mime/messages";

static MAIL: LazyLock<Vec<Vec<u8>>> =
    LazyLock::new(|| (0..MESSAGES).map(|number| mail::message(number as u64)).collect());

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
    for (name, octets) in hostile(HOSTILE_LENGTH) {
        late.extend(bench.bounded(name, &octets, HOSTILE));
    }
    for (name, octets) in torture() {
        late.extend(bench.bounded(&name, &octets, TORTURE));
    }
    memory();
    late.extend(spamassassin());
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
    for octets in MAIL.iter().chain(hostile(HOSTILE_LENGTH).iter().map(|(_, octets)| octets)) {
        let message = message_of(item("bench", octets));
        let model = Model::of(&message);
        let view = rules::view::View::new(&message, &model, &sender);
        divan::black_box(set.judge(rules::Phase::Message, &view, &mut Budget::default()));
    }
    println!("  {} KiB after all these messages", set.octets() / 1024);
}

/// The rules of SpamAssassin: loaded, run, their memory. The names of what took too long.
fn spamassassin() -> Vec<String> {
    let place = std::env::var_os("SPAMASSASSIN_RULES").map_or_else(|| SPAMASSASSIN_RULES.into(), PathBuf::from);
    let rules = files(&place).into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "cf"));
    let rules: Vec<_> = rules.filter_map(|path| Some((path.display().to_string(), fs::read(path).ok()?))).collect();
    if rules.is_empty() {
        println!("no rules of SpamAssassin in {}", place.display());
        return Vec::new();
    }
    let began = Instant::now();
    let set = RuleSet::read(&rules, &mut |name| Err(format!("{name} is not there")));
    let read = began.elapsed();
    set.warm(&mut Budget::default());
    println!("rules of SpamAssassin: read in {read:?}, ready after {:?}", began.elapsed());
    let judge = |octets: &Vec<u8>| {
        let end = Instant::now() + SPAMASSASSIN_LATE;
        let mut budget = Budget::default().until(move || Instant::now() >= end);
        divan::black_box(set.hits(octets, &Sender::default(), NOW, &mut budget));
    };
    let mut late = Vec::new();
    let given = std::env::var_os("SCAN_MESSAGES").map(|directory| nearest(Path::new(&directory)));
    for (name, mail) in [("generated", Some(MAIL.clone())), ("of the directory", given)] {
        let Some(mail) = mail else { continue };
        mail.iter().for_each(judge);
        let mean = each(&mail, judge);
        println!("  {} messages {name}: {mean:?} each, of {SPAMASSASSIN_MEAN:?}", mail.len());
        late.extend((mean > SPAMASSASSIN_MEAN).then(|| format!("spamassassin: {name}")));
    }
    for (name, octets) in hostile(SPAMASSASSIN_LENGTH) {
        let began = Instant::now();
        judge(&octets);
        let took = began.elapsed();
        println!("  {name} ({} octets): {took:?} of {SPAMASSASSIN_HOSTILE:?}", octets.len());
        late.extend((took > SPAMASSASSIN_HOSTILE).then(|| format!("spamassassin: {name}")));
    }
    println!("  {} KiB of memory", set.report().octets / 1024);
    late
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
