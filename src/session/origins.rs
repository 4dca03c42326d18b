//! By what a mail system is known when it comes again with the same envelope.

use ipnet::IpNet;

use crate::facts::{AuthResult, MailFacts};
use crate::units::{network_of, registered_domain};

/// By what a mail system is known when it comes again.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Origin {
    /// The registered domain that SPF has authenticated, from whatever network.
    Domain(String),
    /// The client's network: it may come again from another of its machines.
    Network(IpNet),
}

/// The domain, if it is known already, and the network, because it may not be the next time.
pub(super) fn origins(mail: &MailFacts) -> impl Iterator<Item = Origin> {
    // A record that lets nearly everybody pass authenticates nobody.
    let spf = mail.spf.get().filter(|spf| spf.result == AuthResult::Pass && !spf.permissive);
    let domain = spf.map(|spf| Origin::Domain(registered_domain(&spf.domain).unwrap_or(&spf.domain).to_owned()));
    domain.into_iter().chain([Origin::Network(network_of(mail.helo.client.addr, 24, 64))])
}
