use std::time::UNIX_EPOCH;

use super::*;
use crate::facts::{DmarcRecord, Signature};

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
        published: policy,
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
    Fate::new(verdict, reply_code, false)
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
    use Override::{JudgedAsAWhole, NeverPutAside, Testing};
    let (taken, refused) = (fate(Verdict::Forward, 250), fate(Verdict::Reject, 550));
    for (result, published, policy, fate, expected, reason) in [
        (Pass, Reject, Reject, &taken, Disposition::Pass, None),
        // Refused for something else.
        (Pass, Reject, Reject, &refused, Disposition::Pass, None),
        (Fail, Reject, Reject, &refused, Disposition::Reject, None),
        (Fail, Quarantine, Quarantine, &refused, Disposition::Reject, Some(NeverPutAside)),
        (Fail, Reject, Reject, &taken, Disposition::None, Some(JudgedAsAWhole)),
        (Fail, Quarantine, Quarantine, &taken, Disposition::None, Some(JudgedAsAWhole)),
        (Fail, Nothing, Nothing, &taken, Disposition::None, None),
        (Fail, Nothing, Nothing, &refused, Disposition::None, None),
        // t=y
        (Fail, Quarantine, Nothing, &taken, Disposition::None, Some(Testing)),
        (Fail, Quarantine, Nothing, &refused, Disposition::None, Some(Testing)),
        (Fail, Reject, Quarantine, &taken, Disposition::None, Some(Testing)),
        (Fail, Reject, Quarantine, &refused, Disposition::Reject, Some(NeverPutAside)),
        (Fail, Nothing, Nothing, &taken, Disposition::None, None),
    ] {
        let dmarc = Dmarc { record: Some(record(published != policy)), published, ..dmarc(result, policy) };
        let row = observed("192.0.2.1", "a@bounces.example", &dmarc, fate).expect("an observation").row;
        let about = format!("{result:?} {published:?} {policy:?} {fate:?}");
        assert_eq!((row.disposition, row.overridden), (expected, reason), "{about}");
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
    let row = observed("::ffff:192.0.2.1", "a@Bounces.Example", &dmarc, &taken).expect("an observation").row;
    assert_eq!(row.source.to_string(), "192.0.2.1");
    assert_eq!((&*row.header_from, &*row.envelope_from), ("author.example", "bounces.example"));
    assert_eq!(row.spf, ("bounces.example".into(), AuthResult::SoftFail));
    assert_eq!(row.dkim, [("author.example".into(), "s".to_owned(), AuthResult::Fail)]);
    assert!(row.spf_aligned && !row.dkim_aligned);
    let bounce = observed("192.0.2.1", "", &dmarc, &taken).expect("an observation").row;
    assert!(bounce.envelope_from.is_empty());
}
