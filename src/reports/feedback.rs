//! A batch as the XML of RFC 9990, compressed: all that we use of mail-auth for reports.
//!
//! mail-auth escapes markup, but writes control characters as they are, which no XML document may hold;
//! strangers choose selectors and domains, so every text is cleaned of them first.

use std::io::{self, Write};

use mail_auth::flate2::{Compression, write::GzEncoder};
use mail_auth::report::{
    ActionDisposition, Alignment, DKIMAuthResult, Disposition, DkimResult, DmarcResult, PolicyOverride,
    PolicyOverrideReason, Record, Report, SPFAuthResult, SPFDomainScope, SpfResult,
};

use crate::clock::seconds;
use crate::facts::{AuthResult, DmarcPolicy};
use crate::store::{Disposition as Done, DmarcBatch, DmarcRow, Override};

/// Who reports.
#[derive(Clone, Copy, Debug)]
pub struct Reporter<'r> {
    /// The organization.
    pub org_name: &'r str,
    /// Its address for questions.
    pub email: &'r str,
}

/// The document.
pub fn xml(batch: &DmarcBatch, by: Reporter<'_>, report_id: &str) -> String {
    report(batch, by, report_id).to_xml()
}

/// Compressed as RFC 1952 says.
pub fn gzip(octets: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(octets.len() / 8), Compression::default());
    encoder.write_all(octets)?;
    encoder.finish()
}

fn report(batch: &DmarcBatch, by: Reporter<'_>, report_id: &str) -> Report {
    let published = &batch.record;
    let mut report = Report::new()
        .with_version(1.0)
        .with_org_name(clean(by.org_name))
        .with_email(clean(by.email))
        .with_report_id(clean(report_id))
        .with_date_range_begin(seconds(batch.begin))
        // The last second that belongs to the period: ours end where the next begins.
        .with_date_range_end(seconds(batch.end).saturating_sub(1))
        .with_generator(concat!("Gatepost ", env!("CARGO_PKG_VERSION")))
        .with_domain(clean(&published.domain))
        .with_adkim(alignment(published.strict_dkim))
        .with_aspf(alignment(published.strict_spf))
        .with_p(asked(published.policy))
        .with_sp(asked(published.subdomain_policy))
        .with_np(asked(published.nonexistent_policy))
        .with_discovery_method(mail_auth::report::Discovery::Treewalk)
        .with_fo(clean(&published.failure_options))
        .with_testing(published.testing);
    if batch.left_out > 0 {
        report = report.with_error(format!("{} messages are missing: too many different rows", batch.left_out));
    }
    for (row, count) in &batch.rows {
        report.add_record(record(row, *count));
    }
    report
}

fn record(row: &DmarcRow, count: u64) -> Record {
    let passed = |aligned: bool| if aligned { DmarcResult::Pass } else { DmarcResult::Fail };
    let mut record = Record::new()
        .with_source_ip(row.source)
        .with_count(u32::try_from(count).unwrap_or(u32::MAX))
        .with_action_disposition(done(row.disposition))
        .with_dmarc_dkim_result(passed(row.dkim_aligned))
        .with_dmarc_spf_result(passed(row.spf_aligned))
        .with_envelope_from(clean(&row.envelope_from))
        .with_header_from(clean(&row.header_from));
    if let Some(why) = row.overridden {
        let (kind, words) = reason(why);
        record = record.with_policy_override_reason(PolicyOverrideReason::new(kind).with_comment(words));
    }
    for (domain, selector, result) in &row.dkim {
        let signature = DKIMAuthResult::new().with_domain(clean(domain)).with_selector(clean(selector));
        record = record.with_dkim_auth_result(signature.with_result(dkim(*result)));
    }
    // The HELO name that answers for a null reverse-path is the MAIL FROM identity too (RFC 7208 2.4).
    let (domain, result) = &row.spf;
    let checked = SPFAuthResult::new().with_domain(clean(domain)).with_scope(SPFDomainScope::MailFrom);
    record.with_spf_auth_result(checked.with_result(spf(*result)))
}

fn alignment(strict: bool) -> Alignment {
    if strict { Alignment::Strict } else { Alignment::Relaxed }
}

fn asked(policy: DmarcPolicy) -> Disposition {
    match policy {
        DmarcPolicy::None => Disposition::None,
        DmarcPolicy::Quarantine => Disposition::Quarantine,
        DmarcPolicy::Reject => Disposition::Reject,
    }
}

fn done(disposition: Done) -> ActionDisposition {
    match disposition {
        Done::Pass => ActionDisposition::Pass,
        Done::None => ActionDisposition::None,
        Done::Reject => ActionDisposition::Reject,
    }
}

fn reason(why: Override) -> (PolicyOverride, &'static str) {
    match why {
        Override::JudgedAsAWhole => (PolicyOverride::LocalPolicy, "DMARC is one finding among several here"),
        Override::NeverPutAside => (PolicyOverride::LocalPolicy, "mail is refused or passed on here, never put aside"),
        Override::Testing => (PolicyOverride::PolicyTestMode, "the policy says t=y"),
    }
}

fn dkim(result: AuthResult) -> DkimResult {
    match result {
        AuthResult::None => DkimResult::None,
        AuthResult::Pass => DkimResult::Pass,
        AuthResult::Fail | AuthResult::SoftFail => DkimResult::Fail,
        AuthResult::Neutral => DkimResult::Neutral,
        AuthResult::Policy => DkimResult::Policy,
        AuthResult::TempError => DkimResult::TempError,
        AuthResult::PermError => DkimResult::PermError,
    }
}

fn spf(result: AuthResult) -> SpfResult {
    match result {
        AuthResult::None => SpfResult::None,
        AuthResult::Pass => SpfResult::Pass,
        AuthResult::Fail => SpfResult::Fail,
        AuthResult::SoftFail => SpfResult::SoftFail,
        AuthResult::Neutral | AuthResult::Policy => SpfResult::Neutral,
        AuthResult::TempError => SpfResult::TempError,
        AuthResult::PermError => SpfResult::PermError,
    }
}

/// Without what XML 1.0 cannot hold.
fn clean(text: &str) -> String {
    let fits = |c: char| !c.is_control() && !matches!(c, '\u{fffe}' | '\u{ffff}');
    text.chars().map(|c| if fits(c) { c } else { '\u{fffd}' }).collect()
}

#[cfg(test)]
mod tests;
