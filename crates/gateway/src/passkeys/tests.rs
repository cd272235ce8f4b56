//! The ceremonies against a software authenticator, and against everything that one might say instead.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use proptest::prelude::*;
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair},
};

use super::{
    cbor::Reader,
    ceremony::{self, Purpose, Refused, Signed, Used},
    public_key::PublicKey,
    *,
};

const UP: u8 = 1;
const UV: u8 = 4;
const BE: u8 = 8;
const BS: u8 = 16;
const AT: u8 = 64;
const ED: u8 = 128;

fn site() -> Site {
    Site::of("https://gw.example").unwrap()
}

fn head(kind: u8, number: usize) -> Vec<u8> {
    let bytes = u32::try_from(number).unwrap().to_be_bytes();
    match bytes {
        [0, 0, 0, low @ 0..=23] => vec![kind << 5 | low],
        _ => [&[kind << 5 | 26][..], &bytes].concat(),
    }
}

fn blob(bytes: &[u8]) -> Vec<u8> {
    [head(2, bytes.len()), bytes.to_vec()].concat()
}

fn word(text: &str) -> Vec<u8> {
    [head(3, text.len()), text.as_bytes().to_vec()].concat()
}

fn number(value: i64) -> Vec<u8> {
    match usize::try_from(value) {
        Ok(value) => head(0, value),
        Err(_) => head(1, usize::try_from(-1 - value).unwrap()),
    }
}

fn map(pairs: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = head(5, pairs.len());
    for (key, value) in pairs {
        bytes.extend_from_slice(key);
        bytes.extend_from_slice(value);
    }
    bytes
}

fn p256(x: &[u8], y: &[u8]) -> Vec<u8> {
    map(&[
        (number(1), number(2)),
        (number(3), number(-7)),
        (number(-1), number(1)),
        (number(-2), blob(x)),
        (number(-3), blob(y)),
    ])
}

fn ed25519(x: &[u8]) -> Vec<u8> {
    map(&[(number(1), number(1)), (number(3), number(-8)), (number(-1), number(6)), (number(-2), blob(x))])
}

fn rsa(n: &[u8], e: &[u8]) -> Vec<u8> {
    map(&[(number(1), number(3)), (number(3), number(-257)), (number(-1), blob(n)), (number(-2), blob(e))])
}

/// What an authenticator says, with what is behind the counter.
fn data(name: &str, flags: u8, counter: u32, rest: &[u8]) -> Vec<u8> {
    let site = ring::digest::digest(&ring::digest::SHA256, name.as_bytes());
    [site.as_ref(), &[flags], &counter.to_be_bytes(), rest].concat()
}

fn credential(id: &[u8], key: &[u8]) -> Vec<u8> {
    let length = u16::try_from(id.len()).unwrap().to_be_bytes();
    [&[7; 16][..], &length, id, key].concat()
}

fn object(data: &[u8]) -> Vec<u8> {
    map(&[(word("fmt"), word("none")), (word("attStmt"), map(&[])), (word("authData"), blob(data))])
}

fn made(flags: u8, rest: &[u8]) -> Result<(Vec<u8>, Vec<u8>, u32, bool), Refused> {
    let object = object(&data("gw.example", flags, 3, rest));
    let made = ceremony::made(&object, &site())?;
    Ok((made.credential.to_vec(), made.public_key.to_vec(), made.counter, made.backed_up))
}

#[test]
fn a_passkey_of_each_kind_is_read() {
    for key in [p256(&[1; 32], &[2; 32]), ed25519(&[3; 32]), rsa(&[200; 256], &[1, 0, 1])] {
        let expected = |backed_up| Ok((b"id".to_vec(), key.clone(), 3, backed_up));
        let rest = credential(b"id", &key);
        assert_eq!(made(UP | UV | AT, &rest), expected(false));
        assert_eq!(made(UP | UV | AT | BE | BS, &rest), expected(true));
        let extensions = map(&[(word("credProtect"), number(2))]);
        assert_eq!(made(UP | UV | AT | ED, &[rest, extensions].concat()), expected(false));
    }
}

#[test]
fn what_is_no_passkey_for_this_site_is_refused() {
    let key = p256(&[1; 32], &[2; 32]);
    let rest = credential(b"id", &key);
    let (all, extensions) = (UP | UV | AT, map(&[]));
    for (flags, rest, expected) in [
        (UV | AT, rest.clone(), Refused::Unverified),
        (UP | AT, rest.clone(), Refused::Unverified),
        (all | BS, rest.clone(), Refused::Authenticator),
        (UP | UV, vec![], Refused::Authenticator),
        (UP | UV, rest.clone(), Refused::Authenticator),
        (all, [&rest[..], &[0]].concat(), Refused::Authenticator),
        (all | ED, rest.clone(), Refused::Authenticator),
        (all | ED, [&rest[..], &number(1)].concat(), Refused::Authenticator),
        (all | ED, [&rest[..], &extensions, &extensions].concat(), Refused::Authenticator),
        (all, credential(b"", &key), Refused::Authenticator),
        (all, credential(&[1; 1024], &key), Refused::Authenticator),
        (all, rest[..17].to_vec(), Refused::Authenticator),
        (all, rest[..rest.len() - 1].to_vec(), Refused::Key),
    ] {
        assert_eq!(made(flags, &rest), Err(expected), "{flags:b} {}", rest.len());
    }
    let elsewhere = object(&data("evil.example", all, 0, &rest));
    assert_eq!(ceremony::made(&elsewhere, &site()), Err(Refused::Site));
}

#[test]
fn only_whole_keys_of_known_kinds_are_read() {
    let (x, y) = ((number(-2), blob(&[1; 32])), (number(-3), blob(&[2; 32])));
    let (ec, es256, curve) = ((number(1), number(2)), (number(3), number(-7)), (number(-1), number(1)));
    let with =
        |pairs: &[&(Vec<u8>, Vec<u8>)]| map(&pairs.iter().map(|pair| (*pair).clone()).collect::<Vec<_>>());
    for key in [
        p256(&[1; 31], &[2; 32]),
        p256(&[1; 33], &[2; 32]),
        ed25519(&[1; 31]),
        rsa(&[200; 128], &[1, 0, 1]),
        rsa(&[200; 1025], &[1, 0, 1]),
        rsa(&[&[0][..], &[200; 256]].concat(), &[1, 0, 1]),
        rsa(&[200; 256], &[]),
        rsa(&[200; 256], &[1; 5]),
        with(&[&ec, &es256, &curve, &x]),
        with(&[&ec, &es256, &curve, &x, &y, &y]),
        with(&[&ec, &es256, &curve, &x, &y, &(number(-4), blob(&[9; 32]))]),
        with(&[&ec, &es256, &curve, &x, &(number(-3), vec![0xf5])]),
        with(&[&ec, &(number(3), number(-35)), &curve, &x, &y]),
        with(&[&ec, &es256, &(number(-1), number(2)), &x, &y]),
        with(&[&(word("kty"), number(2)), &es256, &curve, &x, &y]),
        map(&[]),
        number(1),
        vec![],
    ] {
        assert!(PublicKey::read(&mut Reader::new(&key)).is_err(), "{key:x?}");
        assert_eq!(made(UP | UV | AT, &credential(b"id", &key)), Err(Refused::Key));
    }
}

#[test]
fn a_statement_about_the_authenticator_is_skipped_and_no_member_stands_twice() {
    let said = data("gw.example", UP | UV | AT, 0, &credential(b"id", &ed25519(&[3; 32])));
    let chain = [head(4, 2), blob(&[1; 300]), blob(&[2; 300])].concat();
    let statement = map(&[(word("alg"), number(-7)), (word("x5c"), chain)]);
    let (format, statement, said) =
        ((word("fmt"), word("packed")), (word("attStmt"), statement), (word("authData"), blob(&said)));
    let whole = map(&[format.clone(), statement.clone(), said.clone()]);
    assert!(ceremony::made(&whole, &site()).is_ok());
    for broken in [
        map(&[format.clone(), statement.clone()]),
        map(&[statement.clone(), said.clone()]),
        map(&[format.clone(), said.clone()]),
        map(&[format.clone(), statement.clone(), said.clone(), said.clone()]),
        map(&[format.clone(), statement.clone(), said.clone(), (word("ep"), number(1))]),
        map(&[(word("fmt"), number(1)), statement.clone(), said.clone()]),
        map(&[format, statement, (word("authData"), word("text"))]),
        [whole.clone(), vec![0]].concat(),
        whole[..whole.len() - 1].to_vec(),
        [head(5, 1 << 30), whole[1..].to_vec()].concat(),
        vec![0; 40_000],
    ] {
        assert_eq!(ceremony::made(&broken, &site()), Err(Refused::Authenticator));
    }
}

#[test]
fn a_browser_speaks_of_this_site_and_this_purpose() {
    let said = |json: &str| ceremony::challenge(json.as_bytes(), Purpose::SignIn, &site());
    let right = r#"{"type":"webauthn.get","challenge":"abc","origin":"https://gw.example","crossOrigin":false,"other_keys_can_be_added_here":1}"#;
    assert_eq!(said(right), Ok("abc".to_owned()));
    for (wrong, expected) in [
        (right.replace("webauthn.get", "webauthn.create"), Refused::Purpose),
        (right.replace("webauthn.get", "payment.get"), Refused::Purpose),
        (right.replace("https://gw.example", "https://gw.example.evil"), Refused::Site),
        (right.replace("https://gw.example", "http://gw.example"), Refused::Site),
        (right.replace("https://gw.example", "https://gw.example:444"), Refused::Site),
        (right.replace("https://gw.example", "https://www.gw.example"), Refused::Site),
        (right.replace("false", "true"), Refused::Framed),
        (right.replace("\"crossOrigin\":false", "\"topOrigin\":\"https://evil.example\""), Refused::Framed),
        (right.replace("\"type\"", "\"origin\":\"https://evil.example\",\"type\""), Refused::Client),
        (right.replace("\"challenge\":\"abc\",", ""), Refused::Client),
        (right.replace("\"abc\"", "7"), Refused::Client),
        (format!("{right}{right}"), Refused::Client),
        ("[]".to_owned(), Refused::Client),
        (String::new(), Refused::Client),
        (right.replace("abc", &"a".repeat(40_000)), Refused::Client),
    ] {
        assert_eq!(said(&wrong), Err(expected), "{}", wrong.get(..120).unwrap_or(&wrong));
    }
}

/// What an authenticator signs with.
enum Device {
    Ecdsa(EcdsaKeyPair),
    Edwards(Ed25519KeyPair),
}

impl Device {
    fn all() -> [Self; 2] {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
        let sealed = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let ecdsa = EcdsaKeyPair::from_pkcs8(algorithm, sealed.as_ref(), &random).unwrap();
        let sealed = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
        let edwards = Ed25519KeyPair::from_pkcs8(sealed.as_ref()).unwrap();
        [Self::Ecdsa(ecdsa), Self::Edwards(edwards)]
    }

    fn public(&self) -> Vec<u8> {
        match self {
            Self::Ecdsa(pair) => {
                let point = pair.public_key().as_ref();
                p256(&point[1..33], &point[33..])
            }
            Self::Edwards(pair) => ed25519(pair.public_key().as_ref()),
        }
    }

    fn sign(&self, data: &[u8], client: &[u8]) -> Vec<u8> {
        let digest = ring::digest::digest(&ring::digest::SHA256, client);
        let message = [data, digest.as_ref()].concat();
        match self {
            Self::Ecdsa(pair) => pair.sign(&SystemRandom::new(), &message).unwrap().as_ref().to_vec(),
            Self::Edwards(pair) => pair.sign(&message).as_ref().to_vec(),
        }
    }
}

#[test]
fn a_signature_is_of_what_was_said_and_of_nothing_else() {
    let [one, two] = Device::all();
    for (device, other) in [(&one, &two), (&two, &one)] {
        let (said, client) = (data("gw.example", UP | UV, 9, &[]), b"a statement".as_slice());
        let signature = device.sign(&said, client);
        let used = |data: &[u8], client: &[u8], signature: &[u8], key: &[u8]| {
            ceremony::used(Signed { client, data, signature }, key, &site())
        };
        let key = device.public();
        assert_eq!(used(&said, client, &signature, &key), Ok(Used { counter: 9, backed_up: false }));
        assert_eq!(used(&said, b"another", &signature, &key), Err(Refused::Signature));
        assert_eq!(used(&said, client, &signature, &other.public()), Err(Refused::Signature));
        assert_eq!(used(&said, client, &[], &key), Err(Refused::Signature));
        for at in 0..signature.len() {
            let mut bent = signature.clone();
            bent[at] ^= 1;
            assert_eq!(used(&said, client, &bent, &key), Err(Refused::Signature), "byte {at}");
        }
        let moved = data("gw.example", UP | UV, 10, &[]);
        assert_eq!(used(&moved, client, &signature, &key), Err(Refused::Signature));
        // Rightly signed, and yet no sign-in.
        for (said, expected) in [
            (data("gw.example", UP, 9, &[]), Refused::Unverified),
            (data("gw.example", UV, 9, &[]), Refused::Unverified),
            (data("evil.example", UP | UV, 9, &[]), Refused::Site),
            (data("gw.example", UP | UV | AT, 9, &credential(b"id", &key)), Refused::Authenticator),
            (data("gw.example", UP | UV, 9, &[0]), Refused::Authenticator),
        ] {
            assert_eq!(used(&said, client, &device.sign(&said, client), &key), Err(expected));
        }
        assert_eq!(used(&said, client, &signature, &[]), Err(Refused::Key));
    }
}

// A key of 2,048 bits and its signature, made with another implementation.
const MODULUS: &str = "3fXPGabKJoz-g06G4viELVDkLG5-tqZ_AS7lh1uPZuBON3QWwN6N3krXWXBoJR1XDkTcPYD1AbOtLKvCYxPhREFIUTPX4QAs\
    KrWiY10edE7yrWHo-vB-ZUi_kORRDWXkt8hSMgephM0GJpKS8QJUN3x9snpqflBdGa0-rVcGaD0KOT0pehCdeFZdqhuC1RSX\
    PT4ZLIq-X-bJrQ1J2JfkoF-4DE9_cRFMh_3rKZcvlLT_2MAW8EeUCQE0PTIHOM-2V2dPGIEKOol8C4XtRvVsLW5_0nAVSfCz\
    rC12RSkXVc85NsrSCv5KOQmGsoHZDKW929AMWHqQ-QjU9tVAW-32FQ";
const SIGNATURE: &str = "Hx7gA-dbSyhsrBEaK_qm-ui-plnT8KWTnuwSzRIhPkXG2nHvRhv06RHpQUz1Dm6LWDs2_ozduwOOFRp4OH2D0hcGz5Hf0FXr\
    Hn-TU2GuIQE24CtglPUWExt2VtQ9gMuMoOEYH1KR-zai2pheL8HS7ahDhNlWEwbJq02hE6qgPtuDPwtJzlGTWjYghnAQn_cj\
    3BDiq1OmdwPoghHmWZOWAY_EeYi6TrwP2cwDrvAeQLGahK1sscmmSkTFTHS_EV6pZXaNAOzjaOgDVuCVgliUtrsdQNy8WLI_\
    UivbBX7QIutbpQu1ZAFIj0L1NObmIRDtOVN4L6B-P8Uf8N0mxXUDDw";

#[test]
fn an_rsa_signature_of_another_implementation_is_right() {
    let bytes = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
    let key = rsa(&bytes(MODULUS), &[1, 0, 1]);
    let (said, signature) = (data("gw.example", UP | UV, 9, &[]), bytes(SIGNATURE));
    let used =
        |client: &[u8]| ceremony::used(Signed { client, data: &said, signature: &signature }, &key, &site());
    assert_eq!(used(b"a statement"), Ok(Used { counter: 9, backed_up: false }));
    assert_eq!(used(b"a statemenT"), Err(Refused::Signature));
}

proptest! {
    #[test]
    fn no_bytes_make_it_stumble(bytes in proptest::collection::vec(any::<u8>(), 0..400), flags in any::<u8>()) {
        prop_assert!(ceremony::made(&bytes, &site()).is_err());
        // Behind a right beginning, so that the deeper parts are met too.
        let said = data("gw.example", flags | UP | UV, 1, &bytes);
        prop_assert!(ceremony::made(&object(&said), &site()).is_err());
        let credential = [&[0; 16][..], &[0, 1, 9], &bytes].concat();
        let said = data("gw.example", flags | UP | UV | AT, 1, &credential);
        prop_assert!(ceremony::made(&object(&said), &site()).is_err());
        let signed = Signed { client: &bytes, data: &said, signature: &bytes };
        prop_assert!(ceremony::used(signed, &ed25519(&[3; 32]), &site()).is_err());
        prop_assert!(ceremony::challenge(&bytes, Purpose::Register, &site()).is_err());
    }
}
