//! The size of a video, where what a second costs depends on it.

use model::{
    price::{Price, Size},
    refusal::Refusal,
};
use serde_json::{Map, Value};

/// What upstreams call the size, without case and dashes.
const SIZES: [&str; 5] = ["size", "resolution", "videosize", "videoresolution", "outputresolution"];
/// What says it in another way, which none of a price's sizes can be known from.
const SIDES: [&str; 3] = ["width", "height", "dimensions"];

/// Members of a request that say a size: their names without case and dashes, and what they say.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Asked(Vec<(&'static str, String)>);

impl Asked {
    /// Takes in what a member says.
    pub(super) fn take(&mut self, name: &str, said: String) {
        if let Some(word) = word(name) {
            self.0.push((word, said));
        }
    }

    /// Takes in the members of an object, at every depth.
    pub(super) fn take_all(&mut self, members: &Map<String, Value>) {
        for (name, value) in members.iter().filter(|(_, value)| !value.is_null()) {
            if word(name).is_some() {
                self.take(name, value.as_str().map_or_else(|| value.to_string(), str::to_owned));
            }
            self.take_inside(value);
        }
    }

    fn take_inside(&mut self, value: &Value) {
        match value {
            Value::Object(members) => self.take_all(members),
            Value::Array(items) => items.iter().for_each(|item| self.take_inside(item)),
            _ => {}
        }
    }

    /// The size that is asked for; `None` where none is, or where all cost the same.
    ///
    /// # Errors
    /// There is no price for it, or two are asked for.
    pub(super) fn priced(&self, model: &str, price: &Price) -> Result<Option<Size>, Refusal> {
        let mut found = None;
        for (param, said) in self.0.iter().filter(|_| !price.sizes.is_empty()) {
            let size = Size::of(said).filter(|size| !SIDES.contains(param) && price.size(*size).is_some());
            let unknown = || Refusal::ExtraUnknown {
                model: model.to_owned(),
                param,
                what: said.chars().take(64).collect(),
            };
            let size = size.ok_or_else(unknown)?;
            if found.replace(size).is_some_and(|before| before != size) {
                return Err(Refusal::InvalidRequest(format!("{param} names another size than the rest")));
            }
        }
        Ok(found)
    }
}

/// What of the names above this one is, if it is one.
pub(super) fn word(name: &str) -> Option<&'static str> {
    let folded = super::form::folded(name);
    SIZES.into_iter().chain(SIDES).find(|word| *word == folded)
}

/// The size that an answer about a video names.
pub(super) fn told(members: &Map<String, Value>) -> Option<Size> {
    let said = ["size", "resolution"].into_iter().filter_map(|name| members.get(name)?.as_str());
    said.filter_map(Size::of).next()
}

#[cfg(test)]
mod tests {
    use model::{
        id::PriceId,
        price::{ListedRates, SizeRate, UnitsPerMillion},
    };
    use serde_json::json;

    use super::*;

    #[test]
    fn a_size_without_a_price_is_refused_by_name() {
        let plain = Price::listed(PriceId(1), ListedRates::default().rates());
        let rate = |size| SizeRate { size, rate: UnitsPerMillion(1) };
        let sized = Price { sizes: vec![rate(Size::P720), rate(Size::P1080)], ..plain.clone() };
        for (body, expected) in [
            (json!({"model": "m"}), Ok(None)),
            (json!({"size": "1280x720"}), Ok(Some(Size::P720))),
            (json!({"parameters": [{"Resolution": "1080p"}], "size": null}), Ok(Some(Size::P1080))),
            (json!({"size": "1792x1024"}), Err("size")),
            (json!({"size": 720}), Err("size")),
            (json!({"width": 1280}), Err("width")),
            (json!({"size": "1280x720", "resolution": "1080p"}), Err("resolution")),
        ] {
            let mut asked = Asked::default();
            asked.take_all(body.as_object().unwrap());
            assert_eq!(asked.priced("m", &plain), Ok(None), "{body}");
            let found = asked.priced("m", &sized);
            match expected {
                Ok(size) => assert_eq!(found, Ok(size), "{body}"),
                Err(name) => assert!(found.unwrap_err().to_string().contains(name), "{body}"),
            }
        }
    }
}
