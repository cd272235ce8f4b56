//! Cause and cure of every error, generated from the one table of refusals: a refusal without an explanation does not
//! compile.

mod failures;
mod refusals;

use std::sync::LazyLock;

use gateway::Failure;
use http::{HeaderMap, HeaderValue, header};
use model::refusal::Refusal;

use self::{failures::failed, refusals::refused};
use super::messages::Language;

/// A text in each language.
type Text = [&'static str; 2];

/// One error, explained.
pub(crate) struct Explained {
    /// The stable word.
    pub(crate) code: String,
    /// The HTTP status.
    pub(crate) status: u16,
    /// The message as it goes out, with values of an example.
    pub(crate) message: String,
    /// Whether the same request may succeed later without anybody changing anything.
    pub(crate) may_retry: bool,
    cause: Text,
    cure: Text,
}

const fn of(text: Text, language: Language) -> &'static str {
    let [english, chinese] = text;
    match language {
        Language::English => english,
        Language::Chinese => chinese,
    }
}

impl Explained {
    /// Why it comes.
    pub(crate) const fn cause(&self, language: Language) -> &'static str {
        of(self.cause, language)
    }

    /// What helps.
    pub(crate) const fn cure(&self, language: Language) -> &'static str {
        of(self.cure, language)
    }
}

/// Errors of the model API, in the order of its checks.
pub(crate) static REFUSALS: LazyLock<Vec<Explained>> = LazyLock::new(|| {
    let explained = |refusal: Refusal| {
        let (cause, cure) = refused(&refusal);
        // A provider's own code is any word; what is explained is the case.
        let code = if matches!(refusal, Refusal::Upstream { .. }) { "upstream" } else { refusal.code() };
        let code = code.to_owned();
        Explained {
            code,
            status: refusal.status(),
            message: refusal.to_string(),
            may_retry: refusal.may_retry(),
            cause,
            cure,
        }
    };
    Refusal::examples().into_iter().map(explained).collect()
});

/// Errors of the management API.
pub(crate) static FAILURES: LazyLock<Vec<Explained>> = LazyLock::new(|| {
    let examples = [
        Failure::Unauthenticated,
        Failure::Forbidden,
        Failure::NotFound("API key"),
        Failure::Invalid("remain_quota must not be negative".to_owned()),
        Failure::Conflict("the username ada is taken".to_owned()),
        Failure::Unconfirmed("the price is more than tenfold the present one".to_owned()),
        Failure::NoAccessToGroup("premium".to_owned()),
        Failure::TooManyAttempts { seconds: 60 },
        Failure::Unavailable,
    ];
    let explained = |failure: Failure| {
        let (cause, cure) = failed(&failure);
        Explained {
            code: failure.code().to_owned(),
            status: failure.status(),
            message: failure.to_string(),
            may_retry: matches!(failure, Failure::TooManyAttempts { .. } | Failure::Unavailable),
            cause,
            cure,
        }
    };
    examples.into_iter().map(explained).collect()
});

/// The explanations of a code: a word may be one of both APIs.
pub(crate) fn find(code: &str) -> impl Iterator<Item = &'static Explained> {
    REFUSALS.iter().chain(FAILURES.iter()).filter(move |error| error.code == code)
}

/// Where an error is explained; `None` for a word that is not ours.
pub(crate) fn page_of(code: &str) -> Option<String> {
    find(code).next().map(|error| format!("/docs/errors/{}", error.code))
}

/// Leads from an answer to the page of its error.
pub(crate) fn link(code: &str, headers: &mut HeaderMap) {
    let link = page_of(code).and_then(|page| HeaderValue::from_str(&format!("<{page}>; rel=\"help\"")).ok());
    if let Some(link) = link {
        headers.insert(header::LINK, link);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_is_explained_in_every_language() {
        for error in REFUSALS.iter().chain(FAILURES.iter()) {
            for language in [Language::English, Language::Chinese] {
                assert!(
                    !error.cause(language).is_empty() && !error.cure(language).is_empty(),
                    "{}",
                    error.code
                );
            }
            assert_ne!(error.cause(Language::English), error.cause(Language::Chinese), "{}", error.code);
            assert_eq!(page_of(&error.code), Some(format!("/docs/errors/{}", error.code)));
        }
        for error in REFUSALS.iter() {
            let same = REFUSALS.iter().filter(|other| other.code == error.code);
            for other in same {
                assert_eq!(
                    (other.status, other.may_retry),
                    (error.status, error.may_retry),
                    "{}",
                    error.code
                );
            }
        }
        assert_eq!(page_of("no_such_word"), None);
    }
}
