//! What is known of the health of channels and credentials on this node.
//!
//! [`Table`] is the plain value that a plan is made with; [`Health`] is the one that requests share. A request takes a
//! [`Permit`] for each attempt and says how it ended; a permit that is dropped gives its place back.

use std::{collections::HashSet, sync::Arc};

use model::{
    clock::{Clock, Timestamp},
    id::{ChannelId, CredentialId},
};
use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use super::{
    breaker::{Breaker, Pass, Stand},
    failure::{CredentialVerdict, Next, UpstreamFailure},
    policy::Policy,
    recent::{Recents, Record},
    snapshot::{Channel, Route, Snapshot},
    span::Span,
};

/// 403 in a row, without an answer in between, after which a credential counts as refused.
const DOUBTS: u32 = 3;

/// Whether a channel may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fitness {
    /// It may.
    Fit,
    /// Every credential is refused or switched off.
    NoCredential,
    /// Its upstream asked for a rest until then.
    Resting(Timestamp),
    /// Its upstream asked for a rest of each credential; the first is back then.
    CredentialsResting(Timestamp),
    /// Its breaker is open until then.
    Open(Timestamp),
    /// Its breaker waits for the outcome of a probe, until then at most.
    Probing(Timestamp),
}

impl Fitness {
    /// When it may be used again, as far as that is known.
    #[must_use]
    pub const fn until(self) -> Option<Timestamp> {
        match self {
            Self::Fit | Self::NoCredential => None,
            Self::Resting(until)
            | Self::CredentialsResting(until)
            | Self::Open(until)
            | Self::Probing(until) => Some(until),
        }
    }
}

#[derive(Clone, Debug, Default)]
struct ChannelHealth {
    breaker: Breaker,
    rest: Option<Span>,
    /// Whose turn it is among the credentials.
    turn: usize,
}

#[derive(Clone, Debug, Default)]
struct CredentialHealth {
    rest: Option<Span>,
    doubts: u32,
}

/// Health as a plain value. A channel that is not in it is healthy.
#[derive(Clone, Debug, Default)]
pub struct Table {
    channels: FxHashMap<ChannelId, ChannelHealth>,
    credentials: FxHashMap<CredentialId, CredentialHealth>,
}

impl Table {
    /// Whether `route` may be used at `now`.
    #[must_use]
    pub fn fitness(&self, route: &Route, now: Timestamp) -> Fitness {
        if route.ways.is_empty() {
            return Fitness::NoCredential;
        }
        if let Some(channel) = self.channels.get(&route.id) {
            if let Some(rest) = channel.rest.filter(|rest| rest.covers(now)) {
                return Fitness::Resting(rest.end());
            }
            match channel.breaker.stand(now) {
                Stand::Closed | Stand::Ready => {}
                Stand::Open(until) => return Fitness::Open(until),
                Stand::Probing(until) => return Fitness::Probing(until),
            }
        }
        let mut soonest: Option<Timestamp> = None;
        for way in &route.ways {
            match self.resting(way.credential, now) {
                None => return Fitness::Fit,
                Some(until) => soonest = Some(soonest.map_or(until, |soonest| soonest.min(until))),
            }
        }
        soonest.map_or(Fitness::NoCredential, Fitness::CredentialsResting)
    }

    fn resting(&self, credential: CredentialId, now: Timestamp) -> Option<Timestamp> {
        let rest = self.credentials.get(&credential)?.rest?;
        rest.covers(now).then(|| rest.end())
    }

    /// Takes leave to use `route`, with the credential whose turn it is; `None` when it may not be used.
    pub fn pass(&mut self, route: &Route, policy: &Policy, now: Timestamp) -> Option<(Arc<Channel>, Pass)> {
        if self.fitness(route, now) != Fitness::Fit {
            return None;
        }
        let turn = self.channels.get(&route.id).map_or(0, |channel| channel.turn);
        let in_turn = (0..route.ways.len()).map(|step| turn.wrapping_add(step) % route.ways.len());
        let fit =
            |at: &usize| route.ways.get(*at).is_some_and(|way| self.resting(way.credential, now).is_none());
        let at = in_turn.into_iter().find(fit)?;
        let channel = self.channels.entry(route.id).or_default();
        channel.turn = at + 1;
        let pass = channel.breaker.pass(policy, now)?;
        route.ways.get(at).map(|way| (Arc::clone(way), pass))
    }

    /// Takes in that the channel answered.
    pub fn succeeded(&mut self, way: &Channel, pass: Pass, now: Timestamp) {
        if let Some(channel) = self.channels.get_mut(&way.id) {
            channel.breaker.succeeded(pass, now);
        }
        self.credentials.remove(&way.credential);
    }

    /// Takes in a failure; `true` when the credential counts as refused now.
    pub fn failed(
        &mut self,
        way: &Channel,
        pass: Pass,
        failure: UpstreamFailure,
        policy: &Policy,
        now: Timestamp,
    ) -> bool {
        let verdict = failure.verdict(policy);
        let channel = self.channels.entry(way.id).or_default();
        if verdict.broken {
            channel.breaker.failed(pass, policy, now);
        } else {
            // Whatever it said, it is there.
            channel.breaker.succeeded(pass, now);
        }
        if let Some(rest) = verdict.rest {
            channel.rest = Some(Span::new(now, rest));
        }
        if verdict.next == Next::Answer {
            // It speaks of the request; the credential was taken.
            self.credentials.remove(&way.credential);
            return false;
        }
        let credential = self.credentials.entry(way.credential).or_default();
        let refused = match verdict.credential {
            CredentialVerdict::Fine => false,
            CredentialVerdict::Rest(rest) => {
                credential.rest = Some(Span::new(now, rest));
                false
            }
            CredentialVerdict::Doubted => {
                credential.doubts = credential.doubts.saturating_add(1);
                credential.doubts >= DOUBTS
            }
            CredentialVerdict::Refused => true,
        };
        if refused {
            // Until the table of routes says so, on this node and on the others.
            credential.rest = Some(Span::new(now, policy.longest_breaker_open));
        }
        refused
    }

    fn returned(&mut self, way: &Channel, pass: Pass, now: Timestamp) {
        if let Some(channel) = self.channels.get_mut(&way.id) {
            channel.breaker.returned(pass, now);
        }
    }

    /// Forgets what was known of a channel and its credentials, because an operator changed it.
    pub fn forget(&mut self, route: &Route) {
        self.channels.remove(&route.id);
        for way in &route.ways {
            self.credentials.remove(&way.credential);
        }
    }

    /// Forgets what is not in `snapshot` any more.
    pub fn keep(&mut self, snapshot: &Snapshot) {
        let routes = snapshot.channels();
        let channels: HashSet<ChannelId> = routes.iter().map(|route| route.id).collect();
        let ways = routes.iter().flat_map(|route| &route.ways);
        let credentials: HashSet<CredentialId> = ways.map(|way| way.credential).collect();
        self.channels.retain(|id, _| channels.contains(id));
        self.credentials.retain(|id, _| credentials.contains(id));
    }
}

/// The health that all requests of a node share.
#[derive(Debug)]
pub struct Health {
    table: Mutex<Table>,
    recents: Mutex<Recents>,
    policy: Policy,
    clock: Arc<dyn Clock>,
}

impl Health {
    /// Nothing is known yet.
    #[must_use]
    pub fn new(policy: Policy, clock: Arc<dyn Clock>) -> Self {
        Self { table: Mutex::default(), recents: Mutex::default(), policy, clock }
    }

    /// Reads the table; `read` must be quick.
    pub fn with<T>(&self, read: impl FnOnce(&Table) -> T) -> T {
        read(&self.table.lock())
    }

    /// What became of the latest attempts at a channel; `None` when there were none.
    #[must_use]
    pub fn recent(&self, channel: ChannelId, now: Timestamp) -> Option<Record> {
        self.recents.lock().of(channel, now)
    }

    /// What the operator decided.
    #[must_use]
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Takes leave to use `route`; `None` when it may not be used any more.
    #[must_use]
    pub fn permit(self: &Arc<Self>, route: &Route, now: Timestamp) -> Option<Permit> {
        let (channel, pass) = self.table.lock().pass(route, &self.policy, now)?;
        Some(Permit { health: Arc::clone(self), channel, pass: Some(pass), taken: now })
    }

    /// Forgets what was known of a channel, because an operator changed it.
    pub fn forget(&self, route: &Route) {
        self.table.lock().forget(route);
    }

    /// Forgets what is not in `snapshot` any more.
    pub fn keep(&self, snapshot: &Snapshot) {
        self.table.lock().keep(snapshot);
        let routes = snapshot.channels();
        self.recents.lock().keep(|channel| routes.iter().any(|route| route.id == channel));
    }
}

/// Leave to make one attempt.
#[derive(Debug)]
pub struct Permit {
    health: Arc<Health>,
    channel: Arc<Channel>,
    pass: Option<Pass>,
    taken: Timestamp,
}

impl Permit {
    /// The channel with the credential whose turn it is.
    #[must_use]
    pub const fn channel(&self) -> &Arc<Channel> {
        &self.channel
    }

    /// Whether this attempt is the probe of an open breaker.
    #[must_use]
    pub fn is_probe(&self) -> bool {
        self.pass.is_some_and(Pass::is_probe)
    }

    /// The upstream has answered: the head of a success, or a refusal that is the caller's fault.
    pub fn succeeded(mut self) {
        if let Some(pass) = self.pass.take() {
            let now = self.health.clock.now();
            self.health.table.lock().succeeded(&self.channel, pass, now);
            let took = now.millis_since(self.taken);
            self.health.recents.lock().note(self.channel.id, Some(took), now);
        }
    }

    /// The attempt failed. `true` when its credential counts as refused now, and must be disabled for all nodes.
    #[must_use]
    pub fn failed(mut self, failure: UpstreamFailure) -> bool {
        let Some(pass) = self.pass.take() else { return false };
        let now = self.health.clock.now();
        // What the caller got wrong is an answer.
        let is_answer = failure.verdict(&self.health.policy).next == Next::Answer;
        let took = is_answer.then(|| now.millis_since(self.taken));
        self.health.recents.lock().note(self.channel.id, took, now);
        let mut table = self.health.table.lock();
        table.failed(&self.channel, pass, failure, &self.health.policy, now)
    }
}

impl Drop for Permit {
    /// The caller has left, or the attempt was not made.
    fn drop(&mut self) {
        if let Some(pass) = self.pass.take() {
            let now = self.health.clock.now();
            self.health.table.lock().returned(&self.channel, pass, now);
        }
    }
}
