//! Realtime: the upgrade of a request to a websocket, and the session that follows it.

use std::time::Duration;

use gateway::realtime::{self, Accepted, Question, Session, Stop};
use http::{Request, Response, StatusCode};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use model::refusal::Refusal;
use tokio::{sync::watch, time::timeout};

use crate::{credentials, layers::AnswerBody, model_api, operation::Operation, routes::AppState};

/// Longest time from the answer that switches protocols until they are.
const SWITCH: Duration = Duration::from_secs(10);

/// Answers a wish for a session. The answer carries the session, which begins when its connection has been upgraded.
pub(crate) async fn open<B>(
    state: &AppState,
    operation: &Operation,
    request: Request<B>,
) -> Response<AnswerBody> {
    let (mut parts, _) = request.into_parts();
    let upgrade = parts.extensions.remove::<OnUpgrade>();
    let question = Question {
        credentials: credentials::of(&parts.headers, &parts.uri),
        client: operation.client,
        headers: parts.headers,
        query: parts.uri.query().map(str::to_owned),
        request_id: operation.request_id.clone(),
        entry: operation.entry.clone(),
        started: operation.started,
    };
    let refusal = match (realtime::open(&state.gateway, question).await, upgrade) {
        (Ok(Accepted { headers, session }), Some(upgrade)) => {
            let body = AnswerBody::Session(Box::new(Upgrading { session, upgrade }));
            let mut response = Response::new(body);
            (*response.status_mut(), *response.headers_mut()) = (StatusCode::SWITCHING_PROTOCOLS, headers);
            return response;
        }
        // Dropping the session settles it for nothing.
        (Ok(_), None) => Refusal::InvalidRequest("a websocket needs HTTP/1.1".to_owned()),
        (Err(refusal), _) => refusal,
    };
    model_api::refuse_at(parts.uri.path(), &refusal, state, operation).map(AnswerBody::Rest)
}

/// A session whose connection is about to be upgraded.
pub(crate) struct Upgrading {
    session: Session,
    upgrade: OnUpgrade,
}

impl Upgrading {
    /// Takes the connection over, and converses until either side leaves. A response that is on its way when the server stops
    /// may go on for half of its `drain` limit.
    pub(crate) async fn converse(self, stop: watch::Receiver<bool>, drain: Duration) {
        let Self { session, upgrade } = self;
        match timeout(SWITCH, upgrade).await {
            Ok(Ok(upgraded)) => {
                let stop = Stop { stop, patience: drain / 2 };
                session.converse(TokioIo::new(upgraded), stop).await;
            }
            Ok(Err(error)) => tracing::debug!(%error, "a connection was not upgraded"),
            Err(_) => tracing::debug!("a connection was not upgraded in time"),
        }
    }
}
