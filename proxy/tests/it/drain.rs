//! How a process ends: what is under way is finished, and whoever still sends is answered.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::h2;
use crate::keys;
use crate::service::{HOST, Process, Service, wait_for};
use crate::staged::HALF;
use crate::wire::{Answer, answer};

/// What a stop must never cut short while it lasts less than this.
const LONG: &str = "grace = \"60s\"";

pub(crate) fn over_tls(service: &Service) -> Http2 {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let mut roots = RootCertStore::empty();
    roots.add(service.authority.clone()).unwrap();
    let mut config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let socket = TcpStream::connect(&service.tls).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let name = ServerName::try_from(HOST).unwrap();
    let mut connection = h2::Connection::open(StreamOwned::new(
        ClientConnection::new(Arc::new(config), name).unwrap(),
        socket,
    ));
    // Windows for whole answers.
    connection.send(&h2::frame(WINDOW_UPDATE, 0, 0, &0x0fff_ffff_u32.to_be_bytes()));
    connection
}

pub(crate) fn begin(connection: &mut Http2, stream: u32, target: &str) {
    let bearer = format!("Bearer {}", keys::token());
    let mut fields = h2::fields("GET", HOST, target);
    fields.push((b"authorization", bearer.as_bytes()));
    connection.send(&h2::frame(h2::HEADERS, h2::END_HEADERS | h2::END_STREAM, stream, &h2::block(&fields)));
    connection.send(&h2::frame(WINDOW_UPDATE, 0, stream, &0x0fff_ffff_u32.to_be_bytes()));
}

pub(crate) type Http2 = h2::Connection<StreamOwned<ClientConnection, TcpStream>>;

const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;

/// The last stream and the code of a GOAWAY.
type GoesAway = (u32, u32);

/// Bodies of streams in pieces, and the last stream and code of the last GOAWAY, until the connection is closed.
fn until_closed(connection: &mut Http2) -> (Vec<(u32, Vec<u8>)>, Option<GoesAway>) {
    let (mut bodies, mut goes_away) = (Vec::new(), None);
    let number = |bytes: &[u8]| u32::from_be_bytes(bytes.try_into().unwrap());
    while let Some((kind, flags, stream, payload)) = connection.next() {
        match kind {
            PING if flags & 1 == 0 => {
                connection.send(&h2::frame(PING, 1, 0, &payload));
            }
            h2::DATA => bodies.push((stream, payload)),
            GOAWAY => goes_away = Some((number(&payload[..4]), number(&payload[4..8]))),
            _ => {}
        }
    }
    (bodies, goes_away)
}

/// What comes until the other side closes.
fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut rest = Vec::new();
    // A reset is an end as well.
    let _ = stream.read_to_end(&mut rest);
    rest
}

fn whole(mut stream: TcpStream) -> Answer {
    answer(&mut stream, false)
}

fn refuses_connections(service: &Service) {
    wait_for("new connections to be refused", || TcpStream::connect(&service.plain).is_err().then_some(()));
}

fn has_ended(process: &mut Process, code: i32, last: &str) {
    let status = process.end();
    assert_eq!(status.code(), Some(code), "{}", process.said());
    assert!(process.said().contains(last), "{}", process.said());
}

#[test]
fn what_is_under_way_when_a_stop_is_asked_for_is_finished() {
    let service = Service::new(LONG);
    let mut process = service.start();
    let app = &service.app;
    let slow = service.send(&Service::head("GET", "/slow", ""));
    let mut download = service.send(&Service::head("GET", "/download", ""));
    let mut upload = service.send(&Service::head("POST", "/upload", "Content-Length: 200000\r\n"));
    upload.write_all(&[b'u'; 100_000]).unwrap();
    let mut part = [0; 4096];
    download.read_exact(&mut part).unwrap();
    let mut websocket = websocket(&service);
    let mut streams = over_tls(&service);
    begin(&mut streams, 1, "/slow");
    begin(&mut streams, 3, "/download");
    app.wait_for("/slow", 2);
    app.wait_for("/download", 2);
    let mut idle = service.send(&Service::head("GET", "/", ""));
    assert_eq!(answer(&mut idle, false).status, 200);
    let mut idle_h2 = over_tls(&service);
    begin(&mut idle_h2, 1, "/");
    assert_eq!(idle_h2.answer(1).status(), 200);
    let head = Service::head("GET", "/", "");
    let (begin_of_head, rest_of_head) = head.split_at(head.len() / 2);
    let mut half = service.send(begin_of_head);
    let mut fresh = service.send(b"");
    // Whoever is served after these was accepted after them.
    assert_eq!(service.get("/").status, 200);

    // A client answers a PING when it comes, whatever else a test waits for.
    let idle_h2 = thread::spawn(move || until_closed(&mut idle_h2).1);
    process.signal("TERM");
    // A connection that was accepted, and has not asked yet.
    fresh.write_all(&Service::head("GET", "/", "")).unwrap();
    refuses_connections(&service);
    assert_eq!(whole(fresh).status, 200);
    let ready = service.admin_get("/readyz").unwrap();
    assert!(ready.status == 503 && ready.body.starts_with("draining\n"), "{ready:?}");
    assert!(rest(&mut idle).is_empty(), "an idle connection is closed, with no word");
    assert_eq!(
        idle_h2.join().unwrap(),
        Some((1, 0)),
        "and one of HTTP/2 with a GOAWAY that names its last request"
    );
    assert_eq!(frame_of(&mut websocket), b"\x88\x02\x03\xe9", "a WebSocket is closed with 1001, going away");
    // The client's answer to it.
    websocket.write_all(b"\x88\x82\0\0\0\0\x03\xe9").unwrap();
    rest(&mut websocket);
    half.write_all(rest_of_head).unwrap();
    let late = whole(half);
    assert_eq!((late.status, late.header("connection")), (200, Some("close")), "{late:?}");
    upload.write_all(&[b'u'; 100_000]).unwrap();
    let stored = whole(upload);
    assert_eq!((stored.status, stored.body.as_str()), (200, "200000 bytes"));
    assert_eq!(stored.header("connection"), Some("close"));
    // A connection may end a little later than its answer.
    wait_for("`/status` to show what is left", || {
        let status = service.status()?;
        assert_eq!(status["state"], "draining", "{status:#}");
        let left = &status["left"];
        (left["http1Requests"] == 2 && left["http2Requests"] == 2 && left["websockets"] == 0).then_some(())
    });
    assert!(process.runs());

    app.open();
    let done = whole(slow);
    assert_eq!((done.status, done.body.as_str(), done.header("connection")), (200, "slow", Some("close")));
    // Its head went before the stop.
    let bytes = rest(&mut download);
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
    let length = part.len() + bytes.len() - end.map_or(0, |end| end + 4);
    assert!(length >= 2 * HALF, "{length} bytes of the download");
    let (mut slow, mut download) = (0, 0);
    let (bodies, goes_away) = until_closed(&mut streams);
    assert_eq!(goes_away, Some((3, 0)), "a GOAWAY says that there will be no more requests");
    for (stream, body) in bodies {
        match stream {
            1 => slow += body.len(),
            _ => download += body.len(),
        }
    }
    assert_eq!((slow, download), (4, 2 * HALF), "streams of HTTP/2");
    has_ended(&mut process, 0, "everything under way is finished");
    assert!(!service.file("pid").exists() && !service.file("up.sock").exists(), "its files are gone");
}

const UPGRADE: &str = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// A WebSocket whose app has said hello.
fn websocket(service: &Service) -> TcpStream {
    let mut websocket = service.send(&Service::head("GET", "/ws", UPGRADE));
    let mut opened = Vec::new();
    while !opened.ends_with(b"\x81\x05hello") {
        let mut byte = [0];
        websocket.read_exact(&mut byte).unwrap();
        opened.push(byte[0]);
    }
    websocket
}

#[test]
fn a_websocket_that_is_judged_anew_and_refused_is_closed_with_1008() {
    let service = Service::new(LONG);
    let mut process = service.start();
    let mut websocket = websocket(&service);
    let allowed = service.configuration("", LONG);
    std::fs::write(service.file("portcullis.toml"), allowed.replace("\"allow\"", "\"deny\"")).unwrap();
    process.wait_to_say("the configuration was reloaded");
    assert_eq!(service.get("/").status, 403);
    // It is judged anew when something comes, at most once a second.
    websocket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let mut frame = Vec::new();
    wait_for("the end of the WebSocket", || {
        let _ = websocket.write_all(b"\x81\x82\0\0\0\0hi");
        match websocket.read_to_end(&mut frame) {
            Err(problem) if problem.kind() == std::io::ErrorKind::WouldBlock => None,
            ended => Some(ended),
        }
    })
    .unwrap();
    assert_eq!(frame, b"\x88\x07\x03\xf053003", "a policy is violated, and the code");
}

/// A whole frame of a WebSocket's server, without extended lengths.
fn frame_of(stream: &mut TcpStream) -> Vec<u8> {
    let mut frame = vec![0; 2];
    stream.read_exact(&mut frame).unwrap();
    let mut payload = vec![0; usize::from(frame[1] & 0x7f)];
    stream.read_exact(&mut payload).unwrap();
    frame.extend(payload);
    frame
}

#[test]
fn who_asks_on_and_on_is_told_which_answer_is_the_last() {
    let service = Service::new(LONG);
    let mut process = service.start();
    let asks = Arc::new(AtomicUsize::new(0));
    let clients: Vec<_> = (0..16)
        .map(|_| {
            let mut connection = service.send(b"");
            let asks = Arc::clone(&asks);
            thread::spawn(move || {
                let head = Service::head("GET", "/", "");
                loop {
                    connection.write_all(&head).unwrap();
                    let answer = answer(&mut connection, false);
                    assert_eq!(answer.status, 200);
                    if answer.header("connection") == Some("close") {
                        return;
                    }
                    asks.fetch_add(1, Ordering::Relaxed);
                    // As the pool of a proxy: most of the time nothing is under way.
                    thread::sleep(Duration::from_millis(20));
                }
            })
        })
        .collect();
    wait_for("all to ask", || (asks.load(Ordering::Relaxed) > 64).then_some(()));
    process.signal("TERM");
    for client in clients {
        client.join().unwrap();
    }
    has_ended(&mut process, 0, "everything under way is finished");
}

#[test]
fn what_lasts_longer_than_grace_is_cut_counted_and_shown_in_the_exit_status() {
    let service = Service::new("grace = \"1s\"");
    let mut process = service.start();
    let mut slow = service.send(&Service::head("GET", "/slow", ""));
    let mut idle = service.send(&Service::head("GET", "/", ""));
    assert_eq!(answer(&mut idle, false).status, 200);
    let mut streams = over_tls(&service);
    begin(&mut streams, 1, "/slow");
    begin(&mut streams, 3, "/slow");
    let _websocket = websocket(&service);
    service.app.wait_for("/slow", 3);
    process.signal("TERM");
    let last = "`grace` is over, and this is cut: 1 request by HTTP/1, 2 by HTTP/2, 1 WebSocket, on 3 open connections; by app: wiki 4";
    has_ended(&mut process, 3, last);
    assert!(rest(&mut slow).is_empty());
}

#[test]
fn a_second_signal_during_the_drain_ends_it() {
    for second in ["TERM", "INT"] {
        let service = Service::new(LONG);
        let mut process = service.start();
        let _slow = service.send(&Service::head("GET", "/slow", ""));
        service.app.wait_for("/slow", 1);
        process.signal("TERM");
        process.wait_to_say("what is under way may finish");
        process.signal(second);
        has_ended(&mut process, 3, &format!("{second}, and this is cut: 1 request by"));
    }
}

#[test]
fn an_interrupt_ends_at_once() {
    let service = Service::new(LONG);
    let mut process = service.start();
    let mut slow = service.send(&Service::head("GET", "/slow", ""));
    service.app.wait_for("/slow", 1);
    process.signal("INT");
    has_ended(&mut process, 0, "SIGINT: ends at once");
    assert!(rest(&mut slow).is_empty());
}

#[test]
fn balancers_have_time_to_look_elsewhere_before_connections_are_refused() {
    let service = Service::new("pre-stop-delay = \"1h\"\ngrace = \"60s\"");
    let mut process = service.start();
    process.signal("TERM");
    wait_for("`/readyz` to say no", || {
        let answer = service.admin_get("/readyz")?;
        (answer.status == 503 && answer.body.starts_with("leaving\n")).then_some(())
    });
    assert_eq!(service.get("/").status, 200, "and it still serves");
    // Its client has the answer a moment before the request has ended here.
    wait_for("the request to end", || (service.status()?["left"]["http1Requests"] == 0).then_some(()));
    process.signal("TERM");
    has_ended(&mut process, 0, "no request is under way");
    // A short one ends by itself.
    service.configure("", "pre-stop-delay = \"200ms\"\ngrace = \"60s\"");
    let mut process = service.start();
    let slow = service.send(&Service::head("GET", "/slow", ""));
    service.app.wait_for("/slow", 1);
    process.signal("TERM");
    refuses_connections(&service);
    service.app.open();
    assert_eq!(whole(slow).status, 200);
    has_ended(&mut process, 0, "everything under way is finished");
}

#[test]
fn a_client_of_http2_that_answers_no_ping_holds_no_stop_up() {
    let service = Service::new("grace = \"1h\"");
    let mut process = service.start();
    let mut silent = over_tls(&service);
    begin(&mut silent, 1, "/");
    assert_eq!(silent.answer(1).status(), 200);
    process.signal("TERM");
    has_ended(&mut process, 0, "everything under way is finished");
}

#[test]
fn a_quit_signal_ends_nothing_and_hands_nothing_over() {
    let service = Service::new(LONG);
    let mut process = service.start();
    process.signal("QUIT");
    process.wait_to_say("SIGQUIT asks for nothing");
    assert_eq!(service.get("/").status, 200);
    assert!(process.runs());
}

#[test]
fn the_first_process_of_a_container_hears_its_signals() {
    let service = Service::new(LONG);
    let mut own = std::process::Command::new("unshare");
    own.args(["--pid", "--fork", "--kill-child", "--mount-proc", env!("CARGO_BIN_EXE_portcullis")]);
    own.args(["run", "--config"]).arg(service.file("portcullis.toml"));
    own.stdout(std::process::Stdio::null());
    own.stderr(std::fs::File::create(service.file("container.log")).unwrap());
    if !std::process::Command::new("unshare")
        .args(["--pid", "--fork", "--mount-proc", "true"])
        .status()
        .is_ok_and(|status| status.success())
    {
        println!("skipped: this user may make no namespace of processes");
        return;
    }
    let mut outer = service.process(own, "container.log");
    wait_for("it to serve", || service.is_ready().then_some(()));
    // `unshare` waits for its child, which is process 1 inside.
    let children = format!("/proc/{0}/task/{0}/children", outer.pid());
    let inner: u32 = std::fs::read_to_string(children).unwrap().trim().parse().unwrap();
    let kill = |name: &str| {
        let sent =
            std::process::Command::new("kill").args([&format!("-{name}"), &inner.to_string()]).status();
        assert!(sent.unwrap().success());
    };
    let status = service.status().unwrap();
    assert_eq!(status["pid"], 1, "{status:#}");
    kill("USR2");
    outer.wait_to_say("replace the container");
    kill("HUP");
    outer.wait_to_say("the configuration was reloaded");
    let mut idle = service.send(&Service::head("GET", "/", ""));
    assert_eq!(answer(&mut idle, false).status, 200);
    let _ = idle.shutdown(Shutdown::Write);
    kill("TERM");
    has_ended(&mut outer, 0, "everything under way is finished");
}
