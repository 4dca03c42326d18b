//! Asks the test points of the lists, each when it is due.

use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use super::error_in;
use super::health::{Answered, Round};
use super::lists::{Lists, Monitored};
use crate::dns::Lookup;

/// Nobody waits for a test, so it may take longer than an answer to a session.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest sleep: lists may have gone meanwhile.
const LOOK: Duration = Duration::from_secs(60);

/// Tests the lists for as long as somebody holds them. A slow one keeps no other waiting.
pub async fn run(lists: Weak<Lists>, dns: Arc<dyn Lookup>) {
    let Some(changed) = lists.upgrade().map(|lists| lists.changed()) else { return };
    let mut rounds = JoinSet::new();
    loop {
        let Some(alive) = lists.upgrade().map(|lists| lists.alive()) else { return };
        let mut wake = Instant::now() + LOOK;
        for list in alive {
            match list.begin_test() {
                Ok(()) => {
                    let dns = Arc::clone(&dns);
                    rounds.spawn(async move { test(&list, dns.as_ref()).await });
                }
                Err(later) => wake = wake.min(later),
            }
        }
        tokio::select! {
            () = sleep_until(wake) => {}
            () = changed.notified() => {}
            Some(_) = rounds.join_next() => {}
        }
    }
}

/// Makes one round of test points.
pub(super) async fn test(list: &Monitored, dns: &dyn Lookup) {
    let plan = list.plan();
    let (listed, not_listed) = tokio::join!(ask_all(list, dns, &plan.listed), ask_all(list, dns, &plan.not_listed));
    list.tested(&Round { listed, not_listed });
}

async fn ask_all(list: &Monitored, dns: &dyn Lookup, names: &[String]) -> Vec<Answered> {
    join_all(names.iter().map(|name| ask(list, dns, name))).await
}

async fn ask(list: &Monitored, dns: &dyn Lookup, name: &str) -> Answered {
    match timeout(PATIENCE, dns.a(name)).await {
        Ok(Ok(answer)) => match error_in(&answer.records, &list.plan().errors) {
            Some((code, _)) => Answered::Error(code),
            None if answer.records.is_empty() => Answered::NotListed,
            None => Answered::Listed,
        },
        Ok(Err(_)) | Err(_) => Answered::NoAnswer,
    }
}
