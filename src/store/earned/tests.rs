use std::time::{Duration, UNIX_EPOCH};

use proptest::prelude::*;

use super::*;

const FADING: Fading = Fading { half_life: Duration::from_secs(14 * 86_400) };

fn days(number: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs((20_000 + number) * 86_400)
}

/// A table that has run long enough to believe its clock.
fn table(bound: usize) -> EarnedTable {
    EarnedTable::new(bound, seconds(days(0)) - 2 * DOUBT)
}

fn network(number: u32) -> Reputed {
    let [a, b, c, _] = (number << 8).to_be_bytes();
    Reputed::Network(format!("{a}.{b}.{c}.0/24").into())
}

fn note(table: &mut EarnedTable, whose: &Reputed, times: u32, at: SystemTime) {
    for _ in 0..times {
        table.note(std::slice::from_ref(whose), [1.0, 0.0], FADING, at);
    }
}

fn is_known(table: &mut EarnedTable, whose: &Reputed, at: SystemTime) -> bool {
    table.look(std::slice::from_ref(whose), FADING, at).remove(0).is_some()
}

#[test]
fn a_key_is_one_string_and_leads_back() {
    for whose in [
        Reputed::Network("2001:db8::/64".into()),
        Reputed::Domain("a.example".into()),
        Reputed::Pair("a.example".into(), "192.0.2.0/24".into()),
    ] {
        assert_eq!(Reputed::of_key(&whose.key()), whose);
    }
}

#[test]
fn newcomers_have_a_quarter_even_where_everybody_is_established() {
    let mut table = table(100);
    (0..200).for_each(|number| note(&mut table, &network(number << 8), 5, days(0)));
    let late = network(0xffff);
    note(&mut table, &late, 1, days(0));
    (300..320).for_each(|number| note(&mut table, &network(number << 8), 5, days(0)));
    assert!(is_known(&mut table, &late, days(0)));
    (400..430).for_each(|number| note(&mut table, &network(number << 8), 1, days(0)));
    let EarnedCount { newcomers, established, displaced } = table.count();
    assert_eq!((newcomers, established, displaced), (25, 75, 151));
}

#[test]
fn of_the_established_the_least_evidence_goes_first() {
    let mut table = table(40);
    let (busy, quiet) = (network(1), network(2));
    note(&mut table, &busy, 40, days(0));
    note(&mut table, &quiet, 5, days(0));
    (100..300).for_each(|number| note(&mut table, &network(number), 7, days(1)));
    assert!(is_known(&mut table, &busy, days(1)) && !is_known(&mut table, &quiet, days(1)));
}

#[test]
fn what_has_faded_is_forgotten_but_not_by_a_clock_that_leaps() {
    let mut table = table(1000);
    (0..50).for_each(|number| note(&mut table, &network(number), 1, days(0)));
    let last = network(1000);
    note(&mut table, &last, 8, days(200));
    assert_eq!(table.records.len(), 51, "it may be a leap");
    (0..8).for_each(|_| note(&mut table, &last, 1, days(200) + Duration::from_secs(DOUBT)));
    assert_eq!(table.records.len(), 1);
    // A record from a time that never came goes once the clock says what it said before.
    let ahead = network(2000);
    note(&mut table, &ahead, 1, days(9000));
    (0..8).for_each(|hour| note(&mut table, &last, 1, days(200) + Duration::from_secs((hour + 2) * DOUBT)));
    assert!(table.records.keys().all(|key| *key != ahead.key()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_copy_that_hears_of_all_changes_is_the_same(
        events in proptest::collection::vec((0_u32..60, 0_u64..40, any::<bool>(), 0..10), 1..200),
        bound in 4_usize..40,
    ) {
        let mut table = table(bound);
        let mut copy: HashMap<Arc<str>, Earned> = HashMap::new();
        for (number, at, good, reset) in events {
            let whose = [network(number << 6)];
            let evidence = if good { [1.0, 0.0] } else { [0.0, 0.5] };
            let changes = match reset {
                0 => table.reset(&whose),
                _ => table.note(&whose, evidence, FADING, days(at)),
            };
            for (key, earned) in changes {
                match earned {
                    Some(earned) => drop(copy.insert(key, Earned::decode(&earned.encode()))),
                    None => drop(copy.remove(&key)),
                }
            }
            let kept = table.records.iter().map(|(key, kept)| (key.clone(), kept.earned)).collect::<HashMap<_, _>>();
            prop_assert_eq!(&kept, &copy);
            prop_assert!(kept.len() <= bound);
            prop_assert_eq!(table.newcomers.places.len() + table.established.places.len(), kept.len());
        }
    }
}

#[test]
#[ignore = "says numbers instead of testing them"]
fn a_hundred_thousand_records_take_this_much() {
    let resident = || {
        let status = std::fs::read_to_string("/proc/self/statm").expect("Linux");
        status.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).expect("a number") * 4096
    };
    let mut table = table(200_000);
    let before = resident();
    for number in 0..50_000 {
        let domain: Arc<str> = format!("sender-{number}.example").into();
        let whose = [Reputed::Domain(domain.clone()), Reputed::Pair(domain, format!("10.{number}.0.0/24").into())];
        table.note(&whose, [1.0, 0.0], FADING, days(0));
    }
    eprintln!("{} octets each", (resident() - before) / table.records.len());
}
