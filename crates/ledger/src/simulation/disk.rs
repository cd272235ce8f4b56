//! A disk that loses, tears and refuses.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex},
};

use super::world::Random;
use crate::disk::{Disk, Storage};

#[derive(Default)]
struct File {
    /// What survives a power cut.
    durable: Vec<u8>,
    /// What the operating system has, in order.
    pending: Vec<(usize, Vec<u8>)>,
}

impl File {
    fn now(&self) -> Vec<u8> {
        let mut bytes = self.durable.clone();
        self.pending.iter().for_each(|write| put(&mut bytes, write));
        bytes
    }
}

fn put(bytes: &mut [u8], (at, data): &(usize, Vec<u8>)) {
    bytes[*at..*at + data.len()].copy_from_slice(data);
}

/// What the number of a file has that is laid aside.
const ASIDE: u64 = 1 << 63;

#[derive(Default)]
struct State {
    files: BTreeMap<u64, File>,
    sync_fails: bool,
    full: bool,
}

/// The disk, shared by all lives.
#[derive(Clone, Default)]
pub(super) struct SimDisk(Arc<Mutex<State>>);

impl SimDisk {
    pub(super) fn set_sync_fails(&self, fails: bool) {
        self.0.lock().unwrap().sync_fails = fails;
    }

    pub(super) fn set_full(&self, full: bool) {
        self.0.lock().unwrap().full = full;
    }

    /// The power goes: each write since the last sync is kept, lost or torn by itself.
    pub(super) fn power_cut(&self, random: &mut Random) {
        let mut state = self.0.lock().unwrap();
        for file in state.files.values_mut() {
            for (at, mut data) in std::mem::take(&mut file.pending) {
                match random.below(3) {
                    0 => continue,
                    1 => data.truncate(random.below(data.len() as u64 + 1) as usize),
                    _ => {}
                }
                put(&mut file.durable, &(at, data));
            }
        }
    }
}

impl Disk for SimDisk {
    fn list(&self) -> io::Result<Vec<u64>> {
        Ok(self.0.lock().unwrap().files.range(..ASIDE).map(|(number, _)| *number).collect())
    }

    fn create(&self, number: u64, size: u64, header: &[u8]) -> io::Result<Arc<dyn Storage>> {
        let mut state = self.0.lock().unwrap();
        if state.full {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let mut durable = vec![0; size as usize];
        put(&mut durable, &(0, header.to_vec()));
        state.files.insert(number, File { durable, pending: Vec::new() });
        drop(state);
        self.open(number)
    }

    fn open(&self, number: u64) -> io::Result<Arc<dyn Storage>> {
        Ok(Arc::new(SimFile(self.clone(), number)))
    }

    fn remove(&self, number: u64) -> io::Result<()> {
        self.0.lock().unwrap().files.remove(&number);
        Ok(())
    }

    fn lay_aside(&self, number: u64) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        let file = state.files.remove(&number).ok_or(io::ErrorKind::NotFound)?;
        state.files.insert(number | ASIDE, file);
        Ok(())
    }

    fn aside(&self) -> io::Result<Vec<u64>> {
        Ok(self.0.lock().unwrap().files.range(ASIDE..).map(|(number, _)| number & !ASIDE).collect())
    }

    fn open_aside(&self, number: u64) -> io::Result<Arc<dyn Storage>> {
        self.open(number | ASIDE)
    }

    fn fetch_back(&self, number: u64) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        let file = state.files.remove(&(number | ASIDE)).ok_or(io::ErrorKind::NotFound)?;
        state.files.insert(number, file);
        Ok(())
    }

    fn remove_aside(&self, number: u64) -> io::Result<()> {
        self.remove(number | ASIDE)
    }
}

struct SimFile(SimDisk, u64);

impl SimFile {
    fn with<T>(&self, act: impl FnOnce(&mut File) -> T) -> io::Result<T> {
        let mut state = self.0.0.lock().unwrap();
        state.files.get_mut(&self.1).map(act).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Storage for SimFile {
    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        self.with(|file| file.pending.push((at as usize, bytes.to_vec())))
    }

    fn read_at(&self, at: u64, length: usize) -> io::Result<Vec<u8>> {
        self.with(|file| {
            let bytes = file.now();
            let end = bytes.len().min(at as usize + length);
            bytes[at as usize..end].to_vec()
        })
    }

    fn sync(&self) -> io::Result<()> {
        if self.0.0.lock().unwrap().sync_fails {
            return Err(io::Error::other("the disk does not sync"));
        }
        self.with(|file| {
            file.durable = file.now();
            file.pending.clear();
        })
    }

    fn size(&self) -> io::Result<u64> {
        self.with(|file| file.durable.len() as u64)
    }
}
