//! Where a message stays while it is judged: memory up to a bound, then an unlinked temporary file.
//!
//! Both are bounded per message and over all sessions; nothing survives the process. The file is
//! made, written and read by the blocking pool, never on a reactor thread.

use std::io::{self, SeekFrom};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntGaugeVec, Opts};
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};

use crate::facts::Rest;
use crate::units::ByteSize;

/// What an administrator can set about the spool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where temporary files are made; they have no name.
    pub directory: PathBuf,
    /// Octets of one message in memory.
    pub message_memory: ByteSize,
    /// Octets of all messages in memory.
    pub total_memory: ByteSize,
    /// Octets of all temporary files.
    pub total_disk: ByteSize,
}

/// The bounds that all sessions share.
#[derive(Debug)]
pub struct Spool {
    settings: Settings,
    memory: Arc<AtomicU64>,
    disk: Arc<AtomicU64>,
}

/// How full a spool is, whenever somebody looks.
struct Fill {
    spool: Arc<Spool>,
    used: IntGaugeVec,
    room: IntGaugeVec,
}

/// One message on its way in.
#[derive(Debug)]
pub struct Draft {
    spool: Arc<Spool>,
    /// What is in memory; new octets are appended by the decoder, then [`Draft::settle`] accounts for them.
    pub memory: Vec<u8>,
    held: Share,
    overflow: Option<Overflow>,
    len: u64,
}

/// The part of a message that is in a file.
#[derive(Debug)]
pub struct Overflow {
    file: File,
    len: u64,
    _held: Share,
}

/// What is in the file, from its beginning, block by block.
#[derive(Debug)]
pub struct Blocks<'o> {
    overflow: &'o mut Overflow,
    buffer: Vec<u8>,
}

/// A second handle of an overflow file.
#[derive(Debug)]
struct Reader(std::fs::File);

/// A share of a bound, given back on drop.
#[derive(Debug)]
struct Share {
    total: Arc<AtomicU64>,
    octets: u64,
}

/// Why a message cannot be taken for now (452 4.3.1).
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// The bounds are reached.
    #[error("spool full")]
    Full,
    /// The disk failed us.
    #[error("spool: {0}")]
    Io(#[from] io::Error),
}

/// Octets of a file that are read at a time.
pub(super) const BLOCK: usize = 256 * 1024;
/// Kept in memory however full it is, so that a message always has room for its header section.
const MINIMUM: u64 = 64 * 1024;

impl Spool {
    /// With these bounds; nothing is made before a message needs it.
    pub fn new(settings: Settings) -> Arc<Self> {
        Arc::new(Self { settings, memory: Arc::default(), disk: Arc::default() })
    }

    /// Shows how full it is.
    ///
    /// # Errors
    /// If that is shown already.
    pub fn register(self: &Arc<Self>, registry: &prometheus::Registry) -> prometheus::Result<()> {
        let gauge = |name: &str, help: &str| IntGaugeVec::new(Opts::new(name, help), &["place"]);
        registry.register(Box::new(Fill {
            spool: self.clone(),
            used: gauge("gatepost_spool_bytes", "Octets of messages that wait for their verdict, by place.")?,
            room: gauge("gatepost_spool_limit_bytes", "Octets of messages that may wait for their verdict, by place.")?,
        }))
    }

    /// Octets of one message that may stay in memory.
    pub fn message_memory(&self) -> u64 {
        self.settings.message_memory.0.max(MINIMUM)
    }

    /// Octets of messages in memory now.
    pub fn memory_used(&self) -> u64 {
        self.memory.load(Ordering::Relaxed)
    }

    /// Octets in temporary files now.
    pub fn disk_used(&self) -> u64 {
        self.disk.load(Ordering::Relaxed)
    }

    /// A new message; `expected` octets if the client declared its size.
    pub fn draft(self: &Arc<Self>, expected: Option<u64>) -> Draft {
        let room = expected.map_or(0, |expected| expected.min(self.settings.message_memory.0));
        Draft {
            spool: self.clone(),
            memory: Vec::with_capacity(usize::try_from(room.min(1 << 20)).unwrap_or_default()),
            held: Share { total: self.memory.clone(), octets: 0 },
            overflow: None,
            len: 0,
        }
    }
}

impl Collector for Fill {
    fn desc(&self) -> Vec<&Desc> {
        [self.used.desc(), self.room.desc()].concat()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let (spool, settings) = (&self.spool, &self.spool.settings);
        for (place, used, room) in [
            ("memory", spool.memory_used(), settings.total_memory.0),
            ("disk", spool.disk_used(), settings.total_disk.0),
        ] {
            let octets = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
            self.used.with_label_values(&[place]).set(octets(used));
            self.room.with_label_values(&[place]).set(octets(room));
        }
        [self.used.collect(), self.room.collect()].concat()
    }
}

impl Draft {
    /// Octets so far.
    pub fn len(&self) -> u64 {
        self.len + self.unsettled()
    }

    /// True if there is nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn in_memory(&self) -> u64 {
        self.len - self.overflow.as_ref().map_or(0, |overflow| overflow.len)
    }

    fn unsettled(&self) -> u64 {
        self.memory.len() as u64 - self.in_memory()
    }

    /// True if [`Draft::settle`] has work to do: call it then before appending more.
    pub fn wants_settling(&self) -> bool {
        self.overflow.is_some() || self.unsettled() >= 16 * 1024
    }

    /// Room for `more` octets. A message that grows grows fourfold: what is reserved and never touched costs
    /// nothing, what is moved costs time.
    pub fn make_room(&mut self, more: usize) {
        let used = self.memory.len();
        if self.memory.capacity() - used < more {
            let bound = self.spool.settings.message_memory.as_usize();
            self.memory.reserve_exact(more.max((used * 3).min(bound.saturating_sub(used))));
        }
    }

    /// Accounts for what was appended, and moves what is over the bounds to the file.
    ///
    /// # Errors
    /// If the bounds or the disk are exhausted; the draft is of no use then.
    pub async fn settle(&mut self) -> Result<(), SpoolError> {
        let new = self.unsettled();
        if new == 0 {
            return Ok(());
        }
        let mut settled = self.in_memory();
        self.len += new;
        if self.overflow.is_none() {
            let total = self.memory.len() as u64;
            let kept = self.keep_in_memory(total, settled);
            if kept == total {
                return Ok(());
            }
            settled = kept;
            let directory = self.spool.settings.directory.clone();
            let made = tokio::task::spawn_blocking(move || tempfile::tempfile_in(directory)).await;
            let file = made.map_err(io::Error::other)??;
            let held = Share { total: self.spool.disk.clone(), octets: 0 };
            self.overflow = Some(Overflow { file: File::from_std(file), len: 0, _held: held });
        }
        let Some(overflow) = &mut self.overflow else { return Ok(()) };
        let at = usize::try_from(settled).unwrap_or(usize::MAX).min(self.memory.len());
        let spilled = self.memory.get(at..).unwrap_or_default();
        if !overflow._held.grow(spilled.len() as u64, self.spool.settings.total_disk.0, false) {
            return Err(SpoolError::Full);
        }
        overflow.file.write_all(spilled).await?;
        overflow.len += spilled.len() as u64;
        self.memory.truncate(at);
        Ok(())
    }

    /// Claims memory for as much of `total` octets as the bounds allow; of these `settled` are claimed already.
    /// The header section always has room.
    fn keep_in_memory(&mut self, total: u64, settled: u64) -> u64 {
        let kept = total.min(self.spool.settings.message_memory.0.max(MINIMUM));
        if self.held.grow(kept - settled, self.spool.settings.total_memory.0, kept <= MINIMUM) {
            return kept;
        }
        let least = total.min(MINIMUM).max(settled);
        self.held.grow(least - settled, 0, true);
        least
    }

    /// Ends the message.
    ///
    /// # Errors
    /// As [`Draft::settle`].
    pub async fn finish(mut self) -> Result<Spooled, SpoolError> {
        self.settle().await?;
        if let Some(overflow) = &mut self.overflow {
            overflow.file.flush().await?;
        }
        Ok(Spooled { len: self.len, memory: self.memory, held: Held(self.held), overflow: self.overflow })
    }
}

/// A whole message.
#[derive(Debug)]
pub struct Spooled {
    /// Length in octets.
    pub len: u64,
    /// Its beginning, or all of it.
    pub memory: Vec<u8>,
    /// The claim on memory: keep it as long as the octets.
    pub held: Held,
    /// The rest.
    pub overflow: Option<Overflow>,
}

/// A claim on the shared memory bound.
#[derive(Debug)]
pub struct Held(#[allow(dead_code, reason = "held for its Drop")] Share);

impl Overflow {
    /// Octets in the file.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The same octets for checks, wherever we stand in reading.
    ///
    /// # Errors
    /// If the system has no file handle left.
    pub async fn reader(&self) -> io::Result<Arc<dyn Rest>> {
        Ok(Arc::new(Reader(self.file.try_clone().await?.into_std().await)))
    }

    /// All of it, from the first octet.
    ///
    /// # Errors
    /// If the disk fails.
    pub async fn blocks(&mut self) -> io::Result<Blocks<'_>> {
        self.file.seek(SeekFrom::Start(0)).await?;
        Ok(Blocks { overflow: self, buffer: vec![0; BLOCK] })
    }
}

impl Blocks<'_> {
    /// The next octets; `None` at the end.
    ///
    /// # Errors
    /// If the disk fails.
    pub async fn next(&mut self) -> io::Result<Option<&[u8]>> {
        let count = self.overflow.file.read(&mut self.buffer).await?;
        Ok(self.buffer.get(..count).filter(|block| !block.is_empty()))
    }
}

impl Rest for Reader {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(&self.0, buffer, offset)
    }
}

impl Share {
    /// Claims `more` octets of the bound; with `anyway` even where it is exceeded.
    fn grow(&mut self, more: u64, bound: u64, anyway: bool) -> bool {
        let before = self.total.fetch_add(more, Ordering::Relaxed);
        if before + more > bound && !anyway {
            self.total.fetch_sub(more, Ordering::Relaxed);
            return false;
        }
        self.octets += more;
        true
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.total.fetch_sub(self.octets, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spool(message: u64, memory: u64, disk: u64) -> Arc<Spool> {
        Spool::new(Settings {
            directory: std::env::temp_dir(),
            message_memory: ByteSize(message),
            total_memory: ByteSize(memory),
            total_disk: ByteSize(disk),
        })
    }

    async fn fill(draft: &mut Draft, octets: usize) -> Result<(), SpoolError> {
        for piece in vec![b'x'; octets].chunks(10_000) {
            draft.memory.extend_from_slice(piece);
            if draft.wants_settling() {
                draft.settle().await?;
            }
        }
        Ok(())
    }

    #[tokio::test]
    async fn a_message_is_the_same_wherever_it_lies() {
        for (octets, in_file) in [(0, 0), (65_536, 0), (300_000, 200_000), (1_000_000, 900_000)] {
            let spool = spool(100_000, 1 << 20, 1 << 30);
            let mut draft = spool.draft(None);
            fill(&mut draft, octets).await.expect("room");
            assert_eq!(draft.len(), octets as u64);
            let mut spooled = draft.finish().await.expect("room");
            let mut all = spooled.memory.clone();
            let mut filed = 0;
            if let Some(overflow) = &mut spooled.overflow {
                let mut blocks = overflow.blocks().await.expect("disk");
                while let Some(block) = blocks.next().await.expect("disk") {
                    filed += block.len();
                    all.extend_from_slice(block);
                }
            }
            assert_eq!(all.len(), octets);
            assert!(filed >= in_file, "{filed} of {octets} octets in the file");
            drop(spooled);
            assert_eq!((spool.memory_used(), spool.disk_used()), (0, 0), "everything is given back");
        }
    }

    #[tokio::test]
    async fn a_full_memory_spills_and_a_full_disk_refuses() {
        let spool = spool(1 << 20, 100_000, 500_000);
        let mut first = spool.draft(Some(90_000));
        fill(&mut first, 90_000).await.expect("memory");
        first.settle().await.expect("memory");
        let mut second = spool.draft(None);
        fill(&mut second, 300_000).await.expect("disk");
        assert!(spool.disk_used() > 200_000);
        let mut third = spool.draft(None);
        assert!(matches!(fill(&mut third, 400_000).await, Err(SpoolError::Full)));
        drop((first, second, third));
        assert_eq!((spool.memory_used(), spool.disk_used()), (0, 0));
    }
}
