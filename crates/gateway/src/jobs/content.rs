//! What a job has made, on its way from the upstream to the caller, piece by piece.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Method, header};
use http_body_util::Full;
use hyper::body::{Body, Frame, SizeHint};
use model::refusal::Refusal;
use store::{Job, JobState};
use tokio::time::{Instant, Sleep};

use super::{
    Answer,
    ask::{path, way},
    not_completed,
};
use crate::{
    attempt::{self, Failed},
    gateway::Gateway,
    upstream::{self, Ask, UpstreamBody},
};

/// Longest name of a variant, in bytes.
const MOST_VARIANT: usize = 64;

/// The body of an answer about jobs.
pub struct JobBody(Inner);

enum Inner {
    Whole(Full<Bytes>),
    Content(Box<Content>),
}

/// Bytes of an upstream, as long as they come.
struct Content {
    upstream: UpstreamBody,
    idle: Pin<Box<Sleep>>,
    limit: Duration,
}

impl JobBody {
    pub(super) fn whole(body: Bytes) -> Self {
        Self(Inner::Whole(Full::new(body)))
    }
}

/// Passes on what a job has made.
pub(super) async fn of(gateway: &Gateway, job: Job, query: &str) -> Result<Answer, Refusal> {
    if job.told.state != JobState::Completed {
        return Err(not_completed(&job));
    }
    let variant = query.split('&').find_map(|pair| pair.strip_prefix("variant="));
    let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    let verb = match variant {
        None => "/content".to_owned(),
        Some(variant) if variant.len() <= MOST_VARIANT && plain(variant) => {
            format!("/content?variant={variant}")
        }
        Some(_) => return Err(Refusal::InvalidRequest("variant must be one word".to_owned())),
    };
    let channel = way(gateway, &job).ok_or(Refusal::UpstreamError)?;
    let path = path(&channel, Some((&job.upstream, &verb))).ok_or(Refusal::UpstreamError)?;
    let ask = Ask { method: Method::GET, path: &path, content: None };
    let response = gateway.upstream.ask(&channel, ask, gateway.settings.first_byte).await;
    let response = response.map_err(|no_answer| Failed::from(no_answer).refusal)?;
    if !response.status().is_success() {
        return Err(attempt::refused(gateway, channel.provider, response).await.refusal);
    }
    let (parts, upstream) = response.into_parts();
    let mut headers = upstream::back(&parts.headers);
    if let Some(length) = parts.headers.get(header::CONTENT_LENGTH) {
        headers.insert(header::CONTENT_LENGTH, length.clone());
    }
    let limit = gateway.settings.idle;
    let content = Content { upstream, idle: Box::pin(tokio::time::sleep(limit)), limit };
    Ok(Answer { status: parts.status, headers, body: JobBody(Inner::Content(Box::new(content))) })
}

impl Body for JobBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match &mut self.0 {
            Inner::Whole(body) => Pin::new(body)
                .poll_frame(context)
                .map(|frame| frame.map(|frame| frame.map_err(|never| match never {}))),
            Inner::Content(content) => content.poll(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Inner::Whole(body) => body.is_end_stream(),
            Inner::Content(content) => content.upstream.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Inner::Whole(body) => body.size_hint(),
            Inner::Content(_) => SizeHint::default(),
        }
    }
}

impl Content {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let frame = Pin::new(&mut self.upstream).poll_frame(context);
        if frame.is_ready() {
            self.idle.as_mut().reset(Instant::now() + self.limit);
            return frame;
        }
        // An upstream that says nothing more must not keep the caller for ever.
        self.idle.as_mut().poll(context).map(|()| Some(Err(io::ErrorKind::TimedOut.into())))
    }
}
