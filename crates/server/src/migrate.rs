//! `apsis migrate`: the schema of the database, before and without a start.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use anyhow::{Context, bail};
use store::{Location, Migration};

use crate::{admin::DONE, cli::Migrate, config::Config, data_dir::DataDir};

/// Runs one command.
pub(crate) async fn run(config: &Config, command: &Migrate) -> anyhow::Result<ExitCode> {
    let database = DataDir::database(config)?;
    let mut out = io::stdout().lock();
    match command {
        Migrate::Status => {
            for step in steps(&database).await? {
                writeln!(out, "{:04}\t{}\t{}", step.number, state(&step), name(&step))?;
            }
        }
        Migrate::Plan => {
            for step in pending(&database).await? {
                writeln!(out, "{:04}\t{}", step.number, name(&step))?;
            }
        }
        Migrate::Apply => {
            let pending = pending(&database).await?;
            database.migrate().await.with_context(|| format!("cannot change {database}"))?;
            for step in pending {
                writeln!(out, "{:04}\t{}", step.number, name(&step))?;
            }
            writeln!(out, "the schema is up to date")?;
        }
    }
    Ok(DONE)
}

async fn steps(database: &Location) -> anyhow::Result<Vec<Migration>> {
    database.migrations().await.with_context(|| format!("cannot read {database}"))
}

/// What is to be done, if this program may do it.
async fn pending(database: &Location) -> anyhow::Result<Vec<Migration>> {
    let steps = steps(database).await?;
    if let Some(unknown) = steps.iter().find(|step| step.name.is_none()) {
        bail!(
            "{database} has step {:04}, which this program does not know: a newer one was here, use that",
            unknown.number
        );
    }
    Ok(steps.into_iter().filter(|step| !step.applied).collect())
}

const fn state(step: &Migration) -> &'static str {
    match (&step.name, step.applied) {
        (None, _) => "unknown",
        (Some(_), true) => "applied",
        (Some(_), false) => "pending",
    }
}

fn name(step: &Migration) -> &str {
    step.name.as_deref().unwrap_or("-")
}
