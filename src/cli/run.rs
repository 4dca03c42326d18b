//! `gatepost run`: the proxy itself.

use std::path::{Path, PathBuf};

use super::Failed;
use crate::config::Loaded;
use crate::config::raw::LogFormat;
use crate::net::listener::Inherited;
use crate::server::proxy::{Proxy, workers};
use crate::server::{Server, signals};
use crate::telemetry::{log, metrics};

/// Arguments of `run`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The configuration file.
    #[arg(long, short, value_name = "FILE", env = "GATEPOST_CONFIG")]
    pub config: PathBuf,
}

/// Runs until it is told to stop.
pub fn run(arguments: &Arguments) -> Result<(), Failed> {
    let loaded = super::check_config::load(&arguments.config)?;
    let format = match loaded.config.log.format {
        LogFormat::Text => log::Format::Text,
        LogFormat::Json => log::Format::Json,
    };
    log::start(format, loaded.config.log.level.as_str())?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), config = %arguments.config.display(), "starting");
    for warning in loaded.warnings.iter() {
        tracing::warn!(%warning, "configuration");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(workers().get()).enable_all().build()?;
    runtime.block_on(serve(loaded, &arguments.config))
}

async fn serve(loaded: Loaded, path: &Path) -> Result<(), Failed> {
    let orders = signals::orders()?;
    let registry = metrics::registry()?;
    let plan = Proxy::plan(&loaded);
    let proxy = Proxy::new(loaded, None, &registry)?;
    let (loader, ready) = (proxy.loader(path.to_owned()), proxy.backends_ready());
    let server = Server::bind(plan, Inherited::from_env(), registry, proxy, loader, ready)?;
    for address in server.addresses() {
        tracing::info!(%address, "listening");
    }
    let ended = server.run(orders).await;
    match ended.cut {
        0 => Ok(()),
        cut => Err(Failed(format!("{cut} sessions were cut off: they did not end within shutdown.drain_seconds"))),
    }
}
