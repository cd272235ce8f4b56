//! The catalogue: models, their prices, and which of them the reader's keys may call.

use std::collections::BTreeMap;

use askama::Template;
use axum::{extract::State, response::Response};
use gateway::{groups, prices};
use http::Uri;

use model::price::Rates;

use super::{
    besides,
    frame::{self, Frame},
    oops::Oops,
    page::Query,
    show,
    usage::ratio,
    visitor::SignedIn,
};
use crate::routes::AppState;

struct Tokens {
    input: String,
    cached: String,
    output: String,
}

impl Tokens {
    fn of(rates: &Rates) -> Option<Self> {
        (rates.input.0 > 0 || rates.output.0 > 0).then(|| Self {
            input: show::dollars(rates.input.0),
            cached: show::dollars(rates.cached_input.0),
            output: show::dollars(rates.output.0),
        })
    }
}

struct Line {
    model: String,
    /// What tokens cost; `None` for a model that is not paid for by them.
    tokens: Option<Tokens>,
    more: Vec<(String, String)>,
    max_output: String,
    groups: Vec<String>,
}

#[derive(Template)]
#[template(path = "models.html")]
struct ListPage {
    f: Frame,
    search: String,
    /// Whether only those are shown that are served.
    served: bool,
    lines: Vec<Line>,
    ratios: Vec<(String, String)>,
}

/// All models with a price, those first that are served.
pub(crate) async fn list(
    State(state): State<AppState>,
    signed: SignedIn,
    uri: Uri,
) -> Result<Response, Oops> {
    let query = Query::of(&uri);
    let search: String = query.text("search").chars().take(100).collect();
    let (t, only_served) = (signed.frame.t, query.number("served").is_some());
    let usable = groups::usable(&state.gateway, &signed.caller).await?;
    let routing = state.gateway.routing();
    let mut served: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for group in &usable {
        for model in routing.models(&group.name) {
            served.entry(model).or_default().push(group.name.clone());
        }
    }
    let wanted = search.to_lowercase();
    let priced = prices::list(&state.gateway).await?;
    let mut lines: Vec<Line> = priced
        .iter()
        .filter(|priced| priced.model.to_lowercase().contains(&wanted))
        .map(|priced| Line {
            model: priced.model.clone(),
            tokens: Tokens::of(&priced.price.rates),
            more: besides::of(t, &priced.price),
            max_output: show::grouped(priced.max_output.into()),
            groups: served.get(priced.model.as_str()).cloned().unwrap_or_default(),
        })
        .collect();
    if only_served {
        lines.retain(|line| !line.groups.is_empty());
    }
    // What the reader can call comes first.
    lines.sort_by_key(|line| line.groups.is_empty());
    let ratios = usable.into_iter().map(|group| (group.name, ratio(group.ratio))).collect();
    Ok(frame::ok(&ListPage { f: signed.frame, search, served: only_served, lines, ratios }))
}
