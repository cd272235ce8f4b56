//! One usage record, as a member of the family of gateways shows it, and how its charge is made up.

use gateway::{UsageKind, UsageRecord};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

/// A usage record.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UsageRecord)]
pub(crate) struct Record {
    /// Its place among all records: later ones have larger numbers.
    id: i64,
    /// The account.
    user_id: i64,
    /// When the request ended, in Unix seconds.
    created_at: i64,
    /// 2 a use, 5 a failure that cost nothing.
    r#type: i64,
    /// What went wrong, as a stable word; empty when nothing did.
    content: String,
    /// The account's name.
    username: String,
    /// The name that the key had.
    token_name: String,
    /// The model that the caller named.
    model_name: String,
    /// Units charged.
    quota: i64,
    /// Input tokens, cached ones and those written to a cache included.
    prompt_tokens: u64,
    /// Output tokens, reasoning included.
    completion_tokens: u64,
    /// Seconds from arrival to end.
    use_time: i64,
    /// Whether the answer was a stream.
    is_stream: bool,
    /// The key.
    token_id: i64,
    /// The group that served.
    group: String,
    /// The caller's address.
    ip: String,
    /// The request id that the caller saw.
    request_id: String,
    /// Always empty: the upstream's own ids are not kept.
    response_id: String,
    /// Further facts, as a JSON object in a string.
    other: String,
    /// How the charge is made up.
    charge: Charge,
    /// The HTTP status that the caller got; 499 when it left first.
    status: i64,
    /// The channel that served; for operators.
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<i64>,
    /// The model that the upstream was asked for; for operators.
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream_model: Option<String>,
}

/// How a charge is made up: `units` and `not_charged` together are Σ `quantity` × `units_per_million` × `ratio_millionths` ÷
/// 10^12, rounded up once. A failure without a charge has no lines.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Charge {
    /// Units charged.
    units: i64,
    /// Units that the upstream's report would have cost beyond what was held.
    not_charged: i64,
    /// The version of the price.
    price_version: Option<i64>,
    /// The ratio of the group, in millionths.
    ratio_millionths: i64,
    /// Who counted: `reported` by the upstream, `counted` or `estimated` here.
    counted_by: String,
    /// The terms of service under which tokens are charged; the lines have their rates. Empty for the usual ones.
    service_tiers: Vec<String>,
    /// Each kind of thing that was charged for.
    lines: Vec<Line>,
}

/// One kind of thing that was charged for.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Line {
    /// `input`, `cached_input`, `cache_write`, `output` or `call`; and, where they have a price of their own,
    /// `cache_write_1h`, `input_audio`, `input_image`, `output_reasoning`, `output_audio`, `output_image`; `second`, `image`;
    /// `second_720p` and its like for a video of a size that has a price of its own; and calls of the provider's own tools: `web_search`, `grounding`, `web_fetch`, `file_search`, `code_execution`,
    /// `image_generation`, `maps`, `other_tool`.
    kind: String,
    /// How many.
    quantity: u64,
    /// Units for a million of them.
    units_per_million: i64,
}

fn charge(record: &UsageRecord) -> Charge {
    let lines = record.price.as_ref().filter(|_| record.kind == UsageKind::Use).map(|price| {
        let lines = price.lines(&record.tokens).into_iter();
        let line = |(kind, quantity, price): (model::price::Kind, u64, i128)| Line {
            kind: kind.word().to_owned(),
            quantity,
            units_per_million: i64::try_from(price).unwrap_or(i64::MAX),
        };
        lines.filter(|(_, quantity, price)| *quantity > 0 && *price > 0).map(line).collect()
    });
    Charge {
        units: record.units.get(),
        not_charged: record.overrun.get(),
        price_version: record.price.as_ref().map(|price| price.id.0),
        ratio_millionths: record.ratio.0,
        counted_by: record.provenance.clone(),
        service_tiers: record.tokens.parts.terms.each().map(|term| term.word().to_owned()).collect(),
        lines: lines.unwrap_or_default(),
    }
}

#[expect(clippy::cast_precision_loss, reason = "figures to look at; the charge has the exact ones")]
fn other(record: &UsageRecord) -> String {
    let part = |a: i64, b: i64| if b == 0 { 0.0 } else { a as f64 / b as f64 };
    let mut other = json!({
        "group_ratio": part(record.ratio.0, 1_000_000),
        "cache_tokens": record.tokens.cached_input,
        "cache_write_tokens": record.tokens.cache_write,
        "reasoning_tokens": record.tokens.reasoning,
        "frt": record.first_byte_ms.unwrap_or(0),
        "total_ms": record.ended.millis_since(record.started),
        "request_path": record.door,
    });
    if let (Some(price), Some(members)) = (&record.price, other.as_object_mut()) {
        let rates = price.rates_of(&record.tokens);
        let by_call = rates.input.0 == 0 && rates.output.0 == 0;
        let ratios = json!({
            "model_ratio": part(rates.input.0, 1_000_000),
            "completion_ratio": part(rates.output.0, rates.input.0),
            "cache_ratio": part(rates.cached_input.0, rates.input.0),
            "model_price": if by_call { part(price.per_call.get(), model::money::UNITS_PER_USD) } else { -1.0 },
        });
        if let serde_json::Value::Object(ratios) = ratios {
            members.extend(ratios);
        }
    }
    other.to_string()
}

/// A record, with what only operators see if `operator`.
pub(crate) fn record(record: UsageRecord, operator: bool) -> Record {
    let tokens = record.tokens;
    let millis = record.ended.millis_since(record.started);
    Record {
        id: record.id,
        user_id: record.account.0,
        created_at: record.ended.secs(),
        r#type: if record.kind == UsageKind::Error { 5 } else { 2 },
        content: record.error.clone().unwrap_or_default(),
        prompt_tokens: tokens.input.saturating_add(tokens.cached_input).saturating_add(tokens.cache_write),
        completion_tokens: tokens.output,
        quota: record.units.get(),
        use_time: millis.saturating_add(999) / 1_000,
        is_stream: record.stream,
        token_id: record.key.0,
        response_id: String::new(),
        other: other(&record),
        charge: charge(&record),
        status: record.status,
        channel: operator.then_some(record.channel.0),
        upstream_model: operator.then(|| record.upstream_model.clone()),
        username: record.username,
        token_name: record.key_name,
        model_name: record.model,
        group: record.group,
        ip: record.client,
        request_id: record.request_id,
    }
}
