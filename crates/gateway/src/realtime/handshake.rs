//! The caller's wish for a websocket: what it must say, and what is said to it.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use model::refusal::Refusal;
use store::MAX_MODEL;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// The subprotocol of the dialect.
const PROTOCOL: &str = "realtime";
/// What a browser offers to say which version of the dialect it speaks, for it cannot set a header.
const BETA: &str = "openai-beta.realtime-v1";
/// How others say it.
const BETA_HEADER: (HeaderName, HeaderValue) =
    (HeaderName::from_static("openai-beta"), HeaderValue::from_static("realtime=v1"));

/// What a query says for a session in which what is heard is written down, and nobody answers.
pub(super) const WRITE_DOWN: &str = "intent=transcription";

/// A wish that can be granted.
pub(super) struct Handshake {
    accept: HeaderValue,
    /// Whether the subprotocol is offered.
    named: bool,
    beta: bool,
}

impl Handshake {
    /// Reads the head of a request.
    ///
    /// # Errors
    /// It asks for no websocket.
    pub(super) fn read(headers: &HeaderMap) -> Result<Self, Refusal> {
        let wrong = || {
            Refusal::InvalidRequest(
                "this address is a websocket: an upgrade of HTTP/1.1 to websocket, version 13, is expected"
                    .to_owned(),
            )
        };
        let version = headers.get(header::SEC_WEBSOCKET_VERSION).map(HeaderValue::as_bytes);
        let key = headers.get(header::SEC_WEBSOCKET_KEY).filter(|key| key.len() == 24).ok_or_else(wrong)?;
        let wished =
            has(headers, &header::CONNECTION, "upgrade") && has(headers, &header::UPGRADE, "websocket");
        if !wished || version != Some(b"13") {
            return Err(wrong());
        }
        let accept = HeaderValue::from_str(&derive_accept_key(key.as_bytes())).map_err(|_| wrong())?;
        let offers = |protocol| has(headers, &header::SEC_WEBSOCKET_PROTOCOL, protocol);
        Ok(Self { accept, named: offers(PROTOCOL), beta: offers(BETA) })
    }

    /// The headers that grant it. A key that was offered as a subprotocol is never said back.
    pub(super) fn granted(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, self.accept.clone());
        if self.named {
            headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(PROTOCOL));
        }
        headers
    }

    /// Whether the caller speaks the version before the first stable one.
    pub(super) fn is_beta(&self, headers: &HeaderMap) -> bool {
        let (name, value) = BETA_HEADER;
        self.beta || headers.get(name) == Some(&value)
    }

    /// The caller's headers, with what it could only offer as a subprotocol.
    pub(super) fn onward(&self, headers: &HeaderMap) -> HeaderMap {
        let mut headers = headers.clone();
        if self.beta {
            let (name, value) = BETA_HEADER;
            headers.entry(name).or_insert(value);
        }
        headers
    }
}

/// Whether a header lists this word.
fn has(headers: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|one| one.trim().eq_ignore_ascii_case(word))
}

/// What a session is for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Intent {
    /// A conversation with this model.
    Converse(String),
    /// What is heard is written down, by a model that an event names.
    WriteDown,
}

/// What a query asks for.
///
/// # Errors
/// It names no model, or two, or one that cannot be, or one where an event names it.
pub(super) fn intent(query: Option<&str>) -> Result<Intent, Refusal> {
    let pairs = query.unwrap_or_default().split('&');
    let mut named = pairs.clone().filter_map(|pair| pair.strip_prefix("model="));
    let invalid = |what: &str| Err(Refusal::InvalidRequest(what.to_owned()));
    if pairs.clone().any(|pair| pair == WRITE_DOWN) {
        return match named.next() {
            None => Ok(Intent::WriteDown),
            Some(_) => invalid(
                "model has no place in the query of a transcription session: its first session.update names it",
            ),
        };
    }
    let model = named.next().filter(|model| !model.is_empty()).ok_or(Refusal::ModelRequired)?;
    if named.next().is_some() {
        return invalid("model must stand once in the query");
    }
    let model = percent_encoding::percent_decode_str(model).decode_utf8();
    let model = model.map_err(|_| Refusal::InvalidRequest("model must be UTF-8".to_owned()))?;
    must_fit(&model)?;
    Ok(Intent::Converse(model.into_owned()))
}

/// Checks the length of a model's name.
///
/// # Errors
/// It is longer than any is.
pub(super) fn must_fit(model: &str) -> Result<(), Refusal> {
    if model.len() > MAX_MODEL {
        return Err(Refusal::InvalidRequest(format!("model must have at most {MAX_MODEL} bytes")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        lines
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn a_key_is_not_said_back() {
        let mut asked = head(&[
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "WebSocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("sec-websocket-protocol", "realtime, openai-insecure-api-key.sk-x, openai-beta.realtime-v1"),
        ]);
        let handshake = Handshake::read(&asked).unwrap();
        let granted = handshake.granted();
        assert_eq!(granted["sec-websocket-accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(granted["sec-websocket-protocol"], "realtime");
        assert_eq!(handshake.onward(&asked)["openai-beta"], "realtime=v1");
        asked.remove("upgrade");
        assert!(Handshake::read(&asked).is_err());
    }

    #[test]
    fn a_query_names_one_model() {
        let converse = |model: &str| Ok(Intent::Converse(model.to_owned()));
        assert_eq!(intent(Some("a=b&model=x%2Fy%3Az")), converse("x/y:z"));
        assert_eq!(intent(Some("model=x&intent=conversation")), converse("x"));
        assert_eq!(intent(Some("intent=transcription")), Ok(Intent::WriteDown));
        for query in [None, Some(""), Some("model="), Some("intent=conversation")] {
            assert_eq!(intent(query), Err(Refusal::ModelRequired));
        }
        for query in ["model=a&model=b", "model=%ff", "model=a&intent=transcription"] {
            assert!(matches!(intent(Some(query)), Err(Refusal::InvalidRequest(_))), "{query}");
        }
    }
}
