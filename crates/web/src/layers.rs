//! What every request passes, from the outside in.
//!
//! 1. The trailing slash goes: `/api/token` and `/api/token/` are one resource.
//! 2. The request gets its id, its entry for the log and its caller's address; the log line is written when the
//!    answer's last byte is gone, so a stream's line has its cost.
//! 3. A panic becomes a 500 in the caller's dialect, with its id in the log.

use std::{
    future::{Future, poll_fn},
    net::IpAddr,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{BoxError, Router, body::Body, response::Response};
use bytes::Bytes;
use gateway::{
    Gateway,
    door::{Door, Entrance},
    entry::Entry,
    exchange,
    jobs::{Place, WrongMethod},
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body::{Frame, SizeHint};
use model::{clock::Timestamp, refusal::Refusal};
use tower::ServiceExt;

use crate::{
    address, envelope,
    model_api::{self, realtime::Upgrading},
    operation::Operation,
    routes::{self, AppState},
};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const COMET_REQUEST_ID: HeaderName = HeaderName::from_static("x-cometapi-request-id");

/// The whole service.
#[derive(Clone, Debug)]
pub struct App {
    state: AppState,
    rest: Router,
}

impl App {
    /// A service with all routes.
    #[must_use]
    pub fn new(state: AppState) -> Self {
        Self { rest: routes::router(state.clone()), state }
    }

    /// Answers one request of `peer`.
    pub(crate) async fn answer<B>(&self, peer: IpAddr, mut request: Request<B>) -> Response<Logged>
    where
        B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static,
    {
        without_slash(request.uri_mut());
        let headers = request.headers();
        let operation = Operation {
            request_id: kept_id(headers).map_or_else(new_id, str::to_owned),
            entry: Entry::default(),
            client: address::client(peer, headers, &self.state.trusted_proxies),
            started: self.state.gateway.now(),
        };
        let line = Line {
            method: request.method().clone(),
            uri: request.uri().clone(),
            status: 499,
            operation,
            gateway: Arc::clone(&self.state.gateway),
        };
        // On the heap, so that an open stream does not keep the room of the work before its first byte, and nobody who
        // passes this future on has to move that room.
        let rest = Box::pin(self.route(request, &line.operation));
        let response = self.caught(rest, line.uri.path(), &line.operation).await;
        finish(response, line)
    }

    /// The doors of the model API come first and pass no router: they are what has to be fast.
    async fn route<B>(&self, mut request: Request<B>, operation: &Operation) -> Response<AnswerBody>
    where
        B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static,
    {
        let uri = request.uri();
        if let Some(place) = Place::at(request.method(), uri.path()) {
            return match place {
                Ok(place) => Box::pin(model_api::jobs::ask(place, &self.state, operation, request)).await,
                Err(WrongMethod) => routes::refuse_method(&self.state, operation, uri),
            }
            .map(AnswerBody::Rest);
        }
        if uri.path() == Door::Realtime.path() {
            if request.method() == Method::GET {
                return Box::pin(model_api::realtime::open(&self.state, operation, request)).await;
            }
            return routes::refuse_method(&self.state, operation, request.uri()).map(AnswerBody::Rest);
        }
        if let Some(entrance) = Entrance::at(uri.path(), uri.query()) {
            if request.method() == Method::POST {
                return model_api::ask(entrance, &self.state, operation, request).await;
            }
            return routes::refuse_method(&self.state, operation, request.uri()).map(AnswerBody::Rest);
        }
        request.extensions_mut().insert(operation.clone());
        let Ok(response) = Box::pin(self.rest.clone().oneshot(request.map(Body::new))).await;
        response.map(AnswerBody::Rest)
    }

    /// Runs the rest; a panic in it is logged with the request id and answered like any fault of ours.
    async fn caught(
        &self,
        mut rest: Pin<Box<impl Future<Output = Response<AnswerBody>>>>,
        path: &str,
        operation: &Operation,
    ) -> Response<AnswerBody> {
        let result =
            poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| rest.as_mut().poll(context))) {
                Ok(poll) => poll.map(Ok),
                Err(panic) => Poll::Ready(Err(panic)),
            });
        let panic = match result.await {
            Ok(response) => return response,
            Err(panic) => panic,
        };
        let what = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let what = what.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
        tracing::error!(request_id = operation.request_id, what, "a request panicked");
        self.state.gateway.panicked();
        let response = if path.starts_with("/v1") {
            model_api::refuse_at(path, &Refusal::Internal, &self.state, operation)
        } else {
            operation.entry.note(|facts| facts.error = Some(Refusal::Internal.code().to_owned()));
            let message = Refusal::Internal.to_string();
            envelope::failed(StatusCode::INTERNAL_SERVER_ERROR, &message, Refusal::Internal.code())
        };
        response.map(AnswerBody::Rest)
    }
}

/// Drops the trailing slash before anything is matched.
fn without_slash(uri: &mut Uri) {
    let path = uri.path();
    if path.len() > 1 && path.ends_with('/') {
        let bare = path.trim_end_matches('/');
        let bare = if bare.is_empty() { "/" } else { bare };
        let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
        if let Ok(changed) = format!("{bare}{query}").parse::<Uri>() {
            *uri = changed;
        }
    }
}

/// The request id of a caller that sends none.
fn new_id() -> String {
    let mut text = uuid::Uuid::encode_buffer();
    uuid::Uuid::now_v7().simple().encode_lower(&mut text).to_owned()
}

/// A caller's request id that is kept: 1 to 128 letters, digits, dots, dashes and underscores.
fn kept_id(headers: &HeaderMap) -> Option<&str> {
    let id = headers.get(&REQUEST_ID)?.to_str().ok()?;
    let fits = (1..=128).contains(&id.len());
    (fits && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))).then_some(id)
}

/// Adds the request id, and the line to the end of the body.
fn finish(mut response: Response<AnswerBody>, mut line: Line) -> Response<Logged> {
    line.status = response.status().as_u16();
    if let Ok(id) = HeaderValue::from_str(&line.operation.request_id) {
        response.headers_mut().insert(REQUEST_ID, id.clone());
        response.headers_mut().insert(COMET_REQUEST_ID, id);
    }
    // What an upstream answers must never be a page of this origin.
    if line.uri.path().starts_with("/v1") {
        let headers = response.headers_mut();
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        let sandbox = HeaderValue::from_static("default-src 'none'; sandbox");
        headers.insert(header::CONTENT_SECURITY_POLICY, sandbox);
    }
    response.map(|inner| Logged { inner, _line: line })
}

/// Whose answer it is.
pub(crate) enum AnswerBody {
    /// The model API's.
    Model(exchange::AnswerBody),
    /// A handler's.
    Rest(Body),
    /// None: a session follows.
    Session(Box<Upgrading>),
}

/// A body whose end writes the log line. The inner body is dropped first: a stream that nobody reads any more settles
/// there, and the line has its cost.
pub(crate) struct Logged {
    inner: AnswerBody,
    _line: Line,
}

impl Logged {
    /// The session that follows this answer, if one does.
    pub(crate) fn session(&mut self) -> Option<Upgrading> {
        match std::mem::replace(&mut self.inner, AnswerBody::Rest(Body::empty())) {
            AnswerBody::Session(session) => Some(*session),
            other => {
                self.inner = other;
                None
            }
        }
    }
}

impl http_body::Body for Logged {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        match &mut self.inner {
            AnswerBody::Model(body) => {
                let Poll::Ready(frame) = Pin::new(body).poll_frame(context) else { return Poll::Pending };
                Poll::Ready(frame.map(|frame| frame.map_err(axum::Error::new)))
            }
            AnswerBody::Rest(body) => Pin::new(body).poll_frame(context),
            AnswerBody::Session(_) => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.inner {
            AnswerBody::Model(body) => body.is_end_stream(),
            AnswerBody::Rest(body) => body.is_end_stream(),
            AnswerBody::Session(_) => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.inner {
            AnswerBody::Model(body) => body.size_hint(),
            AnswerBody::Rest(body) => body.size_hint(),
            AnswerBody::Session(_) => SizeHint::with_exact(0),
        }
    }
}

/// The one log line of a request. It has no query: a key may stand there.
struct Line {
    method: Method,
    uri: Uri,
    status: u16,
    operation: Operation,
    gateway: Arc<Gateway>,
}

impl Drop for Line {
    fn drop(&mut self) {
        if !tracing::enabled!(target: "request", tracing::Level::INFO) {
            return;
        }
        let facts = self.operation.entry.facts();
        let now: Timestamp = self.gateway.now();
        tracing::info!(
            target: "request",
            request_id = self.operation.request_id,
            method = %self.method,
            path = self.uri.path(),
            status = self.status,
            client = %self.operation.client,
            account = facts.account.map(|id| id.0),
            key = facts.key.map(|id| id.0),
            model = facts.model,
            group = facts.group,
            channel = facts.channel.map(|id| id.0),
            attempts = facts.attempts,
            stream = facts.stream,
            units = facts.units,
            input_tokens = facts.tokens.map(|tokens| tokens.input + tokens.cached_input + tokens.cache_write),
            output_tokens = facts.tokens.map(|tokens| tokens.output),
            error = facts.error,
            first_byte_ms = facts.first_byte_ms,
            total_ms = now.millis_since(self.operation.started),
        );
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use axum::routing::get;
    use gateway::{Parts, Settings};
    use http_body_util::BodyExt;
    use ledger::{Ledger, Options};
    use model::clock::{Clock, SystemClock};
    use serde_json::Value;
    use store::{MasterKey, Store};
    use tokio_util::task::TaskTracker;

    use super::*;

    async fn state(dir: &std::path::Path) -> AppState {
        let store = Store::open(&dir.join("apsis.db"), &MasterKey::generate().unwrap()).await.unwrap();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let options = Options { segment_bytes: 1 << 20, ..Options::new(dir.join("journal")) };
        let ledger = Ledger::open(Arc::new(store.clone()), Arc::clone(&clock), options).await.unwrap();
        let parts = Parts { store, ledger, clock, settings: Settings::default() };
        AppState {
            gateway: Gateway::open(parts, &TaskTracker::new()).await.unwrap(),
            trusted_proxies: Arc::from([]),
            management_body: 1024,
            public_url: None,
            configuration: Arc::from([]),
            ready: Arc::new(AtomicBool::new(true)),
        }
    }

    async fn panics() -> Response {
        panic!("a secret detail")
    }

    #[tokio::test]
    async fn a_panic_is_answered_in_the_dialect_of_its_path() {
        let dir = tempfile::tempdir().unwrap();
        let state = state(dir.path()).await;
        let rest = Router::new().route("/api/x", get(panics)).route("/v1/x", get(panics));
        let app = App { state, rest };
        for (path, shape) in [("/api/x", "/success"), ("/v1/x", "/error/code")] {
            let request = Request::get(path).header("x-request-id", "mine").body(Body::empty()).unwrap();
            let response = app.answer([127, 0, 0, 1].into(), request).await;
            assert_eq!(
                (response.status().as_u16(), &response.headers()["x-request-id"]),
                (500, &"mine".parse().unwrap())
            );
            let body = response.into_body().collect().await.unwrap().to_bytes();
            let json: Value = serde_json::from_slice(&body).unwrap();
            assert!(json.pointer(shape).is_some(), "{path}: {json}");
            assert!(!json.to_string().contains("secret"), "{json}");
        }
    }
}
