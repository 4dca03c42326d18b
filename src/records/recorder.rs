//! The way of a record from a session to the disk: a bounded queue, and one thread behind it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::keeper::{Keeper, NotKept};
use super::output::Output;
use super::{Metrics, Record, Rulebook, Settings};
use crate::clock::Clock;

/// Records that are written together at most.
const TOGETHER: usize = 256;
/// How often age is looked at where nothing comes.
const TIDY_INTERVAL: Duration = Duration::from_secs(60);
/// Between two attempts at a directory that does not take records, and between two complaints.
const RETRY_INTERVAL: Duration = Duration::from_secs(10);

/// Takes records; dropping the last clone of it ends the thread that writes.
#[derive(Clone, Debug)]
pub struct Recorder {
    queue: SyncSender<Work>,
    /// Octets that may wait in it.
    most: u64,
    waiting: Arc<AtomicU64>,
    metrics: Metrics,
    wants_subjects: bool,
}

pub(super) enum Work {
    Write(Box<Record>, Arc<Written>, Waiting),
    /// Everything before it, now.
    Flush(oneshot::Sender<()>),
}

/// Octets of a record that waits; given back when it waits no more.
#[derive(Debug)]
pub(super) struct Waiting {
    octets: u64,
    of: Arc<AtomicU64>,
    metrics: Metrics,
}

/// A rulebook with its text and the digest of that.
#[derive(Debug)]
pub struct Written {
    book: Rulebook,
    json: Vec<u8>,
    digest: u64,
}

struct Writer {
    settings: Settings,
    metrics: Metrics,
    clock: Arc<dyn Clock>,
    keeper: Option<Keeper>,
    output: Output,
    /// When the directory failed, and was perhaps tried again.
    failed_at: Option<Instant>,
    complained_at: Option<Instant>,
    /// How many lost records have been complained about.
    mourned: u64,
    tidied_at: Instant,
}

impl Written {
    /// Writes it down, once for all records that name it.
    pub fn new(book: Rulebook) -> Self {
        let json = book.to_json();
        let digest = Rulebook::digest(&json);
        Self { book, json, digest }
    }

    /// What [`Judgement::book`](super::Judgement::book) is for its records.
    pub fn digest(&self) -> u64 {
        self.digest
    }

    /// The book.
    pub fn book(&self) -> &Rulebook {
        &self.book
    }
}

impl Waiting {
    fn new(octets: u64, of: Arc<AtomicU64>, metrics: Metrics) -> Self {
        of.fetch_add(octets, Ordering::Relaxed);
        metrics.waiting.inc();
        metrics.waiting_bytes.add(i64::try_from(octets).unwrap_or(i64::MAX));
        Self { octets, of, metrics }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.of.fetch_sub(self.octets, Ordering::Relaxed);
        self.metrics.waiting.dec();
        self.metrics.waiting_bytes.sub(i64::try_from(self.octets).unwrap_or(i64::MAX));
    }
}

impl Recorder {
    /// Starts the thread that writes.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(settings: Settings, clock: Arc<dyn Clock>, metrics: Metrics) -> std::io::Result<Self> {
        let (queue, work) = sync_channel(settings.queue.max(1));
        let wants_subjects = !settings.redact.subjects;
        let (most, waiting) = (settings.queue_memory.0, Arc::default());
        let recorder = Self { queue, most, waiting, metrics: metrics.clone(), wants_subjects };
        let output = Output::new(settings.json.clone());
        let writer = Writer {
            settings,
            metrics,
            clock,
            keeper: None,
            output,
            failed_at: None,
            complained_at: None,
            mourned: 0,
            tidied_at: Instant::now(),
        };
        std::thread::Builder::new().name("records".to_owned()).spawn(move || writer.run(&work))?;
        Ok(recorder)
    }

    /// Puts what it takes into that queue.
    #[cfg(test)]
    pub(super) fn into_queue(queue: SyncSender<Work>, most: u64, metrics: Metrics) -> Self {
        Self { queue, most, waiting: Arc::default(), metrics, wants_subjects: false }
    }

    /// True if records are to have subjects.
    pub fn wants_subjects(&self) -> bool {
        self.wants_subjects
    }

    /// Takes a record, never waits. Where too many wait, it is lost and counted.
    pub fn record(&self, record: Record, book: &Arc<Written>) {
        let waiting = Waiting::new(record.octets(), self.waiting.clone(), self.metrics.clone());
        let is_too_much = self.waiting.load(Ordering::Relaxed) > self.most;
        let work = Work::Write(Box::new(record), book.clone(), waiting);
        // What is not taken is dropped here, and waits no more.
        if is_too_much || self.queue.try_send(work).is_err() {
            self.metrics.dropped.inc();
        }
    }

    /// Returns when everything that was taken before is written, or lost.
    pub async fn flush(&self) {
        let (done, told) = oneshot::channel();
        let queue = self.queue.clone();
        // The queue may be full; a session would not wait for it, whoever ends the process does.
        let sent = tokio::task::spawn_blocking(move || queue.send(Work::Flush(done)).is_ok()).await;
        if matches!(sent, Ok(true)) {
            // An error: the thread has ended, and with it everything is written.
            let _ = told.await;
        }
    }
}

impl Writer {
    fn run(mut self, work: &Receiver<Work>) {
        // At once, so that what a crash tore is mended, and trouble told, before the first mail.
        self.open();
        loop {
            match work.recv_timeout(TIDY_INTERVAL) {
                Ok(first) => self.work(first, work),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if self.tidied_at.elapsed() >= TIDY_INTERVAL {
                let now = self.now();
                self.keeper.as_mut().into_iter().for_each(|keeper| keeper.tidy(now));
                self.tidied_at = Instant::now();
            }
        }
    }

    fn work(&mut self, first: Work, rest: &Receiver<Work>) {
        let began = Instant::now();
        let (mut taken, mut waiting) = (0, Vec::new());
        let mut next = Ok(first);
        while let Ok(work) = next {
            match work {
                Work::Write(record, book, waiting) => {
                    drop(waiting);
                    self.take(*record, &book);
                    taken += 1;
                }
                Work::Flush(done) => waiting.push(done),
            }
            next = if taken < TOGETHER { rest.try_recv() } else { Err(TryRecvError::Empty) };
        }
        self.write(taken);
        for done in waiting {
            // Who does not wait any more need not be told.
            let _ = done.send(());
        }
        self.metrics.seconds.observe(began.elapsed().as_secs_f64());
        let dropped = self.metrics.dropped.get();
        if dropped > self.mourned {
            self.complain(&format!("{} records because too many waited", dropped - self.mourned));
            self.mourned = dropped;
        }
    }

    /// Takes one record in.
    fn take(&mut self, mut record: Record, book: &Written) {
        self.settings.redact.apply(&mut record);
        self.output.take(&record, &book.book);
        if self.settings.directory.is_none() {
            return;
        }
        self.open();
        let now = self.now();
        let Some(keeper) = &mut self.keeper else { return self.metrics.failed.inc() };
        match keeper.append(&record, &book.json, now) {
            Ok(()) => {}
            Err(NotKept::Unfit(why)) => {
                self.metrics.failed.inc();
                self.complain(&format!("{}: {why}", record.id));
            }
            Err(NotKept::Disk(why)) => {
                self.metrics.failed.inc();
                self.give_up(&why);
            }
        }
    }

    /// Writes what was `taken`: the keeper counts what becomes of it in the directory, and so lines of JSON count as
    /// written where they are all there is.
    fn write(&mut self, taken: usize) {
        if let Some(Err(why)) = self.keeper.as_mut().map(Keeper::flush) {
            self.give_up(&why);
        }
        if let Err(why) = self.output.flush() {
            self.metrics.failed.inc_by(taken as u64);
            self.complain(&format!("lines of JSON: {why}"));
        } else if self.settings.directory.is_none() {
            self.metrics.written.inc_by(taken as u64);
        }
    }

    fn open(&mut self) {
        let Some(directory) = self.settings.directory.clone().filter(|_| self.keeper.is_none()) else { return };
        if self.failed_at.is_some_and(|failed| failed.elapsed() < RETRY_INTERVAL) {
            return;
        }
        match Keeper::open(&directory, &self.settings, self.metrics.clone(), self.now()) {
            Ok(keeper) => {
                self.keeper = Some(keeper);
                self.failed_at = None;
            }
            Err(why) => self.give_up(&in_directory(&directory, &why)),
        }
    }

    fn give_up(&mut self, why: &dyn std::fmt::Display) {
        self.keeper = None;
        self.failed_at = Some(Instant::now());
        self.complain(&why.to_string());
    }

    fn complain(&mut self, why: &str) {
        if self.complained_at.is_none_or(|at| at.elapsed() >= RETRY_INTERVAL) {
            self.complained_at = Some(Instant::now());
            tracing::warn!(why, "records.lost");
        }
    }

    fn now(&self) -> u64 {
        let since = self.clock.now().duration_since(std::time::UNIX_EPOCH);
        since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}

fn in_directory(directory: &Path, why: &std::io::Error) -> String {
    format!("{}: {why}", directory.display())
}
