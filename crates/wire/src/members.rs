//! Taking a JSON object apart member by member, so that nothing in it is lost unseen.
//!
//! What a reader has not taken when it is done is named, with its path. A member that is null counts as absent.

use serde_json::{Map, Number, Value};

use crate::convert::ConvertError;

/// An object that is being read.
#[derive(Debug)]
pub(crate) struct Members {
    path: String,
    members: Map<String, Value>,
}

impl Members {
    /// Begins with `value`, which stands at `path`.
    pub(crate) fn of(value: Value, path: impl Into<String>) -> Result<Self, ConvertError> {
        let path = path.into();
        match value {
            Value::Object(members) => Ok(Self { path, members }),
            _ => Err(wrong(path, "an object")),
        }
    }

    /// The path of the member `name`.
    pub(crate) fn path(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// Takes a member. One that is written in `camelCase` may be spelled in `snake_case` too, as Google's is.
    pub(crate) fn take(&mut self, name: &str) -> Option<Value> {
        let found = self.members.shift_remove(name).or_else(|| self.members.shift_remove(&snake(name)));
        found.filter(|value| !value.is_null())
    }

    /// Looks whether a member is there.
    pub(crate) fn has(&self, name: &str) -> bool {
        let here = |name: &str| self.members.get(name).is_some_and(|value| !value.is_null());
        here(name) || here(&snake(name))
    }

    pub(crate) fn text(&mut self, name: &str) -> Result<Option<String>, ConvertError> {
        self.typed(name, "a string", |value| match value {
            Value::String(text) => Some(text),
            _ => None,
        })
    }

    pub(crate) fn required_text(&mut self, name: &str) -> Result<String, ConvertError> {
        self.text(name)?.ok_or_else(|| wrong(self.path(name), "a string"))
    }

    pub(crate) fn flag(&mut self, name: &str) -> Result<Option<bool>, ConvertError> {
        self.typed(name, "a boolean", |value| value.as_bool())
    }

    pub(crate) fn whole(&mut self, name: &str) -> Result<Option<u64>, ConvertError> {
        self.typed(name, "a whole number that is not negative", |value| value.as_u64())
    }

    pub(crate) fn number(&mut self, name: &str) -> Result<Option<Number>, ConvertError> {
        self.typed(name, "a number", |value| match value {
            Value::Number(number) => Some(number),
            _ => None,
        })
    }

    pub(crate) fn object(&mut self, name: &str) -> Result<Option<Self>, ConvertError> {
        let path = self.path(name);
        self.take(name).map(|value| Self::of(value, path)).transpose()
    }

    /// Takes a list of values, each with its path.
    pub(crate) fn list(&mut self, name: &str) -> Result<Vec<(String, Value)>, ConvertError> {
        let path = self.path(name);
        match self.take(name) {
            None => Ok(Vec::new()),
            Some(Value::Array(items)) => Ok(items
                .into_iter()
                .enumerate()
                .map(|(index, item)| (format!("{path}[{index}]"), item))
                .collect()),
            Some(_) => Err(wrong(path, "an array")),
        }
    }

    /// Takes a list of objects.
    pub(crate) fn objects(&mut self, name: &str) -> Result<Vec<Self>, ConvertError> {
        self.list(name)?.into_iter().map(|(path, item)| Self::of(item, path)).collect()
    }

    /// Takes a list of strings.
    pub(crate) fn texts(&mut self, name: &str) -> Result<Vec<String>, ConvertError> {
        let text = |(path, item)| match item {
            Value::String(text) => Ok(text),
            _ => Err(wrong(path, "a string")),
        };
        self.list(name)?.into_iter().map(text).collect()
    }

    /// The paths of what was not taken and says something.
    pub(crate) fn rest(self) -> impl Iterator<Item = String> {
        let Self { path, members } = self;
        members
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(move |(name, _)| if path.is_empty() { name } else { format!("{path}.{name}") })
    }

    fn typed<T>(
        &mut self,
        name: &str,
        expected: &'static str,
        read: impl FnOnce(Value) -> Option<T>,
    ) -> Result<Option<T>, ConvertError> {
        let Some(value) = self.take(name) else { return Ok(None) };
        read(value).map(Some).ok_or_else(|| wrong(self.path(name), expected))
    }
}

/// The error for a member that is not what it must be.
pub(crate) fn wrong(member: impl Into<String>, expected: &'static str) -> ConvertError {
    ConvertError::Wrong { member: member.into(), expected }
}

fn snake(camel: &str) -> String {
    let mut snake = String::with_capacity(camel.len() + 4);
    for letter in camel.chars() {
        if letter.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

/// Builds an object of the members that say something: what is null is left out.
#[derive(Debug, Default)]
pub(crate) struct Object(Map<String, Value>);

impl Object {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds a member, unless it is null.
    pub(crate) fn set(&mut self, name: &str, value: impl Into<Value>) -> &mut Self {
        let value = value.into();
        if !value.is_null() {
            self.0.insert(name.to_owned(), value);
        }
        self
    }

    /// Adds a list, unless it is empty.
    pub(crate) fn set_list(&mut self, name: &str, items: Vec<Value>) -> &mut Self {
        if items.is_empty() { self } else { self.set(name, items) }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<Object> for Value {
    fn from(object: Object) -> Self {
        Self::Object(object.0)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_what_was_not_taken() {
        let mut members =
            Members::of(json!({"topK": 1, "b": {"c": 1, "d": null, "e": 2}, "x_y": null}), "").unwrap();
        assert_eq!(members.whole("topK").unwrap(), Some(1));
        let mut inner = members.object("b").unwrap().unwrap();
        inner.take("c");
        assert_eq!(inner.rest().collect::<Vec<_>>(), ["b.e"]);
        assert_eq!(members.rest().count(), 0);
        let mut google = Members::of(json!({"max_output_tokens": "x"}), "a").unwrap();
        assert_eq!(
            google.whole("maxOutputTokens").unwrap_err().to_string(),
            "a.maxOutputTokens must be a whole number that is not negative"
        );
    }
}
