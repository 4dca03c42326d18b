//! Whose mail is judged by which policy.

use std::sync::Arc;

use super::Ruleset;
use crate::facts::RecipientMap;
use crate::policy::{Policy, Tri};
use crate::scoring::View;
use crate::smtp::ForwardPath;

/// Policies of some recipients, by name; everybody else has the site's.
#[derive(Clone, Debug, Default)]
pub struct Policies {
    named: Vec<(Arc<str>, Policy)>,
    recipients: RecipientMap,
}

/// One policy of one rule set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct PolicyId(Option<usize>);

impl Policies {
    /// What the site's policy is called.
    pub const SITE: &str = "default";

    /// Adds a policy; recipients are added by the number that this returns.
    pub fn add(&mut self, name: &str, policy: Policy) -> usize {
        self.named.push((name.into(), policy));
        self.named.len() - 1
    }

    /// Has the recipients that fit `pattern` judged by policy `number`.
    ///
    /// # Errors
    /// As [`RecipientMap::insert`].
    pub fn assign(&mut self, pattern: &str, number: usize) -> Result<(), String> {
        self.recipients.insert(pattern, number)
    }

    /// The same recipients and names, each policy made another.
    #[must_use]
    pub fn with_each(&self, change: impl Fn(&Policy) -> Policy) -> Self {
        let named = self.named.iter().map(|(name, policy)| (name.clone(), change(policy)));
        Self { named: named.collect(), recipients: self.recipients.clone() }
    }

    /// Each with its name, in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Policy)> {
        self.named.iter().map(|(name, policy)| (name, policy))
    }

    /// True if everybody has the site's.
    pub fn is_empty(&self) -> bool {
        self.named.is_empty()
    }
}

impl Ruleset {
    /// Which policy judges mail for `path`.
    pub fn policy_of(&self, path: &ForwardPath) -> PolicyId {
        PolicyId(self.policies.recipients.get(path))
    }

    /// The policy of that name; of one that there is not (that of another rule set), the site's.
    pub(super) fn policy_by(&self, id: PolicyId) -> &Policy {
        id.0.and_then(|number| self.policies.named.get(number)).map_or(&self.policy, |(_, policy)| policy)
    }

    /// The policy of that name; the site's if there is none.
    pub(super) fn policy_named(&self, name: &str) -> PolicyId {
        PolicyId(self.policies.named.iter().position(|(known, _)| **known == *name))
    }

    /// Whether a message for recipients of these policies is marked: one message is for all of them, so the strictest
    /// has it marked. Without any the site's decides.
    pub(super) fn tags(&self, mut policies: Vec<PolicyId>, view: &View<'_>) -> Tri {
        policies.sort_unstable();
        policies.dedup();
        if policies.is_empty() {
            policies.push(PolicyId::default());
        }
        Tri::any(policies.into_iter().map(|id| self.policy_by(id).tags(view)))
    }

    /// The policy of that name; the site's without one, or if there is none.
    pub fn policy_for(&self, name: Option<&str>) -> &Policy {
        self.policy_by(name.map_or_else(PolicyId::default, |name| self.policy_named(name)))
    }

    /// Its name, if it is not the site's.
    pub(super) fn policy_name(&self, id: PolicyId) -> Option<&Arc<str>> {
        id.0.and_then(|number| self.policies.named.get(number)).map(|(name, _)| name)
    }

    /// All of them, the site's first.
    pub(super) fn policy_ids(&self) -> impl Iterator<Item = PolicyId> + use<> {
        let named = (0..self.policies.named.len()).map(|number| PolicyId(Some(number)));
        std::iter::once(PolicyId::default()).chain(named)
    }
}
