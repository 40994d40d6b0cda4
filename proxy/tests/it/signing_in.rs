//! The real binary with two apps, a provider of the tests' own, and whoever signs in.

use std::fs;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use crate::binary::{SAID, run, wait_until_ready};
use crate::browser::Browser;
use crate::free::free_address;
use crate::openid::{CLIENT, OpenId, SECRET};
use crate::origin::Origin;
use crate::wire::{Answer, exchange};

/// The host of the app `wiki`, and the host of the app `shop`.
pub(crate) const WIKI: &str = "wiki.localhost";
pub(crate) const SHOP: &str = "shop.localhost";
pub(crate) const AUTH: &str = "auth.localhost";

/// The parts of a configuration that tests change.
#[derive(Clone, Default)]
pub(crate) struct Setup {
    /// How the provider knows us; by a secret if empty.
    pub(crate) client: &'static str,
    /// Further lines of the issuer.
    pub(crate) issuer: &'static str,
    /// A private key, which is in `client.pem`.
    pub(crate) key: String,
    /// Further lines of the provider.
    pub(crate) provider: &'static str,
    /// Further lines of the app `wiki`.
    pub(crate) wiki: &'static str,
    /// `sign-in` of both apps; the provider alone if empty.
    pub(crate) sign_in: &'static str,
    /// Further tables.
    pub(crate) more: String,
    /// Further lines of `[server]`.
    pub(crate) server: &'static str,
    /// Further lines of `[session]`.
    pub(crate) session: &'static str,
    /// Whether a second provider is there, `other`.
    pub(crate) has_other: bool,
    /// Where other proxies ask whether to let a request in.
    pub(crate) asking: Option<String>,
    /// The key that seals sessions; a random one if `None`.
    pub(crate) session_key: Option<[u8; 32]>,
}

/// The proxy with all around it, until dropped.
pub(crate) struct World {
    child: Child,
    pub(crate) proxy: String,
    pub(crate) admin: String,
    pub(crate) app: Origin,
    pub(crate) openid: OpenId,
    pub(crate) other: OpenId,
    pub(crate) folder: tempfile::TempDir,
}

impl World {
    pub(crate) fn plain() -> Self {
        Self::start(Setup::default())
    }

    pub(crate) fn start(setup: Setup) -> Self {
        let (app, openid, other) = (Origin::start(), OpenId::start(), OpenId::start());
        Self::start_with(setup, app, openid, other)
    }

    pub(crate) fn start_with(setup: Setup, app: Origin, openid: OpenId, other: OpenId) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [proxy, admin] = [(); 2].map(|()| free_address().to_string());
        let file = |name: &str| folder.path().join(name);
        fs::write(file("session.key"), setup.session_key.unwrap_or_else(random)).unwrap();
        fs::write(file("client.secret"), SECRET).unwrap();
        fs::write(file("client.pem"), &setup.key).unwrap();
        let text = configuration(&setup, [&proxy, &admin], &app.address, [&openid.issuer(), &other.issuer()]);
        fs::write(file("portcullis.toml"), text).unwrap();
        let mut child = run(folder.path(), &[]);
        wait_until_ready(&mut child, folder.path(), &admin, &[&proxy]);
        Self { child, proxy, admin, app, openid, other, folder }
    }

    /// A successor takes over, and the process that served until now ends.
    pub(crate) fn upgrade(&mut self) {
        let successor = run(self.folder.path(), &["--upgrade"]);
        let mut former = std::mem::replace(&mut self.child, successor);
        let started = Instant::now();
        while former.try_wait().unwrap().is_none() {
            if started.elapsed() > Duration::from_secs(60) {
                let _ = former.kill();
                panic!("it is not followed: {}", self.said());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub(crate) fn admin_get(&self, path: &str) -> Answer {
        let head = format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.admin);
        exchange(&self.admin, head.as_bytes())
    }

    /// The value of a series, 0 when it is not there.
    pub(crate) fn metric(&self, series: &str) -> f64 {
        let text = self.admin_get("/metrics").body;
        let line =
            text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ').map(str::to_owned));
        line.map_or(0.0, |value| value.parse().unwrap())
    }

    /// How many sign-ins failed for this reason.
    pub(crate) fn failed(&self, reason: &str) -> f64 {
        self.metric(&format!("portcullis_sign_ins_failed_total{{provider=\"idp\",reason=\"{reason}\"}}"))
    }

    pub(crate) fn completed(&self) -> f64 {
        self.metric("portcullis_sign_ins_completed_total{provider=\"idp\"}")
    }

    /// Standard error so far.
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(self.folder.path().join(SAID)).unwrap()
    }

    /// The decision log so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("decisions.ndjson")).unwrap_or_default()
    }

    /// An address of a host here.
    pub(crate) fn url(&self, host: &str, target: &str) -> String {
        let port = self.proxy.rsplit(':').next().unwrap();
        format!("http://{host}:{port}{target}")
    }

    /// From now on its files grow to so many bytes and no further.
    pub(crate) fn limit_files(&self, bytes: &str) {
        let limit = Command::new("prlimit")
            .args(["--pid", &self.child.id().to_string(), &format!("--fsize={bytes}:")])
            .status();
        assert!(limit.unwrap().success());
    }

    /// A browser that has signed in to the wiki.
    pub(crate) fn signed_in(&self) -> Browser {
        let mut browser = Browser::default();
        let page = browser.follow(&self.url(WIKI, "/"));
        assert_eq!(page.status(), 200, "{page:?}\n{}", self.said());
        browser
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn random() -> [u8; 32] {
    let mut bytes = [0; 32];
    aws_lc_rs::rand::fill(&mut bytes).unwrap();
    bytes
}

fn configuration(setup: &Setup, [proxy, admin]: [&str; 2], app: &str, [issuer, other]: [&str; 2]) -> String {
    let asking = setup.asking.as_ref().map(|address| {
        format!(
            ", {{ address = \"{address}\", forward-auth = {{ protocol = \"http\", peers = [\"127.0.0.1\"] }} }}"
        )
    });
    let asking = asking.unwrap_or_default();
    let Setup {
        client, issuer: issuer_lines, provider, wiki, sign_in, more, server, session, has_other, ..
    } = setup;
    let client = if client.is_empty() { "client-secret = { file = \"client.secret\" }" } else { client };
    // A store holds itself what was signed out.
    let journal = if session.contains("store") { "" } else { "journal = \"revocations.journal\"" };
    let sign_in = if sign_in.is_empty() { "\"idp\"" } else { sign_in };
    let second = if *has_other {
        format!(
            r#"
[[issuer]]
name = "other"
issuer = "{other}"
audiences = ["api://wiki"]
algorithms = ["ES256", "RS256"]
keys = {{ discovery = "{other}/.well-known/openid-configuration" }}

[[provider]]
name = "other"
display-name = "Partners"
issuer = "other"
client-id = "{CLIENT}"
client-secret = {{ file = "client.secret" }}
"#
        )
    } else {
        String::new()
    };
    format!(
        r#"[server]
listeners = [{{ address = "{proxy}" }}{asking}]
admin = "{admin}"
threads = 2
decision-log = {{ file = "decisions.ndjson" }}
limits = {{ failed-verifications = "1000000/s" }}
{server}

[[issuer]]
name = "idp"
issuer = "{issuer}"
audiences = ["api://wiki"]
algorithms = ["ES256", "RS256"]
keys = {{ discovery = "{issuer}/.well-known/openid-configuration" }}
{issuer_lines}

[[provider]]
name = "idp"
display-name = "Contoso"
issuer = "idp"
client-id = "{CLIENT}"
{client}
{provider}
{second}

[session]
keys = ["session.key"]
{journal}
{session}

[[app]]
id = "wiki"
name = "Wiki"
hosts = ["{WIKI}"]
upstreams = ["http://{app}"]
unmatched = "allow"
identity-headers = {{ "X-User" = "user-id" }}
sign-in = {sign_in}
{wiki}

[[app]]
id = "shop"
name = "Shop"
hosts = ["{SHOP}"]
upstreams = ["http://{app}"]
unmatched = "allow"
sign-in = {sign_in}

{more}
"#
    )
}
