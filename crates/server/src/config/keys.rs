//! Every configuration key, with its default.

/// One configuration key.
pub(crate) struct Key {
    /// Its name in the file, with dots; in the environment `APSIS_` and upper case with underscores.
    pub(crate) name: &'static str,
    /// What it is when nobody says.
    pub(crate) default: &'static str,
    /// What kind of value it takes.
    pub(super) kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Address,
    Count,
    Flag,
    /// Seconds or milliseconds, such as `10s` or `200ms`.
    Time,
    /// The same, or `0s` for never.
    TimeOrNone,
    MasterKey,
    DatabaseUrl,
    Networks,
    /// A PEM file; empty for none.
    Certificates,
}

impl Kind {
    /// Never shown; `APSIS_…_FILE` and `<key>_file` name a file with it.
    pub(super) const fn is_secret(self) -> bool {
        matches!(self, Self::MasterKey | Self::DatabaseUrl)
    }
}

const fn key(name: &'static str, default: &'static str, kind: Kind) -> Key {
    Key { name, default, kind }
}

/// Every key.
pub(crate) const KEYS: &[Key] = &[
    key("listen", "127.0.0.1:3000", Kind::Address),
    key("data_dir", "apsis-data", Kind::Text),
    key("master_key", "", Kind::MasterKey),
    key("database_url", "", Kind::DatabaseUrl),
    key("database.connections", "10", Kind::Count),
    key("database.statement_timeout", "10s", Kind::Time),
    key("worker_threads", "0", Kind::Count),
    key("public_url", "", Kind::Text),
    key("trusted_proxies", "", Kind::Networks),
    key("error_type", "comet_api_error", Kind::Text),
    key("log.format", "auto", Kind::Text),
    key("log.level", "info", Kind::Text),
    key("limits.model_body", "33554432", Kind::Count),
    key("limits.management_body", "262144", Kind::Count),
    key("limits.answer", "67108864", Kind::Count),
    key("limits.bodies", "0", Kind::Count),
    key("limits.realtime_message", "25165824", Kind::Count),
    key("limits.connections", "16384", Kind::Count),
    key("timeouts.header", "10s", Kind::Time),
    key("timeouts.body_idle", "30s", Kind::Time),
    key("timeouts.body", "600s", Kind::Time),
    key("timeouts.write", "60s", Kind::Time),
    key("timeouts.connect", "5s", Kind::Time),
    key("timeouts.first_byte", "120s", Kind::Time),
    key("timeouts.idle", "60s", Kind::Time),
    key("timeouts.answer", "3600s", Kind::Time),
    key("timeouts.job_poll", "5s", Kind::Time),
    key("timeouts.realtime_idle", "900s", Kind::Time),
    key("timeouts.drain", "30s", Kind::Time),
    key("routing.attempts_per_group", "3", Kind::Count),
    key("routing.deadline", "180s", Kind::Time),
    key("routing.cool_down", "5s", Kind::Time),
    key("routing.longest_cool_down", "600s", Kind::Time),
    key("routing.retries_per_hundred", "8", Kind::Count),
    key("routing.retries_per_second", "1", Kind::Count),
    key("routing.breaker_failures", "5", Kind::Count),
    key("routing.breaker_open", "1s", Kind::Time),
    key("routing.longest_breaker_open", "60s", Kind::Time),
    key("stream.keep_alive", "15s", Kind::TimeOrNone),
    key("stream.step", "2048", Kind::Count),
    key("stream.minimum_output", "16", Kind::Count),
    key("upstream.allow_private", "", Kind::Networks),
    key("upstream.ca_file", "", Kind::Certificates),
    key("journal.segment_bytes", "8388608", Kind::Count),
    key("journal.apply_every", "200ms", Kind::Time),
    key("journal.apply_records", "4096", Kind::Count),
    key("journal.kept_for", "900s", Kind::Time),
    key("journal.kept_bytes", "268435456", Kind::Count),
    key("journal.flush_limit", "5s", Kind::Time),
    key("ledger.verify_every", "3600s", Kind::Time),
    key("ledger.dead_after", "60s", Kind::Time),
    key("usage.keep_days", "90", Kind::Count),
    key("usage.keep_records", "20000000", Kind::Count),
    key("usage.keep_bytes", "8589934592", Kind::Count),
    key("catalogue.shipped", "true", Kind::Flag),
];
