//! OpenAI's moderations: a text with the word "violence" in it is flagged.

use http::Response;
use serde_json::{Value, json};

use crate::{
    body::{Body, whole},
    provider::Exchange,
};

const CATEGORIES: [&str; 13] = [
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/instructions",
    "self-harm/intent",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
];

pub(crate) fn answer(exchange: &Exchange) -> Response<Body> {
    let input = exchange.request.get("input").cloned().unwrap_or_default();
    // A list of texts is many inputs, a list of parts is one.
    let inputs = match &input {
        Value::Array(items) if items.iter().all(Value::is_string) => items.clone(),
        one => vec![one.clone()],
    };
    let results: Vec<Value> = inputs.iter().map(|input| result(&input.to_string())).collect();
    let answer = json!({"id": "modr-1", "model": exchange.model, "results": results});
    whole(&exchange.script, answer.to_string())
}

fn result(input: &str) -> Value {
    let flagged = input.contains("violence");
    let of = |value: &dyn Fn(bool) -> Value| {
        CATEGORIES
            .iter()
            .map(|name| ((*name).to_owned(), value(flagged && *name == "violence")))
            .collect::<Value>()
    };
    json!({
        "flagged": flagged, "categories": of(&|is| is.into()),
        "category_scores": of(&|is| if is { 0.9 } else { 0.01 }.into()), "category_applied_input_types": of(&|_| json!(["text"])),
    })
}
