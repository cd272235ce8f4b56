//! Channels: the ways to upstreams. What they send is in [`crate::credential`].

use std::{collections::BTreeMap, net::Ipv6Addr};

use model::{clock::Timestamp, id::ChannelId};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::{
    account::split,
    audit::Entry,
    change::{self, Kind},
    credential::{self, ChannelCredential},
    database::Tx,
    group,
    sql::Run,
    store::{Store, StoreError},
    vault::Place,
};

/// A channel, without the texts of its credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    /// Its identity.
    pub id: ChannelId,
    /// A name for people.
    pub name: String,
    /// What the upstream speaks: the word for a kind of provider.
    pub kind: String,
    /// The upstream's base URL, such as `https://api.openai.com/v1`.
    pub base_url: String,
    /// The models that it serves.
    pub models: Vec<String>,
    /// The upstream's names of models that have another name here.
    pub mapping: BTreeMap<String, String>,
    /// The groups that may use it.
    pub groups: Vec<String>,
    /// Higher comes first.
    pub priority: i64,
    /// Its share among channels of the same priority; one of weight 0 comes after those that have one.
    pub weight: u32,
    /// Whether it is used.
    pub enabled: bool,
    /// Its credentials; none for an upstream that asks for none.
    pub credentials: Vec<ChannelCredential>,
}

impl Channel {
    /// It as it is, to be changed; its credentials stay.
    #[must_use]
    pub fn to_change(self) -> NewChannel {
        NewChannel {
            name: self.name,
            kind: self.kind,
            base_url: self.base_url,
            credential: None,
            models: self.models,
            mapping: self.mapping,
            groups: self.groups,
            priority: self.priority,
            weight: self.weight,
            enabled: self.enabled,
        }
    }

    /// What the audit record shows of it.
    fn state(&self) -> Value {
        json!({
            "name": self.name,
            "kind": self.kind,
            "base_url": self.base_url,
            "models": self.models,
            "model_mapping": self.mapping,
            "groups": self.groups,
            "priority": self.priority,
            "weight": self.weight,
            "status": if self.enabled { 1 } else { 2 },
            "credentials": self.credentials.iter().map(|credential| credential.id.0).collect::<Vec<_>>(),
        })
    }
}

/// A channel to be made or changed, whole.
#[derive(Clone)]
pub struct NewChannel {
    /// A name for people.
    pub name: String,
    /// What the upstream speaks: the word for a kind of provider.
    pub kind: String,
    /// The upstream's base URL: http or https, without credentials, query and fragment.
    pub base_url: String,
    /// What is sent as bearer credential, instead of all that are there; empty for none. `None` keeps them.
    pub credential: Option<Zeroizing<String>>,
    /// The models that it serves.
    pub models: Vec<String>,
    /// The upstream's names of models that have another name here.
    pub mapping: BTreeMap<String, String>,
    /// The groups that may use it.
    pub groups: Vec<String>,
    /// Higher comes first.
    pub priority: i64,
    /// Its share among channels of the same priority, at most [`MAX_WEIGHT`].
    pub weight: u32,
    /// Whether it is used.
    pub enabled: bool,
}

/// The largest weight.
pub const MAX_WEIGHT: u32 = 1_000_000;
/// The most bytes of a model's name, here and at an upstream. Both stand in an index of usage records, and one that does not
/// fit there would keep the journal out of the book for good.
pub const MAX_MODEL: usize = 256;

#[derive(sqlx::FromRow)]
struct Row {
    id: i64,
    name: String,
    kind: String,
    base_url: String,
    models: String,
    mapping: String,
    groups: String,
    priority: i64,
    weight: i64,
    enabled: i64,
}

impl Row {
    fn channel(self) -> Result<Channel, StoreError> {
        let id = ChannelId(self.id);
        // To map nothing instead would ask the upstream for a model that it does not have, or for a dearer one.
        let mapping = serde_json::from_str(&self.mapping).map_err(|_| StoreError::CorruptMapping(id))?;
        Ok(Channel {
            id,
            name: self.name,
            kind: self.kind,
            base_url: self.base_url,
            models: split(&self.models),
            mapping,
            groups: split(&self.groups),
            priority: self.priority,
            weight: u32::try_from(self.weight).unwrap_or(MAX_WEIGHT),
            enabled: self.enabled != 0,
            credentials: Vec::new(),
        })
    }
}

pub(crate) const fn place(row: i64) -> Place {
    Place { table: "channel", row, account: 0 }
}

/// One channel, or all, with their credentials.
async fn read(connection: &mut impl Run, id: Option<ChannelId>) -> Result<Vec<Channel>, StoreError> {
    let rows: Vec<Row> = connection
        .query(
            "SELECT id, name, kind, base_url, models, mapping, groups, priority, weight, enabled FROM channel
         WHERE CAST($1 AS BIGINT) IS NULL OR id = $1 ORDER BY id",
        )
        .bind(id.map(|id| id.0))
        .fetch_all()
        .await?;
    let channels: Result<Vec<Channel>, StoreError> = rows.into_iter().map(Row::channel).collect();
    let mut channels = channels?;
    for credential in credential::read(connection, id).await? {
        let at = channels.binary_search_by_key(&credential.channel, |channel| channel.id);
        if let Some(channel) = at.ok().and_then(|at| channels.get_mut(at)) {
            channel.credentials.push(credential);
        }
    }
    Ok(channels)
}

async fn one(tx: &mut Tx, id: ChannelId) -> Result<Channel, StoreError> {
    read(&mut *tx, Some(id)).await?.pop().ok_or(StoreError::NotFound)
}

impl Store {
    /// All channels.
    ///
    /// # Errors
    /// The database; [`StoreError::CorruptMapping`] when one of them cannot be read.
    pub async fn list_channels(&self) -> Result<Vec<Channel>, StoreError> {
        // In one transaction, so that no credential is missing that was replaced in between.
        let mut tx = self.snapshot().await?;
        let channels = read(&mut tx, None).await?;
        tx.commit().await?;
        Ok(channels)
    }

    /// One channel.
    ///
    /// # Errors
    /// The database.
    pub async fn channel(&self, id: ChannelId) -> Result<Option<Channel>, StoreError> {
        let mut tx = self.snapshot().await?;
        let found = read(&mut tx, Some(id)).await?.pop();
        tx.commit().await?;
        Ok(found)
    }

    /// Makes a channel.
    ///
    /// # Errors
    /// A value that is not allowed; a group that does not exist.
    pub async fn create_channel(&self, new: &NewChannel, now: Timestamp) -> Result<Channel, StoreError> {
        check(new)?;
        let mut tx = self.write().await?;
        let id: i64 = tx
            .query(
                "INSERT INTO channel (name, base_url, models, mapping, groups, priority, weight, enabled)
             VALUES ('', '', '', '', '', 0, 0, 0) RETURNING id",
            )
            .scalar()
            .await?;
        let made = self.write_channel(&mut tx, ChannelId(id), new, None, now).await?;
        tx.commit().await?;
        Ok(made)
    }

    /// Changes a channel.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; a value that is not allowed; a group that does not exist.
    pub async fn update_channel(
        &self,
        id: ChannelId,
        new: &NewChannel,
        now: Timestamp,
    ) -> Result<Channel, StoreError> {
        let edited = self.edit_channel(id, now, |_| Ok(new.clone())).await?;
        edited.map_err(|never: std::convert::Infallible| match never {})
    }

    /// Changes a channel as `decide` says, which sees it inside the transaction: two edits at the same moment both
    /// stay. The inner error is what `decide` refused; nothing was changed then.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; a value that is not allowed; a group that does not exist.
    pub async fn edit_channel<E>(
        &self,
        id: ChannelId,
        now: Timestamp,
        decide: impl FnOnce(Channel) -> Result<NewChannel, E>,
    ) -> Result<Result<Channel, E>, StoreError> {
        let mut tx = self.write().await?;
        let before = one(&mut tx, id).await?;
        let new = match decide(before.clone()) {
            Ok(new) => new,
            Err(refused) => return Ok(Err(refused)),
        };
        check(&new)?;
        let after = self.write_channel(&mut tx, id, &new, Some(&before), now).await?;
        tx.commit().await?;
        Ok(Ok(after))
    }

    async fn write_channel(
        &self,
        tx: &mut Tx,
        id: ChannelId,
        new: &NewChannel,
        before: Option<&Channel>,
        now: Timestamp,
    ) -> Result<Channel, StoreError> {
        for name in &new.groups {
            group::must_exist(tx, name).await?;
        }
        let mapping = serde_json::to_string(&new.mapping).map_err(|_| StoreError::Corrupt("a mapping"))?;
        tx.query(
            "UPDATE channel SET name = $2, base_url = $3, models = $4, mapping = $5, groups = $6, priority = $7,
                weight = $8, enabled = $9, kind = $10 WHERE id = $1",
        )
        .bind(id.0)
        .bind(&new.name)
        .bind(&new.base_url)
        .bind(new.models.join(","))
        .bind(mapping)
        .bind(new.groups.join(","))
        .bind(new.priority)
        .bind(i64::from(new.weight))
        .bind(i64::from(new.enabled))
        .bind(&new.kind)
        .execute()
        .await?;
        if let Some(text) = &new.credential {
            tx.query("DELETE FROM channel_credential WHERE channel = $1").bind(id.0).execute().await?;
            if !text.is_empty() {
                self.insert_credential(tx, id, "", text).await?;
            }
        }
        let after = one(tx, id).await?;
        let entry = Entry {
            action: if before.is_some() { "update" } else { "create" },
            object: "channel",
            id: id.to_string(),
            before: before.map(Channel::state),
            after: Some(after.state()),
        };
        self.audit(tx, entry, now).await?;
        change::record(tx, Kind::Routing, id.0, now).await?;
        Ok(after)
    }

    /// Deletes a channel. `false` when there is none.
    ///
    /// # Errors
    /// The database.
    pub async fn delete_channel(&self, id: ChannelId, now: Timestamp) -> Result<bool, StoreError> {
        let mut tx = self.write().await?;
        let before = match read(&mut tx, Some(id)).await {
            Ok(mut found) => match found.pop() {
                Some(channel) => Some(channel.state()),
                None => return Ok(false),
            },
            // What cannot be read can still be deleted.
            Err(StoreError::CorruptMapping(_)) => None,
            Err(error) => return Err(error),
        };
        for statement in
            ["DELETE FROM channel_credential WHERE channel = $1", "DELETE FROM channel WHERE id = $1"]
        {
            tx.query(statement).bind(id.0).execute().await?;
        }
        let entry = Entry { action: "delete", object: "channel", id: id.to_string(), before, after: None };
        self.audit(&mut tx, entry, now).await?;
        change::record(&mut tx, Kind::Routing, id.0, now).await?;
        tx.commit().await?;
        Ok(true)
    }
}

/// Whether `url` is an absolute http or https URL with a host, without credentials, query and fragment.
fn is_base_url(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://")) else {
        return false;
    };
    let plain = url.len() <= 2_048 && url.bytes().all(|byte| byte.is_ascii_graphic());
    let authority = rest.split('/').next().unwrap_or_default();
    let (known_host, port) = match authority.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
        Some((address, port)) => (address.parse::<Ipv6Addr>().is_ok(), port),
        None => {
            let (host, port) = authority.split_at(authority.find(':').unwrap_or(authority.len()));
            let name = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
            (!host.is_empty() && host.bytes().all(name), port)
        }
    };
    plain && known_host && is_port(port) && !url.contains(['?', '#', '@', '\\'])
}

/// Nothing, or a colon and a port.
fn is_port(text: &str) -> bool {
    let digits = text.strip_prefix(':').filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    text.is_empty() || digits.and_then(|digits| digits.parse::<u16>().ok()).is_some_and(|port| port > 0)
}

fn check(new: &NewChannel) -> Result<(), StoreError> {
    let invalid = |what: &str| Err(StoreError::Invalid(what.to_owned()));
    if !is_base_url(&new.base_url) {
        return invalid("base_url must be an http or https URL without credentials, query and fragment");
    }
    let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if !(1..=32).contains(&new.kind.len()) || !new.kind.bytes().all(word) {
        return invalid("kind must be a word of 1 to 32 small letters, digits and dashes");
    }
    if new.name.is_empty() || new.name.chars().count() > 64 {
        return invalid("a channel's name must have 1 to 64 characters");
    }
    let mapped = new.mapping.iter().flat_map(|(here, there)| [here, there]);
    if new.models.iter().chain(mapped).any(|name| name.is_empty() || name.len() > MAX_MODEL) {
        return Err(StoreError::Invalid(format!(
            "names in models and in model_mapping must have 1 to {MAX_MODEL} bytes"
        )));
    }
    let listable = |name: &String| !name.is_empty() && !name.contains(',') && name.trim() == name;
    if !new.models.iter().chain(&new.groups).all(listable) {
        return invalid(
            "names of models and groups must not be empty, contain a comma, or begin or end with a blank",
        );
    }
    if new.weight > MAX_WEIGHT {
        return Err(StoreError::Invalid(format!("weight must be between 0 and {MAX_WEIGHT}")));
    }
    Ok(())
}
