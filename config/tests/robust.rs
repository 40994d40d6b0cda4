//! Whatever a file holds, loading ends with diagnoses, never with a crash.
#![expect(clippy::unwrap_used, reason = "a test that cannot read its own files should stop")]

use std::path::Path;

use portcullis_config::Severity;
use portcullis_config::diagnose::{render_json, render_text};
use portcullis_config::load::load;
use proptest::prelude::{ProptestConfig, any, proptest};

const EXAMPLE: &str = include_str!("../examples/first.toml");

/// Loads `text` as a main file and renders what comes of it.
fn check(folder: &Path, text: &[u8]) {
    let path = folder.join("main.toml");
    std::fs::write(&path, text).unwrap();
    let loaded = load(&path);
    let refused = loaded.diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error);
    assert_eq!(loaded.config.is_none(), refused);
    let _ = render_text(&loaded.diagnostics, &loaded.sources);
    let _ = render_json(&loaded.diagnostics, &loaded.sources);
}

#[test]
fn a_truncated_file_is_diagnosed() {
    let folder = tempfile::tempdir().unwrap();
    let text = EXAMPLE.replace("policies = [\"policies/*.toml\"]\n", "");
    for end in 0..=text.len() {
        check(folder.path(), &text.as_bytes()[..end]);
    }
}

#[test]
fn a_value_of_any_other_type_is_diagnosed_or_taken() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!("{EXAMPLE}\n{}", include_str!("../examples/policies/admin.toml"));
    let text = text.replace("policies = [\"policies/*.toml\"]\n", "");
    let lines: Vec<&str> = text.lines().collect();
    for (at, line) in lines.iter().enumerate() {
        let Some((key, _)) = line.split_once(" = ") else { continue };
        for value in
            ["1", "\"\"", "\"\\u0000\\u202e\"", "[]", "{}", "[[]]", "[{}]", "1979-05-27", "nan", "true"]
        {
            let mut changed = lines.clone();
            let new = format!("{key} = {value}");
            changed[at] = &new;
            check(folder.path(), changed.join("\n").as_bytes());
        }
    }
}

#[test]
fn a_deeply_nested_file_does_not_exhaust_the_stack() {
    let folder = tempfile::tempdir().unwrap();
    check(folder.path(), format!("a = {}", "[".repeat(100_000)).as_bytes());
    check(folder.path(), format!("{}x = 1", "a.".repeat(100_000)).as_bytes());
    check(folder.path(), format!("[{}x]", "a.".repeat(100_000)).as_bytes());
    check(folder.path(), format!("a = {}", "{b=".repeat(100_000)).as_bytes());
}

#[test]
fn a_file_that_is_too_large_or_no_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    check(folder.path(), " ".repeat((8 << 20) + 1).as_bytes());
    assert!(load(folder.path()).config.is_none());
    assert!(load(&folder.path().join("absent.toml")).config.is_none());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn arbitrary_changes_never_crash(at in any::<proptest::sample::Index>(), bytes in proptest::collection::vec(any::<u8>(), 0..8)) {
        let folder = tempfile::tempdir().unwrap();
        let mut text = EXAMPLE.replace("policies = [\"policies/*.toml\"]\n", "").into_bytes();
        let at = at.index(text.len());
        let end = (at + bytes.len()).min(text.len());
        text.splice(at..end, bytes);
        let path = folder.path().join("main.toml");
        std::fs::write(&path, &text).unwrap();
        let loaded = load(&path);
        let _ = render_text(&loaded.diagnostics, &loaded.sources);
    }
}
