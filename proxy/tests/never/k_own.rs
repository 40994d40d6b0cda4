//! K. Our own additions.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::json;

use crate::h2::{self, Connection, DATA, END_HEADERS, END_STREAM, HEADERS, frame};
use crate::j_leaks::without_ids;
use crate::keys::{self, now, token, token_with};
use crate::origin::Origin;
use crate::wire::{Answer, exchange};
use crate::world::{CERTIFICATE, HOST, POLICIES, Setup, TRUSTED, World};

#[test]
fn never_n80_an_error_in_deciding_lets_a_request_pass() {
    // A key server without keys, with an empty set, with nonsense, with keys that may not sign.
    for document in [
        "{\"keys\":[]}".to_owned(),
        "{}".to_owned(),
        "[]".to_owned(),
        String::new(),
        "{\"keys\":[{\"kty\":\"oct\",\"k\":\"AAAA\",\"kid\":\"ec\"}]}".to_owned(),
        keys::jwks().replace("\"sig\"", "\"enc\""),
        json!({ "keys": [keys::ec_jwk(&keys::EC, "ec"), keys::ec_jwk(&keys::STRANGER, "ec")] }).to_string(),
    ] {
        let world = World::launch_with(Setup::default(), |folder| {
            fs::write(folder.join("keys.json"), &document).unwrap();
        })
        .unwrap();
        world.wait_for("the first look at the keys", |world| {
            world.metric("portcullis_issuer_key_fetch_failures_total{issuer=\"main\"}") >= 1.0
        });
        assert_eq!(world.with_token(&token()), 503, "{document}");
        assert_eq!(world.bare(&format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n")), 401);
        assert_eq!(world.origin.hits(), 0);
    }
    // Groups that the token does not hold are not "none": a block of a group stays in force.
    let world = World::start(Setup {
        policies: "[[policy]]\nid = \"no-contractors\"\nusers = { include = [\"group:contractors\"] }\napps = { include = [\"all\"] }\ngrant = \"block\"\n[[policy]]\nid = \"mfa\"\nusers = { include = [\"all\"], exclude = [\"group:staff\"] }\napps = { include = [\"all\"] }\ngrant = { controls = [\"mfa\"] }\n".to_owned(),
        ..Setup::default()
    });
    let overage = token_with(|claims| {
        claims.as_object_mut().unwrap().remove("groups");
        claims["_claim_names"] = json!({ "groups": "src1" });
    });
    assert_eq!(
        world.with_token(&overage),
        403,
        "structural: the groups are elsewhere, and waiting brings none"
    );
    assert_eq!(world.origin.hits(), 0);
    assert_eq!(world.with_token(&token()), 200, "the counterpart");
    // Reloads without end, of a file that is empty for a moment each time, and not one request of a blocked path passes.
    let world = World::plain();
    let text = fs::read_to_string(world.file("policies.toml")).unwrap();
    for round in 0..6 {
        let mut file = fs::File::create(world.file("policies.toml")).unwrap();
        std::thread::sleep(Duration::from_millis(40));
        file.write_all(format!("# {round}\n{text}").as_bytes()).unwrap();
        for _ in 0..20 {
            assert_eq!(world.get("/admin", "").status, 403);
            assert_eq!(world.get("/", "").status, 200, "the counterpart");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    // A file that stays empty is none to reload by, whatever its policies were.
    for nothing in ["", "# written later\n"] {
        let refused = world.metric("portcullis_configuration_reloads_total{result=\"failure\"}");
        fs::write(world.file("policies.toml"), nothing).unwrap();
        world.wait_for("the reload to be refused", |world| {
            world.metric("portcullis_configuration_reloads_total{result=\"failure\"}") > refused
        });
        assert_eq!(world.get("/admin", "").status, 403);
        fs::write(world.file("policies.toml"), &text).unwrap();
    }
}

const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

fn head_with(token: &str, target: &str, lines: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {token}\r\n{lines}\r\n")
        .into_bytes()
}

fn opened(world: &World, token: &str, target: &str, lines: &str) -> (TcpStream, Answer) {
    let mut stream = TcpStream::connect(&world.plain).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(&head_with(token, target, lines)).unwrap();
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read > 0) {
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let status = head.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0);
    (stream, Answer { status, head, body: String::new() })
}

/// How long bytes go on coming; the client speaks as well if `speaks`.
fn lives(stream: &mut TcpStream, speaks: bool, most: Duration) -> Duration {
    let started = Instant::now();
    while started.elapsed() < most {
        if speaks && stream.write_all(b"ping").is_err() {
            break;
        }
        if !matches!(stream.read(&mut [0; 1024]), Ok(read) if read > 0) {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    started.elapsed()
}

#[test]
fn never_n81_a_socket_or_stream_outlives_its_token() {
    let world = World::plain();
    let ends_soon = || token_with(|claims| claims["exp"] = json!(now() + 2));
    for (target, lines, expected) in [("/ws", UPGRADE, 101), ("/stream", "", 200)] {
        let (mut stream, head) = opened(&world, &ends_soon(), target, lines);
        assert_eq!(head.status, expected, "{target}");
        let lived = lives(&mut stream, target == "/ws", Duration::from_secs(40));
        assert!(lived < Duration::from_secs(20), "{target} went on for {lived:?}");
        let (mut stream, _) = opened(&world, &token(), target, lines);
        let lived = lives(&mut stream, target == "/ws", Duration::from_secs(4));
        assert!(lived >= Duration::from_secs(4), "the counterpart {target} was cut after {lived:?}");
    }
    // Over HTTP/2, where gRPC streams live.
    let bearer = format!("Bearer {}", ends_soon());
    let mut fields = h2::fields("GET", HOST, "/stream");
    fields.push((b"authorization", bearer.as_bytes()));
    let mut connection = Connection::open(world.connect(HOST, &[b"h2"]));
    connection.send(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &h2::block(&fields)));
    let started = Instant::now();
    let (mut data, mut ended) = (0, false);
    while let Some((kind, flags, stream, _)) = connection.next() {
        data += usize::from(kind == DATA);
        ended = stream == 1 && (kind == h2::RST_STREAM || flags & END_STREAM != 0 && kind == DATA);
        if ended || started.elapsed() > Duration::from_secs(40) {
            break;
        }
    }
    assert!(
        ended && data > 5 && started.elapsed() < Duration::from_secs(20),
        "{data} {:?}",
        started.elapsed()
    );
    world.wait_for("the cut to be counted", |world| {
        world.metric("portcullis_requests_total{app=\"wiki\",outcome=\"unauthenticated\"}") >= 3.0
    });
}

#[test]
fn never_n81_a_socket_or_stream_outlives_a_policy_or_a_sign_in() {
    let world = World::start(Setup {
        policies: format!(
            "{POLICIES}\n[[policy]]\nid = \"fresh\"\nusers = {{ include = [\"user:bob\"] }}\napps = {{ include = [\"all\"] }}\ngrant = {{ controls = [\"mfa\"] }}\nsession = {{ sign-in-frequency = \"1h\" }}\n"
        ),
        ..Setup::default()
    });
    // Signed in an hour ago, but for three seconds.
    let bob = token_with(|claims| {
        claims["sub"] = json!("bob");
        claims["auth_time"] = json!(now() - 3600 + 3);
    });
    let (mut stream, head) = opened(&world, &bob, "/stream", "");
    assert_eq!(head.status, 200);
    let lived = lives(&mut stream, false, Duration::from_secs(40));
    assert!(lived < Duration::from_secs(20), "it went on for {lived:?}");
    // A reload that blocks.
    let (mut socket, head) = opened(&world, &token(), "/ws", UPGRADE);
    assert_eq!(head.status, 101);
    let (mut other, head) =
        opened(&world, &token_with(|claims| claims["sub"] = json!("cleo")), "/stream", "");
    assert_eq!(head.status, 200);
    let text = fs::read_to_string(world.file("policies.toml")).unwrap();
    let block = "\n[[policy]]\nid = \"no-anna\"\nusers = { include = [\"user:anna\"] }\napps = { include = [\"all\"] }\ngrant = \"block\"\n";
    fs::write(world.file("policies.toml"), format!("{text}{block}")).unwrap();
    let lived = lives(&mut socket, true, Duration::from_secs(60));
    assert!(lived < Duration::from_secs(40), "it went on for {lived:?}");
    assert!(
        lives(&mut other, false, Duration::from_secs(2)) >= Duration::from_secs(2),
        "the counterpart goes on"
    );
    world.wait_for("the cut to be logged", |world| world.log().contains("no-anna"));
}

#[test]
fn never_n81_a_silent_socket_has_no_end() {
    let world = World::start(Setup { app: "timeouts = { stream-idle = \"2s\" }", ..Setup::default() });
    let (mut stream, head) = opened(&world, &token(), "/ws", UPGRADE);
    assert_eq!(head.status, 101);
    stream.write_all(b"ping").unwrap();
    stream.read_exact(&mut [0; 4]).unwrap();
    let started = Instant::now();
    assert_eq!(stream.read(&mut [0; 1]).unwrap_or(0), 0, "the counterpart spoke, this one is silent");
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
}

#[test]
fn never_n82_an_override_header_changes_what_the_app_does() {
    let world = World::start(Setup { app: "methods = [\"GET\"]", ..Setup::default() });
    let names = [
        "X-HTTP-Method-Override",
        "X-HTTP-Method",
        "X-Method-Override",
        "X-Original-Method",
        "X-Original-URL",
        "X-Original-URI",
        "X-Rewrite-URL",
        "X-Forwarded-Uri",
        "X-Forwarded-Prefix",
        "X-Forwarded-Path",
        "X.HTTP.Method.Override",
    ];
    for name in names {
        assert_eq!(world.get("/", &format!("{name}: /admin\r\n")).status, 200, "{name}");
        assert!(!world.origin.last().holds("/admin"), "{name}: {}", world.origin.last().head);
        let lower = name.to_ascii_lowercase();
        assert_eq!(world.h2_get("/", &[(lower.as_bytes(), b"DELETE")]).status(), 200, "{name}");
        assert!(!world.origin.last().holds("DELETE"), "{name}: {}", world.origin.last().head);
    }
    assert_eq!(world.get("/", "X-Note: DELETE\r\n").status, 200);
    assert!(world.origin.last().holds("DELETE"), "the counterpart: other headers are left alone");
    let before = world.origin.hits();
    assert_eq!(exchange(&world.plain, &World::head("DELETE", "/", "")).status, 405);
    assert_eq!(world.origin.hits(), before);
}

#[test]
fn never_n84_our_cookie_or_the_raw_token_reaches_the_app() {
    let world = World::plain();
    let good = token();
    let signature = good.rsplit('.').next().unwrap();
    let ask = |lines: &str| world.bare(&format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n{lines}\r\n"));
    for lines in [
        format!("Cookie: session={good}\r\n"),
        format!("Cookie: a=1; session={good}; b=2\r\n"),
        format!("Cookie: a=1\r\nCookie: session={good}\r\nCookie: b=2\r\n"),
        format!("Cookie:session = {good};a=1\r\n"),
        format!("Authorization: Bearer {good}\r\nCookie: session=other; a=1\r\n"),
        format!("Authorization: bearer   {good}\r\n"),
    ] {
        assert_eq!(ask(&lines), 200, "{lines:?}");
        let seen = world.origin.last();
        assert!(!seen.holds(signature) && !seen.holds("session"), "{lines:?}: {}", seen.head);
        assert!(seen.values("authorization").is_empty(), "{}", seen.head);
        assert!(
            !lines.contains("a=1") || seen.holds("a=1"),
            "the counterpart: other cookies arrive: {}",
            seen.head
        );
    }
    let answer = {
        let crumbs = format!("session={good}");
        let mut fields = h2::fields("GET", HOST, "/");
        fields.extend([(&b"cookie"[..], &b"a=1"[..]), (b"cookie", crumbs.as_bytes()), (b"cookie", b"b=2")]);
        world.h2(&fields, None)
    };
    assert_eq!(answer.status(), 200);
    assert_eq!(world.origin.last().values("cookie"), ["a=1; b=2"]);
    // As a browser with many cookies sends them over HTTP/2; fields of another name are counted.
    let many = |name: &'static [u8]| {
        let mut fields = h2::fields("GET", HOST, "/");
        let token = format!("session={good}");
        fields.push((b"cookie", token.as_bytes()));
        fields.extend([(name, &b"c=1"[..]); 150]);
        world.h2(&fields, None).status()
    };
    assert_eq!(many(b"cookie"), 200);
    assert_eq!(world.origin.last().values("cookie"), [vec!["c=1"; 150].join("; ")]);
    assert_eq!(many(b"x-other"), 400);
    let asked = World::start(Setup { app: "forward-authorization = true", ..Setup::default() });
    assert_eq!(asked.with_token(&good), 200);
    assert!(asked.origin.last().holds(signature), "the counterpart: it was asked for");
}

#[test]
fn never_n85_a_websocket_of_a_foreign_page_rides_on_the_cookie() {
    let allowed = "allowed-origins = [\"https://portal.test\", \"https://portal.test:8443\"]";
    let world = World::start(Setup { app: allowed, ..Setup::default() });
    let behind = World::start(Setup { app: allowed, top: TRUSTED.to_owned(), ..Setup::default() });
    let cookie = format!("Cookie: session={}\r\n", token());
    let head = |lines: &str| format!("GET /ws HTTP/1.1\r\nHost: {HOST}\r\n{UPGRADE}{lines}\r\n");
    let open = |lines: &str| exchange(&world.plain, head(lines).as_bytes()).status;
    let over_tls =
        |origin: &str| world.over_tls(HOST, head(&format!("{cookie}Origin: {origin}\r\n")).as_bytes()).status;
    let by_proxy = |origin: &str| {
        let lines =
            format!("{cookie}X-Forwarded-Proto: https\r\nX-Forwarded-Port: 8443\r\nOrigin: {origin}\r\n");
        exchange(&behind.plain, head(&lines).as_bytes()).status
    };
    for origin in [
        "https://evil.test",
        "http://wiki.test.evil.test",
        "http://evilwiki.test",
        "http://wiki.test@evil.test",
        "http://evil.test/wiki.test",
        "https://portal.test:9443",
        "http://portal.test",
        "http://sub.wiki.test",
        "null",
        "",
        "file://",
        "ftp://wiki.test",
        "wiki.test",
        "http://wiki.test, https://evil.test",
        // The same host, and another page: scheme and port are a part of it.
        "https://wiki.test",
        "http://wiki.test:8080",
        "http://wiki.test:443",
    ] {
        assert_eq!(open(&format!("{cookie}Origin: {origin}\r\n")), 403, "{origin}");
    }
    for origin in ["http://wiki.test", "https://wiki.test:8443", "https://wiki.test:80"] {
        assert_eq!(over_tls(origin), 403, "{origin}");
    }
    for origin in ["http://wiki.test", "http://wiki.test:8443", "https://wiki.test"] {
        assert_eq!(by_proxy(origin), 403, "{origin}");
    }
    assert_eq!(open(&format!("{cookie}Origin: http://wiki.test\r\nOrigin: https://evil.test\r\n")), 403);
    assert_eq!(world.origin.hits() + behind.origin.hits(), 0);
    for origin in
        ["http://wiki.test", "http://WIKI.test:80", "https://portal.test", "https://Portal.test:8443"]
    {
        assert_eq!(open(&format!("{cookie}Origin: {origin}\r\n")), 101, "the counterpart {origin}");
    }
    assert_eq!(over_tls("https://WIKI.test"), 101, "the counterpart over TLS");
    assert_eq!(by_proxy("https://wiki.test:8443"), 101, "the counterpart, as the client sees it");
    assert_eq!(open(&cookie), 101, "the counterpart without a browser");
    let bearer = format!("Authorization: Bearer {}\r\n", token());
    assert_eq!(open(&format!("{bearer}Origin: https://evil.test\r\n")), 101, "no page can set this header");
    assert_eq!(open("Origin: https://evil.test\r\n"), 401, "without a token nobody learns more");
}

/// An app behind TLS.
fn tls_origin(origin: &Origin) -> u16 {
    let chain = vec![CertificateDer::from_pem_slice(CERTIFICATE.0.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(CERTIFICATE.1.as_bytes()).unwrap();
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let origin = origin.clone();
    std::thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            let (config, origin) = (Arc::clone(&config), origin.clone());
            std::thread::spawn(move || {
                origin.serve(StreamOwned::new(ServerConnection::new(config).unwrap(), socket));
            });
        }
    });
    port
}

#[test]
fn never_n86_a_tls_app_is_contacted_without_a_check_of_its_certificate() {
    let origin = Origin::start();
    let port = tls_origin(&origin);
    let folder = tempfile::tempdir().unwrap();
    let roots = folder.path().join("roots.pem");
    fs::write(&roots, &CERTIFICATE.0).unwrap();
    let trusting = vec![("SSL_CERT_FILE", roots.display().to_string())];
    let ask = |name: &str, environment: &[(&'static str, String)]| {
        let world = World::start(Setup {
            upstreams: format!("[{{ url = \"https://127.0.0.1:{port}\", tls-name = \"{name}\" }}]"),
            environment: environment.to_vec(),
            ..Setup::default()
        });
        world.get("/", "").status
    };
    assert_eq!(ask("app.corp", &[]), 502, "nobody vouches for the certificate");
    assert_eq!(ask("wrong.corp", &trusting), 502, "it is of another name");
    assert_eq!(origin.hits(), 0);
    assert_eq!(ask("app.corp", &trusting), 200, "the counterpart");
    assert_eq!(origin.hits(), 1);
    for upstream in [
        format!("\"https://127.0.0.1:{port}\""),
        format!("{{ url = \"https://127.0.0.1:{port}\", tls-name = \"\" }}"),
        format!("{{ url = \"http://127.0.0.1:{port}\", tls-name = \"app.corp\" }}"),
        format!("{{ url = \"https://[::1]:{port}\" }}"),
    ] {
        let started = World::launch(Setup { upstreams: format!("[{upstream}]"), ..Setup::default() });
        assert!(started.is_err(), "it started with {upstream}");
    }
}

#[test]
fn never_n87_a_failed_reload_or_a_lost_name_opens_empties_or_widens() {
    let world = World::plain();
    let failures = "portcullis_configuration_reloads_total{result=\"failure\"}";
    let main = fs::read_to_string(world.file("portcullis.toml")).unwrap();
    let policies = fs::read_to_string(world.file("policies.toml")).unwrap();
    let spare = "\n[[policy]]\nid = \"spare\"\nusers = { include = [\"all\"] }\napps = { include = [\"all\"] }\ngrant = \"block\"\nconditions = { locations = { include = [\"all\"], exclude = [\"gone\"] } }\n";
    let of_gone_app = "\n[[policy]]\nid = \"gone-app\"\nusers = { include = [\"all\"] }\napps = { include = [\"gone\"] }\ngrant = \"block\"\n";
    for (file, text) in [
        ("policies.toml", "[[policy]]\nid =".to_owned()),
        ("policies.toml", policies.replace("\"embargo\"", "\"gone\"")),
        ("policies.toml", format!("{policies}{spare}")),
        ("policies.toml", format!("{policies}{of_gone_app}")),
        ("portcullis.toml", String::new()),
        ("portcullis.toml", main.replace("name = \"embargo\"", "name = \"other\"")),
        ("portcullis.toml", main.replace("\"policies.toml\"", "\"nothing-*.toml\"")),
    ] {
        let before = world.metric(failures);
        fs::write(world.file(file), &text).unwrap();
        world.wait_for("the reload to be refused", |world| world.metric(failures) > before);
        assert_eq!(world.get("/admin", "").status, 403, "{file}: {text:.200}");
        assert_eq!(world.get("/", "").status, 200, "the counterpart: others are served");
        fs::write(world.file("portcullis.toml"), &main).unwrap();
        fs::write(world.file("policies.toml"), &policies).unwrap();
        world.wait_for("the good files", |world| {
            world.metric("portcullis_configuration_last_reload_successful") >= 1.0
        });
    }
    fs::remove_file(world.file("policies.toml")).unwrap();
    let before = world.metric(failures);
    world.wait_for("the missing file to be refused", |world| {
        world.metric(failures) > before || world.metric(failures) >= 8.0
    });
    assert_eq!(world.get("/admin", "").status, 403);
}

#[test]
fn never_n88_a_denial_reveals_to_a_stranger_that_an_app_a_user_or_a_policy_exists() {
    let world = World::start(Setup {
        app: "path = \"/team\"\nmethods = [\"GET\"]",
        top: TRUSTED.to_owned(),
        ..Setup::default()
    });
    let ask = |method: &str, host: &str, target: &str, lines: &str| {
        let text =
            format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\nAccept: application/json\r\n{lines}\r\n");
        exchange(&world.plain, text.as_bytes())
    };
    let forged = keys::sign(&keys::STRANGER, keys::HEADER, &keys::claims().to_string());
    for lines in [
        String::new(),
        format!("Authorization: Bearer {forged}\r\n"),
        "Authorization: Bearer x\r\n".to_owned(),
    ] {
        let known = ask("GET", HOST, "/team", &lines);
        assert_eq!(known.status, 401);
        let fixed = |answer: &Answer| {
            let head: Vec<String> = answer
                .head
                .lines()
                .filter(|line| {
                    let line = line.to_ascii_lowercase();
                    !line.starts_with("date:")
                        && !line.starts_with("x-request-id:")
                        && !line.starts_with("content-length:")
                })
                .map(str::to_owned)
                .collect();
            (head, without_ids(&answer.body))
        };
        for (method, host, target, more) in [
            ("GET", "unknown.test", "/team", ""),
            ("GET", HOST, "/elsewhere", ""),
            ("GET", HOST, "/team/admin", ""),
            ("DELETE", HOST, "/team", ""),
            ("GET", HOST, "/team", "X-Forwarded-For: 192.0.2.7\r\n"),
            ("GET", HOST, "/team", "User-Agent: Mozilla/5.0 (Android) AppleWebKit/1\r\n"),
        ] {
            let other = ask(method, host, target, &format!("{lines}{more}"));
            let (one, two) = (fixed(&known), fixed(&other));
            assert_eq!(one.0.first(), two.0.first(), "{method} {host}{target} {more}");
            assert_eq!(one.1, two.1, "{method} {host}{target} {more}");
        }
        for word in ["wiki", "Wiki", "team", "no-admin", "embargo", "anna", "main"] {
            assert!(!known.body.contains(word), "{word}: {}", known.body);
        }
    }
    assert_eq!(world.origin.hits(), 0);
    let good = format!("Authorization: Bearer {}\r\n", token());
    assert_eq!(
        ask("GET", "unknown.test", "/team", &good).status,
        404,
        "the counterpart: a known user learns it"
    );
    assert_eq!(ask("GET", HOST, "/elsewhere", &good).status, 404);
    assert_eq!(ask("GET", HOST, "/team", &good).status, 200);
}

/// A whole answer, but for its id and its times.
fn whole(answer: &Answer) -> (Vec<String>, String) {
    let value = |wanted: &str| {
        let named =
            |line: &&str| line.split(':').next().is_some_and(|name| name.eq_ignore_ascii_case(wanted));
        answer
            .head
            .lines()
            .find(named)
            .and_then(|line| line.split_once(": "))
            .map(|(_, value)| value.to_owned())
    };
    let id = value("x-request-id").unwrap();
    let date = value("date").unwrap();
    // The id's end, as it is written and as it is read aloud.
    let bits = u64::from_str_radix(id.rsplit('-').next().unwrap(), 16).unwrap();
    let sign =
        |place: u32| char::from(b"0123456789ABCDEFGHJKMNPQRSTVWXYZ"[(bits >> (5 * place)) as usize & 31]);
    let half = |places: std::ops::Range<u32>| places.rev().map(sign).collect::<String>();
    let reference = [half(4..8), half(0..4)];
    let aloud =
        reference.each_ref().map(|half| half.chars().flat_map(|sign| [sign, ' ']).collect::<String>());
    let plain = answer.body.replace(&id, "ID");
    let plain = plain.replace(&reference.join("-"), "REFERENCE").replace(&aloud.join(", "), "ALOUD");
    let of_time = |sign: char| sign.is_ascii_digit() || matches!(sign, '-' | ':' | '.' | 'T' | 'Z');
    let mut body = String::new();
    for part in plain.split_inclusive(|sign| !of_time(sign)) {
        let (time, end) = part.split_at(part.trim_end_matches(|sign| !of_time(sign)).len());
        body.push_str(if time.len() > 7 { "TIME" } else { time });
        body.push_str(end);
    }
    let head = answer.head.replace(&id, "ID").replace(&date, "TIME");
    (head.lines().map(str::to_owned).collect(), body)
}

#[test]
fn never_n88_whoever_has_no_valid_token_gets_one_answer_whatever_is_configured() {
    let vault = r#"
[[issuer]]
name = "second"
issuer = "https://second.test/"
audiences = ["api://vault"]
keys = { file = "keys.json" }

[[app]]
id = "vault"
hosts = ["vault.test"]
upstreams = ["http://127.0.0.1:9"]
token = { bearer = false, cookie = "vault" }
issuers = ["second"]
language = "de"
disclosure = "full"
"#;
    let world = World::start(Setup { top: vault.to_owned(), ..Setup::default() });
    let signed = |change: &dyn Fn(&mut serde_json::Value)| token_with(|claims| change(claims));
    // The claims say what they like: nobody signed them.
    let unsigned = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut claims = keys::claims();
        change(&mut claims);
        keys::sign(&keys::STRANGER, keys::HEADER, &claims.to_string())
    };
    let over = now() - 500;
    let tokens = [
        unsigned(&|_| {}),
        unsigned(&|claims| claims["exp"] = json!(over)),
        unsigned(&|claims| claims["iss"] = json!("https://second.test/")),
        unsigned(&|claims| {
            claims["iss"] = json!("https://second.test/");
            claims["exp"] = json!(over);
        }),
        unsigned(&|claims| claims["iss"] = json!("https://elsewhere.test/")),
        unsigned(&|claims| claims["aud"] = json!("api://vault")),
        keys::sign(&keys::STRANGER, r#"{"alg":"ES256","kid":"unknown"}"#, &keys::claims().to_string()),
        format!("{}.{}.x", keys::b64(r#"{"alg":"none"}"#), keys::b64(keys::claims().to_string())),
        signed(&|claims| claims["aud"] = json!("api://other")),
        "x".to_owned(),
        "a.b.c".to_owned(),
    ];
    let mut with_bearer: Vec<Vec<u8>> =
        tokens.iter().map(|token| format!("Authorization: Bearer {token}\r\n").into_bytes()).collect();
    with_bearer.push(b"Authorization: Bearer\r\n".to_vec());
    with_bearer.push(b"Authorization: Bearer \xff\xfe\r\n".to_vec());
    let mut without: Vec<Vec<u8>> = vec![
        Vec::new(),
        b"Cookie: other=x\r\n".to_vec(),
        b"Cookie: session=a; session=b; vault=a; vault=b\r\n".to_vec(),
        format!("Cookie: {}\r\n", "a=1; ".repeat(200)).into_bytes(),
    ];
    for name in ["session", "vault"] {
        without.extend(tokens.iter().map(|token| format!("Cookie: {name}={token}\r\n").into_bytes()));
    }
    let odd: Vec<Vec<u8>> =
        [&b"Basic eA=="[..], b"Basic \xff", b"\xff\xfe", b"Bearer\xff", b"Negotiate x", b""]
            .iter()
            .map(|value| [b"Authorization: ", *value, b"\r\n"].concat())
            .collect();
    let ask = |host: &str, accept: &str, lines: &[u8]| {
        let head = format!("GET / HTTP/1.1\r\nHost: {host}\r\n{accept}");
        exchange(&world.plain, &[head.as_bytes(), lines, b"\r\n"].concat())
    };
    for accept in ["Accept: application/json\r\n", "Accept: text/html\r\nSec-Fetch-Mode: navigate\r\n"] {
        for (kind, all) in [("bearer", &with_bearer), ("none", &without), ("other schemes", &odd)] {
            let first = ask("unknown.test", accept, all.first().unwrap());
            assert_eq!(first.status, 401, "{kind}");
            for lines in all {
                for host in [HOST, "vault.test", "unknown.test"] {
                    let other = ask(host, accept, lines);
                    let shown = String::from_utf8_lossy(lines);
                    assert_eq!(whole(&first), whole(&other), "{kind} {host} {shown}");
                }
            }
        }
    }
    // A token that is expired, with a good signature, gets the same answer at each app.
    let expired = format!("Authorization: Bearer {}\r\n", signed(&|claims| claims["exp"] = json!(over)));
    let here = ask(HOST, "Accept: application/json\r\n", expired.as_bytes());
    assert!(here.body.contains("70043"), "{}", here.body);
    for host in ["unknown.test", "vault.test"] {
        let elsewhere = ask(host, "Accept: application/json\r\n", expired.as_bytes());
        assert_eq!(whole(&here), whole(&elsewhere), "{host}");
    }
    assert_eq!(world.origin.hits(), 0);
    assert_eq!(world.with_token(&token()), 200, "the counterpart");
}

#[test]
fn never_n89_a_target_without_a_slash_is_judged_as_the_root() {
    let world = World::plain();
    for target in
        ["admin", "foo:bar", "wiki.test/admin", "?x", ".", "..", "http:", "http:/admin", "://x", "admin/../x"]
    {
        world.refuses_target(target);
    }
    for line in ["GET HTTP/1.1", "GET  HTTP/1.1", "GET  /  HTTP/1.1", "GET", "GET /", " GET / HTTP/1.1"] {
        let text = format!("{line}\r\nHost: {HOST}\r\nAuthorization: Bearer {}\r\n\r\n", token());
        let before = world.origin.hits();
        let back = world.all(text.as_bytes());
        let passed = back.starts_with("HTTP/1.1 200") || back.starts_with("HTTP/1.0 200");
        assert!(!passed && world.origin.hits() == before, "{line}: {back}");
    }
}
