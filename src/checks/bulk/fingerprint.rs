//! The fingerprint of a message as a derived fact: made once, for the check and for what is remembered.

use std::sync::Arc;

use crate::checks::model::model;
use crate::facts::MessageFacts;
use crate::message::{Message, Model, attachments};
use crate::similarity::{Digest, Fingerprint};

/// Octets in memory that are read in place; a few milliseconds. More goes to the blocking pool.
const IN_PLACE: usize = 256 * 1024;

/// By what a message is found again, under the key of the store.
pub async fn fingerprint(facts: &MessageFacts, key: u64) -> &Fingerprint {
    facts.fingerprint.get_or_derive(|| make(facts, key)).await
}

/// The same of a message that is no part of a transaction.
pub fn fingerprint_of(message: &Message, key: u64) -> Fingerprint {
    let model = Model::of(message);
    let attachments = if has_files(&model) { attachments::hashes(message, key) } else { Vec::new() };
    Fingerprint { digest: Digest::of_message(&model.text, &model.found, key), attachments }
}

async fn make(facts: &MessageFacts, key: u64) -> Fingerprint {
    let model = model(facts).await;
    let attachments = if !has_files(model) {
        Vec::new()
    } else if facts.message.octets().len() <= IN_PLACE {
        attachments::hashes(&facts.message, key)
    } else {
        let message = Arc::clone(&facts.message);
        // It fails only if the runtime ends meanwhile.
        tokio::task::spawn_blocking(move || attachments::hashes(&message, key)).await.unwrap_or_default()
    };
    Fingerprint { digest: Digest::of_message(&model.text, &model.found, key), attachments }
}

/// Files are read once more, because their hashes are secret and the model is not: most messages have none.
fn has_files(model: &Model) -> bool {
    !model.attachments.is_empty() || model.is_cut || model.parts.iter().any(|part| !part.disposition.is_empty())
}
