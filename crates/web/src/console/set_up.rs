//! The first run: root's password, a channel that answers, a key, and a request to copy.

use std::collections::BTreeMap;

use askama::Template;
use axum::{extract::State, response::Response};
use gateway::{
    Failure, Leaps, ModelPrice, NewChannel, NewPrice,
    channel_test::{self, Finding, Trial},
    channels, keys,
    keys::KeyInput,
    prices,
    provider::{PROVIDERS, Provider},
    sessions,
};
use http::StatusCode;
use model::price::ListedRates;

use super::{
    form::Form,
    frame::{self, Frame, go},
    oops::Oops,
    show,
    sign_in::{bind, enter, with_cookie},
    visitor::{SignedIn, Visitor},
};
use crate::routes::AppState;

#[derive(Template)]
#[template(path = "set_up.html")]
struct BeginPage {
    f: Frame,
    awaits: bool,
    error: Option<String>,
}

/// Where the set-up token is typed, or comes in from the link's fragment, and root's password is chosen.
pub(crate) async fn show(State(state): State<AppState>, mut visitor: Visitor) -> Result<Response, Oops> {
    let cookie = bind(&mut visitor, &state)?;
    let awaits = sessions::awaits_set_up(&state.gateway).await?;
    let page = BeginPage { f: visitor.frame, awaits, error: None };
    Ok(with_cookie(frame::ok(&page), cookie))
}

/// Sets root's password, and signs in.
pub(crate) async fn begin(
    State(state): State<AppState>,
    visitor: Visitor,
    form: Form,
) -> Result<Response, Oops> {
    let token = form.text("token");
    let t = visitor.frame.t;
    let entered = if form.raw("password") == form.raw("again") {
        sessions::set_up(&state.gateway, token, form.secret("password"), visitor.origin()).await
    } else {
        Err(Failure::Invalid(t.password_differs.to_owned()))
    };
    let error = match entered {
        Ok(token) => {
            visitor.leave(&state.gateway).await?;
            return Ok(enter(&token, "/console/set-up/channel", &state));
        }
        Err(Failure::Unauthenticated) => t.start.token_wrong.to_owned(),
        Err(Failure::Unavailable) => return Err(Failure::Unavailable.into()),
        Err(failure) => failure.to_string(),
    };
    // The token is worth nothing without the password that comes with it, but it has no business in a page either.
    let page = BeginPage { f: visitor.frame, awaits: true, error: Some(error) };
    Ok(frame::page(StatusCode::UNPROCESSABLE_ENTITY, &page))
}

#[derive(Default)]
struct ChannelFields {
    name: String,
    kind: String,
    base_url: String,
    model: String,
    input: String,
    output: String,
    max_output: String,
}

#[derive(Template)]
#[template(path = "set_up_channel.html")]
struct ChannelPage {
    f: Frame,
    fields: ChannelFields,
    providers: &'static [Provider],
    error: Option<String>,
    finding: Option<Finding>,
    /// Whether the price is one that must be confirmed.
    unconfirmed: bool,
}

/// Where the first channel is described.
pub(crate) async fn show_channel(signed: SignedIn) -> Result<Response, Oops> {
    signed.must_administer()?;
    let fields = ChannelFields {
        name: "openai".to_owned(),
        kind: "openai".to_owned(),
        base_url: "https://api.openai.com/v1".to_owned(),
        model: "gpt-5-mini".to_owned(),
        input: "0.25".to_owned(),
        output: "2.00".to_owned(),
        max_output: "128000".to_owned(),
    };
    let f = signed.frame;
    Ok(frame::ok(&ChannelPage {
        f,
        fields,
        providers: PROVIDERS,
        error: None,
        finding: None,
        unconfirmed: false,
    }))
}

/// Makes the first channel with the price of its model, and asks it something. One that does not answer is removed
/// again, so that the page can be sent once more.
pub(crate) async fn channel(
    State(state): State<AppState>,
    signed: SignedIn,
    form: Form,
) -> Result<Response, Oops> {
    signed.must_administer()?;
    let mut unconfirmed = false;
    let (error, finding) = match try_channel(&state, &signed, &form).await {
        Ok(finding) if finding.healthy => return Ok(go("/console/set-up/key?done=channel_answers")),
        Ok(finding) => (None, Some(finding)),
        Err(Failure::Unavailable) => return Err(Failure::Unavailable.into()),
        Err(failure) => {
            unconfirmed = matches!(failure, Failure::Unconfirmed(_));
            (Some(failure.to_string()), None)
        }
    };
    let text = |name: &str| form.text(name).to_owned();
    let fields = ChannelFields {
        name: text("name"),
        kind: text("kind"),
        base_url: text("base_url"),
        model: text("model"),
        input: text("input"),
        output: text("output"),
        max_output: text("max_output"),
    };
    let page = ChannelPage { f: signed.frame, fields, providers: PROVIDERS, error, finding, unconfirmed };
    Ok(frame::page(StatusCode::UNPROCESSABLE_ENTITY, &page))
}

async fn try_channel(state: &AppState, signed: &SignedIn, form: &Form) -> Result<Finding, Failure> {
    let (gateway, caller) = (&state.gateway, &signed.caller);
    let missing = |name: &str| Failure::Invalid(format!("{name} is required"));
    let model = Some(form.text("model")).filter(|model| !model.is_empty()).ok_or_else(|| missing("model"))?;
    let longest = form.number("max_output")?.and_then(|number| u64::try_from(number).ok());
    // What the page does not ask for stays as the catalogue that comes along says it.
    let in_force = prices::list(gateway).await?;
    let known = in_force.iter().find(|price| price.model == model).map(ModelPrice::again);
    let known = known.unwrap_or_default();
    let price = NewPrice {
        model: model.to_owned(),
        rates: ListedRates {
            input: show::units("input", form.text("input"))?,
            output: show::units("output", form.text("output"))?,
            ..known.rates
        },
        max_output: longest.ok_or_else(|| missing("max_output"))?,
        reasoning: form.is_checked("reasoning"),
        ..known
    };
    let channel = NewChannel {
        name: form.text("name").to_owned(),
        base_url: channels::base_url(form.text("kind"), Some(form.text("base_url").to_owned()))?,
        kind: form.text("kind").to_owned(),
        credential: Some(form.text("key").to_owned().into()),
        models: vec![model.to_owned()],
        mapping: BTreeMap::new(),
        groups: vec![caller.account.group.clone()],
        priority: 0,
        weight: 1,
        enabled: true,
    };
    let made = channels::create(gateway, caller, &channel).await?;
    let finding = channel_test::run(gateway, caller, made.id, &Trial::default()).await;
    match &finding {
        Ok(finding) if finding.healthy => {
            let leaps = Leaps::when(form.is_checked("confirm"));
            if let Err(failure) = prices::put(gateway, caller, &price, leaps).await {
                channels::delete(gateway, caller, made.id).await?;
                return Err(failure);
            }
        }
        Ok(_) | Err(_) => channels::delete(gateway, caller, made.id).await?,
    }
    finding
}

#[derive(Template)]
#[template(path = "set_up_key.html")]
struct KeyPage {
    f: Frame,
    model: String,
    key: Option<String>,
    error: Option<String>,
}

fn first_model(state: &AppState, signed: &SignedIn) -> String {
    let routing = state.gateway.routing();
    let mut models = routing.models(&signed.caller.account.group).into_iter().map(str::to_owned);
    models.next().unwrap_or_else(|| "model".to_owned())
}

/// Where the first key is made.
pub(crate) async fn show_key(State(state): State<AppState>, signed: SignedIn) -> Result<Response, Oops> {
    signed.must_administer()?;
    let model = first_model(&state, &signed);
    Ok(frame::ok(&KeyPage { f: signed.frame, model, key: None, error: None }))
}

/// Makes the first key, and shows it this once with a request to copy.
pub(crate) async fn key(
    State(state): State<AppState>,
    signed: SignedIn,
    form: Form,
) -> Result<Response, Oops> {
    signed.must_administer()?;
    let model = first_model(&state, &signed);
    let made = async {
        let quota = show::units("quota", form.text("quota"))?;
        let name = Some(form.text("name").to_owned());
        let input = KeyInput { name, remain_quota: Some(quota), ..KeyInput::default() };
        let made = keys::create(&state.gateway, &signed.caller, input).await?;
        keys::reveal(&state.gateway, &signed.caller, made.key.id).await
    };
    match made.await {
        Ok(view) => {
            let key = Some(view.secret.to_string());
            Ok(frame::ok(&KeyPage { f: signed.frame, model, key, error: None }))
        }
        Err(Failure::Unavailable) => Err(Failure::Unavailable.into()),
        Err(failure) => {
            let page = KeyPage { f: signed.frame, model, key: None, error: Some(failure.to_string()) };
            Ok(frame::page(StatusCode::UNPROCESSABLE_ENTITY, &page))
        }
    }
}
