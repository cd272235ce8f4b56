//! The management API: one module for each aggregate, one function for each endpoint.

pub(crate) mod accounts;
pub(crate) mod audit;
pub(crate) mod catalog;
pub(crate) mod channels;
pub(crate) mod credentials;
mod csv;
pub(crate) mod groups;
pub(crate) mod keys;
mod log_record;
pub(crate) mod logs;
pub(crate) mod month;
pub(crate) mod prices;
pub(crate) mod routes;
pub(crate) mod tasks;
pub(crate) mod tokens;
pub(crate) mod top_ups;
pub(crate) mod usage;
pub(crate) mod user;

use std::{collections::HashMap, time::Duration};

use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use gateway::Page;
use gateway::{
    Failure,
    access::{self, Caller},
};
use http::{header, request::Parts};
use http_body_util::BodyExt;
use model::clock::Timestamp;
use serde::{Serialize, de::DeserializeOwned};
use utoipa::{IntoParams, ToSchema};

use crate::{envelope::Problem, json, routes::AppState};

/// The longest that a management body may take to arrive.
const BODY_TIME: Duration = Duration::from_secs(15);
/// Entries on a page, when nothing is said and at most.
const PAGE: i64 = 10;
const LARGEST_PAGE: i64 = 100;

/// Somebody with a valid personal access token.
pub(crate) struct Authenticated(pub(crate) Caller);

impl FromRequestParts<AppState> for Authenticated {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let authorization = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        Ok(Self(access::authenticate(&state.gateway, authorization).await?))
    }
}

/// The variable part of a path.
pub(crate) struct Segment(pub(crate) String);

impl FromRequestParts<AppState> for Segment {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        let Path(text) = path.map_err(|_| Failure::Invalid("the path is not valid UTF-8".to_owned()))?;
        Ok(Self(text))
    }
}

/// A JSON object, read strictly.
pub(crate) struct Input<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<AppState> for Input<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Problem> {
        let limit = state.management_body;
        let told = request.headers().get(header::CONTENT_LENGTH);
        let told = told.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        if told.is_some_and(|length| length > limit) {
            return Err(Problem::TooLarge(limit));
        }
        let body = http_body_util::Limited::new(request.into_body(), limit);
        let slow = |_| Failure::Invalid("the request body did not arrive in time".to_owned());
        let body = tokio::time::timeout(BODY_TIME, body.collect()).await.map_err(slow)?;
        let body = body.map_err(|_| Problem::TooLarge(limit))?.to_bytes();
        Ok(Self(json::read(&body)?))
    }
}

/// Which part of a list. Whatever is not a number from 1 on becomes the default; above 100 entries become 100.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "the shape of the query in the OpenAPI document; Paging reads it leniently")]
pub(crate) struct PageQuery {
    /// The page, from 1.
    #[param(default = 1, minimum = 1)]
    p: Option<i64>,
    /// Entries on a page, 1 to 100.
    #[param(default = 10, minimum = 1, maximum = 100)]
    page_size: Option<i64>,
}

/// The query of a list, read leniently.
pub(crate) struct Paging {
    pub(crate) page: Page,
    pub(crate) query: HashMap<String, String>,
}

impl FromRequestParts<AppState> for Paging {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, Problem> {
        let query = Query::<HashMap<String, String>>::try_from_uri(&parts.uri);
        let query = query.map(|Query(query)| query).unwrap_or_default();
        let number =
            |name: &str| query.get(name).and_then(|text| text.parse::<i64>().ok()).filter(|n| *n >= 1);
        let page = Page {
            number: number("p").unwrap_or(1),
            size: number("page_size").unwrap_or(PAGE).min(LARGEST_PAGE),
        };
        Ok(Self { page, query })
    }
}

/// A part of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Listed<T> {
    /// The page, from 1.
    pub(crate) page: i64,
    /// Entries on a page.
    pub(crate) page_size: i64,
    /// Entries on all pages.
    pub(crate) total: i64,
    /// The entries.
    pub(crate) items: Vec<T>,
}

impl<T> Listed<T> {
    pub(crate) fn new(page: Page, total: i64, items: Vec<T>) -> Self {
        Self { page: page.number, page_size: page.size, total, items }
    }
}

/// An id in a path.
pub(crate) fn id(text: &str) -> Result<i64, Failure> {
    text.parse().map_err(|_| Failure::Invalid("id must be an integer".to_owned()))
}

/// An id in a body.
pub(crate) fn required(id: Option<i64>) -> Result<i64, Failure> {
    id.ok_or_else(|| Failure::Invalid("id is required".to_owned()))
}

/// Unix seconds, -1 for never.
pub(crate) fn seconds(time: Option<Timestamp>) -> i64 {
    time.map_or(-1, Timestamp::secs)
}
