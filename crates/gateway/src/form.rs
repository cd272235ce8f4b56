//! Forms with files: `multipart/form-data`.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use http::HeaderValue;
use memchr::memmem;
use model::refusal::Refusal;
use wire::request::Scan;

/// Most answers to one request.
const MOST_CHOICES: u64 = 128;
/// Most fields of a form.
const MOST_FIELDS: usize = 64;

/// A form, as ranges of the body that it came in.
pub(crate) struct Form {
    body: Bytes,
    kind: String,
    /// What stands between two fields.
    mark: String,
    fields: Vec<Field>,
}

struct Field {
    name: String,
    is_file: bool,
    head: Range<usize>,
    content: Range<usize>,
}

fn malformed() -> Refusal {
    Refusal::InvalidRequest("the request body is not the form that its head says".to_owned())
}

impl Form {
    /// Takes a body of this `Content-Type` apart.
    ///
    /// # Errors
    /// It is not framed as its head says.
    pub(crate) fn read(kind: &str, body: &Bytes) -> Result<Self, Refusal> {
        let boundary = parameter(kind, "boundary").filter(|boundary| (1..=70).contains(&boundary.len()));
        let boundary = boundary.ok_or_else(malformed)?;
        let mark = format!("\r\n--{boundary}");
        let finder = memmem::Finder::new(mark.as_bytes());
        let first = format!("--{boundary}");
        if !body.starts_with(first.as_bytes()) {
            return Err(malformed());
        }
        let mut at = first.len();
        let mut fields = Vec::new();
        loop {
            let rest = body.get(at..).unwrap_or_default();
            if rest.starts_with(b"--") {
                break;
            }
            if !rest.starts_with(b"\r\n") || fields.len() >= MOST_FIELDS {
                return Err(malformed());
            }
            let head_end = memmem::find(rest, b"\r\n\r\n").ok_or_else(malformed)?;
            let (head, start) = (at + 2..at + head_end, at + head_end + 4);
            let length = finder.find(body.get(start..).unwrap_or_default()).ok_or_else(malformed)?;
            fields.push(Field::read(body, head, start..start + length)?);
            at = start + length + mark.len();
        }
        Ok(Self { body: body.clone(), kind: kind.to_owned(), mark, fields })
    }

    /// The text of a field that may stand once.
    ///
    /// # Errors
    /// It stands twice, or is a file, or no text.
    pub(crate) fn text(&self, name: &str) -> Result<Option<String>, Refusal> {
        let mut found = self.fields.iter().filter(|field| field.name == name);
        let Some(field) = found.next() else { return Ok(None) };
        if found.next().is_some() || field.is_file {
            return Err(Refusal::InvalidRequest(format!("{name} must be one text")));
        }
        let content = self.body.get(field.content.clone()).unwrap_or_default();
        let text = std::str::from_utf8(content)
            .map_err(|_| Refusal::InvalidRequest(format!("{name} must be one text")))?;
        Ok(Some(text.trim().to_owned()))
    }

    /// The files, by the name of their field and with their content.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let files = self.fields.iter().filter(|field| field.is_file);
        files.map(|field| (field.name.as_str(), self.of(&field.content)))
    }

    /// Its bytes without those of its files.
    pub(crate) fn text_bytes(&self) -> u64 {
        let files: usize = self.files().map(|(_, content)| content.len()).sum();
        self.body.len().saturating_sub(files) as u64
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
        HeaderValue::from_str(&self.kind).map_err(|_| malformed())
    }

    fn of(&self, range: &Range<usize>) -> &[u8] {
        self.body.get(range.clone()).unwrap_or_default()
    }

    /// The form with these texts in their fields, whether it had them or not.
    pub(crate) fn with(&self, texts: &[(&str, &str)]) -> Bytes {
        let longer: usize = texts.iter().map(|(name, text)| name.len() + text.len() + 128).sum();
        let mut out = BytesMut::with_capacity(self.body.len() + longer + 16);
        let mark = self.mark.trim_start();
        for field in &self.fields {
            let text = texts.iter().find(|(name, _)| *name == field.name);
            let content = text.map_or_else(|| self.of(&field.content), |(_, text)| text.as_bytes());
            for piece in [mark.as_bytes(), b"\r\n", self.of(&field.head), b"\r\n\r\n", content, b"\r\n"] {
                out.extend_from_slice(piece);
            }
        }
        let has = |name: &str| self.fields.iter().any(|field| field.name == name);
        for (name, text) in texts.iter().filter(|(name, _)| !has(name)) {
            let field =
                format!("{mark}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{text}\r\n");
            out.extend_from_slice(field.as_bytes());
        }
        out.extend_from_slice(mark.as_bytes());
        out.extend_from_slice(b"--\r\n");
        out.freeze()
    }
}

impl Field {
    fn read(body: &Bytes, head: Range<usize>, content: Range<usize>) -> Result<Self, Refusal> {
        let text =
            std::str::from_utf8(body.get(head.clone()).unwrap_or_default()).map_err(|_| malformed())?;
        let disposition = text
            .split("\r\n")
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| name.trim().eq_ignore_ascii_case("content-disposition"));
        let (_, disposition) = disposition.ok_or_else(malformed)?;
        let name = parameter(disposition, "name").ok_or_else(malformed)?;
        let is_file = parameter(disposition, "filename").is_some();
        Ok(Self { name, is_file, head, content })
    }
}

/// A parameter of a header, with or without quotes.
fn parameter(value: &str, name: &str) -> Option<String> {
    let (_, mut rest) = value.split_once(';')?;
    loop {
        let (found, behind) = rest.split_once('=')?;
        let behind = behind.trim_start();
        let (text, next) = match behind.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => behind.split_at(behind.find(';').unwrap_or(behind.len())),
        };
        if found.trim().eq_ignore_ascii_case(name) {
            return Some(text.trim().to_owned());
        }
        rest = next.trim_start().strip_prefix(';')?;
    }
}
