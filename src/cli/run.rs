//! `gatepost run`: the proxy itself.

use std::path::PathBuf;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use super::Failed;
use crate::config::Loaded;
use crate::config::raw::LogFormat;
use crate::net::listener::Inherited;
use crate::server::program::{Program, log_level, plan};
use crate::server::{Server, signals};
use crate::telemetry::{log, metrics};

/// How long threads that are busy with files may hold up the end of the process.
const THREADS_GRACE: Duration = Duration::from_secs(1);

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
    let log = start_log(&loaded)?;
    // Changes the environment, so before there are threads.
    let inherited = Inherited::from_env();
    let runtime = runtime()?;
    let ended = runtime.block_on(serve(arguments.config.clone(), loaded, log, inherited));
    runtime.shutdown_timeout(THREADS_GRACE);
    ended
}

async fn serve(path: PathBuf, loaded: Loaded, log: log::Handle, inherited: Inherited) -> Result<(), Failed> {
    let orders = signals::orders()?;
    for problem in loaded.warnings.iter() {
        tracing::warn!(%problem, "configuration");
    }
    let registry = metrics::registry()?;
    let program = Program::build(&loaded, &registry)?;
    let plan = plan(&loaded);
    let loader = program.loader(path, loaded, log);
    let server = Server::bind(plan, inherited, registry, program.dialogue(), loader, program.backends_ready())?;
    server.run(orders).await;
    Ok(())
}

fn start_log(loaded: &Loaded) -> Result<log::Handle, Failed> {
    let format = match loaded.config.log.format {
        LogFormat::Text => log::Format::Text,
        LogFormat::Json => log::Format::Json,
    };
    Ok(log::start(format, log_level(loaded))?)
}

/// One worker per core, which is what the kernel lets us use rather than what the machine has.
fn runtime() -> Result<Runtime, Failed> {
    Ok(Builder::new_multi_thread().enable_all().thread_name("gatepost").build()?)
}
