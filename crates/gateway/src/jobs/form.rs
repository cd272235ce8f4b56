//! The request that begins a video: JSON, or a form with files.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use hyper::body::Body;
use model::refusal::Refusal;
use serde_json::{Map, Value};
use store::MAX_MODEL;

use super::{said::asked_seconds, size};
use crate::{
    body::{self, Patience},
    form::{self, Form, Payload},
    gateway::Settings,
    room::Room,
};

/// What is made when the caller does not say for how long. It is written into the request, so that the upstream makes what
/// is held.
const SECONDS: &str = "4";

/// What is asked for.
pub(super) struct Asked {
    pub(super) model: String,
    pub(super) seconds: u64,
    /// What it says of its size.
    pub(super) sizes: size::Asked,
    shape: Shape,
}

enum Shape {
    Json(Map<String, Value>),
    Form(Form),
}

impl Asked {
    /// Reads a request as it comes in: files of a form go where they do not lie in memory.
    ///
    /// # Errors
    /// The refusal that the caller gets.
    pub(super) async fn receive<B>(
        settings: &Settings,
        headers: &HeaderMap,
        body: B,
        room: &Room,
    ) -> Result<Self, Refusal>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        if !form::is_said(headers) {
            return Self::of_json(json(&whole(settings, headers, body, room).await?)?);
        }
        let (limit, spool) = (settings.body_limit, settings.spool.as_deref());
        Self::of_form(Form::receive(headers, body, limit, patience(settings), spool).await?)
    }

    fn of_form(form: Form) -> Result<Self, Refusal> {
        form.names().try_for_each(plainly_named)?;
        let (model, seconds) = (form.text("model")?.map(Value::from), form.text("seconds")?.map(Value::from));
        let mut sizes = size::Asked::default();
        for name in form.names().filter(|name| size::word(name).is_some()) {
            sizes.take(name, form.text(name)?.unwrap_or_default());
        }
        Self::of(model, seconds, sizes, Shape::Form(form))
    }

    fn of_json(members: Map<String, Value>) -> Result<Self, Refusal> {
        must_be_named_plainly(&members)?;
        let said = |name: &str| members.get(name).filter(|value| !value.is_null()).cloned();
        let (model, seconds) = (said("model"), said("seconds"));
        let mut sizes = size::Asked::default();
        sizes.take_all(&members);
        Self::of(model, seconds, sizes, Shape::Json(members))
    }

    fn of(
        model: Option<Value>,
        seconds: Option<Value>,
        sizes: size::Asked,
        shape: Shape,
    ) -> Result<Self, Refusal> {
        let model = match model {
            Some(Value::String(model)) if !model.is_empty() => model,
            Some(Value::String(_)) | None => return Err(Refusal::ModelRequired),
            Some(_) => return Err(Refusal::InvalidRequest("model must be a string".to_owned())),
        };
        if model.len() > MAX_MODEL {
            return Err(Refusal::InvalidRequest(format!("model must have at most {MAX_MODEL} bytes")));
        }
        let seconds = asked_seconds(&seconds.unwrap_or_else(|| SECONDS.into()))?;
        Ok(Self { model, seconds, sizes, shape })
    }

    /// The request as an upstream gets it, under its own name of the model, and of which kind it is.
    pub(super) fn said(&self, model: &str) -> Result<(HeaderValue, Payload), Refusal> {
        match &self.shape {
            Shape::Json(members) => {
                let mut members = members.clone();
                members.insert("model".to_owned(), model.into());
                let seconds = members.entry("seconds").or_insert(Value::Null);
                if seconds.is_null() {
                    *seconds = SECONDS.into();
                }
                let body = Bytes::from(Value::Object(members).to_string());
                Ok((HeaderValue::from_static("application/json"), body.into()))
            }
            Shape::Form(form) => {
                let seconds = form.text("seconds")?.unwrap_or_else(|| SECONDS.to_owned());
                Ok((form.kind()?, form.with(&[("model", model), ("seconds", &seconds)])))
            }
        }
    }
}

/// What the length and the number of what is made are called elsewhere, and further models, without case and dashes.
const SYNONYMS: [&str; 21] = [
    "n",
    "duration",
    "durationseconds",
    "durationinseconds",
    "numseconds",
    "nseconds",
    "secondscount",
    "length",
    "videolength",
    "lengthseconds",
    "numvideos",
    "numberofvideos",
    "videocount",
    "samplecount",
    "numberofsamples",
    "batchsize",
    "frames",
    "numframes",
    "models",
    "fallbacks",
    "count",
];

/// Refuses a name that some upstream would take for the model, the length or the number: what is made must be what is held.
fn plainly_named(name: &str) -> Result<(), Refusal> {
    let folded = folded(name);
    let odd = SYNONYMS.contains(&folded.as_str())
        || matches!(folded.as_str(), "model" | "seconds") && name != folded;
    match odd {
        true => {
            let name: String = name.chars().take(64).collect();
            Err(Refusal::InvalidRequest(format!("{name} is not a member that a request may have here")))
        }
        false => Ok(()),
    }
}

/// A name without case and dashes.
pub(super) fn folded(name: &str) -> String {
    let lower = name.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase);
    lower.filter(|character| character.is_alphanumeric()).collect()
}

/// The same for all members of a request, and of what is in them: some upstreams take parameters apart. Their depth was
/// bounded as they were read.
fn must_be_named_plainly(members: &Map<String, Value>) -> Result<(), Refusal> {
    members.iter().try_for_each(|(name, value)| {
        plainly_named(name)?;
        must_have_plain_names(value)
    })
}

fn must_have_plain_names(value: &Value) -> Result<(), Refusal> {
    match value {
        Value::Object(members) => must_be_named_plainly(members),
        Value::Array(items) => items.iter().try_for_each(must_have_plain_names),
        _ => Ok(()),
    }
}

/// The body of a request that is no form.
///
/// # Errors
/// The refusal that the caller gets.
pub(super) async fn whole<B>(
    settings: &Settings,
    headers: &HeaderMap,
    body: B,
    room: &Room,
) -> Result<Bytes, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
{
    body::of_caller(headers, body, settings.body_limit, patience(settings), room).await
}

const fn patience(settings: &Settings) -> Patience {
    Patience { idle: settings.body_idle, whole: settings.body }
}

/// A JSON object.
///
/// # Errors
/// It is none.
pub(super) fn json(body: &[u8]) -> Result<Map<String, Value>, Refusal> {
    serde_json::from_slice(body)
        .map_err(|error| Refusal::InvalidRequest(format!("the request body is no JSON object: {error}")))
}

#[cfg(test)]
mod tests {
    use http::header;
    use http_body_util::Full;

    use super::*;

    async fn of(kind: &str, body: &str) -> Result<Asked, Refusal> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, kind.parse().unwrap());
        let body = Full::new(Bytes::from(body.to_owned()));
        Asked::receive(&Settings::default(), &headers, body, &Room::of(1 << 20)).await
    }

    const FORM: &str = "--x\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nm\r\n--x\r\n\
        Content-Disposition: form-data; filename=\"a;b.png\"; name=input_reference\r\nContent-Type: image/png\r\n\r\n\
        \r\n-\r\n--x--\r\n";

    #[tokio::test]
    async fn json_is_said_with_the_upstreams_model_and_what_is_held() {
        let asked = of("application/json", r#"{"prompt": "p", "model": "m"}"#).await.unwrap();
        assert_eq!((asked.model.as_str(), asked.seconds), ("m", 4));
        let (_, body) = asked.said("theirs").unwrap();
        assert_eq!(body.whole().unwrap(), r#"{"prompt":"p","model":"theirs","seconds":"4"}"#);
        let asked = of("application/json", r#"{"model": "m", "seconds": 12}"#).await.unwrap();
        assert_eq!(asked.said("m").unwrap().1.whole().unwrap(), r#"{"model":"m","seconds":12}"#);
        assert_eq!(asked.seconds, 12);
    }

    #[tokio::test]
    async fn a_form_is_said_with_its_files() {
        let asked = of("multipart/form-data; boundary=x", FORM).await.unwrap();
        assert_eq!((asked.model.as_str(), asked.seconds), ("m", 4));
        let (kind, body) = asked.said("theirs").unwrap();
        let text = String::from_utf8(body.whole().unwrap().to_vec()).unwrap();
        let again = of(kind.to_str().unwrap(), &text).await.unwrap();
        assert_eq!((again.model.as_str(), again.seconds), ("theirs", 4));
        assert!(
            text.contains("filename=\"a;b.png\"") && text.contains("image/png\r\n\r\n\r\n-\r\n--apsis-"),
            "{text}"
        );
    }

    #[tokio::test]
    async fn what_is_malformed_is_refused() {
        let form = "multipart/form-data; boundary=x";
        for (kind, body) in [
            ("application/json", "[]"),
            ("application/json", "{}"),
            ("application/json", r#"{"model": 5}"#),
            ("application/json", r#"{"model": "m", "seconds": "0"}"#),
            ("application/json", r#"{"model": "m", "seconds": "many"}"#),
            ("application/json", r#"{"model": "m", "seconds": 3601}"#),
            ("application/json", r#"{"model": "m", "duration": 60}"#),
            ("application/json", r#"{"model": "m", "n": 2}"#),
            ("application/json", r#"{"model": "m", "Seconds": 60}"#),
            ("application/json", r#"{"model": "m", "Model": "dear"}"#),
            ("application/json", r#"{"model": "m", "parameters": {"durationSeconds": 60}}"#),
            ("application/json", r#"{"model": "m", "instances": [{"sample_count": 4}]}"#),
            (form, &FORM.replace("filename=\"a;b.png\"; name=input_reference", "name=Seconds")),
            (form, &FORM.replace("filename=\"a;b.png\"; name=input_reference", "name=duration")),
            ("multipart/form-data", FORM),
            ("multipart/form-data; boundary=y", FORM),
            (form, ""),
            (form, "--x"),
            (form, "--x\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nm"),
            (form, "--x\r\nContent-Type: text/plain\r\n\r\nm\r\n--x--"),
            (form, &FORM.replace("name=input_reference", "name=model")),
            (form, &FORM.replace("name=input_reference", "name=a; name=model")),
            (form, &FORM.replace("name=input_reference", "name=a; name*=UTF-8\'\'model")),
            (form, &FORM.replace("name=input_reference", "x=\"\\\"; name=\\\"a\"; name=model")),
            ("multipart/form-data; boundary=x; boundary=y", FORM),
        ] {
            assert!(of(kind, body).await.is_err(), "{kind} {body}");
        }
    }
}
