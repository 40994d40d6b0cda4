//! The first configuration of the README, read from it, lets in whom its comments say.

use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use portcullis::refusal::SignInFault;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::json;

use crate::binary::{run, wait_until_ready};
use crate::free::free_address;
use crate::keys;
use crate::origin::Origin;
use crate::wire::{Answer, answer, exchange};

const HOST: &str = "wiki.corp.example";
/// An address of the location in the README, and one outside of it.
const OFFICE: &str = "203.0.113.9";
const HOME: &str = "198.51.100.7";

/// The README's fenced TOML, each with the file name that stands before it.
fn files() -> Vec<(String, String)> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md")).unwrap();
    let mut files = Vec::new();
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once("```toml\n") {
        let (body, next) = after.split_once("```").unwrap();
        let name = before.trim_end().rsplit('\n').next().unwrap();
        files.push((name.trim_matches(['`', ':']).to_owned(), body.to_owned()));
        rest = next;
    }
    files
}

/// Replaces what a test on one machine cannot have; whatever it is, it must be there.
fn replaced(text: &str, pairs: &[(&str, String)]) -> String {
    pairs.iter().fold(text.to_owned(), |text, (from, to)| {
        assert_eq!(text.matches(from).count(), 1, "`{from}` in the README");
        text.replace(from, to)
    })
}

struct First {
    child: Child,
    address: String,
    admin: String,
    certificate: CertificateDer<'static>,
    origin: Origin,
    folder: tempfile::TempDir,
}

impl First {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(vec![HOST.to_owned()]).unwrap();
        fs::create_dir(folder.path().join("policies")).unwrap();
        fs::write(folder.path().join("wiki.pem"), made.cert.pem()).unwrap();
        fs::write(folder.path().join("wiki.key"), made.signing_key.serialize_pem()).unwrap();
        fs::write(folder.path().join("keys.json"), keys::jwks()).unwrap();
        let origin = Origin::start();
        let [address, admin] = [(); 2].map(|()| free_address().to_string());
        for (name, body) in files() {
            // Free ports, an app, keys and a log on this machine; and loopback as the balancer that reports
            // where a client is, for a test has no other address.
            let body = if name == "portcullis.toml" {
                let keys = "{ discovery = \"https://id.corp.example/.well-known/openid-configuration\" }";
                let body = replaced(
                    &body,
                    &[
                        ("0.0.0.0:8443", address.clone()),
                        ("127.0.0.1:9090", admin.clone()),
                        ("http://10.0.0.5:3000", format!("http://{}", origin.address)),
                        (keys, "{ file = \"keys.json\" }".to_owned()),
                        ("/var/log/portcullis/decisions.ndjson", "decisions.ndjson".to_owned()),
                        (
                            "[server]\n",
                            "[server]\npid-file = \"pid\"\nupgrade-socket = \"up.sock\"\n".to_owned(),
                        ),
                    ],
                );
                format!("{body}\n[trusted-proxies]\nnetworks = [\"127.0.0.0/8\"]\n")
            } else {
                body
            };
            fs::write(folder.path().join(name), body).unwrap();
        }
        let mut child = run(folder.path(), &[]);
        wait_until_ready(&mut child, folder.path(), &admin, &[]);
        let certificate = made.cert.der().clone();
        Self { child, address, admin, certificate, origin, folder }
    }

    /// A request from an address, over TLS, with a token of these claims or none.
    fn ask(&self, address: &str, token: Option<serde_json::Value>) -> Answer {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        let name = ServerName::try_from(HOST).unwrap();
        let socket = TcpStream::connect(&self.address).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let mut stream = StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), socket);
        let bearer = token.map_or_else(String::new, |claims| {
            let token = keys::token_with(|token| {
                token["iss"] = json!("https://id.corp.example");
                token["amr"] = json!(["pwd"]);
                token["groups"] = json!(["staff"]);
                token.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
            });
            format!("Authorization: Bearer {token}\r\n")
        });
        let head = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nX-Forwarded-For: {address}\r\n{bearer}\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        answer(&mut stream, false)
    }

    /// How `analyze --deny warnings` ends for the files as they are.
    fn analyze(&self) -> ExitStatus {
        Command::new(env!("CARGO_BIN_EXE_portcullis"))
            .args(["analyze", "--deny", "warnings", "--config"])
            .arg(self.folder.path().join("portcullis.toml"))
            .stdout(Stdio::null())
            .status()
            .unwrap()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("decisions.ndjson")).unwrap_or_default()
    }

    fn wait_for(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let started = Instant::now();
        while !holds(self) {
            assert!(started.elapsed() < Duration::from_secs(60), "waited in vain for {what}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for First {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_first_configuration_of_the_readme_does_what_its_comments_say() {
    let policy = files().into_iter().find(|(name, _)| name == "policies/wiki.toml").unwrap().1;
    for comment in [
        "everybody with a valid token gets in, from anywhere; the log names whom they would refuse",
        "in the office: as before, with any device",
        "only with MFA and on a compliant device; who lacks MFA is asked for it, another device is refused",
        "members of emergency-access: with MFA, from anywhere and on any device",
    ] {
        assert!(policy.contains(comment), "the README no longer says `{comment}`: hold what it says now");
    }
    let first = First::start();
    let device = |compliant: bool| json!({ "deviceid": "laptop", "device_compliant": compliant });
    let with_mfa = |mut claims: serde_json::Value| {
        claims["amr"] = json!(["pwd", "mfa"]);
        claims
    };

    // While it is report-only.
    for address in [OFFICE, HOME] {
        assert_eq!(first.ask(address, Some(json!({}))).status, 200, "{address}");
        assert_eq!(first.ask(address, None).status, 401, "{address}: without a token");
    }
    let reached = first.origin.hits();
    assert_eq!(reached, 2);
    let admin = &first.admin;
    let counted = |_: &First| {
        let head = format!("GET /metrics HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n");
        let page = exchange(admin, head.as_bytes()).body;
        page.lines().any(|line| line.contains("managed-device-or-office") && line.contains("reportOnly"))
    };
    first.wait_for("the policy to be counted", counted);

    // Once it is enabled: one edit, and no restart.
    let file = first.folder.path().join("policies/wiki.toml");
    assert_eq!(first.analyze().code(), Some(1), "nothing is enforced yet");
    assert_eq!(policy.matches("state = \"report-only\"").count(), 2);
    fs::write(&file, policy.replace("state = \"report-only\"", "state = \"enabled\"")).unwrap();
    assert_eq!(first.analyze().code(), Some(0), "the README says that the analysis finds nothing");
    first.wait_for("the edit to be taken up", |first| first.ask(HOME, Some(json!({}))).status != 200);

    for claims in [json!({}), device(false), device(true), with_mfa(json!({}))] {
        assert_eq!(first.ask(OFFICE, Some(claims.clone())).status, 200, "in the office: {claims}");
    }
    assert_eq!(first.ask(HOME, Some(with_mfa(device(true)))).status, 200);
    let asked = first.ask(HOME, Some(device(true)));
    assert_eq!(asked.status, 401, "who lacks MFA is asked for it: {}", asked.body);
    for claims in [with_mfa(device(false)), with_mfa(json!({})), json!({})] {
        assert_eq!(first.ask(HOME, Some(claims.clone())).status, 403, "elsewhere: {claims}");
    }
    let emergency = json!({ "groups": ["emergency-access"] });
    for address in [OFFICE, HOME] {
        let asked = first.ask(address, Some(emergency.clone()));
        assert_eq!(asked.status, 401, "{address}: asked for MFA: {}", asked.body);
        assert_eq!(first.ask(address, Some(with_mfa(emergency.clone()))).status, 200, "{address}");
    }
    assert!(first.log().contains("managed-device-or-office"), "{}", first.log());
}

/// The chapter on signing in has a line for each reason of a failed sign-in, with its code and whose fault it is.
#[test]
fn every_reason_of_a_failed_sign_in_is_explained() {
    let chapter = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("SIGN-IN.md")).unwrap();
    let lines: Vec<&str> = chapter.lines().filter(|line| line.starts_with("| 8803")).collect();
    for fault in SignInFault::ALL {
        let begin = format!("| {} | `{}` | {} |", fault.code(), fault.as_str(), fault.blame().as_str());
        assert!(lines.iter().any(|line| line.starts_with(&begin)), "SIGN-IN.md has no line `{begin}`");
    }
    assert_eq!(lines.len(), SignInFault::ALL.len(), "a line is about no reason");
}
