//! Where API keys may stand in a request.

use gateway::Credentials;
use http::{HeaderMap, HeaderName, Uri, header};

/// Headers that are a key and nothing else.
static KEYS: [HeaderName; 3] = [
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("x-goog-api-key"),
    HeaderName::from_static("api-key"),
];
/// The prefix of a key in the realtime subprotocol.
const SUBPROTOCOL: &str = "openai-insecure-api-key.";

/// Every API key that a request carries.
pub(crate) fn of(headers: &HeaderMap, uri: &Uri) -> Credentials {
    let mut credentials = Credentials::default();
    // A header may come twice, and its values may disagree. Callers send few headers, and to look for each of these names
    // takes longer than to look at all of them.
    for (name, value) in headers {
        let text = || value.to_str().unwrap_or("\u{fffd}");
        if name == header::AUTHORIZATION {
            let value = text();
            let scheme = value.get(..7).filter(|scheme| scheme.eq_ignore_ascii_case("bearer "));
            credentials.add(scheme.map_or(value, |_| value.get(7..).unwrap_or_default()));
        } else if KEYS.contains(name) {
            credentials.add(text());
        } else if name == header::SEC_WEBSOCKET_PROTOCOL {
            let protocols =
                text().split(',').filter_map(|protocol| protocol.trim().strip_prefix(SUBPROTOCOL));
            protocols.for_each(|key| credentials.add(key));
        }
    }
    let pairs = uri.query().unwrap_or_default().split('&');
    pairs.filter_map(|pair| pair.strip_prefix("key=")).for_each(|key| credentials.add(key));
    credentials
}
