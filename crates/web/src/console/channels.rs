//! Channels, for administrators: health, test, edit. A credential goes in and never comes out.

use askama::Template;
use axum::{extract::State, response::Response};
use gateway::{
    Channel, Failure, NewChannel,
    channel_test::{self, Finding, Trial},
    channels, groups,
    provider::{PROVIDERS, Provider},
    routing::Fitness,
};
use http::StatusCode;
use model::id::ChannelId;

use super::{
    form::Form,
    frame::{self, Frame, go},
    key_page::number,
    keys::Badge,
    messages::Messages,
    oops::Oops,
    show,
    visitor::SignedIn,
};
use crate::{management::Segment, routes::AppState};

struct Line {
    id: i64,
    name: String,
    kind: &'static str,
    base_url: String,
    models: Vec<String>,
    groups: String,
    priority: i64,
    weight: u32,
    enabled: bool,
    status: Badge,
    health: Badge,
    credentials: usize,
    refused: usize,
    recent: Option<Recent>,
}

/// What became of the latest attempts.
struct Recent {
    attempts: String,
    failed_percent: u64,
    mean_ms: Option<u64>,
}

#[derive(Template)]
#[template(path = "channels.html")]
struct ListPage {
    f: Frame,
    lines: Vec<Line>,
    tested: Option<(String, Finding)>,
}

const fn health(t: &Messages, fitness: Fitness) -> Badge {
    match fitness {
        Fitness::Fit => Badge { class: "good", text: t.health_fit },
        Fitness::NoCredential => Badge { class: "bad", text: t.health_no_credential },
        Fitness::Resting(_) | Fitness::CredentialsResting(_) => {
            Badge { class: "off", text: t.health_resting }
        }
        Fitness::Open(_) => Badge { class: "bad", text: t.health_open },
        Fitness::Probing(_) => Badge { class: "off", text: t.health_probing },
    }
}

async fn page(
    state: &AppState,
    signed: SignedIn,
    tested: Option<(ChannelId, Finding)>,
) -> Result<Response, Oops> {
    let t = signed.frame.t;
    let found = channels::list(&state.gateway, &signed.caller).await?;
    let routing = state.gateway.routing();
    let now = state.gateway.now();
    let fitness = |id: ChannelId| {
        let route = routing.channels().iter().find(|route| route.id == id)?;
        Some(state.gateway.health().with(|table| table.fitness(route, now)))
    };
    let tested = tested.map(|(id, finding)| {
        let named = found.iter().find(|channel| channel.id == id);
        (named.map(|channel| channel.name.clone()).unwrap_or_default(), finding)
    });
    let line = |channel: Channel| Line {
        id: channel.id.0,
        name: channel.name,
        kind: Provider::of(&channel.kind).map_or("?", |provider| provider.name),
        base_url: channel.base_url,
        groups: channel.groups.join(", "),
        models: channel.models,
        priority: channel.priority,
        weight: channel.weight,
        enabled: channel.enabled,
        status: Badge::of_switch(t, channel.enabled),
        health: fitness(channel.id)
            .map_or(Badge { class: "off", text: t.health_unknown }, |fitness| health(t, fitness)),
        refused: channel.credentials.iter().filter(|credential| credential.refused.is_some()).count(),
        credentials: channel.credentials.len(),
        recent: state.gateway.health().recent(channel.id, now).map(|recent| Recent {
            attempts: show::grouped(recent.attempts.into()),
            failed_percent: (recent.failures * 100).div_ceil(recent.attempts.max(1)),
            mean_ms: recent.mean_ms,
        }),
    };
    let lines = found.into_iter().map(line).collect();
    Ok(frame::ok(&ListPage { f: signed.frame, lines, tested }))
}

/// All channels.
pub(crate) async fn list(State(state): State<AppState>, signed: SignedIn) -> Result<Response, Oops> {
    page(&state, signed, None).await
}

/// Asks a channel something small, and shows what came of it.
pub(crate) async fn test(
    State(state): State<AppState>,
    signed: SignedIn,
    Segment(channel): Segment,
    _: Form,
) -> Result<Response, Oops> {
    let id = ChannelId(number(&channel)?);
    let finding = channel_test::run(&state.gateway, &signed.caller, id, &Trial::default()).await?;
    page(&state, signed, Some((id, finding))).await
}

/// Enables or disables a channel.
pub(crate) async fn set_status(
    State(state): State<AppState>,
    signed: SignedIn,
    Segment(channel): Segment,
    form: Form,
) -> Result<Response, Oops> {
    let enabled = form.text("status") == "1";
    channels::enable(&state.gateway, &signed.caller, ChannelId(number(&channel)?), enabled).await?;
    Ok(go("/console/channels?done=saved"))
}

/// Deletes a channel.
pub(crate) async fn delete(
    State(state): State<AppState>,
    signed: SignedIn,
    Segment(channel): Segment,
    _: Form,
) -> Result<Response, Oops> {
    channels::delete(&state.gateway, &signed.caller, ChannelId(number(&channel)?)).await?;
    Ok(go("/console/channels?done=deleted"))
}

/// The fields as they are typed.
#[derive(Default)]
struct Fields {
    name: String,
    kind: String,
    base_url: String,
    models: String,
    mapping: String,
    groups: String,
    priority: String,
    weight: String,
    enabled: bool,
}

#[derive(Template)]
#[template(path = "channel_form.html")]
struct FormPage {
    f: Frame,
    id: Option<i64>,
    fields: Fields,
    providers: &'static [Provider],
    known_groups: Vec<String>,
    error: Option<String>,
}

impl Fields {
    fn of_form(form: &Form) -> Self {
        Self {
            name: form.text("name").to_owned(),
            kind: form.text("kind").to_owned(),
            base_url: form.text("base_url").to_owned(),
            models: form.raw("models").to_owned(),
            mapping: form.raw("mapping").to_owned(),
            groups: form.text("groups").to_owned(),
            priority: form.text("priority").to_owned(),
            weight: form.text("weight").to_owned(),
            enabled: form.is_checked("enabled"),
        }
    }

    fn of_channel(channel: Channel) -> Self {
        let pairs = channel.mapping.iter().map(|(here, there)| format!("{here} = {there}"));
        Self {
            mapping: pairs.collect::<Vec<_>>().join("\n"),
            name: channel.name,
            kind: channel.kind,
            base_url: channel.base_url,
            models: channel.models.join("\n"),
            groups: channel.groups.join(", "),
            priority: channel.priority.to_string(),
            weight: channel.weight.to_string(),
            enabled: channel.enabled,
        }
    }
}

/// What a form says about a channel. An empty key keeps what is there.
fn channel(form: &Form) -> Result<NewChannel, Failure> {
    let pair = |line: String| {
        let (here, there) = line.split_once('=').ok_or_else(|| {
            Failure::Invalid("mapping must have lines such as gpt-5 = gpt-5-2025".to_owned())
        })?;
        Ok::<_, Failure>((here.trim().to_owned(), there.trim().to_owned()))
    };
    let weight = form.number("weight")?.unwrap_or(1);
    let key = form.text("key");
    let kind = form.text("kind").to_owned();
    Ok(NewChannel {
        name: form.text("name").to_owned(),
        base_url: channels::base_url(&kind, Some(form.text("base_url").to_owned()))?,
        kind,
        credential: (!key.is_empty()).then(|| key.to_owned().into()),
        models: form.list("models"),
        mapping: form.list("mapping").into_iter().map(pair).collect::<Result<_, _>>()?,
        groups: form.list("groups"),
        priority: form.number("priority")?.unwrap_or(0),
        weight: u32::try_from(weight).map_err(|_| Failure::Invalid("weight must be 0 or more".to_owned()))?,
        enabled: form.is_checked("enabled"),
    })
}

async fn form_page(
    state: &AppState,
    signed: SignedIn,
    id: Option<i64>,
    fields: Fields,
    error: Option<String>,
) -> Result<Response, Oops> {
    let known = groups::list(&state.gateway, &signed.caller).await?;
    let known_groups = known.into_iter().map(|group| group.name).collect();
    let status = if error.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    Ok(frame::page(
        status,
        &FormPage { f: signed.frame, id, fields, providers: PROVIDERS, known_groups, error },
    ))
}

/// Where a channel is described.
pub(crate) async fn new(State(state): State<AppState>, signed: SignedIn) -> Result<Response, Oops> {
    let kind = "openai".to_owned();
    let fields = Fields { kind, groups: "default".to_owned(), enabled: true, ..Fields::default() };
    form_page(&state, signed, None, fields, None).await
}

/// Makes a channel.
pub(crate) async fn create(
    State(state): State<AppState>,
    signed: SignedIn,
    form: Form,
) -> Result<Response, Oops> {
    let made = match channel(&form) {
        Ok(new) => channels::create(&state.gateway, &signed.caller, &new).await,
        Err(failure) => Err(failure),
    };
    finish(&state, signed, None, &form, made).await
}

/// Where a channel is changed.
pub(crate) async fn edit(
    State(state): State<AppState>,
    signed: SignedIn,
    Segment(id): Segment,
) -> Result<Response, Oops> {
    let id = number(&id)?;
    let found = channels::get(&state.gateway, &signed.caller, ChannelId(id)).await?;
    form_page(&state, signed, Some(id), Fields::of_channel(found), None).await
}

/// Changes a channel.
pub(crate) async fn update(
    State(state): State<AppState>,
    signed: SignedIn,
    Segment(id): Segment,
    form: Form,
) -> Result<Response, Oops> {
    let id = number(&id)?;
    let updated = channels::update(&state.gateway, &signed.caller, ChannelId(id), |_| channel(&form)).await;
    finish(&state, signed, Some(id), &form, updated).await
}

async fn finish(
    state: &AppState,
    signed: SignedIn,
    id: Option<i64>,
    form: &Form,
    outcome: Result<Channel, Failure>,
) -> Result<Response, Oops> {
    match outcome {
        Ok(_) => Ok(go("/console/channels?done=saved")),
        Err(
            failure @ (Failure::Unavailable
            | Failure::NotFound(_)
            | Failure::Forbidden
            | Failure::Unauthenticated),
        ) => Err(failure.into()),
        Err(failure) => form_page(state, signed, id, Fields::of_form(form), Some(failure.to_string())).await,
    }
}
