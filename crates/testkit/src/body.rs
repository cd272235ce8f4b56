//! Bodies of answers: whole ones, and streams that stop, stall or break where their script says so.

use std::{collections::VecDeque, io, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::Frame;
use serde_json::Value;

use crate::{Script, provider::InFlight};

pub(crate) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// What stands for the usage until it is spliced in as text, because some lies are no JSON.
pub(crate) const USAGE: &str = "\u{e000}usage";

/// An answer with its usage in the place of [`USAGE`], or without the member, which may not be the first of its object.
pub(crate) fn spliced(answer: &Value, member: &str, usage: Option<&str>) -> String {
    let text = answer.to_string();
    let mark = format!("\"{USAGE}\"");
    match usage {
        Some(usage) => text.replace(&mark, usage),
        None => text.replace(&format!(",\"{member}\":{mark}"), ""),
    }
}

pub(crate) async fn pause(millis: u64) {
    if millis > 0 {
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }
}

fn with_kind(status: StatusCode, kind: &str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    if let Ok(kind) = HeaderValue::from_str(kind) {
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
    }
    response
}

pub(crate) fn bytes(status: StatusCode, kind: &str, body: impl Into<Bytes>) -> Response<Body> {
    with_kind(status, kind, Full::new(body.into()).map_err(|never| match never {}).boxed_unsync())
}

/// A whole JSON answer.
pub(crate) fn whole(script: &Script, body: String) -> Response<Body> {
    bytes(StatusCode::OK, script.content_type.as_deref().unwrap_or("application/json"), body)
}

/// The events of a stream. Each chunk comes with the events that must stand before it.
#[derive(Default)]
pub(crate) struct Frames {
    chunks: Vec<Vec<String>>,
    waiting: Vec<String>,
    /// What is said where there is nothing to say.
    murmur: Option<String>,
    /// What each event is put into, where it is put into something.
    framing: Option<fn(&str) -> Bytes>,
}

impl Frames {
    /// Adds an event that is no chunk: it opens or closes something.
    pub(crate) fn event(&mut self, event: String) {
        self.waiting.push(event);
    }

    /// Adds a chunk of the answer, which scripts count.
    pub(crate) fn chunk(&mut self, event: String) {
        self.waiting.push(event);
        self.chunks.push(std::mem::take(&mut self.waiting));
    }

    /// This is what the dialect has to say where there is nothing to say; a comment without it.
    pub(crate) fn murmurs(&mut self, event: String) {
        self.murmur = Some(event);
    }

    /// From now on each event goes in a frame.
    pub(crate) fn frame(&mut self, framing: fn(&str) -> Bytes) {
        self.framing = Some(framing);
    }

    /// The body; `error` is the event that says that it failed.
    pub(crate) fn into_response(
        self,
        kind: &str,
        error: String,
        script: &Script,
        in_flight: InFlight,
    ) -> Response<Body> {
        let kind = script.content_type.clone().unwrap_or_else(|| kind.to_owned());
        let framing = self.framing;
        let murmur = self.murmur.clone().unwrap_or_else(|| ": still here\n\n".to_owned());
        let (chunk_ms, murmur_ms) = (script.chunk_ms, script.murmur_ms);
        let steps: VecDeque<Step> = self.steps(error, script).into();
        let frames = futures_util::stream::unfold((steps, in_flight, murmur), move |state| async move {
            let (mut steps, in_flight, murmur) = state;
            let step = steps.pop_front()?;
            pause(chunk_ms).await;
            let frame = match step {
                Step::Send(text) => Ok(Frame::data(
                    framing.map_or_else(|| Bytes::from(text.clone()), |framing| framing(&text)),
                )),
                Step::Reset => Err(io::Error::other("scripted")),
                Step::Stall => std::future::pending().await,
                Step::Wait => tokio::select! {
                    waited = in_flight.released() => {
                        waited.map(|()| Frame::data(Bytes::new())).map_err(io::Error::other)
                    }
                    () = pause(murmur_ms), if murmur_ms > 0 => {
                        steps.push_front(Step::Wait);
                        Ok(Frame::data(Bytes::from(murmur.clone())))
                    }
                },
            };
            Some((frame, (steps, in_flight, murmur)))
        });
        with_kind(StatusCode::OK, &kind, StreamBody::new(frames).boxed_unsync())
    }

    fn steps(self, error: String, script: &Script) -> Vec<Step> {
        let mut steps = Vec::new();
        for (index, chunk) in self.chunks.into_iter().enumerate() {
            let at = |after: Option<u64>| after == Some(index as u64);
            if at(script.reset_after) {
                steps.push(Step::Reset);
            }
            if at(script.stall_after) {
                steps.push(Step::Stall);
            }
            if at(script.wait_after) {
                steps.push(Step::Wait);
            }
            if at(script.fail_after) {
                steps.push(Step::Send(error));
                return steps;
            }
            if at(script.truncate_after) {
                break;
            }
            steps.extend(chunk.into_iter().map(Step::Send));
        }
        if script.truncate_after.is_none() {
            steps.extend(self.waiting.into_iter().map(Step::Send));
        }
        steps
    }
}

/// One step of a streamed answer.
enum Step {
    Send(String),
    Reset,
    Stall,
    Wait,
}
