//! `gatepost run`: the proxy itself.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{DEFAULT_CONFIG, Failed};
use crate::config::Loaded;
use crate::config::raw::LogFormat;
use crate::config::{last_good, resolvers};
use crate::net::listener::Inherited;
use crate::server::proxy::{Proxy, workers};
use crate::server::{Server, signals};
use crate::telemetry::{log, metrics};

/// Arguments of `run`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The configuration file.
    #[arg(long, short, value_name = "FILE", env = "GATEPOST_CONFIG", default_value = DEFAULT_CONFIG)]
    pub config: PathBuf,
}

/// How long threads that are busy with files may hold up the end of the process.
const THREADS_GRACE: Duration = Duration::from_secs(1);

/// Runs until it is told to stop.
pub fn run(arguments: &Arguments) -> Result<(), Failed> {
    let loaded =
        last_good::load(&arguments.config).map_err(|problems| Failed(problems.render(super::wants_colour())))?;
    let format = match loaded.config.log.format {
        LogFormat::Text => log::Format::Text,
        LogFormat::Json => log::Format::Json,
    };
    let log = log::start(format, loaded.config.log.level.as_str())?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), config = %arguments.config.display(), "starting");
    for warning in loaded.warnings.iter() {
        tracing::warn!(%warning, "configuration");
    }
    for warning in resolvers::warnings(&loaded.config) {
        tracing::warn!(%warning, "configuration");
    }
    // Changes the environment, so before there are threads.
    let inherited = Inherited::from_env();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(workers().get()).enable_all().build()?;
    let ended = runtime.block_on(serve(loaded, &arguments.config, log, inherited));
    runtime.shutdown_timeout(THREADS_GRACE);
    ended
}

async fn serve(loaded: Loaded, path: &Path, log: log::Handle, inherited: Inherited) -> Result<(), Failed> {
    let orders = signals::orders()?;
    let registry = metrics::registry()?;
    let plan = Proxy::plan(&loaded);
    let proxy = Proxy::new(loaded, None, &registry)?;
    let (loader, ready) = (proxy.loader(path.to_owned(), log), proxy.backends_ready());
    let server = Server::bind(plan, inherited, registry, proxy.clone(), loader, ready)?;
    let server = server.remembering(proxy.store()).greylisting(proxy.greylist());
    let server = server.reputing(proxy.reputation()).learning(proxy.bulk()).classifying(proxy.classifier());
    let server = server.judging_from_snapshot(proxy.judges_from_snapshot()).trying(proxy.trials(path.to_owned()));
    proxy.keep_rules(path);
    proxy.warm_up().await;
    let ended = server.run(orders).await;
    proxy.close().await;
    match ended.cut {
        0 => Ok(()),
        cut => Err(Failed(format!("{cut} sessions were cut off: they did not end within shutdown.drain_seconds"))),
    }
}
