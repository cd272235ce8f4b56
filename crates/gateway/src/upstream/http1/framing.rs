//! Where the body of an answer ends (RFC 9112, 6 and 7).

use bytes::{Buf, Bytes, BytesMut};

use super::head::Malformed;

/// Longest line between two chunks, and longest line behind the last, in bytes.
const LINE: usize = 8 << 10;
/// Most bytes behind the last chunk.
const TRAILER: usize = 64 << 10;

/// How a body is framed, and how far it has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// So many bytes are left.
    Length(u64),
    /// In chunks.
    Chunked(Chunk),
    /// Until the connection ends.
    UntilClose,
}

/// Where in the chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chunk {
    /// Before the line that says how large the next is.
    Size,
    /// So many bytes of it are left.
    Data(u64),
    /// Before the end of its line.
    End,
    /// In the lines behind the last, which have had so many bytes.
    Trailer(usize),
    /// Behind everything.
    Over,
}

impl Framing {
    pub(super) const fn chunked() -> Self {
        Self::Chunked(Chunk::Size)
    }

    /// Whether everything has been read.
    pub(super) const fn is_over(self) -> bool {
        matches!(self, Self::Length(0) | Self::Chunked(Chunk::Over))
    }

    /// Takes what there is of the body from `buffer`.
    ///
    /// # Errors
    /// It is not framed as it says.
    pub(super) fn take(&mut self, buffer: &mut BytesMut) -> Result<Bytes, Malformed> {
        match self {
            Self::UntilClose => Ok(part(buffer, u64::MAX).1),
            Self::Length(left) => {
                let (size, data) = part(buffer, *left);
                *left -= size;
                Ok(data)
            }
            Self::Chunked(chunk) => chunk.take(buffer),
        }
    }
}

impl Chunk {
    fn take(&mut self, buffer: &mut BytesMut) -> Result<Bytes, Malformed> {
        let (mut first, mut rest) = (Bytes::new(), BytesMut::new());
        loop {
            match *self {
                Self::Data(left) if !buffer.is_empty() => {
                    let (size, data) = part(buffer, left);
                    *self = if size == left { Self::End } else { Self::Data(left - size) };
                    // Most pieces are one chunk, and are copied once.
                    if first.is_empty() {
                        first = data;
                    } else {
                        if rest.is_empty() {
                            rest.reserve(first.len() + data.len() + buffer.len());
                            rest.extend_from_slice(&first);
                        }
                        rest.extend_from_slice(&data);
                    }
                }
                Self::Data(_) | Self::Over => break,
                Self::Size | Self::End | Self::Trailer(_) => {
                    let Some((next, size)) = self.line(buffer)? else { break };
                    buffer.advance(size);
                    *self = next;
                }
            }
        }
        Ok(if rest.is_empty() { first } else { rest.freeze() })
    }

    /// What follows the line that `bytes` begin with, and how long that is; `None` while it is not whole.
    fn line(self, bytes: &[u8]) -> Result<Option<(Self, usize)>, Malformed> {
        let Some(end) = memchr::memchr(b'\n', bytes) else {
            return if bytes.len() > LINE {
                Err(Malformed("a line between its chunks has no end"))
            } else {
                Ok(None)
            };
        };
        let size = end + 1;
        let line = bytes.get(..end).and_then(|line| line.strip_suffix(b"\r"));
        let line =
            line.filter(|line| line.len() <= LINE).ok_or(Malformed("a line between its chunks is none"))?;
        let next = match self {
            Self::Size => match chunk_size(bytes.get(..size).unwrap_or_default())? {
                0 => Self::Trailer(0),
                left => Self::Data(left),
            },
            Self::End if line.is_empty() => Self::Size,
            Self::Trailer(_) if line.is_empty() => Self::Over,
            Self::Trailer(had) if had + size <= TRAILER => Self::Trailer(had + size),
            _ => return Err(Malformed("a chunk is not as long as it says")),
        };
        Ok(Some((next, size)))
    }
}

/// How large the chunk is that this line begins; what stands behind the number is passed over.
fn chunk_size(line: &[u8]) -> Result<u64, Malformed> {
    // A line without a number counts as 0 there, and would end the body.
    let begins = line.first().is_some_and(u8::is_ascii_hexdigit);
    match httparse::parse_chunk_size(line) {
        Ok(httparse::Status::Complete((_, size))) if begins => Ok(size),
        _ => Err(Malformed("the size of a chunk is no number")),
    }
}

/// At most `most` bytes of the beginning of `buffer`, and how many they are.
fn part(buffer: &mut BytesMut, most: u64) -> (u64, Bytes) {
    let size = usize::try_from(most).unwrap_or(usize::MAX).min(buffer.len());
    // A copy, so that the room of the buffer serves the next read.
    let data = Bytes::copy_from_slice(buffer.get(..size).unwrap_or_default());
    buffer.advance(size);
    (size as u64, data)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Reads `bytes` in these pieces: what came, and what was left over.
    fn read(mut framing: Framing, pieces: &[&[u8]]) -> Result<(Vec<u8>, bool, Vec<u8>), Malformed> {
        let (mut buffer, mut whole) = (BytesMut::new(), Vec::new());
        for piece in pieces {
            buffer.extend_from_slice(piece);
            whole.extend_from_slice(&framing.take(&mut buffer)?);
        }
        Ok((whole, framing.is_over(), buffer.to_vec()))
    }

    #[test]
    fn ends_where_it_says() {
        for (framing, bytes, whole, over, left) in [
            (Framing::Length(3), "abcd", "abc", true, "d"),
            (Framing::Length(5), "abcd", "abcd", false, ""),
            (Framing::UntilClose, "abcd", "abcd", false, ""),
            (Framing::chunked(), "3;x=y\r\nabc\r\n1\r\nd\r\n0\r\nt: u\r\n\r\nHTTP", "abcd", true, "HTTP"),
            (Framing::chunked(), "A\r\n0123456789\r\n000\r\n\r\n", "0123456789", true, ""),
            (Framing::chunked(), "3\r\nab", "ab", false, ""),
        ] {
            let expected = (whole.as_bytes().to_vec(), over, left.as_bytes().to_vec());
            assert_eq!(read(framing, &[bytes.as_bytes()]), Ok(expected), "{bytes}");
        }
    }

    #[test]
    fn refuses_what_is_no_chunk() {
        for bytes in [
            "x\r\n",
            "\r\n",
            "-1\r\n",
            "3\nabc",
            "3\r\nabcd\r\n",
            "11111111111111111\r\n",
            &"1".repeat(LINE + 1),
            &format!("3;{}\r\n", "x".repeat(LINE)),
            &format!("0\r\n{}\r\n", "t: u\r\n".repeat(TRAILER)),
        ] {
            let read = read(Framing::chunked(), &[bytes.as_bytes()]);
            assert!(read.is_err(), "{} {read:?}", &bytes[..bytes.len().min(20)]);
        }
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(
            chunks in prop::collection::vec("[a-z\r\n]{1,20}", 0..5), cuts in prop::collection::vec(0..200_usize, 0..8),
        ) {
            let mut bytes: Vec<u8> =
                chunks.iter().flat_map(|chunk| format!("{:x}\r\n{chunk}\r\n", chunk.len()).into_bytes()).collect();
            bytes.extend_from_slice(b"0\r\n\r\n");
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            prop_assert_eq!(read(Framing::chunked(), &pieces), Ok((chunks.concat().into_bytes(), true, Vec::new())));
        }

        #[test]
        fn never_panics(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            drop(read(Framing::chunked(), &[&bytes]));
        }
    }
}
