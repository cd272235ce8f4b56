//! Room in memory for large bodies, which all of them share: without it a broken upstream, or callers that send a lot at once,
//! could take all memory there is.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What a body may have without asking: most have less.
const FREE: usize = 1 << 20;
/// Bytes are counted by so many.
const UNIT: usize = 64 << 10;

/// Where large bodies go. What callers send never takes what answers need, which have been made and paid for.
#[derive(Debug)]
pub(crate) struct Rooms {
    pub(crate) requests: Room,
    pub(crate) answers: Room,
}

impl Rooms {
    /// So many bytes for each.
    pub(crate) fn of(bytes: u64) -> Self {
        Self { requests: Room::of(bytes), answers: Room::of(bytes) }
    }
}

/// The room that there is.
#[derive(Clone, Debug)]
pub(crate) struct Room(Arc<Semaphore>);

/// There is no room left for a body at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoRoom;

impl Room {
    /// Room for so many bytes.
    pub(crate) fn of(bytes: u64) -> Self {
        let units = usize::try_from(bytes).unwrap_or(usize::MAX) / UNIT;
        Self(Arc::new(Semaphore::new(units.min(Semaphore::MAX_PERMITS))))
    }

    /// A body that is to be read.
    pub(crate) fn body(&self) -> Growing {
        Growing { room: self.clone(), held: None, bytes: BytesMut::new() }
    }
}

/// A body as it is read, with the room that it takes.
pub(crate) struct Growing {
    room: Room,
    held: Option<OwnedSemaphorePermit>,
    bytes: BytesMut,
}

impl Growing {
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Takes in what comes next.
    ///
    /// # Errors
    /// [`NoRoom`].
    pub(crate) fn push(&mut self, data: &[u8]) -> Result<(), NoRoom> {
        let (length, capacity) = (self.bytes.len().saturating_add(data.len()), self.bytes.capacity());
        if length > capacity {
            let capacity = length.max(capacity.saturating_mul(2));
            self.take(capacity)?;
            self.bytes.reserve(capacity - self.bytes.len());
        }
        self.bytes.extend_from_slice(data);
        Ok(())
    }

    fn take(&mut self, capacity: usize) -> Result<(), NoRoom> {
        let held = self.held.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let wanted = capacity.div_ceil(UNIT).saturating_sub(held);
        if capacity <= FREE || wanted == 0 {
            return Ok(());
        }
        let wanted = u32::try_from(wanted).map_err(|_| NoRoom)?;
        let more = Arc::clone(&self.room.0).try_acquire_many_owned(wanted).map_err(|_| NoRoom)?;
        match &mut self.held {
            Some(held) => held.merge(more),
            None => self.held = Some(more),
        }
        Ok(())
    }

    /// The body. Its room is free again when nobody has a part of it any more.
    pub(crate) fn finish(self) -> Bytes {
        let bytes = self.bytes.freeze();
        match self.held {
            None => bytes,
            Some(held) => Bytes::from_owner(Housed { bytes, _held: held }),
        }
    }
}

struct Housed {
    bytes: Bytes,
    _held: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Housed {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    fn read(room: &Room, mebibytes: usize) -> Result<Bytes, NoRoom> {
        let mut body = room.body();
        for _ in 0..mebibytes {
            body.push(&[7; MIB])?;
        }
        Ok(body.finish())
    }

    #[test]
    fn large_bodies_share_the_room_until_the_last_part_of_them_is_gone() {
        let room = Room::of(8 << 20);
        let first = read(&room, 4).unwrap();
        assert_eq!((first.len(), first.iter().all(|byte| *byte == 7)), (4 * MIB, true));
        let part = first.slice(5..6);
        drop(first);
        assert_eq!(read(&room, 5), Err(NoRoom));
        let second = read(&room, 4).unwrap();
        assert_eq!(read(&room, 2), Err(NoRoom));
        assert!(read(&room, 1).is_ok(), "a small one asks for nothing");
        drop((part, second));
        assert!(read(&room, 8).is_ok());
        assert_eq!(room.0.available_permits(), 8 * MIB / UNIT);
    }
}
