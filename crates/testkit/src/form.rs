//! Forms with files: `multipart/form-data`.

use bytes::Bytes;
use http::{HeaderMap, header};
use serde_json::{Map, Value};

/// The fields of a form, and its files by the field that they came in.
#[derive(Default)]
pub(crate) struct Form {
    pub(crate) fields: Map<String, Value>,
    pub(crate) files: Vec<File>,
}

/// A file of a form.
pub(crate) struct File {
    pub(crate) field: String,
    pub(crate) bytes: Bytes,
}

impl Form {
    /// Takes a body apart; nothing when its head says that it is no form, or when it is not framed as one.
    pub(crate) fn read(headers: &HeaderMap, body: &Bytes) -> Option<Self> {
        let kind = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
        let boundary = kind.strip_prefix("multipart/form-data")?.split("boundary=").nth(1)?;
        let mark = format!("--{}", boundary.trim_matches('"'));
        let finder = memchr::memmem::Finder::new(mark.as_bytes());
        let marks: Vec<usize> = finder.find_iter(body).collect();
        let mut form = Self::default();
        for pair in marks.windows(2) {
            let &[begin, end] = pair else { return None };
            form.part(&body.slice(begin + mark.len()..end))?;
        }
        let last = body.get(marks.last()? + mark.len()..)?;
        last.starts_with(b"--").then_some(form)
    }

    fn part(&mut self, part: &Bytes) -> Option<()> {
        let at = memchr::memmem::find(part, b"\r\n\r\n")?;
        let head = std::str::from_utf8(part.get(..at)?).ok()?;
        let content = part.slice(at + 4..part.len().checked_sub(2)?);
        let line = head
            .lines()
            .find(|line| line.to_ascii_lowercase().starts_with("content-disposition: form-data"))?;
        let named = |name: &str| line.split(name).nth(1)?.split('"').next();
        let field = named(" name=\"")?.trim_end_matches("[]").to_owned();
        match named(" filename=\"") {
            Some(_) => self.files.push(File { field, bytes: content }),
            None => drop(self.fields.insert(field, String::from_utf8_lossy(&content).into())),
        }
        Some(())
    }
}
