//! The data directory: its lock, its master key, its database.

use std::{
    fs::{File, OpenOptions},
    io::{ErrorKind, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use anyhow::{Context, anyhow, bail};
use rustix::fs::{FlockOperation, flock};
use store::{MasterKey, Store};

use crate::config::Config;

/// An opened data directory.
pub(crate) struct DataDir {
    pub(crate) path: PathBuf,
    master: MasterKey,
    /// Held as long as the process lives.
    _lock: Option<File>,
}

impl DataDir {
    /// Opens the directory for a server: alone, and made if it is missing.
    pub(crate) fn alone(config: &Config, path: PathBuf) -> anyhow::Result<Self> {
        let shown = path.display().to_string();
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&path)
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
        let master = master_key(config, &path, true)?;
        Ok(Self { path, master, _lock: Some(lock) })
    }

    /// The database of a server that may be running.
    pub(crate) fn database(config: &Config) -> anyhow::Result<PathBuf> {
        let path = config.data_dir()?;
        let database = path.join(DATABASE);
        if !database.exists() {
            bail!("there is no database in {}: give --data-dir, or run `apsis serve` once", path.display());
        }
        Ok(database)
    }

    /// Opens the directory of a server that may be running.
    pub(crate) fn shared(config: &Config) -> anyhow::Result<Self> {
        let path = config.data_dir()?;
        Self::database(config)?;
        let master = master_key(config, &path, false)?;
        Ok(Self { path, master, _lock: None })
    }

    /// Its database.
    pub(crate) async fn store(&self) -> anyhow::Result<Store> {
        let path = self.path.join(DATABASE);
        Store::open(&path, &self.master).await.with_context(|| format!("cannot open {}", path.display()))
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
const MASTER: &str = "master.key";

fn master_key(config: &Config, path: &Path, may_make: bool) -> anyhow::Result<MasterKey> {
    if let Some(text) = config.secret("master_key")? {
        return MasterKey::from_hex(text).map_err(|error| anyhow!("`master_key`: {error}"));
    }
    let file = path.join(MASTER);
    match std::fs::read_to_string(&file) {
        Ok(text) => {
            let key = MasterKey::from_hex(&text);
            key.map_err(|error| anyhow!("{}: {error}; put the right file back", file.display()))
        }
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot read {}", file.display()))
        }
        Err(_) if path.join(DATABASE).exists() || !may_make => bail!(
            "{} is missing, and without the master key the database beside it cannot be read: put the file back, or \
             give the key as APSIS_MASTER_KEY_FILE",
            file.display()
        ),
        Err(_) => {
            let key = MasterKey::generate()?;
            write_key(&file, &key)?;
            Ok(key)
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
