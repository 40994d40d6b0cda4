//! Walls between rooms and the small order of the house, as an ordinary test.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test that cannot go on ends"
)]

mod graph;
mod imports;
mod traps;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if !path.ends_with("target") {
                sources(&path, found);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn all_sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in ["policy", "config", "proxy", "load-tests"] {
        sources(&root().join(folder), &mut found);
    }
    assert!(found.len() > 30);
    found
}

/// What a package is built from, a line for each.
fn cargo_tree(arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO"));
    let done =
        command.args(["tree", "--prefix", "none"]).args(arguments).current_dir(root()).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

fn complain(problems: &[String]) {
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

#[test]
fn every_module_says_in_its_first_line_why_it_exists() {
    let silent =
        all_sources().into_iter().filter(|path| !fs::read_to_string(path).unwrap().starts_with("//!"));
    let problems: Vec<_> = silent
        .map(|path| format!("{}:1: begins without `//!`; say why the room exists", path.display()))
        .collect();
    complain(&problems);
}

#[test]
fn the_policy_crate_links_what_its_list_says_and_nothing_else() {
    let text = cargo_tree(&["-p", "portcullis-policy", "-e", "normal", "--format", "{p}"]);
    let mut linked: Vec<&str> = text.lines().filter_map(|line| line.split(' ').next()).collect();
    linked.sort_unstable();
    linked.dedup();
    let listed = fs::read_to_string(root().join("policy/dependencies.txt")).unwrap();
    assert_eq!(
        linked.join("\n"),
        listed.trim(),
        "mend policy/Cargo.toml, or argue and change policy/dependencies.txt"
    );
}

/// Cargo unites the features that two packages ask for: Portcullis built beside load-tests must be the one that is built alone.
#[test]
fn what_is_measured_is_what_is_shipped() {
    let features = |packages: &[&str]| {
        let asked = ["-e", "normal,build", "--no-dedupe", "--format", "{p} [{f}]"];
        cargo_tree(&[&asked, packages].concat()).lines().map(str::to_owned).collect::<BTreeSet<_>>()
    };
    let measured = features(&["-p", "portcullis", "-p", "portcullis-load-tests"]);
    let other: Vec<String> = features(&["-p", "portcullis"])
        .difference(&measured)
        .map(|one| format!("{one}: load-tests add a feature; ask for it in the workspace's Cargo.toml"))
        .collect();
    complain(&other);
}

#[test]
fn the_direction_of_imports_holds() {
    let manifest = |name: &str| fs::read_to_string(root().join(name).join("Cargo.toml")).unwrap();
    for banned in ["portcullis-config", "serde", "tracing", "tokio", "pingora"] {
        assert!(!manifest("policy").contains(&format!("\n{banned}")), "policy must not depend on {banned}");
    }
    let config = manifest("config");
    for banned in ["tokio", "pingora", "portcullis.workspace"] {
        assert!(!config.contains(&format!("\n{banned}")), "config must not depend on {banned}");
    }
    assert!(
        !manifest("load-tests").contains("portcullis-policy"),
        "load-tests knows the binary as a process only"
    );
}

#[test]
fn every_ignored_test_says_why() {
    let marker = concat!("#[", "ignore]");
    let bare = all_sources().into_iter().filter(|path| fs::read_to_string(path).unwrap().contains(marker));
    complain(
        &bare.map(|path| format!("{}: a bare {marker}; give the reason", path.display())).collect::<Vec<_>>(),
    );
}

#[test]
fn the_page_has_the_table_of_metrics_that_the_code_makes() {
    let path = root().join("proxy/README.md");
    let page = fs::read_to_string(&path).unwrap();
    let (begin, end) = ("<!-- metrics: made by the code -->\n", "<!-- metrics end -->\n");
    let (before, rest) = page.split_once(begin).unwrap();
    let (_, after) = rest.split_once(end).unwrap();
    let made = portcullis::record::names::table();
    expect_test::expect_file![path].assert_eq(&format!("{before}{begin}{made}{end}{after}"));
}
