//! What the session itself observes about the client's manners. No task: only the symbols,
//! for [`Registry::add_observed`](super::Registry::add_observed).

use crate::facts::{Stage, Violation};
use crate::scoring::{CheckName, Spec, Symbol};

/// One spec for each stage at which violations count; together they own the symbols of all of them.
pub fn specs() -> Vec<(Stage, Spec)> {
    Stage::ALL
        .into_iter()
        .filter_map(|stage| {
            let emits: Vec<Symbol> = Violation::ALL
                .into_iter()
                .filter(|violation| violation.stage() == stage)
                .map(|violation| Symbol::known(violation.symbol()))
                .collect();
            let name = CheckName::new(&format!("protocol.{}", stage.as_str()));
            (!emits.is_empty()).then(|| (stage, Spec { name, emits: emits.into(), exclusive: false }))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::Registry;

    #[test]
    fn every_violation_has_an_owner_and_none_has_two() {
        let mut registry = Registry::default();
        for (stage, spec) in specs() {
            registry.add_observed(stage, spec).expect("no name or symbol twice");
        }
        assert_eq!(registry.symbols().len(), Violation::ALL.len());
        for violation in Violation::ALL {
            assert!(registry.symbols().contains_key(violation.symbol()), "{violation:?}");
        }
    }
}
