//! A provider below HTTP: it plays bytes, breaks off where it is told to, and says nothing when it should.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use bytes::{Buf, Bytes, BytesMut};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

/// One step of what it does with a connection.
#[derive(Clone, Debug)]
pub enum Act {
    /// Reads a whole request, as long as its `content-length` says.
    Request,
    /// Reads this many bytes.
    Read(usize),
    /// Sends these bytes.
    Send(Bytes),
    /// Sends these bytes again and again, with a pause after each time.
    Endless(Bytes, Duration),
    /// Says nothing more, until the other side closes.
    Stall,
    /// Says nothing until [`Raw::release`].
    Wait,
    /// Resets the connection.
    Reset,
    /// Closes the connection in order.
    Close,
}

impl Act {
    /// Sends a text.
    #[must_use]
    pub fn send(text: impl Into<String>) -> Self {
        Self::Send(text.into().into())
    }
}

#[derive(Debug)]
struct State {
    acts: Vec<Act>,
    accepted: watch::Sender<usize>,
    open: watch::Sender<usize>,
    requests: watch::Sender<usize>,
    released: watch::Sender<bool>,
}

/// A running provider that plays the same acts on each connection, from the first again when they are over. It ends when it
/// is dropped.
#[derive(Debug)]
pub struct Raw {
    address: SocketAddr,
    state: Arc<State>,
    task: JoinHandle<()>,
}

impl Drop for Raw {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Raw {
    /// Starts on a free loopback port.
    ///
    /// # Errors
    /// The operating system gives no port.
    pub async fn start(acts: Vec<Act>) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (accepted, open, requests) =
            (watch::Sender::new(0), watch::Sender::new(0), watch::Sender::new(0));
        let state = Arc::new(State { acts, accepted, open, requests, released: watch::Sender::new(false) });
        let task = tokio::spawn(accept(listener, Arc::clone(&state)));
        Ok(Self { address, state, task })
    }

    /// Its base URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// How many connections it has accepted so far.
    #[must_use]
    pub fn accepted(&self) -> watch::Receiver<usize> {
        self.state.accepted.subscribe()
    }

    /// Goes on wherever it waits, from now on.
    pub fn release(&self) {
        self.state.released.send_replace(true);
    }

    /// How many connections are open.
    #[must_use]
    pub fn open(&self) -> watch::Receiver<usize> {
        self.state.open.subscribe()
    }

    /// How many whole requests it has read so far.
    #[must_use]
    pub fn requests(&self) -> watch::Receiver<usize> {
        self.state.requests.subscribe()
    }
}

/// Counts a connection for as long as it is open.
struct Open(Arc<State>);

impl Open {
    fn new(state: &Arc<State>) -> Self {
        state.open.send_modify(|open| *open += 1);
        state.accepted.send_modify(|accepted| *accepted += 1);
        Self(Arc::clone(state))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.send_modify(|open| *open -= 1);
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    while let Ok((stream, _)) = listener.accept().await {
        let open = Open::new(&state);
        tokio::spawn(async move {
            // Whoever is at the other end may leave at any time.
            drop(play(stream, &open.0).await);
            drop(open);
        });
    }
}

async fn play(mut stream: TcpStream, state: &State) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut kept = BytesMut::new();
    for act in state.acts.iter().cycle() {
        match act {
            Act::Request => {
                read_request(&mut stream, &mut kept).await?;
                state.requests.send_modify(|requests| *requests += 1);
            }
            Act::Read(count) => {
                while kept.len() < *count {
                    more(&mut stream, &mut kept).await?;
                }
                kept.advance(*count);
            }
            Act::Send(bytes) => stream.write_all(bytes).await?,
            Act::Endless(bytes, pause) => loop {
                stream.write_all(bytes).await?;
                if !pause.is_zero() {
                    tokio::time::sleep(*pause).await;
                }
            },
            Act::Stall => loop {
                more(&mut stream, &mut kept).await?;
            },
            Act::Wait => {
                let mut released = state.released.subscribe();
                tokio::select! {
                    waited = released.wait_for(|released| *released) => {
                        waited.map_err(io::Error::other)?;
                    }
                    gone = async { loop { more(&mut stream, &mut kept).await? } } => return gone,
                }
            }
            Act::Reset => return stream.set_zero_linger(),
            Act::Close => return stream.shutdown().await,
        }
    }
    Ok(())
}

async fn more(stream: &mut TcpStream, kept: &mut BytesMut) -> io::Result<()> {
    match stream.read_buf(kept).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}

async fn read_request(stream: &mut TcpStream, kept: &mut BytesMut) -> io::Result<()> {
    let end = loop {
        if let Some(at) = kept.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        more(stream, kept).await?;
    };
    let head = String::from_utf8_lossy(kept.get(..end).unwrap_or_default()).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
    let whole = end + length.unwrap_or(0);
    while kept.len() < whole {
        more(stream, kept).await?;
    }
    kept.advance(whole);
    Ok(())
}
