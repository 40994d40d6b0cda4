//! S. What an app opens to everybody, and what is changed of a request on its way to the app: nothing of it is a way around a
//! decision.

use crate::h2;
use crate::keys;
use crate::raw_app::{RawApp, Reply};
use crate::wire::{Answer, answer, exchange};
use crate::world::{CERTIFICATE, HOST, Setup, World};

/// A request that nobody is behind.
fn stranger(world: &World, target: &str, lines: &str) -> Answer {
    exchange(&world.plain, format!("GET {target} HTTP/1.1\r\nHost: {HOST}\r\n{lines}\r\n").as_bytes())
}

fn stranger_h2(world: &World, target: &str) -> h2::Answer {
    world.h2(&h2::fields("GET", HOST, target), None)
}

const PUBLIC: &str = "public = [\"/healthz\", \"/assets/**\", \"/straße\"]\n";

#[test]
fn never_n52_a_path_that_resembles_a_public_one_is_let_in_as_nobody() {
    let forms = "allow-paths = [\"encoded-slash\", \"path-parameters\", \"double-slash\", \"double-encoding\", \"trailing-dot\", \
                 \"stream-names\", \"short-names\", \"session-segments\", \"invisible-characters\", \"look-alikes\", \"decomposed\"]\n";
    let lax: &'static str = format!("{PUBLIC}{forms}").leak();
    for app in [PUBLIC, lax] {
        let world = World::start(Setup { app, ..Setup::default() });
        for target in [
            "/healthz/../admin",
            "/healthz/%2e%2e/admin",
            "/healthz/..%2fadmin",
            "/healthz/..;/admin",
            "/healthz;x=1",
            "/healthz%2Fx",
            "/healthz%00",
            "/healthz%20",
            "/healthz.",
            "/healthz/",
            "/healthz/x",
            "/HEALTHZ",
            "/healthZ",
            "//healthz",
            "/%68ealthz",
            "/healthz\\..\\admin",
            "/healthz%5c..%5cadmin",
            "/healthz%3Fx",
            "/assets/../admin",
            "/assets/..%2Fadmin",
            "/assets/%2e%2e%2fadmin",
            "/assets//admin",
            "/assets/x;/../admin",
            "/assets/a%2Fb",
            "/assets/x%252f..%252fadmin",
            "/assets%EF%BC%8Fx",
            "/Assets/x",
            "/assetsx",
            "/admin?/healthz",
            "/x?/assets/",
            "/strasse",
            "/STRASSE",
            "/",
        ] {
            let before = world.origin.hits();
            let one = stranger(&world, target, "").status;
            assert!(matches!(one, 400 | 401), "HTTP/1 {target}: {one}");
            let two = stranger_h2(&world, target);
            let is_refused = matches!(two, h2::Answer::Response { status: 401, .. }) || two.is_refusal();
            assert!(is_refused, "HTTP/2 {target}: {two:?}");
            assert_eq!(world.origin.hits(), before, "{target} reached the app");
        }
        for target in ["/healthz", "/healthz?full=1", "/assets/a.css", "/assets", "/assets/", "/stra%C3%9Fe"]
        {
            let before = world.origin.hits();
            assert_eq!(stranger(&world, target, "").status, 200, "{target}");
            assert_eq!(stranger_h2(&world, target).status(), 200, "{target}");
            assert_eq!(world.origin.hits(), before + 2, "{target}");
            assert_eq!(world.origin.last().target(), target);
        }
        // No reader of one path is asked for a WebSocket by whoever likes.
        let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
        assert_eq!(stranger(&world, "/assets/ws", upgrade).status, 401);
    }
}

#[test]
fn never_n31_a_public_path_tells_its_app_of_somebody() {
    let world = World::start(Setup {
        app: "public = [\"/healthz\"]\nforward-authorization = true\n",
        token: "{ bearer = true }",
        log: "grants-one-in = 1",
        ..Setup::default()
    });
    let forged = "X-User: forged\r\nX_User: forged\r\nX-Forwarded-User: forged\r\n\
                  X-Forwarded-For: 192.0.2.77\r\nCookie: __Host-Http-portcullis=forged; a=1\r\n";
    let bad = format!("{forged}Authorization: Bearer forged\r\n");
    let good = format!("{forged}Authorization: Bearer {}\r\n", keys::token());
    for lines in [forged, &bad, &good] {
        assert_eq!(stranger(&world, "/healthz", lines).status, 200, "{lines}");
        let seen = world.origin.last();
        assert!(!seen.holds("forged") && !seen.holds("192.0.2.77"), "{}", seen.head);
        for name in ["x-user", "x-user-name", "x-groups", "authorization"] {
            assert!(seen.values(name).is_empty(), "{name}: {}", seen.head);
        }
        assert_eq!((seen.values("cookie"), seen.values("x-forwarded-for")), (vec!["a=1"], vec!["127.0.0.1"]));
    }
    assert_eq!(world.get("/", "").status, 200);
    assert_eq!(world.origin.last().values("x-user"), ["anna"], "the counterpart");
    let series = |outcome: &str| format!("portcullis_requests_total{{app=\"wiki\",outcome=\"{outcome}\"}}");
    world.wait_for("the counters", |world| world.metric(&series("granted")) >= 1.0);
    assert_eq!(world.metric(&series("public")), 3.0);
    world.wait_for("the log", |world| world.log().matches("\"outcome\":\"public\"").count() == 3);
}

#[test]
fn a_public_path_is_limited_and_its_methods_are_those_of_the_app() {
    let world = World::start(Setup {
        app: "public = [\"/hook\"]\nmethods = [\"POST\"]\nbody-max = \"1KiB\"\nrate = \"3/h\"\n",
        ..Setup::default()
    });
    let post = |length: usize| {
        let body = "x".repeat(length);
        let head = format!("POST /hook HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {length}\r\n\r\n{body}");
        exchange(&world.plain, head.as_bytes()).status
    };
    assert_eq!(post(1_024), 200);
    assert_eq!(post(1_025), 413);
    assert_eq!(stranger(&world, "/hook", "").status, 405);
    assert_eq!(post(1), 429);
}

#[test]
fn never_n52_a_health_check_is_told_by_anything_but_its_path_and_listener() {
    let world = World::start(Setup { plain: "health-path = \"/lb\"", ..Setup::default() });
    let said = |head: &str| {
        let before = world.origin.hits();
        let answer = exchange(&world.plain, format!("{head}\r\n\r\n").as_bytes());
        assert_eq!(world.origin.hits(), before, "{head}");
        (answer.status, answer.body)
    };
    // As ELB, GKE and HAProxy ask.
    for head in [
        "GET /lb HTTP/1.0",
        "GET /lb HTTP/1.1\r\nHost: 10.0.0.7:8080\r\nConnection: close",
        "GET /lb HTTP/1.1\r\nHost: wiki.test\r\nUser-Agent: GoogleHC/1.0",
    ] {
        assert_eq!(said(head), (200, "ok\n".to_owned()), "{head}");
    }
    assert_eq!(said("HEAD /lb HTTP/1.0").0, 200);
    for head in [
        "GET /lb HTTP/1.1",
        "GET /LB HTTP/1.0",
        "GET /lb/ HTTP/1.0",
        "GET /lb?x HTTP/1.0",
        "GET /x/../lb HTTP/1.0",
        "GET /%6cb HTTP/1.0",
        "GET / HTTP/1.0\r\nUser-Agent: ELB-HealthChecker/2.0",
        "GET /lb HTTP/1.0\r\nTransfer-Encoding: chunked",
        "GET /lb HTTP/1.1\r\nHost: a\r\nHost: b",
    ] {
        assert_eq!(said(head).0, 400, "{head}");
    }
    assert_eq!(said("POST /lb HTTP/1.1\r\nHost: wiki.test\r\nContent-Length: 0").0, 401);
    // Elsewhere it is any path.
    let elsewhere = world.over_tls(HOST, format!("GET /lb HTTP/1.1\r\nHost: {HOST}\r\n\r\n").as_bytes());
    assert_eq!(elsewhere.status, 401);
}

#[test]
fn a_health_check_is_refused_as_soon_as_the_process_is_to_end() {
    let world = World::start(Setup {
        plain: "health-path = \"/lb\"",
        server: "pre-stop-delay = \"30s\"",
        ..Setup::default()
    });
    let check = |world: &World| exchange(&world.plain, b"GET /lb HTTP/1.0\r\n\r\n").status;
    assert_eq!(check(&world), 200);
    world.terminate();
    world.wait_for("a 503", |world| check(world) == 503);
    assert_eq!(world.get("/", "").status, 200, "who comes all the same is served");
}

#[test]
fn never_n31_a_preflight_that_the_app_answers_carries_anybody() {
    let world = World::start(Setup {
        app: "allowed-origins = [\"https://portal.test\"]\ncors = { preflight = \"pass\" }\nmethods = [\"GET\"]\n",
        ..Setup::default()
    });
    let preflight = |target: &str, lines: &str| {
        let head = format!(
            "OPTIONS {target} HTTP/1.1\r\nHost: {HOST}\r\nAccess-Control-Request-Method: PUT\r\n{lines}\r\n"
        );
        exchange(&world.plain, head.as_bytes())
    };
    let portal = "Origin: https://portal.test\r\nX-User: forged\r\nAuthorization: Bearer forged\r\n";
    let answer = preflight("/origins", portal);
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, Some("*")));
    assert!(!world.origin.last().holds("forged"), "{}", world.origin.last().head);
    // What the app does not allow is allowed by nobody else.
    let answer = preflight("/x", portal);
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, None));
    let before = world.origin.hits();
    assert_eq!(preflight("/x", "Origin: https://evil.test\r\n").status, 401);
    assert_eq!(preflight("/x;y", portal).status, 400);
    assert_eq!(preflight("/x/../y", portal).status, 400);
    let plain = format!("OPTIONS / HTTP/1.1\r\nHost: {HOST}\r\nOrigin: https://portal.test\r\n\r\n");
    assert_eq!(world.bare(&plain), 401, "an OPTIONS that is no preflight");
    assert_eq!(world.origin.hits(), before);
}

const GITLAB: &str = "path = \"/gitlab\"\nprefix-rewrite = \"/\"\nallow-paths = [\"encoded-slash\", \"double-slash\", \"path-parameters\"]\n";

/// A policy that blocks these paths.
fn block(paths: &str) -> String {
    format!(
        "[[policy]]\nid = \"no\"\nusers = {{ include = [\"all\"] }}\napps = {{ include = [\"all\"] }}\ngrant = \"block\"\nconditions = {{ request = {{ paths = {paths} }} }}\n"
    )
}

/// What both protocols answer, and what the app then receives.
fn receives(world: &World, asked: &str, expected: Result<&str, u16>) {
    let before = world.origin.hits();
    let status = expected.err().unwrap_or(200);
    assert_eq!(world.get(asked, "").status, status, "HTTP/1 {asked}");
    if let Ok(target) = expected {
        assert_eq!(world.origin.last().target(), target, "HTTP/1 {asked}");
    }
    assert_eq!(world.h2_get(asked, &[]).status(), status, "HTTP/2 {asked}");
    if let Ok(target) = expected {
        assert_eq!(world.origin.last().target(), target, "HTTP/2 {asked}");
    }
    assert_eq!(world.origin.hits() - before, if expected.is_ok() { 2 } else { 0 }, "{asked}");
}

#[test]
fn never_n08_a_path_that_the_app_sees_after_a_rewrite_is_not_judged() {
    let world = World::start(Setup {
        app: GITLAB,
        policies: block(r#"["/admin/**", "/gitlab/secret/**"]"#),
        ..Setup::default()
    });
    for (asked, expected) in [
        ("/gitlab", Ok("/")),
        ("/gitlab/", Ok("/")),
        ("/gitlab?x=/admin", Ok("/?x=/admin")),
        ("/GitLab/x", Ok("/x")),
        ("/gitlab/group%2Fproject/-/tree/main", Ok("/group%2Fproject/-/tree/main")),
        ("/gitlab/a;b=1/c", Ok("/a;b=1/c")),
        ("/gitlab/gitlab/admin", Ok("/gitlab/admin")),
        ("/gitlab/administrator", Ok("/administrator")),
        // What the app will see is judged.
        ("/gitlab/admin", Err(403)),
        ("/gitlab/ADMIN/users", Err(403)),
        ("/gitlab/admin%2Fusers", Err(403)),
        ("/gitlab/admin;x/users", Err(403)),
        ("/gitlab/admin//users", Err(403)),
        // And what was asked for, as before.
        ("/gitlab/secret/x", Err(403)),
        ("/gitlab/secret;x/y", Err(403)),
        // What some would take for a host, for another app, or for a way up.
        ("/gitlab//admin", Err(400)),
        ("/gitlab//evil.test/x", Err(400)),
        ("/gitlab/%2Fadmin", Err(400)),
        ("/gitlab/%2fevil.test", Err(400)),
        ("/gitlab/%2F%2Fevil.test/x", Err(400)),
        ("/gitlab/;x/evil.test", Err(400)),
        ("/gitlab/;x%2Fevil.test", Err(400)),
        ("/gitlab/x/%2Fevil.test", Ok("/x/%2Fevil.test")),
        ("/gitlab/.%2Fadmin", Err(400)),
        ("/gitlab/x/..;y/admin", Err(400)),
        ("/gitlab;x/admin", Err(400)),
        ("/gitlab/../admin", Err(400)),
        ("/gitlab/%2e%2e/admin", Err(400)),
        ("/gitlab/..%2Fadmin", Err(400)),
        ("/gitlab%2Fadmin", Err(400)),
    ] {
        receives(&world, asked, expected);
    }
    // WebDAV's second path is rewritten and judged as the first.
    let copy = |destination: &str| {
        let lines = format!("Destination: {destination}\r\n");
        let status = exchange(&world.plain, &World::head("MOVE", "/gitlab/a", &lines)).status;
        (status, world.origin.last().values("destination").first().map(|value| (*value).to_owned()))
    };
    assert_eq!(copy("http://wiki.test/gitlab/b?"), (400, None));
    assert_eq!(copy("http://wiki.test/gitlab/b"), (200, Some("http://wiki.test/b".to_owned())));
    assert_eq!(copy("/gitlab/b"), (200, Some("/b".to_owned())));
    let before = world.origin.hits();
    for destination in [
        "/gitlab/admin/b",
        "http://wiki.test/gitlab/admin",
        "/gitlab//b",
        "/gitlab/%2Fb",
        "/gitlab/;x/b",
        "/b",
        "/gitlab/../b",
    ] {
        let status = copy(destination).0;
        assert!(matches!(status, 400 | 403), "{destination}: {status}");
    }
    assert_eq!(world.origin.hits(), before);
}

#[test]
fn never_n08_a_part_that_asks_for_a_context_is_reached_without_by_a_rewrite() {
    let world = World::start(Setup {
        app: "path = \"/shop\"\nprefix-rewrite = \"/shop/v2\"\ncontexts = [{ path = \"/shop/pay\", context = \"c1\" }, { path = \"/shop/v2/vault\", context = \"c1\" }]\n",
        policies: "[[policy]]\nid = \"c\"\nusers = { include = [\"all\"] }\nauthentication-contexts = [\"c1\"]\ngrant = \"block\"\n".to_owned(),
        ..Setup::default()
    });
    for (asked, expected) in [
        ("/shop/pay/now", Err(403)),
        ("/shop/vault", Err(403)),
        ("/shop/v2/vault", Err(403)),
        ("/shop/other", Ok("/shop/v2/other")),
    ] {
        receives(&world, asked, expected);
    }
}

#[test]
fn never_n52_a_public_path_leads_elsewhere_by_a_rewrite() {
    let world = World::start(Setup {
        app: "path = \"/gitlab\"\nprefix-rewrite = \"/\"\nallow-paths = [\"encoded-slash\", \"double-slash\", \"path-parameters\"]\npublic = [\"/gitlab/assets/**\"]\n",
        ..Setup::default()
    });
    for target in ["/gitlab/assets/x", "/gitlab/assets"] {
        assert_eq!(stranger(&world, target, "").status, 200, "{target}");
        assert_eq!(world.origin.last().target(), target.strip_prefix("/gitlab").unwrap());
    }
    let before = world.origin.hits();
    for target in [
        "/gitlab/assets/../admin",
        "/gitlab/assets/..%2Fadmin",
        "/gitlab/assets//x",
        "/gitlab/assets%2Fx",
        "/gitlab/assets;x/y",
        "/gitlab//assets/x",
        "/GITLAB/assets/x",
        "/assets/x",
    ] {
        let status = stranger(&world, target, "").status;
        assert!(matches!(status, 400 | 401), "{target}: {status}");
    }
    assert_eq!(world.origin.hits(), before);
}

#[test]
fn the_host_is_the_clients_the_servers_or_a_name_and_the_public_one_is_told() {
    for (key, host) in [
        ("", None),
        ("upstream-host = \"upstream\"\n", Some("")),
        ("upstream-host = \"wiki.internal\"\n", Some("wiki.internal")),
    ] {
        let world = World::start(Setup { app: key, ..Setup::default() });
        let expected = match host {
            None => HOST.to_owned(),
            Some("") => world.origin.address.clone(),
            Some(name) => name.to_owned(),
        };
        for answer in [world.get("/", "").status, world.h2_get("/", &[]).status()] {
            assert_eq!(answer, 200, "{key}");
            let seen = world.origin.last();
            assert_eq!(
                (seen.values("host"), seen.values("x-forwarded-host")),
                (vec![&*expected], vec![HOST]),
                "{key}"
            );
        }
    }
}

#[test]
fn never_n31_a_client_sends_a_field_that_the_proxy_sets_or_takes_away() {
    let setup = Setup {
        app: "[app.request-headers]\nset = { X-Env = \"prod\", X-Forwarded-Ssl = \"on\", Authorization = { file = \"backend.txt\" } }\nremove = [\"Referer\", \"X-Debug\"]\n[app.response-headers]\nset = { X-Frame-Options = \"DENY\" }\nremove = [\"Access-Control-Allow-Origin\"]\n",
        ..Setup::default()
    };
    let world = World::launch_with(setup, |folder| {
        let file = folder.join("backend.txt");
        std::fs::write(&file, "Basic YmFja2VuZDpzZWNyZXQ=\n").unwrap();
        std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    })
    .unwrap();
    world.wait_for("the keys", |world| world.get("/", "").status == 200);
    let forged = "X-Env: forged\r\nX_Env: forged\r\nX.Env: forged\r\nX-Forwarded-Ssl: forged\r\nReferer: forged\r\nX-Debug: forged\r\n";
    let answer = world.get("/origins", forged);
    assert_eq!((answer.status, answer.header("x-frame-options")), (200, Some("DENY")), "{}", answer.head);
    assert_eq!(answer.header("access-control-allow-origin"), None);
    let seen = world.origin.last();
    assert!(!seen.holds("forged"), "{}", seen.head);
    assert_eq!((seen.values("x-env"), seen.values("x-forwarded-ssl")), (vec!["prod"], vec!["on"]));
    assert_eq!(seen.values("authorization"), ["Basic YmFja2VuZDpzZWNyZXQ="]);
    // A refusal is no answer of the app, and says nothing of its secrets.
    let refused = world.get("/admin", "");
    assert_eq!((refused.status, refused.header("x-frame-options")), (403, None));
    assert!(!world.log().contains("YmFja2") && !world.said().contains("YmFja2"));
}

/// An app that believes to live at the root of a host of its own, as GitLab does.
fn gitlab() -> RawApp {
    RawApp::start(|asked| {
        let host =
            asked.head.lines().find_map(|line| line.strip_prefix("Host: ").or(line.strip_prefix("host: ")));
        let host = host.unwrap_or_default();
        let answer = match asked.target() {
            "/" => "302 Found\r\nLocation: /users/sign_in\r\nSet-Cookie: _gitlab_session=1; path=/; HttpOnly\r\n".to_owned(),
            "/users/sign_in" => format!("302 Found\r\nLocation: http://{host}/dashboard?a=b#c\r\nSet-Cookie: remember=1; path=/users; domain=git.internal\r\nSet-Cookie: __Host-x=1; Secure; Path=/\r\n"),
            "/elsewhere" => "302 Found\r\nLocation: https://login.test/?return=/gitlab\r\n".to_owned(),
            "/trap" => "302 Found\r\nLocation: //evil.test/x\r\nRefresh: 0; url=http://git.internal/x\r\nContent-Location: /x.json\r\n".to_owned(),
            target => format!("200 OK\r\nX-Target: {target}\r\n"),
        };
        Reply::Keep(format!("HTTP/1.1 {answer}Content-Length: 0\r\n\r\n").into_bytes())
    })
}

#[test]
fn an_app_under_a_prefix_is_led_back_to_it_by_its_redirects_and_cookies() {
    let app = gitlab();
    let world = World::start(Setup {
        app: "path = \"/gitlab\"\nprefix-rewrite = \"/\"\nupstream-host = \"git.internal\"\nallow-paths = [\"encoded-slash\"]\n",
        upstreams: app.upstreams(),
        ..Setup::default()
    });
    let cookies = |answer: &Answer| -> Vec<String> {
        let lines = answer.head.lines().filter_map(|line| line.split_once(':'));
        let cookies = lines.filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie"));
        cookies.map(|(_, value)| value.trim().to_owned()).collect()
    };
    let root = world.get("/gitlab/", "");
    assert_eq!((root.status, root.header("location")), (302, Some("/gitlab/users/sign_in")));
    assert_eq!(cookies(&root), ["_gitlab_session=1; Path=/gitlab; HttpOnly"]);
    let sign_in = world.get("/gitlab/users/sign_in", "");
    assert_eq!(sign_in.header("location"), Some("http://wiki.test/gitlab/dashboard?a=b#c"));
    assert_eq!(cookies(&sign_in), ["remember=1; Path=/gitlab/users", "__Host-x=1; Secure; Path=/"]);
    let over_tls = World::head("GET", "/gitlab/users/sign_in", "X-Forwarded-Proto: http\r\n");
    let over_tls = world.over_tls(HOST, &over_tls);
    let place = over_tls.header("location").unwrap_or_default();
    assert_eq!(place, "https://wiki.test/gitlab/dashboard?a=b#c");
    assert_eq!(
        world.get("/gitlab/elsewhere", "").header("location"),
        Some("https://login.test/?return=/gitlab")
    );
    let trap = world.get("/gitlab/trap", "");
    assert_eq!(trap.header("location"), Some("//evil.test/x"), "what the app says of others is its own");
    assert_eq!(trap.header("refresh"), Some("0; url=http://wiki.test/gitlab/x"));
    assert_eq!(trap.header("content-location"), Some("/gitlab/x.json"));
    let file = "/gitlab/api/v4/projects/group%2Fproject/repository/files/a%2Fb.md/raw?ref=main%2Fx";
    assert_eq!(world.get(file, "").header("x-target"), file.strip_prefix("/gitlab"));
    let told = app.bytes(0);
    assert!(
        told.contains("x-forwarded-prefix: /gitlab") && told.contains("x-forwarded-host: wiki.test"),
        "{told}"
    );
}

/// Apps without servers: `old` sends elsewhere, `robots` and `gone` answer always the same.
const WITHOUT_SERVERS: &str = r#"
[[app]]
id = "old"
hosts = ["old.test"]
path = "/old"
prefix-rewrite = "/new"
redirect = { to = "https://new.test/", keep-path = true, keep-query = true, status = 307 }
unmatched = "allow"
hsts = { max-age = "30d" }
allow-paths = ["encoded-slash", "double-slash", "double-encoding", "path-parameters"]

[[app]]
id = "robots"
hosts = ["old.test"]
path = "/robots.txt"
respond = { body = "User-agent: *\nDisallow: /\n" }
public = ["/robots.txt"]
allowed-origins = ["https://pages.test"]
response-headers = { set = { Cache-Control = "max-age=60", X-Robots-Tag = "none" } }

[[app]]
id = "gone"
hosts = ["gone.test"]
respond = { status = 204 }
methods = ["GET", "HEAD", "POST"]
unmatched = "allow"
"#;

fn without_servers() -> World {
    World::start(Setup { top: WITHOUT_SERVERS.to_owned(), log: "grants-one-in = 1", ..Setup::default() })
}

/// A request to this host, perhaps with a good token.
fn ask(world: &World, head: &str, host: &str, token: bool) -> Answer {
    let token = if token { format!("Authorization: Bearer {}\r\n", keys::token()) } else { String::new() };
    let (line, lines) = head.split_once("\r\n").unwrap_or((head, ""));
    exchange(&world.plain, format!("{line} HTTP/1.1\r\nHost: {host}\r\n{token}{lines}\r\n").as_bytes())
}

#[test]
fn an_app_without_servers_answers_who_is_let_in_and_nobody_else() {
    let world = without_servers();
    let get = |host: &str, target: &str, token| ask(&world, &format!("GET {target}"), host, token);
    assert_eq!(get("old.test", "/old/x", false).status, 401);
    let sent = get("old.test", "/old/a%20b?c=//evil.test", true);
    assert_eq!(
        (sent.status, sent.header("location"), &*sent.body),
        (307, Some("https://new.test/new/a%20b?c=//evil.test"), "")
    );
    assert_eq!(sent.header("cache-control"), Some("no-store"));
    assert_eq!(get("old.test", "/", true).status, 404);
    // A policy is asked first, of the path that was asked for and of the one that follows.
    for target in ["/admin", "/admin/x"] {
        let world = World::start(Setup {
            top: format!(
                "[[app]]\nid = \"moved\"\nhosts = [\"moved.test\"]\npath = \"/m\"\nprefix-rewrite = \"{target}\"\nredirect = {{ to = \"https://new.test\" }}\nunmatched = \"allow\"\n"
            ),
            ..Setup::default()
        });
        let refused = ask(&world, "GET /m", "moved.test", true);
        assert_eq!((refused.status, refused.header("location")), (403, None));
    }
    // Everybody reads what is public, with the fields that the app's settings add.
    for token in [false, true] {
        let robots = get("old.test", "/robots.txt", token);
        assert_eq!((robots.status, &*robots.body), (200, "User-agent: *\nDisallow: /\n"));
        assert_eq!(robots.header("content-type"), Some("text/plain; charset=utf-8"));
        assert_eq!(robots.header("cache-control"), Some("max-age=60"));
        assert_eq!(robots.header("x-robots-tag"), Some("none"));
        assert_eq!(robots.header("x-content-type-options"), Some("nosniff"));
        assert!(robots.header("x-request-id").is_some(), "{}", robots.head);
    }
    let script = ask(&world, "GET /robots.txt\r\nOrigin: https://pages.test\r\n", "old.test", false);
    assert_eq!(script.header("access-control-allow-origin"), Some("https://pages.test"));
    let foreign = ask(&world, "GET /robots.txt\r\nOrigin: https://evil.test\r\n", "old.test", false);
    assert_eq!(foreign.header("access-control-allow-origin"), None);
    assert_eq!(world.origin.hits(), 0);
    let series = |app: &str, outcome: &str| {
        format!("portcullis_requests_total{{app=\"{app}\",outcome=\"{outcome}\"}}")
    };
    world.wait_for("the counters", |world| world.metric(&series("robots", "replied")) == 4.0);
    assert_eq!(world.metric(&series("old", "replied")), 1.0);
    world.wait_for("the log", |world| world.log().matches("\"outcome\":\"replied\"").count() == 5);
    let line = world.log().lines().find(|line| line.contains("\"replied\"")).unwrap().to_owned();
    assert!(line.contains("\"old\"") && line.contains("307"), "{line}");
}

#[test]
fn an_app_without_servers_answers_every_method_and_protocol_alike() {
    let world = without_servers();
    let bearer = format!("Bearer {}", keys::token());
    for (method, host, target, status, body) in [
        ("GET", "old.test", "/old/x", 307, ""),
        ("HEAD", "old.test", "/old/x", 307, ""),
        ("POST", "old.test", "/old/x", 307, ""),
        ("OPTIONS", "old.test", "/old/x", 307, ""),
        ("GET", "old.test", "/robots.txt", 200, "User-agent: *\nDisallow: /\n"),
        ("GET", "gone.test", "/x", 204, ""),
        ("DELETE", "gone.test", "/x", 405, "*"),
    ] {
        let mut fields = h2::fields(method, host, target);
        fields.push((b"authorization", bearer.as_bytes()));
        let two = world.h2(&fields, (method == "POST").then_some(b"form"));
        assert_eq!(two.status(), status, "HTTP/2 {method} {target}: {two:?}");
        let lines = if method == "POST" { "Content-Length: 4\r\n" } else { "" };
        let tail = if method == "POST" { "form" } else { "" };
        let request = format!(
            "{method} {target} HTTP/1.1\r\nHost: {host}\r\nAuthorization: {bearer}\r\n{lines}\r\n{tail}"
        );
        // A second request shows where the first answer ends.
        let next = "GET /robots.txt HTTP/1.1\r\nHost: old.test\r\nConnection: close\r\n\r\n";
        let all = world.all(format!("{request}{next}").as_bytes());
        assert!(all.starts_with(&format!("HTTP/1.1 {status} ")), "HTTP/1 {method} {target}: {all}");
        if body != "*" {
            assert_eq!(two.body(), body, "HTTP/2 {method} {target}");
            let head = all.split("\r\n\r\n").next().unwrap().to_ascii_lowercase();
            assert_eq!(head.contains("content-length"), status != 204, "{method} {target}: {head}");
            let rest = all.split_once("\r\n\r\n").unwrap().1;
            // A body that nobody read ends its connection.
            let next = if method == "POST" { "" } else { "HTTP/1.1 200 " };
            assert!(rest.starts_with(&format!("{body}{next}")), "HTTP/1 {method} {target}: {all}");
            assert_eq!(rest.contains("HTTP/1.1 "), method != "POST", "HTTP/1 {method} {target}: {all}");
        }
    }
    assert_eq!(h2_stranger(&world, "old.test", "/old/x").status(), 401);
    assert_eq!(h2_stranger(&world, "old.test", "/robots.txt").status(), 200);
    let head = World::head("GET", "/old/x", "").iter().map(|byte| *byte as char).collect::<String>();
    let secure = world.over_tls(HOST, head.replace(HOST, "old.test").as_bytes());
    assert_eq!((secure.status, secure.header("strict-transport-security")), (307, Some("max-age=2592000")));
}

fn h2_stranger(world: &World, host: &str, target: &str) -> h2::Answer {
    world.h2(&h2::fields("GET", host, target), None)
}

#[test]
fn never_n58_a_redirect_of_an_app_leads_to_a_host_or_a_path_that_a_client_chose() {
    let world = without_servers();
    for target in [
        "/old//evil.test",
        "/old/..//evil.test",
        "/old/../../x",
        "/old/%2e%2e/x",
        "/old/..%2fx",
        "/old/%252e%252e/x",
        "/old/x\\..\\..\\y",
        "/old%2f..%2f..%2fx",
        "/old/..;/x",
        "/old/x%0d%0aSet-Cookie:a=b",
        "/old/x?y%0d%0aSet-Cookie:a=b",
        "/old/x?y\\evil.test#z",
        "/old@evil.test/",
        "/old/@evil.test",
        "/old/x?https://evil.test",
        "https://evil.test/old/x",
        "http://old.test/old/x",
        "*",
    ] {
        for method in ["GET", "OPTIONS"] {
            let sent = ask(
                &world,
                &format!("{method} {target}\r\nX-Forwarded-Host: evil.test\r\nX-Forwarded-Proto: http\r\n"),
                "old.test",
                true,
            );
            assert!(matches!(sent.status, 307 | 400 | 403 | 404), "{method} {target}: {}", sent.head);
            let lines = sent.head.lines().filter(|line| line.to_ascii_lowercase().starts_with("set-cookie"));
            assert_eq!(lines.count(), 0, "{method} {target}: {}", sent.head);
            let Some(location) = sent.header("location") else { continue };
            assert!(location.starts_with("https://new.test/new"), "{method} {target}: {location}");
            let url = url::Url::parse(location).unwrap();
            assert_eq!(url.host_str(), Some("new.test"), "{method} {target}: {location}");
            assert!(url.path().starts_with("/new"), "{method} {target}: {location}");
        }
    }
}

#[test]
fn an_app_that_is_worked_at_says_so_to_who_would_be_let_in() {
    let world = World::start(Setup {
        app: "maintenance = { retry-after = \"30m\" }\npublic = [\"/healthz\"]\n",
        ..Setup::default()
    });
    assert_eq!(stranger(&world, "/", "").status, 401);
    assert_eq!(world.get("/admin/x", "").status, 403);
    let told = world.get("/x", "Accept: text/html\r\nAccept-Language: de\r\nSec-Fetch-Mode: navigate\r\n");
    assert_eq!((told.status, told.header("retry-after")), (503, Some("1800")), "{}", told.head);
    assert!(
        told.body.contains("An dieser App wird gerade gearbeitet") && told.body.contains("Wiki"),
        "{}",
        told.body
    );
    assert!(told.body.contains("880401"), "{}", told.body);
    let program = world.get("/x", "Accept: application/json\r\n");
    assert!(program.status == 503 && program.body.contains("\"maintenance\""), "{}", program.body);
    assert_eq!(world.h2_get("/x", &[]).status(), 503);
    assert_eq!(world.h2_get("/admin/x", &[]).status(), 403);
    let public = stranger(&world, "/healthz", "Accept: text/html\r\nSec-Fetch-Mode: navigate\r\n");
    assert_eq!(public.status, 503);
    assert!(!public.body.contains("Wiki"), "a stranger learns no name: {}", public.body);
    // Nobody judged who asks for it, so nobody is told to be let in.
    assert!(!public.body.contains("allowed in"), "{}", public.body);
    assert!(public.body.contains("This app is being worked on."), "{}", public.body);
    assert_eq!(world.origin.hits(), 0);
    world.wait_for("the log", |world| world.log().contains("\"reason\":\"maintenance\""));
    let series = "portcullis_refusals_total{app=\"wiki\",reason=\"maintenance\",code=\"880401\"}";
    assert_eq!(world.metric(series), 4.0);
    let status = world.admin_get("/status", "").body;
    assert!(status.contains("\"answeredBy\": \"maintenance\""), "{status}");
    // It ends, and begins again, by the file alone.
    let file = world.file("portcullis.toml");
    let with = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, with.replace("maintenance = { retry-after = \"30m\" }", "")).unwrap();
    world.wait_for("the app", |world| world.get("/x", "").status == 200);
    assert_eq!(stranger(&world, "/healthz", "").status, 200);
    assert_eq!(world.h2_get("/x", &[]).status(), 200);
    std::fs::write(&file, with.replace("{ retry-after = \"30m\" }", "true")).unwrap();
    world.wait_for("maintenance", |world| world.get("/x", "").status == 503);
    assert_eq!(world.get("/x", "").header("retry-after"), Some("600"));
}

#[test]
fn never_n18_a_wildcard_serves_what_an_exact_host_or_another_depth_does_not() {
    let world = World::start(Setup {
        hosts: "[\"*.corp.test\", \"wiki.test\"]".to_owned(),
        top: "[[app]]\nid = \"vault\"\nhosts = [\"vault.corp.test\"]\npath = \"/vault\"\nupstreams = [\"http://127.0.0.1:9\"]\n".to_owned(),
        log: "grants-one-in = 1",
        ..Setup::default()
    });
    let one = |host: &str| ask(&world, "GET /x", host, true).status;
    let bearer = format!("Bearer {}", keys::token());
    let two = |host: &str| {
        let mut fields = h2::fields("GET", host, "/x");
        fields.push((b"authorization", bearer.as_bytes()));
        world.h2(&fields, None)
    };
    for (host, seen) in [
        ("a.corp.test", "a.corp.test"),
        ("A.Corp.TEST", "a.corp.test"),
        ("b.corp.test:8080", "b.corp.test"),
        ("xn--bcher-kva.corp.test", "xn--bcher-kva.corp.test"),
        ("wiki.test", "wiki.test"),
    ] {
        assert_eq!(one(host), 200, "{host}");
        let last = world.origin.last();
        let name = last.values("x-forwarded-host")[0].split(':').next().unwrap().to_owned();
        assert_eq!(name, seen);
        assert_eq!(two(host).status(), 200, "HTTP/2 {host}");
    }
    let before = world.origin.hits();
    for host in ["vault.corp.test", "VAULT.corp.test", "corp.test", "a.b.corp.test", "x.wiki.test"] {
        assert_eq!(one(host), 404, "{host}");
        assert_eq!(two(host).status(), 404, "HTTP/2 {host}");
    }
    for host in
        ["*.corp.test", ".corp.test", "a..corp.test", "vault.corp.test.", "a_b.corp.test", "a%2Eb.corp.test"]
    {
        let found = one(host);
        assert!(matches!(found, 400 | 404), "{host}: {found}");
        assert!(two(host).is_refusal(), "HTTP/2 {host}");
    }
    assert_eq!(world.origin.hits(), before);
    // What a client calls the host is no label.
    let metrics = world.admin_get("/metrics", "").body;
    assert!(!metrics.contains("corp.test"), "{metrics}");
}

#[test]
fn never_n98_a_wildcards_connection_is_served_for_another_certificates_name() {
    let made = |name: &str| rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let (wild, vault) = (made("*.corp.test"), made("vault.corp.test"));
    let setup = Setup {
        hosts: "[\"wiki.test\", \"*.corp.test\"]".to_owned(),
        top: "[[app]]\nid = \"vault\"\nhosts = [\"vault.corp.test\"]\nrespond = { status = 204 }\npublic = [\"/**\"]\n".to_owned(),
        tls: "certificates = [{ certificate = \"chain.pem\", key = \"key.pem\" }, { certificate = \"wild.pem\", key = \"wild.key\" }, { certificate = \"vault.pem\", key = \"vault.key\" }]",
        ..Setup::default()
    };
    let world = World::launch_with(setup, |folder| {
        for (name, made) in [("wild", &wild), ("vault", &vault)] {
            std::fs::write(folder.join(format!("{name}.pem")), made.cert.pem()).unwrap();
            std::fs::write(folder.join(format!("{name}.key")), made.signing_key.serialize_pem()).unwrap();
        }
    });
    let world = world.unwrap();
    world.wait_for("the keys", |world| world.admin_get("/readyz", "").status == 200);
    let ask = |name: &str, host: &str| {
        let mut roots = rustls::RootCertStore::empty();
        for der in [CERTIFICATE.2.clone(), wild.cert.der().clone(), vault.cert.der().clone()] {
            roots.add(der).unwrap();
        }
        let mut config = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let mut stream = world.connect_with(name, std::sync::Arc::new(config));
        let token = keys::token();
        let head = format!("GET / HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\r\n");
        std::io::Write::write_all(&mut stream, head.as_bytes()).unwrap();
        answer(&mut stream, false).status
    };
    for (name, host, status) in [
        ("a.corp.test", "a.corp.test", 200),
        // One certificate is for both.
        ("a.corp.test", "b.corp.test", 200),
        ("vault.corp.test", "vault.corp.test", 204),
        ("a.corp.test", "vault.corp.test", 421),
        ("vault.corp.test", "a.corp.test", 421),
        ("a.corp.test", "wiki.test", 421),
        ("wiki.test", "a.corp.test", 421),
        ("a.corp.test", "a.b.corp.test", 421),
    ] {
        assert_eq!(ask(name, host), status, "{name} asks for {host}");
    }
}
