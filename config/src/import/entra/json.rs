//! JSON as it was written: keys in their order, each once, within limits.
//!
//! A key that is written twice means one thing to one reader and another to the next. Where only
//! one of the two says something, that one counts, and it is reported; where they differ, the file is
//! refused. Exports come from many tools: UTF-8 with and without a byte order mark, and
//! UTF-16 as PowerShell redirects it.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

/// The deepest nesting. Graph's own stays below ten; a workflow definition may go deeper.
const DEPTH_MAX: usize = 64;
/// The most values of one file.
const VALUES_MAX: usize = 1_000_000;
/// The most doubled keys of one file that are reported.
const DOUBLED_MAX: usize = 20;
/// The longest key, in bytes. Paths are made of keys, one for each leaf.
const KEY_BYTES_MAX: usize = 256;

/// A JSON value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Json {
    Null,
    Bool(bool),
    Number(serde_json::Number),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    /// Parses a whole file. Beside the value comes what a person should mend in it.
    pub(super) fn parse(bytes: &[u8]) -> Result<(Self, Vec<String>), String> {
        let text = decode(bytes)?;
        if text.trim().is_empty() {
            return Err("the file is empty; export it again".to_owned());
        }
        let budget = Cell::new(VALUES_MAX);
        let mut reader = serde_json::Deserializer::from_str(&text);
        let doubled = RefCell::new(Vec::new());
        let seed = Seed { depth: 0, budget: &budget, doubled: &doubled };
        let json = seed.deserialize(&mut reader).map_err(|error| message(&error))?;
        reader.end().map_err(|error| message(&error))?;
        Ok((json, doubled.into_inner()))
    }

    /// A member of an object. PowerShell writes `DisplayName` for `displayName`, so a member in other
    /// case is taken when there is none in Graph's own that says something.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        self.member(key).map(|(_, value)| value)
    }

    /// A member of an object, with its key as written. Of several that differ in case only, the
    /// others stay unaccounted.
    pub(super) fn member(&self, key: &str) -> Option<(&str, &Self)> {
        let entries = || self.entries().iter().map(|(name, value)| (name.as_str(), value));
        let says_something =
            |(name, value): &(&str, &Self)| name.eq_ignore_ascii_case(key) && !value.says_nothing();
        let exact = entries().find(|(name, _)| *name == key);
        exact
            .filter(says_something)
            .or_else(|| entries().find(says_something))
            .or(exact)
            .or_else(|| entries().find(|(name, _)| name.eq_ignore_ascii_case(key)))
    }

    /// The members of an object; none for anything else.
    pub(super) fn entries(&self) -> &[(String, Self)] {
        match self {
            Self::Object(entries) => entries,
            _ => &[],
        }
    }

    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Whether nothing is said: null, or lists and objects that hold nothing else.
    pub(super) fn says_nothing(&self) -> bool {
        match self {
            Self::Null => true,
            Self::List(items) => items.iter().all(Self::says_nothing),
            Self::Object(entries) => entries.iter().all(|(_, value)| value.says_nothing()),
            Self::Bool(_) | Self::Number(_) | Self::Text(_) => false,
        }
    }

    /// Whether it is null, or an object whose members are all null: how clients of Graph write what is not
    /// configured. An object without members is not, for nobody can say what it was to be.
    pub(super) fn is_unset(&self) -> bool {
        fn nulls(json: &Json) -> Option<usize> {
            match json {
                Json::Null => Some(1),
                Json::Object(entries) => entries
                    .iter()
                    .filter(|(key, _)| !key.contains('@'))
                    .try_fold(0, |sum, (_, value)| Some(sum + nulls(value)?)),
                _ => None,
            }
        }
        nulls(self).is_some_and(|count| count > 0)
    }

    /// What people call it.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::Text(_) => "a string",
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
        }
    }

    /// A fingerprint of the content that does not depend on where it was found (FNV-1a).
    pub(super) fn fingerprint(&self) -> u64 {
        let mut hash = Fnv::new();
        self.feed(&mut hash);
        hash.0
    }

    fn feed(&self, hash: &mut Fnv) {
        match self {
            Self::Null => hash.feed(b"0"),
            Self::Bool(value) => hash.feed(if *value { b"t" } else { b"f" }),
            Self::Number(number) => hash.feed(number.to_string().as_bytes()),
            Self::Text(text) => {
                hash.feed(b"\"");
                hash.feed(text.as_bytes());
            }
            Self::List(items) => {
                hash.feed(b"[");
                for item in items {
                    item.feed(hash);
                    hash.feed(b",");
                }
            }
            Self::Object(entries) => {
                hash.feed(b"{");
                for (key, value) in entries {
                    hash.feed(key.as_bytes());
                    hash.feed(b":");
                    value.feed(hash);
                    hash.feed(b",");
                }
            }
        }
    }
}

/// FNV-1a, 64 bits: names files apart, protects nothing.
pub(super) struct Fnv(pub(super) u64);

impl Fnv {
    pub(super) const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    pub(super) fn feed(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

fn message(error: &serde_json::Error) -> String {
    format!("it is no JSON that can be read: {error}; export it again, or mend it there")
}

/// Bytes to text: UTF-8, or UTF-16 by its byte order mark.
fn decode(bytes: &[u8]) -> Result<String, String> {
    let utf16 = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let (pairs, rest) = bytes.as_chunks::<2>();
        let text = rest.is_empty().then(|| {
            let units = pairs.iter().map(|pair| unit(*pair));
            char::decode_utf16(units).collect::<Result<String, _>>().ok()
        });
        text.flatten().ok_or_else(|| "it is broken UTF-16; export it again as UTF-8".to_owned())
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        // JSON begins with an ASCII character, so a zero beside it shows UTF-16 without a mark.
        [first, 0, ..] if *first != 0 => utf16(bytes, u16::from_le_bytes),
        [0, first, ..] if *first != 0 => utf16(bytes, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => utf8(rest),
        _ => utf8(bytes),
    }
}

fn utf8(bytes: &[u8]) -> Result<String, String> {
    let text = std::str::from_utf8(bytes);
    text.map(ToOwned::to_owned)
        .map_err(|_| "it is neither UTF-8 nor UTF-16; export it again as UTF-8".to_owned())
}

/// Reads one value, counting depth and values.
#[derive(Clone, Copy)]
struct Seed<'b> {
    depth: usize,
    budget: &'b Cell<usize>,
    doubled: &'b RefCell<Vec<String>>,
}

impl Seed<'_> {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth >= DEPTH_MAX {
            return Err(E::custom(format!("it nests deeper than {DEPTH_MAX}")));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Json;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        let left = self.budget.get().checked_sub(1);
        let left = left.ok_or_else(|| D::Error::custom(format!("it holds more than {VALUES_MAX} values")))?;
        self.budget.set(left);
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Json, E> {
        let number = serde_json::Number::from_f64(value);
        number.map(Json::Number).ok_or_else(|| E::custom("a number is not finite"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Json, E> {
        Ok(Json::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Json, A::Error> {
        let seed = self.deeper()?;
        let mut items = Vec::new();
        while let Some(item) = access.next_element_seed(seed)? {
            items.push(item);
        }
        Ok(Json::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Json, A::Error> {
        let seed = self.deeper()?;
        let mut entries: Vec<(String, Json)> = Vec::new();
        let mut seen: HashMap<String, usize> = HashMap::new();
        while let Some(key) = access.next_key::<String>()? {
            if key.len() > KEY_BYTES_MAX {
                return Err(A::Error::custom(format!("a key is longer than {KEY_BYTES_MAX} bytes")));
            }
            let value = access.next_value_seed(seed)?;
            let earlier = seen.get(&key).and_then(|position| entries.get_mut(*position));
            let Some((_, earlier)) = earlier else {
                seen.insert(key.clone(), entries.len());
                entries.push((key, value));
                continue;
            };
            if earlier.says_nothing() {
                *earlier = value;
            } else if !value.says_nothing() && *earlier != value {
                let what = format!("the key `{key}` is written twice in one object, and differs");
                return Err(A::Error::custom(what));
            }
            let mut doubled = self.doubled.borrow_mut();
            if doubled.len() < DOUBLED_MAX {
                let what =
                    "is written twice in one object; the one that says something was taken: delete the other";
                doubled.push(format!("the key `{key}` {what}"));
            }
        }
        Ok(Json::Object(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exports_of_every_tool_are_read_alike() {
        let text = "{\"displayName\": \"Münze 🪙\"}";
        let wide = |unit: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(unit).collect::<Vec<u8>>();
        let expected = Json::parse(text.as_bytes()).unwrap().0;
        for bytes in [
            [&[0xef, 0xbb, 0xbf], text.as_bytes()].concat(),
            [&[0xff, 0xfe], &*wide(u16::to_le_bytes)].concat(),
            [&[0xfe, 0xff], &*wide(u16::to_be_bytes)].concat(),
            wide(u16::to_le_bytes),
            wide(u16::to_be_bytes),
        ] {
            assert_eq!(Json::parse(&bytes), Ok((expected.clone(), Vec::new())), "{bytes:?}");
        }
    }

    #[test]
    fn of_a_doubled_key_the_one_counts_that_says_something() {
        for text in [
            "{\"a\": null, \"a\": {\"b\": 1}}",
            "{\"a\": {\"b\": 1}, \"a\": [{}]}",
            "{\"a\": {\"b\": 1}, \"a\": {\"b\": 1}}",
        ] {
            let (json, doubled) = Json::parse(text.as_bytes()).unwrap();
            assert_eq!(json, Json::parse(b"{\"a\": {\"b\": 1}}").unwrap().0, "{text}");
            assert!(doubled[0].contains("`a` is written twice"), "{doubled:?}");
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_or_without_end_is_refused() {
        let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
        let cases: [(&[u8], &str); 8] = [
            (b"{\"a\": 1, \"b\": {\"c\": 1, \"c\": 2}}", "the key `c` is written twice"),
            (deep.as_bytes(), "nests deeper than 64"),
            (b"{} {}", "trailing characters"),
            (b"{\"a\": ", "EOF"),
            (b" \n", "empty"),
            (b"\xff\xfe{", "broken UTF-16"),
            (b"\xff\xfe\x00\xd8\x00\xd8", "broken UTF-16"),
            (b"\"\xc3\x28\"", "neither UTF-8"),
        ];
        for (bytes, wanted) in cases {
            let error = Json::parse(bytes).unwrap_err();
            assert!(error.contains(wanted), "{error}");
        }
    }
}
