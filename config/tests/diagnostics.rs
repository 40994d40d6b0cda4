//! Each configuration in `diagnostics/`, and each question in `questions/`, is answered with exactly the problems that
//! stand beside it. Each diagnostic code has such a pair.
#![expect(clippy::unwrap_used, reason = "a test that cannot read its own files should stop")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use expect_test::expect_file;
use portcullis_config::ask::Asking;
use portcullis_config::diagnose::{render_json, render_text};
use portcullis_config::load::load;
use portcullis_config::{Diagnostic, Severity, Sources, ask};

/// Codes without a pair, each with the reason.
const WITHOUT_PAIR: [(&str, &str); 3] = [
    ("config/incomplete", "a mistake in this crate alone makes it"),
    ("file/too-large", "8 MiB; `robust` makes such a file"),
    ("include/too-many", "10,000 files; `too_many_files_are_refused` makes them"),
];

/// The files of a folder that are no expectations.
fn cases(folder: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut cases: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    cases.retain(|path| path.extension().is_some_and(|found| found == "toml" || found == "json"));
    cases.sort();
    cases
}

/// What each case is answered with.
fn answers() -> Vec<(PathBuf, Vec<Diagnostic>, Sources)> {
    let mut answers = Vec::new();
    for path in cases("tests/diagnostics") {
        let loaded = load(&path);
        answers.push((path, loaded.diagnostics, loaded.sources));
    }
    let config = load(Path::new("tests/questions/configuration/main.toml")).config.unwrap();
    let asking = Asking { config: &config, now: 1_800_000_000, is_received: |_, _| true };
    for path in cases("tests/questions") {
        let text = std::fs::read_to_string(&path).unwrap();
        let (diagnostics, sources) = if text.starts_with("[[case]]") {
            let read = ask::cases(asking, &path, text);
            (read.diagnostics, read.sources)
        } else {
            let read = ask::request(asking, Some((&path, text)), String::new());
            (read.diagnostics, read.sources)
        };
        answers.push((path, diagnostics, sources));
    }
    answers
}

#[test]
fn every_problem_is_told_as_written_down() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (path, diagnostics, sources) in answers() {
        expect_file![root.join(path.with_extension("expected"))]
            .assert_eq(&render_text(&diagnostics, &sources));
    }
}

#[test]
fn a_configuration_with_an_error_is_never_given_out() {
    for path in cases("tests/diagnostics") {
        let loaded = load(&path);
        let refused = loaded.diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error);
        assert_eq!(loaded.config.is_none(), refused, "{}", path.display());
    }
}

#[test]
fn every_problem_says_how_to_mend_it_and_json_carries_the_same() {
    for (path, diagnostics, sources) in answers() {
        assert!(!diagnostics.is_empty(), "{}", path.display());
        let helpless: Vec<_> = diagnostics.iter().filter(|diagnostic| diagnostic.help.is_none()).collect();
        assert!(helpless.is_empty(), "{}: {helpless:#?}", path.display());
        let json = render_json(&diagnostics, &sources);
        assert_eq!(json.as_array().unwrap().len(), diagnostics.len());
        for item in json.as_array().unwrap() {
            assert!(item["line"].as_u64().unwrap() > 0, "{item}");
            assert!(item["end_line"].as_u64() >= item["line"].as_u64(), "{item}");
        }
    }
}

/// Every code that stands in the sources: the text after the name of what takes one.
fn codes_in(folder: &Path, codes: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            codes_in(&path, codes);
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        // Tests come last in a file.
        let text = text.split("#[cfg(test)]").next().unwrap_or_default();
        let is_name = |part: &str| {
            let mut letters = part.bytes();
            letters.next().is_some_and(|byte| byte.is_ascii_lowercase())
                && letters.all(|byte| byte.is_ascii_lowercase() || byte == b'-')
        };
        codes.extend(
            text.split('"')
                .filter(|word| {
                    word.split_once('/').is_some_and(|(one, other)| is_name(one) && is_name(other))
                })
                .map(ToOwned::to_owned),
        );
    }
}

#[test]
fn every_code_has_a_pair_and_every_pair_its_code() {
    let mut codes = BTreeSet::new();
    codes_in(Path::new("src"), &mut codes);
    let pairs: BTreeMap<String, BTreeSet<&str>> = answers()
        .into_iter()
        .map(|(path, diagnostics, _)| {
            let found = diagnostics.iter().map(|diagnostic| diagnostic.code).collect();
            (path.file_stem().unwrap().to_string_lossy().into_owned(), found)
        })
        .collect();
    let mut problems = Vec::new();
    for code in &codes {
        let has_pair = pairs.get(&code.replace('/', "-")).is_some_and(|found| found.contains(code.as_str()));
        if !has_pair && !WITHOUT_PAIR.iter().any(|(known, _)| known == code) {
            problems.push(format!("{code}: no pair of this name has it"));
        }
    }
    for (name, found) in &pairs {
        // What follows the code in a name says which case of it the pair is about.
        if !found.iter().any(|code| name.starts_with(&code.replace('/', "-"))) {
            problems.push(format!("{name}: the code that it is named after does not occur: {found:?}"));
        }
    }
    assert!(problems.is_empty(), "{problems:#?}");
}

#[test]
fn too_many_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("policies")).unwrap();
    for number in 0..=10_000 {
        std::fs::write(folder.path().join(format!("policies/{number}.toml")), "").unwrap();
    }
    let main = folder.path().join("portcullis.toml");
    std::fs::write(&main, "policies = [\"policies/*.toml\"]").unwrap();
    let loaded = load(&main);
    assert!(loaded.config.is_none());
    assert!(loaded.diagnostics.iter().any(|diagnostic| diagnostic.code == "include/too-many"));
}
