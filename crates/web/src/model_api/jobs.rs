//! Jobs of the model API: videos that are begun, asked for, fetched, changed and deleted.

use axum::{body::Body, response::Response};
use bytes::Bytes;
use gateway::jobs::{self, Place, Question};
use http::Request;
use utoipa::openapi::HttpMethod;

use crate::{credentials, model_api, operation::Operation, routes::AppState};

/// Answers a request about jobs.
pub(crate) async fn ask<B>(
    place: Place,
    state: &AppState,
    operation: &Operation,
    request: Request<B>,
) -> Response
where
    B: http_body::Body<Data = Bytes> + Unpin,
{
    let (parts, body) = request.into_parts();
    let question = Question {
        place,
        query: parts.uri.query().map(str::to_owned),
        credentials: credentials::of(&parts.headers, &parts.uri),
        client: operation.client,
        headers: parts.headers,
        body,
        request_id: operation.request_id.clone(),
        entry: operation.entry.clone(),
        started: operation.started,
    };
    match jobs::answer(&state.gateway, question).await {
        Ok(answer) => {
            let mut response = Response::new(Body::new(answer.body));
            (*response.status_mut(), *response.headers_mut()) = (answer.status, answer.headers);
            response
        }
        Err(refusal) => model_api::refuse_at("/v1/videos", &refusal, state, operation),
    }
}

/// What is asked of a job beside beginning it, for the OpenAPI document.
pub(crate) const OPERATIONS: [(HttpMethod, &str, &str); 5] = [
    (HttpMethod::Get, "/v1/videos", "The account's videos, newest first: limit, after, order"),
    (HttpMethod::Get, "/v1/videos/{id}", "A video as it is now"),
    (HttpMethod::Delete, "/v1/videos/{id}", "Deletes a video that has ended"),
    (HttpMethod::Get, "/v1/videos/{id}/content", "What was made; variant names another form of it"),
    (HttpMethod::Post, "/v1/videos/{id}/remix", "Begins a video that changes this one"),
];
