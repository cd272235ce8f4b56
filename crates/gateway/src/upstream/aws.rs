//! An access key of AWS: it signs each request with Signature Version 4, through AWS's own crate.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4::SigningParams,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header, uri::PathAndQuery};
use model::clock::Timestamp;

use super::Target;

/// What signatures call the service.
const SERVICE: &str = "bedrock";
/// The region where the host names none, as that of a proxy.
const REGION: &str = "us-east-1";

/// Who asks, and where.
pub(crate) struct AccessKey {
    credentials: Credentials,
    region: String,
}

impl AccessKey {
    /// Reads `ACCESS_KEY_ID:SECRET_ACCESS_KEY`, with `:SESSION_TOKEN` where there is one.
    ///
    /// # Errors
    /// It is something else.
    pub(crate) fn read(text: &str, target: &Target) -> Result<Self, &'static str> {
        let parts: Vec<&str> = text.split(':').collect();
        let (id, secret, token) = match parts.as_slice() {
            [id, secret] => (*id, *secret, None),
            [id, secret, token] if !token.is_empty() => (*id, *secret, Some((*token).to_owned())),
            _ => ("", "", None),
        };
        if id.is_empty() || secret.is_empty() {
            return Err("it is neither ACCESS_KEY_ID:SECRET_ACCESS_KEY[:SESSION_TOKEN] nor an API key");
        }
        let credentials = Credentials::new(id, secret, token, None, "channel");
        Ok(Self { credentials, region: region(&target.origin.host).to_owned() })
    }

    /// Adds the headers that prove who asks. The body and the headers for host and content type are what is signed.
    ///
    /// # Errors
    /// Something in the request cannot be signed.
    pub(super) fn sign(
        &self,
        target: &Target,
        method: &Method,
        path: &PathAndQuery,
        headers: &mut HeaderMap,
        body: &[u8],
        now: Timestamp,
    ) -> Result<(), &'static str> {
        let identity = self.credentials.clone().into();
        let params = SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(SERVICE)
            .time(time(now))
            .settings(SigningSettings::default())
            .build()
            .map_err(|_| "the signature lacks a parameter")?
            .into();
        let text =
            |value: Option<&HeaderValue>| value.and_then(|value| value.to_str().ok()).map(str::to_owned);
        let signed = [
            ("host", text(Some(&target.host)).unwrap_or_default()),
            ("content-type", text(headers.get(header::CONTENT_TYPE)).unwrap_or_default()),
        ];
        let url = format!("{}://{}{path}", target.scheme(), target.authority);
        let signed = signed.iter().map(|(name, value)| (*name, value.as_str()));
        let cannot = "the request cannot be signed";
        let request = SignableRequest::new(method.as_str(), url, signed, SignableBody::Bytes(body))
            .map_err(|_| cannot)?;
        let (instructions, _) = sign(request, &params).map_err(|_| cannot)?.into_parts();
        for (name, value) in instructions.headers() {
            let mut value = HeaderValue::from_str(value).map_err(|_| cannot)?;
            value.set_sensitive(true);
            headers.insert(HeaderName::from_bytes(name.as_bytes()).map_err(|_| cannot)?, value);
        }
        Ok(())
    }
}

fn time(now: Timestamp) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(u64::try_from(now.millis()).unwrap_or(0))
}

/// The region in the name of a host: `bedrock-runtime.REGION.amazonaws.com` and its relatives.
fn region(host: &str) -> &str {
    let mut labels = host.split('.').skip_while(|label| !label.starts_with("bedrock-runtime"));
    labels.next().and_then(|_| labels.next()).filter(|_| host.contains(".amazonaws.com")).unwrap_or(REGION)
}

/// Whether AWS says with this refusal that the credential itself is not good. A 403 may also speak of one model, and a clock
/// that is wrong makes every credential look so.
pub(crate) fn refuses_credential(headers: &HeaderMap, message: &str) -> bool {
    let kind = headers.get("x-amzn-errortype").and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split([':', ',']).next().unwrap_or_default();
    match kind {
        "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "ExpiredTokenException"
        | "ExpiredToken"
        | "MissingAuthenticationTokenException"
        | "IncompleteSignatureException" => true,
        "InvalidSignatureException" | "SignatureDoesNotMatch" => {
            !["Signature expired", "Signature not yet current"].iter().any(|clock| message.contains(clock))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(url: &str) -> Target {
        Target::parse(url).unwrap()
    }

    #[test]
    fn a_host_names_its_region() {
        for (host, expected) in [
            ("bedrock-runtime.eu-central-1.amazonaws.com", "eu-central-1"),
            ("bedrock-runtime-fips.us-gov-west-1.amazonaws.com", "us-gov-west-1"),
            ("vpce-1.bedrock-runtime.us-west-2.vpce.amazonaws.com", "us-west-2"),
            ("bedrock-runtime.cn-north-1.amazonaws.com.cn", "cn-north-1"),
            ("127.0.0.1", "us-east-1"),
            ("bedrock-runtime.example.org", "us-east-1"),
        ] {
            assert_eq!(region(host), expected, "{host}");
        }
    }

    #[test]
    fn a_key_has_two_parts_or_three() {
        let target = target("https://bedrock-runtime.us-west-2.amazonaws.com");
        for (text, good) in [
            ("id:secret", true),
            ("id:secret:token", true),
            ("id:", false),
            (":secret", false),
            ("id:secret:", false),
            ("a:b:c:d", false),
        ] {
            assert_eq!(AccessKey::read(text, &target).is_ok(), good, "{text}");
        }
    }

    #[test]
    fn what_is_signed_hides_and_the_secret_is_not_in_it() {
        let target = target("https://bedrock-runtime.us-west-2.amazonaws.com");
        let key = AccessKey::read("AKID:topsecret:session", &target).unwrap();
        let path = target.path("/model/a%3A0/invoke").unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        key.sign(&target, &Method::POST, &path, &mut headers, b"{}", Timestamp::from_secs(1_700_000_000))
            .unwrap();
        let told = headers.get(header::AUTHORIZATION).unwrap().to_str().unwrap();
        let scope = "AWS4-HMAC-SHA256 Credential=AKID/20231114/us-west-2/bedrock/aws4_request, \
                     SignedHeaders=content-type;host;x-amz-date;x-amz-security-token, Signature=";
        assert!(told.starts_with(scope), "{told}");
        let shown = format!("{headers:?}");
        assert!(!shown.contains("AKID") && !shown.contains("session"), "{shown}");
    }

    #[test]
    fn only_a_bad_credential_is_one() {
        let headers = |kind: &'static str| {
            HeaderMap::from_iter([(
                HeaderName::from_static("x-amzn-errortype"),
                HeaderValue::from_static(kind),
            )])
        };
        for (kind, message, expected) in [
            ("UnrecognizedClientException", "The security token included in the request is invalid.", true),
            (
                "InvalidSignatureException:http://x",
                "The request signature we calculated does not match",
                true,
            ),
            ("InvalidSignatureException", "Signature expired: 1 is now earlier than 2", false),
            ("AccessDeniedException", "You don't have access to the model", false),
        ] {
            assert_eq!(refuses_credential(&headers(kind), message), expected, "{kind} {message}");
        }
        assert!(!refuses_credential(&HeaderMap::new(), ""));
    }
}
