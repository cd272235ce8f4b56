//! The cookies of the console.
//!
//! Behind TLS the names begin with `__Host-`, which browsers take from this very host over TLS alone.

use http::{HeaderMap, HeaderValue, header};

/// A cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cookie {
    /// Opens a session.
    Session,
    /// Stands for a sign-in that waits for a code.
    Pending,
    /// Binds the forms of somebody who is not signed in to the browser.
    Form,
    /// The language that was chosen.
    Language,
    /// The theme that was chosen.
    Theme,
}

impl Cookie {
    const fn name(self) -> &'static str {
        match self {
            Self::Session => "apsis-session",
            Self::Pending => "apsis-pending",
            Self::Form => "apsis-form",
            Self::Language => "apsis-language",
            Self::Theme => "apsis-theme",
        }
    }

    /// Its value in a request.
    pub(crate) fn read(self, headers: &HeaderMap, secure: bool) -> Option<&str> {
        let prefix = if secure { "__Host-" } else { "" };
        let values = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
        let mut pairs =
            values.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.find(|(name, _)| name.strip_prefix(prefix) == Some(self.name())).map(|(_, value)| value)
    }

    /// What sets it, for so many seconds; 0 removes it. `None` when the value cannot stand in a header.
    pub(crate) fn set(self, value: &str, seconds: i64, secure: bool) -> Option<HeaderValue> {
        let (prefix, flag) = if secure { ("__Host-", "; Secure") } else { ("", "") };
        let name = self.name();
        let text =
            format!("{prefix}{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{flag}");
        HeaderValue::from_str(&text).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_its_own_name_alone() {
        let mut headers = HeaderMap::new();
        headers
            .append(header::COOKIE, HeaderValue::from_static("a=1; apsis-session=x; __Host-apsis-session=y"));
        assert_eq!(Cookie::Session.read(&headers, false), Some("x"));
        assert_eq!(Cookie::Session.read(&headers, true), Some("y"));
        assert_eq!(Cookie::Form.read(&headers, true), None);
    }

    #[test]
    fn is_kept_from_scripts_and_other_sites() {
        let set = Cookie::Session.set("x", 5, true).unwrap();
        let expected = "__Host-apsis-session=x; Path=/; Max-Age=5; HttpOnly; SameSite=Strict; Secure";
        assert_eq!(set, expected);
        assert!(Cookie::Session.set("x\n", 5, true).is_none());
    }
}
