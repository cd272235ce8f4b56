//! The one list of routes.

use std::sync::{Arc, LazyLock};

use axum::{
    Router,
    extract::State,
    handler::Handler,
    response::{IntoResponse, Response},
    routing::{MethodRouter, get},
};
use gateway::Gateway;
use http::{StatusCode, Uri, header};
use ipnet::IpNet;
use model::refusal::Refusal;
use pastey::paste;
use utoipa::{OpenApi, Path, openapi::HttpMethod};
use utoipa_axum::{PathItemExt, router::OpenApiRouter};

use crate::{
    console::{self, configuration::InForce},
    envelope,
    management::{
        accounts, audit, catalog, channels, credentials, groups, keys, logs, month, prices, routes, tasks,
        tokens, top_ups, usage, user,
    },
    model_api,
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

/// Gives `$each` every operation that is described: one list for what is served and for what is documented.
macro_rules! operations {
    ($each:ident) => {
        $each! {
            // API keys: for their owner, for their holder
            keys { list, create, update, get, delete, search, delete_batch }
            usage { of_key, subscription, billing_usage }
            // the account
            user { own, groups }
            logs { own, search, own_stat, own_export, own_hours }
            month { stats }
            tasks { own }
            tokens { list, create, revoke, set_up }
            // operators
            accounts { list, create, update, search, check, get }
            top_ups { list }
            groups { list, put, get, delete }
            channels { list, create, update, get, delete, enable, disable, test }
            credentials { create, update, delete }
            prices { list, put, withdraw, import }
            catalog { put, forget }
            logs { all, all_stat, all_export, all_hours }
            routes { explain }
            audit { list }
            // everybody
            catalog { list, get }
            // the model API; its doors stand in `gateway::door::Door`
            model_api { models, model, google_models, google_model }
        }
    };
}

macro_rules! documented {
    ($($module:ident { $($operation:ident),+ })+) => {
        OpenApiRouter::<AppState>::with_openapi(Document::openapi())
            $($(.routes(utoipa_axum::routes!($module::$operation)))+)+
    };
}

macro_rules! served {
    ($($module:ident { $($operation:ident),+ })+) => {
        Router::new()
            $($(.route(
                &paste!($module::[<__path_ $operation>]::path()),
                on(paste!($module::[<__path_ $operation>]::methods()), $module::$operation),
            ))+)+
    };
}

fn on<T: 'static>(methods: Vec<HttpMethod>, operation: impl Handler<T, AppState>) -> MethodRouter<AppState> {
    let served = MethodRouter::new();
    methods.iter().fold(served, |served, method| served.on(method.to_method_filter(), operation.clone()))
}

/// The OpenAPI document.
pub(crate) fn document() -> utoipa::openapi::OpenApi {
    let (_, mut document) = operations!(documented).split_for_parts();
    openapi::with_doors(&mut document);
    openapi::with_failures(&mut document);
    document
}

/// The same as it is served. It is made when it is first asked for: it takes 4 MiB, and most servers never are.
fn document_text() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| document().to_json().unwrap_or_default());
    &TEXT
}

/// Every route but the doors of the model API.
pub(crate) fn router(state: AppState) -> Router {
    let serve_document = || async { ([(header::CONTENT_TYPE, "application/json")], document_text()) };
    operations!(served)
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
