//! What the settings of a key mean, in sentences, while they are typed; and what is wrong with them.
//!
//! The rules are those that keeping the key applies, so that a page never says yes where the form will say no.

use askama::Template;
use axum::{extract::State, response::Response};
use gateway::Failure;
use model::{
    clock::Timestamp,
    ip::{IpRules, NotAnAddress},
    key::AUTO,
};

use super::{
    form::Form,
    frame,
    key_form::Fields,
    messages::{Messages, fill},
    oops::Oops,
    show,
    visitor::SignedIn,
};
use crate::routes::AppState;

/// The most models and addresses that a sentence names.
const NAMED: usize = 5;

/// A sentence.
pub(crate) struct Sentence {
    pub(crate) text: String,
    /// Whether the key is refused because of it, or cannot be kept.
    pub(crate) is_bad: bool,
}

impl Sentence {
    fn good(text: impl Into<String>) -> Self {
        Self { text: text.into(), is_bad: false }
    }

    fn bad(text: impl Into<String>) -> Self {
        Self { text: text.into(), is_bad: true }
    }
}

/// What settings mean.
pub(crate) struct Meaning {
    pub(crate) sentences: Vec<Sentence>,
    /// What is wrong with the addresses.
    pub(crate) addresses_error: Option<String>,
}

/// The first of some names, and how many more there are.
fn names<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    let mut text = names.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
    if let Some(more) = names.len().checked_sub(NAMED).filter(|more| *more > 0) {
        text.push_str(&format!(" +{more}"));
    }
    text
}

fn spends(t: &Messages, fields: &Fields) -> Sentence {
    match show::units("quota", &fields.quota) {
        _ if fields.unlimited => Sentence::good(t.means_unlimited),
        Ok(0) => Sentence::bad(t.means_nothing),
        Ok(units) => Sentence::good(fill(t.means_quota, &show::dollars(units))),
        Err(_) if fields.quota.is_empty() => Sentence::bad(t.means_nothing),
        Err(failure) => Sentence::bad(failure.to_string()),
    }
}

fn ends(t: &Messages, fields: &Fields, now: Timestamp) -> Sentence {
    match show::read_moment("expires", &fields.expires) {
        Ok(None) => Sentence::good(t.means_never),
        Ok(Some(end)) if end <= now => Sentence::bad(t.means_ended),
        Ok(Some(end)) => Sentence::good(fill(t.means_ends, &show::moment(end))),
        Err(failure) => Sentence::bad(failure.to_string()),
    }
}

fn calls(t: &Messages, fields: &Fields) -> Sentence {
    let listed = || fields.models.split([',', '\n']).map(str::trim).filter(|model| !model.is_empty());
    match fields.limited {
        false => Sentence::good(t.means_all_models),
        true if listed().next().is_none() => Sentence::bad(t.means_no_model),
        true => Sentence::good(fill(t.means_models, &names(listed()))),
    }
}

fn comes_from(t: &Messages, fields: &Fields) -> Result<Sentence, NotAnAddress> {
    IpRules::parse(&fields.addresses)?;
    let mut listed =
        fields.addresses.split([',', ' ', '\n', '\r', '\t']).filter(|entry| !entry.is_empty()).peekable();
    Ok(match listed.peek() {
        None => Sentence::good(t.means_everywhere),
        Some(_) => Sentence::good(fill(t.means_addresses, &names(listed))),
    })
}

fn goes(t: &Messages, fields: &Fields, own: &str) -> Sentence {
    match fields.group.as_str() {
        "" => Sentence::good(fill(t.means_group_own, own)),
        AUTO if fields.cross_group_retry => Sentence::good(t.means_auto_crossing),
        AUTO => Sentence::good(t.means_auto),
        group => Sentence::good(fill(t.means_group, group)),
    }
}

impl Meaning {
    /// What `fields` mean to a reader whose account's group is `own`.
    pub(crate) fn of(t: &Messages, fields: &Fields, own: &str, now: Timestamp) -> Self {
        let (addresses, addresses_error) = match comes_from(t, fields) {
            Ok(sentence) => (Some(sentence), None),
            Err(error) => (None, Some(Failure::Invalid(error.to_string()).to_string())),
        };
        let sentences = [spends(t, fields), ends(t, fields, now), calls(t, fields)].into_iter();
        let sentences = sentences.chain(addresses).chain([goes(t, fields, own)]).collect();
        Self { sentences, addresses_error }
    }
}

#[derive(Template)]
#[template(path = "key_meaning.html")]
struct MeaningPart {
    meaning: Meaning,
    /// Whether the check of the addresses comes along, to be put at its own place.
    apart: bool,
}

/// What the fields of a form mean.
pub(crate) async fn show(
    State(state): State<AppState>,
    signed: SignedIn,
    form: Form,
) -> Result<Response, Oops> {
    let t = signed.frame.t;
    let own = &signed.caller.account.group;
    let meaning = Meaning::of(t, &Fields::of_form(&form), own, state.gateway.now());
    Ok(frame::ok(&MeaningPart { meaning, apart: true }))
}
