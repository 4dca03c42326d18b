//! `/reputation`: what senders have earned, and the page that makes them unknown again: `/reputation/reset`, by POST
//! of JSON alone, so that no web page can send a browser there.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use axum::Router;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use ipnet::IpNet;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Pages;
use crate::checks::reputation::{Settings, judge, network_of};
use crate::clock::Clock;
use crate::store::{ReputationRecord, Reputations, Reputed, StoreError};
use crate::units::registered_domain;

/// Reputations in one answer, unless another number is asked for.
const USUAL: usize = 1000;
/// Nobody is told more at once.
const MOST: usize = 100_000;

/// What the pages work with.
pub struct Desk {
    /// What is remembered.
    pub store: Arc<dyn Reputations>,
    /// The settings in force now.
    pub settings: Box<dyn Fn() -> Settings + Send + Sync>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// A reputation, in JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The domain; absent for a network altogether.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// The network; absent for a domain altogether.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// Wanted messages, faded.
    pub good: f64,
    /// Unwanted messages, faded.
    pub bad: f64,
    /// The first message.
    pub first: Timestamp,
    /// The last one.
    pub last: Timestamp,
    /// The share of unwanted mail to be expected by this record alone, 0 to 1; absent without enough evidence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimate: Option<f64>,
}

/// Who is meant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Meant {
    /// A network, an address in it, or a domain: all records that name it. Absent: all that there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub whose: Option<String>,
    /// So many at most; of no consequence to a reset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// How many were forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forgotten {
    /// So many.
    pub forgotten: usize,
}

/// A name in the form that records have.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Name {
    Network(Arc<str>),
    Domain(String),
}

impl Name {
    fn parse(text: &str) -> Result<Self, String> {
        let network = text.parse::<IpNet>().map(|network| network.addr());
        if let Ok(address) = text.parse::<IpAddr>().or(network) {
            return Ok(Self::Network(network_of(address)));
        }
        let name = idna::domain_to_ascii(text).ok().filter(|name| name.contains('.') && !name.contains('/'));
        let name = name.ok_or_else(|| format!("`{text}` is neither a network nor a domain"))?;
        Ok(Self::Domain(registered_domain(&name).unwrap_or(&name).to_owned()))
    }

    fn is_in(&self, whose: &Reputed) -> bool {
        let (domain, network) = names(whose);
        match self {
            Self::Network(name) => network == Some(&**name),
            Self::Domain(name) => domain == Some(name),
        }
    }
}

fn names(whose: &Reputed) -> (Option<&str>, Option<&str>) {
    match whose {
        Reputed::Network(network) => (None, Some(network)),
        Reputed::Domain(domain) => (Some(domain), None),
        Reputed::Pair(domain, network) => (Some(domain), Some(network)),
    }
}

impl Desk {
    /// All records that name `whose`, those with the most evidence first.
    async fn known(&self, whose: Option<&Name>) -> Result<Vec<(Reputed, ReputationRecord)>, StoreError> {
        let (fading, now) = ((self.settings)().fading, self.clock.now());
        let mut known = self.store.reputation_list(usize::MAX, fading, now).await?;
        known.retain(|(of, _)| whose.is_none_or(|name| name.is_in(of)));
        Ok(known)
    }

    fn entries(&self, known: &[(Reputed, ReputationRecord)]) -> Vec<Entry> {
        let settings = (self.settings)();
        known.iter().map(|(whose, record)| Entry::new(&settings, whose, record)).collect()
    }
}

impl Entry {
    fn new(settings: &Settings, whose: &Reputed, record: &ReputationRecord) -> Self {
        let (domain, network) = names(whose);
        Self {
            domain: domain.map(str::to_owned),
            network: network.map(str::to_owned),
            good: record.good,
            bad: record.bad,
            first: timestamp(record.first),
            last: timestamp(record.last),
            // Taken alone, each is judged as a network is.
            estimate: judge(settings, Some(record), &[]).map(|leaning| leaning.estimate),
        }
    }
}

/// The pages.
pub(super) fn routes() -> Router<Pages> {
    Router::new().route("/reputation", get(show)).route("/reputation/reset", post(reset))
}

async fn show(State(pages): State<Pages>, Query(meant): Query<Meant>) -> Response {
    let Some(desk) = &pages.reputation else { return Json(Vec::<Entry>::new()).into_response() };
    let Ok(_alone) = pages.looking.try_acquire() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "somebody else is being told at this moment\n").into_response();
    };
    let name = match meant.whose.as_deref().map(Name::parse).transpose() {
        Ok(name) => name,
        Err(why) => return (StatusCode::BAD_REQUEST, format!("{why}\n")).into_response(),
    };
    let most = meant.limit.unwrap_or(USUAL).min(MOST);
    match desk.known(name.as_ref()).await {
        Ok(known) => Json(desk.entries(known.get(..most).unwrap_or(&known))).into_response(),
        Err(why) => unavailable(&why),
    }
}

async fn reset(State(pages): State<Pages>, meant: Result<Json<Meant>, JsonRejection>) -> Response {
    let Json(meant) = match meant {
        Ok(meant) => meant,
        Err(why) => return why.into_response(),
    };
    let Some(desk) = &pages.reputation else {
        return (StatusCode::NOT_FOUND, "nothing is remembered here\n").into_response();
    };
    let name = match meant.whose.as_deref().map(Name::parse).transpose() {
        Ok(name) => name,
        Err(why) => return (StatusCode::BAD_REQUEST, format!("{why}\n")).into_response(),
    };
    let Ok(_alone) = pages.looking.try_acquire() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "somebody else is being told at this moment\n").into_response();
    };
    let whose = match desk.known(name.as_ref()).await {
        Ok(known) => known.into_iter().map(|(whose, _)| whose).collect(),
        Err(why) => return unavailable(&why),
    };
    match desk.store.reputation_reset(whose).await {
        Ok(forgotten) => {
            tracing::info!(whose = meant.whose.as_deref().unwrap_or("all"), forgotten, "reputation.reset_by_hand");
            Json(Forgotten { forgotten }).into_response()
        }
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
