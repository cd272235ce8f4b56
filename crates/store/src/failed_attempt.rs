//! Failed attempts to prove who somebody is, counted for all nodes together.

use model::clock::Timestamp;

use crate::{
    sql::Run,
    store::{Store, StoreError},
};

/// A count of failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failures {
    /// When the first of them was.
    pub began: Timestamp,
    /// How many there are.
    pub attempts: u32,
}

impl Store {
    /// Counts one more failure under each of three different names, in one statement. A count that began at `stale` or
    /// before begins anew. Returns the counts in the order of the names.
    ///
    /// # Errors
    /// The database.
    pub async fn count_failures(
        &self,
        names: [&str; 3],
        stale: Timestamp,
        now: Timestamp,
    ) -> Result<[Failures; 3], StoreError> {
        let digests = names.map(|name| self.vault().digest(name));
        let mut tx = self.write().await?;
        let mut query = tx.query(
            "INSERT INTO failed_attempt (digest, began, attempts) VALUES ($3, $1, 1), ($4, $1, 1), ($5, $1, 1)
             ON CONFLICT (digest) DO UPDATE SET
                began = CASE WHEN failed_attempt.began <= $2 THEN excluded.began ELSE failed_attempt.began END,
                attempts = CASE WHEN failed_attempt.began <= $2 THEN 1 ELSE failed_attempt.attempts + 1 END
             RETURNING digest, began, attempts",
        );
        query = query.bind(now.millis()).bind(stale.millis());
        for digest in &digests {
            query = query.bind(digest.as_slice());
        }
        let rows: Vec<(Vec<u8>, i64, i64)> = query.fetch_all().await?;
        tx.commit().await?;
        Ok(digests.map(|digest| {
            let row = rows.iter().find(|(counted, ..)| counted.as_slice() == digest.as_slice());
            let (began, attempts) = row.map_or((now.millis(), 1), |(_, began, attempts)| (*began, *attempts));
            let attempts = u32::try_from(attempts).unwrap_or(u32::MAX);
            Failures { began: Timestamp::from_millis(began), attempts }
        }))
    }

    /// Forgets counts that began at `stale` or before.
    ///
    /// # Errors
    /// The database.
    pub async fn forget_failures(&self, stale: Timestamp) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        tx.query("DELETE FROM failed_attempt WHERE began <= $1").bind(stale.millis()).execute().await?;
        Ok(tx.commit().await?)
    }
}
