//! What every home must do with rates.

use super::*;

fn taking(whom: u64, units: u32, into_debt: bool) -> Taking {
    let key = RateKey { limit: RateKey::limit("battery"), whom };
    Taking { key, allowance: Allowance { units: 10, per: Duration::from_secs(60) }, units, into_debt }
}

fn taken(is_within: bool, wait: u64, left: u32) -> Taken {
    Taken { is_within, wait: Duration::from_secs(wait), left }
}

pub(super) async fn takings_are_answered_in_their_order_and_alone<H: Home>() {
    let (store, _directory) = H::open(&Settings::default(), Hands::at(day(0)));
    let seconds = |number| day(0) + Duration::from_secs(number);
    let take = async |takings, at| store.rates_take(takings, at).await.expect("no failure");
    // One that has too little does not spoil the others.
    let all = vec![taking(1, 10, false), taking(2, 11, false), taking(3, 4, false)];
    assert_eq!(take(all, day(0)).await, [taken(true, 0, 0), taken(false, 6, 10), taken(true, 0, 6)]);
    let looks: Vec<_> = [3, 1, 2].map(|whom| taking(whom, 0, false)).into();
    assert_eq!(take(looks.clone(), day(0)).await, [taken(true, 0, 6), taken(false, 6, 0), taken(true, 0, 10)]);
    assert_eq!(take(looks, seconds(6)).await, [taken(true, 0, 7), taken(true, 0, 1), taken(true, 0, 10)]);
    // The same bucket twice in one taking.
    let twice = vec![taking(4, 6, false), taking(4, 6, false), taking(4, 4, false)];
    assert_eq!(take(twice, day(0)).await, [taken(true, 0, 4), taken(false, 12, 4), taken(true, 0, 0)]);
    // Debt, which is bounded.
    assert_eq!(take(vec![taking(5, 15, true)], day(0)).await, [taken(false, 30, 0)]);
    assert_eq!(take(vec![taking(5, 0, false)], seconds(30)).await, [taken(false, 6, 0)]);
    assert_eq!(take(vec![taking(5, 900, true), taking(5, 0, false)], seconds(30)).await[1], taken(false, 66, 0));
    assert_eq!(take(vec![taking(5, 10, false)], seconds(150)).await, [taken(true, 0, 0)]);
    // Another limit has a bucket of its own.
    let other = Taking { key: RateKey { limit: 7, whom: 1 }, ..taking(1, 10, false) };
    assert_eq!(take(vec![other], day(0)).await, [taken(true, 0, 0)]);
    assert_eq!(take(vec![], day(0)).await, []);
}

pub(super) async fn buckets_that_are_in_use_outlive_a_flood<H: Home>() {
    let settings = Settings { buckets: 200, ..Settings::default() };
    let (store, _directory) = H::open(&settings, Hands::at(day(0)));
    store.rates_take(vec![taking(1, 9, false)], day(0)).await.expect("no failure");
    for whom in 100..2000 {
        store.rates_take(vec![taking(whom, 1, false)], day(0)).await.expect("no failure");
    }
    assert_eq!(store.rates_take(vec![taking(1, 0, false)], day(0)).await, Ok(vec![taken(true, 0, 1)]));
}
