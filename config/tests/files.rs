//! How files come together: each is taken in on its own, and what they say is one configuration.
#![expect(clippy::unwrap_used, reason = "a test that cannot write its own files should stop")]

use std::sync::Arc;

use portcullis_config::diagnose::render_text;
use portcullis_config::load::{Loaded, load};

const MAIN: &str = r#"
policies = ["policies/*.toml"]
locations = ["zones.toml"]
[server]
listeners = [{ address = "127.0.0.1:8080" }]
admin = "127.0.0.1:9090"
[[issuer]]
name = "entra"
issuer = "https://issuer.example.com"
audiences = ["wiki"]
keys = { url = "https://issuer.example.com/keys" }
[[app]]
id = "wiki"
hosts = ["wiki.example.com"]
upstreams = ["http://127.0.0.1:3000"]
"#;

fn policy(id: &str, group: &str) -> String {
    format!(
        "[[policy]]\nid = \"{id}\"\nusers = {{ include = [\"group:{group}\"] }}\napps = {{ include = [\"all\"] }}\n\
         grant = {{ controls = [\"strength:two-keys\"] }}\nconditions.locations = {{ include = [\"office\"] }}\n"
    )
}

/// `zones.toml` comes after the policies, by name.
fn loaded(zones: &str) -> Loaded {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("policies")).unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("main.toml", MAIN);
    write("policies/one.toml", &(policy("one", "sales") + &policy("two", "legal")));
    write("policies/three.toml", &policy("three", "sales"));
    write("zones.toml", zones);
    load(&folder.path().join("main.toml"))
}

const OFFICE: &str = "[[location]]\nname = \"office\"\nnetworks = [\"192.0.2.0/24\"]\n";
const TWO_KEYS: &str = "[[strength]]\nname = \"two-keys\"\ncombinations = [[\"hwk\", \"fido\"]]\n";

#[test]
fn what_a_policy_names_may_be_defined_in_a_file_that_comes_later() {
    let Loaded { config, diagnostics, sources, .. } = loaded(&format!("{OFFICE}{TWO_KEYS}"));
    assert!(config.is_some(), "{}", render_text(&diagnostics, &sources));
}

#[test]
fn what_no_file_defines_is_told_at_every_place_that_names_it() {
    for (zones, code) in [(TWO_KEYS, "location/unknown"), (OFFICE, "strength/unknown")] {
        let Loaded { config, diagnostics, .. } = loaded(zones);
        assert!(config.is_none());
        assert_eq!(diagnostics.iter().map(|found| found.code).collect::<Vec<_>>(), [code; 3]);
    }
}

#[test]
fn policies_of_whatever_file_share_what_they_say_alike() {
    let set = loaded(&format!("{OFFICE}{TWO_KEYS}")).config.unwrap().policies;
    let [one, two, three] = &set.policies[..] else { panic!("{set:?}") };
    assert!(Arc::ptr_eq(&one.subjects, &three.subjects) && !Arc::ptr_eq(&one.subjects, &two.subjects));
    assert!(Arc::ptr_eq(&one.targets, &two.targets) && Arc::ptr_eq(&one.conditions, &three.conditions));
    assert_ne!(one.subjects, two.subjects);
}
