//! Jobs: what is held for them, and what their end leaves, once and whatever happens between.

use ledger::{Applied, Book, Draw};
use model::{
    id::{CredentialId, LeaseId, PoolId, PriceId},
    key::{ApiKey, Settings, Status},
    money::Units,
    price::{Price, Rates, UnitsPerMillion},
    usage::UsageOutcome,
};
use store::{Job, JobEnd, JobFilter, JobState, KeyChange, NewJob, Page, Told, UsageFilter};

use crate::fixture::{self, Fixture, JOURNAL, at, batch, charge};

const PAGE: Page = Page { number: 1, size: 10 };

struct Begun {
    fixture: Fixture,
    key: ApiKey,
    balance: PoolId,
    draws: [Draw; 2],
}

/// An account with 1 000 units and a key with 100, leased to a journal.
async fn begin() -> Begun {
    let fixture = super::open().await;
    let account = fixture.account("ada", Some(1_000)).await;
    let key = fixture.key(account.id, 1, 100, Settings::default()).await.key;
    assert_eq!(fixture.store.open_journal(JOURNAL).await.unwrap().applied, 0);
    let mut draws = Vec::new();
    for pool in [key.pool, account.pool] {
        let lease = fixture::lease(&fixture.store, JOURNAL, pool, 1).await.lease;
        draws.push(Draw { pool, lease });
    }
    let draws = draws.try_into().unwrap();
    Begun { fixture, key, balance: account.pool, draws }
}

fn told(state: JobState) -> Told {
    Told { state, progress: 0, answer: "{}".to_owned() }
}

impl Begun {
    fn job(&self, seq: u64, held: i64) -> NewJob {
        let [key, account] = self.draws.map(|draw| (draw.pool, draw.lease));
        let charge = charge(seq, &self.key, [key, account], 0);
        NewJob {
            name: format!("video_{seq}"),
            charge: charge.id,
            draws: self.draws,
            held: Units::new(held),
            seconds: 4,
            context: charge.context,
            price: Price {
                per_second: UnitsPerMillion(10_000_000),
                ..Price::listed(PriceId(1), Rates::default())
            },
            credential: CredentialId(2),
            upstream: "theirs".to_owned(),
            action: "generate",
            told: told(JobState::Queued),
            next_poll: at(10),
        }
    }

    async fn started(&self, seq: u64, held: i64) -> Job {
        self.fixture.store.begin_job(&self.job(seq, held)).await.unwrap();
        self.fixture.assert_sound().await;
        self.fixture.store.job(self.key.account, &format!("video_{seq}")).await.unwrap().unwrap()
    }

    async fn end(&self, job: &Job, units: i64, state: JobState) -> bool {
        let outcome: UsageOutcome = charge(1, &self.key, [(PoolId(1), LeaseId(0)); 2], units).outcome;
        let end = JobEnd { told: told(state), made: 3, outcome };
        let ended = self.fixture.store.end_job(job, &end).await.unwrap();
        self.fixture.assert_sound().await;
        ended
    }

    async fn pools(&self) -> [[i64; 5]; 2] {
        [self.fixture.pool(self.key.pool).await, self.fixture.pool(self.balance).await]
    }

    async fn set_quota(&self, quota: i64) {
        let change = KeyChange {
            settings: self.key.settings.clone(),
            status: Status::Enabled,
            quota: Some(Units::new(quota)),
        };
        self.fixture.store.update_key(self.key.account, self.key.id, &change, at(2)).await.unwrap();
        self.fixture.assert_sound().await;
    }
}

#[tokio::test]
async fn a_job_is_held_once_and_charged_once() {
    let begun = begin().await;
    let job = begun.started(1, 40).await;
    assert_eq!(begun.pools().await, [[100, 0, 60, 40, 0], [1_000, 0, 960, 40, 0]]);
    begun.started(1, 40).await;
    assert_eq!(begun.pools().await, [[100, 0, 60, 40, 0], [1_000, 0, 960, 40, 0]], "once");

    // The journal goes on, and its end takes nothing from the job.
    let draws = begun.draws.map(|draw| (draw.pool, draw.lease));
    let applied = begun.fixture.store.apply(&batch(0, 10, vec![charge(2, &begun.key, draws, 5)])).await;
    assert_eq!(applied, Ok(Applied::Now));
    begun.fixture.store.close_leases(fixture::node(JOURNAL)).await.unwrap();
    assert_eq!(begun.pools().await, [[100, 5, 0, 40, 55], [1_000, 5, 0, 40, 955]]);

    assert!(begun.end(&job, 30, JobState::Completed).await);
    assert_eq!(begun.pools().await, [[100, 35, 0, 0, 65], [1_000, 35, 0, 0, 965]]);
    assert!(!begun.end(&job, 30, JobState::Completed).await, "once");
    assert_eq!(begun.pools().await, [[100, 35, 0, 0, 65], [1_000, 35, 0, 0, 965]]);
    let filter = UsageFilter { account: Some(begun.key.account), ..UsageFilter::default() };
    let (records, total) = begun.fixture.store.usage(&filter, 0, 10).await.unwrap();
    assert_eq!((records.first().map(|record| record.units), total), (Some(Units::new(30)), 2));
}

#[tokio::test]
async fn a_failed_job_returns_all() {
    let begun = begin().await;
    let job = begun.started(1, 100).await;
    assert!(begun.end(&job, 0, JobState::Failed).await);
    assert_eq!(begun.pools().await, [[100, 0, 0, 0, 100], [1_000, 0, 900, 0, 100]]);
}

/// What is set remains from that moment on: a job that was begun before neither takes from it nor adds to it.
#[tokio::test]
async fn an_edit_of_the_quota_is_exact_whatever_a_job_costs() {
    let begun = begin().await;
    let earlier = begun.started(1, 40).await;
    begun.set_quota(7).await;
    assert_eq!(begun.fixture.pool(begun.key.pool).await, [7, 0, 0, 0, 7]);
    // This one was held before the edit, and is begun after it.
    let between = begun.started(2, 20).await;
    assert_eq!(begun.fixture.pool(begun.key.pool).await, [7, 0, 0, 0, 7]);
    assert!(begun.end(&earlier, 30, JobState::Completed).await);
    assert!(begun.end(&between, 20, JobState::Completed).await);
    assert_eq!(begun.pools().await, [[57, 50, 0, 0, 7], [1_000, 50, 940, 0, 10]]);
}

/// The same where the database has lost the lease, and the quota is set before its node has spoken.
#[tokio::test]
async fn a_job_on_a_lost_lease_takes_nothing_from_a_quota_that_was_set_since() {
    let begun = begin().await;
    let gone = "DELETE FROM lease WHERE id = $1";
    let lost = begun.draws[0].lease.0;
    sqlx::query(gone).bind(lost).execute(&mut begun.fixture.raw().await).await.unwrap();
    let free = "UPDATE pool SET available = available + leased, leased = 0 WHERE id = $1";
    sqlx::query(free).bind(begun.key.pool.0).execute(&mut begun.fixture.raw().await).await.unwrap();
    begun.set_quota(7).await;
    let job = begun.started(1, 40).await;
    assert_eq!(begun.fixture.pool(begun.key.pool).await, [7, 0, 0, 0, 7]);
    assert!(begun.end(&job, 30, JobState::Completed).await);
    assert_eq!(begun.fixture.pool(begun.key.pool).await, [37, 30, 0, 0, 7]);
}

#[tokio::test]
async fn a_pool_without_a_limit_is_only_counted() {
    let mut begun = begin().await;
    begun.draws[0].lease = LeaseId(0);
    let job = begun.started(1, 40).await;
    assert_eq!(begun.fixture.pool(begun.key.pool).await, [100, 0, 100, 0, 0]);
    assert!(begun.end(&job, 30, JobState::Completed).await);
    assert_eq!(begun.fixture.pool(begun.key.pool).await, [130, 30, 100, 0, 0]);
}

#[tokio::test]
async fn jobs_are_listed_for_their_account_and_taken_when_they_are_due() {
    let begun = begin().await;
    let (store, account) = (&begun.fixture.store, begun.key.account);
    let first = begun.started(1, 10).await;
    begun.started(2, 10).await;
    let stranger = begun.fixture.account("eve", Some(1)).await.id;
    assert!(store.job(stranger, "video_1").await.unwrap().is_none());
    assert_eq!(store.jobs(stranger, &JobFilter::default(), PAGE).await.unwrap().1, 0);
    let (jobs, total) = store.jobs(account, &JobFilter::default(), PAGE).await.unwrap();
    let names: Vec<&str> = jobs.iter().map(|job| job.name.as_str()).collect();
    assert_eq!((names, total), (vec!["video_2", "video_1"], 2));
    let queued = JobFilter { state: Some(JobState::Completed), ..JobFilter::default() };
    assert_eq!(store.jobs(account, &queued, PAGE).await.unwrap().1, 0);

    assert_eq!(store.take_due_jobs(at(9), at(20), 10).await.unwrap().len(), 0);
    assert_eq!(store.take_due_jobs(at(10), at(20), 1).await.unwrap().len(), 1);
    assert_eq!(store.take_due_jobs(at(10), at(20), 10).await.unwrap().len(), 1, "the other one");
    assert_eq!(store.take_due_jobs(at(10), at(20), 10).await.unwrap().len(), 0);
    store.miss_job(first.id, true, at(15)).await.unwrap();
    let missed = store.take_due_jobs(at(15), at(20), 10).await.unwrap();
    assert_eq!(missed.iter().map(|job| (job.misses, job.polls)).collect::<Vec<_>>(), [(1, 1)]);
    store.note_job(first.id, &told(JobState::InProgress), at(30)).await.unwrap();
    let noted = store.job(account, "video_1").await.unwrap().unwrap();
    assert_eq!((noted.told.state, noted.misses, noted.polls), (JobState::InProgress, 0, 2));
    assert!(begun.end(&noted, 0, JobState::Failed).await);
    assert_eq!(store.take_due_jobs(at(90), at(99), 10).await.unwrap().len(), 1, "the one that goes on");

    store.delete_job(first.id).await.unwrap();
    assert!(store.job(account, "video_1").await.unwrap().is_none());
    assert_eq!(store.jobs_after(account, None, false, 10).await.unwrap().len(), 1);
    assert_eq!(store.jobs(account, &JobFilter::default(), PAGE).await.unwrap().1, 2);
}
