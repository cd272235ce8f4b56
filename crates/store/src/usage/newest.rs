//! The newest records for a page that people look at.
//!
//! How many there are in all is not counted: the sums of a thousand accounts over years would be read for it. One looks back
//! over a few blocks, then over more, until the page is full and some are counted behind it.

use super::{
    BLOCK, UsageFilter, UsageRecord,
    read::page,
    segment::{reach, segments},
};
use crate::{
    sql::Run,
    store::{Store, StoreError},
};

/// Blocks that are looked at first; then [`GROWTH`] times as many each time.
const FIRST: i64 = 2;
const GROWTH: i64 = 4;

/// A page of records, and how many there are as far as they were counted.
#[derive(Debug)]
pub struct NewestUsage {
    /// The records, newest first.
    pub records: Vec<UsageRecord>,
    /// How many there are, as far as they were counted.
    pub total: i64,
    /// Whether there are more than that.
    pub more: bool,
}

impl Store {
    /// Records that fit, newest first: `limit` of them behind the first `skip`, and how many there are, of which those of the
    /// page and no more than `counted` from `skip` on are counted.
    ///
    /// # Errors
    /// The database.
    pub async fn newest_usage(
        &self,
        filter: &UsageFilter,
        skip: i64,
        limit: i64,
        counted: i64,
    ) -> Result<NewestUsage, StoreError> {
        // One transaction: a block that is closed meanwhile would be seen twice or not at all.
        let mut tx = self.snapshot().await?;
        let filter = &filter.resolved(&mut tx).await?;
        let next: i64 = tx.query("SELECT id FROM usage_next WHERE one = 1").scalar().await?;
        let reach = reach(&mut tx, filter).await?;
        let mut end = filter.before.map_or(next, |before| before.min(next)).div_euclid(BLOCK) + 1;
        let enough = skip.saturating_add(limit.max(counted));
        let (mut width, mut found, mut total) = (FIRST, Vec::new(), 0_i64);
        loop {
            let start = end.saturating_sub(width);
            let here = segments(&mut tx, filter, &reach, &(start..end)).await?;
            total = here.iter().fold(total, |sum, segment| sum.saturating_add(segment.rows));
            found.extend(here);
            if total > enough || start <= reach.start {
                break;
            }
            // Between the open block and the filter's times there is nothing.
            (end, width) = (start.min(reach.end), width.saturating_mul(GROWTH));
        }
        Ok(NewestUsage {
            records: page(&mut tx, filter, &found, skip, limit).await?,
            total: total.min(enough),
            more: total > enough,
        })
    }
}
