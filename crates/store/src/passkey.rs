//! Passkeys: the public halves of keys that people sign in with, and challenges that were answered.
//!
//! A challenge is answered once: the transaction of what it opens writes it down, or opens nothing.

use model::{
    clock::Timestamp,
    id::{AccountId, PasskeyId, SessionId},
};
use serde_json::{Value, json};

use crate::{
    audit::Entry,
    database::Tx,
    second_factor::Origin,
    sql::Run,
    store::{Store, StoreError},
};

/// How long an answered challenge is remembered: far longer than one may be answered, also where clocks differ.
const SPENT_MILLIS: i64 = 24 * 3_600_000;

/// A passkey of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passkey {
    /// Its identity here.
    pub id: PasskeyId,
    /// Whose it is.
    pub account: AccountId,
    /// The authenticator's name for it.
    pub credential: Vec<u8>,
    /// The key that checks its signatures, as the authenticator wrote it.
    pub public_key: Vec<u8>,
    /// What its owner calls it.
    pub name: String,
    /// Signatures so far; 0 where the authenticator does not count.
    pub counter: u32,
    /// Whether its authenticator keeps it in more than one place.
    pub backed_up: bool,
    /// When it was added.
    pub created: Timestamp,
    /// When somebody last signed in with it.
    pub used: Option<Timestamp>,
}

/// A passkey to be added.
#[derive(Clone, Copy, Debug)]
pub struct NewPasskey<'a> {
    /// Whose it will be.
    pub account: AccountId,
    /// Where it is added: only while this session lasts.
    pub session: SessionId,
    /// The authenticator's name for it.
    pub credential: &'a [u8],
    /// The key that checks its signatures, as the authenticator wrote it.
    pub public_key: &'a [u8],
    /// What its owner calls it.
    pub name: &'a str,
    /// Signatures so far.
    pub counter: u32,
    /// Whether its authenticator keeps it in more than one place.
    pub backed_up: bool,
    /// The challenge that was answered.
    pub nonce: &'a [u8],
    /// The most that an account may have.
    pub most: i64,
}

/// What came of adding a passkey.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    /// It is there.
    Done(PasskeyId),
    /// The challenge was answered before, or the session has ended.
    Stale,
    /// Some account has it already.
    Known,
    /// The account has as many as it may.
    TooMany,
}

/// A right signature of a passkey.
#[derive(Clone, Copy, Debug)]
pub struct PasskeyUse<'a> {
    /// Whose signature it is.
    pub passkey: PasskeyId,
    /// Signatures so far.
    pub counter: u32,
    /// Whether its authenticator keeps it in more than one place.
    pub backed_up: bool,
    /// The challenge that was answered.
    pub nonce: &'a [u8],
}

#[derive(sqlx::FromRow)]
struct Row {
    id: i64,
    account: i64,
    credential: Vec<u8>,
    public_key: Vec<u8>,
    name: String,
    counter: i64,
    backed_up: i64,
    created: i64,
    used: Option<i64>,
}

impl Row {
    fn passkey(self) -> Result<Passkey, StoreError> {
        let counter = u32::try_from(self.counter).map_err(|_| StoreError::Corrupt("a passkey's counter"))?;
        Ok(Passkey {
            id: PasskeyId(self.id),
            account: AccountId(self.account),
            credential: self.credential,
            public_key: self.public_key,
            name: self.name,
            counter,
            backed_up: self.backed_up != 0,
            created: Timestamp::from_millis(self.created),
            used: self.used.map(Timestamp::from_millis),
        })
    }
}

macro_rules! columns {
    () => {
        "id, account, credential, public_key, name, counter, backed_up, created, used"
    };
}

impl Store {
    /// A tag over a text that only this gateway can make, the same on each of its nodes.
    #[must_use]
    pub fn stamp(&self, text: &str) -> [u8; 32] {
        self.vault().digest(&format!("stamp\0{text}"))
    }

    /// The passkeys of an account, oldest first.
    ///
    /// # Errors
    /// The database.
    pub async fn passkeys(&self, account: AccountId) -> Result<Vec<Passkey>, StoreError> {
        let mut on = self.read().await?;
        let rows = on.query(concat!("SELECT ", columns!(), " FROM passkey WHERE account = $1 ORDER BY id"));
        let rows: Vec<Row> = rows.bind(account.0).fetch_all().await?;
        rows.into_iter().map(Row::passkey).collect()
    }

    /// The passkey that an authenticator calls so.
    ///
    /// # Errors
    /// The database.
    pub async fn passkey_by_credential(&self, credential: &[u8]) -> Result<Option<Passkey>, StoreError> {
        let mut on = self.read().await?;
        let row = on.query(concat!("SELECT ", columns!(), " FROM passkey WHERE credential = $1"));
        let row: Option<Row> = row.bind(credential).fetch_optional().await?;
        row.map(Row::passkey).transpose()
    }

    /// Adds a passkey to an account.
    ///
    /// # Errors
    /// The database.
    pub async fn add_passkey(&self, new: NewPasskey<'_>, now: Timestamp) -> Result<Added, StoreError> {
        let mut tx = self.write().await?;
        let session = tx.query("SELECT count(*) FROM console_session WHERE id = $1 AND account = $2");
        let lasts: i64 = session.bind(new.session.0).bind(new.account.0).scalar().await?;
        if lasts == 0 || !spend(&mut tx, new.nonce, now).await? {
            return Ok(Added::Stale);
        }
        let counted = tx.query("SELECT count(*) FROM passkey WHERE account = $1");
        let counted: i64 = counted.bind(new.account.0).scalar().await?;
        if counted >= new.most {
            return Ok(Added::TooMany);
        }
        let added = tx.query(
            "INSERT INTO passkey (account, credential, public_key, name, counter, backed_up, created, used)
             VALUES ($1, $2, $3, $4, $5, $6, $7, NULL) ON CONFLICT (credential) DO NOTHING RETURNING id",
        );
        let added: Option<i64> = added
            .bind(new.account.0)
            .bind(new.credential)
            .bind(new.public_key)
            .bind(new.name)
            .bind(i64::from(new.counter))
            .bind(i64::from(new.backed_up))
            .bind(now.millis())
            .optional_scalar()
            .await?;
        let Some(id) = added.map(PasskeyId) else { return Ok(Added::Known) };
        let entry = entry("create", id, None, Some(state(new.account, new.name)));
        self.audit(&mut tx, entry, now).await?;
        tx.commit().await?;
        Ok(Added::Done(id))
    }

    /// Removes a passkey of an account. `false` when it has none such.
    ///
    /// # Errors
    /// The database.
    pub async fn remove_passkey(
        &self,
        account: AccountId,
        id: PasskeyId,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut tx = self.write().await?;
        let gone = tx.query("DELETE FROM passkey WHERE account = $1 AND id = $2 RETURNING name");
        let gone: Option<String> = gone.bind(account.0).bind(id.0).optional_scalar().await?;
        let Some(name) = gone else { return Ok(false) };
        self.audit(&mut tx, entry("delete", id, Some(state(account, &name)), None), now).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Removes all passkeys of an account, on behalf of an operator. Returns how many there were.
    ///
    /// # Errors
    /// The database.
    pub async fn remove_passkeys(&self, account: AccountId, now: Timestamp) -> Result<usize, StoreError> {
        let mut tx = self.write().await?;
        let gone = tx.query("DELETE FROM passkey WHERE account = $1 RETURNING id, name");
        let gone: Vec<(i64, String)> = gone.bind(account.0).fetch_all().await?;
        for (id, name) in &gone {
            let entry = entry("delete", PasskeyId(*id), Some(state(account, name)), None);
            self.audit(&mut tx, entry, now).await?;
        }
        tx.commit().await?;
        Ok(gone.len())
    }

    /// Begins a session, which `token` opens, with a signature of a passkey. `None` when the challenge was answered before,
    /// the passkey is gone or has signed more often by now, or its account is disabled; then nothing has changed.
    ///
    /// # Errors
    /// The database.
    pub async fn enter_with_passkey(
        &self,
        signed: PasskeyUse<'_>,
        token: &str,
        from: Origin<'_>,
        now: Timestamp,
    ) -> Result<Option<SessionId>, StoreError> {
        let mut tx = self.write().await?;
        if !spend(&mut tx, signed.nonce, now).await? {
            return Ok(None);
        }
        let account = tx.query(
            "UPDATE passkey SET counter = $2, backed_up = $3, used = $4
             WHERE id = $1 AND (counter < $2 OR (counter = 0 AND $2 = 0)) RETURNING account",
        );
        let account: Option<i64> = account
            .bind(signed.passkey.0)
            .bind(i64::from(signed.counter))
            .bind(i64::from(signed.backed_up))
            .bind(now.millis())
            .optional_scalar()
            .await?;
        let Some(account) = account else { return Ok(None) };
        let id = tx.query(
            "INSERT INTO console_session (account, digest, created, used, client, agent)
             SELECT id, $2, $3, $3, $4, $5 FROM account WHERE id = $1 AND disabled = 0 RETURNING id",
        );
        let id: Option<i64> = id
            .bind(account)
            .bind(self.vault().digest(token).as_slice())
            .bind(now.millis())
            .bind(from.client)
            .bind(from.agent)
            .optional_scalar()
            .await?;
        let Some(id) = id else { return Ok(None) };
        tx.commit().await?;
        Ok(Some(SessionId(id)))
    }

    /// Records that a passkey signed with a counter that did not move on: there may be a copy of it.
    ///
    /// # Errors
    /// The database.
    pub async fn passkey_refused(
        &self,
        passkey: &Passkey,
        counter: u32,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        let (before, after) =
            (json!({"counter": passkey.counter}), json!({"counter": counter, "account": passkey.account.0}));
        let entry = Entry {
            action: "refuse",
            object: "passkey",
            id: passkey.id.to_string(),
            before: Some(before),
            after: Some(after),
        };
        self.audit(&mut tx, entry, now).await?;
        Ok(tx.commit().await?)
    }
}

fn state(account: AccountId, name: &str) -> Value {
    json!({"account": account.0, "name": name})
}

fn entry(action: &str, id: PasskeyId, before: Option<Value>, after: Option<Value>) -> Entry<'_> {
    Entry { action, object: "passkey", id: id.to_string(), before, after }
}

/// Writes down that a challenge was answered; `false` when it was before.
async fn spend(tx: &mut Tx, nonce: &[u8], now: Timestamp) -> Result<bool, StoreError> {
    tx.query("DELETE FROM spent_challenge WHERE spent < $1")
        .bind(now.millis().saturating_sub(SPENT_MILLIS))
        .execute()
        .await?;
    let spent =
        tx.query("INSERT INTO spent_challenge (nonce, spent) VALUES ($1, $2) ON CONFLICT (nonce) DO NOTHING");
    Ok(spent.bind(nonce).bind(now.millis()).execute().await? > 0)
}
