//! Each configuration in `diagnostics/` is told exactly what stands beside it.
//!
//! With `PORTCULLIS_BLESS=1` the expectations are written anew, to be read in the diff.
#![expect(clippy::unwrap_used, reason = "a test that cannot read its own files should stop")]

use std::collections::BTreeSet;
use std::path::PathBuf;

use portcullis_config::Severity;
use portcullis_config::diagnose::{render_json, render_text};
use portcullis_config::load::load;

fn cases() -> Vec<PathBuf> {
    let entries = std::fs::read_dir("tests/diagnostics").unwrap();
    let mut cases: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    cases.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    cases.sort();
    cases
}

#[test]
fn every_problem_is_told_as_written_down() {
    let bless = std::env::var_os("PORTCULLIS_BLESS").is_some();
    let mut failures = String::new();
    for path in cases() {
        let loaded = load(&path);
        let actual = render_text(&loaded.diagnostics, &loaded.sources);
        let expected_path = path.with_extension("expected");
        if bless {
            std::fs::write(&expected_path, &actual).unwrap();
        }
        let expected = std::fs::read_to_string(&expected_path).unwrap_or_default();
        if expected != actual {
            failures += &format!("== {}\n-- expected\n{expected}\n-- actual\n{actual}\n", path.display());
        }
    }
    assert!(failures.is_empty(), "{failures}");
}

#[test]
fn a_configuration_with_an_error_is_never_given_out() {
    for path in cases() {
        let loaded = load(&path);
        let refused = loaded.diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error);
        assert_eq!(loaded.config.is_none(), refused, "{}", path.display());
    }
}

#[test]
fn many_codes_have_an_example_and_json_carries_the_same() {
    let mut codes = BTreeSet::new();
    for path in cases() {
        let loaded = load(&path);
        codes.extend(loaded.diagnostics.iter().map(|diagnostic| diagnostic.code));
        let json = render_json(&loaded.diagnostics, &loaded.sources);
        assert_eq!(json.as_array().unwrap().len(), loaded.diagnostics.len());
        for item in json.as_array().unwrap() {
            assert!(item["line"].as_u64().unwrap() > 0, "{item}");
            assert!(item["end_line"].as_u64() >= item["line"].as_u64(), "{item}");
        }
    }
    assert!(codes.len() >= 30, "{codes:?}");
}
