//! Requests and answers on their way between client and app: both directions at once, each piece as it comes, and ends
//! that are told as what they are. The apps are sockets that do what a test says.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Request};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};

use crate::drain::{begin, over_tls};
use crate::h2 as frames;
use crate::keys;
use crate::service::{HOST, Process, Service};
use crate::wire::answer;

/// More than all buffers on the way hold.
const MANY: usize = 64 << 20;
const OK: &[u8] = b"HTTP/1.1 200 OK\r\n";
const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
const SWITCH: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// A proxy before an app that does this with each of its connections; `lines` are the app's.
fn before(lines: &str, app: impl Fn(TcpStream) + Send + Sync + 'static) -> (Service, Process) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let app = Arc::new(app);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
            stream.set_nodelay(true).unwrap();
            let app = Arc::clone(&app);
            thread::spawn(move || app(stream));
        }
    });
    let service = Service::new("body-max = \"100MiB\"");
    let text = service.configuration("", "body-max = \"100MiB\"");
    let text = text.replace(&format!("http://{}", service.app.address), &format!("http://{address}"));
    fs::write(service.file("portcullis.toml"), format!("{text}{lines}\n")).unwrap();
    let process = service.start();
    (service, process)
}

/// The head of the next request; empty when there is none.
fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|count| count > 0) {
        head.push(byte[0]);
    }
    String::from_utf8_lossy(&head).into_owned()
}

/// Copies back what comes, and no more is read than is written.
fn copy_back(from: &mut impl Read, to: &mut impl Write, mut left: usize) {
    let mut buffer = [0; 32 << 10];
    while left > 0 {
        match from.read(&mut buffer) {
            Ok(0) | Err(_) => return,
            Ok(count) => {
                if to.write_all(&buffer[..count]).is_err() {
                    return;
                }
                left -= count.min(left);
            }
        }
    }
}

/// Sends so many bytes from another thread, and reads as many here.
fn echo(stream: &mut TcpStream, count: usize) {
    let mut writing = stream.try_clone().unwrap();
    let sender = thread::spawn(move || {
        let piece: Vec<u8> = (0..=255).cycle().take(64 << 10).collect();
        for _ in 0..count / piece.len() {
            writing.write_all(&piece).unwrap();
        }
    });
    let (mut seen, mut buffer) = (0, vec![0; 64 << 10]);
    while seen < count {
        let read = stream.read(&mut buffer).unwrap();
        assert!(read > 0, "it ended after {seen}");
        for (at, byte) in buffer[..read].iter().enumerate() {
            assert_eq!(usize::from(*byte), (seen + at) % 256, "byte {}", seen + at);
        }
        seen += read;
    }
    sender.join().unwrap();
}

fn read_until(stream: &mut impl Read, end: &[u8]) -> String {
    let mut text = Vec::new();
    let mut byte = [0];
    while !text.ends_with(end) {
        assert_eq!(stream.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&text));
        text.push(byte[0]);
    }
    String::from_utf8_lossy(&text).into_owned()
}

fn rest(stream: &mut TcpStream) -> String {
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    String::from_utf8_lossy(&rest).into_owned()
}

/// An app that switches, and copies back what it hears.
fn switches(mut stream: TcpStream) {
    head(&mut stream);
    stream.write_all(SWITCH).unwrap();
    let mut writing = stream.try_clone().unwrap();
    copy_back(&mut stream, &mut writing, usize::MAX);
    let _ = stream.shutdown(Shutdown::Write);
}

#[test]
fn a_websocket_echoes_more_than_all_buffers_hold() {
    let (service, _process) = before("", switches);
    let mut stream = service.send(&Service::head("GET", "/ws", UPGRADE));
    assert!(read_until(&mut stream, b"\r\n\r\n").starts_with("HTTP/1.1 101 "));
    echo(&mut stream, MANY);
}

#[test]
fn a_client_that_leaves_when_its_answer_is_there_costs_no_connection_to_the_app() {
    /// One byte more than a client of HTTP/2 takes that says nothing (RFC 9113, section 6.9.2).
    const BYTES: usize = 65_536;
    let connections = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    let (service, _process) = before("", move |mut stream| {
        counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        while !head(&mut stream).is_empty() {
            stream.write_all(OK).unwrap();
            stream.write_all(format!("Content-Length: {BYTES}\r\n\r\n").as_bytes()).unwrap();
            stream.write_all(&[b'x'; BYTES]).unwrap();
        }
    });
    let mut client = over_tls(&service);
    let bearer = format!("Bearer {}", keys::token());
    let mut fields = frames::fields("GET", HOST, "/");
    fields.push((b"authorization", bearer.as_bytes()));
    let flags = frames::END_HEADERS | frames::END_STREAM;
    client.send(&frames::frame(frames::HEADERS, flags, 1, &frames::block(&fields)));
    let mut received = 0;
    while received < BYTES - 1 {
        let (kind, _, _, payload) = client.next().unwrap();
        received += if kind == frames::DATA { payload.len() } else { 0 };
    }
    client.send(&frames::frame(frames::RST_STREAM, 0, 1, &8_u32.to_be_bytes()));
    let aborts = "portcullis_client_aborts_total{app=\"wiki\",stage=\"during-answer\"}";
    crate::service::wait_for("the client to be gone", || (service.metric(aborts) >= 1.0).then_some(()));
    assert_eq!(service.get("/").status, 200);
    assert_eq!(connections.load(std::sync::atomic::Ordering::Relaxed), 1, "it served the next one, too");
}

#[test]
fn an_app_that_takes_nothing_of_a_body_has_its_time_and_no_more() {
    let (service, _process) = before("[app.timeouts]\nwrite = \"300ms\"", |mut stream| {
        head(&mut stream);
        // It neither reads nor answers, until it is left.
        while stream.peek(&mut [0]).is_ok() && stream.take_error().is_ok_and(|error| error.is_none()) {
            thread::sleep(Duration::from_millis(20));
        }
    });
    let mut stream = service.send(&Service::head("POST", "/", &format!("Content-Length: {MANY}\r\n")));
    let mut writing = stream.try_clone().unwrap();
    let sender = thread::spawn(move || {
        let piece = vec![0; 64 << 10];
        for _ in 0..MANY / piece.len() {
            if writing.write_all(&piece).is_err() {
                return;
            }
        }
    });
    assert_eq!(answer(&mut stream, false).status, 504);
    drop(stream);
    sender.join().unwrap();
    let failed = "portcullis_upstream_failures_total{app=\"wiki\",kind=\"write-timeout\"}";
    assert_eq!(service.metric(failed), 1.0);
}

#[test]
fn a_body_is_echoed_while_it_is_sent() {
    let (service, _process) = before("", |mut stream| {
        while !head(&mut stream).is_empty() {
            stream.write_all(OK).unwrap();
            stream.write_all(format!("Content-Length: {MANY}\r\n\r\n").as_bytes()).unwrap();
            let mut writing = stream.try_clone().unwrap();
            copy_back(&mut stream, &mut writing, MANY);
        }
    });
    let length = format!("Content-Length: {MANY}\r\n");
    for _ in 0..2 {
        let mut stream = service.send(&Service::head("POST", "/", &length));
        read_until(&mut stream, b"\r\n\r\n");
        echo(&mut stream, MANY);
    }
    // The app's connection serves again.
    assert_eq!(service.metric("portcullis_upstream_connections_total{app=\"wiki\",kind=\"reused\"}"), 1.0);
}

/// A client of HTTP/2, and its connection's task.
fn http2(service: &Service) -> (tokio::runtime::Runtime, h2::client::SendRequest<Bytes>) {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let mut roots = RootCertStore::empty();
    roots.add(service.authority.clone()).unwrap();
    let mut config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let send = runtime.block_on(async {
        let socket = tokio::net::TcpStream::connect(&service.tls).await.unwrap();
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        let tls = connector.connect(ServerName::try_from(HOST).unwrap(), socket).await.unwrap();
        let (send, connection) = h2::client::Builder::new()
            .initial_window_size(1 << 20)
            .initial_connection_window_size(1 << 20)
            .handshake(tls)
            .await
            .unwrap();
        tokio::spawn(connection);
        send
    });
    (runtime, send)
}

fn request(method: &str, target: &str) -> Request<()> {
    let builder = Request::builder().method(method).uri(format!("https://{HOST}{target}"));
    builder.header("authorization", format!("Bearer {}", keys::token())).body(()).unwrap()
}

/// Reads a body to its end: its bytes, and its trailers.
async fn body(mut body: h2::RecvStream) -> Result<(usize, Option<HeaderMap>), h2::Error> {
    let mut bytes = 0;
    while let Some(piece) = body.data().await {
        let piece = piece?;
        bytes += piece.len();
        body.flow_control().release_capacity(piece.len())?;
    }
    Ok((bytes, body.trailers().await?))
}

#[test]
fn a_body_over_http2_is_echoed_while_it_is_sent_and_has_trailers() {
    let (service, _process) = before("", |mut stream| {
        while let head = head(&mut stream).to_ascii_lowercase()
            && !head.is_empty()
        {
            assert_eq!(head.matches("transfer-encoding: chunked").count(), 1, "{head}");
            assert!(head.starts_with("post / ") && !head.contains("content-length"), "{head}");
            stream.write_all(OK).unwrap();
            stream.write_all(b"Transfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n").unwrap();
            // Chunks go back as they came, line by line, but for the end.
            while let size = read_until(&mut stream, b"\r\n")
                && let count @ 1.. = usize::from_str_radix(size.trim(), 16).unwrap()
            {
                let mut piece = vec![0; count + 2];
                stream.read_exact(&mut piece).unwrap();
                stream.write_all(size.as_bytes()).unwrap();
                stream.write_all(&piece).unwrap();
            }
            assert_eq!(read_until(&mut stream, b"\r\n"), "\r\n", "one last chunk");
            stream.write_all(b"0\r\nX-Sum: 7\r\nContent-Length: 3\r\nSet-Cookie: a=b\r\n\r\n").unwrap();
        }
    });
    let (runtime, mut send) = http2(&service);
    let (bytes, trailers) = runtime.block_on(async {
        let (answer, mut upload) = send.send_request(request("POST", "/"), false).unwrap();
        let uploading = tokio::spawn(async move {
            let piece = Bytes::from(vec![b'x'; 64 << 10]);
            for _ in 0..MANY / piece.len() {
                let mut left = piece.clone();
                while !left.is_empty() {
                    upload.reserve_capacity(left.len());
                    let room = std::future::poll_fn(|cx| upload.poll_capacity(cx)).await.unwrap().unwrap();
                    upload.send_data(left.split_to(room.min(left.len())), false).unwrap();
                }
            }
            upload.send_data(Bytes::new(), true).unwrap();
        });
        let answer = answer.await.unwrap();
        assert_eq!(answer.status(), 200);
        let read = body(answer.into_body()).await.unwrap();
        uploading.await.unwrap();
        read
    });
    assert_eq!(bytes, MANY);
    let trailers = trailers.unwrap();
    assert_eq!(trailers.len(), 1, "{trailers:?}");
    assert_eq!(trailers["x-sum"], "7");
    // HTTP/1 clients were not asked whether they want any.
    let mut stream = service.send(&Service::head("POST", "/", "Transfer-Encoding: chunked\r\n"));
    stream.write_all(b"2\r\nhi\r\n0\r\n\r\n").unwrap();
    let answer = answer(&mut stream, false);
    assert_eq!(answer.body, "2\r\nhi\r\n0\r\n\r\n", "{answer:?}");
    assert_eq!(answer.header("trailer"), None);
}

#[test]
fn an_answer_that_comes_before_the_body_is_told_at_once() {
    let (service, _process) = before("", |mut stream| {
        head(&mut stream);
        // Nothing of the body is read until the connection ends.
        thread::sleep(Duration::from_millis(300));
        stream.write_all(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno").unwrap();
        thread::sleep(Duration::from_secs(30));
    });
    let began = Instant::now();
    let mut stream = service.send(&Service::head("PUT", "/", "Content-Length: 100000000\r\n"));
    let mut writing = stream.try_clone().unwrap();
    let sender = thread::spawn(move || {
        for _ in 0..1_000 {
            if writing.write_all(&[b'u'; 100_000]).is_err() {
                return;
            }
        }
    });
    let answer = answer(&mut stream, false);
    assert_eq!((answer.status, &*answer.body), (401, "no"));
    assert_eq!(answer.header("connection"), Some("close"));
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    drop(stream);
    sender.join().unwrap();
}

/// An app whose answer comes in pieces, each when it is asked for.
fn on_demand(
    head: &'static [u8],
    pieces: &'static [&'static [u8]],
) -> (impl Fn(TcpStream) + Send + Sync + 'static, Sender<()>) {
    let (go, wait) = channel();
    let wait: Mutex<Receiver<()>> = Mutex::new(wait);
    let app = move |mut stream: TcpStream| {
        self::head(&mut stream);
        stream.write_all(head).unwrap();
        for piece in pieces {
            wait.lock().unwrap().recv().unwrap();
            stream.write_all(piece).unwrap();
        }
        let _ = rest(&mut stream);
    };
    (app, go)
}

#[test]
fn an_answer_with_a_length_is_passed_on_as_it_comes() {
    const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n";
    let (app, go) = on_demand(HEAD, &[b"abcd", b"efgh"]);
    let (service, _process) = before("", app);
    let mut stream = service.send(&Service::head("GET", "/", ""));
    read_until(&mut stream, b"\r\n\r\n");
    for piece in [b"abcd", b"efgh"] {
        go.send(()).unwrap();
        read_until(&mut stream, piece);
    }
    // While the client still sends, too.
    let (app, go) = on_demand(HEAD, &[b"abcd", b"efgh"]);
    let (service, _process) = before("", app);
    let mut stream = service.send(&Service::head("POST", "/", "Content-Length: 9\r\n"));
    read_until(&mut stream, b"\r\n\r\n");
    go.send(()).unwrap();
    read_until(&mut stream, b"abcd");
    go.send(()).unwrap();
    read_until(&mut stream, b"efgh");
    // And over HTTP/2.
    let (app, go) = on_demand(HEAD, &[b"abcd", b"efgh"]);
    let (service, _process) = before("", app);
    let mut streams = over_tls(&service);
    begin(&mut streams, 1, "/");
    let mut next = |kind| loop {
        let (found, _, _, payload) = streams.next().unwrap();
        if found == kind {
            return payload;
        }
    };
    next(frames::HEADERS);
    for piece in [b"abcd", b"efgh"] {
        go.send(()).unwrap();
        assert_eq!(next(frames::DATA), piece);
    }
}

#[test]
fn each_side_of_a_websocket_ends_for_itself() {
    let (service, _process) = before("", |mut stream| {
        if head(&mut stream).contains("/app-first") {
            stream.write_all(SWITCH).unwrap();
            stream.write_all(b"bye").unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            let heard = rest(&mut stream);
            assert_eq!(heard, "last words");
        } else {
            stream.write_all(SWITCH).unwrap();
            let heard = rest(&mut stream);
            stream.write_all(format!("heard {heard}").as_bytes()).unwrap();
        }
    });
    let mut stream = service.send(&Service::head("GET", "/client-first", UPGRADE));
    read_until(&mut stream, b"\r\n\r\n");
    stream.write_all(b"this").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(rest(&mut stream), "heard this");
    let mut stream = service.send(&Service::head("GET", "/app-first", UPGRADE));
    read_until(&mut stream, b"\r\n\r\n");
    assert_eq!(rest(&mut stream), "bye");
    stream.write_all(b"last words").unwrap();
    drop(stream);
    let granted = "portcullis_requests_total{app=\"wiki\",outcome=\"granted\"}";
    crate::service::wait_for("both to be over", || (service.metric(granted) == 2.0).then_some(()));
}

#[test]
fn interim_answers_pass_and_a_body_waits_for_its_word() {
    let (service, _process) = before("", |mut stream| {
        let head = head(&mut stream).to_ascii_lowercase();
        if head.contains("expect") {
            assert_eq!(head.matches("expect: 100-continue").count(), 1, "{head}");
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").unwrap();
        }
        if head.contains("content-length") {
            stream.read_exact(&mut [0; 4]).unwrap();
        }
        let hint = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nConnection: x-own\r\nX-Own: 1\r\n\r\n";
        let last =
            b"HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n";
        stream.write_all(hint).unwrap();
        stream.write_all(last).unwrap();
    });
    let expecting = "Expect: 100-continue\r\nContent-Length: 4\r\n";
    let mut stream = service.send(&Service::head("POST", "/", expecting));
    assert!(read_until(&mut stream, b"\r\n\r\n").starts_with("HTTP/1.1 100 "));
    stream.write_all(b"body").unwrap();
    let hint = read_until(&mut stream, b"\r\n\r\n");
    assert!(hint.starts_with("HTTP/1.1 103 ") && hint.contains("</a>"), "{hint}");
    assert!(!hint.to_ascii_lowercase().contains("x-own"), "{hint}");
    assert_eq!(answer(&mut stream, false).body, "2\r\nhi\r\n0\r\n\r\n");
    // Clients of HTTP/1.0 know neither interim answers nor chunks.
    for lines in ["", expecting] {
        let method = if lines.is_empty() { "GET" } else { "POST" };
        let head = String::from_utf8(Service::head(method, "/", lines)).unwrap();
        let mut stream = service.send(head.replace("HTTP/1.1", "HTTP/1.0").as_bytes());
        if !lines.is_empty() {
            stream.write_all(b"body").unwrap();
        }
        let all = rest(&mut stream);
        let (head, body) = all.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 ") && !head.to_ascii_lowercase().contains("chunked"), "{all}");
        assert_eq!(body, "hi");
    }
    // Over HTTP/2 the answer alone is passed on.
    let mut streams = over_tls(&service);
    begin(&mut streams, 1, "/");
    let answer = streams.answer(1);
    assert_eq!((answer.status(), answer.body()), (200, "hi"));
}

/// The fault that the app is said to have.
fn faults(service: &Service, cause: &str) -> f64 {
    service.metric(&format!("portcullis_upstream_failures_total{{app=\"wiki\",kind=\"{cause}\"}}"))
}

#[test]
fn a_head_that_drips_has_one_time_for_all_of_it() {
    let (service, _process) = before("timeouts = { first-byte = \"1s\" }", |mut stream| {
        let drips: &[u8] = match head(&mut stream) {
            head if head.contains("/interim") => b"HTTP/1.1 102 Processing\r\n\r\n",
            _ => b"HTTP/1.1 200 OK\r\nX-Long: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        };
        for byte in drips.iter().cycle() {
            if stream.write_all(&[*byte]).is_err() {
                return;
            }
            thread::sleep(Duration::from_millis(50));
        }
    });
    for target in ["/", "/interim"] {
        let mut stream = service.send(&Service::head("GET", target, "Connection: close\r\n"));
        let all = rest(&mut stream);
        assert!(all.contains("HTTP/1.1 504 "), "{target}: {all}");
    }
    assert_eq!(faults(&service, "answer-timeout"), 2.0);
}

#[test]
fn a_request_has_one_time_for_all_of_it_unless_it_is_a_stream() {
    let (service, _process) = before("timeouts = { total = \"1s\" }", |mut stream| {
        let kind = match head(&mut stream) {
            head if head.contains("/silent") => return thread::sleep(Duration::from_secs(5)),
            head if head.contains("/events") => "text/event-stream",
            _ => "text/plain",
        };
        let begin = format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: 30\r\n\r\n");
        let _ = stream.write_all(begin.as_bytes());
        for _ in 0..30 {
            if stream.write_all(b".").is_err() {
                return;
            }
            thread::sleep(Duration::from_millis(100));
        }
    });
    let ask = |target: &str| {
        let mut stream = service.send(&Service::head("GET", target, "Connection: close\r\n"));
        rest(&mut stream)
    };
    assert!(ask("/silent").contains("HTTP/1.1 504 "));
    // Of a client that is slow itself, too, which says nothing of the server.
    let mut upload =
        service.send(&Service::head("POST", "/silent", "Connection: close\r\nContent-Length: 9\r\n"));
    let late = rest(&mut upload);
    assert!(late.contains("HTTP/1.1 504 "), "{late}");
    let cut = ask("/drips");
    assert!(cut.contains("HTTP/1.1 200 ") && !cut.ends_with(&".".repeat(30)), "{cut}");
    let events = ask("/events");
    assert!(events.ends_with(&".".repeat(30)), "{events}");
    assert_eq!(faults(&service, "total-timeout"), 3.0);
    assert_eq!(service.metric("portcullis_upstream_server_ejections_total"), 0.0);
}

#[test]
fn who_waits_for_ever_to_send_a_body_is_late_and_its_app_is_not() {
    let (service, _process) = before("timeouts = { first-byte = \"1s\", read = \"1s\" }", |mut stream| {
        head(&mut stream);
        thread::sleep(Duration::from_secs(5));
    });
    // Over HTTP/1.0 and with another word nobody waits for anything but the body.
    for (version, word) in [("1.1", "100-continue"), ("1.0", "100-continue"), ("1.1", "other")] {
        let head = format!(
            "POST /silent HTTP/{version}\r\nHost: {HOST}\r\nAuthorization: Bearer {}\r\nConnection: close\r\nContent-Length: 9\r\nExpect: {word}\r\n\r\n",
            keys::token()
        );
        let all = rest(&mut service.send(head.as_bytes()));
        assert!(!all.contains(" 504 "), "{version} {word}: {all}");
    }
    assert_eq!(faults(&service, "answer-timeout"), 0.0);
    assert_eq!(service.metric("portcullis_upstream_server_ejections_total"), 0.0);
}

#[test]
fn an_answer_that_is_cut_is_not_told_as_whole() {
    let (service, _process) = before("", |mut stream| {
        let body: &[u8] = match head(&mut stream) {
            head if head.contains("/length") => b"Content-Length: 9\r\n\r\ncut",
            head if head.contains("/chunks") => b"Transfer-Encoding: chunked\r\n\r\n3\r\ncut\r\n",
            _ => b"Transfer-Encoding: chunked\r\n\r\n3\r\ncut\r\nZZ\r\n",
        };
        stream.write_all(&[OK, body].concat()).unwrap();
    });
    for (target, cause) in [("/length", "reset"), ("/chunks", "reset"), ("/malformed", "protocol")] {
        let before = faults(&service, cause);
        let mut stream = service.send(&Service::head("GET", target, ""));
        let all = rest(&mut stream);
        assert!(all.starts_with("HTTP/1.1 200 ") && all.contains("cut"), "{target}: {all}");
        assert!(!all.contains("\r\n0\r\n") && all.matches("HTTP/1.1").count() == 1, "{target}: {all}");
        let (runtime, mut send) = http2(&service);
        let cut = runtime.block_on(async {
            let (answer, _) = send.send_request(request("GET", target), true).unwrap();
            body(answer.await.unwrap().into_body()).await
        });
        assert!(cut.as_ref().is_err_and(h2::Error::is_reset), "{target}: {cut:?}");
        assert_eq!(faults(&service, cause), before + 2.0, "{target}");
    }
}

#[test]
fn an_app_whose_client_has_left_is_not_kept() {
    let (gone, left) = channel();
    let gone = Mutex::new(gone);
    let (service, _process) = before("", move |mut stream| {
        head(&mut stream);
        // Until the proxy closes.
        let _ = rest(&mut stream);
        let _ = gone.lock().unwrap().send(());
    });
    drop(service.send(&Service::head("GET", "/", "")));
    left.recv_timeout(Duration::from_secs(10)).unwrap();
    let (runtime, mut send) = http2(&service);
    runtime.block_on(async {
        let (answer, mut stream) = send.send_request(request("POST", "/"), false).unwrap();
        // The app has its head when it waits for the body.
        tokio::time::sleep(Duration::from_millis(300)).await;
        stream.send_reset(h2::Reason::CANCEL);
        drop(answer);
    });
    left.recv_timeout(Duration::from_secs(10)).unwrap();
    let aborted = "portcullis_requests_total{app=\"wiki\",outcome=\"aborted\"}";
    crate::service::wait_for("both to be aborted", || (service.metric(aborted) == 2.0).then_some(()));
}

#[test]
fn an_app_reads_one_framing_whatever_the_client_sent() {
    let (service, _process) = before("", |mut stream| {
        while let head = head(&mut stream)
            && !head.is_empty()
        {
            let folded = head.to_ascii_lowercase();
            let mut body = if folded.contains("transfer-encoding") {
                let chunk = read_until(&mut stream, b"\r\n0\r\n\r\n");
                chunk.split("\r\n").nth(1).unwrap().to_owned()
            } else {
                let length = folded.split("content-length: ").nth(1).map(|rest| rest.lines().next().unwrap());
                let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
                stream.read_exact(&mut body).unwrap();
                String::from_utf8(body).unwrap()
            };
            body = format!("{body}|{head}");
            stream.write_all(OK).unwrap();
            stream.write_all(format!("Content-Length: {}\r\n\r\n{body}", body.len()).as_bytes()).unwrap();
        }
    });
    let hop = "Keep-Alive: timeout=5\r\nTE: trailers\r\nTrailer: x-sum\r\nProxy-Connection: keep-alive\r\nProxy-Authorization: Basic eA==\r\n";
    for (method, framing, body) in [
        ("GET", "", ""),
        ("GET", "Content-Length: 2\r\n", "hi"),
        ("POST", "Content-Length: 0\r\n", ""),
        ("POST", "", ""),
        ("DELETE", "Transfer-Encoding: chunked\r\n", "2\r\nhi\r\n0\r\n\r\n"),
    ] {
        let head = Service::head(method, "/", &format!("{framing}{hop}"));
        let mut stream = service.send(&[&head, body.as_bytes()].concat());
        let answer = answer(&mut stream, false);
        let (read, head) = answer.body.split_once('|').unwrap();
        let head = head.to_ascii_lowercase();
        assert_eq!(read, if body.is_empty() { "" } else { "hi" }, "{method} {framing:?}: {head}");
        let found = ["content-length:", "transfer-encoding:"].map(|name| head.matches(name).count());
        let wanted = [framing.starts_with('C'), framing.starts_with('T')].map(usize::from);
        assert_eq!(found, wanted, "{method} {framing:?}: {head}");
        for gone in
            ["keep-alive:", "te:", "trailer:", "proxy-connection:", "proxy-authorization:", "connection:"]
        {
            assert!(!head.lines().any(|line| line.starts_with(gone)), "{gone} {head}");
        }
    }
}
