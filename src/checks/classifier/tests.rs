//! The check, over a store that was taught.

use std::time::SystemTime;

use prometheus::Registry;

use super::*;
use crate::clock;
use crate::store::{MemoryStore, Metrics, Settings as StoreSettings, Taught};

fn message(subject: &str, body: &str) -> Message {
    let octets = format!("From: a@b.example\r\nTo: c@d.example\r\nSubject: {subject}\r\n\r\n{body}\r\n").into_bytes();
    let len = octets.len() as u64;
    Message::new(octets, len)
}

fn store() -> Arc<MemoryStore> {
    let metrics = Metrics::register(&Registry::new()).expect("new");
    Arc::new(MemoryStore::new(&StoreSettings::default(), clock::system(), metrics))
}

async fn taught(store: &MemoryStore, number: usize) {
    for index in 0..number {
        for (is_spam, words) in [(true, "cheap pills win money casino"), (false, "minutes meeting agenda report draft")]
        {
            let (id, cells) = features_of(&message(
                &format!("mail {}", "x".repeat(index % 20)),
                &format!("{words} {}", "y".repeat(index)),
            ));
            let done = store.classifier_learn(Lesson { id, is_spam, cells }, SystemTime::now()).await;
            assert!(matches!(done, Ok(Taught::New | Taught::Again)), "{done:?}");
        }
    }
}

async fn said(store: &MemoryStore, message: &Message) -> Option<Opinion> {
    let features = Features::of(&Model::of(message));
    let cells = features.cells();
    let weighed = store.classifier_weigh(&cells).await.expect("memory");
    opinion(&Voice { minimum: 5, half: 1, ..Voice::default() }, &features, &cells, &weighed.held, &weighed.taught)
}

#[tokio::test]
async fn what_was_learned_is_said_with_its_reasons() {
    let store = store();
    taught(&store, 20).await;
    let spam = said(&store, &message("mail", "cheap pills win money casino")).await.expect("known words");
    assert_eq!(spam.leaning, Leaning::Spam);
    let found = finding(&spam);
    assert_eq!(found.symbol.as_str(), "CLASSIFIER_SPAM");
    let evidence = found.evidence.as_str();
    assert!(evidence.contains("% spam") && evidence.contains("text \""), "{evidence}");
    let ham = said(&store, &message("mail", "minutes meeting agenda report draft")).await.expect("known words");
    assert_eq!(finding(&ham).symbol.as_str(), "CLASSIFIER_HAM");
}

#[tokio::test]
async fn unlearning_makes_the_store_what_it_was() {
    // Others would have been learned again meanwhile.
    let store = store();
    let (id, cells) = features_of(&message("mail", "win money with pills"));
    let before = store.classifier_weigh(&cells).await;
    for is_spam in [false, true, true] {
        let lesson = Lesson { id, is_spam, cells: cells.clone() };
        store.classifier_learn(lesson, SystemTime::now()).await.expect("memory");
    }
    assert_ne!(store.classifier_weigh(&cells).await, before);
    assert_eq!(store.classifier_unlearn(id, cells.clone()).await, Ok(Taught::Unlearned));
    assert_eq!(store.classifier_weigh(&cells).await, before);
    assert_eq!(store.classifier_unlearn(id, cells).await, Ok(Taught::Unknown));
}
