//! The provider itself: a small HTTP server.

use std::{
    collections::HashMap,
    convert::Infallible,
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version, header, request::Parts};
use http_body_util::{BodyExt, Collected};
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    sync::watch,
    task::JoinHandle,
};
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig};

use crate::{
    Script, audio,
    body::{Body, bytes, pause, whole},
    chat, completions,
    door::{self, Door, Place},
    embeddings,
    form::Form,
    google, images, messages, moderations, realtime, rerank, responses,
    service_account::{self, Tokens},
    sigv4,
    vendor::{self, Vendor},
    videos::Jobs,
};

/// A request that the provider has seen.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Its method.
    pub method: Method,
    /// Its path.
    pub path: String,
    /// What stands behind the path's question mark, or nothing.
    pub query: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
    /// How it came.
    pub version: Version,
}

#[derive(Debug)]
struct State {
    scripts: Mutex<HashMap<String, Script>>,
    secret: Mutex<Option<String>>,
    tokens: Tokens,
    origin: String,
    jobs: Jobs,
    answers: AtomicU64,
    seen: Mutex<Vec<Seen>>,
    recording: AtomicBool,
    in_flight: watch::Sender<usize>,
    accepted: watch::Sender<usize>,
    released: watch::Sender<bool>,
}

/// A running provider. It ends when it is dropped.
#[derive(Debug)]
pub struct Provider {
    state: Arc<State>,
    task: JoinHandle<()>,
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Provider {
    /// Starts on a free loopback port.
    ///
    /// # Errors
    /// The operating system gives no port.
    pub async fn start() -> io::Result<Self> {
        Self::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    /// Starts at `address`.
    ///
    /// # Errors
    /// The address is taken.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        Self::listen(address, None).await
    }

    /// Starts on a free loopback port and speaks TLS there; HTTP/2 with whom ALPN says so.
    ///
    /// # Errors
    /// The operating system gives no port.
    pub async fn start_secure(tls: Arc<ServerConfig>) -> io::Result<Self> {
        Self::listen(SocketAddr::from(([127, 0, 0, 1], 0)), Some(tls.into())).await
    }

    async fn listen(address: SocketAddr, tls: Option<TlsAcceptor>) -> io::Result<Self> {
        let secure = tls.is_some();
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let state = Arc::new(State {
            scripts: Mutex::default(),
            secret: Mutex::default(),
            tokens: Tokens::default(),
            origin: origin(secure, address),
            jobs: Jobs::default(),
            answers: AtomicU64::new(1),
            seen: Mutex::default(),
            recording: AtomicBool::new(false),
            in_flight: watch::Sender::new(0),
            accepted: watch::Sender::new(0),
            released: watch::Sender::new(false),
        });
        let task = tokio::spawn(accept(listener, tls, Arc::clone(&state)));
        Ok(Self { state, task })
    }

    /// Its base URL for OpenAI's paths.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}/v1", self.origin())
    }

    /// Where the paths of all vendors begin: scheme, host and port.
    #[must_use]
    pub fn origin(&self) -> String {
        self.state.origin.clone()
    }

    /// Refuses from now on who does not bring this credential in the way of the vendor whose path is asked.
    pub fn demand(&self, secret: &str) {
        *self.state.secret.lock() = Some(secret.to_owned());
    }

    /// The JSON key of a service account. From now on the paths of Google's cloud are open only to access tokens that the
    /// provider's own token endpoint gave for it.
    #[must_use]
    pub fn service_account(&self) -> String {
        self.state.tokens.key(&self.state.origin)
    }

    /// Access tokens live this many seconds from now on.
    pub fn tokens_live(&self, seconds: u32) {
        self.state.tokens.live(seconds.into());
    }

    /// Takes no access token any more that it has given.
    pub fn revoke_tokens(&self) {
        self.state.tokens.revoke();
    }

    /// The access key, `ID:SECRET:SESSION_TOKEN`, with which requests for Amazon's cloud may be signed. A signature of
    /// another is refused.
    #[must_use]
    pub fn access_key() -> String {
        sigv4::key()
    }

    /// What it does from now on for requests of `model`.
    pub fn script(&self, model: &str, script: Script) {
        self.state.scripts.lock().insert(model.to_owned(), script);
    }

    /// Keeps every request from now on, for [`Provider::seen`].
    pub fn record(&self) {
        self.state.recording.store(true, Ordering::Release);
    }

    /// The requests since [`Provider::record`].
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        self.state.seen.lock().clone()
    }

    /// How many answers are on their way; to wait for a state.
    #[must_use]
    pub fn in_flight(&self) -> watch::Receiver<usize> {
        self.state.in_flight.subscribe()
    }

    /// Lets the answers go on that wait, and those that would.
    pub fn release(&self) {
        self.state.released.send_replace(true);
    }

    /// How many connections it has accepted so far.
    #[must_use]
    pub fn accepted(&self) -> watch::Receiver<usize> {
        self.state.accepted.subscribe()
    }
}

fn origin(secure: bool, address: SocketAddr) -> String {
    // A certificate may name it more easily than its address.
    match secure {
        true => format!("https://localhost:{}", address.port()),
        false => format!("http://{address}"),
    }
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, state: Arc<State>) {
    let builder = Arc::new(Builder::new(TokioExecutor::new()));
    while let Ok((stream, _)) = listener.accept().await {
        if stream.set_nodelay(true).is_err() {
            continue;
        }
        state.accepted.send_modify(|accepted| *accepted += 1);
        let (builder, tls, state) = (Arc::clone(&builder), tls.clone(), Arc::clone(&state));
        tokio::spawn(async move {
            match tls {
                None => serve(&builder, stream, state).await,
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        serve(&builder, stream, state).await;
                    }
                }
            }
        });
    }
}

async fn serve<S>(builder: &Builder<TokioExecutor>, stream: S, state: Arc<State>)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let service = hyper::service::service_fn(move |request| answer(Arc::clone(&state), request));
    // A caller that breaks off is its own business.
    drop(builder.serve_connection_with_upgrades(TokioIo::new(stream), service).await);
}

/// Counts an answer for as long as it lives.
pub(crate) struct InFlight(Arc<State>);

impl InFlight {
    fn new(state: &Arc<State>) -> Self {
        state.in_flight.send_modify(|count| *count += 1);
        Self(Arc::clone(state))
    }

    /// Waits until the answers that wait may go on.
    pub(crate) async fn released(&self) -> Result<(), watch::error::RecvError> {
        let mut released = self.0.released.subscribe();
        released.wait_for(|released| *released).await.map(drop)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.send_modify(|count| *count -= 1);
    }
}

/// One request, and how it is to be answered.
pub(crate) struct Exchange {
    /// Its body, or the fields of its form.
    pub(crate) request: Value,
    /// The model that it names.
    pub(crate) model: String,
    pub(crate) script: Script,
    /// Whose path was asked.
    pub(crate) vendor: Vendor,
    /// How many there were, this one included: what ids are made of.
    pub(crate) number: u64,
    pub(crate) in_flight: InFlight,
}

impl Exchange {
    /// Whether the request wants a stream, where its body says that.
    pub(crate) fn streams(&self) -> bool {
        // A field of a form is a text.
        matches!(self.request.get("stream"), Some(stream) if stream == true || stream == "true")
    }
}

async fn answer(state: Arc<State>, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let in_flight = InFlight::new(&state);
    let (mut parts, body) = request.into_parts();
    vendor::through_gateway(&mut parts);
    let body = body.collect().await.map(Collected::to_bytes).unwrap_or_default();
    let query = parts.uri.query().unwrap_or_default();
    if state.recording.load(Ordering::Acquire) {
        let seen = Seen {
            method: parts.method.clone(),
            path: parts.uri.path().to_owned(),
            query: query.to_owned(),
            headers: parts.headers.clone(),
            body: body.clone(),
            version: parts.version,
        };
        state.seen.lock().push(seen);
    }
    if parts.uri.path() == service_account::PATH {
        return Ok(state.tokens.answer(&body, &state.origin));
    }
    let place = door::at(&parts.method, &parts.uri);
    let vendor = place.as_ref().map_or_else(|vendor| *vendor, |place| place.vendor);
    let secret = state.secret.lock().clone();
    let refused = match vendor {
        Vendor::Vertex if state.tokens.are_demanded() => state.tokens.refusal(&parts.headers),
        Vendor::Bedrock if sigv4::is_signed(&parts.headers) => sigv4::refusal(&parts, &body),
        vendor => vendor.refusal(&parts.headers, query, secret.as_deref()),
    };
    if let Some(refusal) = refused {
        return Ok(refusal);
    }
    let form = Form::read(&parts.headers, &body);
    let request: Value = match &form {
        Some(form) => form.fields.clone().into(),
        None => serde_json::from_slice(&body).unwrap_or_default(),
    };
    let named = place.as_ref().ok().and_then(|place| place.model.clone());
    let model =
        named.unwrap_or_else(|| request.get("model").and_then(Value::as_str).unwrap_or_default().to_owned());
    let own = request.pointer("/metadata/script").and_then(|script| {
        let text = script.as_str().map(str::to_owned).unwrap_or_else(|| script.to_string());
        serde_json::from_str::<Script>(&text).ok()
    });
    let script = own.or_else(|| state.scripts.lock().get(&model).cloned()).unwrap_or_default();
    pause(script.delay_ms).await;
    if script.status.is_some() {
        return Ok(refusal(vendor, &script));
    }
    if let Some(body) = &script.body {
        return Ok(whole(&script, body.clone()));
    }
    let number = state.answers.fetch_add(1, Ordering::Relaxed);
    let exchange = Exchange { request, model, script, vendor, number, in_flight };
    Ok(match place {
        Ok(place) => enter(place, parts, exchange, form.as_ref(), &state.jobs),
        Err(vendor) => unknown(vendor),
    })
}

fn enter(place: Place, parts: Parts, exchange: Exchange, form: Option<&Form>, jobs: &Jobs) -> Response<Body> {
    match place.door {
        Door::Chat => chat::answer(exchange),
        Door::Completions => completions::answer(exchange),
        Door::Responses => responses::answer(exchange),
        Door::Embeddings => embeddings::openai(&exchange),
        Door::Moderations => moderations::answer(&exchange),
        Door::Rerank => rerank::answer(&exchange),
        Door::Images => images::answer(exchange, form),
        Door::Speech => audio::speech(exchange),
        Door::Transcription => audio::transcription(exchange, form),
        Door::CreateVideo => jobs.create(&exchange, None),
        Door::RemixVideo(id) => jobs.create(&exchange, Some(&id)),
        Door::Video(id) => jobs.retrieve(&id),
        Door::VideoContent(id) => jobs.content(&id),
        Door::DeleteVideo(id) => jobs.delete(&id),
        Door::Realtime => realtime::accept(parts, exchange),
        Door::Messages => messages::answer(exchange),
        Door::Hosted { stream } => messages::hosted(exchange, stream),
        Door::CountMessages => messages::count_tokens(&exchange),
        Door::Generate { stream, sse } => google::answer(exchange, stream, sse),
        Door::CountGoogle => google::count_tokens(&exchange),
        Door::EmbedGoogle { batch } => embeddings::google(&exchange, batch),
    }
}

fn unknown(vendor: Vendor) -> Response<Body> {
    let script = Script { message: Some("unknown path".to_owned()), ..Script::default() };
    bytes(StatusCode::NOT_FOUND, "application/json", vendor.error(404, &script))
}

fn refusal(vendor: Vendor, script: &Script) -> Response<Body> {
    let status = script.status.and_then(|status| StatusCode::from_u16(status).ok());
    let status = status.unwrap_or(StatusCode::IM_A_TEAPOT);
    let body = script.body.clone().unwrap_or_else(|| vendor.error(status.as_u16(), script));
    let kind = script.content_type.as_deref().unwrap_or("application/json");
    let mut response = bytes(status, kind, body);
    let seconds = script.retry_after.as_ref().and_then(|text| HeaderValue::from_str(text).ok());
    if let Some(seconds) = seconds {
        response.headers_mut().insert(header::RETRY_AFTER, seconds);
    }
    response
}
