//! Asynchronous tasks: images, music and video that a provider makes while nobody waits.

use axum::extract::State;
use serde_json::Value;

use super::{Authenticated, Listed, PageQuery, Paging};
use crate::{
    envelope::{Envelope, Failed, Reply, ok},
    routes::AppState,
};

/// Own tasks, newest first. No door of this version makes one.
#[utoipa::path(get, path = "/api/task/self", tag = "Usage", params(PageQuery),
    responses((status = 200, body = Envelope<Listed<Value>>), (status = 401, body = Failed)), security(("personal_access_token" = [])))]
pub(crate) async fn own(
    State(_): State<AppState>,
    Authenticated(_): Authenticated,
    paging: Paging,
) -> Reply<Listed<Value>> {
    ok(Listed::new(paging.page, 0, Vec::new()))
}
