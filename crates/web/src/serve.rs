//! Accepting connections: limits, time-outs, and an end that lets requests finish.

use std::{
    convert::Infallible,
    io,
    net::{SocketAddr, TcpStream as Accepted},
    sync::Arc,
    time::Duration,
};

use gateway::{Place, Workers};
use http::Version;
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::{
        conn::auto::Builder,
        graceful::{GracefulShutdown, Watcher},
    },
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, mpsc, watch},
};
use tokio_util::task::TaskTracker;

use crate::{
    layers::{App, Logged},
    model_api::realtime::Upgrading,
    paced::Paced,
    patient::{Patience, Patient},
};

/// How connections are treated.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Longest time for the head of a request, and for the beginning of an HTTP/2 connection.
    pub header: Duration,
    /// Longest time that a caller reads nothing of what there is for it.
    pub write: Duration,
    /// Connections at a time; further ones wait.
    pub connections: usize,
    /// Longest time for open requests after the end was asked for.
    pub drain: Duration,
}

/// Largest head of a request, in bytes.
const HEAD: usize = 64 << 10;

/// Accepts connections for `workers` until `stop` turns true, then waits for open requests, at most for the drain limit.
/// Returns whether all of them finished.
///
/// # Errors
/// The listener fails.
pub async fn serve(
    listener: TcpListener,
    app: App,
    limits: Limits,
    mut stop: watch::Receiver<bool>,
    (tracker, workers): (&TaskTracker, &Workers),
) -> io::Result<bool> {
    let builder = Arc::new(protocols(&limits, workers));
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(limits.connections));
    loop {
        let accepted = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, accept(&listener).await)
        };
        let (place, accepted) = tokio::select! {
            accepted = accepted => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                let (builder, watcher, app) = (Arc::clone(&builder), graceful.watcher(), app.clone());
                let patience = Patience { greeting: limits.header, write: limits.write };
                let (mut stop, drain) = (stop.clone(), limits.drain);
                // The end waits for what becomes of the connection, too.
                let session = graceful.watcher();
                let Place { runtime, taken } = workers.place();
                let serving = async move {
                    let Some(stream) = moved(stream) else { return };
                    let silent = tokio::select! {
                        first = tokio::time::timeout(patience.greeting, stream.readable()) => !matches!(first, Ok(Ok(()))),
                        _ = stop.wait_for(|stop| *stop) => true,
                    };
                    // Who says nothing must not keep a place.
                    if !silent {
                        let stream = Patient::new(stream, patience);
                        let upgraded = connection(&builder, watcher, stream, patience.write, peer, app).await;
                        if let Some((upgraded, line)) = upgraded {
                            Box::pin(upgraded.converse(stop, drain)).await;
                            drop(line);
                        }
                    }
                    drop((place, session, taken));
                };
                tracker.spawn_on(serving, &runtime);
            }
            // Too many open files and the like pass; what does not will show in the log until it does.
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    drop(listener);
    let finished = tokio::time::timeout(limits.drain, graceful.shutdown()).await.is_ok();
    Ok(finished)
}

/// How HTTP/1.1 and HTTP/2 are spoken.
fn protocols(limits: &Limits, workers: &Workers) -> Builder<Workers> {
    let mut builder = Builder::new(workers.clone());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header)
        .max_buf_size(HEAD)
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(256)
        .max_header_list_size(u32::try_from(HEAD).unwrap_or(u32::MAX))
        .keep_alive_interval(Duration::from_secs(30));
    builder
}

async fn accept(listener: &TcpListener) -> io::Result<(Accepted, SocketAddr)> {
    let (stream, peer) = listener.accept().await?;
    // Without it a small piece of a stream waits 40 ms for the caller's acknowledgement.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
    Ok((stream.into_std()?, peer))
}

/// A connection with the runtime that serves it.
fn moved(stream: Accepted) -> Option<TcpStream> {
    let moved = TcpStream::from_std(stream);
    moved.inspect_err(|error| tracing::warn!(%error, "cannot serve a connection")).ok()
}

/// Serves a connection to its end, or until a session follows: that is returned, with the log line of its request.
async fn connection(
    builder: &Builder<Workers>,
    watcher: Watcher,
    stream: Patient<TcpStream>,
    write: Duration,
    peer: SocketAddr,
    app: App,
) -> Option<(Upgrading, Logged)> {
    let app = Arc::new(app);
    let (begin, mut begun) = mpsc::channel(1);
    let service = hyper::service::service_fn(move |request: http::Request<Incoming>| {
        let (app, begin) = (Arc::clone(&app), begin.clone());
        async move {
            let shared = request.version() == Version::HTTP_2;
            let mut response = app.answer(peer.ip(), request).await;
            if let Some(session) = response.body_mut().session() {
                let (head, line) = response.into_parts();
                // There is one upgrade of a connection; where there is no room, the session ends here.
                drop(begin.try_send((session, line)));
                return Ok(http::Response::from_parts(head, Paced::Over));
            }
            let paced = |body| if shared { Paced::apart(body, write) } else { Paced::Direct(body) };
            Ok::<_, Infallible>(response.map(paced))
        }
    });
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(error = %error, "a connection ended");
    }
    begun.try_recv().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_accepted_does_not_wait_to_send() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let caller = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        assert!(!caller.nodelay().unwrap(), "it is not so by itself");
        assert!(accept(&listener).await.unwrap().0.nodelay().unwrap());
    }
}
