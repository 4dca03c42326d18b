//! What a certificate says of itself: from when until when, and for which names.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::client::verify_server_name;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;

use super::client::system_roots;
use super::{TlsAcceptorSource, TlsError, certificates, provider, read};
use crate::net::listener::TlsFiles;

/// A certificate of ours, as whoever connects is shown it.
#[derive(Debug)]
pub struct Shown {
    /// Its own certificate, and those that lead from it to one that others trust.
    chain: Vec<CertificateDer<'static>>,
    /// From when until when it is good; `None` if that cannot be read.
    pub validity: Option<Validity>,
}

/// From when until when a certificate is good (RFC 5280 4.1.2.5), both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// The first second.
    pub from: Timestamp,
    /// The last second.
    pub until: Timestamp,
}

impl Shown {
    /// Reads certificate and key of a listener, as the listener does.
    ///
    /// # Errors
    /// Why the listener could not use them.
    pub fn of(files: &TlsFiles) -> Result<Self, TlsError> {
        TlsAcceptorSource::load(vec![files.clone()])?;
        let chain = certificates(&files.certificate, &read(&files.certificate)?)?;
        Ok(Self { validity: chain.first().and_then(|leaf| validity(leaf)), chain })
    }

    /// The server's own certificate (RFC 8446 4.4.2: the first), and those behind it, each in DER.
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.chain
    }

    fn leaf(&self) -> Option<&CertificateDer<'static>> {
        self.chain.first()
    }

    /// The kind of its key, by which clients choose between certificates for one name; `None` if it cannot be read.
    pub fn key_kind(&self) -> Option<Vec<u8>> {
        let key = public_key(self.leaf()?)?;
        let (inside, _) = element(&key, SEQUENCE)?;
        element(inside, SEQUENCE).map(|(kind, _)| kind.to_vec())
    }

    /// Whether clients that trust whom this system trusts believe it, for the host `name`.
    ///
    /// # Errors
    /// Why not.
    pub fn is_trusted(&self, name: &str) -> Result<(), rustls::Error> {
        self.verified(system_roots(), name)
    }

    /// Whether clients that trust `anchor` alone believe it, for the host `name`.
    ///
    /// # Errors
    /// Why not.
    pub fn leads_to(&self, anchor: &CertificateDer<'static>, name: &str) -> Result<(), rustls::Error> {
        let mut roots = RootCertStore::empty();
        roots.add(anchor.clone())?;
        self.verified(roots, name)
    }

    fn verified(&self, roots: RootCertStore, name: &str) -> Result<(), rustls::Error> {
        let host =
            ServerName::try_from(name).map_err(|_| rustls::Error::General(format!("`{name}` is no host name")))?;
        let verifier = WebPkiServerVerifier::builder_with_provider(roots.into(), provider());
        let verifier = verifier.build().map_err(|why| rustls::Error::General(why.to_string()))?;
        let (leaf, behind) = self.chain.split_first().ok_or(rustls::Error::NoCertificatesPresented)?;
        verifier.verify_server_cert(leaf, behind, &host, &[], UnixTime::now())?;
        Ok(())
    }

    /// True if it is for the host `name`.
    pub fn covers(&self, name: &str) -> bool {
        let parsed = self.leaf().and_then(|leaf| ParsedCertificate::try_from(leaf).ok());
        let (Some(parsed), Ok(name)) = (parsed, ServerName::try_from(name)) else {
            return false;
        };
        verify_server_name(&parsed, &name).is_ok()
    }
}

/// The public key of a certificate with its kind (SubjectPublicKeyInfo, RFC 5280 4.1.2.7), in DER.
pub fn public_key(certificate: &CertificateDer<'_>) -> Option<Vec<u8>> {
    ParsedCertificate::try_from(certificate).ok().map(|parsed| parsed.subject_public_key_info().to_vec())
}

/// Reads the validity of a certificate in DER.
pub fn validity(certificate: &[u8]) -> Option<Validity> {
    let (body, _) = element(certificate, SEQUENCE)?;
    let (mut fields, _) = element(body, SEQUENCE)?;
    // The version is there from version 2 on.
    if let Some((_, rest)) = element(fields, VERSION) {
        fields = rest;
    }
    for kind in [INTEGER, SEQUENCE, SEQUENCE] {
        // Serial number, signature algorithm, issuer.
        fields = element(fields, kind)?.1;
    }
    let (times, _) = element(fields, SEQUENCE)?;
    let (from, times) = time(times)?;
    let (until, _) = time(times)?;
    Some(Validity { from, until })
}

const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;

/// The contents of the element of that kind with which `der` begins, and what comes behind it.
fn element(der: &[u8], kind: u8) -> Option<(&[u8], &[u8])> {
    let (tag, rest) = der.split_first()?;
    if *tag != kind {
        return None;
    }
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(*first), rest),
        // Lengths of more than four octets are no certificate's.
        0x81..=0x84 => {
            let (octets, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (
                octets.iter().try_fold(0_usize, |sum, octet| sum.checked_mul(256)?.checked_add(usize::from(*octet)))?,
                rest,
            )
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

/// A time of RFC 5280: seconds are there, and it is UTC.
fn time(der: &[u8]) -> Option<(Timestamp, &[u8])> {
    let (text, rest, century) = match element(der, GENERALIZED_TIME) {
        Some((text, rest)) => (std::str::from_utf8(text).ok()?.to_owned(), rest, ""),
        None => {
            let (text, rest) = element(der, UTC_TIME)?;
            let text = std::str::from_utf8(text).ok()?.to_owned();
            // Two digits of the year: from 50 on they are of the last century.
            let century = if text.get(..2)?.parse::<u8>().ok()? >= 50 { "19" } else { "20" };
            (text, rest, century)
        }
    };
    let at = DateTime::strptime("%Y%m%d%H%M%SZ", format!("{century}{text}")).ok()?;
    Some((at.to_zoned(TimeZone::UTC).ok()?.timestamp(), rest))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    fn files(names: &[&str], from: (i32, u8, u8), until: (i32, u8, u8)) -> (tempfile::TempDir, TlsFiles) {
        let place = tempfile::tempdir().expect("a directory");
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("names");
        params.not_before = date_time_ymd(from.0, from.1, from.2);
        params.not_after = date_time_ymd(until.0, until.1, until.2);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        let files = TlsFiles { certificate: place.path().join("chain.pem"), key: place.path().join("key.pem") };
        std::fs::write(&files.certificate, certificate.pem()).expect("writable");
        std::fs::write(&files.key, key.serialize_pem()).expect("writable");
        (place, files)
    }

    #[test]
    fn dates_are_read_in_both_forms() {
        // Years from 2050 on have four digits.
        for (from, until) in
            [((1999, 12, 31), (2024, 2, 29)), ((2026, 1, 1), (2050, 1, 1)), ((2049, 6, 1), (2999, 1, 2))]
        {
            let (_place, files) = files(&["mx.example.org"], from, until);
            let validity = Shown::of(&files).expect("usable").validity.expect("readable");
            let day = |(year, month, day)| format!("{year:04}-{month:02}-{day:02}T00:00:00Z");
            assert_eq!((validity.from.to_string(), validity.until.to_string()), (day(from), day(until)));
        }
    }

    #[test]
    fn a_certificate_is_for_its_names_alone() {
        let (_place, files) = files(&["mx.example.org", "*.mail.example"], (2026, 1, 1), (2036, 1, 1));
        let shown = Shown::of(&files).expect("usable");
        for (name, expected) in [
            ("mx.example.org", true),
            ("MX.example.org", true),
            ("a.mail.example", true),
            ("mail.example", false),
            ("", false),
        ] {
            assert_eq!(shown.covers(name), expected, "{name}");
        }
    }

    #[test]
    fn what_is_no_certificate_has_no_dates() {
        let (_place, files) = files(&["mx.example.org"], (2026, 1, 1), (2036, 1, 1));
        let shown = Shown::of(&files).expect("usable");
        let whole: &[u8] = shown.chain()[0].as_ref();
        for length in 0..whole.len() {
            // The signature at the end is not needed; whatever is cut must not do harm.
            let _ = validity(&whole[..length]);
        }
        for broken in
            [&b""[..], b"\x30", b"\x30\x85\x01\x01\x01\x01\x01", b"\x30\x84\xff\xff\xff\xff", b"\x30\x80\x00\x00"]
        {
            assert_eq!(validity(broken), None);
        }
    }
}
