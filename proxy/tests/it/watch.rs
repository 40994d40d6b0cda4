//! What a scrape and the decision log report of real requests.

use std::collections::BTreeSet;
use std::fs;

use crate::free::free_address;
use crate::running::Running;

fn series(running: &Running) -> BTreeSet<String> {
    let text = running.admin_get("/metrics").body;
    let names = text.lines().filter(|line| !line.starts_with('#'));
    names.map(|line| line.rsplit_once(' ').unwrap().0.to_owned()).collect()
}

/// Bytes that look random and are the same on every run.
fn words(seed: &mut u64) -> String {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    format!("{seed:016x}")
}

#[test]
fn nothing_that_a_client_sends_becomes_a_series() {
    let running = Running::start();
    for name in ["allowed", "blocked-location", "blocked-device"] {
        running.ask(name, "/", "");
    }
    let before = series(&running);
    let mut seed = 0x9E37_79B9_7F4A_7C15;
    let mut tried = BTreeSet::new();
    for round in 0..1_000 {
        let [method, path, host, token, header] = [0; 5].map(|_| words(&mut seed));
        let host = if round % 3 == 0 { format!("{host}.test") } else { running.app_host.clone() };
        let method = if round % 5 == 0 { method.to_uppercase() } else { "GET".to_owned() };
        let address = format!("203.0.113.{}", round % 256);
        let head = format!(
            "{method} /{path}?{token} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nUser-Agent: {header}\r\nX-{header}: {token}\r\nX-Forwarded-For: {address}\r\nConnection: close\r\n\r\n"
        );
        tried.insert(running.raw(head.as_bytes()).status);
    }
    assert!(tried.is_superset(&BTreeSet::from([400, 401])), "{tried:?}");
    let after = series(&running);
    assert_eq!(before, after, "{:?}", before.symmetric_difference(&after).collect::<Vec<_>>());
}

#[test]
fn a_scraper_that_asks_for_openmetrics_gets_the_request_behind_a_refusal() {
    let running = Running::start();
    let refused = running.ask("blocked-location", "/", "Accept: application/json\r\n");
    let id = refused.header("x-request-id").unwrap();
    running.wait_for("the refusal to be counted", |running| {
        running.metric(r#"portcullis_requests_total{app="wiki",outcome="denied"}"#) >= 1.0
    });
    let page = running.admin_get_with("/metrics", "Accept: application/openmetrics-text;version=1.0.0\r\n");
    assert!(page.header("content-type").unwrap().starts_with("application/openmetrics-text"));
    let line = page.body.lines().find(|line| {
        line.starts_with(r#"portcullis_refusals_total{app="wiki",reason="blocked-location",code="53003"} 1 "#)
    });
    assert!(line.is_some_and(|line| line.contains(id)), "{line:?} {id}");
    assert!(page.body.ends_with("# EOF\n"));
    let plain = running.admin_get("/metrics");
    assert!(plain.header("content-type").unwrap().starts_with("text/plain; version=0.0.4"));
    assert!(!plain.body.contains(id));
}

#[test]
fn requests_to_the_app_and_remembered_tokens_are_counted() {
    let running = Running::start();
    for _ in 0..3 {
        assert_eq!(running.ask("allowed", "/", "").status, 200);
    }
    running.wait_for("three answers of the app", |running| {
        running.metric(r#"portcullis_upstream_responses_total{app="wiki",status="2xx"}"#) == 3.0
    });
    assert_eq!(running.metric(r#"portcullis_token_cache_lookups_total{result="miss"}"#), 1.0);
    assert_eq!(running.metric(r#"portcullis_token_cache_lookups_total{result="hit"}"#), 2.0);
    let connections = ["new", "reused"].map(|kind| {
        running.metric(&format!("portcullis_upstream_connections_total{{app=\"wiki\",kind=\"{kind}\"}}"))
    });
    assert_eq!(connections.iter().sum::<f64>(), 3.0, "{connections:?}");
    assert_eq!(running.metric(r#"portcullis_upstream_response_duration_seconds_count{app="wiki"}"#), 3.0);
    running.wait_for("nothing to be in flight", |running| {
        running.metric("portcullis_requests_in_flight") == 0.0
    });
    assert_eq!(running.metric("portcullis_requests_unfinished_total"), 0.0);
}

#[test]
fn an_app_that_does_not_answer_shows_as_the_app_and_not_as_a_policy() {
    let running = Running::start();
    let main = running.file("portcullis.toml");
    let text = fs::read_to_string(&main).unwrap();
    let gone = free_address();
    let line = text.lines().find(|line| line.starts_with("upstreams = ")).unwrap();
    fs::write(&main, text.replace(line, &format!("upstreams = [\"http://{gone}\"]"))).unwrap();
    running.wait_for("the app to be gone", |running| running.ask("allowed", "/", "").status == 502);
    running.wait_for("the failure to be counted", |running| {
        running.metric(r#"portcullis_upstream_failures_total{app="wiki",kind="refused"}"#) >= 1.0
    });
    assert!(running.metric(r#"portcullis_requests_total{app="wiki",outcome="failed"}"#) >= 1.0);
    assert_eq!(
        running
            .metric(r#"portcullis_policy_results_total{policy="require-compliant-device",result="failure"}"#),
        0.0
    );
}

#[test]
fn somebody_who_is_challenged_and_then_let_in_has_met_the_challenge() {
    let running = Running::start();
    let policy = running.file("policies/strong.toml");
    let strong = r#"[[policy]]
id = "strong"
name = "A stronger sign-in"
state = "enabled"
users = { include = ["all"] }
apps = { include = ["all"] }
grant = { controls = ["strength:phishing-resistant-mfa"] }
"#;
    fs::write(&policy, strong).unwrap();
    running.wait_for("the challenge", |running| running.ask("allowed", "/", "").status == 401);
    running.ask("allowed", "/", "");
    let ended = |how| format!("portcullis_challenges_ended_total{{app=\"wiki\",how=\"{how}\"}}");
    assert_eq!(running.metric(&ended("met")), 0.0);
    // As good as coming back with a stronger sign-in.
    fs::remove_file(policy).unwrap();
    running.wait_for("the request to be let in", |running| running.ask("allowed", "/", "").status == 200);
    running.wait_for("the end to be counted", |running| running.metric(&ended("met")) == 1.0);
    running.ask("allowed", "/", "");
    assert_eq!(running.metric(&ended("met")), 1.0);
    assert_eq!(running.metric(&ended("evicted")) + running.metric(&ended("abandoned")), 0.0);
}

#[test]
fn counts_survive_a_reload_and_go_with_their_policy() {
    let running = Running::start();
    assert_eq!(running.ask("blocked-location", "/", "").status, 403);
    let denied = r#"portcullis_requests_total{app="wiki",outcome="denied"}"#;
    let blocked = r#"portcullis_policy_results_total{policy="block-other-countries",result="failure"}"#;
    running.wait_for("the refusal to be counted", |running| running.metric(denied) == 1.0);
    assert_eq!(running.metric(blocked), 1.0);
    fs::remove_file(running.file("policies/block-other-countries.toml")).unwrap();
    running.wait_for("the policy to be gone", |running| {
        running.metric("portcullis_configuration_generation") == 2.0
    });
    assert_eq!(running.metric(denied), 1.0);
    assert!(!series(&running).iter().any(|series| series.contains("block-other-countries")));
}

#[test]
fn what_was_let_in_is_logged_when_a_sample_is_asked_for_and_not_otherwise() {
    let running = Running::start();
    let ask = |address: &str, request: &str| {
        let head = format!(
            "GET / HTTP/1.1\r\nHost: {}\r\nAuthorization: {}\r\nX-Forwarded-For: 203.0.113.10\r\n\r\n",
            running.app_host,
            running.token(request)
        );
        let answer = crate::wire::exchange(address, head.as_bytes());
        (answer.status, answer.header("x-request-id").unwrap_or_default().to_owned())
    };
    // The demo asks for each.
    let (status, sampled) = ask(&running.proxy, "allowed");
    assert_eq!(status, 200);
    let log = running.file("decisions.ndjson");
    running.wait_for("it to be logged", |_| {
        fs::read_to_string(&log).is_ok_and(|text| {
            text.lines().any(|line| line.contains(&sampled) && line.contains("\"outcome\":\"granted\""))
        })
    });

    let [proxy, admin] = [(); 2].map(|()| free_address().to_string());
    let text = fs::read_to_string(running.file("portcullis.toml")).unwrap();
    let asked = "{ file = \"decisions.ndjson\", grants-one-in = 1 }";
    assert!(text.contains(asked), "{text}");
    let text = text
        .replace(&running.proxy, &proxy)
        .replace(&running.admin, &admin)
        .replace(asked, "{ file = \"refusals.ndjson\" }")
        .replace("portcullis.pid", "second.pid")
        .replace("upgrade.sock", "second.sock")
        // A journal of sign-outs belongs to one process.
        .replace("revocations.journal", "second.journal");
    let second = running.file("second.toml");
    fs::write(&second, text).unwrap();
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .args(["run", "--config", second.to_str().unwrap()])
        .spawn()
        .unwrap();
    running.wait_with(&mut child, "the second process to let somebody in", |_| {
        std::net::TcpStream::connect(&proxy).is_ok() && ask(&proxy, "allowed").0 == 200
    });
    let (_, unsampled) = ask(&proxy, "allowed");
    let (status, refused) = ask(&proxy, "blocked-device");
    assert_eq!(status, 403);
    let log = running.file("refusals.ndjson");
    running.wait_for("the refusal behind it", |_| {
        fs::read_to_string(&log).is_ok_and(|text| text.contains(&refused))
    });
    assert!(!fs::read_to_string(&log).unwrap().contains(&unsampled));
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn the_log_is_written_to_its_end_when_the_process_is_asked_to_stop() {
    let mut running = Running::start();
    // As many as the log takes without thinning them out.
    for _ in 0..10 {
        running.ask("blocked-location", "/", "");
    }
    let sent = std::process::Command::new("kill").args(["-TERM", &running.pid().to_string()]).status();
    assert!(sent.unwrap().success());
    assert!(running.ended());
    let text = fs::read_to_string(running.file("decisions.ndjson")).unwrap();
    assert_eq!(text.lines().filter(|line| line.contains("blocked-location")).count(), 10, "{text}");
}

#[test]
fn a_healthcheck_needs_no_other_program() {
    let running = Running::start();
    let ask = |arguments: &[&str]| {
        let out = std::process::Command::new(env!("CARGO_BIN_EXE_portcullis"))
            .arg("healthcheck")
            .args(arguments)
            .output()
            .unwrap();
        (out.status.code(), String::from_utf8(out.stderr).unwrap())
    };
    assert_eq!(ask(&["--admin", &running.admin]), (Some(0), String::new()));
    let gone = free_address().to_string();
    let (code, text) = ask(&["--admin", &gone]);
    assert_eq!(code, Some(1));
    assert!(text.contains("does not answer"), "{text}");
    let main = running.file("portcullis.toml");
    assert_eq!(ask(&["--config", main.to_str().unwrap()]), (Some(0), String::new()));
}
