//! The model API: requests on their way in, refusals in the caller's dialect, lists of models.

pub(crate) mod jobs;
pub(crate) mod realtime;

use axum::{
    Json,
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use gateway::{
    door::Entrance,
    exchange::{self, Question},
    models::{self as callable, Callable},
};
use http::{HeaderMap, HeaderValue, Request, StatusCode, Uri, header};
use model::refusal::Refusal;
use wire::{
    error::{self, Dialect, Setting},
    models,
};

use crate::{console::errors, credentials, layers::AnswerBody, operation::Operation, routes::AppState};

/// A refusal in the dialect that is spoken at `path`.
pub(crate) fn refuse_at(path: &str, refusal: &Refusal, state: &AppState, operation: &Operation) -> Response {
    let dialect = match path {
        path if path.starts_with("/v1beta") => Dialect::Google,
        path if path.starts_with("/v1/messages") => Dialect::Anthropic,
        path if path.starts_with("/v1/models/") && path.contains(':') => Dialect::Google,
        _ => Dialect::OpenAi,
    };
    refuse_in(dialect, refusal, state, operation)
}

fn refuse_in(dialect: Dialect, refusal: &Refusal, state: &AppState, operation: &Operation) -> Response {
    operation.entry.note(|facts| facts.error = Some(refusal.code().to_owned()));
    let error_type = state.gateway.settings().error_type.as_str();
    let setting = Setting { request_id: &operation.request_id, error_type };
    let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::BAD_GATEWAY);
    let mut response = (status, Json(error::body(refusal, dialect, setting))).into_response();
    let headers = response.headers_mut();
    if !matches!(refusal, Refusal::Upstream { .. }) {
        errors::link(refusal.code(), headers);
    }
    if !refusal.may_retry() {
        headers.insert("x-should-retry", HeaderValue::from_static("false"));
    }
    if let Some(seconds) = error::retry_after(refusal) {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// Answers a model request.
pub(crate) async fn ask<B>(
    entrance: Entrance,
    state: &AppState,
    operation: &Operation,
    request: Request<B>,
) -> Response<AnswerBody>
where
    B: http_body::Body<Data = Bytes> + Unpin,
{
    let (parts, body) = request.into_parts();
    let question = Question {
        entrance,
        credentials: credentials::of(&parts.headers, &parts.uri),
        client: operation.client,
        headers: parts.headers,
        body,
        request_id: operation.request_id.clone(),
        entry: operation.entry.clone(),
        started: operation.started,
    };
    match exchange::answer(&state.gateway, question).await {
        Ok(answer) => {
            let mut response = Response::new(AnswerBody::Model(answer.body));
            (*response.status_mut(), *response.headers_mut()) = (answer.status, answer.headers);
            response
        }
        Err(refusal) => refuse_at(parts.uri.path(), &refusal, state, operation).map(AnswerBody::Rest),
    }
}

async fn callable(
    state: &AppState,
    operation: &Operation,
    headers: &HeaderMap,
    uri: &Uri,
) -> Result<Vec<Callable>, Refusal> {
    let credentials = credentials::of(headers, uri);
    callable::callable(&state.gateway, &credentials, operation.client, &operation.entry).await
}

fn shown(model: &Callable, dialect: Dialect) -> serde_json::Value {
    let endpoints: Vec<&str> = model.doors.iter().filter_map(|door| door.endpoint()).collect();
    let talks = model.doors.iter().any(|door| door.dialect().is_some());
    let Callable { id, provider, largest, .. } = model;
    let model =
        models::Model { id, owner: provider.as_deref(), endpoints: &endpoints, talks, largest: *largest };
    models::one(model, dialect)
}

/// Whose shape a list has: Google's where its path is, Anthropic's for who says its version.
fn dialect(headers: &HeaderMap, uri: &Uri) -> Dialect {
    match uri.path().starts_with("/v1beta") {
        true => Dialect::Google,
        false if headers.contains_key("anthropic-version") => Dialect::Anthropic,
        // Some of Google's clients ask under /v1.
        false if headers.contains_key("x-goog-api-key") => Dialect::Google,
        false => Dialect::OpenAi,
    }
}

/// The models that this key may call; in Anthropic's shape where `anthropic-version` is sent.
#[utoipa::path(get, path = "/v1/models", tag = "Models",
    responses((status = 200, description = "The list", body = serde_json::Value)), security(("api_key" = [])))]
pub(crate) async fn models(
    State(state): State<AppState>,
    operation: Operation,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    let dialect = dialect(&headers, &uri);
    match callable(&state, &operation, &headers, &uri).await {
        Ok(found) => {
            let shown = found.iter().map(|model| shown(model, dialect)).collect();
            Json(models::list(shown, dialect)).into_response()
        }
        Err(refusal) => refuse_in(dialect, &refusal, &state, &operation),
    }
}

/// One model that this key may call.
#[utoipa::path(get, path = "/v1/models/{id}", tag = "Models", params(("id" = String, Path, description = "The model")),
    responses((status = 200, description = "The model", body = serde_json::Value)), security(("api_key" = [])))]
pub(crate) async fn model(
    State(state): State<AppState>,
    operation: Operation,
    Path(id): Path<String>,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    let dialect = dialect(&headers, &uri);
    match callable(&state, &operation, &headers, &uri).await {
        Ok(found) => {
            if let Some(model) = found.iter().find(|model| model.id == id) {
                return Json(shown(model, dialect)).into_response();
            }
            let missing = Refusal::Upstream {
                status: 404,
                code: Some("model_not_found".to_owned()),
                message: format!(
                    "this API key can call no model {}",
                    id.chars().take(256).collect::<String>()
                ),
                retry_after: None,
            };
            refuse_in(dialect, &missing, &state, &operation)
        }
        Err(refusal) => refuse_in(dialect, &refusal, &state, &operation),
    }
}

/// The models that this key may call, in Google's shape.
#[utoipa::path(get, path = "/v1beta/models", tag = "Models",
    responses((status = 200, description = "The list", body = serde_json::Value)), security(("api_key" = [])))]
pub(crate) async fn google_models(
    state: State<AppState>,
    operation: Operation,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    models(state, operation, headers, uri).await
}

/// One model that this key may call, in Google's shape.
#[utoipa::path(get, path = "/v1beta/models/{id}", tag = "Models", params(("id" = String, Path, description = "The model")),
    responses((status = 200, description = "The model", body = serde_json::Value)), security(("api_key" = [])))]
pub(crate) async fn google_model(
    state: State<AppState>,
    operation: Operation,
    id: Path<String>,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    model(state, operation, id, headers, uri).await
}
