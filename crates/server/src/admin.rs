//! Commands that work on the database, beside a running server or without one.

use std::{
    convert::Infallible,
    io::{self, Write},
    process::ExitCode,
};

use anyhow::{Context, anyhow, bail};
use model::{
    clock::{Clock, SystemClock, Timestamp},
    credential::{Class, Credential},
    id::{KeyId, TokenId},
    key::{self, AUTO, Settings, Status},
    money::Units,
    price::Ratio,
};
use store::{AuditFilter, KeyChange, Page, Store};

use crate::{
    accounts::{self, account},
    channel::read_secret,
    cli::{Admin, Group, Key, Ledger, OwnKey, Pat},
    config::Config,
    copies,
    data_dir::DataDir,
};

/// Everything that a list command may show.
pub(crate) const ALL: Page = Page { number: 1, size: 1_000_000 };

/// Runs one command.
pub(crate) async fn run(config: &Config, command: Admin) -> anyhow::Result<ExitCode> {
    match command {
        Admin::Key(Key::RotateMaster) => return rotate(config).await,
        Admin::Ledger(Ledger::Verify) => return crate::books::verify(config).await,
        Admin::Migrate(command) => return crate::migrate::run(config, &command).await,
        Admin::Backup(command) => return copies::backup(config, command).await,
        Admin::Restore(command) => return copies::restore(config, command).await,
        Admin::Move => return copies::transfer(config).await,
        _ => {}
    }
    let store = DataDir::shared(config)?.store().await?;
    let now = SystemClock.now();
    let mut out = io::stdout().lock();
    let code = match command {
        Admin::Ledger(command) => crate::books::run(&store, command, now, &mut out).await?,
        Admin::Migrate(_) | Admin::Backup(_) | Admin::Restore(_) | Admin::Move => DONE,
        Admin::Key(command) => keys(&store, command, now, &mut out).await?,
        Admin::Account(command) => accounts::run(&store, command, now, &mut out).await?,
        Admin::Pat(command) => tokens(&store, command, now, &mut out).await?,
        Admin::Channel(command) => crate::channel::run(config, &store, command, now, &mut out).await?,
        Admin::Price(command) => crate::catalogue::prices(&store, command, now, &mut out).await?,
        Admin::Model(command) => crate::catalogue::models(&store, command, now, &mut out).await?,
        Admin::Group(command) => groups(&store, command, now, &mut out).await?,
        Admin::Audit { object, limit } => audit(&store, object, limit, &mut out).await?,
        Admin::Route(command) => crate::route::run(config, &store, command, now, &mut out).await?,
    };
    store.close().await;
    Ok(code)
}

pub(crate) const DONE: ExitCode = ExitCode::SUCCESS;

async fn rotate(config: &Config) -> anyhow::Result<ExitCode> {
    if config.secret("master_key")?.is_some() {
        bail!(
            "the master key is given by configuration: to rotate it, run without it from the file master.key"
        );
    }
    let dir = DataDir::alone(config, config.data_dir()?)?;
    let store = dir.store().await?;
    let others = store.other_processes().await?;
    if others > 0 {
        bail!("{others} other apsis processes use the database: stop them, or what they seal is lost");
    }
    let next = dir.prepare_master()?;
    let sealed = store.reseal(&next).await.context("nothing has changed")?;
    dir.replace_master(&next)?;
    store.close().await;
    writeln!(
        io::stdout(),
        "{sealed} values are sealed under a new master key in {}/master.key",
        dir.path.display()
    )?;
    Ok(DONE)
}

async fn keys(store: &Store, command: Key, now: Timestamp, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    match command {
        Key::RotateMaster => {}
        Key::Create { account: username, name, quota, group, cross_group_retry, key_file } => {
            let owner = account(store, &username).await?;
            if !["", AUTO, owner.group.as_str()].contains(&group.as_str()) && !owner.groups.contains(&group) {
                bail!("account {username} has no access to group {group}");
            }
            let unlimited_quota = quota.is_none();
            let settings =
                Settings { name, unlimited_quota, group, cross_group_retry, ..Settings::default() }
                    .validated()?;
            let units = quota.map(key::quota).transpose()?.unwrap_or(Units::ZERO);
            let credential = match key_file {
                Some(file) => imported(&read_secret(&file)?)?,
                None => Credential::generate(Class::ApiKey, getrandom::fill)?,
            };
            store.create_key(owner.id, &settings, units, &credential, now).await?;
            writeln!(out, "{}", credential.expose())?;
        }
        Key::List { account: username } => {
            let owner = account(store, &username).await?;
            writeln!(out, "id\tstatus\tremain\tused\tname")?;
            for view in store.list_keys(owner.id, ALL).await?.0 {
                let status = view.key.status(now, view.remaining).number();
                let remain = if view.key.settings.unlimited_quota {
                    "-".to_owned()
                } else {
                    view.remaining.to_string()
                };
                writeln!(
                    out,
                    "{}\t{status}\t{remain}\t{}\t{}",
                    view.key.id, view.used, view.key.settings.name
                )?;
            }
        }
        Key::Disable(own) => set_status(store, &own, Status::Disabled, now).await?,
        Key::Enable(own) => set_status(store, &own, Status::Enabled, now).await?,
        Key::Delete(own) => {
            let owner = account(store, &own.account).await?;
            if store.delete_keys(owner.id, &[KeyId(own.id)], now).await? == 0 {
                bail!("account {} has no API key {}", own.account, own.id);
            }
        }
    }
    Ok(DONE)
}

/// A key that was made elsewhere.
fn imported(text: &str) -> anyhow::Result<Credential> {
    Credential::imported(text)
        .ok_or_else(|| anyhow!("an API key must have 16 to 256 printable ASCII characters without blanks"))
}

async fn set_status(store: &Store, own: &OwnKey, status: Status, now: Timestamp) -> anyhow::Result<()> {
    let owner = account(store, &own.account).await?;
    // Inside the transaction: a new name that is given at the same moment stays.
    let decide = |view: &store::KeyView| {
        Ok::<_, Infallible>(KeyChange { settings: view.key.settings.clone(), status, quota: None })
    };
    match store.edit_key(owner.id, KeyId(own.id), now, decide).await {
        Err(store::StoreError::NotFound) => bail!("account {} has no API key {}", own.account, own.id),
        edited => drop(edited?),
    }
    Ok(())
}

async fn tokens(
    store: &Store,
    command: Pat,
    now: Timestamp,
    out: &mut impl Write,
) -> anyhow::Result<ExitCode> {
    match command {
        Pat::Create { account: username, name } => {
            let owner = account(store, &username).await?;
            let credential = Credential::generate(Class::PersonalAccessToken, getrandom::fill)?;
            store.create_token(owner.id, &name, None, &credential, now).await?;
            writeln!(out, "{}", credential.expose())?;
        }
        Pat::List { account: username } => {
            let owner = account(store, &username).await?;
            writeln!(out, "id\tcreated\tname")?;
            for token in store.list_tokens(owner.id).await? {
                writeln!(out, "{}\t{}\t{}", token.id, token.created.secs(), token.name)?;
            }
        }
        Pat::Revoke(own) => {
            let owner = account(store, &own.account).await?;
            if !store.revoke_token(owner.id, TokenId(own.id)).await? {
                bail!("account {} has no token {}", own.account, own.id);
            }
        }
    }
    Ok(DONE)
}

async fn audit(
    store: &Store,
    object: Option<String>,
    limit: i64,
    out: &mut impl Write,
) -> anyhow::Result<ExitCode> {
    let filter = AuditFilter { object, ..AuditFilter::default() };
    writeln!(out, "time\tactor\taction\tobject\tid\tbefore\tafter")?;
    for record in store.audit_records(&filter, Page { number: 1, size: limit }).await?.0 {
        let shown =
            |state: Option<serde_json::Value>| state.map_or("-".to_owned(), |state| state.to_string());
        let (time, actor) = (record.at.secs(), record.actor.name);
        let (action, object, id) = (record.action, record.object, record.object_id);
        let (before, after) = (shown(record.before), shown(record.after));
        writeln!(out, "{time}\t{actor}\t{action}\t{object}\t{id}\t{before}\t{after}")?;
    }
    Ok(DONE)
}

async fn groups(
    store: &Store,
    command: Group,
    now: Timestamp,
    out: &mut impl Write,
) -> anyhow::Result<ExitCode> {
    match command {
        Group::Set { name, ratio, description } => {
            let group = store::Group { name, description, ratio: millionths(&ratio)? };
            store.put_group(&group, now).await?;
        }
        Group::List => {
            writeln!(out, "name\tratio_millionths\tdescription")?;
            for group in store.list_groups().await? {
                writeln!(out, "{}\t{}\t{}", group.name, group.ratio.0, group.description)?;
            }
        }
        Group::Remove { name } => store.delete_group(&name, now).await?,
    }
    Ok(DONE)
}

/// A decimal ratio as millionths, without a float in between.
fn millionths(text: &str) -> anyhow::Result<Ratio> {
    let wrong =
        || anyhow!("--ratio must be a number such as 1 or 0.85 with at most six decimals, not `{text}`");
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    if decimals.len() > 6
        || whole.is_empty()
        || !whole.bytes().chain(decimals.bytes()).all(|b| b.is_ascii_digit())
    {
        return Err(wrong());
    }
    let whole: i64 = whole.parse().map_err(|_| wrong())?;
    let decimals: i64 = format!("{decimals:0<6}").parse().map_err(|_| wrong())?;
    whole.checked_mul(1_000_000).and_then(|whole| whole.checked_add(decimals)).map(Ratio).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_ratios_exactly() {
        for (text, expected) in [("1", 1_000_000), ("0.85", 850_000), ("2.000001", 2_000_001), ("0", 0)] {
            assert_eq!(millionths(text).unwrap(), Ratio(expected));
        }
        for text in ["", "-1", "1.0000001", "1e3", ".5", "1.", "x"] {
            assert_eq!(millionths(text).is_ok(), text == "1.", "{text}");
        }
    }
}
