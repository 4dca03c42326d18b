//! A stream that can be exchanged for TLS over itself.

use std::io;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use gatepost::net::BoxIo;
use gatepost::net::listener::TlsFiles;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, ServerConfig, SignatureScheme};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// A certificate for every server in these tests, made once.
fn certificate() -> &'static (String, String) {
    static MADE: OnceLock<(String, String)> = OnceLock::new();
    MADE.get_or_init(|| {
        let made = rcgen::generate_simple_self_signed(["mx.example".to_owned()]).expect("a certificate");
        (made.cert.pem(), made.signing_key.serialize_pem())
    })
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// Writes certificate and key to `directory`.
pub(crate) fn write_certificate(directory: &Path) -> TlsFiles {
    let files = TlsFiles { certificate: directory.join("chain.pem"), key: directory.join("key.pem") };
    let (chain, key) = certificate();
    std::fs::write(&files.certificate, chain).expect("a writable directory");
    std::fs::write(&files.key, key).expect("a writable directory");
    files
}

/// The client's side of a handshake over `io`.
pub(crate) async fn as_client(io: BoxIo) -> io::Result<BoxIo> {
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Trusting(provider())))
        .with_no_client_auth();
    let name = ServerName::try_from("mx.example").expect("a name");
    Ok(Box::new(TlsConnector::from(Arc::new(config)).connect(name, io).await?))
}

/// The server's side of a handshake over `io`.
pub(crate) async fn as_server(io: BoxIo) -> io::Result<BoxIo> {
    let (chain, key) = certificate();
    let chain = vec![CertificateDer::from_pem_slice(chain.as_bytes()).expect("a certificate")];
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a key");
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("a pair");
    Ok(Box::new(TlsAcceptor::from(Arc::new(config)).accept(io).await?))
}

/// Whom a mail client without a list of authorities trusts.
#[derive(Debug)]
struct Trusting(Arc<CryptoProvider>);

impl ServerCertVerifier for Trusting {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
