//! How a gateway learns what others have changed.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use model::id::{AccountId, KeyId};
use store::{Changes, Kind, StoreError};
use tokio::sync::watch::Receiver;

use crate::{gateway::Gateway, routing::Snapshot};

/// How soon changes are looked for where no heartbeat of the ledger has told whether there are any. They must be live
/// everywhere within a second, also where a heartbeat hangs on a connection that is dead and does not say so.
const LOOK_AFTER: Duration = Duration::from_millis(700);
/// Before it is tried again, if that fails.
const PAUSE: Duration = Duration::from_millis(400);

impl Gateway {
    /// Whether something is known to be as it was not at change `seen`.
    fn is_behind(&self, seen: i64, newest: i64) -> bool {
        newest != seen || self.routing.load().has_ended(self.clock.now())
    }

    /// Takes in what has changed after `seen`; returns the newest change. Keys and accounts come first: what was taken from a
    /// caller is not to wait for channels that cannot be read.
    async fn notice(&self, seen: i64) -> Result<i64, StoreError> {
        let Changes { list, reaches_back } = self.store.changes_since(seen).await?;
        if !reaches_back {
            return self.begin_anew().await;
        }
        for change in &list {
            match change.kind {
                Kind::Key => self.key_changed(KeyId(change.id)).await?,
                Kind::Account => self.account_changed(AccountId(change.id)).await?,
                Kind::Routing => {}
            }
        }
        let changed = list.iter().any(|change| change.kind == Kind::Routing);
        if changed || self.routing.load().has_ended(self.clock.now()) {
            self.routing_changed().await?;
        }
        Ok(list.last().map_or(seen, |change| change.seq))
    }

    /// Forgets all that it knows, since nobody can say what of it was changed. Returns the newest change.
    async fn begin_anew(&self) -> Result<i64, StoreError> {
        let newest = self.store.last_change().await?;
        tracing::warn!(
            newest,
            "the record of changes does not reach back to the last one seen; everything is read again"
        );
        self.store.notice_imported().await?;
        self.keys.forget_all();
        self.ledger.forget_all();
        self.routing_changed().await?;
        Ok(newest)
    }

    pub(crate) async fn key_changed(&self, key: KeyId) -> Result<(), StoreError> {
        self.store.notice_key(key).await?;
        self.keys.forget_key(key);
        if let Some(pool) = self.store.pool_of_key(key).await? {
            self.ledger.forget(pool);
        }
        Ok(())
    }

    pub(crate) async fn account_changed(&self, account: AccountId) -> Result<(), StoreError> {
        self.keys.forget_account(account);
        if let Some(account) = self.store.account(account).await? {
            self.ledger.forget(account.pool);
        }
        Ok(())
    }

    pub(crate) async fn routing_changed(&self) -> Result<(), StoreError> {
        let snapshot = Snapshot::load(&self.store, self.clock.now()).await?;
        self.health.keep(&snapshot);
        self.routing.store(Arc::new(snapshot));
        Ok(())
    }
}

/// Takes in what others have changed, as long as the gateway is there. A heartbeat tells that there is something, so that
/// nothing is asked of the database for it alone.
pub(crate) async fn watch(gateway: Weak<Gateway>, mut newest: Receiver<i64>, mut seen: i64) {
    loop {
        let told = tokio::time::timeout(LOOK_AFTER, newest.changed()).await.is_ok();
        let Some(gateway) = gateway.upgrade() else { return };
        gateway.upstream.sweep();
        if told && !gateway.is_behind(seen, *newest.borrow_and_update()) {
            continue;
        }
        match gateway.notice(seen).await {
            Ok(now) => seen = now,
            Err(error) => {
                tracing::warn!(%error, "cannot look for changes; the last good copy serves on");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
