//! Backups and their way back, into either database.

use std::path::PathBuf;

use ledger::{Ask, Book, Node};
use model::{
    credential::{Class, Credential},
    id::{JournalId, PoolId},
    key::{ApiKey, Settings},
    money::Units,
};
use store::{ArchiveError, Location, MasterKey, OpenLeases, Store, StoreError};
use tempfile::TempDir;

use crate::{
    fixture::{Fixture, JOURNAL, at, batch, charge, credential, lease, node},
    server::Database,
};

/// A database with a bit of everything, a file for its backup, and places where nothing is.
struct Scene {
    fixture: Fixture,
    key: ApiKey,
    balance: PoolId,
    directory: TempDir,
    server: Database,
}

/// 1 000 units and a key with 100, of which a node has leased all and spent 30; a key that was made and deleted.
async fn scene() -> Scene {
    let fixture = super::open().await;
    let account = fixture.account("ada", Some(1_000)).await;
    let settings = Settings { name: "naïve \"key\"".to_owned(), ..Settings::default() };
    let key = fixture.key(account.id, 1, 100, settings).await.key;
    fixture.store.open_journal(JOURNAL).await.unwrap();
    let mut draws = Vec::new();
    for pool in [key.pool, account.pool] {
        draws.push((pool, lease(&fixture.store, JOURNAL, pool, 1).await.lease));
    }
    let charged = charge(1, &key, draws.try_into().unwrap(), 30);
    fixture.store.apply(&batch(0, 10, vec![charged])).await.unwrap();
    let gone = fixture.key(account.id, 2, 5, Settings::default()).await.key;
    fixture.store.delete_keys(account.id, &[gone.id], at(3)).await.unwrap();
    let (directory, server) = (TempDir::new().unwrap(), Database::empty().await);
    Scene { fixture, key, balance: account.pool, directory, server }
}

impl Scene {
    fn file(&self) -> PathBuf {
        self.directory.path().join("backup")
    }

    async fn backup(&self) -> PathBuf {
        self.fixture.location().backup(&self.file(), at(5)).await.unwrap();
        self.file()
    }

    fn places(&self) -> [Location; 2] {
        [Location::File(self.directory.path().join("apsis.db")), Location::Server(self.server.server())]
    }

    async fn restore(&self, place: &Location, leases: OpenLeases) -> Result<store::Restored, ArchiveError> {
        place.restore(&self.file(), &self.fixture.master, leases, true).await
    }
}

/// What a node gets of the key's and the account's quota.
async fn to_be_had(store: &Store, scene: &Scene, journal: JournalId) -> [i64; 2] {
    let registered = store.open_journal(journal).await.unwrap();
    let node = Node { journal, epoch: registered.epoch };
    store.settle(node, registered.applied, &[]).await.unwrap();
    let one = Units::new(1);
    let asks = [scene.key.pool, scene.balance].map(|pool| Ask {
        pool,
        need: one,
        waiting: one,
        spending: Units::ZERO,
    });
    let given = store.lease(node, &asks).await.unwrap();
    store.close_leases(node).await.unwrap();
    let units: Vec<i64> = given.into_iter().map(|lease| lease.unwrap().amount.get()).collect();
    units.try_into().unwrap()
}

/// What nodes had leased before the database went back, and have not spoken of since, they may have spent.
#[tokio::test]
async fn what_nodes_have_not_spoken_of_yet_is_given_by_no_restore() {
    let scene = scene().await;
    for text in [
        "UPDATE pool SET available = available + leased, leased = 0",
        "UPDATE lease SET state = 'closed', lost = 1 WHERE state = 'open'",
    ] {
        scene.fixture.run(text).await;
    }
    scene.backup().await;
    for place in scene.places() {
        let restored = scene.restore(&place, OpenLeases::Suspense).await.unwrap();
        assert_eq!((restored.leases, restored.units, restored.found), (2, 70 + 970, Vec::new()));
    }
}

#[tokio::test]
async fn a_backup_comes_back_in_either_database_and_gives_nothing_twice() {
    let scene = scene().await;
    scene.backup().await;
    for place in scene.places() {
        let restored = scene.restore(&place, OpenLeases::Suspense).await.unwrap();
        assert_eq!((restored.leases, restored.units, restored.made), (2, 70 + 970, at(5)));
        assert_eq!(restored.found, []);
        let store = place.open(&scene.fixture.master).await.unwrap();
        let new = JournalId(8);
        assert_eq!(to_be_had(&store, &scene, new).await, [0, 0], "what was leased may be spent");
        // The secrets are there, and a number that was given is not given again.
        let view = store.key(scene.key.account, scene.key.id).await.unwrap().unwrap();
        assert_eq!(view.secret.as_str(), credential(Class::ApiKey, 1).expose());
        let next = store
            .create_key(
                scene.key.account,
                &Settings::default(),
                Units::ZERO,
                &credential(Class::ApiKey, 3),
                at(6),
            )
            .await
            .unwrap();
        assert!((scene.key.id.0 + 2..1_000).contains(&next.key.id.0), "{:?}", next.key.id);
        // The node's journal of before goes further than nothing that the book says.
        assert!(store.open_journal(JOURNAL).await.unwrap().applied > 1 << 60);
        assert_eq!(to_be_had(&store, &scene, JOURNAL).await, [0, 0], "and gets nothing back");
        assert_eq!(store.verify().await.unwrap(), []);
        store.close().await;
        assert!(matches!(scene.restore(&place, OpenLeases::Suspense).await, Err(ArchiveError::NotEmpty(_))));
    }
}

#[tokio::test]
async fn leases_are_returned_where_an_operator_says_so() {
    let scene = scene().await;
    scene.backup().await;
    for place in scene.places() {
        assert_eq!(scene.restore(&place, OpenLeases::Returned).await.unwrap().found, []);
        let store = place.open(&scene.fixture.master).await.unwrap();
        assert_eq!(to_be_had(&store, &scene, JournalId(8)).await, [70, 970]);
        store.close().await;
    }
}

#[tokio::test]
async fn of_nothing_there_is_no_backup() {
    let scene = scene().await;
    let [empty, server] = scene.places();
    let Location::File(path) = &empty else { panic!("it is a file") };
    std::fs::write(path, "").unwrap();
    for place in [empty, server] {
        let made = place.backup(&scene.file(), at(5)).await;
        assert!(matches!(made, Err(ArchiveError::Empty)), "{made:?}");
        assert!(!scene.file().exists());
    }
}

#[tokio::test]
async fn a_damaged_or_cut_backup_is_refused_and_leaves_nothing() {
    let scene = scene().await;
    let file = scene.backup().await;
    let whole = std::fs::read(&file).unwrap();
    let [sqlite, postgres] = scene.places();
    for step in 0..64 {
        let at = step * (whole.len() - 1) / 63;
        let mut flipped = whole.clone();
        flipped[at] ^= 0x20;
        for wrong in [&flipped, &whole[..at]] {
            std::fs::write(&file, wrong).unwrap();
            let refused = scene.restore(&sqlite, OpenLeases::Suspense).await;
            assert!(matches!(refused, Err(ArchiveError::Damaged(_))), "{at} of {}: {refused:?}", whole.len());
        }
    }
    std::fs::write(&file, [whole.as_slice(), b"more"].concat()).unwrap();
    for place in [&sqlite, &postgres] {
        let refused = scene.restore(place, OpenLeases::Suspense).await;
        assert!(matches!(refused, Err(ArchiveError::Damaged(_))), "{refused:?}");
    }
    // One of another installation: found out when everything was written already.
    std::fs::write(&file, &whole).unwrap();
    let other = MasterKey::generate().unwrap();
    for place in [&sqlite, &postgres] {
        let refused = place.restore(&file, &other, OpenLeases::Suspense, true).await;
        assert!(matches!(refused, Err(ArchiveError::Store(StoreError::WrongMasterKey))), "{refused:?}");
        scene.restore(place, OpenLeases::Suspense).await.unwrap();
    }
    let left: Vec<_> =
        std::fs::read_dir(scene.directory.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

#[tokio::test]
async fn a_backup_beside_writers_is_of_one_moment() {
    let scene = scene().await;
    let store = scene.fixture.store.clone();
    let (stop, mut stopped) = tokio::sync::oneshot::channel::<()>();
    let account = scene.key.account;
    let writing = tokio::spawn(async move {
        let mut made = 0;
        loop {
            let new = Credential::generate(Class::ApiKey, getrandom::fill).unwrap();
            store.create_key(account, &Settings::default(), Units::new(7), &new, at(9)).await.unwrap();
            made += 1;
            if stopped.try_recv().is_ok() {
                return made;
            }
        }
    });
    for round in 0..5 {
        let file = scene.directory.path().join(format!("{round}"));
        scene.fixture.location().backup(&file, at(5)).await.unwrap();
        let place = Location::File(scene.directory.path().join(format!("{round}.db")));
        let restored = place.restore(&file, &scene.fixture.master, OpenLeases::Suspense, true).await.unwrap();
        assert_eq!(restored.found, [], "each key has its pool");
    }
    stop.send(()).unwrap();
    assert!(writing.await.unwrap() > 0);
}

#[tokio::test]
async fn a_backup_has_no_secret_in_it_and_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let scene = scene().await;
    let file = scene.backup().await;
    let bytes = std::fs::read(&file).unwrap();
    let master = scene.fixture.master.to_hex();
    for secret in [credential(Class::ApiKey, 1).expose().as_bytes(), master.as_bytes()] {
        assert!(!bytes.windows(secret.len()).any(|window| window == secret));
    }
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let again = scene.fixture.location().backup(&file, at(5)).await;
    assert!(matches!(again, Err(ArchiveError::File { .. })), "{again:?}");
    assert_eq!(std::fs::read(&file).unwrap(), bytes);
}

#[tokio::test]
async fn everything_is_copied_into_either_database_and_books_that_are_wrong_are_not() {
    let scene = scene().await;
    scene.fixture.store.close_leases(node(JOURNAL)).await.unwrap();
    for place in scene.places() {
        let moved = scene.fixture.location().copy_to(&place).await.unwrap();
        assert!(moved.rows > 10, "{moved:?}");
        let store = place.open(&scene.fixture.master).await.unwrap();
        assert_eq!(store.verify().await.unwrap(), []);
        assert_eq!(to_be_had(&store, &scene, JOURNAL).await, [70, 970]);
        assert_eq!(store.open_journal(JOURNAL).await.unwrap().applied, 10, "the journal goes on");
        store.close().await;
        assert!(matches!(scene.fixture.location().copy_to(&place).await, Err(ArchiveError::NotEmpty(_))));
    }
    let wrong = "UPDATE usage SET units = units + 1";
    sqlx::raw_sql(wrong).execute(&mut scene.fixture.raw().await).await.unwrap();
    let place = Location::File(scene.directory.path().join("another.db"));
    let refused = scene.fixture.location().copy_to(&place).await;
    assert!(matches!(refused, Err(ArchiveError::Unsound { .. })), "{refused:?}");
}
