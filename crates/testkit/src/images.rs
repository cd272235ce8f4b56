//! OpenAI's images: made from a text, or from other images in a form.

use http::{Response, StatusCode};
use serde_json::{Value, json};

use crate::{
    Script,
    body::{Body, Frames, USAGE, bytes, spliced, whole},
    error,
    form::Form,
    provider::Exchange,
    said::count_members,
};

/// A picture of one pixel.
const PIXEL: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
/// Tokens of a picture that comes in, and of one that goes out.
const SEEN: u64 = 50;
const MADE: u64 = 100;

pub(crate) fn answer(exchange: Exchange, form: Option<&Form>) -> Response<Body> {
    let Exchange { ref request, ref script, ref model, .. } = exchange;
    let whole_number = |name: &str| {
        let value = request.get(name)?;
        value.as_u64().or_else(|| value.as_str()?.parse().ok())
    };
    let given = form.map_or(0, |form| form.files.iter().filter(|file| file.field == "image").count() as u64);
    if form.is_some() && given == 0 {
        let script =
            Script { message: Some("Missing required parameter: 'image'.".to_owned()), ..Script::default() };
        return bytes(StatusCode::BAD_REQUEST, "application/json", error::openai(400, &script).to_string());
    }
    let count = whole_number("n").unwrap_or(1);
    let by_url = request.get("response_format").and_then(Value::as_str) == Some("url");
    let picture = match by_url {
        true => json!({"url": "https://images.example/pixel.png"}),
        false => json!({"b64_json": PIXEL}),
    };
    let (text, seen, made) = (count_members(request, &["prompt"]), given * SEEN, count * MADE);
    let honest = json!({
        "input_tokens": text + seen, "input_tokens_details": {"text_tokens": text, "image_tokens": seen},
        "output_tokens": made, "total_tokens": text + seen + made,
    });
    let usages = script.usages(honest.to_string(), |tokens| {
        format!(r#"{{"input_tokens":{tokens},"output_tokens":{tokens},"total_tokens":{tokens}}}"#)
    });
    // Models before those that count tokens report none.
    let usage = usages.first().map(String::as_str).filter(|_| !model.starts_with("dall-e"));
    if !exchange.streams() {
        let pictures: Vec<Value> = (0..count).map(|_| picture.clone()).collect();
        let answer = json!({"created": 1, "data": pictures, "usage": USAGE});
        return whole(script, spliced(&answer, "usage", usage));
    }
    let mut frames = Frames::default();
    let kind = if form.is_some() { "image_edit" } else { "image_generation" };
    let partial = whole_number("partial_images").unwrap_or(0);
    for index in 0..partial {
        let name = format!("{kind}.partial_image");
        let data = json!({"type": name, "b64_json": PIXEL, "partial_image_index": index, "created_at": 1});
        frames.chunk(format!("event: {name}\ndata: {data}\n\n"));
    }
    let name = format!("{kind}.completed");
    let data = json!({"type": name, "b64_json": PIXEL, "created_at": 1, "usage": USAGE});
    frames.chunk(format!("event: {name}\ndata: {}\n\n", spliced(&data, "usage", usage)));
    let error = format!("event: error\ndata: {}\n\n", error::openai(500, script));
    frames.into_response("text/event-stream", error, script, exchange.in_flight)
}
