//! The listeners of a running server: their sockets, and what a reload may change about them.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use tokio::net::TcpListener;
use tracing::{info, warn};

use super::metrics::Metrics;
use crate::net::listener::{self, Inherited};
use crate::net::tls::{TlsAcceptorSource, TlsError};

/// Why a listener cannot be.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The socket.
    #[error("listener `{name}`: cannot listen at {address}: {source}")]
    Socket {
        /// Its name.
        name: Arc<str>,
        /// Where it should be.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The certificate.
    #[error("listener `{name}`: {source}")]
    Certificate {
        /// Its name.
        name: Arc<str>,
        /// What is wrong with it.
        source: Box<TlsError>,
    },
}

/// One listener while it runs.
#[derive(Debug)]
pub(super) struct Listener {
    /// Where it listens: as configured, but never port 0.
    pub(super) bound: SocketAddr,
    current: ArcSwap<Current>,
    /// The last complaint about its certificate, so that it is not logged every minute.
    complaint: Mutex<Option<String>>,
}

/// What new connections are served by.
#[derive(Clone, Debug)]
pub(super) struct Current {
    pub(super) settings: Arc<listener::Settings>,
    pub(super) tls: Option<Arc<TlsAcceptorSource>>,
}

/// Changes that are known to work, to be made at once.
pub(super) struct Change(Vec<(Arc<Listener>, Current)>);

impl Listener {
    /// Opens the socket, or takes the one over that the service manager opened.
    pub(super) fn open(
        settings: listener::Settings,
        inherited: &mut Inherited,
    ) -> Result<(Arc<Self>, TcpListener), BindError> {
        let current = Current::load(settings, None)?;
        let (name, address) = (Arc::clone(&current.settings.name), current.settings.address);
        let unbound = |source| BindError::Socket { name: Arc::clone(&name), address, source };
        let passed = inherited.take(address).map_err(unbound)?;
        let by_manager = passed.is_some();
        let socket = match passed {
            Some(socket) => socket,
            None => listener::bind(address, false).map_err(unbound)?,
        };
        let bound = socket.local_addr().map_err(unbound)?;
        info!(listener = %name, address = %bound, by_manager, "listening");
        let listener = Self { bound, current: ArcSwap::from_pointee(current), complaint: Mutex::default() };
        Ok((Arc::new(listener), socket))
    }

    pub(super) fn current(&self) -> Arc<Current> {
        self.current.load_full()
    }

    /// Says when its certificates end.
    pub(super) fn show_expiry(&self, metrics: &Metrics) {
        let current = self.current.load();
        let Some(tls) = &current.tls else { return };
        for (file, end) in tls.expiries() {
            let labels = [&*current.settings.name, &*file.to_string_lossy()];
            metrics.certificate_expiry.with_label_values(&labels).set(end);
        }
    }

    /// Looks for new certificates in the same files. Blocks for two small reads for each.
    pub(super) fn renew(&self, metrics: &Metrics) {
        let current = self.current.load();
        let Some(tls) = &current.tls else { return };
        let listener = &current.settings.name;
        let mut complaint = self.complaint.lock().unwrap_or_else(PoisonError::into_inner);
        match tls.reload() {
            Ok(renewed) => {
                *complaint = None;
                self.show_expiry(metrics);
                if renewed {
                    metrics.certificates_renewed.inc();
                    info!(%listener, "new certificate in use");
                }
            }
            Err(error) => {
                metrics.certificates_failed.inc();
                let text = error.to_string();
                if complaint.as_ref() != Some(&text) {
                    warn!(%listener, error = text, "cannot use the new certificate: the old one stays");
                    *complaint = Some(text);
                }
            }
        }
    }
}

impl Current {
    /// Reads the certificates, unless `former` has them from the same files.
    fn load(settings: listener::Settings, former: Option<&Current>) -> Result<Self, BindError> {
        let kept = former.and_then(|former| former.tls.as_ref());
        let tls = match (settings.tls.as_slice(), kept) {
            ([], _) => None,
            (files, Some(kept)) if kept.files() == files => Some(Arc::clone(kept)),
            (files, _) => {
                let source = TlsAcceptorSource::load(files.to_vec()).map_err(|source| BindError::Certificate {
                    name: Arc::clone(&settings.name),
                    source: Box::new(source),
                })?;
                Some(Arc::new(source))
            }
        };
        Ok(Self { settings: Arc::new(settings), tls })
    }
}

impl Change {
    /// Finds out what `wanted` changes about `running`, matched by configured address. Addresses
    /// that come or go need a restart, and are said so in the log.
    pub(super) fn prepare(running: &[Arc<Listener>], wanted: Vec<listener::Settings>) -> Result<Self, BindError> {
        let mut changes = Vec::new();
        for settings in wanted {
            let former = running
                .iter()
                .map(|listener| (listener, listener.current()))
                .find(|(_, current)| current.settings.address == settings.address);
            match former {
                Some((listener, current)) => {
                    changes.push((Arc::clone(listener), Current::load(settings, Some(&current))?));
                }
                None => warn!(listener = %settings.name, address = %settings.address, "listens only after a restart"),
            }
        }
        for listener in running {
            if !changes.iter().any(|(changed, _)| Arc::ptr_eq(changed, listener)) {
                let current = listener.current();
                warn!(listener = %current.settings.name, address = %listener.bound, "listens until a restart");
            }
        }
        Ok(Self(changes))
    }

    pub(super) fn apply(self) {
        for (listener, current) in self.0 {
            listener.current.store(Arc::new(current));
        }
    }
}
