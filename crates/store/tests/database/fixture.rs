//! A database in a temporary file, with an account and a key in it.

use std::{convert::Infallible, net::IpAddr, path::PathBuf};

use ledger::{Batch, Charge, Draw};
use model::{
    clock::Timestamp,
    credential::{Class, Credential},
    id::{AccountId, ChannelId, ChargeId, JournalId, LeaseId, PoolId, PriceId},
    key::{ApiKey, Settings},
    money::Units,
    price::Ratio,
    usage::{Provenance, Tokens, UsageContext, UsageOutcome},
};
use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use store::{Account, KeyView, MasterKey, NewAccount, Role, Store, StoreError};
use tempfile::TempDir;

pub(crate) const JOURNAL: JournalId = JournalId(7);

pub(crate) struct Fixture {
    pub(crate) store: Store,
    pub(crate) master: MasterKey,
    directory: TempDir,
}

pub(crate) const fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

pub(crate) async fn open() -> Fixture {
    let directory = TempDir::new().unwrap();
    let master = MasterKey::generate().unwrap();
    let store = Store::open(&directory.path().join("apsis.db"), &master).await.unwrap();
    Fixture { store, master, directory }
}

impl Fixture {
    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("apsis.db")
    }

    /// The same database once more.
    pub(crate) async fn reopen(&self, master: &MasterKey) -> Result<Store, StoreError> {
        Store::open(&self.path(), master).await
    }

    /// A connection of its own, past everything that the store checks.
    pub(crate) async fn raw(&self) -> SqliteConnection {
        SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(self.path())).await.unwrap()
    }

    /// The bytes of the database and of what SQLite keeps beside it.
    pub(crate) fn files(&self) -> Vec<Vec<u8>> {
        let entries = std::fs::read_dir(self.directory.path()).unwrap();
        entries.map(|entry| std::fs::read(entry.unwrap().path()).unwrap()).collect()
    }

    pub(crate) async fn account(&self, username: &str, balance: Option<i64>) -> Account {
        let new = NewAccount {
            username: username.to_owned(),
            display_name: String::new(),
            email: String::new(),
            role: Role::Member,
            group: "default".to_owned(),
            balance: balance.map(Units::new),
        };
        self.store.create_account(new, at(1)).await.unwrap()
    }

    /// A key whose text is made of `seed`; different seeds give different keys.
    pub(crate) async fn key(&self, account: AccountId, seed: u8, quota: i64, settings: Settings) -> KeyView {
        let credential = credential(Class::ApiKey, seed);
        self.store.create_key(account, &settings, Units::new(quota), &credential, at(1)).await.unwrap()
    }

    /// What a pool's row says: granted, used, leased, suspense, available.
    pub(crate) async fn pool(&self, pool: PoolId) -> [i64; 5] {
        let row: (i64, i64, i64, i64, i64) =
            sqlx::query_as("SELECT granted, used, leased, suspense, available FROM pool WHERE id = $1")
                .bind(pool.0)
                .fetch_one(&mut self.raw().await)
                .await
                .unwrap();
        row.into()
    }

    /// That the books add up.
    pub(crate) async fn assert_sound(&self) {
        assert_eq!(self.store.verify().await.unwrap(), []);
    }
}

/// The text of a channel's first credential; empty when it has none.
pub(crate) async fn credential_of(store: &Store, channel: ChannelId) -> String {
    let usable = store.usable_credentials(channel).await.unwrap();
    usable.first().map(|(_, text)| text.to_string()).unwrap_or_default()
}

/// A credential that is made of `seed`; different seeds give different ones.
pub(crate) fn credential(class: Class, seed: u8) -> Credential {
    let mut next = seed;
    let random = |buffer: &mut [u8]| {
        next = next.wrapping_add(41);
        buffer.fill(next);
        Ok::<(), Infallible>(())
    };
    let Ok(credential) = Credential::generate(class, random);
    credential
}

/// A charge of `units` to a key and its account, at position `seq` of [`JOURNAL`].
pub(crate) fn charge(seq: u64, key: &ApiKey, draws: [(PoolId, LeaseId); 2], units: i64) -> Charge {
    Charge {
        id: ChargeId { journal: JOURNAL, seq },
        draws: draws.map(|(pool, lease)| Draw { pool, lease }).to_vec(),
        context: UsageContext {
            request_id: format!("request {seq}"),
            account: key.account,
            key: key.id,
            key_name: key.settings.name.clone(),
            group: "default".to_owned(),
            channel: ChannelId(3),
            attempt: 1,
            model: "gpt".to_owned(),
            upstream_model: "gpt-upstream".to_owned(),
            door: "/v1/chat/completions".to_owned(),
            stream: true,
            price: PriceId(1),
            ratio: Ratio::ONE,
            client: IpAddr::from([192, 0, 2, 1]),
            started: at(5),
        },
        outcome: UsageOutcome {
            tokens: Tokens {
                input: 11,
                cached_input: 12,
                cache_write: 13,
                output: 14,
                reasoning: 4,
                ..Tokens::default()
            },
            provenance: Provenance::Counted,
            units: Units::new(units),
            overrun: Units::ZERO,
            status: 200,
            error: None,
            first_byte_ms: Some(6),
            ended: at(1_000 + i64::try_from(seq).unwrap()),
        },
    }
}

/// A batch that moves the cursor of [`JOURNAL`].
pub(crate) fn batch(from: u64, to: u64, charges: Vec<Charge>) -> Batch {
    Batch { journal: JOURNAL, from, to, charges }
}
