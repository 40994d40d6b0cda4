//! Every example configuration loads without a word.

use portcullis_config::diagnose::render_text;
use portcullis_config::load::load;

#[test]
fn every_example_loads_without_a_word() {
    let mut seen = 0;
    for entry in std::fs::read_dir("examples").unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        let loaded = load(&path);
        let text = render_text(&loaded.diagnostics, &loaded.sources);
        assert!(text.is_empty(), "{text}");
        assert!(loaded.config.is_some(), "{}", path.display());
        seen += 1;
    }
    assert!(seen > 0);
}

#[test]
fn the_first_example_says_what_it_says() {
    let config = load("examples/first.toml".as_ref()).config.unwrap();
    assert_eq!(config.apps.len(), 1);
    assert_eq!(config.policies.policies.len(), 3);
    assert_eq!(config.policies.strengths.len(), 3);
    assert_eq!(config.policies.apps[0].id, config.apps[0].id);
    assert_eq!(config.apps[0].issuers, [0]);
    assert_eq!(config.issuers[0].claims.user_id, "oid");
    assert_eq!(config.files.len(), 4);
    assert!(config.trusted_proxies.networks.is_empty());
}
