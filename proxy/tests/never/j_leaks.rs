//! J. Leaks, logs, the admin surface.

use serde_json::{Value, json};

use crate::keys::{self, STRANGER, claims, sign, token, token_with};
use crate::wire::exchange;
use crate::world::{HOST, Setup, TRUSTED, World};

const SECRET: &str = "s3cr3tqu3ry";

#[test]
fn never_n74_tokens_cookies_or_queries_appear_in_logs() {
    for level in ["trace", "debug", "portcullis=trace,warn", "pingora_proxy=trace", "not a filter ="] {
        let world = World::start(Setup {
            environment: vec![("PORTCULLIS_LOG", level.to_owned()), ("RUST_LOG", "trace".to_owned())],
            ..Setup::default()
        });
        let good = token();
        let forged = sign(&STRANGER, keys::HEADER, &claims().to_string());
        let broken = World::start(Setup {
            upstreams: "[\"http://127.0.0.1:9\"]".to_owned(),
            environment: vec![("PORTCULLIS_LOG", level.to_owned())],
            ..Setup::default()
        });
        for token in [&good, &forged] {
            for carrier in [
                format!("Authorization: Bearer {token}\r\n"),
                format!("Cookie: other={SECRET}; session={token}\r\n"),
                format!("Authorization: Bearer {token} x\r\n"),
                format!("Authorization: Bearer {token}\r\nConnection: X-User\r\n"),
            ] {
                for target in ["/", "/admin", "/location", "/..", "/early"] {
                    let text =
                        format!("GET {target}?code={SECRET} HTTP/1.1\r\nHost: {HOST}\r\n{carrier}\r\n");
                    for one in [&world, &broken] {
                        exchange(&one.plain, text.as_bytes());
                    }
                }
            }
            let bearer = format!("Bearer {token}");
            let mut fields = crate::h2::fields("GET", HOST, "/admin?code=s3cr3tqu3ry");
            fields.push((b"authorization", bearer.as_bytes()));
            world.h2(&fields, None);
        }
        world.wait_for("the decisions to be logged", |world| world.log().contains("blocked-request"));
        for one in [&world, &broken] {
            let (said, logged) = (one.said(), one.log());
            for token in [&good, &forged] {
                let (rest, signature) = token.rsplit_once('.').unwrap();
                for part in [signature, rest, &rest[rest.len() - 40..], SECRET] {
                    for text in [&said, &logged] {
                        let line = text.lines().find(|line| line.contains(part));
                        assert!(line.is_none(), "at `{level}`: {line:?}");
                    }
                }
            }
        }
        assert!(level != "trace" || world.said().lines().count() > 3, "the counterpart: it says something");
    }
}

#[test]
fn never_n75_debug_profiling_or_admin_handlers_answer_where_they_should_not() {
    let world = World::plain();
    for target in ["/metrics", "/healthz", "/readyz", "/debug/pprof/", "/config", "/status", "/-/reload"] {
        assert_eq!(world.bare(&format!("GET {target} HTTP/1.1\r\nHost: {HOST}\r\n\r\n")), 401, "{target}");
        let admin = world.admin.clone();
        assert_eq!(
            world.bare(&format!("GET {target} HTTP/1.1\r\nHost: {admin}\r\n\r\n")),
            401,
            "{target} by the admin's name"
        );
    }
    assert_eq!(world.origin.hits(), 0);
    for target in ["/", "/debug/pprof/", "/config", "/-/reload", "/metrics/x", "//metrics", "/../metrics"] {
        assert_eq!(world.admin_get(target, "").status, 404, "{target}");
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"] {
        let text = format!(
            "{method} /metrics HTTP/1.1\r\nHost: {}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            world.admin
        );
        assert_eq!(exchange(&world.admin, text.as_bytes()).status, 405, "{method}");
    }
    assert_eq!(world.admin_get("/metrics", "").status, 200, "the counterpart");
    let everywhere = World::launch_with(Setup::default(), |folder| {
        let file = folder.join("portcullis.toml");
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(file, text.replace("admin = \"127.0.0.1", "admin = \"0.0.0.0")).unwrap();
    });
    assert!(everywhere.is_err(), "a public admin listener without its insecure option");
}

#[test]
fn never_n76_a_credential_of_a_user_works_on_the_admin_listener() {
    let world = World::plain();
    let with = format!("Authorization: Bearer {}\r\nCookie: session={}\r\n", token(), token());
    for target in ["/", "/users", "/config", "/policies", "/explain", "/v1/admin"] {
        assert_eq!(world.admin_get(target, &with).status, world.admin_get(target, "").status, "{target}");
        assert_eq!(world.admin_get(target, &with).status, 404, "{target}");
    }
    assert_eq!(world.admin_get("/healthz", &with).status, 200, "the counterpart: no credential is asked for");
    let metrics = world.admin_get("/metrics", &with).body;
    // The addresses of a listener and of an app's servers come from the configuration.
    let others = metrics.lines().filter(|line| !line.contains("{listener=") && !line.contains(",server=\""));
    assert_eq!(
        others.filter(|line| line.contains("anna") || line.contains("127.0.0.1")).count(),
        0,
        "{metrics}"
    );
}

#[test]
fn never_n77_a_value_of_the_request_breaks_the_format_of_the_log() {
    let world = World::start(Setup { top: TRUSTED.to_owned(), ..Setup::default() });
    let names = ["a\",\"outcome\":\"granted", "{\"x\":1}", "\\", "\u{2028}", "\u{202e}", "a'b", "Zo\u{eb}"];
    for name in names {
        let token = token_with(|claims| {
            claims["sub"] = json!(name);
            claims["deviceid"] = json!(name);
        });
        for target in ["/admin/%22%7B%7D", "/admin/x,y=1", "/admin/a'b", "/admin/%0a", "/admin/%0d%0a{}"] {
            let text = format!(
                "GET {target} HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {token}\r\nUser-Agent: x\",\"y\":\"z\r\nX-Request-Id: 1\\n2\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n"
            );
            let status = world.bare(&text);
            assert!(matches!(status, 400 | 401 | 403), "{name} {target}: {status}");
        }
    }
    for name in ["a\nb", "a\r\n{}", "a\u{0}", "\u{1b}[31m", "a\u{85}b"] {
        assert_eq!(world.with_token(&token_with(|claims| claims["sub"] = json!(name))), 401, "{name:?}");
    }
    // What is repeated often is thinned out, and counted.
    let logged = |world: &World| {
        let sampled = world.metric("portcullis_decision_log_entries_total{result=\"sampled\"}");
        world.log().lines().count() + sampled as usize
    };
    world.wait_for("the decisions", |world| logged(world) >= names.len() * 5 + 5);
    let text = world.log();
    assert_eq!(logged(&world), names.len() * 5 + 5, "one line for each refusal that is not thinned out");
    let mut seen = Vec::new();
    for line in text.lines() {
        let entry: Value = serde_json::from_str(line).unwrap();
        assert_ne!(entry["outcome"], "granted", "{line}");
        assert!(uuid::Uuid::parse_str(entry["requestId"].as_str().unwrap()).is_ok());
        seen.extend(entry["deviceId"].as_str().map(str::to_owned));
    }
    for name in names {
        assert!(seen.iter().any(|device| device == name), "the counterpart: `{name}` is there as it is");
    }
    for line in world.said().lines() {
        assert!(!line.starts_with('{') && !line.contains("\u{1b}[31m"), "{line}");
    }
}

#[test]
fn never_n78_a_page_in_the_operators_browser_drives_the_admin_listener() {
    let world = World::plain();
    for lines in [
        "Host: evil.test\r\n",
        "Host: evil.test:9090\r\n",
        "Host: 127.0.0.1.evil.test\r\n",
        "Host: localhost.evil.test\r\n",
        "Host:\r\n",
        "Origin: https://evil.test\r\n",
        "Origin: null\r\n",
        "Sec-Fetch-Site: cross-site\r\n",
        "Sec-Fetch-Site: same-site\r\n",
    ] {
        for target in ["/metrics", "/healthz"] {
            assert_eq!(world.admin_get(target, lines).status, 403, "{lines:?}");
        }
    }
    let old = exchange(&world.admin, b"GET /healthz HTTP/1.0\r\n\r\n");
    assert_eq!(old.status, 200, "the counterpart: a health check without a host");
    for lines in ["", "Host: localhost:9090\r\n", "Host: [::1]:9090\r\n", "Sec-Fetch-Site: none\r\n"] {
        let answer = world.admin_get("/metrics", lines);
        assert_eq!(answer.status, 200, "the counterpart: {lines:?}");
        assert!(answer.header("access-control-allow-origin").is_none());
    }
}

#[test]
fn never_n79_the_text_of_an_answer_reveals_whether_a_user_exists() {
    let world = World::start(Setup {
        policies: "[[policy]]\nid = \"known\"\nusers = { include = [\"user:anna\"] }\napps = { include = [\"all\"] }\ngrant = \"block\"\n"
            .to_owned(),
        ..Setup::default()
    });
    let forged = |user: &str| {
        let mut claims = claims();
        claims["sub"] = json!(user);
        sign(&STRANGER, keys::HEADER, &claims.to_string())
    };
    let answer = |token: &str| {
        let text = format!(
            "GET / HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {token}\r\nAccept: application/json\r\n\r\n"
        );
        let answer = exchange(&world.plain, text.as_bytes());
        (answer.status, without_ids(&answer.body))
    };
    assert_eq!(answer(&forged("anna")), answer(&forged("nobody")));
    assert_eq!(answer(&forged("anna")).0, 401);
    assert_eq!(answer(&token()).0, 403, "the counterpart: with a real token there is a difference");
}

/// A problem document without what differs from request to request.
pub(crate) fn without_ids(body: &str) -> Value {
    let mut problem: Value = serde_json::from_str(body).unwrap_or_else(|_| panic!("no JSON: {body}"));
    for varying in ["instance", "request_id", "timestamp", "reference", "correlation_id", "support"] {
        problem.as_object_mut().unwrap().remove(varying);
    }
    problem
}
