//! The data directory: its lock, its master key, and the database that belongs to it.

use std::{
    fs::{File, OpenOptions},
    io::{ErrorKind, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, anyhow, bail};
use rustix::fs::{FlockOperation, flock};
use store::{Location, MasterKey, Store, StoreError};

use crate::config::Config;

/// An opened data directory.
pub(crate) struct DataDir {
    pub(crate) path: PathBuf,
    pub(crate) master: MasterKey,
    /// Whether the master key was made for this very start.
    made_master: bool,
    pub(crate) database: Location,
    /// Held as long as the process lives.
    _lock: Option<File>,
}

impl DataDir {
    /// Opens the directory for a server: alone, and made if it is missing.
    pub(crate) fn alone(config: &Config, path: PathBuf) -> anyhow::Result<Self> {
        let lock = Some(lock(&path)?);
        let database = location(config, &path)?;
        let (master, made_master) = master_key(config, &path, true)?;
        Ok(Self { path, master, made_master, database, _lock: lock })
    }

    /// Opens a directory that has nothing but the master key, alone.
    pub(crate) fn to_restore(config: &Config) -> anyhow::Result<Self> {
        let path = config.data_dir()?;
        let lock = Some(lock(&path)?);
        let database = location(config, &path)?;
        let journal = path.join("journal");
        match std::fs::read_dir(&journal).map(|mut entries| entries.next().is_none()) {
            Ok(true) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", journal.display())),
            Ok(false) => bail!(
                "{} has the journal of a database: it cannot go on with a restored one, so move it away first",
                journal.display()
            ),
        }
        let (master, made_master) = master_key(config, &path, false)?;
        Ok(Self { path, master, made_master, database, _lock: lock })
    }

    /// Opens a directory with a SQLite database, alone, whatever database the configuration names. Also the file.
    pub(crate) fn to_move(config: &Config) -> anyhow::Result<(Self, PathBuf)> {
        let path = config.data_dir()?;
        let file = path.join(DATABASE);
        if !file.exists() {
            bail!("there is no SQLite database in {} to be moved: give --data-dir", path.display());
        }
        let lock = Some(lock(&path)?);
        let (master, made_master) = master_key(config, &path, false)?;
        Ok((Self { path, master, made_master, database: Location::File(file.clone()), _lock: lock }, file))
    }

    /// The database of a server that may be running.
    pub(crate) fn database(config: &Config) -> anyhow::Result<Location> {
        let path = config.data_dir()?;
        let database = location(config, &path)?;
        if matches!(&database, Location::File(file) if !file.exists()) {
            bail!("there is no database in {}: give --data-dir, or run `apsis serve` once", path.display());
        }
        Ok(database)
    }

    /// Opens the directory of a server that may be running.
    pub(crate) fn shared(config: &Config) -> anyhow::Result<Self> {
        let path = config.data_dir()?;
        let database = Self::database(config)?;
        let (master, made_master) = master_key(config, &path, false)?;
        Ok(Self { path, master, made_master, database, _lock: None })
    }

    /// Its database.
    pub(crate) async fn store(&self) -> anyhow::Result<Store> {
        let opened = self.database.open(&self.master).await;
        opened.map_err(|error| self.explained(error))
    }

    /// Its database, which is waited for as long as its server is away.
    pub(crate) async fn store_when_there(&self) -> anyhow::Result<Store> {
        let mut pause = SHORTEST_PAUSE;
        loop {
            match self.database.open(&self.master).await {
                Err(error) if error.is_away() => {
                    let database = self.database.to_string();
                    tracing::warn!(%error, database, "the database is away; it is tried again");
                    tokio::time::sleep(pause).await;
                    pause = LONGEST_PAUSE.min(pause * 2);
                }
                opened => return opened.map_err(|error| self.explained(error)),
            }
        }
    }

    fn explained(&self, error: StoreError) -> anyhow::Error {
        if self.made_master && matches!(error, StoreError::WrongMasterKey) {
            // The one that was made is of no use to anybody.
            let removed = std::fs::remove_file(self.path.join(MASTER));
            let removed = removed.err().map(|error| format!(" (and remove what is there: {error})"));
            return anyhow!(
                "{} was made with a master key that is not here: put its master.key into {}{}, or give it as \
                 APSIS_MASTER_KEY_FILE",
                self.database,
                self.path.display(),
                removed.unwrap_or_default()
            );
        }
        anyhow::Error::new(error).context(format!("cannot open {}", self.database))
    }

    /// Replaces the master key file. The old one is kept beside it until the new one is in place.
    pub(crate) fn replace_master(&self, master: &MasterKey) -> anyhow::Result<()> {
        let next = self.path.join("master.key.next");
        write_key(&next, master)?;
        std::fs::rename(&next, self.path.join(MASTER)).context("cannot put the new master key in place")?;
        Ok(())
    }

    /// Writes the key that is to come, so that it is never lost whatever happens in between.
    pub(crate) fn prepare_master(&self) -> anyhow::Result<MasterKey> {
        let master = MasterKey::generate()?;
        let next = self.path.join("master.key.next");
        write_key(&next, &master)?;
        Ok(master)
    }
}

const DATABASE: &str = "apsis.db";
/// What a database is called that was moved to PostgreSQL.
const MOVED: &str = "apsis.db.moved";
const MASTER: &str = "master.key";
/// Between two attempts to reach a database that is away.
const SHORTEST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Makes the directory if it is missing, and locks it for as long as the file is open.
fn lock(path: &Path) -> anyhow::Result<File> {
    let shown = path.display();
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("cannot make the data directory {shown}"))?;
    let lock = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path.join("lock"))
        .with_context(|| format!("cannot open {shown}/lock"))?;
    if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
        bail!(
            "another apsis process uses the data directory {shown}: stop it, or give this one another --data-dir"
        );
    }
    Ok(lock)
}

/// The database that belongs to the data directory at `path`.
fn location(config: &Config, path: &Path) -> anyhow::Result<Location> {
    let file = path.join(DATABASE);
    let Some(server) = config.database()? else {
        let moved = path.join(MOVED);
        if !file.exists() && moved.exists() {
            bail!(
                "this installation was moved to PostgreSQL: say where that is (`database_url`); {} is as it was before",
                moved.display()
            );
        }
        return Ok(Location::File(file));
    };
    if file.exists() {
        // Its journal speaks of the keys and accounts of that database.
        bail!(
            "{} is there, so this data directory belongs to a SQLite database: to use PostgreSQL (`database_url`), \
             give another --data-dir, or move it there with `apsis move`",
            file.display()
        );
    }
    Ok(Location::Server(server))
}

/// The master key, and whether it was made just now.
fn master_key(config: &Config, path: &Path, may_make: bool) -> anyhow::Result<(MasterKey, bool)> {
    if let Some(text) = config.secret("master_key")? {
        let key = MasterKey::from_hex(text).map_err(|error| anyhow!("`master_key`: {error}"))?;
        return Ok((key, false));
    }
    let file = path.join(MASTER);
    match std::fs::read_to_string(&file) {
        Ok(text) => {
            let key = MasterKey::from_hex(&text);
            let key = key.map_err(|error| anyhow!("{}: {error}; put the right file back", file.display()))?;
            Ok((key, false))
        }
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot read {}", file.display()))
        }
        Err(_) if path.join(DATABASE).exists() || !may_make => bail!(
            "{} is missing, and without the master key the database cannot be read: put the file back, or give the key \
             as APSIS_MASTER_KEY_FILE",
            file.display()
        ),
        Err(_) => {
            let key = MasterKey::generate()?;
            write_key(&file, &key)?;
            Ok((key, true))
        }
    }
}

fn write_key(path: &Path, key: &MasterKey) -> anyhow::Result<()> {
    let write = || -> std::io::Result<()> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        writeln!(file, "{}", key.to_hex().as_str())?;
        file.sync_all()
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}
