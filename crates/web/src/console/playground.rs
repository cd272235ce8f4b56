//! The playground: a chat with a model, as one of the reader's own keys.
//!
//! The page names the key by its id and never has its text. What is asked goes through the gateway's own exchange as that
//! key, so it is checked, held, charged and recorded as every request of it is.

use std::collections::BTreeSet;

use askama::Template;
use axum::{
    Json,
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use gateway::{
    Credentials, KeyFilter, Page,
    door::{Door, Entrance},
    exchange::{self, Question},
    groups, keys,
    usage::{self, Scope, UsageQuery},
};
use http::{HeaderMap, HeaderValue, Uri, header};
use http_body_util::Full;
use model::{id::KeyId, key::Status};
use serde_json::json;

use super::{
    form::Form,
    frame::{self, Frame},
    key_page::number,
    oops::Oops,
    page::Query,
    show,
    visitor::SignedIn,
};
use crate::{model_api, operation::Operation, routes::AppState};

/// Keys that are offered: the newest that work.
const KEYS: i64 = 100;

/// A model that can be asked.
struct ModelOption {
    name: String,
    /// Whether it makes images.
    images: bool,
}

#[derive(Template)]
#[template(path = "playground.html")]
struct PlaygroundPage {
    f: Frame,
    keys: Vec<(i64, String)>,
    models: Vec<ModelOption>,
    chosen: Option<i64>,
    model: String,
}

impl PlaygroundPage {
    fn is_chosen(&self, key: &i64) -> bool {
        self.chosen == Some(*key)
    }
}

/// Where one talks to a model.
pub(crate) async fn show(
    State(state): State<AppState>,
    signed: SignedIn,
    uri: Uri,
) -> Result<Response, Oops> {
    let (gateway, caller) = (&state.gateway, &signed.caller);
    let query = Query::of(&uri);
    let working = KeyFilter { status: Some(Status::Enabled), descending: true, ..KeyFilter::default() };
    let found = keys::find(gateway, caller, &working, Page { number: 1, size: KEYS }).await?;
    let name = |view: &gateway::KeyView| match view.key.settings.name.as_str() {
        "" => format!("#{}", view.key.id),
        name => name.to_owned(),
    };
    let routing = gateway.routing();
    let usable = groups::usable(gateway, caller).await?;
    let served = usable.iter().flat_map(|group| routing.models(&group.name));
    let names: BTreeSet<&str> = served.collect();
    let option = |name: &str| {
        let (talks, images) = [Door::Chat, Door::Images].map(|door| door.is_of(routing.facts(name))).into();
        (talks || images).then(|| ModelOption { name: name.to_owned(), images: !talks })
    };
    let models: Vec<ModelOption> = names.into_iter().filter_map(option).collect();
    let first = models.iter().find(|model| !model.images).or(models.first()).map(|model| model.name.clone());
    let page = PlaygroundPage {
        keys: found
            .keys
            .iter()
            .filter(|view| !view.is_damaged())
            .map(|view| (view.key.id.0, name(view)))
            .collect(),
        model: query.given("model").or(first).unwrap_or_default(),
        models,
        chosen: query.number("key"),
        f: signed.frame,
    };
    Ok(frame::ok(&page))
}

/// Asks a model as one of the reader's keys. What comes back is what the model API would answer.
pub(crate) async fn ask(
    State(state): State<AppState>,
    signed: SignedIn,
    operation: Operation,
    form: Form,
) -> Result<Response, Oops> {
    let key = KeyId(number(form.text("key"))?);
    let view = keys::get(&state.gateway, &signed.caller, key).await?;
    let door = if form.text("door") == "images" { Door::Images } else { Door::Chat };
    let path = door.path();
    let entrance = Entrance::at(path, None).ok_or(Oops::Nowhere)?;
    let mut credentials = Credentials::default();
    credentials.add(&view.secret);
    let question = Question {
        entrance,
        credentials,
        client: operation.client,
        headers: HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))]),
        body: Full::new(Bytes::copy_from_slice(form.raw("body").as_bytes())),
        request_id: operation.request_id.clone(),
        entry: operation.entry.clone(),
        started: operation.started,
    };
    Ok(match exchange::answer(&state.gateway, question).await {
        Ok(answer) => {
            let mut response = Response::new(Body::new(answer.body));
            (*response.status_mut(), *response.headers_mut()) = (answer.status, answer.headers);
            response
        }
        Err(refusal) => model_api::refuse_at(path, &refusal, &state, &operation),
    })
}

/// What one of the reader's requests has cost, by its request id: once it has ended.
pub(crate) async fn receipt(
    State(state): State<AppState>,
    signed: SignedIn,
    uri: Uri,
) -> Result<Response, Oops> {
    let query = Query::of(&uri);
    let wanted = UsageQuery { request_id: query.given("request_id"), ..UsageQuery::default() };
    if wanted.request_id.is_none() {
        return Err(Oops::Nowhere);
    }
    let records =
        usage::newest(&state.gateway, &signed.caller, Scope::Own, &wanted, Page { number: 1, size: 1 })
            .await?
            .records;
    // A request that was refused before anything was sent has no record.
    let Some(record) = records.first() else { return Ok(Json(serde_json::Value::Null).into_response()) };
    let tokens = &record.tokens;
    let input = [tokens.input, tokens.cached_input, tokens.cache_write].map(i128::from);
    let receipt = json!({
        "cost": show::dollars(record.units.get()),
        "input": show::grouped(input.iter().sum()),
        "output": show::grouped(tokens.output.into()),
        "first_byte_ms": record.first_byte_ms,
        "took_ms": record.ended.millis_since(record.started),
        "page": format!("/console/usage/{}", record.id),
    });
    Ok(Json(receipt).into_response())
}
