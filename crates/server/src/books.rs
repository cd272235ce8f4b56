//! Commands about the ledger: its proof, and what stands in suspense.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use anyhow::Context;
use model::clock::Timestamp;
use store::{Decision, Store};

use crate::{admin::DONE, cli::Ledger, config::Config, data_dir::DataDir};

/// Opens the database for reading alone: a proof changes nothing, and needs no secret.
pub(crate) async fn verify(config: &Config) -> anyhow::Result<ExitCode> {
    let database = DataDir::database(config)?;
    let found = database.verify().await.with_context(|| format!("cannot read {database}"))?;
    let mut out = io::stdout().lock();
    for difference in &found {
        match difference.pool {
            Some(pool) => writeln!(out, "pool {pool}: {}", difference.what)?,
            None => writeln!(out, "{}", difference.what)?,
        }
    }
    if found.is_empty() {
        writeln!(out, "the ledger adds up")?;
        return Ok(DONE);
    }
    Ok(ExitCode::FAILURE)
}

/// What needs the store.
pub(crate) async fn run(
    store: &Store,
    command: Ledger,
    now: Timestamp,
    out: &mut impl Write,
) -> anyhow::Result<ExitCode> {
    match command {
        Ledger::Verify => {}
        Ledger::Suspense => {
            writeln!(out, "journal\tsince\talive\tpool\taccount\tkey\tunits")?;
            for row in store.suspense().await? {
                let or_none = |id: Option<i64>| id.map_or_else(|| "-".to_owned(), |id| id.to_string());
                let since = or_none(row.since.map(Timestamp::secs));
                let account = or_none(row.account.map(|account| account.0));
                let key = or_none(row.key.map(|key| key.0));
                let alive = if row.alive { "yes" } else { "no" };
                writeln!(
                    out,
                    "{}\t{since}\t{alive}\t{}\t{account}\t{key}\t{}",
                    row.journal, row.pool, row.units
                )?;
            }
        }
        Ledger::Resolve { journal, decision } => {
            let decided = if decision.charge { Decision::Charge } else { Decision::Return };
            let units = store.resolve_suspense(&journal, decided, now).await?;
            let done = if decision.charge { "charged" } else { "returned" };
            writeln!(out, "{units} units are {done}; journal {journal} is shut out")?;
        }
    }
    Ok(DONE)
}
