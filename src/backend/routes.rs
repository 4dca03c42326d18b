//! Which recipients go to which pool.

use std::sync::Arc;

use super::{Pool, Pools};
use crate::facts::RecipientMap;
use crate::smtp::{Extensions, ForwardPath};

/// Recipients, each with the pool that its mail goes to. The most specific pattern counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Routes {
    recipients: RecipientMap,
    /// A pool's name; `None` is the one for all.
    pools: Vec<Option<Arc<str>>>,
}

impl Routes {
    /// A further route, to the pool of that name or to the one for all; its number.
    pub fn add(&mut self, pool: Option<Arc<str>>) -> usize {
        self.pools.push(pool);
        self.pools.len() - 1
    }

    /// Recipients of a route.
    ///
    /// # Errors
    /// As [`RecipientMap::insert`].
    pub fn insert(&mut self, pattern: &str, route: usize) -> Result<(), String> {
        self.recipients.insert(pattern, route)
    }

    /// True if nobody goes by it.
    pub fn is_empty(&self) -> bool {
        self.recipients.is_empty()
    }

    /// The pools that routes lead to.
    pub fn pools(&self) -> impl Iterator<Item = Option<&str>> {
        self.pools.iter().map(Option::as_deref)
    }

    /// The pool that mail for `path` goes to, `None` within for the one for all; `None` if it has no route.
    pub fn of(&self, path: &ForwardPath) -> Option<&Option<Arc<str>>> {
        self.pools.get(self.recipients.get(path)?)
    }
}

/// Where the mail of one client may go.
#[derive(Clone)]
pub struct Ways {
    /// Whither goes who has no route of his own.
    home: Way,
    /// Pools with routes; `None` where all mail goes home.
    routed: Option<Arc<Pools>>,
}

/// One pool, by the name that it has.
#[derive(Clone)]
pub struct Way {
    /// Its name; `None` is the one for all.
    pub name: Option<Arc<str>>,
    /// The pool.
    pub pool: Arc<Pool>,
}

impl Ways {
    /// One pool for every recipient.
    pub fn only(pool: Arc<Pool>) -> Self {
        Self { home: Way { name: None, pool }, routed: None }
    }

    /// Routes lead away from the pool of that name. `None` if there is none, see [`Pools::get`].
    pub fn by_recipient(pools: Arc<Pools>, name: Option<&Arc<str>>) -> Option<Self> {
        let pool = pools.get(name.map(|name| &**name))?.clone();
        let routed = (!pools.routes().is_empty()).then_some(pools);
        Some(Self { home: Way { name: name.cloned(), pool }, routed })
    }

    /// Whither goes who has no route of his own.
    pub fn home(&self) -> &Way {
        &self.home
    }

    /// Whither `path` goes.
    pub fn to(&self, path: &ForwardPath) -> Way {
        let Some(pools) = &self.routed else { return self.home.clone() };
        match pools.routes().of(path) {
            // A route to a pool that is not there does not load.
            Some(name) => match pools.get(name.as_deref()) {
                Some(pool) => Way { name: name.clone(), pool: pool.clone() },
                None => self.home.clone(),
            },
            None => self.home.clone(),
        }
    }

    /// True if not all mail goes the same way.
    pub fn part(&self) -> bool {
        self.routed.is_some()
    }

    /// What every pool offers that mail may go to; a pool that was never reached has no say (DECISIONS 3, 25).
    pub fn offer(&self) -> Arc<Extensions> {
        let Some(pools) = &self.routed else { return self.home.pool.offer() };
        let routed = pools.routes().pools().filter_map(|name| pools.get(name));
        let mut seen: Vec<&Arc<Pool>> = Vec::new();
        for pool in std::iter::once(&self.home.pool).chain(routed) {
            if !seen.iter().any(|known| Arc::ptr_eq(known, pool)) {
                seen.push(pool);
            }
        }
        super::pool::common(seen.into_iter().filter_map(|pool| pool.known_offer()))
    }
}
