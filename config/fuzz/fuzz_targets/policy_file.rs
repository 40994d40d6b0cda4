//! No policy file makes loading panic, and whatever is wrong with it can be shown.
#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use portcullis_config::diagnose::{render_json, render_text};
use portcullis_config::{Severity, load};

/// A folder with a main file that includes `own.toml`.
static FOLDER: LazyLock<(tempfile::TempDir, PathBuf)> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a folder");
    let example = include_str!("../../examples/first.toml");
    let main = folder.path().join("main.toml");
    std::fs::write(&main, example.replace("policies/*.toml", "own.toml")).expect("a main file");
    (folder, main)
});

fuzz_target!(|text: &str| {
    let (folder, main) = &*FOLDER;
    std::fs::write(folder.path().join("own.toml"), text).expect("a policy file");
    let loaded = load(main);
    let refused = loaded.diagnostics.iter().any(|one| one.severity == Severity::Error);
    assert_eq!(loaded.config.is_none(), refused);
    let _ = render_text(&loaded.diagnostics, &loaded.sources);
    let _ = render_json(&loaded.diagnostics, &loaded.sources);
});
