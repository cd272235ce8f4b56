//! The one list of routes.

use std::sync::{Arc, LazyLock};

use axum::{
    Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::get,
};
use gateway::Gateway;
use http::{StatusCode, Uri, header};
use ipnet::IpNet;
use model::refusal::Refusal;
use utoipa::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    console::{self, configuration::InForce},
    envelope, management as m, model_api,
    openapi::{self, Document},
    operation::Operation,
};

/// What handlers share.
#[derive(Clone, Debug)]
pub struct AppState {
    /// The gateway.
    pub gateway: Arc<Gateway>,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Arc<[IpNet]>,
    /// Largest body of a management call, in bytes.
    pub management_body: usize,
    /// The base URL that clients use, when it is not that of the request; `https` says that TLS is in front.
    pub public_url: Option<Arc<str>>,
    /// The configuration, as administrators see it.
    pub configuration: Arc<[InForce]>,
    /// Whether the node takes new requests: false while it drains.
    pub ready: Arc<std::sync::atomic::AtomicBool>,
}

impl AppState {
    /// Whether TLS is in front.
    pub(crate) fn is_secure(&self) -> bool {
        self.public_url.as_deref().is_some_and(|url| url.starts_with("https://"))
    }
}

fn documented() -> OpenApiRouter<AppState> {
    OpenApiRouter::with_openapi(Document::openapi())
        // API keys, for their owner
        .routes(routes!(m::keys::list, m::keys::create, m::keys::update))
        .routes(routes!(m::keys::get, m::keys::delete))
        .routes(routes!(m::keys::search))
        .routes(routes!(m::keys::delete_batch))
        // API keys, for their holder
        .routes(routes!(m::usage::of_key))
        .routes(routes!(m::usage::subscription))
        .routes(routes!(m::usage::billing_usage))
        // the account
        .routes(routes!(m::user::own))
        .routes(routes!(m::user::groups))
        .routes(routes!(m::logs::own))
        .routes(routes!(m::logs::search))
        .routes(routes!(m::logs::own_stat))
        .routes(routes!(m::logs::own_export))
        .routes(routes!(m::logs::own_hours))
        .routes(routes!(m::month::stats))
        .routes(routes!(m::tasks::own))
        .routes(routes!(m::tokens::list, m::tokens::create))
        .routes(routes!(m::tokens::revoke))
        .routes(routes!(m::tokens::set_up))
        // operators
        .routes(routes!(m::accounts::list, m::accounts::create, m::accounts::update))
        .routes(routes!(m::accounts::search))
        .routes(routes!(m::accounts::check))
        .routes(routes!(m::accounts::get))
        .routes(routes!(m::top_ups::list))
        .routes(routes!(m::groups::list, m::groups::put))
        .routes(routes!(m::groups::get, m::groups::delete))
        .routes(routes!(m::channels::list, m::channels::create, m::channels::update))
        .routes(routes!(m::channels::get, m::channels::delete))
        .routes(routes!(m::channels::enable))
        .routes(routes!(m::channels::disable))
        .routes(routes!(m::channels::test))
        .routes(routes!(m::credentials::create, m::credentials::update))
        .routes(routes!(m::credentials::delete))
        .routes(routes!(m::prices::list, m::prices::put))
        .routes(routes!(m::prices::withdraw))
        .routes(routes!(m::prices::import))
        .routes(routes!(m::catalog::put))
        .routes(routes!(m::logs::all))
        .routes(routes!(m::logs::all_stat))
        .routes(routes!(m::logs::all_export))
        .routes(routes!(m::logs::all_hours))
        .routes(routes!(m::routes::explain))
        .routes(routes!(m::audit::list))
        // everybody
        .routes(routes!(m::catalog::list))
        .routes(routes!(m::catalog::get, m::catalog::forget))
        // the model API; its doors stand in `gateway::exchange::Door`
        .routes(routes!(model_api::models))
        .routes(routes!(model_api::model))
        .routes(routes!(model_api::google_models))
        .routes(routes!(model_api::google_model))
}

/// The OpenAPI document.
pub(crate) fn document() -> utoipa::openapi::OpenApi {
    let (_, mut document) = documented().split_for_parts();
    openapi::with_doors(&mut document);
    openapi::with_failures(&mut document);
    document
}

/// The same as it is served. It is made when it is first asked for: most servers never are.
fn document_text() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| document().to_json().unwrap_or_default());
    &TEXT
}

/// Every route but the doors of the model API.
pub(crate) fn router(state: AppState) -> Router {
    let (router, _) = documented().split_for_parts();
    let serve_document = || async { ([(header::CONTENT_TYPE, "application/json")], document_text()) };
    router
        .route("/openapi.json", get(serve_document))
        .route("/health/live", get(|| async { "ok" }))
        .route("/health/ready", get(ready))
        .route("/metrics", get(metrics))
        .merge(console::router(&state))
        .fallback(unknown)
        .method_not_allowed_fallback(unknown_method)
        .with_state(state)
}

async fn ready(State(state): State<AppState>) -> Response {
    let draining = !state.ready.load(std::sync::atomic::Ordering::Acquire);
    let status = match (draining, state.gateway.ledger().is_admitting()) {
        (false, true) => (StatusCode::OK, "ready"),
        (true, _) => (StatusCode::SERVICE_UNAVAILABLE, "draining"),
        (false, false) => (StatusCode::SERVICE_UNAVAILABLE, "the journal cannot be written"),
    };
    status.into_response()
}

async fn metrics(State(state): State<AppState>) -> Response {
    match state.gateway.metrics_text() {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// An unknown path, in the caller's dialect.
async fn unknown(State(state): State<AppState>, operation: Operation, uri: Uri) -> Response {
    if uri.path().starts_with("/v1") {
        let words = Refusal::Upstream {
            status: 404,
            code: Some("unknown_path".to_owned()),
            message: format!("there is nothing at {}", uri.path().chars().take(128).collect::<String>()),
            retry_after: None,
        };
        return model_api::refuse_at(uri.path(), &words, &state, &operation);
    }
    envelope::failed(StatusCode::NOT_FOUND, "there is nothing at this path", "not_found")
}

async fn unknown_method(State(state): State<AppState>, operation: Operation, uri: Uri) -> Response {
    refuse_method(&state, &operation, &uri)
}

/// A method that a path does not have.
pub(crate) fn refuse_method(state: &AppState, operation: &Operation, uri: &Uri) -> Response {
    if uri.path().starts_with("/v1") {
        let words = Refusal::Upstream {
            status: 405,
            code: Some("method_not_allowed".to_owned()),
            message: "this path does not take this method".to_owned(),
            retry_after: None,
        };
        return model_api::refuse_at(uri.path(), &words, state, operation);
    }
    let message = "this path does not take this method";
    envelope::failed(StatusCode::METHOD_NOT_ALLOWED, message, "method_not_allowed")
}
