//! L. Found on ourselves: connections to the apps.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::free::free_address;
use crate::h2::{Connection, DATA, END_HEADERS, END_STREAM, HEADERS, block, fields, frame};
use crate::keys;
use crate::raw_app::{RawApp, Reply};
use crate::wire::answer;
use crate::world::{HOST, Setup, World};

const PADDED: u8 = 8;
const WEBSOCKET: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

fn before(app: &RawApp) -> World {
    World::start(Setup { upstreams: app.upstreams(), ..Setup::default() })
}

/// What stands on a connection between the first head and the head of `next`, which is asked for until it
/// comes on that connection.
fn body_before_the_next_request(world: &World, app: &RawApp, number: usize) -> String {
    for _ in 0..100 {
        assert_eq!(world.get("/next", "").status, 200);
        if app.bytes(number).contains("GET /next") {
            break;
        }
    }
    let bytes = app.bytes(number);
    let (_, rest) = bytes.split_once("\r\n\r\n").unwrap();
    let (body, _) =
        rest.split_once("GET /next HTTP/1.1\r\n").unwrap_or_else(|| panic!("it was not used again: {bytes}"));
    body.to_owned()
}

/// A request over HTTP/2 whose frames after the head are these, each sent when the app has the text that the
/// former carried.
fn send_pieces(
    world: &World,
    app: &RawApp,
    method: &str,
    lines: &[(&[u8], &[u8])],
    frames: &[Vec<u8>],
) -> u16 {
    let bearer = format!("Bearer {}", keys::token());
    let mut head = fields(method, HOST, "/pieces");
    head.push((b"authorization", bearer.as_bytes()));
    head.extend_from_slice(lines);
    let mut connection = Connection::open(world.connect(HOST, &[b"h2"]));
    assert!(connection.send(&frame(HEADERS, END_HEADERS, 1, &block(&head))));
    for piece in frames {
        assert!(connection.send(piece));
        if let Some(text) = [b"hello", b"world"].into_iter().find(|text| piece.ends_with(*text)) {
            app.wait_for(0, std::str::from_utf8(text).unwrap());
        }
    }
    connection.answer(1).status()
}

#[test]
fn never_n94_an_empty_last_piece_of_a_body_is_a_second_request_at_the_app() {
    let data = |flags: u8, text: &[u8]| frame(DATA, flags, 1, text);
    let end = END_STREAM;
    let trailers = frame(HEADERS, END_HEADERS | end, 1, &block(&[(b"x-sum", b"1")]));
    let hello = "5\r\nhello\r\n";
    let length: &[(&[u8], &[u8])] = &[(b"content-length", b"5")];
    for (name, lines, frames, wanted) in [
        (
            "the last frame is empty",
            &[][..],
            vec![data(0, b"hello"), data(end, b"")],
            format!("{hello}0\r\n\r\n"),
        ),
        ("the only frame is empty", &[], vec![data(end, b"")], "0\r\n\r\n".to_owned()),
        (
            "the last frame is padding",
            &[],
            vec![data(0, b"hello"), frame(DATA, end | PADDED, 1, &[2, 0, 0])],
            format!("{hello}0\r\n\r\n"),
        ),
        (
            "empty frames between",
            &[],
            vec![
                data(0, b""),
                data(0, b"hello"),
                data(0, b""),
                data(0, b""),
                data(0, b"world"),
                data(0, b""),
                data(end, b""),
            ],
            format!("{hello}5\r\nworld\r\n0\r\n\r\n"),
        ),
        ("the last frame is full", &[], vec![data(end, b"hello")], format!("{hello}0\r\n\r\n")),
        ("trailers end it", &[], vec![data(0, b"hello"), trailers.clone()], format!("{hello}0\r\n\r\n")),
        (
            "an empty frame before trailers",
            &[],
            vec![data(0, b"hello"), data(0, b""), trailers],
            format!("{hello}0\r\n\r\n"),
        ),
        ("with a length", length, vec![data(0, b"hello"), data(end, b"")], "hello".to_owned()),
    ] {
        let app = RawApp::start(|_| Reply::ok("done"));
        let world = before(&app);
        assert_eq!(send_pieces(&world, &app, "POST", lines, &frames), 200, "{name}");
        assert_eq!(body_before_the_next_request(&world, &app, 0), wanted, "{name}");
    }
}

#[test]
fn never_n94_a_chunked_body_in_single_bytes_is_a_second_request_at_the_app() {
    let app = RawApp::start(|_| Reply::ok("done"));
    let world = before(&app);
    let mut stream = TcpStream::connect(&world.plain).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(&World::head("POST", "/pieces", "Transfer-Encoding: chunked\r\n")).unwrap();
    app.wait_for(0, "POST /pieces");
    for (sent, byte) in b"5\r\nhello\r\n0\r\n\r\n".iter().enumerate() {
        stream.write_all(&[*byte]).unwrap();
        if sent == 7 {
            app.wait_for(0, "o");
        }
    }
    assert_eq!(answer(&mut stream, false).status, 200);
    let body = body_before_the_next_request(&world, &app, 0);
    assert!(body.ends_with("\r\n0\r\n\r\n"), "{body:?}");
    assert_eq!(body.matches("0\r\n").count(), 1, "{body:?}");
}

#[test]
fn never_n97_a_request_that_may_have_been_carried_out_is_sent_again() {
    // Each connection answers one request and takes the next one with it, as one that was idle for too long.
    let app = RawApp::start(|asked| match asked.target() {
        "/warm" => Reply::ok("warm"),
        _ if asked.connection % 2 == 0 => Reply::Close(Vec::new()),
        _ => Reply::Close(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone".to_vec()),
    });
    let world = before(&app);
    let warm = || {
        assert_eq!(world.get("/warm", "").status, 200);
        app.connections()
    };
    let frames = [frame(DATA, 0, 1, b"hello"), frame(DATA, END_STREAM, 1, b"")];
    let made = warm();
    assert_eq!(send_pieces(&world, &app, "PUT", &[], &frames), 502, "its body was begun");
    assert_eq!(app.connections(), made, "it went out once");
    for (method, again) in [("POST", false), ("PATCH", false), ("GET", true), ("DELETE", true)] {
        if app.connections() % 2 == 1 {
            // An even connection is wanted to fail.
            assert_eq!(world.get("/spare", "").status, 200);
        }
        let made = warm();
        let mut stream = TcpStream::connect(&world.plain).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.write_all(&World::head(method, "/once", "")).unwrap();
        let status = answer(&mut stream, false).status;
        assert_eq!(status, if again { 200 } else { 502 }, "{method}");
        assert_eq!(app.connections(), made + usize::from(again), "{method}");
    }
}

#[test]
fn never_n94_the_end_of_a_websocket_adds_bytes_to_it() {
    let head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    let app = RawApp::start(move |_| Reply::Echo(head.as_bytes().to_vec()));
    let world = before(&app);
    let mut stream = TcpStream::connect(&world.plain).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(&World::head("GET", "/ws", WEBSOCKET)).unwrap();
    assert_eq!(answer(&mut stream, false).status, 101);
    stream.write_all(b"ping").unwrap();
    let mut echo = [0; 4];
    stream.read_exact(&mut echo).unwrap();
    drop(stream);
    app.wait_until_closed(0);
    assert_eq!(app.bytes(0).split_once("\r\n\r\n").unwrap().1, "ping");
}

/// What became of an odd answer: status and body at an HTTP/1 client, status and body over HTTP/2, and whether the
/// app's connection was used again.
type Fate = (u16, &'static str, u16, &'static str, bool);

/// What the client got and what became of the app's connection, by the answer.
const FATES: &[(&str, &str, Fate)] = &[
    ("a length", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", (200, "hi", 200, "hi", true)),
    (
        "chunks",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        (200, "hi", 200, "hi", true),
    ),
    (
        "HTTP/1.0 with a length",
        "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        (200, "hi", 200, "hi", false),
    ),
    (
        "HTTP/1.0 that stays",
        "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhi",
        (200, "hi", 200, "hi", true),
    ),
    (
        "HTTP/1.0 in chunks",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        (502, "", 502, "", false),
    ),
    (
        "a length beside a coding",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        (502, "", 502, "", false),
    ),
    (
        "204 with content",
        "HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged",
        (204, "", 204, "", false),
    ),
    (
        "a folded line",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Folded: a\r\n b\r\n\r\nhi",
        (502, "", 502, "", false),
    ),
    (
        "a space before the colon",
        "HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nhi",
        (502, "", 502, "", false),
    ),
    ("another protocol", "SSH-2.0-OpenSSH_9.2\r\n\r\n", (502, "", 502, "", false)),
    ("an empty line before", "\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", (502, "", 502, "", false)),
    (
        "a head that closes the connection",
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi",
        (200, "hi", 200, "hi", false),
    ),
    (
        "two equal lengths",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nhi",
        (502, "", 502, "", false),
    ),
    (
        "two lengths",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhi!",
        (502, "", 502, "", false),
    ),
    ("a list of lengths", "HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nhi", (502, "", 502, "", false)),
    ("a signed length", "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nhi", (502, "", 502, "", false)),
    (
        "two codings",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        (502, "", 502, "", false),
    ),
    (
        "an unknown coding",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        (502, "", 502, "", false),
    ),
    (
        "no coding",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\nContent-Length: 2\r\n\r\nhi",
        (502, "", 502, "", false),
    ),
    ("204 with a length", "HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n", (204, "", 204, "", false)),
    (
        "204 with a coding",
        "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n",
        (204, "", 204, "", false),
    ),
    (
        "304 with a coding",
        "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n",
        (304, "", 304, "", false),
    ),
    (
        "205 with content",
        "HTTP/1.1 205 Reset Content\r\nContent-Length: 2\r\n\r\nhi",
        (205, "", 205, "", true),
    ),
    (
        "205 in chunks",
        "HTTP/1.1 205 Reset Content\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        (205, "", 205, "", true),
    ),
    (
        "103 with a length",
        "HTTP/1.1 103 Early Hints\r\nContent-Length: 2\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        (200, "hi", 200, "hi", true),
    ),
    (
        "101 unasked",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        (502, "", 502, "", false),
    ),
    (
        "fields of one connection",
        "HTTP/1.1 200 OK\r\nConnection: X-Own\r\nTE: trailers\r\nKeep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nX-Own: 1\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\nhi",
        (200, "hi", 200, "hi", true),
    ),
    (
        "bytes after the answer",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhiHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged",
        (200, "hi", 200, "hi", false),
    ),
    (
        "NTLM",
        "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: NTLM\r\nContent-Length: 0\r\n\r\n",
        (502, "", 502, "", false),
    ),
    (
        "Negotiate beside Basic",
        "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Negotiate\r\nWWW-Authenticate: Basic realm=\"a\"\r\nContent-Length: 2\r\n\r\nhi",
        (401, "hi", 401, "hi", true),
    ),
    (
        "an authenticated connection",
        "HTTP/1.1 200 OK\r\nPersistent-Auth: true\r\nContent-Length: 2\r\n\r\nhi",
        (502, "", 502, "", false),
    ),
    (
        "407",
        "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n",
        (502, "", 502, "", false),
    ),
];

/// A chunked body without its framing; any other as it is.
fn unchunked(answer: &crate::wire::Answer) -> String {
    if answer.header("transfer-encoding").is_none() {
        return answer.body.clone();
    }
    let mut rest = answer.body.as_str();
    let mut body = String::new();
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        body.push_str(&after[..size]);
        rest = &after[(size + 2).min(after.len())..];
    }
    body
}

#[test]
fn never_n94_an_odd_answer_is_passed_on_or_its_connection_used_again() {
    for (name, bytes, (one, one_body, two, two_body, is_reused)) in FATES {
        for h2 in [false, true] {
            let answered = (*bytes).to_owned();
            let app = RawApp::start(move |asked| match asked.target() {
                "/odd" => Reply::Keep(answered.clone().into_bytes()),
                _ => Reply::ok("next"),
            });
            let world = before(&app);
            if h2 {
                let answer = world.h2_get("/odd", &[]);
                assert_eq!(answer.status(), *two, "{name} over HTTP/2: {answer:?}");
                assert!(*two == 502 || answer.body() == *two_body, "{name} over HTTP/2: {answer:?}");
            } else {
                let mut stream = TcpStream::connect(&world.plain).unwrap();
                stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
                stream.write_all(&World::head("GET", "/odd", "Connection: close\r\n")).unwrap();
                let mut all = String::new();
                stream.read_to_string(&mut all).unwrap();
                let last = all.rfind("HTTP/1.1 ").unwrap_or_else(|| panic!("{name}: {all}"));
                let answer = answer(&mut &all.as_bytes()[last..], false);
                assert_eq!(answer.status, *one, "{name}: {answer:?}");
                assert!(*one == 502 || unchunked(&answer) == *one_body, "{name}: {answer:?}");
                for gone in ["te", "keep-alive", "proxy-connection", "x-own", "upgrade", "persistent-auth"] {
                    assert_eq!(answer.header(gone), None, "{name}: {answer:?}");
                }
                if matches!(*one, 204 | 304) {
                    assert!(
                        answer.head.to_ascii_lowercase().matches("transfer-encoding").count() == 0,
                        "{name}"
                    );
                    assert!(answer.body.is_empty(), "{name}: {answer:?}");
                }
            }
            assert!(!all_mentions(&world, "forged"), "{name}");
            // A connection that is used again is the only one; one that is not is closed.
            if *is_reused {
                assert!(
                    (0..100).any(|_| {
                        assert_eq!(world.get("/next", "").body, "next", "{name}");
                        app.bytes(0).contains("GET /next")
                    }),
                    "{name}: it was not used again"
                );
            } else {
                app.wait_until_closed(0);
                assert_eq!(world.get("/next", "").body, "next", "{name}");
                assert!(!app.bytes(0).contains("GET /next"), "{name}: it was used again");
            }
        }
    }
}

/// Whether an answer to a plain request holds this text.
fn all_mentions(world: &World, text: &str) -> bool {
    world.get("/next", "").body.contains(text)
}

#[test]
fn never_n107_an_app_sends_interim_answers_or_a_head_without_bound() {
    let app = RawApp::start(|asked| match asked.target() {
        "/hints" => Reply::Keep("HTTP/1.1 103 Early Hints\r\n\r\n".repeat(1_000).into_bytes()),
        "/few" => Reply::Keep(
            [
                "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(8),
                "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".into(),
            ]
            .concat()
            .into_bytes(),
        ),
        "/many" => Reply::Keep(format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(101)).into_bytes()),
        "/long" => {
            Reply::Keep(format!("HTTP/1.1 200 OK\r\na: {}\r\n\r\n", "b".repeat(65 << 10)).into_bytes())
        }
        _ => Reply::ok("next"),
    });
    let world = before(&app);
    for (target, wanted) in [("/hints", 502), ("/few", 200), ("/many", 502), ("/long", 502)] {
        assert_eq!(world.h2_get(target, &[]).status(), wanted, "{target} over HTTP/2");
        let all = world.all(&World::head("GET", target, "Connection: close\r\n"));
        let last = all.rfind("HTTP/1.1 ").unwrap_or_else(|| panic!("{target}: {all}"));
        assert!(all[last..].starts_with(&format!("HTTP/1.1 {wanted} ")), "{target}: {}", &all[last..]);
        assert!(all.matches("HTTP/1.1 103").count() <= 8, "{target}");
    }
}

#[test]
fn never_n107_an_app_sets_our_cookie_or_speaks_our_words() {
    let fields = "Set-Cookie: a=1\r\nSet-Cookie: __Host-SESSION=evil; Secure; Path=/\r\nSet-Cookie: =session=evil\r\n\
        Proxy-Status: Portcullis; error=http_request_denied\r\nProxy-Status: cdn\r\nx_request_id: evil\r\nX-Request-Id: evil\r\n\
        WWW-Authenticate: Bearer error=\"insufficient_claims\", claims=\"evil\"\r\n";
    let app = RawApp::start(move |_| {
        Reply::Keep(format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: 0\r\n\r\n").into_bytes())
    });
    let world = before(&app);
    let answer = world.get("/", "");
    assert_eq!(answer.status, 200);
    assert!(
        !answer.head.contains("evil") && !answer.head.to_ascii_lowercase().contains("portcullis"),
        "{}",
        answer.head
    );
    assert_eq!(answer.head.to_ascii_lowercase().matches("set-cookie: a=1").count(), 1, "{}", answer.head);
    assert_eq!(answer.header("proxy-status"), Some("cdn"));
    for (kind, count) in [("cookie", 2.0), ("word", 2.0), ("challenge", 1.0)] {
        let series = format!("portcullis_answer_fields_dropped_total{{app=\"wiki\",kind=\"{kind}\"}}");
        assert_eq!(world.metric(&series), count, "{kind}");
    }
}

/// An app that authenticates connections as IIS does: the third message of NTLM makes everything that follows on
/// the connection the work of whoever sent it.
fn ntlm_app() -> RawApp {
    let known = std::sync::Arc::new(std::sync::Mutex::new(std::collections::HashMap::<usize, String>::new()));
    RawApp::start(move |asked| {
        let mut known = known.lock().unwrap();
        let credential = asked.head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("authorization").then(|| value.to_owned())
        });
        match credential.as_deref().and_then(|text| text.strip_prefix("NTLM ")) {
            Some("hello") => Reply::Keep(
                b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: NTLM challenge\r\nContent-Length: 0\r\n\r\n"
                    .to_vec(),
            ),
            Some(proof) => {
                known.insert(asked.connection, proof.to_owned());
                Reply::ok(proof)
            }
            None => Reply::ok(known.get(&asked.connection).map_or("nobody", String::as_str)),
        }
    })
}

#[test]
fn never_n91_a_connection_that_an_app_authenticated_serves_somebody_else() {
    let app = ntlm_app();
    let forwarding =
        Setup { upstreams: app.upstreams(), app: "forward-authorization = true", ..Setup::default() };
    let world = World::start(forwarding);
    let by_cookie = |stream: &mut TcpStream, who: &str, lines: &str| {
        let token = keys::token_with(|claims| claims["sub"] = who.into());
        let head = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nCookie: session={token}\r\n{lines}\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        answer(stream, false)
    };
    let open = || {
        let stream = TcpStream::connect(&world.plain).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream
    };
    for scheme in ["NTLM", "ntlm", "Negotiate", "Kerberos"] {
        for message in ["hello", "anna"] {
            let answer = by_cookie(&mut open(), "anna", &format!("Authorization: {scheme} {message}\r\n"));
            assert!(matches!(answer.status, 400 | 401), "{scheme} {message}: {answer:?}");
        }
    }
    assert_eq!(app.connections(), 0, "no credential reached the app");
    let mut other = open();
    for _ in 0..3 {
        assert_eq!(by_cookie(&mut other, "bert", "").body, "nobody");
    }
}

/// A port where nobody listens.
fn dead_port() -> u16 {
    free_address().port()
}

#[test]
fn never_n97_a_dead_server_is_asked_while_a_live_one_is_left() {
    let app = RawApp::start(|_| Reply::ok("alive"));
    let (one, two) = (dead_port(), dead_port());
    let upstreams =
        format!("[\"http://127.0.0.1:{one}\", \"http://127.0.0.1:{two}\", \"http://{}\"]", app.address);
    let world = World::start(Setup { upstreams, ..Setup::default() });
    for _ in 0..30 {
        assert_eq!(world.get("/", "").body, "alive");
        let mut post = World::head("POST", "/", "Content-Length: 5\r\n");
        post.extend(b"hello");
        let mut stream = TcpStream::connect(&world.plain).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.write_all(&post).unwrap();
        assert_eq!(
            answer(&mut stream, false).body,
            "alive",
            "nothing of it was sent when the first server failed"
        );
    }
    // Each is left out after it failed once; on a slow machine it may be tried again meanwhile.
    let failures = world.metric("portcullis_upstream_failures_total{app=\"wiki\",kind=\"refused\"}");
    assert!((2.0..=12.0).contains(&failures), "{failures} attempts at dead servers for 60 requests");
    assert!(world.said().contains(&format!("server=\"127.0.0.1:{one}\"")), "{}", world.said());
}

#[test]
fn never_n97_nobody_is_asked_because_all_failed_once() {
    let port = dead_port();
    let upstreams = format!("[\"http://127.0.0.1:{port}\", \"http://127.0.0.1:{}\"]", dead_port());
    let world = World::start(Setup { upstreams, ..Setup::default() });
    for _ in 0..5 {
        assert_eq!(world.get("/", "").status, 502);
    }
    let listener = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 8192]);
            let _ =
                stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\nback");
        }
    });
    assert_eq!(world.get("/", "").body, "back", "it is asked at once, as if nothing were left out");
}

/// A server of TLS with this certificate, which answers `body` once the handshake is done; its port.
fn tls_server(certificate: &rcgen::CertifiedKey<rcgen::KeyPair>, body: String) -> u16 {
    use rustls::pki_types::{PrivateKeyDer, pem::PemObject};
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let key = PrivateKeyDer::from_pem_slice(certificate.signing_key.serialize_pem().as_bytes()).unwrap();
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.cert.der().clone()], key)
        .unwrap();
    let config = std::sync::Arc::new(config);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            let connection = rustls::ServerConnection::new(std::sync::Arc::clone(&config)).unwrap();
            let body = body.clone();
            std::thread::spawn(move || {
                let mut stream = rustls::StreamOwned::new(connection, socket);
                if stream.read(&mut [0; 8192]).is_ok() {
                    let _ = stream.write_all(&crate::origin::json_reply(&body));
                }
            });
        }
    });
    port
}

fn self_signed(name: &str, expired: bool) -> rcgen::CertifiedKey<rcgen::KeyPair> {
    let mut params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
    if expired {
        params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    }
    let signing_key = rcgen::KeyPair::generate().unwrap();
    let cert = params.self_signed(&signing_key).unwrap();
    rcgen::CertifiedKey { cert, signing_key }
}

#[test]
fn why_an_app_gives_no_answer_is_reported_in_log_metric_and_line() {
    let files = tempfile::tempdir().unwrap();
    let trusted = |certificate: &rcgen::CertifiedKey<rcgen::KeyPair>, name: &str| {
        let path = files.path().join(name);
        std::fs::write(&path, certificate.cert.pem()).unwrap();
        path.display().to_string()
    };
    let (good, old) = (self_signed("app.corp", false), self_signed("app.corp", true));
    let (good_port, old_port) = (tls_server(&good, "{}".into()), tls_server(&old, "{}".into()));
    let (good_ca, old_ca) = (trusted(&good, "good.pem"), trusted(&old, "old.pem"));
    let tls = |port: u16, name: &str, ca: &str| {
        let ca = if ca.is_empty() { String::new() } else { format!(", ca = \"{ca}\"") };
        format!("[{{ url = \"https://127.0.0.1:{port}\", tls-name = \"{name}\"{ca} }}]")
    };
    let app = RawApp::start(|asked| match asked.target() {
        "/reset" => Reply::Close(Vec::new()),
        "/garbage" => Reply::Close(b"SSH-2.0-OpenSSH_9.2\r\n\r\n".to_vec()),
        "/odd" => Reply::Keep(b"HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\nx".to_vec()),
        "/silent" => Reply::Keep(Vec::new()),
        _ => Reply::ok("hi"),
    });
    // Speaks at once, and no TLS.
    let plain = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let plain_port = plain.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in plain.incoming().flatten() {
            let _ = stream.write_all(b"220 mail.corp ESMTP\r\n");
            let _ = stream.read(&mut [0; 8192]);
        }
    });
    // Takes connections, and never says anything.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent_port = silent.local_addr().unwrap().port();
    for (cause, status, target, upstreams) in [
        ("refused", 502, "/", format!("[\"http://127.0.0.1:{}\"]", dead_port())),
        ("reset", 502, "/reset", app.upstreams()),
        ("protocol", 502, "/garbage", app.upstreams()),
        ("protocol", 502, "/odd", app.upstreams()),
        ("answer-timeout", 504, "/silent", app.upstreams()),
        ("connect-timeout", 504, "/", tls(silent_port, "app.corp", &good_ca)),
        ("dns", 502, "/", "[\"http://unknown.invalid:80\"]".to_owned()),
        ("tls-unknown-ca", 502, "/", tls(good_port, "app.corp", "")),
        ("tls-unknown-ca", 502, "/", tls(good_port, "app.corp", &old_ca)),
        ("tls-name", 502, "/", tls(good_port, "other.corp", &good_ca)),
        ("tls-expired", 502, "/", tls(old_port, "app.corp", &old_ca)),
        ("tls-other", 502, "/", tls(plain_port, "app.corp", &good_ca)),
    ] {
        let world = World::start(Setup {
            upstreams,
            app: "timeouts = { connect = \"500ms\", first-byte = \"1s\", read = \"1s\" }",
            ..Setup::default()
        });
        assert_eq!(world.get(target, "").status, status, "{cause} {target}: {}", world.said());
        let series = format!("portcullis_upstream_failures_total{{app=\"wiki\",kind=\"{cause}\"}}");
        assert_eq!(world.metric(&series), 1.0, "{cause} {target} {}", world.said());
        world.wait_for("the decision", |world| world.log().contains("upstreamFailure"));
        assert!(
            world.log().contains(&format!("\"upstreamFailure\":\"{cause}\"")),
            "{cause}: {}",
            world.log()
        );
        if cause != "dns" {
            assert!(world.log().contains("\"upstreamServer\":\"127.0.0.1:"), "{cause}: {}", world.log());
        }
        let said = world.said();
        assert_eq!(said.matches(&format!("cause=\"{cause}\"")).count(), 1, "{cause}: {said}");
        // More of the same fills no log: that the server is left out is said once.
        for _ in 0..3 {
            assert_eq!(world.get(target, "").status, status, "{cause}");
        }
        let said = world.said();
        let left_out = said.matches("left out for a while").count();
        assert!(left_out <= 1 && said.matches("cause=").count() <= 1 + left_out, "{cause}: {said}");
    }
    // What stops within an answer is told apart from what never began.
    let half = RawApp::start(|_| Reply::Keep(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi".to_vec()));
    let app = "timeouts = { read = \"1s\" }";
    let world = World::start(Setup { upstreams: half.upstreams(), app, ..Setup::default() });
    let mut stream = TcpStream::connect(&world.plain).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(&World::head("GET", "/", "")).unwrap();
    let _ = stream.read_to_end(&mut Vec::new());
    world.wait_for("the cut answer", |world| {
        world.metric("portcullis_upstream_failures_total{app=\"wiki\",kind=\"read-timeout\"}") > 0.0
    });
    assert!(world.said().contains("cause=\"read-timeout\""), "{}", world.said());
    let world = World::start(Setup { upstreams: tls(good_port, "app.corp", &good_ca), ..Setup::default() });
    assert_eq!(world.get("/", "").status, 200, "the counterpart: the authority of the upstream counts");
}

#[test]
fn why_a_key_server_gives_no_keys_is_reported_and_its_own_authority_counts() {
    let files = tempfile::tempdir().unwrap();
    let certificate = self_signed("localhost", false);
    let ca = files.path().join("ca.pem");
    std::fs::write(&ca, certificate.cert.pem()).unwrap();
    let port = tls_server(&certificate, keys::jwks());
    let start = |keys: String| World::launch(Setup { keys, ..Setup::default() }).unwrap();
    for (cause, keys) in [
        ("tls-unknown-ca", format!("{{ url = \"https://localhost:{port}/keys\" }}")),
        ("tls-name", format!("{{ url = \"https://127.0.0.1:{port}/keys\" }}\nca = \"{}\"", ca.display())),
        ("refused", format!("{{ url = \"https://localhost:{}/keys\" }}", dead_port())),
        ("dns", "{ url = \"https://unknown.invalid/keys\" }".to_owned()),
    ] {
        let world = start(keys);
        world.wait_for(cause, |world| world.said().contains(&format!("no answer: {cause}")));
    }
    let world = start(format!("{{ url = \"https://localhost:{port}/keys\" }}\nca = \"{}\"", ca.display()));
    world.wait_for("its keys", |world| world.get("/", "").status == 200);
}
