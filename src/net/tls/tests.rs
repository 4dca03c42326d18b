use std::time::Duration;

use rcgen::{CertificateParams, CertifiedKey, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, SignatureAlgorithm};
use rustls::client::Resumption;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, SignatureScheme};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

use super::*;
use crate::net::BoxIo;
use crate::net::listener::TlsFiles;

/// A directory with a certificate and its key, to be renewed in place.
struct Renewable(TempDir);

impl Renewable {
    fn new(name: &str) -> (Self, CertificateDer<'static>) {
        let files = Self(TempDir::new().expect("a temporary directory"));
        let certificate = files.renew(name);
        (files, certificate)
    }

    fn renew(&self, name: &str) -> CertificateDer<'static> {
        let CertifiedKey { cert, signing_key } = self_signed(name);
        self.write(&cert.pem(), &signing_key.serialize_pem());
        cert.der().clone()
    }

    fn write(&self, certificate: &str, key: &str) {
        let files = self.files();
        std::fs::write(files.certificate, certificate).expect("write");
        std::fs::write(files.key, key).expect("write");
    }

    fn files(&self) -> TlsFiles {
        TlsFiles { certificate: self.0.path().join("chain.pem"), key: self.0.path().join("key.pem") }
    }
}

fn self_signed(name: &str) -> CertifiedKey<KeyPair> {
    rcgen::generate_simple_self_signed([name.to_owned()]).expect("a certificate")
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(10)
}

/// A client without memory: one that resumes would go on seeing the certificate of its first visit.
fn forgetful_client() -> TlsConnector {
    client_of(provider())
}

/// The same, with other ideas of cryptography.
fn client_of(provider: Arc<CryptoProvider>) -> TlsConnector {
    let mut config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(unverified::AcceptsAnyCertificate(provider)))
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    TlsConnector::from(Arc::new(config))
}

/// The certificate that `source` shows.
async fn shown(source: &TlsAcceptorSource) -> CertificateDer<'static> {
    shown_to(source, "mx.example", forgetful_client()).await
}

/// The certificate that `source` shows to a client that asks for `name`.
async fn shown_to(source: &TlsAcceptorSource, name: &str, connector: TlsConnector) -> CertificateDer<'static> {
    let (near, far) = tokio::io::duplex(16 * 1024);
    let client = ServerName::try_from(name.to_owned()).expect("name");
    let (server, client) = tokio::join!(source.accept(Box::new(near), soon()), connector.connect(client, far));
    server.expect("server side");
    let client = client.expect("client side");
    client.get_ref().1.peer_certificates().expect("certificates")[0].clone().into_owned()
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_to_the_next_client() {
    let (files, first) = Renewable::new("mx.example");
    let source = TlsAcceptorSource::load(vec![files.files()]).expect("a good pair");
    assert_eq!(shown(&source).await, first);
    assert!(!source.reload().expect("unchanged"), "nothing new");
    let second = files.renew("mx.example");
    assert_eq!(shown(&source).await, first, "not before it is told");
    assert!(source.reload().expect("a good pair"));
    assert_eq!(shown(&source).await, second);
}

#[tokio::test]
async fn a_bad_pair_keeps_the_old_one() {
    let (files, first) = Renewable::new("mx.example");
    let source = TlsAcceptorSource::load(vec![files.files()]).expect("a good pair");
    let (one, other) = (self_signed("a.example"), self_signed("b.example"));
    let (one_pem, other_key) = (one.cert.pem(), other.signing_key.serialize_pem());
    let half = &one_pem[..one_pem.len() / 2];
    for (certificate, key, complaint) in [
        (one_pem.as_str(), other_key.as_str(), "do not fit"),
        ("", other_key.as_str(), "no usable certificate"),
        (half, other_key.as_str(), "no usable certificate"),
        (one_pem.as_str(), "", "no usable private key"),
        (one_pem.as_str(), one_pem.as_str(), "no usable private key"),
    ] {
        files.write(certificate, key);
        for _ in 0..2 {
            let error = source.reload().expect_err(complaint).to_string();
            assert!(error.contains(complaint), "{error}");
        }
        assert_eq!(shown(&source).await, first, "{complaint}");
    }
    std::fs::remove_file(files.files().key).expect("remove");
    assert!(matches!(source.reload(), Err(TlsError::Read { .. })));
    assert_eq!(shown(&source).await, first);
    assert!(TlsAcceptorSource::load(vec![files.files()]).is_err(), "at the start there is no old one");
}

async fn handshake(source: &TlsAcceptorSource, client: &ClientTls) -> Result<(BoxIo, BoxIo, TlsInfo), TlsError> {
    let (near, far) = tokio::io::duplex(16 * 1024);
    let (server, client) = tokio::join!(source.accept(Box::new(near), soon()), client.connect(Box::new(far), soon()));
    let (client, info) = client?;
    let (server, seen) = server?;
    assert_eq!(info, seen, "both sides see the same");
    Ok((server, client, info))
}

#[tokio::test]
async fn trust_decides_which_certificates_are_good_enough() {
    let (files, _) = Renewable::new("backend.example");
    let source = TlsAcceptorSource::load(vec![files.files()]).expect("a good pair");
    let ours = Trust::File(files.files().certificate);
    let (others, _) = Renewable::new("backend.example");
    let foreign = Trust::File(others.files().certificate);
    for (name, trust, good) in [
        ("backend.example", &ours, true),
        ("BACKEND.example", &ours, true),
        ("other.example", &ours, false),
        ("127.0.0.1", &ours, false),
        ("backend.example", &foreign, false),
        ("backend.example", &Trust::System, false),
        ("other.example", &Trust::Anyone, true),
        ("127.0.0.1", &Trust::Anyone, true),
    ] {
        let client = ClientTls::new(name, trust).expect("a usable configuration");
        match handshake(&source, &client).await {
            Ok(_) => assert!(good, "{name} {trust:?} went through"),
            Err(error) => assert!(!good && error.is_refusal(), "{name} {trust:?}: {error}"),
        }
    }
    assert!(matches!(ClientTls::new("not a name", &Trust::Anyone), Err(TlsError::Name(_))));
}

#[tokio::test]
async fn what_is_negotiated_is_told_in_the_words_of_iana() {
    let (files, _) = Renewable::new("mx.example");
    let source = TlsAcceptorSource::load(vec![files.files()]).expect("a good pair");
    let client = ClientTls::new("mx.example", &Trust::Anyone).expect("a usable configuration");
    let (mut server, mut client, info) = handshake(&source, &client).await.expect("TLS");
    assert_eq!(info.version, "TLSv1.3");
    assert!(info.cipher.starts_with("TLS_") && !info.cipher.contains("TLS13"), "{}", info.cipher);
    client.write_all(b"EHLO client.example\r\n").await.expect("write");
    client.shutdown().await.expect("close");
    let mut said = Vec::new();
    server.read_to_end(&mut said).await.expect("read");
    assert_eq!(said, b"EHLO client.example\r\n");
}

#[tokio::test(start_paused = true)]
async fn a_handshake_has_a_deadline_and_garbage_is_refused() {
    let (files, _) = Renewable::new("mx.example");
    let source = TlsAcceptorSource::load(vec![files.files()]).expect("a good pair");
    let (near, mut far) = tokio::io::duplex(1024);
    assert!(matches!(source.accept(Box::new(near), soon()).await, Err(TlsError::TimedOut)));
    let (near, mut clear) = tokio::io::duplex(1024);
    clear.write_all(b"EHLO client.example\r\n").await.expect("write");
    let error = source.accept(Box::new(near), soon()).await.err().expect("no TLS");
    assert!(error.is_refusal(), "{error}");
    assert!(far.write_all(b"x").await.is_err(), "the connection that timed out is closed");
}

/// A pair for `names`, written to `directory` under `file`.
fn pair(
    directory: &TempDir,
    file: &str,
    names: &[&str],
    algorithm: &'static SignatureAlgorithm,
) -> (TlsFiles, CertificateDer<'static>) {
    let key = KeyPair::generate_for(algorithm).expect("a key");
    let mut params =
        CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).expect("names");
    params.not_after = rcgen::date_time_ymd(2030, 1, 1);
    let certificate = params.self_signed(&key).expect("a certificate");
    let at = |kind: &str| directory.path().join(format!("{file}.{kind}"));
    let files = TlsFiles { certificate: at("pem"), key: at("key") };
    std::fs::write(&files.certificate, certificate.pem()).expect("write");
    std::fs::write(&files.key, key.serialize_pem()).expect("write");
    (files, certificate.der().clone())
}

/// A client that understands signatures of one kind of key only, in one version of TLS.
fn narrow_client(kind: &str, version: &'static rustls::SupportedProtocolVersion) -> TlsConnector {
    let mut narrow = aws_lc_rs::default_provider();
    let all = narrow.signature_verification_algorithms;
    let is_wanted = |scheme: &SignatureScheme| scheme.as_str().is_some_and(|name| name.contains(kind));
    let mapping: Vec<_> = all.mapping.iter().filter(|(scheme, _)| is_wanted(scheme)).copied().collect();
    narrow.signature_verification_algorithms =
        WebPkiSupportedAlgorithms { all: all.all, mapping: Box::leak(mapping.into_boxed_slice()) };
    let provider = Arc::new(narrow);
    let mut config = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[version])
        .expect("a version")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(unverified::AcceptsAnyCertificate(provider)))
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    TlsConnector::from(Arc::new(config))
}

#[tokio::test]
async fn a_client_is_shown_the_certificate_of_the_name_that_it_asks_for() {
    let directory = TempDir::new().expect("a temporary directory");
    let (first, usual) = pair(&directory, "usual", &["mx.example"], &PKCS_ECDSA_P256_SHA256);
    let (second, other) = pair(&directory, "other", &["mail.other.example", "*.wild.example"], &PKCS_ECDSA_P256_SHA256);
    let source = TlsAcceptorSource::load(vec![first, second]).expect("good pairs");
    for (name, expected) in [
        ("mx.example", &usual),
        ("mail.other.example", &other),
        ("MAIL.Other.Example", &other),
        ("a.wild.example", &other),
        ("a.b.wild.example", &usual),
        ("wild.example", &usual),
        ("unknown.example", &usual),
        // Whoever asks for an address asks for no name.
        ("192.0.2.1", &usual),
    ] {
        assert_eq!(&shown_to(&source, name, forgetful_client()).await, expected, "{name}");
    }
}

#[tokio::test]
async fn of_two_pairs_for_one_name_a_client_is_shown_the_one_that_it_understands() {
    let directory = TempDir::new().expect("a temporary directory");
    let (elsewhere, _) = pair(&directory, "elsewhere", &["elsewhere.example"], &PKCS_RSA_SHA256);
    let (ecdsa, with_ecdsa) = pair(&directory, "ecdsa", &["mx.example"], &PKCS_ECDSA_P256_SHA256);
    let (rsa, with_rsa) = pair(&directory, "rsa", &["mx.example"], &PKCS_RSA_SHA256);
    let source = TlsAcceptorSource::load(vec![elsewhere, ecdsa, rsa]).expect("good pairs");
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        assert_eq!(shown_to(&source, "mx.example", narrow_client("ECDSA", version)).await, with_ecdsa);
        assert_eq!(shown_to(&source, "mx.example", narrow_client("RSA", version)).await, with_rsa);
        // Better a certificate of another name than none that it understands.
        assert_eq!(shown_to(&source, "elsewhere.example", narrow_client("ECDSA", version)).await, with_ecdsa);
    }
    assert_eq!(shown_to(&source, "mx.example", forgetful_client()).await, with_ecdsa, "the first of the two");
}

#[tokio::test]
async fn every_certificate_says_when_it_ends_and_one_bad_pair_keeps_all_old_ones() {
    let directory = TempDir::new().expect("a temporary directory");
    let (first, _) = pair(&directory, "a", &["a.example"], &PKCS_ECDSA_P256_SHA256);
    let (second, shown_before) = pair(&directory, "b", &["b.example"], &PKCS_ECDSA_P256_SHA256);
    let source = TlsAcceptorSource::load(vec![first.clone(), second.clone()]).expect("good pairs");
    let end = 1_893_456_000;
    assert_eq!(source.expiries(), [(first.certificate.as_path(), end), (second.certificate.as_path(), end)]);
    pair(&directory, "b", &["b.example"], &PKCS_ECDSA_P256_SHA256);
    std::fs::write(&first.key, "nothing").expect("write");
    assert!(source.reload().is_err());
    assert_eq!(shown_to(&source, "b.example", forgetful_client()).await, shown_before);
}
