//! What is too large to be kept in memory while a request lasts: an unlinked file, which nobody else can open and which is
//! gone with its last reader, also when the process dies.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::{Bytes, BytesMut};

/// Bytes that are kept in memory, written at a time and read at a time.
const CHUNK: usize = 256 << 10;

/// Takes bytes in: into memory first, and into a file in its directory when they are many.
pub(crate) struct Writer {
    /// Where files may be made; without one everything stays in memory.
    directory: Option<PathBuf>,
    file: Option<Arc<File>>,
    written: u64,
    buffer: BytesMut,
}

impl Writer {
    pub(crate) fn new(directory: Option<&Path>) -> Self {
        Self { directory: directory.map(Path::to_owned), file: None, written: 0, buffer: BytesMut::new() }
    }

    /// How much was taken in.
    pub(crate) fn len(&self) -> u64 {
        self.written + self.buffer.len() as u64
    }

    /// Takes in what follows.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Puts into the file what memory should not keep.
    ///
    /// # Errors
    /// The file cannot be made or written.
    pub(crate) async fn relieve(&mut self) -> io::Result<()> {
        if self.buffer.len() < CHUNK {
            return Ok(());
        }
        self.flush().await
    }

    async fn flush(&mut self) -> io::Result<()> {
        let Some(directory) = self.directory.clone().filter(|_| !self.buffer.is_empty()) else {
            return Ok(());
        };
        let (file, chunk, at) = (self.file.take(), self.buffer.split().freeze(), self.written);
        self.written += chunk.len() as u64;
        let written = tokio::task::spawn_blocking(move || {
            let file = match file {
                Some(file) => file,
                None => Arc::new(tempfile::tempfile_in(directory)?),
            };
            file.write_all_at(&chunk, at).map(|()| file)
        });
        self.file = Some(written.await.map_err(io::Error::other)??);
        Ok(())
    }

    /// All that was taken in.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) async fn finish(mut self) -> io::Result<Spool> {
        if self.file.is_some() {
            self.flush().await?;
        }
        Ok(self.file.take().map_or_else(|| Spool::Memory(self.buffer.freeze()), Spool::File))
    }

    /// All that was taken in, where none of it is in a file.
    #[cfg(test)]
    pub(crate) fn in_memory(self) -> Bytes {
        self.buffer.freeze()
    }
}

/// Bytes that were taken in. A copy of it is another way to the same.
#[derive(Clone)]
pub(crate) enum Spool {
    Memory(Bytes),
    File(Arc<File>),
}

impl Spool {
    /// Some of them, as a piece of something that is sent.
    pub(crate) fn piece(&self, at: u64, length: u64) -> Piece {
        match self {
            Self::Memory(bytes) => {
                let place = usize::try_from(at).ok().zip(usize::try_from(at.saturating_add(length)).ok());
                let found = place.filter(|(start, end)| start <= end && *end <= bytes.len());
                Piece::Bytes(found.map_or_else(Bytes::new, |(start, end)| bytes.slice(start..end)))
            }
            Self::File(file) => Piece::File { file: Arc::clone(file), at, length },
        }
    }
}

/// A piece of something that is sent.
#[derive(Clone)]
pub(crate) enum Piece {
    Bytes(Bytes),
    File { file: Arc<File>, at: u64, length: u64 },
}

impl Piece {
    pub(crate) const fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File { length, .. } => *length,
        }
    }

    /// Takes the beginning of what is left of it; `None` at its end.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) async fn take(&mut self) -> io::Result<Option<Bytes>> {
        match self {
            Self::Bytes(bytes) => Ok(Some(std::mem::take(bytes)).filter(|bytes| !bytes.is_empty())),
            Self::File { length: 0, .. } => Ok(None),
            Self::File { file, at, length } => {
                let size = (*length).min(CHUNK as u64);
                let (from, start) = (Arc::clone(file), *at);
                let read = tokio::task::spawn_blocking(move || {
                    let mut chunk = BytesMut::zeroed(usize::try_from(size).map_err(io::Error::other)?);
                    from.read_exact_at(&mut chunk, start).map(|()| chunk.freeze())
                });
                let chunk = read.await.map_err(io::Error::other)??;
                (*at, *length) = (*at + size, *length - size);
                Ok(Some(chunk))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_large_is_in_a_file_that_nobody_sees() {
        let directory = tempfile::tempdir().unwrap();
        for size in [10, CHUNK - 1, 3 * CHUNK + 17] {
            let bytes: Vec<u8> = (0..size).map(|index| (index % 251) as u8).collect();
            let mut writer = Writer::new(Some(directory.path()));
            for part in bytes.chunks(1000) {
                writer.push(part);
                writer.relieve().await.unwrap();
                assert!(writer.buffer.len() < CHUNK);
            }
            assert_eq!(writer.len(), size as u64);
            let spool = writer.finish().await.unwrap();
            assert_eq!(matches!(spool, Spool::File(_)), size > CHUNK, "{size}");
            assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
            let mut piece = spool.piece(3, size as u64 - 5);
            let mut read = Vec::new();
            while let Some(chunk) = piece.take().await.unwrap() {
                read.extend_from_slice(&chunk);
            }
            assert_eq!(read, bytes[3..size - 2], "{size}");
        }
    }
}
