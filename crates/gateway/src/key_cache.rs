//! The keys in use, by digest, so that a warm request asks no database.
//!
//! An edit is visible at once on the node that made it and within a second everywhere: the change poller calls
//! [`KeyCache::forget_key`]. A load that raced with an edit is not kept. It is bounded in number: the key that is of
//! least use makes room for the next.
//!
//! What is no key is remembered, too, until any key changes: a caller that goes on with a deleted key, or with one that only
//! has the form of a key, asks the database once.

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
use store::{Account, Digest};

/// Keys that are kept at most.
const CAPACITY: usize = 100_000;
/// Digests of no key that are kept at most.
const STRANGERS: usize = 16_384;

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
    strangers: Cache<Digest, ()>,
    epoch: AtomicU64,
}

impl KeyCache {
    pub(crate) fn new() -> Self {
        Self {
            known: Cache::new(CAPACITY),
            digests: Cache::new(CAPACITY),
            strangers: Cache::new(STRANGERS),
            epoch: AtomicU64::new(0),
        }
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
        F: Future<Output = Result<Option<Arc<Known>>, E>>,
    {
        if let Some(known) = self.known.get(digest) {
            return Ok(Some(known));
        }
        if self.strangers.get(digest).is_some() {
            return Ok(None);
        }
        let epoch = self.epoch.load(Ordering::SeqCst);
        let Some(known) = load().await? else {
            self.strangers.insert(*digest, ());
            if self.epoch.load(Ordering::SeqCst) != epoch {
                self.strangers.remove(digest);
            }
            return Ok(None);
        };
        self.digests.insert(known.key.id, *digest);
        self.known.insert(*digest, Arc::clone(&known));
        if self.epoch.load(Ordering::SeqCst) != epoch {
            self.known.remove(digest);
        }
        Ok(Some(known))
    }

    /// Drops a key that was made, edited or deleted.
    pub(crate) fn forget_key(&self, key: KeyId) {
        self.epoch.fetch_add(1, Ordering::SeqCst);
        if !self.strangers.is_empty() {
            self.strangers.clear();
        }
        match self.digests.remove(&key) {
            Some((_, digest)) => drop(self.known.remove(&digest)),
            // Its digest may have been evicted before the key itself.
            None => self.known.retain(|_, known| known.key.id != key),
        }
    }

    /// Drops everything, where nobody knows what was edited.
    pub(crate) fn forget_all(&self) {
        self.epoch.fetch_add(1, Ordering::SeqCst);
        self.strangers.clear();
        self.known.clear();
        self.digests.clear();
    }

    /// Drops every key of an account that was edited.
    pub(crate) fn forget_account(&self, account: AccountId) {
        self.epoch.fetch_add(1, Ordering::SeqCst);
        self.known.retain(|_, known| known.account.id != account);
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, convert::Infallible};

    use super::*;

    const DIGEST: Digest = [7; 32];

    #[tokio::test]
    async fn what_is_no_key_is_looked_up_once_until_a_key_changes() {
        let (cache, asked) = (KeyCache::new(), Cell::new(0));
        let load = async || {
            asked.set(asked.get() + 1);
            Ok::<_, Infallible>(None)
        };
        for _ in 0..3 {
            assert!(cache.get(&DIGEST, load).await.unwrap().is_none());
        }
        assert_eq!(asked.get(), 1);
        cache.forget_key(KeyId(1));
        assert!(cache.get(&DIGEST, load).await.unwrap().is_none());
        assert_eq!(asked.get(), 2);
    }

    #[tokio::test]
    async fn a_key_that_is_made_while_it_is_looked_up_in_vain_is_looked_up_again() {
        let (cache, asked) = (KeyCache::new(), Cell::new(0));
        let load = async || {
            asked.set(asked.get() + 1);
            cache.forget_key(KeyId(1));
            Ok::<_, Infallible>(None)
        };
        for _ in 0..2 {
            assert!(cache.get(&DIGEST, load).await.unwrap().is_none());
        }
        assert_eq!(asked.get(), 2);
    }
}
