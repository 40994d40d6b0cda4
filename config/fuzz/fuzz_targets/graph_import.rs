//! Whatever an export holds: no panic, every leaf of a policy in the report exactly once, nothing
//! enforced of which a part was refused unless it is stricter and says so, and what comes out loads.
#![no_main]

use std::collections::BTreeSet;

use libfuzzer_sys::fuzz_target;
use portcullis_config::import::entra::{Importer, Outcome, read};
use portcullis_config::load;
use serde_json::Value;

fn leaves(value: &Value) -> usize {
    match value {
        Value::Array(items) if !items.is_empty() => items.iter().map(leaves).sum(),
        Value::Object(entries) if !entries.is_empty() => entries.values().map(leaves).sum(),
        _ => 1,
    }
}

fuzz_target!(|data: &[u8]| {
    let mut importer = Importer::new(false);
    importer.add("fuzz.json", data);
    let import = importer.finish();
    for item in &import.report.policies {
        let paths: BTreeSet<&str> = item.properties.iter().map(|property| property.path.as_str()).collect();
        assert_eq!(paths.len(), item.properties.len());
        let refused = item.properties.iter().any(|property| property.outcome == Outcome::Refused);
        let stricter =
            import.files[&format!("policies/{}.toml", item.id)].contains("# STRICTER THAN IN ENTRA");
        assert!(!refused || item.state == "disabled" || stricter);
        assert!(item.properties.iter().all(|property| property.note != "not accounted for"));
    }
    let document = serde_json::from_slice::<Value>(data);
    if let (Ok(document @ Value::Object(_)), [item], []) =
        (document, import.report.policies.as_slice(), import.report.errors.as_slice())
        && item.place.is_empty()
    {
        assert_eq!(item.properties.len(), leaves(&document));
    }
    let folder = tempfile::tempdir().unwrap();
    read::write(&import, folder.path()).unwrap();
    let loaded = load(&folder.path().join("portcullis.toml"));
    assert!(loaded.config.is_some(), "{:?}\n{:#?}", loaded.diagnostics, import.files);
});
