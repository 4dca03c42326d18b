//! The server side: the certificates of one listener, exchanged while it runs.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsAcceptor;
use xxhash_rust::xxh3::Xxh3;

use super::shelf::{Pair, Shelf};
use super::{TlsError, negotiated, provider, read};
use crate::facts::TlsInfo;
use crate::net::BoxIo;
use crate::net::listener::TlsFiles;

/// The certificates of one listener, and the handshakes made with them.
pub struct TlsAcceptorSource {
    files: Vec<TlsFiles>,
    loaded: ArcSwap<Loaded>,
}

/// One reading of all files.
struct Loaded {
    /// Of all files' contents: tells whether there is anything new in them.
    digest: u128,
    config: Arc<ServerConfig>,
    /// When the certificates end, in the order of the files: seconds since 1970.
    ends: Vec<Option<i64>>,
}

impl TlsAcceptorSource {
    /// Reads the files: pairs of a certificate and its key, at least one. Shown is the first of those for the name that
    /// the client asks for whose signatures it understands; if it asks for none, or for an unknown one, the first of all.
    ///
    /// # Errors
    /// If one cannot be read or used, or a key does not belong to its certificate.
    pub fn load(files: Vec<TlsFiles>) -> Result<Self, TlsError> {
        let loaded = Loaded::read(&files, None)?.expect("a first reading is always new");
        Ok(Self { files, loaded: ArcSwap::from_pointee(loaded) })
    }

    /// Reads the files again: true if they hold another pair than before, which new handshakes then use. Sessions under way keep theirs. Contents are compared, not times: a renewal by symbolic
    /// link or with a copied time is seen, and it is cheap enough for a timer. Blocks for the time
    /// of two small reads for each pair.
    ///
    /// # Errors
    /// As [`TlsAcceptorSource::load`]; all old pairs stay. A renewal in progress looks like this, too.
    pub fn reload(&self) -> Result<bool, TlsError> {
        let Some(loaded) = Loaded::read(&self.files, Some(self.loaded.load().digest))? else {
            return Ok(false);
        };
        self.loaded.store(Arc::new(loaded));
        Ok(true)
    }

    /// The files that it reads.
    pub fn files(&self) -> &[TlsFiles] {
        &self.files
    }

    /// The files of certificates, and when what was last read from each ends to be valid, in seconds since 1970;
    /// without those of which that cannot be told.
    pub fn expiries(&self) -> Vec<(&Path, i64)> {
        let loaded = self.loaded.load();
        let ends = self.files.iter().zip(&loaded.ends);
        ends.filter_map(|(files, end)| Some((files.certificate.as_path(), (*end)?))).collect()
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
    fn read(files: &[TlsFiles], known: Option<u128>) -> Result<Option<Self>, TlsError> {
        let contents: Vec<(Vec<u8>, Vec<u8>)> = files
            .iter()
            .map(|pair| Ok((read(&pair.certificate)?, read(&pair.key)?)))
            .collect::<Result<_, TlsError>>()?;
        let digest = digest(&contents);
        if known == Some(digest) {
            return Ok(None);
        }
        let provider = provider();
        let pairs = files.iter().zip(&contents);
        let pairs: Vec<Pair> = pairs
            .map(|(files, (certificate, key))| Pair::new(files, certificate, key, &provider))
            .collect::<Result<_, _>>()?;
        let ends = pairs.iter().map(|pair| pair.ends).collect();
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(Shelf::new(pairs)));
        Ok(Some(Self { digest, config: Arc::new(config), ends }))
    }
}

fn digest(contents: &[(Vec<u8>, Vec<u8>)]) -> u128 {
    let mut hasher = Xxh3::new();
    for text in contents.iter().flat_map(|(certificate, key)| [certificate, key]) {
        hasher.update(&text.len().to_be_bytes());
        hasher.update(text);
    }
    hasher.digest128()
}
