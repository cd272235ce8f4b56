//! Reading records, newest first: whole segments are skipped without looking into them, and a record of a closed block is
//! found by its offset; only blocks that the filter's times cut through are read row by row.

use std::borrow::Cow;

use model::{
    clock::Timestamp,
    id::{AccountId, ChannelId, KeyId},
    money::Units,
    price::Ratio,
    usage::Tokens,
};

use super::{
    BLOCK, UsageFilter, UsageKind, UsageRecord,
    detail::Detail,
    request_key,
    segment::{EVERYWHERE, SPARSE, Segment, reach, segments},
    word,
};
use crate::{
    build::Sql,
    price::Columns,
    sql::Run,
    store::{Store, StoreError},
};

/// The newest records with the same request id that are looked at.
const SAME_REQUEST: usize = 1_000;

#[derive(sqlx::FromRow)]
struct Row {
    id: i64,
    kind: i64,
    ended: i64,
    took: i64,
    units: i64,
    input: i64,
    cached_input: i64,
    cache_write: i64,
    output: i64,
    reasoning: i64,
    record: String,
    account: i64,
    username: Option<String>,
    api_key: i64,
    key_name: String,
    price_group: String,
    channel: i64,
    model: String,
    upstream_model: String,
    door: String,
    stream: i64,
    ratio: i64,
    price: Option<i64>,
    price_input: Option<i64>,
    price_cached_input: Option<i64>,
    price_cache_write: Option<i64>,
    price_output: Option<i64>,
    price_call: Option<i64>,
    price_further: Option<String>,
}

impl Row {
    fn price_columns(&self) -> Option<Columns<'_>> {
        Some(Columns {
            id: self.price?,
            input: self.price_input?,
            cached_input: self.price_cached_input?,
            cache_write: self.price_cache_write?,
            output: self.price_output?,
            per_call: self.price_call?,
            further: self.price_further.as_deref(),
        })
    }
}

impl TryFrom<Row> for UsageRecord {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let detail: Detail<'_> =
            serde_json::from_str(&row.record).map_err(|_| StoreError::Corrupt("a usage record"))?;
        Ok(Self {
            id: row.id,
            kind: if row.kind == UsageKind::Error.number() { UsageKind::Error } else { UsageKind::Use },
            price: row.price_columns().map(|columns| columns.price()).transpose()?,
            request_id: detail.request_id.into_owned(),
            account: AccountId(row.account),
            username: row.username.unwrap_or_default(),
            key: KeyId(row.api_key),
            key_name: row.key_name,
            group: row.price_group,
            channel: ChannelId(row.channel),
            model: row.model,
            upstream_model: row.upstream_model,
            door: row.door,
            stream: row.stream != 0,
            ratio: Ratio(row.ratio),
            tokens: Tokens {
                input: row.input.unsigned_abs(),
                cached_input: row.cached_input.unsigned_abs(),
                cache_write: row.cache_write.unsigned_abs(),
                output: row.output.unsigned_abs(),
                reasoning: row.reasoning.unsigned_abs(),
                parts: detail.parts,
            },
            provenance: word(detail.provenance).to_owned(),
            units: Units::new(row.units),
            overrun: Units::new(detail.overrun),
            status: detail.status.into(),
            error: detail.error.map(Cow::into_owned),
            client: detail.client,
            attempts: detail.attempts,
            first_byte_ms: detail.first_byte_ms,
            started: Timestamp::from_millis(row.ended.saturating_sub(row.took)),
            ended: Timestamp::from_millis(row.ended),
        })
    }
}

/// The records of rows that a condition names, newest first.
async fn fetch(
    connection: &mut impl Run,
    condition: impl FnOnce(&mut Sql),
    limit: i64,
    skip: i64,
) -> Result<Vec<UsageRecord>, StoreError> {
    let mut sql = Sql::new(
        "SELECT u.id, u.kind, u.ended, u.took, u.units, u.input, u.cached_input, u.cache_write, u.output,
            u.reasoning, u.record, p.account, account.username, p.api_key, p.key_name, w.price_group, w.channel,
            w.model, w.upstream_model, w.door, w.stream, w.ratio, price.id AS price, price.input AS price_input,
            price.cached_input AS price_cached_input, price.cache_write AS price_cache_write,
            price.output AS price_output, price.per_call AS price_call, price.further AS price_further
         FROM (SELECT * FROM usage WHERE ",
    );
    condition(&mut sql);
    sql.push(" ORDER BY id DESC LIMIT ").push_bind(limit).push(" OFFSET ").push_bind(skip);
    sql.push(
        ") AS u JOIN usage_payer AS p ON p.id = u.payer JOIN usage_way AS w ON w.id = u.way
         LEFT JOIN price ON price.id = w.price LEFT JOIN account ON account.id = p.account ORDER BY u.id DESC",
    );
    // Lists of ids have many lengths: none of them is worth remembering.
    let rows: Vec<Row> = connection.built(sql).once().fetch_all().await?;
    rows.into_iter().map(UsageRecord::try_from).collect()
}

fn push_ids(sql: &mut Sql, ids: &[i64]) {
    sql.push("id IN (").push_list(ids).push(")");
}

/// How many of the first segments are asked for at once, so that `wanted` records are found in them: a run of sparse
/// ones, with no more records than one sparse block may have, or any one.
pub(super) fn run(segments: &[Segment], wanted: i64) -> usize {
    let mut rows = 0_i64;
    let sparse = segments.iter().take_while(|segment| {
        let before = rows;
        rows = rows.saturating_add(segment.rows);
        segment.is_sparse() && before < wanted && rows <= SPARSE
    });
    sparse.count().max(1)
}

/// The records of a [`run`] of segments, newest first.
pub(super) async fn records(
    connection: &mut impl Run,
    filter: &UsageFilter,
    run: &[Segment],
    skip: i64,
    limit: i64,
) -> Result<Vec<UsageRecord>, StoreError> {
    if let [Segment { low, high, .. }] = run
        && !run.iter().all(Segment::is_sparse)
    {
        let condition = |sql: &mut Sql| {
            sql.push("id >= ").push_bind(*low).push(" AND id < ").push_bind(*high);
            filter.push_rows(sql);
        };
        return fetch(connection, condition, limit, skip).await;
    }
    let ids = places(connection, filter, run).await?;
    let (skip, wanted) =
        (usize::try_from(skip).unwrap_or(usize::MAX), usize::try_from(limit).unwrap_or(usize::MAX));
    let ids: Vec<i64> = ids.into_iter().skip(skip).take(wanted).collect();
    fetch(connection, |sql| push_ids(sql, &ids), limit, 0).await
}

/// The ids of the records of sparse segments, newest first.
async fn places(
    connection: &mut impl Run,
    filter: &UsageFilter,
    run: &[Segment],
) -> Result<Vec<i64>, StoreError> {
    let blocks: Vec<i64> = run.iter().map(|segment| segment.low.div_euclid(BLOCK)).collect();
    let mut sql = Sql::new("SELECT block, offsets FROM ");
    sql.push(filter.parts());
    let (last, first) = (blocks.first().copied(), blocks.last().copied());
    filter.push_parts(&mut sql, &(first.unwrap_or(0)..last.map_or(0, |last| last + 1)));
    sql.push(" AND block IN (").push_list(&blocks).push(")");
    let lists: Vec<(i64, String)> = connection.built(sql).once().fetch_all().await?;
    let mut ids = Vec::new();
    for (block, offsets) in &lists {
        for offset in offsets.split(',').map(str::parse::<i64>) {
            let offset = offset.map_err(|_| StoreError::Corrupt("a list of usage records"))?;
            ids.push(block * BLOCK + offset);
        }
    }
    ids.sort_unstable_by_key(|id| std::cmp::Reverse(*id));
    Ok(ids)
}

/// The records behind the first `skip` of some segments, at most `limit`.
pub(super) async fn page(
    connection: &mut impl Run,
    filter: &UsageFilter,
    segments: &[Segment],
    mut skip: i64,
    limit: i64,
) -> Result<Vec<UsageRecord>, StoreError> {
    let passed = segments.iter().take_while(|segment| {
        let passes = skip >= segment.rows;
        skip -= if passes { segment.rows } else { 0 };
        passes
    });
    let mut rest = segments.get(passed.count()..).unwrap_or_default();
    let mut found = Vec::new();
    while !rest.is_empty() {
        let wanted = limit - i64::try_from(found.len()).unwrap_or(limit);
        if wanted <= 0 {
            break;
        }
        let (run, behind) = rest.split_at(run(rest, skip.saturating_add(wanted)));
        found.extend(records(connection, filter, run, skip, wanted).await?);
        (rest, skip) = (behind, 0);
    }
    Ok(found)
}

impl Store {
    /// Records that fit, newest first: `limit` of them behind the first `skip`, and how many there are in all.
    ///
    /// # Errors
    /// The database.
    pub async fn usage(
        &self,
        filter: &UsageFilter,
        skip: i64,
        limit: i64,
    ) -> Result<(Vec<UsageRecord>, i64), StoreError> {
        // One transaction: a block that is closed meanwhile would be seen twice or not at all.
        let mut tx = self.snapshot().await?;
        let filter = filter.resolved(&mut tx).await?;
        let reach = reach(&mut tx, &filter).await?;
        let segments = segments(&mut tx, &filter, &reach, &EVERYWHERE).await?;
        let total = segments.iter().map(|segment| segment.rows).sum();
        Ok((page(&mut tx, &filter, &segments, skip, limit).await?, total))
    }

    /// The records that fit and have this request id, newest first; at most a thousand of them are found.
    ///
    /// # Errors
    /// The database.
    pub async fn usage_of_request(
        &self,
        filter: &UsageFilter,
        request_id: &str,
    ) -> Result<Vec<UsageRecord>, StoreError> {
        let key = request_key(request_id);
        let mut tx = self.snapshot().await?;
        let mut ids: Vec<i64> = tx
            .query(
                "SELECT id FROM usage WHERE id >= (SELECT id - id % $1 FROM usage_next) AND request_key = $2
             ORDER BY id DESC",
            )
            .bind(BLOCK)
            .bind(key)
            .scalars()
            .await?;
        let blocks: Vec<(i64, String)> = tx
            .query(
                "SELECT block, offsets FROM usage_request
                 WHERE shard = $1 AND block >= (SELECT kept FROM usage_next WHERE one = 1) ORDER BY block DESC",
            )
            .bind(key / 65_536)
            .fetch_all()
            .await?;
        let rest = (key % 65_536).to_string();
        for (block, offsets) in &blocks {
            let pairs = offsets.split(',').filter_map(|pair| pair.split_once(':'));
            let here = pairs.filter(|(key, _)| *key == rest).map(|(_, offset)| offset.parse::<i64>());
            for offset in here {
                let offset = offset.map_err(|_| StoreError::Corrupt("a list of request ids"))?;
                ids.push(block * BLOCK + offset);
            }
        }
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        ids.truncate(SAME_REQUEST);
        let condition = |sql: &mut Sql| {
            push_ids(sql, &ids);
            filter.push_rows(sql);
        };
        let found = fetch(&mut tx, condition, i64::MAX, 0).await?;
        Ok(found.into_iter().filter(|record| record.request_id == request_id).collect())
    }
}
