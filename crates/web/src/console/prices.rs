//! Prices, for administrators.

use askama::Template;
use axum::{extract::State, response::Response};
use gateway::{Failure, Leaps, ModelPrice, NewPrice, prices};
use http::{StatusCode, Uri};
use model::price::ListedRates;

use super::{
    form::Form,
    frame::{self, Frame, go},
    oops::Oops,
    page::Query,
    show,
    visitor::SignedIn,
};
use crate::routes::AppState;

/// The fields as they are typed.
#[derive(Default)]
struct Fields {
    model: String,
    input: String,
    cached_input: String,
    cache_write: String,
    output: String,
    per_call: String,
    max_output: String,
    reasoning: bool,
}

#[derive(Template)]
#[template(path = "prices.html")]
struct ListPage {
    f: Frame,
    lines: Vec<Fields>,
    fields: Fields,
    error: Option<String>,
    /// Whether the price is one that must be confirmed.
    unconfirmed: bool,
}

async fn page(
    state: &AppState,
    signed: SignedIn,
    fields: impl FnOnce(&[Fields]) -> Fields,
    failure: Option<Failure>,
) -> Result<Response, Oops> {
    signed.must_administer()?;
    let found = prices::list(&state.gateway).await?;
    let lines: Vec<Fields> = found
        .into_iter()
        .map(|one| Fields {
            input: show::plain_dollars(one.price.rates.input.0),
            cached_input: show::plain_dollars(one.price.rates.cached_input.0),
            cache_write: show::plain_dollars(one.price.rates.cache_write.0),
            output: show::plain_dollars(one.price.rates.output.0),
            per_call: show::plain_dollars(one.price.per_call.get()),
            max_output: one.max_output.to_string(),
            reasoning: one.reasoning,
            model: one.model,
        })
        .collect();
    let unconfirmed = matches!(failure, Some(Failure::Unconfirmed(_)));
    let error = failure.map(|failure| failure.to_string());
    let status = if error.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let fields = fields(&lines);
    Ok(frame::page(status, &ListPage { f: signed.frame, lines, fields, error, unconfirmed }))
}

/// All prices, and one of them to be changed.
pub(crate) async fn list(
    State(state): State<AppState>,
    signed: SignedIn,
    uri: Uri,
) -> Result<Response, Oops> {
    let query = Query::of(&uri);
    let wanted = query.text("model");
    let chosen = |lines: &[Fields]| {
        let found = lines.iter().find(|line| line.model == wanted);
        found.map_or_else(Fields::default, |line| Fields {
            model: line.model.clone(),
            input: line.input.clone(),
            cached_input: line.cached_input.clone(),
            cache_write: line.cache_write.clone(),
            output: line.output.clone(),
            per_call: line.per_call.clone(),
            max_output: line.max_output.clone(),
            reasoning: line.reasoning,
        })
    };
    page(&state, signed, chosen, None).await
}

/// The price that was typed. What the form does not show (tiers, sound, images, seconds) stays as it is in force.
fn price(form: &Form, before: Option<NewPrice>) -> Result<NewPrice, Failure> {
    let optional = |name: &str| {
        let text = form.text(name);
        if text.is_empty() { Ok(None) } else { show::units(name, text).map(Some) }
    };
    let longest = form.number("max_output")?.and_then(|number| u64::try_from(number).ok());
    let missing = || Failure::Invalid("max_output must be a whole number above 0".to_owned());
    let before = before.unwrap_or_default();
    Ok(NewPrice {
        model: form.text("model").to_owned(),
        rates: ListedRates {
            input: show::units("input", form.text("input"))?,
            cached_input: optional("cached_input")?,
            cache_write: optional("cache_write")?,
            output: show::units("output", form.text("output"))?,
            ..before.rates
        },
        per_call: optional("per_call")?.unwrap_or(0),
        max_output: longest.ok_or_else(missing)?,
        reasoning: form.is_checked("reasoning"),
        ..before
    })
}

/// Sets the price of a model from now on.
pub(crate) async fn put(
    State(state): State<AppState>,
    signed: SignedIn,
    form: Form,
) -> Result<Response, Oops> {
    signed.must_administer()?;
    let in_force = prices::list(&state.gateway).await?;
    let before = in_force.iter().find(|price| price.model == form.text("model")).map(ModelPrice::again);
    let put = match price(&form, before) {
        Ok(new) => {
            let leaps = Leaps::when(form.is_checked("confirm"));
            prices::put(&state.gateway, &signed.caller, &new, leaps).await
        }
        Err(failure) => Err(failure),
    };
    match put {
        Ok(()) => Ok(go("/console/prices?done=saved")),
        Err(failure @ (Failure::Unavailable | Failure::Forbidden)) => Err(failure.into()),
        Err(failure) => {
            let text = |name: &str| form.text(name).to_owned();
            let typed = |_: &[Fields]| Fields {
                model: text("model"),
                input: text("input"),
                cached_input: text("cached_input"),
                cache_write: text("cache_write"),
                output: text("output"),
                per_call: text("per_call"),
                max_output: text("max_output"),
                reasoning: form.is_checked("reasoning"),
            };
            page(&state, signed, typed, Some(failure)).await
        }
    }
}
