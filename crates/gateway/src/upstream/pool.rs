//! Connections that wait for their next request.

use std::{
    collections::VecDeque,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use tokio::time::Instant;

use super::{http1::Connection, shared::Shared, target::Origin};

/// How long an idle connection is kept.
const KEPT: Duration = Duration::from_secs(60);
/// Idle connections of one origin that are kept at most.
const MOST: usize = 1024;

/// The idle connections of one origin.
#[derive(Default)]
struct Idle {
    /// The one used last is at the back, and is used next.
    connections: VecDeque<(Instant, Connection)>,
    /// The HTTP/2 connections; more than one only where one does not take all requests at a time.
    shared: Vec<Shared>,
    /// Whether TLS led to HTTP/1.1.
    http1: bool,
    turn: Arc<Turn>,
}

/// Who connects to an origin that may speak HTTP/2.
#[derive(Default)]
pub(super) struct Turn {
    /// Held while connecting.
    pub(super) lock: tokio::sync::Mutex<()>,
    /// How often that failed.
    pub(super) failed: AtomicU64,
}

/// The pool.
#[derive(Default)]
pub(super) struct Pool(Mutex<FxHashMap<Origin, Idle>>);

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

    /// An HTTP/2 connection of an origin with room for a request.
    pub(super) fn shared(&self, origin: &Origin) -> Option<Shared> {
        if !origin.secure {
            return None;
        }
        let mut pool = self.0.lock();
        let idle = pool.get_mut(origin)?;
        idle.shared.retain(|shared| !shared.is_closed());
        idle.shared.iter().find(|shared| shared.has_room()).cloned()
    }

    /// Lets further requests share a connection.
    pub(super) fn share(&self, origin: &Origin, shared: Shared) {
        self.0.lock().entry(origin.clone()).or_default().shared.push(shared);
    }

    /// The turn of those who connect to an origin; `None` when it is known to speak HTTP/1.1.
    pub(super) fn turn(&self, origin: &Origin) -> Option<Arc<Turn>> {
        if !origin.secure {
            return None;
        }
        let mut pool = self.0.lock();
        let idle = pool.entry(origin.clone()).or_default();
        (!idle.http1).then(|| Arc::clone(&idle.turn))
    }

    /// Takes in that an origin speaks HTTP/1.1.
    pub(super) fn speaks_http1(&self, origin: &Origin) {
        self.0.lock().entry(origin.clone()).or_default().http1 = true;
    }

    /// Closes what has been idle for too long.
    pub(super) fn sweep(&self) {
        let mut old = Vec::new();
        self.0.lock().retain(|_, idle| {
            while idle.connections.front().is_some_and(|(since, _)| since.elapsed() >= KEPT) {
                old.extend(idle.connections.pop_front());
            }
            idle.shared.retain(|shared| !shared.is_closed());
            !idle.connections.is_empty() || !idle.shared.is_empty() || Arc::strong_count(&idle.turn) > 1
        });
    }
}
