//! Strict JSON input: no member twice, no deep nesting, and an error that names the member.

use std::fmt;

use gateway::Failure;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value};

/// A value in which no object has a member twice.
struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Self)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(Strict(item)) = items.next_element()? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some((name, Strict(value))) = members.next_entry::<String, Strict>()? {
            if object.contains_key(&name) {
                return Err(A::Error::custom(format_args!("member {name} appears twice")));
            }
            object.insert(name, value);
        }
        Ok(Value::Object(object))
    }
}

/// Reads an object into `T`, all of whose members are optional. Members that `T` does not know are ignored.
///
/// # Errors
/// [`Failure::Invalid`], naming the member that is wrong.
pub(crate) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    let invalid = |what: String| Failure::Invalid(what);
    wire::request::check_depth(body).map_err(|error| invalid(error.to_string()))?;
    let Strict(value) = serde_json::from_slice(body)
        .map_err(|error| invalid(format!("the request body is not valid JSON: {error}")))?;
    let Value::Object(members) = value else {
        return Err(invalid("the request body must be a JSON object".to_owned()));
    };
    serde_json::from_value(Value::Object(members.clone())).map_err(|error| {
        // Each member alone tells which one it is.
        let wrong = members.into_iter().find_map(|(name, value)| {
            let alone = Map::from_iter([(name.clone(), value)]);
            serde_json::from_value::<T>(Value::Object(alone)).err().map(|error| format!("{name}: {error}"))
        });
        invalid(wrong.unwrap_or_else(|| error.to_string()))
    })
}

/// Tells a member that is null from one that is absent.
pub(crate) fn present<'de, T, D>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    Option::<T>::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, Deserialize)]
    #[serde(default)]
    struct Input {
        name: Option<String>,
        count: Option<i64>,
        #[serde(deserialize_with = "present")]
        list: Option<Option<String>>,
    }

    #[test]
    fn names_what_is_wrong() {
        for (body, expected) in [
            (r#"{"name":"a","name":"b"}"#, "member name appears twice"),
            (r#"{"x":{"y":1,"y":2}}"#, "member y appears twice"),
            (r#"{"count":"7"}"#, "count: "),
            (r#"{"count":1.5}"#, "count: "),
            (r#"{"name":"a","count":99999999999999999999}"#, "count: "),
            ("[]", "must be a JSON object"),
            ("{", "not valid JSON"),
            ("", "not valid JSON"),
        ] {
            let Failure::Invalid(what) = read::<Input>(body.as_bytes()).unwrap_err() else {
                panic!("{body}")
            };
            assert!(what.contains(expected), "{body}: {what}");
        }
        let deep = format!(r#"{{"x":{}{}}}"#, "[".repeat(70), "]".repeat(70));
        assert!(read::<Input>(deep.as_bytes()).is_err());
    }

    #[test]
    fn ignores_what_it_does_not_know_and_sees_null() {
        let input: Input = read(br#"{"name":null,"other":{"a":[1]},"list":null}"#).unwrap();
        assert_eq!((input.name, input.count, input.list), (None, None, Some(None)));
        assert_eq!(read::<Input>(b"{}").unwrap().list, None);
    }
}
