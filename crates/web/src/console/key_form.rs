//! Making and changing an API key, with every field that it has.

use askama::Template;
use axum::{extract::State, response::Response};
use gateway::{
    Failure, KeyView, groups,
    keys::{self, KeyInput},
};
use http::StatusCode;
use model::{clock::Timestamp, id::KeyId, key::AUTO};

use super::{
    form::Form,
    frame::{self, Frame, go},
    key_meaning::Meaning,
    key_page::number,
    oops::Oops,
    show,
    visitor::SignedIn,
};
use crate::{management::Segment, routes::AppState};

/// What the form of a new key begins with, in US dollars.
const BEGINNING: &str = "1.00";

/// The fields as they are typed.
#[derive(Default)]
pub(crate) struct Fields {
    pub(crate) name: String,
    pub(crate) quota: String,
    pub(crate) unlimited: bool,
    pub(crate) expires: String,
    pub(crate) limited: bool,
    pub(crate) models: String,
    pub(crate) addresses: String,
    pub(crate) group: String,
    pub(crate) cross_group_retry: bool,
}

impl Fields {
    /// As a form has them.
    pub(crate) fn of_form(form: &Form) -> Self {
        Self {
            name: form.text("name").to_owned(),
            quota: form.text("quota").to_owned(),
            unlimited: form.is_checked("unlimited"),
            expires: form.text("expires").to_owned(),
            limited: form.is_checked("limited"),
            models: form.raw("models").to_owned(),
            addresses: form.raw("addresses").to_owned(),
            group: form.text("group").to_owned(),
            cross_group_retry: form.is_checked("cross_group_retry"),
        }
    }

    fn of_key(view: &KeyView) -> Self {
        let settings = &view.key.settings;
        Self {
            name: settings.name.clone(),
            quota: show::plain_dollars(view.remaining.get().max(0)),
            unlimited: settings.unlimited_quota,
            expires: settings.expires.map(show::field_moment).unwrap_or_default(),
            limited: settings.model_limits_enabled,
            models: settings.model_limits.replace(',', "\n"),
            addresses: settings.allow_ips.clone().unwrap_or_default(),
            group: settings.group.clone(),
            cross_group_retry: settings.cross_group_retry,
        }
    }

    fn input(&self) -> Result<KeyInput, Failure> {
        let quota = match self.quota.as_str() {
            "" if self.unlimited => None,
            text => Some(show::units("quota", text)?),
        };
        let expires = show::read_moment("expires", &self.expires)?.map_or(-1, Timestamp::secs);
        let models: Vec<&str> =
            self.models.split(['\n', ',']).map(str::trim).filter(|model| !model.is_empty()).collect();
        Ok(KeyInput {
            name: Some(self.name.clone()),
            expired_time: Some(expires),
            remain_quota: quota,
            unlimited_quota: Some(self.unlimited),
            model_limits_enabled: Some(self.limited),
            model_limits: Some(models.join(",")),
            allow_ips: Some(Some(self.addresses.trim().replace("\r\n", "\n"))),
            group: Some(self.group.clone()),
            cross_group_retry: Some(self.cross_group_retry),
            status: None,
        })
    }
}

#[derive(Template)]
#[template(path = "key_form.html")]
struct FormPage {
    f: Frame,
    /// The key that is changed.
    id: Option<i64>,
    /// What remained when the form was written: a quota that nobody touched must not be set back.
    quota_before: String,
    fields: Fields,
    meaning: Meaning,
    /// Never: the check of the addresses stands at its own place.
    apart: bool,
    groups: Vec<String>,
    models: Vec<String>,
    error: Option<String>,
}

impl FormPage {
    fn is_auto(&self) -> bool {
        self.fields.group == AUTO
    }
}

async fn page(
    state: &AppState,
    signed: SignedIn,
    key: Option<i64>,
    (fields, quota_before): (Fields, String),
    error: Option<String>,
) -> Result<Response, Oops> {
    let usable = groups::usable(&state.gateway, &signed.caller).await?;
    let routing = state.gateway.routing();
    let mut models: Vec<String> =
        usable.iter().flat_map(|group| routing.models(&group.name)).map(str::to_owned).collect();
    models.sort();
    models.dedup();
    let status = if error.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let groups = usable.into_iter().map(|group| group.name).collect();
    let (t, own) = (signed.frame.t, &signed.caller.account.group);
    let page = FormPage {
        meaning: Meaning::of(t, &fields, own, state.gateway.now()),
        apart: false,
        f: signed.frame,
        id: key,
        quota_before,
        fields,
        groups,
        models,
        error,
    };
    Ok(frame::page(status, &page))
}

/// Where a key is described.
pub(crate) async fn new(State(state): State<AppState>, signed: SignedIn) -> Result<Response, Oops> {
    // A key without a quota would be refused everything.
    let fields = Fields { quota: BEGINNING.to_owned(), ..Fields::default() };
    page(&state, signed, None, (fields, String::new()), None).await
}

/// Makes a key.
pub(crate) async fn create(
    State(state): State<AppState>,
    signed: SignedIn,
    form: Form,
) -> Result<Response, Oops> {
    let fields = Fields::of_form(&form);
    let made = match fields.input() {
        Ok(input) => keys::create(&state.gateway, &signed.caller, input).await,
        Err(failure) => Err(failure),
    };
    match made {
        Ok(view) => Ok(go(&format!("/console/keys/{}?done=created", view.key.id))),
        Err(Failure::Unavailable) => Err(Failure::Unavailable.into()),
        Err(failure) => page(&state, signed, None, (fields, String::new()), Some(failure.to_string())).await,
    }
}

/// Where a key is changed.
pub(crate) async fn edit(
    State(state): State<AppState>,
    signed: SignedIn,
    Segment(key): Segment,
) -> Result<Response, Oops> {
    let key = number(&key)?;
    let view = keys::get(&state.gateway, &signed.caller, KeyId(key)).await?;
    let fields = Fields::of_key(&view);
    let before = fields.quota.clone();
    page(&state, signed, Some(key), (fields, before), None).await
}

/// Changes a key.
pub(crate) async fn update(
    State(state): State<AppState>,
    signed: SignedIn,
    Segment(key): Segment,
    form: Form,
) -> Result<Response, Oops> {
    let key = number(&key)?;
    let fields = Fields::of_form(&form);
    let before = form.text("quota_before").to_owned();
    let updated = match fields.input() {
        Ok(mut input) => {
            if fields.quota == before {
                input.remain_quota = None;
            }
            keys::update(&state.gateway, &signed.caller, KeyId(key), input, false).await
        }
        Err(failure) => Err(failure),
    };
    match updated {
        Ok(_) => Ok(go(&format!("/console/keys/{key}?done=saved"))),
        Err(failure @ (Failure::Unavailable | Failure::NotFound(_))) => Err(failure.into()),
        Err(failure) => page(&state, signed, Some(key), (fields, before), Some(failure.to_string())).await,
    }
}
