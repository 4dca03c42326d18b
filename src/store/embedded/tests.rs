//! What only a file can do: outlive a process, be taken, be damaged, fail.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redb::backends::InMemoryBackend;
use redb::{Builder, StorageBackend};
use tempfile::TempDir;

use super::super::battery::{Hands, batches, day, hops, metrics, observation, sighting};
use super::super::{
    Block, Blocked, Blocks, Deliveries, DeliveryKey, Holder, Lesson, LessonId, Reputations, Reputed, SightingKind,
    Taught, Teachings, open_between,
};
use super::*;
use crate::similarity::{Content, Digest};

fn settings(path: &Path) -> Settings {
    Settings { path: Some(path.to_owned()), ..Settings::default() }
}

fn embedded(path: &Path) -> Result<EmbeddedStore, OpenError> {
    EmbeddedStore::open(path, &settings(path), Hands::at(day(1)), metrics())
}

fn forwarded(author: &str) -> Sighting {
    sighting("hop.example", author, SightingKind::Forwarded, day(0))
}

#[tokio::test]
async fn what_was_remembered_is_there_after_a_restart() {
    let directory = TempDir::new().expect("a temporary directory");
    let path = directory.path().join("store.redb");
    let store = embedded(&path).expect("a new file");
    store.sighted(forwarded("a.example")).await.expect("queued");
    store.dmarc_observed(observation("a.example", "192.0.2.1", day(0))).await.expect("queued");
    drop(store);
    let store = embedded(&path).expect("closed by its drop");
    store.sighted(forwarded("b.example")).await.expect("queued");
    store.dmarc_observed(observation("a.example", "192.0.2.1", day(0))).await.expect("queued");
    let due = batches(&store, day(1)).await;
    assert_eq!(due[0].rows, [(observation("a.example", "192.0.2.1", day(0)).row, 2)]);
    store.dmarc_done(due[0].id).await.expect("forgotten");
    drop(store);
    let hops = hops_in(&path, &settings(&path), WantedHops::ALL, day(1)).expect("nobody has it open");
    assert_eq!((hops[0].counts, hops[0].author_domains.len()), ([2, 0, 0, 0], 2));
    let store = embedded(&path).expect("closed");
    assert_eq!(store.dmarc_due(day(2)).await.expect("readable"), [0; 0]);
}

#[tokio::test]
async fn who_is_blocked_is_so_after_a_restart() {
    let directory = TempDir::new().expect("a temporary directory");
    let path = directory.path().join("store.redb");
    let (alice, bob) = (Blocked::user("alice"), Blocked::user("bob"));
    let block = |until| Block { since: day(0), until, why: "stolen".to_owned() };
    let store = embedded(&path).expect("a new file");
    store.block(alice.clone(), block(None)).await.expect("written");
    store.block(bob.clone(), block(Some(day(1)))).await.expect("written");
    drop(store);
    let store = embedded(&path).expect("closed by its drop");
    assert_eq!(store.blocks(day(0)), [(alice.clone(), block(None)), (bob, block(Some(day(1))))]);
    assert_eq!(store.unblock(alice).await, Ok(true));
    drop(store);
    assert_eq!(embedded(&path).expect("closed by its drop").blocks(day(1)), []);
}

#[tokio::test]
async fn whoever_is_blocked_on_file_alone_can_be_let_go() {
    let directory = TempDir::new().expect("a temporary directory");
    let path = directory.path().join("store.redb");
    let alice = Blocked::user("alice");
    let store = embedded(&path).expect("a new file");
    store.block(alice.clone(), Block { since: day(0), until: None, why: String::new() }).await.expect("written");
    // As after a removal that the disk did not take.
    assert!(store.blocked.unblock(&alice));
    assert_eq!(store.unblock(alice.clone()).await, Ok(true));
    assert_eq!(store.unblock(alice).await, Ok(false));
    drop(store);
    assert_eq!(embedded(&path).expect("closed by its drop").blocks(day(0)), []);
}

#[tokio::test]
async fn campaigns_and_what_they_are_found_by_are_there_after_a_restart() {
    let directory = TempDir::new().expect("a temporary directory");
    let path = directory.path().join("store.redb");
    let store = embedded(&path).expect("a new file");
    let fingerprint = |store: &EmbeddedStore, word: &str, attachment| {
        let text: String =
            (b'a'..=b'z').map(|letter| format!("{word}{}q ", char::from(letter).to_string().repeat(3))).collect();
        let content = Content { text: &text, ..Content::default() };
        Fingerprint { digest: Digest::of(&content, store.campaign_key()), attachments: vec![attachment] }
    };
    let known = fingerprint(&store, "pills", 5);
    let named = store.campaign_learn(known.clone(), Learned::Spam, day(1)).await.expect("learned");
    drop(store);
    let store = embedded(&path).expect("closed by its drop");
    store.loaded().await;
    assert_eq!(fingerprint(&store, "pills", 5), known, "the key is the same");
    for (word, attachment, by_attachment) in [("pills", 1, false), ("other", 5, true)] {
        let found = store.campaign_look(&fingerprint(&store, word, attachment), day(1)).await.expect("readable");
        let found = found.expect("known");
        assert_eq!((found.id, found.spam, found.by_attachment), (named, 1, by_attachment));
    }
    drop(store);
    // With less room than before, what has none is forgotten on disk, too.
    let settings = Settings { digests: 1, ..settings(&path) };
    for _ in 0..2 {
        let store = EmbeddedStore::open(&path, &settings, Hands::at(day(1)), metrics()).expect("closed");
        store.loaded().await;
        assert_eq!(store.campaigns.counts().0.digests, 1);
    }
}

#[tokio::test]
async fn triplets_and_their_secret_are_there_after_a_restart() {
    let directory = TempDir::new().expect("a temporary directory");
    let path = directory.path().join("store.redb");
    let holder = Holder::network([192, 0, 2, 0].into());
    let key =
        |store: &EmbeddedStore, sender: &str| TripletKey::new(&store.greylist_secret(), holder, sender, "b@c.example");
    let store = embedded(&path).expect("a new file");
    let [kept, dropped] = ["a@x.example", "b@x.example"].map(|sender| key(&store, sender));
    let attempt = TripletEvent::Attempt(Duration::from_secs(3600));
    store.greylist_note(vec![(kept, attempt), (dropped, attempt)], day(0)).await.expect("noted");
    store.greylist_note(vec![(dropped, TripletEvent::Drop)], day(0)).await.expect("noted");
    drop(store);
    let store = embedded(&path).expect("the same file");
    assert_eq!(key(&store, "a@x.example"), kept);
    let known = store.greylist_look(&[kept, dropped], day(0)).await.expect("readable");
    assert_eq!(known.iter().map(|record| record.map(|record| record.attempts)).collect::<Vec<_>>(), [Some(1), None]);
    drop(store);
    // With less room than there is in the file.
    let cramped = Settings { triplets: 4, ..settings(&path) };
    let fill = embedded(&path).expect("the same file");
    let many = (0..9).map(|number| (key(&fill, &format!("{number}@x.example")), attempt));
    fill.greylist_note(many.collect(), day(0)).await.expect("noted");
    drop(fill);
    let wanted = WantedTriplets { waiting: false, most: 99 };
    let store = EmbeddedStore::open(&path, &cramped, Hands::at(day(0)), metrics()).expect("the same file");
    assert_eq!(store.greylist_list(wanted, day(0)).await.expect("readable").len(), 4);
    drop(store);
    let store = embedded(&path).expect("the same file");
    assert_eq!(store.greylist_list(wanted, day(0)).await.expect("readable").len(), 4);
}

#[tokio::test]
async fn deliveries_are_there_after_a_restart() {
    let directory = TempDir::new().expect("a temporary directory");
    let path = directory.path().join("store.redb");
    let keys = [1, 2, 3].map(|number| DeliveryKey::new(&[number], "a@sender.example", "b@ours.example"));
    let hour = Duration::from_secs(3600);
    let store = embedded(&path).expect("a new file");
    store.delivered_note(keys.to_vec(), hour, day(0)).await.expect("noted");
    store.delivered_drop(keys[..1].to_vec()).await.expect("dropped");
    drop(store);
    let store = embedded(&path).expect("closed by its drop");
    assert_eq!(store.delivered_look(&keys, day(0)).await, Ok(vec![false, true, true]));
    drop(store);
    let cramped = Settings { deliveries: 1, ..settings(&path) };
    for _ in 0..2 {
        let store = EmbeddedStore::open(&path, &cramped, Hands::at(day(0)), metrics()).expect("closed");
        let kept = store.delivered_look(&keys, day(0)).await.expect("readable");
        assert_eq!(kept.iter().filter(|kept| **kept).count(), 1);
    }
}

#[tokio::test]
async fn reputations_are_there_after_a_restart() {
    let directory = TempDir::new().expect("a temporary directory");
    let path = directory.path().join("store.redb");
    let fading = Fading::default();
    let domain = |name: &str| Reputed::Domain(name.into());
    let pair = Reputed::Pair("a.example".into(), "192.0.2.0/24".into());
    let store = embedded(&path).expect("a new file");
    store.reputation_note(vec![domain("a.example"), pair.clone()], 0.0, 1.0, fading, day(0)).await.expect("noted");
    store.reputation_note(vec![domain("b.example")], 1.0, 0.0, fading, day(0)).await.expect("noted");
    assert_eq!(store.reputation_reset(vec![domain("b.example")]).await, Ok(1));
    drop(store);
    let store = embedded(&path).expect("the same file");
    let listed = store.reputation_list(9, fading, day(0)).await.expect("readable");
    let listed: Vec<_> = listed.into_iter().map(|(whose, record)| (whose, record.good, record.bad)).collect();
    assert_eq!(listed.len(), 2);
    assert!(listed.contains(&(pair, 0.0, 1.0)) && listed.contains(&(domain("a.example"), 0.0, 1.0)), "{listed:?}");
    for number in 0..9 {
        let whose = vec![domain(&format!("{number}.example"))];
        store.reputation_note(whose, 1.0, 0.0, fading, day(0)).await.expect("noted");
    }
    drop(store);
    // With less room than there is in the file.
    let cramped = Settings { reputations: 4, ..settings(&path) };
    for settings in [cramped, settings(&path)] {
        let store = EmbeddedStore::open(&path, &settings, Hands::at(day(0)), metrics()).expect("the same file");
        assert_eq!(store.reputation_list(99, fading, day(0)).await.expect("readable").len(), 4);
    }
}

#[tokio::test]
async fn a_second_process_is_told_that_the_file_is_taken() {
    let directory = TempDir::new().expect("a temporary directory");
    let path = directory.path().join("store.redb");
    let first = embedded(&path).expect("a new file");
    let second = embedded(&path).err().expect("it is taken");
    assert!(matches!(&second, OpenError::InUse(taken) if *taken == path), "{second}");
    assert!(second.to_string().contains("open in another process"), "{second}");
    assert!(matches!(hops_in(&path, &settings(&path), WantedHops::ALL, day(0)), Err(OpenError::InUse(_))));
    first.sighted(forwarded("a.example")).await.expect("the first goes on");
    assert_eq!(hops(&first).await.len(), 1);
}

#[tokio::test]
async fn a_file_that_cannot_be_used_is_a_warning_and_memory_takes_its_place() {
    let directory = TempDir::new().expect("a temporary directory");
    let damaged = directory.path().join("damaged.redb");
    std::fs::write(&damaged, b"this is no database, ".repeat(1000)).expect("writable");
    let taken = directory.path().join("taken.redb");
    let _owner = embedded(&taken).expect("a new file");
    for path in [damaged, taken, directory.path().to_owned(), directory.path().join("no/such/place")] {
        let metrics = metrics();
        let store = open_between(&settings(&path), Hands::at(day(0)), metrics.clone(), &mut || ());
        assert_eq!(metrics.durable.get(), 0, "{}", path.display());
        store.sighted(forwarded("a.example")).await.expect("counted");
        assert_eq!(hops(&*store).await.len(), 1, "{}", path.display());
    }
    let metrics = metrics();
    let good = directory.path().join("good.redb");
    let _store = open_between(&settings(&good), Hands::at(day(0)), metrics.clone(), &mut || ());
    assert_eq!(metrics.durable.get(), 1);
}

#[test]
fn a_file_that_is_taken_for_a_moment_is_waited_for() {
    let directory = TempDir::new().expect("a temporary directory");
    let path = directory.path().join("store.redb");
    let (mut owner, metrics) = (embedded(&path).ok(), metrics());
    let _store = open_between(&settings(&path), Hands::at(day(0)), metrics.clone(), &mut || owner = None);
    assert_eq!(metrics.durable.get(), 1);
}

#[tokio::test]
async fn a_look_from_outside_writes_nothing() {
    let directory = TempDir::new().expect("a temporary directory");
    let path = directory.path().join("store.redb");
    let store = embedded(&path).expect("a new file");
    store.sighted(forwarded("a.example")).await.expect("queued");
    drop(store);
    let before = std::fs::read(&path).expect("readable");
    assert_eq!(hops_in(&path, &settings(&path), WantedHops::ALL, day(1)).expect("nobody has it open").len(), 1);
    assert!(std::fs::read(&path).expect("readable") == before);
}

#[tokio::test]
async fn a_file_whose_making_was_cut_short_is_made_anew() {
    let directory = TempDir::new().expect("a temporary directory");
    let path = directory.path().join("store.redb");
    drop(embedded(&path).expect("a new file"));
    // The header without its mark, nothing behind it.
    let mut octets = std::fs::read(&path).expect("readable");
    octets[..9].fill(0);
    octets[4096..].fill(0);
    for unfinished in [octets.clone(), vec![0; octets.len()], vec![0; 5]] {
        std::fs::write(&path, unfinished).expect("writable");
        let store = embedded(&path).expect("as if it were new");
        store.sighted(forwarded("a.example")).await.expect("queued");
        assert_eq!(hops(&store).await.len(), 1);
    }
    // What may be somebody's is left alone.
    octets[5000] = 1;
    std::fs::write(&path, &octets).expect("writable");
    assert!(matches!(embedded(&path), Err(OpenError::Unusable { .. })));
    assert!(std::fs::read(&path).expect("readable") == octets);
}

#[cfg(unix)]
#[test]
fn the_file_is_nobody_elses_to_read() {
    use std::os::unix::fs::PermissionsExt;
    let directory = TempDir::new().expect("a temporary directory");
    let path = directory.path().join("store.redb");
    let _store = embedded(&path).expect("a new file");
    let mode = std::fs::metadata(&path).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(hops_in(&directory.path().join("none.redb"), &settings(&path), WantedHops::ALL, day(0)).is_err());
    assert!(!directory.path().join("none.redb").exists(), "looking makes nothing");
}

/// A disk that can be full.
#[derive(Clone, Debug)]
struct Disk {
    octets: Arc<InMemoryBackend>,
    full: Arc<AtomicBool>,
}

impl Disk {
    fn has_room(&self) -> std::io::Result<()> {
        match self.full.load(Ordering::Relaxed) {
            true => Err(std::io::ErrorKind::StorageFull.into()),
            false => Ok(()),
        }
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> std::io::Result<u64> {
        self.octets.len()
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> std::io::Result<()> {
        self.octets.read(offset, out)
    }
    fn set_len(&self, len: u64) -> std::io::Result<()> {
        self.has_room()?;
        self.octets.set_len(len)
    }
    fn sync_data(&self) -> std::io::Result<()> {
        self.has_room()
    }
    fn write(&self, offset: u64, data: &[u8]) -> std::io::Result<()> {
        self.has_room()?;
        self.octets.write(offset, data)
    }
}

#[test]
fn a_full_disk_costs_memory_and_heals() {
    let disk = Disk { octets: Arc::default(), full: Arc::default() };
    let opened = disk.clone();
    let file = File::over(Path::new("disk"), Box::new(move || Builder::new().create_with_backend(opened.clone())));
    let clock: Arc<dyn Clock> = Hands::at(day(1));
    let mut writer = Writer {
        file: Arc::new(file.expect("an empty disk")),
        bounds: Bounds::from(&Settings::default()),
        clock,
        metrics: metrics(),
        ledger: None,
        failed_at: None,
    };
    let order = || [Order { work: Work::Sighted(forwarded("a.example")), committed: None }];
    let counted = |writer: &Writer| {
        let hops = writer.file.read(|tables| tables.hops()).expect("readable");
        hops.iter().map(|(_, hop)| hop.forwarded()).sum::<u64>()
    };
    assert_eq!(writer.write(&order()), Ok(vec![Outcome::Ok]));
    disk.full.store(true, Ordering::Relaxed);
    assert!(writer.write(&order()).is_err());
    assert!(writer.write(&order()).is_err(), "it is not tried at each operation");
    disk.full.store(false, Ordering::Relaxed);
    let long_ago = Instant::now().checked_sub(Duration::from_secs(60)).expect("the machine runs for a minute");
    writer.failed_at = Some(long_ago);
    assert_eq!(writer.write(&order()), Ok(vec![Outcome::Ok]));
    assert_eq!((counted(&writer), writer.failed_at), (2, None), "what was there is there, what failed is lost");
}

#[tokio::test]
async fn a_full_queue_is_busy_and_waits_for_nobody() {
    // A writer that never comes to write.
    let (orders, ordered) = sync_channel(2);
    let (clock, metrics): (Arc<dyn Clock>, _) = (Hands::at(day(1)), metrics());
    let bounds = Bounds::from(&Settings::default());
    let writing = Mutex::new(channel().1);
    let triplets = Triplets::new(10, &[0; 32], [], clock.now());
    let reputables = Reputables::new(10, [], Fading::default(), clock.now());
    let buckets = Buckets::new(1000);
    let campaigns = Arc::new(LocalCampaigns::new(0, &Settings::default(), [], clock.now()));
    let (file, orders, loading) = (None, Some(orders), None);
    let store = EmbeddedStore {
        bounds,
        clock,
        metrics: metrics.clone(),
        file,
        orders,
        triplets,
        buckets,
        reputables,
        campaigns,
        teachbook: Teachbook::new(10, []),
        delivered: Delivered::new(10, Vec::new()),
        blocked: BlockTable::default(),
        loading,
        writing,
    };
    let sighted = async || store.sighted(forwarded("a.example")).await;
    assert_eq!((sighted().await, sighted().await), (Ok(()), Ok(())));
    assert_eq!((sighted().await, metrics.queue.get()), (Err(StoreError::Busy), 2));
    assert_eq!(store.flush().await, Err(StoreError::Busy));
    drop(ordered);
    assert!(matches!(sighted().await, Err(StoreError::Unavailable(_))));
    assert!(matches!(store.flush().await, Err(StoreError::Unavailable(_))));
}

/// Says how many it has flushed, until it is killed.
#[test]
#[ignore = "the child of the test below"]
fn writes_until_it_is_killed() {
    let Some(path) = std::env::var_os("GATEPOST_TEST_STORE") else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let store = embedded(Path::new(&path)).expect("nobody has it open");
        for number in 1_u64.. {
            store.sighted(forwarded("a.example")).await.expect("queued");
            if number.is_multiple_of(7) {
                store.flush().await.expect("on disk");
                println!("flushed {number}");
                std::io::stdout().flush().expect("the parent reads");
            }
        }
    });
}

#[test]
fn what_was_flushed_survives_a_kill_at_any_moment() {
    let directory = TempDir::new().expect("a temporary directory");
    let path = directory.path().join("store.redb");
    let mut least = 0;
    for round in 1..6 {
        let mut child = Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", "store::embedded::tests::writes_until_it_is_killed", "--ignored", "--nocapture"])
            .env("GATEPOST_TEST_STORE", &path)
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut said = BufReader::new(child.stdout.take().expect("piped")).lines();
        let mut flushed = || loop {
            let line = said.next().expect("it writes until it is killed").expect("text");
            if let Some((_, number)) = line.split_once("flushed ") {
                return number.parse::<u64>().expect("a number");
            }
        };
        (0..round * 3).for_each(|_| _ = flushed());
        least += flushed();
        child.kill().expect("it runs");
        child.wait().expect("it is dead");
        let hops = hops_in(&path, &settings(&path), WantedHops::ALL, day(1)).expect("it opens after a kill");
        assert!(hops[0].counts[0] >= least, "{} of at least {least}", hops[0].counts[0]);
        least = hops[0].counts[0];
    }
}

#[tokio::test]
async fn what_was_exported_is_imported_as_it_was() {
    let directory = TempDir::new().expect("a temporary directory");
    let [path, other] = ["store.redb", "other.redb"].map(|name| directory.path().join(name));
    let store = embedded(&path).expect("a new file");
    store.sighted(forwarded("a.example")).await.expect("queued");
    store.dmarc_observed(observation("a.example", "192.0.2.1", day(0))).await.expect("queued");
    let key = |store: &EmbeddedStore| {
        let holder = Holder::network([192, 0, 2, 0].into());
        TripletKey::new(&store.greylist_secret(), holder, "a@x.example", "b@c.example")
    };
    let known = key(&store);
    let attempt = TripletEvent::Attempt(Duration::from_secs(3600));
    store.greylist_note(vec![(known, attempt)], day(0)).await.expect("noted");
    store.flush().await.expect("written");
    let info = store.info().await.expect("readable");
    drop(store);

    let mut text = Vec::new();
    // A hop, a report with its row, a triplet, and two secrets.
    assert_eq!(export(&path, &mut text).expect("readable"), 6);
    assert_eq!(import(&other, &mut &*text, false).expect("a new file"), 6);
    let mut again = Vec::new();
    export(&other, &mut again).expect("readable");
    assert_eq!(String::from_utf8_lossy(&again), String::from_utf8_lossy(&text));
    let entries = |info: &Info| info.tables.iter().map(|table| (table.name.clone(), table.entries)).collect::<Vec<_>>();
    assert_eq!(entries(&info_of(&other).expect("readable")), entries(&info));
    let store = embedded(&other).expect("the same file");
    assert_eq!(key(&store), known);
    assert_eq!(hops(&store).await.len(), 1);
    assert!(store.greylist_look(&[known], day(0)).await.expect("readable")[0].is_some());
    assert!(matches!(export(&other, &mut Vec::new()), Err(ArchiveError::Closed(OpenError::InUse(_)))));
    drop(store);

    let octets = |path: &Path| std::fs::metadata(path).expect("there").len();
    let Compacted { before, after } = compact(&other).expect("nobody has it open");
    assert!(after <= before && octets(&other) <= before, "{before} {after} {}", octets(&other));
}

#[test]
fn what_was_not_exported_is_not_imported() {
    let directory = TempDir::new().expect("a temporary directory");
    let path = directory.path().join("store.redb");
    let head = r#"{"format":"gatepost-store","version":1}"#;
    let hop = r#"{"table":"hops.v1","key":"YQ==","value":"Yg=="}"#;
    let end = r#"{"entries":1}"#;
    for (lines, expected) in [
        (vec![], "line 1: this is no export of a store"),
        (vec!["From: a@x.example"], "line 1: this is no line of an export"),
        (vec![r#"{"format":"other","version":1}"#], "line 1: this is no export of a store"),
        (vec![r#"{"format":"gatepost-store","version":2}"#], "line 1: it was exported by a later release"),
        (vec![head, hop], "line 3: the end is missing: it was cut short"),
        (vec![head, &hop[..20]], "line 2: this is no line of an export"),
        (vec![head, hop, head], "line 3: here begins another export"),
        (vec![head, hop, hop, end], "line 4: 1 entries were exported, here are 2"),
        (vec![head, r#"{"table":"x","key":"","value":""}"#], "line 2: there is no table \"x\""),
        (vec![head, r#"{"table":"hops.v1","key":"?","value":""}"#], "line 2: invalid"),
        (vec![head, r#"{"table":"hops.v1","key":"//8=","value":""}"#], "line 2: this is no entry of hops.v1"),
        (
            vec![head, r#"{"table":"greylist.v1","key":"YQ==","value":""}"#],
            "line 2: an entry of greylist.v1 has another length",
        ),
    ] {
        let text = lines.iter().map(|line| format!("{line}\n")).collect::<String>();
        let said = import(&path, &mut text.as_bytes(), false).expect_err(&text).to_string();
        assert!(said.starts_with(expected), "{text}{said}");
        assert!(info_of(&path).expect("readable").tables.iter().all(|table| table.entries == 0), "{text}");
    }
    let text = [head, hop, end].map(|line| format!("{line}\n")).concat();
    assert_eq!(import(&path, &mut text.as_bytes(), false).expect("nothing is there"), 1);
    assert!(matches!(import(&path, &mut text.as_bytes(), false), Err(ArchiveError::NotEmpty(1))));
    assert_eq!(import(&path, &mut text.as_bytes(), true).expect("it may be replaced"), 1);
}

#[tokio::test]
async fn what_was_taught_is_there_after_a_restart() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("store");
    let open = || EmbeddedStore::open(&path, &Settings::default(), Hands::at(day(0)), metrics()).expect("opened");
    let cells = vec![3, 70_000, 1_000_000];
    let lesson = |id, is_spam| Lesson { id: LessonId(id), is_spam, cells: cells.clone() };
    let (weighed, count) = {
        let store = open();
        for number in 0..20 {
            store.classifier_learn(lesson(number, number % 3 == 0), day(0)).await.expect("written");
        }
        store.classifier_unlearn(LessonId(3), cells.clone()).await.expect("written");
        (store.classifier_weigh(&cells).await, store.classifier_count().await)
    };
    let store = open();
    assert_eq!((store.classifier_weigh(&cells).await, store.classifier_count().await), (weighed, count));
    assert_eq!(store.classifier_learn(lesson(6, true), day(1)).await, Ok(Taught::Again));
}

#[tokio::test]
async fn what_an_earlier_release_was_taught_is_forgotten() {
    const OUTDATED: redb::TableDefinition<'_, u32, (i32, u32)> = redb::TableDefinition::new("classifier_cells.v2");
    let directory = TempDir::new().expect("a temporary directory");
    let path = directory.path().join("store.redb");
    let database = Builder::new().create(&path).expect("a new file");
    let transaction = database.begin_write().expect("open");
    transaction.open_table(OUTDATED).expect("a new table").insert(7, (1, 1)).expect("written");
    transaction.commit().expect("written");
    drop(database);
    let store = embedded(&path).expect("closed");
    assert_eq!(store.classifier_count().await.expect("readable").cells, 0);
    drop(store);
    let database = Builder::new().open(&path).expect("closed by its drop");
    let tables = redb::ReadableDatabase::begin_read(&database).expect("open");
    assert!(tables.open_table(OUTDATED).is_err());
}
