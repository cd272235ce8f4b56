//! Where API keys may stand in a request.

use gateway::Credentials;
use http::{HeaderMap, Uri};

/// The prefix of a key in the realtime subprotocol.
const SUBPROTOCOL: &str = "openai-insecure-api-key.";

/// Every API key that a request carries.
pub(crate) fn of(headers: &HeaderMap, uri: &Uri) -> Credentials {
    let mut credentials = Credentials::default();
    // A header may come twice, and its values may disagree.
    let texts = |name: &'static str| {
        headers.get_all(name).into_iter().map(|value| value.to_str().unwrap_or("\u{fffd}"))
    };
    for value in texts("authorization") {
        let scheme = value.get(..7).filter(|scheme| scheme.eq_ignore_ascii_case("bearer "));
        credentials.add(scheme.map_or(value, |_| value.get(7..).unwrap_or_default()));
    }
    for name in ["x-api-key", "x-goog-api-key", "api-key"] {
        texts(name).for_each(|key| credentials.add(key));
    }
    let protocols = texts("sec-websocket-protocol").flat_map(|value| value.split(','));
    protocols
        .filter_map(|protocol| protocol.trim().strip_prefix(SUBPROTOCOL))
        .for_each(|key| credentials.add(key));
    let pairs = uri.query().unwrap_or_default().split('&');
    pairs.filter_map(|pair| pair.strip_prefix("key=")).for_each(|key| credentials.add(key));
    credentials
}
