//! The body of an answer in AWS's framing, read as server-sent events.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Response, header};
use hyper::body::{Body, Frame};
use wire::messages::event_stream::{Broken, Decoder};

use super::UpstreamBody;

/// What the framing is called.
const FRAMES: &str = "application/vnd.amazon.eventstream";

/// A body on its way out of its frames.
pub(crate) struct Framed {
    inner: UpstreamBody,
    decoder: Decoder,
    /// What came behind events that were good.
    broken: Option<Broken>,
}

/// An answer without AWS's framing, if it has that.
pub(super) fn unframed(answer: Response<UpstreamBody>) -> Response<UpstreamBody> {
    let kind = answer.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let kind = kind.split(|byte| *byte == b';').next().unwrap_or_default();
    if !kind.trim_ascii().eq_ignore_ascii_case(FRAMES.as_bytes()) {
        return answer;
    }
    let framed = |inner| Framed { inner, decoder: Decoder::default(), broken: None };
    let mut answer = answer.map(|inner| UpstreamBody::Framed(Box::new(framed(inner))));
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    answer
}

impl Framed {
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        loop {
            if let Some(broken) = self.broken.take() {
                return Poll::Ready(Some(Err(io::Error::new(io::ErrorKind::InvalidData, broken))));
            }
            let frame = match ready!(Pin::new(&mut self.inner).poll_frame(context)) {
                None => return Poll::Ready(None),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                Some(Ok(frame)) => frame,
            };
            let Ok(data) = frame.into_data() else { continue };
            self.decoder.push(&data);
            let events = self.events();
            if !events.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(events))));
            }
        }
    }

    /// The events that are whole.
    fn events(&mut self) -> Bytes {
        let mut out = BytesMut::new();
        loop {
            match self.decoder.next_event() {
                Ok(Some(event)) => out.extend_from_slice(&event),
                Ok(None) => return out.freeze(),
                Err(broken) => {
                    self.broken = Some(broken);
                    return out.freeze();
                }
            }
        }
    }
}
