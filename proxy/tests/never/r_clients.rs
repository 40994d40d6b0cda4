//! What is answered in a shape of its own says no more than any other answer: to pages of other origins, to programs, to
//! libraries that fill pages.

use crate::keys::token;
use crate::wire::{Answer, exchange};
use crate::world::{HOST, Setup, World};

const PORTAL: &str = "https://portal.test";
const APP: &str =
    "allowed-origins = [\"https://portal.test\"]\nclients = \"npm\"\ncors = { credentials = true }";
const PREFLIGHT: &str = "Access-Control-Request-Method: PUT\r\nAccess-Control-Request-Headers: authorization\r\nConnection: close\r\n";

fn ask(world: &World, method: &str, host: &str, target: &str, lines: &str) -> Answer {
    let head = format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n");
    exchange(&world.plain, head.as_bytes())
}

/// Everything of an answer but what is chance or time.
fn said(answer: &Answer) -> (u16, Vec<String>, String) {
    let id = answer.header("x-request-id").unwrap_or_default().to_owned();
    // After the word come nine characters of chance, wherever they stand.
    let all = [&*answer.head, &*answer.body].concat();
    let at = all.find("reference ").map(|at| at + "reference ".len());
    let reference = at.and_then(|at| all.get(at..at + 9)).unwrap_or("none").to_owned();
    let plain = |text: &str| text.replace(&id, "ID").replace(&reference, "REFERENCE");
    let is_chance = |line: &&str| {
        ["date:", "content-length:"].iter().any(|name| line.to_ascii_lowercase().starts_with(name))
    };
    let fields = answer.head.lines().filter(|line| !is_chance(line)).map(plain).collect();
    let mut body = answer.body.clone();
    if let Ok(serde_json::Value::Object(mut members)) = serde_json::from_str(&body) {
        for chance in ["timestamp", "reference"] {
            members.remove(chance);
        }
        body = serde_json::Value::Object(members).to_string();
    }
    // A page's text has its time and its reference in several forms.
    let body = if body.starts_with("<!doctype") { "a page".to_owned() } else { plain(&body) };
    (answer.status, fields, body)
}

#[test]
fn never_n88_a_preflight_tells_strangers_of_apps_users_or_policies() {
    let world = World::start(Setup { app: APP, ..Setup::default() });
    let of = |host: &str, target: &str, origin: &str| {
        said(&ask(&world, "OPTIONS", host, target, &format!("Origin: {origin}\r\n{PREFLIGHT}")))
    };
    // The counterpart: it is an origin alone that is answered.
    let allowed = of(HOST, "/x", PORTAL);
    assert_eq!(allowed.0, 204, "{allowed:?}");
    assert_eq!(of(HOST, "/admin/x", PORTAL), allowed, "a path that policies block");
    let stranger = of("nothing.test", "/x", "https://evil.test");
    assert_eq!(stranger.0, 401);
    for origin in [
        "https://evil.test",
        "null",
        "*",
        "",
        "https://portal.test.evil.test",
        "https://portal.test:443",
        "http://portal.test",
        "https://portal.test/",
        "https://portal.test, https://evil.test",
        "https://portal.test\r\nOrigin: https://evil.test",
    ] {
        for target in ["/x", "/admin/x"] {
            assert_eq!(of(HOST, target, origin), stranger, "{origin} {target}");
        }
    }
    // With a good token a preflight of another origin is a request as any other, and judged.
    let bearer = format!("Authorization: Bearer {}\r\nOrigin: https://evil.test\r\n{PREFLIGHT}", token());
    assert_eq!(ask(&world, "OPTIONS", HOST, "/admin/x", &bearer).status, 403);
    assert_eq!(world.origin.hits(), 0, "no preflight of a stranger reaches the app");
}

#[test]
fn never_n88_an_origin_or_the_kind_of_clients_shows_strangers_which_app_it_is() {
    let world = World::start(Setup { app: APP, ..Setup::default() });
    let of = |host: &str, target: &str, lines: &str| {
        said(&ask(&world, "GET", host, target, &format!("{lines}Connection: close\r\n")))
    };
    for lines in [
        "",
        "Accept: application/json\r\n",
        "User-Agent: docker/27\r\n",
        "User-Agent: kubectl/v1 kubernetes/1\r\n",
        "User-Agent: npm/10\r\n",
        "Content-Type: application/grpc\r\n",
        "HX-Request: true\r\n",
        "X-Up-Version: 3\r\n",
        "X-FORMS_BASED_AUTH_ACCEPTED: t\r\n",
        "Origin: https://evil.test\r\n",
    ] {
        let stranger = of("nothing.test", "/x", lines);
        for target in ["/x", "/admin/x"] {
            assert_eq!(of(HOST, target, lines), stranger, "{lines}");
        }
        let bad = format!("Authorization: Bearer bad\r\n{lines}");
        assert_eq!(of(HOST, "/x", &bad), of("nothing.test", "/x", &bad), "{lines}");
    }
    // Whoever is known gets the app's shape, and a page of another origin nothing to read.
    let bearer = format!("Authorization: Bearer {}\r\n", token());
    let known = ask(&world, "GET", HOST, "/admin/x", &format!("{bearer}Connection: close\r\n"));
    assert!(known.status == 403 && known.body.contains("\"error\":"), "{known:?}");
    for origin in ["https://evil.test", "null", "https://portal.test.evil.test"] {
        let lines = format!("{bearer}Origin: {origin}\r\nConnection: close\r\n");
        for target in ["/admin/x", "/x"] {
            let answer = ask(&world, "GET", HOST, target, &lines);
            assert!(!answer.head.to_ascii_lowercase().contains("access-control-"), "{origin}: {answer:?}");
        }
    }
}

#[test]
fn never_n58_htmx_is_sent_to_another_host() {
    let world = World::start(Setup { app: "allow-paths = [\"double-slash\"]", ..Setup::default() });
    let lines =
        "HX-Request: true\r\nHX-Boosted: true\r\nHX-Current-URL: https://evil.test/\r\nConnection: close\r\n";
    for target in ["//evil.test/x", "/%5Cevil.test", "/x//evil.test", "/%09/evil.test", "http://evil.test/x"]
    {
        let answer = ask(&world, "GET", HOST, target, lines);
        let to = answer.header("hx-redirect").unwrap_or("/");
        assert!(to.starts_with('/') && !to.starts_with("//") && !to.contains('\\'), "{target}: {answer:?}");
        assert_eq!(answer.header("location"), None, "nothing but a navigation is redirected");
    }
}
