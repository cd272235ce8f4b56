//! The catalogue: models, their prices, and which of them the reader's keys may call.

use std::collections::BTreeMap;

use askama::Template;
use axum::{extract::State, response::Response};
use gateway::{groups, prices};
use http::Uri;

use super::{
    frame::{self, Frame},
    oops::Oops,
    page::Query,
    show,
    usage::ratio,
    visitor::SignedIn,
};
use crate::routes::AppState;

struct Line {
    model: String,
    input: String,
    cached: String,
    output: String,
    per_call: Option<String>,
    max_output: String,
    groups: Vec<String>,
}

#[derive(Template)]
#[template(path = "models.html")]
struct ListPage {
    f: Frame,
    search: String,
    lines: Vec<Line>,
    ratios: Vec<(String, String)>,
}

/// All models with a price.
pub(crate) async fn list(
    State(state): State<AppState>,
    signed: SignedIn,
    uri: Uri,
) -> Result<Response, Oops> {
    let query = Query::of(&uri);
    let search: String = query.text("search").chars().take(100).collect();
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
    let lines = priced
        .iter()
        .filter(|priced| priced.model.to_lowercase().contains(&wanted))
        .map(|priced| Line {
            model: priced.model.clone(),
            input: show::dollars(priced.price.rates.input.0),
            cached: show::dollars(priced.price.rates.cached_input.0),
            output: show::dollars(priced.price.rates.output.0),
            per_call: Some(priced.price.per_call.get()).filter(|units| *units > 0).map(show::dollars),
            max_output: show::grouped(priced.max_output.into()),
            groups: served.get(priced.model.as_str()).cloned().unwrap_or_default(),
        })
        .collect();
    let ratios = usable.into_iter().map(|group| (group.name, ratio(group.ratio))).collect();
    Ok(frame::ok(&ListPage { f: signed.frame, search, lines, ratios }))
}
