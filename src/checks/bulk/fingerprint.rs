//! The fingerprint of a message as a derived fact: made once, for the check and for what is remembered.

use std::sync::Arc;

use crate::checks::links::links;
use crate::facts::MessageFacts;
use crate::message::{Links, Message, Text, attachments};
use crate::similarity::{Digest, Fingerprint};

/// Octets in memory that are read in place; a few milliseconds. More goes to the blocking pool.
const IN_PLACE: usize = 256 * 1024;

/// By what a message is found again, under the key of the store.
pub async fn fingerprint(facts: &MessageFacts, key: u64) -> &Fingerprint {
    facts.fingerprint.get_or_derive(|| make(facts, key)).await
}

/// The same of a message that is no part of a transaction.
pub fn fingerprint_of(message: &Message, key: u64) -> Fingerprint {
    let (text, attachments) = read(message, key);
    Fingerprint { digest: Digest::of_message(&text, &Links::of(message), key), attachments }
}

async fn make(facts: &MessageFacts, key: u64) -> Fingerprint {
    let links = links(facts).await;
    let (text, attachments) = if facts.message.octets().len() <= IN_PLACE {
        read(&facts.message, key)
    } else {
        let message = Arc::clone(&facts.message);
        // It fails only if the runtime ends meanwhile.
        tokio::task::spawn_blocking(move || read(&message, key)).await.unwrap_or_default()
    };
    Fingerprint { digest: Digest::of_message(&text, links, key), attachments }
}

fn read(message: &Message, key: u64) -> (Text, Vec<u64>) {
    (Text::of(message), attachments::hashes(message, key))
}
