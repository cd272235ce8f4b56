//! Embeddings, as OpenAI and Google have them.

use http::Response;
use serde_json::{Value, json};

use crate::{
    body::{Body, USAGE, spliced, whole},
    provider::Exchange,
    said::count,
};

const VECTOR: [f32; 3] = [0.1, 0.2, 0.3];
/// The same numbers, little-endian, in base64, as OpenAI's clients ask for them.
const PACKED: &str = "zczMPc3MTD6amZk+";

pub(crate) fn openai(exchange: &Exchange) -> Response<Body> {
    let Exchange { request, script, model, .. } = exchange;
    let input = request.get("input").cloned().unwrap_or_default();
    let numbers = input.get(0).is_some_and(Value::is_number);
    let inputs = if numbers { 1 } else { input.as_array().map_or(1, Vec::len) };
    let packed = request.get("encoding_format").and_then(Value::as_str) == Some("base64");
    let vector = if packed { json!(PACKED) } else { json!(VECTOR) };
    let data: Vec<Value> = (0..inputs)
        .map(|index| json!({"object": "embedding", "index": index, "embedding": vector}))
        .collect();
    let tokens = count(&input) + count_numbers(&input);
    let honest = json!({"prompt_tokens": tokens, "total_tokens": tokens}).to_string();
    let usages =
        script.usages(honest, |tokens| format!(r#"{{"prompt_tokens":{tokens},"total_tokens":{tokens}}}"#));
    let answer = json!({"object": "list", "model": model, "data": data, "usage": USAGE});
    whole(script, spliced(&answer, "usage", usages.first().map(String::as_str)))
}

/// Inputs may be given as tokens.
fn count_numbers(value: &Value) -> u64 {
    match value {
        Value::Number(_) => 1,
        Value::Array(items) => items.iter().map(count_numbers).sum(),
        _ => 0,
    }
}

/// Google's, of one text or of a batch. This vendor reports no usage here.
pub(crate) fn google(exchange: &Exchange, batch: bool) -> Response<Body> {
    let embedding = json!({"values": VECTOR});
    let body = if batch {
        let requests = exchange.request.get("requests").and_then(Value::as_array).map_or(0, Vec::len);
        json!({"embeddings": vec![embedding; requests]})
    } else {
        json!({"embedding": embedding})
    };
    whole(&exchange.script, body.to_string())
}
