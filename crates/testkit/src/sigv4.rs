//! Signature Version 4 of AWS, recomputed from what came. It shares no code with who signs.
//!
//! Source: AWS, "Create a signed AWS API request".

use hmac::{Hmac, Mac};
use http::{HeaderMap, HeaderValue, Response, StatusCode, header, request::Parts};
use model::clock::{Clock, SystemClock};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest, Sha256};

use crate::{
    Script,
    body::{Body, bytes},
    vendor::Vendor,
};

/// Who may ask.
const ID: &str = "AKIASCRIPTED";
const SECRET: &str = "scripted/secret+access/key";
const SESSION: &str = "scripted-session-token";

/// What a canonical path does not encode.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// The access key, with its session token.
pub(crate) fn key() -> String {
    format!("{ID}:{SECRET}:{SESSION}")
}

/// Whether a request is signed at all.
pub(crate) fn is_signed(headers: &HeaderMap) -> bool {
    headers.get(header::AUTHORIZATION).is_some_and(|told| told.as_bytes().starts_with(b"AWS4-"))
}

/// Refuses a request that is not signed with the access key.
pub(crate) fn refusal(parts: &Parts, body: &[u8]) -> Option<Response<Body>> {
    let request = Request {
        method: parts.method.as_str(),
        path: parts.uri.path(),
        query: parts.uri.query().unwrap_or_default(),
        headers: &parts.headers,
        body,
    };
    let (kind, message) = request.verify().err()?;
    let script = Script { message: Some(message.to_owned()), ..Script::default() };
    let mut response = bytes(StatusCode::FORBIDDEN, "application/json", Vendor::Bedrock.error(403, &script));
    response.headers_mut().insert("x-amzn-errortype", HeaderValue::from_static(kind));
    Some(response)
}

/// A request as it came.
struct Request<'a> {
    method: &'a str,
    path: &'a str,
    query: &'a str,
    headers: &'a HeaderMap,
    body: &'a [u8],
}

/// Why a request is refused: the kind of error, and its message.
type Fault = (&'static str, &'static str);

impl Request<'_> {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Whether it is signed with the access key.
    fn verify(&self) -> Result<(), Fault> {
        let incomplete = ("IncompleteSignatureException", "Authorization header is not complete.");
        let told = self
            .header(header::AUTHORIZATION.as_str())
            .ok_or(("MissingAuthenticationTokenException", "Missing Authentication Token"))?;
        let told = told.strip_prefix("AWS4-HMAC-SHA256 ").ok_or(incomplete)?;
        let part =
            |name: &str| told.split(',').find_map(|part| part.trim().strip_prefix(name)).ok_or(incomplete);
        let (scope, signed, signature) = (part("Credential=")?, part("SignedHeaders=")?, part("Signature=")?);
        let (id, scope) = scope.split_once('/').ok_or(incomplete)?;
        if id != ID || self.header("x-amz-security-token") != Some(SESSION) {
            let why = "The security token included in the request is invalid.";
            return Err(("UnrecognizedClientException", why));
        }
        let date = self.header("x-amz-date").ok_or(incomplete)?;
        let parts: Vec<&str> = scope.split('/').collect();
        let &[day, region, "bedrock", "aws4_request"] = parts.as_slice() else {
            return Err(("InvalidSignatureException", "Credential should be scoped to correct service."));
        };
        let names: Vec<&str> = signed.split(';').collect();
        let must = ["host", "x-amz-date", "x-amz-security-token"];
        if !date.starts_with(day) || must.iter().any(|name| !names.contains(name)) {
            return Err(incomplete);
        }
        if (seconds(date).ok_or(incomplete)? - SystemClock.now().secs()).abs() > 300 {
            return Err(("InvalidSignatureException", "Signature expired."));
        }
        let canonical = self.canonical(&names, signed);
        let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", hex(&Sha256::digest(canonical)));
        let mut key = format!("AWS4{SECRET}").into_bytes();
        for step in [day, region, "bedrock", "aws4_request", &text] {
            key = sealed(&key, step.as_bytes());
        }
        if hex(&key) == signature {
            return Ok(());
        }
        let why = "The request signature we calculated does not match the signature you provided. Check your AWS \
                   Secret Access Key and signing method.";
        Err(("InvalidSignatureException", why))
    }

    fn canonical(&self, names: &[&str], signed: &str) -> String {
        let mut query: Vec<&str> = self.query.split('&').filter(|pair| !pair.is_empty()).collect();
        query.sort_unstable();
        let path = utf8_percent_encode(self.path, PATH);
        let mut text = format!("{}\n{path}\n{}\n", self.method, query.join("&"));
        for name in names {
            let value = self.header(name).unwrap_or_default().trim();
            text += &format!("{name}:{value}\n");
        }
        text += &format!("\n{signed}\n{}", hex(&Sha256::digest(self.body)));
        text
    }
}

fn sealed(key: &[u8], text: &[u8]) -> Vec<u8> {
    // A key of this kind may have any length.
    Hmac::<Sha256>::new_from_slice(key).map_or_else(
        |_| Vec::new(),
        |mut mac| {
            mac.update(text);
            mac.finalize().into_bytes().to_vec()
        },
    )
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Seconds since the epoch of a time like `20261121T120000Z`.
fn seconds(date: &str) -> Option<i64> {
    let number = |from: usize, to: usize| date.get(from..to)?.parse::<i64>().ok();
    let (year, month, day) = (number(0, 4)?, number(4, 6)?, number(6, 8)?);
    // Days since the epoch, with March as the first month of a year.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 719_469;
    Some(days * 86_400 + number(9, 11)? * 3_600 + number(11, 13)? * 60 + number(13, 15)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_a_time() {
        assert_eq!(seconds("19700101T000000Z"), Some(0));
        assert_eq!(seconds("20231114T221320Z"), Some(1_700_000_000));
        assert_eq!(seconds("20240229T000001Z"), Some(1_709_164_801));
        assert_eq!(seconds("today"), None);
    }

    #[test]
    fn what_is_not_signed_with_the_key_is_refused_in_the_vendors_words() {
        let told = |headers: &[(&'static str, &str)]| {
            let headers = headers
                .iter()
                .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()))
                .collect();
            let request = Request { method: "POST", path: "/", query: "", headers: &headers, body: b"" };
            request.verify().unwrap_err().0
        };
        assert_eq!(told(&[]), "MissingAuthenticationTokenException");
        assert_eq!(told(&[("authorization", "Basic x")]), "IncompleteSignatureException");
        let other =
            "AWS4-HMAC-SHA256 Credential=x/20231114/r/bedrock/aws4_request, SignedHeaders=host, Signature=0";
        assert_eq!(told(&[("authorization", other)]), "UnrecognizedClientException");
    }
}
