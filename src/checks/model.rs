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
        let reading = tokio::task::spawn_blocking(move || Model::of(&message)).await;
        reading.unwrap_or_else(|_| Model { is_cut: true, may_hide: true, ..Model::default() })
    };
    if model.is_cut {
        debug!(parts = model.parts.len(), links = model.links.len(), "model.cut");
    }
    model
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::facts::{ClientFacts, HeloFacts, MailFacts};
    use crate::message::Message;
    use crate::smtp::{HeloName, Params, ReversePath};

    #[tokio::test]
    async fn large_messages_are_read_like_small_ones() {
        for size in [0, 2 * IN_PLACE] {
            let client = ClientFacts::new([192, 0, 2, 1].into(), "edge".into(), "mx".into(), None);
            let helo = HeloFacts::new(Arc::new(client), HeloName::parse(b"a.example").expect("name"), true, None);
            let mail = MailFacts::new(Arc::new(helo), ReversePath::Null, Params::default(), SystemTime::UNIX_EPOCH);
            let octets = format!("A: b\r\n\r\nhttp://evil.example\r\n{}", " ".repeat(size)).into_bytes();
            let len = octets.len() as u64;
            let message = Arc::new(Message::new(octets, len));
            let facts = MessageFacts::new(Arc::new(mail), Vec::new(), message, None);
            assert_eq!(model(&facts).await.found.hosts, [Arc::<str>::from("evil.example")]);
            assert!(facts.model.get().is_some());
        }
    }
}
