//! Prices, for administrators.

use askama::Template;
use axum::{extract::State, response::Response};
use gateway::{Failure, Leaps, ModelPrice, NewPrice, Page, prices};
use http::{StatusCode, Uri};
use model::price::{ListedRates, UnitsPerMillion};

use super::{
    besides,
    form::Form,
    frame::{self, Frame, go},
    messages::Messages,
    oops::Oops,
    page::Query,
    price_extras as extras, show,
    visitor::SignedIn,
};
use crate::routes::AppState;

/// Versions that are looked at for those that begin later: the latest.
const VERSIONS: i64 = 100;

/// The fields as they are typed.
#[derive(Clone, Default)]
struct Fields {
    model: String,
    input: String,
    cached_input: String,
    cache_write: String,
    output: String,
    per_call: String,
    per_second: String,
    per_image: String,
    max_output: String,
    /// `web_search=0.01, web_fetch=0`: US dollars for a call.
    tools: String,
    /// `priority=2, flex=0.5`: how many times the rates of tokens.
    service_tiers: String,
    /// `720p=0.10, 1080p=0.35`: US dollars for a second.
    sizes: String,
    reasoning: bool,
}

/// A price in the list: what the form has, and what it has not.
struct Line {
    fields: Fields,
    /// What is charged apart from tokens of text, and for long inputs.
    more: Vec<(String, String)>,
    since: String,
    /// With its thousands apart.
    max_output: String,
}

/// A version of a price that begins later.
struct Later {
    model: String,
    from: String,
    input: String,
    output: String,
}

#[derive(Template)]
#[template(path = "prices.html")]
struct ListPage {
    f: Frame,
    /// What is looked for in the names of models.
    search: String,
    lines: Vec<Line>,
    later: Vec<Later>,
    fields: Fields,
    error: Option<String>,
    /// Whether the price is one that must be confirmed.
    unconfirmed: bool,
}

impl ListPage {
    /// Whether the form is open: something stands in it, or there is nothing else.
    fn is_open(&self) -> bool {
        let none = self.lines.is_empty() && self.search.is_empty();
        self.error.is_some() || !self.fields.model.is_empty() || none
    }

    /// The day of a moment; nearly every price begins with a release, and its second says nothing.
    fn day<'a>(&self, moment: &'a str) -> &'a str {
        moment.split_once(' ').map_or(moment, |(day, _)| day)
    }
}

/// The price of one that most models do not have; empty where it is 0.
fn optional(rate: UnitsPerMillion) -> String {
    if rate.0 > 0 { show::plain_fine_dollars(rate.0) } else { String::new() }
}

fn line(t: &Messages, one: &ModelPrice) -> Line {
    Line {
        more: besides::of(t, &one.price),
        since: show::moment(one.effective),
        max_output: show::grouped(one.max_output.into()),
        fields: Fields {
            input: show::plain_dollars(one.price.rates.input.0),
            cached_input: show::plain_dollars(one.price.rates.cached_input.0),
            cache_write: show::plain_dollars(one.price.rates.cache_write.0),
            output: show::plain_dollars(one.price.rates.output.0),
            per_call: show::plain_dollars(one.price.per_call.get()),
            per_second: optional(one.price.per_second),
            per_image: optional(one.price.per_image),
            max_output: one.max_output.to_string(),
            tools: extras::tools(&one.price.tools),
            service_tiers: extras::terms(&one.price.terms),
            sizes: extras::sizes(&one.price.sizes),
            reasoning: one.reasoning,
            model: one.model.clone(),
        },
    }
}

async fn page(
    state: &AppState,
    signed: SignedIn,
    search: String,
    fields: impl FnOnce(&[Line]) -> Fields,
    failure: Option<Failure>,
) -> Result<Response, Oops> {
    signed.must_administer()?;
    let found = prices::list(&state.gateway).await?;
    let t = signed.frame.t;
    let mut lines: Vec<Line> = found.iter().map(|one| line(t, one)).collect();
    let now = state.gateway.now();
    let newest = Page { number: 1, size: VERSIONS };
    let (versions, _) = prices::versions(&state.gateway, &signed.caller, None, newest).await?;
    let later = versions.into_iter().filter(|version| version.effective > now);
    let later = later.map(|version| Later {
        from: show::moment(version.effective),
        input: show::dollars(version.price.rates.input.0),
        output: show::dollars(version.price.rates.output.0),
        model: version.model,
    });
    let later = later.collect();
    let unconfirmed = matches!(failure, Some(Failure::Unconfirmed(_)));
    let error = failure.map(|failure| failure.to_string());
    let status = if error.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let fields = fields(&lines);
    let wanted = search.to_lowercase();
    lines.retain(|line| line.fields.model.to_lowercase().contains(&wanted));
    Ok(frame::page(status, &ListPage { f: signed.frame, search, lines, later, fields, error, unconfirmed }))
}

/// All prices, and one of them to be changed.
pub(crate) async fn list(
    State(state): State<AppState>,
    signed: SignedIn,
    uri: Uri,
) -> Result<Response, Oops> {
    let query = Query::of(&uri);
    let wanted = query.text("model");
    let chosen = |lines: &[Line]| {
        let found = lines.iter().map(|line| &line.fields).find(|line| line.model == wanted);
        found.cloned().unwrap_or_default()
    };
    let search = query.text("search").chars().take(100).collect();
    page(&state, signed, search, chosen, None).await
}

/// The price that was typed. What the form does not show (tiers for long inputs, sound, images by the token) stays as it is in force.
fn price(form: &Form, before: Option<NewPrice>) -> Result<NewPrice, Failure> {
    let optional = |name: &str| {
        let text = form.text(name);
        if text.is_empty() { Ok(None) } else { show::units(name, text).map(Some) }
    };
    let each = |name: &str| {
        let text = form.text(name);
        if text.is_empty() { Ok(0) } else { show::fine_units(name, text) }
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
        per_second: each("per_second")?,
        per_image: each("per_image")?,
        max_output: longest.ok_or_else(missing)?,
        tools: extras::read_tools(form.text("tools"))?,
        terms: extras::read_terms(form.text("service_tiers"))?,
        sizes: extras::read_sizes(form.text("sizes"))?,
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
            let typed = |_: &[Line]| Fields {
                model: text("model"),
                input: text("input"),
                cached_input: text("cached_input"),
                cache_write: text("cache_write"),
                output: text("output"),
                per_call: text("per_call"),
                per_second: text("per_second"),
                per_image: text("per_image"),
                max_output: text("max_output"),
                tools: text("tools"),
                service_tiers: text("service_tiers"),
                sizes: text("sizes"),
                reasoning: form.is_checked("reasoning"),
            };
            page(&state, signed, String::new(), typed, Some(failure)).await
        }
    }
}
