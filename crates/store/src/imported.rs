//! Keys that were made elsewhere. They have no check characters, so their form does not tell them from garbage.
//!
//! A part of each of their digests is kept in memory, so that garbage is refused without asking the database. A part
//! that stays after its key was deleted costs a look-up in vain and nothing else.

use std::collections::HashSet;

use model::id::KeyId;
use parking_lot::RwLock;

use crate::{
    database::Database,
    sql::Run,
    store::{Store, StoreError},
};

/// The digests of imported keys, each shortened to eight bytes.
#[derive(Debug, Default)]
pub(crate) struct Imported(RwLock<HashSet<u64>>);

impl Imported {
    /// Learns of all that there are.
    pub(crate) async fn load(&self, database: &Database) -> Result<(), StoreError> {
        let digests: Vec<Vec<u8>> =
            database.read().await?.query("SELECT digest FROM api_key WHERE imported = 1").scalars().await?;
        self.0.write().extend(digests.iter().map(|digest| short(digest)));
        Ok(())
    }

    pub(crate) fn add(&self, digest: &[u8]) {
        self.0.write().insert(short(digest));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.read().is_empty()
    }

    pub(crate) fn may_contain(&self, digest: &[u8]) -> bool {
        self.0.read().contains(&short(digest))
    }
}

fn short(digest: &[u8]) -> u64 {
    digest.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

impl Store {
    /// Learns of every key that other processes may have imported.
    ///
    /// # Errors
    /// The database.
    pub async fn notice_imported(&self) -> Result<(), StoreError> {
        self.imported().load(self.database()).await
    }

    /// Learns of a key that another process may have imported.
    ///
    /// # Errors
    /// The database.
    pub async fn notice_key(&self, id: KeyId) -> Result<(), StoreError> {
        let digest: Option<Vec<u8>> = self
            .read()
            .await?
            .query("SELECT digest FROM api_key WHERE id = $1 AND imported = 1")
            .bind(id.0)
            .optional_scalar()
            .await?;
        if let Some(digest) = digest {
            self.imported().add(&digest);
        }
        Ok(())
    }
}
