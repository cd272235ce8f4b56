//! Changing what must change in a body, and no other byte.

use bytes::Bytes;

use super::Scan;

/// From the first byte of a value to behind its last.
pub(super) type Place = (usize, usize);

/// Where the members stand that may be edited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Places {
    /// Where a first member can be written.
    pub(super) front: Place,
    pub(super) model: Option<Place>,
    /// Every place of a limit: an upstream that knows only one of the members must find it there.
    pub(super) limits: Vec<Place>,
    pub(super) absent: Absent,
    /// Whether a chat completion has its limit by the newer name alone.
    pub(super) newer_alone: bool,
    pub(super) stream_options: Options,
}

impl Places {
    /// Of a body that is not edited in place.
    pub(super) const NOWHERE: Self = Self {
        front: (0, 0),
        model: None,
        limits: Vec::new(),
        absent: Absent::Nowhere,
        newer_alone: false,
        stream_options: Options::Absent,
    };
}

/// How a limit is written where there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Absent {
    /// In a chat completion, by the name that the upstream knows.
    Chat(Place),
    /// Here, with this in front and this behind.
    At { at: Place, front: &'static str, behind: &'static str },
    /// The format knows none.
    Nowhere,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Options {
    /// There are none: the member is to be written whole.
    Absent,
    /// Null: to be replaced.
    Null(Place),
    /// An object without `include_usage`, which begins here; whether it is empty.
    Without(usize, bool),
    /// The value of `include_usage`.
    With(Place),
}

/// What must change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Edits<'a> {
    /// The upstream's name of the model, where the body names one.
    pub model: Option<&'a str>,
    /// The largest output, for each choice.
    pub output_limit: Option<u64>,
    /// Whether the upstream knows the limit of a chat completion only as `max_tokens`.
    pub max_tokens: bool,
    /// Ask for usage in the stream.
    pub ask_usage: bool,
}

/// The body with `edits`; the same bytes when nothing changes. A limit is written where the caller wrote one.
#[must_use]
pub fn edit(body: &Bytes, scan: &Scan, edits: Edits<'_>) -> Bytes {
    let places = &scan.places;
    let mut splices: Vec<(Place, String)> = Vec::new();
    if let (Some(model), Some(place)) = (edits.model.filter(|model| *model != scan.model), places.model) {
        splices.push((place, serde_json::Value::from(model).to_string()));
    }
    if let Some(limit) = edits.output_limit.filter(|limit| Some(*limit) != scan.output_limit) {
        splices.extend(places.limits.iter().map(|place| (*place, limit.to_string())));
        if places.limits.is_empty() {
            splices.extend(places.absent.written(limit, edits.max_tokens));
        }
    }
    // To an upstream that does not know the newer name, there is no limit otherwise.
    if let Some(limit) =
        edits.output_limit.or(scan.output_limit).filter(|_| edits.max_tokens && places.newer_alone)
    {
        splices.push((places.front, format!("\"max_tokens\":{limit},")));
    }
    if edits.ask_usage && !scan.include_usage {
        splices.push(match places.stream_options {
            Options::Absent => (places.front, "\"stream_options\":{\"include_usage\":true},".to_owned()),
            Options::Null(place) => (place, "{\"include_usage\":true}".to_owned()),
            Options::Without(start, empty) => {
                let comma = if empty { "" } else { "," };
                ((start + 1, start + 1), format!("\"include_usage\":true{comma}"))
            }
            Options::With(place) => (place, "true".to_owned()),
        });
    }
    splices.extend(scan.asked.limits.iter().cloned());
    if splices.is_empty() {
        return body.clone();
    }
    splices.sort_by_key(|(place, _)| *place);
    let mut edited = Vec::with_capacity(body.len() + 96);
    let mut from = 0;
    for ((start, end), text) in splices {
        edited.extend_from_slice(body.get(from..start).unwrap_or_default());
        edited.extend_from_slice(text.as_bytes());
        from = end;
    }
    edited.extend_from_slice(body.get(from..).unwrap_or_default());
    edited.into()
}

impl Absent {
    fn written(&self, limit: u64, max_tokens: bool) -> Option<(Place, String)> {
        match self {
            Self::Chat(front) => {
                let member = if max_tokens { "max_tokens" } else { "max_completion_tokens" };
                Some((*front, format!("\"{member}\":{limit},")))
            }
            Self::At { at, front, behind } => Some((*at, format!("{front}{limit}{behind}"))),
            Self::Nowhere => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::request::{Format, scan};

    const ALL: Edits<'_> =
        Edits { model: Some("up"), output_limit: Some(5), max_tokens: false, ask_usage: true };

    fn edited(format: Format, body: &str, edits: Edits<'_>) -> String {
        let body = Bytes::copy_from_slice(body.as_bytes());
        let scan = scan(format, (format == Format::Google).then_some("named"), &body).unwrap();
        String::from_utf8(edit(&body, &scan, edits).to_vec()).unwrap()
    }

    #[test]
    fn splices_only_what_changes_in_a_chat_completion() {
        for (body, expected) in [
            (
                r#"{"model" : "m","é":1}"#,
                r#"{"max_completion_tokens":5,"stream_options":{"include_usage":true},"model" : "up","é":1}"#,
            ),
            (
                r#"{"max_tokens":9,"model":"m","stream_options":{}}"#,
                r#"{"max_tokens":5,"model":"up","stream_options":{"include_usage":true}}"#,
            ),
            (
                r#"{"max_tokens":9,"max_completion_tokens":8,"model":"m","stream_options":{"a":1}}"#,
                r#"{"max_tokens":5,"max_completion_tokens":5,"model":"up","stream_options":{"include_usage":true,"a":1}}"#,
            ),
            (
                r#"{"max_completion_tokens":null,"model":"m","stream_options":null}"#,
                r#"{"max_completion_tokens":5,"model":"up","stream_options":{"include_usage":true}}"#,
            ),
            (
                r#"{"model":"m","stream_options":{"include_usage": false}}"#,
                r#"{"max_completion_tokens":5,"model":"up","stream_options":{"include_usage": true}}"#,
            ),
        ] {
            assert_eq!(edited(Format::Chat, body, ALL), expected);
        }
        let older = Edits { max_tokens: true, ask_usage: false, ..ALL };
        assert_eq!(edited(Format::Chat, r#"{"model":"m"}"#, older), r#"{"max_tokens":5,"model":"up"}"#);
        let newer = r#"{"model":"m","max_completion_tokens":9}"#;
        let known = r#"{"max_tokens":5,"model":"up","max_completion_tokens":5}"#;
        assert_eq!(edited(Format::Chat, newer, older), known);
        let kept = Edits { output_limit: None, ..older };
        let known = r#"{"max_tokens":9,"model":"up","max_completion_tokens":9}"#;
        assert_eq!(edited(Format::Chat, newer, kept), known);
        let body = Bytes::from_static(br#"{"model":"m"}"#);
        let read = scan(Format::Chat, None, &body).unwrap();
        assert_eq!(edit(&body, &read, Edits::default()).as_ptr(), body.as_ptr());
    }

    #[test]
    fn splices_only_what_changes_elsewhere() {
        for (format, body, expected) in [
            (Format::Messages, r#"{ "model" : "m","max_tokens":9}"#, r#"{ "model" : "up","max_tokens":5}"#),
            (Format::Responses, r#"{"model":"m"}"#, r#"{"max_output_tokens":5,"model":"up"}"#),
            (Format::Plain, r#"{"model":"m","input":"x"}"#, r#"{"model":"up","input":"x"}"#),
            (Format::Google, "{ }", r#"{"generationConfig":{"maxOutputTokens":5} }"#),
            (Format::Google, "{}", r#"{"generationConfig":{"maxOutputTokens":5}}"#),
            (Format::Google, r#"{"generationConfig":{}}"#, r#"{"generationConfig":{"maxOutputTokens":5}}"#),
            (Format::Google, r#"{"generationConfig":null}"#, r#"{"generationConfig":{"maxOutputTokens":5}}"#),
            (
                Format::Google,
                r#"{"generation_config":{"topK":1},"x":1}"#,
                r#"{"generation_config":{"maxOutputTokens":5,"topK":1},"x":1}"#,
            ),
        ] {
            let edits = Edits { ask_usage: false, ..ALL };
            assert_eq!(edited(format, body, edits), expected);
        }
    }

    proptest! {
        #[test]
        fn an_edited_body_reads_as_edited(limit in 1_u64..9_000, model in "[a-z\"\\\\é]{1,9}", spaces in "[ \n\t]{0,3}") {
            let body = format!(r#"{spaces}{{{spaces}"model":{spaces}"m","x":[1,{{"y":"z"}}]{spaces}}}"#);
            let edits = Edits { model: Some(&model), output_limit: Some(limit), max_tokens: false, ask_usage: true };
            let read = scan(Format::Chat, None, edited(Format::Chat, &body, edits).as_bytes()).unwrap();
            prop_assert_eq!((read.model, read.output_limit, read.include_usage), (model, Some(limit), true));
        }
    }
}
