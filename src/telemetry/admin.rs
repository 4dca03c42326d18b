//! `/metrics`, `/healthz`, `/readyz`, `/forwarders`, `/greylist`, `/blocks`, `/bulk`, `/classifier`, `/reputation`,
//! `/reload` and `/store` over HTTP.
//!
//! Meant for an address that only the monitoring reaches; still it cannot be knocked over from there:
//! connections are bounded in number and in length of life, whatever they do or fail to do.
//! It tells, and changes nothing but what is remembered of greylisting, campaigns and reputations, who is blocked, and
//! which of the operator's own files are in force. No web page
//! reaches it through a browser: what tells more than monitoring needs is refused to who asks for it by a name, which
//! could be made to lead here.

pub mod blocks;
mod bounded;
pub mod bulk;
pub mod classifier;
pub mod greylist;
pub mod hop;
pub mod reload;
pub mod reputation;
mod store;

use std::future::IntoFuture;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Query, Request, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HOST};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use axum::{Router, serve};
use prometheus::Registry;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tracing::error;

use super::metrics;
use crate::store::{Forwarders, Upkeep, WantedHops};
use bounded::Bounded;
use hop::Hop;

/// Connections at a time; others wait in the backlog.
const CONNECTIONS: usize = 64;
/// Longest life of a connection. A scraper that keeps its connection opens a new one from time to time.
const LIFETIME: Duration = Duration::from_secs(30);
/// How long answers under way may take at the end.
const GRACE: Duration = Duration::from_secs(2);

/// Hops in one answer, unless another number is asked for.
const HOPS: usize = 10_000;

/// Whether mail should come to us now, and if not, why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Readiness {
    /// All listeners are bound.
    pub listening: bool,
    /// Backends that take mail now.
    pub backends_ready: usize,
    /// We are stopping.
    pub draining: bool,
    /// The rules as written did not load at the start: the last good ones judge. Mail may come all the same.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub rules_from_snapshot: bool,
}

/// Who knows about readiness.
pub trait Health: Send + Sync + 'static {
    /// How it is now; cheap.
    fn readiness(&self) -> Readiness;
}

#[derive(Serialize)]
struct ReadyPage {
    ready: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(flatten)]
    readiness: Readiness,
}

/// What `/forwarders` can be asked.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// Also hops that have forwarded nothing.
    #[serde(default)]
    all: bool,
    /// So many at most.
    #[serde(default = "Asked::limit")]
    limit: usize,
}

impl Asked {
    fn limit() -> usize {
        HOPS
    }
}

/// What the pages tell about.
#[derive(Clone)]
pub struct Pages {
    /// All metrics.
    pub registry: Registry,
    /// Who knows about readiness.
    pub health: Arc<dyn Health>,
    /// What is remembered; `None`: nothing.
    pub store: Option<Arc<dyn Forwarders>>,
    /// What is remembered of triplets; `None`: nothing.
    pub greylist: Option<Arc<greylist::Desk>>,
    /// What senders have earned; `None`: nothing.
    pub reputation: Option<Arc<reputation::Desk>>,
    /// Who is blocked; `None`: nobody can be.
    pub blocks: Option<Arc<blocks::Desk>>,
    /// What is remembered of campaigns; `None`: nothing.
    pub bulk: Option<Arc<bulk::Desk>>,
    /// What the classifier was taught; `None`: nothing.
    pub classifier: Option<Arc<classifier::Desk>>,
    /// The store as a whole; `None`: there is none.
    pub upkeep: Option<Arc<dyn Upkeep>>,
    /// Who can be told to reload; `None`: nobody.
    pub reloads: Option<Arc<reload::Desk>>,
    /// One at a time looks through all hops: it takes a while, and memory.
    looking: Arc<Semaphore>,
}

impl Pages {
    /// Pages that tell about these.
    pub fn new(registry: Registry, health: Arc<dyn Health>, store: Option<Arc<dyn Forwarders>>) -> Self {
        Self {
            registry,
            health,
            store,
            greylist: None,
            reputation: None,
            blocks: None,
            bulk: None,
            classifier: None,
            upkeep: None,
            reloads: None,
            looking: Arc::new(Semaphore::new(1)),
        }
    }

    /// With what is remembered of triplets.
    #[must_use]
    pub fn with_greylist(self, greylist: Option<Arc<greylist::Desk>>) -> Self {
        Self { greylist, ..self }
    }

    /// With what senders have earned.
    #[must_use]
    pub fn with_reputation(self, reputation: Option<Arc<reputation::Desk>>) -> Self {
        Self { reputation, ..self }
    }

    /// With who is blocked.
    #[must_use]
    pub fn with_blocks(self, blocks: Option<Arc<blocks::Desk>>) -> Self {
        Self { blocks, ..self }
    }

    /// With what is remembered of campaigns.
    #[must_use]
    pub fn with_bulk(self, bulk: Option<Arc<bulk::Desk>>) -> Self {
        Self { bulk, ..self }
    }

    /// With what the classifier was taught.
    #[must_use]
    pub fn with_classifier(self, classifier: Option<Arc<classifier::Desk>>) -> Self {
        Self { classifier, ..self }
    }

    /// With who can be told to reload.
    #[must_use]
    pub fn with_reloads(self, reloads: Arc<reload::Desk>) -> Self {
        Self { reloads: Some(reloads), ..self }
    }

    /// With the store as a whole.
    #[must_use]
    pub fn with_upkeep(self, upkeep: Option<Arc<dyn Upkeep>>) -> Self {
        Self { upkeep, ..self }
    }
}

/// Answers at `listener` until `stop` is cancelled, then for a moment what is under way.
///
/// # Errors
/// None are known: accepting goes on through failures.
pub async fn run(listener: TcpListener, pages: Pages, stop: CancellationToken) -> io::Result<()> {
    let inner = Router::new()
        .route("/forwarders", get(forwarders_page))
        .merge(greylist::routes())
        .merge(blocks::routes())
        .merge(bulk::routes())
        .merge(classifier::routes())
        .merge(reload::routes())
        .merge(reputation::routes())
        .merge(store::routes());
    let router = Router::new()
        .route("/metrics", get(metrics_page))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready_page))
        .merge(inner.route_layer(from_fn(by_address)))
        .with_state(pages);
    let serving = serve(Bounded::new(listener, CONNECTIONS, LIFETIME), router)
        .with_graceful_shutdown(stop.clone().cancelled_owned())
        .into_future();
    let overdue = async {
        stop.cancelled().await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        ended = serving => ended,
        () = overdue => Ok(()),
    }
}

/// Lets in who asks for an address, or for this machine: the name of a web page could lead here.
async fn by_address(request: Request, next: Next) -> Response {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    match host.is_none_or(is_address) {
        true => next.run(request).await,
        false => (StatusCode::MISDIRECTED_REQUEST, "ask for the address, not for a name\n").into_response(),
    }
}

/// True for an IP address or `localhost`, with a port or without.
fn is_address(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|octet| octet.is_ascii_digit()) => name,
        _ => host,
    };
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    name.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok()
}

async fn metrics_page(State(pages): State<Pages>) -> Response {
    match metrics::encode(&pages.registry) {
        Ok(text) => ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        Err(error) => {
            error!(%error, "cannot encode metrics");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// What is known about hops, those with most forwarded messages first: what `gatepost forwarders` asks for,
/// because only one process can have the store open.
async fn forwarders_page(State(pages): State<Pages>, Query(asked): Query<Asked>) -> Response {
    let Ok(_alone) = pages.looking.try_acquire() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "somebody else is being told at this moment\n").into_response();
    };
    let wanted = WantedHops { forwarding: !asked.all, most: asked.limit };
    let hops = match &pages.store {
        Some(store) => store.hops(wanted).await,
        None => Ok(Vec::new()),
    };
    match hops {
        Ok(hops) => Json(hops.iter().map(Hop::from).collect::<Vec<_>>()).into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    }
}

async fn ready_page(State(pages): State<Pages>) -> impl IntoResponse {
    let readiness = pages.health.readiness();
    let reason = readiness.obstacle();
    let status = if reason.is_none() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(ReadyPage { ready: reason.is_none(), reason, readiness }))
}

impl Readiness {
    /// Why mail should not come to us now.
    pub fn obstacle(self) -> Option<&'static str> {
        if self.draining {
            Some("draining")
        } else if !self.listening {
            Some("listeners not bound")
        } else if self.backends_ready == 0 {
            Some("no backend ready")
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests;
