//! The ledger's book: leases, and the journal's way into pools and usage records.

use std::{
    collections::{BTreeMap, HashMap},
    sync::LazyLock,
};

use ledger::{Applied, Batch, Book, BookError, Charge, Draw, LeaseState};
use model::{
    id::{JournalId, LeaseId, PoolId},
    money::Units,
};

use crate::{
    database::Tx,
    rows::ManyRows,
    sql::Run,
    store::{Store, StoreError},
    usage::{self, Learned, Tally},
};

/// What is wrong with charges whose sum is no number.
const TOO_MANY: &str = "charges that cannot be added up";

fn unavailable(error: impl Into<StoreError>) -> BookError {
    BookError::Unavailable(error.into().to_string())
}

impl Book for Store {
    async fn open_journal(&self, journal: JournalId) -> Result<u64, BookError> {
        self.register(journal).await.map_err(unavailable)
    }

    async fn lease(&self, journal: JournalId, pool: PoolId, _: Units) -> Result<LeaseState, BookError> {
        self.extend_lease(journal, pool).await.map_err(unavailable)?.ok_or(BookError::UnknownPool)
    }

    async fn apply(&self, batch: &Batch) -> Result<Applied, BookError> {
        self.apply_batch(batch).await.map_err(unavailable)
    }

    async fn return_leases(&self, journal: JournalId, leases: &[Draw]) -> Result<(), BookError> {
        self.return_some(journal, leases).await.map_err(unavailable)
    }

    async fn close_leases(&self, journal: JournalId) -> Result<(), BookError> {
        self.return_all(journal).await.map_err(unavailable)
    }
}

impl Store {
    async fn register(&self, journal: JournalId) -> Result<u64, StoreError> {
        let mut tx = self.write().await?;
        let applied: i64 = tx
            .query(
                "INSERT INTO journal (name, epoch, applied) VALUES ($1, 1, 0)
             ON CONFLICT (name) DO UPDATE SET epoch = journal.epoch + 1 RETURNING applied",
            )
            .bind(journal.to_string())
            .scalar()
            .await?;
        tx.commit().await?;
        Ok(applied.unsigned_abs())
    }

    async fn extend_lease(&self, journal: JournalId, pool: PoolId) -> Result<Option<LeaseState>, StoreError> {
        let mut tx = self.write().await?;
        let found: Option<(i64, i64)> = tx
            .query("SELECT available, unlimited FROM pool WHERE id = $1")
            .bind(pool.0)
            .fetch_optional()
            .await?;
        let Some((available, unlimited)) = found else { return Ok(None) };
        if unlimited != 0 {
            let lease = LeaseId(0);
            return Ok(Some(LeaseState {
                lease,
                amount: Units::ZERO,
                unlimited: true,
                available: Units::new(available),
            }));
        }
        let journal = journal_row(&mut tx, journal).await?;
        tx.query("UPDATE pool SET available = 0, leased = leased + $2 WHERE id = $1")
            .bind(pool.0)
            .bind(available)
            .execute()
            .await?;
        let (lease, amount): (i64, i64) = tx
            .query(
                "INSERT INTO lease (pool, journal, amount, spent, state) VALUES ($1, $2, $3, 0, 'open')
             ON CONFLICT (pool, journal) WHERE state = 'open'
             DO UPDATE SET amount = lease.amount + excluded.amount RETURNING id, amount",
            )
            .bind(pool.0)
            .bind(journal)
            .bind(available)
            .fetch_one()
            .await?;
        tx.commit().await?;
        Ok(Some(LeaseState {
            lease: LeaseId(lease),
            amount: Units::new(amount),
            unlimited: false,
            available: Units::ZERO,
        }))
    }

    async fn apply_batch(&self, batch: &Batch) -> Result<Applied, StoreError> {
        let mut tx = self.write().await?;
        let number = |seq| i64::try_from(seq).unwrap_or(i64::MAX);
        let moved = tx
            .query("UPDATE journal SET applied = $3 WHERE name = $1 AND applied = $2")
            .bind(batch.journal.to_string())
            .bind(number(batch.from))
            .bind(number(batch.to))
            .execute()
            .await?;
        if moved == 0 {
            let cursor: i64 = tx
                .query("SELECT applied FROM journal WHERE name = $1")
                .bind(batch.journal.to_string())
                .scalar()
                .await?;
            return Ok(Applied::Already(cursor.unsigned_abs()));
        }
        let journal = journal_row(&mut tx, batch.journal).await?;
        let booked = self.book_charges(&mut tx, journal, &batch.charges).await?;
        tx.commit().await?;
        self.booked(booked);
        Ok(Applied::Now)
    }

    /// Writes charges: their records, and what they move in their pools.
    pub(crate) async fn book_charges(
        &self,
        tx: &mut Tx,
        journal: i64,
        charges: &[Charge],
    ) -> Result<Booked, StoreError> {
        let mut draws: BTreeMap<(PoolId, LeaseId), i64> = BTreeMap::new();
        let mut used: BTreeMap<i64, i64> = BTreeMap::new();
        let mut overrun = 0_i64;
        for charge in charges {
            add(&mut draws, charge)?;
            let last = used.entry(charge.context.key.0).or_default();
            *last = (*last).max(charge.outcome.ended.millis());
            overrun = overrun.saturating_add(charge.outcome.overrun.get().max(0));
        }
        // Taken out: what a failed transaction has added up must not be gone on with.
        let tally = self.tally().lock().take();
        let (learned, tally) = usage::write::append(tx, self.names(), tally, journal, charges).await?;
        draw(tx, &draws).await?;
        if overrun > 0 {
            usage::write::add_overrun(tx, overrun).await?;
        }
        touch(tx, used).await?;
        Ok(Booked { learned, tally })
    }

    /// Takes in what a transaction has learnt that is committed now.
    pub(crate) fn booked(&self, booked: Booked) {
        self.names().remember(booked.learned);
        *self.tally().lock() = booked.tally;
    }

    async fn return_some(&self, journal: JournalId, leases: &[Draw]) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        let journal = journal_row(&mut tx, journal).await?;
        let mut rests = Vec::with_capacity(leases.len());
        for (sql, rows) in CLOSE.split(tx.engine(), leases) {
            let mut query = tx.query(sql);
            for draw in rows {
                query = query.bind(draw.pool.0).bind(draw.lease.0).bind(journal);
            }
            rests.extend(query.fetch_all::<(i64, i64)>().await?);
        }
        for (sql, rows) in GIVE_BACK.split(tx.engine(), &rests) {
            let mut query = tx.query(sql);
            for (pool, rest) in rows {
                query = query.bind(*pool).bind(*rest);
            }
            query.execute().await?;
        }
        // The newest closed lease of a pool is kept, so that a charge that came too late would be named for what it is;
        // those before it would only grow in number.
        for (sql, rows) in OUTLIVED.split(tx.engine(), leases) {
            let mut query = tx.query(sql);
            for draw in rows {
                query = query.bind(draw.pool.0).bind(draw.lease.0).bind(journal);
            }
            query.execute().await?;
        }
        tx.commit().await?;
        Ok(())
    }

    async fn return_all(&self, journal: JournalId) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        let journal = journal_row(&mut tx, journal).await?;
        tx.query(
            "UPDATE pool SET
                leased = leased - (SELECT amount - spent FROM lease
                    WHERE lease.pool = pool.id AND journal = $1 AND state = 'open'),
                available = available + (SELECT amount - spent FROM lease
                    WHERE lease.pool = pool.id AND journal = $1 AND state = 'open')
             WHERE id IN (SELECT pool FROM lease WHERE journal = $1 AND state = 'open')",
        )
        .bind(journal)
        .execute()
        .await?;
        tx.query("UPDATE lease SET state = 'closed' WHERE journal = $1 AND state = 'open'")
            .bind(journal)
            .execute()
            .await?;
        tx.commit().await?;
        Ok(())
    }
}

/// What a transaction has learnt, to be remembered once it is committed.
pub(crate) struct Booked {
    learned: Learned,
    tally: Option<Tally>,
}

async fn journal_row(tx: &mut Tx, journal: JournalId) -> Result<i64, StoreError> {
    Ok(tx.query("SELECT id FROM journal WHERE name = $1").bind(journal.to_string()).scalar().await?)
}

fn add(draws: &mut BTreeMap<(PoolId, LeaseId), i64>, charge: &Charge) -> Result<(), StoreError> {
    for draw in &charge.draws {
        let sum = draws.entry((draw.pool, draw.lease)).or_default();
        let units = charge.outcome.units.get();
        *sum = sum.checked_add(units).ok_or(StoreError::Corrupt(TOO_MANY))?;
    }
    Ok(())
}

static CLOSE: LazyLock<ManyRows> = LazyLock::new(|| {
    ManyRows::new(
        "WITH gone (pool, lease, journal) AS (VALUES ",
        3,
        ") UPDATE lease SET state = 'closed' FROM gone
           WHERE lease.id = gone.lease AND lease.pool = gone.pool AND lease.journal = gone.journal
             AND lease.state = 'open'
           RETURNING lease.pool, lease.amount - lease.spent",
    )
});

static GIVE_BACK: LazyLock<ManyRows> = LazyLock::new(|| {
    ManyRows::new(
        "WITH back (pool, units) AS (VALUES ",
        2,
        ") UPDATE pool SET leased = pool.leased - back.units, available = pool.available + back.units
           FROM back WHERE pool.id = back.pool",
    )
});

static OUTLIVED: LazyLock<ManyRows> = LazyLock::new(|| {
    ManyRows::new(
        "WITH gone (pool, lease, journal) AS (VALUES ",
        3,
        ") DELETE FROM lease WHERE id IN (
             SELECT older.id FROM gone JOIN lease AS older
               ON older.pool = gone.pool AND older.journal = gone.journal AND older.state = 'closed'
             WHERE older.id < gone.lease)",
    )
});

static SPEND: LazyLock<ManyRows> = LazyLock::new(|| {
    ManyRows::new(
        "WITH draw (pool, lease, units) AS (VALUES ",
        3,
        ") UPDATE lease SET spent = spent + draw.units FROM draw
           WHERE lease.id = draw.lease AND lease.pool = draw.pool RETURNING lease.id, lease.pool, lease.state",
    )
});

static MOVE: LazyLock<ManyRows> = LazyLock::new(|| {
    ManyRows::new(
        "WITH move (pool, used, leased, suspense, granted) AS (VALUES ",
        5,
        ") UPDATE pool SET used = pool.used + move.used, leased = pool.leased - move.leased,
             suspense = pool.suspense - move.suspense, granted = pool.granted + move.granted
           FROM move WHERE pool.id = move.pool RETURNING pool.id",
    )
});

static TOUCH: LazyLock<ManyRows> = LazyLock::new(|| {
    ManyRows::new(
        "WITH touch (api_key, at) AS (VALUES ",
        2,
        ") UPDATE api_key SET accessed = touch.at FROM touch
           WHERE api_key.id = touch.api_key AND api_key.accessed <= touch.at - 60000",
    )
});

/// What charges do to one pool.
#[derive(Default)]
struct Move {
    used: i64,
    leased: i64,
    suspense: i64,
    granted: i64,
}

/// Moves what was charged from where it was reserved to used.
async fn draw(tx: &mut Tx, draws: &BTreeMap<(PoolId, LeaseId), i64>) -> Result<(), StoreError> {
    let rows: Vec<_> = draws.iter().map(|((pool, lease), units)| (*pool, *lease, *units)).collect();
    let mut states = HashMap::with_capacity(rows.len());
    // A pool without a limit is only counted: 0 is never a lease.
    let leased: Vec<_> = rows.iter().filter(|(_, lease, _)| lease.0 != 0).copied().collect();
    for (sql, rows) in SPEND.split(tx.engine(), &leased) {
        let mut query = tx.query(sql);
        for (pool, lease, units) in rows {
            query = query.bind(pool.0).bind(lease.0).bind(*units);
        }
        for (lease, pool, state) in query.fetch_all::<(i64, i64, String)>().await? {
            states.insert((PoolId(pool), LeaseId(lease)), state);
        }
    }
    let mut moves: BTreeMap<PoolId, Move> = BTreeMap::new();
    for (pool, lease, units) in rows {
        let state = states.get(&(pool, lease)).map(String::as_str);
        if state == Some("closed") {
            tracing::error!(
                pool = pool.0,
                lease = lease.0,
                units,
                "a charge came after its lease was closed"
            );
        }
        let to = moves.entry(pool).or_default();
        let from = match state {
            Some("open") => &mut to.leased,
            Some("suspense") => &mut to.suspense,
            // The pool was edited or has no limit: nothing was reserved in what it is now.
            _ => &mut to.granted,
        };
        let sum = |sum: i64| sum.checked_add(units).ok_or(StoreError::Corrupt(TOO_MANY));
        *from = sum(*from)?;
        to.used = sum(to.used)?;
    }
    let moves: Vec<(PoolId, Move)> = moves.into_iter().collect();
    for (sql, rows) in MOVE.split(tx.engine(), &moves) {
        let mut query = tx.query(sql);
        for (pool, to) in rows {
            query = query.bind(pool.0).bind(to.used).bind(to.leased).bind(to.suspense).bind(to.granted);
        }
        let there: Vec<i64> = query.scalars().await?;
        if there.len() < rows.len() {
            for (pool, to) in rows.iter().filter(|(pool, _)| !there.contains(&pool.0)) {
                // Refusing it would stop every later charge; the record is kept, and `verify` names the difference.
                tracing::error!(pool = pool.0, units = to.used, "a charge names a pool that is not there");
            }
        }
    }
    Ok(())
}

/// Notes when keys were used last, to the minute: a page written for each key in use, several times a second, would cost
/// more than the records.
async fn touch(tx: &mut Tx, used: BTreeMap<i64, i64>) -> Result<(), StoreError> {
    let used: Vec<(i64, i64)> = used.into_iter().collect();
    for (sql, rows) in TOUCH.split(tx.engine(), &used) {
        let mut query = tx.query(sql);
        for (key, at) in rows {
            query = query.bind(*key).bind(*at);
        }
        query.execute().await?;
    }
    Ok(())
}
