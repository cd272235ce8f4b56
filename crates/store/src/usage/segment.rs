//! Where the records lie that a filter finds: in the open block, and in the closed blocks whose sums say that something of it
//! is in them, and how much.

use std::ops::Range;

use super::{BLOCK, HOUR, UsageFilter};
use crate::{build::Sql, sql::Run, store::StoreError};

/// Beyond so many records of a block, its rows are read rather than looked up one by one.
pub(super) const SPARSE: i64 = 1_024;

/// A stretch of ids with records in it that fit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment {
    pub(super) low: i64,
    pub(super) high: i64,
    /// How many fit.
    pub(super) rows: i64,
    /// Whether the block's own sums say all of it.
    pub(super) whole: bool,
}

impl Segment {
    /// Whether its records are few and their places known.
    pub(super) const fn is_sparse(&self) -> bool {
        self.whole && self.rows <= SPARSE
    }
}

/// The closed blocks with records of the filter's times, and those between. Questions have them as two numbers: given two
/// lower bounds, SQLite takes the first for its way through an index and the other for a condition.
pub(super) async fn reach(connection: &mut impl Run, filter: &UsageFilter) -> Result<Range<i64>, StoreError> {
    let (from, until) = filter.times();
    let (first, last): (Option<i64>, Option<i64>) = connection
        .query("SELECT min(block), max(block) FROM usage_block WHERE newest >= $1 AND oldest < $2")
        .bind(from)
        .bind(until)
        .fetch_one()
        .await?;
    Ok(first.unwrap_or(i64::MAX)..last.map_or(0, |last| last + 1))
}

/// Every block.
pub(super) const EVERYWHERE: Range<i64> = 0..i64::MAX;

/// The segments of what fits in a stretch of blocks, newest first: of the open one, and of those closed ones that are in
/// `reach`. Whole are those whose hours lie wholly in the filter's times.
pub(super) async fn segments(
    connection: &mut impl Run,
    filter: &UsageFilter,
    reach: &Range<i64>,
    stretch: &Range<i64>,
) -> Result<Vec<Segment>, StoreError> {
    let before = filter.before.unwrap_or(i64::MAX);
    let next: i64 = connection.query("SELECT id FROM usage_next WHERE one = 1").scalar().await?;
    let open = next.div_euclid(BLOCK);
    let mut found = Vec::new();
    if stretch.contains(&open) {
        found.push(Segment { low: open * BLOCK, high: next, rows: 0, whole: false });
    }
    let within = reach.start.max(stretch.start)..reach.end.min(stretch.end);
    if !within.is_empty() {
        for (block, rows, cut) in blocks(connection, filter, &within).await? {
            let (low, high) = (block * BLOCK, (block + 1) * BLOCK);
            found.push(Segment { low, high, rows, whole: cut == 0 && high <= before });
        }
    }
    found.retain(|segment| segment.low < before);
    for segment in found.iter_mut().filter(|segment| !segment.whole) {
        let mut sql = Sql::new("SELECT count(*) FROM usage WHERE id >= ");
        sql.push_bind(segment.low).push(" AND id < ").push_bind(segment.high);
        filter.push_rows(&mut sql);
        segment.rows = connection.built(sql).scalar().await?;
    }
    found.retain(|segment| segment.rows > 0);
    Ok(found)
}

/// Closed blocks with something that fits, newest first: how much, and whether the times cut through the block's hours.
async fn blocks(
    connection: &mut impl Run,
    filter: &UsageFilter,
    within: &Range<i64>,
) -> Result<Vec<(i64, i64, i64)>, StoreError> {
    let (from, until) = filter.times();
    let last = until.saturating_sub(HOUR);
    let mut sql = Sql::new("SELECT block, ");
    if filter.takes_all() {
        // How much all of them are together is known of each block.
        sql.push("requests, CASE WHEN oldest - oldest % ").push_bind(HOUR).push(" < ").push_bind(from);
        sql.push(" OR newest - newest % ").push_bind(HOUR).push(" > ").push_bind(last);
        sql.push(" THEN CAST(1 AS BIGINT) ELSE 0 END FROM usage_block WHERE block >= ")
            .push_bind(within.start);
        sql.push(" AND block < ").push_bind(within.end).push(" AND newest >= ").push_bind(from);
        sql.push(" AND oldest < ").push_bind(until);
    } else {
        sql.push("CAST(sum(requests) AS BIGINT), max(CASE WHEN hour < ").push_bind(from);
        sql.push(" OR hour > ").push_bind(last).push(" THEN CAST(1 AS BIGINT) ELSE 0 END) FROM ");
        sql.push(filter.parts());
        filter.push_parts(&mut sql, within);
        sql.push(" GROUP BY block");
    }
    sql.push(" ORDER BY block DESC");
    // How it is best answered depends on who and when: a remembered plan knows neither.
    Ok(connection.built(sql).once().fetch_all().await?)
}
