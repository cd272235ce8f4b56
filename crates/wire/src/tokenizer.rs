//! Counting tokens as a model does, for the few requests whose balance does not cover a cheaper bound.

use tiktoken_rs::{CoreBPE, cl100k_base_singleton, o200k_base_singleton};

/// Longest text that is counted. Beyond it counting costs more than it may save.
const MOST: usize = 1 << 20;
/// Bytes that are counted at a time: the time for one word grows with its length squared, and a caller may send a long
/// one. A word that is cut has a token more, not less.
const PIECE: usize = 256;
/// What counting the JSON of a request may miss of what a chat template makes of it: a share, and a few.
const SLACK: u64 = 16;

/// The tokenizer of a family of models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tokenizer {
    /// `o200k_base`: GPT-4o and what came after it.
    O200k,
    /// `cl100k_base`: GPT-4, GPT-3.5 and the embeddings.
    Cl100k,
}

/// Which models have which tokenizer: the first prefix that fits. Source: `model.py` of OpenAI's tiktoken.
const MODELS: [(&str, Tokenizer); 13] = [
    ("gpt-4o", Tokenizer::O200k),
    ("gpt-4.1", Tokenizer::O200k),
    ("gpt-4.5", Tokenizer::O200k),
    ("gpt-5", Tokenizer::O200k),
    ("chatgpt-4o", Tokenizer::O200k),
    ("gpt-oss", Tokenizer::O200k),
    ("o1", Tokenizer::O200k),
    ("o3", Tokenizer::O200k),
    ("o4-mini", Tokenizer::O200k),
    ("gpt-4", Tokenizer::Cl100k),
    ("gpt-3.5", Tokenizer::Cl100k),
    ("text-embedding-3", Tokenizer::Cl100k),
    ("text-embedding-ada-002", Tokenizer::Cl100k),
];

impl Tokenizer {
    /// The tokenizer of a model; `None` when it is not public.
    #[must_use]
    pub fn of(model: &str) -> Option<Self> {
        MODELS.iter().find(|(prefix, _)| model.starts_with(prefix)).map(|(_, tokenizer)| *tokenizer)
    }

    /// An upper bound of the input tokens of a request with this body, images left out: its JSON counted whole, which has
    /// more around each message than a chat template. `None` for a body that is too long to be counted. Slow: some
    /// megabytes a second, and the first call reads the vocabulary into memory, where it stays.
    #[must_use]
    pub fn bound(self, body: &[u8]) -> Option<u64> {
        let mut text = std::str::from_utf8(body).ok().filter(|text| text.len() <= MOST)?;
        let (encoding, mut count) = (self.encoding(), 0);
        while !text.is_empty() {
            let (piece, rest) = text.split_at_checked(text.floor_char_boundary(PIECE))?;
            count += encoding.count_ordinary(piece) as u64;
            text = rest;
        }
        Some(count + count / SLACK + SLACK)
    }

    fn encoding(self) -> &'static CoreBPE {
        match self {
            Self::O200k => o200k_base_singleton(),
            Self::Cl100k => cl100k_base_singleton(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_tokenizers_of_models() {
        for (model, expected) in [
            ("gpt-4o-mini", Some(Tokenizer::O200k)),
            ("gpt-4-turbo", Some(Tokenizer::Cl100k)),
            ("o3", Some(Tokenizer::O200k)),
            ("claude-opus", None),
        ] {
            assert_eq!(Tokenizer::of(model), expected, "{model}");
        }
    }

    #[test]
    fn the_bound_covers_the_text_and_is_far_below_its_bytes() {
        let words = "The quick brown fox jumps over the lazy dog; ".repeat(200);
        for text in [words.clone(), "日本語の文章です。".repeat(300), "\n\t\"\\".repeat(500)] {
            let body =
                serde_json::json!({"model": "gpt-4o", "messages": [{"role": "user", "content": text}]});
            let body = body.to_string();
            for tokenizer in [Tokenizer::O200k, Tokenizer::Cl100k] {
                let bound = tokenizer.bound(body.as_bytes()).unwrap();
                let tokens = tokenizer.encoding().count_ordinary(&text) as u64;
                assert!(bound >= tokens + 8, "{bound} {tokens}");
                assert!(bound < body.len() as u64, "{bound}");
            }
        }
        let tokens = Tokenizer::O200k.bound(words.as_bytes()).unwrap();
        assert!(tokens < words.len() as u64 / 3, "{tokens} of {}", words.len());
        assert_eq!(Tokenizer::O200k.bound(&vec![b'x'; MOST + 1]), None);
    }
}
