//! Which headers leave for an upstream, and which come back.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::routing::Channel;

/// The caller's headers that go on to the provider.
static ONWARD: [HeaderName; 2] = [header::ACCEPT, header::USER_AGENT];
/// Those that go on where both speak the same dialect.
static OF_DIALECTS: [HeaderName; 3] = [
    HeaderName::from_static("openai-beta"),
    HeaderName::from_static("anthropic-beta"),
    HeaderName::from_static("anthropic-version"),
];

/// The provider's headers that go back to the caller.
static BACK: [HeaderName; 4] = [
    header::CONTENT_TYPE,
    header::CONTENT_LANGUAGE,
    HeaderName::from_static("openai-processing-ms"),
    HeaderName::from_static("openai-version"),
];

/// Headers for which there is room at once: what one more doubles.
const ROOM: usize = 6;

/// The headers that go to the upstream.
pub(super) fn onward(channel: &Channel, caller: &HeaderMap, native: bool, length: u64) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(ROOM);
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    // Callers send few headers, and to look for each name takes longer than to look at all of them.
    let goes = |name: &HeaderName| ONWARD.contains(name) || native && OF_DIALECTS.contains(name);
    for (name, value) in caller.iter().filter(|(name, _)| goes(name)) {
        headers.append(name.clone(), value.clone());
    }
    for (name, value) in channel.provider.headers {
        headers.entry(HeaderName::from_static(name)).or_insert(HeaderValue::from_static(value));
    }
    if channel.provider.hosted.is_some() {
        // Where the path says what is streamed, this says what an answer is in.
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    }
    headers
}

/// The headers of an answer that may go back.
pub(crate) fn back(headers: &HeaderMap) -> HeaderMap {
    // There is room for what the outermost layer adds.
    let mut kept = HeaderMap::with_capacity(ROOM);
    for (name, value) in headers.iter().filter(|(name, _)| BACK.contains(name)) {
        // Of several values the first counts.
        kept.entry(name).or_insert_with(|| value.clone());
    }
    kept
}

/// Seconds until the upstream wants to be asked again; a date or nonsense counts as nothing said.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<u32> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    (seconds <= 86_400).then_some(seconds)
}
