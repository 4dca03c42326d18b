//! A rule set as data, as far as it weighs and decides, and back again.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Policies, Ruleset};
use crate::checks::Registry;
use crate::facts::Stage;
use crate::policy::{Clause, Condition, Policy};
use crate::records::{OnRoster, Rulebook, Written};
use crate::scoring::{CheckName, Composite, Group, Score, Spec, Symbol, Weights};
use crate::verdict::Verdict;

/// A rule set written down, and the numbers of its checks in what is written.
pub struct Booked {
    pub(super) written: Arc<Written>,
    /// By [`CheckName::index`].
    pub(super) places: HashMap<usize, u16>,
}

/// One check of a roster.
#[derive(Clone, Debug)]
pub(super) struct Seat {
    pub(super) stage: Stage,
    pub(super) spec: Spec,
    pub(super) observed: bool,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Judging {
    weights: Vec<Weight>,
    groups: Vec<WrittenGroup>,
    composites: Vec<WrittenComposite>,
    policy: WrittenPolicy,
    policies: Vec<(String, WrittenPolicy)>,
}

/// Symbol, hundredths, whether it counts in shadow only.
type Weight = (String, i32, bool);

#[derive(Debug, Serialize, Deserialize)]
struct WrittenGroup {
    name: String,
    cap: i32,
    symbols: Vec<String>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct WrittenComposite {
    symbol: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    all_of: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    any_of: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    none_of: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at_least: Option<(usize, Vec<String>)>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct WrittenPolicy {
    clauses: Vec<WrittenClause>,
    tag: Option<i32>,
    tag_on: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct WrittenClause {
    name: Arc<str>,
    verdict: Verdict,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stage: Option<Stage>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    all_of: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    any_of: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    none_of: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at_least: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    below: Option<i32>,
    #[serde(default)]
    shadow: bool,
    #[serde(default)]
    binds_exempt: bool,
}

impl Ruleset {
    /// This rule set, written down.
    pub(super) fn booked(&self) -> &Booked {
        self.book.get_or_init(|| {
            let specs = self.registry.specs();
            let places =
                specs.enumerate().filter_map(|(at, (_, spec))| Some((spec.name.index(), u16::try_from(at).ok()?)));
            Booked { places: places.collect(), written: Arc::new(Written::new(self.to_book())) }
        })
    }

    pub(super) fn to_book(&self) -> Rulebook {
        let running = self.registry.checks().count();
        let roster = self.registry.specs().enumerate().map(|(at, (stage, spec))| OnRoster {
            name: spec.name.to_string(),
            stage,
            emits: names(&spec.emits),
            exclusive: spec.exclusive,
            observed: at >= running,
        });
        let weights = self.weights.symbols();
        let judging = Judging {
            weights: weights.map(|(symbol, known)| (symbol.to_string(), known.weight.get(), known.shadow)).collect(),
            groups: self.weights.groups().iter().map(WrittenGroup::of).collect(),
            composites: self.weights.composites().iter().map(WrittenComposite::of).collect(),
            policy: WrittenPolicy::of(&self.policy),
            policies: self
                .policies
                .iter()
                .map(|(name, policy)| (name.to_string(), WrittenPolicy::of(policy)))
                .collect(),
        };
        let judging = serde_json::to_value(judging).expect("plain values");
        let looks = (*self.looks).clone();
        Rulebook { version: self.version.to_string(), looks, roster: roster.collect(), judging }
    }
}

/// The rule set that was written down, without its checks: it weighs and decides, and looks at nothing.
///
/// # Errors
/// It was not written by us.
pub(super) fn ruleset(book: &Rulebook) -> Result<Ruleset, String> {
    let judging = Judging::deserialize(&book.judging).map_err(|why| why.to_string())?;
    let mut weights = Weights::builder();
    let mut catalogue = Vec::new();
    let composites = judging.composites.iter().map(WrittenComposite::to_composite).collect::<Result<Vec<_>, _>>()?;
    for (symbol, weight, shadow) in &judging.weights {
        let symbol = Symbol::new(symbol)?;
        weights = weights.weight(symbol.clone(), Score::hundredths(*weight));
        if *shadow {
            weights = weights.shadow(symbol.clone());
        }
        if !composites.iter().any(|composite| composite.symbol == symbol) {
            catalogue.push(symbol);
        }
    }
    for group in &judging.groups {
        let symbols = symbols(&group.symbols)?;
        weights = weights.group(Group { name: group.name.as_str().into(), symbols, cap: Score::hundredths(group.cap) });
    }
    for composite in composites {
        weights = weights.composite(composite);
    }
    let weights =
        weights.build(catalogue).map_err(|problems| problems.first().map_or_else(String::new, ToString::to_string))?;
    let mut policies = Policies::default();
    for (name, policy) in &judging.policies {
        policies.add(name, policy.to_policy()?);
    }
    let policy = judging.policy.to_policy()?;
    let ruleset = Ruleset::new(book.version.as_str(), Registry::default(), Arc::new(weights), policy);
    Ok(ruleset.with_policies(policies))
}

/// The checks of a roster.
///
/// # Errors
/// It was not written by us.
pub(super) fn seats(book: &Rulebook) -> Result<Vec<Seat>, String> {
    let seat = |known: &OnRoster| {
        let spec = Spec {
            name: CheckName::new(&known.name),
            emits: symbols(&known.emits)?.into(),
            exclusive: known.exclusive,
        };
        Ok(Seat { stage: known.stage, spec, observed: known.observed })
    };
    book.roster.iter().map(seat).collect()
}

impl WrittenGroup {
    fn of(group: &Group) -> Self {
        Self { name: group.name.to_string(), cap: group.cap.get(), symbols: names(&group.symbols) }
    }
}

impl WrittenComposite {
    fn of(composite: &Composite) -> Self {
        Self {
            symbol: composite.symbol.to_string(),
            all_of: names(&composite.all_of),
            any_of: names(&composite.any_of),
            none_of: names(&composite.none_of),
            at_least: composite.at_least.as_ref().map(|(wanted, symbols)| (*wanted, names(symbols))),
        }
    }

    fn to_composite(&self) -> Result<Composite, String> {
        let counted = self.at_least.as_ref();
        Ok(Composite {
            symbol: Symbol::new(&self.symbol)?,
            all_of: symbols(&self.all_of)?,
            any_of: symbols(&self.any_of)?,
            none_of: symbols(&self.none_of)?,
            at_least: counted.map(|(wanted, names)| Ok::<_, String>((*wanted, symbols(names)?))).transpose()?,
        })
    }
}

impl WrittenPolicy {
    fn of(policy: &Policy) -> Self {
        Self {
            clauses: policy.clauses.iter().map(WrittenClause::of).collect(),
            tag: policy.tag.map(Score::get),
            tag_on: names(&policy.tag_on),
        }
    }

    fn to_policy(&self) -> Result<Policy, String> {
        Ok(Policy {
            clauses: self.clauses.iter().map(WrittenClause::to_clause).collect::<Result<_, _>>()?,
            tag: self.tag.map(Score::hundredths),
            tag_on: symbols(&self.tag_on)?,
            tarpit_on: Vec::new(),
        })
    }
}

impl WrittenClause {
    fn of(clause: &Clause) -> Self {
        let when = &clause.when;
        Self {
            name: clause.name.clone(),
            verdict: clause.verdict,
            stage: clause.stage,
            all_of: names(&when.all_of),
            any_of: names(&when.any_of),
            none_of: names(&when.none_of),
            at_least: when.at_least.map(Score::get),
            below: when.below.map(Score::get),
            shadow: clause.shadow,
            binds_exempt: clause.binds_exempt,
        }
    }

    fn to_clause(&self) -> Result<Clause, String> {
        let when = Condition {
            all_of: symbols(&self.all_of)?,
            any_of: symbols(&self.any_of)?,
            none_of: symbols(&self.none_of)?,
            at_least: self.at_least.map(Score::hundredths),
            below: self.below.map(Score::hundredths),
        };
        Ok(Clause {
            name: self.name.clone(),
            stage: self.stage,
            when,
            verdict: self.verdict,
            text: None,
            status: None,
            shadow: self.shadow,
            binds_exempt: self.binds_exempt,
        })
    }
}

fn names(symbols: &[Symbol]) -> Vec<String> {
    symbols.iter().map(ToString::to_string).collect()
}

fn symbols(names: &[String]) -> Result<Vec<Symbol>, String> {
    names.iter().map(|name| Symbol::new(name)).collect()
}
