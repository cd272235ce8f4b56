//! Public keys of passkeys, as authenticators write them (COSE, RFC 9053): ECDSA on P-256, Ed25519, RSA.

use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};

use super::cbor::{Item, Malformed, Reader};

/// The algorithms that registration asks for, best first: EdDSA, ES256, RS256.
pub const ALGORITHMS: [i64; 3] = [-8, -7, -257];

/// A key that checks signatures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PublicKey {
    /// An uncompressed point.
    P256([u8; 65]),
    Ed25519([u8; 32]),
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
}

/// The members of a key.
#[derive(Default)]
struct Members<'a> {
    kind: Option<i64>,
    algorithm: Option<i64>,
    curve: Option<i64>,
    /// `x`, or an RSA key's `e`.
    second: Option<&'a [u8]>,
    /// `y`.
    third: Option<&'a [u8]>,
    /// An RSA key's `n`.
    modulus: Option<&'a [u8]>,
}

fn put<T>(place: &mut Option<T>, value: T) -> Result<(), Malformed> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(Malformed),
    }
}

impl PublicKey {
    /// Reads the key at the front of `reader`; what is behind it stays.
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let mut members = Members::default();
        for _ in 0..reader.map()? {
            let Item::Integer(label) = reader.item()? else { return Err(Malformed) };
            match (label, reader.item()?) {
                (1, Item::Integer(kind)) => put(&mut members.kind, kind)?,
                (3, Item::Integer(algorithm)) => put(&mut members.algorithm, algorithm)?,
                (-1, Item::Integer(curve)) => put(&mut members.curve, curve)?,
                (-1, Item::Bytes(n)) => put(&mut members.modulus, n)?,
                (-2, Item::Bytes(bytes)) => put(&mut members.second, bytes)?,
                (-3, Item::Bytes(bytes)) => put(&mut members.third, bytes)?,
                // The standard allows no others, and a point in another form is not asked for.
                _ => return Err(Malformed),
            }
        }
        members.key()
    }

    /// Whether `signature` of `message` was made with this key's other half.
    pub(super) fn fits(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::P256(point) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point).verify(message, signature)
            }
            Self::Ed25519(bytes) => UnparsedPublicKey::new(&ED25519, bytes).verify(message, signature),
            Self::Rsa { n, e } => {
                RsaPublicKeyComponents { n, e }.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
            }
        }
        .is_ok()
    }
}

impl Members<'_> {
    fn key(self) -> Result<PublicKey, Malformed> {
        let exact = |bytes: Option<&[u8]>| bytes.and_then(|bytes| bytes.try_into().ok()).ok_or(Malformed);
        match (self.kind, self.algorithm, self.curve, self.modulus) {
            (Some(2), Some(-7), Some(1), None) => {
                let (x, y): ([u8; 32], [u8; 32]) = (exact(self.second)?, exact(self.third)?);
                let mut point = [4; 65];
                for (place, byte) in point.iter_mut().skip(1).zip(x.into_iter().chain(y)) {
                    *place = byte;
                }
                Ok(PublicKey::P256(point))
            }
            (Some(1), Some(-8), Some(6), None) if self.third.is_none() => {
                Ok(PublicKey::Ed25519(exact(self.second)?))
            }
            (Some(3), Some(-257), None, Some(n)) if self.third.is_none() => {
                let e = self.second.ok_or(Malformed)?;
                let fits = (256..=1024).contains(&n.len()) && (1..=4).contains(&e.len());
                let plain = n.first() != Some(&0) && e.first() != Some(&0);
                if fits && plain {
                    Ok(PublicKey::Rsa { n: n.to_vec(), e: e.to_vec() })
                } else {
                    Err(Malformed)
                }
            }
            _ => Err(Malformed),
        }
    }
}
