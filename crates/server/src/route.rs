//! `apsis route`: where requests go, for a terminal.

use std::{io::Write, process::ExitCode};

use gateway::routes::{self, Outlook};
use model::{clock::Timestamp, id::KeyId};
use store::Store;

use crate::{cli::Route, config::Config, start::policy};

/// Runs one command.
pub(crate) async fn run(
    config: &Config,
    store: &Store,
    command: Route,
    now: Timestamp,
    out: &mut impl Write,
) -> anyhow::Result<ExitCode> {
    let Route::Explain { key, model, path } = command;
    let mut seed = [0; 8];
    getrandom::fill(&mut seed)?;
    let seed = u64::from_le_bytes(seed);
    let asked = (KeyId(key), model.as_str(), path.as_deref());
    let outlook = routes::explain_stored(store, &policy(config)?, asked, seed, now).await?;
    print(&outlook, out)?;
    Ok(ExitCode::SUCCESS)
}

fn print(outlook: &Outlook, out: &mut impl Write) -> std::io::Result<()> {
    let plan = &outlook.plan;
    let groups = plan.groups.join(" ");
    match (plan.auto, plan.cross_group) {
        (false, _) => writeln!(out, "group: {groups}")?,
        (true, false) => writeln!(out, "groups: {groups} (auto: the first with a channel for the model)")?,
        (true, true) => {
            writeln!(out, "groups: {groups} (auto: the next when the attempts of one are used up)")?
        }
    }
    if let Some(refusal) = &outlook.refusal {
        writeln!(out, "refused: {refusal} ({} {})", refusal.status(), refusal.code())?;
    }
    for (place, one) in plan.candidates.iter().enumerate() {
        let (channel, name, group) = (one.channel, &one.name, &one.group);
        let (priority, weight) = (one.priority, one.weight);
        writeln!(
            out,
            "{}. channel {channel} ({name}) in group {group}, priority {priority}, weight {weight}",
            place + 1
        )?;
    }
    for other in &plan.others {
        writeln!(out, "-  channel {} ({}): {}", other.channel, other.name, other.absence)?;
    }
    Ok(())
}
