//! `portcullis import` as an administrator runs it.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

fn portcullis(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_portcullis")).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn what_import_writes_passes_check_and_every_property_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let (out, report) = (path("out"), path("report.json"));
    let exports = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/tests/import");
    let exports = exports.to_string_lossy().into_owned();
    let done = portcullis(&["import", "entra", &exports, "--out", &out, "--report", &report]);
    let output = text(&done.stdout);
    assert!(done.status.success(), "{output}\n{}", text(&done.stderr));
    assert!(output.contains("refused") && output.contains("written to"), "{output}");
    assert!(output.contains("controls that no token of Entra proves by itself"), "{output}");

    let main = format!("{out}/portcullis.toml");
    // What is still to be filled in is reported, and nothing else is wrong; the policies can be looked at before.
    let checked = portcullis(&["check", "--config", &main]);
    let output = text(&checked.stderr);
    assert!(!checked.status.success() && output.matches("error[").count() == 1, "{output}");
    assert!(output.contains("error[geo/unreadable]: there is no country database"), "{output}");
    for ask in [
        &["analyze", "--config", &main][..],
        &[
            "what-if",
            "--config",
            &main,
            "--user",
            "a",
            "--app",
            "00000002-0000-0ff1-ce00-000000000000",
            "--country",
            "NL",
        ],
    ] {
        let asked = portcullis(ask);
        assert!(asked.status.success(), "{ask:?}: {}{}", text(&asked.stdout), text(&asked.stderr));
    }
    let database = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/GeoIP2-Country-Test.mmdb");
    std::fs::copy(database, format!("{out}/country.mmdb")).unwrap();
    let checked = portcullis(&["check", "--config", &main]);
    assert!(checked.status.success(), "{}", text(&checked.stderr));
    assert!(text(&checked.stdout).contains("configuration is valid"));

    let report: Value = serde_json::from_slice(&std::fs::read(&report).unwrap()).unwrap();
    let policies = report["policies"].as_array().unwrap();
    assert_eq!(policies.len(), 14, "{report:#}");
    for policy in policies {
        assert!(!policy["properties"].as_array().unwrap().is_empty(), "{policy:#}");
        let file = format!("{out}/policies/{}.toml", policy["id"].as_str().unwrap());
        let state = format!("state = \"{}\"", policy["state"].as_str().unwrap());
        assert!(std::fs::read_to_string(file).unwrap().contains(&state), "{policy:#}");
    }

    let again = portcullis(&["import", "entra", &exports, "--out", &out]);
    assert_eq!(again.status.code(), Some(1));
    assert!(text(&again.stderr).contains("not empty"), "{}", text(&again.stderr));
}

#[test]
fn an_import_from_which_something_is_missing_says_so_by_its_status() {
    let folder = tempfile::tempdir().unwrap();
    let broken = folder.path().join("broken.json");
    std::fs::write(&broken, "{").unwrap();
    let out = folder.path().join("out");
    let sound = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/tests/import/allowed-countries.json");
    std::fs::copy(sound, folder.path().join("sound.json")).unwrap();
    let exports = folder.path().to_string_lossy();
    let done = portcullis(&["import", "entra", &exports, "--out", &out.to_string_lossy()]);
    assert_eq!(done.status.code(), Some(1));
    assert!(text(&done.stdout).contains("broken.json"), "{}", text(&done.stdout));
    // The rest was written all the same.
    assert!(out.join("portcullis.toml").is_file());
}

#[test]
fn an_import_that_finds_nothing_writes_nothing_so_that_the_next_attempt_can() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let done = portcullis(&["import", "entra", &path("exports"), "--out", &path("out")]);
    assert_eq!(done.status.code(), Some(1));
    assert!(text(&done.stdout).contains("nothing was written"), "{}", text(&done.stdout));
    assert!(!folder.path().join("out").exists());
}

#[test]
fn the_example_of_an_export_is_imported_whole() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("imported");
    let exports = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/examples/entra");
    let done = portcullis(&["import", "entra", exports.to_str().unwrap(), "--out", out.to_str().unwrap()]);
    let output = text(&done.stdout);
    assert!(done.status.success(), "{output}\n{}", text(&done.stderr));
    assert!(output.contains("4 policies (2 enabled, 2 report-only, 0 disabled)"), "{output}");
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let readme = std::fs::read_to_string(readme).unwrap();
    assert!(readme.contains("portcullis import entra config/examples/entra"), "README tries this export");
}
