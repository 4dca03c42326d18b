//! Certificates of listeners: usable, for our name, and not about to end.

use jiff::Timestamp;

use super::finding::Finding;
use crate::config::Config;
use crate::net::listener::{self, TlsFiles};
use crate::net::tls::{Shown, Validity};

const AREA: &str = "certificate";
/// Who renews by machine does so a month before; less than this means that it does not work.
const SOON_DAYS: i64 = 14;
const RENEW: &str = "Renew it; Gatepost takes the new files within a minute, without a restart.";

/// The certificate of each listener.
pub(super) fn examine(config: &Config) -> Vec<Finding> {
    let now = Timestamp::now();
    config.listeners.iter().flat_map(|listener| of_listener(listener, &config.session.hostname, now)).collect()
}

fn of_listener(listener: &listener::Settings, hostname: &str, now: Timestamp) -> Vec<Finding> {
    if listener.tls.is_empty() {
        let advice = "Name a certificate in `tls` of this [[listen]]: others then send their mail encrypted.";
        return vec![Finding::doubtful(AREA, &listener.name, "there is none, so STARTTLS is not offered", advice)];
    }
    // The first is shown to whoever names no host, so it is the one that must have our name.
    let pairs = listener.tls.iter().enumerate();
    pairs.flat_map(|(index, files)| of_pair(listener, files, (index == 0).then_some(hostname), now)).collect()
}

fn of_pair(listener: &listener::Settings, files: &TlsFiles, hostname: Option<&str>, now: Timestamp) -> Vec<Finding> {
    let shown = match Shown::of(files) {
        Ok(shown) => shown,
        Err(why) => {
            let advice = "Gatepost does not start with it. Both files are PEM; the key must be readable for the \
                user that it runs as.";
            return vec![Finding::broken(AREA, &listener.name, why, advice)];
        }
    };
    let mut findings = vec![match &shown.validity {
        Some(validity) => dates(&listener.name, validity, now),
        None => Finding::skipped(AREA, &listener.name, "its dates cannot be read", "Look at openssl x509 -dates."),
    }];
    if let Some(hostname) = hostname.filter(|name| !shown.covers(name)) {
        let found = format!("it is not for {hostname}");
        let advice = "Senders that verify (MTA-STS, DANE) refuse to deliver: ask for a certificate for the name in \
            the MX record.";
        findings.push(Finding::doubtful(AREA, &listener.name, found, advice));
    }
    if is_readable_for_all(&files.key) {
        let found = format!("everybody on this machine can read {}", files.key.display());
        findings.push(Finding::doubtful(
            AREA,
            &listener.name,
            found,
            "chmod o-rwx, and give the group to Gatepost's user.",
        ));
    }
    findings
}

fn dates(name: &str, validity: &Validity, now: Timestamp) -> Finding {
    let days = (validity.until.as_second() - now.as_second()).div_euclid(86_400);
    if now < validity.from {
        return Finding::broken(
            AREA,
            &name,
            format!("it is good from {} on only", validity.from),
            "Is the clock right?",
        );
    }
    match days {
        ..0 => Finding::broken(AREA, &name, format!("it ended at {}", validity.until), RENEW),
        0..SOON_DAYS => Finding::doubtful(AREA, &name, format!("it ends in {days} days, at {}", validity.until), RENEW),
        _ => Finding::well(AREA, &name, format!("good for {days} more days")),
    }
}

#[cfg(unix)]
fn is_readable_for_all(path: &std::path::Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o004 != 0)
}

#[cfg(not(unix))]
fn is_readable_for_all(_path: &std::path::Path) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;

    #[test]
    fn a_certificate_is_renewed_in_time() {
        let at = |text: &str| text.parse::<Timestamp>().expect(text);
        let validity = Validity { from: at("2026-01-01T00:00:00Z"), until: at("2026-04-01T00:00:00Z") };
        for (now, expected) in [
            ("2025-12-31T23:59:59Z", Level::Broken),
            ("2026-01-01T00:00:00Z", Level::Well),
            ("2026-03-18T00:00:00Z", Level::Well),
            ("2026-03-18T00:00:01Z", Level::Doubtful),
            ("2026-04-01T00:00:00Z", Level::Doubtful),
            ("2026-04-01T00:00:01Z", Level::Broken),
        ] {
            assert_eq!(dates("edge", &validity, at(now)).level, expected, "{now}");
        }
    }
}
