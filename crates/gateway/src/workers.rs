//! The threads that serve requests, each with a runtime of its own.
//!
//! A connection stays with the worker that it was given to, with its requests and with the connections to upstreams that
//! these use. In one runtime for all threads, whoever has found a task wakes another thread to look for more: where
//! requests come a few at a time, that costs more than it brings.

use std::{
    cell::Cell,
    future::Future,
    io,
    num::NonZero,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use tokio::runtime::{Builder, Handle, Runtime};

thread_local! {
    /// The worker whose thread this is.
    static HERE: Cell<Option<usize>> = const { Cell::new(None) };
}

/// The worker whose thread this is; `None` outside of all.
pub(crate) fn here() -> Option<usize> {
    HERE.get()
}

/// The workers. Without any, the runtime of whoever asks does their work.
#[derive(Clone, Debug, Default)]
pub struct Workers(Arc<[Worker]>);

#[derive(Debug)]
struct Worker {
    runtime: Handle,
    /// Connections that it has, and requests of HTTP/2 connections.
    connections: Arc<AtomicUsize>,
}

/// What keeps workers running. When it is dropped, which must not be within a runtime, what they do ends.
#[derive(Debug)]
#[must_use = "without it the workers end"]
pub struct Running(#[expect(dead_code, reason = "it is kept to be dropped")] Vec<Runtime>);

impl Workers {
    /// Starts `count` of them; as many as there are cores for 0.
    ///
    /// # Errors
    /// The operating system gives no thread.
    pub fn start(count: usize) -> io::Result<(Self, Running)> {
        let cores = || thread::available_parallelism().map_or(1, NonZero::get);
        let count = if count == 0 { cores() } else { count };
        let runtime = |index| {
            let mut builder = Builder::new_multi_thread();
            builder.worker_threads(1).thread_name("worker").on_thread_start(move || HERE.set(Some(index)));
            builder.enable_all().build()
        };
        let running = (0..count).map(runtime).collect::<io::Result<Vec<_>>>()?;
        let worker =
            |runtime: &Runtime| Worker { runtime: runtime.handle().clone(), connections: Arc::default() };
        Ok((Self(running.iter().map(worker).collect()), Running(running)))
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// A place for a connection, with the worker that has the fewest.
    #[must_use]
    pub fn place(&self) -> Place {
        match self.0.iter().min_by_key(|worker| worker.connections.load(Ordering::Relaxed)) {
            Some(Worker { runtime, connections }) => {
                connections.fetch_add(1, Ordering::Relaxed);
                Place { runtime: runtime.clone(), taken: Taken(Arc::clone(connections)) }
            }
            None => Place { runtime: Handle::current(), taken: Taken(Arc::default()) },
        }
    }
}

/// A place for a connection.
#[derive(Debug)]
pub struct Place {
    /// Where it is served.
    pub runtime: Handle,
    /// To be kept as long as it is.
    pub taken: Taken,
}

/// Counts a connection until it is dropped.
#[derive(Debug)]
pub struct Taken(Arc<AtomicUsize>);

impl Drop for Taken {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The requests that share an HTTP/2 connection go to all workers.
impl<F> hyper::rt::Executor<F> for Workers
where
    F: Future<Output: Send> + Send + 'static,
{
    fn execute(&self, request: F) {
        let Place { runtime, taken } = self.place();
        runtime.spawn(async move {
            request.await;
            drop(taken);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_spread_over_the_workers() {
        let (workers, running) = Workers::start(3).unwrap();
        let served_by =
            |place: &Place| place.runtime.block_on(place.runtime.spawn(async { here().unwrap() })).unwrap();
        let mut places: Vec<_> = (0..6).map(|_| workers.place()).collect();
        let mut counts = [0; 3];
        for place in &places {
            counts[served_by(place)] += 1;
        }
        assert_eq!(counts, [2, 2, 2]);
        let freed = served_by(&places.remove(4));
        assert_eq!(served_by(&workers.place()), freed, "it has the fewest now");
        assert_eq!(here(), None);
        drop(running);
    }

    #[tokio::test]
    async fn without_workers_the_runtime_at_hand_serves() {
        let place = Workers::default().place();
        assert_eq!(place.runtime.spawn(async { here() }).await.unwrap(), None);
    }
}
