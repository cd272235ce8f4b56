//! Which groups a key's requests may use.

use model::{
    id::{AccountId, PoolId},
    key::Settings,
    money::Units,
};
use store::{Account, Role};

use super::{at, snapshot};
use crate::routing::Choice;

fn account(own: &str, further: &[&str], auto: &[&str]) -> Account {
    let strings = |list: &[&str]| list.iter().map(|&name| name.to_owned()).collect();
    Account {
        id: AccountId(1),
        username: "ada".to_owned(),
        display_name: String::new(),
        email: String::new(),
        role: Role::Member,
        disabled: false,
        group: own.to_owned(),
        groups: strings(further),
        auto_groups: strings(auto),
        pool: PoolId(1),
        unlimited: true,
        remaining: Units::ZERO,
        used: Units::ZERO,
        created: at(0),
    }
}

#[test]
fn a_key_s_group_is_its_account_s_a_named_one_or_the_automatic_list() {
    let snapshot = snapshot(&[]);
    let ada = account("a", &["b", "gone"], &["c", "b", "gone", "a", "b"]);
    let plain = account("b", &[], &[]);
    // The group of the key, its cross_group_retry, and what comes of it: groups, auto, cross-group.
    type Expected = Option<(&'static [&'static str], bool, bool)>;
    let rows: [(&Account, &str, bool, Expected); 10] = [
        (&ada, "", false, Some((&["a"], false, false))),
        (&ada, "", true, Some((&["a"], false, false))),
        (&ada, "a", false, Some((&["a"], false, false))),
        (&ada, "b", true, Some((&["b"], false, false))),
        (&ada, "c", false, None),
        (&ada, "gone", false, None),
        (&ada, "auto", false, Some((&["b", "a"], true, false))),
        (&ada, "auto", true, Some((&["b", "a"], true, true))),
        (&plain, "auto", true, Some((&["b"], true, true))),
        (&plain, "nowhere", true, None),
    ];
    for (account, group, cross_group_retry, expected) in rows {
        let settings = Settings { group: group.to_owned(), cross_group_retry, ..Settings::default() };
        match (Choice::of(account, &settings, &snapshot), expected) {
            (Ok(found), Some((groups, auto, cross))) => {
                let names: Vec<&str> = found.groups.iter().map(|(name, _)| &**name).collect();
                assert_eq!(
                    (names.as_slice(), found.auto, found.cross_group),
                    (groups, auto, cross),
                    "{group}"
                );
                assert!(found.groups.iter().all(|(name, ratio)| snapshot.ratio(name) == Some(*ratio)));
            }
            (Err(refusal), None) => assert_eq!(refusal.code(), "group_not_available", "{group}"),
            (found, expected) => panic!("{group}: {found:?}, expected {expected:?}"),
        }
    }
    let gone = account("gone", &[], &[]);
    assert!(Choice::of(&gone, &Settings::default(), &snapshot).is_err());
}
