//! Conversion between the dialects: what the gateway uses where a caller and an upstream speak different ones.
//!
//! - [`request`] turns a caller's body into one for the upstream. What cannot be carried is refused by its member's
//!   name; what may be left out is left out and named, so that a response header can say so. docs/dialects.md lists
//!   both.
//! - [`answer`] turns a whole answer back.
//! - [`Converter`] turns a streamed answer back, event by event: each event of the upstream, as
//!   [`crate::sse::Splitter`] finds it, becomes the bytes that the caller gets for it, often none. Then
//!   [`Converter::end`] is called once, whatever the last event was. [`Converter::stop`] ends an answer that can no
//!   longer be paid for, [`Converter::fail`] one that the gateway itself has to give up. Nothing follows either.
//!
//! Between two dialects there is always `conversation`, the one form in between, so that each dialect knows itself only.
//! Where both sides speak the same dialect nothing is converted: bytes pass as they are, and a tap reads usage.

use bytes::Bytes;
use model::usage::Tokens;
use serde_json::Value;

use crate::{
    chat,
    conversation::{
        answer::Answer,
        event::Event,
        feature::Losses,
        narrator::Narrator,
        request::{Request, Role},
    },
    dialect::Dialect,
    extras::{Used, Uses},
    google, look, messages,
    openai::upstream_error,
    request::check_depth,
    responses, sse,
    usage::{Report, Usage},
};

/// Why a request cannot be converted. The text is the outside message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConvertError {
    /// Not JSON, or nested too deep.
    #[error("the request body is not a valid JSON object: {0}")]
    Malformed(String),
    /// A member is not what it must be.
    #[error("{member} must be {expected}")]
    Wrong {
        /// The path of the member.
        member: String,
        /// What it must be.
        expected: &'static str,
    },
    /// These members, by their names, have no equal in the upstream's dialect.
    #[error("the upstream of this model speaks another dialect, which cannot carry: {}", .0.join(", "))]
    Uncarried(Vec<String>),
}

/// Where a request goes.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// How the upstream speaks.
    pub dialect: Dialect,
    /// The upstream's name of the model.
    pub model: &'a str,
    /// Whether a stream is asked for: in one dialect the path says so.
    pub stream: bool,
    /// The output limit where the caller sets none and the upstream must have one: the model's own.
    pub default_output_limit: u64,
    /// The largest output that can be paid for, for each choice, where that is less than the caller's limit.
    pub affordable_output: Option<u64>,
}

/// A request in the upstream's dialect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Converted {
    /// The body.
    pub body: Bytes,
    /// The caller's members that were left out, as the dialects' documents allow.
    pub dropped: Vec<String>,
}

/// Turns a request from the caller's dialect into the upstream's.
///
/// # Errors
/// [`ConvertError`].
pub fn request(body: &[u8], from: Dialect, target: Target<'_>) -> Result<Converted, ConvertError> {
    check_depth(body).map_err(|error| ConvertError::Malformed(error.to_string()))?;
    let value = serde_json::from_slice(body).map_err(|error| ConvertError::Malformed(error.to_string()))?;
    let mut losses = Losses::new(from);
    let mut request = read_request(value, from, &mut losses)?;
    request.model = target.model.to_owned();
    request.stream = target.stream;
    if let Some(affordable) = target.affordable_output {
        request.output_limit = Some(request.output_limit.unwrap_or(affordable).min(affordable));
    }
    name_results(&mut request);
    let body = match target.dialect {
        Dialect::Chat => chat::write_request::write(request, &mut losses),
        Dialect::Google => google::write_request::write(request, &mut losses),
        Dialect::Responses => responses::write_request::write(request, &mut losses),
        Dialect::Messages => {
            messages::write_request::write(request, target.default_output_limit, &mut losses)
        }
    };
    Ok(Converted { body: Bytes::from(body.to_string()), dropped: losses.judge()? })
}

fn read_request(value: Value, from: Dialect, losses: &mut Losses) -> Result<Request, ConvertError> {
    match from {
        Dialect::Chat => chat::request::read(value, losses),
        Dialect::Messages => messages::request::read(value, losses),
        Dialect::Google => google::request::read(value, losses),
        Dialect::Responses => responses::request::read(value, losses),
    }
}

/// Writes the name of its tool on each result that does not say it: one dialect knows results by it.
fn name_results(request: &mut Request) {
    use crate::conversation::part::Part;
    let mut names: Vec<(String, String)> = Vec::new();
    for part in request
        .turns
        .iter_mut()
        .filter(|turn| matches!(turn.role, Role::User | Role::Assistant))
        .flat_map(|turn| &mut turn.parts)
    {
        match part {
            Part::Call(call) => names.push((call.id.clone(), call.name.clone())),
            Part::Result(result) if result.name.is_none() => {
                let named = names.iter().rev().find(|(id, _)| *id == result.call);
                result.name = named.map(|(_, name)| name.clone());
            }
            _ => {}
        }
    }
}

/// What a caller is told beside the upstream's own words.
#[derive(Clone, Debug)]
pub struct Caller {
    /// How it speaks.
    pub dialect: Dialect,
    /// The model as it named it; it is told where the upstream names none.
    pub model: String,
    /// The time, in Unix seconds, where the upstream tells none.
    pub now: u64,
    /// Whether it asked for usage in a stream of chat completions.
    pub include_usage: bool,
    /// The input tokens as the gateway counts them, for the first event of messages.
    pub input_tokens: u64,
    /// Whether a stream of generateContent is of server-sent events, and not one JSON array.
    pub sse: bool,
}

/// What an upstream sent is no answer, in words that may be passed on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoAnswer(pub String);

/// A whole answer in the caller's dialect, and what it used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// The body.
    pub body: Bytes,
    /// The upstream's counts.
    pub report: Report,
    /// An estimate of the output tokens that it carries.
    pub estimated_output: u64,
}

/// Turns a whole answer from the upstream's dialect into the caller's.
///
/// # Errors
/// It is no answer, but an error or nonsense.
pub fn answer(body: &[u8], from: Dialect, caller: &Caller) -> Result<Answered, NoAnswer> {
    let value: Value =
        serde_json::from_slice(body).map_err(|_| NoAnswer("the upstream's answer is no JSON".to_owned()))?;
    if value.get("error").is_some_and(|error| !error.is_null()) || look::kind(&value) == "error" {
        return Err(NoAnswer(upstream_error::read(200, body).message));
    }
    let mut answer = match from {
        Dialect::Chat => chat::answer::read(&value),
        Dialect::Messages => messages::answer::read(&value),
        Dialect::Google => google::answer::read(&value),
        Dialect::Responses => responses::answer::read(&value),
    };
    if answer.choices.is_empty() {
        return Err(NoAnswer("the upstream's answer has no content".to_owned()));
    }
    if answer.model.is_empty() {
        answer.model = caller.model.clone();
    }
    answer.created = answer.created.or(Some(caller.now));
    let report = answer.usage.map_or(Report::Absent, Report::Good);
    let estimated_output = answer.estimated_output();
    Ok(Answered {
        body: Bytes::from(write_answer(&answer, caller.dialect).to_string()),
        report,
        estimated_output,
    })
}

fn write_answer(answer: &Answer, dialect: Dialect) -> Value {
    match dialect {
        Dialect::Chat => chat::answer::write(answer),
        Dialect::Messages => messages::answer::write(answer),
        Dialect::Google => google::answer::write(answer),
        Dialect::Responses => responses::answer::write(answer),
    }
}

#[derive(Debug)]
enum Reader {
    Chat(chat::stream::Reader),
    Messages(messages::stream::Reader),
    Google(google::stream::Reader),
    Responses(responses::stream::Reader),
}

#[derive(Debug)]
enum Writer {
    Chat(chat::stream::Writer),
    Messages(messages::stream::Writer),
    Google(google::stream::Writer),
    Responses(responses::write_stream::Writer),
}

/// Turns a streamed answer from the upstream's dialect into the caller's.
#[derive(Debug)]
pub struct Converter {
    reader: Reader,
    narrator: Narrator,
    writer: Writer,
    model: String,
    now: u64,
    from: Dialect,
    uses: Uses,
}

impl Converter {
    /// Begins, with an upstream that speaks `from`.
    #[must_use]
    pub fn new(from: Dialect, caller: Caller) -> Self {
        let reader = match from {
            Dialect::Chat => Reader::Chat(chat::stream::Reader::default()),
            Dialect::Messages => Reader::Messages(messages::stream::Reader::default()),
            Dialect::Google => Reader::Google(google::stream::Reader::default()),
            Dialect::Responses => Reader::Responses(responses::stream::Reader::default()),
        };
        let writer = match caller.dialect {
            Dialect::Chat => Writer::Chat(chat::stream::Writer::new(caller.include_usage)),
            Dialect::Messages => Writer::Messages(messages::stream::Writer::new(caller.input_tokens)),
            Dialect::Google => Writer::Google(google::stream::Writer::new(caller.sse)),
            Dialect::Responses => Writer::Responses(responses::write_stream::Writer::default()),
        };
        let (narrator, uses) = (Narrator::default(), Uses::default());
        Self { reader, narrator, writer, model: caller.model, now: caller.now, from, uses }
    }

    /// Takes in one event of the upstream, and returns what the caller gets for it.
    pub fn event(&mut self, event: &[u8]) -> Bytes {
        match sse::data(event) {
            // A comment keeps the connection alive, and so does ours; a blank line is nothing.
            None if event.starts_with(b":") => self.narrator.ping(),
            None => {}
            Some(data) => {
                self.uses.take(self.from, &data);
                match &mut self.reader {
                    Reader::Chat(reader) => reader.data(&data, &mut self.narrator),
                    Reader::Messages(reader) => reader.data(&data, &mut self.narrator),
                    Reader::Google(reader) => reader.data(&data, &mut self.narrator),
                    Reader::Responses(reader) => reader.data(&data, &mut self.narrator),
                }
            }
        }
        self.written()
    }

    /// Says that the answer goes on, where the caller's dialect has a word for it.
    pub fn ping(&mut self) -> Bytes {
        self.narrator.ping();
        self.written()
    }

    /// The upstream's stream has ended: if its answer had not, the caller is told an error.
    pub fn end(&mut self) -> Bytes {
        self.narrator.end();
        self.written()
    }

    /// Ends the answer as if its output limit had been met; `used` is what is charged for.
    pub fn stop(&mut self, used: Tokens) -> Bytes {
        let before = self.narrator.take();
        self.narrator.cut(Usage::of(used));
        let after = self.narrator.take();
        self.write(before.into_iter().chain(after).collect())
    }

    /// Ends the stream with an error of the gateway's own, in the caller's dialect.
    pub fn fail(&mut self, message: &str, code: &str) -> Bytes {
        self.narrator.fail(Some(message), Some(code));
        self.written()
    }

    /// The upstream's counts so far.
    #[must_use]
    pub const fn report(&self) -> Report {
        self.narrator.report()
    }

    /// What was used beside tokens so far.
    #[must_use]
    pub fn used(&self) -> Used {
        self.uses.used()
    }

    /// An estimate of the output tokens that were passed on.
    #[must_use]
    pub const fn delivered(&self) -> u64 {
        self.narrator.delivered()
    }

    /// Whether every choice has said why it ended.
    #[must_use]
    pub fn finished(&self) -> bool {
        self.narrator.finished()
    }

    /// Whether the caller has got the end of the answer, or an error in its place.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        self.narrator.is_over()
    }

    /// Whether it was an error.
    #[must_use]
    pub const fn has_failed(&self) -> bool {
        self.narrator.has_failed()
    }

    fn written(&mut self) -> Bytes {
        let events = self.narrator.take();
        self.write(events)
    }

    fn write(&mut self, events: Vec<Event>) -> Bytes {
        let mut out = String::new();
        for mut event in events {
            if let Event::Start { model, created, .. } = &mut event {
                if model.is_empty() {
                    model.clone_from(&self.model);
                }
                *created = created.or(Some(self.now));
            }
            match &mut self.writer {
                Writer::Chat(writer) => writer.event(event, &mut out),
                Writer::Messages(writer) => writer.event(event, &mut out),
                Writer::Google(writer) => writer.event(event, &mut out),
                Writer::Responses(writer) => writer.event(event, &mut out),
            }
        }
        Bytes::from(out)
    }
}
