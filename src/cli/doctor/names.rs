//! Name servers, and whether names say of us what they should.

use std::net::IpAddr;
use std::sync::Arc;

use super::finding::Finding;
use crate::config::{Loaded, resolvers};
use crate::dns::zones::{self, LocalZones};
use crate::dns::{self, Local, Lookup, Resolver, hickory};

const AREA: &str = "dns";
/// Below it there is nothing (RFC 2606); what must never be asked for, such as `.invalid`, would not reach the server.
const NOBODY: &str = "example.com";

/// What the proxy would ask: the configured servers, behind the local zones.
pub(super) fn lookup(loaded: &Loaded) -> Result<Arc<dyn Lookup>, String> {
    let zones = Arc::new(LocalZones::new(zones::Metrics::new()));
    zones.load(&loaded.config.zones);
    let resolver = resolver(&loaded.config.dns)?;
    Ok(Arc::new(Local::new(zones, resolver)))
}

fn resolver(settings: &dns::Settings) -> Result<Arc<dyn Lookup>, String> {
    let resolver = Resolver::over_servers(settings, Arc::new(dns::Metrics::new())).map_err(|why| why.to_string())?;
    Ok(Arc::new(resolver))
}

/// Everything about names but the lists.
pub(super) async fn examine(loaded: &Loaded) -> Vec<Finding> {
    let mut findings = servers(loaded).await;
    for warning in resolvers::warnings(&loaded.config) {
        findings.push(Finding::broken(
            AREA,
            &"resolver",
            warning,
            "unbound or knot-resolver on this machine will do: [dns] servers = [\"127.0.0.1:53\"].",
        ));
    }
    for zone in &loaded.config.zones {
        findings.push(match zones::read(zone) {
            Ok((contents, _)) => {
                Finding::well(AREA, &format!("zone {}", zone.name), format!("{} entries", contents.entries()))
            }
            Err(why) => Finding::broken(
                AREA,
                &format!("zone {}", zone.name),
                why,
                "It has no answer to anything: mend the file.",
            ),
        });
    }
    match lookup(loaded) {
        Ok(dns) => findings.extend(ourselves(loaded, dns.as_ref()).await),
        Err(why) => findings.push(Finding::broken(AREA, &"servers", why, "Name one in [dns] servers.")),
    }
    findings
}

/// Each server by itself: whether it answers, and whether it says so where there is nothing.
async fn servers(loaded: &Loaded) -> Vec<Finding> {
    let settings = &loaded.config.dns;
    let servers = match hickory::servers(settings) {
        Ok(servers) => servers,
        Err(why) => return vec![Finding::broken(AREA, &"servers", why, "Name one in [dns] servers.")],
    };
    let mut findings = Vec::new();
    for server in servers {
        let alone = dns::Settings { servers: vec![server], ..settings.clone() };
        let nothing = format!("gatepost-{:016x}.{NOBODY}", rand::random::<u64>());
        let answer = match resolver(&alone) {
            Ok(resolver) => resolver.a(&nothing).await,
            Err(why) => {
                findings.push(Finding::broken(AREA, &server, why, "Write another address in [dns] servers."));
                continue;
            }
        };
        findings.push(match answer {
            Ok(answer) if answer.records.is_empty() => Finding::well(AREA, &server, "answers"),
            Ok(answer) => {
                let found = format!("says {} of a name that does not exist", answer.records[0]);
                Finding::broken(
                    AREA,
                    &server,
                    found,
                    "It invents answers, so lists would list everybody: use a \
                    resolver of your own.",
                )
            }
            Err(why) => {
                let advice = "Lists and sender authentication count nothing without it. Does it run, and does it \
                    serve this machine?";
                Finding::broken(AREA, &server, format!("no answer: {why}"), advice)
            }
        });
    }
    findings
}

/// Our name, there and back, and whether mail for our domains is sent to it.
async fn ourselves(loaded: &Loaded, dns: &dyn Lookup) -> Vec<Finding> {
    let hostname = &*loaded.config.session.hostname;
    let (v4, v6) = tokio::join!(dns.a(hostname), dns.aaaa(hostname));
    let is_partial = v4.is_err() || v6.is_err();
    let v4 = v4.into_iter().flat_map(|answer| answer.records.to_vec()).map(IpAddr::from);
    let v6 = v6.into_iter().flat_map(|answer| answer.records.to_vec()).map(IpAddr::from);
    let addresses: Vec<IpAddr> = v4.chain(v6).collect();
    if addresses.is_empty() && is_partial {
        return vec![Finding::skipped(AREA, &hostname, "no answer", "Mend the name servers first.")];
    }
    let mut findings = Vec::new();
    if addresses.is_empty() {
        let advice = "Nobody can send mail to an MX without an address: write its A record, or another hostname.";
        findings.push(Finding::broken(AREA, &hostname, "our name has no address", advice));
    }
    for address in addresses {
        let back = dns.ptr(address).await;
        let is_ours =
            back.as_ref().is_ok_and(|answer| answer.records.iter().any(|name| name.eq_ignore_ascii_case(hostname)));
        findings.push(match (is_ours, back) {
            (true, _) => Finding::well(AREA, &hostname, format!("{address} leads back to it")),
            (false, Err(why)) => {
                Finding::skipped(AREA, &hostname, format!("name of {address}: {why}"), "Ask again later.")
            }
            (false, Ok(_)) => {
                let advice = "Only who sends mail is asked for it; if the mail server sends from this address, set \
                    the PTR record.";
                Finding::doubtful(AREA, &hostname, format!("{address} does not lead back to it"), advice)
            }
        });
    }
    for domain in loaded.raw.relay.domains.iter().filter(|domain| !domain.starts_with(['.', '*'])) {
        findings.push(exchanger(domain, hostname, dns).await);
    }
    findings
}

async fn exchanger(domain: &str, hostname: &str, dns: &dyn Lookup) -> Finding {
    match dns.mx(domain).await {
        Err(why) => Finding::skipped(AREA, &domain, format!("MX: {why}"), "Ask again later."),
        Ok(answer) if answer.records.iter().any(|(_, name)| name.eq_ignore_ascii_case(hostname)) => {
            Finding::well(AREA, &domain, format!("its MX names {hostname}"))
        }
        Ok(answer) => {
            let names: Vec<&str> = answer.records.iter().map(|(_, name)| &**name).collect();
            let found = match names.as_slice() {
                [] => "it has no MX".to_owned(),
                names => format!("its MX is {}, not {hostname}", names.join(", ")),
            };
            let advice = "Its mail does not come here, unless a balancer or another name stands before us: change \
                the MX when you are ready.";
            Finding::doubtful(AREA, &domain, found, advice)
        }
    }
}
