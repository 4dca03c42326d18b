//! Mail that comes through a hop of ours, a backup MX or a service in front: who handed it to that hop is the client
//! that checks look at (DECISIONS 29).
//!
//! The hop itself is judged by nobody. Its Received field, the topmost, names the client, once the message is there;
//! then everything is judged at once, as if that client had come to us.

use std::sync::Arc;

use super::driver::rules_for;
use super::settings::Settings;
use super::shared::Shared;
use super::transaction::Transaction;
use crate::facts::{ClientFacts, HeloFacts, MailFacts, RcptFacts};
use crate::message::header::{Fields, body_offset};
use crate::message::received::{self, Origin};
use crate::pipeline::Assessment;
use crate::smtp::HeloName;
use crate::units::CidrSet;

/// Fields that are looked at: a hop may have hops of its own.
const MOST_FIELDS: usize = 10;

/// The judgement of whoever is behind the hop that this transaction came from, with all that is known but the message.
/// `None` if no hop of ours is the client, or if it does not say who was.
pub(super) fn behind(
    shared: &Shared,
    settings: &Settings,
    transaction: &mut Transaction,
    octets: &[u8],
) -> Option<Assessment> {
    let (mail, helo) = (transaction.mail.clone(), transaction.mail.helo.clone());
    if !settings.hops.contains(helo.client.addr) {
        return None;
    }
    let section = octets.get(..body_offset(octets)).unwrap_or_default();
    let Some(origin) = named(section, &settings.hops) else {
        tracing::info!(id = %transaction.id, client = %helo.client.addr, "transaction.hop_names_nobody");
        return None;
    };
    let listener = helo.client.listener.clone();
    let client = ClientFacts::new(origin.addr, listener, settings.hostname.clone(), None).with_role(helo.client.role);
    let client = Arc::new(client);
    let said = origin.helo.as_deref().and_then(|said| HeloName::parse(said.as_bytes()).ok());
    let name = said.or_else(|| HeloName::parse(literal(&origin).as_bytes()).ok()).unwrap_or_else(|| helo.name.clone());
    let helo = Arc::new(HeloFacts::new(client.clone(), name, true, None));
    let mail = MailFacts::new(helo.clone(), mail.reverse_path.clone(), mail.params.clone(), mail.at);
    let mail = Arc::new(mail);
    let mut assessment = Assessment::new(rules_for(shared, settings, client.role, client.addr));
    assessment.learn(&client);
    assessment.learn(&helo);
    assessment.learn(&mail);
    for recipient in transaction.accepted.iter().chain(&transaction.kept_back) {
        let (index, path) = (recipient.index, &recipient.path);
        assessment.add_recipient(index, settings.exempt.contains(path));
        assessment.judge_as(index, path);
        let is_trap = recipient.is_trap;
        assessment.learn(&Arc::new(RcptFacts { mail: mail.clone(), forward_path: path.clone(), index, is_trap }));
    }
    transaction.judged = Some(mail);
    Some(assessment)
}

/// The first client, from the top, that is no hop of ours.
fn named(section: &[u8], hops: &CidrSet) -> Option<Origin> {
    for field in Fields::new(section).filter(|field| field.is("Received")).take(MOST_FIELDS) {
        let origin = received::origin(field.value)?;
        if !hops.contains(origin.addr) && !origin.addr.is_loopback() {
            return Some(origin);
        }
    }
    None
}

fn literal(origin: &Origin) -> String {
    match origin.addr {
        std::net::IpAddr::V4(addr) => format!("[{addr}]"),
        std::net::IpAddr::V6(addr) => format!("[IPv6:{addr}]"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_is_the_first_that_is_no_hop_of_ours() {
        let hops: CidrSet = std::iter::once("192.0.2.0/24".parse().expect("a network")).collect();
        let named = |section: &str| named(section.as_bytes(), &hops).map(|origin| origin.addr.to_string());
        let from = |addr: &str| format!("Received: from x (y [{addr}]) by z; now\r\n");
        let [ours, local, theirs, other] = ["192.0.2.5", "127.0.0.1", "198.51.100.1", "203.0.113.1"].map(from);
        for (section, expected) in [
            (format!("{theirs}{other}\r\n"), Some("198.51.100.1")),
            (format!("Subject: x\r\n{ours}{local}{theirs}{other}\r\n"), Some("198.51.100.1")),
            (format!("{ours}\r\n"), None),
            (format!("Received: by us; now\r\n{theirs}\r\n"), None),
            (ours.repeat(20) + &theirs, None),
            (String::new(), None),
        ] {
            assert_eq!(named(&section).as_deref(), expected, "{section}");
        }
    }
}
