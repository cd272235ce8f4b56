//! The languages of the console, and which one a reader gets.
//!
//! A text has one line in the table of `texts`, with one column for each language; the compiler refuses a line that lacks
//! one. A further language is a further column, and a variant of [`Language`].

use http::{HeaderMap, header};

use super::cookies::Cookie;
pub(crate) use super::texts::Messages;
use super::texts::{CHINESE, ENGLISH};

macro_rules! messages {
    ($([$($part:ident),*])? $($name:ident: $english:literal, $chinese:literal;)*) => {
        /// The texts in one language.
        pub(crate) struct Messages {
            $($(pub(crate) $part: &'static $part::Messages,)*)?
            $(pub(crate) $name: &'static str,)*
        }

        pub(super) static ENGLISH: Messages = Messages {
            $($($part: &$part::ENGLISH,)*)?
            $($name: $english,)*
        };
        pub(super) static CHINESE: Messages = Messages {
            $($($part: &$part::CHINESE,)*)?
            $($name: $chinese,)*
        };

        #[cfg(test)]
        pub(super) fn table() -> Vec<(&'static str, [&'static str; 2])> {
            let own = [$((stringify!($name), [$english, $chinese]),)*];
            let parts: &[fn() -> Vec<(&'static str, [&'static str; 2])>] = &[$($($part::table,)*)?];
            own.into_iter().chain(parts.iter().flat_map(|part| part())).collect()
        }
    };
}
pub(crate) use messages;

/// A language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Language {
    /// English.
    English,
    /// Simplified Chinese.
    Chinese,
}

impl Language {
    /// The language of a tag, or of one that begins with it.
    pub(crate) fn named(tag: &str) -> Option<Self> {
        let main = tag.split(['-', ';']).next().unwrap_or_default().trim();
        match main.to_ascii_lowercase().as_str() {
            "en" => Some(Self::English),
            "zh" => Some(Self::Chinese),
            _ => None,
        }
    }

    /// The reader's: what was chosen, else the first that the browser names and that there is.
    pub(crate) fn of(headers: &HeaderMap, secure: bool) -> Self {
        let accepted = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
        let chosen = Cookie::Language.read(headers, secure).and_then(Self::named);
        let named = || accepted.unwrap_or_default().split(',').find_map(Self::named);
        chosen.or_else(named).unwrap_or(Self::English)
    }

    /// Its tag.
    pub(crate) const fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Chinese => "zh-Hans",
        }
    }

    /// Every language: its tag, and what it calls itself.
    pub(crate) const fn all(self) -> &'static [(&'static str, &'static str)] {
        &[("en", "English"), ("zh-Hans", "简体中文")]
    }

    /// Its texts.
    pub(crate) const fn messages(self) -> &'static Messages {
        match self {
            Self::English => &ENGLISH,
            Self::Chinese => &CHINESE,
        }
    }
}

/// A text with `value` where its `%` stands.
pub(crate) fn fill(text: &str, value: &str) -> String {
    text.replacen('%', value, 1)
}

impl Messages {
    /// What a page says after something was done.
    pub(crate) fn done(&self, word: &str) -> Option<&'static str> {
        Some(match word {
            "created" => self.created_done,
            "saved" => self.saved,
            "deleted" => self.deleted,
            "not_sure" => self.not_sure,
            "revoked" => self.revoked,
            "session_ended" => self.session_ended,
            "password_changed" => self.password_changed,
            "factor_ended" => self.factors.ended,
            "passkey_added" => self.passkeys.added,
            "passkey_removed" => self.passkeys.removed,
            "channel_answers" => self.channel_answers,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::{super::texts::table, *};

    #[test]
    fn every_text_says_something_in_every_language() {
        for (name, texts) in table() {
            for text in texts {
                assert!(!text.trim().is_empty(), "{name}");
                assert!(!text.contains(['<', '{']), "{name}: {text}");
            }
            let chinese = texts[1].chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c));
            assert!(chinese || texts[1] == "Token", "{name} is not translated");
        }
    }

    #[test]
    fn the_reader_decides_before_the_browser() {
        let mut headers = HeaderMap::new();
        assert_eq!(Language::of(&headers, false), Language::English);
        headers.insert(header::ACCEPT_LANGUAGE, HeaderValue::from_static("fr, zh-CN;q=0.9, en;q=0.8"));
        assert_eq!(Language::of(&headers, false), Language::Chinese);
        headers.insert(header::COOKIE, HeaderValue::from_static("apsis-language=en"));
        assert_eq!(Language::of(&headers, false), Language::English);
    }
}
