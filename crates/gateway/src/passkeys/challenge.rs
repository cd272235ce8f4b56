//! Challenges: what a passkey must sign, so that what it signed once is worth nothing again.
//!
//! A challenge is not kept until it is answered: it carries when it was made and a tag that only this gateway can make,
//! over its purpose and whom it was made for. So a stranger who asks for many fills no table. The right answer spends it,
//! in the transaction of what it opens.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use model::clock::Timestamp;
use ring::digest::{SHA256, digest};
use store::Store;

use super::ceremony::Purpose;
use crate::Failure;

/// How long one may be answered: 5 minutes, as long as browsers wait for a person.
pub const MILLIS: i64 = 5 * 60_000;
const NONCE: usize = 16;

/// A challenge that was made here, and not too long ago.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Challenge {
    /// What makes it one of its own.
    pub(super) nonce: [u8; NONCE],
}

fn tag(store: &Store, purpose: Purpose, whose: &str, nonce: &[u8], made: i64) -> [u8; 32] {
    let nonce = URL_SAFE_NO_PAD.encode(nonce);
    store.stamp(&format!("passkey challenge\0{}\0{made}\0{nonce}\0{whose}", purpose.word()))
}

/// A new one for somebody: a session, or a browser.
pub(super) fn make(store: &Store, purpose: Purpose, whose: &str, now: Timestamp) -> Result<String, Failure> {
    let mut nonce = [0_u8; NONCE];
    getrandom::fill(&mut nonce).map_err(|error| {
        tracing::error!(%error, "no random numbers");
        Failure::Unavailable
    })?;
    let tag = tag(store, purpose, whose, &nonce, now.millis());
    Ok(URL_SAFE_NO_PAD.encode([&nonce[..], &now.millis().to_be_bytes(), &tag].concat()))
}

/// Reads one that comes back; `None` for everything that was not made here for `whose` and this purpose, or too long ago.
pub(super) fn read(
    store: &Store,
    purpose: Purpose,
    whose: &str,
    text: &str,
    now: Timestamp,
) -> Option<Challenge> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (nonce, rest) = bytes.split_first_chunk::<NONCE>()?;
    let (made, given) = rest.split_first_chunk::<8>()?;
    let made = i64::from_be_bytes(*made);
    let expected = tag(store, purpose, whose, nonce, made);
    // Digests are compared, so that the time says nothing about the tag.
    let fits = digest(&SHA256, given).as_ref() == digest(&SHA256, &expected).as_ref();
    let age = now.millis_since(Timestamp::from_millis(made));
    (fits && age <= MILLIS).then_some(Challenge { nonce: *nonce })
}
