//! A stream of messages that passes as it is.

use serde_json::{Value, json};

use super::{answer, usage::Counts};
use crate::{
    json::{Malformed, Walk, text_length},
    openai::estimate,
    tap::{Said, Told},
    usage::Usage,
};

/// Reads events.
#[derive(Debug)]
pub(crate) struct Tap {
    model: String,
    counts: Counts,
    /// The block that is open.
    open: Option<u64>,
    finished: bool,
}

impl Tap {
    pub(crate) fn new(model: String) -> Self {
        Self { model, counts: Counts::default(), open: None, finished: false }
    }

    pub(crate) const fn finished(&self) -> bool {
        self.finished
    }

    /// Takes in the data of one event.
    pub(crate) fn read(&mut self, data: &[u8]) -> Result<Said, Malformed> {
        let (mut kind, mut index, mut said) = (b"".as_slice(), None, Said::default());
        let (counts, finished) = (&mut self.counts, &mut self.finished);
        let mut walk = Walk::new(data);
        walk.object(|name, walk| {
            match name {
                b"type" if walk.is_string() => kind = walk.string()?,
                b"index" => index = walk.whole()?,
                b"usage" if walk.is_object() => counts.add(walk.value()?),
                b"message" | b"delta" | b"content_block" if walk.is_object() => {
                    walk.object(|name, walk| {
                        match name {
                            b"usage" if walk.is_object() => counts.add(walk.value()?),
                            b"text" | b"thinking" | b"partial_json" | b"name" if walk.is_string() => {
                                said.delivered += estimate(text_length(walk.string()?));
                            }
                            b"stop_reason" => *finished |= walk.value()? != b"null",
                            _ => drop(walk.value()?),
                        }
                        Ok(())
                    })?
                }
                _ => drop(walk.value()?),
            }
            Ok(())
        })?;
        walk.end()?;
        match kind {
            b"content_block_start" => self.open = index,
            b"content_block_stop" => self.open = None,
            _ => {}
        }
        Ok(Said {
            report: self.counts.report(),
            error: kind == b"error",
            end: kind == b"message_stop",
            ..said
        })
    }

    /// The end of an answer that is stopped.
    pub(crate) fn stop(&mut self, usage: &Usage, begun: bool) -> String {
        let mut out = String::new();
        let mut write = |kind: &str, data: Value| out += &format!("event: {kind}\ndata: {data}\n\n");
        let usage = answer::write_usage(usage);
        if !begun {
            let message = json!({
                "id": "msg_stopped", "type": "message", "role": "assistant", "model": self.model, "content": [],
                "stop_reason": null, "stop_sequence": null, "usage": usage,
            });
            write("message_start", json!({"type": "message_start", "message": message}));
        }
        if let Some(index) = self.open.take() {
            write("content_block_stop", json!({"type": "content_block_stop", "index": index}));
        }
        if !self.finished {
            let delta = json!({"stop_reason": "max_tokens", "stop_sequence": null});
            write("message_delta", json!({"type": "message_delta", "delta": delta, "usage": usage}));
        }
        write("message_stop", json!({"type": "message_stop"}));
        out
    }
}

/// An error as this dialect says it.
pub(crate) fn error(told: Told) -> String {
    let kind = told.kind.unwrap_or_else(|| "api_error".to_owned());
    let data = json!({"type": "error", "error": {"type": kind, "message": told.message}});
    format!("event: error\ndata: {data}\n\n")
}
