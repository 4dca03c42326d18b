//! Asks the test points of the lists, each when it is due.

use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::error_in;
use super::health::{Answered, Round};
use super::lists::{Lists, Monitored};
use crate::dns::{Freshness, Lookup};

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
                    rounds.spawn(async move { round(&list, &dns).await });
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

/// What a list says to its test points, once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Examined {
    /// Its name.
    pub name: String,
    /// Its zone as it may be shown.
    pub zone: String,
    /// What it said.
    pub round: Round,
}

/// Asks the test points of all lists that somebody holds, side by side, for somebody who only wants to know: it
/// changes nothing of how they stand.
pub async fn examine(lists: &Lists, dns: &dyn Lookup) -> Vec<Examined> {
    let alive = lists.alive();
    join_all(alive.iter().map(|list| async {
        let plan = list.plan();
        let (listed, not_listed) = tokio::join!(ask_all(list, dns, &plan.listed), ask_all(list, dns, &plan.not_listed));
        Examined { name: plan.name.clone(), zone: plan.shown.clone(), round: Round { listed, not_listed } }
    }))
    .await
}

/// Makes one round of test points, or waits for the end of the one that is on its way: whoever wants to know
/// how a list is shares it with all others, and it counts once. It ends with the last who waits for it.
pub(super) async fn round(list: &Arc<Monitored>, dns: &Arc<dyn Lookup>) {
    let (of, dns) = (Arc::clone(list), Arc::clone(dns));
    list.share_round(|| async move { test(&of, dns.as_ref()).await }.boxed()).await;
}

async fn test(list: &Monitored, dns: &dyn Lookup) {
    let begun = Instant::now();
    let plan = list.plan();
    let (listed, not_listed) = tokio::join!(ask_all(list, dns, &plan.listed), ask_all(list, dns, &plan.not_listed));
    list.tested(begun, &Round { listed, not_listed });
}

async fn ask_all(list: &Monitored, dns: &dyn Lookup, names: &[String]) -> Vec<Answered> {
    join_all(names.iter().map(|name| ask(list, dns, name))).await
}

/// Past every memory: what a list said a while ago says nothing about the list now.
async fn ask(list: &Monitored, dns: &dyn Lookup, name: &str) -> Answered {
    match dns.hear_a(name, Freshness::Now, PATIENCE).await.answer {
        Ok(answer) => match error_in(&answer.records, &list.plan().errors) {
            Some((code, _)) => Answered::Error(code),
            None if answer.records.is_empty() => Answered::NotListed,
            None => Answered::Listed,
        },
        Err(_) => Answered::NoAnswer,
    }
}
