//! Which of several certificates a client is shown: by the name that it asks for (SNI), and by the signatures that it
//! understands, so that one name may have an RSA and an ECDSA pair (DECISIONS 30).

use std::sync::Arc;

use rustls::SignatureScheme;
use rustls::client::verify_server_name;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::certificate::validity;
use super::{TlsError, certificates};
use crate::net::listener::TlsFiles;

/// A certificate and its key.
#[derive(Debug)]
pub(super) struct Pair {
    certified: Arc<CertifiedKey>,
    /// When the certificate ends to be valid, in seconds since 1970, if that can be read.
    pub(super) ends: Option<i64>,
}

/// All pairs of a listener, at least one.
#[derive(Debug)]
pub(super) struct Shelf(Vec<Pair>);

impl Pair {
    /// From the contents of two PEM files.
    ///
    /// # Errors
    /// If one cannot be used, or they do not belong together.
    pub(super) fn new(
        files: &TlsFiles,
        certificate: &[u8],
        key: &[u8],
        provider: &CryptoProvider,
    ) -> Result<Self, TlsError> {
        let chain = certificates(&files.certificate, certificate)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| TlsError::Unusable {
            path: files.key.clone(),
            wanted: "private key",
            reason: error.to_string(),
        })?;
        let ends = chain.first().and_then(|leaf| validity(leaf)).map(|validity| validity.until.as_second());
        let certified = CertifiedKey::from_der(chain, key, provider).map_err(|source| TlsError::Mismatch {
            certificate: files.certificate.clone(),
            key: files.key.clone(),
            source,
        })?;
        Ok(Self { certified: Arc::new(certified), ends })
    }

    fn is_for(&self, name: &ServerName<'_>) -> bool {
        let leaf = self.certified.cert.first().and_then(|leaf| ParsedCertificate::try_from(leaf).ok());
        leaf.is_some_and(|leaf| verify_server_name(&leaf, name).is_ok())
    }

    fn signs(&self, understood: &[SignatureScheme]) -> bool {
        self.certified.key.choose_scheme(understood).is_some()
    }
}

impl Shelf {
    pub(super) fn new(pairs: Vec<Pair>) -> Self {
        Self(pairs)
    }

    /// The pair for a client that asks for `name` and understands such signatures. Mail servers often ask for no name
    /// and look at none: one that they understand is better than none.
    fn choose(&self, name: Option<&str>, understood: &[SignatureScheme]) -> Option<&Pair> {
        let name = name.and_then(|name| ServerName::try_from(name).ok());
        let is_named = |pair: &&Pair| name.as_ref().is_some_and(|name| pair.is_for(name));
        let mut usable = self.0.iter().filter(|pair| pair.signs(understood));
        let named = usable.clone().find(is_named);
        named.or_else(|| usable.next()).or_else(|| self.0.first())
    }
}

impl ResolvesServerCert for Shelf {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let chosen = match self.0.as_slice() {
            [only] => Some(only),
            _ => self.choose(hello.server_name(), hello.signature_schemes()),
        };
        chosen.map(|pair| Arc::clone(&pair.certified))
    }
}
