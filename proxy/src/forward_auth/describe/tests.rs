//! What proxies say of a request, and what is made of it.

use super::*;

const PROXY: &str = "10.0.0.5";

fn fields(lines: &[(&'static str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in lines {
        map.append(*name, HeaderValue::from_str(value).unwrap());
    }
    map
}

fn read(lines: &[(&'static str, &str)]) -> Result<Described, BadDescription> {
    by_fields(&fields(lines), PROXY.parse().unwrap())
}

const CADDY: [(&str, &str); 5] = [
    ("x-forwarded-method", "POST"),
    ("x-forwarded-proto", "https"),
    ("x-forwarded-host", "wiki.test"),
    ("x-forwarded-uri", "/a%2Fb?c=d"),
    ("x-forwarded-for", "192.0.2.7"),
];
const NGINX: [(&str, &str); 3] = [
    ("x-original-method", "POST"),
    ("x-original-url", "https://wiki.test/a%2Fb?c=d"),
    ("x-forwarded-for", "192.0.2.7"),
];
const NGINX_BY_URI: [(&str, &str); 5] = [
    ("x-original-method", "POST"),
    ("x-original-uri", "/a%2Fb?c=d"),
    ("x-forwarded-proto", "https"),
    ("x-forwarded-host", "wiki.test"),
    ("x-forwarded-for", "192.0.2.7"),
];

fn changed<'l>(
    lines: &[(&'static str, &'l str)],
    name: &'static str,
    value: Option<&'l str>,
) -> Vec<(&'static str, &'l str)> {
    let others = lines.iter().copied().filter(|(other, _)| *other != name);
    others.chain(value.map(|value| (name, value))).collect()
}

#[test]
fn each_family_of_fields_describes_the_same_request() {
    for lines in [&CADDY[..], &NGINX, &NGINX_BY_URI] {
        let sent = [lines, &[("user-agent", "x"), ("cookie", "a=b"), ("host", "auth.internal")]].concat();
        let described = read(&sent).unwrap();
        assert_eq!((described.method.as_str(), &*described.target), ("POST", &b"/a%2Fb?c=d"[..]));
        let expected = fields(&[("user-agent", "x"), ("cookie", "a=b"), ("host", "wiki.test")]);
        assert_eq!(described.headers, expected, "nothing of the description is left");
        let Connection { peer, is_unknown, tls, port } = described.connection;
        assert_eq!((peer.to_string().as_str(), is_unknown, tls, port), ("192.0.2.7", false, true, Some(443)));
    }
}

#[test]
fn what_is_missing_is_named() {
    for (lines, name, field) in [
        (&CADDY[..], "x-forwarded-method", "X-Forwarded-Method"),
        (&CADDY, "x-forwarded-proto", "X-Forwarded-Proto"),
        (&CADDY, "x-forwarded-host", "X-Forwarded-Host"),
        (&CADDY, "x-forwarded-uri", "X-Forwarded-Uri"),
        (&CADDY, "x-forwarded-for", "X-Forwarded-For"),
        (&NGINX, "x-original-method", "X-Forwarded-Method"),
        (&NGINX, "x-forwarded-for", "X-Forwarded-For"),
        (&NGINX_BY_URI, "x-forwarded-host", "X-Forwarded-Host"),
        (&NGINX_BY_URI, "x-forwarded-proto", "X-Forwarded-Proto"),
        (&NGINX_BY_URI, "x-original-uri", "X-Forwarded-Uri"),
    ] {
        let problem = read(&changed(lines, name, None)).unwrap_err();
        assert_eq!(problem, BadDescription::new(field, Fault::Missing), "without {name}");
    }
    // The host of the asking request is the asked machine's.
    let sent = [&changed(&CADDY, "x-forwarded-host", None)[..], &[("host", "wiki.test")]].concat();
    assert_eq!(read(&sent).unwrap_err(), BadDescription::new(HOST, Fault::Missing));
}

#[test]
fn what_comes_twice_is_refused_even_if_both_say_the_same() {
    for lines in [&CADDY[..], &NGINX, &NGINX_BY_URI] {
        for line in lines.iter().filter(|(name, _)| *name != "x-forwarded-for") {
            let problem = read(&[lines, &[*line]].concat()).unwrap_err();
            assert_eq!(problem.fault, Fault::Doubled, "{line:?}");
            assert!(problem.field.eq_ignore_ascii_case(line.0), "{line:?}");
        }
    }
}

#[test]
fn fields_of_a_client_that_its_proxy_did_not_overwrite_must_say_the_same() {
    for (lines, forged, agrees) in [
        (&CADDY[..], ("x-original-url", "https://wiki.test/public"), false),
        (&CADDY, ("x-original-url", "https://other.test/a%2Fb?c=d"), false),
        (&CADDY, ("x-original-url", "http://wiki.test/a%2Fb?c=d"), false),
        (&CADDY, ("x-original-url", "https://WIKI.test/a%2Fb?c=d"), true),
        (&CADDY, ("x-original-uri", "/a/b?c=d"), false),
        (&CADDY, ("x-original-uri", "/a%2fb?c=d"), false),
        (&CADDY, ("x-original-uri", "/a%2Fb?c=d"), true),
        (&CADDY, ("x-original-method", "GET"), false),
        (&CADDY, ("x-original-method", "post"), false),
        (&NGINX, ("x-forwarded-uri", "/public"), false),
        (&NGINX, ("x-forwarded-method", "GET"), false),
        (&NGINX, ("x-forwarded-host", "other.test"), false),
        (&NGINX, ("x-forwarded-proto", "http"), false),
        (&NGINX, ("x-original-uri", "/public"), false),
        (&NGINX, ("x-forwarded-proto", "https"), true),
    ] {
        let found = read(&[lines, &[forged]].concat());
        match found {
            Ok(described) => {
                assert!(agrees, "{forged:?}");
                assert_eq!(described.target, b"/a%2Fb?c=d");
            }
            Err(problem) => {
                assert_eq!((problem.fault, agrees), (Fault::Contradicted, false), "{forged:?}");
            }
        }
    }
}

#[test]
fn what_cannot_be_read_is_refused() {
    for (name, value, field) in [
        ("x-forwarded-method", "", "X-Forwarded-Method"),
        ("x-forwarded-method", "GET, POST", "X-Forwarded-Method"),
        ("x-forwarded-proto", "https,http", "X-Forwarded-Proto"),
        ("x-forwarded-proto", "HTTPS", "X-Forwarded-Proto"),
        ("x-forwarded-proto", "ftp", "X-Forwarded-Proto"),
        ("x-forwarded-uri", "", "X-Forwarded-Uri"),
        ("x-forwarded-uri", "https://wiki.test/a", "X-Forwarded-Uri"),
        ("x-forwarded-uri", "a", "X-Forwarded-Uri"),
        ("x-forwarded-uri", "*", "X-Forwarded-Uri"),
        ("x-forwarded-host", "", "X-Forwarded-Host"),
        ("x-forwarded-host", "wiki.test, other.test", "X-Forwarded-Host"),
        ("x-forwarded-host", "wiki.test:x", "X-Forwarded-Host"),
        ("x-forwarded-for", "", "X-Forwarded-For"),
        ("x-forwarded-for", "192.0.2.7, everywhere", "X-Forwarded-For"),
    ] {
        let problem = read(&changed(&CADDY, name, Some(value))).unwrap_err();
        assert_eq!(problem, BadDescription::new(field, Fault::Malformed), "{name}: {value}");
    }
    for url in ["/a", "wiki.test/a", "https://wiki.test", "://wiki.test/a", "https:///a", "ftp://wiki.test/a"]
    {
        let problem = read(&changed(&NGINX, "x-original-url", Some(url))).unwrap_err();
        assert_eq!(problem.fault, Fault::Malformed, "{url}");
    }
}

#[test]
fn the_last_hop_is_the_client_and_the_others_are_for_trusted_proxies_alone() {
    for (lines, client, rest) in [
        (&["192.0.2.7"][..], Some("192.0.2.7"), &[][..]),
        (&["10.9.9.9, 192.0.2.7"], Some("192.0.2.7"), &["10.9.9.9"]),
        (&["10.9.9.9", "192.0.2.7"], Some("192.0.2.7"), &["10.9.9.9"]),
        (&["a, b", "10.9.9.9, 192.0.2.7"], Some("192.0.2.7"), &["a, b", "10.9.9.9"]),
        (&["::ffff:192.0.2.7"], Some("192.0.2.7"), &[]),
        (&["[2001:db8::1]:443"], Some("2001:db8::1"), &[]),
        (&["192.0.2.7, unknown"], None, &["192.0.2.7"]),
        (&["unix:"], None, &[]),
    ] {
        let mut sent = changed(&CADDY, "x-forwarded-for", None);
        sent.extend(lines.iter().map(|line| ("x-forwarded-for", *line)));
        let described = read(&sent).unwrap();
        let connection = described.connection;
        assert_eq!(connection.is_unknown, client.is_none(), "{lines:?}");
        assert_eq!(connection.peer.to_string(), client.unwrap_or(PROXY), "{lines:?}");
        let left: Vec<_> = described.headers.get_all(FOR).iter().collect();
        assert_eq!(left, rest, "{lines:?}");
    }
}

#[test]
fn a_websocket_is_seen_through_proxies_that_take_upgrade_away() {
    let get = changed(&CADDY, "x-forwarded-method", Some("GET"));
    for (more, is_one) in [
        (&[][..], false),
        (&[("upgrade", "websocket"), ("connection", "upgrade")], true),
        (&[("sec-websocket-key", "AAAAAAAAAAAAAAAAAAAAAA==")], true),
        (&[("sec-websocket-version", "13")], true),
        (&[("upgrade", "h2c"), ("connection", "upgrade")], false),
    ] {
        let described = read(&[&get[..], more].concat()).unwrap();
        let offer = described.headers.get("upgrade").zip(described.headers.get("connection"));
        assert_eq!(offer.is_some(), is_one, "{more:?}");
    }
}

#[test]
fn what_belongs_to_the_connection_of_the_proxy_is_none_of_the_described_request() {
    let own = [
        ("connection", "close"),
        ("content-length", "5"),
        ("transfer-encoding", "chunked"),
        ("keep-alive", "1"),
        ("te", "trailers"),
        ("expect", "100-continue"),
    ];
    let described = read(&[&CADDY[..], &own].concat()).unwrap();
    assert_eq!(described.headers, fields(&[("host", "wiki.test")]));
}

#[test]
fn a_query_is_spelled_as_in_a_head_of_its_own() {
    let uri = "/a?q=\"<b>";
    let described = read(&changed(&CADDY, "x-forwarded-uri", Some(uri))).unwrap();
    assert_eq!(described.target, b"/a?q=%22%3Cb%3E");
}

#[test]
fn a_port_of_the_host_is_the_port_that_the_client_asked() {
    for (host, proto, port) in
        [("wiki.test:8443", "https", 8443), ("wiki.test", "http", 80), ("[::1]:81", "ws", 81)]
    {
        let sent =
            changed(&changed(&CADDY, "x-forwarded-host", Some(host)), "x-forwarded-proto", Some(proto));
        let sent = [&sent[..], &[("x-forwarded-port", "1")]].concat();
        assert_eq!(read(&sent).unwrap().connection.port, Some(port));
    }
}

#[test]
fn envoy_over_http_sends_the_request_itself() {
    let sent = fields(&[
        ("host", "wiki.test:8443"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-for", "10.9.9.9, 192.0.2.7"),
        ("x-forwarded-method", "GET"),
        ("x-original-url", "https://other.test/public"),
    ]);
    let described = by_itself((&Method::DELETE, b"/a?b", None), &sent, PROXY.parse().unwrap()).unwrap();
    assert_eq!((described.method, &*described.target), (Method::DELETE, &b"/a?b"[..]));
    let expected = [
        ("host", "wiki.test:8443"),
        ("x-forwarded-for", "10.9.9.9"),
        ("x-forwarded-method", "GET"),
        ("x-original-url", "https://other.test/public"),
    ];
    assert_eq!(described.headers, fields(&expected), "what a client says of itself is the client's");
    assert_eq!(described.connection.peer.to_string(), "192.0.2.7");
    for (name, field) in [("host", "Host"), ("x-forwarded-proto", PROTO), ("x-forwarded-for", FOR)] {
        let mut less = sent.clone();
        less.remove(name);
        let found = by_itself((&Method::GET, b"/", None), &less, PROXY.parse().unwrap());
        assert_eq!(found.unwrap_err(), BadDescription::new(field, Fault::Missing));
    }
}
