//! Forms with files: `multipart/form-data`.

use std::{collections::HashMap, ops::Range};

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
    /// What stands between two fields where the form is written again: nobody could have written it into a field.
    boundary: String,
    fields: Vec<Field>,
}

struct Field {
    name: String,
    file: Option<String>,
    kind: Option<String>,
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
        let boundary = parameters(kind)?.remove("boundary").unwrap_or_default();
        if !(1..=70).contains(&boundary.len()) {
            return Err(malformed());
        }
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
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|_| Refusal::Internal)?;
        let boundary = format!("apsis-{:032x}", u128::from_le_bytes(random));
        Ok(Self { body: body.clone(), boundary, fields })
    }

    /// The text of a field that may stand once.
    ///
    /// # Errors
    /// It stands twice, or is a file, or no text.
    pub(crate) fn text(&self, name: &str) -> Result<Option<String>, Refusal> {
        let mut found = self.fields.iter().filter(|field| field.name == name);
        let Some(field) = found.next() else { return Ok(None) };
        if found.next().is_some() || field.file.is_some() {
            return Err(Refusal::InvalidRequest(format!("{name} must be one text")));
        }
        let content = self.body.get(field.content.clone()).unwrap_or_default();
        let text = std::str::from_utf8(content)
            .map_err(|_| Refusal::InvalidRequest(format!("{name} must be one text")))?;
        Ok(Some(text.trim().to_owned()))
    }

    /// The names of its fields.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().map(|field| field.name.as_str())
    }

    /// The files, by the name of their field and with their content.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let files = self.fields.iter().filter(|field| field.file.is_some());
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
        let kind = format!("multipart/form-data; boundary={}", self.boundary);
        HeaderValue::from_str(&kind).map_err(|_| malformed())
    }

    fn of(&self, range: &Range<usize>) -> &[u8] {
        self.body.get(range.clone()).unwrap_or_default()
    }

    /// The form with these texts in their fields, whether it had them or not. It is written anew, from what was read and
    /// nothing else, so that nobody reads another form in it.
    pub(crate) fn with(&self, texts: &[(&str, &str)]) -> Bytes {
        let longer: usize = texts.iter().map(|(name, text)| name.len() + text.len() + 160).sum();
        let mut out = BytesMut::with_capacity(self.body.len() + longer + 64 * self.fields.len());
        let mut write = |name: &str, file: Option<&str>, kind: Option<&str>, content: &[u8]| {
            let file = file.map(|file| format!("; filename=\"{file}\"")).unwrap_or_default();
            let kind = kind.map(|kind| format!("\r\nContent-Type: {kind}")).unwrap_or_default();
            let head = format!(
                "--{}\r\nContent-Disposition: form-data; name=\"{name}\"{file}{kind}\r\n\r\n",
                self.boundary
            );
            for piece in [head.as_bytes(), content, b"\r\n"] {
                out.extend_from_slice(piece);
            }
        };
        for field in &self.fields {
            let text = texts.iter().find(|(name, _)| *name == field.name);
            let content = text.map_or_else(|| self.of(&field.content), |(_, text)| text.as_bytes());
            write(&field.name, field.file.as_deref(), field.kind.as_deref(), content);
        }
        let has = |name: &str| self.fields.iter().any(|field| field.name == name);
        for (name, text) in texts.iter().filter(|(name, _)| !has(name)) {
            write(name, None, None, text.as_bytes());
        }
        out.extend_from_slice(format!("--{}--\r\n", self.boundary).as_bytes());
        out.freeze()
    }
}

impl Field {
    fn read(body: &Bytes, head: Range<usize>, content: Range<usize>) -> Result<Self, Refusal> {
        let text = std::str::from_utf8(body.get(head).unwrap_or_default()).map_err(|_| malformed())?;
        let (mut disposition, mut kind) = (None, None);
        for line in text.split("\r\n") {
            let (name, value) = line.split_once(':').ok_or_else(malformed)?;
            let kept = match name.trim().to_ascii_lowercase().as_str() {
                "content-disposition" => &mut disposition,
                "content-type" => &mut kind,
                _ => continue,
            };
            // Of two, others could take the other one.
            if kept.replace(value.trim().to_owned()).is_some() {
                return Err(malformed());
            }
        }
        let mut told = parameters(&disposition.ok_or_else(malformed)?)?;
        let name = told.remove("name").ok_or_else(malformed)?;
        Ok(Self { name, file: told.remove("filename"), kind, content })
    }
}

/// The parameters of a header, with or without quotes. What could be read in two ways is refused: one that stands twice or is
/// written in an extended form, escapes, and characters that no name needs.
fn parameters(value: &str) -> Result<HashMap<String, String>, Refusal> {
    let mut found = HashMap::new();
    if value.chars().any(|character| character.is_control() || character == '\\') {
        return Err(malformed());
    }
    let mut rest = value.split_once(';').map_or("", |(_, rest)| rest).trim();
    while !rest.is_empty() {
        let (name, behind) = rest.split_once('=').ok_or_else(malformed)?;
        let behind = behind.trim_start();
        let (text, next) = match behind.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').ok_or_else(malformed)?,
            None => behind.split_at(behind.find(';').unwrap_or(behind.len())),
        };
        let name = name.trim().to_ascii_lowercase();
        // Beside its plain form a file's name may have an extended one, which nobody here needs.
        if name.ends_with('*') && name != "filename*" || found.insert(name, text.trim().to_owned()).is_some()
        {
            return Err(malformed());
        }
        let next = next.trim_start();
        rest = match next.strip_prefix(';') {
            Some(next) => next.trim_start(),
            None if next.is_empty() => next,
            None => return Err(malformed()),
        };
    }
    Ok(found)
}
