//! Claims: background work that one node at a time does.
//!
//! A claim makes nothing safe: what is done under it must be right also if two did it. It saves doing it twice.

use std::time::Duration;

use crate::{
    sql::Run,
    store::{Store, StoreError},
};

impl Store {
    /// Claims `work` for `holder` from now on, by the database's clock, which is the same for all nodes. `false` while
    /// another has it. Who has it may renew it.
    ///
    /// # Errors
    /// The database.
    pub async fn claim(&self, work: &str, holder: &str, lasts: Duration) -> Result<bool, StoreError> {
        let mut tx = self.write().await?;
        let lasts = i64::try_from(lasts.as_millis()).unwrap_or(i64::MAX / 2);
        let claimed = tx
            .query(
                "INSERT INTO claim (work, holder, until) VALUES ($1, $2, $3 + (SELECT millis FROM clock))
                 ON CONFLICT (work) DO UPDATE SET holder = excluded.holder, until = excluded.until
                 WHERE claim.holder = excluded.holder OR claim.until <= (SELECT millis FROM clock)",
            )
            .bind(work)
            .bind(holder)
            .bind(lasts)
            .execute()
            .await?;
        tx.commit().await?;
        Ok(claimed > 0)
    }
}
