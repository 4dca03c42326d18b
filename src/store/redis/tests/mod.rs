//! Against a real `redis-server`, started by each test; skipped with a word where there is none.

pub(in crate::store) mod cluster;
mod failures;
mod places;
pub(in crate::store) mod server;
mod taught;

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

/// A store of a server of its own for the battery.
pub(in crate::store) fn open(
    settings_of_store: &Settings,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
) -> (RedisStore, Box<dyn std::any::Any>) {
    let server = RedisServer::start(&[]);
    let store = RedisStore::open(&settings(&server), settings_of_store, clock, metrics.clone()).expect("an address");
    (store, Box::new((Answered { metrics }, server)))
}

/// Sees to it that it was Redis that answered: what memory did instead would prove nothing.
struct Answered {
    metrics: Metrics,
}

impl Drop for Answered {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_eq!(self.metrics.redis.fallbacks.get(), 0, "Redis has not answered everything");
        }
    }
}
