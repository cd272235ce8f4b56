//! A database, with an account and a key in it.

use std::{convert::Infallible, net::IpAddr, path::PathBuf};

use ledger::{Ask, Batch, Book, Charge, Draw, LeaseState, Node};
use model::{
    clock::Timestamp,
    credential::{Class, Credential},
    id::{AccountId, ChannelId, ChargeId, JournalId, LeaseId, PoolId, PriceId},
    key::{ApiKey, Settings},
    money::Units,
    price::Ratio,
    usage::{Provenance, Tokens, UsageContext, UsageOutcome},
};
use sqlx::{AnyConnection, Connection, any::install_default_drivers};
use store::{
    Account, DatabaseUrl, KeyView, Location, MasterKey, NewAccount, PostgresServer, Role, Store, StoreError,
};
use tempfile::TempDir;
use testkit::Relay;

use crate::server::Database;

pub(crate) const JOURNAL: JournalId = JournalId(7);

pub(crate) struct Fixture {
    pub(crate) store: Store,
    pub(crate) master: MasterKey,
    place: Place,
}

enum Place {
    File(TempDir),
    Server(Database),
}

pub(crate) const fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

impl Place {
    fn location(&self) -> Location {
        match self {
            Self::File(directory) => Location::File(directory.path().join("apsis.db")),
            Self::Server(database) => Location::Server(database.server()),
        }
    }
}

/// What a database keeps, in pieces.
pub(crate) struct Contents(pub(crate) Vec<Vec<u8>>);

impl Contents {
    pub(crate) fn has(&self, bytes: &[u8]) -> bool {
        self.0.iter().any(|piece| piece.windows(bytes.len()).any(|window| window == bytes))
    }
}

impl Fixture {
    pub(crate) async fn on_sqlite() -> Self {
        Self::open(Place::File(TempDir::new().unwrap())).await
    }

    pub(crate) async fn on_postgres() -> Self {
        Self::open(Place::Server(Database::make().await)).await
    }

    async fn open(place: Place) -> Self {
        let master = MasterKey::generate().unwrap();
        let store = place.location().open(&master).await.unwrap();
        Self { store, master, place }
    }

    /// The file of a SQLite database.
    pub(crate) fn path(&self) -> PathBuf {
        match &self.place {
            Place::File(directory) => directory.path().join("apsis.db"),
            Place::Server(_) => panic!("a server has no path"),
        }
    }

    /// The same database once more.
    pub(crate) async fn reopen(&self, master: &MasterKey) -> Result<Store, StoreError> {
        self.location().open(master).await
    }

    /// A connection of its own, past everything that the store checks.
    pub(crate) async fn raw(&self) -> AnyConnection {
        install_default_drivers();
        let url = match &self.place {
            Place::File(_) => format!("sqlite://{}", self.path().display()),
            Place::Server(database) => database.url.clone(),
        };
        AnyConnection::connect(&url).await.unwrap()
    }

    /// Does to the database what no store would.
    pub(crate) async fn run(&self, text: &'static str) {
        sqlx::query(text).execute(&mut self.raw().await).await.unwrap();
    }

    /// One that is past what the database checks, too.
    pub(crate) async fn raw_without_rules(&self) -> AnyConnection {
        let without = match &self.place {
            Place::File(_) => "PRAGMA ignore_check_constraints = 1; PRAGMA foreign_keys = 0",
            Place::Server(_) => {
                "SET session_replication_role = replica;
                 DO $$ DECLARE rule record; BEGIN
                    FOR rule IN SELECT conrelid::regclass AS of, conname FROM pg_constraint
                        WHERE contype = 'c' AND conrelid <> 0 AND connamespace = 'public'::regnamespace
                    LOOP EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', rule.of, rule.conname); END LOOP;
                 END $$"
            }
        };
        let mut raw = self.raw().await;
        sqlx::raw_sql(without).execute(&mut raw).await.unwrap();
        raw
    }

    /// The bytes of a SQLite database and of what it keeps beside it; of a server, those of every row.
    pub(crate) async fn contents(&self) -> Contents {
        Contents(match &self.place {
            Place::File(directory) => {
                let entries = std::fs::read_dir(directory.path()).unwrap();
                entries.map(|entry| std::fs::read(entry.unwrap().path()).unwrap()).collect()
            }
            Place::Server(database) => database.rows().await,
        })
    }

    /// The server of a PostgreSQL database.
    pub(crate) fn server(&self) -> PostgresServer {
        match &self.place {
            Place::File(_) => panic!("a file has no server"),
            Place::Server(database) => database.server(),
        }
    }

    /// The URL of a PostgreSQL database.
    pub(crate) fn url(&self) -> String {
        match &self.place {
            Place::File(_) => panic!("a file has no URL"),
            Place::Server(database) => database.url.clone(),
        }
    }

    /// A relay to its server, and the URL of the same database behind it.
    pub(crate) async fn server_behind_a_relay(&self) -> (Relay, DatabaseUrl) {
        match &self.place {
            Place::File(_) => panic!("a file has no server"),
            Place::Server(database) => database.behind_a_relay().await,
        }
    }

    /// Where it is.
    pub(crate) fn location(&self) -> Location {
        self.place.location()
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
    usable.first().map(|(_, text)| text.as_ref().unwrap().to_string()).unwrap_or_default()
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

/// The first life of a journal.
pub(crate) const fn node(journal: JournalId) -> Node {
    Node { journal, epoch: 1 }
}

/// What the first life of `journal` is told when it asks for `need` units; `None` where there is no such pool.
pub(crate) async fn try_lease(
    store: &Store,
    journal: JournalId,
    pool: PoolId,
    need: i64,
) -> Option<LeaseState> {
    let (need, spending) = (Units::new(need), Units::ZERO);
    let ask = Ask { pool, need, waiting: need, spending };
    store.lease(node(journal), &[ask]).await.unwrap().into_iter().next().flatten()
}

pub(crate) async fn lease(store: &Store, journal: JournalId, pool: PoolId, need: i64) -> LeaseState {
    try_lease(store, journal, pool, need).await.unwrap()
}

/// A batch that moves the cursor of [`JOURNAL`].
pub(crate) fn batch(from: u64, to: u64, charges: Vec<Charge>) -> Batch {
    Batch { journal: JOURNAL, from, to, charges }
}
