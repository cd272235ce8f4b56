//! What is sent to an upstream for a request, and how its answer is to be read: as it is, or from another dialect.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use model::refusal::Refusal;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use wire::{
    convert::{self, Caller, Target},
    dialect::Dialect,
    extras::{Used, Uses},
    openai::{self, answer::Answer},
    passage::Passage,
    plain::Events,
    request::edit::{Edits, edit},
    whole,
};

use crate::{
    attempt::Request,
    door::Door,
    form::Payload,
    provider::{Speech, Style},
    routing::Channel,
    upstream::Outgoing,
};

/// What stands in one segment of a path as it is.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// What stands in a path as it is.
const PLAIN: &AsciiSet = &SEGMENT.remove(b'/').remove(b':').remove(b'@');

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The name of the header that says which of the caller's members were left out.
const DROPPED: &str = "x-apsis-dropped";

/// A request as one upstream gets it.
pub(crate) struct Sent {
    /// Behind the base URL, with its query.
    pub(crate) path: String,
    pub(crate) body: Payload,
    /// Of which kind it is.
    kind: HeaderValue,
    /// How the upstream speaks, where that is not how the caller speaks.
    from: Option<Dialect>,
    dropped: Vec<String>,
}

/// How the gateway answers a request to a channel.
pub(crate) enum Said {
    /// The upstream is asked.
    Sent(Sent),
    /// Nobody is asked: the answer is known here.
    Known(Bytes),
}

/// Says a request to a channel.
///
/// # Errors
/// The dialect of the channel cannot carry it.
pub(crate) fn say(request: &Request<'_>, channel: &Channel) -> Result<Said, Refusal> {
    refuse_storage(request, channel)?;
    let Request { entrance, body, scan, limit, .. } = request;
    let model = channel.upstream_model(&scan.model);
    let speech = channel.provider.speech(entrance.door, scan.stream, request.facts);
    match speech {
        Some(Speech::Native(path)) => {
            let edits = Edits {
                model: Some(model),
                output_limit: *limit,
                max_tokens: channel.provider.max_tokens,
                ask_usage: scan.stream && entrance.door.asks_usage(),
            };
            let events = entrance.door == Door::StreamGenerate && entrance.sse;
            let path_of = |path| path_of(path, model, events);
            if let Some(form) = request.form {
                let (kind, body) = (form.kind()?, form.with(&[("model", model)]));
                return Ok(Said::Sent(Sent {
                    path: path_of(path),
                    body,
                    kind,
                    from: None,
                    dropped: Vec::new(),
                }));
            }
            let body = hosted(request, channel, path, edit(body, scan, edits), true)?;
            Ok(Said::Sent(Sent {
                path: path_of(path),
                body: body.into(),
                kind: JSON,
                from: None,
                dropped: Vec::new(),
            }))
        }
        Some(Speech::Converted(dialect, path)) => {
            let caller = entrance.door.dialect().unwrap_or(Dialect::Chat);
            let target = Target {
                dialect,
                model,
                stream: scan.stream,
                default_output_limit: request.max_output,
                affordable_output: *limit,
            };
            let converted = convert::request(body, caller, target)
                .map_err(|error| Refusal::InvalidRequest(error.to_string()))?;
            let body = hosted(request, channel, path, converted.body, false)?;
            let path = path_of(path, model, dialect == Dialect::Google && scan.stream);
            let (body, dropped) = (body.into(), converted.dropped);
            Ok(Said::Sent(Sent { path, body, kind: JSON, from: Some(dialect), dropped }))
        }
        Some(Speech::Counted) => Ok(Said::Known(count(request))),
        None => Err(Refusal::Internal),
    }
}

/// A cloud reads what a request names in its storage with the rights of the operator, and not of the caller.
fn refuse_storage(request: &Request<'_>, channel: &Channel) -> Result<(), Refusal> {
    if channel.provider.credential != Style::ServiceAccount {
        return Ok(());
    }
    let has = |what: &[u8]| memchr::memmem::find(request.body, what).is_some();
    match has(b"gs:") || has(b"s3:") || has(b"retrieval\"") || has(b"\\u00") {
        true if refers(request.body) => {
            Err(Refusal::InvalidRequest("this model reads files from web addresses alone".to_owned()))
        }
        _ => Ok(()),
    }
}

/// Whether some text of a body is an address in a cloud's storage, or some member asks for retrieval.
fn refers(body: &[u8]) -> bool {
    fn look(value: &serde_json::Value) -> bool {
        use serde_json::Value;
        match value {
            Value::String(text) => text.starts_with("gs:") || text.starts_with("s3:"),
            Value::Array(items) => items.iter().any(look),
            Value::Object(members) => members.iter().any(|(name, value)| name == "retrieval" || look(value)),
            _ => false,
        }
    }
    serde_json::from_slice(body).is_ok_and(|value| look(&value))
}

/// The body as the cloud wants it that hosts the model, if it is one.
fn hosted(
    request: &Request<'_>,
    channel: &Channel,
    path: &str,
    body: Bytes,
    native: bool,
) -> Result<Bytes, Refusal> {
    let Some(hosted) = channel.provider.hosted else { return Ok(body) };
    let betas = request.headers.get("anthropic-beta").filter(|_| native);
    let betas = betas.and_then(|betas| betas.to_str().ok());
    hosted.body(&body, path.contains(['{']), betas).ok_or(Refusal::Internal)
}

/// The path for a model; `events` asks Google for server-sent events.
fn path_of(path: &str, model: &str, events: bool) -> String {
    let named = |mark: &str, plain| {
        let (front, behind) = path.split_once(mark)?;
        Some(format!("{front}{}{behind}", utf8_percent_encode(model, plain)))
    };
    // Few paths name anything, and to look for a character is far cheaper than for a text.
    let named = path.contains('{').then(|| named("{model}", PLAIN).or_else(|| named("{id}", SEGMENT)));
    let path = named.flatten().unwrap_or_else(|| path.to_owned());
    if events { path + "?alt=sse" } else { path }
}

/// The count of the input as the dialect of the door says it. It is an estimate where the model's tokenizer is not public.
fn count(request: &Request<'_>) -> Bytes {
    let member = match request.entrance.door {
        Door::CountContents => "totalTokens",
        _ => "input_tokens",
    };
    Bytes::from(serde_json::json!({ member: request.measured.estimated_input }).to_string())
}

impl Sent {
    /// What goes out.
    pub(crate) fn outgoing(&self) -> Outgoing<'_> {
        let (body, kind) = (self.body.clone(), self.kind.clone());
        Outgoing { path: &self.path, body, kind, native: self.is_native() }
    }

    /// Whether the request goes as the caller sent it, but for what must change.
    pub(crate) const fn is_native(&self) -> bool {
        self.from.is_none()
    }

    /// A stream in the caller's dialect.
    pub(crate) fn passage(&self, request: &Request<'_>) -> Passage {
        let Request { entrance, scan, measured, .. } = request;
        match self.from {
            None => {
                // The older completions have the chunks of the newer.
                let older = (entrance.door == Door::Completions).then_some(Dialect::Chat);
                match entrance.door.dialect().or(older) {
                    Some(dialect) => Passage::native(dialect, &scan.model, scan.include_usage, entrance.sse),
                    None => {
                        let heard = if entrance.door.hears() { measured.estimated_seconds } else { 0 };
                        Passage::Events(Box::new(Events::new(heard, measured.images)))
                    }
                }
            }
            Some(from) => Passage::converted(from, caller(request)),
        }
    }

    /// What a whole answer says that was used beside tokens.
    pub(crate) fn used(&self, request: &Request<'_>, whole: &[u8]) -> Used {
        let spoken = self.from.or(request.entrance.door.dialect());
        spoken.map_or_else(Used::default, |dialect| Uses::whole(dialect, whole))
    }

    /// A whole answer in the caller's dialect, and what was read from it.
    pub(crate) fn answer(&self, request: &Request<'_>, whole: Bytes) -> (Bytes, Answer) {
        match (self.from, request.entrance.door.dialect()) {
            (None, None | Some(Dialect::Chat)) => {
                let read = openai::answer::read(&whole);
                (whole, read)
            }
            (None, Some(dialect)) => {
                let read = whole::answer(dialect, &whole);
                (whole, read)
            }
            (Some(from), _) => match convert::answer(&whole, from, &caller(request)) {
                Ok(told) => {
                    let read = Answer {
                        reported: told.report.reported(),
                        estimated_output: told.estimated_output,
                        is_whole: true,
                        ..Answer::default()
                    };
                    (told.body, read)
                }
                Err(error) => {
                    tracing::info!(%error, "an upstream's answer is none");
                    let read = whole::answer(from, &whole);
                    (whole, Answer { is_whole: false, ..read })
                }
            },
        }
    }

    /// What the caller's headers say of an answer that was not passed as it came.
    pub(crate) fn head(&self, request: &Request<'_>, headers: &mut HeaderMap) {
        if self.from.is_none() {
            return;
        }
        let array = request.entrance.door == Door::StreamGenerate && !request.entrance.sse;
        let kind = if request.scan.stream && !array { "text/event-stream" } else { "application/json" };
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        if !self.dropped.is_empty()
            && let Ok(named) = HeaderValue::from_str(&self.dropped.join(", "))
        {
            headers.insert(DROPPED, named);
        }
    }
}

fn caller(request: &Request<'_>) -> Caller {
    let Request { entrance, scan, .. } = request;
    Caller {
        dialect: entrance.door.dialect().unwrap_or(Dialect::Chat),
        model: scan.model.clone(),
        now: u64::try_from(request.now.secs()).unwrap_or(0),
        include_usage: scan.include_usage,
        input_tokens: request.measured.estimated_input,
        sse: entrance.sse,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_stands_in_a_path_as_one_name() {
        assert_eq!(path_of("/models/{model}:x", "a b?c", true), "/models/a%20b%3Fc:x?alt=sse");
        assert_eq!(path_of("/chat/completions", "m", false), "/chat/completions");
        assert_eq!(path_of("/model/{id}/invoke", "arn:a/b-v1:0", false), "/model/arn%3Aa%2Fb-v1%3A0/invoke");
    }
}
