//! The request that begins a video: JSON, or a form with files.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, header};
use memchr::memmem;
use model::refusal::Refusal;
use serde_json::{Map, Value};

use super::said::asked_seconds;
use crate::exchange::MAX_MODEL;

/// What is made when the caller does not say for how long. It is written into the request, so that the upstream makes what
/// is held.
const SECONDS: &str = "4";
/// Most fields of a form.
const MOST_FIELDS: usize = 64;

/// What is asked for.
pub(super) struct Asked {
    pub(super) model: String,
    pub(super) seconds: u64,
    shape: Shape,
}

enum Shape {
    Json(Map<String, Value>),
    Form(Form),
}

impl Asked {
    /// Reads a request.
    ///
    /// # Errors
    /// The refusal that the caller gets.
    pub(super) fn read(headers: &HeaderMap, body: &Bytes) -> Result<Self, Refusal> {
        let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let (model, seconds, shape) = if kind.to_ascii_lowercase().starts_with("multipart/form-data") {
            let form = Form::read(kind, body)?;
            let model = form.text("model")?.map(Value::from);
            (model, form.text("seconds")?.map(Value::from), Shape::Form(form))
        } else {
            let members = json(body)?;
            let said = |name: &str| members.get(name).filter(|value| !value.is_null()).cloned();
            (said("model"), said("seconds"), Shape::Json(members))
        };
        let model = match model {
            Some(Value::String(model)) if !model.is_empty() => model,
            Some(Value::String(_)) | None => return Err(Refusal::ModelRequired),
            Some(_) => return Err(Refusal::InvalidRequest("model must be a string".to_owned())),
        };
        if model.len() > MAX_MODEL {
            return Err(Refusal::InvalidRequest(format!("model must have at most {MAX_MODEL} bytes")));
        }
        let seconds = asked_seconds(&seconds.unwrap_or_else(|| SECONDS.into()))?;
        Ok(Self { model, seconds, shape })
    }

    /// The request as an upstream gets it, under its own name of the model, and of which kind it is.
    pub(super) fn said(&self, model: &str) -> Result<(HeaderValue, Bytes), Refusal> {
        match &self.shape {
            Shape::Json(members) => {
                let mut members = members.clone();
                members.insert("model".to_owned(), model.into());
                let seconds = members.entry("seconds").or_insert(Value::Null);
                if seconds.is_null() {
                    *seconds = SECONDS.into();
                }
                let body = Bytes::from(Value::Object(members).to_string());
                Ok((HeaderValue::from_static("application/json"), body))
            }
            Shape::Form(form) => {
                let kind = HeaderValue::from_str(&form.kind).map_err(|_| malformed())?;
                Ok((kind, form.with(model)))
            }
        }
    }
}

/// A JSON object.
///
/// # Errors
/// It is none.
pub(super) fn json(body: &[u8]) -> Result<Map<String, Value>, Refusal> {
    serde_json::from_slice(body)
        .map_err(|error| Refusal::InvalidRequest(format!("the request body is no JSON object: {error}")))
}

/// A form, as ranges of the body that it came in.
struct Form {
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
    fn read(kind: &str, body: &Bytes) -> Result<Self, Refusal> {
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
    fn text(&self, name: &str) -> Result<Option<String>, Refusal> {
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

    /// The form with another model, and with the seconds that are held when it has none.
    fn with(&self, model: &str) -> Bytes {
        let mut out = BytesMut::with_capacity(self.body.len() + model.len() + 256);
        let mark = self.mark.trim_start();
        for field in &self.fields {
            let of = |range: &Range<usize>| self.body.get(range.clone()).unwrap_or_default();
            let content = if field.name == "model" { model.as_bytes() } else { of(&field.content) };
            for piece in [mark.as_bytes(), b"\r\n", of(&field.head), b"\r\n\r\n", content, b"\r\n"] {
                out.extend_from_slice(piece);
            }
        }
        if !self.fields.iter().any(|field| field.name == "seconds") {
            let field =
                format!("{mark}\r\nContent-Disposition: form-data; name=\"seconds\"\r\n\r\n{SECONDS}\r\n");
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

#[cfg(test)]
mod tests {
    use super::*;

    fn of(kind: &str, body: &str) -> Result<Asked, Refusal> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, kind.parse().unwrap());
        Asked::read(&headers, &Bytes::from(body.to_owned()))
    }

    const FORM: &str = "--x\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nm\r\n--x\r\n\
        Content-Disposition: form-data; filename=\"a;b.png\"; name=input_reference\r\nContent-Type: image/png\r\n\r\n\
        \r\n-\r\n--x--\r\n";

    #[test]
    fn json_is_said_with_the_upstreams_model_and_what_is_held() {
        let asked = of("application/json", r#"{"prompt": "p", "model": "m"}"#).unwrap();
        assert_eq!((asked.model.as_str(), asked.seconds), ("m", 4));
        let (_, body) = asked.said("theirs").unwrap();
        assert_eq!(body, r#"{"prompt":"p","model":"theirs","seconds":"4"}"#);
        let asked = of("application/json", r#"{"model": "m", "seconds": 12}"#).unwrap();
        assert_eq!(asked.said("m").unwrap().1, r#"{"model":"m","seconds":12}"#);
        assert_eq!(asked.seconds, 12);
    }

    #[test]
    fn a_form_is_said_with_its_files() {
        let asked = of("multipart/form-data; boundary=x", FORM).unwrap();
        assert_eq!((asked.model.as_str(), asked.seconds), ("m", 4));
        let (kind, body) = asked.said("theirs").unwrap();
        let text = String::from_utf8(body.to_vec()).unwrap();
        let again = of(kind.to_str().unwrap(), &text).unwrap();
        assert_eq!((again.model.as_str(), again.seconds), ("theirs", 4));
        assert!(text.contains("filename=\"a;b.png\"") && text.contains("\r\n\r\n\r\n-\r\n--x\r\n"), "{text}");
    }

    #[test]
    fn what_is_malformed_is_refused() {
        let form = "multipart/form-data; boundary=x";
        for (kind, body) in [
            ("application/json", "[]"),
            ("application/json", "{}"),
            ("application/json", r#"{"model": 5}"#),
            ("application/json", r#"{"model": "m", "seconds": "0"}"#),
            ("application/json", r#"{"model": "m", "seconds": "many"}"#),
            ("application/json", r#"{"model": "m", "seconds": 3601}"#),
            ("multipart/form-data", FORM),
            ("multipart/form-data; boundary=y", FORM),
            (form, ""),
            (form, "--x"),
            (form, "--x\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nm"),
            (form, "--x\r\nContent-Type: text/plain\r\n\r\nm\r\n--x--"),
            (form, &FORM.replace("name=input_reference", "name=model")),
        ] {
            assert!(of(kind, body).is_err(), "{kind} {body}");
        }
    }
}
