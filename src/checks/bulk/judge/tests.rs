use std::time::UNIX_EPOCH;

use super::*;
use crate::store::CampaignId;

fn at(hours: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_790_000_000 + hours * 3600)
}

/// So many messages from so many networks, sender domains and authenticated domains.
fn sent(volume: u64, networks: u64, sender_domains: u64, authenticated: u64, authenticated_domains: u64) -> Campaign {
    Campaign {
        id: CampaignId(0xbeef),
        similarity: 80.0,
        by_attachment: false,
        first: at(0),
        last: at(1),
        volume,
        authenticated,
        aligned: authenticated,
        with_list_id: 0,
        with_unsubscribe: 0,
        known_recipients: volume,
        unknown_recipients: 0,
        traps: 0,
        networks,
        sender_domains,
        authenticated_domains,
        examples: Vec::new(),
        spam: 0,
        ham: 0,
    }
}

const NOBODY: Sender = Sender {
    is_authenticated: false,
    is_aligned: false,
    is_transactional: false,
    has_list_id: false,
    links_home: false,
};
const CARRIED: Sender = Sender { is_authenticated: true, ..NOBODY };
const AUTHOR: Sender = Sender { is_aligned: true, ..CARRIED };
const LIST: Sender = Sender { has_list_id: true, ..CARRIED };
const KNOWN: Sender = Sender { is_transactional: true, ..AUTHOR };

const CAMPAIGN: Option<Judgement> = Some(Judgement::Campaign);
const CONDEMNED: Option<Judgement> = Some(Judgement::Condemned);
const LEGITIMATE: Option<Judgement> = Some(Judgement::Legitimate);
const UNKNOWN: Option<Judgement> = Some(Judgement::Unknown);
const PRAISED: Option<Judgement> = Some(Judgement::Praised);

fn judged(campaign: &Campaign, sender: &Sender, evidence: Evidence) -> Option<Judgement> {
    judge(&Settings::default(), campaign, sender, evidence, at(2))
}

#[test]
fn one_text_from_everywhere_is_a_campaign_by_the_fifth_message() {
    use Evidence::{Fair, None as Nothing, Strong, Weak};
    for (campaign, sender, evidence, expected) in [
        (sent(3, 3, 3, 0, 0), NOBODY, Strong, None),
        (sent(4, 4, 4, 0, 0), NOBODY, Strong, CAMPAIGN),
        (sent(4, 4, 4, 0, 0), CARRIED, Strong, CAMPAIGN),
        // Deferred, all of it: greylisting keeps no bot uncounted.
        (sent(0, 4, 4, 0, 0), NOBODY, Strong, CAMPAIGN),
        // Domains bought by the dozen.
        (sent(5, 5, 5, 5, 5), AUTHOR, Strong, CAMPAIGN),
        (sent(4, 4, 4, 4, 4), AUTHOR, Strong, None),
        (sent(99, 99, 99, 0, 0), Sender { links_home: true, ..NOBODY }, Fair, UNKNOWN),
        (sent(4, 4, 4, 0, 0), Sender { links_home: true, ..NOBODY }, Strong, CAMPAIGN),
        // Fewer words say less, and hardly any say nothing.
        (sent(31, 31, 31, 0, 0), NOBODY, Fair, UNKNOWN),
        (sent(32, 32, 32, 0, 0), NOBODY, Fair, CAMPAIGN),
        (sent(900, 900, 900, 0, 0), NOBODY, Weak, UNKNOWN),
        (sent(900, 900, 900, 0, 0), NOBODY, Nothing, UNKNOWN),
        // One name, forged or true.
        (sent(11, 11, 1, 0, 0), NOBODY, Strong, UNKNOWN),
        (sent(12, 12, 1, 0, 0), NOBODY, Strong, CAMPAIGN),
        (Campaign { by_attachment: true, ..sent(31, 31, 31, 0, 0) }, NOBODY, Strong, UNKNOWN),
        (Campaign { by_attachment: true, ..sent(32, 32, 32, 0, 0) }, NOBODY, Nothing, CAMPAIGN),
    ] {
        assert_eq!(judged(&campaign, &sender, evidence), expected, "{campaign:?} {sender:?} {evidence:?}");
    }
}

#[test]
fn bulk_mail_of_one_sender_is_no_campaign() {
    let newsletter = Campaign { with_unsubscribe: 1_000_000, ..sent(1_000_000, 12, 1, 1_000_000, 1) };
    let mailing_list = Campaign { with_list_id: 500, aligned: 10, ..sent(500, 9, 1, 500, 1) };
    // Copies that came through forwarders: their own envelopes, the author's signature.
    let forwarded = Campaign { with_unsubscribe: 300, ..sent(300, 80, 60, 295, 2) };
    for (campaign, sender, expected) in [
        (&newsletter, AUTHOR, LEGITIMATE),
        (&newsletter, CARRIED, UNKNOWN),
        // Who imitates it gains nothing by it.
        (&newsletter, NOBODY, UNKNOWN),
        (&mailing_list, LIST, LEGITIMATE),
        (&forwarded, AUTHOR, LEGITIMATE),
        (&Campaign { traps: 1, ..newsletter.clone() }, AUTHOR, UNKNOWN),
        (&Campaign { unknown_recipients: 200_000, ..newsletter.clone() }, AUTHOR, UNKNOWN),
        (&Campaign { with_unsubscribe: 0, ..newsletter.clone() }, AUTHOR, UNKNOWN),
        // An unauthenticated list.
        (&Campaign { with_list_id: 500, ..sent(500, 30, 1, 0, 0) }, Sender { has_list_id: true, ..NOBODY }, UNKNOWN),
        // A text that was stolen: the thieves are a campaign, its author is not.
        (&sent(500, 300, 250, 200, 1), AUTHOR, UNKNOWN),
        (&sent(500, 300, 250, 200, 1), NOBODY, CAMPAIGN),
        (&sent(9, 2, 1, 9, 1), AUTHOR, None),
    ] {
        assert_eq!(judged(campaign, &sender, Evidence::Strong), expected, "{campaign:?} {sender:?}");
    }
    let old = Campaign { with_unsubscribe: 0, first: at(0) - Duration::from_secs(2 * 86_400), ..newsletter };
    assert_eq!(judged(&old, &AUTHOR, Evidence::Strong), LEGITIMATE, "it has a history");
}

#[test]
fn what_was_said_of_a_campaign_holds_for_all_but_those_who_are_beyond_doubt() {
    use Evidence::{None as Nothing, Strong, Weak};
    let spam = |spam, campaign| Campaign { spam, ..campaign };
    let exact = |campaign| Campaign { similarity: 95.0, ..campaign };
    let one = || sent(1, 1, 1, 0, 0);
    for (campaign, sender, evidence, expected) in [
        (spam(1, one()), NOBODY, Strong, CONDEMNED),
        (spam(1, one()), AUTHOR, Strong, CONDEMNED),
        (Campaign { ham: 1, ..spam(1, one()) }, NOBODY, Strong, None),
        (Campaign { traps: 1, ..one() }, NOBODY, Strong, CONDEMNED),
        (Campaign { traps: 2, ..sent(50, 3, 1, 50, 1) }, AUTHOR, Strong, UNKNOWN),
        // Anybody can send it to traps.
        (Campaign { traps: 99, ..sent(50, 3, 1, 50, 1) }, AUTHOR, Strong, UNKNOWN),
        // Somebody has reported login codes.
        (spam(9, exact(sent(90, 50, 40, 0, 0))), NOBODY, Nothing, UNKNOWN),
        (spam(1, exact(sent(90, 50, 40, 0, 0))), NOBODY, Weak, UNKNOWN),
        (spam(9, sent(90, 50, 40, 0, 0)), NOBODY, Weak, UNKNOWN),
        (spam(2, exact(sent(90, 50, 40, 0, 0))), NOBODY, Weak, CONDEMNED),
        (spam(9, exact(sent(90, 2, 1, 90, 1))), AUTHOR, Weak, UNKNOWN),
        (Campaign { traps: 99, ..spam(9, sent(90, 50, 1, 90, 1)) }, KNOWN, Strong, LEGITIMATE),
        (Campaign { by_attachment: true, ..spam(1, one()) }, NOBODY, Nothing, CONDEMNED),
        (Campaign { by_attachment: true, ..spam(1, one()) }, AUTHOR, Strong, None),
        (Campaign { ham: 1, ..sent(90, 50, 40, 0, 0) }, NOBODY, Strong, PRAISED),
        (Campaign { ham: 1, ..sent(90, 50, 40, 60, 1) }, NOBODY, Strong, UNKNOWN),
        (Campaign { ham: 1, ..sent(90, 50, 40, 60, 1) }, AUTHOR, Strong, PRAISED),
    ] {
        assert_eq!(judged(&campaign, &sender, evidence), expected, "{campaign:?} {sender:?} {evidence:?}");
    }
}

#[test]
fn a_campaign_that_is_seen_by_little_weighs_half() {
    let (by_text, by_attachment) = (sent(9, 9, 9, 0, 0), Campaign { by_attachment: true, ..sent(9, 9, 9, 0, 0) });
    for (judgement, campaign, evidence, expected) in [
        (Judgement::Campaign, &by_text, Evidence::Strong, 100),
        (Judgement::Campaign, &by_text, Evidence::Fair, 50),
        (Judgement::Campaign, &by_attachment, Evidence::Strong, 50),
        (Judgement::Condemned, &by_text, Evidence::Fair, 100),
    ] {
        assert_eq!(strength(judgement, campaign, evidence).get(), expected, "{judgement:?} {evidence:?}");
    }
}

#[test]
fn the_trace_shows_the_numbers() {
    let campaign = Campaign { traps: 2, spam: 1, ..sent(40, 30, 20, 10, 4) };
    assert_eq!(
        evidence(&campaign),
        "beef: 40 copies from 30 networks, 20 sender domains since 2026-09-21 14:13 UTC, 25 % authenticated by 4, \
         2 to traps, 1 learned as spam; 80 % alike"
    );
}
