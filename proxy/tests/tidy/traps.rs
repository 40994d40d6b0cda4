//! The ledger of the traps of signing in names tests that there are.

use std::fs;

use super::{complain, root};

#[test]
fn every_line_about_a_trap_of_signing_in_names_a_test_that_there_is() {
    let ledger = fs::read_to_string(root().join("proxy/tests/sign-in/traps.txt")).unwrap();
    let lines: Vec<&str> = ledger.lines().filter(|line| !line.starts_with('#')).collect();
    assert!(lines.len() > 20, "{ledger}");
    let mut problems = Vec::new();
    for line in lines {
        let words: Vec<&str> = line.split(' ').collect();
        let &[number, test, file] = words.as_slice() else { panic!("{line}") };
        assert!(number.parse::<u8>().is_ok_and(|number| (1..=34).contains(&number)), "{line}");
        let text = fs::read_to_string(root().join(file)).unwrap_or_default();
        if !text.contains(&format!("fn {test}(")) {
            problems.push(format!("{file} has no test `{test}`"));
        }
    }
    complain(&problems);
}
