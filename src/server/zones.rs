//! Keeps local zones as their files are: a file that changes is read again alone.
//!
//! The system tells at once of most changes; where it cannot (network file systems, too many watches), a look
//! every minute finds them.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use super::watch::Watch;
use crate::dns::zones::LocalZones;

/// Between two looks at files that nobody has told us about.
const LOOK: Duration = Duration::from_secs(60);

/// Follows the files of the zones that are in force now, until `stop`.
pub(super) async fn follow(zones: Arc<LocalZones>, stop: CancellationToken) {
    let files = zones.files();
    if files.is_empty() {
        return;
    }
    // Kept open, so that it never reads as closed.
    let (tell, mut told) = mpsc::channel(1);
    let _watch = watch(files, &tell);
    let mut look = interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = told.recv() => {}
            _ = look.tick() => {}
        }
        let read = Arc::clone(&zones);
        // Stopped meanwhile, what is read still counts: it is what the files say.
        if tokio::task::spawn_blocking(move || read.refresh()).await.is_err() {
            error!("reading a zone ended by a mistake in this program");
        }
    }
}

fn watch(files: Vec<PathBuf>, tell: &mpsc::Sender<()>) -> Option<Watch> {
    let watch = Watch::start(files, (), tell.clone());
    watch
        .inspect_err(|error| warn!(%error, "cannot watch the files of local zones: they are looked at now and then"))
        .ok()
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;
    use crate::dns::question::{Kind, Question};
    use crate::dns::zones::{Format, Metrics, Settings};

    #[tokio::test(start_paused = true)]
    async fn a_changed_file_is_found_within_a_minute_even_if_nobody_tells() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("list");
        let exists = |zones: &LocalZones, name: &str| {
            let question = Question::new(Kind::A, name).expect("a name");
            zones.current().ask(&question).expect("local").expect("loaded").exists
        };
        std::fs::write(&path, "192.0.2.1\n").expect("a file");
        let zones = Arc::new(LocalZones::new(Metrics::new()));
        let files = vec![path.clone()];
        zones.load(&[Settings { name: "bl.example".into(), format: Format::Ip4Set, files, max_entries: 10 }]);
        let stop = CancellationToken::new();
        let follower = tokio::spawn(follow(Arc::clone(&zones), stop.clone()));
        sleep(LOOK / 2).await;
        std::fs::write(&path, "192.0.2.1\n192.0.2.2\n").expect("a file");
        assert!(!exists(&zones, "2.2.0.192.bl.example"));
        sleep(LOOK).await;
        assert!(exists(&zones, "2.2.0.192.bl.example"));
        stop.cancel();
        follower.await.expect("it ends");
    }
}
