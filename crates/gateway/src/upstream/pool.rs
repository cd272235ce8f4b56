//! Connections that wait for their next request.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http2;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::{http1::Connection, target::Origin};

/// How long an idle connection is kept.
const KEPT: Duration = Duration::from_secs(60);
/// Idle connections of one origin that are kept at most.
const MOST: usize = 1024;

/// A connection that many requests share.
pub(super) type Shared = http2::SendRequest<Full<Bytes>>;

/// The idle connections of one origin.
#[derive(Default)]
struct Idle {
    /// The one used last is at the back, and is used next.
    connections: VecDeque<(Instant, Connection)>,
    shared: Option<Shared>,
}

/// The pool.
#[derive(Default)]
pub(super) struct Pool(Mutex<HashMap<Origin, Idle>>);

impl Pool {
    /// An idle connection that is still open.
    pub(super) fn take(&self, origin: &Origin) -> Option<Connection> {
        loop {
            let (since, mut connection) = self.0.lock().get_mut(origin)?.connections.pop_back()?;
            if since.elapsed() < KEPT && connection.stream.is_quiet() {
                return Some(connection);
            }
        }
    }

    /// Keeps a connection for the next request.
    pub(super) fn give(&self, origin: &Origin, connection: Connection) {
        let entry = (Instant::now(), connection);
        let mut pool = self.0.lock();
        let idle = match pool.get_mut(origin) {
            Some(idle) => idle,
            None => pool.entry(origin.clone()).or_default(),
        };
        if idle.connections.len() < MOST {
            idle.connections.push_back(entry);
        }
    }

    /// The HTTP/2 connection of an origin, if there is one.
    pub(super) fn shared(&self, origin: &Origin) -> Option<Shared> {
        let mut pool = self.0.lock();
        let idle = pool.get_mut(origin)?;
        if idle.shared.as_ref().is_some_and(Shared::is_closed) {
            idle.shared = None;
        }
        idle.shared.clone()
    }

    /// Lets further requests share a connection.
    pub(super) fn share(&self, origin: &Origin, shared: Shared) {
        self.0.lock().entry(origin.clone()).or_default().shared = Some(shared);
    }

    /// Closes what has been idle for too long.
    pub(super) fn sweep(&self) {
        let mut old = Vec::new();
        self.0.lock().retain(|_, idle| {
            while idle.connections.front().is_some_and(|(since, _)| since.elapsed() >= KEPT) {
                old.extend(idle.connections.pop_front());
            }
            idle.shared.take_if(|shared| shared.is_closed());
            !idle.connections.is_empty() || idle.shared.is_some()
        });
    }
}
