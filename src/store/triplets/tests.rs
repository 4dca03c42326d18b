use std::time::{Duration, UNIX_EPOCH};

use proptest::prelude::*;

use super::super::greylist::TripletEvent::{Attempt, Credit, Delivery, Drop, Pass, Spam};
use super::*;
use crate::clock::doubt::DOUBT;

const HOUR: Duration = Duration::from_secs(3600);
const WINDOW: Duration = Duration::from_secs(48 * 3600);

fn hours(number: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(20_000 * 86_400) + Duration::from_secs(number * 3600)
}

/// The `number`th triplet of the network that begins at `address`.
fn key(address: &str, number: u64) -> TripletKey {
    TripletKey { holder: Holder::network(address.parse().expect(address)), digest: [number, 1] }
}

/// A table that has run long enough to believe its clock.
fn table(bound: usize) -> Table {
    Table::new(bound, seconds(hours(0)) - 2 * DOUBT)
}

fn known(table: &mut Table, key: TripletKey, at: SystemTime) -> Option<(u32, u32)> {
    table.look(&[key], at).remove(0).map(|record| (record.attempts, record.deliveries))
}

#[test]
fn what_happened_is_what_is_known() {
    let mut table = table(100);
    let key = key("192.0.2.0", 1);
    for (event, at, expected) in [
        (Delivery(WINDOW), 0, None),
        (Attempt(WINDOW), 0, Some((1, 0))),
        (Attempt(WINDOW), 1, Some((2, 0))),
        (Delivery(WINDOW), 2, Some((2, 1))),
        (Credit(WINDOW), 3, Some((2, 2))),
        (Spam, 4, None),
        (Credit(WINDOW), 5, Some((0, 1))),
        (Pass(WINDOW), 5, Some((0, 1))),
        (Spam, 5, Some((0, 0))),
        (Drop, 6, None),
    ] {
        table.note(&[(key, event)], hours(at));
        assert_eq!(known(&mut table, key, hours(at)), expected, "{event:?}");
    }
}

#[test]
fn attempts_do_not_prolong_the_window_and_deliveries_do() {
    let mut table = table(100);
    let (waiting, confirmed) = (key("192.0.2.0", 1), key("192.0.2.0", 2));
    table.note(&[(waiting, Attempt(WINDOW)), (confirmed, Attempt(WINDOW))], hours(0));
    for hour in (5..48).step_by(5) {
        table.note(&[(waiting, Attempt(WINDOW)), (confirmed, Delivery(WINDOW))], hours(hour));
    }
    assert_eq!(known(&mut table, waiting, hours(48)), Some((10, 0)));
    assert_eq!(known(&mut table, waiting, hours(49)), None);
    assert_eq!(known(&mut table, confirmed, hours(50)), Some((1, 9)));
    table.note(&[(waiting, Attempt(WINDOW))], hours(50));
    assert_eq!(known(&mut table, waiting, hours(50)), Some((1, 0)), "it begins anew");
}

#[test]
fn a_crowd_gives_up_its_own_and_displaces_nobody() {
    let mut table = table(1000);
    let pass = TripletKey::of_holder(Holder::network([198, 51, 100, 0].into()));
    table.note(&[(pass, Credit(WINDOW))], hours(0));
    let others: Vec<_> = (0..100_u8).map(|number| key(&format!("203.0.{number}.0"), 1)).collect();
    others.iter().for_each(|key| drop(table.note(&[(*key, Attempt(WINDOW))], hours(0))));
    for attacker in ["192.0.2.0", "2001:db8:1::"] {
        for number in 0..5000 {
            // Addresses of one customer's network, as many as there are.
            let from = match attacker.contains(':') {
                true => key(&format!("2001:db8:1:{:x}::", number % 65_536), number),
                false => key(attacker, number),
            };
            table.note(&[(from, Attempt(WINDOW))], hours(1));
        }
        let count = table.count();
        assert_eq!((count.waiting + count.confirmed, count.confirmed), (1000, 1));
        assert!(count.displaced > 4000);
    }
    for key in others.iter().chain([&pass]) {
        assert!(known(&mut table, *key, hours(1)).is_some(), "{key} was there before");
    }
    let late = key("203.0.200.0", 7);
    table.note(&[(late, Attempt(WINDOW))], hours(1));
    assert!(known(&mut table, late, hours(1)).is_some(), "and who comes now has room");
}

#[test]
fn those_that_wait_always_have_a_quarter() {
    let mut table = table(1000);
    let hand = TripletKey::of_holder(Holder::network([10, 0, 0, 0].into()));
    table.note(&[(hand, Pass(WINDOW))], hours(0));
    for number in 0..3000_u32 {
        let address = std::net::Ipv4Addr::from_bits(0x0b00_0000 + (number << 8));
        table.note(&[(TripletKey::of_holder(Holder::network(address.into())), Credit(WINDOW))], hours(1));
    }
    for number in 0..3000_u32 {
        let address = std::net::Ipv4Addr::from_bits(0x4000_0000 + (number << 8));
        table.note(&[(key(&address.to_string(), 1), Attempt(WINDOW))], hours(1));
    }
    let count = table.count();
    assert_eq!((count.waiting, count.confirmed), (250, 750));
    assert!(known(&mut table, hand, hours(1)).is_some());
}

#[test]
fn what_is_old_goes_step_by_step_and_a_leaping_clock_is_not_believed() {
    let mut table = table(10_000);
    for number in 0..2000 {
        table.note(&[(key("192.0.2.0", number), Attempt(HOUR))], hours(0));
    }
    // For a moment it is next year.
    table.note(&[(key("192.0.2.0", 1), Delivery(HOUR))], hours(9000));
    assert!(known(&mut table, key("192.0.2.0", 2), hours(9000)).is_some());
    table.note(&[(key("192.0.2.0", 1), Drop)], hours(0));
    for hour in 0..7 {
        table.note(&[(key("192.0.2.0", 1), Drop)], hours(hour));
    }
    let steps = 2 * 2000 / SWEPT_AT_ONCE;
    for step in 0..steps {
        let changes = table.note(&[(key("192.0.2.0", 1), Drop)], hours(7));
        assert!(changes.len() <= SWEPT_AT_ONCE, "{step}");
    }
    assert_eq!(table.count().waiting, 0);
}

#[tokio::test]
async fn a_list_is_bounded_and_begins_with_the_latest() {
    let triplets = Triplets::new(100_000, &[7; SECRET], [], hours(0));
    for number in 0..5000 {
        triplets.lock().note(&[(key("192.0.2.0", number), Attempt(WINDOW))], hours(number % 40));
    }
    triplets.lock().note(&[(key("192.0.2.0", 9), Delivery(WINDOW))], hours(41));
    for (waiting, most, first) in [(false, 3, 41), (true, 3, 39), (true, 0, 0)] {
        let list = triplets.list(WantedTriplets { waiting, most }, hours(41)).await;
        assert_eq!(list.len(), most);
        assert!(list.first().is_none_or(|(_, record)| record.last == hours(first)), "{list:?}");
        assert!(list.is_sorted_by(|(_, a), (_, b)| a.last >= b.last));
    }
}

#[test]
fn keys_and_entries_read_as_they_were_written() {
    let secret = Secret::new(&[1; SECRET]);
    let holders = [
        Holder::network([192, 0, 2, 0].into()),
        Holder::network("2001:db8::".parse().expect("an address")),
        Holder::domain(&secret, "example.org"),
    ];
    let shown = holders.map(|holder| holder.to_string());
    assert_eq!(shown, ["192.0.2.0", "2001:db8::", "a domain"]);
    for key in holders.map(|holder| TripletKey::new(&secret, holder, "a@b.example", "c@d.example")) {
        assert_eq!(TripletKey::decode(&key.encode()), key);
        assert_eq!(key.to_string().parse(), Ok(key));
        let other = Secret::new(&[2; SECRET]);
        assert_ne!(TripletKey::new(&other, key.holder, "a@b.example", "c@d.example"), key);
        assert_ne!(TripletKey::new(&secret, key.holder, "a@b.examplec", "@d.example"), key);
        assert!(!key.is_of_holder() && TripletKey::of_holder(key.holder()).is_of_holder());
    }
    for text in ["", "0", &"g".repeat(48), &"0".repeat(47), &"+".repeat(48), &"ä".repeat(24)] {
        assert!(text.parse::<TripletKey>().is_err(), "{text}");
    }
    let entry = Entry { first: 1, last: 2, until: 3, attempts: 4, deliveries: 5, by_hand: true };
    assert_eq!(Entry::decode(&entry.encode()), entry);
}

proptest! {
    #[test]
    fn counts_agree_with_what_is_there(
        events in proptest::collection::vec((0..40_u8, 0..4_u64, 0..6_u8, 0..100_u64), 1..300),
    ) {
        let mut table = table(50);
        for (network, number, event, hour) in events {
            let event = [Attempt(WINDOW), Delivery(WINDOW), Credit(WINDOW), Spam, Pass(WINDOW), Drop][usize::from(event)];
            table.note(&[(key(&format!("192.0.{network}.0"), number), event)], hours(hour));
            for shelf in [&table.waiting, &table.confirmed] {
                let counted: u32 = shelf.crowds.counts().values().sum();
                prop_assert_eq!(counted as usize, shelf.entries.len());
            }
            prop_assert!(table.waiting.entries.len() + table.confirmed.entries.len() <= 50);
        }
    }
}

/// What a million take: `cargo test --lib a_million -- --ignored --nocapture`.
#[test]
#[ignore = "takes a while, and says numbers instead of testing them"]
fn a_million_triplets_take_this_much() {
    let resident = || {
        let pages = std::fs::read_to_string("/proc/self/statm").expect("Linux");
        pages.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).expect("a number") * 4096
    };
    let before = resident();
    let secret = Secret::new(&[1; SECRET]);
    let mut table = table(1_000_000);
    let began = tokio::time::Instant::now();
    for number in 0..1_000_000_u32 {
        let address = std::net::Ipv4Addr::from_bits(number.wrapping_mul(2_654_435_761) & 0xffff_ff00);
        let key = TripletKey::new(&secret, Holder::network(address.into()), &number.to_string(), "user@ours.example");
        table.note(&[(key, Attempt(WINDOW))], hours(0));
    }
    let took = began.elapsed();
    println!("{} octets each, {took:?} for all", (resident() - before) / 1_000_000);
}
