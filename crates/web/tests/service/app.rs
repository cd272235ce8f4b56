//! The real service on a real socket, with a provider behind it and a database in a temporary directory.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use gateway::{Gateway, Parts, Settings, Workers};
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use ledger::{Ledger, Options};
use model::{
    clock::{Clock, SystemClock, Timestamp},
    credential::{Class, Credential},
    id::AccountId,
    key::Settings as KeySettings,
    money::Units,
};
use serde_json::{Value, json};
use store::{MasterKey, NewAccount, Role, Store};
use testkit::Provider;
use tokio::{net::TcpListener, sync::watch};
use tokio_util::task::TaskTracker;
use web::{AppState, InForce, ValueSource, serve};

pub(crate) struct App {
    pub(crate) address: SocketAddr,
    pub(crate) provider: Provider,
    pub(crate) store: Store,
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) ledger: Arc<Ledger>,
    /// The root account, its token and an API key without a limit of its own.
    pub(crate) root: AccountId,
    pub(crate) pat: String,
    pub(crate) key: String,
    pub(crate) clock: Arc<Ahead>,
    client: Client<HttpConnector, Full<Bytes>>,
    stop: watch::Sender<bool>,
    _dir: tempfile::TempDir,
}

/// The system's clock, so many milliseconds ahead.
#[derive(Debug, Default)]
pub(crate) struct Ahead(AtomicI64);

impl Ahead {
    pub(crate) fn set_minutes(&self, minutes: i64) {
        self.0.store(minutes * 60_000, Ordering::Relaxed);
    }
}

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(SystemClock.now().millis() + self.0.load(Ordering::Relaxed))
    }
}

pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The error code of the model API.
    pub(crate) fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
    }
}

/// A key that was said, one that was not, and a secret.
fn configuration() -> Vec<InForce> {
    let key = |name, value: Option<&str>, source| InForce {
        name,
        value: value.map(str::to_owned),
        is_set: true,
        default: "text",
        source,
    };
    vec![
        key("log.format", Some("json"), ValueSource::Environment("APSIS_LOG_FORMAT".to_owned())),
        key("timeouts.drain", Some("30s"), ValueSource::Default),
        key("master_key", None, ValueSource::File("<b>apsis.toml".to_owned())),
    ]
}

/// The usual limits of callers' connections.
fn limits() -> serve::Limits {
    serve::Limits {
        header: Duration::from_secs(5),
        write: Duration::from_secs(60),
        connections: 4096,
        drain: Duration::from_secs(5),
    }
}

pub(crate) fn now() -> Timestamp {
    SystemClock.now()
}

impl App {
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(adjust: impl FnOnce(&mut Settings)) -> Self {
        Self::begin(adjust, None, limits(), &Workers::default()).await.prepared().await
    }

    /// With other limits of callers' connections.
    pub(crate) async fn limited(adjust: impl FnOnce(&mut Settings), limits: serve::Limits) -> Self {
        Self::begin(adjust, None, limits, &Workers::default()).await.prepared().await
    }

    /// With workers of its own.
    pub(crate) async fn served_by(workers: &Workers) -> Self {
        Self::begin(|_| {}, None, limits(), workers).await.prepared().await
    }

    /// As it is right after the first start.
    pub(crate) async fn fresh() -> Self {
        Self::begin(|_| {}, None, limits(), &Workers::default()).await
    }

    /// Behind a proxy that clients reach at `url`.
    pub(crate) async fn behind(url: &str) -> Self {
        Self::begin(|_| {}, Some(url.into()), limits(), &Workers::default()).await
    }

    async fn begin(
        adjust: impl FnOnce(&mut Settings),
        public_url: Option<Arc<str>>,
        limits: serve::Limits,
        workers: &Workers,
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("apsis.db"), &MasterKey::generate().unwrap()).await.unwrap();
        let ahead = Arc::new(Ahead::default());
        let clock: Arc<dyn Clock> = Arc::<Ahead>::clone(&ahead);
        let options = Options { segment_bytes: 1 << 20, ..Options::new(dir.path().join("journal")) };
        let ledger = Ledger::open(Arc::new(store.clone()), Arc::clone(&clock), options).await.unwrap();
        let provider = Provider::start().await.unwrap();
        let root = store.create_root("setup", now()).await.unwrap().unwrap();
        let mut settings = Settings::default();
        settings.dial = settings.dial.with_loopback();
        settings.spool = Some(dir.path().to_owned());
        settings.workers = workers.count();
        adjust(&mut settings);
        let tracker = TaskTracker::new();
        let parts = Parts { store: store.clone(), ledger: Arc::clone(&ledger), clock, settings };
        let gateway = Gateway::open(parts, &tracker).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = AppState {
            gateway: Arc::clone(&gateway),
            trusted_proxies: Arc::from([]),
            management_body: 256 << 10,
            public_url,
            configuration: Arc::from(configuration()),
            ready: Arc::new(AtomicBool::new(true)),
        };
        let (stop, stopping) = watch::channel(false);
        let workers = workers.clone();
        tokio::spawn(async move {
            serve::serve(listener, web::App::new(state), limits, stopping, (&tracker, &workers)).await
        });
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self {
            address,
            provider,
            store,
            gateway,
            ledger,
            root,
            pat: String::new(),
            key: String::new(),
            clock: ahead,
            client,
            stop,
            _dir: dir,
        }
    }

    /// With a token, a channel, prices and a key of root.
    async fn prepared(self) -> Self {
        let mut app = self;
        app.pat = app.token(app.root).await;
        app.channel(&["m", "calls", "e", "unpriced"]).await;
        app.price("m", 1_000_000, 1_000_000, 0).await;
        app.price("e", 1_000_000, 0, 0).await;
        app.price("calls", 0, 0, 10).await;
        let made =
            app.manage("POST", "/api/token/", Some(json!({"name": "root", "unlimited_quota": true}))).await;
        app.key = made.json()["data"]["key"].as_str().unwrap().to_owned();
        app
    }

    pub(crate) async fn token(&self, account: AccountId) -> String {
        let credential = Credential::generate(Class::PersonalAccessToken, getrandom::fill).unwrap();
        self.store.create_token(account, "t", None, &credential, now()).await.unwrap();
        credential.expose().to_owned()
    }

    pub(crate) async fn account(&self, username: &str, balance: i64) -> AccountId {
        let new = NewAccount {
            username: username.to_owned(),
            display_name: String::new(),
            email: String::new(),
            role: Role::Member,
            group: "default".to_owned(),
            balance: Some(Units::new(balance)),
        };
        self.store.create_account(new, now()).await.unwrap().id
    }

    /// An API key of `account` with a quota.
    pub(crate) async fn key_of(&self, account: AccountId, quota: i64) -> String {
        let credential = Credential::generate(Class::ApiKey, getrandom::fill).unwrap();
        let settings = KeySettings::default();
        self.store.create_key(account, &settings, Units::new(quota), &credential, now()).await.unwrap();
        credential.expose().to_owned()
    }

    pub(crate) async fn channel(&self, models: &[&str]) {
        let body = json!({"name": "c", "base_url": self.provider.url(), "key": "sk-upstream-secret", "models": models});
        let made = self.manage("POST", "/api/channel/", Some(body)).await;
        assert_eq!(made.json()["success"], true, "{}", made.text());
    }

    pub(crate) async fn price(&self, model: &str, input: i64, output: i64, per_call: i64) {
        let body = json!({"model": model, "input": input, "output": output, "per_call": per_call,
            "max_output": 1000, "confirm": true});
        let put = self.manage("PUT", "/api/price/", Some(body)).await;
        assert_eq!(put.json()["success"], true, "{}", put.text());
    }

    /// Sends a request and gives the head of the answer.
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Response<Incoming> {
        let mut request = Request::builder().method(method).uri(format!("http://{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.client.request(request.body(Full::new(body.into())).unwrap()).await.unwrap()
    }

    pub(crate) async fn call(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Reply {
        let response = self.send(method, path, headers, body).await;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Reply { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    /// A management call of root.
    pub(crate) async fn manage(&self, method: &str, path: &str, body: Option<Value>) -> Reply {
        self.manage_as(&self.pat, method, path, body).await
    }

    pub(crate) async fn manage_as(&self, pat: &str, method: &str, path: &str, body: Option<Value>) -> Reply {
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        self.call(method, path, &[("authorization", pat)], body).await
    }

    /// A chat request with `key`.
    pub(crate) async fn chat(&self, key: &str, body: &Value) -> Reply {
        let bearer = format!("Bearer {key}");
        self.call("POST", "/v1/chat/completions", &[("authorization", &bearer)], body.to_string()).await
    }

    /// Asks the service to end.
    pub(crate) fn stop(&self) {
        self.stop.send_replace(true);
    }

    pub(crate) async fn usage(&self, key: &str) -> Value {
        let bearer = format!("Bearer {key}");
        self.call("GET", "/api/usage/token", &[("authorization", &bearer)], "").await.json()["data"].clone()
    }

    /// Everything is in the book, and it adds up.
    pub(crate) async fn verified(&self) {
        self.ledger.idle().await;
        self.ledger.flush().await.unwrap();
        assert_eq!(self.store.verify().await.unwrap(), []);
    }
}

pub(crate) fn question(model: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": "one two three"}]})
}
