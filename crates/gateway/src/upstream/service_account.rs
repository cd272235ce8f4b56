//! A service account of Google's: a key that signs a statement of who asks, for which a token endpoint gives an access token.
//!
//! Source: Google, "Using OAuth 2.0 for server to server applications", without a client library; RFC 7523. The signature
//! is `rustls`'s, which signs with the same library as TLS does.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::StatusCode;
use model::clock::Timestamp;
use serde::Deserialize;
use serde_json::json;
use tokio_rustls::rustls::{
    SignatureScheme,
    crypto::ring::sign::any_supported_type,
    pki_types::{PrivateKeyDer, pem::PemObject},
    sign::SigningKey,
};
use wire::openai::upstream_error::clean;
use zeroize::Zeroizing;

use super::{Target, secret::bearer, tokens::Token};

/// What an access token may be used for.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
/// For how long a statement is good, in seconds; the longest that is taken.
const GOOD: i64 = 3_600;
/// How a statement is handed in.
const GRANT: &str = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=";

/// Who asks, and with which key.
pub(crate) struct ServiceAccount {
    email: String,
    key_id: Option<String>,
    key: Arc<dyn SigningKey>,
    audience: String,
    /// The token endpoint.
    pub(super) endpoint: Target,
}

/// The JSON key as the provider hands it out; what else stands in it is not needed.
#[derive(Deserialize)]
struct JsonKey {
    client_email: Option<String>,
    private_key: Option<String>,
    private_key_id: Option<String>,
    token_uri: Option<String>,
}

/// What a token endpoint answers.
#[derive(Deserialize)]
struct Granted {
    access_token: String,
    expires_in: u32,
}

/// What it refuses with.
#[derive(Default, Deserialize)]
struct Refused {
    #[serde(default)]
    error: String,
    #[serde(default)]
    error_description: String,
}

impl ServiceAccount {
    /// Reads a JSON key.
    ///
    /// # Errors
    /// What is wrong with it, without any part of it.
    pub(crate) fn read(text: &str) -> Result<Self, &'static str> {
        let read: JsonKey =
            serde_json::from_str(text).map_err(|_| "it is not the JSON key of a service account")?;
        let email = read.client_email.ok_or("client_email is missing in it")?;
        let pem = read.private_key.map(Zeroizing::new).ok_or("private_key is missing in it")?;
        let audience = read.token_uri.ok_or("token_uri is missing in it")?;
        let endpoint = Target::parse(&audience).ok_or("token_uri is no address")?;
        let no_key = "private_key is no private key";
        let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| no_key)?;
        let key = any_supported_type(&key).map_err(|_| no_key)?;
        if key.choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256]).is_none() {
            return Err("private_key is no RSA key");
        }
        Ok(Self { email, key_id: read.private_key_id, key, audience, endpoint })
    }

    /// The body of a request for an access token.
    ///
    /// # Errors
    /// The key signs nothing.
    pub(super) fn request(&self, now: Timestamp) -> Result<Bytes, &'static str> {
        let head = json!({"alg": "RS256", "typ": "JWT", "kid": self.key_id});
        let claims = json!({
            "iss": self.email, "scope": SCOPE, "aud": self.audience, "iat": now.secs(), "exp": now.secs() + GOOD,
        });
        let encode = |part: &[u8]| URL_SAFE_NO_PAD.encode(part);
        let said =
            format!("{}.{}", encode(head.to_string().as_bytes()), encode(claims.to_string().as_bytes()));
        let signer = self.key.choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256]);
        let signed = signer.and_then(|signer| signer.sign(said.as_bytes()).ok());
        let signature = signed.ok_or("private_key does not sign")?;
        Ok(Bytes::from(format!("{GRANT}{said}.{}", encode(&signature))))
    }
}

/// The access token in a token endpoint's answer.
pub(super) fn granted(body: &[u8], now: Timestamp) -> Option<Token> {
    let granted: Granted = serde_json::from_slice(body).ok()?;
    let token = Zeroizing::new(granted.access_token);
    Some(Token::new(bearer(&token).ok()?, now, granted.expires_in))
}

/// Why a token endpoint gives no access token.
pub(super) fn refused(status: StatusCode, body: &[u8]) -> String {
    let said: Refused = serde_json::from_slice(body).unwrap_or_default();
    let words: Vec<String> = [said.error, said.error_description].iter().map(|word| clean(word)).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).filter(|word| !word.is_empty()).collect();
    match words.as_slice() {
        [] => format!("the service account gets no access token: status {}", status.as_u16()),
        words => format!("the service account gets no access token: {}", words.join(": ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_none_says_why() {
        for (text, expected) in [
            ("nonsense", "it is not the JSON key of a service account"),
            ("{}", "client_email is missing in it"),
            (r#"{"client_email":"a"}"#, "private_key is missing in it"),
            (r#"{"client_email":"a","private_key":"x"}"#, "token_uri is missing in it"),
            (r#"{"client_email":"a","private_key":"x","token_uri":"x"}"#, "token_uri is no address"),
            (
                r#"{"client_email":"a","private_key":"x","token_uri":"https://a/b"}"#,
                "private_key is no private key",
            ),
        ] {
            assert_eq!(ServiceAccount::read(text).err(), Some(expected), "{text}");
        }
    }

    #[test]
    fn a_refusal_is_told_in_the_endpoints_words() {
        let body = br#"{"error":"invalid_grant","error_description":"Invalid JWT Signature."}"#;
        let told = refused(StatusCode::BAD_REQUEST, body);
        assert_eq!(told, "the service account gets no access token: invalid_grant: Invalid JWT Signature.");
        let told = refused(StatusCode::FORBIDDEN, b"<html>");
        assert_eq!(told, "the service account gets no access token: status 403");
    }
}
