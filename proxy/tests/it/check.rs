//! `portcullis check` opens what `run` opens, and with `--online` asks whom `run` asks.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::keys;

/// A configuration in a folder of its own, which `check` finds nothing in.
struct Setup {
    folder: tempfile::TempDir,
}

const MAIN: &str = r#"policies = ["policies/*.toml"]

[server]
listeners = [{ address = "127.0.0.1:8443", tls = { certificate = "chain.pem", key = "key.pem" } }]
pid-file = "run/pid"
upgrade-socket = "run/up.sock"
decision-log = { file = "run/decisions.ndjson" }

[[issuer]]
name = "main"
issuer = "https://id.test/tenant"
audiences = ["api://wiki"]
keys = { file = "keys.json" }

[[app]]
id = "wiki"
hosts = ["wiki.test"]
upstreams = ["http://127.0.0.1:9"]

[geo]
database = "country.mmdb"
"#;

const POLICY: &str = r#"[[policy]]
id = "mfa"
users = { include = ["all"] }
apps = { include = ["all"] }
grant = { controls = ["mfa"] }
"#;

fn certificate(names: &[&str], until: Option<i32>) -> (String, String) {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = rcgen::CertificateParams::new(names).unwrap();
    params.not_after = rcgen::date_time_ymd(until.unwrap_or(2090), 1, 1);
    let key = rcgen::KeyPair::generate().unwrap();
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

impl Setup {
    fn new() -> Self {
        let setup = Self { folder: tempfile::tempdir().unwrap() };
        for folder in ["policies", "run"] {
            fs::create_dir(setup.file(folder)).unwrap();
        }
        let (certificate, key) = certificate(&["wiki.test"], None);
        setup.put("portcullis.toml", MAIN);
        setup.put("policies/mfa.toml", POLICY);
        setup.put("chain.pem", &certificate);
        setup.put("key.pem", &key);
        setup.put("keys.json", &keys::jwks());
        let database = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/GeoIP2-Country-Test.mmdb");
        fs::copy(database, setup.file("country.mmdb")).unwrap();
        for path in
            ["policies", "run", ".", "policies/mfa.toml", "portcullis.toml", "chain.pem", "country.mmdb"]
        {
            setup.mode(path, if setup.file(path).is_dir() { 0o755 } else { 0o644 });
        }
        setup.mode("keys.json", 0o644);
        setup.mode("key.pem", 0o640);
        setup
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn put(&self, name: &str, text: &str) {
        fs::write(self.file(name), text).unwrap();
    }

    fn change(&self, from: &str, to: &str) {
        let text = fs::read_to_string(self.file("portcullis.toml")).unwrap();
        assert!(text.contains(from), "{from}");
        self.put("portcullis.toml", &text.replace(from, to));
    }

    fn stretch(&self, name: &str) {
        fs::OpenOptions::new().write(true).open(self.file(name)).unwrap().set_len(1 << 34).unwrap();
    }

    fn mode(&self, name: &str, mode: u32) {
        fs::set_permissions(self.file(name), fs::Permissions::from_mode(mode)).unwrap();
    }

    fn check(&self, more: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_portcullis"))
            .args(["check", "--config"])
            .arg(self.file("portcullis.toml"))
            .args(more)
            .output()
            .unwrap()
    }

    /// Whether it is fit, and every code with its words.
    fn diagnostics(&self, more: &[&str]) -> (bool, Vec<(String, String)>) {
        let done = self.check(&[&["--format", "json"], more].concat());
        let diagnostics: Value = serde_json::from_slice(&done.stdout).unwrap();
        let text = |one: &Value, key: &str| one[key].as_str().unwrap_or_default().to_owned();
        let one = |one: &Value| {
            (text(one, "code"), format!("{}; {}; {}", text(one, "what"), text(one, "why"), text(one, "help")))
        };
        (done.status.success(), diagnostics.as_array().unwrap().iter().map(one).collect())
    }
}

#[test]
fn a_link_of_the_denial_that_leads_behind_the_rule_it_is_the_way_out_of_is_warned_of() {
    let setup = Setup::new();
    let enrol = r#"
[denial]
remediation-url = "https://enrol.test/start"
contact-url = "https://help.elsewhere.test/"

[[app]]
id = "enrol"
hosts = ["enrol.test"]
upstreams = ["http://127.0.0.1:9"]
"#;
    let said = |setup: &Setup| String::from_utf8(setup.check(&[]).stderr).unwrap();
    setup.put("portcullis.toml", &format!("{MAIN}{enrol}"));
    let compliant = |apps: &str| {
        format!(
            "{POLICY}\n[[policy]]\nid = \"compliant\"\nusers = {{ include = [\"all\"] }}\napps = {apps}\n\
             grant = {{ controls = [\"compliant-device\"] }}\n"
        )
    };
    setup.put("policies/mfa.toml", &compliant("{ include = [\"all\"] }"));
    let shown = said(&setup);
    assert!(
        shown.contains("warning[denial/way-out]: `remediation-url` leads to an app that refuses"),
        "{shown}"
    );
    assert!(
        shown.contains("remediation-url = \"https://enrol.test/start\"") && shown.contains("for example: "),
        "{shown}"
    );
    assert!(!shown.contains("`contact-url` leads"), "an address elsewhere is fine: {shown}");
    // The way out is spared by the rule.
    let spared = compliant("{ include = [\"all\"], exclude = [\"enrol\"] }");
    setup.put("policies/mfa.toml", &spared);
    let shown = said(&setup);
    assert!(!shown.contains("denial/way-out"), "{shown}");
    let text = fs::read_to_string(setup.file("portcullis.toml")).unwrap();
    let circle =
        text.replacen("id = \"wiki\"\n", "id = \"wiki\"\nsign-in-url = \"https://enrol.test/sign-in\"\n", 1);
    setup.put("portcullis.toml", &circle);
    let shown = said(&setup);
    assert!(shown.contains("`sign-in-url` of app `wiki` leads to an app behind this proxy"), "{shown}");
}

#[test]
fn check_says_before_the_start_what_would_stop_it_or_what_clients_would_refuse() {
    let whole = Setup::new();
    assert_eq!(whole.diagnostics(&[]), (true, Vec::new()));
    let text = String::from_utf8(whole.check(&[]).stdout).unwrap();
    assert!(text.trim_end().ends_with("configuration is valid"), "{text}");

    type Tamper = fn(&Setup);
    let cases: [(&str, bool, &str, Tamper); 21] = [
        ("tls/pair", false, "is not the key of the certificate", |setup| {
            setup.put("key.pem", &certificate(&["wiki.test"], None).1);
        }),
        ("tls/pair", false, "are of no use for TLS", |setup| setup.put("chain.pem", "nothing")),
        ("tls/host", true, "is for `shop.test`, and for no host of an app", |setup| {
            let (certificate, key) = certificate(&["shop.test"], None);
            setup.put("chain.pem", &certificate);
            setup.put("key.pem", &key);
        }),
        ("tls/host", true, "` is for `b.wiki.test`, `shop.test`", |setup| {
            setup.change("[\"wiki.test\"]", "[\"wiki.test\", \"b.wiki.test\", \"shop.test\"]");
        }),
        ("tls/unused-name", true, "is for `printer.test`, which is no host of an app", |setup| {
            let (certificate, key) = certificate(&["wiki.test", "printer.test"], None);
            setup.put("chain.pem", &certificate);
            setup.put("key.pem", &key);
        }),
        ("tls/expired", true, "the certificate ended at 200", |setup| {
            let (certificate, key) = certificate(&["wiki.test"], Some(2001));
            setup.put("chain.pem", &certificate);
            setup.put("key.pem", &key);
        }),
        ("issuer/keys", false, "`main` in `", |setup| setup.put("keys.json", "")),
        (
            "issuer/keys",
            false,
            "no usable key; the first is secret: publish no `d` and no `k`, and no key of `kty` `oct`; without keys",
            |setup| {
                setup.put("keys.json", r#"{"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}"#);
            },
        ),
        // Of holes alone: to read it took all memory.
        ("tls/pair", false, "it is larger than 1048576 bytes", |setup| setup.stretch("chain.pem")),
        ("geo/unreadable", false, "country.mmdb`: it is larger than", |setup| setup.stretch("country.mmdb")),
        ("geo/unreadable", false, "not a readable MMDB file", |setup| setup.put("country.mmdb", "text")),
        ("geo/unreadable", false, "there is no country database", |setup| {
            fs::remove_file(setup.file("country.mmdb")).unwrap();
        }),
        (
            "geo/unreadable",
            false,
            "of type `GeoIP2-Country`, in which no address has a country at `city.name`",
            |setup| {
                setup.change("database = ", "country-path = \"city.name\"\ndatabase = ");
            },
        ),
        ("run/impossible", false, "`pid-file` cannot be made in", |setup| {
            setup.change("run/pid", "missing/pid");
        }),
        ("run/impossible", false, "`upgrade-socket` cannot be made in", |setup| {
            setup.change("run/up.sock", "missing/up.sock");
        }),
        ("run/impossible", false, "the decision log cannot be opened", |setup| {
            setup.change("run/decisions.ndjson", "key.pem/decisions.ndjson");
        }),
        ("run/impossible", false, "the decision log cannot be opened", |setup| {
            fs::create_dir(setup.file("run/decisions.ndjson")).unwrap()
        }),
        ("run/impossible", false, "the decision log cannot be opened", |setup| {
            let missing = setup.file("log.sock");
            setup.change("file = \"run/decisions.ndjson\"", &format!("syslog = \"{}\"", missing.display()));
        }),
        ("file/readable", true, "chmod 0640", |setup| setup.mode("key.pem", 0o644)),
        ("file/writable", true, "has the mode 0666", |setup| setup.mode("policies/mfa.toml", 0o666)),
        ("folder/writable", true, "has the mode 0777", |setup| setup.mode("policies", 0o777)),
    ];
    for (code, fit, wanted, tamper) in cases {
        let setup = Setup::new();
        tamper(&setup);
        setup.mode("key.pem", if code == "file/readable" { 0o644 } else { 0o640 });
        let (success, diagnostics) = setup.diagnostics(&[]);
        assert_eq!(success, fit, "{code}: {diagnostics:?}");
        let [(found, words)] = diagnostics.as_slice() else {
            unreachable!("{code} alone was wanted: {diagnostics:#?}");
        };
        assert!(found == code && words.contains(wanted), "{code}: {wanted}: {diagnostics:#?}");
        if !fit {
            let out = setup.check(&[]);
            assert!(!String::from_utf8_lossy(&out.stdout).contains("configuration is valid"));
        }
    }
}

/// Answers each path with a body and a date, until the test ends.
fn server(
    pages: impl Fn(&str) -> Option<String> + Send + 'static,
    date: &'static str,
) -> (String, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    serve(listener.try_clone().unwrap(), pages, date);
    (address, listener)
}

fn serve(listener: TcpListener, pages: impl Fn(&str) -> Option<String> + Send + 'static, date: &'static str) {
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read == 1) {
                head.extend_from_slice(&byte);
            }
            let path = String::from_utf8_lossy(&head).split(' ').nth(1).unwrap_or_default().to_owned();
            let (status, body) = pages(&path).map_or((404, String::new()), |body| (200, body));
            let answer = format!(
                "HTTP/1.1 {status} x\r\nDate: {date}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            );
            let _ = stream.write_all(answer.as_bytes());
        }
    });
}

/// What browsers sign in with, beside [`MAIN`].
const SIGN_IN: &str = r#"
[evidence]
mfa-acrs = ["gold"]

[[provider]]
name = "main"
issuer = "main"
client-id = "portcullis"
public-client = true

[session]
keys = ["session.key"]
journal = "run/journal"

[sign-in]
host = "auth.test"
"#;

impl Setup {
    /// With sign-in for the app, which `check` finds nothing in either.
    fn signing_in() -> Self {
        let setup = Self::new();
        setup.put("portcullis.toml", &format!("{MAIN}{SIGN_IN}"));
        setup.change("hosts = [\"wiki.test\"]", "hosts = [\"wiki.test\", \"w.test\"]\nsign-in = \"main\"");
        let (certificate, key) = certificate(&["*.test"], None);
        setup.put("chain.pem", &certificate);
        setup.put("key.pem", &key);
        let mut random = [0; 32];
        aws_lc_rs::rand::fill(&mut random).unwrap();
        fs::write(setup.file("session.key"), random).unwrap();
        setup.mode("session.key", 0o640);
        setup
    }

    fn printed(&self) -> String {
        let done = self.check(&[]);
        let text = String::from_utf8(done.stdout).unwrap();
        assert!(done.status.success(), "{text}\n{}", String::from_utf8_lossy(&done.stderr));
        text
    }
}

#[test]
fn check_prints_what_to_register_at_each_provider() {
    let setup = Setup::signing_in();
    let said = setup.printed();
    let (addresses, _) = said.rsplit_once("\n/").unwrap_or((&said, ""));
    let lines = |base: &str| {
        format!(
            "provider `main`: register client `portcullis` with\n\
             \x20 redirect URI               {base}callback/main\n\
             \x20 post-logout redirect URI   {base}signed-out\n\
             \x20 back-channel logout URI    {base}logout/backchannel\n\
             \x20 front-channel logout URI   {base}logout/frontchannel"
        )
    };
    assert_eq!(addresses, lines("https://auth.test:8443/.portcullis/"), "{said}");

    // The port that clients see, and each host of the app where there is no host for all.
    setup.change("127.0.0.1:8443\", ", "127.0.0.1:8443\", public-port = 443, ");
    setup.change("[sign-in]\nhost = \"auth.test\"\n", "");
    let said = setup.printed();
    for host in ["wiki.test", "w.test"] {
        assert!(
            said.contains(&format!("redirect URI               https://{host}/.portcullis/callback/main\n")),
            "{said}"
        );
    }
    assert_eq!(said.matches("/logout/backchannel").count(), 1, "{said}");
}

#[test]
fn check_says_which_certificate_and_which_file_signing_in_lacks() {
    let setup = Setup::signing_in();
    assert_eq!(setup.diagnostics(&[]), (true, Vec::new()));
    let (certificate, key) = certificate(&["wiki.test", "w.test"], None);
    setup.put("chain.pem", &certificate);
    setup.put("key.pem", &key);
    setup.mode("session.key", 0o644);
    fs::create_dir(setup.file("run/journal")).unwrap();
    let (success, found) = setup.diagnostics(&[]);
    assert!(!success);
    let words = |code: &str| found.iter().find(|(one, _)| one == code).map(|(_, words)| words.as_str());
    assert!(words("tls/host").is_some_and(|words| words.contains("auth.test")), "{found:#?}");
    assert!(words("file/readable").is_some_and(|words| words.contains("session.key")), "{found:#?}");
    assert!(
        words("run/impossible").is_some_and(|words| words.contains("journal of sign-outs")),
        "{found:#?}"
    );
}

#[test]
fn check_online_asks_issuers_and_upstreams_and_offline_asks_nobody() {
    const DISCOVERY: &str = "/.well-known/openid-configuration";
    let slashed = r#"{"issuer": "https://id.test/tenant/", "jwks_uri": "https://id.test/keys"}"#;
    let (address, _listener) =
        server(move |path| (path == DISCOVERY).then(|| slashed.to_owned()), "Tue, 15 Nov 1994 08:12:31 GMT");
    let setup = Setup::new();
    let discovery = format!("discovery = \"http://{address}{DISCOVERY}\"");
    setup.change("file = \"keys.json\"", &discovery);
    let closed = crate::free::free_address();
    setup.change("http://127.0.0.1:9", &format!("http://{closed}\", \"http://{address}"));

    assert_eq!(setup.diagnostics(&[]), (true, Vec::new()), "offline");
    let (success, diagnostics) = setup.diagnostics(&["--online"]);
    // The issuer is an error; the upstream has another beside it that lives.
    assert!(!success);
    let words = |code: &str| {
        diagnostics
            .iter()
            .find(|(found, _)| found == code)
            .map(|(_, words)| words.as_str())
            .unwrap_or_default()
    };
    assert!(words("online/issuer").contains("differ only in the slash at the end"), "{diagnostics:#?}");
    assert!(words("online/clock").contains("behind this machine's"), "{diagnostics:#?}");
    assert!(words("online/upstream").contains(&format!("`http://{closed}`")), "{diagnostics:#?}");
    let found: Value =
        serde_json::from_slice(&setup.check(&["--online", "--format", "json"]).stdout).unwrap();
    let found = found.as_array().unwrap().iter().find(|one| one["code"] == "online/upstream").unwrap();
    let text = fs::read_to_string(found["file"].as_str().unwrap()).unwrap();
    let line = text.lines().nth(found["line"].as_u64().unwrap() as usize - 1).unwrap();
    let column = found["column"].as_u64().unwrap() as usize - 1;
    assert!(line[column..].starts_with(&format!("http://{closed}\"")), "it points there: {found:#}");
    assert_eq!(found["severity"], "warning", "{found:#}");
    let why = "other servers get the requests for `wiki`: should they fail, too, it is 502";
    assert_eq!(found["why"], why, "{found:#}");
    assert_eq!(diagnostics.len(), 3, "{diagnostics:#?}");

    // Keys that come from a URL, a clock of now, and an upstream that listens.
    let (address, _listener) = server(|path| (path == "/keys").then(keys::jwks), "");
    let setup = Setup::new();
    setup.change("file = \"keys.json\"", &format!("url = \"http://{address}/keys\""));
    setup.change("http://127.0.0.1:9", &format!("http://{address}"));
    let done = setup.check(&["--online"]);
    let text = String::from_utf8(done.stdout).unwrap();
    assert!(done.status.success(), "{text}\n{}", String::from_utf8_lossy(&done.stderr));
    assert!(
        text.contains("issuer `main`: 2 keys, in ")
            && text.contains(&format!("`http://{address}`: connected, in ")),
        "{text}"
    );

    // Where none is reached, users see it.
    let (address, _listener) = server(|path| (path == "/keys").then(keys::jwks), "");
    let setup = Setup::new();
    setup.change("file = \"keys.json\"", &format!("url = \"http://{address}/keys\""));
    let other = crate::free::free_address();
    setup.change("http://127.0.0.1:9", &format!("http://{closed}\", \"http://{other}"));
    let found = setup.check(&["--online", "--format", "json"]);
    assert!(!found.status.success());
    let found: Value = serde_json::from_slice(&found.stdout).unwrap();
    let found = found.as_array().unwrap().iter().find(|one| one["code"] == "online/upstream").unwrap();
    assert_eq!(found["severity"], "error", "{found:#}");
    assert!(found["why"].as_str().unwrap().contains("502"), "{found:#}");
    assert_eq!(found["why"], "requests for `wiki` would be answered with 502", "{found:#}");
    let words = found["what"].as_str().unwrap();
    assert!(words.ends_with("refused: Connection refused (os error 111)"), "{words}");

    // Apps that share it are told apart: one has another server, the other none.
    let setup = Setup::new();
    setup.change("file = \"keys.json\"", &format!("url = \"http://{address}/keys\""));
    setup.change("http://127.0.0.1:9", &format!("http://{closed}\", \"http://{address}"));
    let only = format!(
        "[[app]]\nid = \"dead\"\nhosts = [\"dead.test\"]\nupstreams = [\"http://{closed}\"]\nunmatched = \"allow\"\n\n[[app]]"
    );
    setup.change("[[app]]", &only);
    let found = setup.check(&["--online", "--format", "json"]);
    let found: Value = serde_json::from_slice(&found.stdout).unwrap();
    let found = found.as_array().unwrap().iter().find(|one| one["code"] == "online/upstream").unwrap();
    assert_eq!(found["severity"], "error", "{found:#}");
    let why = "requests for `dead` would be answered with 502; other servers get the requests for `wiki`: should they fail, too, it is 502";
    assert_eq!(found["why"], why, "{found:#}");

    // A certificate that nobody has signed.
    let setup = Setup::new();
    setup.change("http://127.0.0.1:9", &format!("https://localhost:{}", closed.port()));
    let (_, diagnostics) = setup.diagnostics(&["--online"]);
    assert!(
        diagnostics
            .iter()
            .any(|(code, words)| code == "online/upstream" && words.contains("https://localhost")),
        "{diagnostics:#?}"
    );
}

/// The metadata of a provider, with these members in place of the usual ones.
fn metadata(address: std::net::SocketAddr, changed: &Value) -> String {
    let mut document = serde_json::json!({
        "issuer": "https://id.test/tenant",
        "jwks_uri": format!("http://{address}/keys"),
        "authorization_endpoint": "https://id.test/authorize",
        "token_endpoint": "https://id.test/token",
        "end_session_endpoint": "https://id.test/logout",
        "response_types_supported": ["code", "id_token"],
        "code_challenge_methods_supported": ["S256"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "token_endpoint_auth_methods_supported": ["none", "client_secret_basic"],
        "scopes_supported": ["openid", "profile", "email"],
        "pushed_authorization_request_endpoint": "https://id.test/par",
        "authorization_response_iss_parameter_supported": true,
        "backchannel_logout_supported": true,
        "backchannel_logout_session_supported": true,
    });
    for (name, value) in changed.as_object().unwrap() {
        document[name] = value.clone();
    }
    document.to_string()
}

#[test]
fn check_online_holds_a_providers_metadata_against_the_configuration() {
    const DISCOVERY: &str = "/.well-known/openid-configuration";
    let serving = |changed: Value| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let answer = move |path: &str| match path {
            "/keys" => Some(keys::jwks()),
            DISCOVERY => Some(metadata(address, &changed)),
            _ => None,
        };
        serve(listener, answer, "");
        let setup = Setup::signing_in();
        setup.change("file = \"keys.json\"", &format!("discovery = \"http://{address}{DISCOVERY}\""));
        setup.change("http://127.0.0.1:9", &format!("http://{address}"));
        setup
    };
    let setup = serving(serde_json::json!({}));
    let done = setup.check(&["--online"]);
    let text = String::from_utf8(done.stdout).unwrap();
    assert!(done.status.success(), "{text}\n{}", String::from_utf8_lossy(&done.stderr));
    let line = "provider `main`: PKCE with S256, takes pushed authorization, names itself in answers, back-channel logout of \
                one session, no front-channel logout\n";
    assert!(text.contains(line), "{text}");

    for (changed, is_fit, said) in [
        (serde_json::json!({"token_endpoint": null}), false, "states no `token_endpoint`"),
        (
            serde_json::json!({"authorization_endpoint": "http://id.test/a"}),
            false,
            "states a `authorization_endpoint` that is not https",
        ),
        (
            serde_json::json!({"response_types_supported": ["id_token"]}),
            false,
            "does not state `code` in `response_types_supported`",
        ),
        (serde_json::json!({"response_modes_supported": ["form_post"]}), false, "does not state `query`"),
        (serde_json::json!({"code_challenge_methods_supported": ["plain"]}), false, "does not state `S256`"),
        (
            serde_json::json!({"token_endpoint_auth_methods_supported": ["private_key_jwt"]}),
            true,
            "does not take `none` from clients",
        ),
        (
            serde_json::json!({"id_token_signing_alg_values_supported": ["HS256"]}),
            false,
            "signs ID tokens with none of RS256, ES256",
        ),
        (
            serde_json::json!({"scopes_supported": ["openid", "profile"]}),
            true,
            "does not state the scope `email`",
        ),
        (serde_json::json!({"end_session_endpoint": null}), true, "states no `end_session_endpoint`"),
    ] {
        let (success, found) = serving(changed.clone()).diagnostics(&["--online"]);
        let words: Vec<_> = found.iter().filter(|(code, _)| code == "online/provider").collect();
        assert!(words.len() == 1 && words[0].1.contains(said), "{changed}: {found:#?}");
        assert_eq!((success, found.len()), (is_fit, 1), "{changed}: {found:#?}");
    }

    // What the settings demand, and the provider has not.
    let setup = serving(
        serde_json::json!({"pushed_authorization_request_endpoint": null, "token_endpoint_auth_methods_supported": ["private_key_jwt"]}),
    );
    setup.put("client.secret", &uuid::Uuid::now_v7().to_string());
    setup.mode("client.secret", 0o640);
    setup.change(
        "public-client = true",
        "client-secret = { file = \"client.secret\" }\nuserinfo = true\npushed-authorization = \"required\"",
    );
    let (_, found) = setup.diagnostics(&["--online"]);
    for said in [
        "no `userinfo_endpoint`",
        "no `pushed_authorization_request_endpoint`",
        "does not take `client_secret_basic`",
    ] {
        assert!(found.iter().any(|(_, words)| words.contains(said)), "{said}: {found:#?}");
    }
}

#[test]
fn check_says_whether_the_session_store_could_be_used() {
    // A file that is no journal.
    let setup = Setup::signing_in();
    setup.put("run/journal", "something else");
    let done = setup.check(&[]);
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(!done.status.success() && said.contains("error[session/store-unreadable]"), "{said}");

    // A server that is not there; nobody is asked without `--online`.
    let setup = Setup::signing_in();
    let closed = crate::free::free_address();
    setup.change("journal = \"run/journal\"", &format!("store = {{ redis = \"redis://{closed}\" }}"));
    setup.change("upstreams = [\"http://127.0.0.1:9\"]", &format!("upstreams = [\"http://{closed}\"]"));
    assert_eq!(setup.diagnostics(&[]), (true, Vec::new()));
    let (success, found) = setup.diagnostics(&["--online"]);
    let of_store = found.iter().find(|(code, _)| code == "online/session-store");
    assert!(!success && of_store.is_some_and(|(_, words)| words.contains("unreachable")), "{found:#?}");
}
