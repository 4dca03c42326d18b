//! `gatepost demo`: the main job on a fresh machine with nothing to install.
//!
//! The real proxy, an embedded mail server behind it, DNS answers from a table, and a cast of clients
//! over real sockets. Every expectation is checked against the replies that the clients heard and
//! against what the mail server stored.

mod backend;
mod cast;
mod client;
mod maildir;
mod names;
mod play;
mod report;
mod scene;
mod site;

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;

use super::Failed;
use crate::server::{Order, signals};
use crate::telemetry::log;
use report::Report;
use site::Site;

/// Arguments of `demo`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Leave it running afterwards, for telnet or swaks.
    #[arg(long)]
    pub keep: bool,
}

/// How long threads that are busy with files may hold up the end of the process.
const THREADS_GRACE: Duration = Duration::from_secs(1);

/// Runs the cast of sessions; fails unless everything went as it must. The Maildir stays.
pub fn run(arguments: &Arguments, out: &mut dyn Write, colour: bool) -> Result<(), Failed> {
    // What goes wrong here goes wrong on purpose; the log is for those who ask for it.
    log::start(log::Format::Text, "off")?;
    let directory = tempfile::Builder::new().prefix("gatepost-demo-").tempdir()?.keep();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let ended = runtime.block_on(perform(&directory, arguments.keep, out, colour));
    runtime.shutdown_timeout(THREADS_GRACE);
    ended
}

/// Plays all scenes with a Maildir in `directory`. With `keep` everything stays until a signal says stop.
///
/// # Errors
/// If anything went otherwise than it must.
pub async fn perform(directory: &Path, keep: bool, out: &mut dyn Write, colour: bool) -> Result<(), Failed> {
    let begun = Instant::now();
    let mut site = Site::open(directory).await?;
    let scenes = cast::scenes();
    let mut report = Report::begin(out, colour, &scenes)?;
    let mut good = 0;
    for scene in &scenes {
        let played = play::play(&mut site, scene).await?;
        report.scene(scene, &played)?;
        good += usize::from(played.mistakes.is_empty());
    }
    report.end(&site, good, scenes.len(), begun.elapsed())?;
    // Nothing may be there that no scene has accounted for.
    let stored: Vec<String> = site.office.deliveries().into_iter().map(|delivery| delivery.file).collect();
    let found = site.office.maildir.names()?;
    if keep {
        report.stays(&site)?;
        let mut orders = signals::orders()?;
        while orders.recv().await.is_some_and(|order| order != Order::Stop) {}
    } else {
        report.farewell()?;
    }
    site.close().await?;
    match scenes.len() - good {
        0 if found == stored => Ok(()),
        0 => Err(Failed(format!("the Maildir holds {found:?}, but {stored:?} were accepted"))),
        bad => Err(Failed(format!("{bad} of {} sessions did not go as they must", scenes.len()))),
    }
}
