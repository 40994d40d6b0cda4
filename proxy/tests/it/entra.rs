//! The guide to Entra ID, step by step, with the blocks of the guide and tokens of the shape that it shows.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::binary::{run, wait_until_ready};
use crate::free::free_address;
use crate::keys;
use crate::origin::Origin;
use crate::wire::{Answer, exchange};

const TENANT: &str = "11111111-2222-3333-4444-555555555555";
const CLIENT: &str = "22222222-3333-4444-5555-666666666666";
const HOST: &str = "wiki.example.com";

/// The fenced blocks of one language, each with the line before it; the reader's own ids filled in.
fn blocks(language: &str) -> Vec<(String, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/entra-id.md");
    let text = fs::read_to_string(path).unwrap().replace("TENANT_ID", TENANT).replace("CLIENT_ID", CLIENT);
    let (mut found, mut title, mut open) = (Vec::new(), String::new(), None::<(String, String)>);
    for line in text.lines() {
        let fence = line.trim_start().strip_prefix("```");
        match (&mut open, fence) {
            (None, Some(language)) => open = Some((language.to_owned(), String::new())),
            (None, None) if !line.trim().is_empty() => title = line.trim_matches(['`', ':', ' ']).to_owned(),
            (None, None) => {}
            (Some((_, body)), None) => {
                body.push_str(line);
                body.push('\n');
            }
            (Some((kind, body)), Some(_)) => {
                if kind == language {
                    found.push((title.clone(), std::mem::take(body)));
                }
                open = None;
            }
        }
    }
    assert!(!found.is_empty(), "no `{language}` in the guide");
    found
}

/// The files of the guide in a folder; a test on one machine has other ports, keys and apps.
fn write(folder: &Path, replace: &[(&str, String)]) -> PathBuf {
    fs::create_dir_all(folder.join("policies")).unwrap();
    for (name, body) in blocks("toml") {
        let body = if name == "portcullis.toml" {
            replace.iter().fold(body, |body, (from, to)| {
                assert_eq!(body.matches(from).count(), 1, "`{from}` in the guide");
                body.replace(from, to)
            })
        } else {
            body
        };
        fs::write(folder.join(name), body).unwrap();
    }
    folder.join("portcullis.toml")
}

/// The proxy with the guide's configuration.
struct Guided {
    child: Child,
    address: String,
    origin: Origin,
    #[expect(dead_code, reason = "removed when the test ends")]
    folder: tempfile::TempDir,
}

impl Guided {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("keys.json"), keys::jwks()).unwrap();
        let origin = Origin::start();
        let discovery = format!(
            "{{ discovery = \"https://login.microsoftonline.com/{TENANT}/v2.0/.well-known/openid-configuration\" }}"
        );
        let [address, admin] = [(); 2].map(|()| free_address().to_string());
        write(
            folder.path(),
            &[
                ("127.0.0.1:8080", address.clone()),
                ("127.0.0.1:9090", admin.clone()),
                ("http://127.0.0.1:3000", format!("http://{}", origin.address)),
                // The test's own keys are of elliptic curves, which Entra's are not.
                (&discovery, "{ file = \"keys.json\" }\nalgorithms = [\"ES256\"]".to_owned()),
                ("[server]\n", "[server]\npid-file = \"pid\"\nupgrade-socket = \"up.sock\"\n".to_owned()),
            ],
        );
        let mut child = run(folder.path(), &[]);
        wait_until_ready(&mut child, folder.path(), &admin, &[]);
        Self { child, address, origin, folder }
    }

    /// A request with a token of the guide's shape, changed.
    fn ask(&self, path: &str, change: impl FnOnce(&mut Value)) -> Answer {
        let token = keys::sign(&keys::EC, keys::HEADER, &token(change).to_string());
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {token}\r\nAccept: application/json\r\n\r\n"
        );
        exchange(&self.address, head.as_bytes())
    }
}

impl Drop for Guided {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The token of the guide, of today.
fn token(change: impl FnOnce(&mut Value)) -> Value {
    let text = blocks("json").into_iter().find(|(_, body)| body.contains("\"ver\"")).unwrap().1;
    let mut token: Value = serde_json::from_str(&text).unwrap();
    for claim in ["amr", "acr"] {
        assert!(token.get(claim).is_none(), "version 2 has no `{claim}`");
    }
    let now = keys::now();
    for (name, at) in [("iat", -60), ("nbf", -60), ("auth_time", -60), ("exp", 3_600)] {
        assert!(token[name].is_i64(), "{name}");
        token[name] = json!(now + at);
    }
    change(&mut token);
    token
}

fn asked_for(answer: &Answer) -> Value {
    let challenge = answer.header("www-authenticate").unwrap();
    let text = challenge.split_once("claims=\"").unwrap().1.trim_end_matches('"');
    serde_json::from_slice(&STANDARD.decode(text).unwrap()).unwrap()
}

fn code(answer: &Answer) -> u64 {
    let problem: Value = serde_json::from_str(&answer.body).unwrap();
    problem["code"].as_str().and_then(|code| code.parse().ok()).or(problem["code"].as_u64()).unwrap()
}

fn acrs(context: &str) -> Value {
    json!({ "access_token": { "acrs": { "essential": true, "value": context } } })
}

#[test]
fn the_guide_to_entra_lets_in_whom_it_says_with_version_2_tokens() {
    let guided = Guided::start();
    // As shown: no context that counts, hence the challenge that is shown.
    let first = guided.ask("/", |_| {});
    assert_eq!((first.status, code(&first)), (401, 50076), "{first:?}");
    let shown = blocks("http").remove(0).1;
    assert_eq!(format!("WWW-Authenticate: {}", first.header("www-authenticate").unwrap()), shown.trim());
    assert_eq!(asked_for(&first), acrs("c1"));
    assert_eq!(guided.origin.hits(), 0);
    // The next token holds what was asked for, as an array or as one text.
    for held in [json!(["p1", "c1"]), json!("c1")] {
        assert_eq!(guided.ask("/", |token| token["acrs"] = held.clone()).status, 200, "{held}");
    }
    assert_eq!(guided.origin.hits(), 2);
    // A part that asks for another context: that one is asked for, and is enough.
    let part = guided.ask("/admin/users", |token| token["acrs"] = json!(["c1"]));
    assert_eq!((part.status, asked_for(&part)), (401, acrs("c3")));
    assert_eq!(guided.ask("/admin/users", |token| token["acrs"] = json!(["c1", "c3"])).status, 200);
    // And the reverse: what the token has is not asked for again.
    let other = guided.ask("/admin/users", |token| token["acrs"] = json!(["c3"]));
    assert_eq!((other.status, asked_for(&other)), (401, acrs("c1")));
    // A client that did not say that it follows claims challenges.
    let plain = guided.ask("/", |token| {
        token.as_object_mut().unwrap().remove("xms_cc");
    });
    let challenge = plain.header("www-authenticate").unwrap();
    assert_eq!(challenge, "Bearer error=\"insufficient_user_authentication\", acr_values=\"c1\"");
    // Version 1 has another issuer.
    let old = guided.ask("/", |token| token["iss"] = json!(format!("https://sts.windows.net/{TENANT}/")));
    assert_eq!(old.status, 401);
}

#[test]
fn the_configuration_of_the_guide_is_checked_without_a_word_and_answers_what_it_shows() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &[]);
    let run = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        assert_eq!(words[0], "portcullis");
        let done = Command::new(env!("CARGO_BIN_EXE_portcullis"))
            .args(&words[1..])
            .current_dir(folder.path())
            .output()
            .unwrap();
        assert!(done.status.success(), "{line}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap() + &String::from_utf8(done.stderr).unwrap()
    };
    let checked = run("portcullis check --config portcullis.toml");
    assert!(!checked.contains("no-evidence"), "{checked}");
    let console = blocks("console").remove(0).1;
    let lines: Vec<&str> = console.lines().collect();
    assert!(lines.len() >= 8 && lines.len().is_multiple_of(2), "{console}");
    for pair in lines.chunks(2) {
        let output = run(pair[0].strip_prefix("$ ").unwrap());
        assert_eq!(output.lines().next(), Some(pair[1]), "{}", pair[0]);
    }
    // Without the mapping the same configuration says what is missing, and denies instead of asking for ever.
    let main = folder.path().join("portcullis.toml");
    let text = fs::read_to_string(&main).unwrap();
    assert_eq!(text.matches("mfa-contexts = [\"c1\"]").count(), 1);
    fs::write(&main, text.replace("mfa-contexts = [\"c1\"]", "")).unwrap();
    let checked = run("portcullis check --config portcullis.toml");
    assert!(checked.contains("no token that app `wiki` accepts can prove `mfa`"), "{checked}");
    let output = run("portcullis what-if --config portcullis.toml --user kari --app wiki --acrs c1");
    assert!(output.starts_with("deny: 53003 not-provable (not-provable)"), "{output}");
}

#[test]
fn the_manifest_of_the_guide_asks_for_the_claims_that_its_token_shows() {
    let text = blocks("json").into_iter().find(|(_, body)| body.contains("optionalClaims")).unwrap().1;
    let manifest: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(manifest["api"]["requestedAccessTokenVersion"], 2);
    let asked = manifest["optionalClaims"]["accessToken"].as_array().unwrap();
    let token = token(|_| {});
    for claim in asked {
        let name = claim["name"].as_str().unwrap();
        assert!(token.get(name).is_some(), "the token shows no `{name}`");
    }
    assert!(asked.iter().any(|claim| claim["name"] == "acrs"));
}
