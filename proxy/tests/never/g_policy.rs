//! G. Policy logic and configuration.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};
use serde_json::json;

use crate::keys::{self, token_with};
use crate::wire::answer;
use crate::world::{HOST, POLICIES, Setup, World, client_config};

#[test]
fn never_n52_a_user_agent_or_header_of_the_client_exempts_from_the_check() {
    let world = World::plain();
    for agent in ["GoogleHC/1.0", "kube-probe/1.30", "ELB-HealthChecker/2.0", "Prometheus/2.50"] {
        for more in ["", "X-Health-Check: 1\r\n", "X-Forwarded-For: 127.0.0.1\r\n"] {
            for target in ["/", "/ping", "/ready", "/healthz", "/robots.txt"] {
                let text =
                    format!("GET {target} HTTP/1.1\r\nHost: {HOST}\r\nUser-Agent: {agent}\r\n{more}\r\n");
                assert_eq!(world.bare(&text), 401, "{agent} {target}");
            }
        }
        assert_eq!(world.get("/admin", &format!("User-Agent: {agent}\r\n")).status, 403);
    }
    for method in ["OPTIONS", "HEAD", "TRACE"] {
        let text = format!(
            "{method} / HTTP/1.1\r\nHost: {HOST}\r\nOrigin: https://x\r\nAccess-Control-Request-Method: GET\r\n\r\n"
        );
        let status = world.all(text.as_bytes());
        assert!(status.starts_with("HTTP/1.1 4"), "{method}: {status}");
    }
    assert_eq!(world.origin.hits(), 0);
    assert_eq!(world.get("/", "User-Agent: kube-probe/1.30\r\n").status, 200, "the counterpart has a token");
}

#[test]
fn never_n53_a_missing_file_or_option_opens_the_door() {
    assert!(World::launch(Setup::default()).is_ok(), "the counterpart with everything in place");
    let without = |name: &'static str| {
        World::launch_with(Setup::default(), move |folder| fs::remove_file(folder.join(name)).unwrap())
    };
    for name in ["chain.pem", "key.pem", "keys.json", "policies.toml", "portcullis.toml"] {
        assert!(without(name).is_err(), "it started without {name}");
    }
    for name in ["chain.pem", "key.pem"] {
        let garbled = World::launch_with(Setup::default(), move |folder| {
            fs::write(folder.join(name), "-----BEGIN NOTHING-----\n").unwrap();
        });
        assert!(garbled.is_err(), "it started with a garbled {name}");
    }
    // Another certificate's key.
    let other =
        rcgen::generate_simple_self_signed(vec![HOST.to_owned()]).unwrap().signing_key.serialize_pem();
    let mismatched = World::launch_with(Setup::default(), |folder| {
        fs::write(folder.join("key.pem"), &other).unwrap();
    });
    assert!(mismatched.is_err(), "it started with a key of another certificate");
    for top in [
        "[geo]\ndatabase = \"missing.mmdb\"\n",
        "[geo]\ndatabase = \"keys.json\"\n",
        "[trusted-proxies]\nnetwork = [\"10.0.0.0/8\"]\n",
        "[insecure]\nanything = true\n",
        "[[policy]]\nid = \"typo\"\nuser = { include = [\"all\"] }\napps = { include = [\"all\"] }\ngrant = \"block\"\n",
    ] {
        let started = World::launch(Setup { top: top.to_owned(), ..Setup::default() });
        assert!(started.is_err(), "it started with {top}");
    }
    for keys in ["{ }", "{ file = \"\" }", "{ url = \"http://192.0.2.1/\" }", "{ url = \"\" }"] {
        let started = World::launch(Setup { keys: keys.to_owned(), ..Setup::default() });
        assert!(started.is_err(), "it started with keys = {keys}");
    }
}

#[test]
fn never_n54_evaluation_stops_at_the_first_match() {
    let satisfied = "[[policy]]\nid = \"a-mfa\"\nusers = { include = [\"all\"] }\napps = { include = [\"all\"] }\ngrant = { controls = [\"mfa\"] }\n";
    let block = "[[policy]]\nid = \"b-block\"\nusers = { include = [\"user:anna\"] }\napps = { include = [\"all\"] }\ngrant = \"block\"\n";
    let many: String = (0..40).map(|number| satisfied.replace("a-mfa", &format!("a-{number}"))).collect();
    for policies in [format!("{satisfied}{block}"), format!("{block}{satisfied}"), format!("{many}{block}")] {
        let world = World::start(Setup { policies, ..Setup::default() });
        assert_eq!(world.with_token(&keys::token()), 403);
        assert_eq!(world.origin.hits(), 0);
        let bob = token_with(|claims| claims["sub"] = json!("bob"));
        assert_eq!(world.with_token(&bob), 200, "the counterpart");
    }
}

#[test]
fn never_n55_a_condition_that_cannot_be_evaluated_spares_from_a_block() {
    let world = World::start(Setup {
        policies: r#"
[[policy]]
id = "no-strangers"
users = { include = ["all"] }
apps = { include = ["all"] }
grant = "block"
conditions = { claims = 'user.email -notEndsWith "@corp.example"' }
"#
        .to_owned(),
        ..Setup::default()
    });
    let with =
        |email: serde_json::Value| world.with_token(&token_with(|claims| claims["email"] = email.clone()));
    for odd in [
        json!(42),
        json!(true),
        json!(null),
        json!([]),
        json!(["anna@evil.example"]),
        json!({ "value": "anna@corp.example" }),
        json!([["anna@corp.example"]]),
        json!(""),
        json!("x".repeat(8000)),
    ] {
        let status = with(odd.clone());
        assert!(matches!(status, 401 | 403), "{odd}: {status}");
    }
    let missing = token_with(|claims| {
        claims.as_object_mut().unwrap().remove("email");
    });
    assert_eq!(world.with_token(&missing), 403);
    assert_eq!(world.origin.hits(), 0);
    assert_eq!(with(json!("anna@corp.example")), 200, "the counterpart");
}

/// `portcullis check` on these policies: whether it ended by itself with a plain yes or no.
fn checked(policies: &str) -> (Option<i32>, String) {
    let world = World::launch(Setup::default()).unwrap();
    fs::write(world.file("policies.toml"), policies).unwrap();
    let done = Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .args(["check", "--config"])
        .arg(world.file("portcullis.toml"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(world.runs());
    (done.status.code(), String::from_utf8_lossy(&done.stderr).into_owned())
}

#[test]
fn never_n56_an_odd_policy_ends_the_reload_or_the_process() {
    let policy = |lines: &str| {
        format!(
            "[[policy]]\nid = \"odd\"\nusers = {{ include = [\"all\"] }}\napps = {{ include = [\"all\"] }}\ngrant = \"block\"\n{lines}\n"
        )
    };
    let rule = |rule: &str| policy(&format!("conditions = {{ claims = '''{rule}''' }}"));
    let odd = [
        policy("conditions = {}"),
        policy("conditions = { request = { paths = [\"/**\"] } }"),
        policy("conditions = { request = { paths = [\"/../x\"] } }"),
        policy("conditions = { request = { paths = [] } }"),
        policy("conditions = { locations = { include = [\"all\"], exclude = [\"all\"] } }"),
        policy("conditions = { locations = { include = [\"gone\"] } }"),
        policy("conditions = { time = { zone = \"Mars/Base\", windows = [\"mon 08:00-09:00\"] } }"),
        policy("conditions = { time = { zone = \"UTC\", windows = [\"mon-sun 00:00-24:00\"] } }"),
        policy("conditions = { time = { zone = \"UTC\", from = 9999-12-31, until = 0001-01-01 } }"),
        policy("conditions = { platforms = { include = [] } }"),
        policy("state = \"\""),
        policy("session = { sign-in-frequency = \"0s\" }"),
        policy("session = { sign-in-frequency = \"99999999999999999999h\" }"),
        rule(&"(".repeat(4000)),
        rule(&format!("{}user.email -eq \"x\"{}", "(".repeat(900), ")".repeat(900))),
        rule(&format!("{}user.email -eq \"x\"", "-not ".repeat(500))),
        rule(&"user.email -eq \"x\" -or ".repeat(2000)),
        rule("user.email -in []"),
        rule("user.email -eq"),
        rule("\"\u{0}\" -eq null"),
        rule("user.email -match \"(a+)+$\""),
        "[[policy]]\nid = \"odd\"\n".to_owned(),
        "policy = 1".to_owned(),
        "\u{feff}".to_owned(),
        String::new(),
        format!("{}{}", policy(""), policy("")),
        "[[policy]]".repeat(5000),
    ];
    for text in &odd {
        let (code, said) = checked(text);
        assert!(matches!(code, Some(0 | 1)), "{code:?} for {text:.200}: {said:.400}");
        assert!(!said.contains("panicked"), "{text:.200}: {said:.400}");
    }
    // A reload meets the worst of them, one after the other, and the former rules go on.
    let world = World::plain();
    let failures = "portcullis_configuration_reloads_total{result=\"failure\"}";
    for text in [&odd[13], &odd[5], &odd[25]] {
        let before = world.metric(failures);
        fs::write(world.file("policies.toml"), text).unwrap();
        world.wait_for("the reload to be refused", |world| world.metric(failures) > before);
        assert!(world.runs());
        assert_eq!(world.get("/admin", "").status, 403, "the former rules");
        assert_eq!(world.get("/", "").status, 200, "the counterpart");
    }
    fs::write(world.file("policies.toml"), format!("{POLICIES}{}", policy("state = \"report-only\"")))
        .unwrap();
    world.wait_for("a good edit", |world| world.metric("portcullis_configuration_generation") > 1.5);
    assert_eq!(world.get("/admin", "").status, 403);
}

/// Hands bytes on one at a time, as a network may.
struct Dribble(TcpStream);

impl Write for Dribble {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.write(&bytes[..bytes.len().min(1)])
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

impl Read for Dribble {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(bytes)
    }
}

#[test]
fn never_n57_the_name_of_the_handshake_chooses_the_rules() {
    let world = World::start(Setup {
        top: "[[app]]\nid = \"open\"\nhosts = [\"other.test\"]\nupstreams = [\"http://127.0.0.1:9\"]\nunmatched = \"allow\"\n"
            .to_owned(),
        ..Setup::default()
    });
    for name in [HOST, "other.test"] {
        assert_eq!(world.over_tls(name, &World::head("GET", "/admin", "")).status, 403, "{name}");
    }
    assert_eq!(world.origin.hits(), 0);
    assert_eq!(world.over_tls("other.test", &World::head("GET", "/", "")).status, 200, "the counterpart");
    // A ClientHello in many pieces does not avoid it either.
    for (target, expected) in [("/admin", 403), ("/", 200)] {
        let socket = TcpStream::connect(&world.tls).unwrap();
        socket.set_nodelay(true).unwrap();
        let name = ServerName::try_from(HOST).unwrap();
        let client = ClientConnection::new(Arc::new(client_config()), name).unwrap();
        let mut stream = StreamOwned::new(client, Dribble(socket));
        stream.write_all(&World::head("GET", target, "")).unwrap();
        assert_eq!(answer(&mut stream, false).status, expected, "{target}");
    }
}
