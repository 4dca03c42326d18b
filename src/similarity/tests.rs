//! What makes two messages alike, and what does not.

use std::time::Duration;

use proptest::prelude::*;

use super::normal::{Token, words};
use super::*;
use crate::message::{Links, Message, Text};

const SPAM: &str = "Dear friend, our pharmacy delivers discount medicine straight to your door without any \
    prescription. Thousands of happy customers already save money every month and recommend our discreet \
    service. Order today, choose your favourite products from the catalogue and enjoy free shipping worldwide. \
    Payment is secure, refunds are guaranteed, and our support team answers questions around the clock.";
const OTHER: &str = "The gardening club meets on Saturday behind the greenhouse. Bring gloves, a spade and \
    something to drink; seedlings of tomatoes, beans and pumpkins will be shared among members. Afterwards we \
    repair the fence near the pond, weather permitting, and plan the harvest festival in September.";

fn digest(text: &str) -> Digest {
    Digest::of(&Content { text, ..Content::default() }, DEFAULT_KEY)
}

/// The words of a text, as they are compared. `#` stands for what changes.
fn normal(text: &str) -> String {
    let mut out: Vec<String> = Vec::new();
    words(text.lines(), |token| {
        out.push(match token {
            Token::Word(word) => String::from_utf8(word.to_vec()).expect("UTF-8"),
            Token::Ideograph(character) => character.to_string(),
            Token::Changing => "#".into(),
        });
    });
    out.join(" ")
}

#[test]
fn words_survive_rewriting() {
    for (text, expected) in [
        ("Hello, World!", "heiio worid"),
        ("don't (really) well-being", "dont reaiiy weii being"),
        ("free  \t free", "free free"),
        // Look-alikes, accents, other dress.
        ("Ρrоteсt уоur", "protect your"),
        ("café Straße", "cafe strase"),
        ("ｆｒｅｅ 𝐟𝐫𝐞𝐞 Ⓕⓡⓔⓔ", "free free free"),
        // Nobody sees these.
        ("fr\u{200b}ee fr\u{ad}ee f\u{301}ree", "free free free"),
        // Signs and digits for letters.
        ("v!agra m0ney fr3e $ave", "viagra money free save"),
        // Letters on their own.
        ("y o u r s e l f", "yourseif"),
        ("and y o u r s e l f again", "and yourseif again"),
        ("P_r_o_t_e_c_t", "protect"),
        ("o.b.l.i.g.a.t.i.o.n q-u-o-t-e-.", "obiigation quote"),
        ("U.S.A. e.g.", "usa e g"),
        ("I am a man", "i am a man"),
        // What is new in each copy.
        ("Order 12345 on 2024-01-02", "order # on # # #"),
        ("see http://example.com/x?y=1 or www.example.com", "see # or #"),
        ("write to a.b@example.com now", "write to # now"),
        ("in /usr/share/doc", "in #"),
        // Without blanks.
        ("日本 語", "日 本 語"),
        ("", ""),
        ("--- ... !!!", ""),
    ] {
        assert_eq!(normal(text), expected, "{text}");
    }
}

#[test]
fn quotations_and_footers_are_not_the_message() {
    let own = |text: &str| super::own::lines(text).collect::<Vec<_>>().join("|");
    let body = "This is what the author had to say about the matter, at some length and with care.";
    for (text, expected) in [
        (format!("{body}\n_______________\nlist mailing list\nlist@example.com"), body.to_owned()),
        (format!("{body}\n> quoted\n>> twice"), body.to_owned()),
        (format!("{body}\n-- \nName\nPhone\n_______________\nlist"), body.to_owned()),
        (format!("----------\n{body}"), body.to_owned()),
        ("-----------\nonly a footer".to_owned(), "-----------|only a footer".to_owned()),
        ("> only a quotation".to_owned(), "> only a quotation".to_owned()),
    ] {
        if text.starts_with("-----") && text.contains(body) {
            assert!(own(&text).contains(body), "{text}");
        } else {
            assert_eq!(own(&text), expected, "{text}");
        }
    }
}

#[test]
fn a_mutated_text_is_alike_and_another_is_not() {
    let original = digest(SPAM);
    for (how, text) in [
        ("case", SPAM.to_uppercase()),
        ("lines", SPAM.replace(' ', "\n")),
        ("look-alikes", SPAM.replace('e', "е").replace('o', "о")),
        ("zero width", SPAM.replace('a', "a\u{200b}")),
        ("greeting and numbers", format!("Dear Mr Smith,\n{SPAM}\n0123 456 789\nhttp://{}.example/", "x".repeat(9))),
        ("order", SPAM.split('.').rev().collect::<Vec<_>>().join(". ")),
    ] {
        let similarity = digest(&text).similarity(&original);
        assert!(similarity > 85.0, "{how}: {similarity}");
    }
    for (how, text) in [("poison", format!("{OTHER}\n{SPAM}")), ("half of it", SPAM[..SPAM.len() / 2].to_owned())] {
        let similarity = digest(&text).alike(&original);
        assert!(similarity.is_some(), "{how}: {:?}", digest(&text).similarity(&original));
    }
    let similarity = digest(OTHER).similarity(&original);
    assert!(similarity < 30.0 && digest(OTHER).alike(&original).is_none(), "{similarity}");
}

#[test]
fn little_text_is_weak_evidence() {
    let form = "Your receipt 4711: order 123 of 2024-03-01, item 99, price 12.50, paid 12.50, card 1234, ref 5, \
        shop example, town here, phone 12345, tax 7, thanks 1, bye 2, sum 3, total 9, code 8 net amount due date";
    for (text, evidence) in [
        ("", Evidence::None),
        ("Your code is 123456", Evidence::None),
        ("Your parcel could not be delivered because the address was incomplete", Evidence::Weak),
        (form, Evidence::Weak),
        (OTHER, Evidence::Fair),
        (&format!("{SPAM} {OTHER}"), Evidence::Strong),
    ] {
        assert_eq!(digest(text).evidence(), evidence, "{text}");
    }
    // Six words of ten: enough for a letter, not for a line.
    let (one, two) =
        ("alpha bravo charlie delta echo foxtrot golf hotel", "alpha bravo charlie delta echo foxtrot kilo lima");
    assert!(digest(one).alike(&digest(two)).is_none());
}

#[test]
fn a_picture_is_compared_by_its_layout() {
    let tags: Vec<u32> = (0..40).collect();
    let others: Vec<u32> = (100..140).collect();
    let of = |tags: &[u32]| Digest::of(&Content { text: "", tags, domains: &["example.com"] }, DEFAULT_KEY);
    assert_eq!(of(&tags).evidence(), Evidence::None);
    assert!(of(&tags).alike(&of(&tags)).is_some() && of(&tags).alike(&of(&others)).is_none());
    assert!(digest("").is_empty() && digest("").alike(&digest("")).is_none());
}

#[test]
fn links_and_layout_are_compared_on_their_own() {
    let of = |tags: &[u32], domains: &[&str]| Digest::of(&Content { text: SPAM, tags, domains }, DEFAULT_KEY);
    let one = of(&[1, 2, 3, 4], &["example.com", "example.net"]);
    let two = of(&[1, 2, 3, 4], &["example.net", "example.com"]);
    let three = of(&[9, 8, 7, 6], &["example.org"]);
    assert_eq!((one.link_similarity(&two), one.layout_similarity(&two)), (Some(100), Some(100)));
    assert_eq!(one.link_similarity(&three), Some(0));
    assert!(one.layout_similarity(&three).is_some_and(|percent| percent < 50));
    assert_eq!((one.link_similarity(&digest(SPAM)), one.layout_similarity(&digest(SPAM))), (None, None));
}

/// Digests are stored and compared by other machines and by later releases: whoever changes one of these
/// gives digests a new version.
#[test]
fn digests_are_what_they_always_were() {
    let hash = |digest: &Digest| xxhash_rust::xxh3::xxh3_64(digest.octets());
    assert_eq!(digest("").octets()[..2], [1, 0]);
    let whole = Content { text: OTHER, tags: &[1, 2, 3, 4], domains: &["example.com"] };
    let found = [digest(SPAM), digest("日本語の文章です。"), Digest::of(&whole, 7)].map(|digest| hash(&digest));
    assert_eq!(found, GOLDEN, "{found:#x?}");
}

const GOLDEN: [u64; 3] = [0x828c_cc17_1fce_d3c6, 0x9814_911f_e9ce_2c19, 0x6436_c307_5c33_8e6a];

#[test]
fn a_digest_can_be_stored() {
    let stored = *digest(SPAM).octets();
    assert_eq!(Digest::from_octets(stored), Some(digest(SPAM)));
    let mut foreign = stored;
    foreign[0] = foreign[0] & 0xf0 | 0x0f;
    assert_eq!(Digest::from_octets(foreign), None);
}

#[test]
fn a_key_of_its_own_makes_a_site_incomparable() {
    let theirs = Digest::of(&Content { text: SPAM, ..Content::default() }, 1);
    assert!(theirs.similarity(&digest(SPAM)) < 20.0);
}

#[test]
fn the_whole_way_from_a_message() {
    let of = |octets: String| {
        let len = octets.len() as u64;
        let message = Message::new(octets.into_bytes(), len);
        Digest::of_message(&Text::of(&message), &Links::of(&message), DEFAULT_KEY)
    };
    let plain = of(format!("Subject: x\r\n\r\n{SPAM}\r\nhttp://www.example.com/a\r\n"));
    let html = of(format!(
        "Content-Type: text/html; charset=utf-8\r\n\r\n<html><title>{OTHER}</title><p style=display:none>{OTHER}</p>\
         {}<a href='http://b.example.com/'>here</a>",
        SPAM.replace(". ", ".<br><span style='font-size:0'>noise</span>").replace("our", "o<b></b>ur")
    ));
    assert!(plain.similarity(&html) > 90.0, "{}", plain.similarity(&html));
    assert_eq!(plain.link_similarity(&html), Some(100));
}

proptest! {
    #[test]
    fn similarity_is_symmetric_and_full_of_itself(ours in "\\PC{0,400}", theirs in "\\PC{0,400}") {
        let (ours, theirs) = (digest(&ours), digest(&theirs));
        prop_assert_eq!(ours.similarity(&theirs), theirs.similarity(&ours));
        prop_assert!((0.0..=100.0).contains(&ours.similarity(&theirs)));
        prop_assert!(ours.is_empty() || ours.similarity(&ours) > 99.9);
        prop_assert_eq!(Digest::from_octets(*ours.octets()), Some(ours));
    }
}

const HOUR: Duration = Duration::from_secs(3600);

fn index(entries: usize) -> Index {
    Index::new(Limits { entries, window: 24 * HOUR, step: HOUR })
}

/// A text that is like no other number's.
fn text(number: u64) -> String {
    let word = |at: u64| {
        let mut hash = xxhash_rust::xxh3::xxh3_64(&(number * 1000 + at).to_le_bytes());
        std::iter::from_fn(move || {
            let letter = char::from(b'a' + (hash % 26) as u8);
            hash /= 26;
            Some(letter)
        })
        .take(8)
        .collect::<String>()
    };
    (0..60).map(word).collect::<Vec<_>>().join(" ")
}

#[test]
fn the_index_finds_what_it_stored_until_the_window_has_passed() {
    let mut index = index(1000);
    for number in 0..300 {
        assert_eq!(index.record(&digest(&text(number)), number, HOUR), Recorded::Added);
    }
    for number in 0..300 {
        let found = index.nearest(&digest(&text(number)), 24 * HOUR).expect("it is within the window");
        assert_eq!((found.cluster, found.similarity > 99.0), (number, true));
        assert_eq!(index.nearest(&digest(&text(number)), 27 * HOUR), None);
    }
    assert_eq!(index.nearest(&digest(&text(1000)), HOUR), None);
    assert_eq!(index.record(&digest(""), 1, HOUR), Recorded::Empty);
}

#[test]
fn what_is_seen_again_stays() {
    let mut index = index(10);
    let digest = digest(SPAM);
    assert_eq!(index.record(&digest, 7, HOUR), Recorded::Added);
    assert_eq!(index.record(&digest, 7, 20 * HOUR), Recorded::Refreshed);
    assert_eq!((index.len(), index.nearest(&digest, 40 * HOUR).map(|found| found.cluster)), (1, Some(7)));
}

#[test]
fn a_flood_of_texts_that_nobody_else_sends_pushes_out_itself() {
    let mut index = index(100);
    let campaign = digest(SPAM);
    index.record(&campaign, 1, HOUR);
    index.record(&campaign, 1, HOUR);
    for number in 0..150 {
        index.record(&digest(&text(number)), 100 + number, HOUR);
        assert!(index.len() <= 100);
    }
    assert_eq!(index.nearest(&campaign, HOUR).map(|found| found.cluster), Some(1));
    assert_eq!(index.nearest(&digest(&text(149)), HOUR).map(|found| found.cluster), Some(249));
    assert_eq!(index.nearest(&digest(&text(0)), HOUR), None);
}

#[test]
fn one_campaign_does_not_fill_the_index() {
    let mut index = index(1000);
    for copy in 0..200 {
        let mutated = SPAM.split(' ').enumerate().map(|(at, word)| {
            if (at * 7 + copy * 3) % 5 == 0 { format!("x{}y", at * 1000 + copy) } else { word.to_owned() }
        });
        let mutated = mutated.collect::<Vec<_>>().join(" ").replace(char::is_numeric, "q");
        index.record(&digest(&format!("{mutated} {}", text(copy as u64).split_at(90).0)), 1, HOUR);
    }
    assert!(index.len() < 60, "{}", index.len());
    assert!(index.nearest(&digest(SPAM), HOUR).is_some());
}

const _: () = assert!(BYTES_PER_ENTRY <= 400, "docs/similarity.md says how much it is");
