//! Runs whatever the registry holds, and names no check.

pub mod assessment;
pub mod canary;
pub mod decision;
mod examine;
pub mod metrics;
mod policies;
mod recording;
pub mod replay;
mod rulebook;
mod runs;
pub mod summary;
pub mod trace;

#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

pub use assessment::Assessment;
pub use decision::{Conclusion, Decision};
pub use metrics::{Meter, Metrics};
pub use policies::{Policies, PolicyId};
pub use replay::{Prepared, Ready, Replay, Replayed};
pub use rulebook::Booked;
pub use summary::Summary;
pub use trace::Trace;

use crate::checks::Registry;
use crate::facts::{Role, Traps};
use crate::policy::Policy;
use crate::records::Looks;
use crate::scoring::Weights;

/// What judges: checks, weights and policy as one value, swapped atomically at reload and pinned by
/// a transaction for its life (DECISIONS 12).
pub struct Ruleset {
    /// Names this rule set in traces and metrics: a digest of the files that it was made of.
    pub version: Arc<str>,
    /// One of each of these files that says what is looked for.
    pub looks: Arc<Looks>,
    /// The checks.
    pub registry: Registry,
    /// What their symbols weigh.
    pub weights: Arc<Weights>,
    /// What follows from the score.
    pub policy: Policy,
    /// The same for some recipients.
    pub policies: Policies,
    /// Recipients that nobody uses; the session treats them otherwise than real ones.
    pub traps: Traps,
    /// It judges mail that leaves.
    pub is_outgoing: bool,
    /// What judges mail that leaves; `None`: this does.
    pub outgoing: Option<Arc<Ruleset>>,
    /// What holds for clients that nothing is asked about; `None`: nothing.
    pub unjudged: Option<Arc<Ruleset>>,
    /// False: it knows who is blocked, if anything, and looks at nothing else.
    pub judges: bool,
    /// What it looks like in records; written down when the first is made.
    pub book: OnceLock<Booked>,
    /// It is compared with another one: messages are heard to the end, though the verdict be certain before.
    pub hears_all: AtomicBool,
    /// Where its assessments are counted; [`Ruleset::with_metrics`] sets it.
    pub meter: Option<Meter>,
}

impl Ruleset {
    /// Puts the parts together, not counted anywhere.
    pub fn new(version: impl Into<Arc<str>>, registry: Registry, weights: Arc<Weights>, policy: Policy) -> Self {
        Self {
            version: version.into(),
            looks: Arc::default(),
            registry,
            weights,
            policy,
            policies: Policies::default(),
            traps: Traps::default(),
            is_outgoing: false,
            outgoing: None,
            unjudged: None,
            judges: true,
            book: OnceLock::new(),
            hears_all: AtomicBool::new(false),
            meter: None,
        }
    }

    /// No checks, no weights, no clauses: everything is forwarded.
    pub fn empty() -> Self {
        Self { judges: false, ..Self::new("empty", Registry::default(), Arc::default(), Policy::default()) }
    }

    /// The same, with these traps.
    #[must_use]
    pub fn with_traps(self, traps: Traps) -> Self {
        Self { traps, ..self }
    }

    /// The same, made from files of these digests.
    #[must_use]
    pub fn with_looks(self, looks: Arc<Looks>) -> Self {
        Self { looks, ..self }
    }

    /// The same, with policies of their own for some recipients.
    #[must_use]
    pub fn with_policies(self, policies: Policies) -> Self {
        Self { policies, ..self }
    }

    /// The same, with a policy for mail that leaves, which is judged without the checks that make sense of strangers
    /// only (DECISIONS 38).
    #[must_use]
    pub fn with_outgoing(self, policy: Policy) -> Self {
        let registry = self.registry.for_outgoing();
        let outgoing = Self::new(self.version.clone(), registry, self.weights.clone(), policy);
        let outgoing = Self { is_outgoing: true, judges: self.judges, looks: self.looks.clone(), ..outgoing };
        Self { outgoing: Some(Arc::new(outgoing)), ..self }
    }

    /// The same, with what holds for clients that nothing is asked about.
    #[must_use]
    pub fn with_unjudged(self, rules: Option<Self>) -> Self {
        Self { unjudged: rules.map(Arc::new), ..self }
    }

    /// What judges at a listener of that role.
    pub fn for_role(self: &Arc<Self>, role: Role) -> Arc<Self> {
        match &self.outgoing {
            Some(outgoing) if role.is_outgoing() => outgoing.clone(),
            _ => self.clone(),
        }
    }

    /// The same, counted in `metrics` as the rules in force.
    pub fn with_metrics(self, metrics: &Metrics) -> Self {
        let counted = self.counted_in(metrics);
        counted.put_in_force(metrics);
        counted
    }

    /// Has `metrics` tell of these rules as those in force.
    pub fn put_in_force(&self, metrics: &Metrics) {
        metrics.put_in_force(&self.version, &self.weights);
    }

    /// The same, counted in `metrics`.
    #[must_use]
    pub fn counted_in(mut self, metrics: &Metrics) -> Self {
        if let Some(outgoing) = self.outgoing.as_mut().and_then(Arc::get_mut) {
            outgoing.meter = Some(metrics.meter(&outgoing.registry, &outgoing.weights, &outgoing.policy));
        }
        self.meter = Some(metrics.meter(&self.registry, &self.weights, &self.policy).with_policies(&self.policies));
        self
    }

    /// Has messages heard to the end, or no longer than it takes until the verdict is certain.
    pub fn hear_all(&self, whether: bool) {
        self.hears_all.store(whether, Ordering::Relaxed);
        if let Some(outgoing) = &self.outgoing {
            outgoing.hear_all(whether);
        }
    }

    /// True if any of it counts in shadow only.
    pub fn has_shadow(&self) -> bool {
        let mut named = self.policies.iter();
        self.weights.has_shadow() || self.policy.has_shadow() || named.any(|(_, policy)| policy.has_shadow())
    }
}
