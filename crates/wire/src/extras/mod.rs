//! What costs beside tokens: tools that a provider runs itself, and terms of service. `asked` reads them off requests, `used`
//! off answers; here is what the dialects and their vendors call them.
//!
//! Sources: the vendors' references of their requests and of what they charge.

mod asked;
mod used;

use model::price::{Term, Tool};

pub use asked::{Asked, Unpriced};
pub use used::{Used, Uses, of_header};

/// What a word for a service tier means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tier {
    /// What everybody gets.
    Usual,
    /// The provider decides, or has not said it yet.
    Undecided,
    /// A term that may have a price.
    Of(Term),
    /// Nobody here knows.
    Unknown,
}

impl Tier {
    /// Google's words have prefixes.
    fn of(word: &str) -> Self {
        let word = word.trim().to_ascii_lowercase();
        let word = ["service_tier_", "on_demand_"]
            .iter()
            .find_map(|front| word.strip_prefix(front))
            .unwrap_or(&word);
        match word {
            "auto" | "" => Self::Undecided,
            "default"
            | "standard"
            | "standard_only"
            | "on_demand"
            | "unspecified"
            | "provisioned_throughput" => Self::Usual,
            word => Term::of(word).filter(|term| *term != Term::Us).map_or(Self::Unknown, Self::Of),
        }
    }
}

/// What a word for a tool means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    /// The caller runs it, or nothing is charged but tokens.
    Free,
    Priced(Tool),
}

impl Known {
    /// The vendors write versions and dates behind their words.
    fn of(word: &str) -> Self {
        const FREE: [&str; 13] = [
            "function",
            "custom",
            "computer",
            "bash",
            "text_editor",
            "memory",
            "local_shell",
            "apply_patch",
            "mcp",
            "tool_search",
            "namespace",
            "str_replace",
            "advisor",
        ];
        const PRICED: [(&str, Tool); 14] = [
            ("web_search", Tool::WebSearch),
            ("browser_search", Tool::WebSearch),
            ("x_search", Tool::WebSearch),
            ("google_search", Tool::WebSearch),
            ("enterprise_web_search", Tool::WebSearch),
            ("web_fetch", Tool::WebFetch),
            ("url_context", Tool::WebFetch),
            ("file_search", Tool::FileSearch),
            ("collections_search", Tool::FileSearch),
            ("retrieval", Tool::FileSearch),
            ("code_interpreter", Tool::CodeExecution),
            ("code_execution", Tool::CodeExecution),
            ("image_generation", Tool::ImageGeneration),
            ("google_maps", Tool::Maps),
        ];
        let is = |known: &str| {
            word.strip_prefix(known).is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
        };
        if FREE.iter().any(|known| is(known)) {
            return Self::Free;
        }
        let found = PRICED.iter().find(|(known, _)| is(known));
        Self::Priced(found.map_or(Tool::Other, |(_, tool)| *tool))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vendors_words_are_known() {
        for (word, known) in [
            ("function", Known::Free),
            ("computer_use_preview", Known::Free),
            ("bash_20250124", Known::Free),
            ("mcp", Known::Free),
            ("web_search_preview_2025_03_11", Known::Priced(Tool::WebSearch)),
            ("web_search_20250305", Known::Priced(Tool::WebSearch)),
            ("web_fetch_20250910", Known::Priced(Tool::WebFetch)),
            ("code_interpreter", Known::Priced(Tool::CodeExecution)),
            ("functional", Known::Priced(Tool::Other)),
            ("shell", Known::Priced(Tool::Other)),
        ] {
            assert_eq!(Known::of(word), known, "{word}");
        }
        for (word, tier) in [
            ("auto", Tier::Undecided),
            ("default", Tier::Usual),
            ("SERVICE_TIER_STANDARD", Tier::Usual),
            ("ON_DEMAND_PRIORITY", Tier::Of(Term::Priority)),
            ("flex", Tier::Of(Term::Flex)),
            ("us", Tier::Unknown),
            ("gold", Tier::Unknown),
        ] {
            assert_eq!(Tier::of(word), tier, "{word}");
        }
    }
}
