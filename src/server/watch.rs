//! Notices that files change. A convenience: SIGHUP is the contract.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// Whoever reads them waits until the files have been left alone for so long: editors and package managers
/// write several files, one after another.
const QUIET: Duration = Duration::from_secs(1);

/// A running watch; ends when dropped.
pub(super) struct Watch {
    _watcher: RecommendedWatcher,
}

/// When and how large a file was, to tell whether an event was about it.
type Print = Option<(SystemTime, u64)>;

impl Watch {
    /// Sends `order` whenever one of `files` has changed. Their directories are watched, because
    /// a file that is replaced by renaming is another file.
    ///
    /// # Errors
    /// If the system cannot watch (too many watches, no such directory).
    pub(super) fn start<O>(files: Vec<PathBuf>, order: O, orders: mpsc::Sender<O>) -> notify::Result<Self>
    where
        O: Copy + Send + Sync + 'static,
    {
        let (tell, events) = mpsc::channel(1);
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // Reading the files is what we do ourselves. A full channel means that it is known already.
            if event.is_ok_and(|event| !event.kind.is_access()) {
                let _ = tell.try_send(());
            }
        })?;
        for directory in directories(&files) {
            watcher.watch(&directory, RecursiveMode::NonRecursive)?;
        }
        let prints = move || prints(&files);
        tokio::spawn(send_orders(events, order, orders, prints));
        Ok(Self { _watcher: watcher })
    }
}

fn directories(files: &[PathBuf]) -> BTreeSet<PathBuf> {
    let parent = |file: &PathBuf| match file.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory.to_owned(),
        _ => Path::new(".").to_owned(),
    };
    files.iter().map(parent).collect()
}

/// Two small system calls per file; the files are few. Of a directory that is watched, the names of its files count.
fn prints(files: &[PathBuf]) -> Vec<Print> {
    let print = |file: &PathBuf| {
        let metadata = std::fs::metadata(file).ok()?;
        if metadata.is_dir() {
            return Some((SystemTime::UNIX_EPOCH, names(file)));
        }
        Some((metadata.modified().ok()?, metadata.len()))
    };
    files.iter().map(print).collect()
}

/// A digest of the names of the TOML files in a directory.
fn names(directory: &Path) -> u64 {
    let entries = std::fs::read_dir(directory).into_iter().flatten().filter_map(Result::ok);
    let names: BTreeSet<_> = entries.map(|entry| entry.file_name()).collect();
    let rules = names.iter().filter(|name| Path::new(name).extension().is_some_and(|extension| extension == "toml"));
    let mut hash = DefaultHasher::new();
    rules.for_each(|name| name.hash(&mut hash));
    hash.finish()
}

/// Ends when the watcher does.
async fn send_orders<O: Copy, P: PartialEq>(
    mut events: mpsc::Receiver<()>,
    order: O,
    orders: mpsc::Sender<O>,
    mut prints: impl FnMut() -> P,
) {
    let mut known = prints();
    while events.recv().await.is_some() {
        while matches!(timeout(QUIET, events.recv()).await, Ok(Some(()))) {}
        let now = prints();
        if now != known {
            known = now;
            if orders.send(order).await.is_err() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::time::{Instant, sleep};

    use super::*;
    use crate::server::Order;

    struct Files {
        state: Arc<AtomicU32>,
        tell: mpsc::Sender<()>,
        orders: mpsc::Receiver<Order>,
    }

    fn files() -> Files {
        let state = Arc::new(AtomicU32::new(0));
        let ((tell, events), (orders_in, orders)) = (mpsc::channel(1), mpsc::channel(8));
        let seen = Arc::clone(&state);
        tokio::spawn(send_orders(events, Order::Reload, orders_in, move || seen.load(Ordering::Relaxed)));
        Files { state, tell, orders }
    }

    #[tokio::test(start_paused = true)]
    async fn many_writes_are_one_reload_after_a_quiet_second() {
        let mut files = files();
        sleep(Duration::from_millis(1)).await;
        let mut last = Instant::now();
        for _ in 0..5 {
            sleep(Duration::from_millis(900)).await;
            files.state.fetch_add(1, Ordering::Relaxed);
            files.tell.send(()).await.expect("listens");
            last = Instant::now();
        }
        assert_eq!(files.orders.recv().await, Some(Order::Reload));
        assert_eq!(last.elapsed(), QUIET);
        sleep(QUIET * 10).await;
        assert!(files.orders.try_recv().is_err(), "only one");
    }

    #[tokio::test(start_paused = true)]
    async fn other_files_in_the_directory_order_nothing() {
        let mut files = files();
        sleep(Duration::from_millis(1)).await;
        files.tell.send(()).await.expect("listens");
        sleep(QUIET * 10).await;
        assert!(files.orders.try_recv().is_err());
        drop(files.tell);
        assert_eq!(files.orders.recv().await, None, "it ends with the watcher");
    }

    #[test]
    fn a_file_without_a_directory_lies_in_the_current_one() {
        let files = ["gatepost.toml", "rules/a.toml", "rules/b.toml"].map(PathBuf::from);
        assert_eq!(directories(&files), [".", "rules"].map(PathBuf::from).into());
    }
}
