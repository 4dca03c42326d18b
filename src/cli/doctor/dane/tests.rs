use rcgen::{BasicConstraints, Certificate, CertificateParams, IsCa, Issuer, KeyPair, PublicKeyData};

use super::super::finding::Level;
use super::*;
use crate::net::listener::TlsFiles;

const NAME: &str = "mx.example.org";

/// A certificate for [`NAME`] by an authority of its own, and that authority.
struct Made {
    shown: Shown,
    leaf: Certificate,
    leaf_key: KeyPair,
    authority: Certificate,
    authority_key: KeyPair,
    _place: tempfile::TempDir,
}

fn made(host: &str, with_chain: bool) -> Made {
    let authority_key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = params.self_signed(&authority_key).expect("a certificate");
    let issuer = Issuer::new(params, &authority_key);
    let leaf_key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec![host.to_owned()]).expect("a name");
    let leaf = params.signed_by(&leaf_key, &issuer).expect("a certificate");
    let place = tempfile::tempdir().expect("a directory");
    let files = TlsFiles { certificate: place.path().join("chain.pem"), key: place.path().join("key.pem") };
    let chain = if with_chain { leaf.pem() + &authority.pem() } else { leaf.pem() };
    std::fs::write(&files.certificate, chain).expect("writable");
    std::fs::write(&files.key, leaf_key.serialize_pem()).expect("writable");
    let shown = Shown::of(&files).expect("usable");
    drop(issuer);
    Made { shown, leaf, leaf_key, authority, authority_key, _place: place }
}

fn record(usage: u8, selector: u8, matching: u8, data: &[u8]) -> Tlsa {
    Tlsa { usage, selector, matching, data: data.to_vec() }
}

fn sha256(octets: &[u8]) -> Vec<u8> {
    digest(&SHA256, octets).as_ref().to_vec()
}

fn sha512(octets: &[u8]) -> Vec<u8> {
    digest(&SHA512, octets).as_ref().to_vec()
}

#[test]
fn a_record_fits_by_usage_selector_and_matching_type() {
    let one = made(NAME, true);
    let (leaf, authority) = (one.leaf.der().to_vec(), one.authority.der().to_vec());
    let (key, other_key) = (one.leaf_key.subject_public_key_info(), one.authority_key.subject_public_key_info());
    for (record, expected) in [
        (record(3, 0, 0, &leaf), true),
        (record(3, 0, 1, &sha256(&leaf)), true),
        (record(3, 0, 2, &sha512(&leaf)), true),
        (record(3, 1, 0, &key), true),
        (record(3, 1, 1, &sha256(&key)), true),
        (record(3, 1, 2, &sha512(&key)), true),
        (record(3, 1, 1, &sha256(&leaf)), false),
        (record(3, 0, 1, &sha256(&key)), false),
        (record(3, 1, 1, &sha256(&other_key)), false),
        // The authority's belongs to usage 2.
        (record(3, 0, 1, &sha256(&authority)), false),
        (record(2, 0, 1, &sha256(&authority)), true),
        (record(2, 1, 1, &sha256(&other_key)), true),
        (record(2, 1, 2, &sha512(&other_key)), true),
        (record(2, 0, 0, &authority), true),
        (record(2, 1, 1, &sha256(&key)), false),
    ] {
        assert_eq!(mistake(&record), None, "{record:?}");
        assert_eq!(fits(&record, &one.shown, NAME).is_ok(), expected, "{record:?}");
    }
}

#[test]
fn an_authority_vouches_for_names_and_must_be_shown() {
    let elsewhere = made("mx.elsewhere.example", true);
    let of_key = |made: &Made| record(3, 1, 1, &sha256(&made.leaf_key.subject_public_key_info()));
    let of_authority = |made: &Made| record(2, 0, 1, &sha256(made.authority.der()));
    assert!(fits(&of_key(&elsewhere), &elsewhere.shown, NAME).is_ok(), "usage 3 asks for no name");
    assert!(fits(&of_authority(&elsewhere), &elsewhere.shown, NAME).is_err(), "usage 2 does");
    let alone = made(NAME, false);
    assert!(fits(&of_authority(&alone), &alone.shown, NAME).is_err_and(|why| why.contains("not in the chain")));
}

#[test]
fn records_that_mean_nothing_to_mail_are_named() {
    let good = sha256(b"x");
    for (record, words) in [
        (record(0, 0, 1, &good), Some("usage 0 and 1")),
        (record(1, 1, 1, &good), Some("usage 0 and 1")),
        (record(4, 1, 1, &good), Some("no such usage")),
        (record(3, 2, 1, &good), Some("no such selector")),
        (record(3, 1, 3, &good), Some("no such matching")),
        (record(3, 1, 1, b"short"), Some("length")),
        (record(3, 1, 2, &good), Some("length")),
        (record(3, 1, 1, &good), None),
        (record(2, 0, 0, b"whatever"), None),
    ] {
        let found = mistake(&record);
        assert_eq!(found.is_some(), words.is_some(), "{record:?}: {found:?}");
        assert!(found.unwrap_or_default().contains(words.unwrap_or_default()), "{record:?}: {found:?}");
    }
}

#[test]
fn what_no_record_fits_is_broken_and_the_advice_is_the_record() {
    let one = made(NAME, true);
    let key = sha256(&one.leaf_key.subject_public_key_info());
    let (fitting, other) = (record(3, 1, 1, &key), record(3, 1, 1, &sha256(b"the next key")));
    let useless = record(1, 1, 1, &key);
    let place = format!("_25._tcp.{NAME}");
    let listeners = [Listener { name: "edge", certificates: vec![one.shown] }];
    for (records, is_authentic, expected) in [
        (vec![fitting.clone()], true, vec![Level::Well]),
        (vec![other.clone(), fitting.clone()], true, vec![Level::Well]),
        (vec![other.clone()], true, vec![Level::Broken]),
        (vec![fitting.clone()], false, vec![Level::Doubtful, Level::Well]),
        (vec![useless.clone()], true, vec![Level::Doubtful]),
        (vec![useless, other], true, vec![Level::Doubtful, Level::Broken]),
    ] {
        let findings = judge(NAME, &place, &Signed { records: records.clone(), is_authentic }, &listeners);
        let levels: Vec<Level> = findings.iter().map(|finding| finding.level).collect();
        assert_eq!(levels, expected, "{records:?}");
        for broken in findings.iter().filter(|finding| finding.level == Level::Broken) {
            let line = format!("{place}. IN TLSA 3 1 1 {}", HEXLOWER.encode(&key));
            assert!(broken.advice.contains(&line), "{}", broken.advice);
        }
    }
    let bare = [Listener { name: "edge", certificates: Vec::new() }];
    let findings = judge(NAME, &place, &Signed { records: vec![fitting], is_authentic: true }, &bare);
    assert!(findings.iter().any(|finding| finding.level == Level::Broken && finding.found.contains("no certificate")));
}

#[test]
fn who_asks_for_a_name_is_shown_the_first_certificate_for_it() {
    let (first, second, elsewhere) = (made(NAME, true), made(NAME, true), made("other.example", true));
    let key = sha256(&first.leaf_key.subject_public_key_info());
    let listener = Listener { name: "edge", certificates: vec![elsewhere.shown, first.shown, second.shown] };
    let shown = listener.shown_for(NAME);
    assert_eq!(shown.len(), 1, "of one kind of key only the first is ever shown");
    assert!(fits(&record(3, 1, 1, &key), shown[0], NAME).is_ok());
    assert_eq!(listener.shown_for("unknown.example").len(), 1);
}
