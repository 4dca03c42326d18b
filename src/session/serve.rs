//! Where sessions begin. Holds the place of the dialogue: every client is told to come back.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::io::AsyncWriteExt;
use tokio_util::sync::CancellationToken;

use super::{Incoming, Settings};
use crate::net::{BoxIo, Refused};
use crate::pipeline::Ruleset;

/// What all sessions share.
pub struct Shared {
    /// Settings; swapped whole at reload.
    pub settings: ArcSwap<Settings>,
    /// What judges; swapped whole at reload, pinned by a transaction for its life.
    pub ruleset: ArcSwap<Ruleset>,
}

/// Holds one session to its end. When `drain` is cancelled, the transaction under way is the last.
pub async fn serve(shared: Arc<Shared>, incoming: Incoming, drain: CancellationToken) {
    let _ = (&shared.ruleset, drain);
    farewell(&shared, incoming.io, "4.3.2 no dialogue yet").await;
}

/// Tells a connection that it gets no session, and why.
pub async fn refuse(shared: Arc<Shared>, io: BoxIo, why: Refused) {
    let text = match why {
        Refused::Full => "4.3.2 too many sessions",
        Refused::PerClient => "4.7.0 too many sessions from your network",
    };
    farewell(&shared, io, text).await;
}

async fn farewell(shared: &Shared, mut io: BoxIo, text: &str) {
    let line = format!("421 {} {text}\r\n", shared.settings.load().hostname);
    // Whoever does not take it has left already.
    let _ = io.write_all(line.as_bytes()).await;
    let _ = io.shutdown().await;
}
