//! Callers of each dialect: how they ask, and what they read of an answer.

use serde_json::{Value, json};

use crate::app::Reply;

/// A caller of one dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Caller {
    Chat,
    Responses,
    Messages,
    Google,
    GoogleArray,
}

pub(super) const CALLERS: [Caller; 5] =
    [Caller::Chat, Caller::Responses, Caller::Messages, Caller::Google, Caller::GoogleArray];

impl Caller {
    pub(super) fn path(self, model: &str, stream: bool) -> String {
        match (self, stream) {
            (Self::Chat, _) => "/v1/chat/completions".to_owned(),
            (Self::Responses, _) => "/v1/responses".to_owned(),
            (Self::Messages, _) => "/v1/messages".to_owned(),
            (Self::Google | Self::GoogleArray, false) => format!("/v1beta/models/{model}:generateContent"),
            (Self::Google, true) => format!("/v1beta/models/{model}:streamGenerateContent?alt=sse"),
            (Self::GoogleArray, true) => format!("/v1beta/models/{model}:streamGenerateContent"),
        }
    }

    pub(super) fn question(self, model: &str, stream: bool, limit: Option<u64>) -> Value {
        let text = "one two three";
        let mut body = match self {
            Self::Chat => {
                json!({"model": model, "messages": [{"role": "user", "content": text}], "stream": stream,
                "stream_options": if stream { json!({"include_usage": true}) } else { Value::Null }})
            }
            Self::Responses => json!({"model": model, "input": text, "stream": stream}),
            Self::Messages => json!({"model": model, "messages": [{"role": "user", "content": text}],
                "stream": stream, "max_tokens": 1000}),
            Self::Google | Self::GoogleArray => {
                json!({"contents": [{"role": "user", "parts": [{"text": text}]}]})
            }
        };
        if let Some(limit) = limit {
            match self {
                Self::Chat => body["max_completion_tokens"] = limit.into(),
                Self::Responses => body["max_output_tokens"] = limit.into(),
                Self::Messages => body["max_tokens"] = limit.into(),
                Self::Google | Self::GoogleArray => {
                    body["generationConfig"] = json!({"maxOutputTokens": limit});
                }
            }
        }
        body
    }

    /// The JSON values of an answer, whole or streamed.
    pub(super) fn values(self, reply: &Reply, stream: bool) -> Vec<Value> {
        match (self, stream) {
            (Self::GoogleArray, true) => reply.json().as_array().unwrap().clone(),
            (_, true) => {
                let text = reply.text();
                assert_eq!(reply.header("content-type"), Some("text/event-stream"), "{self:?}: {text}");
                let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
                data.filter(|data| *data != "[DONE]")
                    .map(|data| serde_json::from_str(data).unwrap())
                    .collect()
            }
            (_, false) => vec![reply.json()],
        }
    }

    /// The text of an answer.
    pub(super) fn text(self, values: &[Value]) -> String {
        let pointers: &[&str] = match self {
            Self::Chat => &["/choices/0/message/content", "/choices/0/delta/content"],
            Self::Responses => &["/output/0/content/0/text", "/delta"],
            Self::Messages => &["/content/0/text", "/delta/text"],
            Self::Google | Self::GoogleArray => &["/candidates/0/content/parts/0/text"],
        };
        let said = |value: &Value| {
            pointers.iter().find_map(|pointer| Some(value.pointer(pointer)?.as_str()?.to_owned()))
        };
        values.iter().filter_map(said).collect()
    }

    /// Input and output tokens as the caller is told.
    pub(super) fn usage(self, values: &[Value]) -> (u64, u64) {
        // A stream may begin with figures that its end corrects.
        let last = |pointers: &[&str]| {
            let found = values.iter().flat_map(|value| {
                pointers.iter().filter_map(|pointer| value.pointer(pointer).and_then(Value::as_u64))
            });
            found.last().unwrap_or_default()
        };
        match self {
            Self::Chat => (last(&["/usage/prompt_tokens"]), last(&["/usage/completion_tokens"])),
            Self::Responses => (
                last(&["/usage/input_tokens", "/response/usage/input_tokens"]),
                last(&["/usage/output_tokens", "/response/usage/output_tokens"]),
            ),
            Self::Messages => (
                last(&["/usage/input_tokens", "/message/usage/input_tokens"]),
                last(&["/usage/output_tokens"]),
            ),
            Self::Google | Self::GoogleArray => {
                (last(&["/usageMetadata/promptTokenCount"]), last(&["/usageMetadata/candidatesTokenCount"]))
            }
        }
    }
}
