//! A browser's session: nobody rides on it, nobody plants it, no app sees it, and what is ours reaches no app.

use crate::browser::{Browser, NAVIGATION};
use crate::origin::BODY;
use crate::raw_app::{RawApp, Reply};
use crate::signing_in::{Setup, WIKI, World};
use crate::wire::{Answer, exchange};

const COOKIE: &str = "portcullis-session";
const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// The session's cookie, as a line of a head.
fn cookie(browser: &Browser, host: &str) -> String {
    let cookies = browser.cookies(host, COOKIE);
    let [(name, value)] = cookies.as_slice() else { panic!("{cookies:?}") };
    format!("{name}={value}")
}

fn ask(world: &World, method: &str, target: &str, lines: &str) -> Answer {
    let head = format!("{method} {target} HTTP/1.1\r\nHost: {WIKI}\r\n{lines}Connection: close\r\n\r\n");
    exchange(&world.proxy, head.as_bytes())
}

#[test]
fn never_n83_a_path_of_ours_reaches_an_app_in_any_spelling() {
    let forms = "allow-paths = [\"double-slash\", \"path-parameters\", \"encoded-slash\", \"trailing-dot\"]";
    let world = World::start(Setup { wiki: forms, ..Setup::default() });
    let browser = world.signed_in();
    let session = format!("Cookie: {}\r\n", cookie(&browser, WIKI));
    let hits = world.app.hits();
    for target in [
        "/.portcullis",
        "/.portcullis/",
        "/.portcullis/me",
        "/.portcullis/keys",
        "/.portcullis/unknown",
        "/.portcullis/sign-in",
        "/.portcullis/sign-out",
        "/.portcullis/callback/idp",
        "/.portcullis/callback/idp/x",
        "/.portcullis/logout/backchannel",
        "/.PORTCULLIS/me",
        "//.portcullis/me",
        "///.portcullis//me",
        "/.portcullis;v=1/me",
        "/.portcullis%2Fme",
        "/%2F.portcullis/me",
        "/%2eportcullis/me",
        "/.portcull%69s/me",
        "/./.portcullis/me",
        "/x/../.portcullis/me",
        "/x/%2e%2e/.portcullis/me",
        "/.portcullis\\me",
        "/\u{ff0e}portcullis/me",
    ] {
        for method in ["GET", "HEAD", "POST", "PUT", "OPTIONS", "PROPFIND"] {
            for lines in [NAVIGATION, ""] {
                ask(&world, method, target, &format!("{session}{lines}"));
                assert_eq!(world.app.hits(), hits, "{method} {target} {lines}");
            }
        }
    }
    // Where WebDAV copies to is a path of the request, too.
    ask(&world, "COPY", "/a", &format!("{session}Destination: /.portcullis/me\r\n"));
    assert_eq!(world.app.hits(), hits);
    let answer = ask(&world, "GET", "/.portcullisx", &session);
    assert_eq!((answer.body.as_str(), world.app.hits()), (BODY, hits + 1), "the counterpart");
}

#[test]
fn never_n84_the_session_or_a_token_of_the_provider_reaches_the_app() {
    let world = World::plain();
    let browser = world.signed_in();
    let session = cookie(&browser, WIKI);
    let secret = session.split_once('=').unwrap().1;
    for cookies in [
        session.clone(),
        format!("a=1; {session}; b=2"),
        format!("{session};a=1"),
        format!("a=1\r\nCookie: {session}\r\nCookie: b=2"),
        format!("a=1; __Host-Http-portcullis={secret}; __HOST-HTTP-PORTCULLIS-attempt-1=x; {session}"),
    ] {
        let answer = ask(&world, "GET", "/", &format!("Cookie: {cookies}\r\n"));
        assert_eq!(answer.status, 200, "{cookies}: {}", answer.head);
        let seen = world.app.last();
        let shown = seen.head.to_ascii_lowercase();
        assert!(!seen.holds(secret) && !shown.contains("cookie: portcullis"), "{}", seen.head);
        assert!(!shown.contains("-http-portcullis"), "{}", seen.head);
        assert!(seen.values("authorization").is_empty() && !seen.holds("eyJ"), "{}", seen.head);
        let wanted = cookies.contains("a=1");
        assert_eq!(seen.holds("a=1"), wanted, "the counterpart: other cookies arrive: {}", seen.head);
        assert_eq!(seen.values("x-user").len(), 1, "{}", seen.head);
    }
    assert!(!world.log().contains(secret) && !world.said().contains(secret));
}

#[test]
fn never_n85_a_websocket_of_a_foreign_page_rides_on_the_session() {
    let world = World::plain();
    let session = format!("Cookie: {}\r\n", cookie(&world.signed_in(), WIKI));
    let port = world.proxy.rsplit(':').next().unwrap();
    let open =
        |origin: &str| ask(&world, "GET", "/ws", &format!("{session}{UPGRADE}Origin: {origin}\r\n")).status;
    let hits = world.app.hits();
    for origin in [
        "http://evil.localhost",
        "http://wiki.localhost.evil.test",
        "https://wiki.localhost",
        "http://wiki.localhost:1",
        "http://shop.localhost",
        "null",
        "",
    ] {
        assert_eq!(open(origin), 403, "{origin}");
    }
    assert_eq!(world.app.hits(), hits);
    let own = format!("{session}Origin: http://{WIKI}:{port}\r\n");
    let head = format!("GET /ws HTTP/1.1\r\nHost: {WIKI}:{port}\r\n{UPGRADE}{own}\r\n");
    let answer = crate::wire::answer(
        &mut {
            let mut stream = std::net::TcpStream::connect(&world.proxy).unwrap();
            std::io::Write::write_all(&mut stream, head.as_bytes()).unwrap();
            stream
        },
        true,
    );
    assert_eq!(answer.status, 101, "the counterpart: {}", answer.head);
}

#[test]
fn never_n100_anything_but_a_navigation_starts_a_sign_in_or_leaves_a_cookie() {
    let world = World::plain();
    let html = "Accept: text/html\r\n";
    for (method, lines) in [
        ("GET", String::new()),
        ("GET", "Accept: */*\r\n".to_owned()),
        (
            "GET",
            "Accept: image/avif,image/webp\r\nSec-Fetch-Mode: no-cors\r\nSec-Fetch-Dest: image\r\n"
                .to_owned(),
        ),
        ("GET", format!("{html}Sec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\n")),
        ("GET", format!("{html}Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: iframe\r\n")),
        ("GET", format!("{html}Sec-Fetch-Mode: same-origin\r\nSec-Fetch-Dest: serviceworker\r\n")),
        ("GET", format!("{html}X-Requested-With: XMLHttpRequest\r\n")),
        ("GET", format!("{NAVIGATION}Sec-Purpose: prefetch;prerender\r\n")),
        ("GET", format!("{NAVIGATION}{UPGRADE}")),
        ("GET", format!("{NAVIGATION}Authorization: Bearer x\r\n")),
        ("GET", format!("{NAVIGATION}Cookie: {COOKIE}=planted\r\nSec-Fetch-Mode: cors\r\n")),
        ("HEAD", NAVIGATION.to_owned()),
        ("POST", format!("{NAVIGATION}Content-Length: 0\r\n")),
        ("PUT", format!("{NAVIGATION}Content-Length: 0\r\n")),
        ("OPTIONS", NAVIGATION.to_owned()),
        ("GET", "Content-Type: application/grpc\r\n".to_owned()),
    ] {
        let answer = ask(&world, method, "/deep/link", &lines);
        assert_ne!(answer.status, 303, "{method} {lines}: {}", answer.head);
        assert!(answer.header("location").is_none(), "{method} {lines}: {}", answer.head);
        assert!(answer.header("set-cookie").is_none(), "{method} {lines}: {}", answer.head);
    }
    assert_eq!(world.metric("portcullis_sign_ins_started_total{provider=\"idp\"}"), 0.0);
    assert_eq!(world.app.hits(), 0);
    assert_eq!(ask(&world, "GET", "/deep/link", NAVIGATION).status, 303, "the counterpart");
}

#[test]
fn never_n102_a_session_is_planted_by_an_app_or_by_a_page() {
    let planted = "Set-Cookie: portcullis-session=evil; Path=/\r\nSet-Cookie: __Host-Http-portcullis=evil; Secure; Path=/\r\n\
        Set-Cookie: Portcullis-attempt-1=evil\r\nSet-Cookie: =portcullis-session=evil\r\nSet-Cookie: __secure-portcullis=evil\r\n\
        Set-Cookie: own=1\r\n";
    let app = RawApp::start(move |_| {
        Reply::Keep(format!("HTTP/1.1 200 OK\r\n{planted}Content-Length: 0\r\n\r\n").into_bytes())
    });
    let third = format!(
        "[[app]]\nid = \"plant\"\nhosts = [\"plant.localhost\"]\nupstreams = [\"http://{}\"]\nunmatched = \"allow\"\nsign-in = \"idp\"\n",
        app.address
    );
    let world = World::start(Setup { more: third, ..Setup::default() });
    let mut browser = Browser::default();
    let page = browser.follow(&world.url("plant.localhost", "/"));
    assert_eq!(page.status(), 200, "{page:?}");
    let set = page.set_cookies();
    assert!(!set.iter().any(|line| line.contains("evil")), "{set:?}");
    assert!(set.iter().any(|line| line.starts_with("own=1")), "the counterpart: {set:?}");
    // A session of one host is none of another, however it came there.
    let stolen = cookie(&browser, "plant.localhost");
    let hits = world.app.hits();
    assert_eq!(ask(&world, "GET", "/", &format!("Cookie: {stolen}\r\n")).status, 401);
    assert_eq!(ask(&world, "GET", "/", &format!("Cookie: {stolen}\r\n{NAVIGATION}")).status, 303);
    assert_eq!(world.app.hits(), hits);
    // Whatever a browser brings, the session that a sign-in opens is a new one.
    let mut fixed = Browser::default();
    fixed.set(WIKI, COOKIE, Some("0123456789abcdef0123456789abcdef"));
    assert_eq!(fixed.follow(&world.url(WIKI, "/")).status(), 200);
    assert!(!cookie(&fixed, WIKI).contains("0123456789abcdef"));
}

#[test]
fn never_n101_a_session_that_was_replaced_is_honoured() {
    let world = World::plain();
    let mut browser = world.signed_in();
    let former = cookie(&browser, WIKI);
    let asked = |cookie: &str| ask(&world, "GET", "/", &format!("Cookie: {cookie}\r\n")).status;
    assert_eq!(asked(&former), 200);
    let page = browser.follow(&world.url(WIKI, "/.portcullis/sign-in?return=%2F"));
    assert_eq!(page.status(), 200, "{page:?}\n{}", world.said());
    let next = cookie(&browser, WIKI);
    assert_ne!(former, next, "each sign-in has a session of its own");
    assert_eq!(asked(&next), 200);
    assert_eq!(asked(&former), 401, "the former one is dead on the server");
}
