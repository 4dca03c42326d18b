//! Exchanges of AUTH in flight. Each holds a backend connection for somebody who has proved nothing yet, so they are
//! bounded more closely than connections are: all of a pool, and those of one client.

use std::collections::HashMap;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus::IntGauge;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use crate::units::canonical;

/// The exchanges of one pool.
#[derive(Clone)]
pub struct Exchanges(Arc<Inner>);

struct Inner {
    held: Mutex<Held>,
    /// Somebody has left.
    freed: Notify,
    gauge: IntGauge,
}

#[derive(Default)]
struct Held {
    all: usize,
    clients: HashMap<IpAddr, usize>,
}

/// The right to hold one exchange; given back when dropped.
pub struct InFlight {
    exchanges: Exchanges,
    client: IpAddr,
}

/// How many there may be.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Of all clients.
    pub all: usize,
    /// Of one IPv4 address, or a /64 of IPv6.
    pub per_client: usize,
}

impl Exchanges {
    /// None yet; `gauge` follows their number.
    pub fn new(gauge: IntGauge) -> Self {
        Self(Arc::new(Inner { held: Mutex::default(), freed: Notify::new(), gauge }))
    }

    /// The right to one more of `client`; `None` if there is no room for so long.
    pub async fn enter(&self, client: IpAddr, bounds: Bounds, patience: Duration) -> Option<InFlight> {
        let (client, by) = (whole_client(client), Instant::now() + patience);
        loop {
            let mut freed = pin!(self.0.freed.notified());
            freed.as_mut().enable();
            if let Some(entered) = self.try_enter(client, bounds) {
                return Some(entered);
            }
            timeout_at(by, freed).await.ok()?;
        }
    }

    fn try_enter(&self, client: IpAddr, bounds: Bounds) -> Option<InFlight> {
        let mut held = self.held();
        let own = held.clients.get(&client).copied().unwrap_or(0);
        if held.all >= bounds.all || own >= bounds.per_client {
            return None;
        }
        held.all += 1;
        held.clients.insert(client, own + 1);
        self.0.gauge.inc();
        Some(InFlight { exchanges: self.clone(), client })
    }

    /// The counts stay right even if a thread died while it held them: no update can end half-way.
    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let inner = &self.exchanges.0;
        let mut held = self.exchanges.held();
        held.all = held.all.saturating_sub(1);
        if let Some(own) = held.clients.get_mut(&self.client) {
            *own -= 1;
            if *own == 0 {
                held.clients.remove(&self.client);
            }
        }
        inner.gauge.dec();
        inner.freed.notify_waiters();
    }
}

/// What one customer gets: an IPv4 address, or a /64 of IPv6.
pub fn whole_client(addr: IpAddr) -> IpAddr {
    match canonical(addr) {
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() >> 64 << 64).into()),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exchanges() -> Exchanges {
        Exchanges::new(IntGauge::new("exchanges", "exchanges").expect("a valid name"))
    }

    async fn enter(exchanges: &Exchanges, client: &str) -> Option<InFlight> {
        let bounds = Bounds { all: 3, per_client: 2 };
        exchanges.enter(client.parse().expect(client), bounds, Duration::from_secs(5)).await
    }

    #[tokio::test(start_paused = true)]
    async fn one_client_leaves_room_for_others_and_all_leave_room_in_the_pool() {
        let exchanges = exchanges();
        let held = [enter(&exchanges, "2001:db8::1").await, enter(&exchanges, "2001:db8::2").await];
        assert!(held.iter().all(Option::is_some));
        assert!(enter(&exchanges, "2001:db8::3").await.is_none());
        let other = enter(&exchanges, "192.0.2.1").await;
        assert!(other.is_some() && enter(&exchanges, "192.0.2.2").await.is_none());
        assert_eq!(exchanges.0.gauge.get(), 3);
        drop((held, other));
        assert!(exchanges.0.gauge.get() == 0 && exchanges.held().clients.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_comes_in_when_somebody_leaves() {
        let exchanges = exchanges();
        let held = [enter(&exchanges, "192.0.2.1").await, enter(&exchanges, "192.0.2.1").await];
        let leaves = async {
            tokio::time::sleep(Duration::from_secs(3)).await;
            drop(held);
        };
        let (came, ()) = tokio::join!(enter(&exchanges, "192.0.2.1"), leaves);
        assert!(came.is_some());
    }
}
