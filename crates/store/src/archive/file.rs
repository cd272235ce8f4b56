//! A copy in a file.
//!
//! The file begins with [`MAGIC`]; then come frames, each a piece: its length as four bytes, the piece, and the SHA-256 of
//! everything in the file before that checksum. So a file that is cut, damaged or put together from two is found out
//! at the first frame that is not right, and the last piece says that it is whole.

use std::{
    fs::{File, OpenOptions},
    io::{BufReader, BufWriter, ErrorKind, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use model::clock::Timestamp;
use ring::digest::{Context, SHA256};

use super::{ArchiveError, Piece, Sink, damaged, read};
use crate::{location::Location, postgres, sqlite, store::StoreError};

const MAGIC: &[u8; 16] = b"apsis backup 1\n\0";
const CHECKSUM: usize = 32;

/// A backup that was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backup {
    /// The newest step of its schema.
    pub schema: i64,
    /// Rows in it.
    pub rows: u64,
    /// Bytes of the file.
    pub bytes: u64,
}

impl Location {
    /// Writes everything that is in the database at one moment into a new file; servers may run meanwhile. No secret
    /// stands in it that the master key does not seal, and the master key does not.
    ///
    /// # Errors
    /// The database; the file, also one that is there already. Then there is no file.
    pub async fn backup(&self, path: &Path, now: Timestamp) -> Result<Backup, ArchiveError> {
        let of_file = |error| ArchiveError::File { path: path.to_owned(), error };
        if path.try_exists().map_err(of_file)? {
            return Err(of_file(ErrorKind::AlreadyExists.into()));
        }
        let part = beside(path, ".part");
        let done = self.write(&part, now).await;
        if done.is_err() {
            // What is not whole is of no use; the error says why.
            drop(std::fs::remove_file(&part));
        }
        let backup = done?;
        std::fs::rename(&part, path).map_err(of_file)?;
        sync_directory(path).map_err(of_file)?;
        Ok(backup)
    }

    async fn write(&self, path: &Path, now: Timestamp) -> Result<Backup, ArchiveError> {
        let mut writer = Writer::create(path)?;
        match self {
            Self::File(file) => {
                let mut database = sqlite::open_to_read(file).await?;
                let mut moment = sqlx::Connection::begin(&mut database).await?;
                read::all(&mut *moment, now.millis(), &mut writer).await?;
            }
            Self::Server(server) => {
                let mut database = postgres::open_to_read(&server.url).await?;
                let mut moment = read::moment(&mut database).await?;
                read::all(&mut *moment, now.millis(), &mut writer).await?;
            }
        }
        writer.finish()
    }
}

/// The file of the same name with `end` behind it.
pub(super) fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

/// A name that was given is durable once its directory is.
pub(super) fn sync_directory(path: &Path) -> std::io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
}

struct Writer {
    path: PathBuf,
    out: BufWriter<File>,
    digest: Context,
    backup: Backup,
}

impl Writer {
    /// For its owner alone: who has it and the master key has everything.
    fn create(path: &Path) -> Result<Self, ArchiveError> {
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
        let file = file.map_err(|error| ArchiveError::File { path: path.to_owned(), error })?;
        let backup = Backup { schema: 0, rows: 0, bytes: 0 };
        let mut writer =
            Self { path: path.to_owned(), out: BufWriter::new(file), digest: Context::new(&SHA256), backup };
        writer.put(MAGIC)?;
        Ok(writer)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), ArchiveError> {
        self.digest.update(bytes);
        self.backup.bytes += bytes.len() as u64;
        self.out.write_all(bytes).map_err(|error| ArchiveError::File { path: self.path.clone(), error })
    }

    fn finish(self) -> Result<Backup, ArchiveError> {
        let file = self.out.into_inner().map_err(|error| error.into_error());
        let synced = file.and_then(|file| file.sync_all());
        synced.map_err(|error| ArchiveError::File { path: self.path, error })?;
        Ok(self.backup)
    }
}

impl Sink for Writer {
    async fn take(&mut self, piece: Piece) -> Result<(), ArchiveError> {
        match &piece {
            Piece::Begin(begin) => self.backup.schema = begin.schema,
            Piece::Rows(rows) => self.backup.rows += rows.len() as u64,
            Piece::Table(_) | Piece::End => {}
        }
        let body = postcard::to_allocvec(&piece);
        let body = body.map_err(|_| StoreError::Corrupt("a row that cannot be written down"))?;
        let length = u32::try_from(body.len());
        let length = length.map_err(|_| StoreError::Corrupt("a row of more than four gigabytes"))?;
        self.put(&length.to_le_bytes())?;
        self.put(&body)?;
        let checksum = self.digest.clone().finish();
        self.put(checksum.as_ref())
    }
}

/// Reads a backup, and gives each piece on once its checksum is right.
pub(super) struct Reader {
    path: PathBuf,
    from: BufReader<File>,
    digest: Context,
}

impl Reader {
    pub(super) fn open(path: &Path) -> Result<Self, ArchiveError> {
        let file = File::open(path).map_err(|error| ArchiveError::File { path: path.to_owned(), error })?;
        let mut reader =
            Self { path: path.to_owned(), from: BufReader::new(file), digest: Context::new(&SHA256) };
        if reader.bytes(MAGIC.len() as u64)? != MAGIC {
            return Err(damaged("it does not begin as a backup of this program does"));
        }
        Ok(reader)
    }

    /// Gives everything to `sink`.
    pub(super) async fn all(mut self, sink: &mut impl Sink) -> Result<(), ArchiveError> {
        let mut ended = false;
        while !ended {
            let piece = self.piece()?;
            ended = piece == Piece::End;
            sink.take(piece).await?;
        }
        let mut more = [0];
        match self.from.read(&mut more) {
            Ok(0) => Ok(()),
            Ok(_) => Err(damaged("it goes on behind its end")),
            Err(error) => Err(ArchiveError::File { path: self.path, error }),
        }
    }

    /// The next piece.
    pub(super) fn piece(&mut self) -> Result<Piece, ArchiveError> {
        let length = self.bytes(4)?;
        let length = length.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
        let body = self.bytes(length.into())?;
        let checksum = self.digest.clone().finish();
        if self.bytes(CHECKSUM as u64)? != checksum.as_ref() {
            return Err(damaged("a checksum is not right"));
        }
        postcard::from_bytes(&body).map_err(|_| damaged("a piece of it is of no known form"))
    }

    /// As much memory as there are bytes, whatever a damaged length says.
    fn bytes(&mut self, length: u64) -> Result<Vec<u8>, ArchiveError> {
        let mut bytes = Vec::new();
        let read = (&mut self.from).take(length).read_to_end(&mut bytes);
        read.map_err(|error| ArchiveError::File { path: self.path.clone(), error })?;
        if bytes.len() as u64 != length {
            return Err(damaged("it ends too early"));
        }
        self.digest.update(&bytes);
        Ok(bytes)
    }
}
