//! A stream of generateContent without `alt=sse`: one JSON array, whose elements come one by one.
//!
//! However the bytes are cut into chunks, the pieces are the same, and one after the other they are the stream.

use bytes::{Bytes, BytesMut};

use crate::sse::{MAX_EVENT, TooLong};

/// Splits an array into pieces: each ends behind an element, and begins with the bracket or comma before it.
#[derive(Debug, Default)]
pub struct Splitter {
    buffer: BytesMut,
    looked: usize,
    depth: usize,
    in_string: bool,
    escaped: bool,
}

impl Splitter {
    /// Takes in the next bytes of the stream.
    pub fn push(&mut self, chunk: &[u8]) {
        self.buffer.extend_from_slice(chunk);
    }

    /// The next piece.
    ///
    /// # Errors
    /// [`TooLong`].
    pub fn next_piece(&mut self) -> Result<Option<Bytes>, TooLong> {
        while let Some(byte) = self.buffer.get(self.looked).copied() {
            self.looked += 1;
            if self.in_string {
                (self.in_string, self.escaped) =
                    (self.escaped || byte != b'"', !self.escaped && byte == b'\\');
                continue;
            }
            match byte {
                b'"' => self.in_string = true,
                b'{' => self.depth += 1,
                b'}' => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 0 {
                        let piece = self.buffer.split_to(self.looked).freeze();
                        self.looked = 0;
                        return Ok(Some(piece));
                    }
                }
                _ => {}
            }
        }
        if self.buffer.len() > MAX_EVENT { Err(TooLong) } else { Ok(None) }
    }

    /// What is left at the end of the stream: the closing bracket, or a torn element, or nothing.
    pub fn finish(&mut self) -> Option<Bytes> {
        self.looked = 0;
        Some(self.buffer.split().freeze()).filter(|rest| !rest.is_empty())
    }
}

/// The element of a piece, if there is one.
pub(crate) fn element(piece: &[u8]) -> Option<&[u8]> {
    let start = memchr::memchr(b'{', piece)?;
    let end = memchr::memrchr(b'}', piece)?;
    piece.get(start..=end)
}

/// What stands before the element of a piece and behind it.
pub(crate) fn around(piece: &[u8]) -> (&[u8], &[u8]) {
    let start = memchr::memchr(b'{', piece).unwrap_or(0);
    let end = memchr::memrchr(b'}', piece).map_or(0, |end| end + 1);
    (piece.get(..start).unwrap_or_default(), piece.get(end..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(chunks: &[&[u8]]) -> Vec<Bytes> {
        let (mut splitter, mut pieces) = (Splitter::default(), Vec::new());
        for chunk in chunks {
            splitter.push(chunk);
            while let Some(piece) = splitter.next_piece().unwrap() {
                pieces.push(piece);
            }
        }
        pieces.extend(splitter.finish());
        pieces
    }

    #[test]
    fn pieces_end_behind_elements() {
        let stream = br#"[{"a":"}\"{","b":{}}
,
{"c":[1]}
]"#;
        let pieces = split(&[stream]);
        assert_eq!(pieces.len(), 3);
        assert_eq!(element(&pieces[0]), Some(br#"{"a":"}\"{","b":{}}"#.as_slice()));
        assert_eq!(element(&pieces[1]), Some(br#"{"c":[1]}"#.as_slice()));
        assert_eq!(element(&pieces[2]), None);
        assert_eq!(around(&pieces[1]), (b"\n,\n".as_slice(), b"".as_slice()));
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_pieces(stream in "[\\[{}\",\\\\a]{0,40}", cut in 0_usize..40) {
            let bytes = stream.as_bytes();
            let (first, second) = bytes.split_at(cut.min(bytes.len()));
            let pieces = split(&[first, second]);
            prop_assert_eq!(&pieces, &split(&[bytes]));
            prop_assert_eq!(pieces.concat(), bytes);
        }
    }
}
