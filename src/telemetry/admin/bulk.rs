//! `/bulk`: what is remembered of campaigns; and the one page that changes something: `/learn`, by POST of JSON
//! alone, so that no web page can send a browser there.

use std::sync::Arc;
use std::time::SystemTime;

use axum::Router;
use axum::extract::rejection::JsonRejection;
use axum::extract::{DefaultBodyLimit, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Pages;
use crate::checks::bulk::fingerprint_of;
use crate::clock::Clock;
use crate::message::Message;
use crate::store::{Campaign, CampaignId, Campaigns, Learned, StoreError};

/// Campaigns in one answer, unless another number is asked for.
const USUAL: usize = 20;
/// Nobody is told more at once.
const MOST: usize = 10_000;
/// Octets of a message that are read: what the proxy itself has in memory of one.
pub const LARGEST_MESSAGE: usize = 4 << 20;
/// Octets of what is posted: a character for each octet of a message takes up to six.
pub(super) const LARGEST_BODY: usize = 3 * LARGEST_MESSAGE;

/// What the pages work with.
pub struct Desk {
    /// What is remembered.
    pub store: Arc<dyn Campaigns>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// A campaign in JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Names it, for `show`.
    pub id: String,
    /// The first message.
    pub first: Timestamp,
    /// The last one.
    pub last: Timestamp,
    /// Messages that were counted; those that were deferred are not.
    pub volume: u64,
    /// About how many different networks of clients.
    pub networks: u64,
    /// About how many different sender domains.
    pub sender_domains: u64,
    /// Messages that a domain authenticates.
    pub authenticated: u64,
    /// Messages that the author's own domain authenticates.
    pub aligned: u64,
    /// About how many different domains do.
    pub authenticated_domains: u64,
    /// Messages with List-Id.
    pub with_list_id: u64,
    /// Messages with one-click unsubscribe.
    pub with_unsubscribe: u64,
    /// Recipients that exist.
    pub known_recipients: u64,
    /// Recipients that do not.
    pub unknown_recipients: u64,
    /// Recipients that are traps.
    pub traps: u64,
    /// How often it was learned as spam.
    pub spam: u32,
    /// How often it was learned as ham.
    pub ham: u32,
    /// Some of its sender domains.
    pub examples: Vec<Arc<str>>,
    /// How alike the message is that was learned, in percent; 100 where none was.
    pub similarity: f32,
    /// That message was found by an attachment alone.
    pub by_attachment: bool,
}

/// What is said of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lesson {
    /// True: unwanted; false: wanted.
    pub spam: bool,
    /// The message, a character for each octet (ISO 8859-1).
    pub message: String,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    #[serde(default = "Wanted::limit")]
    limit: usize,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    id: String,
}

impl Wanted {
    fn limit() -> usize {
        USUAL
    }
}

impl Lesson {
    /// What is said of the message of these octets, or of the first of them if there are many.
    pub fn new(spam: bool, octets: &[u8]) -> Self {
        let octets = octets.get(..LARGEST_MESSAGE).unwrap_or(octets);
        Self { spam, message: octets.iter().copied().map(char::from).collect() }
    }

    /// With the line ends that it had on its way: what is attached is hashed exactly.
    pub(crate) fn message(&self) -> Message {
        let mut octets = Vec::with_capacity(self.message.len());
        for character in self.message.chars() {
            if character == '\n' && octets.last() != Some(&b'\r') {
                octets.push(b'\r');
            }
            octets.push(u8::try_from(character).unwrap_or(b'?'));
        }
        let len = octets.len() as u64;
        Message::new(octets, len)
    }
}

impl Desk {
    async fn learn(&self, lesson: Lesson) -> Response {
        let key = self.store.campaign_key();
        let learned = if lesson.spam { Learned::Spam } else { Learned::Ham };
        // It fails only if the runtime ends meanwhile.
        let made = tokio::task::spawn_blocking(move || fingerprint_of(&lesson.message(), key)).await;
        let Some(fingerprint) = made.ok().filter(|fingerprint| !fingerprint.is_empty()) else {
            let why = "there is nothing in the message to find it by\n";
            return (StatusCode::UNPROCESSABLE_ENTITY, why).into_response();
        };
        let now = self.clock.now();
        let found = async {
            // As it was found; what has become of it since is what is told.
            let before = self.store.campaign_look(&fingerprint, now).await?;
            let id = self.store.campaign_learn(fingerprint, learned, now).await?;
            tracing::info!(%id, ?learned, "bulk.learned");
            let after = self.store.campaign_show(id, now).await?;
            let seen = before.filter(|before| before.id == id);
            Ok(after.map(|after| match seen {
                Some(Campaign { similarity, by_attachment, .. }) => Campaign { similarity, by_attachment, ..after },
                None => after,
            }))
        };
        told(found.await.map(|campaign| campaign.into_iter().collect()))
    }
}

impl From<Campaign> for Entry {
    fn from(campaign: Campaign) -> Self {
        Self {
            id: campaign.id.to_string(),
            first: timestamp(campaign.first),
            last: timestamp(campaign.last),
            volume: campaign.volume,
            networks: campaign.networks,
            sender_domains: campaign.sender_domains,
            authenticated: campaign.authenticated,
            aligned: campaign.aligned,
            authenticated_domains: campaign.authenticated_domains,
            with_list_id: campaign.with_list_id,
            with_unsubscribe: campaign.with_unsubscribe,
            known_recipients: campaign.known_recipients,
            unknown_recipients: campaign.unknown_recipients,
            traps: campaign.traps,
            spam: campaign.spam,
            ham: campaign.ham,
            examples: campaign.examples,
            similarity: campaign.similarity,
            by_attachment: campaign.by_attachment,
        }
    }
}

/// The pages.
pub(super) fn routes() -> Router<Pages> {
    Router::new()
        .route("/bulk", get(top))
        .route("/bulk/show", get(show))
        .route("/learn", post(learn).layer(DefaultBodyLimit::max(LARGEST_BODY)))
}

async fn top(State(pages): State<Pages>, Query(wanted): Query<Wanted>) -> Response {
    let Some(desk) = &pages.bulk else { return told(Ok(Vec::new())) };
    let Ok(_alone) = pages.looking.try_acquire() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "somebody else is being told at this moment\n").into_response();
    };
    told(desk.store.campaign_top(wanted.limit.min(MOST), desk.clock.now()).await)
}

async fn show(State(pages): State<Pages>, Query(named): Query<Named>) -> Response {
    let Some(desk) = &pages.bulk else { return told(Ok(Vec::new())) };
    match named.id.parse::<CampaignId>() {
        Ok(id) => {
            told(desk.store.campaign_show(id, desk.clock.now()).await.map(|campaign| campaign.into_iter().collect()))
        }
        Err(why) => (StatusCode::BAD_REQUEST, format!("{why}\n")).into_response(),
    }
}

async fn learn(State(pages): State<Pages>, lesson: Result<Json<Lesson>, JsonRejection>) -> Response {
    match (lesson, &pages.bulk) {
        (Err(why), _) => why.into_response(),
        (Ok(Json(lesson)), Some(desk)) => desk.learn(lesson).await,
        (Ok(_), None) => (StatusCode::NOT_FOUND, "nothing is remembered here\n").into_response(),
    }
}

fn told(campaigns: Result<Vec<Campaign>, StoreError>) -> Response {
    match campaigns {
        Ok(campaigns) => Json(campaigns.into_iter().map(Entry::from).collect::<Vec<_>>()).into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    }
}

/// Times beyond the calendar are nobody's.
fn timestamp(time: SystemTime) -> Timestamp {
    Timestamp::try_from(time).unwrap_or(Timestamp::UNIX_EPOCH)
}
