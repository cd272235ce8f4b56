//! Which groups a key's requests may use, in order.

use std::sync::Arc;

use model::{
    key::{AUTO, Settings},
    price::Ratio,
    refusal::Refusal,
};
use store::Account;

use super::snapshot::Snapshot;

/// The groups of a request, in the order in which they are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The groups that exist and that the account may use, with their ratios; not empty.
    pub groups: Vec<(Arc<str>, Ratio)>,
    /// Whether they come from the account's automatic list. A group of it without a channel for the model is passed
    /// over.
    pub auto: bool,
    /// Whether a group of the automatic list whose attempts are used up is left for the next.
    pub cross_group: bool,
}

impl Choice {
    /// The groups of a key: empty means its account's own, `auto` the account's automatic list (its own group when that
    /// list is empty), anything else the group of that name.
    ///
    /// # Errors
    /// [`Refusal::GroupNotAvailable`] when no group of them exists and may be used.
    pub fn of(account: &Account, settings: &Settings, snapshot: &Snapshot) -> Result<Self, Refusal> {
        let own = std::slice::from_ref(&account.group);
        let auto = settings.group == AUTO;
        let wanted = match settings.group.as_str() {
            "" => own,
            AUTO if account.auto_groups.is_empty() => own,
            AUTO => account.auto_groups.as_slice(),
            _ => std::slice::from_ref(&settings.group),
        };
        let usable = |name: &&String| **name == account.group || account.groups.contains(name);
        let mut groups: Vec<(Arc<str>, Ratio)> = Vec::with_capacity(wanted.len());
        for name in wanted.iter().filter(usable) {
            if let Some((name, ratio)) = snapshot.group(name).filter(|(name, _)| !named(&groups, name)) {
                groups.push((Arc::clone(name), ratio));
            }
        }
        if groups.is_empty() {
            let name = if settings.group.is_empty() { &account.group } else { &settings.group };
            return Err(Refusal::GroupNotAvailable(name.clone()));
        }
        Ok(Self { groups, auto, cross_group: auto && settings.cross_group_retry })
    }

    /// The groups as one word for a message.
    #[must_use]
    pub fn name(&self) -> String {
        match self.groups.as_slice() {
            _ if self.auto => AUTO.to_owned(),
            [(name, _), ..] => name.to_string(),
            [] => String::new(),
        }
    }
}

fn named(groups: &[(Arc<str>, Ratio)], name: &str) -> bool {
    groups.iter().any(|(known, _)| &**known == name)
}
