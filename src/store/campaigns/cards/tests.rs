use std::time::UNIX_EPOCH;

use super::*;
use crate::similarity::{Content, Digest};
use crate::store::Fingerprint;

const WINDOW: Duration = Duration::from_secs(3 * 86_400);

fn at(hours: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_790_000_000 + hours * 3600)
}

fn cards(bound: usize) -> Cards {
    let mut cards = Cards::new(bound, WINDOW, 7, [], at(0) - 2 * WINDOW);
    cards.doubt = Doubt::new(seconds(at(0) - 2 * WINDOW));
    cards
}

fn sighting(network: u64, sender: &str, authenticated: Option<&str>) -> CampaignSighting {
    CampaignSighting {
        fingerprint: Fingerprint { digest: Digest::of(&Content::default(), 0), attachments: Vec::new() },
        network,
        sender_domain: Some(sender.into()),
        authenticated: authenticated.map(Into::into),
        is_aligned: true,
        has_list_id: false,
        has_unsubscribe: true,
        known_recipients: 2,
        unknown_recipients: 1,
        traps: 0,
        is_deferred: false,
    }
}

#[test]
fn a_card_counts_messages_and_who_sends_them() {
    let (mut cards, id) = (cards(9), CampaignId(1));
    for number in 0..20 {
        let domain = format!("{}.example", number % 10);
        cards.note(id, &sighting(number % 5, &domain, (number < 4).then_some("a.example")), at(number));
    }
    cards.note(id, &CampaignSighting { is_deferred: true, traps: 1, ..sighting(99, "late.example", None) }, at(20));
    cards.learn(id, Learned::Spam, at(21));
    let campaign = cards.get(id, at(21)).expect("counted").campaign(id);
    assert_eq!((campaign.first, campaign.last), (at(0), at(21)));
    assert_eq!((campaign.volume, campaign.authenticated, campaign.aligned), (20, 4, 4));
    assert_eq!((campaign.with_list_id, campaign.with_unsubscribe), (0, 20));
    assert_eq!((campaign.known_recipients, campaign.unknown_recipients, campaign.traps), (40, 20, 1));
    assert_eq!((campaign.networks, campaign.sender_domains, campaign.authenticated_domains), (6, 11, 1));
    assert_eq!((campaign.spam, campaign.ham), (1, 0));
    let examples: Vec<_> = (0..8).map(|number| format!("{number}.example")).collect();
    assert_eq!(campaign.examples.iter().map(|name| &**name).collect::<Vec<_>>(), examples);
}

#[test]
fn a_card_is_read_as_it_was_written() {
    let (mut cards, id) = (cards(9), CampaignId(1));
    for number in 0..100 {
        cards.note(id, &sighting(number, &format!("{number}.example"), None), at(0));
        let card = cards.get(id, at(0)).expect("counted");
        let octets = card.encode();
        assert_eq!(Card::decode(&octets).as_ref(), Some(card));
        assert!((0..octets.len()).all(|end| Card::decode(&octets[..end]).is_none_or(|cut| cut != *card)));
    }
}

#[test]
fn a_flood_of_texts_from_one_network_displaces_its_own_cards() {
    let mut cards = cards(100);
    for (id, networks) in [(1, 2), (2, 1), (3, 1)] {
        (0..networks)
            .for_each(|network| drop(cards.note(CampaignId(id), &sighting(network, "a.example", None), at(0))));
    }
    cards.learn(CampaignId(3), Learned::Ham, at(0));
    let mut gone = Vec::new();
    for id in 10..1000 {
        gone.extend(cards.note(CampaignId(id), &sighting(66, "flood.example", None), at(1)));
    }
    let known = [1, 2, 3].map(|id| cards.get(CampaignId(id), at(1)).is_some());
    assert_eq!(known, [true, false, true]);
    assert_eq!((cards.count().cards, cards.count().displaced, gone.len()), (100, 893, 893));
    // Whoever has many networks leaves a quarter to the others.
    for id in 2000..4000 {
        (0..2).for_each(|network| drop(cards.note(CampaignId(id), &sighting(network, "flood.example", None), at(2))));
    }
    assert_eq!(cards.count().cards, 100);
    assert!(cards.shelves[0].len() >= 24 && cards.get(CampaignId(3), at(2)).is_some());
}

#[test]
fn what_was_not_seen_for_the_window_is_forgotten_unless_the_clock_has_leapt() {
    let mut cards = cards(100);
    let (old, new) = (CampaignId(1), CampaignId(2));
    cards.note(old, &sighting(1, "a.example", None), at(0));
    cards.note(new, &sighting(1, "a.example", None), at(0));
    // A leap, and back.
    assert_eq!(cards.note(new, &sighting(1, "a.example", None), at(1000)), []);
    assert_eq!(cards.note(new, &sighting(1, "a.example", None), at(1)), []);
    assert!(cards.get(old, at(1)).is_some());
    for hour in 2..72 {
        cards.note(new, &sighting(1, "a.example", None), at(hour));
    }
    assert!(cards.get(old, at(72)).is_some() && cards.get(old, at(73)).is_none());
    assert_eq!(cards.note(new, &sighting(1, "a.example", None), at(73)), [old]);
    assert_eq!((cards.count().cards, cards.count().expired), (1, 1));
}

#[test]
fn the_largest_come_first() {
    let mut cards = cards(100);
    for (id, volume) in [(1, 3), (2, 9), (3, 1), (4, 3)] {
        (0..volume).for_each(|_| drop(cards.note(CampaignId(id), &sighting(1, "a.example", None), at(0))));
    }
    let top: Vec<_> = cards.top(3, at(0)).iter().map(|campaign| (campaign.id.0, campaign.volume)).collect();
    assert_eq!(top, [(2, 9), (1, 3), (4, 3)]);
}
