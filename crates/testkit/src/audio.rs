//! OpenAI's speech, and what is heard in it.

use http::{Response, StatusCode};
use serde_json::{Value, json};

use crate::{
    Script,
    body::{Body, Frames, bytes, whole},
    error,
    form::Form,
    provider::Exchange,
    said::count_members,
};

/// What every recording says.
const HEARD: &str = "Hello from a recording.";
/// How long each is, in seconds, and what its tokens are.
const SECONDS: u64 = 2;
const SOUND: u64 = 20;

/// Binary sound; as events where the request asks for them.
pub(crate) fn speech(exchange: Exchange) -> Response<Body> {
    let Exchange { ref request, ref script, .. } = exchange;
    let words = count_members(request, &["input"]);
    let text = |name: &str, default: &'static str| {
        request.get(name).and_then(Value::as_str).unwrap_or(default).to_owned()
    };
    let error = format!("data: {}\n\n", error::openai(500, script));
    let mut frames = Frames::default();
    if text("stream_format", "audio") == "sse" {
        for _ in 0..words {
            let delta = json!({"type": "speech.audio.delta", "audio": "c291bmQ="});
            frames.chunk(format!("data: {delta}\n\n"));
        }
        let usage = json!({"input_tokens": words, "output_tokens": words * SOUND, "total_tokens": words * (1 + SOUND)});
        frames.event(format!("data: {}\n\n", json!({"type": "speech.audio.done", "usage": usage})));
        return frames.into_response("text/event-stream", error, script, exchange.in_flight);
    }
    let kind = match text("response_format", "mp3").as_str() {
        "wav" => "audio/wav",
        "opus" => "audio/opus",
        "pcm" => "audio/pcm",
        _ => "audio/mpeg",
    };
    for index in 0..words {
        frames.chunk(format!("sound {index};"));
    }
    frames.into_response(kind, String::new(), script, exchange.in_flight)
}

/// Text from sound.
pub(crate) fn transcription(exchange: Exchange, form: Option<&Form>) -> Response<Body> {
    let Exchange { ref request, ref script, ref model, .. } = exchange;
    if !form.is_some_and(|form| form.files.iter().any(|file| file.field == "file" && !file.bytes.is_empty()))
    {
        let script =
            Script { message: Some("Missing required parameter: 'file'.".to_owned()), ..Script::default() };
        return bytes(StatusCode::BAD_REQUEST, "application/json", error::openai(400, &script).to_string());
    }
    let words = HEARD.split_whitespace().count() as u64;
    // The older models are paid for by the second, the others by tokens.
    let usage = if model.starts_with("whisper") {
        json!({"type": "duration", "seconds": SECONDS})
    } else {
        json!({
            "type": "tokens", "input_tokens": SOUND, "input_token_details": {"text_tokens": 0, "audio_tokens": SOUND},
            "output_tokens": words, "total_tokens": SOUND + words,
        })
    };
    if exchange.streams() {
        let mut frames = Frames::default();
        for word in HEARD.split_inclusive(' ') {
            frames.chunk(format!("data: {}\n\n", json!({"type": "transcript.text.delta", "delta": word})));
        }
        let done = json!({"type": "transcript.text.done", "text": HEARD, "usage": usage});
        frames.event(format!("data: {done}\n\n"));
        let error = format!("data: {}\n\n", error::openai(500, script));
        return frames.into_response("text/event-stream", error, script, exchange.in_flight);
    }
    match request.get("response_format").and_then(Value::as_str) {
        Some("text") => bytes(StatusCode::OK, "text/plain", format!("{HEARD}\n")),
        Some("srt") => {
            bytes(StatusCode::OK, "text/plain", format!("1\n00:00:00,000 --> 00:00:02,000\n{HEARD}\n\n"))
        }
        Some("verbose_json") => whole(
            script,
            json!({
                "task": "transcribe", "language": "english", "duration": SECONDS as f64, "text": HEARD, "segments": [],
                "usage": usage,
            })
            .to_string(),
        ),
        _ => whole(script, json!({"text": HEARD, "usage": usage}).to_string()),
    }
}
