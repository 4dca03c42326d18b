//! SPF (RFC 7208), evaluated by our own code over the port of names: who may send for a domain.
//!
//! Two identities: the HELO name, and the reverse-path, which is `postmaster` at the HELO name if it is
//! null (RFC 7208 2.3, 2.4). What is found out becomes a derived fact; the checks only say it in symbols.

mod breadth;
pub mod check;
pub mod evaluate;
pub mod macros;
pub mod record;

use crate::dns::Lookup;
use crate::facts::{AuthResult, HeloFacts, MailFacts, Spf};
use crate::smtp::{path::Domain, path::Mailbox};

use evaluate::{Request, check_host};

pub use check::{SenderId, SpfOfHelo, SpfOfMail};

/// Whose local part a sender without one is given (RFC 7208 4.3).
const POSTMASTER: &str = "postmaster";

/// SPF of the HELO name. An explanation is not asked for: no reply is about the HELO name alone.
pub(super) async fn of_helo(dns: &dyn Lookup, facts: &HeloFacts) -> Spf {
    let request = Request { explain_at: None, ..about_helo(dns, facts) };
    check_host(&request).await
}

/// SPF of the reverse-path.
pub(super) async fn of_mail(dns: &dyn Lookup, facts: &MailFacts) -> Spf {
    let helo = Request { explain_at: Some(facts.at), ..about_helo(dns, &facts.helo) };
    let Some(mailbox) = facts.reverse_path.mailbox() else { return check_host(&helo).await };
    let Domain::Name(domain) = mailbox.domain() else {
        return Spf::new(AuthResult::None, "", "an address literal has no record");
    };
    let local_part = local_part(mailbox);
    check_host(&Request { domain, local_part: &local_part, ..helo }).await
}

fn about_helo<'a>(dns: &'a dyn Lookup, facts: &'a HeloFacts) -> Request<'a> {
    let name = facts.name.as_str();
    let (addr, receiver) = (facts.client.addr, &facts.client.hostname);
    Request { dns, addr, local_part: POSTMASTER, domain: name, helo: name, receiver, explain_at: None }
}

fn local_part(mailbox: &Mailbox) -> String {
    let unquoted = mailbox.unquoted_local();
    if unquoted.is_empty() { POSTMASTER.to_owned() } else { unquoted }
}

#[cfg(test)]
mod tests;
