//! The mail servers behind us: what they offer, whom they trust, and what they refuse.
//!
//! Each is spoken to as Gatepost speaks to it, once under our own address and once as a stranger. No transaction
//! gets further than RCPT and is then reset: nothing is delivered.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use prometheus::Registry;

use super::finding::Finding;
use super::{PATIENCE, strictness};
use crate::backend::member::{Member, SocketDial};
use crate::backend::settings::{IdentityMethod, TlsMode};
use crate::backend::{self, BackendError, Connection, Identity, Pool};
use crate::config::Loaded;
use crate::reports::Via;
use crate::smtp::{Extension, ForwardPath, Reply};

pub(super) const AREA: &str = "backend";
/// A domain that is nobody's (RFC 2606), and refuses all mail: a relay shows itself at RCPT, and nothing comes of it.
const ELSEWHERE: &str = "gatepost-doctor@example.com";
/// How local parts begin that nobody has.
const NOBODY: &str = "gatepost-doctor";
/// A client that nobody trusts (RFC 5737).
const STRANGER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

/// What all members are asked.
struct Case<'a> {
    loaded: &'a Loaded,
    pool: Arc<Pool>,
    /// A domain whose recipients are asked for.
    domain: Option<&'a str>,
    probe: Option<&'a ForwardPath>,
}

/// Every member of every pool.
pub(super) async fn examine(loaded: &Loaded, probe: Option<&ForwardPath>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let named = loaded.config.pools.iter().map(|(name, settings)| (Some(name), settings));
    for (name, settings) in [(None, &loaded.config.backend)].into_iter().chain(named) {
        let domain = domain_of(loaded, name);
        let mut settings = settings.clone();
        settings.timeouts.connect = settings.timeouts.connect.min(PATIENCE);
        settings.timeouts.command = settings.timeouts.command.min(PATIENCE);
        let pool = backend::Metrics::register(&Registry::new()).map_err(|why| why.to_string());
        let pool = match pool.and_then(|metrics| Pool::new(settings, metrics).map_err(|why| why.to_string())) {
            Ok(pool) => pool,
            Err(why) => {
                findings.push(Finding::broken(AREA, &"TLS", why, "Mend tls_name or tls_ca of its members."));
                continue;
            }
        };
        let case = Case { loaded, pool, domain, probe };
        for member in case.pool.members() {
            findings.extend(case.examine(member).await);
        }
    }
    findings
}

/// A domain whose mail goes to the pool of that name: by its route, or because it has none and no route leads to the pool.
fn domain_of<'a>(loaded: &'a Loaded, pool: Option<&Arc<str>>) -> Option<&'a str> {
    let routes = &loaded.config.routes;
    let is_routed = routes.pools().any(|name| name == pool.map(|name| &**name));
    let mut domains = loaded.raw.relay.domains.iter().filter(|domain| !domain.starts_with(['.', '*']));
    let goes_there = |domain: &&String| {
        let path = ForwardPath::parse(&format!("{NOBODY}@{domain}")).ok();
        match path.and_then(|path| routes.of(&path)) {
            Some(name) => name.as_ref() == pool,
            None => pool.is_none() || !is_routed,
        }
    };
    domains.find(goes_there).map(String::as_str)
}

impl Case<'_> {
    async fn examine(&self, member: &Arc<Member>) -> Vec<Finding> {
        let subject = &member.label;
        let mut own = match self.open(member, None).await {
            Ok(connection) => connection,
            Err(why) => return vec![unreachable(subject, &why)],
        };
        let mut findings = self.offer(member, &own);
        findings.push(self.own_relay(subject, &mut own).await);
        findings.extend(self.recipients(subject, &mut own).await);
        own.quit();
        findings.extend(self.stranger(member).await);
        findings.extend(match self.probe {
            Some(recipient) => strictness::examine(member, &self.pool, recipient).await,
            None => {
                let advice = "--probe-recipient ADDRESS, a mailbox of yours, tries it.";
                vec![Finding::skipped(
                    AREA,
                    subject,
                    "how strictly it reads the end of a message was not tried",
                    advice,
                )]
            }
        });
        findings
    }

    async fn open(&self, member: &Member, client: Option<&Identity>) -> Result<Connection, BackendError> {
        member.open(&SocketDial, self.pool.settings(), client).await
    }

    /// What it offers, against what mail and the configuration need.
    fn offer(&self, member: &Member, connection: &Connection) -> Vec<Finding> {
        let (subject, offered) = (&member.label, &connection.extensions);
        let mut names: Vec<String> = offered.iter().map(|extension| format!("{extension:?}").to_uppercase()).collect();
        names.sort();
        let secured = if connection.encrypted { ", with TLS" } else { "" };
        let mut findings =
            vec![Finding::well(AREA, subject, format!("it answers{secured}, and offers {}", names.join(" ")))];
        let missing: Vec<&str> =
            [(Extension::EightBitMime, "8BITMIME"), (Extension::Pipelining, "PIPELINING"), (Extension::Size, "SIZE")]
                .into_iter()
                .filter(|(extension, _)| !offered.has(*extension))
                .map(|(_, name)| name)
                .collect();
        if !missing.is_empty() {
            let found = format!("it does not offer {}", missing.join(", "));
            findings.push(Finding::doubtful(
                AREA,
                subject,
                found,
                "So Gatepost does not offer it either: switch it on there, if it can.",
            ));
        }
        let ours = self.loaded.config.session.limits.message_size.0;
        if let Some(theirs) = offered.size_limit().filter(|theirs| *theirs < ours) {
            let found = format!("it takes {theirs} octets, [limits] message_size is {ours}");
            let advice =
                "Clients are told the smaller one. Write the same on both sides (Postfix: message_size_limit).";
            findings.push(Finding::doubtful(AREA, subject, found, advice));
        }
        if !connection.encrypted && !member.settings.is_loopback() {
            let (found, advice) = match member.settings.tls {
                TlsMode::Off => {
                    ("mail crosses the network in clear", "tls = \"opportunistic\", or \"verify\" with a certificate.")
                }
                _ => ("mail crosses the network in clear: it does not offer STARTTLS", "Give it a certificate."),
            };
            findings.push(Finding::doubtful(AREA, subject, found, advice));
        }
        findings
    }

    /// Whether it relays for whoever comes from our address: then we would be its open door.
    async fn own_relay(&self, subject: &str, connection: &mut Connection) -> Finding {
        let method = self.pool.settings().identity;
        let told = matches!(method, IdentityMethod::Xclient | IdentityMethod::ProxyV2);
        match ask(connection, ELSEWHERE).await {
            Err(why) => Finding::skipped(AREA, &subject, format!("relaying: {why}"), "Ask again."),
            Ok(reply) if !reply.is_positive() => refused_relay(subject, "for our own address", &reply),
            Ok(_) if told && self.reports_through_it() => {
                Finding::well(AREA, &subject, "it relays for our own address, as [reports] via = \"backend\" needs")
            }
            Ok(_) if told => {
                let found = "it relays for our own address; clients' mail does not come under it";
                let advice = "Nothing of Gatepost's needs that: take our address from mynetworks, or set \
                    smtpd_relay_restrictions=reject_unauth_destination for this port.";
                Finding::doubtful(AREA, &subject, found, advice)
            }
            Ok(_) => {
                let found = "it relays for our own address, and everybody's mail comes under it";
                let advice = "One mistake in [relay] domains makes it an open relay: take our address from \
                    mynetworks (Exchange: no ExternalAuthoritative on the connector).";
                Finding::broken(AREA, &subject, found, advice)
            }
        }
    }

    fn reports_through_it(&self) -> bool {
        self.loaded.config.reports.as_ref().is_some_and(|reports| matches!(reports.via, Via::Backend))
    }

    /// Whether it knows its recipients: what it refuses later, it bounces to forged senders.
    async fn recipients(&self, subject: &str, connection: &mut Connection) -> Vec<Finding> {
        let Some(domain) = self.domain else {
            let advice = "Write one in [relay] domains, and the [[route]] that leads it there.";
            return vec![Finding::skipped(AREA, &subject, "no domain is known to ask for recipients of", advice)];
        };
        let nobody = format!("{NOBODY}-{:016x}@{domain}", rand::random::<u64>());
        let unknown = match ask(connection, &nobody).await {
            Err(why) => return vec![Finding::skipped(AREA, &subject, format!("recipients: {why}"), "Ask again.")],
            Ok(reply) => unknown_recipient(subject, domain, &reply),
        };
        let mut findings = vec![unknown];
        let postmaster = format!("postmaster@{domain}");
        match ask(connection, &postmaster).await {
            Ok(reply) if reply.is_positive() => {}
            Ok(reply) => {
                let found = format!("it refuses {postmaster}: {}", reply.to_log());
                let advice =
                    "Every domain must have that address (RFC 5321 4.5.1): who is refused by mistake writes there.";
                findings.push(Finding::doubtful(AREA, &subject, found, advice));
            }
            Err(why) => findings.push(Finding::skipped(AREA, &subject, format!("{postmaster}: {why}"), "Ask again.")),
        }
        findings
    }

    /// The same as a stranger, if it hears who a client is; and whether it hears it.
    async fn stranger(&self, member: &Member) -> Vec<Finding> {
        const ADVICE: &str = "Mail is deferred with 451: a client's mail is never passed on under our own address. \
            Postfix: smtpd_authorized_xclient_hosts with our address (for XFORWARD smtpd_authorized_xforward_hosts).";
        let (subject, settings) = (&member.label, self.pool.settings());
        if settings.identity == IdentityMethod::None {
            let found = "it does not hear who clients are (identity = \"none\")";
            let advice = "Its log and its own checks see our address only; if it can, use XCLIENT or PROXY.";
            return vec![
                Finding::well(AREA, subject, found),
                Finding::skipped(AREA, subject, "relaying for strangers", advice),
            ];
        }
        let stranger = SocketAddr::new(IpAddr::V4(STRANGER), 49_152);
        let local = self.loaded.config.listeners.first().map_or(stranger, |listener| listener.address);
        let local =
            if local.is_ipv4() { local } else { SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), local.port()) };
        let client = Identity {
            addr: stranger,
            local,
            name: None,
            helo: "doctor.example.com".to_owned(),
            extended: true,
            ident: None,
            forwarded: None,
        };
        let word = match settings.identity {
            IdentityMethod::Xclient => "XCLIENT",
            IdentityMethod::Xforward => "XFORWARD",
            IdentityMethod::ProxyV2 | IdentityMethod::None => "PROXY",
        };
        let mut connection = match self.open(member, Some(&client)).await {
            Ok(connection) => connection,
            Err(why) => return vec![Finding::broken(AREA, subject, format!("{word}: {why}"), ADVICE)],
        };
        if let Err(why) = member.introduce(&mut connection, settings, &client).await {
            return vec![Finding::broken(AREA, subject, format!("{word}: {why}"), ADVICE)];
        }
        let mut findings = vec![Finding::well(AREA, subject, format!("it hears who clients are by {word}"))];
        if settings.identity == IdentityMethod::Xforward {
            // It goes by our address all the same.
            return findings;
        }
        findings.push(match ask(&mut connection, ELSEWHERE).await {
            Ok(reply) if reply.is_positive() => {
                let advice = "Whoever reaches it can send anywhere: it must take mail for its own domains only.";
                Finding::broken(AREA, subject, "it relays for strangers", advice)
            }
            Ok(reply) => refused_relay(subject, "for strangers", &reply),
            Err(why) => Finding::skipped(AREA, subject, format!("relaying for strangers: {why}"), "Ask again."),
        });
        connection.quit();
        findings
    }
}

/// One RCPT in a transaction of its own, with the null reverse-path, which is then forgotten. A refused MAIL is the answer.
pub(super) async fn ask(connection: &mut Connection, recipient: &str) -> Result<Reply, BackendError> {
    connection.send(b"MAIL FROM:<>\r\n", PATIENCE).await?;
    let mail = connection.reply(PATIENCE).await?;
    if !mail.is_positive() {
        return Ok(mail);
    }
    connection.send(format!("RCPT TO:<{recipient}>\r\n").as_bytes(), PATIENCE).await?;
    let rcpt = connection.reply(PATIENCE).await?;
    connection.send(b"RSET\r\n", PATIENCE).await?;
    connection.reply(PATIENCE).await?;
    Ok(rcpt)
}

/// A refusal is the right answer, unless it says that something else was amiss.
fn refused_relay(subject: &str, whom: &str, reply: &Reply) -> Finding {
    let status = reply.status().map(|status| status.to_string()).unwrap_or_default();
    let said = reply.to_log();
    // 5.7.x is about permission; without a status there is the code only.
    if status.starts_with("5.7.") || (status.is_empty() && matches!(reply.code(), 550 | 551 | 554)) {
        return Finding::well(AREA, &subject, format!("it does not relay {whom} ({said})"));
    }
    let advice = "It may be for another reason than that it does not relay: see to it that it takes mail for its \
        own domains only.";
    Finding::doubtful(AREA, &subject, format!("it refuses to relay {whom}: {said}"), advice)
}

fn unknown_recipient(subject: &str, domain: &str, reply: &Reply) -> Finding {
    let said = reply.to_log();
    match reply.class() {
        2 => Finding::broken(
            AREA,
            &subject,
            format!("it takes mail for recipients at {domain} that nobody has"),
            "It bounces them later, to forged senders. Postfix: relay_recipient_maps or local_recipient_maps; \
                Exchange: recipient filtering.",
        ),
        4 => Finding::doubtful(
            AREA,
            &subject,
            format!("it defers unknown recipients: {said}"),
            "Senders try for days. If it asks another server, is that one there? If it greylists: Gatepost does.",
        ),
        _ => Finding::well(AREA, &subject, format!("it refuses unknown recipients ({said})")),
    }
}

fn unreachable(subject: &str, why: &BackendError) -> Finding {
    let advice = match why {
        BackendError::Connect(_) => "All mail gets 451. Does it run, and listen there? Does a firewall stand between?",
        BackendError::TimedOut => {
            "All mail gets 451. Is it overloaded, or does a firewall swallow packets? A PROXY listener waits for a header: identity = \"proxy-v2\"."
        }
        BackendError::NotReady(_) => {
            "All mail gets 451. It turns us away: look at its log, and at its limits on clients."
        }
        BackendError::Tls(_) => {
            "All mail gets 451. Give it a certificate that tls asks for, or ask for less (tls, tls_name, tls_ca)."
        }
        _ => "All mail gets 451. Is that a mail server? Look at its log.",
    };
    Finding::broken(AREA, &subject, why, advice)
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;
    use crate::smtp::{Step, parse_reply};

    fn reply(text: &str) -> Reply {
        match parse_reply(format!("{text}\r\n").as_bytes()) {
            Ok(Step::Ready { value, .. }) => value,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn only_a_refusal_to_relay_is_one() {
        for (said, level) in [
            ("554 5.7.1 Relay access denied", Level::Well),
            ("550 5.7.54 SMTP; Unable to relay recipient in non-accepted domain", Level::Well),
            ("550 relay not permitted", Level::Well),
            ("556 5.1.10 Domain example.com does not accept mail (nullMX)", Level::Doubtful),
            ("450 4.1.2 Domain not found", Level::Doubtful),
            ("503 bad sequence", Level::Doubtful),
        ] {
            assert_eq!(refused_relay("b", "for strangers", &reply(said)).level, level, "{said}");
        }
    }

    #[test]
    fn unknown_recipients_are_refused_at_once() {
        for (said, level) in [
            ("550 5.1.1 User unknown", Level::Well),
            ("250 2.1.5 Ok", Level::Broken),
            ("450 4.1.1 unverified", Level::Doubtful),
        ] {
            assert_eq!(unknown_recipient("b", "example.org", &reply(said)).level, level, "{said}");
        }
    }
}
