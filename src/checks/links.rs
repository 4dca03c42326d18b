//! The links of a message as a derived fact: found once, for all lists that ask about them.

use std::sync::Arc;

use tracing::debug;

use crate::facts::MessageFacts;
use crate::message::Links;

/// Octets in memory that are read in place; a few milliseconds. More goes to the blocking pool.
const IN_PLACE: usize = 256 * 1024;

/// What the message points to.
pub async fn links(facts: &MessageFacts) -> &Links {
    facts.links.get_or_derive(|| find(facts)).await
}

async fn find(facts: &MessageFacts) -> Links {
    let links = if facts.message.octets().len() <= IN_PLACE {
        Links::of(&facts.message)
    } else {
        let message = Arc::clone(&facts.message);
        // It fails only if the runtime ends meanwhile.
        let found = tokio::task::spawn_blocking(move || Links::of(&message)).await;
        found.unwrap_or_else(|_| Links { truncated: true, ..Links::default() })
    };
    if links.truncated {
        debug!(hosts = links.hosts.len(), addresses = links.addresses.len(), "links.cut");
    }
    links
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
            assert_eq!(links(&facts).await.hosts, [Arc::<str>::from("evil.example")]);
            assert!(facts.links.get().is_some());
        }
    }
}
