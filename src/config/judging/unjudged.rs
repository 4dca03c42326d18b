//! What holds even for clients that nothing is asked about, and where checks are off: who is blocked by hand.

use std::sync::Arc;

use super::super::problem::Report;
use super::super::rules::Ports;
use super::super::source::{element, join};
use crate::checks::blocked::ByHand;
use crate::checks::{Check, Registry};
use crate::pipeline::{Policies, Ruleset};
use crate::policy::{Clause, Policy};
use crate::scoring::Symbol;
use crate::store::Blocks;
use crate::verdict::Verdict;

/// The check of `gatepost block`, and those clauses that need nothing else; `None` if nobody can be blocked.
pub(super) fn rules(
    version: &Arc<str>,
    ports: &Ports,
    (policy, policies): (&Policy, &Policies),
    outgoing: &Policy,
) -> Option<Ruleset> {
    let blocks = ports.store.clone()? as Arc<dyn Blocks>;
    let check = ByHand::new(Some(blocks));
    let emitted = check.spec().emits.clone();
    let mut registry = Registry::default();
    registry.add(check).ok()?;
    let site = about(policy, &emitted);
    let policies = others(policies, &site, &emitted);
    let rules = Ruleset::new(version.clone(), registry, Arc::default(), site).with_policies(policies);
    Some(Ruleset { judges: false, ..rules }.with_outgoing(about(outgoing, &emitted)))
}

/// Warns of clauses that refuse who is blocked, but do not count where nothing else is looked for.
pub(super) fn warn_of_exceptions(policy: &Policy, report: &mut Report<'_>) {
    let emitted = ByHand::new(None).spec().emits.clone();
    let clauses = policy.clauses.iter().enumerate().filter(|(_, clause)| can_hold(clause, &emitted));
    for (index, clause) in clauses {
        let Some(symbol) = unseen_exception(clause, &emitted) else { continue };
        let reason = format!(
            "`{}` does not count for clients of checks.trusted_networks and checks.trusted_hops: nobody looks for \
             `{symbol}` there, and whom it spares must not be refused",
            clause.name
        );
        report.warning(&join(&element("clause", index), "none_of"), reason);
    }
}

/// What is left of the policies of some recipients; none if all of it is that of the site.
fn others(policies: &Policies, site: &Policy, symbols: &[Symbol]) -> Policies {
    let others = policies.with_each(|policy| about(policy, symbols));
    let is_same = others.iter().all(|(_, policy)| policy == site);
    if is_same { Policies::default() } else { others }
}

/// The clauses that count where nothing but `symbols` is ever found, and there is no score.
fn about(policy: &Policy, symbols: &[Symbol]) -> Policy {
    let counts = |clause: &&Clause| can_hold(clause, symbols) && unseen_exception(clause, symbols).is_none();
    Policy { clauses: policy.clauses.iter().filter(counts).cloned().collect(), ..Policy::default() }
}

fn can_hold(clause: &Clause, symbols: &[Symbol]) -> bool {
    let is_found = |symbol: &Symbol| symbols.contains(symbol);
    let when = &clause.when;
    let has_score = when.at_least.is_some() || when.below.is_some();
    !clause.shadow && !has_score && when.asks_for().any(is_found) && when.all_of.iter().all(is_found)
}

/// What spares from a refusal, and is not looked for. A clause that forwards refuses nobody: it may hold for want of it.
fn unseen_exception<'c>(clause: &'c Clause, symbols: &[Symbol]) -> Option<&'c Symbol> {
    let mut exceptions = clause.when.none_of.iter().filter(|_| clause.verdict != Verdict::Forward);
    exceptions.find(|symbol| !symbols.contains(symbol))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Condition;
    use crate::scoring::Score;

    fn symbols(names: &[&str]) -> Vec<Symbol> {
        names.iter().map(|name| Symbol::new(name).expect("a name")).collect()
    }

    fn clause(name: &str, when: Condition) -> Clause {
        Clause {
            name: name.into(),
            stage: None,
            when,
            verdict: Verdict::Reject,
            text: None,
            status: None,
            shadow: false,
            binds_exempt: false,
        }
    }

    #[test]
    fn recipients_keep_what_is_otherwise_for_them_where_it_is_about_that() {
        let blocked = symbols(&["BLOCKED"]);
        let clauses = vec![clause("blocked", Condition { any_of: blocked.clone(), ..Condition::default() })];
        let site = Policy { clauses, ..Policy::default() };
        let of_some = |policy: Policy| {
            let mut policies = Policies::default();
            let number = policies.add("some", policy);
            policies.assign("@some.example", number).expect("a domain");
            others(&policies, &about(&site, &blocked), &blocked)
        };
        let spared = of_some(Policy::default());
        assert_eq!(
            spared.iter().map(|(name, policy)| (&**name, policy.clauses.len())).collect::<Vec<_>>(),
            [("some", 0)]
        );
        let marked = of_some(Policy { tag: Some(Score::default()), ..site.clone() });
        assert!(marked.is_empty(), "of marks nothing is left");
    }

    #[test]
    fn clauses_stay_that_need_nothing_but_what_is_known() {
        let blocked = symbols(&["BLOCKED"]);
        let both = symbols(&["BLOCKED", "GTUBE"]);
        let clauses = vec![
            clause("own", Condition { any_of: blocked.clone(), ..Condition::default() }),
            clause("one-of-two", Condition { any_of: both.clone(), ..Condition::default() }),
            clause(
                "unless",
                Condition { all_of: blocked.clone(), none_of: symbols(&["GTUBE"]), ..Condition::default() },
            ),
            // Whether mail is spared by what is not looked for, nobody knows: it is.
            Clause {
                verdict: Verdict::Forward,
                ..clause(
                    "spared",
                    Condition { all_of: blocked.clone(), none_of: symbols(&["GTUBE"]), ..Condition::default() },
                )
            },
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
        assert_eq!(names, ["own", "one-of-two", "spared"]);
    }
}
