//! A segment: one file of the journal, with a header that names its journal and seeds its checksums.

use std::{io, sync::Arc};

use model::id::JournalId;

use crate::disk::{Disk, Storage};

/// Bytes before the first record.
pub(crate) const START: u64 = 64;
const MAGIC: &[u8; 8] = b"APSISJ01";

/// An open segment.
pub(crate) struct Segment {
    pub(crate) number: u64,
    pub(crate) journal: JournalId,
    /// Seeds the checksum of every record in it.
    pub(crate) nonce: u32,
    pub(crate) size: u64,
    pub(crate) file: Arc<dyn Storage>,
}

impl Segment {
    /// A new one, its room taken and durable.
    pub(crate) fn create(
        disk: &dyn Disk,
        number: u64,
        size: u64,
        journal: JournalId,
        nonce: u32,
    ) -> io::Result<Self> {
        let mut header = [0_u8; START as usize];
        let fields: [&[u8]; 4] =
            [MAGIC, &journal.0.to_le_bytes(), &number.to_le_bytes(), &nonce.to_le_bytes()];
        let mut written = Vec::with_capacity(header.len());
        fields.iter().for_each(|field| written.extend_from_slice(field));
        let sum = crc32fast::hash(&written);
        written.extend_from_slice(&sum.to_le_bytes());
        for (to, from) in header.iter_mut().zip(&written) {
            *to = *from;
        }
        let file = disk.create(number, size, &header)?;
        Ok(Self { number, journal, nonce, size, file })
    }

    /// An existing one, or `None` when its header is not ours.
    pub(crate) fn open(disk: &dyn Disk, number: u64) -> io::Result<Option<Self>> {
        Self::of(number, disk.open(number)?)
    }

    /// The one that a file holds.
    pub(crate) fn of(number: u64, file: Arc<dyn Storage>) -> io::Result<Option<Self>> {
        let header = file.read_at(0, START as usize)?;
        let size = file.size()?;
        Ok(parse(&header).filter(|(_, named, _)| *named == number).map(|(journal, number, nonce)| Self {
            number,
            journal,
            nonce,
            size,
            file,
        }))
    }
}

fn parse(header: &[u8]) -> Option<(JournalId, u64, u32)> {
    let (fields, rest) = header.split_at_checked(36)?;
    let sum = u32::from_le_bytes(*rest.first_chunk::<4>()?);
    if crc32fast::hash(fields) != sum {
        return None;
    }
    let rest = fields.strip_prefix(MAGIC)?;
    let (journal, rest) = rest.split_first_chunk::<16>()?;
    let (number, rest) = rest.split_first_chunk::<8>()?;
    let nonce = rest.first_chunk::<4>()?;
    Some((JournalId(u128::from_le_bytes(*journal)), u64::from_le_bytes(*number), u32::from_le_bytes(*nonce)))
}
