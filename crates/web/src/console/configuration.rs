//! The configuration in force: what each key is, what it means and where its value came from. It is read at the start and
//! changed where it came from, so the page only shows.

use askama::Template;
use axum::{extract::State, response::Response};

use super::{
    explained,
    frame::{self, Frame},
    messages::{Language, fill},
    oops::Oops,
    visitor::SignedIn,
};
use crate::routes::AppState;

/// Where a value of the configuration came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValueSource {
    /// Nobody said anything.
    Default,
    /// A configuration file, by its path.
    File(String),
    /// An environment variable, by its name.
    Environment(String),
    /// The command line.
    CommandLine,
}

/// A key of the configuration, as it is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InForce {
    /// Its name, with dots.
    pub name: &'static str,
    /// Its value; `None` for a secret, which is never shown.
    pub value: Option<String>,
    /// Whether it says anything.
    pub is_set: bool,
    /// Its default.
    pub default: &'static str,
    /// Where the value came from.
    pub source: ValueSource,
}

struct Line {
    name: &'static str,
    value: Option<String>,
    is_set: bool,
    /// What it would be, where that is something else.
    default: Option<&'static str>,
    source: String,
    is_default: bool,
    meaning: &'static str,
}

/// Keys that belong together.
struct Part {
    title: &'static str,
    lines: Vec<Line>,
}

#[derive(Template)]
#[template(path = "configuration.html")]
struct ConfigurationPage {
    f: Frame,
    parts: Vec<Part>,
}

/// Whether the console says what a key means.
#[must_use]
pub fn is_explained(name: &str) -> bool {
    explained::meaning(name, Language::English).is_some()
}

impl Line {
    fn new(f: &Frame, found: &InForce) -> Self {
        let t = f.t.configured;
        let source = match &found.source {
            ValueSource::Default => t.from_default.to_owned(),
            ValueSource::File(path) => fill(t.from_file, path),
            ValueSource::Environment(name) => fill(t.from_environment, name),
            ValueSource::CommandLine => t.from_command_line.to_owned(),
        };
        let is_default = found.source == ValueSource::Default;
        let differs =
            !is_default && !found.default.is_empty() && found.value.as_deref() != Some(found.default);
        Self {
            name: found.name,
            value: found.value.clone(),
            is_set: found.is_set,
            default: Some(found.default).filter(|_| differs),
            source,
            is_default,
            meaning: explained::meaning(found.name, f.language).unwrap_or_default(),
        }
    }
}

/// Everything that is configured.
pub(crate) async fn show(State(state): State<AppState>, signed: SignedIn) -> Result<Response, Oops> {
    signed.must_administer()?;
    let t = signed.frame.t.configured;
    let mut parts: Vec<Part> = Vec::new();
    for found in state.configuration.iter() {
        let title = match found.name.split_once('.').map(|(part, _)| part) {
            None => t.general,
            Some("database") => t.database,
            Some("log") => t.log,
            Some("limits") => t.limits,
            Some("timeouts") => t.timeouts,
            Some("routing") => t.routing,
            Some("stream" | "upstream") => t.upstreams,
            Some("journal" | "ledger") => t.books,
            Some("usage") => t.usage,
            Some(_) => t.others,
        };
        let line = Line::new(&signed.frame, found);
        match parts.iter_mut().find(|part| part.title == title) {
            Some(part) => part.lines.push(line),
            None => parts.push(Part { title, lines: vec![line] }),
        }
    }
    Ok(frame::ok(&ConfigurationPage { f: signed.frame, parts }))
}
