//! Lives of the book: another server of the database, or the same one started anew, may miss what was committed last.
//!
//! The first transaction that writes on another server than the one before begins a life, so that nothing is written that
//! does not know of it. What nodes had leased is then known to nobody but them: it stands in what is available, and none of
//! that is leased until each has said what it has ([`crate::book`]).

use crate::{book::ENDED, database::Tx, sql::Run, store::StoreError};

/// How many numbers of each kind a life leaves out: more than what was lost can have given, so that none is given twice.
const SKIPPED: i64 = 100_000;
/// What is numbered without that anybody sees it goes on with a number that is the server's own: two may take the place of the
/// same one, the second of which knows nothing of what the first has given. There is no other server where there is SQLite.
const SKIP: &str = "SELECT setval(own.name::regclass, CASE WHEN own.relation IN ('lease', 'pool', 'change')
        THEN greatest(own.last + $1, $2) ELSE own.last + $1 END)
    FROM (SELECT name, relation, coalesce(pg_sequence_last_value(name::regclass), 0) AS last
        FROM (SELECT pg_get_serial_sequence(quote_ident(t.relname), a.attname) AS name, t.relname::text AS relation
            FROM pg_class t JOIN pg_attribute a ON a.attrelid = t.oid AND a.attidentity <> ''
            WHERE t.relnamespace = current_schema()::regnamespace) AS named) AS own";

/// Begins a life on `server`.
pub(crate) async fn begin(mut tx: Tx, server: i64) -> Result<(), StoreError> {
    // It may be much that was leased, and nothing else can be done before.
    tx.take_long().await?;
    tx.query("UPDATE usage_next SET life = life + 1, server = $1 WHERE one = 1")
        .bind(server)
        .execute()
        .await?;
    tx.query(
        // No more than there is: were the books wrong in one pool, nothing at all could be written any more.
        "UPDATE pool SET leased = leased - CASE WHEN held.units < leased THEN held.units ELSE leased END,
            available = available + CASE WHEN held.units < leased THEN held.units ELSE leased END
         FROM (SELECT pool, CAST(sum(amount - spent) AS BIGINT) AS units FROM lease WHERE state = 'open' GROUP BY pool) AS held
         WHERE held.pool = pool.id",
    )
    .execute()
    .await?;
    let leases =
        tx.query("UPDATE lease SET state = 'closed', lost = 1 WHERE state = 'open'").execute().await?;
    // Each has its time from now on.
    tx.query("UPDATE journal SET seen = (SELECT millis FROM clock) WHERE seen > 0 AND suspended = 0 AND life <> $1")
        .bind(ENDED)
        .execute()
        .await?;
    tx.query("DELETE FROM wish").execute().await?;
    tx.query(SKIP).bind(SKIPPED).bind(server).execute().await?;
    // Whoever knows of changes that are lost must not take later ones for the next: the record begins anew.
    tx.query("DELETE FROM change").execute().await?;
    tx.query("INSERT INTO change (kind, id, at) VALUES (3, 0, (SELECT millis FROM clock))").execute().await?;
    tx.commit().await?;
    tracing::warn!(
        leases,
        "the database's server was started anew, or another has taken its place; every server says what it has leased"
    );
    Ok(())
}
