//! `/blocks`: who may send nothing; and by POST of JSON to `/blocks/add` and `/blocks/remove` the operator says so.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Pages;
use crate::clock::Clock;
use crate::store::{Block, Blocked, Blocks, StoreError};

/// What the pages work with.
pub struct Desk {
    /// Who is blocked.
    pub store: Arc<dyn Blocks>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// Somebody who is blocked, in JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// `user:NAME`, `sender:ADDRESS` or `client:ADDRESS`.
    pub whom: String,
    /// Since when.
    pub since: Timestamp,
    /// Until when; absent: until it is taken back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// What the operator wrote.
    pub why: String,
}

/// What the operator says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Said {
    /// `user:NAME`, `sender:ADDRESS` or `client:ADDRESS`.
    pub whom: String,
    /// For so many seconds; absent: until it is taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u64>,
    /// Why.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
}

impl Entry {
    fn new((whom, block): &(Blocked, Block)) -> Self {
        // Times beyond the calendar are nobody's.
        let timestamp = |time| Timestamp::try_from(time).unwrap_or(Timestamp::MAX);
        let (since, until) = (timestamp(block.since), block.until.map(timestamp));
        Self { whom: whom.to_string(), since, until, why: block.why.clone() }
    }
}

impl Desk {
    fn all(&self) -> Response {
        Json(self.store.blocks(self.clock.now()).iter().map(Entry::new).collect::<Vec<_>>()).into_response()
    }

    async fn add(&self, said: Said) -> Response {
        let whom = match said.whom.parse::<Blocked>() {
            Ok(whom) => whom,
            Err(why) => return (StatusCode::BAD_REQUEST, format!("{why}\n")).into_response(),
        };
        let since = self.clock.now();
        let until = said.seconds.and_then(|seconds| since.checked_add(std::time::Duration::from_secs(seconds)));
        let block = Block { since, until, why: said.why };
        tracing::info!(%whom, why = block.why, seconds = said.seconds, "block.added");
        match self.store.block(whom, block).await {
            Ok(()) => self.all(),
            Err(why) => unavailable(&why),
        }
    }

    async fn remove(&self, said: Said) -> Response {
        let whom = match said.whom.parse::<Blocked>() {
            Ok(whom) => whom,
            Err(why) => return (StatusCode::BAD_REQUEST, format!("{why}\n")).into_response(),
        };
        let shown = whom.to_string();
        match self.store.unblock(whom).await {
            Ok(true) => {
                tracing::info!(whom = shown, "block.removed");
                self.all()
            }
            Ok(false) => (StatusCode::NOT_FOUND, format!("{shown} is not blocked\n")).into_response(),
            Err(why) => unavailable(&why),
        }
    }
}

/// The pages.
pub(super) fn routes() -> Router<Pages> {
    Router::new().route("/blocks", get(show)).route("/blocks/add", post(add)).route("/blocks/remove", post(remove))
}

async fn show(State(pages): State<Pages>) -> Response {
    match &pages.blocks {
        Some(desk) => desk.all(),
        None => Json(Vec::<Entry>::new()).into_response(),
    }
}

async fn add(State(pages): State<Pages>, said: Result<Json<Said>, JsonRejection>) -> Response {
    match (said, &pages.blocks) {
        (Ok(Json(said)), Some(desk)) => desk.add(said).await,
        (Ok(_), None) => nothing(),
        (Err(why), _) => why.into_response(),
    }
}

async fn remove(State(pages): State<Pages>, said: Result<Json<Said>, JsonRejection>) -> Response {
    match (said, &pages.blocks) {
        (Ok(Json(said)), Some(desk)) => desk.remove(said).await,
        (Ok(_), None) => nothing(),
        (Err(why), _) => why.into_response(),
    }
}

fn nothing() -> Response {
    (StatusCode::NOT_FOUND, "nothing is remembered here\n").into_response()
}

fn unavailable(why: &StoreError) -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response()
}
