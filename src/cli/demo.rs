//! `gatepost demo`: the main job on a fresh machine with nothing to install.

use super::Failed;

/// Arguments of `demo`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Leave it running afterwards, for telnet or swaks.
    #[arg(long)]
    pub keep: bool,
}

/// Runs the cast of sessions; fails unless everything went as it must.
pub fn run(_arguments: &Arguments) -> Result<(), Failed> {
    Err(Failed("demo is not wired yet".to_owned()))
}
