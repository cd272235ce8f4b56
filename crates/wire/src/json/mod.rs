//! Going over JSON once, for the few members that matter.
//!
//! Answers and chunks pass as they are; only a handful of their members is looked at. A walk visits them in place and
//! builds nothing. It is as strict as it must be to find the right member: what it skips, it does not judge.

mod strings;

pub(crate) use self::strings::{after_string, text_length};
use self::strings::{mark, unescaped};

/// Deepest nesting that is followed.
const MAX_DEPTH: usize = 128;

/// The bytes are no JSON, or not of the shape that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the JSON is malformed")]
pub(crate) struct Malformed;

/// A place in a JSON text.
#[derive(Clone, Debug)]
pub(crate) struct Walk<'a> {
    rest: &'a [u8],
}

impl<'a> Walk<'a> {
    /// Begins before the first value.
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The first byte of what comes next, white space left out.
    #[inline]
    fn next(&mut self) -> Option<u8> {
        while let Some((first, behind)) = self.rest.split_first() {
            if *first > b' ' || !matches!(first, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(*first);
            }
            self.rest = behind;
        }
        None
    }

    /// Goes behind `byte` if that comes next.
    #[inline]
    fn accept(&mut self, byte: u8) -> bool {
        let accepted = self.next() == Some(byte);
        if accepted {
            self.pass();
        }
        accepted
    }

    /// Goes behind one byte.
    #[inline]
    fn pass(&mut self) {
        self.rest = self.rest.get(1..).unwrap_or_default();
    }

    #[inline]
    fn expect(&mut self, byte: u8) -> Result<(), Malformed> {
        self.accept(byte).then_some(()).ok_or(Malformed)
    }

    /// What has been passed since `start` came next.
    fn since(&self, start: &'a [u8]) -> Result<&'a [u8], Malformed> {
        start.get(..start.len().wrapping_sub(self.rest.len())).ok_or(Malformed)
    }

    /// Whether the next value is null.
    pub(crate) fn is_null(&mut self) -> bool {
        self.next() == Some(b'n')
    }

    /// Whether the next value is a string.
    pub(crate) fn is_string(&mut self) -> bool {
        self.next() == Some(b'"')
    }

    /// Whether the next value is an array.
    pub(crate) fn is_array(&mut self) -> bool {
        self.next() == Some(b'[')
    }

    /// Whether the next value is an object.
    pub(crate) fn is_object(&mut self) -> bool {
        self.next() == Some(b'{')
    }

    /// Visits the members of the object that comes next. `member` gets a name and must take exactly its value.
    ///
    /// # Errors
    /// There is no object, or it is malformed, or `member` says so.
    pub(crate) fn object(
        &mut self,
        mut member: impl FnMut(&[u8], &mut Self) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        self.expect(b'{')?;
        if self.accept(b'}') {
            return Ok(());
        }
        loop {
            let (raw, escaped) = self.quoted()?;
            self.expect(b':')?;
            if escaped {
                member(&unescaped(raw)?, self)?;
            } else {
                member(raw, self)?;
            }
            if !self.accept(b',') {
                return self.expect(b'}');
            }
        }
    }

    /// Visits the items of the array that comes next. `item` must take exactly one value.
    ///
    /// # Errors
    /// There is no array, or it is malformed, or `item` says so.
    pub(crate) fn array(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        self.expect(b'[')?;
        if self.accept(b']') {
            return Ok(());
        }
        loop {
            item(self)?;
            if !self.accept(b',') {
                return self.expect(b']');
            }
        }
    }

    /// Takes the string that comes next, as it stands between its quotes.
    ///
    /// # Errors
    /// There is no string, or it has no end.
    pub(crate) fn string(&mut self) -> Result<&'a [u8], Malformed> {
        self.quoted().map(|(raw, _)| raw)
    }

    /// As [`Self::string`], and whether anything in it is escaped.
    fn quoted(&mut self) -> Result<(&'a [u8], bool), Malformed> {
        self.expect(b'"')?;
        let start = self.rest;
        let end = mark(start).ok_or(Malformed)?;
        if let Some((raw, [b'"', behind @ ..])) = start.split_at_checked(end) {
            self.rest = behind;
            return Ok((raw, false));
        }
        self.rest = after_string(start).ok_or(Malformed)?;
        let with_quote = self.since(start)?;
        with_quote.split_last().map(|(_, raw)| (raw, true)).ok_or(Malformed)
    }

    /// Takes the value that comes next, whatever it is, and returns it as it stands.
    ///
    /// # Errors
    /// There is none, or it has no end, or it is nested too deep.
    pub(crate) fn value(&mut self) -> Result<&'a [u8], Malformed> {
        let first = self.next().ok_or(Malformed)?;
        let start = self.rest;
        match first {
            b'"' => drop(self.string()?),
            b'{' | b'[' => self.nested()?,
            _ => self.scalar()?,
        }
        self.since(start)
    }

    /// Takes a number or a word; also those that are no JSON but that Python writes and reads: NaN and Infinity.
    fn scalar(&mut self) -> Result<(), Malformed> {
        let start = self.rest;
        while let Some((first, behind)) = self.rest.split_first()
            && is_of_scalar(*first)
        {
            self.rest = behind;
        }
        match self.since(start)? {
            b"true" | b"false" | b"null" | b"NaN" | b"Infinity" => Ok(()),
            [b'-' | b'0'..=b'9', ..] => Ok(()),
            _ => Err(Malformed),
        }
    }

    /// Takes an object or an array: only its brackets and strings matter.
    fn nested(&mut self) -> Result<(), Malformed> {
        let mut open = [0_u8; MAX_DEPTH];
        let mut depth = 0;
        loop {
            match self.next().ok_or(Malformed)? {
                b'"' => {
                    self.string()?;
                    continue;
                }
                byte @ (b'{' | b'[') => {
                    *open.get_mut(depth).ok_or(Malformed)? = byte + 2;
                    depth += 1;
                }
                byte @ (b'}' | b']') => {
                    depth -= 1;
                    if open.get(depth) != Some(&byte) {
                        return Err(Malformed);
                    }
                }
                b',' | b':' => {}
                _ => {
                    self.scalar()?;
                    continue;
                }
            }
            self.pass();
            if depth == 0 {
                return Ok(());
            }
        }
    }

    /// Takes a whole number without sign, or null, which is `None`.
    ///
    /// # Errors
    /// It is something else, or larger than 64 bits hold.
    pub(crate) fn whole(&mut self) -> Result<Option<u64>, Malformed> {
        self.next();
        if let Some(number) = self.few_digits() {
            return Ok(Some(number));
        }
        let value = self.value()?;
        if value == b"null" {
            return Ok(None);
        }
        let number =
            std::str::from_utf8(value).ok().filter(|text| text.starts_with(|first: char| first != '+'));
        number.and_then(|text| text.parse().ok()).map(Some).ok_or(Malformed)
    }

    /// Takes a number of a few digits and nothing else, as nearly all are.
    fn few_digits(&mut self) -> Option<u64> {
        let (mut rest, mut number) = (self.rest, 0);
        while let Some((digit @ b'0'..=b'9', behind)) = rest.split_first() {
            if number >= 100_000_000 {
                return None;
            }
            (rest, number) = (behind, number * 10 + u64::from(digit - b'0'));
        }
        let is_all = rest.len() < self.rest.len() && !rest.first().is_some_and(|byte| is_of_scalar(*byte));
        is_all.then(|| {
            self.rest = rest;
            number
        })
    }

    /// Sees to it that nothing follows.
    ///
    /// # Errors
    /// Something does.
    pub(crate) fn end(mut self) -> Result<(), Malformed> {
        self.next().map_or(Ok(()), |_| Err(Malformed))
    }
}

/// Whether a number or a word may have this byte.
#[inline]
const fn is_of_scalar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    /// The members of an object as a walk finds them.
    fn members(text: &str) -> Result<Vec<(String, String)>, Malformed> {
        let mut found = Vec::new();
        let mut walk = Walk::new(text.as_bytes());
        walk.object(|name, walk| {
            let value = walk.value()?;
            found.push((
                String::from_utf8_lossy(name).into_owned(),
                String::from_utf8_lossy(value).into_owned(),
            ));
            Ok(())
        })?;
        walk.end().map(|()| found)
    }

    #[test]
    fn finds_members_where_they_are() {
        let text = r#" { "a" : 1 , "\u0062" : [ {"}": "]\""} , null ] , "c":"x\\" , "":{} } "#;
        let found = members(text).unwrap();
        let found: Vec<(&str, &str)> = found.iter().map(|(name, value)| (&**name, &**value)).collect();
        let expected = [("a", "1"), ("b", r#"[ {"}": "]\""} , null ]"#), ("c", r#""x\\""#), ("", "{}")];
        assert_eq!(found, expected);
    }

    #[test]
    fn refuses_what_has_no_end_or_no_shape() {
        for text in [
            "",
            "{",
            "{\"a\"",
            "{\"a\":}",
            "{\"a\":1",
            "{\"a\":1}}",
            "{\"a\":[}",
            "{\"a\":nan}",
            "[]",
            "{a:1}",
            "{\"a\":\"\\",
        ] {
            assert_eq!(members(text), Err(Malformed), "{text}");
        }
        assert_eq!(members(&format!("{{\"a\":{}", "[".repeat(200))), Err(Malformed));
    }

    #[test]
    fn reads_whole_numbers_only() {
        for (text, expected) in [
            ("7", Ok(Some(7))),
            ("null", Ok(None)),
            ("18446744073709551615", Ok(Some(u64::MAX))),
            ("18446744073709551616", Err(Malformed)),
            ("-1", Err(Malformed)),
            ("1.0", Err(Malformed)),
            ("1e3", Err(Malformed)),
            ("+1", Err(Malformed)),
            ("\"1\"", Err(Malformed)),
            ("true", Err(Malformed)),
        ] {
            assert_eq!(Walk::new(text.as_bytes()).whole(), expected, "{text}");
        }
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<i32>().prop_map(|quarters| Value::from(f64::from(quarters) / 4.0)),
            ".{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec((".{0,4}", inner), 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn agrees_with_a_whole_parser(members_of in prop::collection::vec((".{0,4}", json()), 0..5), pretty: bool) {
            let object: serde_json::Map<String, Value> = members_of.into_iter().collect();
            let value = Value::Object(object.clone());
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
            let found = members(&text).unwrap();
            let read: serde_json::Map<String, Value> =
                found.iter().map(|(name, raw)| (name.clone(), serde_json::from_str(raw).unwrap())).collect();
            prop_assert_eq!(read, object);
        }

        #[test]
        fn never_panics(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            prop_assert!(Walk::new(&bytes).value().map_or(0, <[u8]>::len) <= bytes.len());
            let mut found = 0;
            let walked = Walk::new(&bytes).object(|_, walk| {
                found += 1;
                walk.value().map(drop)
            });
            prop_assert!(walked.is_err() || found <= bytes.len());
        }
    }
}
