//! Where segments live: a small trait, so that a simulation can lose, tear and refuse what a real disk might.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::FileExt,
    path::PathBuf,
    sync::Arc,
};

/// A place for numbered files.
pub(crate) trait Disk: Send + Sync {
    /// The numbers of the files there, in order.
    fn list(&self) -> io::Result<Vec<u64>>;
    /// A new file of `size` zero bytes whose room is really there, begun with `header`, durable as a whole.
    fn create(&self, number: u64, size: u64, header: &[u8]) -> io::Result<Arc<dyn Storage>>;
    /// An existing file.
    fn open(&self, number: u64) -> io::Result<Arc<dyn Storage>>;
    /// Removes a file.
    fn remove(&self, number: u64) -> io::Result<()>;
    /// Lays a file aside: it is listed no more.
    fn lay_aside(&self, number: u64) -> io::Result<()>;
    /// The numbers of the files that are laid aside, in order.
    fn aside(&self) -> io::Result<Vec<u64>>;
    /// A file that is laid aside.
    fn open_aside(&self, number: u64) -> io::Result<Arc<dyn Storage>>;
    /// Makes a file that is laid aside one of those that are listed.
    fn fetch_back(&self, number: u64) -> io::Result<()>;
    /// Removes a file that is laid aside.
    fn remove_aside(&self, number: u64) -> io::Result<()>;
}

/// One file.
pub(crate) trait Storage: Send + Sync {
    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()>;
    /// The bytes from `at` on, at most `length`.
    fn read_at(&self, at: u64, length: usize) -> io::Result<Vec<u8>>;
    /// Makes what was written durable.
    fn sync(&self) -> io::Result<()>;
    fn size(&self) -> io::Result<u64>;
}

/// A directory of the file system.
pub(crate) struct Directory(PathBuf);

const SUFFIX: &str = ".journal";
const ASIDE: &str = ".applied";

impl Directory {
    /// Makes the directory if it is missing.
    pub(crate) fn new(path: PathBuf) -> io::Result<Self> {
        std::fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    fn path(&self, number: u64, suffix: &str) -> PathBuf {
        self.0.join(format!("{number:020}{suffix}"))
    }

    fn numbers(&self, suffix: &str) -> io::Result<Vec<u64>> {
        let mut numbers = Vec::new();
        for entry in std::fs::read_dir(&self.0)? {
            let name = entry?.file_name();
            let Some(number) = name.to_str().and_then(|name| name.strip_suffix(suffix)) else { continue };
            numbers.extend(number.parse::<u64>());
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    fn open(&self, number: u64, suffix: &str) -> io::Result<Arc<dyn Storage>> {
        let file = OpenOptions::new().read(true).write(true).open(self.path(number, suffix))?;
        Ok(Arc::new(Plain(file)))
    }

    fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(File::open(&self.0)?)?)
    }
}

impl Disk for Directory {
    fn list(&self) -> io::Result<Vec<u64>> {
        self.numbers(SUFFIX)
    }

    fn create(&self, number: u64, size: u64, header: &[u8]) -> io::Result<Arc<dyn Storage>> {
        let path = self.path(number, SUFFIX);
        // Under another name until it is whole: a crash in the middle leaves no half segment.
        let unfinished = path.with_extension("unfinished");
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&unfinished)?;
        let filled = fill(&file, size, header);
        if let Err(error) = filled.and_then(|()| std::fs::rename(&unfinished, &path)) {
            // The room must be free again; that this too may fail changes nothing.
            drop(std::fs::remove_file(&unfinished));
            return Err(error);
        }
        self.sync()?;
        Ok(Arc::new(Plain(file)))
    }

    fn open(&self, number: u64) -> io::Result<Arc<dyn Storage>> {
        self.open(number, SUFFIX)
    }

    fn remove(&self, number: u64) -> io::Result<()> {
        std::fs::remove_file(self.path(number, SUFFIX))
    }

    fn lay_aside(&self, number: u64) -> io::Result<()> {
        std::fs::rename(self.path(number, SUFFIX), self.path(number, ASIDE))
    }

    fn aside(&self) -> io::Result<Vec<u64>> {
        self.numbers(ASIDE)
    }

    fn open_aside(&self, number: u64) -> io::Result<Arc<dyn Storage>> {
        self.open(number, ASIDE)
    }

    fn fetch_back(&self, number: u64) -> io::Result<()> {
        std::fs::rename(self.path(number, ASIDE), self.path(number, SUFFIX))?;
        self.sync()
    }

    fn remove_aside(&self, number: u64) -> io::Result<()> {
        std::fs::remove_file(self.path(number, ASIDE))
    }
}

/// Writes every byte, so that later writes allocate nothing and a full disk is met here.
fn fill(file: &File, size: u64, header: &[u8]) -> io::Result<()> {
    let zeros = vec![0_u8; 64 * 1024];
    let mut at = 0;
    while at < size {
        let length = usize::try_from(size - at).unwrap_or(zeros.len()).min(zeros.len());
        file.write_all_at(zeros.get(..length).unwrap_or_default(), at)?;
        at += length as u64;
    }
    file.write_all_at(header, 0)?;
    Ok(rustix::fs::fsync(file)?)
}

struct Plain(File);

impl Storage for Plain {
    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, at)
    }

    fn read_at(&self, at: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        let mut filled = 0;
        while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.0.read_at(rest, at + filled as u64)? {
                0 => break,
                more => filled += more,
            }
        }
        bytes.truncate(filled);
        Ok(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::fdatasync(&self.0)?)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }
}
