//! `apsis backup`, `apsis restore` and `apsis move`: copies of a whole installation's database.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use anyhow::{Context, anyhow, bail};
use ledger::Ledger;
use model::clock::{Clock, SystemClock};
use store::{Discrepancy, Location, OpenLeases};

use crate::{
    admin::DONE,
    cli::{Backup, Leases, Restore},
    config::Config,
    data_dir::DataDir,
    start,
};

/// Beside running servers or without one; no secret is needed, for everything stays sealed.
pub(crate) async fn backup(config: &Config, command: Backup) -> anyhow::Result<ExitCode> {
    let (database, now) = (DataDir::database(config)?, SystemClock.now());
    let Backup { mut file } = command;
    if file.is_dir() {
        file.push(format!("apsis-{}.backup", now.secs()));
    }
    let made = database.backup(&file, now).await;
    let made = made.with_context(|| format!("cannot back up {database} into {}", file.display()))?;
    writeln!(
        io::stdout(),
        "{}: {} rows, {} bytes, step {:04} of the schema; the master key is not in it",
        file.display(),
        made.rows,
        made.bytes,
        made.schema
    )?;
    Ok(DONE)
}

/// Where nothing is yet.
pub(crate) async fn restore(config: &Config, command: Restore) -> anyhow::Result<ExitCode> {
    let dir = DataDir::to_restore(config)?;
    let Restore { file, verify, leases } = command;
    let leases = match leases {
        Leases::Suspense => OpenLeases::Suspense,
        Leases::Return => OpenLeases::Returned,
    };
    let restored = dir.database.restore(&file, &dir.master, leases, verify).await;
    let restored =
        restored.with_context(|| format!("cannot restore {} into {}", file.display(), dir.database))?;
    let mut out = io::stdout().lock();
    writeln!(out, "{}: {} rows, as of {} (Unix time)", dir.database, restored.rows, restored.made.secs())?;
    if restored.leases > 0 {
        let (units, leases) = (restored.units, restored.leases);
        match command.leases {
            Leases::Suspense => writeln!(
                out,
                "{units} units of {leases} leases are in suspense: servers that ran when the backup was made may have spent them"
            )?,
            Leases::Return => writeln!(
                out,
                "{units} units of {leases} leases can be spent again: what servers have spent of them since the backup is given twice"
            )?,
        }
    }
    if !verify {
        return Ok(DONE);
    }
    told(&mut out, &restored.found)
}

/// What a proof has found.
fn told(out: &mut impl Write, found: &[Discrepancy]) -> anyhow::Result<ExitCode> {
    for difference in found {
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

/// From SQLite to the PostgreSQL database of the configuration. The server must be stopped.
pub(crate) async fn transfer(config: &Config) -> anyhow::Result<ExitCode> {
    let Some(target) = config.database()?.map(Location::Server) else {
        bail!("say where to: `database_url` (or APSIS_DATABASE_URL_FILE) names the PostgreSQL database");
    };
    let (dir, file) = DataDir::to_move(config)?;
    drain(config, &dir).await?;
    let moved = dir.database.copy_to(&target).await;
    let moved = moved.with_context(|| format!("cannot copy {} to {target}", dir.database))?;
    let kept = set_aside(&file).with_context(|| {
        format!("everything is in {target}, but {} cannot be renamed: move it away", file.display())
    })?;
    let mut out = io::stdout().lock();
    writeln!(out, "{} rows are in {target}; the ledger adds up on both sides", moved.rows)?;
    writeln!(out, "the SQLite database is kept as {}; nothing reads it any more", kept.display())?;
    writeln!(
        out,
        "start the server with the same `database_url` and data directory: apsis serve --data-dir {}",
        dir.path.display()
    )?;
    Ok(DONE)
}

/// Brings the journal into the book and returns what it had leased, as an orderly stop does.
async fn drain(config: &Config, dir: &DataDir) -> anyhow::Result<()> {
    let store = dir.store().await?;
    let journal = dir.path.join("journal");
    let opened =
        Ledger::open(Arc::new(store.clone()), Arc::new(SystemClock), start::journal(config, dir)?).await;
    let ledger = opened.with_context(|| format!("cannot open the journal in {}", journal.display()))?;
    let closed = ledger.close().await;
    store.close().await;
    closed
        .with_context(|| format!("the journal in {} cannot be brought into the database", journal.display()))
}

/// Nobody may go on with the old database by accident: what it affords can be spent once.
fn set_aside(file: &Path) -> anyhow::Result<PathBuf> {
    let renamed = |end: &str| -> anyhow::Result<PathBuf> {
        let name = file.file_name().ok_or_else(|| anyhow!("{} has no name", file.display()))?;
        let (mut from, mut to) = (name.to_owned(), name.to_owned());
        from.push(end);
        to.push(".moved");
        to.push(end);
        let (from, to) = (file.with_file_name(from), file.with_file_name(to));
        if from.try_exists()? {
            std::fs::rename(&from, &to)?;
        }
        Ok(to)
    };
    let kept = renamed("")?;
    renamed("-wal")?;
    renamed("-shm")?;
    Ok(kept)
}
