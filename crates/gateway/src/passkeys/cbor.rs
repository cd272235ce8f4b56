//! CBOR (RFC 8949), as far as authenticators write it: definite lengths, no tags.
//!
//! What is read comes from strangers: nothing is allocated, a length is believed only as far as there are bytes, and what
//! is skipped is no deeper than [`DEEPEST`].

/// The deepest nesting that is skipped: attestation statements have three levels.
const DEEPEST: u8 = 8;

/// Bytes that are no CBOR of an authenticator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// One item; of an array or a map only its head, whose items follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Item<'a> {
    Integer(i64),
    Bytes(&'a [u8]),
    Text(&'a str),
    /// With so many items.
    Array(u64),
    /// With so many pairs.
    Map(u64),
    /// A number with a fraction, `true`, `null` and the like.
    Simple,
}

/// Reads items from the front of what is left.
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// What was not read.
    pub(super) const fn rest(&self) -> &'a [u8] {
        self.0
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    /// The kind of an item, what its first byte says, and the number that follows it.
    fn head(&mut self) -> Result<(u8, u8, u64), Malformed> {
        let [first] = *self.take(1)? else { return Err(Malformed) };
        let (kind, low) = (first >> 5, first & 31);
        let width = match low {
            0..=23 => return Ok((kind, low, low.into())),
            24..=27 => 1_usize << (low - 24),
            // Reserved, or without a length.
            _ => return Err(Malformed),
        };
        let bytes = self.take(width)?;
        Ok((kind, low, bytes.iter().fold(0, |number, byte| (number << 8) | u64::from(*byte))))
    }

    fn counted(&mut self, length: u64) -> Result<&'a [u8], Malformed> {
        self.take(usize::try_from(length).map_err(|_| Malformed)?)
    }

    /// The next item.
    pub(super) fn item(&mut self) -> Result<Item<'a>, Malformed> {
        let (kind, low, number) = self.head()?;
        let integer = || i64::try_from(number).map_err(|_| Malformed);
        Ok(match kind {
            0 => Item::Integer(integer()?),
            1 => Item::Integer(-1 - integer()?),
            2 => Item::Bytes(self.counted(number)?),
            3 => Item::Text(std::str::from_utf8(self.counted(number)?).map_err(|_| Malformed)?),
            4 => Item::Array(number),
            5 => Item::Map(number),
            7 if low != 24 || number >= 32 => Item::Simple,
            _ => return Err(Malformed),
        })
    }

    /// The next item, whatever it is, with all that is in it.
    pub(super) fn skip(&mut self) -> Result<(), Malformed> {
        self.skip_below(DEEPEST)
    }

    fn skip_below(&mut self, levels: u8) -> Result<(), Malformed> {
        let items = match self.item()? {
            Item::Array(items) => items,
            Item::Map(pairs) => pairs.checked_mul(2).ok_or(Malformed)?,
            _ => return Ok(()),
        };
        let below = levels.checked_sub(1).ok_or(Malformed)?;
        // Each item takes a byte at least, so a boast of many ends with the bytes.
        (0..items).try_for_each(|_| self.skip_below(below))
    }

    /// How many pairs the map has that comes next.
    pub(super) fn map(&mut self) -> Result<u64, Malformed> {
        match self.item()? {
            Item::Map(pairs) => Ok(pairs),
            _ => Err(Malformed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8]) -> Result<Vec<Item<'_>>, Malformed> {
        let mut reader = Reader::new(bytes);
        let mut items = Vec::new();
        while !reader.rest().is_empty() {
            items.push(reader.item()?);
        }
        Ok(items)
    }

    #[test]
    fn reads_what_the_standard_shows() {
        for (bytes, item) in [
            (&[0x17][..], Item::Integer(23)),
            (&[0x18, 0x64], Item::Integer(100)),
            (&[0x1b, 0, 0, 0, 0xe8, 0xd4, 0xa5, 0x10, 0], Item::Integer(1_000_000_000_000)),
            (&[0x26], Item::Integer(-7)),
            (&[0x39, 1, 0], Item::Integer(-257)),
            (&[0x3b, 0x7f, 255, 255, 255, 255, 255, 255, 255], Item::Integer(i64::MIN)),
            (&[0x42, 1, 2], Item::Bytes(&[1, 2])),
            (&[0x64, b'n', b'o', b'n', b'e'], Item::Text("none")),
            (&[0x80], Item::Array(0)),
            (&[0xa1], Item::Map(1)),
            (&[0xf5], Item::Simple),
            (&[0xfb, 0, 0, 0, 0, 0, 0, 0, 0], Item::Simple),
        ] {
            assert_eq!(all(bytes), Ok(vec![item]), "{bytes:x?}");
        }
    }

    #[test]
    fn refuses_what_no_authenticator_writes() {
        for bytes in [
            &[0x18][..],
            &[0x1b, 255, 255, 255, 255, 255, 255, 255, 255],
            &[0x1c],
            &[0x43, 1, 2],
            &[0x5b, 255, 255, 255, 255, 255, 255, 255, 255, 1],
            &[0x5f, 0x41, 1, 255],
            &[0x62, 255, 254],
            &[0xc0, 0],
            &[0xf8, 3],
            &[0xff],
        ] {
            assert_eq!(all(bytes), Err(Malformed), "{bytes:x?}");
        }
    }

    #[test]
    fn skips_neither_too_deep_nor_past_the_end() {
        let nested = |levels: usize| [vec![0x81; levels], vec![0]].concat();
        assert_eq!(Reader::new(&nested(8)).skip(), Ok(()));
        assert_eq!(Reader::new(&nested(9)).skip(), Err(Malformed));
        assert_eq!(Reader::new(&[0x81; 100_000]).skip(), Err(Malformed));
        assert_eq!(Reader::new(&[0x9b, 127, 255, 255, 255, 255, 255, 255, 255, 0]).skip(), Err(Malformed));
        assert_eq!(Reader::new(&[0xbb, 255, 255, 255, 255, 255, 255, 255, 255, 0]).skip(), Err(Malformed));
        let mut reader = Reader::new(&[0xa1, 1, 0x82, 2, 3, 9]);
        assert_eq!((reader.skip(), reader.rest()), (Ok(()), &[9][..]));
    }
}
