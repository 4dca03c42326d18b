//! Sessions: hostname, limits, timeouts, protocol tests, relay protection.

use std::sync::Arc;
use std::time::Duration;

use super::super::files::Files;
use super::super::problem::{Problem, Report};
use super::super::{Checks, Source, raw, source};
use super::{count, count32, millis, networks, refuse_everybody, seconds, size};
use crate::session::known::{KnownRecipients, RecipientList};
use crate::session::settings::{Budgets, Limits, Protocol, RefuseAt, Relay, Response, Timeouts};
use crate::session::{RecipientMatcher, Settings};
use crate::smtp::NewlinePolicy;
use crate::units::{ByteSize, CidrSet, DomainSet};

/// RFC 5321 4.5.3.1.7: a server must take messages of at least 64 KiB.
const SMALLEST_MESSAGE: ByteSize = ByteSize(64 << 10);

pub(super) fn settings(file: &raw::File, checks: &Checks, files: &mut Files, report: &mut Report<'_>) -> Settings {
    if report.document.has("hostname") {
        report.take("hostname", fully_qualified(&file.hostname));
    }
    Settings {
        hostname: file.hostname.as_str().into(),
        limits: limits(&file.limits, report),
        timeouts: timeouts(&file.timeouts, report),
        protocol: protocol(&file.protocol, report),
        relay: relay(file, files, report),
        refuse_at: match file.checks.refuse_at {
            raw::RefuseAt::Rcpt => RefuseAt::Rcpt,
            raw::RefuseAt::Earliest => RefuseAt::Earliest,
        },
        budgets: Budgets { rcpt: millis(file.checks.rcpt_budget_ms), message: millis(file.checks.message_budget_ms) },
        add_spam_fields: file.checks.add_spam_fields,
        add_authentication_results: file.checks.add_authentication_results,
        add_received_spf: file.checks.add_received_spf,
        trusted: checks.trusted_networks.clone(),
        hops: hops(&file.checks, report),
        exempt: checks.exempt_recipients.clone(),
    }
}

/// Whose word on their clients is taken.
fn hops(written: &raw::Checks, report: &mut Report<'_>) -> CidrSet {
    let anybody = "any client could name any other";
    refuse_everybody(&written.trusted_hops, "checks.trusted_hops", anybody, report);
    networks(&written.trusted_hops, "checks.trusted_hops", report)
}

fn limits(written: &raw::Limits, report: &mut Report<'_>) -> Limits {
    let message_size = size(&written.message_size, "limits.message_size", report);
    if message_size < SMALLEST_MESSAGE {
        report.error("limits.message_size", "must be at least 64 KiB (RFC 5321 4.5.3.1.7)");
    }
    if written.recipients < 100 {
        report.warning("limits.recipients", "is below the 100 that RFC 5321 4.5.3.1.8 asks for");
    }
    if written.hops < 100 {
        report.warning("limits.hops", "is below the 100 that RFC 5321 6.3 asks for");
    }
    Limits {
        message_size,
        recipients: count(written.recipients),
        errors: count32(written.errors),
        auth_failures: count32(written.auth_failures),
        auth_delay: seconds(written.auth_delay_seconds),
        auth_exchanges: (written.auth_exchanges > 0).then(|| count(written.auth_exchanges)),
        auth_exchanges_per_client: count(written.auth_exchanges_per_client),
        idle_commands: count32(written.idle_commands),
        transactions: count32(written.transactions),
        hops: count(written.hops),
        own_hops: count(written.own_hops),
        session: seconds(written.session_seconds),
        tarpit: seconds(written.tarpit_seconds),
        tarpit_sessions: count(written.tarpit_sessions),
    }
}

fn timeouts(written: &raw::Timeouts, report: &mut Report<'_>) -> Timeouts {
    for (key, value, least) in [
        ("timeouts.command_seconds", written.command_seconds, 300),
        ("timeouts.data_start_seconds", written.data_start_seconds, 120),
        ("timeouts.data_block_seconds", written.data_block_seconds, 180),
    ] {
        if value < least {
            report.warning(key, format!("is below the {least} seconds of RFC 5321 4.5.3.2"));
        }
    }
    if written.hold_backend_seconds >= written.data_start_seconds.min(written.data_block_seconds) {
        report.error(
            "timeouts.hold_backend_seconds",
            "must be shorter than data_start_seconds and data_block_seconds: it never came to pass",
        );
    }
    Timeouts {
        command: seconds(written.command_seconds),
        data_start: seconds(written.data_start_seconds),
        data_block: seconds(written.data_block_seconds),
        tls_handshake: seconds(written.tls_handshake_seconds),
        proxy_header: seconds(written.proxy_header_seconds),
        write: seconds(written.write_seconds),
        hold_backend: seconds(written.hold_backend_seconds),
    }
}

fn protocol(written: &raw::Protocol, report: &mut Report<'_>) -> Protocol {
    if written.greet_delay_ms == 0 && !written.greet_at_once.is_empty() {
        report.warning("protocol.greet_at_once", "has no effect without a greet_delay_ms");
    }
    if written.newlines == raw::BareNewlines::Normalize && !written.newline_exceptions.is_empty() {
        report.warning("protocol.newline_exceptions", "has no effect without newlines = \"reject\"");
    }
    Protocol {
        greet_delay: millis(written.greet_delay_ms),
        greet_at_once: networks(&written.greet_at_once, "protocol.greet_at_once", report),
        pregreet: response(written.pregreet),
        pipelining: response(written.pipelining),
        non_smtp_command: response(written.non_smtp_command),
        bare_newline_command: response(written.bare_newline_command),
        newlines: match written.newlines {
            raw::BareNewlines::Normalize => NewlinePolicy::Normalize,
            raw::BareNewlines::Reject => NewlinePolicy::Reject,
        },
        newline_exceptions: networks(&written.newline_exceptions, "protocol.newline_exceptions", report),
    }
}

fn response(written: raw::Response) -> Response {
    match written {
        raw::Response::Ignore => Response::Ignore,
        raw::Response::Score => Response::Score,
        raw::Response::Refuse => Response::Refuse,
    }
}

fn relay(file: &raw::File, files: &mut Files, report: &mut Report<'_>) -> Relay {
    let written = &file.relay;
    let mut domains = DomainSet::default();
    for (index, domain) in written.domains.iter().enumerate() {
        let key = source::element("relay.domains", index);
        report.take(&key, insert(&mut domains, domain));
    }
    if let (Some(path), true) = (&written.domains_file, files.are_read()) {
        let path = files.resolve(path);
        if let Some(text) = report.take("relay.domains_file", files.read(&path)) {
            domains_file(&Source::new(path.display().to_string(), text), &mut domains, report);
        }
    }
    refuse_everybody(&written.networks, "relay.networks", "this would be an open relay", report);
    let no_domain_file = written.domains_file.is_none();
    let is_edge = file.listen.is_empty() || file.listen.iter().any(|listen| listen.role == raw::Role::Edge);
    let nobody = written.domains.is_empty() && no_domain_file && written.networks.is_empty();
    if nobody && is_edge && report.document.has("relay") {
        report.error("relay", "neither domains nor networks: no mail at all would be taken");
    }
    Relay {
        domains: Arc::new(domains),
        networks: networks(&written.networks, "relay.networks", report),
        known: known(&written.recipients, files, report),
    }
}

/// Maps of recipients.
fn known(written: &[raw::Recipients], files: &mut Files, report: &mut Report<'_>) -> KnownRecipients {
    let mut known = KnownRecipients::default();
    for (index, map) in written.iter().enumerate() {
        let at = source::element("relay.recipients", index);
        let key = |name: &str| source::join(&at, name);
        let mut domains = DomainSet::default();
        for (index, domain) in map.domains.iter().enumerate() {
            report.take(&source::element(&key("domains"), index), insert(&mut domains, domain));
        }
        let delimiter = map.delimiter.as_deref().and_then(|written| {
            let mut letters = written.chars();
            let letter = letters.next().filter(|letter| letters.next().is_none() && letter.is_ascii_punctuation());
            report.take(&key("delimiter"), letter.ok_or_else(|| format!("`{written}` is no mark such as +")))
        });
        if !files.are_read() || !report.document.has(&key("file")) {
            continue;
        }
        let path = files.resolve(&map.file);
        let Some(text) = report.take(&key("file"), files.read(&path)) else { continue };
        let age = Duration::from_secs(map.max_age_hours.saturating_mul(3600));
        let written_at = || std::fs::metadata(&path).and_then(|about| about.modified()).ok();
        let fresh_until = (!age.is_zero()).then(|| written_at().and_then(|at| at.checked_add(age))).flatten();
        let mut list = RecipientList::new(domains, delimiter, fresh_until);
        recipients_file(&Source::new(path.display().to_string(), text), &mut list, report);
        if list.is_empty() {
            report.warning(&key("file"), "knows nobody: all recipients of these domains hear 450");
        }
        known.push(list);
    }
    known
}

/// A line that is none costs one recipient, and not the whole map: others would be unknown then.
fn recipients_file(source: &Arc<Source>, list: &mut RecipientList, report: &mut Report<'_>) {
    let mut start = 0;
    let mut wrong = 0;
    for line in source.text.split_inclusive('\n') {
        let entry = line.split('#').next().unwrap_or_default();
        if !entry.trim().is_empty()
            && let Err(why) = list.insert(entry.trim())
        {
            wrong += 1;
            if wrong <= MOST_COMPLAINTS {
                let begin = start + (entry.len() - entry.trim_start().len());
                let place = Some(begin..start + entry.trim_end().len());
                report.problems.push(Problem::at(source, place, "", why).as_warning());
            }
        }
        start += line.len();
    }
}

/// Lines of a map that are complained of.
const MOST_COMPLAINTS: usize = 20;

fn domains_file(source: &Arc<Source>, domains: &mut DomainSet, report: &mut Report<'_>) {
    let mut start = 0;
    for line in source.text.split_inclusive('\n') {
        let domain = line.split('#').next().unwrap_or_default();
        if !domain.trim().is_empty()
            && let Err(why) = insert(domains, domain.trim())
        {
            let begin = start + (domain.len() - domain.trim_start().len());
            report.problems.push(Problem::at(source, Some(begin..start + domain.trim_end().len()), "", why));
        }
        start += line.len();
    }
}

/// A domain of ours; never a pattern that means all the world's.
fn insert(domains: &mut DomainSet, pattern: &str) -> Result<(), String> {
    let name = pattern.trim_start_matches("*.").trim_start_matches('.').trim_end_matches('.');
    let ascii = idna::domain_to_ascii(name).unwrap_or_default();
    if name.contains('*') || ascii.is_empty() || !ascii.split('.').all(is_label) {
        return Err(format!("`{pattern}` is no domain: write example.org, or .example.org for its subdomains"));
    }
    if !ascii.contains('.') && pattern.starts_with(['*', '.']) {
        return Err(format!("`{pattern}` is a whole top-level domain: this would be an open relay"));
    }
    domains.insert(pattern)
}

pub(super) fn checks(written: &raw::Checks, report: &mut Report<'_>) -> Checks {
    let mut exempt_recipients = RecipientMatcher::default();
    for (index, recipient) in written.exempt_recipients.iter().enumerate() {
        report.take(&source::element("checks.exempt_recipients", index), exempt_recipients.insert(recipient));
    }
    let everybody = "no check would look at anybody; if that is meant, write enabled = false";
    refuse_everybody(&written.trusted_networks, "checks.trusted_networks", everybody, report);
    Checks {
        enabled: written.enabled,
        trusted_networks: networks(&written.trusted_networks, "checks.trusted_networks", report),
        exempt_recipients,
    }
}

/// Our host name and the relay domains that are written as such.
pub(super) fn own_names(file: &raw::File) -> Vec<String> {
    let domains = file.relay.domains.iter().filter(|domain| !domain.starts_with(['.', '*']));
    std::iter::once(&file.hostname).chain(domains).cloned().collect()
}

/// A host name with at least one dot.
fn fully_qualified(name: &str) -> Result<(), String> {
    host_name(name)?;
    if name.contains('.') && !name.rsplit('.').next().is_some_and(|top| top.bytes().all(|b| b.is_ascii_digit())) {
        Ok(())
    } else {
        Err(format!("`{name}` is not fully qualified, such as mx.example.org"))
    }
}

/// A host name (RFC 1123 2.1).
pub(super) fn host_name(name: &str) -> Result<(), String> {
    let fits = name.len() <= 253 && name.split('.').all(|label| is_label(label) && !label.contains('_'));
    if fits { Ok(()) } else { Err(format!("`{name}` is no host name, such as mx.example.org")) }
}

/// A label of a name: letters, digits, `-` and, as some hosts have it, `_`.
pub(super) fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_name_is_fully_qualified() {
        for (name, fits) in [
            ("mx.example.org", true),
            ("mx", false),
            ("", false),
            ("mx..example.org", false),
            ("-mx.example.org", false),
            ("192.0.2.1", false),
            ("mx.example.org.", false),
            ("mx_1.example.org", false),
        ] {
            assert_eq!(fully_qualified(name).is_ok(), fits, "{name}");
        }
    }

    #[test]
    fn no_pattern_means_everybody() {
        for pattern in ["*", ".", "*.", "", ".com", "*.org", "a*.example.org", "a b.example.org", "user@example.org"] {
            assert!(insert(&mut DomainSet::default(), pattern).is_err(), "{pattern}");
        }
        for pattern in ["example.org", ".example.org", "*.example.org", "b\u{fc}cher.example", "localhost"] {
            assert!(insert(&mut DomainSet::default(), pattern).is_ok(), "{pattern}");
        }
    }
}
