//! The keys in use, by digest, so that a warm request asks no database.
//!
//! An edit is visible at once on the node that made it and within a second everywhere: the change poller calls
//! [`KeyCache::forget_key`]. A load that raced with an edit is not kept. It is bounded in number: the key that is of
//! least use makes room for the next.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use model::{
    id::{AccountId, KeyId},
    ip::IpRules,
    key::ApiKey,
};
use quick_cache::sync::Cache;
use store::Account;

/// Keys that are kept at most.
const CAPACITY: usize = 100_000;

/// The digest of a credential.
pub(crate) type Digest = [u8; 32];

/// A key with its owner, ready to be checked.
#[derive(Debug)]
pub(crate) struct Known {
    /// The key.
    pub(crate) key: ApiKey,
    /// Its owner.
    pub(crate) account: Account,
    /// Its address list, read once.
    pub(crate) rules: IpRules,
}

/// The cache.
#[derive(Debug)]
pub(crate) struct KeyCache {
    known: Cache<Digest, Arc<Known>>,
    digests: Cache<KeyId, Digest>,
    epoch: AtomicU64,
}

impl KeyCache {
    pub(crate) fn new() -> Self {
        Self { known: Cache::new(CAPACITY), digests: Cache::new(CAPACITY), epoch: AtomicU64::new(0) }
    }

    /// The key of `digest`, loaded when it is not here.
    ///
    /// # Errors
    /// What `load` returns.
    pub(crate) async fn get<E, F>(
        &self,
        digest: &Digest,
        load: impl FnOnce() -> F,
    ) -> Result<Option<Arc<Known>>, E>
    where
        F: Future<Output = Result<Option<Known>, E>>,
    {
        if let Some(known) = self.known.get(digest) {
            return Ok(Some(known));
        }
        let epoch = self.epoch.load(Ordering::SeqCst);
        let Some(known) = load().await? else { return Ok(None) };
        let known = Arc::new(known);
        self.digests.insert(known.key.id, *digest);
        self.known.insert(*digest, Arc::clone(&known));
        if self.epoch.load(Ordering::SeqCst) != epoch {
            self.known.remove(digest);
        }
        Ok(Some(known))
    }

    /// Drops a key that was edited or deleted.
    pub(crate) fn forget_key(&self, key: KeyId) {
        self.epoch.fetch_add(1, Ordering::SeqCst);
        match self.digests.remove(&key) {
            Some((_, digest)) => drop(self.known.remove(&digest)),
            // Its digest may have been evicted before the key itself.
            None => self.known.retain(|_, known| known.key.id != key),
        }
    }

    /// Drops every key of an account that was edited.
    pub(crate) fn forget_account(&self, account: AccountId) {
        self.epoch.fetch_add(1, Ordering::SeqCst);
        self.known.retain(|_, known| known.account.id != account);
    }
}
