//! The two tables of what repeats in usage records, and what this process remembers of them.

use std::{
    borrow::Cow,
    hash::{Hash, Hasher},
};

use ledger::Charge;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use crate::{database::Tx, sql::Run, store::StoreError};

/// Entries of one kind that are remembered; beyond that everything is forgotten and read again.
const REMEMBERED: usize = 1 << 16;

#[derive(Clone, Debug, PartialEq, Eq)]
struct Payer<'a> {
    account: i64,
    key: i64,
    key_name: Cow<'a, str>,
    key_pool: i64,
    account_pool: i64,
}

/// By its numbers alone: a name is the user's, who could choose many that fall together.
impl Hash for Payer<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_i64(self.key);
        state.write_i64(self.key_pool);
    }
}

impl<'a> Payer<'a> {
    fn of(charge: &'a Charge) -> Self {
        let pool = |index: usize| charge.draws.get(index).map_or(0, |draw| draw.pool.0);
        Self {
            account: charge.context.account.0,
            key: charge.context.key.0,
            key_name: Cow::Borrowed(&charge.context.key_name),
            key_pool: pool(0),
            account_pool: pool(1),
        }
    }

    fn owned(self) -> Payer<'static> {
        Payer { key_name: Cow::Owned(self.key_name.into_owned()), ..self }
    }

    async fn intern(&self, tx: &mut Tx) -> Result<i64, StoreError> {
        Ok(tx
            .query(
                "INSERT INTO usage_payer (account, api_key, key_name, key_pool, account_pool)
             VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (account, api_key, key_name, key_pool, account_pool)
             DO UPDATE SET account = excluded.account RETURNING id",
            )
            .bind(self.account)
            .bind(self.key)
            .bind(self.key_name.as_ref())
            .bind(self.key_pool)
            .bind(self.account_pool)
            .scalar()
            .await?)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Way<'a> {
    model: Cow<'a, str>,
    group: Cow<'a, str>,
    channel: i64,
    upstream_model: Cow<'a, str>,
    door: Cow<'a, str>,
    stream: bool,
    price: i64,
    ratio: i64,
}

impl<'a> Way<'a> {
    fn of(charge: &'a Charge) -> Self {
        let context = &charge.context;
        Self {
            model: Cow::Borrowed(&context.model),
            group: Cow::Borrowed(&context.group),
            channel: context.channel.0,
            upstream_model: Cow::Borrowed(&context.upstream_model),
            door: Cow::Borrowed(&context.door),
            stream: context.stream,
            price: context.price.0,
            ratio: context.ratio.0,
        }
    }

    fn owned(self) -> Way<'static> {
        let own = |text: Cow<'a, str>| Cow::Owned(text.into_owned());
        Way {
            model: own(self.model),
            group: own(self.group),
            channel: self.channel,
            upstream_model: own(self.upstream_model),
            door: own(self.door),
            stream: self.stream,
            price: self.price,
            ratio: self.ratio,
        }
    }

    async fn intern(&self, tx: &mut Tx) -> Result<i64, StoreError> {
        Ok(tx.query(
            "INSERT INTO usage_way (model, price_group, channel, upstream_model, door, stream, price, ratio)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
             ON CONFLICT (model, price_group, channel, upstream_model, door, stream, price, ratio)
             DO UPDATE SET model = excluded.model RETURNING id",
        )
        .bind(self.model.as_ref())
        .bind(self.group.as_ref())
        .bind(self.channel)
        .bind(self.upstream_model.as_ref())
        .bind(self.door.as_ref())
        .bind(i64::from(self.stream))
        .bind(self.price)
        .bind(self.ratio)
        .scalar()
        .await?)
    }
}

/// What is remembered. Only what was committed is, and entries never change. The texts of ways are operators'.
#[derive(Debug, Default)]
pub(crate) struct Names {
    payers: Mutex<FxHashMap<Payer<'static>, i64>>,
    ways: Mutex<FxHashMap<Way<'static>, i64>>,
}

/// What a transaction has looked up; it is remembered once the transaction is committed.
#[derive(Debug, Default)]
pub(crate) struct Learned {
    payers: FxHashMap<Payer<'static>, i64>,
    ways: FxHashMap<Way<'static>, i64>,
}

impl Names {
    /// The numbers of a charge's payer and way.
    pub(super) async fn of(
        &self,
        tx: &mut Tx,
        learned: &mut Learned,
        charge: &Charge,
    ) -> Result<(i64, i64), StoreError> {
        let (payer, way) = (Payer::of(charge), Way::of(charge));
        let known = self.payer(&payer).or_else(|| find_payer(&learned.payers, &payer));
        let payer_id = match known {
            Some(id) => id,
            None => {
                let id = payer.intern(tx).await?;
                learned.payers.insert(payer.owned(), id);
                id
            }
        };
        let known = self.way(&way).or_else(|| find_way(&learned.ways, &way));
        let way_id = match known {
            Some(id) => id,
            None => {
                let id = way.intern(tx).await?;
                learned.ways.insert(way.owned(), id);
                id
            }
        };
        Ok((payer_id, way_id))
    }

    fn payer(&self, payer: &Payer<'_>) -> Option<i64> {
        find_payer(&self.payers.lock(), payer)
    }

    fn way(&self, way: &Way<'_>) -> Option<i64> {
        find_way(&self.ways.lock(), way)
    }

    /// Forgets everything.
    pub(crate) fn forget(&self) {
        self.payers.lock().clear();
        self.ways.lock().clear();
    }

    /// Remembers what a committed transaction has looked up.
    pub(crate) fn remember(&self, learned: Learned) {
        keep(&mut self.payers.lock(), learned.payers);
        keep(&mut self.ways.lock(), learned.ways);
    }
}

fn find_payer<'a>(map: &FxHashMap<Payer<'a>, i64>, payer: &Payer<'a>) -> Option<i64> {
    map.get(payer).copied()
}

fn find_way<'a>(map: &FxHashMap<Way<'a>, i64>, way: &Way<'a>) -> Option<i64> {
    map.get(way).copied()
}

fn keep<K: Eq + Hash>(map: &mut FxHashMap<K, i64>, new: FxHashMap<K, i64>) {
    if map.len() + new.len() > REMEMBERED {
        map.clear();
    }
    map.extend(new);
}
