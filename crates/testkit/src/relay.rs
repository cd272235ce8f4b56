//! What lies between a program and its database, and can go away, come back, and fall silent.

use std::{io, net::SocketAddr, path::PathBuf};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, UnixStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
};

/// A loopback port that leads to a Unix socket as long as it is there.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    socket: PathBuf,
    silent: watch::Sender<bool>,
    task: Option<JoinHandle<()>>,
}

impl Drop for Relay {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

impl Relay {
    /// A port where nobody listens yet.
    ///
    /// # Errors
    /// The operating system gives no port.
    pub async fn to(socket: impl Into<PathBuf>) -> io::Result<Self> {
        let address = TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
        Ok(Self { address, socket: socket.into(), silent: watch::Sender::new(false), task: None })
    }

    /// Where it is, or will be.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Begins to take connections.
    ///
    /// # Errors
    /// The port is another's by now.
    pub async fn come(&mut self) -> io::Result<()> {
        let listener = TcpListener::bind(self.address).await?;
        self.task = Some(tokio::spawn(accept(listener, self.socket.clone(), self.silent.subscribe())));
        Ok(())
    }

    /// Ends all connections, and takes none any more.
    pub async fn go(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
            // It ends because it was told to.
            drop(task.await);
        }
    }

    /// Says nothing more and takes nothing more, with every connection open, or goes on with what was left.
    pub fn silence(&self, silent: bool) {
        self.silent.send_replace(silent);
    }
}

async fn accept(listener: TcpListener, socket: PathBuf, silent: watch::Receiver<bool>) {
    let mut open = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let Ok(server) = UnixStream::connect(&socket).await else { continue };
        let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
        open.spawn(pass(from_client, to_server, silent.clone()));
        open.spawn(pass(from_server, to_client, silent.clone()));
    }
}

async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut silent: watch::Receiver<bool>,
) {
    let mut buffer = vec![0; 16_384];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        let heard = silent.wait_for(|silent| !silent).await.is_ok();
        let Some(bytes) = buffer.get(..count).filter(|_| heard) else { return };
        if to.write_all(bytes).await.is_err() {
            return;
        }
    }
}
