//! What is admitted and what is refused, as tables.

use http::HeaderValue;
use http::{Method, Version};
use portcullis_config::settings::ForwardedHeader;
use portcullis_policy::path::{PathForm, PathForms};
use proptest::prelude::*;

use super::*;

struct Sent {
    method: Method,
    target: Vec<u8>,
    headers: HeaderMap,
    proxies: TrustedProxies,
    connection: Connection,
    version: Version,
}

impl Sent {
    fn new(target: &str, lines: &[(&str, &str)]) -> Self {
        let mut headers = HeaderMap::new();
        for (name, value) in [("host", "wiki.test")].iter().chain(lines) {
            headers.append(
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_str(value).unwrap(),
            );
        }
        let proxies = TrustedProxies {
            networks: vec!["10.0.0.0/8".parse().unwrap()],
            header: ForwardedHeader::XForwardedFor,
        };
        Self {
            method: Method::GET,
            target: target.into(),
            headers,
            proxies,
            connection: Connection {
                peer: "10.0.0.1".parse().unwrap(),
                is_unknown: false,
                tls: false,
                port: Some(8080),
            },
            version: Version::HTTP_11,
        }
    }

    fn head(&self) -> Head<'_> {
        Head {
            method: &self.method,
            target: &self.target,
            raw: None,
            version: self.version,
            headers: &self.headers,
            authority: None,
        }
    }

    fn with<T>(&self, look: impl FnOnce(Result<AdmittedRequest<'_>, BadRequest>) -> T) -> T {
        look(admit(&self.head(), self.connection, &self.proxies))
    }

    fn refusal(&self) -> Option<BadRequest> {
        self.with(|admitted| admitted.err())
    }
}

/// The client's address, as the app would receive it.
fn client_of(request: &AdmittedRequest<'_>) -> String {
    request.client().map_or_else(|| "unknown".to_owned(), |client| client.to_string())
}

#[test]
fn a_path_that_an_app_could_read_otherwise_is_refused_or_marked() {
    let forms =
        |target: &str| Sent::new(target, &[]).with(|admitted| admitted.map(|request| request.path_forms()));
    for target in [
        "/",
        "/a",
        "/a/",
        "/a/b.c",
        "/a%20b",
        "/~x/%C3%A9",
        "/a?x=/../..;",
        "/a?b=%2e%2e",
        "/a%23b",
        "/a|b",
        "/100%25",
    ] {
        assert_eq!(forms(target), Ok(PathForms::EMPTY), "{target}");
    }
    // Each of these was refused for every app; now an app that needs it can allow it by name (T1). That nobody
    // else lets it pass is for the gateway, which knows the app: `never_n02`, `n06`, `n07`, `n90`.
    for (target, form) in [
        ("//a", PathForm::DoubleSlash),
        ("/a//b", PathForm::DoubleSlash),
        ("/a%2fb", PathForm::EncodedSlash),
        ("/a;b", PathForm::PathParameters),
        ("/a%3bb", PathForm::PathParameters),
        ("/a%252e", PathForm::DoubleEncoding),
        ("/admin%20/x", PathForm::TrailingDot),
        ("/admin%20", PathForm::TrailingDot),
    ] {
        assert_eq!(forms(target), Ok(PathForms::EMPTY.with(form)), "{target}");
    }
    for target in [
        "",
        "a",
        "*",
        "http://wiki.test/",
        "/.",
        "/..",
        "/a/../b",
        "/a/.",
        "/%2e%2e/b",
        "/%2E/b",
        "/a%5cb",
        "/a\\b",
        "/a%00",
        "/a%2",
        "/a%zz",
        "/a#b",
        "/a b",
        "/a\u{7f}",
        "/é",
        "/%61dmin",
        "/a%2Db",
        "/a%c0%afb",
        "/a%ff",
        "/a%C2%85",
        "/a?b#c",
        "/a?b c",
    ] {
        assert_eq!(forms(target), Err(BadRequest::Target), "{target}");
    }
}

#[test]
fn spellings_of_one_path_are_judged_as_one() {
    let path = |target: &str| Sent::new(target, &[]).with(|admitted| admitted.unwrap().path().to_owned());
    assert_eq!(path("/u/%40me?x=%2e"), "/u/@me");
    // Characters beyond ASCII are themselves, so that rules can be written as people write.
    assert_eq!(path("/%c3%a9%7e%20%7B"), "/é~%20%7B");
    assert_eq!(path("/a%2a%3A%2c"), "/a*:,");
}

#[test]
fn a_destination_is_a_second_path_of_the_request() {
    let paths = |target: &str, lines: &[(&str, &str)]| {
        Sent::new(target, lines).with(|admitted| {
            let request = admitted?;
            Ok(request.other_paths().map(str::to_owned).collect::<Vec<_>>())
        })
    };
    assert_eq!(paths("/a", &[]), Ok(vec![]));
    assert_eq!(paths("/a", &[("destination", "http://wiki.test/b")]), Ok(vec!["/b".to_owned()]));
    let both = paths("/a%2Fb", &[("destination", "/c;d/e")]).unwrap();
    assert_eq!(both, ["/a/b", "/c;d/e", "/c/e"]);
    for lines in
        [&[("destination", "http://other.test/b")][..], &[("destination", "/b"), ("destination", "/b")]]
    {
        assert_eq!(paths("/a", lines), Err(BadRequest::Destination), "{lines:?}");
    }
}

#[test]
fn a_line_that_ends_in_a_bare_lf_is_refused() {
    for (head, refusal) in [
        ("GET / HTTP/1.1\r\nHost: wiki.test\r\n\r\n", None),
        ("GET / HTTP/1.1\r\nHost:wiki.test\r\n\r\n", None),
        ("GET / HTTP/1.1\nHost: wiki.test\r\n\r\n", Some(BadRequest::Framing)),
        ("GET / HTTP/1.1\r\nHost: wiki.test\n\r\n", Some(BadRequest::Framing)),
        ("GET / HTTP/1.1\r\nHost: wiki.test\r\n\n", Some(BadRequest::Framing)),
        ("GET / HTTP/1.1\r\nHost: wiki.test\r\nX: y\nZ: z\r\n\r\n", Some(BadRequest::Framing)),
    ] {
        let sent = Sent::new("/", &[]);
        let raw = Some(RawHead::new(head.as_bytes()));
        assert_eq!(
            admit(&Head { raw, ..sent.head() }, sent.connection, &sent.proxies).err(),
            refusal,
            "{head:?}"
        );
    }
}

#[test]
fn a_page_is_ours_if_its_scheme_host_and_port_are_what_was_asked_or_it_is_allowed() {
    let allowed = ["https://portal.test".to_owned()];
    let ours = |lines: &[(&str, &str)]| {
        Sent::new("/", lines).with(|admitted| admitted.unwrap().is_from_own_page(&allowed))
    };
    assert!(ours(&[]));
    for origin in ["http://wiki.test", "http://WIKI.test:80", "https://portal.test"] {
        assert!(ours(&[("origin", origin)]), "{origin}");
    }
    for origin in [
        "https://wiki.test",
        "http://wiki.test:8080",
        "ftp://wiki.test",
        "http://wiki.test:80:80",
        "https://evil.test",
        "http://portal.test",
        "https://a.wiki.test",
        "wiki.test",
        "null",
        "",
    ] {
        assert!(!ours(&[("origin", origin)]), "{origin}");
    }
    // As its client sees it behind a proxy.
    let behind =
        |origin| ours(&[("x-forwarded-proto", "https"), ("x-forwarded-port", "8443"), ("origin", origin)]);
    assert!(behind("https://wiki.test:8443"));
    assert!(!behind("https://wiki.test") && !behind("http://wiki.test:8443"));
}

#[test]
fn scheme_and_port_are_those_of_the_listener_or_of_a_trusted_proxy_and_never_a_client_s() {
    let site = |peer: &str, connection: Connection, header, host: &str, lines: &[(&str, &str)]| {
        let mut sent = Sent::new("/", lines);
        sent.headers.insert("host", HeaderValue::from_str(host).unwrap());
        (sent.connection, sent.proxies.header) = (connection, header);
        sent.connection.peer = peer.parse().unwrap();
        let site = sent.with(|admitted| admitted.unwrap().site());
        (site.scheme.as_str(), site.port)
    };
    let plain = Sent::new("/", &[]).connection;
    let tls = Connection { tls: true, port: Some(8443), ..plain };
    // A client names its scheme's port or the listener's; whatever else it names is the listener's.
    let client = |connection, host: &str| {
        let lying = [("x-forwarded-proto", "https"), ("x-forwarded-port", "1"), ("forwarded", "proto=https")];
        site("192.0.2.9", connection, ForwardedHeader::XForwardedFor, host, &lying)
    };
    assert_eq!(client(plain, "wiki.test"), ("http", 80));
    assert_eq!(client(plain, "wiki.test:80"), ("http", 80));
    assert_eq!(client(plain, "wiki.test:8080"), ("http", 8080));
    assert_eq!(client(plain, "wiki.test:0"), ("http", 8080));
    assert_eq!(client(plain, "wiki.test:443"), ("http", 8080));
    assert_eq!(client(tls, "wiki.test"), ("https", 443));
    assert_eq!(client(tls, "wiki.test:8443"), ("https", 8443));
    assert_eq!(client(tls, "wiki.test:31337"), ("https", 8443));
    // A trusted proxy's last line and last element count, if they are exactly a scheme or a port.
    let proxy = |host: &str, lines: &[(&str, &str)]| {
        site("10.0.0.1", plain, ForwardedHeader::XForwardedFor, host, lines)
    };
    for (lines, expected) in [
        (&[][..], ("http", 80)),
        (&[("x-forwarded-proto", "https")], ("https", 443)),
        (&[("x-forwarded-proto", "https"), ("x-forwarded-port", "8443")], ("https", 8443)),
        (&[("x-forwarded-proto", "http, https")], ("https", 443)),
        (&[("x-forwarded-proto", "https, http")], ("http", 80)),
        (&[("x-forwarded-proto", "https"), ("x-forwarded-proto", "http")], ("http", 80)),
        (&[("x-forwarded-proto", "wss")], ("https", 443)),
        (&[("x-forwarded-proto", "HTTPS")], ("http", 80)),
        (&[("x-forwarded-proto", "https://x")], ("http", 80)),
        (&[("x-forwarded-proto", "")], ("http", 80)),
        (&[("x-forwarded-port", "8000, 9000")], ("http", 9000)),
        (&[("x-forwarded-port", "0")], ("http", 80)),
        (&[("x-forwarded-port", "65536")], ("http", 80)),
        (&[("forwarded", "proto=https")], ("http", 80)),
    ] {
        assert_eq!(proxy("wiki.test", lines), expected, "{lines:?}");
    }
    assert_eq!(proxy("wiki.test:1", &[("x-forwarded-proto", "https")]), ("https", 443));
    assert_eq!(proxy("wiki.test:8081", &[]), ("http", 8081), "it says nothing else of its own end");
    // By `Forwarded`, the other header is a client's.
    let forwarded =
        |lines: &[(&str, &str)]| site("10.0.0.1", plain, ForwardedHeader::Forwarded, "wiki.test", lines);
    assert_eq!(
        forwarded(&[("forwarded", "for=1.1.1.1;proto=http, for=2.2.2.2;proto=\"https\"")]),
        ("https", 443)
    );
    assert_eq!(forwarded(&[("forwarded", "proto=https"), ("forwarded", "for=2.2.2.2")]), ("http", 80));
    assert_eq!(forwarded(&[("forwarded", "for=1.1.1.1;host=\";proto=https\"")]), ("http", 80));
    assert_eq!(forwarded(&[("x-forwarded-proto", "https"), ("x-forwarded-port", "1")]), ("http", 80));
}

#[test]
fn a_host_is_one_plain_name() {
    let host = |value: &str| {
        let mut sent = Sent::new("/", &[]);
        sent.headers.insert("host", HeaderValue::from_str(value).unwrap());
        sent.with(|admitted| admitted.map(|request| request.host().to_owned()))
    };
    assert_eq!(host("WIKI.test:8443").unwrap(), "wiki.test");
    assert_eq!(host("[2001:db8::1]:80").unwrap(), "[2001:db8::1]");
    for bad in [
        "",
        "wiki.test.",
        "a..b",
        "user@wiki.test",
        "wiki.test/x",
        "wiki.test:x",
        "wiki.test:99999",
        "[::1",
        "a b",
    ] {
        assert_eq!(host(bad), Err(BadRequest::Host), "{bad}");
    }
    assert_eq!(Sent::new("/", &[("host", "wiki.test")]).refusal(), Some(BadRequest::Host), "two of them");
}

#[test]
fn ambiguous_framing_credentials_and_look_alikes_are_refused() {
    use BadRequest::{Credential, Framing, Header};
    let long = "x".repeat(fields::CREDENTIAL_BYTES_MAX + 1);
    let table: &[(&[(&str, &str)], BadRequest)] = &[
        (&[("content-length", "3"), ("content-length", "3")], Framing),
        (&[("content-length", "3, 3")], Framing),
        (&[("content-length", "+3")], Framing),
        (&[("content-length", "")], Framing),
        (&[("content-length", "05")], Framing),
        (&[("content-length", "00")], Framing),
        (&[("transfer-encoding", "gzip, chunked")], Framing),
        (&[("transfer-encoding", "chunked"), ("content-length", "3")], Framing),
        (&[("connection", "x-user")], Header),
        (&[("user-agent", "a"), ("user-agent", "b")], Header),
        (&[("authorization", "Bearer a"), ("authorization", "Bearer b")], Credential),
        (&[("authorization", &long)], Credential),
    ];
    for (lines, expected) in table {
        assert_eq!(Sent::new("/", lines).refusal(), Some(*expected), "{lines:?}");
    }
    let many: Vec<_> = (0..101).map(|_| ("x-a", "b")).collect();
    assert_eq!(Sent::new("/", &many).refusal(), Some(BadRequest::TooLarge));
}

#[test]
fn the_client_is_the_right_most_hop_that_is_not_trusted() {
    let client = |peer: &str, lines: &[&str]| {
        let lines: Vec<_> = lines.iter().map(|line| ("x-forwarded-for", *line)).collect();
        let mut sent = Sent::new("/", &lines);
        sent.connection.peer = peer.parse().unwrap();
        sent.with(|admitted| admitted.map(|request| client_of(&request)))
    };
    assert_eq!(client("192.0.2.9", &["203.0.113.1"]).unwrap(), "192.0.2.9", "the peer is not trusted");
    assert_eq!(client("::ffff:10.0.0.1", &["203.0.113.1"]).unwrap(), "203.0.113.1");
    assert_eq!(client("10.0.0.1", &["1.1.1.1, 203.0.113.1, 10.0.0.2"]).unwrap(), "203.0.113.1");
    assert_eq!(client("10.0.0.1", &["1.1.1.1", "203.0.113.1:4711"]).unwrap(), "203.0.113.1");
    assert_eq!(client("10.0.0.1", &["::ffff:203.0.113.1"]).unwrap(), "203.0.113.1");
    assert_eq!(client("10.0.0.1", &["[2001:db8::1]:80"]).unwrap(), "2001:db8::1");
    assert_eq!(client("10.0.0.1", &["10.0.0.3, 10.0.0.2"]).unwrap(), "10.0.0.3");
    assert_eq!(client("10.0.0.1", &[]).unwrap(), "10.0.0.1");
    assert_eq!(client("10.0.0.1", &["203.0.113.1,"]).unwrap(), "203.0.113.1", "empty elements say nothing");
    assert_eq!(client("10.0.0.1", &["203.0.113.1", " , ,, 10.0.0.2 ,"]).unwrap(), "203.0.113.1");
    assert_eq!(client("10.0.0.1", &[""]).unwrap(), "10.0.0.1");
    assert_eq!(client("10.0.0.1", &["\"[2001:db8::1]:80\""]).unwrap(), "2001:db8::1");
    assert_eq!(client("10.0.0.1", &["fe80::1%eth0"]).unwrap(), "fe80::1");
    assert_eq!(client("10.0.0.1", &["[fe80::1%25eth0]:443"]).unwrap(), "fe80::1");
    for unknown in
        ["unknown", "Unknown", "unknown:80", "_hidden", "1.1.1.1, _a.b-c:_p", "unknown, 10.0.0.2", "unix:"]
    {
        assert_eq!(client("10.0.0.1", &[unknown]).unwrap(), "unknown", "{unknown}");
    }
    for bad in [
        "203.0.113.999",
        "203.0.113.01",
        "1.1.1.1:x",
        "1.1.1.1:",
        "1.1.1.1:123456",
        "1.1.1.1 2.2.2.2",
        "1.1.1.1%eth0",
        "fe80::1%",
        "[fe80::1",
        "[fe80::1]80",
        "[1.1.1.1]",
        "::ffff:1.1.1.1:80x",
        "\"1.1.1.1",
        "\"\"1.1.1.1\"\"",
        "_",
        "_hid den",
        "unknown:x",
        "unknownx",
        "localhost",
        "3221225991",
        "1.1.1.1;2.2.2.2",
    ] {
        assert_eq!(client("10.0.0.1", &[bad]), Err(BadRequest::ForwardedAddress), "{bad}");
    }
    let many = vec!["10.0.0.2"; 33].join(",");
    assert_eq!(client("10.0.0.1", &[&many]), Err(BadRequest::ForwardedAddress));
    assert_eq!(
        client("10.0.0.1", &["garbage, 203.0.113.1"]).unwrap(),
        "203.0.113.1",
        "what is left of it is not read"
    );
}

#[test]
fn what_a_trusted_proxy_says_stays_only_where_it_says_what_we_would() {
    let seen = |peer: &str, lines: &[&str]| {
        let lines: Vec<_> = lines.iter().map(|line| ("x-forwarded-for", *line)).collect();
        let mut sent = Sent::new("/", &lines);
        sent.connection.peer = peer.parse().unwrap();
        sent.with(|admitted| admitted.map(|request| (client_of(&request), request.keep_forwarded_for())))
            .unwrap()
    };
    let is = |client: &str, stays: bool| (client.to_owned(), stays);
    assert_eq!(seen("10.0.0.1", &["203.0.113.9"]), is("203.0.113.9", true));
    assert_eq!(seen("10.0.0.1", &["10.0.0.9"]), is("10.0.0.9", true));
    assert_eq!(seen("203.0.113.1", &["203.0.113.1"]), is("203.0.113.1", false), "of no trusted proxy");
    assert_eq!(seen("10.0.0.1", &["203.0.113.9", "203.0.113.9"]), is("203.0.113.9", false), "two lines");
    assert_eq!(seen("10.0.0.1", &[]), is("10.0.0.1", false));
    for other in
        ["1.1.1.1, 203.0.113.9", " 203.0.113.9", "203.0.113.9 ", "203.0.113.9:80", "::ffff:203.0.113.9"]
    {
        assert_eq!(seen("10.0.0.1", &[other]), is("203.0.113.9", false), "{other}");
    }
}

#[test]
fn forwarded_of_rfc_7239_is_read_with_quotes_and_ports() {
    let client = |line: &str| {
        let mut sent = Sent::new("/", &[("forwarded", line)]);
        sent.proxies.header = ForwardedHeader::Forwarded;
        sent.with(|admitted| admitted.map(|request| client_of(&request)))
    };
    assert_eq!(
        client("for=1.1.1.1, For=\"[2001:db8::1]:80\";proto=https;by=10.0.0.1").unwrap(),
        "2001:db8::1"
    );
    for (line, expected) in [
        ("for=8.8.8.8;host=\"x,for=203.0.113.5;y=\"", "8.8.8.8"),
        ("for=\"203.0.113.5\";host=\"a;b\"", "203.0.113.5"),
        ("for=203.0.113.5;", "203.0.113.5"),
        ("for=1.1.1.1, for=\"10.0.0.2\",,", "1.1.1.1"),
        ("for=\"[fe80::1%25eth0]\"", "fe80::1"),
        ("for=\"\\1.1.1.1:_port\"", "1.1.1.1"),
        ("for=_x", "unknown"),
        ("for=\"unknown:80\"", "unknown"),
        ("proto=http", "unknown"),
        ("for=1.1.1.1, by=10.0.0.1", "unknown"),
        ("", "10.0.0.1"),
    ] {
        assert_eq!(client(line).unwrap(), expected, "{line}");
    }
    for bad in [
        "for=1.1.1.1;for=2.2.2.2",
        "for=\"1.1.1.1",
        "for=1.1.1.1 , for=\"x",
        "for=",
        "for",
        "for=\"\"",
        "for=1.1.1.256",
        "for=\"a b\"",
        "1.1.1.1",
    ] {
        assert_eq!(client(bad), Err(BadRequest::ForwardedAddress), "{bad}");
    }
    // A client's own line is not read where the proxy's names an address of no proxy.
    let mut sent = Sent::new("/", &[("forwarded", "for=\"x"), ("forwarded", "for=2.2.2.2")]);
    sent.proxies.header = ForwardedHeader::Forwarded;
    assert_eq!(sent.with(|admitted| client_of(&admitted.unwrap())), "2.2.2.2");
}

#[test]
fn a_cookie_that_is_sent_twice_is_no_credential() {
    let cookie = |lines: &[(&str, &str)]| {
        Sent::new("/", lines)
            .with(|admitted| admitted.unwrap().cookie("t").map(|found| found.map(str::to_owned)))
    };
    assert_eq!(cookie(&[("cookie", "a=1; t=x"), ("cookie", "b=2")]), Ok(Some("x".into())));
    assert_eq!(cookie(&[("cookie", "t=x"), ("cookie", "t=x")]), Err(BadRequest::Credential));
    assert_eq!(cookie(&[("cookie", "tt=x; xt=y")]), Ok(None));
}

#[test]
fn cookies_that_are_not_ours_are_opaque_and_ours_is_text() {
    let cookie = |value: &[u8]| {
        let mut sent = Sent::new("/", &[]);
        sent.headers.insert("cookie", HeaderValue::from_bytes(value).unwrap());
        sent.with(|admitted| admitted.unwrap().cookie("t").map(|found| found.map(str::to_owned)))
    };
    assert_eq!(cookie(b"a=\xfc; t=x; b=\xc3\xbc; \xff"), Ok(Some("x".into())));
    assert_eq!(cookie("a=1; ".repeat(4_000).as_bytes()), Ok(None));
    assert_eq!(cookie([b"a=1; ".repeat(4_000), b"t=x".to_vec()].concat().as_slice()), Ok(Some("x".into())));
    assert_eq!(cookie(b"t=\xfc"), Err(BadRequest::Credential));
    assert_eq!(cookie(b"t=a\tb"), Err(BadRequest::Credential));
    assert_eq!(cookie(b"t=; a=b"), Ok(None));
}

#[test]
fn a_websocket_is_asked_for_by_a_get_whose_connection_says_upgrade() {
    let is_websocket = |lines: &[(&str, &str)]| {
        Sent::new("/", lines).with(|admitted| {
            let admitted = admitted.unwrap();
            (admitted.presence().upgrade, admitted.is_websocket())
        })
    };
    for (connection, upgrade, expected) in [
        ("Upgrade", "websocket", true),
        ("Keep-Alive, uPGRADE", "WebSocket", true),
        ("upgrade, http2-settings", "h2c, websocket", true),
        ("close", "websocket", false),
        ("upgrade", "h2c", false),
        ("upgrade", "TLS/1.2", false),
        ("upgrade", "websockets", false),
        ("upgrade", "websocket/13", false),
        ("upgrade", "", false),
    ] {
        let lines = [("connection", connection), ("upgrade", upgrade)];
        assert_eq!(is_websocket(&lines), (true, expected), "{lines:?}");
    }
    assert_eq!(is_websocket(&[("upgrade", "websocket")]), (true, false));
    let lines = [("connection", "keep-alive"), ("connection", "upgrade"), ("upgrade", "websocket")];
    assert_eq!(is_websocket(&lines), (true, true));
    let asked = |method, version| {
        let mut sent = Sent::new("/", &lines);
        (sent.method, sent.version) = (method, version);
        sent.with(|admitted| admitted.unwrap().is_websocket())
    };
    assert!(asked(Method::GET, Version::HTTP_11));
    assert!(!asked(Method::POST, Version::HTTP_11) && !asked(Method::GET, Version::HTTP_10));
}

#[test]
fn a_field_with_an_odd_name_is_counted_and_refuses_nothing() {
    let odd = |lines: &[(&str, &str)]| {
        Sent::new("/", lines).with(|admitted| admitted.unwrap().presence().odd_names)
    };
    assert_eq!(odd(&[("x-user", "a"), ("x2", "b")]), 0);
    assert_eq!(odd(&[("x_user", "a"), ("x.user", "b"), ("x-user~", "c"), ("x-user", "d")]), 3);
}

#[test]
fn what_a_parser_took_away_or_mended_still_counts() {
    let refusal = |lines: &[(&str, &str)], parsed: &str, received: &str| {
        let sent = Sent::new("/a", lines);
        let raw = Some(RawHead::beside(parsed.as_bytes(), received.as_bytes()));
        admit(&Head { raw, ..sent.head() }, sent.connection, &sent.proxies).err()
    };
    let both = "POST /a HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunked = [("transfer-encoding", "chunked")];
    assert_eq!(refusal(&chunked, both, both), Some(BadRequest::Framing));
    let one = both.replace("Content-Length", "X-Length");
    assert_eq!(refusal(&chunked, &one, &one), None);
    let mended = "GET /a%20b HTTP/1.1\r\n\r\n";
    assert_eq!(refusal(&[], mended, "GET /a b HTTP/1.1\r\n\r\n"), Some(BadRequest::Target));
    assert_eq!(refusal(&[], mended, mended), None);
}

#[test]
fn a_request_that_shows_itself_or_makes_a_tunnel_is_not_allowed() {
    let refusal = |method: &str| {
        let mut sent = Sent::new("/", &[]);
        sent.method = Method::from_bytes(method.as_bytes()).unwrap();
        sent.refusal()
    };
    assert_eq!(refusal("TRACE"), Some(BadRequest::MethodNotAllowed));
    assert_eq!(refusal("CONNECT"), Some(BadRequest::MethodNotAllowed));
    assert_eq!(refusal("get"), Some(BadRequest::Method));
    assert_eq!(refusal("PROPFIND"), None);
}

proptest! {
    #[test]
    fn a_host_is_labels_of_letters_digits_and_hyphens(name in prop_oneof!["[a-z.-]{0,6}", "[ -~]{0,3}", "[a-z]{60,64}([.][a-z]{60,64}){2,4}"]) {
        let is_label = |label: &str| {
            !label.is_empty() && label.chars().all(|char| char.is_ascii_alphanumeric() || char == '-')
        };
        let is_good = name.split('.').all(is_label) && name.len() <= 253;
        prop_assume!(!name.contains([':', '[']));
        prop_assert_eq!(fields::host_and_port(&name).is_ok(), is_good);
    }
}
