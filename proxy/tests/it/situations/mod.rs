//! The situations in which people are refused, each as they meet it: a configuration as somebody would write it, a token
//! that is signed, the real binary. Each test says what the page and its twin for programs tell, and what neither may.

mod answers;
mod devices;
mod hostile;
mod people;
mod places;
mod risk;
mod said;
mod site;

use std::collections::BTreeSet;
use std::fs;

/// How many there are.
const SITUATIONS: usize = 24;

/// Where a situation is a matter of a tool, or of one besides what is said here.
const OF_TOOLS: [(usize, &str, &str); 6] = [
    (12, "check.rs", "a_link_of_the_denial_that_leads_behind_the_rule_it_is_the_way_out_of_is_warned_of"),
    (14, "help_desk.rs", "the_wrong_group_an_edited_rule_and_a_rule_that_locks_everybody_out_are_each_named"),
    (16, "help_desk.rs", "page_header_log_and_account_have_one_id"),
    (21, "help_desk.rs", "the_wrong_group_an_edited_rule_and_a_rule_that_locks_everybody_out_are_each_named"),
    (22, "help_desk.rs", "the_wrong_group_an_edited_rule_and_a_rule_that_locks_everybody_out_are_each_named"),
    (16, "denial.rs", "a_request_id_is_explained_from_the_log_with_the_policies_of_today"),
];

/// The tests' own files.
const FILES: [&str; 4] = [
    include_str!("answers.rs"),
    include_str!("devices.rs"),
    include_str!("people.rs"),
    include_str!("places.rs"),
];

#[test]
fn every_situation_has_a_test() {
    let mut found = BTreeSet::new();
    for text in FILES {
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            let Some(rest) = line.strip_prefix("/// Situation ") else { continue };
            let number: usize = rest.split(':').next().unwrap().parse().unwrap();
            let next = lines.by_ref().find(|line| !line.starts_with("///")).unwrap();
            assert_eq!(next, "#[test]", "situation {number} is no test");
            assert!(found.insert(number), "situation {number} is there twice");
        }
    }
    for (number, file, test) in OF_TOOLS {
        let path = format!("{}/tests/it/{file}", env!("CARGO_MANIFEST_DIR"));
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        assert!(text.contains(&format!("\nfn {test}(")), "{file} has no test `{test}`");
        found.insert(number);
    }
    assert_eq!(found, (1..=SITUATIONS).collect());
}
