//! What asking costs: lists, sums and exports of the records that were written.

use std::time::Instant;

use model::{
    clock::Timestamp,
    id::{AccountId, ChannelId},
};
use store::{Store, UsageFilter, UsageKind};

use crate::{BEGIN, DAY, Outcome};

/// Whose records are asked for.
pub(crate) struct Who {
    /// The account with the most of them.
    pub(crate) large: Option<AccountId>,
    /// One with as many as most have.
    pub(crate) small: Option<AccountId>,
}

fn any() -> UsageFilter {
    UsageFilter::default()
}

fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn day(day: i64) -> Option<Timestamp> {
    Some(Timestamp::from_millis(BEGIN + day * DAY + 1_234_567))
}

/// The median of five runs, and the first, which may find nothing in memory.
async fn time<T>(what: &str, run: impl AsyncFn() -> Outcome<T>, say: impl Fn(&T) -> String) -> Outcome<()> {
    let mut times = Vec::new();
    let mut said = String::new();
    for _ in 0..5 {
        let begun = Instant::now();
        let answer = run().await?;
        times.push(begun.elapsed().as_secs_f64() * 1e3);
        said = say(&answer);
    }
    let first = times.first().copied().unwrap_or_default();
    times.sort_by(f64::total_cmp);
    println!("{what}: {:.1} ms (first {first:.1}), {said}", times.get(2).copied().unwrap_or_default());
    Ok(())
}

async fn list(store: &Store, what: &str, filter: UsageFilter, skip: i64) -> Outcome<()> {
    let run = async || Ok(store.usage(&filter, skip, 100).await?);
    time(&format!("list {what}"), run, |(found, total)| format!("{} of {total}", found.len())).await
}

async fn sum(store: &Store, what: &str, filter: UsageFilter) -> Outcome<()> {
    let run = async || Ok(store.usage_sums(&filter).await?);
    time(&format!("stat {what}"), run, |sums| format!("{} requests, {} units", sums.requests, sums.units))
        .await
}

async fn export(store: &Store, what: &str, filter: UsageFilter) -> Outcome<()> {
    let begun = Instant::now();
    let mut walk = store.usage_walk(filter).await?;
    let mut rows = 0;
    loop {
        let step = walk.step().await?.len();
        rows += step;
        if step == 0 {
            break;
        }
    }
    println!("export {what}: {:.1} ms, {rows} records", begun.elapsed().as_secs_f64() * 1e3);
    Ok(())
}

/// Asks everything that is measured, of `all` records.
pub(crate) async fn ask(store: &Store, all: u64, who: &Who) -> Outcome<()> {
    let deep = i64::try_from(all / 2)?;
    lists_by_place(store, deep, who).await?;
    lists_by_filter(store, who).await?;
    find(store, deep).await?;
    sums(store, who).await?;
    sums_by_name(store).await?;
    export(store, "of a common account", UsageFilter { account: who.small, ..any() }).await?;
    export(store, "of the largest account", UsageFilter { account: who.large, ..any() }).await?;
    Ok(())
}

async fn lists_by_place(store: &Store, deep: i64, who: &Who) -> Outcome<()> {
    list(store, "of all accounts", any(), 0).await?;
    list(store, "of all accounts, the middle page", any(), deep).await?;
    list(store, "of the largest account", UsageFilter { account: who.large, ..any() }, 0).await?;
    list(store, "of the largest account, a late page", UsageFilter { account: who.large, ..any() }, deep / 4)
        .await?;
    list(store, "of a common account", UsageFilter { account: who.small, ..any() }, 0).await?;
    list(
        store,
        "of a common account, by model",
        UsageFilter { account: who.small, model: text("qwen3"), ..any() },
        0,
    )
    .await?;
    Ok(())
}

async fn lists_by_filter(store: &Store, who: &Who) -> Outcome<()> {
    list(store, "of all, a rare model", UsageFilter { model: text("rare-model"), ..any() }, 0).await?;
    list(
        store,
        "of the largest, a rare model",
        UsageFilter { account: who.large, model: text("rare-%"), ..any() },
        0,
    )
    .await?;
    list(store, "of all, by key name", UsageFilter { key_name: text("tests"), ..any() }, 0).await?;
    list(
        store,
        "of all, errors of a channel",
        UsageFilter { kind: Some(UsageKind::Error), channel: Some(ChannelId(3)), ..any() },
        0,
    )
    .await?;
    list(store, "of all, three days", UsageFilter { from: day(9), until: day(12), ..any() }, 0).await?;
    list(
        store,
        "of the largest, three days, premium",
        UsageFilter { account: who.large, group: text("premium"), from: day(9), until: day(12), ..any() },
        0,
    )
    .await?;
    list(
        store,
        "of the largest, keyword",
        UsageFilter { account: who.large, keyword: text("opus"), ..any() },
        0,
    )
    .await?;
    Ok(())
}

async fn find(store: &Store, deep: i64) -> Outcome<()> {
    let (middle, _) = store.usage(&any(), deep, 1).await?;
    let id = middle.first().ok_or("no record")?.request_id.clone();
    let run = async || Ok(store.usage_of_request(&any(), &id).await?);
    time("find a request id", run, |found| format!("{} found", found.len())).await
}

async fn sums(store: &Store, who: &Who) -> Outcome<()> {
    sum(store, "of all accounts", any()).await?;
    sum(store, "of all, three days", UsageFilter { from: day(9), until: day(12), ..any() }).await?;
    sum(store, "of the largest account", UsageFilter { account: who.large, ..any() }).await?;
    sum(store, "of a common account", UsageFilter { account: who.small, ..any() }).await?;
    sum(store, "of all, by key name", UsageFilter { key_name: text("tests"), ..any() }).await?;
    sum(
        store,
        "of all, by key name, three days",
        UsageFilter { key_name: text("tests"), from: day(9), until: day(12), ..any() },
    )
    .await?;
    sum(
        store,
        "of the largest, three days, a model",
        UsageFilter { account: who.large, model: text("grok-4"), from: day(9), until: day(12), ..any() },
    )
    .await?;
    Ok(())
}

async fn sums_by_name(store: &Store) -> Outcome<()> {
    let named = || UsageFilter { key_name: text("tests"), ..any() };
    sum(store, "of all, by key name and model", UsageFilter { model: text("grok-4"), ..named() }).await?;
    sum(store, "of all, by a part of the key name", UsageFilter { key_name: text("t%s"), ..any() }).await?;
    for (what, filter) in [("of all", any()), ("of all, by key name", named())] {
        let run = async || Ok(store.usage_hours(&filter).await?);
        time(&format!("stat {what}, by hour and model"), run, |hours| format!("{} rows", hours.len()))
            .await?;
    }
    Ok(())
}
