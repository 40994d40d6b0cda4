//! Against a server on the loopback that does what the case says.

use std::future::{Future, poll_fn};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::{HeaderMap, HeaderValue, Response};
use pingora::http::RequestHeader;
use pingora::upstreams::peer::HttpPeer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::super::{Body, Connected, Connector, Event, Exchange, Fault, Request};
use super::*;
use crate::failure::NetworkFailure;

/// Longer than anything here takes, on a busy machine too.
const LONG: Duration = Duration::from_secs(20);

type Asked = (http::Request<RecvStream>, SendResponse<Bytes>);

/// A server that calls `serve` with each request, and how many connections it had.
async fn server<F, S>(streams: u32, serve: F) -> (HttpPeer, Arc<AtomicUsize>)
where
    F: Fn(Asked) -> S + Clone + Send + 'static,
    S: Future<Output = ()> + Send + 'static,
{
    let connections = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&connections);
    let peer = raw(move |socket| {
        count.fetch_add(1, Ordering::Relaxed);
        let serve = serve.clone();
        async move {
            let mut http2 =
                h2::server::Builder::new().max_concurrent_streams(streams).handshake(socket).await.unwrap();
            while let Some(Ok(asked)) = http2.accept().await {
                tokio::spawn(serve(asked));
            }
        }
    })
    .await;
    (peer, connections)
}

/// A server that calls `serve` with each connection.
async fn raw<F, S>(serve: F) -> HttpPeer
where
    F: Fn(TcpStream) -> S + Send + 'static,
    S: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut peer = HttpPeer::new(listener.local_addr().unwrap(), false, String::new());
    peer.options.set_http_version(2, 2);
    peer.options.connection_timeout = Some(Duration::from_secs(5));
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(serve(socket));
        }
    });
    peer
}

fn connector() -> &'static Connector {
    static CONNECTOR: LazyLock<Connector> = LazyLock::new(|| Connector::new(8));
    &CONNECTOR
}

fn post(path: &str, body: Body) -> Request {
    let mut head = RequestHeader::build("POST", path.as_bytes(), None).unwrap();
    head.insert_header("host", "app.test").unwrap();
    Request { head: Box::new(head), body, upgrade: false }
}

async fn connect(peer: &HttpPeer) -> Result<Connected, Fault> {
    timeout(LONG, connector().connect(peer, false)).await.unwrap()
}

async fn ask(peer: &HttpPeer, body: Body) -> Exchange {
    connect(peer).await.unwrap().ask(&post("/", body)).unwrap()
}

async fn next(exchange: &mut Exchange) -> Result<Event, Fault> {
    let next = poll_fn(|cx| {
        let _ = exchange.poll_flush(cx)?;
        exchange.poll_next(cx)
    });
    timeout(LONG, next).await.unwrap()
}

async fn send(exchange: &mut Exchange, piece: &'static [u8], end: bool) {
    timeout(LONG, poll_fn(|cx| exchange.poll_ready(cx))).await.unwrap().unwrap();
    exchange.send_data(Bytes::from_static(piece), end).unwrap();
    timeout(LONG, poll_fn(|cx| exchange.poll_flush(cx))).await.unwrap().unwrap();
}

/// Status, body and trailers.
async fn whole(exchange: &mut Exchange) -> Result<(u16, Vec<u8>, HeaderMap), Fault> {
    let (mut status, mut data, mut trailers) = (0, Vec::new(), HeaderMap::new());
    loop {
        match next(exchange).await? {
            Event::Interim(_) => {}
            Event::Head(head) => status = head.status.as_u16(),
            Event::Data(piece) => data.extend_from_slice(&piece),
            Event::Trailers(fields) => trailers = fields,
            Event::End => return Ok((status, data, trailers)),
        }
        if exchange.is_ended() {
            return Ok((status, data, trailers));
        }
    }
}

/// Sends back what comes, and how much it was behind it.
async fn echo((request, mut respond): Asked) {
    let mut body = request.into_body();
    let mut stream = respond.send_response(Response::new(()), false).unwrap();
    let mut count = 0;
    while let Some(Ok(piece)) = body.data().await {
        count += piece.len();
        body.flow_control().release_capacity(piece.len()).unwrap();
        stream.send_data(piece, false).unwrap();
    }
    let mut trailers = HeaderMap::new();
    trailers.insert("x-count", HeaderValue::from(count));
    stream.send_trailers(trailers).unwrap();
}

#[tokio::test]
async fn requests_share_a_connection_and_bodies_and_trailers_pass() {
    let (peer, connections) = server(100, echo).await;
    let mut all: Vec<_> = Vec::new();
    for _ in 0..20 {
        all.push(ask(&peer, Body::Unknown).await);
    }
    for exchange in &mut all {
        send(exchange, b"abc", false).await;
    }
    for exchange in all.iter_mut().rev() {
        send(exchange, b"", true).await;
        let (status, data, trailers) = whole(exchange).await.unwrap();
        assert_eq!((status, data.as_slice()), (200, &b"abc"[..]));
        assert_eq!(trailers["x-count"], "3");
        assert!(exchange.takes_body());
    }
    assert_eq!(connections.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn many_who_come_at_once_share_what_they_wait_for_and_none_waits_for_room() {
    let (peer, connections) = server(3, echo).await;
    let mut tasks = Vec::new();
    for _ in 0..10 {
        let peer = peer.clone();
        tasks.push(tokio::spawn(async move { ask(&peer, Body::Length(3)).await }));
    }
    let mut all = Vec::new();
    for task in tasks {
        all.push(task.await.unwrap());
    }
    let count = connections.load(Ordering::Relaxed);
    assert!((4..=10).contains(&count), "{count}");
    for exchange in &mut all {
        send(exchange, b"abc", true).await;
        assert_eq!(whole(exchange).await.unwrap().0, 200);
    }
    drop(all);
    let mut again = ask(&peer, Body::Length(0)).await;
    assert_eq!(whole(&mut again).await.unwrap().0, 200);
    assert_eq!(connections.load(Ordering::Relaxed), count);
}

#[tokio::test]
async fn who_had_a_connection_made_has_a_place_on_it_however_few_it_has() {
    let (peer, connections) = server(1, echo).await;
    let mut tasks = Vec::new();
    for _ in 0..30 {
        let peer = peer.clone();
        tasks.push(tokio::spawn(async move { ask(&peer, Body::Length(3)).await }));
    }
    let mut all = Vec::new();
    for task in tasks {
        all.push(task.await.unwrap());
    }
    for exchange in &mut all {
        send(exchange, b"abc", true).await;
        assert_eq!(whole(exchange).await.unwrap().0, 200);
    }
    assert_eq!(connections.load(Ordering::Relaxed), 30);
}

#[tokio::test]
async fn a_server_that_ends_each_connection_as_it_begins_is_not_asked_again_and_again() {
    let connections = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&connections);
    let peer = raw(move |mut socket: TcpStream| {
        count.fetch_add(1, Ordering::Relaxed);
        async move {
            let mut preface = [0; 24];
            let _ = socket.read_exact(&mut preface).await;
            let goodbye = [SETTINGS, b"\0\0\x08\x07\0\0\0\0\0", &[0; 8]].concat();
            let _ = socket.write_all(&goodbye).await;
            let _ = tokio::io::copy(&mut socket, &mut tokio::io::sink()).await;
        }
    })
    .await;
    let fault = connect(&peer).await.map(drop).unwrap_err();
    assert_eq!(fault.cause(), NetworkFailure::Reset, "{fault}");
    assert_eq!(connections.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_head_that_ends_the_stream_is_the_whole_answer() {
    let (peer, _) = server(100, |(_, mut respond): Asked| async move {
        let mut head = Response::new(());
        head.headers_mut().insert("grpc-status", HeaderValue::from_static("7"));
        respond.send_response(head, true).unwrap();
    })
    .await;
    let mut exchange = ask(&peer, Body::Unknown).await;
    let Event::Head(head) = next(&mut exchange).await.unwrap() else { panic!("no head") };
    assert_eq!(head.headers["grpc-status"], "7");
    assert!(exchange.is_ended());
}

#[tokio::test]
async fn what_a_client_does_not_take_holds_up_no_other_and_takes_little_memory() {
    let (peer, connections) = server(100, |(request, mut respond): Asked| async move {
        let mut stream = respond.send_response(Response::new(()), false).unwrap();
        if request.headers().contains_key("content-length") {
            stream.send_data(Bytes::from_static(b"quick"), true).unwrap();
            return;
        }
        let piece = Bytes::from(vec![b'x'; 1 << 20]);
        stream.send_data(piece, true).unwrap();
        // It keeps the stream until it was taken.
        let _ = poll_fn(|cx| stream.poll_reset(cx)).await;
    })
    .await;
    let mut stalled = Vec::new();
    for _ in 0..60 {
        let mut exchange = ask(&peer, Body::None).await;
        assert!(matches!(next(&mut exchange).await.unwrap(), Event::Head(_)));
        stalled.push(exchange);
    }
    let mut quick = ask(&peer, Body::Length(0)).await;
    assert_eq!(whole(&mut quick).await.unwrap().1, b"quick");
    assert_eq!(connections.load(Ordering::Relaxed), 1);
    for exchange in &mut stalled {
        poll_fn(|cx| exchange.poll_flush(cx)).await.unwrap();
        let (_, received) = exchange.moved();
        assert!(received <= u64::from(STREAM_WINDOW), "{received}");
    }
    assert_eq!(whole(&mut stalled[59]).await.unwrap().1.len(), 1 << 20);
}

#[tokio::test]
async fn a_refused_stream_is_untouched_and_any_other_end_is_not() {
    for (reason, is_untouched, cause) in [
        (Reason::REFUSED_STREAM, true, NetworkFailure::Reset),
        (Reason::INTERNAL_ERROR, false, NetworkFailure::Reset),
        (Reason::PROTOCOL_ERROR, false, NetworkFailure::Protocol),
        (Reason::CANCEL, false, NetworkFailure::Reset),
    ] {
        let (peer, _) = server(100, move |(_, mut respond): Asked| async move {
            respond.send_reset(reason);
        })
        .await;
        let mut exchange = ask(&peer, Body::Unknown).await;
        let fault = whole(&mut exchange).await.unwrap_err();
        assert_eq!((fault.is_untouched(), fault.cause()), (is_untouched, cause), "{fault}");
        assert!(!exchange.has_received());
    }
}

#[tokio::test]
async fn a_body_of_another_length_than_was_said_is_not_sent() {
    let (peer, _) = server(100, echo).await;
    for pieces in [&[("abcd", false)][..], &[("ab", true)], &[("abc", true), ("d", true)]] {
        let mut exchange = ask(&peer, Body::Length(3)).await;
        let sent = pieces
            .iter()
            .map(|(piece, end)| exchange.send_data(Bytes::from_static(piece.as_bytes()), *end).is_ok());
        assert!(!sent.collect::<Vec<_>>().last().unwrap(), "{pieces:?}");
    }
}

#[tokio::test]
async fn a_client_that_gives_up_cancels_its_stream_alone() {
    let (told, mut tell) = tokio::sync::mpsc::unbounded_channel();
    let (peer, connections) = server(100, move |(_, mut respond): Asked| {
        let told = told.clone();
        async move {
            let reason = poll_fn(|cx| respond.poll_reset(cx)).await;
            let _ = told.send(reason.map_err(|problem| problem.to_string()));
        }
    })
    .await;
    let (one, other) = (ask(&peer, Body::Unknown).await, ask(&peer, Body::Unknown).await);
    drop(one);
    assert_eq!(timeout(LONG, tell.recv()).await.unwrap(), Some(Ok(Reason::CANCEL)));
    assert!(tell.try_recv().is_err());
    drop(other);
    assert_eq!(timeout(LONG, tell.recv()).await.unwrap(), Some(Ok(Reason::CANCEL)));
    assert_eq!(connections.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_server_without_http2_fails_all_who_wait_for_it_at_once() {
    let peer = raw(|mut socket: TcpStream| async move {
        let mut preface = [0; 24];
        let _ = socket.read_exact(&mut preface).await;
        let _ = socket.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n").await;
        let _ = tokio::io::copy(&mut socket, &mut tokio::io::sink()).await;
    })
    .await;
    let mut tasks = Vec::new();
    for _ in 0..10 {
        let peer = peer.clone();
        tasks.push(tokio::spawn(async move { connect(&peer).await.map(drop).unwrap_err() }));
    }
    for task in tasks {
        let fault = task.await.unwrap();
        assert_eq!(fault.cause(), NetworkFailure::Protocol, "{fault}");
    }
    let gone = raw(|_| async {}).await;
    let fault = connect(&gone).await.map(drop).unwrap_err();
    assert_eq!(fault.cause(), NetworkFailure::Reset, "{fault}");
    let mut silent = raw(|socket| async move {
        tokio::time::sleep(LONG).await;
        drop(socket);
    })
    .await;
    silent.options.connection_timeout = Some(Duration::from_millis(50));
    let fault = connect(&silent).await.map(drop).unwrap_err();
    assert_eq!(fault.cause(), NetworkFailure::ConnectTimeout, "{fault}");
}

const SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0";

/// A frame of headers: `:status` 200 of the static table of HPACK, or 103 written out, and whatever follows.
fn headers(stream: u8, flags: u8, block: &[u8]) -> Vec<u8> {
    let length = u8::try_from(block.len()).unwrap();
    [&[0, 0, length, 1, flags, 0, 0, 0, stream], block].concat()
}

/// A frame of data on the first stream.
fn data(text: &[u8], flags: u8) -> Vec<u8> {
    [&[0, 0, u8::try_from(text.len()).unwrap(), 0, flags, 0, 0, 0, 1], text].concat()
}

const END_HEADERS: u8 = 4;
const END_STREAM: u8 = 1;
/// `:status: 200`, indexed.
const OK: &[u8] = &[0x88];
/// `:status: 103`, not indexed.
const HINTS: &[u8] = &[0x08, 3, b'1', b'0', b'3'];

/// A server that sends its settings, and `frames` when it was asked, and then `closes`, or says no more.
async fn scripted(frames: Vec<u8>, closes: bool) -> HttpPeer {
    raw(move |mut socket: TcpStream| {
        let frames = frames.clone();
        async move {
            let mut preface = [0; 24];
            let _ = socket.read_exact(&mut preface).await;
            let _ = socket.write_all(SETTINGS).await;
            // The first HEADERS say that it was asked.
            loop {
                let mut head = [0; 9];
                if socket.read_exact(&mut head).await.is_err() {
                    return;
                }
                let mut rest = vec![0; usize::from(head[1]) << 8 | usize::from(head[2])];
                let _ = socket.read_exact(&mut rest).await;
                if head[3] == 1 {
                    break;
                }
            }
            let _ = socket.write_all(&frames).await;
            if !closes {
                let _ = tokio::io::copy(&mut socket, &mut tokio::io::sink()).await;
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_server_that_answers_early_and_takes_no_more_has_answered() {
    let answer = [headers(1, END_HEADERS, OK), data(b"no", END_STREAM)].concat();
    let reset = [&[0, 0, 4, 3, 0, 0, 0, 0, 1][..], &[0; 4]].concat();
    let peer = scripted([answer, reset].concat(), false).await;
    let mut exchange = ask(&peer, Body::Unknown).await;
    let piece = Bytes::from_static(&[b'x'; 1 << 10]);
    let full = poll_fn(|cx| {
        while exchange.takes_body() {
            let _ = exchange.poll_flush(cx)?;
            std::task::ready!(exchange.poll_ready(cx))?;
            exchange.send_data(piece.clone(), false)?;
        }
        Poll::Ready(Ok::<(), Fault>(()))
    });
    timeout(LONG, full).await.unwrap().unwrap();
    let (status, data, _) = whole(&mut exchange).await.unwrap();
    assert_eq!((status, data.as_slice()), (200, &b"no"[..]));
}

#[tokio::test]
async fn a_goodbye_lets_what_it_names_go_on_and_leaves_the_rest_untouched() {
    let goodbye = |last: u8| [&b"\0\0\x08\x07\0\0\0\0\0"[..], &[0, 0, 0, last], &[0; 4]].concat();
    let answer = headers(1, END_HEADERS | END_STREAM, OK);
    let peer = scripted([goodbye(1), answer].concat(), true).await;
    let mut first = ask(&peer, Body::None).await;
    assert_eq!(whole(&mut first).await.unwrap().0, 200);
    let peer = scripted(goodbye(0), true).await;
    let mut first = ask(&peer, Body::Unknown).await;
    let fault = whole(&mut first).await.unwrap_err();
    assert!(fault.is_untouched(), "{fault}");
    // Cut off without a word: nobody knows.
    let peer = scripted(Vec::new(), true).await;
    let mut first = ask(&peer, Body::Unknown).await;
    let fault = whole(&mut first).await.unwrap_err();
    assert!(fault.is_lost() && !fault.is_untouched(), "{fault}");
    assert_eq!(fault.cause(), NetworkFailure::Reset);
    // It is made anew.
    let mut next = ask(&peer, Body::Unknown).await;
    assert!(whole(&mut next).await.unwrap_err().is_lost());
}

#[tokio::test]
async fn interim_answers_pass_but_never_without_end_even_when_nobody_takes_them() {
    let hint = headers(1, END_HEADERS, HINTS);
    let answer = headers(1, END_HEADERS | END_STREAM, OK);
    let peer = scripted([hint.clone(), hint.clone(), answer].concat(), false).await;
    let mut exchange = ask(&peer, Body::None).await;
    for _ in 0..2 {
        assert!(matches!(next(&mut exchange).await.unwrap(), Event::Interim(head) if head.status == 103));
    }
    assert!(matches!(next(&mut exchange).await.unwrap(), Event::Head(_)));
    let peer = scripted(hint.repeat(100_000), false).await;
    let mut exchange = ask(&peer, Body::None).await;
    // As the relay does that waits for its client.
    let full = poll_fn(|cx| {
        let _ = exchange.poll_flush(cx);
        match &exchange {
            Exchange::Http2(exchange) if exchange.has_failed() => Poll::Ready(()),
            _ => Poll::Pending,
        }
    });
    timeout(LONG, full).await.unwrap();
    let fault = whole(&mut exchange).await.unwrap_err();
    assert_eq!(fault.to_string(), "too many interim answers");
}

#[tokio::test]
async fn what_breaks_the_rules_of_heads_is_refused() {
    let field = |name: &str, value: &str| {
        let text = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
        [&[0][..], &text(name), &text(value)].concat()
    };
    for (what, block) in [
        ("no status", field("a", "b")),
        ("connection", [OK, &field("connection", "close")].concat()),
        ("coding", [OK, &field("transfer-encoding", "chunked")].concat()),
        ("lengths", [OK, &field("content-length", "0"), &field("content-length", "0")].concat()),
        ("length", [OK, &field("content-length", "3")].concat()),
        ("capitals", [OK, &field("Abc", "3")].concat()),
        ("late status", [&field("a", "b"), OK].concat()),
        ("two statuses", [OK, OK].concat()),
        ("switch", [0x08, 3, b'1', b'0', b'1'].to_vec()),
    ] {
        let peer = scripted(headers(1, END_HEADERS | END_STREAM, &block), false).await;
        let mut exchange = ask(&peer, Body::None).await;
        match whole(&mut exchange).await {
            Err(fault) => assert_eq!(fault.cause(), NetworkFailure::Protocol, "{what}: {fault}"),
            Ok(answer) => panic!("{what}: {answer:?}"),
        }
    }
}

#[tokio::test]
async fn a_body_of_another_length_than_the_head_says_is_no_answer() {
    let length = [OK, &[0x0f, 0x0d, 1, b'3']].concat();
    for (text, is_whole) in [(&b"abc"[..], true), (b"ab", false), (b"abcd", false)] {
        let peer = scripted([headers(1, END_HEADERS, &length), data(text, END_STREAM)].concat(), false).await;
        let mut exchange = ask(&peer, Body::None).await;
        let read = whole(&mut exchange).await;
        assert_eq!(read.is_ok(), is_whole, "{read:?}");
    }
}

#[tokio::test]
async fn a_connection_that_nobody_uses_is_closed_with_a_word() {
    let (told, mut tell) = tokio::sync::mpsc::unbounded_channel();
    let mut peer = raw(move |socket: TcpStream| {
        let told = told.clone();
        async move {
            let mut http2 = h2::server::handshake(socket).await.unwrap();
            while let Some(Ok(asked)) = http2.accept().await {
                tokio::spawn(echo(asked));
            }
            let _ = told.send(());
        }
    })
    .await;
    peer.options.idle_timeout = Some(Duration::from_millis(50));
    let mut exchange = ask(&peer, Body::Length(0)).await;
    assert_eq!(whole(&mut exchange).await.unwrap().0, 200);
    drop(exchange);
    timeout(LONG, tell.recv()).await.unwrap().unwrap();
}
