//! What every request passes, from the outside in.
//!
//! 1. The trailing slash goes: `/api/token` and `/api/token/` are one resource.
//! 2. The request gets its id, its entry for the log and its caller's address; the log line is written when the
//!    answer's last byte is gone, so a stream's line has its cost.
//! 3. A panic becomes a 500 in the caller's dialect, with its id in the log.

use std::{
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll},
};

use axum::{
    body::Body,
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use bytes::Bytes;
use gateway::entry::Entry;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use http_body::{Frame, SizeHint};
use model::{clock::Timestamp, refusal::Refusal};

use crate::{
    address::{self, Peer},
    envelope, model_api,
    operation::Operation,
    routes::AppState,
};

/// Drops the trailing slash before anything is matched.
pub(crate) fn without_slash(mut request: Request) -> Request {
    let path = request.uri().path();
    if path.len() > 1 && path.ends_with('/') {
        let bare = path.trim_end_matches('/');
        let bare = if bare.is_empty() { "/" } else { bare };
        let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
        if let Ok(uri) = format!("{bare}{query}").parse::<Uri>() {
            *request.uri_mut() = uri;
        }
    }
    request
}

/// A caller's request id that is kept: 1 to 128 letters, digits, dots, dashes and underscores.
fn kept_id(headers: &HeaderMap) -> Option<&str> {
    let id = headers.get("x-request-id")?.to_str().ok()?;
    let fits = (1..=128).contains(&id.len());
    (fits && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))).then_some(id)
}

/// The outermost layer.
pub(crate) async fn outermost(State(state): State<AppState>, mut request: Request, next: Next) -> Response {
    let request_id =
        kept_id(request.headers()).map_or_else(|| uuid::Uuid::now_v7().simple().to_string(), str::to_owned);
    let peer = request.extensions().get::<Peer>().map_or(std::net::IpAddr::from([0, 0, 0, 0]), |peer| peer.0);
    let operation = Operation {
        request_id,
        entry: Entry::default(),
        client: address::client(peer, request.headers(), &state.trusted_proxies),
        started: state.gateway.now(),
    };
    request.extensions_mut().insert(operation.clone());
    let line = Line {
        method: request.method().clone(),
        path: request.uri().path().to_owned(),
        status: 499,
        operation: operation.clone(),
        state: state.clone(),
    };
    let response = caught(next.run(request), &line.path, &state, &operation).await;
    finish(response, line)
}

/// Runs the rest; a panic in it is logged with the request id and answered like any fault of ours.
async fn caught(
    rest: impl Future<Output = Response>,
    path: &str,
    state: &AppState,
    operation: &Operation,
) -> Response {
    let mut rest = Box::pin(rest);
    let result = poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| rest.as_mut().poll(context))) {
        Ok(poll) => poll.map(Ok),
        Err(panic) => Poll::Ready(Err(panic)),
    });
    match result.await {
        Ok(response) => response,
        Err(panic) => {
            let what = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let what = what.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
            tracing::error!(request_id = operation.request_id, what, "a request panicked");
            state.gateway.panicked();
            if path.starts_with("/v1") {
                return model_api::refuse_at(path, &Refusal::Internal, state, operation);
            }
            operation.entry.note(|facts| facts.error = Some(Refusal::Internal.code().to_owned()));
            let message = Refusal::Internal.to_string();
            envelope::failed(StatusCode::INTERNAL_SERVER_ERROR, &message, Refusal::Internal.code())
        }
    }
}

/// Adds the request id, and the line to the end of the body.
fn finish(mut response: Response, mut line: Line) -> Response {
    line.status = response.status().as_u16();
    if let Ok(id) = HeaderValue::from_str(&line.operation.request_id) {
        response.headers_mut().insert("x-request-id", id.clone());
        response.headers_mut().insert("x-cometapi-request-id", id);
    }
    response.map(|inner| Body::new(Logged { inner, _line: line }))
}

/// A body whose end writes the log line. The inner body is dropped first: a stream that nobody reads any more settles
/// there, and the line has its cost.
struct Logged {
    inner: Body,
    _line: Line,
}

impl http_body::Body for Logged {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.inner).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// The one log line of a request. It has no query: a key may stand there.
struct Line {
    method: Method,
    path: String,
    status: u16,
    operation: Operation,
    state: AppState,
}

impl Drop for Line {
    fn drop(&mut self) {
        if !tracing::enabled!(target: "request", tracing::Level::INFO) {
            return;
        }
        let facts = self.operation.entry.facts();
        let now: Timestamp = self.state.gateway.now();
        tracing::info!(
            target: "request",
            request_id = self.operation.request_id,
            method = %self.method,
            path = self.path,
            status = self.status,
            client = %self.operation.client,
            account = facts.account.map(|id| id.0),
            key = facts.key.map(|id| id.0),
            model = facts.model,
            group = facts.group,
            channel = facts.channel.map(|id| id.0),
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
    use std::sync::{Arc, atomic::AtomicBool};

    use axum::{Router, middleware, routing::get};
    use gateway::{Gateway, Parts, Settings};
    use http_body_util::BodyExt;
    use ledger::{Ledger, Options};
    use model::clock::{Clock, SystemClock};
    use serde_json::Value;
    use store::{MasterKey, Store};
    use tokio_util::task::TaskTracker;
    use tower::ServiceExt;

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
        let router: Router<()> = Router::new()
            .route("/api/x", get(panics))
            .route("/v1/x", get(panics))
            .layer(middleware::from_fn_with_state(state.clone(), outermost));
        for (path, shape) in [("/api/x", "/success"), ("/v1/x", "/error/code")] {
            let request = Request::get(path).header("x-request-id", "mine").body(Body::empty()).unwrap();
            let response = router.clone().oneshot(request).await.unwrap();
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
