//! `/store`: how full the store is.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;

use super::Pages;

pub(super) fn routes() -> Router<Pages> {
    Router::new().route("/store", get(info_page))
}

async fn info_page(State(pages): State<Pages>) -> Response {
    let Ok(_alone) = pages.looking.try_acquire() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "somebody else is being told at this moment\n").into_response();
    };
    match &pages.upkeep {
        Some(store) => match store.info().await {
            Ok(info) => Json(info).into_response(),
            Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
        },
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
