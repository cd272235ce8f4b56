//! Logs: text for a terminal, JSON elsewhere, both to standard error.

use std::io::{self, IsTerminal};

use anyhow::anyhow;
use tracing_subscriber::EnvFilter;

use crate::config::Config;

/// Begins to log.
///
/// # Errors
/// `log.level` is no filter.
pub(crate) fn start(config: &Config) -> anyhow::Result<()> {
    let level: String = config.get("log.level")?;
    let filter =
        EnvFilter::try_new(&level).map_err(|error| anyhow!("`log.level` cannot be `{level}`: {error}"))?;
    let format: String = config.get("log.format")?;
    let json = format == "json" || (format == "auto" && !io::stderr().is_terminal());
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    let started = if json {
        builder.json().flatten_event(true).try_init()
    } else {
        builder.with_ansi(io::stderr().is_terminal()).try_init()
    };
    started.map_err(|error| anyhow!("cannot begin to log: {error}"))
}
