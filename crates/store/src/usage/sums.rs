//! Sums over records: from the sums of closed blocks, and from the rows of the hours that a filter's times cut through.

use std::ops::Range;

use model::{clock::Timestamp, money::Units};

use super::{
    HOUR, UsageFilter, UsageKind, UsageRecord,
    segment::{EVERYWHERE, Segment, reach, segments},
};
use crate::{
    build::Sql,
    sql::Run,
    store::{Store, StoreError},
};

/// What records add up to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, sqlx::FromRow)]
pub struct UsageSums {
    /// How many there are.
    pub requests: i64,
    /// How many of them failed and cost nothing.
    pub errors: i64,
    /// Units charged.
    pub units: i64,
    /// Input tokens that no cache served.
    pub input: i64,
    /// Input tokens that a cache served.
    pub cached_input: i64,
    /// Input tokens written to a cache.
    pub cache_write: i64,
    /// Output tokens, reasoning included.
    pub output: i64,
    /// The part of output that was reasoning.
    pub reasoning: i64,
    /// Milliseconds from arrival to end.
    pub took: i64,
}

impl UsageSums {
    /// All tokens.
    #[must_use]
    pub const fn tokens(&self) -> i64 {
        self.input
            .saturating_add(self.cached_input)
            .saturating_add(self.cache_write)
            .saturating_add(self.output)
    }

    const fn add(&mut self, other: &Self) {
        self.requests = self.requests.saturating_add(other.requests);
        self.errors = self.errors.saturating_add(other.errors);
        self.units = self.units.saturating_add(other.units);
        self.input = self.input.saturating_add(other.input);
        self.cached_input = self.cached_input.saturating_add(other.cached_input);
        self.cache_write = self.cache_write.saturating_add(other.cache_write);
        self.output = self.output.saturating_add(other.output);
        self.reasoning = self.reasoning.saturating_add(other.reasoning);
        self.took = self.took.saturating_add(other.took);
    }
}

impl<'a> FromIterator<&'a UsageRecord> for UsageSums {
    fn from_iter<T: IntoIterator<Item = &'a UsageRecord>>(records: T) -> Self {
        let count = |tokens: u64| i64::try_from(tokens).unwrap_or(i64::MAX);
        let mut sums = Self::default();
        for record in records {
            sums.add(&Self {
                requests: 1,
                errors: i64::from(record.kind == UsageKind::Error),
                units: record.units.get(),
                input: count(record.tokens.input),
                cached_input: count(record.tokens.cached_input),
                cache_write: count(record.tokens.cache_write),
                output: count(record.tokens.output),
                reasoning: count(record.tokens.reasoning),
                took: record.ended.millis_since(record.started),
            });
        }
        sums
    }
}

/// What the records of one hour and one model add up to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageHour {
    /// When the hour begins.
    pub hour: Timestamp,
    /// The model that the callers named.
    pub model: String,
    /// The sums.
    pub sums: UsageSums,
}

#[derive(sqlx::FromRow)]
struct Row {
    hour: i64,
    model: String,
    #[sqlx(flatten)]
    sums: UsageSums,
}

macro_rules! sums {
    ($requests:literal, $errors:literal) => {
        concat!(
            "CAST(coalesce(sum(",
            $requests,
            "), 0) AS BIGINT) AS requests,
             CAST(coalesce(sum(",
            $errors,
            "), 0) AS BIGINT) AS errors,
             CAST(coalesce(sum(units), 0) AS BIGINT) AS units,
             CAST(coalesce(sum(input), 0) AS BIGINT) AS input,
             CAST(coalesce(sum(cached_input), 0) AS BIGINT) AS cached_input,
             CAST(coalesce(sum(cache_write), 0) AS BIGINT) AS cache_write,
             CAST(coalesce(sum(output), 0) AS BIGINT) AS output,
             CAST(coalesce(sum(reasoning), 0) AS BIGINT) AS reasoning,
             CAST(coalesce(sum(took), 0) AS BIGINT) AS took"
        )
    };
}

const OF_PARTS: &str = sums!("requests", "CASE WHEN kind = 5 THEN requests ELSE 0 END");
const OF_ROWS: &str = sums!("1", "CASE WHEN kind = 5 THEN 1 ELSE 0 END");
const _: () = assert!(UsageKind::Error.number() == 5, "the text of the sums says so");

/// The hours that lie wholly in the filter's times: from the one, before the other.
const fn whole_hours((from, until): (i64, i64)) -> (i64, i64) {
    let from = match from.checked_add(HOUR - 1) {
        Some(late) if from > i64::MIN => late.div_euclid(HOUR) * HOUR,
        _ => from,
    };
    let until = if until == i64::MAX { until } else { until.div_euclid(HOUR).saturating_mul(HOUR) };
    (from, until)
}

fn push_whole_hours(sql: &mut Sql, filter: &UsageFilter) {
    let (from, until) = whole_hours(filter.times());
    sql.push(" AND hour >= ").push_bind(from).push(" AND hour < ").push_bind(until);
}

/// The rows of a segment that no sum of a whole hour contains.
fn push_cut_rows(sql: &mut Sql, filter: &UsageFilter, segment: &Segment, closed: bool) {
    sql.push("id >= ").push_bind(segment.low).push(" AND id < ").push_bind(segment.high);
    filter.push_rows(sql);
    if closed {
        let (from, until) = whole_hours(filter.times());
        sql.push(" AND (ended < ").push_bind(from).push(" OR ended >= ").push_bind(until).push(")");
    }
}

/// The segments whose rows must be read, each with whether its block is closed.
async fn cut(
    connection: &mut impl Run,
    filter: &UsageFilter,
    reach: &Range<i64>,
) -> Result<Vec<(Segment, bool)>, StoreError> {
    let open: i64 = connection
        .query("SELECT id - id % $1 FROM usage_next WHERE one = 1")
        .bind(super::BLOCK)
        .scalar()
        .await?;
    let segments = segments(connection, filter, reach, &EVERYWHERE).await?.into_iter();
    let cut = segments.filter(|segment| !segment.whole);
    Ok(cut.map(|segment| (segment, segment.low < open)).collect())
}

impl Store {
    /// What upstreams claimed beyond their holds, of the whole installation. 0 with honest upstreams.
    ///
    /// # Errors
    /// The database.
    pub async fn overrun(&self) -> Result<Units, StoreError> {
        let units = self.read().await?.query("SELECT units FROM overrun WHERE id = 1").scalar().await?;
        Ok(Units::new(units))
    }

    /// What the records that fit add up to. [`UsageFilter::before`] does not matter.
    ///
    /// # Errors
    /// The database.
    pub async fn usage_sums(&self, filter: &UsageFilter) -> Result<UsageSums, StoreError> {
        let filter = UsageFilter { before: None, ..filter.clone() };
        let mut tx = self.snapshot().await?;
        let filter = filter.resolved(&mut tx).await?;
        let reach = reach(&mut tx, &filter).await?;
        let mut sql = Sql::new("SELECT ");
        sql.push(OF_PARTS).push(" FROM ").push(filter.parts());
        filter.push_parts(&mut sql, &reach);
        push_whole_hours(&mut sql, &filter);
        let mut sums: UsageSums = tx.built(sql).once().fetch_one().await?;
        for (segment, closed) in cut(&mut tx, &filter, &reach).await? {
            let mut sql = Sql::new("SELECT ");
            sql.push(OF_ROWS).push(" FROM usage WHERE ");
            push_cut_rows(&mut sql, &filter, &segment, closed);
            sums.add(&tx.built(sql).fetch_one().await?);
        }
        Ok(sums)
    }

    /// What the records that fit add up to for each hour and model, oldest first.
    ///
    /// # Errors
    /// The database.
    pub async fn usage_hours(&self, filter: &UsageFilter) -> Result<Vec<UsageHour>, StoreError> {
        let filter = UsageFilter { before: None, ..filter.clone() };
        let mut tx = self.snapshot().await?;
        let filter = filter.resolved(&mut tx).await?;
        let reach = reach(&mut tx, &filter).await?;
        let mut sql = Sql::new("SELECT hour, model, ");
        sql.push(OF_PARTS).push(" FROM ").push(filter.parts());
        sql.push(" JOIN usage_way ON usage_way.id = part.way");
        filter.push_parts(&mut sql, &reach);
        push_whole_hours(&mut sql, &filter);
        sql.push(" GROUP BY hour, model");
        let mut rows: Vec<Row> = tx.built(sql).once().fetch_all().await?;
        for (segment, closed) in cut(&mut tx, &filter, &reach).await? {
            let mut sql = Sql::new("SELECT ended - ended % ");
            sql.push_bind(HOUR).push(" AS hour, model, ").push(OF_ROWS);
            sql.push(" FROM (SELECT * FROM usage WHERE ");
            push_cut_rows(&mut sql, &filter, &segment, closed);
            sql.push(") AS cut JOIN usage_way ON usage_way.id = cut.way GROUP BY 1, model");
            rows.extend(tx.built(sql).fetch_all::<Row>().await?);
        }
        let mut hours = std::collections::BTreeMap::<(i64, String), UsageSums>::new();
        for row in rows {
            hours.entry((row.hour, row.model)).or_default().add(&row.sums);
        }
        let hour = |((hour, model), sums)| UsageHour { hour: Timestamp::from_millis(hour), model, sums };
        Ok(hours.into_iter().map(hour).collect())
    }
}
