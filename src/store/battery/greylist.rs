//! What every home must do with triplets.

use super::*;

const WINDOW: Duration = Duration::from_secs(48 * 3600);

fn triplet(store: &dyn Store, network: &str, sender: &str) -> TripletKey {
    let holder = Holder::network(network.parse().expect(network));
    TripletKey::new(&store.greylist_secret(), holder, sender, "user@ours.example")
}

pub(super) async fn triplets_are_looked_up_together_as_they_were_noted<H: Home>() {
    let (store, _directory) = H::open(&Settings::default(), Hands::at(day(0)));
    let [a, b, c] = ["a@x.example", "b@x.example", "c@x.example"].map(|sender| triplet(&*store, "192.0.2.0", sender));
    let pass = TripletKey::of_holder(a.holder());
    assert_eq!(store.greylist_look(&[a, b], day(0)).await, Ok(vec![None, None]));
    let events = vec![(a, TripletEvent::Attempt(WINDOW)), (pass, TripletEvent::Credit(WINDOW))];
    store.greylist_note(events, day(0)).await.expect("noted");
    let again = vec![(a, TripletEvent::Attempt(WINDOW)), (c, TripletEvent::Delivery(WINDOW))];
    store.greylist_note(again, day(0) + hour(1)).await.expect("noted");
    let known = store.greylist_look(&[b, a, pass, c], day(0) + hour(1)).await.expect("readable");
    let record = |last, attempts, deliveries| TripletRecord {
        first: day(0),
        last,
        until: day(2),
        attempts,
        deliveries,
        by_hand: false,
    };
    assert_eq!(known, [None, Some(record(day(0) + hour(1), 2, 0)), Some(record(day(0), 0, 1)), None]);
    let list = store.greylist_list(WantedTriplets { waiting: false, most: 9 }, day(1)).await.expect("readable");
    assert_eq!(list.iter().map(|(key, _)| *key).collect::<Vec<_>>(), [a, pass]);
    let list = store.greylist_list(WantedTriplets { waiting: true, most: 9 }, day(1)).await.expect("readable");
    assert_eq!(list.len(), 1);
    let spam = vec![(a, TripletEvent::Spam), (pass, TripletEvent::Spam)];
    store.greylist_note(spam, day(1)).await.expect("noted");
    assert_eq!(store.greylist_look(&[a, pass], day(1)).await, Ok(vec![None, None]));
}

pub(super) async fn what_triplets_were_told_is_believed_within_reason<H: Home>() {
    let (store, _directory) = H::open(&Settings::default(), Hands::at(day(0)));
    let [a, b] = ["a@x.example", "b@x.example"].map(|sender| triplet(&*store, "192.0.2.0", sender));
    let holder = TripletKey::of_holder(a.holder());
    let look = async |key: TripletKey, at| store.greylist_look(&[key], at).await.expect("readable")[0];
    // Who comes again too late begins anew, even while it is still remembered.
    let short = TripletEvent::Attempt(hour(1));
    store.greylist_note(vec![(a, TripletEvent::Attempt(WINDOW))], day(0)).await.expect("noted");
    store.greylist_note(vec![(a, short)], day(0) + hour(2)).await.expect("noted");
    assert_eq!(look(a, day(0) + hour(2)).await.map(|record| record.first), Some(day(0) + hour(2)));
    // An attempt that a clock saw which was ahead is one that was made now.
    store.greylist_note(vec![(b, short)], day(0) + hour(3)).await.expect("noted");
    store.greylist_note(vec![(b, short)], day(0) + hour(2)).await.expect("noted");
    assert_eq!(look(b, day(0) + hour(2)).await.map(|record| record.first), Some(day(0) + hour(2)));
    // A credit counts once an hour.
    for minutes in [0, 10, 50, 61, 70] {
        let at = day(0) + Duration::from_secs(minutes * 60);
        store.greylist_note(vec![(holder, TripletEvent::Credit(WINDOW))], at).await.expect("noted");
    }
    assert_eq!(look(holder, day(0) + hour(2)).await.map(|record| record.deliveries), Some(2));
}

pub(super) async fn triplets_of_one_network_displace_no_others<H: Home>() {
    let (clock, metrics) = (Hands::at(day(0)), metrics());
    let settings = Settings { triplets: 200, ..Settings::default() };
    let (store, _directory) = H::open_counting(&settings, clock, metrics);
    let honest = triplet(&*store, "203.0.113.0", "a@honest.example");
    store.greylist_note(vec![(honest, TripletEvent::Attempt(WINDOW))], day(0)).await.expect("noted");
    for number in 0..1000 {
        let bot = triplet(&*store, "192.0.2.0", &format!("{number}@bot.example"));
        store.greylist_note(vec![(bot, TripletEvent::Attempt(WINDOW))], day(0)).await.expect("noted");
    }
    let known = store.greylist_look(&[honest], day(0)).await.expect("readable");
    assert!(known[0].is_some());
    let all = store.greylist_list(WantedTriplets { waiting: false, most: 9999 }, day(0)).await.expect("readable");
    match H::IS_DIVIDED {
        true => assert!((2..=200).contains(&all.len()), "{}", all.len()),
        false => assert_eq!(all.len(), 200),
    }
}
