//! `apsis channel`: channels and their credentials, for a terminal. What is secret is read from a file or from standard
//! input, never from an argument, and never printed.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    io::{self, Read, Write},
    path::Path,
    process::ExitCode,
    sync::Arc,
};

use anyhow::{Context, bail};
use gateway::{
    channel_test::{self, Trial},
    channels,
};
use model::{
    clock::{Clock, SystemClock, Timestamp},
    id::{ChannelId, CredentialId},
};
use store::{NewChannel, Store, StoreError};
use zeroize::Zeroizing;

use crate::{
    cli::{
        Channel, Credential,
        channel::{Add, Set},
    },
    config::Config,
    start::settings,
};

/// Runs one command.
pub(crate) async fn run(
    config: &Config,
    store: &Store,
    command: Channel,
    now: Timestamp,
    out: &mut impl Write,
) -> anyhow::Result<ExitCode> {
    match command {
        Channel::Add(new) => add(store, new, now, out).await?,
        Channel::List => list(store, out).await?,
        Channel::Set(change) => set(store, change, now).await?,
        Channel::Test { id, model, embeddings } => {
            let trial = Trial { model, credential: None, embeddings };
            return test(config, store, ChannelId(id), &trial, out).await;
        }
        Channel::Credential(command) => credentials(store, command, now, out).await?,
        Channel::Enable { id } => {
            edit(store, id, now, |before| NewChannel { enabled: true, ..before.to_change() }).await?;
        }
        Channel::Disable { id } => {
            edit(store, id, now, |before| NewChannel { enabled: false, ..before.to_change() }).await?;
        }
        Channel::Remove { id } => {
            if !store.delete_channel(ChannelId(id), now).await? {
                bail!("there is no channel {id}");
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn add(store: &Store, new: Add, now: Timestamp, out: &mut impl Write) -> anyhow::Result<()> {
    let (models, mapping) = mapped(new.models);
    let credential = new.key_file.as_deref().map(read_secret).transpose()?;
    let base_url = channels::base_url(&new.kind, new.base_url)?;
    if let Some(text) = &credential {
        channels::check_credential(&new.kind, &base_url, text)?;
    }
    let new = NewChannel {
        name: new.name,
        base_url,
        kind: new.kind,
        credential,
        models,
        mapping,
        groups: new.groups,
        priority: new.priority,
        weight: new.weight,
        enabled: true,
    };
    writeln!(out, "{}", store.create_channel(&new, now).await?.id)?;
    Ok(())
}

async fn set(store: &Store, wanted: Set, now: Timestamp) -> anyhow::Result<()> {
    let id = wanted.id;
    let credential = wanted.key_file.as_deref().map(read_secret).transpose()?;
    let of = store.channel(ChannelId(id)).await?;
    let of = of.with_context(|| format!("there is no channel {id}"))?;
    let new_kind = wanted.kind.as_ref().unwrap_or(&of.kind);
    match &credential {
        Some(text) => {
            let base_url = wanted.base_url.as_ref().unwrap_or(&of.base_url);
            channels::check_credential(new_kind, base_url, text)?;
        }
        None => channels::check_kept(&of.kind, new_kind)?,
    }
    let change = |before: store::Channel| {
        let kept = before.to_change();
        let (models, mapping) = wanted.models.map_or((kept.models, kept.mapping), mapped);
        NewChannel {
            name: wanted.name.unwrap_or(kept.name),
            kind: wanted.kind.unwrap_or(kept.kind),
            base_url: wanted.base_url.unwrap_or(kept.base_url),
            credential,
            models,
            mapping,
            groups: wanted.groups.unwrap_or(kept.groups),
            priority: wanted.priority.unwrap_or(kept.priority),
            weight: wanted.weight.unwrap_or(kept.weight),
            enabled: kept.enabled,
        }
    };
    edit(store, id, now, change).await
}

/// Models, and the upstream's names of those that have another name there.
fn mapped(models: Vec<String>) -> (Vec<String>, BTreeMap<String, String>) {
    let mut mapping = BTreeMap::new();
    let ours = models.into_iter().map(|model| match model.split_once('=') {
        Some((ours, theirs)) => {
            mapping.insert(ours.to_owned(), theirs.to_owned());
            ours.to_owned()
        }
        None => model,
    });
    (ours.collect(), mapping)
}

async fn list(store: &Store, out: &mut impl Write) -> anyhow::Result<()> {
    writeln!(out, "id\tstatus\tpriority\tweight\tname\tkind\tbase_url\tgroups\tmodels")?;
    for channel in store.list_channels().await? {
        let status = if channel.enabled { 1 } else { 2 };
        let (groups, models) = (channel.groups.join(","), channel.models.join(","));
        let line = [
            channel.id.to_string(),
            status.to_string(),
            channel.priority.to_string(),
            channel.weight.to_string(),
            channel.name,
            channel.kind,
            channel.base_url,
            groups,
            models,
        ];
        writeln!(out, "{}", line.join("\t"))?;
    }
    Ok(())
}

async fn edit(
    store: &Store,
    id: i64,
    now: Timestamp,
    change: impl FnOnce(store::Channel) -> NewChannel,
) -> anyhow::Result<()> {
    // Inside the transaction: an edit at the same moment stays.
    match store.edit_channel(ChannelId(id), now, |before| Ok::<_, Infallible>(change(before))).await {
        Err(StoreError::NotFound) => bail!("there is no channel {id}"),
        edited => drop(edited?),
    }
    Ok(())
}

async fn test(
    config: &Config,
    store: &Store,
    id: ChannelId,
    trial: &Trial,
    out: &mut impl Write,
) -> anyhow::Result<ExitCode> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let found = channel_test::run_stored(store, &settings(config)?, id, trial, &clock).await?;
    let status = found.status.map_or("no answer".to_owned(), |status| format!("status {status}"));
    writeln!(out, "{status} in {} ms, model {}: {}", found.latency_ms, found.model, found.reason)?;
    Ok(if found.healthy { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn credentials(
    store: &Store,
    command: Credential,
    now: Timestamp,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let done = match command {
        Credential::Add { channel, key_file, name } => {
            let text = read_secret(&key_file)?;
            let of = store.channel(ChannelId(channel)).await?;
            let of = of.with_context(|| format!("there is no channel {channel}"))?;
            channels::check_credential(&of.kind, &of.base_url, &text)?;
            match store.add_credential(ChannelId(channel), &name, &text, now).await {
                Err(StoreError::NotFound) => bail!("there is no channel {channel}"),
                made => writeln!(out, "{}", made?.id)?,
            }
            return Ok(());
        }
        Credential::List => {
            writeln!(out, "id\tchannel\tstatus\trefused_status\tname")?;
            for credential in store.list_channels().await?.into_iter().flat_map(|channel| channel.credentials)
            {
                let status = credential.status();
                let refused = credential.refused.map_or("-".to_owned(), |refused| refused.status.to_string());
                let (id, channel, name) = (credential.id, credential.channel, credential.name);
                writeln!(out, "{id}\t{channel}\t{status}\t{refused}\t{name}")?;
            }
            return Ok(());
        }
        Credential::Enable { id } => {
            (id, store.update_credential(CredentialId(id), None, Some(true), now).await.map(drop))
        }
        Credential::Disable { id } => {
            (id, store.update_credential(CredentialId(id), None, Some(false), now).await.map(drop))
        }
        Credential::Remove { id } => (id, store.delete_credential(CredentialId(id), now).await),
    };
    match done {
        (id, Err(StoreError::NotFound)) => bail!("there is no credential {id}"),
        (_, done) => Ok(done?),
    }
}

pub(crate) fn read_secret(path: &Path) -> anyhow::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    if path == Path::new("-") {
        io::stdin().read_to_string(&mut text)?;
    } else {
        *text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    }
    Ok(Zeroizing::new(text.trim().to_owned()))
}
