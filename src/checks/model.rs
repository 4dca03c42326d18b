//! The message as read, as a derived fact: read once, for all checks that look into it.

use std::sync::Arc;

use tracing::debug;

use crate::facts::MessageFacts;
use crate::message::Model;

/// Octets in memory that are read in place; a few milliseconds. More goes to the blocking pool.
const IN_PLACE: usize = 256 * 1024;

/// What the message is.
pub async fn model(facts: &MessageFacts) -> &Model {
    facts.model.get_or_derive(|| read(facts)).await
}

async fn read(facts: &MessageFacts) -> Model {
    let model = if facts.message.octets().len() <= IN_PLACE {
        Model::of(&facts.message)
    } else {
        let message = Arc::clone(&facts.message);
        // It fails only if the runtime ends meanwhile.
        tokio::task::spawn_blocking(move || Model::of(&message)).await.unwrap_or_default()
    };
    if model.is_cut {
        debug!(parts = model.parts.len(), links = model.links.len(), "model.cut");
    }
    model
}
