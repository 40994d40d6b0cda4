//! JSON that has one reading only. `serde_json` keeps the last of two members with one
//! name; another reader may keep the first, and the two would then see different tokens.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// A JSON value in which no object, at any depth, has two members of one name. Depth is bounded by
/// `serde_json` itself (128).
pub(crate) struct Strict(pub(crate) Value);

/// A [`Strict`] value that is an object.
pub(crate) struct StrictObject(pub(crate) Map<String, Value>);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Self)
    }
}

impl<'de> Deserialize<'de> for StrictObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Strict::deserialize(deserializer)?.0 {
            Value::Object(members) => Ok(Self(members)),
            _ => Err(D::Error::custom("no object")),
        }
    }
}

/// A document without the byte order mark that some editors and servers put before it. RFC 8259, section 8.1
/// lets a reader pass over it.
pub(crate) fn without_bom(document: &[u8]) -> &[u8] {
    document.strip_prefix(b"\xef\xbb\xbf").unwrap_or(document)
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without repeated members")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("no finite number"))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(Strict(item)) = access.next_element()? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some(name) = access.next_key::<String>()? {
            let Strict(value) = access.next_value()?;
            // The message omits the name: the text may be a token's.
            if members.insert(name, value).is_some() {
                return Err(A::Error::custom("a member is repeated"));
            }
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::{Strict, StrictObject};

    #[test]
    fn a_repeated_member_is_refused_at_any_depth() {
        assert!(serde_json::from_str::<Strict>(r#"{"a":1,"b":{"a":[true,null,-1,1.5,"x"]}}"#).is_ok());
        assert!(serde_json::from_str::<Strict>(r#"{"a":1,"a":1}"#).is_err());
        assert!(serde_json::from_str::<Strict>(r#"{"a":1,"\u0061":1}"#).is_err());
        assert!(serde_json::from_str::<Strict>(r#"[{"b":{"a":1,"a":2}}]"#).is_err());
    }

    #[test]
    fn only_an_object_is_an_object() {
        assert!(serde_json::from_str::<StrictObject>("[]").is_err());
        assert!(serde_json::from_str::<StrictObject>(r#"[["a",1]]"#).is_err());
        assert!(serde_json::from_str::<StrictObject>("{} {}").is_err());
        assert!(serde_json::from_str::<StrictObject>(&"[".repeat(5000)).is_err());
    }
}
