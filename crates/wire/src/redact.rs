//! Cleaning of words that come from an upstream, before a caller sees them.
//!
//! No message may contain a key or a part of one, or an upstream's address. What only might be one is left out too:
//! a missing word costs less than a leaked one.

use std::net::{IpAddr, SocketAddr};

/// How credentials and the names of an upstream's accounts begin.
const PREFIXES: [&str; 10] =
    ["sk-", "sk_", "pat_", "gsk_", "xai-", "AIza", "AKIA", "org-", "proj_", "Bearer"];
/// Last parts of host names of two parts. Others, such as `Node.js`, are more often something else.
const TOPS: [&str; 14] = [
    "ai", "app", "cloud", "cn", "com", "dev", "internal", "io", "lan", "local", "net", "org", "sh", "example",
];
/// Letters and digits in one piece, from which on they look like a key.
const RANDOM: usize = 20;
/// Length from which on the word behind `Bearer` is a credential.
const BEARER: usize = 16;

/// The text without the words that look like a credential, an address or a host.
pub(crate) fn text(text: &str) -> String {
    let mut after_bearer = false;
    let words = text.split_whitespace().map(|word| {
        let hidden = is_private(word) || (after_bearer && word.len() >= BEARER);
        after_bearer = word
            .rsplit(|c: char| !c.is_ascii_alphanumeric())
            .find(|part| !part.is_empty())
            .is_some_and(|part| part.eq_ignore_ascii_case("bearer"));
        if hidden { "[removed]" } else { word }
    });
    words.collect::<Vec<_>>().join(" ")
}

/// Whether a word has anything in it that must not get out.
pub(crate) fn is_private(word: &str) -> bool {
    // A row of asterisks stands for the middle of a key; what is left are parts of it.
    word.contains("://")
        || word.contains("***")
        || pieces(word, "-_").any(is_credential)
        || pieces(word, ".:-_").any(is_address)
}

fn pieces<'a>(word: &'a str, inner: &'static str) -> impl Iterator<Item = &'a str> {
    word.split(move |c: char| !c.is_ascii_alphanumeric() && !inner.contains(c))
        .filter(|piece| !piece.is_empty())
}

fn is_credential(piece: &str) -> bool {
    let piece = piece.trim_matches(['-', '_']);
    let known = piece.len() > 8 && PREFIXES.iter().any(|prefix| piece.starts_with(prefix));
    known || piece.split(['-', '_']).any(is_random)
}

fn is_random(run: &str) -> bool {
    run.len() >= RANDOM
        && run.bytes().any(|byte| byte.is_ascii_digit())
        && run.bytes().any(|byte| byte.is_ascii_alphabetic())
}

fn is_address(piece: &str) -> bool {
    let bare = piece.trim_matches(['.', ':', '-', '_']);
    let is_ip = |text: &str| text.parse::<IpAddr>().is_ok() || text.parse::<SocketAddr>().is_ok();
    is_ip(piece.trim_matches('.')) || is_ip(bare) || is_host(bare)
}

/// Whether this is a host name: with at least three parts, with two of which the last is a known one, or with a port.
/// Names of models have dots too, but hardly two and never a last part of letters alone.
fn is_host(piece: &str) -> bool {
    let (host, port) = piece.split_once(':').unwrap_or((piece, ""));
    let port = port.split(':').next().and_then(|port| port.parse::<u16>().ok());
    let labels: Vec<&str> = host.split('.').collect();
    let top = labels.last().copied().unwrap_or_default();
    if labels.iter().any(|label| label.is_empty()) || !top.bytes().any(|byte| byte.is_ascii_alphabetic()) {
        return false;
    }
    let named = top.len() >= 2 && top.bytes().all(|byte| byte.is_ascii_alphabetic());
    match labels.len() {
        // A service on a private network: `ollama:11434`.
        1 => port.is_some_and(|port| port >= 1024),
        2 => named && (port.is_some() || TOPS.contains(&top.to_ascii_lowercase().as_str())),
        _ => named,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removes_credentials_and_addresses_wherever_they_stand() {
        for word in [
            "sk-abcdefghijkl",
            "key=sk-abcdefghijkl",
            "provided:sk-abcdefghijkl",
            "{\"api_key\":\"sk-abcdefghijkl\"}",
            "****wxyz",
            "AIzaSyA1234567890abcdefgh",
            "0123456789abcdef0123456789abcdef",
            "org-AbCdEf123",
            "https://platform.example/keys",
            "api.internal.example:8443",
            "host=api.internal.example",
            "example.com",
            "ops@example.com.",
            "upstream.lan:80",
            "localhost:8080",
            "vllm_1:8000:",
            "(10.1.2.3)",
            "ip=10.1.2.3",
            "10.1.2.3:443:",
            "[fd00::12]:8443",
            "::1",
        ] {
            assert_eq!(text(&format!("no {word} yes")), "no [removed] yes");
        }
        assert_eq!(text("Authorization: Bearer abcdefghijklmnopqr"), "Authorization: Bearer [removed]");
    }

    #[test]
    fn keeps_what_a_caller_needs() {
        for said in [
            "Rate limit reached for gpt-5.1 in 3.5s, see the Bearer token",
            "claude-3-5-sonnet-20241022: messages[0].content must be a string, e.g. \"a\"",
            "accounts/fireworks/models/llama-v3p1-405b-instruct at 12:30:45",
            "max_tokens: 5 > 4096, 'stream_options.include_usage' (Node.js)",
            "naïve größe 模型不存在",
        ] {
            assert_eq!(text(said), said);
        }
    }
}
