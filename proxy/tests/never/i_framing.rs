//! I. Protocol framing and exhaustion.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::h2::{
    Answer, CONTINUATION, Connection, DATA, END_HEADERS, END_STREAM, Field, HEADERS, RST_STREAM, SETTINGS,
    block, fields, frame,
};
use crate::keys;
use crate::origin::{BODY, Counter, LARGE};
use crate::wire::answer;
use crate::world::{HOST, Setup, World};

const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: wiki.test\r\n\r\n";

/// How many answers were received, and whether any request of the body's reached the app.
fn answers(world: &World, bytes: &[u8]) -> usize {
    let text = world.all(bytes);
    assert!(!world.origin.raw().contains("GET /smuggled"), "{}", world.origin.raw());
    text.matches("HTTP/1.1 ").count()
}

#[test]
fn never_n66_the_body_of_a_refused_request_is_read_as_the_next_one() {
    let world = World::plain();
    let length = format!("Content-Length: {}\r\n", SMUGGLED.len());
    let chunked = format!("{:x}\r\n{SMUGGLED}\r\n0\r\n\r\n", SMUGGLED.len());
    let no_token = format!("POST / HTTP/1.1\r\nHost: {HOST}\r\n");
    for head in [
        World::head("POST", "/admin", &length),
        World::head("GET", "/admin", &length),
        World::head("POST", "/../x", &length),
        format!("{no_token}{length}\r\n").into_bytes(),
        format!("POST / HTTP/1.1\r\nHost: unknown.test\r\n{length}\r\n").into_bytes(),
    ] {
        let mut whole = head.clone();
        whole.extend_from_slice(SMUGGLED.as_bytes());
        assert_eq!(answers(&world, &whole), 1, "{}", String::from_utf8_lossy(&head));
    }
    for head in [
        World::head("POST", "/admin", "Transfer-Encoding: chunked\r\n"),
        format!("{no_token}Transfer-Encoding: chunked\r\n\r\n").into_bytes(),
    ] {
        let mut whole = head.clone();
        whole.extend_from_slice(chunked.as_bytes());
        assert_eq!(answers(&world, &whole), 1, "{}", String::from_utf8_lossy(&head));
        // The body comes after the answer.
        let mut stream = TcpStream::connect(&world.plain).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        stream.write_all(&head).unwrap();
        assert!(answer(&mut stream, false).status >= 400);
        let _ = stream.write_all(SMUGGLED.as_bytes());
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        assert!(!String::from_utf8_lossy(&rest).contains("HTTP/1.1 200"));
    }
    assert_eq!(world.origin.hits(), 0);
    let mut counterpart = World::head("POST", "/", &length);
    counterpart.extend_from_slice(SMUGGLED.as_bytes());
    assert!(world.all(&counterpart).starts_with("HTTP/1.1 200"));
    assert_eq!(world.origin.hits(), 1, "the counterpart: the same bytes are a body");
    assert_eq!(world.origin.last().body, SMUGGLED.as_bytes());
}

#[test]
fn never_n67_what_follows_an_upgrade_passes_before_the_app_agreed() {
    let world = World::start(Setup { server: "body-max = \"1KiB\"", ..Setup::default() });
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let mut early = World::head("GET", "/ws-never", upgrade);
    early.extend_from_slice(SMUGGLED.as_bytes());
    answers(&world, &early);
    assert_eq!(world.origin.hits(), 1, "one request, and nothing behind it");
    // Other offers are optional: not taken up, not passed on, and what follows is no tunnel.
    for lines in [
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n",
        "Connection: Upgrade\r\nUpgrade: TLS/1.2\r\n",
        "Connection: Upgrade\r\nUpgrade: foo\r\nUpgrade: bar, baz/2\r\n",
        "Upgrade: websocket\r\n",
        "Connection: keep-alive\r\nUpgrade: websocket\r\n",
    ] {
        let mut bytes = World::head("GET", "/ws", lines);
        bytes.extend_from_slice(SMUGGLED.as_bytes());
        let before = world.origin.hits();
        let text = world.all(&bytes);
        assert!(text.starts_with("HTTP/1.1 200"), "{lines:?}: {text}");
        assert_eq!(world.origin.hits(), before + 1, "one request, and nothing behind it");
        let seen = world.origin.last();
        for gone in ["upgrade", "http2-settings"] {
            assert!(seen.values(gone).is_empty(), "{lines:?}: {}", seen.head);
        }
        assert!(
            !seen.values("connection").iter().any(|value| value.to_ascii_lowercase().contains("upgrade"))
        );
    }
    let mut stream = TcpStream::connect(&world.plain).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(&World::head("GET", "/ws", upgrade)).unwrap();
    assert_eq!(answer(&mut stream, false).status, 101, "the counterpart");
    stream.write_all(b"ping").unwrap();
    let mut echo = [0; 4];
    stream.read_exact(&mut echo).unwrap();
    assert_eq!(&echo, b"ping");
    stream.write_all(&[b'x'; 5000]).unwrap();
    stream.read_exact(&mut [0; 5000]).unwrap();
    assert!(world.runs(), "what flows through a socket is no request body, whatever its length");
}

/// A body that is three bytes by its length, and also by its chunks, if that is what it has.
const CHUNKS: &str = "3\r\nabc\r\n0\r\n\r\n";

/// How often requests were refused for their framing, by our own reading of them.
fn framing(world: &World) -> f64 {
    world.metric("portcullis_refusals_total{app=\"(none)\",reason=\"bad-framing\",code=\"0\"}")
}

#[test]
fn never_n68_two_lengths_or_an_old_version_with_a_coding_are_passed_on() {
    let world = World::plain();
    let send = |version: &str, lines: &str| {
        let head = String::from_utf8(World::head("POST", "/", lines)).unwrap();
        let text = format!("{}{CHUNKS}{SMUGGLED}", head.replacen("HTTP/1.1", version, 1));
        world.all(text.as_bytes())
    };
    let length = CHUNKS.len();
    let (one, coded) = (format!("Content-Length: {length}\r\n"), "Transfer-Encoding: chunked\r\n");
    // Each beside a counterpart that differs only in what allows two readings; and whether the refusal is ours
    // rather than the parser's.
    let other = format!("X-Length: {length}\r\n");
    for (lines, counterpart, ours) in [
        (format!("{one}{one}"), format!("{one}{other}"), true),
        (format!("{one}Content-Length: 14\r\n"), format!("{one}X-Length: 14\r\n"), false),
        (format!("Content-Length: {length}, {length}\r\n"), one.clone(), true),
        (format!("Content-Length: +{length}\r\n"), one.clone(), false),
        (format!("Content-Length: -{length}\r\n"), one.clone(), false),
        (format!("Content-Length: 0x{length}\r\n"), one.clone(), false),
        (format!("Content-Length: {length} \r\n 4\r\n"), one.clone(), false),
        (format!("Content-Length: {}{length}\r\n", "9".repeat(20)), one.clone(), false),
        (format!("{coded}{one}"), format!("{coded}{other}"), true),
        (format!("{one}{coded}"), format!("{other}{coded}"), true),
        (format!("{coded}content-LENGTH:{length}\r\n"), format!("{coded}{other}"), true),
        (format!("{one}X-Between: 1\r\n{coded}"), format!("{one}X-Between: 1\r\n"), true),
        ("Transfer-Encoding: gzip, chunked\r\n".to_owned(), coded.to_owned(), true),
        ("Transfer-Encoding: chunked, identity\r\n".to_owned(), coded.to_owned(), false),
        ("Transfer-Encoding: identity\r\n".to_owned(), coded.to_owned(), false),
        ("Transfer-Encoding: xchunked\r\n".to_owned(), coded.to_owned(), false),
        (format!("{coded}{coded}"), coded.to_owned(), true),
        ("Transfer-Encoding: \u{b}chunked\r\n".to_owned(), coded.to_owned(), false),
        ("Transfer-Encoding : chunked\r\n".to_owned(), coded.to_owned(), false),
        ("Transfer-Encoding:\r\n chunked\r\n".to_owned(), coded.to_owned(), false),
        ("Transfer-Encoding\r\n: chunked\r\n".to_owned(), coded.to_owned(), false),
    ] {
        let (hits, refused) = (world.origin.hits(), framing(&world));
        let back = send("HTTP/1.1", &lines);
        assert!(back.starts_with("HTTP/1.1 400"), "{lines:?}: {back}");
        assert_eq!(back.matches("HTTP/1.").count(), 1, "{lines:?}: {back}");
        assert_eq!(
            framing(&world) - refused,
            f64::from(u8::from(ours)),
            "{lines:?}: refused for its framing"
        );
        assert_eq!(world.origin.hits(), hits, "{lines:?} reached the app");
        assert!(
            send("HTTP/1.1", &counterpart).starts_with("HTTP/1.1 200"),
            "the counterpart {counterpart:?}"
        );
        assert_eq!(world.origin.hits(), hits + 1, "the counterpart {counterpart:?}");
    }
    let hits = world.origin.hits();
    assert!(send("HTTP/1.0", coded).starts_with("HTTP/1.1 400"));
    assert_eq!(world.origin.hits(), hits);
    assert!(send("HTTP/1.0", &one).starts_with("HTTP/1.1 200"), "the counterpart");
    assert!(!world.origin.raw().contains("GET /smuggled"), "{}", world.origin.raw());
}

#[test]
fn never_n94_lines_of_a_chunked_body_have_two_readings() {
    let world = World::plain();
    let head = World::head("POST", "/", "Transfer-Encoding: chunked\r\n");
    // As one piece, and with the body after the head.
    let send = |chunks: &str, pieces: bool| {
        let body = [chunks.as_bytes(), SMUGGLED.as_bytes()].concat();
        if !pieces {
            return world.all(&[&head[..], &body].concat());
        }
        let mut stream = TcpStream::connect(&world.plain).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let arrived = |world: &World| world.metric("portcullis_requests_in_flight") > 0.0;
        stream.write_all(&head).unwrap();
        world.wait_for("the head to be judged", arrived);
        let _ = stream.write_all(&body);
        let mut back = Vec::new();
        let _ = stream.read_to_end(&mut back);
        world.wait_for("the request to end", |world| !arrived(world));
        String::from_utf8_lossy(&back).into_owned()
    };
    for chunks in [
        "3;\nabc\r\n0\r\n\r\n",
        "3;x=\"\n\"\r\nabc\r\n0\r\n\r\n",
        "3;x\ry\r\nabc\r\n0\r\n\r\n",
        "3;\0\r\nabc\r\n0\r\n\r\n",
        "3\nabc\r\n0\r\n\r\n",
        "3\r\nabc\n0\r\n\r\n",
        "\r\nabc",
        ";x\r\n\r\n",
        "0x3\r\nabc\r\n0\r\n\r\n",
        "-3\r\nabc\r\n0\r\n\r\n",
        "3\r\nabcX\r\n0\r\n\r\n",
        "ffffffffffffffff1\r\nabc\r\n0\r\n\r\n",
        "3\r\nabc\r\n0\r\nX: y\nZ: z\r\n\r\n",
        "3\r\nabc\r\n0\r\n\n",
    ] {
        for pieces in [false, true] {
            let (hits, refused) = (world.origin.hits(), framing_of_wiki(&world));
            let back = send(chunks, pieces);
            assert!(back.starts_with("HTTP/1.1 400"), "{chunks:?}: {back}");
            assert_eq!(back.matches("HTTP/1.").count(), 1, "{chunks:?}: {back}");
            assert_eq!(framing_of_wiki(&world), refused + 1.0, "{chunks:?}: refused for its framing");
            assert_eq!(world.origin.hits(), hits, "{chunks:?} reached the app");
        }
    }
    for chunks in [CHUNKS, "3;x=\"y\"\r\nabc\r\n0\r\n\r\n", "3 \r\na\nc\r\n00;y\r\nX: y\r\n\r\n"] {
        for pieces in [false, true] {
            let hits = world.origin.hits();
            assert!(send(chunks, pieces).starts_with("HTTP/1.1 200"), "the counterpart {chunks:?}");
            assert_eq!(world.origin.hits(), hits + 1, "the counterpart {chunks:?}");
        }
    }
    assert!(!world.origin.raw().contains("GET /smuggled"), "{}", world.origin.raw());
}

fn framing_of_wiki(world: &World) -> f64 {
    world.metric("portcullis_refusals_total{app=\"wiki\",reason=\"bad-framing\",code=\"0\"}")
}

#[test]
fn never_n94_a_target_is_mended_and_passed_on() {
    let world = World::plain();
    for target in ["/a b", "/a\tb", "/a?b c", "/ HTTP/1.1", "/a\u{1}", "/a b\"<", "/\u{7f}"] {
        let bytes = World::head("GET", target, "");
        let back = world.all(&bytes);
        assert!(back.starts_with("HTTP/1.1 400"), "{target:?}: {back}");
        // After a good one on the same connection, too.
        let good = World::head("GET", "/plain", "");
        let mut stream = TcpStream::connect(&world.plain).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        for _ in 0..2 {
            stream.write_all(&good).unwrap();
            assert_eq!(answer(&mut stream, false).status, 200, "the counterpart");
        }
        let hits = world.origin.hits();
        stream.write_all(&bytes).unwrap();
        assert_eq!(answer(&mut stream, false).status, 400, "{target:?}");
        assert_eq!(world.origin.hits(), hits, "{target:?} reached the app");
    }
    let refused = world.metric("portcullis_refusals_total{app=\"(none)\",reason=\"bad-target\",code=\"0\"}");
    assert!(refused >= 10.0, "refused for the target: {refused}");
    assert_eq!(world.get("/a%20b", "").status, 200, "the counterpart that was escaped by its client");
    assert_eq!(world.origin.last().target(), "/a%20b");
}

#[test]
fn never_n69_an_empty_name_or_length_or_a_bare_line_end_shifts_what_is_read() {
    let world = World::plain();
    for lines in [
        ": x\r\n",
        ":\r\n",
        "Content-Length:\r\n",
        "Content-Length: \r\n",
        " : x\r\n",
        "\r: x\r\n",
        "X-Test: a\nX-User: forged\r\n",
        "X-Test: a\rX-User: forged\r\n",
        "X-Test: a\r\n folded\r\n",
        "X-Test\r\n",
        "X Test: a\r\n",
        "X-Test\u{0}: a\r\n",
    ] {
        for method in ["GET", "POST"] {
            let mut bytes = World::head(method, "/", lines);
            bytes.extend_from_slice(SMUGGLED.as_bytes());
            let back = world.all(&bytes);
            assert!(back.is_empty() || back.starts_with("HTTP/1.1 400"), "{lines:?}: {back}");
        }
    }
    let all_bare = String::from_utf8(World::head("GET", "/", "")).unwrap().replace("\r\n", "\n");
    assert!(world.all(all_bare.as_bytes()).starts_with("HTTP/1.1 400"));
    assert_eq!(world.origin.hits(), 0);
    assert_eq!(world.get("/", "X-Empty:\r\n").status, 200, "the counterpart: an empty value is fine");
}

#[test]
fn never_n70_forbidden_bytes_of_http2_are_translated_to_http1() {
    let world = World::plain();
    let bearer = format!("Bearer {}", keys::token());
    let good = || {
        let mut head = fields("GET", HOST, "/");
        head.push((b"authorization", bearer.as_bytes()));
        head
    };
    let mut heads: Vec<Vec<Field<'_>>> = Vec::new();
    let odd: [Field<'_>; 22] = [
        (b"x-a", b"1\r\nx-user: forged"),
        (b"x-a", b"1\nx-user: forged"),
        (b"x-a", b"1\rx"),
        (b"x-a", b"1\0"),
        (b"x-a\r\nx-user", b"forged"),
        (b"x-a: 1\r\nx-user", b"forged"),
        (b"X-User", b"forged"),
        (b"x user", b"forged"),
        (b"x-user:", b"forged"),
        (b":x-user", b"forged"),
        (b"", b"forged"),
        (b"x-\xff", b"1"),
        (b"transfer-encoding", b"chunked"),
        (b"connection", b"x-user"),
        (b"connection", b"close"),
        (b"keep-alive", b"1"),
        (b"proxy-connection", b"x"),
        (b"upgrade", b"websocket"),
        (b"te", b"gzip"),
        (b"content-length", b"1, 2"),
        (b"content-length", b"x"),
        (b"host", b"other.test"),
    ];
    for field in odd {
        let mut head = good();
        head.push(field);
        heads.push(head);
    }
    for (at, field) in [
        (0, (&b":method"[..], &b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET"[..])),
        (0, (b":method", b"")),
        (1, (b":scheme", b"ht\r\ntp")),
        (2, (b":authority", b"wiki.test\r\nx-user: forged")),
        (2, (b":authority", b"a@wiki.test")),
        (2, (b":authority", b"")),
        (3, (b":path", b"/ HTTP/1.1\r\nx-user: forged\r\n\r\n")),
        (3, (b":path", b"/a b")),
        (3, (b":path", b"/\xff")),
    ] {
        let mut head = good();
        head[at] = field;
        heads.push(head);
    }
    for missing in 0..4 {
        let mut head = good();
        head.remove(missing);
        heads.push(head);
    }
    for doubled in 0..4 {
        let mut head = good();
        head.insert(4, head[doubled]);
        heads.push(head);
    }
    let mut late = good();
    let path = late.remove(3);
    late.push(path);
    heads.push(late);
    for head in &heads {
        let answer = world.h2(head, None);
        let shown: Vec<_> = head
            .iter()
            .map(|(name, value)| (String::from_utf8_lossy(name), String::from_utf8_lossy(value)))
            .collect();
        assert!(answer.is_refusal(), "{answer:?} for {shown:?}");
    }
    assert_eq!(world.origin.hits(), 0, "{}", world.origin.raw());
    // Lengths that do not fit the data end the stream, and nothing is left over for the next.
    let mut head = fields("POST", HOST, "/");
    head.extend([(&b"authorization"[..], bearer.as_bytes()), (b"content-length", b"3")]);
    let answer = world.h2(&head, Some(format!("abc{SMUGGLED}").as_bytes()));
    assert_ne!(answer.status(), 200, "{answer:?}");
    assert!(!world.origin.raw().contains("GET /smuggled"), "{}", world.origin.raw());
    assert_eq!(world.h2(&good(), None).status(), 200, "the counterpart");
    assert_eq!(world.h2(&head, Some(b"abc")).status(), 200, "the counterpart with a body");
    assert_eq!(world.origin.last().body, b"abc");
}

#[test]
fn never_n71_connect_or_an_early_answer_poisons_a_pooled_connection() {
    let world = World::plain();
    for target in ["127.0.0.1:22", "wiki.test:80", "/", "wiki.test"] {
        let mut bytes = World::head("CONNECT", target, "");
        bytes.extend_from_slice(SMUGGLED.as_bytes());
        let back = world.all(&bytes);
        assert!(back.is_empty() || back.starts_with("HTTP/1.1 4"), "{target}: {back}");
    }
    let bearer = format!("Bearer {}", keys::token());
    for protocol in [None, Some(&b"websocket"[..])] {
        let mut head = vec![(&b":method"[..], &b"CONNECT"[..]), (b":authority", b"wiki.test")];
        if let Some(protocol) = protocol {
            head.extend([(&b":protocol"[..], protocol), (b":scheme", b"https"), (b":path", b"/ws")]);
        }
        head.push((b"authorization", bearer.as_bytes()));
        let answer = world.h2(&head, None);
        assert!(answer.is_refusal(), "{answer:?}");
    }
    assert_eq!(world.origin.hits(), 0);
    // The app answers before it has the body; what was left of that must not meet the next request.
    let mut stream = TcpStream::connect(&world.plain).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    stream.write_all(&World::head("POST", "/early", "Content-Length: 1000\r\n")).unwrap();
    stream.write_all(b"the first part").unwrap();
    assert_eq!(answer(&mut stream, false).status, 413);
    let _ = stream.write_all(b" and the second");
    for _ in 0..3 {
        assert_eq!(world.get("/next", "").status, 200);
        assert!(world.origin.last().head.starts_with("GET /next "), "{}", world.origin.last().head);
    }
}

/// Whether the server ended the connection for what it received, and not because it was idle.
fn is_driven_off(answer: &Answer) -> bool {
    match answer {
        Answer::GoAway(code) => *code != 0,
        Answer::Closed => true,
        Answer::Response { .. } | Answer::Reset => false,
    }
}

/// Writes frames until the connection ends, and says how; `None` when it took them all.
fn flood(world: &World, start: &[u8], more: impl Fn(u32) -> Vec<u8>, count: u32) -> Option<Answer> {
    let mut connection = Connection::open(world.connect(HOST, &[b"h2"]));
    connection.send(start);
    for number in 0..count {
        if !connection.send(&more(number)) {
            return Some(Answer::Closed);
        }
    }
    connection.stream.sock.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    while let Some((kind, _, _, payload)) = connection.next() {
        if kind == 7 {
            return Some(Answer::GoAway(u32::from_be_bytes(payload[4..8].try_into().unwrap())));
        }
    }
    None
}

#[test]
fn never_n72_resets_continuations_empty_frames_or_slow_clients_hold_without_limit() {
    let world = World::start(Setup { server: "client-idle = \"1s\"", ..Setup::default() });
    let bearer = format!("Bearer {}", keys::token());
    let mut head = fields("GET", HOST, "/");
    head.push((b"authorization", bearer.as_bytes()));
    let head = block(&head);
    let reset = |number: u32| {
        let stream = number * 2 + 1;
        let mut bytes = frame(HEADERS, END_HEADERS | END_STREAM, stream, &head);
        bytes.extend(frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()));
        bytes
    };
    // What was reset before it is looked at, no app is asked.
    let mut few = Connection::open(world.connect(HOST, &[b"h2"]));
    few.send(&(0..10).flat_map(&reset).collect::<Vec<u8>>());
    few.send(&frame(HEADERS, END_HEADERS | END_STREAM, 21, &head));
    assert_eq!(few.answer(21).status(), 200);
    assert_eq!(world.origin.hits(), 1, "requests that were reset reached the app");
    let ended = flood(&world, &[], reset, 3000);
    assert!(ended.as_ref().is_some_and(is_driven_off), "rapid resets: {ended:?}");
    let start = frame(HEADERS, 0, 1, &head);
    let more =
        |number: u32| frame(CONTINUATION, 0, 1, &block(&[(format!("x-{number}").as_bytes(), &[b'a'; 8000])]));
    let ended = flood(&world, &start, more, 400);
    assert!(ended.as_ref().is_some_and(is_driven_off), "continuations: {ended:?}");
    let ended = flood(&world, &start, |_| frame(CONTINUATION, 0, 1, &[]), 5000);
    assert!(ended.as_ref().is_some_and(is_driven_off), "empty continuations: {ended:?}");
    // A request whose body is empty frames for ever has no more streams or memory than any other.
    let mut post = fields("POST", HOST, "/");
    post.push((b"authorization", bearer.as_bytes()));
    let start = frame(HEADERS, END_HEADERS, 1, &block(&post));
    flood(&world, &start, |_| frame(DATA, 0, 1, &[]), 5000);
    // The server says how many streams at once it takes.
    let mut connection = Connection::open(world.connect(HOST, &[b"h2"]));
    let (_, _, _, settings) = std::iter::from_fn(|| connection.next())
        .find(|(kind, flags, ..)| *kind == SETTINGS && flags & 1 == 0)
        .unwrap();
    let streams = settings
        .chunks(6)
        .find(|entry| entry[..2] == [0, 3])
        .map(|entry| u32::from_be_bytes(entry[2..6].try_into().unwrap()));
    assert!(streams.is_some_and(|streams| streams <= 128), "{streams:?}");
    // Idle connections are closed, over both protocols.
    let started = Instant::now();
    while connection.next().is_some() {
        assert!(started.elapsed() < Duration::from_secs(20), "an idle HTTP/2 connection stays open");
    }
    assert!(started.elapsed() < Duration::from_secs(9), "the read timed out here, not there");
    let mut stream = TcpStream::connect(&world.plain).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(&World::head("GET", "/", "")).unwrap();
    assert_eq!(answer(&mut stream, false).status, 200);
    assert_eq!(stream.read(&mut [0; 1]).unwrap(), 0, "an idle HTTP/1 connection is closed");
    // Who takes nothing of an answer is idle too, and who takes it slowly is not.
    let mut stream = TcpStream::connect(&world.plain).unwrap();
    stream.write_all(&World::head("GET", "/large", "")).unwrap();
    let in_flight = |world: &World| world.metric("portcullis_requests_in_flight");
    world.wait_for("the answer to be in progress", |world| in_flight(world) == 1.0);
    let started = Instant::now();
    world.wait_for("the answer to be given up", |world| in_flight(world) == 0.0);
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
    let mut slow = TcpStream::connect(&world.plain).unwrap();
    slow.write_all(&World::head("GET", "/large", "")).unwrap();
    let (mut taken, mut chunk) = (0, vec![0; LARGE / 40]);
    while taken < LARGE {
        let read = slow.read(&mut chunk).unwrap();
        assert!(read > 0, "cut after {taken} bytes");
        taken += read;
        std::thread::sleep(Duration::from_millis(20));
    }
    // Heads have a budget far below what the parser would take.
    let many: String = (0..200).map(|number| format!("X-{number}: a\r\n")).collect();
    world.refuses_lines(&many);
    let long = world.all(&World::head("GET", "/", &format!("X-Long: {}\r\n", "a".repeat(60_000))));
    assert!(long.starts_with("HTTP/1.1 431 "), "{long:.200}");
    let huge = world.all(&World::head("GET", "/", &format!("X-Huge: {}\r\n", "a".repeat(2_000_000))));
    assert!(huge.is_empty() || huge.starts_with("HTTP/1.1 4"), "{huge:.200}");
    // A body is bounded, whether it says its length or not.
    let world_small = World::start(Setup { server: "body-max = \"1KiB\"", ..Setup::default() });
    assert!(
        world_small.all(&World::head("POST", "/", "Content-Length: 2000\r\n")).starts_with("HTTP/1.1 413")
    );
    let mut chunked = World::head("POST", "/", "Transfer-Encoding: chunked\r\n");
    chunked.extend_from_slice(format!("800\r\n{}\r\n0\r\n\r\n", "a".repeat(2048)).as_bytes());
    assert!(!world_small.all(&chunked).starts_with("HTTP/1.1 200"));
    assert!(world.runs() && !world.said().contains("panicked"), "{}", world.said());
    assert_eq!(world.get("/", "").body, BODY, "the counterpart: others are served");
}

#[test]
fn never_n73_an_answer_of_a_key_server_is_read_without_limit() {
    let sent = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&sent);
    let endless = Counter::start(move |stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{\"keys\":[");
        while stream.write_all(&[b' '; 16 * 1024]).is_ok() {
            counted.fetch_add(16 * 1024, Ordering::Relaxed);
        }
    });
    let silent = Counter::start(|_| std::thread::sleep(Duration::from_secs(60)));
    let declared = Counter::start(|stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n{");
        std::thread::sleep(Duration::from_secs(60));
    });
    let moved = Counter::start(|stream| {
        let _ = stream
            .write_all(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n");
    });
    for server in [&endless, &silent, &declared, &moved] {
        let world = World::launch(Setup {
            keys: format!("{{ url = \"http://{}/\" }}", server.address),
            ..Setup::default()
        })
        .unwrap();
        world.wait_for("the fetch to fail", |world| {
            world.metric("portcullis_issuer_key_fetch_failures_total{issuer=\"main\"}") >= 1.0
        });
        assert_eq!(world.with_token(&keys::token()), 503);
        assert_eq!(world.origin.hits(), 0);
    }
    let sent = sent.load(Ordering::Relaxed) / endless.calls().max(1);
    // Sockets on both sides hold megabytes that nobody has read.
    assert!(sent < 32 * 1024 * 1024, "{sent} bytes of one answer were taken");
    assert_eq!(World::plain().with_token(&keys::token()), 200, "the counterpart");
}
