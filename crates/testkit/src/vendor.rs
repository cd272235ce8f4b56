//! Whose paths these are: the credential that each vendor wants, and how it refuses.

use http::{HeaderMap, HeaderValue, Response, StatusCode, header, request::Parts};

use crate::{
    Script,
    body::{Body, bytes},
    error,
};

/// Who is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Vendor {
    OpenAi,
    Azure,
    Anthropic,
    Google,
    Vertex,
    Bedrock,
}

/// What is wrong with a request's credential.
enum Fault {
    /// There is none where this vendor looks.
    Missing,
    /// There is another one.
    Wrong,
    /// A further header is missing.
    Version,
}

impl Vendor {
    /// The body of an error.
    pub(crate) fn error(self, status: u16, script: &Script) -> String {
        match self {
            Self::OpenAi | Self::Azure => error::openai(status, script),
            Self::Anthropic => error::anthropic(status, script),
            Self::Google | Self::Vertex => error::google(status, script),
            Self::Bedrock => error::aws(script),
        }
        .to_string()
    }

    /// The credential, where this vendor looks for it.
    fn credential(self, headers: &HeaderMap, query: &str) -> Option<String> {
        let header = |name: &str| headers.get(name)?.to_str().ok().map(str::to_owned);
        let bearer = || header(header::AUTHORIZATION.as_str())?.strip_prefix("Bearer ").map(str::to_owned);
        match self {
            // Browsers cannot set a header on a websocket.
            Self::OpenAi => bearer().or_else(|| {
                let offered = header(header::SEC_WEBSOCKET_PROTOCOL.as_str())?;
                let key =
                    offered.split(',').find_map(|one| one.trim().strip_prefix("openai-insecure-api-key."))?;
                Some(key.to_owned())
            }),
            Self::Vertex | Self::Bedrock => bearer(),
            Self::Azure => header("api-key"),
            // Its own clients send a key either way.
            Self::Anthropic => header("x-api-key").or_else(bearer),
            Self::Google => {
                let named = || query.split('&').find_map(|pair| pair.strip_prefix("key=")).map(str::to_owned);
                header("x-goog-api-key").or_else(named)
            }
        }
    }

    /// Refuses a request whose credential is not `secret`, or is not where this vendor looks for it. Without a secret any
    /// will do, and none as well, but one that is where another vendor looks for it will not.
    pub(crate) fn refusal(
        self,
        headers: &HeaderMap,
        query: &str,
        secret: Option<&str>,
    ) -> Option<Response<Body>> {
        let any = ["authorization", "api-key", "x-api-key", "x-goog-api-key"];
        let fault = match (self.credential(headers, query), secret) {
            (Some(given), Some(secret)) if given != secret => Fault::Wrong,
            (None, Some(_)) => Fault::Missing,
            (None, None) if any.iter().any(|name| headers.contains_key(*name)) => Fault::Missing,
            _ if self == Self::Anthropic && !headers.contains_key("anthropic-version") => Fault::Version,
            _ => return None,
        };
        let (status, message) = match (self, fault) {
            (Self::Anthropic, Fault::Version) => (400, "anthropic-version: header is required"),
            (Self::Anthropic, Fault::Missing) => (401, "x-api-key header is required"),
            (Self::Anthropic, Fault::Wrong) => (401, "invalid x-api-key"),
            // A wrong key is an invalid argument to this vendor.
            (Self::Google, Fault::Wrong) => (400, "API key not valid. Please pass a valid API key."),
            (Self::Google, _) => (403, "Method doesn't allow unregistered callers."),
            (Self::Vertex, _) => (401, "Request had invalid authentication credentials."),
            (Self::Azure, _) => (401, "Access denied due to invalid subscription key or wrong API endpoint."),
            (Self::Bedrock, _) => (403, "The API key is not valid."),
            (Self::OpenAi, Fault::Missing) => (401, "You didn't provide an API key."),
            (Self::OpenAi, _) => (401, "Incorrect API key provided."),
        };
        let code = if self == Self::Azure { "401" } else { "invalid_api_key" };
        let body = match self {
            Self::OpenAi | Self::Azure => error::of_code(code, status, message),
            Self::Google if status == 400 => error::of_reason("API_KEY_INVALID", status, message),
            _ => self.error(status, &Script { message: Some(message.to_owned()), ..Script::default() }),
        };
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::UNAUTHORIZED);
        Some(bytes(status, "application/json", body))
    }
}

/// The paths of all vendors below `/gateway` are those of a gateway, which takes one kind of credential for all of them.
pub(crate) fn through_gateway(parts: &mut Parts) {
    let Some(rest) = parts.uri.path_and_query().and_then(|path| path.as_str().strip_prefix("/gateway"))
    else {
        return;
    };
    let Ok(uri) = rest.parse() else { return };
    parts.uri = uri;
    let bearer = parts
        .headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    if let Some(key) = bearer.and_then(|key| HeaderValue::from_str(key).ok()) {
        parts.headers.insert("x-api-key", key.clone());
        parts.headers.insert("x-goog-api-key", key);
    }
}
