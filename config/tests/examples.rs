//! Every example configuration loads without a word.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends")]

use std::time::Duration;

use portcullis_config::Config;
use portcullis_config::diagnose::render_text;
use portcullis_config::load::load;
use portcullis_config::settings::{OwnAnswer, Server, Subject, UpstreamHost};

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
    assert_eq!(config.policies.policies.len(), 4);
    assert_eq!(config.policies.strengths.len(), 4);
    assert_eq!(config.policies.apps[0].id, config.apps[0].id);
    assert_eq!(config.apps[0].issuers, [0]);
    assert_eq!(config.issuers[0].claims.user_id, "oid");
    assert_eq!(config.files.len(), 5);
    assert!(config.trusted_proxies.networks.is_empty());
}

#[test]
fn the_example_of_shaping_shows_each_way_to_answer() {
    let config = load("examples/shaping.toml".as_ref()).config.unwrap();
    let app = |id: &str| config.apps.iter().find(|app| app.id == id).unwrap();
    let gitlab = &app("gitlab").shaping;
    assert_eq!(gitlab.prefix_rewrite.as_deref(), Some("/"));
    assert_eq!(gitlab.upstream_host, UpstreamHost::Name("gitlab.internal".to_owned()));
    assert_eq!((gitlab.request.remove.len(), gitlab.response.remove.len()), (1, 2));
    assert_eq!(app("gitlab").openings.paths.len(), 2);
    assert!(matches!(app("old-wiki").shaping.own_answer, Some(OwnAnswer::Redirect { status: 308, .. })));
    assert!(matches!(app("robots").shaping.own_answer, Some(OwnAnswer::Fixed { status: 200, .. })));
    assert_eq!(app("payroll").shaping.maintenance, Some(Duration::from_secs(1_800)));
    assert!(app("apps").has_host("x.apps.example.com") && !app("apps").has_host("x.y.apps.example.com"));
}

/// The README's fenced TOML, each with the file name that stands before it.
fn readme_files() -> Vec<(String, String)> {
    let text = std::fs::read_to_string("../README.md").unwrap();
    let mut files = Vec::new();
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once("```toml\n") {
        let (body, next) = after.split_once("```").unwrap();
        let name = before.trim_end().rsplit('\n').next().unwrap();
        files.push((name.trim_matches(['`', ':']).to_owned(), body.to_owned()));
        rest = next;
    }
    files
}

#[test]
fn the_configuration_in_the_readme_loads_as_it_stands() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("policies")).unwrap();
    for (name, body) in readme_files() {
        std::fs::write(folder.path().join(name), body).unwrap();
    }
    for (file, like) in [("wiki.pem", "chain.pem"), ("wiki.key", "key.pem")] {
        std::fs::copy(format!("tests/complete/{like}"), folder.path().join(file)).unwrap();
    }
    let loaded = load(&folder.path().join("portcullis.toml"));
    // As it stands nothing is enforced yet, and that is said.
    let codes: Vec<&str> = loaded.diagnostics.iter().map(|diagnostic| diagnostic.code).collect();
    assert_eq!(codes, ["app/uncovered"], "{}", render_text(&loaded.diagnostics, &loaded.sources));
    assert_eq!(loaded.config.unwrap().policies.policies.len(), 2);
    let policy = folder.path().join("policies/wiki.toml");
    let text = std::fs::read_to_string(&policy).unwrap();
    std::fs::write(&policy, text.replace("state = \"report-only\"", "state = \"enabled\"")).unwrap();
    let loaded = load(&folder.path().join("portcullis.toml"));
    let text = render_text(&loaded.diagnostics, &loaded.sources);
    assert!(text.is_empty(), "{text}");
}

/// What a process takes only when it starts. `body-max` and the log's `subject` serve at once.
#[test]
fn settings_that_only_a_restart_can_change_are_told_from_those_that_serve_at_once() {
    let config = load("examples/first.toml".as_ref()).config.unwrap();
    let differing = |changed: &Config| changed.restart_values().differing(&config.restart_values());
    let mut changed = config.clone();
    let server = &mut changed.server;
    server.body_bytes_max += 1;
    server.decision_subject = Subject::None;
    server.listeners[0].tls = None;
    server.listeners[0].public_port = Some(443);
    server.client_idle += Duration::from_secs(1);
    server.limits.head_bytes_max += 1;
    assert_eq!(differing(&changed), [""; 0]);
    type Change = fn(&mut Server);
    let changes: [(&str, Change); 6] = [
        ("listeners", |server| server.listeners[0].address.set_port(1)),
        ("limits.connections", |server| server.limits.connections = Some(7)),
        ("pid-file", |server| server.pid_file = "other.pid".into()),
        ("upgrade-socket", |server| server.upgrade_socket = "other.sock".into()),
        ("grace", |server| server.grace += Duration::from_secs(1)),
        ("threads", |server| server.threads = Some(7)),
    ];
    for (key, change) in changes {
        let mut changed = config.clone();
        change(&mut changed.server);
        assert_eq!(differing(&changed), [key]);
    }
}
