//! Bounds on sessions: all together, of one client, and of one network.
//!
//! The gate says yes or no; the words of a refusal are the session's. Its table cannot be filled
//! from outside: an entry lives as long as a session of that network, and sessions are bounded.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus::IntGauge;

use super::listener::AcceptLimits;
use crate::units::canonical;

/// Counts sessions and hands out [`Permit`]s.
#[derive(Debug)]
pub struct Gate {
    counts: Mutex<Counts>,
    sessions: IntGauge,
}

/// Why a connection was turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refused {
    /// There are as many sessions as we take.
    Full,
    /// There are as many sessions of this client as we take.
    PerClient,
    /// There are as many sessions of its network as we take.
    PerNetwork,
}

/// The right to hold one session; given back when dropped.
#[derive(Debug)]
pub struct Permit {
    gate: Arc<Gate>,
    client: Option<Identity>,
}

/// Whom a session is counted against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity {
    /// An IPv4 address, or a /64 of IPv6, which is what one customer gets.
    client: ClientNetwork,
    /// A /24, or a /48 of IPv6.
    network: ClientNetwork,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum ClientNetwork {
    V4(u32),
    V6(u64),
}

#[derive(Debug)]
struct Counts {
    limits: AcceptLimits,
    sessions: usize,
    clients: HashMap<ClientNetwork, usize>,
    networks: HashMap<ClientNetwork, usize>,
}

impl Gate {
    /// An empty gate; `sessions` follows the number of permits out.
    pub fn new(limits: AcceptLimits, sessions: IntGauge) -> Arc<Self> {
        Arc::new(Self {
            counts: Mutex::new(Counts { limits, sessions: 0, clients: HashMap::new(), networks: HashMap::new() }),
            sessions,
        })
    }

    /// Changes the limits; sessions that are already in stay.
    pub fn set_limits(&self, limits: AcceptLimits) {
        self.counts().limits = limits;
    }

    /// Lets one more session in whose client is not known yet (its PROXY header has not been read).
    ///
    /// # Errors
    /// [`Refused::Full`].
    pub fn admit(self: &Arc<Self>) -> Result<Permit, Refused> {
        let mut counts = self.counts();
        if counts.sessions >= counts.limits.sessions {
            return Err(Refused::Full);
        }
        counts.sessions += 1;
        self.sessions.inc();
        Ok(Permit { gate: Arc::clone(self), client: None })
    }

    /// Sessions inside.
    pub fn sessions(&self) -> usize {
        self.counts().sessions
    }

    /// The counts stay right even if a thread died while it held them: no update can end half-way.
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit {
    /// Counts the session against `client` and its network; an earlier count is moved.
    ///
    /// # Errors
    /// [`Refused::PerClient`], [`Refused::PerNetwork`]; the permit then still counts as a session, but of no client.
    pub fn identify(&mut self, client: IpAddr) -> Result<(), Refused> {
        let identity = Identity::of(client);
        let mut counts = self.gate.counts();
        if let Some(former) = self.client.take() {
            counts.leave(former);
        }
        counts.enter(identity)?;
        self.client = Some(identity);
        Ok(())
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut counts = self.gate.counts();
        counts.sessions = counts.sessions.saturating_sub(1);
        if let Some(client) = self.client.take() {
            counts.leave(client);
        }
        self.gate.sessions.dec();
    }
}

impl Counts {
    fn enter(&mut self, who: Identity) -> Result<(), Refused> {
        let held = |counts: &HashMap<ClientNetwork, usize>, one| counts.get(one).copied().unwrap_or(0);
        if held(&self.clients, &who.client) >= self.limits.sessions_per_client {
            return Err(Refused::PerClient);
        }
        if held(&self.networks, &who.network) >= self.limits.sessions_per_network {
            return Err(Refused::PerNetwork);
        }
        *self.clients.entry(who.client).or_insert(0) += 1;
        *self.networks.entry(who.network).or_insert(0) += 1;
        Ok(())
    }

    fn leave(&mut self, who: Identity) {
        for (counts, one) in [(&mut self.clients, who.client), (&mut self.networks, who.network)] {
            if let Some(held) = counts.get_mut(&one) {
                *held -= 1;
                if *held == 0 {
                    counts.remove(&one);
                }
            }
        }
    }
}

impl Identity {
    fn of(addr: IpAddr) -> Self {
        match canonical(addr) {
            IpAddr::V4(v4) => {
                let (client, network) = (v4.to_bits(), v4.to_bits() & !0xff);
                Self { client: ClientNetwork::V4(client), network: ClientNetwork::V4(network) }
            }
            IpAddr::V6(v6) => {
                let client = (v6.to_bits() >> 64) as u64;
                Self { client: ClientNetwork::V6(client), network: ClientNetwork::V6(client & !0xffff) }
            }
        }
    }
}

impl Refused {
    /// Every reason.
    pub const ALL: [Self; 3] = [Self::Full, Self::PerClient, Self::PerNetwork];

    /// The word for logs and metrics: the setting that was reached.
    pub fn label(self) -> &'static str {
        match self {
            Self::Full => "sessions",
            Self::PerClient => "sessions_per_client",
            Self::PerNetwork => "sessions_per_network",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(sessions: usize, sessions_per_client: usize) -> Arc<Gate> {
        let gauge = IntGauge::new("sessions", "sessions").expect("a valid name");
        Gate::new(AcceptLimits { sessions, sessions_per_client, sessions_per_network: 1000 }, gauge)
    }

    fn enter(gate: &Arc<Gate>, client: &str) -> Result<Permit, Refused> {
        let mut permit = gate.admit()?;
        permit.identify(client.parse().expect(client))?;
        Ok(permit)
    }

    #[test]
    fn no_more_sessions_than_the_limit_and_room_again_when_one_ends() {
        let gate = gate(2, 10);
        let first = enter(&gate, "192.0.2.1").expect("room");
        let _second = enter(&gate, "192.0.2.2").expect("room");
        assert_eq!(enter(&gate, "192.0.2.3").err(), Some(Refused::Full));
        assert_eq!((gate.sessions(), gate.sessions.get()), (2, 2));
        drop(first);
        assert!(enter(&gate, "192.0.2.3").is_ok());
    }

    #[test]
    fn clients_are_counted_by_address_in_ipv4_and_by_64_in_ipv6() {
        for (held, newcomer, same) in [
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
            ("192.0.2.1", "::ffff:192.0.2.1", true),
            ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", true),
            ("2001:db8:0:1::1", "2001:db8:0:2::1", false),
        ] {
            let gate = gate(10, 1);
            let _held = enter(&gate, held).expect("room");
            assert_eq!(enter(&gate, newcomer).err(), same.then_some(Refused::PerClient), "{held} and {newcomer}");
        }
    }

    #[test]
    fn networks_are_counted_by_24_in_ipv4_and_by_48_in_ipv6() {
        for (held, newcomer, same) in [
            ("192.0.2.1", "192.0.2.255", true),
            ("192.0.2.1", "192.0.3.1", false),
            ("2001:db8:0:1::1", "2001:db8:0:ffff::1", true),
            ("2001:db8:0:1::1", "2001:db8:1:1::1", false),
        ] {
            let gate = gate(10, 5);
            gate.set_limits(AcceptLimits { sessions: 10, sessions_per_client: 5, sessions_per_network: 1 });
            let first = enter(&gate, held).expect("room");
            assert_eq!(enter(&gate, newcomer).err(), same.then_some(Refused::PerNetwork), "{held} and {newcomer}");
            drop(first);
            assert!(enter(&gate, newcomer).is_ok());
            assert!(gate.counts().networks.is_empty() && gate.counts().clients.is_empty());
        }
    }

    #[test]
    fn a_refused_client_takes_no_place() {
        let gate = gate(10, 1);
        let held = enter(&gate, "192.0.2.1").expect("room");
        for _ in 0..5 {
            assert_eq!(enter(&gate, "192.0.2.1").err(), Some(Refused::PerClient));
        }
        assert_eq!(gate.sessions(), 1);
        drop(held);
        assert!(gate.counts().clients.is_empty(), "entries live only as long as sessions");
        assert_eq!(gate.sessions.get(), 0);
    }

    #[test]
    fn identifying_twice_moves_the_count() {
        let gate = gate(10, 1);
        let mut permit = enter(&gate, "192.0.2.1").expect("room");
        permit.identify("192.0.2.2".parse().expect("address")).expect("room");
        assert!(enter(&gate, "192.0.2.1").is_ok());
        assert_eq!(enter(&gate, "192.0.2.2").err(), Some(Refused::PerClient));
    }

    #[test]
    fn new_limits_act_on_newcomers_only() {
        let gate = gate(10, 10);
        let held: Vec<_> = (0..3).map(|_| enter(&gate, "192.0.2.1").expect("room")).collect();
        gate.set_limits(AcceptLimits { sessions: 2, sessions_per_client: 0, sessions_per_network: 1000 });
        assert_eq!(gate.sessions(), 3);
        assert_eq!(enter(&gate, "192.0.2.9").err(), Some(Refused::Full));
        drop(held);
        assert_eq!(enter(&gate, "192.0.2.9").err(), Some(Refused::PerClient));
        assert!(gate.counts().clients.is_empty());
    }
}
