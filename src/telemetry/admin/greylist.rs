//! `/greylist`: what is remembered of triplets, and the two pages that change something: `/greylist/pass` and
//! `/greylist/drop`, by POST of JSON alone, so that no web page can send a browser there.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Pages;
use crate::checks::greylist::{Settings, keys_of};
use crate::clock::Clock;
use crate::store::{Store, StoreError, TripletEvent, TripletKey, TripletRecord, WantedTriplets};

/// Triplets in one answer, unless another number is asked for.
const USUAL: usize = 1000;
/// Nobody is told more at once.
const MOST: usize = 100_000;

/// What the pages work with.
pub struct Desk {
    /// What is remembered.
    pub store: Arc<dyn Store>,
    /// The settings in force now.
    pub settings: Box<dyn Fn() -> Settings + Send + Sync>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// A triplet, or a holder altogether, in JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Names it, for `show`, `pass` and `drop`.
    pub key: String,
    /// The network that holds it, or `a domain`: which one, only the digest knows.
    pub holder: String,
    /// True if it is about all that this holder sends.
    pub altogether: bool,
    /// `waiting`, `delivered`, `by hand`.
    pub state: String,
    /// The first attempt.
    pub first: Timestamp,
    /// The last one, or the last delivery.
    pub last: Timestamp,
    /// When it is forgotten.
    pub until: Timestamp,
    /// Attempts that were deferred.
    pub attempts: u32,
    /// Messages that were delivered.
    pub deliveries: u32,
}

/// Who is meant: a key, or a client (an address or an authenticated domain), with both paths or without.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Meant {
    /// As [`Entry::key`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// An address, or an authenticated domain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// The reverse-path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sender: Option<String>,
    /// The forward-path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recipient: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    #[serde(default)]
    waiting: bool,
    #[serde(default = "Wanted::limit")]
    limit: usize,
}

impl Wanted {
    fn limit() -> usize {
        USUAL
    }
}

impl Desk {
    fn key(&self, meant: &Meant) -> Result<TripletKey, String> {
        match meant {
            Meant { key: Some(key), client: None, sender: None, recipient: None } => key.parse(),
            Meant { key: None, client: Some(client), sender, recipient } => {
                let paths = match (sender, recipient) {
                    (Some(sender), Some(recipient)) => Some((sender.as_str(), recipient.as_str())),
                    (None, None) => None,
                    _ => return Err("sender and recipient belong together".to_owned()),
                };
                keys_of(&(self.settings)(), &self.store.greylist_secret(), client, paths)
            }
            _ => Err("name a key, or a client".to_owned()),
        }
    }

    async fn known(&self, key: TripletKey) -> Result<Vec<Entry>, StoreError> {
        let known = self.store.greylist_look(&[key], self.clock.now()).await?;
        Ok(known.into_iter().flatten().map(|record| Entry::new(key, &record)).collect())
    }

    async fn note(&self, meant: &Meant, event: impl Fn(Duration) -> TripletEvent) -> Response {
        let key = match self.key(meant) {
            Ok(key) => key,
            Err(why) => return (StatusCode::BAD_REQUEST, format!("{why}\n")).into_response(),
        };
        let event = event((self.settings)().lifetime);
        let noted = async {
            self.store.greylist_note(vec![(key, event)], self.clock.now()).await?;
            // What was said by hand is on disk when it is said to be done.
            self.store.flush().await
        };
        if let Err(why) = noted.await {
            return unavailable(&why);
        }
        tracing::info!(%key, ?event, "greylist.changed_by_hand");
        told(self.known(key).await)
    }
}

impl Entry {
    fn new(key: TripletKey, record: &TripletRecord) -> Self {
        let state = match record {
            TripletRecord { by_hand: true, .. } => "by hand",
            TripletRecord { deliveries: 0, .. } => "waiting",
            _ => "delivered",
        };
        Self {
            key: key.to_string(),
            holder: key.holder().to_string(),
            altogether: key.is_of_holder(),
            state: state.to_owned(),
            first: timestamp(record.first),
            last: timestamp(record.last),
            until: timestamp(record.until),
            attempts: record.attempts,
            deliveries: record.deliveries,
        }
    }
}

/// The pages.
pub(super) fn routes() -> Router<Pages> {
    Router::new()
        .route("/greylist", get(list))
        .route("/greylist/show", get(show))
        .route("/greylist/pass", post(pass))
        .route("/greylist/drop", post(forget))
}

async fn list(State(pages): State<Pages>, Query(wanted): Query<Wanted>) -> Response {
    let Some(desk) = &pages.greylist else { return told(Ok(Vec::new())) };
    let Ok(_alone) = pages.looking.try_acquire() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "somebody else is being told at this moment\n").into_response();
    };
    let wanted = WantedTriplets { waiting: wanted.waiting, most: wanted.limit.min(MOST) };
    let list = desk.store.greylist_list(wanted, desk.clock.now()).await;
    told(list.map(|list| list.iter().map(|(key, record)| Entry::new(*key, record)).collect()))
}

async fn show(State(pages): State<Pages>, Query(meant): Query<Meant>) -> Response {
    let Some(desk) = &pages.greylist else { return told(Ok(Vec::new())) };
    match desk.key(&meant) {
        Ok(key) => told(desk.known(key).await),
        Err(why) => (StatusCode::BAD_REQUEST, format!("{why}\n")).into_response(),
    }
}

async fn pass(State(pages): State<Pages>, meant: Result<Json<Meant>, JsonRejection>) -> Response {
    change(&pages, meant, TripletEvent::Pass).await
}

async fn forget(State(pages): State<Pages>, meant: Result<Json<Meant>, JsonRejection>) -> Response {
    change(&pages, meant, |_| TripletEvent::Drop).await
}

async fn change(
    pages: &Pages,
    meant: Result<Json<Meant>, JsonRejection>,
    event: impl Fn(Duration) -> TripletEvent,
) -> Response {
    match (meant, &pages.greylist) {
        (Err(why), _) => why.into_response(),
        (Ok(Json(meant)), Some(desk)) => desk.note(&meant, event).await,
        (Ok(_), None) => (StatusCode::NOT_FOUND, "nothing is remembered here\n").into_response(),
    }
}

fn told(entries: Result<Vec<Entry>, StoreError>) -> Response {
    match entries {
        Ok(entries) => Json(entries).into_response(),
        Err(why) => unavailable(&why),
    }
}

fn unavailable(why: &StoreError) -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response()
}

/// Times beyond the calendar are nobody's.
fn timestamp(time: SystemTime) -> Timestamp {
    Timestamp::try_from(time).unwrap_or(Timestamp::UNIX_EPOCH)
}
