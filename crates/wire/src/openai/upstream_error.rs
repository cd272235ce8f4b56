//! What an upstream says when it refuses: its message and code, without what must not get out.

use serde_json::Value;

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
    let text = |member: &str| error.and_then(|error| error.get(member)).and_then(Value::as_str);
    let said =
        text("message").or_else(|| error.and_then(Value::as_str)).filter(|said| !said.trim().is_empty());
    let is_code = |code: &&str| {
        !code.is_empty()
            && code.len() <= 64
            && code.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))
    };
    Words {
        message: said.map_or_else(|| format!("the upstream answered with status {status}"), clean),
        code: text("code").or_else(|| text("type")).filter(is_code).map(str::to_owned),
    }
}

/// Leaves out words that look like a credential, an address or a host of the upstream.
fn clean(message: &str) -> String {
    let words = message.split_whitespace().map(|word| {
        let bare = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
        let secret =
            ["sk-", "sk_", "pat_", "Bearer"].iter().any(|prefix| bare.starts_with(prefix) && bare.len() > 8);
        let address = word.contains("://")
            || bare.parse::<std::net::IpAddr>().is_ok()
            || bare.parse::<std::net::SocketAddr>().is_ok()
            || is_host(bare);
        if secret || address { "[removed]" } else { word }
    });
    words.collect::<Vec<_>>().join(" ").chars().take(MOST).collect()
}

/// Whether a word is a host name with a port or at least two dots, such as `api.example.com`. Names of models have
/// dots too, but hardly two and never a last part of letters alone.
fn is_host(word: &str) -> bool {
    let host = word.split(['/', ':']).next().unwrap_or_default();
    let mut labels = host.split('.').rev();
    let top = labels.next().unwrap_or_default();
    top.len() >= 2
        && top.bytes().all(|byte| byte.is_ascii_alphabetic())
        && labels.clone().count() >= 2
        && labels.all(|label| !label.is_empty())
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
            (r#"{"error":{"message":"x","code":"a b"}}"#, "x", None),
        ] {
            assert_eq!(
                read(418, body.as_bytes()),
                Words { message: message.to_owned(), code: code.map(str::to_owned) },
                "{body}"
            );
        }
    }
}
