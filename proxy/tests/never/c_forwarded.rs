//! C. Forwarded headers and the client's address.

use std::io::{Read, Write};
use std::sync::Arc;

use crate::keys;
use crate::world::{HOST, Setup, TRUSTED, World, client_config};

fn trusting() -> World {
    World::start(Setup { top: TRUSTED.to_owned(), ..Setup::default() })
}

#[test]
fn never_n23_forwarded_uri_method_host_or_proto_of_anybody_take_part_in_a_decision() {
    for world in [World::plain(), trusting()] {
        let lines = "X-Forwarded-Uri: /public\r\nX-Forwarded-Method: OPTIONS\r\nX-Forwarded-Host: other.test\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Prefix: /public\r\nX-Forwarded-Port: 443\r\nX-Forwarded-Server: x\r\n";
        assert_eq!(world.get("/admin/x", lines).status, 403);
        assert_eq!(world.origin.hits(), 0);
        assert_eq!(world.get("/page", lines).status, 200, "the counterpart");
        let seen = world.origin.last();
        assert_eq!(seen.values("x-forwarded-host"), [HOST]);
        for gone in ["uri", "method", "prefix", "server"] {
            assert!(seen.values(&format!("x-forwarded-{gone}")).is_empty(), "{}", seen.head);
        }
    }
    let lines = "X-Forwarded-Proto: https\r\nX-Forwarded-Port: 443\r\nForwarded: proto=https\r\n";
    let site = |world: &World| {
        assert_eq!(world.get("/", lines).status, 200);
        let seen = world.origin.last();
        ["proto", "port"].map(|what| seen.values(&format!("x-forwarded-{what}")).join("|"))
    };
    assert_eq!(site(&World::plain()), ["http", "80"], "a client's claim about its own connection");
    assert_eq!(
        site(&trusting()),
        ["https", "443"],
        "the counterpart: the proxy took the client's connection"
    );
}

#[test]
fn never_n24_everybody_or_private_addresses_are_trusted_proxies_by_silence() {
    let world = World::plain();
    let lines = "X-Forwarded-For: 192.0.2.7\r\nForwarded: for=192.0.2.7\r\nX-Real-IP: 192.0.2.7\r\n";
    assert_eq!(world.get("/", lines).status, 200, "a client on loopback does not speak for others");
    assert_eq!(world.origin.last().values("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(trusting().get("/", lines).status, 403, "the counterpart: once it is named, it does");
    for everyone in ["0.0.0.0/0", "::/0"] {
        let refused = World::launch(Setup {
            top: format!("[trusted-proxies]\nnetworks = [\"{everyone}\"]\n"),
            ..Setup::default()
        });
        assert!(refused.is_err(), "{everyone} without its insecure option");
    }
}

#[test]
fn never_n25_a_spoofed_hop_chooses_the_address() {
    let world = trusting();
    for lines in [
        "X-Forwarded-For: 203.0.113.1, 192.0.2.7\r\n",
        "X-Forwarded-For: 203.0.113.1\r\nX-Forwarded-For: 192.0.2.7\r\n",
        "X-Forwarded-For: 192.0.2.7, 127.0.0.9\r\n",
        "X-Forwarded-For: 192.0.2.7\r\nX-Real-IP: 203.0.113.1\r\nTrue-Client-IP: 203.0.113.1\r\n",
    ] {
        assert_eq!(world.get("/", lines).status, 403, "{lines:?}");
        assert_eq!(world.origin.hits(), 0);
    }
    assert_eq!(world.get("/", "X-Forwarded-For: 192.0.2.7, 203.0.113.1\r\n").status, 200, "the counterpart");
    assert_eq!(world.origin.last().values("x-forwarded-for"), ["203.0.113.1"]);
}

#[test]
fn never_n26_an_address_that_cannot_be_read_makes_a_condition_pass() {
    let world = trusting();
    for odd in [
        "192.0.2.007",
        "192.0.2.7%eth0",
        "3221225991",
        "192.0.2.7 203.0.113.1",
        "0xc0.0.2.7",
        "192.0.2",
        "\u{e9}",
        "unknown?",
        "203.0.113.1, localhost",
    ] {
        world.refuses_lines(&format!("X-Forwarded-For: {odd}\r\n"));
        let answer = world.h2_get("/", &[(b"x-forwarded-for", odd.as_bytes())]);
        assert!(answer.is_refusal(), "{odd}: {answer:?}");
    }
    let lines = "X-Forwarded-For: 203.0.113.1\r\nX-Real-IP: 192.0.2.7\r\nX.Forwarded.For: 192.0.2.7\r\n";
    assert_eq!(world.get("/", lines).status, 200, "the counterpart");
    let seen = world.origin.last();
    assert_eq!(seen.values("x-forwarded-for"), ["203.0.113.1"]);
    assert!(seen.values("x-real-ip").is_empty() && seen.values("x.forwarded.for").is_empty());
}

#[test]
fn never_n26_an_address_that_cannot_be_known_is_one_of_a_trusted_place() {
    let policies = r#"
[[policy]]
id = "only-from-known-places"
users = { include = ["all"] }
apps = { include = ["all"] }
grant = "block"
conditions = { locations = { include = ["all"], exclude = ["all-trusted"] } }
"#;
    let places =
        "[[location]]\nname = \"office\"\ntrusted = true\nnetworks = [\"203.0.113.0/24\", \"127.0.0.0/8\"]\n";
    let world = World::start(Setup {
        top: format!("{TRUSTED}{places}"),
        policies: policies.to_owned(),
        ..Setup::default()
    });
    let unknown = || world.metric("portcullis_client_address_unknown_total");
    assert_eq!(world.get("/", "X-Forwarded-For: 203.0.113.1\r\n").status, 200, "the counterpart");
    assert_eq!(unknown(), 0.0);
    for (count, hop) in ["unknown", "_hidden", "unknown, 127.0.0.2", "203.0.113.1, _x:_y"].iter().enumerate()
    {
        let answer = world.get("/", &format!("X-Forwarded-For: {hop}\r\n"));
        assert_eq!(answer.status, 403, "{hop}");
        assert!(
            !answer.body.contains("127.0.0.1"),
            "no answer shows the trusted proxy's address: {}",
            answer.body
        );
        assert_eq!(unknown(), (count + 1) as f64);
    }
    assert_eq!(world.origin.hits(), 1);
    // Without a condition on places it passes, and the app receives no address of ours.
    let world = trusting();
    for hop in ["unknown", "_hidden", ",unknown,"] {
        assert_eq!(world.get("/", &format!("X-Forwarded-For: {hop}\r\n")).status, 200, "{hop}");
        assert_eq!(world.origin.last().values("x-forwarded-for"), ["unknown"]);
    }
    world.wait_for("the log", |world| {
        world.get("/admin", "X-Forwarded-For: unknown\r\n");
        world.log().lines().any(|line| line.contains("no-admin") && !line.contains("127.0.0.1"))
    });
}

#[test]
fn never_n27_an_ipv4_mapped_address_avoids_an_ipv4_rule() {
    let world = trusting();
    for mapped in ["::ffff:192.0.2.7", "::ffff:c000:207", "[::ffff:192.0.2.7]:80", "0:0:0:0:0:FFFF:192.0.2.7"]
    {
        assert_eq!(world.get("/", &format!("X-Forwarded-For: {mapped}\r\n")).status, 403, "{mapped}");
    }
    assert_eq!(world.origin.hits(), 0);
    assert_eq!(world.get("/", "X-Forwarded-For: ::ffff:203.0.113.1\r\n").status, 200, "the counterpart");
}

#[test]
fn never_n28_early_data_is_accepted() {
    let world = World::plain();
    let mut config = client_config();
    config.enable_early_data = true;
    let config = Arc::new(config);
    for round in 0..2 {
        let mut stream = world.connect_with(HOST, Arc::clone(&config));
        assert!(stream.conn.early_data().is_none(), "round {round}: the server takes no early data");
        stream.write_all(&World::head("GET", "/", "Connection: close\r\n")).unwrap();
        let mut text = String::new();
        let _ = stream.read_to_string(&mut text);
        assert!(text.starts_with("HTTP/1.1 200"), "the counterpart: after the handshake it answers: {text}");
    }
}

#[test]
fn never_n29_internal_routing_headers_are_taken_from_outside() {
    let world = World::plain();
    let lines = "X-Envoy-Original-Path: /public\r\nX-Envoy-External-Address: 203.0.113.1\r\nX-Original-URL: /public\r\nX-Cluster-Client-IP: 1.1.1.1\r\n";
    assert_eq!(world.get("/admin", lines).status, 403);
    assert_eq!(world.origin.hits(), 0);
    assert_eq!(world.get("/page", &format!("{lines}X-Mine: stays\r\n")).status, 200, "the counterpart");
    let seen = world.origin.last();
    assert!(!seen.holds("public") && !seen.holds("1.1.1.1") && !seen.holds("203.0.113.1"), "{}", seen.head);
    assert_eq!(seen.values("x-mine"), ["stays"]);
}

#[test]
fn never_n30_host_or_forwarded_of_the_client_end_up_in_a_link_or_header_unescaped() {
    let world = trusting();
    for host in
        ["wiki.test\"<script>", "wiki.test;proto=https", "wiki.test:80@evil.test", "wiki.test:x", "a b"]
    {
        let text = format!(
            "GET / HTTP/1.1\r\nHost: {host}\r\nAccept: text/html\r\nSec-Fetch-Mode: navigate\r\n\r\n"
        );
        let answer = world.all(text.as_bytes());
        assert!(answer.starts_with("HTTP/1.1 400"), "{host}: {answer}");
        assert!(!answer.contains("wiki.test") && !answer.contains("evil.test"), "{answer}");
    }
    let lines = "Forwarded: for=203.0.113.1;host=evil.test;by=\"x\"\r\nX-Forwarded-Host: evil.test\r\n";
    assert_eq!(world.get("/location", lines).status, 302, "the counterpart");
    assert!(!world.origin.last().holds("evil.test"));
    let denied = world.get("/admin", &format!("{lines}Accept: text/html\r\nSec-Fetch-Mode: navigate\r\n"));
    assert_eq!(denied.status, 403);
    assert!(!denied.body.contains("evil.test") && !denied.head.contains("evil.test"));
    assert!(world.with_token(&keys::token()) == 200);
}
