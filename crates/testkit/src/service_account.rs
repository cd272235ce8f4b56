//! The token endpoint for service accounts, as Google has it: it gives access tokens for statements that it can verify, and
//! afterwards knows which it gave.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode, header};
use model::clock::{Clock, SystemClock};
use parking_lot::Mutex;
use ring::{
    rsa::KeyPair,
    signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey},
};
use serde_json::{Value, json};
use tokio_rustls::rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject};

use crate::{
    Script,
    body::{Body, bytes},
    vendor::Vendor,
};

/// Where the endpoint is.
pub(crate) const PATH: &str = "/token";

const EMAIL: &str = "scripted@project.iam.gserviceaccount.com";
const KEY_ID: &str = "scripted-key";
const KEY: &str = include_str!("service_account.pem");
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// The access tokens of a provider.
#[derive(Debug)]
pub(crate) struct Tokens(Mutex<Given>);

#[derive(Debug)]
struct Given {
    /// Whether paths of Vertex are open to these tokens only.
    demanded: bool,
    /// Each with its end, in seconds since the epoch.
    tokens: Vec<(String, i64)>,
    /// How many there were.
    number: u64,
    /// How long the next ones live, in seconds.
    live: i64,
}

impl Default for Tokens {
    fn default() -> Self {
        Self(Mutex::new(Given { demanded: false, tokens: Vec::new(), number: 0, live: 3_600 }))
    }
}

impl Tokens {
    /// The JSON key of the account that gets tokens; from now on they are demanded.
    pub(crate) fn key(&self, origin: &str) -> String {
        self.0.lock().demanded = true;
        let key = json!({
            "type": "service_account", "project_id": "project", "private_key_id": KEY_ID, "private_key": KEY,
            "client_email": EMAIL, "client_id": "1", "token_uri": format!("{origin}{PATH}"),
        });
        serde_json::to_string_pretty(&key).unwrap_or_default()
    }

    pub(crate) fn live(&self, seconds: i64) {
        self.0.lock().live = seconds;
    }

    pub(crate) fn revoke(&self) {
        self.0.lock().tokens.clear();
    }

    /// Whether paths of Vertex are open to access tokens only.
    pub(crate) fn are_demanded(&self) -> bool {
        self.0.lock().demanded
    }

    /// Refuses who brings no access token that is good.
    pub(crate) fn refusal(&self, headers: &HeaderMap) -> Option<Response<Body>> {
        let told = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let bearer = told.and_then(|told| told.strip_prefix("Bearer "));
        let (given, now) = (self.0.lock(), SystemClock.now().secs());
        if given.tokens.iter().any(|(token, end)| Some(token.as_str()) == bearer && now < *end) {
            return None;
        }
        let message = "Request had invalid authentication credentials. Expected OAuth 2 access token.";
        let script = Script { message: Some(message.to_owned()), ..Script::default() };
        let body = Vendor::Vertex.error(401, &script);
        Some(bytes(StatusCode::UNAUTHORIZED, "application/json", body))
    }

    /// Answers a request for a token.
    pub(crate) fn answer(&self, body: &Bytes, origin: &str) -> Response<Body> {
        match verified(body, &format!("{origin}{PATH}")) {
            Ok(()) => {
                let mut given = self.0.lock();
                given.number += 1;
                let token = format!("ya29.scripted-{}", given.number);
                let live = given.live;
                given.tokens.push((token.clone(), SystemClock.now().secs() + live));
                let body = json!({"access_token": token, "expires_in": live, "token_type": "Bearer"});
                bytes(StatusCode::OK, "application/json", body.to_string())
            }
            Err((error, why)) => {
                let body = json!({"error": error, "error_description": why});
                bytes(StatusCode::BAD_REQUEST, "application/json", body.to_string())
            }
        }
    }
}

/// Whether a request brings a statement of the account.
fn verified(body: &[u8], audience: &str) -> Result<(), (&'static str, &'static str)> {
    let fields: Vec<(String, String)> = form_urlencoded::parse(body).into_owned().collect();
    let field = |name: &str| fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    if field("grant_type") != Some(GRANT) {
        return Err(("unsupported_grant_type", "Invalid grant_type"));
    }
    let invalid = |why| ("invalid_grant", why);
    let bad = || invalid("Bad Request");
    let (said, signature) = field("assertion").and_then(|text| text.rsplit_once('.')).ok_or_else(bad)?;
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| bad());
    let (head, claims) = said.split_once('.').ok_or_else(bad)?;
    let read = |part: &str| serde_json::from_slice::<Value>(&decode(part)?).map_err(|_| bad());
    let (head, claims) = (read(head)?, read(claims)?);
    let is = |value: &Value, member: &str, expected: &str| value.get(member) == Some(&json!(expected));
    if !is(&claims, "iss", EMAIL) {
        return Err(invalid("Invalid grant: account not found"));
    }
    let public = public_key().ok_or_else(bad)?;
    let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public);
    let signed = key.verify(said.as_bytes(), &decode(signature)?).is_ok();
    if !signed || !is(&head, "alg", "RS256") || !is(&head, "kid", KEY_ID) {
        return Err(invalid("Invalid JWT Signature."));
    }
    if !is(&claims, "aud", audience) || !is(&claims, "scope", SCOPE) {
        return Err(("invalid_scope", "Invalid OAuth scope or ID token audience provided."));
    }
    let time = |member: &str| claims.get(member).and_then(Value::as_i64).unwrap_or_default();
    let (from, to, now) = (time("iat"), time("exp"), SystemClock.now().secs());
    if from > now + 60 || to <= now || to - from > 3_600 {
        return Err(invalid("Invalid JWT: Token must be a short-lived token (60 minutes)"));
    }
    Ok(())
}

fn public_key() -> Option<Vec<u8>> {
    let der = PrivatePkcs8KeyDer::from_pem_slice(KEY.as_bytes()).ok()?;
    let pair = KeyPair::from_pkcs8(der.secret_pkcs8_der()).ok()?;
    Some(pair.public_key().as_ref().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(body: &str) -> (&'static str, &'static str) {
        verified(body.as_bytes(), "here").unwrap_err()
    }

    #[test]
    fn what_is_no_statement_of_the_account_gets_nothing() {
        assert_eq!(told("").0, "unsupported_grant_type");
        let grant = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=";
        let encode = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let statement = |issuer: &str| {
            let (head, claims) = (json!({"alg": "RS256", "kid": KEY_ID}), json!({"iss": issuer}));
            format!("{grant}{}.{}.AAAA", encode(head), encode(claims))
        };
        for (body, expected) in [
            (grant.to_owned(), "Bad Request"),
            (format!("{grant}a.b.c"), "Bad Request"),
            (statement("other"), "Invalid grant: account not found"),
            (statement(EMAIL), "Invalid JWT Signature."),
        ] {
            assert_eq!(told(&body), ("invalid_grant", expected));
        }
        let tokens = Tokens::default();
        assert!(!tokens.are_demanded());
        tokens.key("http://here");
        assert!(tokens.are_demanded() && tokens.refusal(&HeaderMap::new()).is_some());
    }
}
