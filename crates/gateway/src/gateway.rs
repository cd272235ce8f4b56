//! The gateway: its parts.

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use ledger::Ledger;
use model::clock::{Clock, Timestamp};
use store::{Store, StoreError, UsageLimits};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::{
    changes,
    dial::DialPolicy,
    jobs,
    key_cache::KeyCache,
    key_loader::KeyLoader,
    metrics::Metrics,
    passwords::Passwords,
    proof::{self, Proofs},
    retention,
    room::Rooms,
    routing::{Budget, Health, Policy, Seeds, Snapshot},
    sign_in_limit::SignIns,
    upstream::{Roots, Upstream},
};

/// Requests whose tokens are counted at a time.
const COUNTING: usize = 2;

/// What an operator decides about model requests.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Workers that requests come from.
    pub workers: usize,
    /// Largest body of a model request, in bytes.
    pub body_limit: u64,
    /// Where large files of forms lie while their request lasts; in memory without it.
    pub spool: Option<PathBuf>,
    /// Longest pause between two parts of a request body.
    pub body_idle: Duration,
    /// Longest time for a whole request body.
    pub body: Duration,
    /// Longest time to connect to an upstream.
    pub connect: Duration,
    /// Longest time from the request to the first byte of an upstream's answer.
    pub first_byte: Duration,
    /// Longest pause between two parts of an upstream's answer.
    pub idle: Duration,
    /// How long a stream says nothing before its caller is told that it goes on; never where it is zero.
    pub keep_alive: Duration,
    /// Longest time for an upstream's answer, whole or streamed, after its head.
    pub answer: Duration,
    /// Largest whole answer of an upstream, in bytes.
    pub answer_limit: u64,
    /// What request bodies of more than a MiB take in memory at most, all together, and whole answers as much, in bytes.
    pub bodies: u64,
    /// Output tokens that a stream holds ahead of what is delivered.
    pub stream_step: u64,
    /// Smallest output that is worth asking for, when that is all a quota affords.
    pub minimum_output: u64,
    /// The word in the `type` member of an error.
    pub error_type: String,
    /// How soon a job is asked about for the first time; later ones less often.
    pub job_poll: Duration,
    /// Longest time that nobody says anything in a realtime session.
    pub realtime_idle: Duration,
    /// Largest message of a realtime session, in bytes.
    pub realtime_message: usize,
    /// How often the books are proved in the background.
    pub verify_every: Duration,
    /// Which usage records are kept.
    pub usage: UsageLimits,
    /// How requests look for a channel.
    pub routing: Policy,
    /// Which addresses may be dialled.
    pub dial: DialPolicy,
    /// Whom upstreams' certificates are checked against.
    pub roots: Roots,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            workers: 0,
            body_limit: 32 << 20,
            spool: None,
            body_idle: Duration::from_secs(30),
            body: Duration::from_secs(600),
            connect: Duration::from_secs(5),
            first_byte: Duration::from_secs(120),
            idle: Duration::from_secs(60),
            keep_alive: Duration::from_secs(15),
            answer: Duration::from_secs(3600),
            answer_limit: 64 << 20,
            bodies: 1 << 30,
            stream_step: 2048,
            minimum_output: 16,
            error_type: "comet_api_error".to_owned(),
            job_poll: Duration::from_secs(5),
            realtime_idle: Duration::from_secs(900),
            realtime_message: 24 << 20,
            verify_every: Duration::from_secs(3600),
            usage: UsageLimits::default(),
            routing: Policy::default(),
            dial: DialPolicy::default(),
            roots: Roots::default(),
        }
    }
}

/// What a gateway is made of.
pub struct Parts {
    /// The database.
    pub store: Store,
    /// The ledger.
    pub ledger: Arc<Ledger>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// What the operator decides.
    pub settings: Settings,
}

/// The gateway of one node.
pub struct Gateway {
    pub(crate) store: Store,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) settings: Settings,
    pub(crate) keys: KeyCache,
    pub(crate) key_loader: KeyLoader,
    pub(crate) rooms: Rooms,
    pub(crate) upstream: Upstream,
    pub(crate) metrics: Metrics,
    pub(crate) passwords: Passwords,
    pub(crate) sign_ins: SignIns,
    pub(crate) proofs: Arc<Proofs>,
    pub(crate) started: Timestamp,
    pub(crate) routing: ArcSwap<Snapshot>,
    pub(crate) health: Arc<Health>,
    pub(crate) budget: Budget,
    pub(crate) seeds: Seeds,
    /// Places for counting the tokens of a request.
    pub(crate) counting: Semaphore,
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Gateway")
    }
}

impl Gateway {
    /// Reads the routing snapshot, and begins to watch for changes and to forget old usage records, in tasks of `tracker`.
    ///
    /// # Errors
    /// The database.
    pub async fn open(parts: Parts, tracker: &TaskTracker) -> Result<Arc<Self>, StoreError> {
        let Parts { store, ledger, clock, settings } = parts;
        let seen = store.last_change().await?;
        let clock_now = clock.now();
        let snapshot = Snapshot::load(&store, clock_now).await?;
        let mut first = [0; 8];
        getrandom::fill(&mut first)?;
        let gateway = Arc::new(Self {
            health: Arc::new(Health::new(settings.routing.clone(), Arc::clone(&clock))),
            budget: Budget::new(settings.routing.clone(), clock.now()),
            seeds: Seeds::new(u64::from_le_bytes(first)),
            upstream: Upstream::new(&settings, Arc::clone(&clock)),
            counting: Semaphore::new(COUNTING),
            rooms: Rooms::of(settings.bodies),
            store,
            ledger,
            clock,
            settings,
            keys: KeyCache::new(),
            key_loader: KeyLoader::default(),
            metrics: Metrics::default(),
            passwords: Passwords::default(),
            sign_ins: SignIns::default(),
            proofs: Arc::default(),
            started: clock_now,
            routing: ArcSwap::from_pointee(snapshot),
        });
        tracker.spawn(changes::watch(Arc::downgrade(&gateway), gateway.store.newest_change(), seen));
        tracker.spawn(jobs::watch::run(Arc::downgrade(&gateway)));
        tracker.spawn(retention::run(Arc::downgrade(&gateway)));
        tracker.spawn(proof::run(Arc::downgrade(&gateway), gateway.settings.verify_every));
        Ok(gateway)
    }

    /// The ledger.
    #[must_use]
    pub fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    /// What the operator decides.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The figures, in the text format of Prometheus.
    ///
    /// # Errors
    /// Only when formatting itself fails.
    pub fn metrics_text(&self) -> Result<String, fmt::Error> {
        let unpriced = self.routing.load().unpriced();
        self.metrics.text(&self.ledger.stats(), self.ledger.is_admitting(), unpriced)
    }

    /// The health of channels and credentials on this node.
    #[must_use]
    pub const fn health(&self) -> &Arc<Health> {
        &self.health
    }

    /// The retries that this node may make.
    #[must_use]
    pub const fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Seeds for plans.
    #[must_use]
    pub const fn seeds(&self) -> &Seeds {
        &self.seeds
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Groups, channels and prices as they are now.
    #[must_use]
    pub fn routing(&self) -> Arc<Snapshot> {
        self.routing.load_full()
    }
}
