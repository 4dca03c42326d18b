use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::scoring::{Group, Score};

fn symbol(index: usize) -> Symbol {
    Symbol::new(&format!("FIT_{index}")).expect("a name")
}

fn weights(points: &[i32], cap: i32) -> Weights {
    let symbols: Vec<Symbol> = (0..points.len()).map(symbol).collect();
    let builder = points
        .iter()
        .enumerate()
        .fold(Weights::builder(), |builder, (index, weight)| builder.weight(symbol(index), Score::hundredths(*weight)));
    let group = Group { name: "pair".into(), symbols: symbols[..2].to_vec(), cap: Score::hundredths(cap) };
    builder.group(group).build(&symbols).expect("known")
}

/// Of symbols 0 and 1 (one group) and 2 spam has most, of 3 ham; 4 says nothing; 5 is rare; 6 weighs nothing.
pub(crate) fn mail(count: usize, sources: usize) -> Mail {
    let mut mail = Mail::new(&weights(&[200, 200, 150, -100, 100, 100, 0], 300));
    for index in 0..count {
        let is_spam = index % 2 == 0;
        // A little of everything everywhere, the same each time.
        let noise = |of: usize| (index / 2 * 7 + of * 13).is_multiple_of(10);
        let found = (0..7).filter(|of| match of {
            0..=2 => is_spam != noise(*of),
            3 => is_spam == noise(3),
            4 => index / 2 % 2 == 0,
            5 => index == 4,
            _ => is_spam,
        });
        let found: Vec<_> = found.map(|of| (symbol(of), Percent::FULL)).collect();
        mail.add(&format!("source {}", index / 2 % sources), is_spam, found);
    }
    mail
}

fn fitted(mail: &Mail, wishes: &Wishes) -> Vec<i32> {
    let all: Vec<&Example> = mail.examples.iter().collect();
    wishes.rounded(mail, &descent::fit(mail, &all, wishes))
}

#[test]
fn what_tells_spam_from_ham_gains_and_what_is_rare_stays() {
    let (mail, wishes) = (mail(1000, 5), Wishes::default());
    let (before, after) = (mail.weights(), fitted(&mail, &wishes));
    assert!(after[2] > before[2], "{after:?}");
    assert!(after[3] < before[3], "{after:?}");
    assert!((after[2] - before[2]).abs() > (after[4] - before[4]).abs(), "{after:?}");
    assert_eq!((after[5], after[6]), (before[5], before[6]), "one is rare, one has no sign: {after:?}");
    let (was, is) = (folds::measured(&mail, &wishes, &before), folds::measured(&mail, &wishes, &after));
    assert!(is.ham_marked <= was.ham_marked && is.spam_marked >= was.spam_marked, "{was:?} {is:?}");
    let held_out = folds::validate(&mail, &wishes, 5);
    assert_eq!(held_out.division, folds::Division::BySource(5));
    assert!(held_out.whole.auc > 0.9, "{held_out:?}");
}

#[test]
fn a_strong_pull_and_a_fixed_weight_move_nothing() {
    let mut mail = mail(400, 3);
    assert_eq!(fitted(&mail, &Wishes { pull: 1e6, ..Wishes::default() }), mail.weights());
    for index in 0..7 {
        assert!(mail.fix(&symbol(index)));
    }
    assert_eq!(fitted(&mail, &Wishes::default()), mail.weights());
    assert!(!mail.fix(&Symbol::known("NOBODY_KNOWS")));
}

/// Weights, a threshold, and messages: spam or not, and what was found with which strength.
type SmallMail = (Vec<i32>, i32, Vec<(bool, Vec<(usize, u8)>)>);

fn small_mail() -> impl Strategy<Value = SmallMail> {
    let weights = prop::collection::vec(prop_oneof![Just(0), -400_i32..0, 1_i32..900], 6);
    let found = prop::collection::vec((0..6_usize, 0_u8..=100), 0..6);
    (weights, 0_i32..600, prop::collection::vec((any::<bool>(), found), 0..40))
}

proptest! {
    #[test]
    fn weights_stay_within_their_limits_and_the_loss_never_grows((points, cap, messages) in small_mail()) {
        let mut mail = Mail::new(&weights(&points, cap));
        for (index, (is_spam, found)) in messages.iter().enumerate() {
            let found = found.iter().map(|(of, strength)| (symbol(*of), Percent::new(*strength)));
            mail.add(&format!("{}", index % 3), *is_spam, found);
        }
        let wishes = Wishes { support: 1, ..Wishes::default() };
        let after = fitted(&mail, &wishes);
        let grain = wishes.grain;
        for (feature, after) in mail.features.iter().zip(&after) {
            let before = feature.weight;
            prop_assert!(before.signum() == after.signum(), "{before} became {after}");
            let step = (f64::from(before.abs()) * wishes.step_share).max(100.0 * wishes.step);
            prop_assert!(f64::from((after - before).abs()) <= step + f64::from(grain), "{before} became {after}");
            if feature.group.is_some() {
                prop_assert!(after.abs() <= cap.max(before.abs()) + grain, "{before} became {after}, cap {cap}");
            }
        }
    }

    #[test]
    fn a_score_here_is_the_score_of_the_scorecard((points, cap, messages) in small_mail()) {
        use crate::facts::Stage;
        use crate::scoring::{CheckName, Finding, Lens, Outcome, Scope, Scorecard, Spec};
        let weights = Arc::new(weights(&points, cap));
        let mut mail = Mail::new(&weights);
        let spec = Spec {
            name: CheckName::new("fit.test"),
            emits: (0..6).map(symbol).collect(),
            exclusive: false,
        };
        for (is_spam, found) in messages {
            let findings: Vec<Finding> = found
                .iter()
                .map(|(of, strength)| Finding { strength: Percent::new(*strength), ..Finding::new(symbol(*of), "") })
                .collect();
            let mut card = Scorecard::new(weights.clone());
            card.open(Stage::Message, spec.clone(), Scope::Transaction);
            let pairs: Vec<_> = findings.iter().map(|finding| (finding.symbol.clone(), finding.strength)).collect();
            card.close(&spec.name, Scope::Transaction, Outcome::Found(findings), std::time::Duration::ZERO);
            mail.add("x", is_spam, pairs);
            let example = mail.examples.last().expect("added");
            let score = card.view(Lens::new(Scope::Transaction)).score().high.get();
            prop_assert_eq!(mail.score(&mail.weights(), example), score);
        }
    }
}
