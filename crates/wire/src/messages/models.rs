//! What Anthropic's models differ in, as far as a request must know it.

/// Whether the model is told how much to think in tokens. Those from 4.6 on are told an effort, and the later of them
/// refuse tokens; those before know nothing else.
pub(crate) fn thinks_in_tokens(model: &str) -> bool {
    let Some((_, version)) = model.split_once("claude-") else { return false };
    if version.starts_with('3') {
        return true;
    }
    let numbers = ["opus-4", "sonnet-4", "haiku-4"].iter().find_map(|name| version.strip_prefix(name));
    numbers.is_some_and(|rest| {
        let minor = rest.trim_start_matches(['-', '.']).split(['-', '@', ':']).next().unwrap_or_default();
        // A date of eight digits, or nothing, is version 4.0.
        minor.parse::<u64>().map_or(true, |minor| minor <= 5 || minor > 1_000)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_told_apart() {
        for (model, tokens) in [
            ("claude-3-7-sonnet-20250219", true),
            ("claude-sonnet-4-20250514", true),
            ("claude-opus-4-1-20250805", true),
            ("anthropic.claude-haiku-4-5-20251001-v1:0", true),
            ("claude-sonnet-4.5", true),
            ("claude-opus-4-6", false),
            ("claude-opus-4-7", false),
            ("claude-opus-5", false),
            ("something-else", false),
        ] {
            assert_eq!(thinks_in_tokens(model), tokens, "{model}");
        }
    }
}
