//! The texts that open doors: API keys and personal access tokens.
//!
//! Both are a prefix, 42 random base62 characters and 6 check characters. The check characters are the CRC-32 of
//! everything before them, so that garbage is refused without asking a cache or a database; they prove nothing. An API
//! key that was made elsewhere has another form and no check characters.
//! A secret held in these types cannot be printed by accident: there is no `Display`, and `Debug` hides it.

use std::{borrow::Cow, fmt};

use zeroize::Zeroizing;

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Random characters in a credential.
pub const RANDOM_LEN: usize = 42;
/// Check characters in a credential.
pub const CHECK_LEN: usize = 6;

/// The fewest characters of an API key that was made elsewhere, without its prefix.
const MIN_IMPORTED: usize = 16;
/// The most.
const MAX_IMPORTED: usize = 256;

/// The class of a credential. One class is never accepted where the other is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Opens the model API and `GET /api/usage/token`.
    ApiKey,
    /// Opens the management API of its account.
    PersonalAccessToken,
}

impl Class {
    /// What every credential of this class begins with.
    #[must_use]
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::ApiKey => "sk-",
            Self::PersonalAccessToken => "pat_",
        }
    }
}

/// A credential of a known class, in the clear.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    class: Class,
    text: Zeroizing<String>,
}

impl Credential {
    /// A new credential. `random` fills a buffer from the operating system's generator.
    ///
    /// # Errors
    /// What `random` returns, unchanged.
    pub fn generate<E>(class: Class, mut random: impl FnMut(&mut [u8]) -> Result<(), E>) -> Result<Self, E> {
        let mut text = Zeroizing::new(String::with_capacity(class.prefix().len() + RANDOM_LEN + CHECK_LEN));
        text.push_str(class.prefix());
        let mut byte = [0_u8; 1];
        while text.len() < class.prefix().len() + RANDOM_LEN {
            random(&mut byte)?;
            // 248 is the largest multiple of 62 in a byte: rejecting the rest keeps every character equally likely.
            if byte[0] < 248 {
                text.push(base62(u32::from(byte[0])));
            }
        }
        let check = check_characters(&text);
        text.extend(check);
        Ok(Self { class, text })
    }

    /// Reads a credential of `class`, or `None` when its form or its check characters are wrong.
    ///
    /// The prefix of an API key may be missing, because clients of this family strip it.
    #[must_use]
    pub fn parse(class: Class, input: &str) -> Option<Self> {
        let body = match (input.strip_prefix(class.prefix()), class) {
            (Some(body), _) => body,
            (None, Class::ApiKey) => input,
            (None, Class::PersonalAccessToken) => return None,
        };
        if body.len() != RANDOM_LEN + CHECK_LEN || !body.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return None;
        }
        let mut text = Zeroizing::new(String::with_capacity(class.prefix().len() + body.len()));
        text.push_str(class.prefix());
        text.push_str(body);
        let (checked, check) = text.split_at_checked(text.len() - CHECK_LEN)?;
        let is_right = check.chars().eq(check_characters(checked));
        is_right.then_some(Self { class, text })
    }

    /// Reads an API key of any form: 16 to 256 printable ASCII characters behind the prefix, which may be missing.
    /// `None` for everything else, and for what looks like a credential of another class.
    #[must_use]
    pub fn imported(input: &str) -> Option<Self> {
        let class = Class::ApiKey;
        let body = input.strip_prefix(class.prefix()).unwrap_or(input);
        let fits = (MIN_IMPORTED..=MAX_IMPORTED).contains(&body.len());
        let plain = body.bytes().all(|byte| byte.is_ascii_graphic());
        let other = body.starts_with(Class::PersonalAccessToken.prefix());
        (fits && plain && !other).then(|| Self { class, text: Zeroizing::new(input.to_owned()) })
    }

    /// Whether it is an API key without the form of ours.
    #[must_use]
    pub fn is_imported(&self) -> bool {
        Self::parse(self.class, &self.text).is_none()
    }

    /// The secret with its prefix, however it was written: what it is looked up by.
    #[must_use]
    pub fn canonical(&self) -> Cow<'_, str> {
        match self.text.starts_with(self.class.prefix()) {
            true => Cow::Borrowed(&self.text),
            false => Cow::Owned(format!("{}{}", self.class.prefix(), self.expose())),
        }
    }

    /// The class.
    #[must_use]
    pub const fn class(&self) -> Class {
        self.class
    }

    /// The secret itself. Name every use of it with care.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credential({:?}, hidden)", self.class)
    }
}

/// The digit of `value` modulo 62.
fn base62(value: u32) -> char {
    ALPHABET.get((value % 62) as usize).copied().map_or('0', char::from)
}

/// CRC-32 of `text` as six base62 digits, most significant first (62^6 exceeds 2^32).
fn check_characters(text: &str) -> [char; CHECK_LEN] {
    let mut rest = crc32fast::hash(text.as_bytes());
    let mut digits = ['0'; CHECK_LEN];
    for digit in digits.iter_mut().rev() {
        *digit = base62(rest);
        rest /= 62;
    }
    digits
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn counter(start: u8) -> impl FnMut(&mut [u8]) -> Result<(), std::convert::Infallible> {
        let mut next = start;
        move |buffer| {
            for byte in buffer {
                *byte = next;
                next = next.wrapping_add(37);
            }
            Ok(())
        }
    }

    fn sample(class: Class) -> Credential {
        let Ok(credential) = Credential::generate(class, counter(7));
        credential
    }

    #[test]
    fn has_the_documented_form() {
        let key = sample(Class::ApiKey);
        assert!(key.expose().starts_with("sk-"));
        assert_eq!(key.expose().len(), 3 + 48);
        assert!(sample(Class::PersonalAccessToken).expose().starts_with("pat_"));
    }

    #[test]
    fn reads_back_with_and_without_the_optional_prefix() {
        let key = sample(Class::ApiKey);
        assert_eq!(Credential::parse(Class::ApiKey, key.expose()), Some(key.clone()));
        assert_eq!(Credential::parse(Class::ApiKey, key.expose().trim_start_matches("sk-")), Some(key));
    }

    #[test]
    fn one_class_is_never_the_other() {
        let key = sample(Class::ApiKey);
        let token = sample(Class::PersonalAccessToken);
        assert_eq!(Credential::parse(Class::PersonalAccessToken, key.expose()), None);
        assert_eq!(Credential::parse(Class::ApiKey, token.expose()), None);
        let stripped = token.expose().trim_start_matches("pat_");
        assert_eq!(Credential::parse(Class::ApiKey, stripped), None);
    }

    #[test]
    fn a_key_from_elsewhere_has_any_form_but_that_of_another_class() {
        let long = "x".repeat(256);
        let foreign = [
            ("sk-0123456789abcdef", "0123456789abcdef"),
            ("fk_Ab.9-/+=~:0123", "fk_Ab.9-/+=~:0123"),
            (&long, &long),
        ];
        for (text, bare) in foreign {
            let key = Credential::imported(text).unwrap();
            assert_eq!((key.expose(), key.canonical()), (text, format!("sk-{bare}").into()));
            assert_eq!(Credential::imported(bare).unwrap().canonical(), key.canonical());
            assert!(key.is_imported());
        }
        let token = sample(Class::PersonalAccessToken);
        let prefixed = format!("sk-{}", token.expose());
        let (short, long) = ("x".repeat(15), "x".repeat(257));
        for text in
            ["", "sk-", &short, &long, "0123456789 abcdef", "0123456789abcdé", token.expose(), &prefixed]
        {
            assert_eq!(Credential::imported(text), None, "{text}");
        }
        assert!(!sample(Class::ApiKey).is_imported());
        assert!(!Credential::imported(sample(Class::ApiKey).expose()).unwrap().is_imported());
    }

    #[test]
    fn debug_hides_the_secret() {
        assert_eq!(format!("{:?}", sample(Class::ApiKey)), "Credential(ApiKey, hidden)");
    }

    proptest! {
        #[test]
        fn garbage_is_refused_without_a_panic(input in ".{0,80}") {
            prop_assert_eq!(Credential::parse(Class::ApiKey, &input), None);
        }

        #[test]
        fn any_changed_character_is_noticed(start: u8, at in 0_usize..48, to in 0_u32..62) {
            let Ok(key) = Credential::generate(Class::ApiKey, counter(start));
            let changed: String =
                key.expose().chars().enumerate().map(|(i, c)| if i == at + 3 { base62(to) } else { c }).collect();
            prop_assume!(changed != key.expose());
            prop_assert_eq!(Credential::parse(Class::ApiKey, &changed), None);
        }
    }
}
