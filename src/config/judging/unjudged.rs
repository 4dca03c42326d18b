//! What holds even for clients that nothing is asked about, and where checks are off: who is blocked by hand.

use std::sync::Arc;

use super::super::rules::Ports;
use crate::checks::blocked::ByHand;
use crate::checks::{Check, Registry};
use crate::pipeline::Ruleset;
use crate::policy::{Clause, Policy};
use crate::scoring::Symbol;
use crate::store::Blocks;

/// The check of `gatepost block`, and those clauses that need nothing else; `None` if nobody can be blocked.
pub(super) fn rules(version: &Arc<str>, ports: &Ports, policy: &Policy, outgoing: &Policy) -> Option<Ruleset> {
    let blocks = ports.store.clone()? as Arc<dyn Blocks>;
    let check = ByHand::new(Some(blocks));
    let emitted = check.spec().emits.clone();
    let mut registry = Registry::default();
    registry.add(check).ok()?;
    let rules = Ruleset::new(version.clone(), registry, Arc::default(), about(policy, &emitted));
    Some(Ruleset { judges: false, ..rules }.with_outgoing(about(outgoing, &emitted)))
}

/// The clauses that can hold where nothing but `symbols` is ever found, and there is no score.
fn about(policy: &Policy, symbols: &[Symbol]) -> Policy {
    let is_found = |symbol: &Symbol| symbols.contains(symbol);
    let can_hold = |clause: &&Clause| {
        let when = &clause.when;
        let has_score = when.at_least.is_some() || when.below.is_some();
        !clause.shadow && !has_score && when.asks_for().any(is_found) && when.all_of.iter().all(is_found)
    };
    Policy { clauses: policy.clauses.iter().filter(can_hold).cloned().collect(), ..Policy::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Condition;
    use crate::scoring::Score;
    use crate::verdict::Verdict;

    #[test]
    fn clauses_stay_that_need_nothing_but_what_is_known() {
        let symbols = |names: &[&str]| names.iter().map(|name| Symbol::new(name).expect("a name")).collect::<Vec<_>>();
        let clause = |name: &str, when: Condition| Clause {
            name: name.into(),
            stage: None,
            when,
            verdict: Verdict::Reject,
            text: None,
            status: None,
            shadow: false,
            binds_exempt: false,
        };
        let blocked = symbols(&["BLOCKED"]);
        let both = symbols(&["BLOCKED", "GTUBE"]);
        let clauses = vec![
            clause("own", Condition { any_of: blocked.clone(), ..Condition::default() }),
            clause("one-of-two", Condition { any_of: both.clone(), ..Condition::default() }),
            clause(
                "unless",
                Condition { all_of: blocked.clone(), none_of: symbols(&["GTUBE"]), ..Condition::default() },
            ),
            clause("both", Condition { all_of: both, ..Condition::default() }),
            clause(
                "score",
                Condition { all_of: blocked.clone(), at_least: Some(Score::default()), ..Condition::default() },
            ),
            clause("other", Condition { any_of: symbols(&["GTUBE"]), ..Condition::default() }),
            clause("unless-blocked", Condition { none_of: blocked.clone(), ..Condition::default() }),
            Clause { shadow: true, ..clause("shadow", Condition { any_of: blocked.clone(), ..Condition::default() }) },
        ];
        let kept = about(&Policy { clauses, ..Policy::default() }, &blocked);
        let names: Vec<&str> = kept.clauses.iter().map(|clause| &*clause.name).collect();
        assert_eq!(names, ["own", "one-of-two", "unless"]);
    }
}
