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
        ("in /usr/share/doc or example.com/a/b on 1/2/2024", "in # or # on #"),
        ("this/that/those", "this that those"),
        ("buy:http://example.com/x", "buy #"),
        ("nowhttps://example.com/x", "now #"),
        // Blanks of all kinds, and words of single letters without a line to end them.
        ("free\u{a0}pills\u{1680}here\u{b}now", "free piiis here now"),
        ("f r e e  p o s t\nn o w", "free post now"),
        ("a b c d e f g h i j k m n o p q r s t u v w", "abcdefghijkmnopq rstuvw"),
        ("日本語http://example.com/です", "日 本 語 # で す"),
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
        // What is sent to be read is not left out.
        (format!("{body}\n> {}", format!("{body} ").repeat(6)), format!("{body}|> {}", format!("{body} ").repeat(6))),
        (format!("{body}\n--\n{body} {body}"), body.to_owned()),
        (
            format!("{body}\n--\n{}", format!("{body} ").repeat(7)),
            format!("{body}|--|{}", format!("{body} ").repeat(7)),
        ),
        (
            format!("{body}\n_______________\n{}\n_______________\nlist", format!("{body} ").repeat(7)),
            format!("{body}|_______________|{}", format!("{body} ").repeat(7)),
        ),
        (format!("{body}\n-----Original Message-----\nFrom: a\nSent: b\n\nquoted"), body.to_owned()),
        (format!("{body}\n*Von:* a\nGesendet: b\n\nquoted"), body.to_owned()),
        (format!("{body}\nFrom: a\nTo: c\nDate: b\n\nquoted"), body.to_owned()),
        (format!("From: a\nDate: b\n{body}"), format!("From: a|Date: b|{body}")),
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
        (&format!("{SPAM} {OTHER} {}", "2024-01-02 ".repeat(30)), Evidence::Fair),
        (OTHER, Evidence::Fair),
        (&format!("{SPAM} {OTHER}"), Evidence::Strong),
    ] {
        assert_eq!(digest(text).evidence(), evidence, "{text}");
    }
    let long = |from: u64| (from..from + 20).map(text).collect::<Vec<_>>().join(" ");
    let between = (7..11).filter(|from| {
        let (one, two) = (digest(&long(0)), digest(&long(*from)));
        let similarity = one.similarity(&two);
        assert_eq!(one.alike(&two).is_some(), similarity >= 60.0, "of 1,200 words: {similarity}");
        (50.0..60.0).contains(&similarity)
    });
    assert!(between.count() > 0);
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
    let html = "Content-Type: text/html; charset=utf-8\r\n\r\n";
    let messages = [
        format!("{html}<style>.n{{display:none}}</style><p class=n>{OTHER}</p><p>{}", SPAM.replace('a', "а")),
        format!("Content-Type: text/plain; charset=utf-8\r\n\r\n日本語の文章ですhttp://example.com/です。\r\n{OTHER}"),
        format!("{html}<table><tr><td><a href='http://example.com'><img src='http://example.net/a.png'></a></table>"),
        format!("\r\n{SPAM}\r\n> {OTHER}\r\n_________________\r\nlist mailing list"),
        "Content-Transfer-Encoding: base64\r\n\r\nVGhlIGdhcmRlbmluZyBjbHViIG1lZXRzIG9uIFNhdHVyZGF5Lg==".to_owned(),
    ];
    let found = messages.map(|octets| hash(&of_message(octets)));
    assert_eq!(found, GOLDEN_MESSAGES, "{found:#x?}");
}

const GOLDEN: [u64; 3] = [0x828c_cc17_1fce_d3c6, 0x9814_911f_e9ce_2c19, 0x6436_c307_5c33_8e6a];
const GOLDEN_MESSAGES: [u64; 5] =
    [0x828c_cc17_1fce_d3c6, 0x4213_0dbd_04bf_899c, 0x6c83_383c_3415_8efb, 0x828c_cc17_1fce_d3c6, 0x5aa7_f713_00dc_5712];

fn of_message(octets: String) -> Digest {
    let len = octets.len() as u64;
    let message = Message::new(octets.into_bytes(), len);
    Digest::of_message(&Text::of(&message), &Links::of(&message), DEFAULT_KEY)
}

#[test]
fn behind_a_picture_nobody_reads_the_plain_text() {
    let mail = |plain: &str, html: &str| {
        of_message(format!(
            "Content-Type: multipart/alternative; boundary=a\r\n\r\n--a\r\n\r\n{plain}\r\n\
             --a\r\nContent-Type: text/html\r\n\r\n{html}\r\n--a--\r\n"
        ))
    };
    for (html, evidence) in [
        ("<p>See our offer<p><img src=cid:1>", Evidence::None),
        ("<p>gardening<p><img src='http://example.com/1.png'>", Evidence::Fair),
        ("<p>gardening<p><img src='http://example.com/1.png' width=1>", Evidence::Fair),
        ("<p>See our offer<p><img src='http://example.com/1.png' width=1>", Evidence::Fair),
        ("<p>See our offer<p>", Evidence::Fair),
    ] {
        assert_eq!(mail(OTHER, html).evidence(), evidence, "{html}");
    }
}

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
    let of = of_message;
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
fn what_is_found_now_and_then_stays_findable() {
    let mut index = index(100);
    let campaign = digest(SPAM);
    index.record(&campaign, 1, HOUR);
    for number in 0..500 {
        if number % 50 == 0 {
            assert_eq!(index.nearest(&campaign, HOUR).map(|found| found.cluster), Some(1), "after {number}");
            index.record(&campaign, 1, HOUR);
        }
        index.record(&digest(&text(number)), 100 + number, HOUR);
    }
}

#[test]
fn of_what_was_found_equally_often_none_is_spared_for_ever() {
    let mut index = index(100);
    index.record(&digest(SPAM), 1, HOUR);
    for _ in 0..20 {
        index.record(&digest(SPAM), 1, HOUR);
    }
    for number in 0..200 {
        index.record(&digest(&text(number)), 100 + number, HOUR);
        index.record(&digest(&text(number)), 100 + number, HOUR);
    }
    assert_eq!(index.nearest(&digest(SPAM), HOUR).map(|found| found.cluster), Some(1));
}

#[test]
fn a_text_between_two_others_does_not_make_one_of_all() {
    let mut index = index(100);
    let (news, spam) = (digest(OTHER), digest(&SPAM[..SPAM.len() * 3 / 4]));
    let both = digest(&format!("{OTHER} {}", &SPAM[..SPAM.len() * 3 / 4]));
    index.record(&news, 1, HOUR);
    assert_eq!(index.nearest(&both, HOUR).map(|found| found.cluster), Some(1));
    index.record(&both, 1, HOUR);
    assert!(both.alike(&spam).is_some(), "{}", both.similarity(&spam));
    assert_eq!(index.nearest(&spam, HOUR), None);
}

#[test]
fn one_campaign_does_not_fill_the_index() {
    let mut index = index(1000);
    let words: Vec<String> =
        (0..2).flat_map(|number| text(number).split(' ').map(str::to_owned).collect::<Vec<_>>()).collect();
    let mut added = 0;
    for copy in 0..200 {
        // A tenth of the words is another in each copy.
        let mutated: Vec<String> = words
            .iter()
            .enumerate()
            .map(
                |(at, word)| {
                    if (at + copy) % 10 == 0 { text(1000 + copy as u64)[..8].to_owned() + word } else { word.clone() }
                },
            )
            .collect();
        let recorded = index.record(&digest(&mutated.join(" ")), 1, HOUR);
        added += usize::from(recorded == Recorded::Added);
    }
    assert!((2..=40).contains(&added) && index.len() == added, "{added}");
    assert!(index.nearest(&digest(&words.join(" ")), HOUR).is_some());
}

const _: () = assert!(BYTES_PER_ENTRY == 365, "docs/similarity.md says how much it is");
