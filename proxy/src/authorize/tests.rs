//! Requests as somebody describes them: judged without a session of pingora and without a client.

use http::{HeaderMap, HeaderName, Method, Version};

use super::*;

const CONFIG: &str = r#"
[server]
listeners = [{ address = "127.0.0.1:8080" }]

[[issuer]]
name = "main"
issuer = "https://id.test/tenant"
audiences = ["api://wiki"]
keys = { file = "keys.json" }

[[app]]
id = "wiki"
hosts = ["wiki.test"]
upstreams = ["http://127.0.0.1:9"]
"#;

/// Judges a request as somebody asks who describes it: no session of pingora, no connection of a client.
fn judge(host: &str, target: &str) -> (Verdict, RequestFacts, Answer) {
    let connection =
        Connection { peer: "192.0.2.7".parse().unwrap(), is_unknown: false, tls: true, port: Some(443) };
    judge_by(CONFIG, &Arrival::default(), connection, &[("host", host)], target)
}

/// The same by another configuration, on a connection that arrived so.
fn judge_by(
    config: &str,
    arrival: &Arrival,
    connection: Connection,
    lines: &[(&'static str, &str)],
    target: &str,
) -> (Verdict, RequestFacts, Answer) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("portcullis.toml");
    std::fs::write(folder.path().join("keys.json"), r#"{"keys": []}"#).unwrap();
    std::fs::write(&file, config).unwrap();
    let state = State::start(&file).unwrap();
    let snapshot = state.snapshot();
    let authorizer = Authorizer {
        state,
        snapshot: &snapshot,
        request_id: RequestId(7),
        arrival,
        now_unix_ms: 1_795_773_600_000,
        turn: Turn::First,
    };
    let line = |(name, value): &(&'static str, &str)| {
        (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
    };
    let headers: HeaderMap = lines.iter().map(line).collect();
    let head = Head::new(&Method::GET, target.as_bytes(), Version::HTTP_11, &headers, None);
    let mut facts = RequestFacts::default();
    let verdict = authorizer.authorize(&head, connection, &mut facts);
    let answer = authorizer.denial(&Refusal::NoToken, &head, &facts);
    (verdict, facts, answer)
}

#[test]
fn a_described_request_is_judged_without_a_session() {
    let (verdict, facts, answer) = judge("wiki.test", "/page");
    assert!(matches!(verdict, Verdict::Refusal(Refusal::NoToken)), "{verdict:?}");
    assert_eq!((facts.app, facts.client), (Some(AppIndex(0)), Some("192.0.2.7".parse().unwrap())));
    assert_eq!(answer.status, 401);
}

#[test]
fn a_stranger_gets_the_same_refusal_where_there_is_no_app() {
    let (verdict, facts, _) = judge("other.test", "/page");
    assert!(matches!(verdict, Verdict::Refusal(Refusal::NoToken)), "{verdict:?}");
    assert_eq!(facts.app, None);
}

#[test]
fn of_a_request_that_is_not_admitted_nothing_was_learned() {
    let (verdict, facts, _) = judge("wiki.test", "/a%00b");
    assert!(matches!(verdict, Verdict::Refusal(Refusal::BadRequest(_))), "{verdict:?}");
    assert_eq!((facts.app, facts.client, facts.site), (None, None, None));
}

#[test]
fn a_listener_that_redirects_sends_hosts_of_apps_to_https_where_a_balancer_has_the_certificates() {
    let config = CONFIG.replace("8080\" }", "8080\", redirect-to-https = true }")
        + "\n[trusted-proxies]\nnetworks = [\"10.0.0.0/8\"]\n";
    let arrival = Arrival { listener: Some(0), handshake: None };
    let judge = |peer: &str, lines: &[(&'static str, &str)], target: &str| {
        let connection =
            Connection { peer: peer.parse().unwrap(), is_unknown: false, tls: false, port: Some(8080) };
        judge_by(&config, &arrival, connection, lines, target).0
    };
    let (client, balancer) = ("192.0.2.7", "10.0.0.1");
    let proto = ("x-forwarded-proto", "https");
    for (peer, lines, target, to) in [
        (client, vec![("host", "wiki.test")], "/a?b=1", Some("https://wiki.test/a?b=1")),
        (client, vec![("host", "WIKI.test:8080")], "/?\u{e4}", Some("https://wiki.test/?%C3%A4")),
        // A client's word for its scheme is none; a trusted proxy's is.
        (client, vec![("host", "wiki.test"), proto], "/", Some("https://wiki.test/")),
        (balancer, vec![("host", "wiki.test"), ("x-forwarded-for", client)], "/", Some("https://wiki.test/")),
        (balancer, vec![("host", "wiki.test"), ("x-forwarded-for", client), proto], "/", None),
        (client, vec![("host", "other.test")], "/", None),
    ] {
        match (judge(peer, &lines, target), to) {
            (Verdict::Reply(Reply::ToHttps(found)), Some(to)) => assert_eq!(found, to, "{lines:?}"),
            (Verdict::Refusal(Refusal::NoToken), None) => {}
            (verdict, _) => panic!("{peer} {lines:?}: {verdict:?}"),
        }
    }
}
