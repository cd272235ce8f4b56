//! Channels: the ways to upstreams. A channel's credential is written and never shown again.

use std::{collections::BTreeMap, net::Ipv6Addr};

use model::{clock::Timestamp, id::ChannelId};
use zeroize::Zeroizing;

use crate::{
    account::split,
    change::{self, Kind},
    group,
    store::{Store, StoreError, Tx},
    vault::Place,
};

/// A channel, without its credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    /// Its identity.
    pub id: ChannelId,
    /// A name for people.
    pub name: String,
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
    /// Whether it is used.
    pub enabled: bool,
}

/// A channel to be made or changed, whole.
#[derive(Clone)]
pub struct NewChannel {
    /// A name for people.
    pub name: String,
    /// The upstream's base URL: http or https, without credentials, query and fragment.
    pub base_url: String,
    /// What is sent as bearer credential; empty for none. `None` keeps the one that is there.
    pub credential: Option<Zeroizing<String>>,
    /// The models that it serves.
    pub models: Vec<String>,
    /// The upstream's names of models that have another name here.
    pub mapping: BTreeMap<String, String>,
    /// The groups that may use it.
    pub groups: Vec<String>,
    /// Higher comes first.
    pub priority: i64,
    /// Whether it is used.
    pub enabled: bool,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: i64,
    name: String,
    base_url: String,
    models: String,
    mapping: String,
    groups: String,
    priority: i64,
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
            base_url: self.base_url,
            models: split(&self.models),
            mapping,
            groups: split(&self.groups),
            priority: self.priority,
            enabled: self.enabled != 0,
        })
    }
}

const fn place(row: i64) -> Place {
    Place { table: "channel", row, account: 0 }
}

impl Store {
    /// All channels.
    ///
    /// # Errors
    /// The database; [`StoreError::CorruptMapping`] when one of them cannot be read.
    pub async fn list_channels(&self) -> Result<Vec<Channel>, StoreError> {
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT id, name, base_url, models, mapping, groups, priority, enabled FROM channel ORDER BY id",
        )
        .fetch_all(self.reader())
        .await?;
        rows.into_iter().map(Row::channel).collect()
    }

    /// One channel.
    ///
    /// # Errors
    /// The database.
    pub async fn channel(&self, id: ChannelId) -> Result<Option<Channel>, StoreError> {
        Ok(self.list_channels().await?.into_iter().find(|channel| channel.id == id))
    }

    /// The credential that a channel sends upstream; empty for none.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; a value that does not open.
    pub async fn channel_credential(&self, id: ChannelId) -> Result<Zeroizing<String>, StoreError> {
        let sealed: Option<Vec<u8>> = sqlx::query_scalar("SELECT sealed FROM channel WHERE id = $1")
            .bind(id.0)
            .fetch_optional(self.reader())
            .await?;
        self.vault().open_sealed(place(id.0), &sealed.ok_or(StoreError::NotFound)?)
    }

    /// Makes a channel.
    ///
    /// # Errors
    /// A value that is not allowed; a group that does not exist.
    pub async fn create_channel(&self, new: &NewChannel, now: Timestamp) -> Result<Channel, StoreError> {
        check(new)?;
        let mut tx = self.write().await?;
        let id: i64 = sqlx::query_scalar(
            "INSERT INTO channel (name, base_url, sealed, models, mapping, groups, priority, enabled)
             VALUES ('', '', $1, '', '', '', 0, 0) RETURNING id",
        )
        .bind([].as_slice())
        .fetch_one(&mut *tx)
        .await?;
        let none = Zeroizing::new(String::new());
        let new = NewChannel { credential: Some(new.credential.clone().unwrap_or(none)), ..new.clone() };
        self.write_channel(&mut tx, id, &new, now).await?;
        tx.commit().await?;
        self.channel(ChannelId(id)).await?.ok_or(StoreError::NotFound)
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
        let row: Option<Row> = sqlx::query_as(
            "SELECT id, name, base_url, models, mapping, groups, priority, enabled FROM channel WHERE id = $1",
        )
        .bind(id.0)
        .fetch_optional(&mut *tx)
        .await?;
        let new = match decide(row.ok_or(StoreError::NotFound)?.channel()?) {
            Ok(new) => new,
            Err(refused) => return Ok(Err(refused)),
        };
        check(&new)?;
        self.write_channel(&mut tx, id.0, &new, now).await?;
        tx.commit().await?;
        self.channel(id).await?.map(Ok).ok_or(StoreError::NotFound)
    }

    async fn write_channel(
        &self,
        tx: &mut Tx,
        id: i64,
        new: &NewChannel,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        for name in &new.groups {
            group::must_exist(tx, name).await?;
        }
        let sealed = new.credential.as_ref().map(|text| self.vault().seal(place(id), text)).transpose()?;
        let mapping = serde_json::to_string(&new.mapping).map_err(|_| StoreError::Corrupt("a mapping"))?;
        let written = sqlx::query(
            "UPDATE channel SET name = $2, base_url = $3, sealed = coalesce($4, sealed), models = $5,
                mapping = $6, groups = $7, priority = $8, enabled = $9 WHERE id = $1",
        )
        .bind(id)
        .bind(&new.name)
        .bind(&new.base_url)
        .bind(sealed)
        .bind(new.models.join(","))
        .bind(mapping)
        .bind(new.groups.join(","))
        .bind(new.priority)
        .bind(i64::from(new.enabled))
        .execute(&mut **tx)
        .await?;
        if written.rows_affected() == 0 {
            return Err(StoreError::NotFound);
        }
        change::record(tx, Kind::Routing, id, now).await
    }

    /// Deletes a channel. `false` when there is none.
    ///
    /// # Errors
    /// The database.
    pub async fn delete_channel(&self, id: ChannelId, now: Timestamp) -> Result<bool, StoreError> {
        let mut tx = self.write().await?;
        let gone = sqlx::query("DELETE FROM channel WHERE id = $1").bind(id.0).execute(&mut *tx).await?;
        if gone.rows_affected() == 0 {
            return Ok(false);
        }
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
    if new.name.is_empty() || new.name.chars().count() > 64 {
        return invalid("a channel's name must have 1 to 64 characters");
    }
    let listable = |name: &String| !name.is_empty() && !name.contains(',') && name.trim() == name;
    if !new.models.iter().chain(&new.groups).all(listable) {
        return invalid(
            "names of models and groups must not be empty, contain a comma, or begin or end with a blank",
        );
    }
    if new.credential.as_ref().is_some_and(|text| !text.bytes().all(|byte| byte.is_ascii_graphic())) {
        return invalid("a credential must consist of printable ASCII characters without blanks");
    }
    Ok(())
}
