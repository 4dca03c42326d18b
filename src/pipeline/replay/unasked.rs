//! What rules look for that nobody looked for when a record was made.

use std::collections::{BTreeMap, HashSet};

use crate::pipeline::rulebook::Seat;
use crate::records::Rulebook;
use crate::scoring::{CheckName, Spec, Symbol};

/// What `seats` look for and no check of `book` did: no record of it can tell whether it would have been found. A check
/// that was not there at all keeps its seat; what others did not look for then is one seat for each stage.
pub(super) fn unasked(seats: &[Seat], book: &Rulebook) -> Vec<Seat> {
    let asked: HashSet<&str> = book.roster.iter().flat_map(|check| &check.emits).map(String::as_str).collect();
    let (mut unasked, mut beside) = (Vec::new(), BTreeMap::<_, Vec<Symbol>>::new());
    for seat in seats {
        let symbols = seat.spec.emits.iter().filter(|symbol| !asked.contains(symbol.as_str())).cloned();
        if book.roster.iter().any(|check| check.name == seat.spec.name.as_str()) {
            beside.entry(seat.stage).or_default().extend(symbols);
        } else {
            unasked.push(Seat { spec: Spec { emits: symbols.collect(), ..seat.spec.clone() }, ..*seat });
        }
    }
    unasked.extend(beside.into_iter().map(|(stage, symbols)| {
        // Constant names: there are as many as stages.
        let name = CheckName::new(&format!("unasked at {stage:?}"));
        Seat { stage, spec: Spec { name, emits: symbols.into(), exclusive: false }, observed: false }
    }));
    unasked.retain(|seat| !seat.spec.emits.is_empty());
    unasked
}
