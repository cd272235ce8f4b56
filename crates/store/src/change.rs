//! The record of changes, which running servers read to learn what they must read again.

use model::clock::Timestamp;
use tokio::sync::watch;

use crate::{
    database::Tx,
    sql::Run,
    store::{Store, StoreError},
};

/// Changes are kept this long; every server asks far more often.
const KEPT_MILLIS: i64 = 3_600_000;

/// What has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An API key.
    Key,
    /// An account.
    Account,
    /// A group, a channel or a price.
    Routing,
}

impl Kind {
    const fn number(self) -> i64 {
        match self {
            Self::Key => 1,
            Self::Account => 2,
            Self::Routing => 3,
        }
    }
}

/// One change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its place in the order.
    pub seq: i64,
    /// What kind of thing.
    pub kind: Kind,
    /// Which one.
    pub id: i64,
}

/// What has changed after some change.
#[derive(Clone, Debug)]
pub struct Changes {
    /// The changes, in order.
    pub list: Vec<Change>,
    /// Whether these are all. They may not be where nobody asked for an hour, or where the database was put back to an earlier
    /// state.
    pub reaches_back: bool,
}

pub(crate) async fn record(tx: &mut Tx, kind: Kind, id: i64, now: Timestamp) -> Result<(), StoreError> {
    tx.query("INSERT INTO change (kind, id, at) VALUES ($1, $2, $3)")
        .bind(kind.number())
        .bind(id)
        .bind(now.millis())
        .execute()
        .await?;
    tx.query("DELETE FROM change WHERE at < $1")
        .bind(now.millis().saturating_sub(KEPT_MILLIS))
        .execute()
        .await?;
    Ok(())
}

impl Store {
    /// The place of the newest change; 0 when there is none.
    ///
    /// # Errors
    /// The database.
    pub async fn last_change(&self) -> Result<i64, StoreError> {
        Ok(self.read().await?.query("SELECT coalesce(max(seq), 0) FROM change").scalar().await?)
    }

    /// The place of the newest change, as every heartbeat of this node's ledger learns it without asking for it alone.
    /// Each is told, also one that learns nothing new: who hears none for a while asks by [`Store::changes_since`].
    #[must_use]
    pub fn newest_change(&self) -> watch::Receiver<i64> {
        self.news().subscribe()
    }

    pub(crate) fn tell_newest_change(&self, seq: i64) {
        self.news().send_replace(seq);
    }

    /// What has changed after `seq`.
    ///
    /// # Errors
    /// The database.
    pub async fn changes_since(&self, seq: i64) -> Result<Changes, StoreError> {
        let rows: Vec<(i64, i64, i64)> = self
            .read()
            .await?
            .query("SELECT seq, kind, id FROM change WHERE seq >= $1 ORDER BY seq")
            .bind(seq)
            .fetch_all()
            .await?;
        // The newest change is never forgotten: where nothing is as new as `seq`, the database is an older one.
        let reaches_back = rows.first().map_or(seq == 0, |(first, ..)| *first <= seq.saturating_add(1));
        let kinds = [Kind::Key, Kind::Account, Kind::Routing];
        let known = |number| kinds.into_iter().find(|kind| kind.number() == number);
        let later = rows.into_iter().filter(|(later, ..)| *later > seq);
        let list = later.filter_map(|(seq, kind, id)| known(kind).map(|kind| Change { seq, kind, id }));
        Ok(Changes { list: list.collect(), reaches_back })
    }
}
