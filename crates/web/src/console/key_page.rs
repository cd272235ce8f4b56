//! The page of one API key.

use askama::Template;
use axum::{extract::State, response::Response};
use gateway::{
    KeyView,
    keys::{self, KeyInput},
    usage::{self, UsageQuery},
};
use model::{id::KeyId, key::AUTO};

use super::{
    form::Form,
    frame::{self, Frame, go},
    keys::{Row, row},
    oops::Oops,
    usage::Line,
    visitor::SignedIn,
};
use crate::{
    management::{Segment, id},
    routes::AppState,
};

/// Requests that are shown.
const RECENT: i64 = 8;
/// The kind of usage records that failed.
const FAILED: i64 = 5;
/// Failed ones that are shown.
const ERRORS: i64 = 4;

#[derive(Template)]
#[template(path = "key.html")]
struct KeyPage {
    f: Frame,
    row: Row,
    models: Option<Vec<String>>,
    addresses: Vec<String>,
    auto: bool,
    cross_group_retry: bool,
    created: String,
    recent: Vec<Line>,
    failed: Vec<Line>,
    model: String,
    /// The key's text, only when it was asked for.
    secret: Option<String>,
}

async fn page(
    state: &AppState,
    signed: SignedIn,
    view: &KeyView,
    secret: Option<String>,
) -> Result<Response, Oops> {
    let query = UsageQuery { key: Some(view.key.id), ..UsageQuery::default() };
    let records = usage::latest(&state.gateway, &signed.caller, &query, RECENT).await?;
    let errors = UsageQuery { kind: Some(FAILED), ..query };
    let failed = usage::latest(&state.gateway, &signed.caller, &errors, ERRORS).await?;
    let settings = &view.key.settings;
    let routing = state.gateway.routing();
    let group = if settings.group.is_empty() { &signed.caller.account.group } else { &settings.group };
    let served = routing.models(group);
    let model = served.into_iter().find(|model| settings.allows_model(model)).unwrap_or("MODEL");
    let list = settings.allow_ips.as_deref().unwrap_or_default();
    let t = signed.frame.t;
    let page = KeyPage {
        row: row(&state.gateway, t, view),
        models: settings.model_limits_enabled.then(|| settings.models().map(str::to_owned).collect()),
        addresses: list.split_whitespace().map(str::to_owned).collect(),
        auto: settings.group == AUTO,
        cross_group_retry: settings.cross_group_retry,
        created: super::show::moment(view.key.created),
        recent: records.iter().map(|record| Line::new(t, record)).collect(),
        failed: failed.iter().map(|record| Line::new(t, record)).collect(),
        model: model.to_owned(),
        secret,
        f: signed.frame,
    };
    Ok(frame::ok(&page))
}

/// One own key, without its text.
pub(crate) async fn show(
    State(state): State<AppState>,
    signed: SignedIn,
    Segment(key): Segment,
) -> Result<Response, Oops> {
    let view = keys::get(&state.gateway, &signed.caller, KeyId(number(&key)?)).await?;
    page(&state, signed, &view, None).await
}

/// A number in a path; what is none is nowhere.
pub(crate) fn number(text: &str) -> Result<i64, Oops> {
    id(text).map_err(|_| Oops::Nowhere)
}

/// One own key with its text: the audit record says that it was shown.
pub(crate) async fn reveal(
    State(state): State<AppState>,
    signed: SignedIn,
    Segment(key): Segment,
    _: Form,
) -> Result<Response, Oops> {
    let view = keys::reveal(&state.gateway, &signed.caller, KeyId(number(&key)?)).await?;
    let secret = view.secret.to_string();
    page(&state, signed, &view, Some(secret)).await
}

/// Switches a key on or off.
pub(crate) async fn set_status(
    State(state): State<AppState>,
    signed: SignedIn,
    Segment(key): Segment,
    form: Form,
) -> Result<Response, Oops> {
    let key = number(&key)?;
    let input = KeyInput { status: form.number("status")?, ..KeyInput::default() };
    keys::update(&state.gateway, &signed.caller, KeyId(key), input, true).await?;
    Ok(go(&format!("/console/keys/{key}?done=saved")))
}

/// Deletes a key for good.
pub(crate) async fn delete(
    State(state): State<AppState>,
    signed: SignedIn,
    Segment(key): Segment,
    _: Form,
) -> Result<Response, Oops> {
    keys::delete(&state.gateway, &signed.caller, &[KeyId(number(&key)?)]).await?;
    Ok(go("/console/keys?done=deleted"))
}
