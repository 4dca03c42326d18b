//! What a configuration becomes when it runs: the parts that sessions share, and how a reload
//! replaces them.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use prometheus::Registry;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{BackendsReady, Candidate, Dialogue, Loader, Plan};
use crate::config::raw::LogLevel;
use crate::config::{self, Loaded, Problems};
use crate::dns::{self, Lookup};
use crate::net::{BoxIo, Refused};
use crate::session::{self, Incoming, Shared};
use crate::telemetry::log;

/// The parts of a running program.
pub struct Program {
    shared: Arc<Shared>,
    dns: Arc<dyn Lookup>,
}

/// Why a good configuration cannot run here.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The rules are wrong.
    #[error(transparent)]
    Rules(#[from] Problems),
    /// There is no DNS server to ask.
    #[error("dns: {0}")]
    Dns(#[from] dns::hickory::SetupError),
    /// A metric is registered twice.
    #[error(transparent)]
    Metrics(#[from] prometheus::Error),
}

impl Program {
    /// Builds every part. Nothing is sent or opened that a failure would leave behind.
    ///
    /// # Errors
    /// [`BuildError`].
    pub fn build(loaded: &Loaded, registry: &Registry) -> Result<Self, BuildError> {
        let metrics = Arc::new(dns::Metrics::new());
        metrics.register(registry)?;
        let dns: Arc<dyn Lookup> = Arc::new(dns::Resolver::over_servers(&loaded.config.dns, metrics)?);
        let ruleset = config::rules::load(&loaded.config, &dns)?;
        let settings = ArcSwap::from_pointee(loaded.config.session.clone());
        let shared = Arc::new(Shared { settings, ruleset: ArcSwap::from_pointee(ruleset) });
        Ok(Self { shared, dns })
    }

    /// What sessions share.
    pub fn dialogue(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    /// How many backends take mail now.
    pub fn backends_ready(&self) -> BackendsReady {
        Arc::new(|| 0)
    }

    /// Reads `path` again whenever it is asked to. `log` follows the configured level.
    pub fn loader(&self, path: PathBuf, running: Loaded, log: log::Handle) -> Loader {
        let (shared, dns) = (Arc::clone(&self.shared), Arc::clone(&self.dns));
        let running = Arc::new(Mutex::new(running));
        Arc::new(move || {
            // Plain text: this goes to a log, not to a terminal.
            let loaded = config::load(&path).map_err(|problems| problems.render(false))?;
            let ruleset = config::rules::load(&loaded.config, &dns).map_err(|problems| problems.render(false))?;
            let (plan, shared, running, log) = (plan(&loaded), Arc::clone(&shared), Arc::clone(&running), log.clone());
            let apply = Box::new(move || {
                let mut running = running.lock().unwrap_or_else(PoisonError::into_inner);
                tell(&running, &loaded);
                log.set_level(log_level(&loaded));
                shared.settings.store(Arc::new(loaded.config.session.clone()));
                shared.ruleset.store(Arc::new(ruleset));
                *running = loaded;
            });
            Ok(Candidate { plan, apply })
        })
    }
}

/// The server's part of a configuration.
pub fn plan(loaded: &Loaded) -> Plan {
    let config = &loaded.config;
    Plan {
        listeners: config.listeners.clone(),
        accept: config.accept.clone(),
        admin: config.admin,
        drain: config.drain,
        watch: loaded.files.clone(),
    }
}

/// The configured level, as [`log::start`] reads it.
pub fn log_level(loaded: &Loaded) -> &'static str {
    match loaded.config.log.level {
        LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        LogLevel::Info => "info",
        LogLevel::Debug => "debug",
        LogLevel::Trace => "trace",
    }
}

/// Logs what a reload changes.
fn tell(running: &Loaded, loaded: &Loaded) {
    for problem in loaded.warnings.iter() {
        warn!(%problem, "configuration");
    }
    let changes = config::reload::diff(running, loaded);
    if !changes.restart.is_empty() {
        warn!(keys = changes.restart.join(" "), "these changes take effect at a restart");
    }
    if !changes.live.is_empty() {
        info!(keys = changes.live.join(" "), "changed");
    }
    if changes.rules {
        info!(version = %loaded.config.rules.version, "new rules");
    }
}

impl Dialogue for Shared {
    async fn serve(self: Arc<Self>, incoming: Incoming, drain: CancellationToken) {
        session::serve(self, incoming, drain).await;
    }

    async fn refuse(self: Arc<Self>, io: BoxIo, why: Refused) {
        session::refuse(self, io, why).await;
    }

    fn header_patience(&self) -> Duration {
        self.settings.load().timeouts.proxy_header
    }
}
