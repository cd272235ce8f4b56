//! OpenAI's videos: jobs that are asked for until they have ended.

use std::collections::HashMap;

use http::{Response, StatusCode};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::{
    Script,
    body::{Body, bytes, whole},
    error,
    provider::Exchange,
};

/// The jobs of a provider.
#[derive(Debug, Default)]
pub(crate) struct Jobs(Mutex<HashMap<String, Job>>);

#[derive(Clone, Debug)]
struct Job {
    id: String,
    model: String,
    prompt: Value,
    seconds: Value,
    size: Value,
    from: Option<String>,
    /// How often it is asked for until it has ended, and how often it was.
    polls: u64,
    polled: u64,
    fails: bool,
    word: Option<String>,
}

impl Job {
    fn has_ended(&self) -> bool {
        self.polled > self.polls
    }

    fn render(&self) -> Value {
        let status = match (self.polled, self.has_ended(), self.fails, &self.word) {
            (0, ..) => "queued",
            (_, false, ..) => "in_progress",
            (_, true, _, Some(word)) => word,
            (_, true, true, None) => "failed",
            (_, true, false, None) => "completed",
        };
        let progress = if self.has_ended() { 100 } else { self.polled * 100 / (self.polls + 1) };
        let error =
            (status == "failed").then(|| json!({"code": "scripted", "message": "the job has failed"}));
        json!({
            "id": self.id, "object": "video", "model": self.model, "status": status, "progress": progress, "created_at": 1,
            "completed_at": (status == "completed").then_some(2), "expires_at": null, "prompt": self.prompt,
            "seconds": self.seconds, "size": self.size, "remixed_from_video_id": self.from, "error": error,
        })
    }
}

fn missing() -> Response<Body> {
    let script = Script { message: Some("Video not found.".to_owned()), ..Script::default() };
    bytes(StatusCode::NOT_FOUND, "application/json", error::openai(404, &script).to_string())
}

impl Jobs {
    /// Begins a job, or one that changes what another has made.
    pub(crate) fn create(&self, exchange: &Exchange, from: Option<&str>) -> Response<Body> {
        let Exchange { request, script, model, .. } = exchange;
        let mut jobs = self.0.lock();
        let earlier = from.map(|from| jobs.get(from).cloned());
        let Some(earlier) = earlier.map_or(Some(None), |found| found.map(Some)) else { return missing() };
        let said = |name: &str| request.get(name).cloned();
        let earlier = earlier.as_ref();
        let job = Job {
            id: format!("video_{}", jobs.len() + 1),
            model: earlier.map_or_else(|| model.clone(), |earlier| earlier.model.clone()),
            prompt: said("prompt").unwrap_or_default(),
            seconds: script
                .job_seconds
                .map(Value::from)
                .or_else(|| said("seconds"))
                .or_else(|| Some(earlier?.seconds.clone()))
                .unwrap_or(json!("4")),
            size: script
                .job_size
                .clone()
                .or_else(|| said("size"))
                .or_else(|| Some(earlier?.size.clone()))
                .unwrap_or(json!("720x1280")),
            from: from.map(str::to_owned),
            polls: earlier.map_or(script.polls, |earlier| earlier.polls),
            polled: 0,
            fails: earlier.map_or(script.job_fails, |earlier| earlier.fails),
            word: script.job_word.clone(),
        };
        let rendered = job.render();
        jobs.insert(job.id.clone(), job);
        whole(script, rendered.to_string())
    }

    /// Says how far a job is, and lets it go on.
    pub(crate) fn retrieve(&self, id: &str) -> Response<Body> {
        let mut jobs = self.0.lock();
        let Some(job) = jobs.get_mut(id) else { return missing() };
        job.polled += 1;
        whole(&Script::default(), job.render().to_string())
    }

    /// What a job has made.
    pub(crate) fn content(&self, id: &str) -> Response<Body> {
        match self.0.lock().get(id) {
            Some(job) if job.has_ended() && !job.fails => {
                bytes(StatusCode::OK, "video/mp4", "moving pictures")
            }
            _ => missing(),
        }
    }

    /// Forgets a job.
    pub(crate) fn delete(&self, id: &str) -> Response<Body> {
        match self.0.lock().remove(id) {
            Some(job) => {
                let gone = json!({"id": job.id, "object": "video.deleted", "deleted": true});
                whole(&Script::default(), gone.to_string())
            }
            None => missing(),
        }
    }
}
