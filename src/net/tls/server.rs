//! The server side: one certificate per listener, exchanged while it runs.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsAcceptor;
use xxhash_rust::xxh3::Xxh3;

use super::{TlsError, certificates, negotiated, provider, read};
use crate::facts::TlsInfo;
use crate::net::BoxIo;
use crate::net::listener::TlsFiles;

/// The certificate of one listener, and the handshakes made with it.
pub struct TlsAcceptorSource {
    files: TlsFiles,
    loaded: ArcSwap<Loaded>,
}

/// One reading of the two files.
struct Loaded {
    /// Of both files' contents: tells whether there is anything new in them.
    digest: u128,
    config: Arc<ServerConfig>,
}

impl TlsAcceptorSource {
    /// Reads the files.
    ///
    /// # Errors
    /// If one cannot be read or used, or the key does not belong to the certificate.
    pub fn load(files: TlsFiles) -> Result<Self, TlsError> {
        let loaded = Loaded::read(&files, None)?.expect("a first reading is always new");
        Ok(Self { files, loaded: ArcSwap::from_pointee(loaded) })
    }

    /// Reads the files again: true if they hold another pair than before, which new handshakes then
    /// use. Sessions under way keep theirs. Contents are compared, not times: a renewal by symbolic
    /// link or with a copied time is seen, and it is cheap enough for a timer. Blocks for the time
    /// of two small reads.
    ///
    /// # Errors
    /// As [`TlsAcceptorSource::load`]; the old pair stays. A renewal in progress looks like this, too.
    pub fn reload(&self) -> Result<bool, TlsError> {
        let Some(loaded) = Loaded::read(&self.files, Some(self.loaded.load().digest))? else {
            return Ok(false);
        };
        self.loaded.store(Arc::new(loaded));
        Ok(true)
    }

    /// The files that it reads.
    pub fn files(&self) -> &TlsFiles {
        &self.files
    }

    /// Makes the server's side of a handshake. Whatever was read from `io` before must be forgotten
    /// by the caller: it was not said under TLS.
    ///
    /// # Errors
    /// [`TlsError::Handshake`], or [`TlsError::TimedOut`] at `deadline`; the connection is of no use then.
    pub async fn accept(&self, io: BoxIo, deadline: Instant) -> Result<(BoxIo, TlsInfo), TlsError> {
        let acceptor = TlsAcceptor::from(Arc::clone(&self.loaded.load().config));
        let stream = timeout_at(deadline, acceptor.accept(io))
            .await
            .map_err(|_elapsed| TlsError::TimedOut)?
            .map_err(TlsError::Handshake)?;
        let info = negotiated(stream.get_ref().1).expect("the handshake is complete");
        Ok((Box::new(stream), info))
    }
}

impl fmt::Debug for TlsAcceptorSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsAcceptorSource").field("files", &self.files).finish_non_exhaustive()
    }
}

impl Loaded {
    /// `None` if the files still have the contents whose digest is `known`.
    fn read(files: &TlsFiles, known: Option<u128>) -> Result<Option<Self>, TlsError> {
        let (certificate, key) = (read(&files.certificate)?, read(&files.key)?);
        let digest = digest(&certificate, &key);
        if known == Some(digest) {
            return Ok(None);
        }
        let chain = certificates(&files.certificate, &certificate)?;
        let key = PrivateKeyDer::from_pem_slice(&key).map_err(|error| TlsError::Unusable {
            path: files.key.clone(),
            wanted: "private key",
            reason: error.to_string(),
        })?;
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(|source| TlsError::Mismatch {
                certificate: files.certificate.clone(),
                key: files.key.clone(),
                source,
            })?;
        Ok(Some(Self { digest, config: Arc::new(config) }))
    }
}

fn digest(certificate: &[u8], key: &[u8]) -> u128 {
    let mut hasher = Xxh3::new();
    hasher.update(&certificate.len().to_be_bytes());
    hasher.update(certificate);
    hasher.update(key);
    hasher.digest128()
}
