//! The shipped schema is the one that the loader's own table makes.
#![expect(clippy::expect_used, clippy::panic, reason = "a test that cannot read its own files should stop")]

use std::path::Path;

use expect_test::expect_file;
use portcullis_config::reference::json_schema;

#[test]
fn the_shipped_schema_is_current() {
    let current = serde_json::to_string_pretty(&json_schema()).unwrap() + "\n";
    expect_file![Path::new(env!("CARGO_MANIFEST_DIR")).join("portcullis.schema.json")].assert_eq(&current);
}

/// Every key of a document is a property of the schema.
fn covered(document: &toml::Value, schema: &serde_json::Value, path: &str) {
    let alternatives = schema["anyOf"].as_array().cloned().unwrap_or_else(|| vec![schema.clone()]);
    match document {
        toml::Value::Table(table) => {
            let schema = alternatives.iter().find(|schema| schema["type"] == "object").expect(path);
            for (key, value) in table {
                let inner = schema["properties"].get(key);
                let inner =
                    inner.or_else(|| schema.get("additionalProperties").filter(|more| more.is_object()));
                covered(
                    value,
                    inner.unwrap_or_else(|| panic!("{path}.{key} is no property")),
                    &format!("{path}.{key}"),
                );
            }
        }
        toml::Value::Array(items) => {
            let schema = alternatives.iter().find(|schema| schema["type"] == "array").expect(path);
            for item in items {
                covered(item, &schema["items"], path);
            }
        }
        _ => {}
    }
}

#[test]
fn every_key_that_an_example_uses_is_in_the_schema() {
    let schema = json_schema();
    for folder in ["examples", "examples/policies"] {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                let text = std::fs::read_to_string(&path).unwrap();
                covered(&toml::from_str(&text).unwrap(), &schema, &path.display().to_string());
            }
        }
    }
}
