//! Secrets at rest: what is digested, what is sealed, and the keys for both.
//!
//! Two random data keys live in the database, wrapped by the master key, which does not. One digests credentials so
//! that they can be looked up (HMAC-SHA-256); the other seals what must be read again (XChaCha20-Poly1305), bound to
//! the place where it stands, so that a sealed value that is moved to another row does not open. Changing the master
//! key wraps the data keys again, and seals every value again under a new one.

use std::{collections::HashMap, fmt};

use chacha20poly1305::{
    XChaCha20Poly1305, XNonce,
    aead::{Aead, KeyInit, Payload},
};
use ring::{hkdf, hmac};
use zeroize::Zeroizing;

use crate::{
    database::Database,
    database::Tx,
    sql::Run,
    store::{Store, StoreError},
};

/// Version of a sealed value's form.
const VERSION: u8 = 1;
const NONCE: usize = 24;
const LOOKUP: &str = "lookup";
const SEAL: &str = "seal";
const PURPOSES: [&str; 2] = [LOOKUP, SEAL];

type Key = Zeroizing<[u8; 32]>;

/// The key above all others: 32 bytes, written as 64 hexadecimal digits.
#[derive(Clone)]
pub struct MasterKey(Key);

/// A text that is no master key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a master key is 64 hexadecimal digits")]
pub struct NotAKey;

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(…)")
    }
}

impl MasterKey {
    /// A new one.
    ///
    /// # Errors
    /// The operating system gives no random numbers.
    pub fn generate() -> Result<Self, StoreError> {
        random_key().map(Self)
    }

    /// Reads 64 hexadecimal digits.
    ///
    /// # Errors
    /// [`NotAKey`].
    pub fn from_hex(text: &str) -> Result<Self, NotAKey> {
        let text = text.trim();
        let mut key = Key::default();
        // `from_str_radix` would take a sign for a digit.
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(NotAKey);
        }
        for (byte, at) in key.iter_mut().zip((0..64).step_by(2)) {
            let digits = text.get(at..at + 2).ok_or(NotAKey)?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| NotAKey)?;
        }
        Ok(Self(key))
    }

    /// The 64 hexadecimal digits.
    #[must_use]
    pub fn to_hex(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(64));
        for byte in self.0.iter() {
            for digit in [byte >> 4, byte & 15] {
                text.push(char::from_digit(digit.into(), 16).unwrap_or('0'));
            }
        }
        text
    }

    fn wrapping(&self) -> Result<XChaCha20Poly1305, StoreError> {
        let mut key = Key::default();
        hkdf::Salt::new(hkdf::HKDF_SHA256, &[])
            .extract(self.0.as_slice())
            .expand(&[b"apsis data keys"], hkdf::HKDF_SHA256)
            .and_then(|made| made.fill(key.as_mut_slice()))
            .map_err(|_| StoreError::Corrupt("a key of the wrong length"))?;
        Ok(XChaCha20Poly1305::new(key.as_slice().into()))
    }
}

fn random_key() -> Result<Key, StoreError> {
    let mut key = Key::default();
    getrandom::fill(key.as_mut_slice())?;
    Ok(key)
}

/// Where a sealed value stands.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub(crate) table: &'static str,
    pub(crate) row: i64,
    pub(crate) account: i64,
}

impl Place {
    fn bytes(self) -> Vec<u8> {
        format!("{}\0sealed\0{}\0{}", self.table, self.row, self.account).into_bytes()
    }
}

/// The data keys, unwrapped.
pub(crate) struct Vault {
    lookup_key: Zeroizing<Vec<u8>>,
    lookup: hmac::Key,
    seal: XChaCha20Poly1305,
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vault(…)")
    }
}

impl Vault {
    /// Unwraps the data keys, or makes them in a new database.
    pub(crate) async fn open(database: &Database, master: &MasterKey) -> Result<Self, StoreError> {
        let wrapping = master.wrapping()?;
        let mut found = wrapped(&mut database.read().await?).await?;
        if found.len() < PURPOSES.len() {
            found = make_data_keys(database, &wrapping).await?;
        }
        let mut keys = Vec::new();
        for purpose in PURPOSES {
            let wrapped = found.get(purpose).ok_or(StoreError::Corrupt("the data keys"))?;
            keys.push(unclose(&wrapping, purpose.as_bytes(), wrapped).ok_or(StoreError::WrongMasterKey)?);
        }
        let [lookup, seal] = keys.as_slice() else { return Err(StoreError::Corrupt("the data keys")) };
        let corrupt = |_| StoreError::Corrupt("a data key of the wrong length");
        Ok(Self {
            lookup_key: lookup.clone(),
            lookup: hmac::Key::new(hmac::HMAC_SHA256, lookup),
            seal: XChaCha20Poly1305::new_from_slice(seal).map_err(corrupt)?,
        })
    }

    /// What a credential is looked up by.
    pub(crate) fn digest(&self, credential: &str) -> [u8; 32] {
        let tag = hmac::sign(&self.lookup, credential.as_bytes());
        let mut digest = [0; 32];
        for (to, from) in digest.iter_mut().zip(tag.as_ref()) {
            *to = *from;
        }
        digest
    }

    pub(crate) fn seal(&self, place: Place, secret: &str) -> Result<Vec<u8>, StoreError> {
        close(&self.seal, &place.bytes(), secret.as_bytes())
    }

    pub(crate) fn open_sealed(&self, place: Place, sealed: &[u8]) -> Result<Zeroizing<String>, StoreError> {
        let bytes = unclose(&self.seal, &place.bytes(), sealed);
        let text = bytes.and_then(|bytes| std::str::from_utf8(&bytes).map(str::to_owned).ok());
        text.map(Zeroizing::new).ok_or(StoreError::Corrupt("a sealed value does not open"))
    }
}

/// That the master key is the one that a database was made with.
///
/// # Errors
/// [`StoreError::WrongMasterKey`]; the database.
pub(crate) async fn opens(on: &mut impl Run, master: &MasterKey) -> Result<(), StoreError> {
    let (wrapping, found) = (master.wrapping()?, wrapped(on).await?);
    for purpose in PURPOSES {
        let wrapped = found.get(purpose).ok_or(StoreError::Corrupt("the data keys"))?;
        unclose(&wrapping, purpose.as_bytes(), wrapped).ok_or(StoreError::WrongMasterKey)?;
    }
    Ok(())
}

/// The data keys as they are kept, by their purposes.
async fn wrapped(connection: &mut impl Run) -> Result<HashMap<String, Vec<u8>>, StoreError> {
    let rows: Vec<(String, Vec<u8>)> =
        connection.query("SELECT purpose, wrapped FROM data_key").fetch_all().await?;
    Ok(rows.into_iter().collect())
}

/// Makes what is missing, unless another process has just done so.
async fn make_data_keys(
    database: &Database,
    wrapping: &XChaCha20Poly1305,
) -> Result<HashMap<String, Vec<u8>>, StoreError> {
    let (mut tx, _) = database.write().await?;
    let mut keys = wrapped(&mut tx).await?;
    for purpose in PURPOSES {
        if !keys.contains_key(purpose) {
            let made = close(wrapping, purpose.as_bytes(), random_key()?.as_slice())?;
            tx.query("INSERT INTO data_key (purpose, wrapped) VALUES ($1, $2)")
                .bind(purpose)
                .bind(&made)
                .execute()
                .await?;
            keys.insert(purpose.to_owned(), made);
        }
    }
    tx.commit().await?;
    Ok(keys)
}

/// Version, nonce, ciphertext.
fn close(cipher: &XChaCha20Poly1305, place: &[u8], secret: &[u8]) -> Result<Vec<u8>, StoreError> {
    let mut nonce = [0_u8; NONCE];
    getrandom::fill(&mut nonce)?;
    let payload = Payload { msg: secret, aad: place };
    let sealed = cipher.encrypt(XNonce::from_slice(&nonce), payload);
    let sealed = sealed.map_err(|_| StoreError::Invalid("a secret is too long".to_owned()))?;
    Ok([&[VERSION], nonce.as_slice(), &sealed].concat())
}

fn unclose(cipher: &XChaCha20Poly1305, place: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, message) = sealed.strip_prefix(&[VERSION])?.split_at_checked(NONCE)?;
    let payload = Payload { msg: message, aad: place };
    cipher.decrypt(XNonce::from_slice(nonce), payload).ok().map(Zeroizing::new)
}

/// The tables with sealed values, as (select, update, the table that the place names). A select gives the row, the row
/// that the place names, the account, and the sealed value.
const SEALED: [(&str, &str, &str); 3] = [
    (
        "SELECT id, id, account, sealed FROM api_key",
        "UPDATE api_key SET sealed = $1 WHERE id = $2",
        "api_key",
    ),
    (
        "SELECT id, channel, CAST(0 AS BIGINT), sealed FROM channel_credential",
        "UPDATE channel_credential SET sealed = $1 WHERE id = $2",
        "channel",
    ),
    (
        "SELECT account, account, account, sealed FROM account_totp",
        "UPDATE account_totp SET sealed = $1 WHERE account = $2",
        "account_totp",
    ),
];

impl Store {
    /// Seals everything again for another master key, in one transaction. Returns how many values that were.
    /// The store in hand keeps the old keys: close it.
    ///
    /// # Errors
    /// A value that does not open; the database. Then nothing has changed.
    pub async fn reseal(&self, master: &MasterKey) -> Result<u64, StoreError> {
        let wrapping = master.wrapping()?;
        let fresh = random_key()?;
        let seal = XChaCha20Poly1305::new(fresh.as_slice().into());
        let mut tx = self.write().await?;
        let mut count = 0;
        for (select, update, table) in SEALED {
            let rows: Vec<(i64, i64, i64, Vec<u8>)> = tx.query(select).fetch_all().await?;
            for (id, row, account, sealed) in rows {
                let place = Place { table, row, account };
                let secret = self.vault().open_sealed(place, &sealed)?;
                let sealed = close(&seal, &place.bytes(), secret.as_bytes())?;
                tx.query(update).bind(sealed).bind(id).execute().await?;
                count += 1;
            }
        }
        self.rewrap(&mut tx, &wrapping, fresh.as_slice()).await?;
        tx.commit().await?;
        Ok(count)
    }

    async fn rewrap(&self, tx: &mut Tx, wrapping: &XChaCha20Poly1305, seal: &[u8]) -> Result<(), StoreError> {
        // The look-up key stays: the digests of tokens cannot be made again. It is only wrapped anew.
        for (purpose, key) in [(LOOKUP, self.vault().lookup_key.as_slice()), (SEAL, seal)] {
            let wrapped = close(wrapping, purpose.as_bytes(), key)?;
            tx.query("UPDATE data_key SET wrapped = $1 WHERE purpose = $2")
                .bind(wrapped)
                .bind(purpose)
                .execute()
                .await?;
        }
        Ok(())
    }
}
