//! The format's description for editors, made of the table that also checks files.

use serde_json::{Map, Value, json};

use crate::schema::tables::MAIN;
use crate::schema::{Form, Literal, Need, Shape, Table};

/// The JSON Schema (draft 2020-12) of the main file. Included files hold a part of it: `location`,
/// `strength` and `policy`.
#[must_use]
pub fn json_schema() -> Value {
    let mut schema = table(&MAIN);
    if let Value::Object(object) = &mut schema {
        object.insert("$schema".into(), "https://json-schema.org/draft/2020-12/schema".into());
        object.insert("title".into(), "Portcullis configuration".into());
    }
    schema
}

fn table(table: &Table) -> Value {
    let mut properties = Map::new();
    for key in table.keys {
        let mut property = shape(&key.shape);
        if let Value::Object(object) = &mut property {
            object.insert("description".into(), key.doc.into());
            if let Need::Default(default) = key.need {
                object.insert("default".into(), literal(default));
            }
        }
        properties.insert(key.name.to_owned(), property);
    }
    let required = table.keys.iter().filter(|key| key.need == Need::Required).map(|key| key.name);
    let required: Vec<&str> = required.collect();
    json!({ "type": "object", "additionalProperties": false, "properties": properties, "required": required })
}

fn literal(default: Literal) -> Value {
    match default {
        Literal::Text(text) => text.into(),
        Literal::Texts(texts) => texts.into(),
        Literal::Bool(flag) => flag.into(),
        Literal::Integer(integer) => integer.into(),
    }
}

fn shape(shape: &Shape) -> Value {
    match shape {
        Shape::Text(form) => match pattern(*form) {
            Some(pattern) => json!({ "type": "string", "pattern": pattern }),
            None => json!({ "type": "string" }),
        },
        Shape::Word(words) => json!({ "type": "string", "enum": words }),
        Shape::Bool => json!({ "type": "boolean" }),
        Shape::Integer { min, max } => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Shape::List(item) => json!({ "type": "array", "items": self::shape(item) }),
        Shape::Table(inner) => table(inner),
        Shape::Map(inner) => json!({ "type": "object", "additionalProperties": self::shape(inner) }),
        Shape::Either(shapes) => json!({ "anyOf": shapes.iter().map(self::shape).collect::<Vec<_>>() }),
        Shape::Number => json!({ "type": "number" }),
        // A TOML date has no type in JSON; editors show it as a string.
        Shape::Date => json!({ "type": "string" }),
    }
}

/// What an editor can check of a string; the loader checks more.
const fn pattern(form: Form) -> Option<&'static str> {
    match form {
        Form::Duration => Some("^[0-9]+(ms|s|m|h|d)$"),
        Form::Size => Some("^[0-9]+(B|KiB|MiB|GiB)$"),
        Form::Rate => Some("^[0-9]+/(s|m|h)( burst [0-9]+)?$"),
        Form::ByteRate => Some("^[0-9]+(B|KiB|MiB|GiB)/s$"),
        Form::Country => Some("^[A-Za-z]{2}$"),
        Form::Id => Some("^[a-z0-9][a-z0-9-]{0,63}$"),
        Form::PathPattern => Some("^/"),
        Form::Context => Some("^c[1-9][0-9]?$"),
        Form::Colour => Some("^#[0-9A-Fa-f]{6}$"),
        Form::Plain
        | Form::Path
        | Form::Glob
        | Form::Url
        | Form::SocketAddress
        | Form::Network
        | Form::Rule
        | Form::Host
        | Form::Selector
        | Form::Date
        | Form::Window
        | Form::Zone
        | Form::Control
        | Form::Identity => None,
    }
}
