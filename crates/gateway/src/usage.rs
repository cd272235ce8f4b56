//! Usage records: what their account, and operators, may ask of them.

use model::{
    calendar::{DAY_MILLIS, Date},
    clock::Timestamp,
    id::{AccountId, ChannelId, KeyId},
    money::Units,
};
use store::{NewestUsage, Page, Role, UsageFilter, UsageHour, UsageKind, UsageRecord, UsageSums, UsageWalk};

use crate::{Failure, Gateway, access::Caller};

const THING: &str = "usage record";
/// Records from the first of a page on that are counted at most.
const COUNTED: i64 = 1_000;

/// Which records; what is `None` does not matter.
#[derive(Clone, Debug, Default)]
pub struct UsageQuery {
    /// What they are of: 2 a use, 5 a failure that cost nothing, 0 either; there are none of 1, 3, 4 and 6.
    pub kind: Option<i64>,
    /// The model; `%` stands for any text.
    pub model: Option<String>,
    /// The key.
    pub key: Option<KeyId>,
    /// The name that the key had; `%` stands for any text.
    pub key_name: Option<String>,
    /// The group that served.
    pub group: Option<String>,
    /// The channel that served.
    pub channel: Option<i64>,
    /// The account, by its number.
    pub account: Option<i64>,
    /// The account, by its name; `%` stands for any text.
    pub username: Option<String>,
    /// The first second; 0 for none.
    pub from: Option<i64>,
    /// The last second; 0 for none.
    pub until: Option<i64>,
    /// The request id that the caller saw.
    pub request_id: Option<String>,
    /// A text in the name of the key, the model or the group; or a request id.
    pub keyword: Option<String>,
    /// Only what follows the record with this id in a list.
    pub before: Option<i64>,
}

/// Whose records are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The caller's own.
    Own,
    /// Those of all accounts; for administrators.
    All,
}

/// A question that may be asked: `None` when nothing can fit it.
fn filter(caller: &Caller, scope: Scope, query: &UsageQuery) -> Result<Option<UsageFilter>, Failure> {
    let own = match scope {
        Scope::Own => Some(caller.account.id),
        Scope::All => {
            caller.must_be(Role::Administrator)?;
            query.account.map(AccountId)
        }
    };
    let kind = match query.kind {
        None | Some(0) => None,
        Some(2) => Some(UsageKind::Use),
        Some(5) => Some(UsageKind::Error),
        Some(1 | 3 | 4 | 6) => return Ok(None),
        Some(_) => return Err(Failure::Invalid("type must be between 0 and 6".to_owned())),
    };
    let second = |seconds: Option<i64>| seconds.filter(|seconds| *seconds != 0);
    let all_of = |seconds: i64| Timestamp::from_secs(seconds.saturating_add(1));
    Ok(Some(UsageFilter {
        account: own,
        username: query.username.clone().filter(|_| scope == Scope::All),
        key: query.key,
        key_name: query.key_name.clone(),
        model: query.model.clone(),
        group: query.group.clone(),
        channel: query.channel.map(ChannelId),
        kind,
        from: second(query.from).map(Timestamp::from_secs),
        until: second(query.until).map(all_of),
        keyword: query.keyword.clone().filter(|_| scope == Scope::Own),
        before: query.before,
    }))
}

/// Records, newest first, and how many there are in all.
///
/// # Errors
/// [`Failure::Forbidden`]; a value that is not allowed.
pub async fn list(
    gateway: &Gateway,
    caller: &Caller,
    scope: Scope,
    query: &UsageQuery,
    page: Page,
) -> Result<(Vec<UsageRecord>, i64), Failure> {
    let Some(filter) = filter(caller, scope, query)? else { return Ok((Vec::new(), 0)) };
    gateway.ledger.flush().await?;
    let skip = page.number.saturating_sub(1).saturating_mul(page.size);
    if let Some(id) = &query.request_id {
        return of_request(gateway, &filter, id, skip, page.size).await;
    }
    if let Some(id) = &query.keyword {
        let any_name = UsageFilter { keyword: None, ..filter.clone() };
        let found = of_request(gateway, &any_name, id, skip, page.size).await?;
        if found.1 > 0 {
            return Ok(found);
        }
    }
    gateway.store.usage(&filter, skip, page.size).await.map_err(|error| Failure::of(error, THING))
}

/// The newest records, as a page shows them: how many there are is counted only for a while.
///
/// # Errors
/// [`Failure::Forbidden`]; a value that is not allowed.
pub async fn newest(
    gateway: &Gateway,
    caller: &Caller,
    scope: Scope,
    query: &UsageQuery,
    page: Page,
) -> Result<NewestUsage, Failure> {
    let Some(filter) = filter(caller, scope, query)? else {
        return Ok(NewestUsage { records: Vec::new(), total: 0, more: false });
    };
    gateway.ledger.flush().await?;
    let skip = page.number.saturating_sub(1).saturating_mul(page.size);
    if let Some(id) = &query.request_id {
        let (records, total) = of_request(gateway, &filter, id, skip, page.size).await?;
        return Ok(NewestUsage { records, total, more: false });
    }
    let found = gateway.store.newest_usage(&filter, skip, page.size, COUNTED).await;
    found.map_err(|error| Failure::of(error, THING))
}

/// The newest of the caller's own records, not counted.
///
/// # Errors
/// A value that is not allowed.
pub async fn latest(
    gateway: &Gateway,
    caller: &Caller,
    query: &UsageQuery,
    limit: i64,
) -> Result<Vec<UsageRecord>, Failure> {
    let Some(filter) = filter(caller, Scope::Own, query)? else { return Ok(Vec::new()) };
    gateway.ledger.flush().await?;
    let found = gateway.store.newest_usage(&filter, 0, limit, 0).await;
    Ok(found.map_err(|error| Failure::of(error, THING))?.records)
}

async fn of_request(
    gateway: &Gateway,
    filter: &UsageFilter,
    id: &str,
    skip: i64,
    size: i64,
) -> Result<(Vec<UsageRecord>, i64), Failure> {
    let found = gateway.store.usage_of_request(filter, id).await;
    let found = found.map_err(|error| Failure::of(error, THING))?;
    let total = i64::try_from(found.len()).unwrap_or(i64::MAX);
    let count = |number: i64| usize::try_from(number).unwrap_or(usize::MAX);
    Ok((found.into_iter().skip(count(skip)).take(count(size)).collect(), total))
}

/// One record.
///
/// # Errors
/// [`Failure::Forbidden`]; [`Failure::NotFound`].
pub async fn get(gateway: &Gateway, caller: &Caller, scope: Scope, id: i64) -> Result<UsageRecord, Failure> {
    let query = UsageQuery { before: Some(id.saturating_add(1)), ..UsageQuery::default() };
    let found = newest(gateway, caller, scope, &query, Page { number: 1, size: 1 }).await?.records;
    found.into_iter().next().filter(|record| record.id == id).ok_or(Failure::NotFound(THING))
}

/// What records add up to, and what came in the last minute.
#[derive(Clone, Copy, Debug, Default)]
pub struct Totals {
    /// All that fit.
    pub sums: UsageSums,
    /// Those of the last minute, whatever the times asked for.
    pub last_minute: UsageSums,
}

/// What records add up to.
///
/// # Errors
/// [`Failure::Forbidden`]; a value that is not allowed.
pub async fn totals(
    gateway: &Gateway,
    caller: &Caller,
    scope: Scope,
    query: &UsageQuery,
) -> Result<Totals, Failure> {
    let Some(filter) = filter(caller, scope, query)? else { return Ok(Totals::default()) };
    gateway.ledger.flush().await?;
    let now = gateway.now();
    let minute = Some(Timestamp::from_millis(now.millis().saturating_sub(60_000)));
    if let Some(id) = &query.request_id {
        let found = gateway.store.usage_of_request(&filter, id).await;
        let found = found.map_err(|error| Failure::of(error, THING))?;
        let recent = found.iter().filter(|record| Some(record.ended) >= minute);
        return Ok(Totals { sums: found.iter().collect(), last_minute: recent.collect() });
    }
    let sums = gateway.store.usage_sums(&filter).await.map_err(|error| Failure::of(error, THING))?;
    let recent = UsageFilter { from: minute, until: None, ..filter };
    let last_minute = gateway.store.usage_sums(&recent).await.map_err(|error| Failure::of(error, THING))?;
    Ok(Totals { sums, last_minute })
}

/// What records add up to by hour and model, oldest first; of the last 30 days when nothing else is asked for.
///
/// # Errors
/// [`Failure::Forbidden`]; a value that is not allowed.
pub async fn by_hour(
    gateway: &Gateway,
    caller: &Caller,
    scope: Scope,
    query: &UsageQuery,
) -> Result<Vec<UsageHour>, Failure> {
    let Some(filter) = filter(caller, scope, query)? else { return Ok(Vec::new()) };
    gateway.ledger.flush().await?;
    let month = Timestamp::from_millis(gateway.now().millis().saturating_sub(30 * DAY_MILLIS));
    let filter = UsageFilter { from: filter.from.or(Some(month)), ..filter };
    gateway.store.usage_hours(&filter).await.map_err(|error| Failure::of(error, THING))
}

/// A walk over all records that fit, newest first; `None` when nothing can.
///
/// # Errors
/// [`Failure::Forbidden`]; a value that is not allowed.
pub async fn walk(
    gateway: &Gateway,
    caller: &Caller,
    scope: Scope,
    query: &UsageQuery,
) -> Result<Option<UsageWalk>, Failure> {
    let Some(filter) = filter(caller, scope, query)? else { return Ok(None) };
    gateway.ledger.flush().await?;
    let walk = match &query.request_id {
        Some(id) => gateway.store.usage_walk_of_request(filter, id).await,
        None => gateway.store.usage_walk(filter).await,
    };
    walk.map(Some).map_err(|error| Failure::of(error, THING))
}

/// The caller's month, in UTC, beside as much of the month before.
#[derive(Clone, Copy, Debug)]
pub struct Month {
    /// This month up to now.
    pub this: UsageSums,
    /// The month before, up to the same time of it.
    pub before: UsageSums,
    /// Whole days that the balance lasts at this month's rate; `None` when it has no limit or nothing was used.
    pub days_left: Option<i64>,
}

/// The caller's month.
///
/// # Errors
/// The database.
pub async fn month(gateway: &Gateway, caller: &Caller) -> Result<Month, Failure> {
    gateway.ledger.flush().await?;
    let now = gateway.now();
    let begin = Date::of(now).first_of_month().start();
    let before = Date::of(now).first_of_month_before().start();
    let elapsed = now.millis_since(begin).max(1);
    let sums = async |from: Timestamp, until: Timestamp| {
        let account = Some(caller.account.id);
        let filter = UsageFilter { account, from: Some(from), until: Some(until), ..UsageFilter::default() };
        gateway.store.usage_sums(&filter).await.map_err(|error| Failure::of(error, THING))
    };
    let this = sums(begin, Timestamp::from_millis(now.millis().saturating_add(1))).await?;
    let same = Timestamp::from_millis(before.millis().saturating_add(elapsed)).min(begin);
    let account = gateway.store.account(caller.account.id).await;
    let account = account.map_err(|error| Failure::of(error, THING))?.unwrap_or(caller.account.clone());
    let days_left = days(account.remaining, this.units, elapsed).filter(|_| !account.unlimited);
    Ok(Month { this, before: sums(before, same).await?, days_left })
}

/// How many whole days `remaining` lasts when `used` units went in `elapsed` milliseconds.
fn days(remaining: Units, used: i64, elapsed: i64) -> Option<i64> {
    let millis = i128::from(remaining.get().max(0)) * i128::from(elapsed);
    let days = millis.checked_div(i128::from(used.max(0)) * i128::from(DAY_MILLIS))?;
    Some(i64::try_from(days).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_balance_lasts_as_long_as_it_is_used_at_this_rate() {
        assert_eq!(days(Units::new(100), 10, DAY_MILLIS), Some(10));
        assert_eq!(days(Units::new(99), 10, DAY_MILLIS), Some(9));
        assert_eq!(days(Units::new(100), 10, 2 * DAY_MILLIS), Some(20));
        assert_eq!(days(Units::new(100), 0, DAY_MILLIS), None);
        assert_eq!(days(Units::MAX, 1, i64::MAX), Some(i64::MAX));
    }
}
