//! The open block, added up while it is written, so that closing it reads nothing back.
//!
//! It lives in memory only. After a start, after a transaction that failed and after a block that was closed early there
//! is none until a new block begins; such a block is summed up by the database, which says the same.

use std::{collections::BTreeMap, sync::LazyLock};

use ledger::Charge;
use rustc_hash::FxHashMap;

use super::{
    BLOCK, HOUR, UsageKind, by_name, request_key,
    write::{beside, count, took},
};
use crate::{database::Tx, rows::ManyRows, sql::Run, store::StoreError};

/// What a sum is of: account, hour, payer, way, kind.
type Of = (i64, i64, i64, i64, i64);

/// One sum, and the places of the records behind it.
#[derive(Clone, Debug, Default)]
pub(super) struct Part {
    /// Requests, units, input, cached input, cache writes, output, reasoning, milliseconds.
    sums: [i64; 8],
    /// In the block, in their order.
    places: Vec<u16>,
}

impl Part {
    fn add(&mut self, added: [i64; 8], places: &[u16]) -> Result<(), StoreError> {
        for (sum, more) in self.sums.iter_mut().zip(added) {
            *sum = sum.checked_add(more).ok_or(StoreError::Corrupt("usage that cannot be added up"))?;
        }
        self.places.extend_from_slice(places);
        Ok(())
    }

    pub(super) const fn sums(&self) -> [i64; 8] {
        self.sums
    }

    /// The places as they are kept.
    pub(super) fn offsets(&self) -> String {
        let mut list = String::with_capacity(self.places.len() * 6);
        for place in &self.places {
            separate(&mut list);
            number(&mut list, *place);
        }
        list
    }
}

/// Adds parts up that are of the same, and brings their places into order.
fn together<'a, K: Ord>(parts: impl Iterator<Item = (K, &'a Part)>) -> Result<BTreeMap<K, Part>, StoreError> {
    let mut sums: BTreeMap<K, Part> = BTreeMap::new();
    for (of, part) in parts {
        sums.entry(of).or_default().add(part.sums, &part.places)?;
    }
    for sum in sums.values_mut() {
        sum.places.sort_unstable();
    }
    Ok(sums)
}

/// A block from its first record on.
#[derive(Clone, Debug)]
pub(crate) struct Tally {
    block: i64,
    records: i64,
    oldest: i64,
    newest: i64,
    parts: FxHashMap<Of, Part>,
    /// The names of the payers' keys.
    names: FxHashMap<i64, String>,
    /// By the upper bits of the request's key.
    requests: BTreeMap<i64, String>,
    /// Bytes of the records' texts.
    text: i64,
}

static PARTS: LazyLock<ManyRows> = LazyLock::new(|| {
    let before =
        "INSERT INTO usage_part (account, block, hour, payer, way, kind, requests, units, input, cached_input,
         cache_write, output, reasoning, took, offsets) VALUES ";
    ManyRows::new(before, 15, "")
});

static REQUESTS: LazyLock<ManyRows> =
    LazyLock::new(|| ManyRows::new("INSERT INTO usage_request (shard, block, offsets) VALUES ", 3, ""));

impl Tally {
    fn new(block: i64) -> Self {
        Self {
            block,
            records: 0,
            oldest: i64::MAX,
            newest: 0,
            parts: FxHashMap::default(),
            names: FxHashMap::default(),
            requests: BTreeMap::new(),
            text: 0,
        }
    }

    /// The tally with one more record; a record that begins a block begins a new one. `None` when what came before in its
    /// block is not known.
    pub(crate) fn with(
        tally: Option<Self>,
        id: i64,
        payer: i64,
        way: i64,
        charge: &Charge,
        record: &str,
    ) -> Result<Option<Self>, StoreError> {
        let (block, offset) = (id.div_euclid(BLOCK), id.rem_euclid(BLOCK));
        let known = tally.filter(|tally| tally.block == block && tally.records == offset);
        let Some(mut tally) = known.or_else(|| (offset == 0).then(|| Self::new(block))) else {
            return Ok(None);
        };
        let outcome = &charge.outcome;
        let (ended, tokens) = (outcome.ended.millis(), &outcome.tokens);
        let (hour, kind) = (ended - ended % HOUR, UsageKind::of(charge).number());
        let added = [
            1,
            outcome.units.get(),
            count(tokens.input),
            count(tokens.cached_input),
            count(tokens.cache_write),
            count(tokens.output),
            count(tokens.reasoning),
            took(charge),
        ];
        let place = u16::try_from(offset).map_err(|_| StoreError::Corrupt("a block that is too long"))?;
        let part = tally.parts.entry((charge.context.account.0, hour, payer, way, kind)).or_default();
        if part.places.is_empty() {
            tally.names.entry(payer).or_insert_with(|| charge.context.key_name.clone());
        }
        part.add(added, &[place])?;
        tally.text = tally.text.saturating_add(i64::try_from(record.len()).unwrap_or(i64::MAX));
        let key = request_key(&charge.context.request_id);
        let shard = tally.requests.entry(key >> 16).or_default();
        separate(shard);
        number(shard, key & 0xffff);
        shard.push(':');
        number(shard, offset);
        tally.records += 1;
        (tally.oldest, tally.newest) = (tally.oldest.min(ended), tally.newest.max(ended));
        Ok(Some(tally))
    }

    /// Whether this is the whole of `block`.
    pub(crate) const fn is_all_of(&self, block: i64) -> bool {
        self.block == block && self.records == BLOCK
    }

    /// Writes the sums and the index of a whole block.
    pub(crate) async fn close(&self, tx: &mut Tx) -> Result<(), StoreError> {
        let all = together(
            self.parts.iter().map(|((_, hour, _, way, kind), part)| ((0, *hour, 0, *way, *kind), part)),
        )?;
        let mut parts: Vec<(&Of, &Part)> = self.parts.iter().chain(&all).collect();
        parts.sort_unstable_by_key(|(of, _)| **of);
        for (sql, rows) in PARTS.split(tx.engine(), &parts) {
            let mut query = tx.query(sql);
            for ((account, hour, payer, way, kind), part) in rows {
                for number in [account, &self.block, hour, payer, way, kind].into_iter().chain(&part.sums) {
                    query = query.bind(*number);
                }
                query = query.bind(part.offsets());
            }
            query.execute().await?;
        }
        let named = self.parts.iter().filter_map(|((_, hour, payer, way, kind), part)| {
            Some(((self.names.get(payer)?.as_str(), *hour, *way, *kind), part))
        });
        by_name::write(tx, self.block, &together(named)?).await?;
        let requests: Vec<(&i64, &String)> = self.requests.iter().collect();
        for (sql, rows) in REQUESTS.split(tx.engine(), &requests) {
            let mut query = tx.query(sql);
            for (shard, offsets) in rows {
                query = query.bind(**shard).bind(self.block).bind(offsets.as_str());
            }
            query.execute().await?;
        }
        let bytes = self.text.saturating_add(beside(tx.engine()).saturating_mul(self.records));
        tx.query(
            "INSERT INTO usage_block (block, requests, oldest, newest, bytes) VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(self.block)
        .bind(self.records)
        .bind(self.oldest)
        .bind(self.newest)
        .bind(bytes)
        .execute()
        .await?;
        Ok(())
    }
}

fn separate(list: &mut String) {
    if !list.is_empty() {
        list.push(',');
    }
}

fn number(list: &mut String, number: impl itoa::Integer) {
    list.push_str(itoa::Buffer::new().format(number));
}
