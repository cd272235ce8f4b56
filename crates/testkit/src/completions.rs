//! OpenAI's completions, the dialect before chat.

use http::Response;
use serde_json::{Value, json};

use crate::{
    body::{Body, Frames, USAGE, spliced, whole},
    error,
    provider::Exchange,
    said::{self, Asked, Said, Stop},
};

pub(crate) fn answer(exchange: Exchange) -> Response<Body> {
    let Exchange { ref request, ref script, ref model, number, .. } = exchange;
    let asked = Asked {
        limit: request.get("max_tokens").and_then(Value::as_u64),
        input: said::count_members(request, &["prompt"]),
        ..Asked::default()
    };
    let said = Said::new(&asked, script);
    let finish = if said.stop == Stop::Limit { "length" } else { "stop" };
    let tokens = said.tokens;
    let honest = json!({
        "prompt_tokens": tokens.input, "completion_tokens": tokens.output, "total_tokens": tokens.input + tokens.output,
    });
    let usages = script.usages(honest.to_string(), |tokens| {
        format!(r#"{{"prompt_tokens":{tokens},"completion_tokens":{tokens}}}"#)
    });
    let part = |choices: Value, usage: Option<&str>| {
        let part = json!({
            "id": format!("cmpl-{number}"), "object": "text_completion", "created": 1, "model": model, "choices": choices, "usage": USAGE,
        });
        spliced(&part, "usage", usage)
    };
    let choice = |text: &str, finish: Option<&str>| json!([{"text": text, "index": 0, "logprobs": null, "finish_reason": finish}]);
    if !exchange.streams() {
        return whole(script, part(choice(&said.text(), Some(finish)), usages.first().map(String::as_str)));
    }
    let mut frames = Frames::default();
    for piece in &said.pieces {
        frames.chunk(format!("data: {}\n\n", part(choice(piece, None), None)));
    }
    frames.event(format!("data: {}\n\n", part(choice("", Some(finish)), None)));
    if request.pointer("/stream_options/include_usage").and_then(Value::as_bool) == Some(true) {
        for usage in &usages {
            frames.event(format!("data: {}\n\n", part(json!([]), Some(usage))));
        }
    }
    frames.event("data: [DONE]\n\n".to_owned());
    let error = format!("data: {}\n\n", error::openai(500, script));
    frames.into_response("text/event-stream", error, script, exchange.in_flight)
}
