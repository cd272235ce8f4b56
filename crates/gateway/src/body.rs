//! Reading bodies whole: never more than allowed, and not for ever.

use std::{pin::Pin, time::Duration};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header};
use http_body_util::BodyExt;
use hyper::body::Body;
use model::refusal::Refusal;
use tokio::time::Instant;

/// Why a body could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// It has more bytes than allowed.
    TooLarge,
    /// Nothing came for too long.
    Slow,
    /// It broke off.
    Broken,
}

/// How long a body may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// Longest pause between two of its parts.
    pub(crate) idle: Duration,
    /// Longest time from its first part to its last.
    pub(crate) whole: Duration,
}

/// Reads the caller's body: refused before it is read when it says that it is too large, and cut when it is slow.
///
/// # Errors
/// The refusal that the caller gets.
pub(crate) async fn of_caller<B>(
    headers: &HeaderMap,
    body: B,
    limit: u64,
    patience: Patience,
) -> Result<Bytes, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
{
    let told =
        headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if told.is_some_and(|length| length > limit) {
        return Err(Refusal::RequestTooLarge(limit));
    }
    collect(body, limit, patience).await.map_err(|error| match error {
        Cut::TooLarge => Refusal::RequestTooLarge(limit),
        Cut::Slow => Refusal::RequestTimeout,
        Cut::Broken => Refusal::InvalidRequest("the request body broke off".to_owned()),
    })
}

/// Reads a body of at most `limit` bytes.
///
/// # Errors
/// [`Cut`].
pub(crate) async fn collect<B>(mut body: B, limit: u64, patience: Patience) -> Result<Bytes, Cut>
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    let end = Instant::now() + patience.whole;
    loop {
        let wait = (Instant::now() + patience.idle).min(end);
        let frame = match tokio::time::timeout_at(wait, Pin::new(&mut body).frame()).await {
            Err(_) => return Err(Cut::Slow),
            Ok(None) => break,
            Ok(Some(Err(_))) => return Err(Cut::Broken),
            Ok(Some(Ok(frame))) => frame,
        };
        let Ok(data) = frame.into_data() else { continue };
        if (first.len() + rest.len() + data.len()) as u64 > limit {
            return Err(Cut::TooLarge);
        }
        // Most bodies come in one piece and are not copied.
        if first.is_empty() && rest.is_empty() {
            first = data;
        } else {
            if rest.is_empty() {
                rest.extend_from_slice(&std::mem::take(&mut first));
            }
            rest.extend_from_slice(&data);
        }
    }
    Ok(if rest.is_empty() { first } else { rest.freeze() })
}
