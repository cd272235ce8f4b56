//! A stream of generateContent that passes as it is.

use serde_json::{Value, json};

use super::{answer, usage};
use crate::{
    json::{Malformed, Walk, text_length},
    openai::estimate,
    tap::{Said, Told},
    usage::Usage,
};

/// Reads chunks.
#[derive(Debug)]
pub(crate) struct Tap {
    id: String,
    model: String,
    /// The candidates that were seen, and those that said why they ended, one bit each.
    seen: u128,
    ended: u128,
}

impl Tap {
    pub(crate) fn new(model: String) -> Self {
        Self { id: String::new(), model, seen: 0, ended: 0 }
    }

    pub(crate) const fn finished(&self) -> bool {
        self.ended != 0 && self.seen == self.ended
    }

    /// Takes in one chunk.
    pub(crate) fn read(&mut self, data: &[u8]) -> Result<Said, Malformed> {
        let mut said = Said::default();
        let mut walk = Walk::new(data);
        walk.object(|name, walk| {
            match name {
                _ if walk.is_null() => drop(walk.value()?),
                b"candidates" => walk.array(|walk| {
                    said.delivered += self.candidate(walk)?;
                    Ok(())
                })?,
                b"promptFeedback" if walk.is_object() => {
                    if memchr::memmem::find(walk.value()?, b"\"blockReason\"").is_some() {
                        (self.seen, self.ended) = (self.seen | 1, self.ended | 1);
                    }
                }
                b"usageMetadata" => said.report = usage::read(walk.value()?),
                b"modelVersion" => self.model = plain(walk.value()?),
                b"responseId" => self.id = plain(walk.value()?),
                b"error" => {
                    said.error = true;
                    walk.value()?;
                }
                _ => drop(walk.value()?),
            }
            Ok(())
        })?;
        walk.end().map(|()| said)
    }

    /// Reads a candidate, and estimates its tokens.
    fn candidate(&mut self, walk: &mut Walk<'_>) -> Result<u64, Malformed> {
        let (mut index, mut ended, mut delivered) = (0, false, 0);
        walk.object(|name, walk| {
            match name {
                _ if walk.is_null() => drop(walk.value()?),
                b"index" => index = walk.whole()?.unwrap_or(0),
                b"finishReason" => {
                    ended = true;
                    walk.value()?;
                }
                b"content" => walk.object(|name, walk| {
                    if name != b"parts" || !walk.is_array() {
                        return walk.value().map(drop);
                    }
                    walk.array(|walk| {
                        delivered += part(walk)?;
                        Ok(())
                    })
                })?,
                _ => drop(walk.value()?),
            }
            Ok(())
        })?;
        let bit = 1_u128 << index.min(127);
        self.seen |= bit;
        self.ended |= if ended { bit } else { 0 };
        Ok(delivered)
    }

    /// The last chunk of an answer that is stopped: every candidate that has not ended says so.
    pub(crate) fn stop(&self, usage: &Usage) -> Value {
        let open = if self.seen == 0 { 1 } else { self.seen & !self.ended };
        let candidates: Vec<Value> = (0..u128::BITS)
            .filter(|index| open >> index & 1 == 1)
            .map(|index| {
                let content = json!({"role": "model", "parts": []});
                json!({"content": content, "finishReason": "MAX_TOKENS", "index": index})
            })
            .collect();
        json!({
            "candidates": candidates, "usageMetadata": answer::write_usage(usage), "modelVersion": self.model,
            "responseId": self.id,
        })
    }
}

/// The tokens of a part: of its text, or of what a call names and gives.
fn part(walk: &mut Walk<'_>) -> Result<u64, Malformed> {
    let mut delivered = 0;
    walk.object(|name, walk| {
        match name {
            b"text" if walk.is_string() => delivered += estimate(text_length(walk.string()?)),
            b"functionCall" if walk.is_object() => {
                let mut bytes = 0;
                walk.object(|name, walk| {
                    match name {
                        b"name" if walk.is_string() => bytes += text_length(walk.string()?),
                        b"args" => bytes += walk.value()?.len() as u64,
                        _ => drop(walk.value()?),
                    }
                    Ok(())
                })?;
                delivered += estimate(bytes);
            }
            _ => drop(walk.value()?),
        }
        Ok(())
    })?;
    Ok(delivered)
}

/// A text of the stream's head; empty if it is none.
fn plain(raw: &[u8]) -> String {
    serde_json::from_slice(raw).unwrap_or_default()
}

/// An error as this dialect says it.
pub(crate) fn error(told: Told) -> Value {
    let status = told.status.unwrap_or_else(|| "UNAVAILABLE".to_owned());
    json!({"error": {"code": told.number.unwrap_or(502), "message": told.message, "status": status}})
}
