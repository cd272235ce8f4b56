//! The part of a record that is never filtered on: JSON in one column.

use std::{borrow::Cow, net::IpAddr};

use ledger::Charge;
use model::usage::{Parts, Provenance};
use serde::{Deserialize, Serialize};

use crate::store::StoreError;

/// Room for the usual text, in bytes.
const USUAL: usize = 192;

/// What is read back. A member that is not there is the usual one.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Detail<'a> {
    pub(super) request_id: Cow<'a, str>,
    pub(super) client: String,
    pub(super) status: u16,
    pub(super) provenance: Provenance,
    #[serde(default)]
    pub(super) first_byte_ms: Option<i64>,
    #[serde(default = "once")]
    pub(super) attempts: u32,
    #[serde(default)]
    pub(super) overrun: i64,
    #[serde(default)]
    pub(super) error: Option<Cow<'a, str>>,
    #[serde(default)]
    pub(super) parts: Parts,
}

const fn once() -> u32 {
    1
}

/// The text of a charge. It is written for every request, so it is put together here; serde takes ten times as long for it.
pub(super) fn text(charge: &Charge) -> Result<String, StoreError> {
    let (context, outcome) = (&charge.context, &charge.outcome);
    let mut text = String::with_capacity(USUAL);
    text.push_str("{\"request_id\":");
    quote(&mut text, &context.request_id)?;
    text.push_str(",\"client\":\"");
    address(&mut text, context.client);
    text.push_str("\",\"status\":");
    number(&mut text, outcome.status);
    text.push_str(",\"provenance\":\"");
    text.push_str(match outcome.provenance {
        Provenance::Reported => "Reported",
        Provenance::Counted => "Counted",
        Provenance::Estimated => "Estimated",
    });
    text.push('"');
    if let Some(millis) = outcome.first_byte_ms {
        text.push_str(",\"first_byte_ms\":");
        number(&mut text, millis);
    }
    if context.attempt != once() {
        text.push_str(",\"attempts\":");
        number(&mut text, context.attempt);
    }
    if outcome.overrun.get() != 0 {
        text.push_str(",\"overrun\":");
        number(&mut text, outcome.overrun.get());
    }
    if let Some(error) = &outcome.error {
        text.push_str(",\"error\":");
        quote(&mut text, error)?;
    }
    if outcome.tokens.parts != Parts::default() {
        text.push_str(",\"parts\":");
        text.push_str(&json(&outcome.tokens.parts)?);
    }
    text.push('}');
    Ok(text)
}

fn json(value: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|_| StoreError::Corrupt("a record that is no JSON"))
}

fn quote(text: &mut String, value: &str) -> Result<(), StoreError> {
    if value.bytes().any(|byte| matches!(byte, 0..b' ' | b'"' | b'\\')) {
        text.push_str(&json(&value)?);
        return Ok(());
    }
    text.push('"');
    text.push_str(value);
    text.push('"');
    Ok(())
}

fn number(text: &mut String, number: impl itoa::Integer) {
    text.push_str(itoa::Buffer::new().format(number));
}

fn address(text: &mut String, address: IpAddr) {
    let IpAddr::V4(address) = address else { return text.push_str(&address.to_string()) };
    for (index, octet) in address.octets().into_iter().enumerate() {
        if index > 0 {
            text.push('.');
        }
        number(text, octet);
    }
}

#[cfg(test)]
mod tests {
    use model::{
        clock::Timestamp,
        id::{AccountId, ChannelId, ChargeId, JournalId, KeyId, PriceId},
        money::Units,
        price::Ratio,
        usage::{Tokens, UsageContext, UsageOutcome},
    };

    use super::*;

    fn charge() -> Charge {
        Charge {
            id: ChargeId { journal: JournalId(1), seq: 1 },
            draws: Vec::new(),
            context: UsageContext {
                request_id: "01980000-0000-7000-8000-000000000000".to_owned(),
                account: AccountId(1),
                key: KeyId(1),
                key_name: "name".to_owned(),
                group: "default".to_owned(),
                channel: ChannelId(1),
                attempt: 1,
                model: "model".to_owned(),
                upstream_model: "model".to_owned(),
                door: "/v1/chat/completions".to_owned(),
                stream: false,
                price: PriceId(1),
                ratio: Ratio::ONE,
                client: IpAddr::from([127, 0, 0, 1]),
                started: Timestamp::from_millis(1),
            },
            outcome: UsageOutcome {
                tokens: Tokens::default(),
                provenance: Provenance::Reported,
                units: Units::ZERO,
                overrun: Units::ZERO,
                status: 200,
                error: None,
                first_byte_ms: None,
                ended: Timestamp::from_millis(2),
            },
        }
    }

    #[test]
    fn the_usual_record_says_what_is_unusual_alone() {
        assert_eq!(
            text(&charge()).unwrap(),
            r#"{"request_id":"01980000-0000-7000-8000-000000000000","client":"127.0.0.1","status":200,"provenance":"Reported"}"#
        );
    }

    #[test]
    fn what_is_written_is_read() {
        for provenance in [Provenance::Reported, Provenance::Counted, Provenance::Estimated] {
            for word in ["", "plain", "with \"quotes\" and \\", "\u{0}\n\t\u{1f}", "ünï→🙂\u{7f}"] {
                let mut charge = charge();
                charge.context.request_id = word.to_owned();
                charge.context.client = IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1]);
                charge.context.attempt = u32::MAX;
                charge.outcome.provenance = provenance;
                charge.outcome.status = 499;
                charge.outcome.first_byte_ms = Some(-1);
                charge.outcome.overrun = Units::new(i64::MAX);
                charge.outcome.error = Some(word.to_owned());
                charge.outcome.tokens.parts.seconds = u64::MAX;
                let text = text(&charge).unwrap();
                let expected = Detail {
                    request_id: Cow::Borrowed(word),
                    client: "2001:db8::1".to_owned(),
                    status: 499,
                    provenance,
                    first_byte_ms: Some(-1),
                    attempts: u32::MAX,
                    overrun: i64::MAX,
                    error: Some(Cow::Borrowed(word)),
                    parts: charge.outcome.tokens.parts,
                };
                assert_eq!(serde_json::from_str::<Detail<'_>>(&text).unwrap(), expected, "{text}");
            }
        }
    }
}
