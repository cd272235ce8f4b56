//! The journal's records: how a hold, its progress and its settlement look as bytes.
//!
//! A record is a header of [`HEADER`] bytes — length of the body, checksum, position, and the position that was
//! durable when it was written — and a body. The checksum is seeded with the nonce of the segment, so bytes from
//! elsewhere never pass for a record. A length of 0 is the end.

use model::{
    money::Units,
    usage::{UsageContext, UsageOutcome},
};
use serde::{Deserialize, Serialize};

use crate::book::Draw;

/// Bytes before the body.
pub(crate) const HEADER: usize = 24;
/// Room for the usual body, in bytes.
const USUAL: usize = 384;
/// The longest body. A context is bounded by what the doors let in; anything larger is no record.
pub(crate) const MAX_BODY: usize = 64 * 1024;
/// What every open hold reserves, so that its settlement always has room. An outcome without its error word has at
/// most 206 bytes; [`crate::journal`] cuts the word to 64.
pub(crate) const SETTLEMENT: u64 = 336;

/// What a hold is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Held {
    pub(crate) draws: [Draw; 2],
    pub(crate) units: Units,
    pub(crate) context: UsageContext,
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Record {
    /// A hold; its position is its identity.
    Hold(Held),
    /// Another way is tried: what is known of the request changes.
    Retarget { hold: u64, context: UsageContext },
    /// What was delivered so far, and what that costs.
    Progress { hold: u64, outcome: UsageOutcome },
    /// The end of a hold.
    Settle { hold: u64, outcome: UsageOutcome },
    /// A hold that is still open, written again so that its old segment can go.
    Carry { hold: u64, held: Held, progress: Option<Box<UsageOutcome>> },
    /// The end of a hold without a charge: the book keeps what it held.
    HandOver { hold: u64 },
}

/// A hold that is about to be written, with what others keep too.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct HeldRef<'a> {
    pub(crate) draws: [Draw; 2],
    pub(crate) units: Units,
    pub(crate) context: &'a UsageContext,
}

/// A record that is written without being made first: the same bytes as [`Record`].
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) enum Fresh<'a> {
    Hold(HeldRef<'a>),
}

/// A record found in a segment.
pub(crate) struct Found<'a> {
    pub(crate) seq: u64,
    pub(crate) durable: u64,
    pub(crate) body: &'a [u8],
}

impl Found<'_> {
    /// Bytes it takes in the segment.
    pub(crate) fn len(&self) -> usize {
        HEADER + self.body.len()
    }
}

/// The body of `record`.
///
/// # Errors
/// Only when memory or the format fails; the text is for the log.
pub(crate) fn body(record: &impl Serialize) -> Result<Vec<u8>, String> {
    let body = postcard::to_extend(record, Vec::with_capacity(USUAL)).map_err(|error| error.to_string())?;
    if body.len() > MAX_BODY {
        return Err(format!("a record of {} bytes is too long", body.len()));
    }
    Ok(body)
}

/// Appends header and body to `buffer`.
pub(crate) fn append(buffer: &mut Vec<u8>, nonce: u32, seq: u64, durable: u64, body: &[u8]) {
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
    buffer.reserve(HEADER + body.len());
    buffer.extend_from_slice(&length.to_le_bytes());
    buffer.extend_from_slice(&checksum(nonce, length, seq, durable, body).to_le_bytes());
    buffer.extend_from_slice(&seq.to_le_bytes());
    buffer.extend_from_slice(&durable.to_le_bytes());
    buffer.extend_from_slice(body);
}

/// The record that begins at the start of `bytes`, or `None` when there is no whole, right one.
pub(crate) fn find(bytes: &[u8], nonce: u32) -> Option<Found<'_>> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let length = u32::from_le_bytes(*length);
    let size = usize::try_from(length).ok().filter(|size| (1..=MAX_BODY).contains(size))?;
    let (sum, rest) = rest.split_first_chunk::<4>()?;
    let (seq, rest) = rest.split_first_chunk::<8>()?;
    let (durable, rest) = rest.split_first_chunk::<8>()?;
    let (seq, durable, body) = (u64::from_le_bytes(*seq), u64::from_le_bytes(*durable), rest.get(..size)?);
    (checksum(nonce, length, seq, durable, body) == u32::from_le_bytes(*sum)).then_some(Found {
        seq,
        durable,
        body,
    })
}

/// How many bytes older versions did not write of an outcome's last members, all of them 0: first the size of a video, then
/// the tools and terms too, then the pieces, then all parts.
const NOT_WRITTEN: [usize; 4] = [1, 10, 12, 17];

/// Reads a body. In every record that has an outcome it stands last, and what it has grown by stands at its end: what an
/// older version did not write reads as nothing.
pub(crate) fn read(body: &[u8]) -> Option<Record> {
    let grown = |by: usize| postcard::from_bytes(&[body, &vec![0; by]].concat()).ok();
    postcard::from_bytes(body).ok().or_else(|| NOT_WRITTEN.into_iter().find_map(grown))
}

fn checksum(nonce: u32, length: u32, seq: u64, durable: u64, body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(nonce);
    hasher.update(&length.to_le_bytes());
    hasher.update(&seq.to_le_bytes());
    hasher.update(&durable.to_le_bytes());
    hasher.update(body);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use model::{
        clock::Timestamp,
        price::{Size, Term, Terms, Tool, ToolCalls},
        usage::{Parts, Provenance, Tokens},
    };

    use super::*;

    fn outcome(parts: Parts) -> UsageOutcome {
        UsageOutcome {
            tokens: Tokens { input: 300, cached_input: 2, cache_write: 5, output: 1, reasoning: 0, parts },
            provenance: Provenance::Reported,
            units: Units::new(7),
            overrun: Units::ZERO,
            status: 200,
            error: None,
            first_byte_ms: Some(12),
            ended: Timestamp::from_millis(9),
        }
    }

    #[test]
    fn reads_what_an_older_version_wrote() {
        let settled = |parts| Record::Settle { hold: 4, outcome: outcome(parts) };
        let older = body(&settled(Parts::default())).unwrap();
        for missing in NOT_WRITTEN {
            let older = older.strip_suffix(vec![0; missing].as_slice()).unwrap();
            assert_eq!(read(older), Some(settled(Parts::default())));
        }
        let older = older.strip_suffix(&[0; 17]).unwrap();
        let parts = Parts { cache_write_1h: 5, input_audio: 200, ..Parts::default() };
        assert_eq!(read(&body(&settled(parts)).unwrap()), Some(settled(parts)));
        assert_eq!(read(older.split_last().unwrap().1), None, "a part is missing that every version wrote");
    }

    #[test]
    fn a_settlement_fits_in_what_a_hold_reserves() {
        let parts = Parts {
            cache_write_1h: u64::MAX,
            input_audio: u64::MAX,
            input_image: u64::MAX,
            output_audio: u64::MAX,
            output_image: u64::MAX,
            seconds: u64::MAX,
            images: u64::MAX,
            tools: Tool::ALL.into_iter().fold(ToolCalls::default(), |mut calls, tool| {
                calls.set(tool, u64::MAX);
                calls
            }),
            terms: Term::ALL.into_iter().fold(Terms::NONE, Terms::with),
            size: Some(Size::P2160),
        };
        let (most, all) = (u64::MAX, i64::MIN);
        let largest = UsageOutcome {
            tokens: Tokens {
                input: most,
                cached_input: most,
                cache_write: most,
                output: most,
                reasoning: most,
                parts,
            },
            units: Units::new(all),
            overrun: Units::new(all),
            status: u16::MAX,
            error: Some("e".repeat(64)),
            first_byte_ms: Some(all),
            ended: Timestamp::from_millis(all),
            ..outcome(parts)
        };
        let body = body(&Record::Settle { hold: most, outcome: largest }).unwrap();
        assert!((HEADER + body.len()) as u64 <= SETTLEMENT, "{}", body.len());
    }
}
