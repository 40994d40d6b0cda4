//! What must never happen, each from a public failure of a peer: raw bytes against the real binary.
//! Numbers are those of the project's ledger of such failures.

use crate::running::Running;

/// A request that would be let in, but for `target`, `version` and `lines`.
fn good(running: &Running, method: &str, target: &str, version: &str, lines: &str) -> Vec<u8> {
    let (host, token) = (&running.app_host, running.token("allowed"));
    format!("{method} {target} {version}\r\nHost: {host}\r\nAuthorization: {token}\r\nX-Forwarded-For: 203.0.113.10\r\n{lines}\r\n")
        .into_bytes()
}

#[test]
fn never_n01_to_n17_an_ambiguous_target_is_refused() {
    let running = Running::start();
    assert_eq!(
        running.raw(&good(&running, "GET", "/a/b?x=1", "HTTP/1.1", "")).status,
        200,
        "the twin that passes"
    );
    for target in [
        "/public/../admin",
        "/public/%2e%2e/admin",
        "/public/%2E%2E/admin",
        "/./admin",
        "//admin",
        "/a//b",
        "/%2fadmin",
        "/%2Fadmin",
        "/a%5cb",
        "/a\\b",
        "/admin;x=1",
        "/a%00b",
        "/%zz",
        "/a%",
        "/%252e%252e/admin",
        "admin",
        "foo:bar",
        "http://other.test/",
        "*",
        "//evil.test/x",
    ] {
        let answer = running.raw(&good(&running, "GET", target, "HTTP/1.1", ""));
        assert!((400..=404).contains(&answer.status), "{target} -> {}", answer.status);
        assert_ne!(answer.status, 401, "{target}");
    }
}

#[test]
fn never_n15_n18_host_spellings_do_not_choose_another_reading() {
    let running = Running::start();
    let token = running.token("allowed");
    let ask = |hosts: &str| {
        running.raw(
            format!(
                "GET / HTTP/1.1\r\n{hosts}Authorization: {token}\r\nX-Forwarded-For: 203.0.113.10\r\n\r\n"
            )
            .as_bytes(),
        )
    };
    let host = running.app_host.clone();
    assert_eq!(ask(&format!("Host: {}\r\n", host.to_ascii_uppercase())).status, 200);
    for hosts in [
        String::new(),
        "Host:\r\n".to_owned(),
        format!("Host: {host}\r\nHost: {host}\r\n"),
        format!("Host: {host}/../x\r\n"),
        format!("Host: user@{host}\r\n"),
        "Host: unknown.test\r\n".to_owned(),
    ] {
        let status = ask(&hosts).status;
        assert!(status == 400 || status == 404, "{hosts:?} -> {status}");
    }
}

#[test]
fn never_n25_a_spoofed_hop_left_of_the_real_one_does_not_choose_the_address() {
    let running = Running::start();
    let (host, token) = (&running.app_host, running.token("allowed"));
    let ask = |lines: &str| {
        running
            .raw(
                format!("GET / HTTP/1.1\r\nHost: {host}\r\nAuthorization: {token}\r\n{lines}\r\n").as_bytes(),
            )
            .status
    };
    assert_eq!(ask("X-Forwarded-For: 203.0.113.10, 192.0.2.10\r\n"), 403);
    assert_eq!(ask("X-Forwarded-For: 203.0.113.10\r\nX-Forwarded-For: 192.0.2.10\r\n"), 403);
    assert_eq!(ask("X-Forwarded-For: 192.0.2.10, 203.0.113.10\r\n"), 200);
    assert_eq!(
        ask("X-Forwarded-For: ::ffff:192.0.2.10\r\n"),
        403,
        "N27: a mapped address is the IPv4 address"
    );
    assert_eq!(ask("X-Forwarded-For: not-an-address\r\n"), 400, "N26");
}

#[test]
fn never_n31_to_n36_a_forged_identity_header_does_not_reach_the_app() {
    let running = Running::start();
    for lines in ["X-User: forged\r\n", "x-user: forged\r\nX-User: forged\r\n", "X.User: forged\r\n"] {
        let answer = running.raw(&good(&running, "GET", "/", "HTTP/1.1", lines));
        assert!(!answer.body.contains("forged"), "{lines:?}: {}", answer.body);
    }
    for lines in ["X_User: forged\r\n", "Connection: X-User\r\n"] {
        assert_eq!(running.raw(&good(&running, "GET", "/", "HTTP/1.1", lines)).status, 400, "{lines:?}");
    }
}

#[test]
fn never_n66_n68_n69_odd_framing_is_refused_and_the_connection_is_not_used_again() {
    let running = Running::start();
    for lines in [
        "Content-Length: 3\r\nContent-Length: 3\r\n",
        "Content-Length: 3, 3\r\n",
        "Content-Length: +3\r\n",
        "Content-Length:\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n",
    ] {
        let mut bytes = good(&running, "POST", "/", "HTTP/1.1", lines);
        bytes.extend_from_slice(b"abcGET /second HTTP/1.1\r\nHost: x\r\n\r\n");
        let answer = running.raw(&bytes);
        assert!(answer.status == 400 || answer.status == 0, "{lines:?} -> {}", answer.status);
        assert_eq!(answer.body.matches("HTTP/1.1").count(), 0, "{lines:?}: a second answer came");
    }
    let old = running.raw(&good(&running, "POST", "/", "HTTP/1.0", "Transfer-Encoding: chunked\r\n"));
    assert!(old.status == 400 || old.status == 0, "{}", old.status);
}

#[test]
fn never_n74_n84_tokens_do_not_reach_the_app_or_the_log() {
    let running = Running::start();
    let token = running.token("allowed");
    let answer =
        running.raw(&good(&running, "GET", "/", "HTTP/1.1", "Cookie: a=1; portcullis_demo_token=secret\r\n"));
    assert_eq!(answer.status, 200);
    let secret = token.trim_start_matches("Bearer ");
    assert!(!answer.body.contains(secret) && !answer.body.contains("portcullis_demo_token=secret"));
    running.ask("blocked-location", "/private?code=s3cret", "");
    let log = running.file("decisions.ndjson");
    running.wait_for("the decision to be logged", |_| {
        std::fs::read_to_string(&log).is_ok_and(|text| text.contains("blocked-location"))
    });
    let text = std::fs::read_to_string(&log).unwrap();
    assert!(!text.contains("eyJ") && !text.contains("s3cret"), "{text}");
    for line in text.lines() {
        let entry: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(entry["requestId"].is_string());
    }
}

#[test]
fn never_n75_the_public_listener_has_no_metrics_and_the_admin_listener_no_app() {
    let running = Running::start();
    let answer = running.raw(b"GET /metrics HTTP/1.1\r\nHost: wiki.localhost\r\n\r\n");
    assert_eq!(answer.status, 401);
    assert_eq!(running.admin_get("/").status, 404);
}
