//! A caller's connection with an end to patience: for one that says half a greeting, and for one that reads nothing.

use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Sleep,
};

/// What a connection that speaks HTTP/2 begins with.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// It is followed by settings, whose frame has at least this many bytes.
const GREETING: usize = PREFACE.len() + 9;

/// How long it is waited.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// For the beginning of an HTTP/2 connection. HTTP/1.1 has a limit of its own for each head.
    pub(crate) greeting: Duration,
    /// For a caller that reads nothing.
    pub(crate) write: Duration,
}

/// The connection. Its errors end it.
pub(crate) struct Patient<S> {
    stream: S,
    /// Bytes of a greeting so far, and until when there must be all of them.
    greeting: Option<(usize, Pin<Box<Sleep>>)>,
    /// Until when the caller must read something, while there is something that it does not read.
    unread: Option<Pin<Box<Sleep>>>,
    write: Duration,
}

impl<S> Patient<S> {
    pub(crate) fn new(stream: S, patience: Patience) -> Self {
        let greeting = Some((0, Box::pin(tokio::time::sleep(patience.greeting))));
        Self { stream, greeting, unread: None, write: patience.write }
    }

    /// Takes in what the connection begins with.
    fn greeted(&mut self, bytes: &[u8]) {
        let Some((so_far, _)) = &mut self.greeting else { return };
        for byte in bytes {
            let http2 = PREFACE.get(*so_far).is_none_or(|expected| expected == byte);
            *so_far += 1;
            if !http2 || *so_far == GREETING {
                self.greeting = None;
                return;
            }
        }
    }

    /// Counts how long a write waits.
    fn written<T>(&mut self, context: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.unread = None;
            return written;
        }
        let limit = self.write;
        let unread = self.unread.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        unread.as_mut().poll(context).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(context, buffer);
        let Some((_, end)) = &mut this.greeting else { return read };
        if read.is_pending() {
            return end.as_mut().poll(context).map(|()| Err(io::ErrorKind::TimedOut.into()));
        }
        this.greeted(buffer.filled().get(before..).unwrap_or_default());
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(context, bytes);
        this.written(context, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write_vectored(context, slices);
        this.written(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.stream).poll_flush(context);
        if flushed.is_pending() { this.written(context, flushed) } else { flushed }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}
