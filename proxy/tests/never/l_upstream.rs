//! L. Found on ourselves: the way to the apps.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::h2::{Connection, DATA, END_HEADERS, END_STREAM, HEADERS, block, fields, frame};
use crate::keys;
use crate::raw_app::{RawApp, Reply};
use crate::wire::answer;
use crate::world::{HOST, Setup, World};

const PADDED: u8 = 8;

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
fn never_n94_a_body_that_is_sent_again_is_a_second_request_at_the_app() {
    // The first connection answers one request and takes the next one with it.
    let app = RawApp::start(|asked| match (asked.connection, asked.target()) {
        (0, "/pieces") => Reply::Close(Vec::new()),
        _ => Reply::ok("done"),
    });
    // Counted twice the body would be longer than allowed.
    let world =
        World::start(Setup { upstreams: app.upstreams(), server: "body-max = \"6B\"", ..Setup::default() });
    assert_eq!(world.get("/warm", "").status, 200);
    let frames = [frame(DATA, 0, 1, b"hello"), frame(DATA, END_STREAM, 1, b"")];
    let status = send_pieces(&world, &app, "PUT", &[], &frames);
    assert_eq!(status, 200, "{:?} {:?}", app.bytes(0), app.bytes(1));
    assert_eq!(app.connections(), 2, "it was sent again on a connection of its own");
    assert_eq!(body_before_the_next_request(&world, &app, 1), "5\r\nhello\r\n0\r\n\r\n");
}

#[test]
fn never_n94_the_end_of_a_websocket_adds_bytes_to_it() {
    let head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
    let app = RawApp::start(move |_| Reply::Echo(head.as_bytes().to_vec()));
    let world = before(&app);
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n";
    let mut stream = TcpStream::connect(&world.plain).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(&World::head("GET", "/ws", upgrade)).unwrap();
    assert_eq!(answer(&mut stream, false).status, 101);
    stream.write_all(b"ping").unwrap();
    let mut echo = [0; 4];
    stream.read_exact(&mut echo).unwrap();
    drop(stream);
    app.wait_until_closed(0);
    assert_eq!(app.bytes(0).split_once("\r\n\r\n").unwrap().1, "ping");
}
