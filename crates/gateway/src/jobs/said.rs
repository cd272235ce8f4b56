//! What an upstream says of a video, and how its caller is told.

use std::ops::RangeInclusive;

use model::{price::Size, refusal::Refusal};
use serde_json::{Map, Value};
use store::{JobState, Told};
use wire::openai::upstream_error;

use super::size;
use crate::routing::UpstreamFailure;

/// An upstream's words.
pub(super) struct Said {
    /// The upstream's id.
    pub(super) id: String,
    pub(super) state: JobState,
    progress: i64,
    /// The seconds of the video, where it says them.
    pub(super) seconds: Option<u64>,
    /// Its size, where it says one that has a name.
    pub(super) size: Option<Size>,
    members: Map<String, Value>,
}

/// What of an upstream's answer is passed on. Others, such as a link to what was made, may name the upstream.
const PASSED: [&str; 15] = [
    "id",
    "task_id",
    "object",
    "model",
    "status",
    "progress",
    "created_at",
    "completed_at",
    "expires_at",
    "prompt",
    "seconds",
    "size",
    "quality",
    "remixed_from_video_id",
    "error",
];
/// Longest id of an upstream, in bytes.
const MOST_ID: usize = 256;

impl Said {
    /// Reads an answer.
    ///
    /// # Errors
    /// It is none.
    pub(super) fn read(body: &[u8]) -> Result<Self, UpstreamFailure> {
        let members: Map<String, Value> =
            serde_json::from_slice(body).map_err(|_| UpstreamFailure::Malformed)?;
        let text = |name: &str| members.get(name).and_then(Value::as_str);
        let id = text("id").filter(|id| !id.is_empty() && id.len() <= MOST_ID);
        let id = id.ok_or(UpstreamFailure::Malformed)?.to_owned();
        let state = state(text("status").unwrap_or_default());
        let progress = members.get("progress").and_then(Value::as_i64).unwrap_or(0).clamp(0, 100);
        // What cannot be is as if it had not been said: what was asked for counts.
        let seconds = members.get("seconds").and_then(seconds).filter(|seconds| POSSIBLE.contains(seconds));
        let size = size::told(&members);
        Ok(Self { id, state, progress, seconds, size, members })
    }

    /// The same with this size, where the upstream does not say one: it was asked for, or said before.
    pub(super) fn sized(self, size: Option<Size>) -> Self {
        Self { size: self.size.or(size), ..self }
    }

    /// As the caller is told: with the id and the model that it knows, and without what must not get out.
    pub(super) fn told(mut self, name: &str, model: &str, from: Option<&Value>) -> Told {
        self.members.retain(|member, _| PASSED.contains(&member.as_str()));
        // Whatever it was read from: the end may say nothing of it, and is charged by it.
        if let Some(size) = self.size.filter(|_| size::told(&self.members).is_none()) {
            self.members.insert("size".to_owned(), size.word().into());
        }
        if let Some(task) = self.members.get_mut("task_id") {
            *task = name.into();
        }
        let mut put = |member: &str, value: Value| drop(self.members.insert(member.to_owned(), value));
        put("id", name.into());
        put("status", self.state.word().into());
        put("model", model.into());
        put("remixed_from_video_id", from.cloned().unwrap_or_default());
        if let Some(error) = self.members.get_mut("error").filter(|error| !error.is_null()) {
            let words = upstream_error::read(0, error.to_string().as_bytes());
            *error = serde_json::json!({"code": words.code, "message": words.message});
        }
        let answer = Value::Object(self.members).to_string();
        Told { state: self.state, progress: self.progress, answer }
    }
}

/// How far a job is by an upstream's word for it. OpenAI has four; those of others mean the same.
fn state(word: &str) -> JobState {
    match word.trim().to_ascii_lowercase().as_str() {
        "queued" | "pending" | "submitted" | "created" | "waiting" | "not_started" => JobState::Queued,
        "completed" | "complete" | "succeeded" | "succeed" | "success" | "finished" | "done" => {
            JobState::Completed
        }
        "failed" | "failure" | "error" | "errored" | "canceled" | "cancelled" | "expired" | "rejected"
        | "aborted" | "timeout" | "timed_out" => JobState::Failed,
        // A word that is not known is no end: an end is settled for ever.
        _ => JobState::InProgress,
    }
}

/// A number of seconds, in whatever way it is written, rounded up to a whole one.
pub(super) fn seconds(value: &Value) -> Option<u64> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    let (whole, decimals) = text.split_once('.').unwrap_or((&text, ""));
    if !decimals.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let up = u64::from(decimals.bytes().any(|digit| digit != b'0'));
    whole.parse::<u64>().ok()?.checked_add(up)
}

/// The size that stands in an answer that a caller was given.
pub(super) fn size_in(answer: &str) -> Option<Size> {
    serde_json::from_str(answer).ok().and_then(|members| size::told(&members))
}

/// What stands in an answer that a caller was given.
pub(super) fn member(answer: &str, name: &str) -> Option<Value> {
    let mut members: Map<String, Value> = serde_json::from_str(answer).ok()?;
    members.remove(name)
}

/// The answer of a job that ended without a word of its upstream.
pub(super) fn failed(answer: &str, code: &str, message: &str) -> Told {
    let mut members: Map<String, Value> = serde_json::from_str(answer).unwrap_or_default();
    members.insert("status".to_owned(), JobState::Failed.word().into());
    members.insert("error".to_owned(), serde_json::json!({"code": code, "message": message}));
    Told { state: JobState::Failed, progress: 0, answer: Value::Object(members).to_string() }
}

/// Refuses seconds that are no number.
pub(super) fn asked_seconds(value: &Value) -> Result<u64, Refusal> {
    seconds(value).filter(|seconds| POSSIBLE.contains(seconds)).ok_or_else(|| {
        Refusal::InvalidRequest(format!("seconds must be a number from 1 to {}", POSSIBLE.end()))
    })
}

/// How long a video may be, in seconds.
const POSSIBLE: RangeInclusive<u64> = 1..=3_600;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn seconds_are_read_however_they_are_written() {
        for (value, expected) in [
            (json!("4"), Some(4)),
            (json!(8), Some(8)),
            (json!(8.0), Some(8)),
            (json!("4.2"), Some(5)),
            (json!("-4"), None),
            (json!("4s"), None),
            (json!("4.x"), None),
            (json!(1e3), Some(1000)),
            (json!(null), None),
            (json!(u64::MAX), Some(u64::MAX)),
        ] {
            assert_eq!(seconds(&value), expected, "{value}");
        }
    }

    #[test]
    fn a_caller_is_told_what_it_knows() {
        let body = json!({
            "id": "theirs", "status": "failed", "model": "upstream-m", "progress": 700,
            "error": {"code": "moderation", "message": "no; key sk-abcdefghijklmnopqrstuvwxyz0123456789"},
            "task_id": "theirs", "video_url": "https://upstream.example/x.mp4",
        });
        let said = Said::read(body.to_string().as_bytes()).unwrap();
        let told = said.told("video_x", "m", None);
        assert_eq!((told.state, told.progress), (JobState::Failed, 100));
        let answer: Value = serde_json::from_str(&told.answer).unwrap();
        assert_eq!((&answer["id"], &answer["model"]), (&json!("video_x"), &json!("m")));
        assert_eq!(answer["error"]["code"], "moderation");
        for hidden in ["abcdefghijklmnopqrstuvwxyz", "theirs", "upstream"] {
            assert!(!told.answer.contains(hidden), "{}", told.answer);
        }
        assert!(Said::read(b"[]").is_err() && Said::read(br#"{"status": "queued"}"#).is_err());
        for (word, expected) in [
            ("thinking", JobState::InProgress),
            ("Succeeded", JobState::Completed),
            ("canceled", JobState::Failed),
            ("expired", JobState::Failed),
            ("pending", JobState::Queued),
        ] {
            let body = json!({"id": "x", "status": word}).to_string();
            let said = Said::read(body.as_bytes()).unwrap();
            assert_eq!(said.state, expected, "{word}");
            let answer: Value = serde_json::from_str(&said.told("v", "m", None).answer).unwrap();
            assert_eq!(answer["status"], expected.word(), "the callers' clients know four words");
        }
    }

    #[test]
    fn seconds_that_cannot_be_are_not_believed() {
        for (said, expected) in
            [(json!(0), None), (json!("0.0"), None), (json!(3_601), None), (json!("12"), Some(12))]
        {
            let body = json!({"id": "x", "status": "completed", "seconds": said}).to_string();
            assert_eq!(Said::read(body.as_bytes()).unwrap().seconds, expected, "{said}");
        }
    }
}
