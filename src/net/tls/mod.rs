//! TLS over any byte stream: towards clients ([`TlsAcceptorSource`]) and towards backends ([`ClientTls`]).
//!
//! TLS 1.2 and 1.3 with the aws-lc-rs provider, which every configuration names itself: nothing here
//! depends on what the process has installed. No client certificates.
//!
//! Failure: a handshake that fails or takes too long ends the connection. A certificate that cannot
//! be loaded ends the start of the program, but never a running listener: it keeps the old one.

mod certificate;
mod client;
mod server;
mod shelf;
mod unverified;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{CipherSuite, CommonState, ProtocolVersion};

pub use certificate::{Shown, Validity, public_key, validity};
pub use client::{ClientTls, Trust};
pub use server::TlsAcceptorSource;

use crate::facts::TlsInfo;

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file holds no certificate, no key, or something broken.
    #[error("{} holds no usable {wanted}: {reason}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What was looked for.
        wanted: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// The key does not belong to the certificate, or is of a kind that is not supported.
    #[error("{} and {} do not fit: {source}", certificate.display(), key.display())]
    Mismatch {
        /// The certificate chain.
        certificate: PathBuf,
        /// The key.
        key: PathBuf,
        /// What the TLS library says.
        source: rustls::Error,
    },
    /// The name to verify is neither a host name nor an address.
    #[error("`{0}` is neither a host name nor an address")]
    Name(String),
    /// The TLS library refuses the configuration.
    #[error("TLS configuration: {0}")]
    Configuration(#[from] rustls::Error),
    /// The handshake failed.
    #[error("TLS handshake failed: {0}")]
    Handshake(#[source] io::Error),
    /// The handshake took too long.
    #[error("TLS handshake timed out")]
    TimedOut,
}

impl TlsError {
    /// True if the other side could not or would not speak TLS with us, rather than went away.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Handshake(error) if error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()))
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::Read { path: path.to_owned(), source })
}

/// All certificates in a PEM text, in order; at least one.
fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let unusable = |reason: String| TlsError::Unusable { path: path.to_owned(), wanted: "certificate", reason };
    let chain: Vec<_> =
        CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|error| unusable(error.to_string()))?;
    if chain.is_empty() { Err(unusable("there is none in it".to_owned())) } else { Ok(chain) }
}

/// What was negotiated; `None` before the end of the handshake.
fn negotiated(connection: &CommonState) -> Option<TlsInfo> {
    let version = match connection.protocol_version()? {
        ProtocolVersion::TLSv1_2 => "TLSv1.2",
        ProtocolVersion::TLSv1_3 => "TLSv1.3",
        other => other.as_str()?,
    };
    let suite = connection.negotiated_cipher_suite()?.suite();
    // The library writes TLS13_ where IANA writes TLS_.
    let cipher = match suite {
        CipherSuite::TLS13_AES_128_GCM_SHA256 => "TLS_AES_128_GCM_SHA256",
        CipherSuite::TLS13_AES_256_GCM_SHA384 => "TLS_AES_256_GCM_SHA384",
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => "TLS_CHACHA20_POLY1305_SHA256",
        other => other.as_str()?,
    };
    Some(TlsInfo { version, cipher })
}

#[cfg(test)]
mod tests;
