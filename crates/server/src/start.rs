//! Running the gateway: building the parts, and stopping them in order.

use std::{
    io::{self, Write},
    net::SocketAddr,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::{Context, bail};
use gateway::{Gateway, Parts, Settings, UsageLimits, Workers, catalogue, dial::DialPolicy, routing::Policy};
use ledger::{Ledger, Options};
use model::{
    clock::{Clock, SystemClock},
    credential::{Class, Credential},
};
use store::Store;
use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};
use tokio_util::task::TaskTracker;
use web::{
    App, AppState,
    serve::{Limits, serve as accept},
};

use crate::{config::Config, data_dir::DataDir, demo::Demo, memory};

/// Runs until a signal or a fatal fault of the journal.
pub(crate) async fn serve(config: &Config, demo: bool, workers: Workers) -> anyhow::Result<ExitCode> {
    let listen: SocketAddr = config.get("listen")?;
    let path = if demo { config.data_dir_or(Demo::directory)? } else { config.data_dir()? };
    if demo && config.database()?.is_some() {
        bail!("the demo keeps everything in its data directory: run it without `database_url`");
    }
    let dir = DataDir::alone(config, path)?;
    // Before there is anything to wait for, and before anybody can know that the server runs.
    let mut signals =
        Signals { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? };
    let tracker = TaskTracker::new();
    let started = tokio::select! {
        started = start(config, &dir, demo, (&tracker, workers.count())) => started?,
        () = signals.asked() => {
            tracing::info!("stopped before it listened");
            return Ok(ExitCode::SUCCESS);
        }
    };
    let Started { store, ledger, gateway, setup_token, demo } = started;
    let listener =
        TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen} (`listen`)"))?;
    let address = listener.local_addr()?;
    let ready = Arc::new(AtomicBool::new(true));
    let state = AppState {
        gateway: Arc::clone(&gateway),
        trusted_proxies: config.networks("trusted_proxies")?.into(),
        management_body: config.get("limits.management_body")?,
        public_url: config.public_url()?.map(Into::into),
        configuration: config.in_force().into(),
        ready: Arc::clone(&ready),
    };
    let limits = limits(config)?;
    greet(address, &dir, config.public_url()?, setup_token.as_ref(), demo.as_ref())?;

    let (stop, stopping) = watch::channel(false);
    let accepting = tokio::spawn({
        let (tracker, app) = (tracker.clone(), App::new(state));
        async move { accept(listener, app, limits, stopping, (&tracker, &workers)).await }
    });
    let why = until_the_end(&ledger, signals).await;
    ready.store(false, Ordering::Release);
    ledger.stop_admitting();
    gateway.stop_proving();
    drop(gateway);
    stop.send_replace(true);
    let finished = accepting.await.context("the listener panicked")??;
    if !finished {
        tracing::warn!(
            "requests were still open at the end of the drain limit; they are settled at what was delivered"
        );
    }
    let closed = ledger.close().await;
    store.close().await;
    if let Err(error) = &closed {
        tracing::error!(%error, "the journal is not in the database yet; the next start does the rest");
    }
    tracing::info!("stopped");
    Ok(if why == End::Asked && closed.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// How connections are treated.
fn limits(config: &Config) -> anyhow::Result<Limits> {
    Ok(Limits {
        header: config.time("timeouts.header")?,
        write: config.time("timeouts.write")?,
        connections: config.get("limits.connections")?,
        drain: config.time("timeouts.drain")?,
    })
}

/// The parts that are there before anybody is let in.
struct Started {
    store: Store,
    ledger: Arc<Ledger>,
    gateway: Arc<Gateway>,
    setup_token: Option<Credential>,
    demo: Option<Demo>,
}

/// Opens the database, brings the journal into it, and reads what requests need. That may be broken off at any moment, as
/// a death may.
async fn start(
    config: &Config,
    dir: &DataDir,
    demo: bool,
    (tracker, workers): (&TaskTracker, usize),
) -> anyhow::Result<Started> {
    let store = dir.store_when_there().await?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let setup_token = set_up(&store, &*clock).await?;
    if config.get("catalogue.shipped")? {
        let new = catalogue::begin(&store, clock.now()).await.context("cannot take in the list of models")?;
        tracing::info!(models = new.models, prices = new.prices, "models that were not known before");
    }
    let demo = if demo { Some(Demo::prepare(&store, &*clock).await?) } else { None };
    let ledger = Ledger::open(Arc::new(store.clone()), Arc::clone(&clock), journal(config, dir)?)
        .await
        .with_context(|| format!("cannot open the journal in {}", dir.path.join("journal").display()))?;
    let mut settings = settings(config)?;
    settings.workers = workers;
    let spool = dir.path.join("spool");
    std::fs::create_dir_all(&spool).with_context(|| format!("cannot make {}", spool.display()))?;
    settings.spool = Some(spool);
    if demo.is_some() {
        settings.dial = settings.dial.with_loopback();
    }
    let parts = Parts { store: store.clone(), ledger: Arc::clone(&ledger), clock, settings };
    let gateway = Gateway::open(parts, tracker).await?;
    Ok(Started { store, ledger, gateway, setup_token, demo })
}

#[derive(PartialEq, Eq)]
enum End {
    Asked,
    Fault,
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Until somebody asks for the end.
    async fn asked(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

async fn until_the_end(ledger: &Ledger, mut signals: Signals) -> End {
    tokio::select! {
        () = signals.asked() => End::Asked,
        fault = ledger.failed() => {
            tracing::error!(%fault, "stopping");
            End::Fault
        }
    }
}

/// The root account of an empty database. Returns a further one-time set-up token as long as nobody has used one.
async fn set_up(store: &Store, clock: &dyn Clock) -> anyhow::Result<Option<Credential>> {
    let token = Credential::generate(Class::PersonalAccessToken, getrandom::fill)?;
    let (text, now) = (token.expose(), clock.now());
    let offered = store.create_root(text, now).await?.is_some() || store.offer_setup_token(text, now).await?;
    Ok(offered.then_some(token))
}

/// Where and how the journal is kept.
pub(crate) fn journal(config: &Config, dir: &DataDir) -> anyhow::Result<Options> {
    Ok(Options {
        segment_bytes: config.get("journal.segment_bytes")?,
        apply_every: config.time("journal.apply_every")?,
        apply_records: config.get("journal.apply_records")?,
        kept_for: config.time("journal.kept_for")?,
        kept_bytes: config.get("journal.kept_bytes")?,
        flush_limit: config.time("journal.flush_limit")?,
        dead_after: config.time("ledger.dead_after")?,
        ..Options::new(dir.path.join("journal"))
    })
}

/// What an operator decides about model requests.
pub(crate) fn settings(config: &Config) -> anyhow::Result<Settings> {
    let bodies = Some(config.get("limits.bodies")?).filter(|bodies| *bodies > 0);
    Ok(Settings {
        workers: 0,
        body_limit: config.get("limits.model_body")?,
        spool: None,
        body_idle: config.time("timeouts.body_idle")?,
        body: config.time("timeouts.body")?,
        connect: config.time("timeouts.connect")?,
        first_byte: config.time("timeouts.first_byte")?,
        idle: config.time("timeouts.idle")?,
        keep_alive: config.time_or_zero("stream.keep_alive")?,
        answer: config.time("timeouts.answer")?,
        job_poll: config.time("timeouts.job_poll")?,
        realtime_idle: config.time("timeouts.realtime_idle")?,
        realtime_message: config.get("limits.realtime_message")?,
        answer_limit: config.get("limits.answer")?,
        bodies: bodies.unwrap_or_else(memory::for_bodies),
        stream_step: config.get("stream.step")?,
        minimum_output: config.get("stream.minimum_output")?,
        error_type: config.get("error_type")?,
        verify_every: config.time("ledger.verify_every")?,
        usage: UsageLimits {
            days: u32::try_from(limit(config.get("usage.keep_days")?)).unwrap_or(u32::MAX),
            records: limit(config.get("usage.keep_records")?),
            bytes: limit(config.get("usage.keep_bytes")?),
        },
        routing: policy(config)?,
        dial: DialPolicy { allowed: config.networks("upstream.allow_private")? },
        roots: config.roots("upstream.ca_file")?,
    })
}

/// How requests look for a channel.
pub(crate) fn policy(config: &Config) -> anyhow::Result<Policy> {
    Ok(Policy {
        attempts_per_group: config.get("routing.attempts_per_group")?,
        deadline: config.time("routing.deadline")?,
        cool_down: config.time("routing.cool_down")?,
        longest_cool_down: config.time("routing.longest_cool_down")?,
        retries_per_hundred: config.get("routing.retries_per_hundred")?,
        retries_per_second: config.get("routing.retries_per_second")?,
        breaker_failures: config.get("routing.breaker_failures")?,
        breaker_open: config.time("routing.breaker_open")?,
        longest_breaker_open: config.time("routing.longest_breaker_open")?,
    })
}

/// 0 says that there is no limit.
const fn limit(number: u64) -> u64 {
    if number == 0 { u64::MAX } else { number }
}

fn greet(
    address: SocketAddr,
    dir: &DataDir,
    public_url: Option<&str>,
    setup_token: Option<&Credential>,
    demo: Option<&Demo>,
) -> io::Result<()> {
    let mut out = Vec::new();
    writeln!(out, "Apsis listens on http://{address}, data in {}", dir.path.display())?;
    match (demo, setup_token) {
        (Some(demo), _) => demo.greet(&mut out, address)?,
        (None, Some(token)) => {
            let url = public_url.map_or_else(|| format!("http://{address}"), str::to_owned);
            writeln!(out, "\nTo set it up, open this link in a browser, within an hour:\n")?;
            // What stands behind # is sent to nobody and stands in no log.
            writeln!(out, "  {url}/console/set-up#{}\n", token.expose())?;
            writeln!(out, "or trade its one-time token for a personal access token of root:\n")?;
            writeln!(out, "  curl -s http://{address}/api/setup -H 'content-type: application/json' \\")?;
            writeln!(out, "    -d '{{\"setup_token\":\"{}\"}}'\n", token.expose())?;
        }
        (None, None) => {}
    }
    // Whoever started the server may not read what it says; that is no reason to stop.
    if let Err(error) = io::stdout().write_all(&out).and_then(|()| io::stdout().flush()) {
        tracing::warn!(%error, "nobody reads the greeting");
    }
    Ok(())
}
