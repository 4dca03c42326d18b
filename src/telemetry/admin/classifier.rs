//! `/classifier`: how much it was taught; and by POST of JSON to `/classifier/teach` it is taught more.

use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::JsonRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use serde::{Deserialize, Serialize};

use super::Pages;
use super::bulk::LARGEST_BODY;
use crate::checks::classifier::features_of;
use crate::clock::Clock;
use crate::message::Message;
use crate::store::{Lesson, StoreError, Taught, TaughtCount, Teachings};

/// What the pages work with.
pub struct Desk {
    /// What was taught.
    pub store: Arc<dyn Teachings>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// What is said of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Said {
    /// True: unwanted; false: wanted; absent: what was learned of it is taken back.
    pub spam: Option<bool>,
    /// The message, a character for each octet (ISO 8859-1).
    pub message: String,
}

/// How much the classifier was taught, in JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// What became of the message, if there was one.
    pub done: Option<String>,
    /// Messages learned as spam.
    pub spam: u64,
    /// And as ham.
    pub ham: u64,
    /// Messages that can be taken back.
    pub lessons: usize,
    /// Cells in use.
    pub cells: usize,
}

impl Entry {
    /// Of what the store says.
    pub fn new(done: Option<Taught>, count: TaughtCount) -> Self {
        let TaughtCount { spam, ham, lessons, cells } = count;
        Self { done: done.map(|done| done.label().to_owned()), spam, ham, lessons, cells }
    }
}

impl Said {
    /// What is said of the message of these octets.
    pub fn new(spam: Option<bool>, octets: &[u8]) -> Self {
        Self { spam, message: super::bulk::Lesson::new(true, octets).message }
    }

    fn message(self) -> Message {
        super::bulk::Lesson { spam: true, message: self.message }.message()
    }
}

impl Desk {
    async fn teach(&self, said: Said) -> Response {
        let spam = said.spam;
        // It fails only if the runtime ends meanwhile.
        let found = tokio::task::spawn_blocking(move || features_of(&said.message())).await;
        let Ok((id, cells)) = found else { return StatusCode::SERVICE_UNAVAILABLE.into_response() };
        let done = match spam {
            Some(is_spam) => self.store.classifier_learn(Lesson { id, is_spam, cells }, self.clock.now()).await,
            None => self.store.classifier_unlearn(id, cells).await,
        };
        match done {
            Ok(done) => {
                tracing::info!(id = format!("{:032x}", id.0), spam, done = done.label(), "classifier.taught");
                self.tell(Some(done)).await
            }
            Err(why) => unavailable(&why),
        }
    }

    async fn tell(&self, done: Option<Taught>) -> Response {
        match self.store.classifier_count().await {
            Ok(count) => Json(Entry::new(done, count)).into_response(),
            Err(why) => unavailable(&why),
        }
    }
}

/// The pages.
pub(super) fn routes() -> Router<Pages> {
    Router::new()
        .route("/classifier", get(count))
        .route("/classifier/teach", post(teach).layer(DefaultBodyLimit::max(LARGEST_BODY)))
}

async fn count(State(pages): State<Pages>) -> Response {
    match &pages.classifier {
        Some(desk) => desk.tell(None).await,
        None => Json(Entry::default()).into_response(),
    }
}

async fn teach(State(pages): State<Pages>, said: Result<Json<Said>, JsonRejection>) -> Response {
    match (said, &pages.classifier) {
        (Err(why), _) => why.into_response(),
        (Ok(Json(said)), Some(desk)) => desk.teach(said).await,
        (Ok(_), None) => (StatusCode::NOT_FOUND, "nothing is remembered here\n").into_response(),
    }
}

fn unavailable(why: &StoreError) -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response()
}
