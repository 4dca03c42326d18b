//! What the learner promises, whatever it is taught.

use proptest::collection::{btree_set, vec};
use proptest::prelude::*;

use super::*;
use crate::message::{Message, Model};

/// Cells of a table in miniature, which stand for as many all over the table.
const CELLS: u32 = 64;

/// Where one of them is.
fn spread(cell: &u32) -> u32 {
    cell * (SIZE as u32 / CELLS)
}

/// The part of the root of its number that each cell of a message is, by its aspect.
fn parts(cells: &[u32]) -> Vec<f64> {
    let aspect = |cell: &u32| aspects::Aspect::of(spread(cell), SIZE.ilog2());
    let number = |one: &u32| cells.iter().filter(|other| aspect(other) == aspect(one)).count() as f64;
    cells.iter().map(|cell| 1.0 / number(cell).sqrt()).collect()
}

/// A table in miniature.
#[derive(Clone, PartialEq, Debug)]
struct Table(Vec<Cell>);

impl Table {
    fn new() -> Self {
        Self(vec![Cell::default(); CELLS as usize])
    }

    fn margin(&self, cells: &[u32]) -> f64 {
        let places: Vec<u32> = cells.iter().map(spread).collect();
        margin(&places, cells.iter().map(|cell| self.0[*cell as usize].weight()))
    }

    fn learn(&mut self, cells: &[u32], is_spam: bool, taught: Option<i32>) -> i32 {
        let before = taught.unwrap_or(0);
        self.change(cells, |cell| cell.without(before));
        let step = lesson(is_spam, self.margin(cells), taught, cells.len());
        self.change(cells, |cell| cell.with(step));
        step
    }

    fn change(&mut self, cells: &[u32], change: impl Fn(Cell) -> Cell) {
        cells.iter().for_each(|cell| self.0[*cell as usize] = change(self.0[*cell as usize]));
    }
}

fn message() -> impl Strategy<Value = (Vec<u32>, bool)> {
    (btree_set(0..CELLS, 1..40).prop_map(|cells| cells.into_iter().collect()), any::<bool>())
}

fn features(text: &str) -> Features {
    let octets = text.replace('\n', "\r\n").into_bytes();
    let len = octets.len() as u64;
    Features::of(&Model::of(&Message::new(octets, len)))
}

proptest! {
    #[test]
    fn what_a_message_moves_in_another_is_bounded_by_what_they_share_however_often_it_is_learned(
        known in vec(message(), 0..40), (cells, is_spam) in message(), other in message()
    ) {
        let mut table = Table::new();
        for (cells, is_spam) in &known {
            table.learn(cells, *is_spam, None);
        }
        let before = table.margin(&other.0);
        let shared = other.0.iter().zip(parts(&other.0)).filter(|(cell, _)| cells.contains(cell));
        let bound = 2.0 * f64::from(LOUDEST) * SHARE * shared.map(|(_, part)| part).sum::<f64>();
        let mut taught = None;
        for _ in 0..5 {
            taught = Some(table.learn(&cells, is_spam, taught));
            let moved = (table.margin(&other.0) - before).abs();
            prop_assert!(moved <= bound + 1e-6, "by {moved} of {bound}");
        }
    }

    #[test]
    fn what_is_taken_back_was_never_learned(
        known in vec(message(), 0..20), (cells, is_spam) in message(), later in vec(message(), 0..20)
    ) {
        let mut table = Table::new();
        for (cells, is_spam) in &known {
            table.learn(cells, *is_spam, None);
        }
        let before = table.clone();
        let mut steps = vec![(cells.clone(), table.learn(&cells, is_spam, None))];
        for (cells, is_spam) in &later {
            let step = table.learn(cells, *is_spam, None);
            steps.push((cells.clone(), step));
        }
        // In any order.
        for (cells, step) in &steps {
            table.change(cells, |cell| cell.without(*step));
        }
        prop_assert_eq!(table, before);
    }

    #[test]
    fn a_lesson_goes_to_its_side_and_never_beyond_the_bound(
        margin in -1e6..1e6f64, is_spam in any::<bool>(), features in 0usize..10_000, taught in any::<Option<i32>>()
    ) {
        let step = lesson(is_spam, margin, taught, features);
        prop_assert!(step != 0 && (step > 0) == is_spam);
        let bound = MOST * UNIT / (features.max(1) as f64).sqrt();
        prop_assert!(f64::from(step).abs() <= bound);
    }

    #[test]
    fn cells_say_no_more_than_the_bound(steps in vec(any::<i32>(), 0..20)) {
        let cell = steps.iter().fold(Cell::default(), |cell, step| cell.with(*step));
        prop_assert!(cell.weight().abs() <= LOUDEST);
        prop_assert_eq!(cell.is_known(), steps.iter().any(|step| *step != 0));
    }

    #[test]
    fn margins_and_opinions_are_numbers(held in vec(any::<(i32, u32)>(), 0..50), counts in vec(any::<[u32; 2]>(), BINS)) {
        let taught: [[u32; 2]; BINS] = counts.try_into().expect("as many");
        let held: Vec<Cell> = held.into_iter().map(|(sum, mass)| Cell { sum, mass }).collect();
        let cells: Vec<u32> = (0..held.len() as u32).map(|cell| cell * 20_000).collect();
        let margin = margin(&cells, held.iter().map(|cell| cell.weight()));
        prop_assert!(margin.is_finite());
        prop_assert!(bin(margin) < BINS);
        prop_assert!(Calibration::of(&taught).log_odds(margin).is_finite());
        let said = opinion(&Settings::default(), &Features::default(), &cells, &held, &taught);
        if let Some(said) = said {
            prop_assert!((0.0..=1.0).contains(&said.probability) && (1..=100).contains(&said.percent), "{said:?}");
        }
    }

    #[test]
    fn any_message_has_features_in_order_and_within_bounds(octets in vec(any::<u8>(), 0..600)) {
        let text = String::from_utf8_lossy(&octets).into_owned();
        let features = features(&format!("Subject: {text}\n\n{text}"));
        let cells = features.cells();
        prop_assert!(cells.is_sorted() && cells.iter().all(|cell| (*cell as usize) < SIZE));
        prop_assert!(cells.iter().all(|cell| !features.read(*cell).is_empty()));
    }
}

#[test]
fn margins_of_no_number_fall_into_a_class() {
    for (margin, class) in
        [(f64::NAN, 0), (f64::NEG_INFINITY, 0), (f64::INFINITY, BINS - 1), (0.01, BINS / 2), (-0.01, BINS / 2 - 1)]
    {
        assert_eq!(bin(margin), class, "{margin}");
    }
}

#[test]
fn calibration_follows_the_evidence_and_doubts_without() {
    let none = Calibration::of(&[[0, 0]; BINS]);
    assert!(none.log_odds(0.0) == 0.0 && none.log_odds(0.5) > 0.0);
    let counts = |ham: &[(f64, u32)], spam: &[(f64, u32)]| {
        let mut counts = [[0, 0]; BINS];
        ham.iter().for_each(|(margin, number)| counts[bin(*margin)][0] += number);
        spam.iter().for_each(|(margin, number)| counts[bin(*margin)][1] += number);
        Calibration::of(&counts)
    };
    let sharp = counts(&[(-0.6, 500), (0.1, 1)], &[(0.6, 500), (-0.1, 1)]);
    let blurred = counts(&[(-0.6, 300), (0.6, 200)], &[(0.6, 300), (-0.6, 200)]);
    assert!(sharp.log_odds(0.5) > 3.0, "{sharp:?}");
    assert!(blurred.log_odds(0.5) < 1.0, "{blurred:?}");
    // Twice as much ham says nothing about how probable spam is.
    let (even, uneven) = (counts(&[(-0.6, 100)], &[(0.6, 100)]), counts(&[(-0.6, 1000)], &[(0.6, 100)]));
    assert!((even.log_odds(0.4) - uneven.log_odds(0.4)).abs() < 0.5, "{even:?} {uneven:?}");
    // What is always a little too high is moved.
    assert!(counts(&[(0.2, 200)], &[(0.8, 200)]).log_odds(0.2) < 0.0);
}

#[test]
fn features_are_what_a_receiving_site_keeps() {
    let here =
        "From: Ann <ann@shop.example>\nSubject: Cheap Pills 123\nMessage-ID: <a1@shop.example>\n\nBuy pills now\n";
    let there =
        "Return-Path: <x@y>\nReceived: from a by b; Thu\nX-Spam-Flag: YES\nDate: Thu, 1 Jan 2026\nDelivered-To: me\n";
    let dated = format!("Date: Fri, 2 Jan 2026\n{here}");
    let stored = format!("{there}{here}");
    assert_eq!(features(&dated).name(), features(&stored).name());
    assert_ne!(features(&dated).name(), features(&dated.replace("pills", "bills")).name());
    let read: Vec<String> = {
        let features = features(&dated);
        features.cells().iter().map(|cell| features.read(*cell)).collect()
    };
    for expected in [
        r#"text "pills""#,
        r#"text "buy pills""#,
        r#"text "buy … now""#,
        r#"beginning "buy""#,
        r#"beginning "buy pills""#,
        r#"subject "cheap""#,
        r#"subject "000""#,
        r#"from "@shop.example""#,
        r#"from "ann""#,
        r#"header "no to""#,
    ] {
        assert!(read.iter().any(|one| one == expected), "{expected} in {read:?}");
    }
}

#[test]
fn a_long_text_does_not_drown_the_subject() {
    let message = |words: usize| features(&format!("Subject: win\n\n{}", "lorem ipsum dolor sit amet ".repeat(words)));
    let subject = |features: &Features| {
        let cells = features.cells();
        let weight = |cell: &u32| if features.read(*cell) == r#"subject "win""# { 1.0 } else { 0.0 };
        margin(&cells, cells.iter().map(weight))
    };
    assert!(subject(&message(1)) > 0.0);
    assert_eq!(subject(&message(1)), subject(&message(100)));
}

#[test]
fn words_are_read_as_people_write_them() {
    let read = |text: &str| {
        let mut tokens = tokens::Tokens::default();
        tokens.split(text, 100);
        (0..tokens.len()).map(|index| tokens.read(index).to_owned()).collect::<Vec<_>>()
    };
    for (text, words) in [
        ("Don't stop-me, e.g. now.", vec!["don't", "stop-me", "e.g", "now"]),
        ("Save $1,000!!", vec!["save", "$", "0", "000", "!", "!"]),
        ("ÄRGER Über", vec!["ärger", "über"]),
        ("你好 world", vec!["你", "好", "world"]),
        ("a--b 'c'", vec!["a", "b", "c"]),
        ("", vec![]),
    ] {
        assert_eq!(read(text), words, "{text}");
    }
    assert_eq!(read(&"x".repeat(100)), ["xxxxxxxx…6"]);
    let mut tokens = tokens::Tokens::default();
    let fact = tokens.push("message-id @a.very.long.name.example");
    assert_eq!(tokens.read(fact), "message-id @a.very.long.name.example", "only words are cut");
}

#[test]
fn nothing_is_said_before_enough_was_learned() {
    let settings = Settings { minimum: 10, log_odds: (0.5, 30.0), ..Settings::default() };
    let features = features("Subject: win\n\nwin money\n");
    let cells = features.cells();
    let spam = Cell::default().with((UNIT * 0.01) as i32);
    let weights = vec![spam; cells.len()];
    let taught = |ham: u32, spam: u32| {
        let mut taught = [[0, 0]; BINS];
        taught[bin(-0.7)][0] = ham;
        taught[bin(0.7)][1] = spam;
        opinion(&settings, &features, &cells, &weights, &taught)
    };
    assert_eq!(taught(9, 1000), None);
    assert_eq!(taught(1000, 9), None);
    let (little, much) = (taught(10, 10).expect("enough"), taught(1000, 1000).expect("enough"));
    assert!(little.percent < much.percent, "{little:?} {much:?}");
    assert_eq!(much.leaning, Leaning::Spam);
    assert!(much.strongest.len() == 5 && much.known == 1.0);
    // Of a message nearly all of whose features are unknown nothing is said.
    let mut unknown = vec![Cell::default(); cells.len()];
    unknown[0] = spam;
    let mut counts = [[0, 0]; BINS];
    (counts[0][0], counts[BINS - 1][1]) = (1000, 1000);
    assert_eq!(opinion(&settings, &features, &cells, &unknown, &counts), None);
}
