//! What no address, no person and no body may exceed.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::h2;
use crate::keys;
use crate::wire::{Answer, exchange};
use crate::world::{HOST, POLICIES, Setup, TRUSTED, World};

/// So few that the test's own are soon too many, and none comes back while it lasts.
const FAILURES: &str = "limits = { failed-verifications = \"1/h burst 5\" }";

/// A token that nobody has sent yet.
fn fresh(user: &str) -> String {
    keys::token_with(|claims| claims["sub"] = json!(user))
}

/// A token that looks like ours, signed by somebody else.
fn forged(number: usize) -> String {
    let payload =
        json!({ "iss": keys::ISSUER, "aud": keys::AUDIENCE, "sub": number, "exp": keys::now() + 60 });
    keys::sign(&keys::STRANGER, keys::HEADER, &payload.to_string())
}

fn with(world: &World, host: &str, lines: &str) -> Answer {
    exchange(
        &world.plain,
        format!("GET / HTTP/1.1\r\nHost: {host}\r\nAccept: application/json\r\n{lines}\r\n").as_bytes(),
    )
}

fn bearer(world: &World, host: &str, token: &str) -> Answer {
    with(world, host, &format!("Authorization: Bearer {token}\r\n"))
}

/// A problem without what differs from request to request.
fn problem(answer: &Answer) -> Value {
    let mut problem: Value = serde_json::from_str(&answer.body).unwrap();
    for member in ["instance", "reference", "request_id", "timestamp"] {
        problem[member].take();
    }
    problem
}

#[test]
fn never_n95_tokens_of_one_address_cost_signatures_without_end() {
    let world = World::start(Setup { server: FAILURES, top: TRUSTED.to_owned(), ..Setup::default() });
    let known = fresh("bert");
    assert_eq!(bearer(&world, HOST, &known).status, 200);
    for number in 0..5 {
        assert_eq!(bearer(&world, HOST, &forged(number)).status, 401, "{number}");
    }
    // One answer, for whatever token and whether there is such an app or not; even a good one is not looked at.
    let refused = bearer(&world, HOST, &forged(5));
    assert_eq!(refused.status, 429, "{}", refused.body);
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((3_500..=3_600).contains(&wait), "{wait}");
    let mut said = problem(&refused);
    assert_eq!((said["code"].take(), said["retryable"].take()), (json!(880_201), json!(true)));
    for (host, token) in [(HOST, fresh("carl")), ("nowhere.test", forged(6)), ("nowhere.test", fresh("carl"))]
    {
        let other = bearer(&world, host, &token);
        assert_eq!(other.status, 429, "{host}");
        assert_eq!(problem(&other)["detail"], problem(&refused)["detail"]);
    }
    let fields = [h2::fields("GET", HOST, "/"), vec![(&b"authorization"[..], &b"Bearer a.b.c"[..])]].concat();
    assert_eq!(world.h2(&fields, None).status(), 429);
    // The counterparts: who is remembered, who has no token, and who has another address.
    assert_eq!(bearer(&world, HOST, &known).status, 200);
    assert_eq!(with(&world, HOST, "").status, 401);
    assert_eq!(with(&world, "nowhere.test", "").status, 401);
    let elsewhere = |address: &str, token: &str| {
        with(&world, HOST, &format!("X-Forwarded-For: {address}\r\nAuthorization: Bearer {token}\r\n")).status
    };
    assert_eq!(elsewhere("198.51.100.7", &fresh("dora")), 200);
    // Of IPv6 a network is one client.
    for number in 0..5 {
        assert_eq!(elsewhere(&format!("2001:db8::{number}"), &forged(10 + number)), 401, "{number}");
    }
    assert_eq!(elsewhere("2001:db8::ffff", &fresh("emma")), 429);
    assert_eq!(elsewhere("2001:db8:0:1::1", &fresh("emma")), 200);
    let series = "portcullis_refusals_total{app=\"wiki\",reason=\"token-not-tried\",code=\"880201\"}";
    assert!(world.metric(series) >= 3.0);
    assert!(world.metric("portcullis_requests_total{app=\"wiki\",outcome=\"limited\"}") >= 3.0);
}

#[test]
fn never_n95_the_limit_of_failures_names_a_cookie_or_an_app() {
    let more = format!(
        "[[app]]\nid = \"other\"\nhosts = [\"other.test\"]\nupstreams = [\"http://127.0.0.1:9\"]\ntoken = {{ bearer = false, cookie = \"other\" }}\n\n{TRUSTED}"
    );
    let world = World::start(Setup { server: FAILURES, top: more, ..Setup::default() });
    let session = |cookie: &str, token: &str| with(&world, HOST, &format!("Cookie: {cookie}={token}\r\n"));
    let known = fresh("bert");
    assert_eq!(session("session", &known).status, 200);
    let nobody = problem(&with(&world, HOST, ""));
    for number in 0..20 {
        let (right, wrong) = (session("session", &forged(number)), session("guess", &forged(number)));
        assert_eq!((problem(&right), right.status), (nobody.clone(), 401), "{number}");
        assert_eq!((problem(&wrong), wrong.status), (nobody.clone(), 401), "{number}");
        assert_eq!(right.header("retry-after"), None);
    }
    assert_eq!(problem(&session("session", &fresh("carl"))), nobody, "it is not looked at");
    assert_eq!(session("session", &known).status, 200, "the counterpart");
    // Had the name of the cookie been a guess, nothing would be different here.
    assert_eq!(bearer(&world, HOST, &forged(0)).status, 401);
    // An app that takes no `Bearer` looks like one that does, and like none.
    for host in [HOST, "other.test", "nowhere.test"] {
        let from = |token: &str| {
            let lines = format!("X-Forwarded-For: 198.51.100.{}\r\n", host.len());
            with(&world, host, &format!("{lines}Authorization: Bearer {token}\r\n")).status
        };
        let answers: Vec<u16> = (0..7).map(|number| from(&forged(number))).collect();
        assert_eq!(answers, [401, 401, 401, 401, 401, 429, 429], "{host}");
    }
}

#[test]
fn never_n95_pages_left_open_keep_their_neighbours_from_signing_in() {
    let world = World::start(Setup { server: FAILURES, ..Setup::default() });
    for number in 0..30 {
        let expired = keys::token_with(|claims| {
            claims["sub"] = json!(format!("user-{number}"));
            claims["exp"] = json!(keys::now() - 60);
        });
        assert_eq!(bearer(&world, HOST, &expired).status, 401);
        assert_eq!(bearer(&world, HOST, &expired).status, 401);
        assert_eq!(with(&world, HOST, "").status, 401);
    }
    assert_eq!(bearer(&world, HOST, &fresh("bert")).status, 200);
}

#[test]
fn never_n95_requests_of_one_address_take_an_app_from_the_others() {
    let other = "[[app]]\nid = \"other\"\nhosts = [\"other.test\"]\nupstreams = [\"http://127.0.0.1:9\"]\nunmatched = \"allow\"\n\n";
    let app = "rate = \"1/h burst 3\"\nrate-per-principal = \"1000/s\"";
    let world = World::start(Setup { app, top: format!("{other}{TRUSTED}"), ..Setup::default() });
    let token = fresh("bert");
    for left in [2, 1] {
        let answer = bearer(&world, HOST, &token);
        assert_eq!(answer.status, 200);
        assert_eq!(
            answer.header("ratelimit-policy"),
            Some("\"address\";q=3;w=10800, \"principal\";q=1000;w=1")
        );
        let rest = answer.header("ratelimit").unwrap();
        assert!(rest.starts_with(&format!("\"address\";r={left}, \"principal\";r=9")), "{rest}");
    }
    assert_eq!(world.h2_get("/", &[]).status(), 200, "both protocols are counted together");
    let (before, refused) = (world.origin.hits(), bearer(&world, HOST, &token));
    assert_eq!(refused.status, 429);
    assert_eq!(problem(&refused)["code"], 880_202);
    assert!(refused.header("ratelimit").unwrap().starts_with("\"address\";r=0;t="), "{}", refused.head);
    assert_eq!(world.h2_get("/", &[]).status(), 429);
    // Before the token is looked at.
    assert_eq!(bearer(&world, HOST, &forged(0)).status, 429);
    assert_eq!(world.origin.hits(), before, "none of them reached the app");
    let page = exchange(
        &world.plain,
        format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nAccept: text/html\r\nAccept-Language: de\r\n\r\n")
            .as_bytes(),
    );
    assert!(page.body.contains("Zu viele Anfragen") && page.body.contains("880202"), "{}", page.body);
    // The counterparts: another app, and another address.
    assert_eq!(bearer(&world, "other.test", &token).status, 502);
    let elsewhere = format!("X-Forwarded-For: 198.51.100.7\r\nAuthorization: Bearer {token}\r\n");
    assert_eq!(with(&world, HOST, &elsewhere).status, 200);
    let series = "portcullis_refusals_total{app=\"wiki\",reason=\"rate-address\",code=\"880202\"}";
    assert_eq!(world.metric(series), 4.0);
    world.wait_for("the log", |world| world.log().contains("\"reason\":\"rate-address\""));
}

#[test]
fn never_n95_requests_of_one_person_take_an_app_from_the_others() {
    let app = "rate-per-principal = \"1/h burst 3\"";
    let world = World::start(Setup { app, policies: POLICIES.to_owned(), ..Setup::default() });
    let ask = |token: &str, path: &str| {
        let lines = format!("Accept: application/json\r\nAuthorization: Bearer {token}\r\n");
        exchange(&world.plain, format!("GET {path} HTTP/1.1\r\nHost: {HOST}\r\n{lines}\r\n").as_bytes())
    };
    // By whatever token; and what the policies refuse counts.
    assert_eq!(ask(&fresh("bert"), "/").status, 200);
    assert_eq!(ask(&fresh("bert"), "/admin/x").status, 403);
    assert_eq!(ask(&fresh("bert"), "/").status, 200);
    let refused = ask(&fresh("bert"), "/");
    assert_eq!((refused.status, &problem(&refused)["code"]), (429, &json!(880_203)));
    assert_eq!(problem(&refused)["app"]["id"], "wiki", "its reader is known");
    assert!(refused.header("ratelimit").unwrap().starts_with("\"principal\";r=0;t="));
    assert_eq!(ask(&fresh("anna"), "/").status, 200, "the counterpart: somebody else at the same address");
    let series = "portcullis_refusals_total{app=\"wiki\",reason=\"rate-principal\",code=\"880203\"}";
    assert_eq!(world.metric(series), 1.0);
}

/// Sends a head and then this piece each second, until something comes back, or all is sent: what came, and after how long.
fn trickle(address: &str, head: &[u8], piece: &[u8], times: usize) -> (String, Duration) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(head).unwrap();
    let (started, mut received, mut chunk) = (Instant::now(), Vec::new(), [0; 16 * 1024]);
    stream.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    for sent in 0.. {
        match stream.read(&mut chunk) {
            Ok(0) => break,
            Ok(read) => received.extend_from_slice(&chunk[..read]),
            Err(problem) if matches!(problem.kind(), std::io::ErrorKind::WouldBlock) => {}
            Err(_) => break,
        }
        if !received.is_empty() && sent >= times {
            break;
        }
        if sent < times && stream.write_all(piece).is_err() {
            break;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "it is still waited for");
    }
    (String::from_utf8_lossy(&received).into_owned(), started.elapsed())
}

#[test]
fn never_n95_a_body_that_comes_byte_by_byte_is_waited_for() {
    let world = World::start(Setup::default());
    let long = World::head("POST", "/", "Content-Length: 100000\r\n");
    let chunked = World::head("POST", "/", "Transfer-Encoding: chunked\r\n");
    let expected = World::head("POST", "/", "Expect: 100-continue\r\nContent-Length: 100000\r\n");
    let nobody = format!("POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 100000\r\n\r\n");
    let honest = World::head("POST", "/", "Content-Length: 30720\r\n");
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let socket = World::head("GET", "/ws", upgrade);
    std::thread::scope(|scope| {
        let slow = |head: &[u8], piece: &[u8]| {
            let (text, took) = trickle(&world.plain, head, piece, 100);
            assert!(text.contains("HTTP/1.1 408 "), "{text}");
            assert!((8..30).contains(&took.as_secs()), "{took:?}");
        };
        scope.spawn(move || slow(&long, b"a"));
        scope.spawn(move || slow(&chunked, b"1\r\na\r\n"));
        scope.spawn(move || slow(&expected, b"a"));
        // What nobody wants is not waited for either, nor as long.
        let world = &world;
        scope.spawn(move || {
            let (text, took) = trickle(&world.plain, nobody.as_bytes(), b"a", 100);
            assert!(text.starts_with("HTTP/1.1 401 "), "{text}");
            assert!(took < Duration::from_secs(30), "{took:?}");
        });
        scope.spawn(move || {
            let bearer = format!("Bearer {}", keys::token());
            let fields =
                [h2::fields("POST", HOST, "/"), vec![(b"authorization", bearer.as_bytes())]].concat();
            let stream = world.connect(HOST, &[b"h2"]);
            stream.sock.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
            let mut connection = h2::Connection::open(stream);
            assert_eq!(connection.trickle(&fields, b"a", 100).status(), 408);
        });
        // The counterparts: a slow line, and what follows an upgrade.
        scope.spawn(move || {
            let (text, _) = trickle(&world.plain, &honest, &[b'a'; 2_048], 15);
            assert!(text.starts_with("HTTP/1.1 200 "), "{text}");
        });
        scope.spawn(move || {
            let mut stream = TcpStream::connect(&world.plain).unwrap();
            stream.write_all(&socket).unwrap();
            let mut chunk = [0; 4_096];
            let read = stream.read(&mut chunk).unwrap();
            assert!(chunk[..read].starts_with(b"HTTP/1.1 101 "));
            stream.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
            let silent = stream.read(&mut chunk).unwrap_err();
            assert_eq!(silent.kind(), std::io::ErrorKind::WouldBlock, "it is open after 15 s");
        });
    });
    assert!(
        world.metric("portcullis_refusals_total{app=\"wiki\",reason=\"body-too-slow\",code=\"0\"}") >= 4.0
    );
}

#[test]
fn never_n95_an_apps_own_limit_of_bodies_is_not_the_servers() {
    let other = "[[app]]\nid = \"other\"\nhosts = [\"other.test\"]\nupstreams = [\"http://127.0.0.1:9\"]\nunmatched = \"allow\"\n";
    let world = World::start(Setup {
        server: "body-max = \"1KiB\"",
        app: "body-max = \"3KiB\"",
        top: other.to_owned(),
        ..Setup::default()
    });
    let post = |host: &str, length: usize| {
        let token = keys::token();
        let head = format!("POST / HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n");
        exchange(
            &world.plain,
            format!("{head}Content-Length: {length}\r\n\r\n{}", "a".repeat(length)).as_bytes(),
        )
        .status
    };
    assert_eq!([post(HOST, 3_072), post(HOST, 3_073)], [200, 413]);
    assert_eq!([post("other.test", 1_024), post("other.test", 1_025)], [502, 413]);
    let mut chunked = World::head("POST", "/", "Transfer-Encoding: chunked\r\n");
    chunked.extend_from_slice(format!("c01\r\n{}\r\n0\r\n\r\n", "a".repeat(3_073)).as_bytes());
    assert!(!world.all(&chunked).starts_with("HTTP/1.1 200"));
    // Over HTTP/2 a length may be said or not, and what comes is counted in either case.
    let bearer = format!("Bearer {}", keys::token());
    let post = |host: &str, length: usize, said: Option<usize>| {
        let said = said.map(|length| length.to_string());
        let mut fields = h2::fields("POST", host, "/");
        fields.push((b"authorization", bearer.as_bytes()));
        if let Some(said) = &said {
            fields.push((b"content-length", said.as_bytes()));
        }
        world.h2(&fields, Some("a".repeat(length).as_bytes())).status()
    };
    for said in [true, false] {
        let post = |host, length| post(host, length, said.then_some(length));
        assert_eq!([post(HOST, 3_072), post(HOST, 3_073)], [200, 413], "length said: {said}");
    }
    let post = |length| post("other.test", length, Some(length));
    assert_eq!([post(1_024), post(1_025)], [502, 413], "an app without a limit of its own");
}
