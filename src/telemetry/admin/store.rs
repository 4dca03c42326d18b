//! `/store`: how full the store is, and by POST `/store/compact`.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use serde_json::Value;

use super::Pages;
use crate::store::StoreError;

pub(super) fn routes() -> Router<Pages> {
    Router::new().route("/store", get(info_page)).route("/store/compact", post(compact_page))
}

async fn info_page(State(pages): State<Pages>) -> Response {
    let Ok(_alone) = pages.looking.try_acquire() else { return busy() };
    match &pages.upkeep {
        Some(store) => answer(store.info().await),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// The body is JSON that says nothing, which no web page can send a browser with.
async fn compact_page(State(pages): State<Pages>, Json(_nothing): Json<Value>) -> Response {
    let Ok(_alone) = pages.looking.try_acquire() else { return busy() };
    match &pages.upkeep {
        Some(store) => answer(store.compact().await),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

fn answer<T: serde::Serialize>(done: Result<T, StoreError>) -> Response {
    match done {
        Ok(done) => Json(done).into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    }
}

fn busy() -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, "somebody else is being told at this moment\n").into_response()
}
