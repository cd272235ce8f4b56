//! What a browser and an authenticator say when a passkey is made or used (WebAuthn, level 2), checked. Pure.
//!
//! Who has made the authenticator is not asked: registration wants no attestation, and a statement that comes all the
//! same is skipped.

use ring::digest::{SHA256, digest};
use serde::Deserialize;

use super::{
    cbor::{Item, Malformed, Reader},
    public_key::PublicKey,
    site::Site,
};

/// The most bytes that are read of any one part.
pub(super) const LONGEST: usize = 32 << 10;
/// The most bytes of a credential's id, by the standard.
const LONGEST_ID: usize = 1023;

const USER_PRESENT: u8 = 1;
const USER_VERIFIED: u8 = 1 << 2;
const MAY_BE_BACKED_UP: u8 = 1 << 3;
const BACKED_UP: u8 = 1 << 4;
const HAS_CREDENTIAL: u8 = 1 << 6;
const HAS_EXTENSIONS: u8 = 1 << 7;

/// Why what came is not taken. It says nothing that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    #[error("the browser's statement is not readable")]
    Client,
    #[error("the browser's statement is about something else")]
    Purpose,
    #[error("it was made for another site")]
    Site,
    #[error("it was made in a page of another site")]
    Framed,
    #[error("the authenticator's statement is not readable")]
    Authenticator,
    #[error("the authenticator has not asked who is there")]
    Unverified,
    #[error("the authenticator's key is of a kind that is not supported")]
    Key,
    #[error("the signature is not right")]
    Signature,
}

/// What a browser was asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Register,
    SignIn,
}

impl Purpose {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Register => "webauthn.create",
            Self::SignIn => "webauthn.get",
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClientStatement {
    #[serde(rename = "type")]
    kind: String,
    challenge: String,
    origin: String,
    #[serde(default)]
    cross_origin: bool,
    top_origin: Option<String>,
}

/// Checks what the browser says; gives the challenge that it answers, as text.
pub(super) fn challenge(json: &[u8], purpose: Purpose, site: &Site) -> Result<String, Refused> {
    let statement = match json.len() {
        0..=LONGEST => serde_json::from_slice::<ClientStatement>(json).map_err(|_| Refused::Client)?,
        _ => return Err(Refused::Client),
    };
    if statement.kind != purpose.word() {
        return Err(Refused::Purpose);
    }
    if statement.origin != site.origin {
        return Err(Refused::Site);
    }
    if statement.cross_origin || statement.top_origin.is_some() {
        return Err(Refused::Framed);
    }
    Ok(statement.challenge)
}

/// A passkey that was just made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Made<'a> {
    /// Its identity at every site, chosen by the authenticator.
    pub(super) credential: &'a [u8],
    /// The key that checks its signatures, as it came.
    pub(super) public_key: &'a [u8],
    /// Its signatures so far; 0 where the authenticator does not count.
    pub(super) counter: u32,
    /// Whether it is kept in more than one place.
    pub(super) backed_up: bool,
}

/// A passkey that was just used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Used {
    /// Its signatures so far; 0 where the authenticator does not count.
    pub(super) counter: u32,
    /// Whether it is kept in more than one place.
    pub(super) backed_up: bool,
}

/// A credential that was just made.
struct Credential<'a> {
    id: &'a [u8],
    /// As it came.
    public_key: &'a [u8],
}

/// What an authenticator says.
struct AuthenticatorStatement<'a> {
    used: Used,
    /// Where one was just made.
    credential: Option<Credential<'a>>,
}

fn split<const N: usize>(bytes: &[u8]) -> Result<([u8; N], &[u8]), Refused> {
    let (first, rest) = bytes.split_first_chunk::<N>().ok_or(Refused::Authenticator)?;
    Ok((*first, rest))
}

impl<'a> AuthenticatorStatement<'a> {
    fn read(bytes: &'a [u8], site: &Site) -> Result<Self, Refused> {
        if bytes.len() > LONGEST {
            return Err(Refused::Authenticator);
        }
        let (site_digest, rest) = split::<32>(bytes)?;
        let ([flags], rest) = split::<1>(rest)?;
        let (counter, mut rest) = split::<4>(rest)?;
        let has = |flag: u8| flags & flag != 0;
        if site_digest != digest(&SHA256, site.name.as_bytes()).as_ref() {
            return Err(Refused::Site);
        }
        if !has(USER_PRESENT) || !has(USER_VERIFIED) {
            return Err(Refused::Unverified);
        }
        if has(BACKED_UP) && !has(MAY_BE_BACKED_UP) {
            return Err(Refused::Authenticator);
        }
        let mut credential = None;
        if has(HAS_CREDENTIAL) {
            let (found, behind) = attested(rest)?;
            (credential, rest) = (Some(found), behind);
        }
        if has(HAS_EXTENSIONS) {
            let mut reader = Reader::new(rest);
            let read = matches!(Reader::new(rest).item(), Ok(Item::Map(_))) && reader.skip().is_ok();
            if !read {
                return Err(Refused::Authenticator);
            }
            rest = reader.rest();
        }
        if !rest.is_empty() {
            return Err(Refused::Authenticator);
        }
        let used = Used { counter: u32::from_be_bytes(counter), backed_up: has(BACKED_UP) };
        Ok(Self { used, credential })
    }
}

/// A credential, and what stands behind it.
fn attested(bytes: &[u8]) -> Result<(Credential<'_>, &[u8]), Refused> {
    // Sixteen bytes name the authenticator's model.
    let (_, rest) = split::<16>(bytes)?;
    let (length, rest) = split::<2>(rest)?;
    let length = usize::from(u16::from_be_bytes(length));
    let (id, key) = rest.split_at_checked(length).ok_or(Refused::Authenticator)?;
    if !(1..=LONGEST_ID).contains(&length) {
        return Err(Refused::Authenticator);
    }
    let mut reader = Reader::new(key);
    PublicKey::read(&mut reader).map_err(|_| Refused::Key)?;
    let behind = reader.rest();
    let key = key.len().checked_sub(behind.len()).and_then(|length| key.get(..length));
    Ok((Credential { id, public_key: key.ok_or(Refused::Authenticator)? }, behind))
}

/// Finds the authenticator's statement in what registration sends.
fn authenticator_data(object: &[u8]) -> Result<&[u8], Malformed> {
    let mut reader = Reader::new(object);
    let (mut data, mut format, mut statement) = (None, false, false);
    for _ in 0..reader.map()? {
        let Item::Text(member) = reader.item()? else { return Err(Malformed) };
        match member {
            "authData" if data.is_none() => {
                let Item::Bytes(bytes) = reader.item()? else { return Err(Malformed) };
                data = Some(bytes);
            }
            "fmt" if !format => format = matches!(reader.item()?, Item::Text(_)),
            "attStmt" if !statement => {
                reader.skip()?;
                statement = true;
            }
            _ => return Err(Malformed),
        }
    }
    match (data, format, statement, reader.rest()) {
        (Some(data), true, true, []) => Ok(data),
        _ => Err(Malformed),
    }
}

/// Checks what an authenticator says of a new passkey.
pub(super) fn made<'a>(object: &'a [u8], site: &Site) -> Result<Made<'a>, Refused> {
    if object.len() > LONGEST {
        return Err(Refused::Authenticator);
    }
    let data = authenticator_data(object).map_err(|_| Refused::Authenticator)?;
    let statement = AuthenticatorStatement::read(data, site)?;
    let Credential { id, public_key } = statement.credential.ok_or(Refused::Authenticator)?;
    let Used { counter, backed_up } = statement.used;
    Ok(Made { credential: id, public_key, counter, backed_up })
}

/// What comes when a passkey is used.
#[derive(Clone, Copy, Debug)]
pub(super) struct Signed<'a> {
    /// What the browser says.
    pub(super) client: &'a [u8],
    /// What the authenticator says.
    pub(super) data: &'a [u8],
    /// The signature of both.
    pub(super) signature: &'a [u8],
}

/// Checks the signature of a passkey, and what is signed.
pub(super) fn used(signed: Signed<'_>, public_key: &[u8], site: &Site) -> Result<Used, Refused> {
    let statement = AuthenticatorStatement::read(signed.data, site)?;
    if statement.credential.is_some() {
        return Err(Refused::Authenticator);
    }
    let key = PublicKey::read(&mut Reader::new(public_key)).map_err(|_| Refused::Key)?;
    let message = [signed.data, digest(&SHA256, signed.client).as_ref()].concat();
    if key.fits(&message, signed.signature) { Ok(statement.used) } else { Err(Refused::Signature) }
}
