//! Records on a disk: found again, bounded, and whole after a crash.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use prometheus::Registry;
use proptest::prelude::*;
use tempfile::TempDir;

use super::index::Entry;
use super::keeper::{Keeper, NotKept};
use super::segment::Place;
use super::*;
use crate::clock;
use crate::facts::Stage;
use crate::verdict::Verdict;

const DAY: u64 = 86_400_000;
const START: u64 = 1_790_000_000_000;

fn metrics() -> Metrics {
    Metrics::register(&Registry::new()).expect("registered once")
}

fn settings(directory: &Path) -> Settings {
    Settings {
        directory: Some(directory.to_owned()),
        max_size: ByteSize(64 << 20),
        max_age: Duration::from_secs(30 * 86_400),
        queue: 64,
        queue_memory: ByteSize(1 << 20),
        redact: Redact::default(),
        json: Json::Off,
    }
}

fn book() -> Written {
    let check = OnRoster {
        name: "look".to_owned(),
        stage: Stage::Connect,
        emits: vec!["A".to_owned()],
        exclusive: false,
        observed: false,
    };
    Written::new(Rulebook {
        version: "v".to_owned(),
        looks: Looks::default(),
        roster: vec![check],
        judging: serde_json::Value::Null,
    })
}

fn record(millis: u64, number: u32) -> Record {
    let finding = Finding {
        symbol: if number.is_multiple_of(2) { "EVEN" } else { "ODD" }.to_owned(),
        strength: 100,
        evidence: format!("number {number}"),
        transaction: false,
        stage: None,
    };
    let line = Line {
        check: 0,
        recipient: None,
        outcome: LineOutcome::Found,
        reason: None,
        took_us: 7,
        findings: vec![finding],
    };
    Record {
        id: TransactionId::from_parts(millis, number),
        client: Client {
            addr: [192, 0, 2, (number % 200) as u8].into(),
            hop: None,
            name: None,
            helo: Some("mail.example".to_owned()),
            tls: None,
            user: None,
            listener: "edge".into(),
        },
        envelope: Some(Envelope {
            reverse_path: format!("ann@sender{}.example", number % 10),
            recipients: vec![Addressee { index: 0, forward_path: "bob@ours.example".to_owned(), trap: false }],
            refused: 0,
        }),
        authentication: Vec::new(),
        message: None,
        judgement: Judgement { book: book().digest(), lines: Lines(vec![line]), score: 10, ..Judgement::default() },
        fate: Fate {
            stage: Stage::Message,
            verdict: Some(if number.is_multiple_of(3) { Verdict::Reject } else { Verdict::Forward }),
            end: "forwarded".into(),
            reply: String::new(),
            after_data_ms: Some(1),
            total_ms: 2,
        },
    }
}

/// A keeper of `directory` with `count` records in it, a second apart, all written.
fn kept(settings: &Settings, count: u32) -> Keeper {
    let directory = settings.directory.clone().expect("a directory");
    let mut keeper = Keeper::open(&directory, settings, metrics(), START).expect("an empty directory");
    for number in 0..count {
        let millis = START + u64::from(number) * 1000;
        keeper.append(&record(millis, number), &book().book().to_json(), millis).expect("room");
    }
    keeper.flush().expect("room");
    keeper
}

fn all(directory: &Path) -> Vec<Record> {
    let mut archive = Archive::open(directory).expect("a directory");
    let found = archive.latest(&Filter::default(), usize::MAX).expect("a directory");
    assert!(found.iter().all(|found| found.book.is_some()), "each with its rules");
    found.into_iter().map(|found| found.record).collect()
}

#[test]
fn what_was_recorded_is_found_again() {
    let place = TempDir::new().expect("a directory");
    let _keeper = kept(&settings(place.path()), 30);
    let mut archive = Archive::open(place.path()).expect("a directory");
    let wanted = record(START + 7000, 7);
    let found = archive.find(wanted.id).expect("readable").expect("it is there");
    assert_eq!((&found.record, found.book.map(|book| book.version.clone())), (&wanted, Some("v".to_owned())));
    assert!(archive.find(TransactionId::from_parts(START, 99)).expect("readable").is_none());

    let numbers = |filter: &Filter, most| {
        let found = Archive::open(place.path()).and_then(|mut archive| archive.latest(filter, most)).expect("readable");
        found.iter().map(|found| found.record.id.random()).collect::<Vec<_>>()
    };
    let filter = |change: &dyn Fn(&mut Filter)| {
        let mut filter = Filter::default();
        change(&mut filter);
        filter
    };
    for (filter, expected) in [
        (filter(&|f| f.since = Some(START + 27_000)), vec![27, 28, 29]),
        (filter(&|f| f.until = Some(START + 2_000)), vec![0, 1]),
        (filter(&|f| f.client = Some("192.0.2.4/31".parse().expect("a network"))), vec![4, 5]),
        (filter(&|f| f.from = Some(Whose::of("ANN@sender3.example"))), vec![3, 13, 23]),
        (filter(&|f| f.from = Some(Whose::of("sender3.example"))), vec![3, 13, 23]),
        (filter(&|f| f.from = Some(Whose::of("<>"))), vec![]),
        (filter(&|f| (f.from, f.until) = (Some(Whose::of(".example")), Some(START + 1_000))), vec![0]),
        (filter(&|f| (f.to, f.since) = (Some(Whose::of("@ours.example")), Some(START + 29_000))), vec![29]),
        (filter(&|f| f.to = Some(Whose::of("eve@ours.example"))), vec![]),
        (filter(&|f| (f.verdict, f.since) = (Some(Verdict::Reject), Some(START + 20_000))), vec![21, 24, 27]),
        (filter(&|f| (f.symbols, f.since) = (vec!["ODD".to_owned()], Some(START + 26_000))), vec![27, 29]),
        (filter(&|f| f.at_least = Some(11)), vec![]),
        (filter(&|f| f.shadow = true), vec![]),
    ] {
        assert_eq!(numbers(&filter, usize::MAX), expected, "{filter:?}");
    }
    assert_eq!(numbers(&Filter::default(), 3), [27, 28, 29], "the latest");
}

#[test]
fn a_torn_end_is_cut_off_and_all_before_it_is_whole() {
    let place = TempDir::new().expect("a directory");
    drop(kept(&settings(place.path()), 5));
    let [segment] = &Place::all(place.path()).expect("readable")[..] else { panic!("one segment") };
    let (whole, index) = (fs::read(segment.records()).expect("it"), fs::read(segment.index()).expect("it"));
    let before = all(place.path());
    for length in (0..whole.len()).step_by(7) {
        fs::write(segment.records(), &whole[..length]).expect("room");
        fs::write(segment.index(), &index[..index.len() * length / whole.len()]).expect("room");
        // A reader sees what is whole, before anybody has mended it.
        let seen = if length < 8 { Vec::new() } else { all(place.path()) };
        assert!(before.starts_with(&seen), "{length}");
        let settings = settings(place.path());
        let mut keeper = Keeper::open(place.path(), &settings, metrics(), START).expect("mended");
        let next = record(START + 9000, 9);
        keeper.append(&next, &book().book().to_json(), START + 9000).expect("room");
        keeper.flush().expect("room");
        let expected: Vec<Record> = seen.into_iter().chain([next]).collect();
        assert_eq!(all(place.path()), expected, "{length}");
        drop(keeper);
        for place in Place::all(place.path()).expect("readable") {
            place.remove().expect("it");
        }
    }
}

#[test]
fn an_index_that_is_lost_is_not_missed() {
    let place = TempDir::new().expect("a directory");
    let _keeper = kept(&settings(place.path()), 5);
    let before = all(place.path());
    fs::remove_file(Place::all(place.path()).expect("readable")[0].index()).expect("it");
    assert_eq!(all(place.path()), before);
}

#[test]
fn damage_costs_what_is_damaged() {
    let place = TempDir::new().expect("a directory");
    let _keeper = kept(&settings(place.path()), 5);
    let segment = Place::all(place.path()).expect("readable").remove(0);
    let entry = segment.contents().expect("readable").entries[3];
    let file = OpenOptions::new().write(true).open(segment.records()).expect("it");
    file.write_all_at(b"?", entry.offset + 40).expect("room");
    let mut archive = Archive::open(place.path()).expect("a directory");
    assert_eq!(archive.latest(&Filter::default(), 99).expect("readable").len(), 4);
    assert_eq!(archive.unreadable, 1);
}

/// Opens the directory as the next process does, and writes record `number`.
fn continued(place: &Path, number: u32) -> Keeper {
    let mut keeper = Keeper::open(place, &settings(place), metrics(), START).expect("mended");
    keeper.append(&record(START + 9000, number), &book().book().to_json(), START + 9000).expect("room");
    keeper.flush().expect("room");
    keeper
}

fn numbers(place: &Path) -> Vec<u32> {
    all(place).iter().map(|record| record.id.random()).collect()
}

#[test]
fn damage_does_not_spread_when_a_process_goes_on_behind_it() {
    let place = TempDir::new().expect("a directory");
    drop(kept(&settings(place.path()), 5));
    let segment = Place::all(place.path()).expect("readable").remove(0);
    let entry = segment.contents().expect("readable").entries[2];
    let file = OpenOptions::new().write(true).open(segment.records()).expect("it");
    file.write_all_at(b"?", entry.offset + 40).expect("room");
    // Torn as well.
    file.set_len(segment.contents().expect("readable").entries[5].end() - 1).expect("it");
    for (next, expected) in [(7, vec![0, 2, 3, 7]), (8, vec![0, 2, 3, 7, 8])] {
        drop(continued(place.path(), next));
        assert_eq!(numbers(place.path()), expected);
    }
}

#[test]
fn a_segment_that_cannot_be_mended_is_left_and_one_of_another_version_put_aside() {
    let place = TempDir::new().expect("a directory");
    drop(kept(&settings(place.path()), 3));
    let segment = Place::all(place.path()).expect("readable").remove(0);
    let whole = fs::read(segment.records()).expect("it");
    // The index cannot be written again: a directory is in the way.
    fs::remove_file(segment.index()).expect("it");
    fs::create_dir(segment.with("new")).expect("room");
    let keeper = continued(place.path(), 7);
    assert_eq!(numbers(place.path()), [0, 1, 2, 7], "in a segment of its own");
    drop(keeper);

    let place = TempDir::new().expect("a directory");
    let [ours, aside] = ["00000000000077.rec", "00000000000077.rec.other"].map(|name| place.path().join(name));
    let foreign = [b"GPREC\0\0\x02", &whole[8..]].concat();
    fs::write(&ours, &foreign).expect("room");
    drop(continued(place.path(), 7));
    assert_eq!(numbers(place.path()), [7]);
    assert_eq!((ours.exists(), fs::read(aside).expect("it")), (false, foreign));
}

#[test]
fn a_directory_is_made_only_where_something_is() {
    let place = TempDir::new().expect("a directory");
    let open = |directory: &Path| Keeper::open(directory, &settings(directory), metrics(), START).is_ok();
    assert!(!open(&place.path().join("not/mounted")) && !place.path().join("not").exists());
    assert!(open(&place.path().join("records")) && open(&place.path().join("records")));
}

#[test]
fn what_is_too_old_or_too_much_goes() {
    let place = TempDir::new().expect("a directory");
    let small = Settings { max_size: ByteSize(1 << 20), ..settings(place.path()) };
    let mut keeper = kept(&small, 6000);
    let places = Place::all(place.path()).expect("readable");
    let total: u64 = places.iter().map(Place::size).sum();
    assert!(places.len() > 8 && total <= (1 << 20) + (128 << 10), "{} segments, {total} octets", places.len());
    assert_eq!(all(place.path()).last().expect("the latest").id.random(), 5999);

    let later = START + 31 * DAY + 6_000_000;
    keeper.tidy(START + 6_000_000);
    let before = all(place.path()).len();
    keeper.tidy(later);
    assert_eq!(all(place.path()).len(), before, "a clock that leaps is not believed at once");
    let later = later + 3_601_000;
    keeper.tidy(later);
    assert_eq!(all(place.path()).len(), 0, "a month and a day later");
    keeper.append(&record(later, 1), &book().book().to_json(), later).expect("room");
    keeper.flush().expect("room");
    assert_eq!(all(place.path()).len(), 1);
}

#[test]
fn a_clock_that_was_ahead_keeps_nothing_for_ever() {
    let place = TempDir::new().expect("a directory");
    let mut keeper = kept(&settings(place.path()), 3);
    let mut archive = Archive::open(place.path()).expect("a directory");
    let mut mark = archive.end().expect("readable");
    let mut write = |number, at| {
        keeper.append(&record(at, number), &book().book().to_json(), at).expect("room");
        keeper.flush().expect("room");
        keeper.tidy(at);
        let begun = Place::all(place.path()).expect("readable").iter().map(|place| place.created).collect::<Vec<_>>();
        let news = archive.news(&mut mark, &Filter::default()).expect("readable");
        (begun, news.iter().map(|found| found.record.id.random()).collect::<Vec<_>>())
    };
    let year = START + 365 * DAY;
    let back = START + 7_200_000;
    assert_eq!(write(3, year), (vec![START, year], vec![3]), "a leap");
    assert_eq!(write(4, back), (vec![START, year], vec![4]), "set back, and not believed yet");
    let believed = back + 3_601_000;
    assert_eq!(write(5, believed), (vec![START, believed - 1, believed], vec![5]));
    assert_eq!(numbers(place.path()), [0, 1, 2, 3, 4, 5], "in their order");

    for quarters in 0..=32 * 4 {
        keeper.tidy(believed + quarters * DAY / 4);
    }
    assert_eq!(all(place.path()).len(), 0, "all of it grows old");
}

#[test]
fn one_process_writes() {
    let place = TempDir::new().expect("a directory");
    let settings = settings(place.path());
    let first = kept(&settings, 1);
    assert!(Keeper::open(place.path(), &settings, metrics(), START).is_err());
    drop(first);
    assert!(Keeper::open(place.path(), &settings, metrics(), START).is_ok());
}

#[tokio::test]
async fn a_recorder_writes_what_it_takes_and_hides_what_nobody_is_to_read() {
    let place = TempDir::new().expect("a directory");
    let lines = place.path().join("lines.json");
    let redact = Redact { subjects: true, local_parts: true };
    let directory = place.path().join("records");
    let settings = Settings { redact, json: Json::File(lines.clone()), ..settings(&directory) };
    let metrics = metrics();
    let recorder = Recorder::start(settings, clock::system(), metrics.clone()).expect("a thread");
    let book = Arc::new(book());
    for number in 0..20 {
        recorder.record(record(START, number), &book);
    }
    recorder.flush().await;
    let records = all(&directory);
    assert_eq!(records.len(), 20);
    assert_eq!(records[3].envelope.as_ref().expect("it").reverse_path, "*@sender3.example");
    assert_eq!((metrics.written.get(), metrics.dropped.get(), metrics.waiting.get()), (20, 0, 0));
    let text = fs::read_to_string(lines).expect("it");
    let told: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!((told.len(), &told[0]["judgement"]["lines"][0]["check"]), (20, &"look".into()));
    assert!(!text.contains("ann@") && !text.contains("bob@"), "{text}");
}

#[tokio::test]
async fn too_many_records_are_lost_and_counted_and_nobody_waits() {
    let metrics = metrics();
    let (queue, nobody_reads) = sync_channel(3);
    let recorder = Recorder::into_queue(queue, u64::MAX, metrics.clone());
    let book = Arc::new(book());
    for number in 0..10 {
        recorder.record(record(START, number), &book);
    }
    assert_eq!((metrics.dropped.get(), metrics.waiting.get()), (7, 3));
    drop(nobody_reads);
}

#[tokio::test]
async fn what_waits_is_bounded_by_its_octets_too() {
    let metrics = metrics();
    let (queue, nobody_reads) = sync_channel(100);
    let one = record(START, 1);
    let recorder = Recorder::into_queue(queue, 3 * one.octets(), metrics.clone());
    let book = Arc::new(book());
    let mut large = one.clone();
    large.fate.reply = "x".repeat(3 * one.octets() as usize);
    recorder.record(large, &book);
    assert_eq!((metrics.dropped.get(), metrics.waiting_bytes.get()), (1, 0));
    for _ in 0..10 {
        recorder.record(one.clone(), &book);
    }
    assert_eq!((metrics.dropped.get(), metrics.waiting.get()), (8, 3));
    assert_eq!(metrics.waiting_bytes.get(), 3 * one.octets() as i64);
    drop(nobody_reads);
}

#[tokio::test]
async fn a_directory_that_cannot_be_is_told_and_costs_records_only() {
    let place = TempDir::new().expect("a directory");
    let file = place.path().join("file");
    fs::File::create(&file).and_then(|mut file| file.write_all(b"no directory")).expect("room");
    let metrics = metrics();
    let recorder = Recorder::start(settings(&file), clock::system(), metrics.clone()).expect("a thread");
    recorder.record(record(START, 1), &Arc::new(book()));
    recorder.flush().await;
    assert_eq!((metrics.written.get(), metrics.failed.get()), (0, 1));
}

#[test]
fn every_record_is_counted_once_as_written_or_as_failed() {
    let place = TempDir::new().expect("a directory");
    let counted = metrics();
    let settings = settings(place.path());
    let mut keeper = Keeper::open(place.path(), &settings, counted.clone(), START).expect("an empty directory");
    let book = book().book().to_json();
    for number in 0..3 {
        keeper.append(&record(START, number), &book, START).expect("room");
    }
    // One that no frame holds is refused alone, and costs nobody else.
    let mut endless = record(START, 3);
    endless.fate.reply = "x".repeat((64 << 20) + 1);
    assert!(matches!(keeper.append(&endless, &book, START), Err(NotKept::Unfit(_))));
    keeper.append(&record(START, 4), &book, START).expect("room");
    keeper.flush().expect("room");
    assert_eq!((counted.written.get(), counted.failed.get()), (4, 0));
    assert_eq!(numbers(place.path()), [0, 1, 2, 4]);
}

#[tokio::test]
async fn lines_of_json_that_cannot_be_written_are_lost_records_where_they_are_all_there_is() {
    let place = TempDir::new().expect("a directory");
    let nowhere = Json::File(place.path().join("not/there.json"));
    let settings = Settings { directory: None, json: nowhere, ..settings(place.path()) };
    let metrics = metrics();
    let recorder = Recorder::start(settings, clock::system(), metrics.clone()).expect("a thread");
    for number in 0..3 {
        recorder.record(record(START, number), &Arc::new(book()));
    }
    recorder.flush().await;
    assert_eq!((metrics.written.get(), metrics.failed.get()), (0, 3));
}

#[test]
fn whoever_follows_sees_what_comes_and_nothing_twice() {
    let place = TempDir::new().expect("a directory");
    let mut keeper = kept(&settings(place.path()), 3);
    let mut archive = Archive::open(place.path()).expect("a directory");
    let mut mark = archive.end().expect("readable");
    let filter = Filter { symbols: vec!["ODD".to_owned()], ..Filter::default() };
    for (number, expected) in [(3, vec![3]), (4, vec![]), (5, vec![5])] {
        keeper.append(&record(START, number), &book().book().to_json(), START).expect("room");
        keeper.flush().expect("room");
        let news = archive.news(&mut mark, &filter).expect("readable");
        assert_eq!(news.iter().map(|found| found.record.id.random()).collect::<Vec<_>>(), expected);
        assert!(news.iter().all(|found| found.book.is_some()));
    }
    // In the next segment, too.
    keeper.append(&record(START, 7), &book().book().to_json(), START + 2 * DAY).expect("room");
    keeper.flush().expect("room");
    assert_eq!(archive.news(&mut mark, &filter).expect("readable").len(), 1);
    assert_eq!(archive.news(&mut mark, &filter).expect("readable").len(), 0);
}

proptest! {
    /// Whatever a filter wants, the index does not keep it from being read.
    #[test]
    fn an_index_never_hides_what_is_wanted(number in 0..60_u32, wanted in 0..60_u32, parts in any::<[bool; 6]>()) {
        let (record, like) = (record(START, number), record(START, wanted));
        let envelope = like.envelope.clone().expect("it");
        let pick = |at: usize| parts[at];
        let filter = Filter {
            client: pick(0).then(|| like.client.addr.into()),
            from: pick(1).then(|| Whose::of(&envelope.reverse_path)),
            to: pick(2).then(|| Whose::of(&envelope.recipients[0].forward_path.to_uppercase())),
            verdict: like.fate.verdict.filter(|_| pick(3)),
            symbols: like.all_symbols().filter(|_| pick(4)).map(str::to_owned).collect(),
            since: pick(5).then_some(START),
            ..Filter::default()
        };
        let entry = Entry::of_record(&record, 5, 6);
        prop_assert_eq!(Entry::of_octets(&entry.to_octets()), Some(entry));
        prop_assert!(!filter.holds(&record) || filter.sieve().lets_through(&entry));
    }
}
