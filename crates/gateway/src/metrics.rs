//! Figures for Prometheus. Every label has a bounded set of values.

use std::{
    fmt::{self, Write},
    sync::atomic::{AtomicU64, Ordering},
};

use ledger::Stats;
use parking_lot::Mutex;

use crate::routing::UpstreamFailure;

/// Counters of the model API.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Requests by door and class of status.
    requests: Mutex<std::collections::BTreeMap<(&'static str, u16), u64>>,
    /// Attempts that failed, by kind.
    upstream_failures: Mutex<std::collections::BTreeMap<&'static str, u64>>,
    /// Requests refused because their model has no price, by model: those that some channel serves.
    price_unknown: Mutex<std::collections::BTreeMap<String, u64>>,
    units: AtomicU64,
    pub(crate) overrun: AtomicU64,
    panics: AtomicU64,
    /// What the last proof of the books found.
    pub(crate) discrepancies: AtomicU64,
}

impl Metrics {
    /// Counts a request that was answered with `status`.
    pub(crate) fn request(&self, door: &'static str, status: u16) {
        *self.requests.lock().entry((door, status / 100)).or_default() += 1;
    }

    /// Counts an attempt that failed.
    pub(crate) fn upstream_failed(&self, failure: UpstreamFailure) {
        *self.upstream_failures.lock().entry(failure.word()).or_default() += 1;
    }

    /// Counts a request for a model that some channel serves and nobody has priced.
    pub(crate) fn price_unknown(&self, model: &str) {
        *self.price_unknown.lock().entry(model.to_owned()).or_default() += 1;
    }

    /// Counts a settlement.
    pub(crate) fn settled(&self, units: i64, overrun: i64) {
        self.units.fetch_add(units.unsigned_abs(), Ordering::Relaxed);
        self.overrun.fetch_add(overrun.unsigned_abs(), Ordering::Relaxed);
    }

    /// Everything as text. The exposition format has few words, so they are written here.
    pub(crate) fn text(
        &self,
        ledger: &Stats,
        admitting: bool,
        unpriced: usize,
    ) -> Result<String, fmt::Error> {
        let mut text = String::new();
        self.labelled(&mut text)?;
        for (name, kind, help, value) in self.figures(ledger, admitting, unpriced) {
            writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}")?;
        }
        Ok(text)
    }

    /// What is counted by something.
    fn labelled(&self, text: &mut String) -> fmt::Result {
        writeln!(text, "# HELP apsis_requests_total Model requests by door and class of status.")?;
        writeln!(text, "# TYPE apsis_requests_total counter")?;
        for ((door, class), count) in self.requests.lock().iter() {
            writeln!(text, "apsis_requests_total{{door=\"{door}\",status=\"{class}xx\"}} {count}")?;
        }
        writeln!(text, "# HELP apsis_upstream_failures_total Failed attempts at upstreams, by kind.")?;
        writeln!(text, "# TYPE apsis_upstream_failures_total counter")?;
        for (kind, count) in self.upstream_failures.lock().iter() {
            writeln!(text, "apsis_upstream_failures_total{{kind=\"{kind}\"}} {count}")?;
        }
        writeln!(text, "# HELP apsis_price_unknown_total Requests refused for want of a price, by model.")?;
        writeln!(text, "# TYPE apsis_price_unknown_total counter")?;
        for (model, count) in self.price_unknown.lock().iter() {
            writeln!(text, "apsis_price_unknown_total{{model=\"{}\"}} {count}", label(model))?;
        }
        Ok(())
    }

    /// What is one figure: its name, its kind, what it is, and its value.
    fn figures(
        &self,
        ledger: &Stats,
        admitting: bool,
        unpriced: usize,
    ) -> [(&'static str, &'static str, &'static str, u64); 10] {
        [
            (
                "apsis_models_without_price",
                "gauge",
                "Models that some channel serves and that have no price.",
                unpriced as u64,
            ),
            (
                "apsis_units_charged_total",
                "counter",
                "Quota units charged.",
                self.units.load(Ordering::Relaxed),
            ),
            (
                "apsis_units_overrun_total",
                "counter",
                "Quota units that upstreams claimed beyond holds.",
                self.overrun.load(Ordering::Relaxed),
            ),
            (
                "apsis_panics_total",
                "counter",
                "Requests that ended in a panic.",
                self.panics.load(Ordering::Relaxed),
            ),
            (
                "apsis_ledger_discrepancies",
                "gauge",
                "What the last proof of the books found; must be 0.",
                self.discrepancies.load(Ordering::Relaxed),
            ),
            ("apsis_holds_open", "gauge", "Requests in flight.", ledger.open_holds as u64),
            ("apsis_pools", "gauge", "Pools in memory.", ledger.pools as u64),
            (
                "apsis_journal_unapplied",
                "gauge",
                "Journal records that the database does not have yet.",
                ledger.unapplied,
            ),
            ("apsis_journal_syncs_total", "counter", "Syncs of the journal.", ledger.syncs),
            ("apsis_admitting", "gauge", "1 while new requests are taken.", u64::from(admitting)),
        ]
    }

    /// Requests since the start: answered, and failed or refused.
    pub(crate) fn answered(&self) -> (u64, u64) {
        let requests = self.requests.lock();
        let sum = |good: bool| {
            requests.iter().filter(|((_, class), _)| (*class == 2) == good).map(|(_, count)| count).sum()
        };
        (sum(true), sum(false))
    }

    /// Counts a panic that was caught.
    pub(crate) fn panicked(&self) {
        self.panics.fetch_add(1, Ordering::Relaxed);
    }
}

/// A text as the value of a label.
fn label(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

impl crate::Gateway {
    /// Counts a request that ended in a panic.
    pub fn panicked(&self) {
        self.metrics.panicked();
    }
}
