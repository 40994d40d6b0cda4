//! A writer of JSON that appends to one buffer. The texts of a language are held in a form that JSON takes as it is (a
//! test holds it), and most of a denial is such texts: they are copied. serde, which looks for escapes in each byte of
//! each answer, took a tenth of all that a refusal costs. What is written is held against serde by a property.

use std::fmt::Write as _;

use super::escape::{Escaper, push_escaped};

/// Escapes for a JSON string.
#[derive(Debug)]
pub(super) struct JsonText<'o>(&'o mut String);

/// How JSON writes what may not stand in a string as it is (RFC 8259, section 7), as serde does.
const CONTROLS: [&str; 32] = [
    "\\u0000", "\\u0001", "\\u0002", "\\u0003", "\\u0004", "\\u0005", "\\u0006", "\\u0007", "\\b", "\\t",
    "\\n", "\\u000b", "\\f", "\\r", "\\u000e", "\\u000f", "\\u0010", "\\u0011", "\\u0012", "\\u0013",
    "\\u0014", "\\u0015", "\\u0016", "\\u0017", "\\u0018", "\\u0019", "\\u001a", "\\u001b", "\\u001c",
    "\\u001d", "\\u001e", "\\u001f",
];

impl Escaper for JsonText<'_> {
    fn literal(&mut self, text: &str) {
        self.0.push_str(text);
    }

    fn text(&mut self, text: &str) {
        push_escaped(self.0, text, |byte| match byte {
            b'"' => Some("\\\""),
            b'\\' => Some("\\\\"),
            byte => CONTROLS.get(usize::from(byte)).copied(),
        });
    }
}

/// A member's name as [`Object`] takes it: in quotes, with its colon.
macro_rules! name {
    ($name:literal) => {
        concat!("\"", $name, "\":")
    };
}
pub(super) use name;

/// An object, member by member. Each ends with a comma; the last one's becomes the object's end.
#[derive(Debug)]
pub(super) struct Object<'o>(&'o mut String);

impl<'o> Object<'o> {
    /// Writes an object.
    pub(super) fn write(out: &'o mut String, members: impl FnOnce(&mut Self)) {
        out.push('{');
        let mut object = Self(out);
        members(&mut object);
        close(object.0, '}');
    }

    /// A member whose text is written piece by piece.
    pub(super) fn written(&mut self, name: &'static str, write: impl FnOnce(&mut JsonText<'_>)) {
        self.0.push_str(name);
        self.0.push('"');
        write(&mut JsonText(self.0));
        self.0.push_str("\",");
    }

    /// A text of ours, in which nothing is to be escaped.
    pub(super) fn literal(&mut self, name: &'static str, text: &str) {
        self.written(name, |out| out.literal(text));
    }

    /// A foreign text.
    pub(super) fn text(&mut self, name: &'static str, text: &str) {
        self.written(name, |out| out.text(text));
    }

    /// A foreign text of at most `max` characters in one line.
    pub(super) fn line(&mut self, name: &'static str, text: &str, max: usize) {
        self.written(name, |out| out.line(text, max));
    }

    /// A number.
    pub(super) fn number(&mut self, name: &'static str, number: impl Into<u64>) {
        // INVARIANT: writing to a `String` cannot fail.
        let _ = write!(self.0, "{name}{},", number.into());
    }

    /// A boolean.
    pub(super) fn flag(&mut self, name: &'static str, flag: bool) {
        self.0.push_str(name);
        self.0.push_str(if flag { "true," } else { "false," });
    }

    /// A member without a value.
    pub(super) fn null(&mut self, name: &'static str) {
        self.0.push_str(name);
        self.0.push_str("null,");
    }

    /// An object in this one.
    pub(super) fn object(&mut self, name: &'static str, members: impl FnOnce(&mut Object<'_>)) {
        self.0.push_str(name);
        Object::write(self.0, members);
        self.0.push(',');
    }

    /// A list of texts or objects, each written by `write`; left out when it is empty.
    pub(super) fn list<T>(
        &mut self,
        name: &'static str,
        items: impl IntoIterator<Item = T>,
        write: impl Fn(&mut String, T),
    ) {
        let mut items = items.into_iter().peekable();
        if items.peek().is_none() {
            return;
        }
        self.0.push_str(name);
        self.0.push('[');
        for item in items {
            write(self.0, item);
            self.0.push(',');
        }
        close(self.0, ']');
        self.0.push(',');
    }
}

/// Writes a foreign text of at most `max` characters in one line, in its quotes.
pub(super) fn line(out: &mut String, text: &str, max: usize) {
    out.push('"');
    JsonText(out).line(text, max);
    out.push('"');
}

/// Ends a list or an object: the comma of its last member goes.
fn close(out: &mut String, end: char) {
    if out.ends_with(',') {
        out.pop();
    }
    out.push(end);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value, json};

    use super::*;
    use crate::denial::languages;

    /// Texts with much to escape.
    fn text() -> impl Strategy<Value = String> {
        prop_oneof![
            "[\\x00-\\x20\"\\\\/a\u{7f}\u{e9}\u{2028}\u{10ffff}]{0,12}",
            any::<String>(),
            Just(",".to_owned())
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_is_what_serde_writes(
            texts in prop::collection::vec(text(), 0..4),
            inner in prop::option::of(text()),
            number: u64,
            flag: bool,
        ) {
            let mut out = String::new();
            Object::write(&mut out, |object| {
                object.list(name!("texts"), &texts, |out, text| line(out, text, usize::MAX / 4));
                object.number(name!("number"), number);
                object.flag(name!("flag"), flag);
                object.null(name!("null"));
                object.list(name!("objects"), &texts, |out, text| {
                    Object::write(out, |object| object.text(name!("text"), text));
                });
                object.object(name!("object"), |object| {
                    if let Some(inner) = &inner {
                        object.text(name!("inner"), inner);
                    }
                });
                object.literal(name!("literal"), "ours");
            });
            let one_line = |text: &String| super::super::escape::one_line(text, usize::MAX / 4).into_owned();
            let mut expected = Map::new();
            if !texts.is_empty() {
                expected.insert("texts".into(), texts.iter().map(one_line).collect());
            }
            expected.insert("number".into(), json!(number));
            expected.insert("flag".into(), json!(flag));
            expected.insert("null".into(), Value::Null);
            if !texts.is_empty() {
                expected.insert("objects".into(), texts.iter().map(|text| json!({ "text": text })).collect());
            }
            expected.insert("object".into(), inner.map_or_else(|| json!({}), |inner| json!({ "inner": inner })));
            expected.insert("literal".into(), json!("ours"));
            // `Map` sorts its names, so one member is compared byte by byte, and the whole by its meaning.
            prop_assert_eq!(serde_json::from_str::<Value>(&out).unwrap(), Value::Object(expected));
            for text in &texts {
                let mut out = String::new();
                Object::write(&mut out, |object| object.text(name!("text"), text));
                prop_assert_eq!(out, json!({ "text": text }).to_string());
            }
        }
    }

    #[test]
    fn every_control_is_written_as_serde_writes_it() {
        for char in ('\0'..='\u{9f}').chain(['\u{2028}', '\u{ffff}']) {
            let mut out = String::new();
            Object::write(&mut out, |object| object.text(name!("text"), &char.to_string()));
            assert_eq!(out, json!({ "text": char.to_string() }).to_string(), "{char:?}");
        }
    }

    #[test]
    fn no_text_of_a_language_is_to_be_escaped() {
        for language in languages::ALL.iter() {
            for text in language.texts.all().into_iter().chain([language.texts.space]) {
                assert_eq!(json!(text).to_string(), format!("\"{text}\""), "{}", language.tag);
            }
        }
    }
}
