//! All pools of a configuration: the one that everybody uses who names none, and those with names.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Pool, Routes};

/// Pools by name, and who goes to which.
#[derive(Clone)]
pub struct Pools {
    default: Arc<Pool>,
    named: BTreeMap<Arc<str>, Arc<Pool>>,
    routes: Routes,
}

impl Pools {
    /// One pool for all.
    pub fn new(default: Arc<Pool>) -> Self {
        Self { default, named: BTreeMap::new(), routes: Routes::default() }
    }

    /// The same, with one more that is called `name`.
    #[must_use]
    pub fn with(mut self, name: Arc<str>, pool: Arc<Pool>) -> Self {
        self.named.insert(name, pool);
        self
    }

    /// The same, with these routes; the pools that they lead to are there.
    #[must_use]
    pub fn routed(self, routes: Routes) -> Self {
        Self { routes, ..self }
    }

    /// Who goes to which.
    pub fn routes(&self) -> &Routes {
        &self.routes
    }

    /// The pool for all.
    pub fn common(&self) -> &Arc<Pool> {
        &self.default
    }

    /// The pool of that name, or without a name the one for all. `None` if a reload has taken the name away while
    /// somebody still goes by it: his mail is nobody else's.
    pub fn get(&self, name: Option<&str>) -> Option<&Arc<Pool>> {
        match name {
            Some(name) => self.named.get(name),
            None => Some(&self.default),
        }
    }

    /// Every pool, with its name if it has one.
    pub fn iter(&self) -> impl Iterator<Item = (Option<&Arc<str>>, &Arc<Pool>)> {
        std::iter::once((None, &self.default)).chain(self.named.iter().map(|(name, pool)| (Some(name), pool)))
    }
}
