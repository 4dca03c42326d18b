//! The machine: ports, file descriptors, room for messages, and whether the proxy runs already.

use std::io;
use std::net::SocketAddr;

use super::super::ask;
use super::finding::Finding;
use crate::config::{Config, Loaded};
use crate::net::listener;
use crate::telemetry::process;

/// Descriptors beside those of sessions: files, metrics, DNS, the store.
const OTHERS: u64 = 256;

/// What the running proxy of this configuration says of itself.
pub(super) struct Running {
    metrics: String,
}

/// Asks the admin page; `None` if no proxy is there, or if there is no such page.
pub(super) fn running(loaded: &Loaded) -> Option<Running> {
    let metrics = ask::text(loaded.config.admin?, "/metrics").ok()?;
    metrics.contains("gatepost_build_info").then_some(Running { metrics })
}

impl Running {
    /// A metric without labels.
    fn metric(&self, name: &str) -> Option<f64> {
        let line = self.metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
        line.parse().ok()
    }
}

/// Whether the proxy runs; `None` if there is no admin page, so that nobody can tell.
pub(super) fn runs(config: &Config, running: Option<&Running>) -> Option<bool> {
    config.admin.map(|_| running.is_some())
}

/// Everything about the machine.
pub(super) async fn examine(loaded: &Loaded, running: Option<&Running>) -> Vec<Finding> {
    let config = &loaded.config;
    let mut findings = Vec::new();
    for listener in &config.listeners {
        findings.push(port(listener.address, &listener.name, runs(config, running)));
    }
    findings.extend(admin(config, running));
    findings.push(descriptors(config, running));
    findings.push(spool(config));
    findings
}

/// Whether the address can be listened at, or the proxy does so already.
fn port(address: SocketAddr, name: &str, runs: Option<bool>) -> Finding {
    const AREA: &str = "listener";
    let subject = format!("{name} ({address})");
    match listener::bind(address, false) {
        Ok(_) if runs == Some(true) => Finding::broken(
            AREA,
            &subject,
            "the proxy runs, and does not listen there",
            "Its log says why; after a change of the configuration: reload it.",
        ),
        Ok(_) => Finding::well(AREA, &subject, "free"),
        Err(why) if why.kind() == io::ErrorKind::AddrInUse && runs == Some(true) => {
            Finding::well(AREA, &subject, "in use, by the proxy that runs")
        }
        Err(why) if why.kind() == io::ErrorKind::AddrInUse && runs.is_none() => Finding::skipped(
            AREA,
            &subject,
            "in use, and without [admin] address nobody can tell whether by the proxy",
            "ss -ltnp tells by whom.",
        ),
        Err(why) => {
            let advice = match why.kind() {
                io::ErrorKind::AddrInUse => {
                    "Another program listens there (ss -ltnp tells which): a mail server must move to another port."
                }
                io::ErrorKind::AddrNotAvailable => {
                    "This machine has no such address (ip address): write one that it has, or 0.0.0.0."
                }
                io::ErrorKind::PermissionDenied => {
                    "Ports below 1024 need CAP_NET_BIND_SERVICE, which the systemd unit gives: ask again as root."
                }
                _ => "Write another address in [[listen]].",
            };
            let make = if why.kind() == io::ErrorKind::PermissionDenied { Finding::skipped } else { Finding::broken };
            make(AREA, &subject, why, advice)
        }
    }
}

fn admin(config: &Config, running: Option<&Running>) -> Option<Finding> {
    const AREA: &str = "admin";
    let Some(address) = config.admin else {
        let advice = "Set [admin] address = \"127.0.0.1:9125\": without it there are no metrics, and no command can \
            ask the running proxy.";
        return Some(Finding::doubtful(AREA, &"-", "there are no admin pages", advice));
    };
    if !address.ip().is_loopback() {
        let advice = "They have no password, and change what is remembered. Let a firewall pass your monitoring \
            only, or listen on 127.0.0.1.";
        return Some(Finding::doubtful(
            AREA,
            &address,
            "everybody who reaches this address can use the admin pages",
            advice,
        ));
    }
    Some(match running {
        Some(_) => Finding::well(AREA, &address, "the proxy answers there"),
        None => port(address, "admin pages", Some(false)),
    })
}

/// A session needs a descriptor for its client, one for the backend, and now and then one for a large message.
fn descriptors(config: &Config, running: Option<&Running>) -> Finding {
    const AREA: &str = "limits";
    let wanted = 3 * config.accept.sessions as u64 + OTHERS;
    let of_proxy = running.and_then(|running| running.metric("process_max_fds")).map(|limit| limit as u64);
    let own = || process::open_files(&std::fs::read_to_string("/proc/self/limits").unwrap_or_default());
    let (whose, limit) = match of_proxy {
        Some(limit) => ("the running proxy", Some(limit)),
        None => ("this shell", own()),
    };
    let sessions = config.accept.sessions;
    match limit {
        None => Finding::skipped(AREA, &"open files", "the system does not tell", "Look at ulimit -n."),
        Some(limit) if limit >= wanted => {
            Finding::well(AREA, &"open files", format!("{limit} for {whose}, {sessions} sessions need {wanted}"))
        }
        Some(limit) => {
            let found = format!("{whose} may open {limit} files, {sessions} sessions need {wanted}");
            let advice = format!(
                "Set LimitNOFILE={wanted} in the systemd unit (ulimit -n elsewhere), or lower [limits] sessions."
            );
            // What holds for a shell need not hold for the service.
            let make = if of_proxy.is_some() || limit < OTHERS { Finding::broken } else { Finding::doubtful };
            make(AREA, &"open files", found, &advice)
        }
    }
}

fn spool(config: &Config) -> Finding {
    const AREA: &str = "spool";
    let directory = &config.spool.directory;
    match tempfile::tempfile_in(directory) {
        Ok(_) => Finding::well(AREA, &directory.display(), "can be written to"),
        Err(why) => Finding::broken(
            AREA,
            &directory.display(),
            why,
            "Large messages get 452: make the directory, for the user that Gatepost runs as, or name another one in \
                [spool] directory.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;
    use crate::config::parse_text;

    fn loaded(more: &str) -> Loaded {
        let text = format!(
            "hostname = \"mx.example.org\"\n[relay]\ndomains = [\"example.org\"]\n[[listen]]\naddress = \"0.0.0.0:2625\"\n{more}"
        );
        parse_text(&text).unwrap_or_else(|problems| panic!("{problems}"))
    }

    #[test]
    fn descriptors_are_those_of_the_proxy_that_runs() {
        let loaded = loaded(
            "[backend]\nidentity = \"none\"\n[[backend.member]]\naddress = \"127.0.0.1:25\"\n[limits]\nsessions = 100\n",
        );
        for (page, level) in [("process_max_fds 1024\n", Level::Well), ("process_max_fds 300\n", Level::Broken)] {
            let running = Running { metrics: format!("process_max_fds_of_others 7\n{page}") };
            assert_eq!(descriptors(&loaded.config, Some(&running)).level, level, "{page}");
        }
    }
}
