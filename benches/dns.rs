//! What an answer from memory costs: alone, and with a second thread at the same cache.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use gatepost::dns::cache::Cache;
use gatepost::dns::question::{Network, Question, Records, Response};
use gatepost::dns::{Lookup, LookupError, Metrics, Settings};
use tokio::runtime::Builder;

/// Every name has one address for a day.
struct OneAddress;

impl Network for OneAddress {
    async fn ask(&self, _question: &Question) -> Result<Response, LookupError> {
        let records = Records::A([[192, 0, 2, 1].into()].into());
        Ok(Response { records, exists: true, ttl: Some(Duration::from_secs(86_400)) })
    }
}

const NAMES: usize = 10_000;

fn main() {
    divan::main();
}

fn warm_cache() -> (Arc<Cache<OneAddress>>, Vec<String>) {
    let settings = Settings { cache_entries: 4 * NAMES, ..Settings::default() };
    let cache = Arc::new(Cache::new(OneAddress, &settings, Arc::new(Metrics::new())));
    let names: Vec<String> = (0..NAMES).map(|number| format!("{number}.2.0.192.zen.list.example")).collect();
    Builder::new_current_thread().enable_time().build().expect("a runtime").block_on(async {
        for name in &names {
            cache.a(name).await.expect("an answer");
        }
    });
    (cache, names)
}

/// An answer from memory is there at the first poll.
fn look_up(cache: &Cache<OneAddress>, name: &str) {
    let answer = cache.a(name).now_or_never().expect("from memory").expect("an answer");
    assert!(divan::black_box(answer).cached);
}

#[divan::bench(threads = [1, 2], sample_count = 200)]
fn a_cached(bencher: divan::Bencher<'_, '_>) {
    let (cache, names) = warm_cache();
    let next = std::sync::atomic::AtomicUsize::new(0);
    bencher.counter(NAMES).bench(|| {
        // Threads begin at different names, and do not walk in step.
        let from = next.fetch_add(NAMES / 2 + 7, std::sync::atomic::Ordering::Relaxed);
        for step in 0..NAMES {
            look_up(&cache, &names[(from + step) % NAMES]);
        }
    });
}

#[divan::bench(threads = [1, 2], sample_count = 200)]
fn a_cached_one_name(bencher: divan::Bencher<'_, '_>) {
    let (cache, names) = warm_cache();
    bencher.counter(NAMES).bench(|| {
        for _ in 0..NAMES {
            look_up(&cache, &names[0]);
        }
    });
}
