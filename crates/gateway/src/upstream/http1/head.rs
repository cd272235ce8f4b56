//! The heads of a request and of its answer (RFC 9112).

use std::mem::MaybeUninit;

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Version, header, uri::PathAndQuery,
};

use super::framing::Framing;

/// Most headers of an answer.
const HEADERS: usize = 128;

/// What came is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the answer is no HTTP/1.1: {0}")]
pub(super) struct Malformed(pub(super) &'static str);

/// The head of an answer.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) response: Response<()>,
    pub(super) framing: Framing,
    /// Whether the connection may serve another request behind this answer.
    pub(super) reusable: bool,
}

/// Writes the head of a request with a body of `length` bytes. `headers` must not say how it is framed but by its length.
pub(super) fn write(
    method: &Method,
    path: &PathAndQuery,
    host: &HeaderValue,
    headers: &HeaderMap,
    length: u64,
) -> Vec<u8> {
    let size: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    let mut head = Vec::with_capacity(size + path.as_str().len() + host.len() + 64);
    for part in [method.as_str(), " ", path.as_str(), " HTTP/1.1\r\n"] {
        head.extend_from_slice(part.as_bytes());
    }
    let mut line = |name: &HeaderName, value: &[u8]| {
        for part in [name.as_str().as_bytes(), b": ", value, b"\r\n"] {
            head.extend_from_slice(part);
        }
    };
    line(&header::HOST, host.as_bytes());
    headers.iter().for_each(|(name, value)| line(name, value.as_bytes()));
    if !headers.contains_key(header::CONTENT_LENGTH) && (length > 0 || *method == Method::POST) {
        line(&header::CONTENT_LENGTH, length.to_string().as_bytes());
    }
    head.extend_from_slice(b"\r\n");
    head
}

/// The head of the answer that `bytes` begin with, and how long it is; `None` while there is more to come. Interim answers
/// are passed over by whoever calls: their status says what they are.
///
/// # Errors
/// It is none, or what it says of its body is not agreed on.
pub(super) fn read(bytes: &[u8]) -> Result<Option<(usize, Head)>, Malformed> {
    let mut headers = [const { MaybeUninit::uninit() }; HEADERS];
    let mut parsed = httparse::Response::new(&mut []);
    let parser = httparse::ParserConfig::default();
    let size = match parser.parse_response_with_uninit_headers(&mut parsed, bytes, &mut headers) {
        Ok(httparse::Status::Complete(size)) => size,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(Malformed("it has too many headers")),
        Err(_) => return Err(Malformed("its head cannot be read")),
    };
    // One copy of all, of which every value is a part.
    let head = Bytes::copy_from_slice(bytes.get(..size).unwrap_or_default());
    let mut kept = HeaderMap::with_capacity(parsed.headers.len());
    for found in parsed.headers.iter() {
        let name = HeaderName::from_bytes(found.name.as_bytes());
        let name = name.map_err(|_| Malformed("the name of a header cannot be read"))?;
        let start = (found.value.as_ptr() as usize).wrapping_sub(bytes.as_ptr() as usize);
        let value =
            if found.value.is_empty() { Bytes::new() } else { head.slice(start..start + found.value.len()) };
        let value = HeaderValue::from_maybe_shared(value);
        kept.append(name, value.map_err(|_| Malformed("the value of a header cannot be read"))?);
    }
    let status = parsed.code.and_then(|code| StatusCode::from_u16(code).ok());
    let status = status.ok_or(Malformed("its status is none"))?;
    let newer = parsed.version == Some(1);
    let (framing, framed) = framing(status, newer, &kept)?;
    let says = |word: &str| says(&kept, &header::CONNECTION, word);
    let reusable = framed && !says("close") && (newer || says("keep-alive"));
    let mut response = Response::new(());
    *response.status_mut() = status;
    *response.version_mut() = if newer { Version::HTTP_11 } else { Version::HTTP_10 };
    *response.headers_mut() = kept;
    Ok(Some((size, Head { response, framing, reusable })))
}

/// How the body is framed, and whether its end leaves the connection as it was (RFC 9112, 6.3).
fn framing(status: StatusCode, newer: bool, headers: &HeaderMap) -> Result<(Framing, bool), Malformed> {
    if status.is_informational() || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        return Ok((Framing::Length(0), true));
    }
    let length = length(headers)?;
    if headers.contains_key(header::TRANSFER_ENCODING) {
        let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
        let chunked = codings
            .next()
            .is_some_and(|coding| coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked"));
        if !chunked || codings.next().is_some() || !newer {
            return Err(Malformed("its transfer coding is not known"));
        }
        // Who says both may mean to smuggle an answer in.
        return Ok((Framing::chunked(), length.is_none()));
    }
    Ok(match length {
        Some(length) => (Framing::Length(length), true),
        None => (Framing::UntilClose, false),
    })
}

/// The length that the head says; every value must say the same.
fn length(headers: &HeaderMap) -> Result<Option<u64>, Malformed> {
    let mut said = None;
    let values = headers.get_all(header::CONTENT_LENGTH).iter();
    for value in values.flat_map(|value| value.as_bytes().split(|byte| *byte == b',')) {
        let text = std::str::from_utf8(value.trim_ascii()).unwrap_or_default();
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let length: u64 = text.parse().ok().filter(|_| digits).ok_or(Malformed("its length is no number"))?;
        if said.is_some_and(|said| said != length) {
            return Err(Malformed("it has two lengths"));
        }
        said = Some(length);
    }
    Ok(said)
}

/// Whether a header whose values are lists has a word.
fn says(headers: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    let values = headers.get_all(name).iter();
    let mut words = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    words.any(|said| said.trim_ascii().eq_ignore_ascii_case(word.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_how_a_body_is_framed() {
        for (head, framing, reusable) in [
            ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", Framing::Length(5), true),
            (
                "HTTP/1.1 200 OK\r\ncontent-length: 5, 5\r\ncontent-length: 5\r\n\r\n",
                Framing::Length(5),
                true,
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: x, Close\r\n\r\n",
                Framing::Length(5),
                false,
            ),
            ("HTTP/1.0 200 OK\r\ncontent-length: 5\r\n\r\n", Framing::Length(5), false),
            (
                "HTTP/1.0 200 OK\r\ncontent-length: 5\r\nconnection: keep-alive\r\n\r\n",
                Framing::Length(5),
                true,
            ),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n", Framing::chunked(), true),
            (
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n",
                Framing::chunked(),
                false,
            ),
            ("HTTP/1.1 204 No Content\r\ncontent-length: 5\r\n\r\n", Framing::Length(0), true),
            ("HTTP/1.1 100 Continue\r\n\r\n", Framing::Length(0), true),
            ("HTTP/1.1 200\r\n\r\n", Framing::UntilClose, false),
        ] {
            let (size, read) = read(head.as_bytes()).unwrap().unwrap();
            assert_eq!((size, read.framing, read.reusable), (head.len(), framing, reusable), "{head}");
        }
    }

    #[test]
    fn refuses_what_is_not_agreed_on() {
        for head in [
            "SSH-2.0-x\r\n\r\n",
            "HTTP/2 200 OK\r\n\r\n",
            "HTTP/1.1 99 Odd\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: +5\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length:\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n",
            "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\na b: c\r\n\r\n",
            "HTTP/1.1 200 OK\r\nx: a\r\n folded\r\n\r\n",
        ] {
            assert!(read(head.as_bytes()).is_err(), "{head}");
        }
        let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(HEADERS + 1));
        assert!(read(many.as_bytes()).is_err());
    }

    #[test]
    fn a_head_is_whole_or_nothing() {
        let head = b"HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nempty:\r\nx: 1\r\nx: 2\r\n\r\n";
        for end in 0..head.len() {
            assert!(read(&head[..end]).unwrap().is_none(), "{end}");
        }
        let (_, read) = read(head).unwrap().unwrap();
        assert_eq!(read.response.status(), 429);
        let headers = read.response.headers();
        assert_eq!(
            (&headers["retry-after"], &headers["empty"]),
            (&"7".parse().unwrap(), &"".parse().unwrap())
        );
        assert_eq!(headers.get_all("x").iter().count(), 2);
    }

    #[test]
    fn writes_what_was_asked_and_how_long_it_is() {
        let (path, host) = (PathAndQuery::from_static("/v1/x?y=1"), HeaderValue::from_static("h:80"));
        let mut headers = HeaderMap::new();
        headers.insert("a", HeaderValue::from_static("b"));
        let text = |head: Vec<u8>| String::from_utf8(head).unwrap();
        let get = text(write(&Method::GET, &path, &host, &headers, 0));
        assert_eq!(get, "GET /v1/x?y=1 HTTP/1.1\r\nhost: h:80\r\na: b\r\n\r\n");
        let post = text(write(&Method::POST, &path, &host, &headers, 0));
        assert!(post.ends_with("a: b\r\ncontent-length: 0\r\n\r\n"), "{post}");
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(7));
        let post = text(write(&Method::POST, &path, &host, &headers, 7));
        assert_eq!(post.matches("content-length: 7\r\n").count(), 1, "{post}");
    }
}
