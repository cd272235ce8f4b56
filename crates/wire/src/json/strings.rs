//! Strings of JSON: where they end, and what they say.

use std::borrow::Cow;

use memchr::memchr2;

use super::Malformed;

/// Where the first quote or backslash is. Most strings are names and words, shorter than it takes to begin a search of
/// many bytes at once: those are looked at eight bytes at a time.
#[inline]
pub(super) fn mark(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = ONES << 7;
    // The lowest of the bits that are set is that of the first byte which is `byte`.
    let is = |word: u64, byte: u8| {
        let zero = word ^ (ONES * u64::from(byte));
        zero.wrapping_sub(ONES) & !zero & HIGH
    };
    let mut rest = bytes;
    for begin in [0, 8, 16] {
        let Some((word, behind)) = rest.split_first_chunk() else { break };
        let word = u64::from_le_bytes(*word);
        let found = is(word, b'"') | is(word, b'\\');
        if found != 0 {
            return Some(begin + found.trailing_zeros() as usize / 8);
        }
        rest = behind;
    }
    Some(bytes.len() - rest.len() + memchr2(b'"', b'\\', rest)?)
}

/// What follows a string whose opening quote was taken; `None` where it has no end.
pub(crate) fn after_string(mut rest: &[u8]) -> Option<&[u8]> {
    loop {
        match rest.get(mark(rest)?..)? {
            [b'"', behind @ ..] => return Some(behind),
            [_, _, behind @ ..] => rest = behind,
            _ => return None,
        }
    }
}

/// A string without its escapes.
fn plain(raw: &[u8]) -> Result<Cow<'_, [u8]>, Malformed> {
    if memchr::memchr(b'\\', raw).is_none() {
        return Ok(Cow::Borrowed(raw));
    }
    unescaped(raw).map(Cow::Owned)
}

/// What an escaped string says.
pub(super) fn unescaped(raw: &[u8]) -> Result<Vec<u8>, Malformed> {
    let quoted = [b"\"", raw, b"\""].concat();
    let text: String = serde_json::from_slice(&quoted).map_err(|_| Malformed)?;
    Ok(text.into_bytes())
}

/// The bytes of a string's text, its escapes resolved; half of a surrogate pair counts as it stands.
pub(crate) fn text_length(raw: &[u8]) -> u64 {
    plain(raw).map_or(raw.len(), |text| text.len()) as u64
}
