use mail_auth::report::Report;

use super::*;
use crate::reports::sample;

const BY: Reporter<'static> = Reporter { org_name: "Receiver&Sons", email: "dmarc@receiver.example" };

#[test]
fn what_is_read_is_what_was_written() {
    let batch = sample::batch(&[]);
    let text = xml(&batch, BY, "1.2");
    let read = Report::parse_xml(text.as_bytes()).expect("a report");
    assert_eq!(read, report(&batch, BY, "1.2"), "{text}");
    assert_eq!((read.org_name(), read.email(), read.report_id()), (BY.org_name, BY.email, "1.2"));
    assert_eq!(read.date_range_begin(), 100 * sample::DAY);
    assert_eq!(read.date_range_end(), 101 * sample::DAY - 1);
    assert_eq!((read.domain(), read.fo()), ("author.example", Some("1:d")));
    assert_eq!((read.p(), read.sp(), read.np()), (Disposition::Reject, Disposition::Quarantine, Disposition::None));
    assert_eq!((read.adkim(), read.aspf()), (Alignment::Strict, Alignment::Relaxed));
    assert_eq!(read.error(), ["2 messages are missing: too many different rows"]);
    let [first, second] = read.records() else { panic!("{text}") };
    assert_eq!((first.count(), second.count()), (3, u32::MAX));
    assert_eq!(first.action_disposition(), ActionDisposition::None);
    assert_eq!(second.action_disposition(), ActionDisposition::Reject);
    assert_eq!((first.dmarc_dkim_result(), first.dmarc_spf_result()), (DmarcResult::Pass, DmarcResult::Fail));
    assert_eq!(first.policy_override_reason().len(), 1);
    assert_eq!(first.policy_override_reason()[0].policy_override(), PolicyOverride::LocalPolicy);
    assert_eq!(second.envelope_from(), "");
    assert_eq!(first.spf_auth_result()[0].result(), SpfResult::SoftFail);
    assert_eq!(second.spf_auth_result()[0].domain(), "<host>.example");
}

#[test]
fn what_strangers_wrote_breaks_no_document() {
    let text = xml(&sample::batch(&[]), BY, "1.2");
    assert!(text.contains("<selector>k&amp;\u{fffd}</selector>"), "{text}");
    assert!(text.chars().all(|c| !c.is_control() || matches!(c, '\n' | '\t')), "{text}");
    assert!(text.contains("xmlns=\"urn:ietf:params:xml:ns:dmarc-2.0\""), "{text}");
}

#[test]
fn what_was_done_is_said_in_the_words_of_reports() {
    for (disposition, overridden, expected, kind) in [
        (Done::Pass, None, ActionDisposition::Pass, None),
        (Done::Reject, Some(Override::NeverPutAside), ActionDisposition::Reject, Some(PolicyOverride::LocalPolicy)),
        (Done::None, Some(Override::Testing), ActionDisposition::None, Some(PolicyOverride::PolicyTestMode)),
    ] {
        let mut batch = sample::batch(&[]);
        batch.rows.truncate(1);
        (batch.rows[0].0.disposition, batch.rows[0].0.overridden) = (disposition, overridden);
        let read = Report::parse_xml(xml(&batch, BY, "1").as_bytes()).expect("a report");
        let record = &read.records()[0];
        assert_eq!(record.action_disposition(), expected);
        assert_eq!(record.policy_override_reason().first().map(PolicyOverrideReason::policy_override), kind);
    }
}
