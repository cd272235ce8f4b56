//! The credentials of channels: written, used, and never shown again.
//!
//! A channel has none, one, or several that take turns. One that its provider refused is not used until an operator
//! enables it again; its channel stays.

use std::borrow::Cow;

use model::{
    clock::Timestamp,
    id::{ChannelId, CredentialId},
};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::{
    audit::Entry,
    change::{self, Kind},
    channel,
    database::Tx,
    sql::Run,
    store::{Store, StoreError},
};

/// A refusal of a credential by its provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// When.
    pub at: Timestamp,
    /// The status that the provider answered with.
    pub status: u16,
}

/// A credential, without its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelCredential {
    /// Its identity.
    pub id: CredentialId,
    /// The channel that sends it.
    pub channel: ChannelId,
    /// A name for people; may be empty.
    pub name: String,
    /// Whether an operator lets it be used.
    pub enabled: bool,
    /// Its provider's refusal; it is not used then.
    pub refused: Option<Refused>,
}

/// A credential with its text, as far as that can be opened.
pub type Opened = (CredentialId, Result<Zeroizing<String>, StoreError>);

impl ChannelCredential {
    /// The number on the wire: 1 in use, 2 disabled by an operator, 3 refused by its provider.
    #[must_use]
    pub const fn status(&self) -> i64 {
        match (self.enabled, self.refused) {
            (false, _) => 2,
            (true, Some(_)) => 3,
            (true, None) => 1,
        }
    }

    /// What the audit record shows of it.
    pub(crate) fn state(&self) -> Value {
        json!({
            "id": self.id.0,
            "channel": self.channel.0,
            "name": self.name,
            "status": self.status(),
            "refused_status": self.refused.map(|refused| refused.status),
        })
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    id: i64,
    channel: i64,
    name: String,
    enabled: i64,
    refused: Option<i64>,
    refused_status: Option<i64>,
}

impl From<Row> for ChannelCredential {
    fn from(row: Row) -> Self {
        let status = row.refused_status.and_then(|status| u16::try_from(status).ok()).unwrap_or(0);
        Self {
            id: CredentialId(row.id),
            channel: ChannelId(row.channel),
            name: row.name,
            enabled: row.enabled != 0,
            refused: row.refused.map(|at| Refused { at: Timestamp::from_millis(at), status }),
        }
    }
}

/// The credentials of one channel, or of all.
pub(crate) async fn read(
    connection: &mut impl Run,
    channel: Option<ChannelId>,
) -> Result<Vec<ChannelCredential>, StoreError> {
    let rows: Vec<Row> = connection
        .query(
            "SELECT id, channel, name, enabled, refused, refused_status FROM channel_credential
         WHERE CAST($1 AS BIGINT) IS NULL OR channel = $1 ORDER BY id",
        )
        .bind(channel.map(|channel| channel.0))
        .fetch_all()
        .await?;
    Ok(rows.into_iter().map(ChannelCredential::from).collect())
}

async fn one(tx: &mut Tx, id: CredentialId) -> Result<ChannelCredential, StoreError> {
    let row: Option<Row> = tx.query(
        "SELECT id, channel, name, enabled, refused, refused_status FROM channel_credential WHERE id = $1",
    )
    .bind(id.0)
    .fetch_optional()
    .await?;
    row.map(ChannelCredential::from).ok_or(StoreError::NotFound)
}

/// A credential that is a JSON object, as files with keys are, without its line ends, and with escapes for blanks: the same
/// object. Every other text stays as it is.
fn without_blanks(text: &str) -> Cow<'_, str> {
    if !text.trim_start().starts_with('{') {
        return Cow::Borrowed(text);
    }
    match serde_json::from_str::<Value>(text) {
        Ok(object) => Cow::Owned(object.to_string().replace(' ', "\\u0020")),
        Err(_) => Cow::Borrowed(text),
    }
}

impl Store {
    /// Writes a credential; an empty text is none.
    pub(crate) async fn insert_credential(
        &self,
        tx: &mut Tx,
        channel: ChannelId,
        name: &str,
        text: &str,
    ) -> Result<CredentialId, StoreError> {
        let text = &*without_blanks(text);
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            let what = "a credential must consist of printable ASCII characters without blanks";
            return Err(StoreError::Invalid(what.to_owned()));
        }
        if name.chars().count() > 64 {
            return Err(StoreError::Invalid(
                "a credential's name must have at most 64 characters".to_owned(),
            ));
        }
        let sealed = self.vault().seal(channel::place(channel.0), text)?;
        let id = tx.query(
            "INSERT INTO channel_credential (channel, name, sealed, enabled) VALUES ($1, $2, $3, 1) RETURNING id",
        )
        .bind(channel.0)
        .bind(name)
        .bind(sealed)
        .scalar()
        .await?;
        Ok(CredentialId(id))
    }

    /// The credentials of a channel that may be used, with their texts, or [`StoreError::Corrupt`] for a text that does not
    /// open.
    ///
    /// # Errors
    /// The database.
    pub async fn usable_credentials(&self, channel: ChannelId) -> Result<Vec<Opened>, StoreError> {
        let rows: Vec<(i64, Vec<u8>)> = self
            .read()
            .await?
            .query(
                "SELECT id, sealed FROM channel_credential
             WHERE channel = $1 AND enabled <> 0 AND refused IS NULL ORDER BY id",
            )
            .bind(channel.0)
            .fetch_all()
            .await?;
        let open = |(id, sealed): (i64, Vec<u8>)| {
            (CredentialId(id), self.vault().open_sealed(channel::place(channel.0), &sealed))
        };
        Ok(rows.into_iter().map(open).collect())
    }

    /// Gives a channel a further credential.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] without such a channel; a value that is not allowed.
    pub async fn add_credential(
        &self,
        channel: ChannelId,
        name: &str,
        text: &str,
        now: Timestamp,
    ) -> Result<ChannelCredential, StoreError> {
        if text.is_empty() {
            return Err(StoreError::Invalid("a credential must not be empty".to_owned()));
        }
        let mut tx = self.write().await?;
        let found: Option<i64> =
            tx.query("SELECT id FROM channel WHERE id = $1").bind(channel.0).optional_scalar().await?;
        found.ok_or(StoreError::NotFound)?;
        let id = self.insert_credential(&mut tx, channel, name, text).await?;
        let made = one(&mut tx, id).await?;
        self.credential_changed(&mut tx, "create", id, None, Some(&made), now).await?;
        tx.commit().await?;
        Ok(made)
    }

    /// Changes a credential's name, or whether it is used; what is `None` stays. Enabling it forgets its provider's
    /// refusal.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; a value that is not allowed.
    pub async fn update_credential(
        &self,
        id: CredentialId,
        name: Option<&str>,
        enabled: Option<bool>,
        now: Timestamp,
    ) -> Result<ChannelCredential, StoreError> {
        if name.is_some_and(|name| name.chars().count() > 64) {
            return Err(StoreError::Invalid(
                "a credential's name must have at most 64 characters".to_owned(),
            ));
        }
        let mut tx = self.write().await?;
        let before = one(&mut tx, id).await?;
        tx.query(
            "UPDATE channel_credential SET name = $2, enabled = $3, refused = $4, refused_status = $5 WHERE id = $1",
        )
        .bind(id.0)
        .bind(name.unwrap_or(&before.name))
        .bind(i64::from(enabled.unwrap_or(before.enabled)))
        .bind(before.refused.filter(|_| enabled != Some(true)).map(|refused| refused.at.millis()))
        .bind(before.refused.filter(|_| enabled != Some(true)).map(|refused| i64::from(refused.status)))
        .execute()
        .await?;
        let after = one(&mut tx, id).await?;
        self.credential_changed(&mut tx, "update", id, Some(&before), Some(&after), now).await?;
        tx.commit().await?;
        Ok(after)
    }

    /// Notes that its provider refuses a credential. `false` when that is known already, or the credential is gone.
    ///
    /// # Errors
    /// The database.
    pub async fn refuse_credential(
        &self,
        id: CredentialId,
        status: u16,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut tx = self.write().await?;
        let before = match one(&mut tx, id).await {
            Ok(before) => before,
            Err(StoreError::NotFound) => return Ok(false),
            Err(error) => return Err(error),
        };
        if before.refused.is_some() {
            return Ok(false);
        }
        tx.query("UPDATE channel_credential SET refused = $2, refused_status = $3 WHERE id = $1")
            .bind(id.0)
            .bind(now.millis())
            .bind(i64::from(status))
            .execute()
            .await?;
        let after = one(&mut tx, id).await?;
        self.credential_changed(&mut tx, "refuse", id, Some(&before), Some(&after), now).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Deletes a credential.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn delete_credential(&self, id: CredentialId, now: Timestamp) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        let before = one(&mut tx, id).await?;
        tx.query("DELETE FROM channel_credential WHERE id = $1").bind(id.0).execute().await?;
        self.credential_changed(&mut tx, "delete", id, Some(&before), None, now).await?;
        tx.commit().await?;
        Ok(())
    }

    async fn credential_changed(
        &self,
        tx: &mut Tx,
        action: &str,
        id: CredentialId,
        before: Option<&ChannelCredential>,
        after: Option<&ChannelCredential>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let state = |credential: Option<&ChannelCredential>| credential.map(ChannelCredential::state);
        let entry = Entry {
            action,
            object: "credential",
            id: id.to_string(),
            before: state(before),
            after: state(after),
        };
        self.audit(tx, entry, now).await?;
        change::record(tx, Kind::Routing, id.0, now).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_json_object_has_no_blanks_and_stays_the_same() {
        let file = "{\n  \"private_key\": \"-----BEGIN KEY-----\\nabc\\n\"\n}";
        let kept = without_blanks(file);
        assert!(kept.bytes().all(|byte| byte.is_ascii_graphic()), "{kept}");
        let (one, other): (Value, Value) =
            (serde_json::from_str(file).unwrap(), serde_json::from_str(&kept).unwrap());
        assert_eq!(one, other);
        for text in ["sk-x y", "{not json", ""] {
            assert_eq!(without_blanks(text), text);
        }
    }
}
