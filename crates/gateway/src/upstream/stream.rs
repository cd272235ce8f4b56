//! A connection's bytes: plain TCP or TLS.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream, rustls};

use super::{roots::Roots, target::Origin};
use crate::dial::{DialPolicy, dial};

/// An open connection.
pub(super) enum Stream {
    Plain(TcpStream),
    Secure(Box<TlsStream<TcpStream>>),
}

/// Opens connections.
pub(super) struct Dialer {
    tls: TlsConnector,
    /// The same for what only HTTP/1.1 has.
    http1: TlsConnector,
    policy: DialPolicy,
    limit: Duration,
}

impl Dialer {
    pub(super) fn new(limit: Duration, policy: DialPolicy, roots: &Roots) -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let versions = rustls::ClientConfig::builder_with_provider(provider);
        // The provider is fixed and knows both versions, so this cannot fail; without TLS no https upstream answers.
        let mut config = match versions.with_safe_default_protocol_versions() {
            Ok(builder) => builder.with_root_certificates(roots.store()).with_no_client_auth(),
            Err(error) => unreachable!("{error}"),
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let http1 = TlsConnector::from(Arc::new(config.clone()));
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Self { tls: TlsConnector::from(Arc::new(config)), http1, policy, limit }
    }

    /// Connects, and speaks TLS where the origin does.
    ///
    /// # Errors
    /// The address cannot be reached in time, or is not who it should be.
    pub(super) async fn dial(&self, origin: &Origin) -> io::Result<Stream> {
        self.dial_in_time(origin, &self.tls).await
    }

    /// The same, to speak HTTP/1.1 and nothing else.
    ///
    /// # Errors
    /// As [`Dialer::dial`].
    pub(super) async fn dial_http1(&self, origin: &Origin) -> io::Result<Stream> {
        self.dial_in_time(origin, &self.http1).await
    }

    async fn dial_in_time(&self, origin: &Origin, tls: &TlsConnector) -> io::Result<Stream> {
        tokio::time::timeout(self.limit, self.dial_for_ever(origin, tls))
            .await
            .map_err(|_| io::ErrorKind::TimedOut)?
    }

    async fn dial_for_ever(&self, origin: &Origin, tls: &TlsConnector) -> io::Result<Stream> {
        let stream = dial(&origin.host, origin.port, &self.policy, self.limit).await?;
        if !origin.secure {
            return Ok(Stream::Plain(stream));
        }
        let name =
            rustls::pki_types::ServerName::try_from(origin.host.to_string()).map_err(io::Error::other)?;
        Ok(Stream::Secure(Box::new(tls.connect(name, stream).await?)))
    }
}

impl Stream {
    /// Whether both sides have agreed on HTTP/2.
    pub(super) fn is_http2(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Secure(stream) => stream.get_ref().1.alpn_protocol() == Some(b"h2"),
        }
    }

    /// Whether the other side has neither closed this idle connection nor said anything on it.
    pub(super) fn is_quiet(&mut self) -> bool {
        let mut byte = [0; 1];
        let mut buffer = ReadBuf::new(&mut byte);
        Pin::new(self).poll_read(&mut Context::from_waker(Waker::noop()), &mut buffer).is_pending()
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Secure(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Secure(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            Self::Secure(stream) => Pin::new(stream).poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Secure(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Secure(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Secure(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
