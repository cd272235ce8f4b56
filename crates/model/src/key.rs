//! API keys: what one is, and which values it may have.

use crate::{
    clock::Timestamp,
    id::{AccountId, KeyId, PoolId},
    ip::{IpRules, NotAnAddress},
    money::Units,
};

/// Longest name, in Unicode characters.
pub const MAX_NAME: usize = 50;
/// The group that stands for the account's ordered automatic list; no group can have this name.
pub const AUTO: &str = "auto";
/// Longest list of models or addresses, in bytes.
pub const MAX_LIST: usize = 65_536;

/// The status that the wire shows. Only 1 opens the model API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// 1: may be used.
    Enabled,
    /// 2: switched off.
    Disabled,
    /// 3: its time has passed.
    Expired,
    /// 4: nothing remains.
    Exhausted,
}

impl Status {
    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> i64 {
        match self {
            Self::Enabled => 1,
            Self::Disabled => 2,
            Self::Expired => 3,
            Self::Exhausted => 4,
        }
    }

    /// The status of a number on the wire.
    #[must_use]
    pub const fn from_number(number: i64) -> Option<Self> {
        match number {
            1 => Some(Self::Enabled),
            2 => Some(Self::Disabled),
            3 => Some(Self::Expired),
            4 => Some(Self::Exhausted),
            _ => None,
        }
    }
}

/// What its owner decides about a key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// A name for people; at most [`MAX_NAME`] characters.
    pub name: String,
    /// When it ends, or never.
    pub expires: Option<Timestamp>,
    /// Whether only its account's balance limits it.
    pub unlimited_quota: bool,
    /// Whether `model_limits` is in force.
    pub model_limits_enabled: bool,
    /// The models it may call, comma separated, blanks trimmed.
    pub model_limits: String,
    /// The address list as it was given; `None` is none.
    pub allow_ips: Option<String>,
    /// The group; empty is the account's own, [`AUTO`] its ordered automatic list.
    pub group: String,
    /// Whether automatic routing may leave a group whose attempts are used up.
    pub cross_group_retry: bool,
}

/// A value that a key may not have. The text is the outside message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSetting {
    /// Over [`MAX_NAME`] characters. The wording is CometAPI's.
    #[error("token name is too long")]
    NameTooLong,
    /// Over [`MAX_LIST`] bytes.
    #[error("{0} is too long: at most {MAX_LIST} bytes")]
    ListTooLong(&'static str),
    /// No address and no range.
    #[error("allow_ips: {0}")]
    Address(#[from] NotAnAddress),
    /// Below 0.
    #[error("remain_quota must not be negative")]
    NegativeQuota,
    /// Beyond [`Units::MAX`].
    #[error("remain_quota is beyond the largest quota, 9007199254740991")]
    QuotaTooLarge,
}

impl Settings {
    /// Checks every value, and trims the blanks of the model list.
    ///
    /// # Errors
    /// The first value that is not allowed.
    pub fn validated(mut self) -> Result<Self, InvalidSetting> {
        if self.name.chars().count() > MAX_NAME {
            return Err(InvalidSetting::NameTooLong);
        }
        if self.model_limits.len() > MAX_LIST {
            return Err(InvalidSetting::ListTooLong("model_limits"));
        }
        if let Some(list) = &self.allow_ips {
            if list.len() > MAX_LIST {
                return Err(InvalidSetting::ListTooLong("allow_ips"));
            }
            IpRules::parse(list)?;
        }
        self.model_limits = models(&self.model_limits).collect::<Vec<_>>().join(",");
        Ok(self)
    }

    /// The models on the list, whether it is in force or not.
    pub fn models(&self) -> impl Iterator<Item = &str> {
        models(&self.model_limits)
    }

    /// Whether the key may call `model`. A list in force that is empty allows nothing.
    #[must_use]
    pub fn allows_model(&self, model: &str) -> bool {
        !self.model_limits_enabled || self.models().any(|allowed| allowed == model)
    }
}

fn models(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|model| !model.is_empty())
}

/// A quota that a caller asks for.
///
/// # Errors
/// Negative, or beyond [`Units::MAX`].
pub fn quota(units: i64) -> Result<Units, InvalidSetting> {
    match units {
        ..0 => Err(InvalidSetting::NegativeQuota),
        units if units > Units::MAX.get() => Err(InvalidSetting::QuotaTooLarge),
        units => Ok(Units::new(units)),
    }
}

/// An API key as it is remembered, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// The key.
    pub id: KeyId,
    /// Its owner.
    pub account: AccountId,
    /// Its balance.
    pub pool: PoolId,
    /// What its owner set the status to.
    pub set_status: Status,
    /// What its owner decided.
    pub settings: Settings,
    /// When it was made.
    pub created: Timestamp,
    /// When it was last used; the moment of creation if never.
    pub accessed: Timestamp,
}

impl ApiKey {
    /// Whether its time has passed.
    #[must_use]
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.settings.expires.is_some_and(|expires| expires <= now)
    }

    /// The status that the wire shows: what was set, else the facts.
    #[must_use]
    pub fn status(&self, now: Timestamp, remaining: Units) -> Status {
        match self.set_status {
            Status::Enabled if self.is_expired(now) => Status::Expired,
            Status::Enabled if !self.settings.unlimited_quota && remaining <= Units::ZERO => {
                Status::Exhausted
            }
            set => set,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> Settings {
        Settings { name: name.to_owned(), ..Settings::default() }
    }

    #[test]
    fn counts_names_in_characters() {
        assert!(named(&"密".repeat(50)).validated().is_ok());
        assert_eq!(named(&"密".repeat(51)).validated(), Err(InvalidSetting::NameTooLong));
        assert_eq!(InvalidSetting::NameTooLong.to_string(), "token name is too long");
    }

    #[test]
    fn bounds_the_quota() {
        assert_eq!(quota(0), Ok(Units::ZERO));
        assert_eq!(quota(-1), Err(InvalidSetting::NegativeQuota));
        assert_eq!(quota(Units::MAX.get()), Ok(Units::MAX));
        assert_eq!(quota(Units::MAX.get() + 1), Err(InvalidSetting::QuotaTooLarge));
    }

    #[test]
    fn trims_models_and_an_empty_list_in_force_allows_nothing() {
        let list = Settings { model_limits: " a , b,, c ".to_owned(), ..Settings::default() };
        let list = list.validated().unwrap();
        assert_eq!(list.model_limits, "a,b,c");
        assert!(list.allows_model("z"));
        let enforced = Settings { model_limits_enabled: true, ..list };
        assert!(enforced.allows_model("b") && !enforced.allows_model("z"));
        let nothing = Settings { model_limits_enabled: true, ..Settings::default() };
        assert!(!nothing.allows_model(""));
    }

    #[test]
    fn shows_facts_only_for_a_key_that_is_enabled() {
        let now = Timestamp::from_secs(100);
        let key = |set_status, expires, unlimited_quota| ApiKey {
            id: KeyId(1),
            account: AccountId(1),
            pool: PoolId(1),
            set_status,
            settings: Settings { expires, unlimited_quota, ..Settings::default() },
            created: now,
            accessed: now,
        };
        let past = Some(Timestamp::from_secs(100));
        let future = Some(Timestamp::from_secs(101));
        for (key, remaining, expected) in [
            (key(Status::Enabled, None, false), 1, Status::Enabled),
            (key(Status::Enabled, future, false), 1, Status::Enabled),
            (key(Status::Enabled, past, false), 1, Status::Expired),
            (key(Status::Enabled, None, false), 0, Status::Exhausted),
            (key(Status::Enabled, None, true), 0, Status::Enabled),
            (key(Status::Disabled, past, false), 0, Status::Disabled),
            (key(Status::Exhausted, None, false), 5, Status::Exhausted),
        ] {
            assert_eq!(key.status(now, Units::new(remaining)), expected, "{key:?}");
        }
    }
}
