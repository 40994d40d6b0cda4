//! The ledger is whole: no row without a test or a reason, and no test that the ledger does not know.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

const LEDGER: &str = include_str!("ledger.txt");
/// Rows of the project's page of public failures, `N01` and on.
const ROWS: u16 = 108;
/// Rows that cannot apply may not grow unseen.
const WITHOUT_TEST: usize = 4;

/// What the ledger says of a row.
#[derive(Debug, Default)]
struct Row {
    tests: Vec<&'static str>,
    /// It cannot apply.
    none: bool,
    /// Some of it, or all, is still to be mended; the tests hold the rest.
    open: bool,
}

/// Each row by its number.
fn rows() -> BTreeMap<u16, Row> {
    let mut rows: BTreeMap<u16, Row> = BTreeMap::new();
    for line in LEDGER.lines().filter(|line| !line.starts_with('#')) {
        let (number, entry) = line.split_once(' ').unwrap_or_else(|| panic!("no entry: {line}"));
        let number = number.strip_prefix('N').and_then(|number| number.parse().ok());
        let row = rows.entry(number.unwrap_or_else(|| panic!("no number: {line}"))).or_default();
        if let Some(reason) = entry.strip_prefix("none: ") {
            assert!(reason.len() > 20, "no reason: {line}");
            row.none = true;
        } else if let Some(rest) = entry.strip_prefix("open: ") {
            assert!(rest.len() > 20, "it does not say what is open: {line}");
            row.open = true;
        } else {
            row.tests.push(entry);
        }
        assert!(!row.none || (row.tests.is_empty() && !row.open), "a reason beside tests: {line}");
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
fn every_row_has_a_test_or_a_reason_or_is_open_and_every_test_a_row() {
    let rows = rows();
    assert_eq!(rows.keys().copied().collect::<Vec<_>>(), (1..=ROWS).collect::<Vec<_>>());
    assert_eq!(rows.values().filter(|row| row.none).count(), WITHOUT_TEST);
    let mut listed: Vec<&str> = rows.values().flat_map(|row| &row.tests).copied().collect();
    listed.sort_unstable();
    assert_eq!(listed, tests(), "ledger.txt and the tests in the sources");
    for (number, row) in &rows {
        for test in &row.tests {
            assert!(test.starts_with(&format!("never_n{number:02}_")), "N{number:02}: {test}");
        }
    }
}
