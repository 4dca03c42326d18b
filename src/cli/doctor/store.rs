//! Where things are remembered.

use std::path::Path;
use std::time::Duration;

use prometheus::Registry;
use tokio::time::{Instant, sleep};

use super::finding::Finding;
use crate::clock;
use crate::config::Config;
use crate::store::{Metrics, OpenError, RedisSettings, RedisStore, embedded};

const AREA: &str = "store";
const REDIS_PATIENCE: Duration = Duration::from_secs(3);

/// The store of the configuration. `runs`: whether the proxy does, if that is known.
pub(super) async fn examine(config: &Config, runs: Option<bool>) -> Vec<Finding> {
    match (&config.store.redis, &config.store.path) {
        (Some(redis), _) => vec![shared(config, redis).await],
        (None, Some(path)) => vec![file(path, runs)],
        (None, None) => {
            let advice =
                "Greylisting asks everybody again after a restart, and what was learned is gone: set [store] path.";
            vec![Finding::doubtful(AREA, &"memory", "nothing outlives a restart", advice)]
        }
    }
}

fn file(path: &Path, runs: Option<bool>) -> Finding {
    let subject = path.display();
    if !path.exists() {
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        return match tempfile::tempfile_in(directory) {
            Ok(_) => Finding::well(AREA, &subject, "not there yet; its directory can be written to"),
            Err(why) => Finding::broken(
                AREA,
                &subject,
                format!("{}: {why}", directory.display()),
                "Memory takes its place, until the next restart. Make the directory, for the user that Gatepost \
                    runs as.",
            ),
        };
    }
    match embedded::info_of(path) {
        Ok(info) => {
            let entries: u64 = info.tables.iter().map(|table| table.entries).sum();
            Finding::well(AREA, &subject, format!("{entries} entries"))
        }
        Err(OpenError::InUse(_)) if runs == Some(true) => Finding::well(AREA, &subject, "open, by the proxy that runs"),
        Err(OpenError::InUse(_)) if runs.is_none() => Finding::skipped(
            AREA,
            &subject,
            "in use, and without [admin] address nobody can tell whether by the proxy",
            "fuser tells by whom.",
        ),
        Err(why) => {
            let advice = "Memory takes its place, until the next restart. A damaged file can only be moved away; \
                one in use belongs to another proxy.";
            Finding::broken(AREA, &subject, why, advice)
        }
    }
}

async fn shared(config: &Config, redis: &RedisSettings) -> Finding {
    let subject = redis.urls.join(", ");
    let advice =
        "Each proxy remembers for itself meanwhile. Does it run, at this address, with this user, password and TLS?";
    let metrics = match Metrics::register(&Registry::new()) {
        Ok(metrics) => metrics,
        Err(why) => return Finding::skipped(AREA, &subject, why, "Ask again."),
    };
    let settings = (redis.clone(), config.store.clone());
    let opened =
        tokio::task::spawn_blocking(move || RedisStore::open(&settings.0, &settings.1, clock::system(), metrics));
    let store = match opened.await {
        Ok(Ok(store)) => store,
        Ok(Err(why)) => return Finding::broken(AREA, &subject, why, "Write another address in [store.redis] urls."),
        Err(why) => return Finding::skipped(AREA, &subject, why, "Ask again."),
    };
    let until = Instant::now() + REDIS_PATIENCE;
    while !store.is_up() {
        if Instant::now() >= until {
            return Finding::broken(AREA, &subject, "it does not answer, or cannot be written to", advice);
        }
        sleep(Duration::from_millis(50)).await;
    }
    Finding::well(AREA, &subject, "it answers, and can be written to")
}
