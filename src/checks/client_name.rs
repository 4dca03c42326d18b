//! The client name: forward-confirmed reverse DNS, found at most once per client ([`ClientFacts::name`]).
//!
//! The check of reverse DNS and the lists of names share it. Trouble with DNS is an error, never an answer.

use std::net::IpAddr;
use std::sync::Arc;

use futures_util::future::join_all;

use crate::dns::{Lookup, LookupError};
use crate::facts::{ClientFacts, ClientName};
use crate::units::{canonical, is_local_scope};

/// Names of one address that are looked up unless somebody says otherwise.
pub const MAX_NAMES: usize = 5;

/// Finds client names.
#[derive(Clone)]
pub struct ClientNames {
    max_names: usize,
    dns: Arc<dyn Lookup>,
}

impl ClientNames {
    /// Asks `dns`; of the names of one address the first `max_names` are looked up.
    pub fn new(max_names: usize, dns: Arc<dyn Lookup>) -> Self {
        Self { max_names: max_names.max(1), dns }
    }

    /// What reverse DNS says of the client; a name that a trusted front end vouched for is confirmed.
    /// `None` for addresses that public DNS says nothing about.
    ///
    /// # Errors
    /// DNS could not tell; the next one to ask asks again.
    pub async fn of(&self, facts: &ClientFacts) -> Result<Option<ClientName>, LookupError> {
        let addr = canonical(facts.addr);
        if let Some(name) = &facts.vouched_name {
            return Ok(Some(ClientName::Confirmed(name.to_ascii_lowercase().into())));
        }
        if is_local_scope(addr) {
            return Ok(None);
        }
        facts.name.get_or_try_derive(|| self.find(addr)).await.cloned().map(Some)
    }

    /// Asks for the names of `addr`, then for the addresses of the first of them.
    async fn find(&self, addr: IpAddr) -> Result<ClientName, LookupError> {
        let names = self.dns.ptr(addr).await?.records;
        let Some(first) = names.first() else { return Ok(ClientName::None) };
        let looked_at = || names.iter().take(self.max_names);
        let leads_back = join_all(looked_at().map(|name| self.leads_back(name, addr))).await;
        match looked_at().zip(&leads_back).find(|(_, leads_back)| **leads_back == Ok(true)) {
            Some((name, _)) => Ok(ClientName::Confirmed(name.clone())),
            // The one that could not be looked up may be the one that leads back.
            None => match leads_back.into_iter().find_map(Result::err) {
                Some(why) => Err(why),
                None => Ok(ClientName::Unconfirmed(first.clone())),
            },
        }
    }

    async fn leads_back(&self, name: &str, addr: IpAddr) -> Result<bool, LookupError> {
        let found = match addr {
            IpAddr::V4(addr) => self.dns.a(name).await.map(|answer| answer.records.contains(&addr)),
            IpAddr::V6(addr) => self.dns.aaaa(name).await.map(|answer| answer.records.contains(&addr)),
        };
        // What is no name leads nowhere, today and tomorrow.
        if found == Err(LookupError::NotAName) { Ok(false) } else { found }
    }
}
