//! What every home must do with campaigns.

use super::*;
use crate::similarity::{Content, Digest};

/// What a message with these words says; numbers do not count.
fn fingerprint(store: &dyn Store, words: &str) -> Fingerprint {
    let text: String =
        (b'a'..=b'z').map(|letter| format!("{words}{} ", (letter as char).to_string().repeat(3))).collect();
    let text = text.clone() + &text.to_uppercase().replace('A', "Q");
    Fingerprint {
        digest: Digest::of(&Content { text: &text, ..Content::default() }, store.campaign_key()),
        attachments: Vec::new(),
    }
}

fn campaign_sighting(fingerprint: &Fingerprint, network: u64, domain: &str) -> CampaignSighting {
    CampaignSighting {
        fingerprint: fingerprint.clone(),
        network,
        sender_domain: Some(domain.into()),
        authenticated: None,
        is_aligned: false,
        has_list_id: true,
        has_unsubscribe: false,
        known_recipients: 1,
        unknown_recipients: 2,
        traps: 0,
        is_deferred: false,
    }
}

pub(super) async fn campaigns_are_counted_and_found_again<H: Home>() {
    let (store, _directory) = H::open(&Settings::default(), Hands::at(day(0)));
    let [pills, watches] = ["pills", "watches"].map(|words| fingerprint(&*store, words));
    assert_eq!(store.campaign_look(&pills, day(0)).await, Ok(None));
    for number in 0..3 {
        let sighting = campaign_sighting(&pills, number, &format!("{number}.example"));
        store.campaign_note(sighting, day(0) + hour(number)).await.expect("counted");
    }
    let deferred = CampaignSighting { is_deferred: true, traps: 1, ..campaign_sighting(&pills, 9, "9.example") };
    store.campaign_note(deferred, day(0) + hour(3)).await.expect("counted");
    let campaign = store.campaign_look(&pills, day(0) + hour(4)).await.expect("readable").expect("known");
    assert_eq!((campaign.volume, campaign.with_list_id, campaign.authenticated), (3, 3, 0));
    assert_eq!((campaign.networks, campaign.sender_domains, campaign.authenticated_domains), (4, 4, 0));
    assert_eq!((campaign.known_recipients, campaign.unknown_recipients, campaign.traps), (3, 6, 1));
    assert_eq!((campaign.first, campaign.last), (day(0), day(0) + hour(3)));
    assert!(campaign.similarity > 99.0 && !campaign.by_attachment);
    assert_eq!(campaign.examples.len(), 4);
    assert_eq!(store.campaign_look(&watches, day(0) + hour(4)).await, Ok(None));
    let shown = store.campaign_show(campaign.id, day(0) + hour(4)).await.expect("readable").expect("known");
    assert_eq!((shown.id, shown.volume), (campaign.id, 3));
    store.campaign_note(campaign_sighting(&watches, 1, "a.example"), day(0)).await.expect("counted");
    let top = store.campaign_top(1, day(0) + hour(4)).await.expect("readable");
    assert_eq!(top.iter().map(|campaign| campaign.id).collect::<Vec<_>>(), [campaign.id]);
    let later = day(0) + hour(3) + Settings::default().campaign_window + hour(2);
    assert_eq!(store.campaign_look(&pills, later).await, Ok(None), "the window is over");
}

pub(super) async fn what_is_learned_of_a_message_holds_for_its_campaign<H: Home>() {
    let (store, _directory) = H::open(&Settings::default(), Hands::at(day(0)));
    let [pills, letter] = ["pills", "letter"].map(|words| fingerprint(&*store, words));
    store.campaign_note(campaign_sighting(&pills, 1, "a.example"), day(0)).await.expect("counted");
    let known = store.campaign_look(&pills, day(0)).await.expect("readable").expect("known");
    assert_eq!(store.campaign_learn(pills.clone(), Learned::Spam, day(0)).await, Ok(known.id));
    let new = store.campaign_learn(letter.clone(), Learned::Ham, day(0)).await.expect("learned");
    assert_ne!(new, known.id);
    for (fingerprint, learned, volume) in [(&pills, (1, 0), 1), (&letter, (0, 1), 0)] {
        let campaign = store.campaign_look(fingerprint, day(0)).await.expect("readable").expect("known");
        assert_eq!(((campaign.spam, campaign.ham), campaign.volume), (learned, volume));
    }
    let nothing = Fingerprint { digest: Digest::of(&Content::default(), 0), attachments: Vec::new() };
    assert!(store.campaign_learn(nothing, Learned::Spam, day(0)).await.is_err());
}

pub(super) async fn an_attachment_leads_to_its_campaign<H: Home>() {
    let (store, _directory) = H::open(&Settings::default(), Hands::at(day(0)));
    let with =
        |words, attachments: &[u64]| Fingerprint { attachments: attachments.into(), ..fingerprint(&*store, words) };
    store.campaign_note(campaign_sighting(&with("invoice", &[7]), 1, "a.example"), day(0)).await.expect("counted");
    let found = store.campaign_look(&with("reminder", &[1, 7]), day(0)).await.expect("readable").expect("known");
    assert!(found.by_attachment && found.volume == 1);
    assert_eq!(store.campaign_look(&with("reminder", &[1]), day(0)).await, Ok(None));
}
