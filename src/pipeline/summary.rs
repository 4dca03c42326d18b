//! What counted, in short: for the log, for the fields of a message, for records. A trace tells everything, and costs
//! more than many a check: nobody makes one for a message that nobody asks about.

use std::fmt;

use super::assessment::Recipient;
use crate::scoring::{Lens, Part, Scope, Score, Scorecard, Symbol, View};

/// Score and symbols of an assessment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Of the transaction, findings of single recipients aside.
    pub score: Score,
    /// Every symbol that counts, composites included, with what it adds; heaviest first. Of several recipients, each
    /// symbol once.
    pub symbols: Vec<(Symbol, Score)>,
}

impl Summary {
    pub(super) fn new(card: &Scorecard, recipients: &[Recipient]) -> Self {
        Self::of(&card.view(Lens::new(Scope::Transaction).closed_only()), card, recipients)
    }

    /// The same, of which `whole` is known: what can be seen of the transaction.
    pub(super) fn of(whole: &View<'_>, card: &Scorecard, recipients: &[Recipient]) -> Self {
        let mut summary = Self { score: whole.score().high, symbols: Vec::new() };
        summary.add(whole.parts());
        for known in recipients {
            summary.add(card.view(Lens::new(Scope::Recipient(known.index)).closed_only()).parts());
        }
        summary.symbols.sort_by(|(one, first), (other, second)| second.cmp(first).then_with(|| one.cmp(other)));
        summary
    }

    fn add(&mut self, parts: Vec<Part>) {
        for part in parts {
            let (Part::Finding(symbol, score) | Part::Composite(symbol, score)) = part else { continue };
            match self.symbols.iter_mut().find(|(known, _)| *known == symbol) {
                Some((_, known)) if score.get().abs() > known.get().abs() => *known = score,
                Some(_) => {}
                None => self.symbols.push((symbol, score)),
            }
        }
    }
}

/// As one word for logs: `A=5.00,B=1.20`.
impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (symbol, score)) in self.symbols.iter().enumerate() {
            let comma = if number == 0 { "" } else { "," };
            write!(f, "{comma}{symbol}={score}")?;
        }
        Ok(())
    }
}
