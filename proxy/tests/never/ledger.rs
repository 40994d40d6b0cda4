//! The ledger is whole: no row without a test or a reason, and no test that the ledger does not know.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

const LEDGER: &str = include_str!("ledger.txt");
/// Rows of the project's page of public failures, `N01` and on.
const ROWS: usize = 89;
/// Rows that cannot apply may not grow unseen.
const WITHOUT_TEST: usize = 5;

/// Each row with its tests, or with none and a reason.
fn rows() -> BTreeMap<&'static str, Vec<&'static str>> {
    let mut rows: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for line in LEDGER.lines().filter(|line| !line.starts_with('#')) {
        let (row, entry) = line.split_once(' ').unwrap_or_else(|| panic!("no entry: {line}"));
        let tests = rows.entry(row).or_default();
        match entry.strip_prefix("none: ") {
            Some(reason) => {
                assert!(reason.len() > 20 && tests.is_empty(), "no reason, or one beside tests: {line}")
            }
            None => tests.push(entry),
        }
    }
    rows
}

/// Every `#[test]` of this folder that bears a row's number.
fn tests() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/never");
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        for part in text.split("#[test]\nfn ").skip(1) {
            let name = part.split('(').next().unwrap();
            if name.starts_with("never_") {
                found.push(name.to_owned());
            }
        }
    }
    found.sort();
    found
}

#[test]
fn every_row_has_a_test_or_a_reason_and_every_test_a_row() {
    let rows = rows();
    let ids: Vec<String> = (1..=ROWS).map(|number| format!("N{number:02}")).collect();
    assert_eq!(rows.keys().copied().collect::<Vec<_>>(), ids);
    assert_eq!(rows.values().filter(|tests| tests.is_empty()).count(), WITHOUT_TEST);
    let mut listed: Vec<&str> = rows.values().flatten().copied().collect();
    listed.sort_unstable();
    assert_eq!(listed, tests(), "ledger.txt and the tests in the sources");
    for (row, tests) in &rows {
        for test in tests {
            assert!(test.starts_with(&format!("never_{}_", row.to_lowercase())), "{row}: {test}");
        }
    }
}

#[test]
fn the_rows_are_those_of_the_page() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/design/never.md");
    let Ok(text) = fs::read_to_string(&page) else {
        eprintln!("skipped: {} is not here", page.display());
        return;
    };
    let of_page: Vec<&str> =
        text.lines().filter_map(|line| line.strip_prefix("| N")?.split(' ').next()).collect();
    let ours: Vec<&str> = rows().into_keys().map(|row| &row[1..]).collect();
    assert_eq!(of_page, ours);
}
