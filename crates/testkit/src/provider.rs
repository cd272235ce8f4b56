//! The provider itself: a small HTTP server.

use std::{
    collections::HashMap,
    convert::Infallible,
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, Version, header};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::{Frame, Incoming};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    sync::watch,
    task::JoinHandle,
};
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig};

use crate::Script;

const TEXT: &str = "Hello from Apsis! This answer travelled over real HTTP: your key was checked, its cost was held \
                    before the first word, and exactly these words are charged.";

/// A request that the provider has seen.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Its path.
    pub path: String,
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
    seen: Mutex<Vec<Seen>>,
    recording: AtomicBool,
    in_flight: watch::Sender<usize>,
    accepted: watch::Sender<usize>,
    released: watch::Sender<bool>,
}

/// A running provider. It ends when it is dropped.
#[derive(Debug)]
pub struct Provider {
    address: SocketAddr,
    secure: bool,
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
            seen: Mutex::default(),
            recording: AtomicBool::new(false),
            in_flight: watch::Sender::new(0),
            accepted: watch::Sender::new(0),
            released: watch::Sender::new(false),
        });
        let task = tokio::spawn(accept(listener, tls, Arc::clone(&state)));
        Ok(Self { address, secure, state, task })
    }

    /// Its base URL.
    #[must_use]
    pub fn url(&self) -> String {
        // A certificate may name it more easily than its address.
        match self.secure {
            true => format!("https://localhost:{}/v1", self.address.port()),
            false => format!("http://{}/v1", self.address),
        }
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
    drop(builder.serve_connection(TokioIo::new(stream), service).await);
}

type Body = UnsyncBoxBody<Bytes, io::Error>;

/// Counts an answer for as long as it lives.
struct InFlight(Arc<State>);

impl InFlight {
    fn new(state: &Arc<State>) -> Self {
        state.in_flight.send_modify(|count| *count += 1);
        Self(Arc::clone(state))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.send_modify(|count| *count -= 1);
    }
}

async fn answer(state: Arc<State>, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let in_flight = InFlight::new(&state);
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    if state.recording.load(Ordering::Acquire) {
        let seen = Seen {
            path: parts.uri.path().to_owned(),
            headers: parts.headers,
            body: body.clone(),
            version: parts.version,
        };
        state.seen.lock().push(seen);
    }
    let request: Value = serde_json::from_slice(&body).unwrap_or_default();
    let model = request.get("model").and_then(Value::as_str).unwrap_or_default().to_owned();
    let own = request.pointer("/metadata/script").and_then(|script| {
        let text = script.as_str().map(str::to_owned).unwrap_or_else(|| script.to_string());
        serde_json::from_str::<Script>(&text).ok()
    });
    let script = own.or_else(|| state.scripts.lock().get(&model).cloned()).unwrap_or_default();
    pause(script.delay_ms).await;
    Ok(match parts.uri.path() {
        _ if script.status.is_some() => refusal(&script),
        "/v1/embeddings" => embeddings(&request, &model, in_flight),
        "/v1/chat/completions" => chat(&request, &model, script, in_flight),
        _ => whole(
            StatusCode::NOT_FOUND,
            "application/json",
            json!({"error": {"message": "unknown path"}}).to_string(),
        ),
    })
}

async fn pause(millis: u64) {
    if millis > 0 {
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }
}

fn whole(status: StatusCode, kind: &str, body: String) -> Response<Body> {
    let body = Full::new(Bytes::from(body)).map_err(|never| match never {}).boxed_unsync();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    if let Ok(kind) = kind.parse() {
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
    }
    response
}

fn refusal(script: &Script) -> Response<Body> {
    let status = script.status.and_then(|status| StatusCode::from_u16(status).ok());
    let message = script.message.clone().unwrap_or_else(|| "the provider refuses".to_owned());
    let body = script.body.clone().unwrap_or_else(|| {
        json!({"error": {"message": message, "type": "provider_error", "code": "scripted"}}).to_string()
    });
    let kind = script.content_type.as_deref().unwrap_or("application/json");
    let mut response = whole(status.unwrap_or(StatusCode::IM_A_TEAPOT), kind, body);
    if let Some(seconds) = script.retry_after.as_ref().and_then(|text| text.parse().ok()) {
        response.headers_mut().insert(header::RETRY_AFTER, seconds);
    }
    response
}

/// Words in all texts of the request: this provider's tokens.
fn words(value: &Value) -> u64 {
    match value {
        Value::String(text) => text.split_whitespace().count() as u64,
        Value::Array(items) => items.iter().map(words).sum(),
        Value::Object(members) => members
            .iter()
            .filter(|(name, _)| *name != "role" && *name != "type")
            .map(|(_, value)| words(value))
            .sum(),
        _ => 0,
    }
}

fn embeddings(request: &Value, model: &str, in_flight: InFlight) -> Response<Body> {
    let input = request.get("input").cloned().unwrap_or_default();
    let count = input.as_array().map_or(1, Vec::len);
    let data: Vec<Value> = (0..count)
        .map(|index| json!({"object": "embedding", "index": index, "embedding": [0.1, 0.2, 0.3]}))
        .collect();
    let tokens = words(&input);
    drop(in_flight);
    let usage = json!({"prompt_tokens": tokens, "total_tokens": tokens});
    whole(
        StatusCode::OK,
        "application/json",
        json!({"object": "list", "model": model, "data": data, "usage": usage}).to_string(),
    )
}

fn chat(request: &Value, model: &str, script: Script, in_flight: InFlight) -> Response<Body> {
    let limit = ["max_completion_tokens", "max_tokens"].iter().find_map(|name| request.get(*name)?.as_u64());
    let all: Vec<String> = match script.words {
        Some(count) => (0..count).map(|index| format!("w{index}")).collect(),
        None => TEXT.split_whitespace().map(str::to_owned).collect(),
    };
    let take = limit
        .filter(|_| !script.ignore_limit)
        .map_or(all.len(), |limit| usize::try_from(limit).unwrap_or(usize::MAX).min(all.len()));
    let cut = take < all.len();
    let said: Vec<String> = all.into_iter().take(take).collect();
    let prompt = words(request.get("messages").unwrap_or(&Value::Null));
    let honest =
        json!({"prompt_tokens": prompt, "completion_tokens": take, "total_tokens": prompt + take as u64})
            .to_string();
    let finish = if cut { "length" } else { "stop" };
    if let Some(body) = &script.body {
        return whole(
            StatusCode::OK,
            script.content_type.as_deref().unwrap_or("application/json"),
            body.clone(),
        );
    }
    if request.get("stream").and_then(Value::as_bool) != Some(true) {
        drop(in_flight);
        let message = json!({"role": "assistant", "content": said.join(" ")});
        let choices = json!([{"index": 0, "message": message, "finish_reason": finish}]);
        let usages = script.usage.map_or_else(|| vec![honest.clone()], |lie| lie.usages(&honest));
        let usage = usages.first().map(|usage| format!(",\"usage\":{usage}")).unwrap_or_default();
        let head = json!({"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": model, "choices": choices});
        // Spliced as text, because some lies are no JSON.
        let head = head.to_string();
        let body = format!("{}{usage}}}", head.strip_suffix('}').unwrap_or(&head));
        return whole(StatusCode::OK, script.content_type.as_deref().unwrap_or("application/json"), body);
    }
    let asked = request.pointer("/stream_options/include_usage").and_then(Value::as_bool) == Some(true);
    stream(model, said, finish, honest, asked, script, in_flight)
}

/// One step of a streamed answer.
enum Step {
    Send(String),
    Reset,
    Stall,
    Wait,
}

fn stream(
    model: &str,
    said: Vec<String>,
    finish: &str,
    honest: String,
    asked: bool,
    script: Script,
    in_flight: InFlight,
) -> Response<Body> {
    let chunk = |choices: Value| {
        let mut chunk = json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": model, "choices": choices});
        if asked && let Some(chunk) = chunk.as_object_mut() {
            chunk.insert("usage".to_owned(), Value::Null);
        }
        format!("data: {chunk}\n\n")
    };
    let mut steps = Vec::new();
    for (index, word) in said.iter().enumerate() {
        let count = Some(index as u64);
        if count == script.reset_after {
            steps.push(Step::Reset);
        }
        if count == script.stall_after {
            steps.push(Step::Stall);
        }
        if count == script.wait_after {
            steps.push(Step::Wait);
        }
        if count == script.truncate_after {
            break;
        }
        let text = if index == 0 { word.clone() } else { format!(" {word}") };
        steps.push(Step::Send(chunk(
            json!([{"index": 0, "delta": {"content": text}, "finish_reason": null}]),
        )));
    }
    if script.truncate_after.is_none() {
        steps.push(Step::Send(chunk(json!([{"index": 0, "delta": {}, "finish_reason": finish}]))));
        let usages = script.usage.map_or_else(|| vec![honest.clone()], |lie| lie.usages(&honest));
        for usage in usages.into_iter().filter(|_| asked) {
            steps.push(Step::Send(format!(
                "data: {{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":{},\"choices\":[],\"usage\":{usage}}}\n\n",
                Value::from(model)
            )));
        }
        steps.push(Step::Send("data: [DONE]\n\n".to_owned()));
    }
    let state = (steps.into_iter(), script.chunk_ms, in_flight);
    let frames = futures_util::stream::unfold(state, |(mut steps, chunk_ms, in_flight)| async move {
        let step = steps.next()?;
        pause(chunk_ms).await;
        let frame = match step {
            Step::Send(text) => Ok(Frame::data(Bytes::from(text))),
            Step::Reset => Err(io::Error::other("scripted")),
            Step::Stall => std::future::pending().await,
            Step::Wait => {
                let mut released = in_flight.0.released.subscribe();
                let waited = released.wait_for(|released| *released).await;
                waited.map(|_| Frame::data(Bytes::new())).map_err(io::Error::other)
            }
        };
        Some((frame, (steps, chunk_ms, in_flight)))
    });
    let mut response = Response::new(StreamBody::new(frames).boxed_unsync());
    let kind = script.content_type.as_deref().unwrap_or("text/event-stream");
    if let Ok(kind) = kind.parse() {
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
    }
    response
}
