//! What is admitted and what is refused, as tables.

use http::HeaderValue;
use portcullis_config::settings::ForwardedHeader;
use portcullis_policy::path::{PathForm, PathForms};
use proptest::prelude::*;

use super::*;

struct Sent {
    method: Method,
    target: Vec<u8>,
    headers: HeaderMap,
    peer: IpAddr,
    proxies: TrustedProxies,
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
            peer: "10.0.0.1".parse().unwrap(),
            proxies,
        }
    }

    fn head(&self) -> Head<'_> {
        Head {
            method: &self.method,
            target: &self.target,
            raw: None,
            version: Version::HTTP_11,
            headers: &self.headers,
            authority: None,
            peer: self.peer,
        }
    }

    fn with<T>(&self, look: impl FnOnce(Result<AdmittedRequest<'_>, BadRequest>) -> T) -> T {
        look(admit(&self.head(), &self.proxies))
    }

    fn refusal(&self) -> Option<BadRequest> {
        self.with(|admitted| admitted.err())
    }
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
        assert_eq!(admit(&Head { raw, ..sent.head() }, &sent.proxies).err(), refusal, "{head:?}");
    }
}

#[test]
fn a_page_is_ours_if_its_host_is_the_one_that_was_asked_or_it_is_allowed() {
    let allowed = ["https://portal.test".to_owned()];
    let ours = |origin: &str| {
        Sent::new("/", &[("origin", origin)]).with(|admitted| admitted.unwrap().is_from_own_page(&allowed))
    };
    assert!(Sent::new("/", &[]).with(|admitted| admitted.unwrap().is_from_own_page(&allowed)));
    for origin in ["https://wiki.test", "http://WIKI.test:8080", "https://portal.test"] {
        assert!(ours(origin), "{origin}");
    }
    for origin in ["https://evil.test", "http://portal.test", "https://a.wiki.test", "wiki.test", "null", ""]
    {
        assert!(!ours(origin), "{origin}");
    }
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
fn framing_credentials_and_look_alikes_are_read_in_one_way_only() {
    use BadRequest::{Credential, Framing, Header};
    let long = "x".repeat(CREDENTIAL_BYTES_MAX + 1);
    let table: &[(&[(&str, &str)], BadRequest)] = &[
        (&[("content-length", "3"), ("content-length", "3")], Framing),
        (&[("content-length", "3, 3")], Framing),
        (&[("content-length", "+3")], Framing),
        (&[("content-length", "")], Framing),
        (&[("transfer-encoding", "gzip, chunked")], Framing),
        (&[("transfer-encoding", "chunked"), ("content-length", "3")], Framing),
        (&[("x_user", "a")], Header),
        (&[("connection", "x-user")], Header),
        (&[("upgrade", "h2c")], Header),
        (&[("user-agent", "a"), ("user-agent", "b")], Header),
        (&[("authorization", "Bearer a"), ("authorization", "Bearer b")], Credential),
        (&[("cookie", &long)], Credential),
    ];
    for (lines, expected) in table {
        assert_eq!(Sent::new("/", lines).refusal(), Some(*expected), "{lines:?}");
    }
    assert_eq!(
        Sent::new("/", &[("connection", "Keep-Alive, Upgrade"), ("upgrade", "WebSocket")]).refusal(),
        None
    );
    let many: Vec<_> = (0..101).map(|_| ("x-a", "b")).collect();
    assert_eq!(Sent::new("/", &many).refusal(), Some(BadRequest::TooLarge));
}

#[test]
fn the_client_is_the_right_most_hop_that_is_not_trusted() {
    let client = |peer: &str, lines: &[&str]| {
        let lines: Vec<_> = lines.iter().map(|line| ("x-forwarded-for", *line)).collect();
        let mut sent = Sent::new("/", &lines);
        sent.peer = peer.parse().unwrap();
        sent.with(|admitted| admitted.map(|request| request.client().to_string()))
    };
    assert_eq!(client("192.0.2.9", &["203.0.113.1"]).unwrap(), "192.0.2.9", "the peer is not trusted");
    assert_eq!(client("::ffff:10.0.0.1", &["203.0.113.1"]).unwrap(), "203.0.113.1");
    assert_eq!(client("10.0.0.1", &["1.1.1.1, 203.0.113.1, 10.0.0.2"]).unwrap(), "203.0.113.1");
    assert_eq!(client("10.0.0.1", &["1.1.1.1", "203.0.113.1:4711"]).unwrap(), "203.0.113.1");
    assert_eq!(client("10.0.0.1", &["::ffff:203.0.113.1"]).unwrap(), "203.0.113.1");
    assert_eq!(client("10.0.0.1", &["[2001:db8::1]:80"]).unwrap(), "2001:db8::1");
    assert_eq!(client("10.0.0.1", &["10.0.0.3, 10.0.0.2"]).unwrap(), "10.0.0.3");
    assert_eq!(client("10.0.0.1", &[]).unwrap(), "10.0.0.1");
    for bad in ["unknown", "", "203.0.113.1,", "_hidden", "203.0.113.999", "1.1.1.1:x"] {
        assert_eq!(client("10.0.0.1", &[bad]), Err(BadRequest::ForwardedAddress), "{bad}");
    }
    assert_eq!(
        client("10.0.0.1", &["garbage, 203.0.113.1"]).unwrap(),
        "203.0.113.1",
        "what is left of it is not read"
    );
}

#[test]
fn what_a_trusted_proxy_says_stays_only_where_it_says_what_we_would() {
    let told = |peer: &str, lines: &[&str]| {
        let lines: Vec<_> = lines.iter().map(|line| ("x-forwarded-for", *line)).collect();
        let mut sent = Sent::new("/", &lines);
        sent.peer = peer.parse().unwrap();
        sent.with(|admitted| admitted.map(|request| (request.client().to_string(), request.client_is_told())))
            .unwrap()
    };
    let is = |client: &str, told: bool| (client.to_owned(), told);
    assert_eq!(told("10.0.0.1", &["203.0.113.9"]), is("203.0.113.9", true));
    assert_eq!(told("10.0.0.1", &["10.0.0.9"]), is("10.0.0.9", true));
    assert_eq!(told("203.0.113.1", &["203.0.113.1"]), is("203.0.113.1", false), "of no trusted proxy");
    assert_eq!(told("10.0.0.1", &["203.0.113.9", "203.0.113.9"]), is("203.0.113.9", false), "two lines");
    assert_eq!(told("10.0.0.1", &[]), is("10.0.0.1", false));
    for other in
        ["1.1.1.1, 203.0.113.9", " 203.0.113.9", "203.0.113.9 ", "203.0.113.9:80", "::ffff:203.0.113.9"]
    {
        assert_eq!(told("10.0.0.1", &[other]), is("203.0.113.9", false), "{other}");
    }
}

#[test]
fn forwarded_of_rfc_7239_is_read_with_quotes_and_ports() {
    let client = |line: &str| {
        let mut sent = Sent::new("/", &[("forwarded", line)]);
        sent.proxies.header = ForwardedHeader::Forwarded;
        sent.with(|admitted| admitted.map(|request| request.client().to_string()))
    };
    assert_eq!(
        client("for=1.1.1.1, For=\"[2001:db8::1]:80\";proto=https;by=10.0.0.1").unwrap(),
        "2001:db8::1"
    );
    for bad in ["for=_x", "for=unknown", "proto=http", "for=1.1.1.1;for=2.2.2.2", "for=\"1.1.1.1"] {
        assert_eq!(client(bad), Err(BadRequest::ForwardedAddress), "{bad}");
    }
}

#[test]
fn a_cookie_that_came_twice_is_no_credential() {
    let cookie = |lines: &[(&str, &str)]| {
        Sent::new("/", lines)
            .with(|admitted| admitted.unwrap().cookie("t").map(|found| found.map(str::to_owned)))
    };
    assert_eq!(cookie(&[("cookie", "a=1; t=x"), ("cookie", "b=2")]), Ok(Some("x".into())));
    assert_eq!(cookie(&[("cookie", "t=x"), ("cookie", "t=x")]), Err(BadRequest::Credential));
    assert_eq!(cookie(&[("cookie", "tt=x; xt=y")]), Ok(None));
}

proptest! {
    #[test]
    fn a_host_is_labels_of_letters_digits_and_hyphens(name in prop_oneof!["[a-z.-]{0,6}", "[ -~]{0,3}", "[a-z]{60,64}([.][a-z]{60,64}){2,4}"]) {
        let is_label = |label: &str| {
            !label.is_empty() && label.chars().all(|char| char.is_ascii_alphanumeric() || char == '-')
        };
        let is_good = name.split('.').all(is_label) && name.len() <= 253;
        prop_assume!(!name.contains([':', '[']));
        prop_assert_eq!(head::without_port(&name).is_ok(), is_good);
    }
}
