//! Server-sent events: splits a byte stream into events without changing a byte.
//!
//! However the bytes are cut into chunks, the events are the same, and one after the other they are the stream.

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};
use memchr::memchr2;

/// The longest event. A provider that sends more without an end is broken.
pub const MAX_EVENT: usize = 4 << 20;

/// An event beyond [`MAX_EVENT`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event of the stream exceeds {MAX_EVENT} bytes")]
pub struct TooLong;

/// Splits a stream.
#[derive(Debug, Default)]
pub struct Splitter {
    buffer: Bytes,
    /// Where the line that is not complete yet begins.
    line: usize,
    /// Where to go on looking for its end.
    looked: usize,
}

impl Splitter {
    /// Takes in the next bytes of the stream.
    pub fn push(&mut self, chunk: Bytes) {
        if self.buffer.is_empty() {
            self.buffer = chunk;
            return;
        }
        // Once the rest has been copied it is nobody else's, and grows in place: a long event is not copied again
        // for each of its pieces.
        let mut joined = std::mem::take(&mut self.buffer).try_into_mut().unwrap_or_else(|shared| {
            let mut joined = BytesMut::with_capacity(shared.len() + chunk.len());
            joined.extend_from_slice(&shared);
            joined
        });
        joined.extend_from_slice(&chunk);
        self.buffer = joined.freeze();
    }

    /// The next whole event, its blank line included.
    ///
    /// # Errors
    /// [`TooLong`].
    pub fn next_event(&mut self) -> Result<Option<Bytes>, TooLong> {
        while let Some(found) = self.buffer.get(self.looked..).and_then(|rest| memchr2(b'\n', b'\r', rest)) {
            let at = self.looked + found;
            let end = match (self.buffer.get(at), self.buffer.get(at + 1)) {
                (Some(b'\r'), Some(b'\n')) => at + 2,
                // The next chunk may begin with the line feed that belongs to it.
                (Some(b'\r'), None) => {
                    self.looked = at;
                    return self.bounded();
                }
                _ => at + 1,
            };
            let blank = at == self.line;
            (self.line, self.looked) = (end, end);
            if blank {
                (self.line, self.looked) = (0, 0);
                return Ok(Some(self.buffer.split_to(end)));
            }
        }
        self.looked = self.buffer.len();
        self.bounded()
    }

    fn bounded(&self) -> Result<Option<Bytes>, TooLong> {
        if self.buffer.len() > MAX_EVENT { Err(TooLong) } else { Ok(None) }
    }

    /// What is left at the end of the stream: an event without its blank line, or nothing.
    pub fn finish(&mut self) -> Option<Bytes> {
        (self.line, self.looked) = (0, 0);
        Some(std::mem::take(&mut self.buffer)).filter(|rest| !rest.is_empty())
    }
}

/// The data of an event: its `data` lines, joined by line feeds. `None` for a comment and the like.
#[must_use]
pub fn data(event: &[u8]) -> Option<Cow<'_, [u8]>> {
    let event = event.strip_prefix(b"\xef\xbb\xbf").unwrap_or(event);
    // One line of data is the rule.
    if let Some(value) = event.strip_prefix(b"data:")
        && let Some((end, tail)) = memchr2(b'\n', b'\r', value).and_then(|end| value.split_at_checked(end))
        && matches!(tail, b"\n\n" | b"\r\n\r\n")
    {
        return Some(Cow::Borrowed(end.strip_prefix(b" ").unwrap_or(end)));
    }
    let lines = event.split(|byte| matches!(byte, b'\n' | b'\r'));
    let mut data = lines.filter_map(|line| {
        let value = line.strip_prefix(b"data:").or_else(|| (line == b"data").then_some(b"".as_slice()))?;
        Some(value.strip_prefix(b" ").unwrap_or(value))
    });
    let first = data.next()?;
    let rest: Vec<&[u8]> = data.collect();
    if rest.is_empty() {
        return Some(Cow::Borrowed(first));
    }
    Some(Cow::Owned([&[first], rest.as_slice()].concat().join(b"\n".as_slice())))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(chunks: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut splitter = Splitter::default();
        let mut events = Vec::new();
        for chunk in chunks {
            splitter.push(Bytes::copy_from_slice(chunk));
            while let Some(event) = splitter.next_event().unwrap() {
                events.push(event.to_vec());
            }
        }
        events.extend(splitter.finish().map(|rest| rest.to_vec()));
        events
    }

    #[test]
    fn ends_events_at_blank_lines_of_every_kind() {
        for (stream, expected) in [
            ("data: a\n\ndata: b\n\n", vec!["data: a\n\n", "data: b\n\n"]),
            ("data: a\r\n\r\ndata: b", vec!["data: a\r\n\r\n", "data: b"]),
            ("data: a\r\rdata: b\r\r", vec!["data: a\r\r", "data: b\r\r"]),
            (": keep\n\n\ndata: a\ndata: b\n\n", vec![": keep\n\n", "\n", "data: a\ndata: b\n\n"]),
        ] {
            let events = split(&[stream.as_bytes()]);
            let texts: Vec<&str> = events.iter().map(|event| std::str::from_utf8(event).unwrap()).collect();
            assert_eq!(texts, expected);
        }
    }

    #[test]
    fn reads_data_lines() {
        assert_eq!(data(b"data: a\ndata:b\n\n").as_deref(), Some(b"a\nb".as_slice()));
        assert_eq!(data(b"\xef\xbb\xbfdata: [DONE]\r\n\r\n").as_deref(), Some(b"[DONE]".as_slice()));
        assert_eq!(data(b": comment\n\n"), None);
    }

    #[test]
    fn refuses_an_event_without_end() {
        let mut splitter = Splitter::default();
        splitter.push(Bytes::from(vec![b'x'; MAX_EVENT + 1]));
        assert_eq!(splitter.next_event(), Err(TooLong));
    }

    #[test]
    fn a_long_event_is_not_copied_for_each_piece() {
        let mut splitter = Splitter::default();
        let (mut moves, mut at) = (0, std::ptr::null());
        for _ in 0..2_000 {
            splitter.push(Bytes::from_static(&[b'x'; 1_000]));
            assert_eq!(splitter.next_event(), Ok(None));
            moves += usize::from(splitter.buffer.as_ptr() != at);
            at = splitter.buffer.as_ptr();
        }
        assert!(moves < 50, "{moves}");
        assert_eq!(splitter.finish().map(|rest| rest.len()), Some(2_000_000));
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_events(stream in "[a:\n\r]{0,40}", cuts in prop::collection::vec(0_usize..40, 0..6)) {
            let bytes = stream.as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let chunks: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).filter(|chunk| !chunk.is_empty()).collect();
            let events = split(&chunks);
            prop_assert_eq!(&events, &split(&[bytes]));
            prop_assert_eq!(events.concat(), bytes);
        }
    }
}
