//! Top-ups, for administrators: in the shape in which the family shows orders.

use axum::extract::State;
use gateway::{TopUp, TopUpFilter, top_ups};
use model::{clock::Timestamp, id::AccountId, money::UNITS_PER_USD};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::{Authenticated, Listed, PageQuery, Paging, id};
use crate::{
    envelope::{Envelope, Failed, Reply, ok},
    routes::AppState,
};

/// The only way that a balance is raised here.
const CHANNEL: &str = "operator";

/// Which top-ups are asked for.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "the shape of the query in the OpenAPI document")]
pub(crate) struct TopUpQuery {
    /// The account.
    user_id: Option<i64>,
    /// The account's address.
    email: Option<String>,
    /// The number of the top-up.
    trade_no: Option<String>,
    /// The same.
    keyword: Option<String>,
    /// Finds nothing: no payment provider is involved.
    payment_intent_id: Option<String>,
    /// `operator` is the only one.
    payment_channel: Option<String>,
    /// From this moment on, in Unix seconds.
    start_time: Option<i64>,
    /// Up to this moment, in Unix seconds.
    end_time: Option<i64>,
}

/// A top-up.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TopUp)]
pub(crate) struct Record {
    /// Its place in the order.
    id: i64,
    /// The account.
    user_id: i64,
    /// The account's name.
    username: String,
    /// The account's address.
    email: String,
    /// Quota units.
    amount: i64,
    /// The same in US dollars.
    money: f64,
    /// Its number.
    trade_no: String,
    /// Always empty.
    payment_intent_id: String,
    /// Always `operator`.
    payment_channel: String,
    /// Who did it.
    operator: String,
    /// Unix seconds.
    create_time: i64,
    /// Always `success`.
    status: String,
}

#[expect(clippy::cast_precision_loss, reason = "a figure to look at; `amount` is the exact one")]
fn dollars(units: i64) -> f64 {
    units as f64 / UNITS_PER_USD as f64
}

impl From<TopUp> for Record {
    fn from(top_up: TopUp) -> Self {
        Self {
            id: top_up.id,
            user_id: top_up.account.0,
            username: top_up.username,
            email: top_up.email,
            amount: top_up.units.get(),
            money: dollars(top_up.units.get()),
            trade_no: format!("USR{}T{}", top_up.account.0, top_up.id),
            payment_intent_id: String::new(),
            payment_channel: CHANNEL.to_owned(),
            operator: top_up.actor,
            create_time: top_up.at.secs(),
            status: "success".to_owned(),
        }
    }
}

/// The account and the place that a number names.
fn named(trade_no: &str) -> Option<(AccountId, i64)> {
    let (account, id) = trade_no.strip_prefix("USR")?.split_once('T')?;
    Some((AccountId(account.parse().ok()?), id.parse().ok()?))
}

/// What operators have put on accounts, newest first.
#[utoipa::path(get, path = "/api/user/topup", tag = "Operators", params(TopUpQuery, PageQuery),
    responses((status = 200, body = Envelope<Listed<Record>>), (status = 401, body = Failed)), security(("personal_access_token" = [])))]
pub(crate) async fn list(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    Paging { page, query }: Paging,
) -> Reply<Listed<Record>> {
    let asked = |name: &str| query.get(name).filter(|text| !text.is_empty()).cloned();
    let moment = |name: &str| asked(name).and_then(|text| text.parse::<i64>().ok()).filter(|secs| *secs > 0);
    let mut filter = TopUpFilter {
        account: asked("user_id").map(|text| id(&text)).transpose()?.map(AccountId),
        email: asked("email"),
        from: moment("start_time").map(Timestamp::from_secs),
        until: moment("end_time").map(|secs| Timestamp::from_secs(secs.saturating_add(1))),
        ..TopUpFilter::default()
    };
    let mut none = asked("payment_intent_id").is_some();
    none |= asked("payment_channel").is_some_and(|channel| channel != CHANNEL);
    for number in [asked("trade_no"), asked("keyword")].into_iter().flatten() {
        match named(&number) {
            Some((account, id)) if filter.account.is_none_or(|wanted| wanted == account) => {
                (filter.account, filter.id) = (Some(account), Some(id));
            }
            _ => none = true,
        }
    }
    // No top-up has this number.
    filter.id = if none { Some(0) } else { filter.id };
    let (found, total) = top_ups::list(&state.gateway, &caller, &filter, page).await?;
    ok(Listed::new(page, total, found.into_iter().map(Record::from).collect()))
}
