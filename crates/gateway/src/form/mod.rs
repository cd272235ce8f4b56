//! Forms with files: `multipart/form-data`.
//!
//! A form is taken apart as it comes in: texts are kept, files go into a spool, so a request has never more than a little of
//! them in memory. It is written anew, from what was read and nothing else, so that nobody reads another form in it; and as
//! often as there are channels to try.

mod head;
mod payload;
mod read;

use std::path::Path;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use hyper::body::Body;
use model::refusal::Refusal;
use wire::request::Scan;

pub(crate) use self::payload::{Payload, PayloadBody};
use self::{
    head::{Head, malformed},
    read::Reader,
};
use crate::{
    body::{self, Patience, Reading},
    spool::{Piece, Spool, Writer},
};

/// Most answers to one request.
const MOST_CHOICES: u64 = 128;

/// A form that has come in.
pub(crate) struct Form {
    /// What stands between two fields where the form is written again: nobody could have written it into a field.
    boundary: String,
    fields: Vec<Field>,
    files: Spool,
}

struct Field {
    head: Head,
    content: Content,
}

enum Content {
    Text(Bytes),
    /// A place in the spool, its first bytes, and how many seconds of sound it is, if it says so.
    File {
        at: u64,
        length: u64,
        beginning: Bytes,
        seconds: Option<u64>,
    },
}

/// A file of a form.
pub(crate) struct File<'a> {
    /// Its first bytes.
    pub(crate) beginning: &'a [u8],
    /// How many there are.
    pub(crate) length: u64,
    /// Begun seconds of sound, where it is sound that says so.
    pub(crate) seconds: Option<u64>,
}

/// Whether a request says that it is a form.
pub(crate) fn is_said(headers: &HeaderMap) -> bool {
    kind(headers).to_ascii_lowercase().starts_with("multipart/form-data")
}

fn kind(headers: &HeaderMap) -> &str {
    headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default()
}

impl Form {
    /// Takes a body apart as it comes in. Files that are large go into `directory`.
    ///
    /// # Errors
    /// The refusal that the caller gets.
    pub(crate) async fn receive<B>(
        headers: &HeaderMap,
        body: B,
        limit: u64,
        patience: Patience,
        directory: Option<&Path>,
    ) -> Result<Self, Refusal>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        if !is_said(headers) {
            return Err(Refusal::InvalidRequest("the request body must be multipart/form-data".to_owned()));
        }
        let mut reader = Reader::new(kind(headers))?;
        body::must_fit(headers, limit)?;
        let mut reading = Reading::new(body, limit, patience);
        let mut spool = Writer::new(directory);
        let away = |error: std::io::Error| {
            tracing::error!(%error, "a file of a form cannot be kept");
            Refusal::Unavailable
        };
        while let Some(bytes) = reading.next().await.map_err(|cut| body::refusal(cut, limit))? {
            reader.push(&bytes, &mut spool)?;
            spool.relieve().await.map_err(away)?;
        }
        Self::of(reader, spool.finish().await.map_err(away)?)
    }

    fn of(reader: Reader, files: Spool) -> Result<Self, Refusal> {
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|_| Refusal::Internal)?;
        let boundary = format!("apsis-{:032x}", u128::from_le_bytes(random));
        Ok(Self { boundary, fields: reader.finish()?, files })
    }

    /// The text of a field that may stand once.
    ///
    /// # Errors
    /// It stands twice, or is a file, or no text.
    pub(crate) fn text(&self, name: &str) -> Result<Option<String>, Refusal> {
        let wrong = || Refusal::InvalidRequest(format!("{name} must be one text"));
        let mut found = self.fields.iter().filter(|field| field.head.name == name);
        let Some(field) = found.next() else { return Ok(None) };
        let Content::Text(text) = &field.content else { return Err(wrong()) };
        if found.next().is_some() {
            return Err(wrong());
        }
        let text = std::str::from_utf8(text).map_err(|_| wrong())?;
        Ok(Some(text.trim().to_owned()))
    }

    /// The names of its fields.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().map(|field| field.head.name.as_str())
    }

    /// The files.
    pub(crate) fn files(&self) -> impl Iterator<Item = File<'_>> {
        self.fields.iter().filter_map(|field| match &field.content {
            Content::File { length, beginning, seconds, .. } => {
                Some(File { beginning, length: *length, seconds: *seconds })
            }
            Content::Text(_) => None,
        })
    }

    /// Its bytes without those of its files: no text in it is longer.
    fn text_bytes(&self) -> u64 {
        let of = |field: &Field| {
            let Head { name, file, kind } = &field.head;
            let told =
                name.len() + file.as_ref().map_or(0, String::len) + kind.as_ref().map_or(0, String::len);
            let text = if let Content::Text(text) = &field.content { text.len() } else { 0 };
            (told + text + 64) as u64
        };
        self.fields.iter().map(of).sum()
    }

    /// What the gateway must know of it.
    ///
    /// # Errors
    /// It names no model, or something is not what it must be.
    pub(crate) fn scan(&self) -> Result<Scan, Refusal> {
        let model = self.text("model")?.filter(|model| !model.is_empty()).ok_or(Refusal::ModelRequired)?;
        let wrong = |what: &str| Refusal::InvalidRequest(what.to_owned());
        let choices = match self.text("n")? {
            None => 1,
            Some(text) => text
                .parse()
                .ok()
                .filter(|choices| (1..=MOST_CHOICES).contains(choices))
                .ok_or_else(|| wrong("n must be an integer from 1 to 128"))?,
        };
        let stream = match self.text("stream")?.as_deref() {
            None | Some("false" | "") => false,
            Some("true") => true,
            Some(_) => return Err(wrong("stream must be true or false")),
        };
        let images = self.files().count() as u64;
        Ok(Scan::of_form(model, stream, choices, self.text_bytes(), images))
    }

    /// Its `Content-Type`.
    ///
    /// # Errors
    /// It is no header value.
    pub(crate) fn kind(&self) -> Result<HeaderValue, Refusal> {
        let kind = format!("multipart/form-data; boundary={}", self.boundary);
        HeaderValue::from_str(&kind).map_err(|_| malformed())
    }

    /// The form with these texts in their fields, whether it had them or not.
    pub(crate) fn with(&self, texts: &[(&str, &str)]) -> Payload {
        let mut pieces = Vec::with_capacity(3 * self.fields.len() + 1);
        let mut write = |name: &str, file: Option<&str>, kind: Option<&str>, content: Piece| {
            let file = file.map(|file| format!("; filename=\"{file}\"")).unwrap_or_default();
            let kind = kind.map(|kind| format!("\r\nContent-Type: {kind}")).unwrap_or_default();
            let head = format!(
                "--{}\r\nContent-Disposition: form-data; name=\"{name}\"{file}{kind}\r\n\r\n",
                self.boundary
            );
            pieces.extend([Piece::Bytes(head.into()), content, Piece::Bytes(Bytes::from_static(b"\r\n"))]);
        };
        let bytes = |text: &str| Piece::Bytes(Bytes::copy_from_slice(text.as_bytes()));
        for Field { head, content } in &self.fields {
            let text = texts.iter().find(|(name, _)| *name == head.name);
            let content = match (text, content) {
                (Some((_, text)), _) => bytes(text),
                (None, Content::Text(text)) => Piece::Bytes(text.clone()),
                (None, Content::File { at, length, .. }) => self.files.piece(*at, *length),
            };
            write(&head.name, head.file.as_deref(), head.kind.as_deref(), content);
        }
        let has = |name: &str| self.fields.iter().any(|field| field.head.name == name);
        for (name, text) in texts.iter().filter(|(name, _)| !has(name)) {
            write(name, None, None, bytes(text));
        }
        pieces.push(Piece::Bytes(format!("--{}--\r\n", self.boundary).into()));
        Payload::of(pieces)
    }
}
