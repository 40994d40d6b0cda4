//! L. Heads: structured fields, what a client names, old versions, and requests that come back.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::keys;
use crate::wire::{answer, exchange};
use crate::world::{HOST, Setup, TRUSTED, World};

#[test]
fn never_n105_text_between_quotes_is_read_as_an_element_or_a_parameter() {
    let world =
        World::start(Setup { top: format!("{}header = \"forwarded\"\n", TRUSTED), ..Setup::default() });
    // 192.0.2.7 is under the embargo; nobody gets out of it by what stands between quotes.
    for line in [
        "for=192.0.2.7;host=\"x,for=203.0.113.5;y=\"",
        "for=192.0.2.7;host=\"x;for=203.0.113.5\"",
        "for=192.0.2.7;host=\"\\\",for=203.0.113.5;y=\\\"\"",
        "for=\"192.0.2.7\";host=\"a;b\"",
        "for=\"192.0.2\\.7:80\";host=\"\\\\\"",
        "for=203.0.113.5;host=\"x, for=192.0.2.7;y=\", for=192.0.2.7",
        "by=\"for=203.0.113.5,\";for=192.0.2.7;",
    ] {
        assert_eq!(world.get("/", &format!("Forwarded: {line}\r\n")).status, 403, "{line}");
        assert_eq!(world.h2_get("/", &[(b"forwarded", line.as_bytes())]).status(), 403, "{line}");
    }
    // What cannot be read is refused, whatever one could read of it.
    for line in ["for=203.0.113.5;host=\"x", "for=203.0.113.5;for=203.0.113.5", "for=\"203.0.113.5", "x"] {
        world.refuses_lines(&format!("Forwarded: {line}\r\n"));
    }
    assert_eq!(world.origin.hits(), 0);
    for (line, forwarded) in [
        ("for=203.0.113.5;host=\"x,for=192.0.2.7;y=\"", "203.0.113.5"),
        ("For=\"[2001:db8::5]:443\";proto=https;", "2001:db8::5"),
        ("for=203.0.113.5,,", "203.0.113.5"),
        ("for=_secret", "unknown"),
        ("proto=https", "unknown"),
    ] {
        assert_eq!(world.get("/", &format!("Forwarded: {line}\r\n")).status, 200, "the counterpart {line}");
        assert_eq!(world.origin.last().values("x-forwarded-for"), [forwarded]);
    }
    // And a hint of the platform between quotes is that, whatever it says of others.
    let windows = "User-Agent: Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36\r\n";
    let world = World::start(Setup {
        policies: "[[policy]]\nid = \"no-windows\"\nusers = { include = [\"all\"] }\napps = { include = [\"all\"] }\ngrant = \"block\"\nconditions = { platforms = { include = [\"all\"], exclude = [\"linux\"] } }\n".to_owned(),
        ..Setup::default()
    });
    let ask = |hint: &str| world.get("/", &format!("{windows}Sec-CH-UA-Platform: {hint}\r\n")).status;
    for hint in ["\"Linux\"", "\"Windows\";x=\"Linux\"", "\"Windows\", \"Linux\"", "\"Win\\dows\""] {
        assert_eq!(ask(hint), 403, "{hint}");
    }
    assert_eq!(world.get("/", "User-Agent: X11; Linux\r\nSec-CH-UA-Platform: \"Linux\";v=1\r\n").status, 200);
}

#[test]
fn the_app_receives_the_judged_host_and_the_port_that_there_is() {
    let (world, behind) =
        (World::plain(), World::start(Setup { top: TRUSTED.to_owned(), ..Setup::default() }));
    let ask = |world: &World, host: &str, lines: &str| {
        let token = keys::token();
        let text = format!("GET / HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n{lines}\r\n");
        assert_eq!(world.bare(&text), 200, "{host}");
        let seen = world.origin.last();
        ["host", "x-forwarded-host", "x-forwarded-port", "x-forwarded-proto"]
            .map(|name| seen.values(name).join("|"))
    };
    let own = world.plain.rsplit_once(':').unwrap().1;
    let at_own = format!("{HOST}:{own}");
    for host in ["wiki.test", "WIKI.TEST", "Wiki.Test:80"] {
        assert_eq!(ask(&world, host, ""), [HOST, HOST, "80", "http"], "{host}");
    }
    for host in ["WIKI.TEST:0", "wiki.test:443", "wiki.test:31337", &at_own, &at_own.to_uppercase()] {
        assert_eq!(ask(&world, host, ""), [&at_own, &at_own, own, "http"], "{host}");
    }
    let lies = "X-Forwarded-Host: evil.test:1\r\nX-Forwarded-Port: 1\r\nX-Forwarded-Proto: https\r\nForwarded: proto=https;host=evil.test\r\n";
    assert_eq!(ask(&world, "wiki.test", lies), [HOST, HOST, "80", "http"]);
    for (lines, expected) in [
        ("X-Forwarded-Proto: https\r\n", [HOST, HOST, "443", "https"]),
        (
            "X-Forwarded-Proto: https\r\nX-Forwarded-Port: 8443\r\n",
            ["wiki.test:8443", "wiki.test:8443", "8443", "https"],
        ),
        ("X-Forwarded-Proto: http, https\r\nX-Forwarded-Port: 1, 443\r\n", [HOST, HOST, "443", "https"]),
        ("X-Forwarded-Proto: HTTPS\r\n", [HOST, HOST, "80", "http"]),
    ] {
        assert_eq!(ask(&behind, "Wiki.test", lines), expected, "{lines:?}");
    }
    // Over TLS and HTTP/2 as well, where the host stands in `:authority`.
    let bearer = format!("Bearer {}", keys::token());
    for (authority, expected) in [("Wiki.Test", HOST.to_owned()), ("wiki.test:0", String::new())] {
        let mut fields = crate::h2::fields("GET", authority, "/");
        fields.push((b"authorization", bearer.as_bytes()));
        assert_eq!(world.h2(&fields, None).status(), 200);
        let own = format!("{HOST}:{}", world.tls.rsplit_once(':').unwrap().1);
        let expected = if expected.is_empty() { own } else { expected };
        let seen = world.origin.last();
        assert_eq!(seen.values("host"), [&expected], "{}", seen.head);
        assert_eq!(seen.values("x-forwarded-proto"), ["https"]);
    }
}

#[test]
fn where_ports_are_translated_the_public_one_is_the_listener_s() {
    let world = World::launch_with(Setup::default(), |folder| {
        let file = folder.join("portcullis.toml");
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, text.replacen("{ address", "{ public-port = 8443, address", 1)).unwrap();
    })
    .unwrap();
    world.wait_for("the keys", |world| world.get("/", "").status == 200);
    let own = world.plain.rsplit_once(':').unwrap().1;
    for (host, port) in [
        ("wiki.test", "80"),
        ("wiki.test:8443", "8443"),
        ("wiki.test:1", "8443"),
        (&format!("wiki.test:{own}"), "8443"),
    ] {
        let token = keys::token();
        assert_eq!(
            world.bare(&format!("GET / HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\r\n")),
            200
        );
        assert_eq!(world.origin.last().values("x-forwarded-port"), [port], "{host}");
    }
}

#[test]
fn cookies_of_others_pass_as_they_are_and_ours_is_one_and_text() {
    let world = World::plain();
    assert_eq!(world.get("/", "Cookie: name=Zo\u{eb}; b=\u{fc}\r\n").status, 200);
    assert_eq!(world.origin.last().values("cookie"), ["name=Zo\u{eb}; b=\u{fc}"]);
    let many: String = (0..200).map(|number| format!("c{number}=x; ")).collect();
    assert_eq!(world.get("/", &format!("Cookie: {many}z=\u{fc}\r\n")).status, 200);
    let mut latin =
        format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nCookie: a=\u{0}; session={}\r\n\r\n", keys::token());
    latin = latin.replace('\u{0}', "\u{1a}");
    let bytes: Vec<u8> = latin.bytes().map(|byte| if byte == 0x1a { 0xfc } else { byte }).collect();
    assert!(world.all(&bytes).starts_with("HTTP/1.1 200"), "a name in Latin-1 beside our cookie");
    assert!(!world.origin.last().holds("session="));
    let hits = world.origin.hits();
    for ours in ["session=\u{fc}", "session=a; session=b"] {
        assert_eq!(world.bare(&format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nCookie: {ours}\r\n\r\n")), 401);
    }
    assert_eq!(world.origin.hits(), hits);
}

/// Sends bytes, and gives all that comes until the other side closes; fails when it does not.
fn until_closed(world: &World, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(&world.plain).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(bytes).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn a_client_of_http_1_0_gets_no_chunks_and_no_interim_answers_and_is_closed() {
    let world = World::plain();
    let ask = |target: &str, version: &str, lines: &str| {
        String::from_utf8(World::head("GET", target, lines)).unwrap().replacen("HTTP/1.1", version, 1)
    };
    for (target, body) in
        [("/", crate::origin::BODY), ("/chunked", "three parts of it"), ("/interim", "at last")]
    {
        let old = until_closed(&world, ask(target, "HTTP/1.0", "").as_bytes());
        let (head, rest) = old.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{target}: {old}");
        assert_eq!(rest, body, "{target}: {head}");
        assert!(!head.to_ascii_lowercase().contains("transfer-encoding"), "{head}");
        assert!(head.to_ascii_lowercase().contains("connection: close"), "{head}");
        let new = until_closed(&world, ask(target, "HTTP/1.1", "Connection: close\r\n").as_bytes());
        let is_chunked = new.to_ascii_lowercase().contains("transfer-encoding: chunked");
        assert_eq!(is_chunked, target == "/chunked", "the counterpart: {new}");
        assert_eq!(new.contains("HTTP/1.1 103"), target == "/interim", "the counterpart: {new}");
    }
    // A refusal of ours closes too.
    let refused = until_closed(&world, format!("GET / HTTP/1.0\r\nHost: {HOST}\r\n\r\n").as_bytes());
    assert!(refused.starts_with("HTTP/1.1 401"), "{refused}");
    // A client may ask for more over the connection, as long as lengths are stated.
    let mut stream = TcpStream::connect(&world.plain).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    for _ in 0..2 {
        stream.write_all(ask("/", "HTTP/1.0", "Connection: Keep-Alive\r\n").as_bytes()).unwrap();
        let page = answer(&mut stream, false);
        assert_eq!((page.status, page.body.as_str()), (200, crate::origin::BODY));
        assert_eq!(page.header("connection"), Some("keep-alive"));
    }
    stream.write_all(ask("/chunked", "HTTP/1.0", "Connection: Keep-Alive\r\n").as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert!(text.ends_with("\r\n\r\nthree parts of it"), "its end is the connection's: {text}");
    // `close` counts wherever it stands.
    let lines = "Connection: keep-alive\r\nConnection: close\r\n";
    assert!(until_closed(&world, ask("/", "HTTP/1.1", lines).as_bytes()).starts_with("HTTP/1.1 200"));
}

#[test]
fn a_request_that_shows_itself_is_not_allowed() {
    let world = World::plain();
    let refused = exchange(&world.plain, &World::head("TRACE", "/", ""));
    assert_eq!(refused.status, 405);
    assert_eq!(refused.header("allow"), Some("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"));
    let bearer = format!("Bearer {}", keys::token());
    let mut fields = crate::h2::fields("TRACE", HOST, "/");
    fields.push((b"authorization", bearer.as_bytes()));
    assert_eq!(world.h2(&fields, None).status(), 405);
    assert_eq!(
        world.bare(&format!("TRACE / HTTP/1.1\r\nHost: {HOST}\r\n\r\n")),
        405,
        "with and without a token"
    );
    assert_eq!(world.bare("TRACE / HTTP/1.1\r\nHost: unknown.test\r\n\r\n"), 405);
    assert_eq!(world.origin.hits(), 0);
    assert_eq!(exchange(&world.plain, &World::head("OPTIONS", "/", "")).status, 200, "the counterpart");
    let limited = World::start(Setup { app: "methods = [\"GET\", \"PUT\"]", ..Setup::default() });
    let refused = exchange(&limited.plain, &World::head("DELETE", "/", ""));
    assert_eq!((refused.status, refused.header("allow")), (405, Some("GET, PUT")), "what this app accepts");
    let stranger = format!("DELETE / HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
    assert_eq!(limited.bare(&stranger), 401, "a stranger does not learn it");
}

/// Passes connections on to an address that is set later, and counts them.
fn relay() -> (String, Arc<Mutex<(String, usize)>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let state = Arc::new(Mutex::new((String::new(), 0)));
    let shared = Arc::clone(&state);
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let target = {
                let mut state = shared.lock().unwrap();
                state.1 += 1;
                // Bounded, should nothing else end the loop.
                if state.1 > 50 {
                    return;
                }
                state.0.clone()
            };
            let Ok(mut server) = TcpStream::connect(target) else { continue };
            let (mut back_from, mut back_to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut client, &mut server));
            std::thread::spawn(move || std::io::copy(&mut back_from, &mut back_to));
        }
    });
    (address, state)
}

#[test]
fn an_app_that_leads_back_to_us_is_detected_at_the_second_visit() {
    let (address, state) = relay();
    let world = World::start(Setup {
        upstreams: format!("[\"http://{address}\"]"),
        app: "forward-authorization = true",
        ..Setup::default()
    });
    state.lock().unwrap().0.clone_from(&world.plain);
    let refused = world.get("/", "");
    assert_eq!(refused.status, 508, "{}", refused.head);
    assert_eq!(state.lock().unwrap().1, 1, "it went round once");
    assert_eq!(world.metric("portcullis_refusals_total{app=\"(none)\",reason=\"loop\",code=\"0\"}"), 1.0);
    // The counterpart: another process of ours in front is none, and what is there of `Via` stays.
    let world = World::plain();
    assert_eq!(world.get("/", "Via: 1.1 portcullis-0000000000000000, 1.0 edge (x/2)\r\n").status, 200);
    let seen = world.origin.last();
    let vias = seen.values("via");
    assert_eq!(vias[0], "1.1 portcullis-0000000000000000, 1.0 edge (x/2)");
    let (version, ours) = vias[1].split_once(' ').unwrap();
    assert_eq!((version, vias.len()), ("1.1", 2));
    assert!(!ours.contains(env!("CARGO_PKG_VERSION")) && ours.starts_with("portcullis-"), "{ours}");
    let again = world.get("/", &format!("Via: 1.1 a\r\nVia: 2 b, 1.1 {ours} (c)\r\n"));
    assert_eq!(again.status, 508);
    assert!(again.header("proxy-status").unwrap().contains("proxy_loop_detected"), "{}", again.head);
    assert_eq!(world.h2_get("/", &[]).status(), 200);
    assert_eq!(world.origin.last().values("via"), [format!("2 {ours}")]);
}
