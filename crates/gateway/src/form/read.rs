//! Taking a form apart as it comes in. Only a head, a text, or a piece not longer than its boundary is ever waited for.

use bytes::{Buf, BytesMut};
use memchr::memmem;
use model::refusal::Refusal;
use wire::sound::Meter;

use super::{
    Content, Field,
    head::{self, Head, malformed},
};
use crate::spool::Writer;

/// Most fields of a form.
const MOST_FIELDS: usize = 64;
/// Most bytes of a field's head.
const MOST_HEAD: usize = 16 << 10;
/// Most bytes of all texts together.
const MOST_TEXT: usize = 1 << 20;
/// Bytes of a file's beginning that are kept at hand: what says how long a recording is stands there.
const BEGINNING: usize = 64;

/// What comes next.
enum Next {
    /// The first boundary.
    Start,
    /// What follows a boundary: another field, or the end.
    Behind,
    /// The head of a field.
    Head,
    /// The content of a field.
    Content(Box<Unfinished>),
    /// Nothing that matters.
    Nothing,
}

/// A field whose content comes in.
struct Unfinished {
    head: Head,
    /// The text, or a file's first bytes.
    kept: BytesMut,
    /// Where a file begins in the spool.
    at: u64,
    meter: Meter,
}

/// Reads a form.
pub(super) struct Reader {
    /// What stands before a field that is not the first.
    mark: Vec<u8>,
    buffer: BytesMut,
    next: Next,
    text: usize,
    fields: Vec<Field>,
}

impl Reader {
    /// Begins with the `Content-Type` of a form.
    ///
    /// # Errors
    /// It names no boundary.
    pub(super) fn new(kind: &str) -> Result<Self, Refusal> {
        let boundary = head::parameters(kind)?.remove("boundary").unwrap_or_default();
        if !(1..=70).contains(&boundary.len()) {
            return Err(malformed());
        }
        let mark = format!("\r\n--{boundary}").into_bytes();
        Ok(Self { mark, buffer: BytesMut::new(), next: Next::Start, text: 0, fields: Vec::new() })
    }

    /// Takes in what follows; contents of files go into `spool`.
    ///
    /// # Errors
    /// It is no form.
    pub(super) fn push(&mut self, bytes: &[u8], spool: &mut Writer) -> Result<(), Refusal> {
        if matches!(self.next, Next::Nothing) {
            return Ok(());
        }
        self.buffer.extend_from_slice(bytes);
        while self.step(spool)? {}
        Ok(())
    }

    /// The fields, when all has come in.
    ///
    /// # Errors
    /// The form has no end.
    pub(super) fn finish(self) -> Result<Vec<Field>, Refusal> {
        matches!(self.next, Next::Nothing).then_some(self.fields).ok_or_else(malformed)
    }

    /// Goes one step on; `false` when more must come in first.
    fn step(&mut self, spool: &mut Writer) -> Result<bool, Refusal> {
        match std::mem::replace(&mut self.next, Next::Nothing) {
            Next::Nothing => {
                self.buffer.clear();
                Ok(false)
            }
            Next::Start => self.start(),
            Next::Behind => self.behind(),
            Next::Head => self.head(spool),
            Next::Content(field) => self.content(field, spool),
        }
    }

    fn start(&mut self) -> Result<bool, Refusal> {
        let first = self.mark.get(2..).unwrap_or_default();
        let there = self.buffer.len().min(first.len());
        if self.buffer.get(..there) != first.get(..there) {
            return Err(malformed());
        }
        let whole = there == first.len();
        self.next = if whole { Next::Behind } else { Next::Start };
        self.buffer.advance(if whole { there } else { 0 });
        Ok(whole)
    }

    fn behind(&mut self) -> Result<bool, Refusal> {
        match self.buffer.get(..2) {
            None => {
                self.next = Next::Behind;
                return Ok(false);
            }
            Some(b"--") => return Ok(true),
            Some(b"\r\n") if self.fields.len() < MOST_FIELDS => self.next = Next::Head,
            Some(_) => return Err(malformed()),
        }
        self.buffer.advance(2);
        Ok(true)
    }

    fn head(&mut self, spool: &Writer) -> Result<bool, Refusal> {
        let Some(end) = memmem::find(&self.buffer, b"\r\n\r\n") else {
            self.next = Next::Head;
            return if self.buffer.len() > MOST_HEAD { Err(malformed()) } else { Ok(false) };
        };
        let head = Head::read(self.buffer.get(..end).unwrap_or_default())?;
        self.buffer.advance(end + 4);
        let (kept, meter) = (BytesMut::new(), Meter::default());
        self.next = Next::Content(Box::new(Unfinished { head, kept, at: spool.len(), meter }));
        Ok(true)
    }

    fn content(&mut self, mut field: Box<Unfinished>, spool: &mut Writer) -> Result<bool, Refusal> {
        let found = memmem::find(&self.buffer, &self.mark);
        // The end of what is there may be the beginning of the mark.
        let sure = found.unwrap_or_else(|| self.buffer.len().saturating_sub(self.mark.len() - 1));
        let content = self.buffer.split_to(sure);
        let kept = &mut field.kept;
        if field.head.file.is_some() {
            let missing = BEGINNING.saturating_sub(kept.len()).min(content.len());
            kept.extend_from_slice(content.get(..missing).unwrap_or_default());
            field.meter.take(&content);
            spool.push(&content);
        } else {
            self.text += content.len();
            if self.text > MOST_TEXT {
                let what = format!("the texts of a form may have at most {MOST_TEXT} bytes");
                return Err(Refusal::InvalidRequest(what));
            }
            kept.extend_from_slice(&content);
        }
        if found.is_none() {
            self.next = Next::Content(field);
            return Ok(false);
        }
        self.buffer.advance(self.mark.len());
        let Unfinished { head, kept, at, meter } = *field;
        let kept = kept.freeze();
        let content = match head.file {
            Some(_) => {
                Content::File { at, length: spool.len() - at, beginning: kept, seconds: meter.exact() }
            }
            None => Content::Text(kept),
        };
        self.fields.push(Field { head, content });
        self.next = Next::Behind;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{form::Form, spool::Spool};

    const KIND: &str = "multipart/form-data; boundary=xx";

    /// A field's name, its file's name, and its content.
    type Plain = (String, Option<String>, Vec<u8>);

    fn form(kind: &str, body: &[u8]) -> Result<Form, Refusal> {
        let (mut reader, mut spool) = (Reader::new(kind)?, Writer::new(None));
        reader.push(body, &mut spool)?;
        Form::of(reader, Spool::Memory(spool.in_memory()))
    }

    /// What a form is that comes in these pieces.
    fn read(pieces: &[&[u8]]) -> Result<Vec<Plain>, Refusal> {
        let (mut reader, mut spool) = (Reader::new(KIND)?, Writer::new(None));
        for piece in pieces {
            reader.push(piece, &mut spool)?;
        }
        let files = spool.in_memory();
        let fields = reader.finish()?.into_iter().map(|Field { head, content }| {
            let content = match content {
                Content::Text(text) => text.to_vec(),
                Content::File { at, length, beginning, .. } => {
                    let content = files[at as usize..(at + length) as usize].to_vec();
                    assert!(content.starts_with(&beginning) && (beginning.len() == 64 || content.len() < 64));
                    content
                }
            };
            (head.name, head.file, content)
        });
        Ok(fields.collect())
    }

    fn written(fields: &[Plain]) -> Vec<u8> {
        let mut out = Vec::new();
        for (name, file, content) in fields {
            let file = file.as_ref().map(|file| format!("; filename=\"{file}\"")).unwrap_or_default();
            out.extend(
                format!("--xx\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n").bytes(),
            );
            out.extend_from_slice(content);
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b"--xx--\r\nwhat follows matters to nobody");
        out
    }

    proptest! {
        #[test]
        fn however_a_form_is_split_it_is_the_same(
            fields in prop::collection::vec(
                ("[a-z]{1,4}", prop::option::of("[a-z]{0,4}"), prop::collection::vec(prop::sample::select(b"\r\n-xab".to_vec()), 0..90)),
                0..5,
            ),
            size in 1_usize..40,
        ) {
            let fields: Vec<_> = fields.into_iter().filter(|(_, _, content)| {
                let framed = [b"\r\n", content.as_slice(), b"\r\n"].concat();
                memmem::find(&framed, b"\r\n--xx").is_none()
            }).collect();
            let body = written(&fields);
            if fields.is_empty() {
                // A form without fields is its end alone.
                prop_assert!(read(&[&body]).is_ok());
            }
            let pieces: Vec<&[u8]> = body.chunks(size).collect();
            prop_assert_eq!(read(&pieces).unwrap(), fields.clone());
            // And it is the same once it has been written again.
            let first = form(KIND, &body).unwrap();
            let again = first.with(&[]).whole().unwrap();
            let kind = first.kind().unwrap();
            let second = form(kind.to_str().unwrap(), &again).unwrap();
            prop_assert_eq!(second.fields.len(), fields.len());
            prop_assert!(matches!(second.files, Spool::Memory(_)));
        }

        #[test]
        fn no_bytes_are_too_much(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            drop(read(&[b"--xx\r\n", &bytes]));
            drop(read(&[&bytes]));
        }
    }

    #[test]
    fn what_has_no_end_is_refused_before_it_fills_memory() {
        let long = vec![b'a'; MOST_TEXT + 100];
        assert!(read(&[b"--xx\r\n", &long]).is_err(), "a head");
        let head = b"--xx\r\nContent-Disposition: form-data; name=\"prompt\"\r\n\r\n";
        let told = read(&[head, &long]).unwrap_err().to_string();
        assert!(told.contains("texts of a form"), "{told}");
    }
}
