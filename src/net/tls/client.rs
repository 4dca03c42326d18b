//! The client side: TLS towards one backend.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tracing::warn;

use super::unverified::AcceptsAnyCertificate;
use super::{TlsError, certificates, negotiated, provider, read};
use crate::facts::TlsInfo;
use crate::net::BoxIo;

/// Whose certificates are good enough.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Anybody's: the backend's modes `opportunistic` and `required`.
    Anyone,
    /// Those that the system trusts (the roots compiled in where it has none), for the right name.
    System,
    /// Those signed by a certificate of this PEM file, for the right name.
    File(PathBuf),
}

/// TLS towards one backend.
#[derive(Clone)]
pub struct ClientTls {
    name: ServerName<'static>,
    connector: TlsConnector,
}

impl ClientTls {
    /// Prepares handshakes with the server called `name` (a host name or an address).
    ///
    /// # Errors
    /// If `name` is neither, or the PEM file is of no use.
    pub fn new(name: &str, trust: &Trust) -> Result<Self, TlsError> {
        let server_name = ServerName::try_from(name.to_owned()).map_err(|_| TlsError::Name(name.to_owned()))?;
        let provider = provider();
        let builder =
            ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
        let config = match trust {
            Trust::Anyone => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(AcceptsAnyCertificate(provider)))
                .with_no_client_auth(),
            Trust::System => builder.with_root_certificates(system_roots()).with_no_client_auth(),
            Trust::File(path) => {
                let mut roots = RootCertStore::empty();
                for certificate in certificates(path, &read(path)?)? {
                    roots.add(certificate).map_err(|error| TlsError::Unusable {
                        path: path.clone(),
                        wanted: "root certificate",
                        reason: error.to_string(),
                    })?;
                }
                builder.with_root_certificates(roots).with_no_client_auth()
            }
        };
        Ok(Self { name: server_name, connector: TlsConnector::from(Arc::new(config)) })
    }

    /// Makes the client's side of a handshake. Whatever was read from `io` before must be forgotten
    /// by the caller: it was not said under TLS.
    ///
    /// # Errors
    /// [`TlsError::Handshake`] (also for a certificate that is not trusted), or
    /// [`TlsError::TimedOut`] at `deadline`; the connection is of no use then.
    pub async fn connect(&self, io: BoxIo, deadline: Instant) -> Result<(BoxIo, TlsInfo), TlsError> {
        let stream = timeout_at(deadline, self.connector.connect(self.name.clone(), io))
            .await
            .map_err(|_elapsed| TlsError::TimedOut)?
            .map_err(TlsError::Handshake)?;
        let info = negotiated(stream.get_ref().1).expect("the handshake is complete");
        Ok((Box::new(stream), info))
    }
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTls").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The system's roots. Containers often have none; then those that Mozilla trusts, as of the build.
pub(super) fn system_roots() -> RootCertStore {
    let native = rustls_native_certs::load_native_certs();
    for error in &native.errors {
        warn!(%error, "cannot read a trusted root certificate");
    }
    let mut roots = RootCertStore::empty();
    let (added, _unreadable) = roots.add_parsable_certificates(native.certs);
    if added == 0 {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    roots
}
