//! Against a real `redis-server`, started by each test; skipped with a word where there is none.

pub(in crate::store) mod server;

use std::time::Duration;

use server::RedisServer;

use super::*;
use crate::store::battery::{Hands, day, metrics};

/// Longer than any machine pauses.
const PATIENT: Duration = Duration::from_secs(5);

/// How to reach `server`.
pub(in crate::store) fn settings(server: &RedisServer) -> RedisSettings {
    RedisSettings {
        urls: vec![server.url()],
        mode: Mode::Standalone,
        username: None,
        password: None,
        sentinel_password: None,
        tls_ca: None,
        prefix: "battery:".to_owned(),
        deadline: PATIENT,
    }
}

/// A store of `server` for the battery. Whatever memory did instead would prove nothing: see [`Guard`].
pub(in crate::store) fn open(
    settings_of_store: &Settings,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
) -> (RedisStore, Guard) {
    let server = RedisServer::start(&[]);
    let store = RedisStore::open(&settings(&server), settings_of_store, clock, metrics.clone()).expect("an address");
    (store, Guard { metrics, _server: server })
}

/// Ends the server, and sees to it that it was the server that answered.
pub(in crate::store) struct Guard {
    metrics: Metrics,
    _server: RedisServer,
}

impl Drop for Guard {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_eq!(self.metrics.redis.fallbacks.get(), 0, "Redis has not answered everything");
        }
    }
}
