//! How many clients a record lets pass: a pass that nearly everybody gets authenticates nobody (DECISIONS 16).

use std::net::IpAddr;

use super::record::{Directive, Mechanism, Qualifier, Record};
use crate::units::is_local_scope;

/// An estimate from above: networks that overlap count twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Breadth {
    everybody: bool,
    v4: u64,
    v6: u128,
}

/// Addresses of an IPv4 /8: more than any sender has in use.
const BROAD_V4: u64 = 1 << 24;
/// Addresses of an IPv6 /16: more than any registry has given to one holder.
const BROAD_V6: u128 = 1 << 112;

impl Breadth {
    /// A record that lets everybody pass.
    pub(super) const EVERYBODY: Self = Self { everybody: true, v4: 0, v6: 0 };

    /// What the record itself says, without those that it includes or redirects to. Terms behind `all`
    /// are never reached.
    pub(super) fn of(record: &Record) -> Self {
        let mut breadth = Self::default();
        for directive in &record.directives {
            breadth.add(Self::of_directive(directive));
            if directive.mechanism == Mechanism::All {
                break;
            }
        }
        breadth
    }

    fn of_directive(directive: &Directive) -> Self {
        if directive.qualifier != Qualifier::Pass {
            return Self::default();
        }
        match &directive.mechanism {
            Mechanism::All => Self::EVERYBODY,
            // Many records name a private network, from which nobody can reach us.
            Mechanism::Ip4(net) if net.prefix_len() >= 8 && is_local_scope(IpAddr::V4(net.network())) => {
                Self::default()
            }
            Mechanism::Ip4(net) => Self { v4: v4_addresses(net.prefix_len()), ..Self::default() },
            Mechanism::Ip6(net) => Self { v6: v6_addresses(net.prefix_len()), ..Self::default() },
            // How many addresses the name has is not known; narrow prefixes do not matter.
            Mechanism::A(_, lengths) | Mechanism::Mx(_, lengths) => Self {
                everybody: false,
                v4: if lengths.v4 <= 8 { v4_addresses(lengths.v4) } else { 0 },
                v6: if lengths.v6 <= 16 { v6_addresses(lengths.v6) } else { 0 },
            },
            Mechanism::Include(_) | Mechanism::Ptr(_) | Mechanism::Exists(_) => Self::default(),
        }
    }

    /// Lets those pass as well.
    pub(super) fn add(&mut self, other: Self) {
        self.everybody |= other.everybody;
        self.v4 = self.v4.saturating_add(other.v4);
        self.v6 = self.v6.saturating_add(other.v6);
    }

    /// True if a pass says nothing about who the client is.
    pub(super) fn is_permissive(self) -> bool {
        self.everybody || self.v4 >= BROAD_V4 || self.v6 >= BROAD_V6
    }
}

fn v4_addresses(prefix_length: u8) -> u64 {
    1 << (32 - prefix_length.min(32))
}

fn v6_addresses(prefix_length: u8) -> u128 {
    1_u128.checked_shl(128 - u32::from(prefix_length.min(128))).unwrap_or(u128::MAX)
}
