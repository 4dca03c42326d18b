//! What every home must do with reputations.

use super::*;

const FADING: Fading = Fading { half_life: Duration::from_secs(10 * 86_400) };

fn network(name: &str) -> Reputed {
    Reputed::Network(name.into())
}

/// Evidence of each, in hundredths of a message.
async fn evidence(store: &dyn Store, whose: &[Reputed], at: SystemTime) -> Vec<Option<(i64, i64)>> {
    let hundredths = |evidence: f64| (evidence * 100.0).round() as i64;
    let known = store.reputation_look(whose, FADING, at).await.expect("readable");
    known.iter().map(|record| record.map(|record| (hundredths(record.good), hundredths(record.bad)))).collect()
}

pub(super) async fn reputations_fade_and_are_reset<H: Home>() {
    let (store, _directory) = H::open(&Settings::default(), Hands::at(day(0)));
    let net = network("192.0.2.0/24");
    let domain = Reputed::Domain("a.example".into());
    let pair = Reputed::Pair("a.example".into(), "192.0.2.0/24".into());
    let all = [net.clone(), domain.clone(), pair.clone()];
    assert_eq!(evidence(&*store, &all, day(0)).await, [None; 3]);
    store.reputation_note(all.to_vec(), 1.0, 0.0, FADING, day(0)).await.expect("noted");
    store.reputation_note(vec![domain.clone()], 0.0, 1.0, FADING, day(10)).await.expect("noted");
    let half = Some((50, 0));
    assert_eq!(evidence(&*store, &all, day(10)).await, [half, Some((50, 100)), half], "each has its own");
    assert_eq!(evidence(&*store, &all, day(20)).await, [Some((25, 0)), Some((25, 50)), Some((25, 0))]);
    assert_eq!(evidence(&*store, &all[..1], day(0)).await, [Some((100, 0))], "never more than was seen");
    let record = store.reputation_look(&all[1..2], FADING, day(10)).await.expect("readable")[0].expect("known");
    assert_eq!((record.first, record.last), (day(0), day(10)));
    for (good, bad) in [(7.0, 0.0), (f64::NAN, -1.0), (0.0, 0.0)] {
        store.reputation_note(vec![net.clone()], good, bad, FADING, day(10)).await.expect("noted");
    }
    assert_eq!(evidence(&*store, &all[..1], day(10)).await, [Some((150, 0))], "a message is 1 at most");
    let listed = store.reputation_list(2, FADING, day(10)).await.expect("readable");
    let listed: Vec<_> = listed.into_iter().map(|(whose, _)| whose).collect();
    assert!(listed.len() == 2 && !listed.contains(&pair), "{listed:?}");
    assert_eq!(store.reputation_reset(vec![net.clone(), pair, network("198.51.100.0/24")]).await, Ok(2));
    assert_eq!(evidence(&*store, &all, day(10)).await, [None, Some((50, 100)), None]);
    let long = Reputed::Domain("a".repeat(400).into());
    store.reputation_note(vec![long.clone()], 1.0, 0.0, FADING, day(10)).await.expect("no failure");
    assert_eq!(evidence(&*store, &[long], day(10)).await, [None], "no name is that long");
}

pub(super) async fn many_networks_displace_nobody_who_is_well_known<H: Home>() {
    let (store, _directory) = H::open(&Settings { reputations: 200, ..Settings::default() }, Hands::at(day(0)));
    let (known, newcomer) = (network("203.0.113.0/24"), network("198.51.100.0/24"));
    for _ in 0..20 {
        store.reputation_note(vec![known.clone()], 1.0, 0.0, FADING, day(0)).await.expect("noted");
    }
    store.reputation_note(vec![newcomer.clone()], 1.0, 0.0, FADING, day(0)).await.expect("noted");
    for number in 0..1000 {
        let network = network(&format!("2001:db8:{number:x}::/64"));
        for _ in 0..number % 9 {
            store.reputation_note(vec![network.clone()], 0.0, 1.0, FADING, day(0)).await.expect("noted");
        }
    }
    assert_eq!(evidence(&*store, &[known, newcomer], day(0)).await, [Some((2000, 0)), Some((100, 0))]);
    let all = store.reputation_list(9999, FADING, day(0)).await.expect("readable");
    assert!(all.len() <= 200, "{}", all.len());
}
