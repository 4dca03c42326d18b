//! `gatepost run`: the proxy itself.

use std::path::PathBuf;

use super::Failed;

/// Arguments of `run`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The configuration file.
    #[arg(long, short, value_name = "FILE", env = "GATEPOST_CONFIG")]
    pub config: PathBuf,
}

/// Runs until it is told to stop.
pub fn run(arguments: &Arguments) -> Result<(), Failed> {
    let _loaded = super::check_config::load(&arguments.config)?;
    Err(Failed("run is not wired yet".to_owned()))
}
