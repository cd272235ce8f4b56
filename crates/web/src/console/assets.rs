//! Files that pages need: embedded, named by their content, compressed once.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
    sync::LazyLock,
};

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use http::{HeaderMap, StatusCode, header};
use ring::digest::{SHA256, digest};

/// Where files are.
const PREFIX: &str = "/console/assets/";
/// A name changes with its content, so what a browser has is right for ever.
const FOR_EVER: &str = "public, max-age=31536000, immutable";

struct File {
    path: String,
    kind: &'static str,
    plain: &'static [u8],
    compressed: Bytes,
}

/// The paths of all files.
pub(crate) struct Assets {
    files: [File; 5],
}

impl Assets {
    /// The style sheet.
    pub(crate) fn style(&self) -> &str {
        let [style, ..] = &self.files;
        &style.path
    }

    /// The module of the pages.
    pub(crate) fn script(&self) -> &str {
        let [_, script, ..] = &self.files;
        &script.path
    }

    /// htmx.
    pub(crate) fn htmx(&self) -> &str {
        let [_, _, htmx, ..] = &self.files;
        &htmx.path
    }

    /// The module of the playground.
    pub(crate) fn playground(&self) -> &str {
        let [_, _, _, playground, _] = &self.files;
        &playground.path
    }

    /// The module of passkeys.
    pub(crate) fn passkeys(&self) -> &str {
        let [.., passkeys] = &self.files;
        &passkeys.path
    }
}

fn file(name: &str, extension: &str, kind: &'static str, plain: &'static [u8]) -> File {
    let digest = digest(&SHA256, plain).as_ref().iter().take(8).fold(String::new(), |mut text, byte| {
        // Writing to a text cannot fail.
        _ = write!(text, "{byte:02x}");
        text
    });
    let compress = || -> io::Result<Vec<u8>> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(plain)?;
        encoder.finish()
    };
    // Without a compressed form the plain one is sent.
    let compressed = compress().map(Bytes::from).unwrap_or_default();
    File { path: format!("{PREFIX}{name}.{digest}.{extension}"), kind, plain, compressed }
}

/// All files.
pub(crate) static ASSETS: LazyLock<Assets> = LazyLock::new(|| Assets {
    files: [
        file("console", "css", "text/css; charset=utf-8", include_bytes!("../../assets/console.css")),
        file("console", "js", "text/javascript; charset=utf-8", include_bytes!("../../assets/console.js")),
        file("htmx", "js", "text/javascript; charset=utf-8", include_bytes!("../../assets/htmx.js")),
        file(
            "playground",
            "js",
            "text/javascript; charset=utf-8",
            include_bytes!("../../assets/playground.js"),
        ),
        file("passkeys", "js", "text/javascript; charset=utf-8", include_bytes!("../../assets/passkeys.js")),
    ],
});

/// A file, by its path.
pub(crate) async fn get(uri: http::Uri, headers: HeaderMap) -> Response {
    let Some(file) = ASSETS.files.iter().find(|file| file.path == uri.path()) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let accepted = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok());
    let gzip = accepted.is_some_and(|accepted| accepted.contains("gzip")) && !file.compressed.is_empty();
    let common = [
        (header::CONTENT_TYPE, file.kind),
        (header::CACHE_CONTROL, FOR_EVER),
        (header::VARY, "accept-encoding"),
    ];
    match gzip {
        true => (common, [(header::CONTENT_ENCODING, "gzip")], file.compressed.clone()).into_response(),
        false => (common, file.plain).into_response(),
    }
}
