//! `/reload`: which rules judge. By POST of JSON the operator has the configuration read again (`/reload`), or ends a
//! trial of rules (`/reload/promote`, `/reload/abort`); `/reload/attempt` tells what came of it.
//!
//! What is read are the files that the proxy was started with: nothing of a configuration comes over this way.

use axum::Router;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use serde::{Deserialize, Serialize};

use super::Pages;
pub use crate::server::reload::Desk;
use crate::server::reload::{Attempt, Said};

/// Which attempt is meant.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Numbered {
    number: u64,
}

/// Nothing but that it is meant.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Meant {}

/// The pages.
pub(super) fn routes() -> Router<Pages> {
    Router::new()
        .route("/reload", get(status).post(reload))
        .route("/reload/attempt", get(attempt))
        .route("/reload/promote", post(promote))
        .route("/reload/abort", post(abort))
}

async fn status(State(pages): State<Pages>) -> Response {
    match &pages.reloads {
        Some(desk) => Json(desk.status()).into_response(),
        None => nobody(),
    }
}

async fn reload(State(pages): State<Pages>, said: Result<Json<Said>, JsonRejection>) -> Response {
    match (said, &pages.reloads) {
        (Err(why), _) => why.into_response(),
        (Ok(Json(said)), Some(desk)) => match desk.ask(said).await {
            Some(attempt) => Json(attempt).into_response(),
            None => (StatusCode::SERVICE_UNAVAILABLE, "too many wait for a reload already\n").into_response(),
        },
        (Ok(_), None) => nobody(),
    }
}

async fn attempt(State(pages): State<Pages>, Query(Numbered { number }): Query<Numbered>) -> Response {
    let Some(desk) = &pages.reloads else { return nobody() };
    let told: Option<Attempt> = desk.outcome(number).await;
    match told {
        Some(attempt) => Json(attempt).into_response(),
        None => (StatusCode::NOT_FOUND, "nothing is known of that attempt any more\n").into_response(),
    }
}

async fn promote(State(pages): State<Pages>, meant: Result<Json<Meant>, JsonRejection>) -> Response {
    end(&pages, meant, true)
}

async fn abort(State(pages): State<Pages>, meant: Result<Json<Meant>, JsonRejection>) -> Response {
    end(&pages, meant, false)
}

fn end(pages: &Pages, meant: Result<Json<Meant>, JsonRejection>, promote: bool) -> Response {
    match (meant, &pages.reloads) {
        (Err(why), _) => why.into_response(),
        (Ok(_), None) => nobody(),
        (Ok(_), Some(desk)) => Json(desk.end(promote)).into_response(),
    }
}

fn nobody() -> Response {
    (StatusCode::NOT_FOUND, "nothing can be loaded again here\n").into_response()
}
