use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use super::destination::mailbox;
use super::{Settings, Via};
use crate::facts::{AuthResult, DmarcPolicy, DmarcRecord};
use crate::store::{Disposition, DmarcBatch, DmarcObservation, DmarcRow, Override};

/// A day, in seconds since 1970.
pub(crate) const DAY: u64 = 86_400;

pub(crate) fn settings() -> Settings {
    Settings {
        hostname: Arc::from("mx.receiver.example"),
        org_name: "Receiver & Sons".to_owned(),
        email: mailbox("dmarc@receiver.example").expect("an address"),
        via: Via::Backend,
    }
}

pub(crate) fn record(rua: &[(&str, Option<u64>)]) -> DmarcRecord {
    DmarcRecord {
        domain: "author.example".into(),
        policy: DmarcPolicy::Reject,
        subdomain_policy: DmarcPolicy::Quarantine,
        nonexistent_policy: DmarcPolicy::None,
        strict_dkim: true,
        strict_spf: false,
        testing: false,
        rua: rua.iter().map(|(address, limit)| ((*address).to_owned(), *limit)).collect(),
        failure_options: "1:d".to_owned(),
    }
}

/// A message of the first day.
pub(crate) fn observation(rua: &[(&str, Option<u64>)]) -> DmarcObservation {
    DmarcObservation { record: record(rua), row: row(), at: UNIX_EPOCH + Duration::from_secs(100 * DAY + 5) }
}

pub(crate) fn row() -> DmarcRow {
    DmarcRow {
        source: "192.0.2.1".parse().expect("an address"),
        header_from: "author.example".into(),
        envelope_from: "bounces.author.example".into(),
        disposition: Disposition::None,
        overridden: Some(Override::JudgedAsAWhole),
        spf_aligned: false,
        dkim_aligned: true,
        spf: ("bounces.author.example".into(), AuthResult::SoftFail),
        dkim: vec![("author.example".into(), "key".to_owned(), AuthResult::Pass)],
    }
}

/// One day with two rows.
pub(crate) fn batch(rua: &[(&str, Option<u64>)]) -> DmarcBatch {
    let bounce = DmarcRow {
        source: "2001:db8::1".parse().expect("an address"),
        envelope_from: "".into(),
        disposition: Disposition::Reject,
        overridden: None,
        dkim_aligned: false,
        spf: ("<host>.example".into(), AuthResult::PermError),
        dkim: vec![("a\u{1}.example".into(), "k&\u{0}".to_owned(), AuthResult::Policy)],
        ..row()
    };
    DmarcBatch {
        id: 7,
        domain: "author.example".into(),
        record: record(rua),
        begin: UNIX_EPOCH + Duration::from_secs(100 * DAY),
        end: UNIX_EPOCH + Duration::from_secs(101 * DAY),
        rows: vec![(row(), 3), (bounce, u64::from(u32::MAX) + 1)],
        left_out: 2,
        settled: Vec::new(),
    }
}
