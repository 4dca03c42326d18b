use std::time::UNIX_EPOCH;

use super::*;
use crate::facts::Signature;

fn record(testing: bool) -> DmarcRecord {
    DmarcRecord {
        domain: "author.example".into(),
        policy: DmarcPolicy::Reject,
        subdomain_policy: DmarcPolicy::Quarantine,
        nonexistent_policy: DmarcPolicy::Reject,
        strict_dkim: false,
        strict_spf: false,
        testing,
        rua: vec![("rua@author.example".to_owned(), None)],
        failure_options: "0".to_owned(),
    }
}

fn dmarc(result: AuthResult, policy: DmarcPolicy) -> Dmarc {
    Dmarc {
        result,
        author_domain: Some("author.example".into()),
        policy,
        record: Some(record(false)),
        spf_aligned: result == AuthResult::Pass,
        dkim_aligned: None,
        reason: String::new(),
    }
}

fn signature(domain: &str) -> Signature {
    Signature { selector: "s".to_owned(), ..Signature::new(AuthResult::Fail, domain) }
}

fn fate(verdict: Verdict, reply_code: u16) -> Fate {
    Fate { verdict, reply_code, abandoned: false }
}

fn observed(client: &str, reverse_path: &str, dmarc: &Dmarc, fate: &Fate) -> Option<DmarcObservation> {
    let spf = Spf::new(AuthResult::SoftFail, "bounces.example", "");
    let dkim = Dkim { signatures: vec![signature("author.example"), signature("")], ..Dkim::default() };
    let reverse_path = ReversePath::parse(reverse_path).expect("a path");
    let client = client.parse().expect("an address");
    observe(Seen { client, reverse_path: &reverse_path, spf: &spf, dkim: &dkim, dmarc, at: UNIX_EPOCH }, fate)
}

#[test]
fn what_was_done_and_why_not_more() {
    use AuthResult::{Fail, Pass};
    use DmarcPolicy::{None as Nothing, Quarantine, Reject};
    let (taken, refused) = (fate(Verdict::Forward, 250), fate(Verdict::Reject, 550));
    for (result, policy, testing, fate, expected, reason) in [
        (Pass, Reject, false, &taken, Nothing, None),
        (Pass, Reject, false, &refused, Nothing, None),
        (Fail, Reject, false, &refused, Reject, None),
        (Fail, Quarantine, false, &refused, Reject, Some("local_policy")),
        (Fail, Reject, false, &taken, Nothing, Some("local_policy")),
        (Fail, Quarantine, false, &taken, Nothing, Some("local_policy")),
        (Fail, Nothing, false, &taken, Nothing, None),
        // Refused for something else.
        (Fail, Nothing, false, &refused, Nothing, None),
        (Fail, Nothing, true, &taken, Nothing, Some("policy_test_mode")),
        (Fail, Quarantine, true, &refused, Reject, Some("local_policy")),
    ] {
        let dmarc = Dmarc { record: Some(record(testing)), ..dmarc(result, policy) };
        let seen = observed("192.0.2.1", "a@bounces.example", &dmarc, fate).expect("an observation");
        let about = format!("{result:?} {policy:?} {testing} {fate:?}");
        assert_eq!((seen.disposition, seen.overridden.map(|(kind, _)| kind)), (expected, reason), "{about}");
    }
}

#[test]
fn what_no_report_mentions() {
    let good = dmarc(AuthResult::Fail, DmarcPolicy::Reject);
    let no_record = Dmarc { record: None, ..good.clone() };
    let unwanted = Dmarc { record: Some(DmarcRecord { rua: Vec::new(), ..record(false) }), ..good.clone() };
    let unknown = Dmarc { result: AuthResult::TempError, ..good.clone() };
    let taken = fate(Verdict::Forward, 250);
    let gone = Fate { abandoned: true, ..taken.clone() };
    for (about, client, dmarc, fate, expected) in [
        ("taken", "192.0.2.1", &good, &taken, true),
        ("the backend does not want it", "192.0.2.1", &good, &fate(Verdict::Forward, 550), true),
        ("it comes again", "192.0.2.1", &good, &fate(Verdict::Forward, 451), false),
        ("it comes again", "192.0.2.1", &good, &fate(Verdict::Defer, 451), false),
        ("nobody was told", "192.0.2.1", &good, &fate(Verdict::Forward, 0), false),
        ("the client left", "192.0.2.1", &good, &gone, false),
        ("our own network", "127.0.0.1", &good, &taken, false),
        ("no record", "192.0.2.1", &no_record, &taken, false),
        ("a record without rua", "192.0.2.1", &unwanted, &taken, false),
        ("trouble with DNS", "192.0.2.1", &unknown, &taken, false),
    ] {
        assert_eq!(observed(client, "a@b.example", dmarc, fate).is_some(), expected, "{about}");
    }
}

#[test]
fn a_row_names_who_and_what_authenticated() {
    let dmarc = dmarc(AuthResult::Pass, DmarcPolicy::Reject);
    let taken = fate(Verdict::Forward, 250);
    let row = observed("::ffff:192.0.2.1", "a@Bounces.Example", &dmarc, &taken).expect("an observation");
    assert_eq!(row.source.to_string(), "192.0.2.1");
    assert_eq!((&*row.header_from, &*row.envelope_from), ("author.example", "bounces.example"));
    assert_eq!(row.spf, ("bounces.example".into(), false, AuthResult::SoftFail));
    assert_eq!(row.dkim, [("author.example".into(), "s".to_owned(), AuthResult::Fail)]);
    assert!(row.spf_aligned && !row.dkim_aligned);
    let bounce = observed("192.0.2.1", "", &dmarc, &taken).expect("an observation");
    assert!(bounce.envelope_from.is_empty() && bounce.spf.1);
}
