//! What an upstream says when it refuses: its message and code, without what must not get out.

use serde_json::{Value, json};

use crate::redact;

/// Longest message that is passed on, in characters.
const MOST: usize = 2_000;

/// An upstream's own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    /// The message, cleaned.
    pub message: String,
    /// The code, when it looks like one.
    pub code: Option<String>,
}

/// Reads the body of a refusal: JSON of the OpenAI dialect or of its relatives, or any text.
#[must_use]
pub fn read(status: u16, body: &[u8]) -> Words {
    let json: Option<Value> = serde_json::from_slice(body).ok();
    let error = json.as_ref().map(|json| json.get("error").unwrap_or(json));
    Words {
        message: message(error).unwrap_or_else(|| format!("the upstream answered with status {status}")),
        code: error.and_then(|error| word(error, "code").or_else(|| word(error, "type"))),
    }
}

/// The `error` member of a chunk, cleaned, as an event of its own. What else the chunk carries is left out.
pub(crate) fn event(error: &[u8]) -> String {
    let error: Value = serde_json::from_slice(error).unwrap_or_default();
    let message = message(Some(&error)).unwrap_or_else(|| "the upstream reported an error".to_owned());
    let number = error.get("code").filter(|code| code.is_number()).cloned();
    let code = word(&error, "code").map(Value::from).or(number);
    let (kind, param) = (word(&error, "type"), word(&error, "param"));
    let body = json!({"error": {"message": message, "type": kind, "param": param, "code": code}});
    format!("data: {body}\n\n")
}

fn message(error: Option<&Value>) -> Option<String> {
    let error = error?;
    let said = error.get("message").and_then(Value::as_str).or_else(|| error.as_str())?;
    Some(clean(said)).filter(|cleaned| !cleaned.is_empty())
}

/// A message without what must not get out, and not too long.
#[must_use]
pub fn clean(said: &str) -> String {
    redact::text(said).chars().take(MOST).collect()
}

/// A member that is one short word with nothing private in it.
fn word(error: &Value, member: &str) -> Option<String> {
    let word = error.get(member)?.as_str()?;
    is_word(word).then(|| word.to_owned())
}

/// Whether this is one short word with nothing private in it.
pub(crate) fn is_word(word: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.[]".contains(&byte);
    (1..=64).contains(&word.len()) && word.bytes().all(plain) && !redact::is_private(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_words_and_removes_what_must_not_get_out() {
        for (body, message, code) in [
            (
                r#"{"error":{"message":"Rate limit reached for gpt-5.1 in 3.5s","code":"rate_limit_exceeded"}}"#,
                "Rate limit reached for gpt-5.1 in 3.5s",
                Some("rate_limit_exceeded"),
            ),
            (
                r#"{"error":{"message":"Incorrect API key provided: sk-abcdef***wxyz. Visit https://platform.example.com/keys","type":"auth"}}"#,
                "Incorrect API key provided: [removed] Visit [removed]",
                Some("auth"),
            ),
            (
                r#"{"message":"no route to api.internal.example:8443 (10.1.2.3)"}"#,
                "no route to [removed] [removed]",
                None,
            ),
            (r#"{"error":"plain"}"#, "plain", None),
            ("<html>bad gateway</html>", "the upstream answered with status 418", None),
            (r#"{"error":{"message":" "}}"#, "the upstream answered with status 418", None),
            (r#"{"error":{"message":"x","code":"a b","type":"kind"}}"#, "x", Some("kind")),
            (r#"{"error":{"message":"x","code":"sk-abcdefghijkl"}}"#, "x", None),
        ] {
            assert_eq!(
                read(418, body.as_bytes()),
                Words { message: message.to_owned(), code: code.map(str::to_owned) },
                "{body}"
            );
        }
    }

    #[test]
    fn says_an_error_inside_a_stream_again_without_what_must_not_get_out() {
        for (error, expected) in [
            (
                r#"{"message":"bad key sk-abcdefghijkl","type":"auth","param":"messages[0]","code":502,"url":"https://a.b"}"#,
                json!({"message": "bad key [removed]", "type": "auth", "param": "messages[0]", "code": 502}),
            ),
            (r#""overloaded""#, json!({"message": "overloaded", "type": null, "param": null, "code": null})),
            (
                "{}",
                json!({"message": "the upstream reported an error", "type": null, "param": null, "code": null}),
            ),
        ] {
            assert_eq!(event(error.as_bytes()), format!("data: {}\n\n", json!({"error": expected})));
        }
    }
}
