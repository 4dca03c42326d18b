//! All checks of one rule set: a list per facts type, built from Settings. Every symbol has one owner.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Check, Facts, Runnable, Witness};
use crate::facts::{ClientFacts, HeloFacts, MailFacts, MessageFacts, RcptFacts, Stage};
use crate::scoring::{CheckName, Spec, Symbol};

/// The checks, by stage.
#[derive(Default)]
pub struct Registry {
    pub(super) connect: Vec<Arc<dyn Runnable<ClientFacts>>>,
    pub(super) helo: Vec<Arc<dyn Runnable<HeloFacts>>>,
    pub(super) mail: Vec<Arc<dyn Runnable<MailFacts>>>,
    pub(super) rcpt: Vec<Arc<dyn Runnable<RcptFacts>>>,
    pub(super) message: Vec<Arc<dyn Runnable<MessageFacts>>>,
    /// What the session itself observes (protocol tests): specs without a task.
    observed: Vec<(Stage, Spec)>,
    witnesses: Vec<Arc<dyn Witness>>,
    owners: BTreeMap<Symbol, CheckName>,
}

/// Two claims to one thing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// Two checks of one name.
    #[error("two checks are named `{0}`")]
    Name(CheckName),
    /// Two checks want to emit one symbol.
    #[error("symbol `{symbol}` is claimed by both `{first}` and `{second}`")]
    Symbol {
        /// The symbol.
        symbol: Symbol,
        /// Who has it.
        first: CheckName,
        /// Who wants it too.
        second: CheckName,
    },
}

impl Registry {
    /// Adds a check to the list of its facts.
    pub fn add<C: Check>(&mut self, check: C) -> Result<(), RegistryError> {
        self.claim(check.spec())?;
        C::Facts::slot_mut(self).push(Arc::new(check));
        Ok(())
    }

    /// Adds symbols that the session itself observes from `stage` on.
    pub fn add_observed(&mut self, stage: Stage, spec: Spec) -> Result<(), RegistryError> {
        self.claim(&spec)?;
        self.observed.push((stage, spec));
        Ok(())
    }

    /// Adds somebody who is told what clients do.
    pub fn add_witness(&mut self, witness: impl Witness) {
        self.witnesses.push(Arc::new(witness));
    }

    /// Those who are told what clients do.
    pub fn witnesses(&self) -> impl Iterator<Item = &dyn Witness> {
        self.witnesses.iter().map(|witness| &**witness)
    }

    /// The same for mail that leaves: without what makes sense of strangers only. Symbols keep their owners.
    pub fn for_outgoing(&self) -> Self {
        fn kept<F: Facts>(list: &[Arc<dyn Runnable<F>>]) -> Vec<Arc<dyn Runnable<F>>> {
            list.iter().filter(|check| !check.is_edge_only()).cloned().collect()
        }
        Self {
            connect: kept(&self.connect),
            helo: kept(&self.helo),
            mail: kept(&self.mail),
            rcpt: kept(&self.rcpt),
            message: kept(&self.message),
            observed: Vec::new(),
            witnesses: self.witnesses.clone(),
            owners: self.owners.clone(),
        }
    }

    /// Specs of what the session itself observes.
    pub fn observed(&self) -> &[(Stage, Spec)] {
        &self.observed
    }

    /// Every check that runs, with its stage.
    pub fn checks(&self) -> impl Iterator<Item = (Stage, &Spec)> {
        fn of<F: Facts>(list: &[Arc<dyn Runnable<F>>]) -> impl Iterator<Item = (Stage, &Spec)> {
            list.iter().map(|check| (F::STAGE, check.spec()))
        }
        of(&self.connect).chain(of(&self.helo)).chain(of(&self.mail)).chain(of(&self.rcpt)).chain(of(&self.message))
    }

    /// Every check with its stage, observed ones included.
    pub fn specs(&self) -> impl Iterator<Item = (Stage, &Spec)> {
        self.checks().chain(self.observed.iter().map(|(stage, spec)| (*stage, spec)))
    }

    /// Every symbol with the check that can emit it: the catalogue.
    pub fn symbols(&self) -> &BTreeMap<Symbol, CheckName> {
        &self.owners
    }

    /// True if nothing runs and nothing is observed.
    pub fn is_empty(&self) -> bool {
        self.specs().next().is_none()
    }

    fn claim(&mut self, spec: &Spec) -> Result<(), RegistryError> {
        if self.specs().any(|(_, other)| other.name == spec.name) {
            return Err(RegistryError::Name(spec.name.clone()));
        }
        for symbol in spec.emits.iter() {
            if let Some(first) = self.owners.get(symbol) {
                return Err(RegistryError::Symbol {
                    symbol: symbol.clone(),
                    first: first.clone(),
                    second: spec.name.clone(),
                });
            }
        }
        self.owners.extend(spec.emits.iter().map(|symbol| (symbol.clone(), spec.name.clone())));
        Ok(())
    }
}
