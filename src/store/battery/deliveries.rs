//! What every home must do with deliveries.

use super::*;

fn key(number: u8) -> DeliveryKey {
    DeliveryKey::new(&[number], "a@sender.example", "b@ours.example")
}

pub(super) async fn of_too_many_deliveries_the_first_are_forgotten<H: Home>() {
    let (store, _directory) = H::open(&Settings { deliveries: 2, ..Settings::default() }, Hands::at(day(0)));
    for number in [1, 2, 3] {
        let lifetime = Duration::from_secs(3600 + u64::from(number));
        store.delivered_note(vec![key(number)], lifetime, day(0)).await.expect("noted");
    }
    assert_eq!(store.delivered_look(&[key(1), key(2), key(3)], day(0)).await, Ok(vec![false, true, true]));
}

pub(super) async fn deliveries_are_known_until_they_are_dropped_or_old<H: Home>() {
    let (store, _directory) = H::open(&Settings::default(), Hands::at(day(0)));
    let look = async |at| store.delivered_look(&[key(1), key(2), key(3)], at).await;
    assert_eq!(look(day(0)).await, Ok(vec![false; 3]));
    store.delivered_note(vec![key(1), key(3)], Duration::from_secs(3600), day(0)).await.expect("noted");
    assert_eq!(look(day(0)).await, Ok(vec![true, false, true]));
    store.delivered_drop(vec![key(1), key(2)]).await.expect("dropped");
    assert_eq!(look(day(0)).await, Ok(vec![false, false, true]));
    // Noted again, it is kept longer.
    store.delivered_note(vec![key(2)], Duration::from_secs(7200), day(0)).await.expect("noted");
    assert_eq!(look(day(0) + Duration::from_secs(3600)).await, Ok(vec![false, true, false]));
    assert_eq!(look(day(0) + Duration::from_secs(7200)).await, Ok(vec![false; 3]));
    assert_eq!(store.delivered_look(&[], day(0)).await, Ok(Vec::new()));
    for (message, sender, recipient) in [("ab", "c", "d"), ("a", "bc", "d"), ("a", "b", "cd")] {
        let other = DeliveryKey::new(message.as_bytes(), sender, recipient);
        assert_ne!(other, DeliveryKey::new(b"a", "b", "c"), "{message} {sender} {recipient}");
    }
}
