//! Commands about accounts: who there is, what they may do, and a way back in for who has lost theirs.

use std::{io::Write, process::ExitCode};

use anyhow::{anyhow, bail};
use model::{clock::Timestamp, key};
use store::{AccountChange, NewAccount, Role, Store};

use crate::{
    admin::{ALL, DONE},
    channel::read_secret,
    cli::Account,
};

/// The account of this name.
pub(crate) async fn account(store: &Store, username: &str) -> anyhow::Result<store::Account> {
    store.account_by_username(username).await?.ok_or_else(|| anyhow!("there is no account {username}"))
}

/// Runs one command.
pub(crate) async fn run(
    store: &Store,
    command: Account,
    now: Timestamp,
    out: &mut impl Write,
) -> anyhow::Result<ExitCode> {
    match command {
        Account::Create { username, role, balance, group } => {
            let new = NewAccount {
                username,
                display_name: String::new(),
                email: String::new(),
                role: Role::from_number(role).ok_or_else(|| anyhow!("--role must be 1, 10 or 100"))?,
                group,
                balance: balance.map(key::quota).transpose()?,
            };
            let made = store.create_account(new, now).await?;
            writeln!(out, "{}", made.id)?;
        }
        Account::List => list(store, out).await?,
        Account::SetPassword { username, password_file } => {
            let hash = gateway::passwords::hash_new(read_secret(&password_file)?).await?;
            store.set_password(account(store, &username).await?.id, &hash, None, now).await?;
        }
        Account::RemoveSecondFactor { username } => {
            let account = account(store, &username).await?.id;
            if !store.remove_totp(account, now).await? {
                bail!("the account {username} has no second factor");
            }
        }
        Account::RemovePasskeys { username } => {
            let account = account(store, &username).await?.id;
            match store.remove_passkeys(account, now).await? {
                0 => bail!("the account {username} has no passkeys"),
                removed => writeln!(out, "{removed} passkeys of {username} are removed")?,
            }
        }
        Account::SetBalance { username, units } => {
            let remaining = Some(key::quota(units)?);
            let change = AccountChange { remaining, unlimited: Some(false), ..AccountChange::default() };
            update(store, &username, change, now).await?;
        }
        Account::SetGroups { username, own, further, auto } => {
            let change =
                AccountChange { group: own, groups: further, auto_groups: auto, ..AccountChange::default() };
            update(store, &username, change, now).await?;
        }
        Account::Disable { username } => switch(store, &username, true, now).await?,
        Account::Enable { username } => switch(store, &username, false, now).await?,
    }
    Ok(DONE)
}

async fn update(store: &Store, username: &str, change: AccountChange, now: Timestamp) -> anyhow::Result<()> {
    store.update_account(account(store, username).await?.id, change, now).await?;
    Ok(())
}

async fn switch(store: &Store, username: &str, disabled: bool, now: Timestamp) -> anyhow::Result<()> {
    let change = AccountChange { disabled: Some(disabled), ..AccountChange::default() };
    update(store, username, change, now).await
}

async fn list(store: &Store, out: &mut impl Write) -> anyhow::Result<()> {
    writeln!(out, "id\trole\tstatus\tremain\tused\tgroup\tusername")?;
    for account in store.list_accounts("", ALL).await?.0 {
        let status = if account.disabled { 2 } else { 1 };
        let remain = if account.unlimited { "-".to_owned() } else { account.remaining.to_string() };
        let (role, used) = (account.role.number(), account.used);
        writeln!(
            out,
            "{}\t{role}\t{status}\t{remain}\t{used}\t{}\t{}",
            account.id, account.group, account.username
        )?;
    }
    Ok(())
}
