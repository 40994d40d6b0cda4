//! `portcullis run` on a configuration of the test's own, before an app that keeps what reached it.

use std::fs;
use std::io::Read;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::free::free_address;
use crate::h2;
use crate::keys;
use crate::origin::Origin;
use crate::wire::{Answer, answer, exchange};

/// The app's host.
pub(crate) const HOST: &str = "wiki.test";

/// Certificate and key of the TLS listener, and of TLS apps: PEM, PEM, DER.
pub(crate) static CERTIFICATE: LazyLock<(String, String, CertificateDer<'static>)> = LazyLock::new(|| {
    let names = [HOST, "other.test", "app.corp"].map(str::to_owned).to_vec();
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem(), made.cert.der().clone())
});

/// The parts of a configuration that tests change. What is left alone lets everybody with a good token
/// in, but for paths below `/admin` and clients in 192.0.2.0/24.
#[derive(Clone)]
pub(crate) struct Setup {
    /// Lines of `[server]`.
    pub(crate) server: &'static str,
    /// Further keys of the plain listener.
    pub(crate) plain: &'static str,
    /// The `tls` of the other one.
    pub(crate) tls: &'static str,
    /// Further keys of `decision-log`, which logs to a file.
    pub(crate) log: &'static str,
    /// Tables of the main file.
    pub(crate) top: String,
    /// Lines of the issuer.
    pub(crate) issuer: &'static str,
    /// The issuer's `audiences`.
    pub(crate) audiences: &'static str,
    /// The issuer's `keys`.
    pub(crate) keys: String,
    /// Hosts of the app, as TOML.
    pub(crate) hosts: String,
    /// Lines of the app.
    pub(crate) app: &'static str,
    /// The app's `token`.
    pub(crate) token: &'static str,
    /// Upstreams of the app, as TOML; the origin if empty.
    pub(crate) upstreams: String,
    /// The policies' file.
    pub(crate) policies: String,
    /// Further environment.
    pub(crate) environment: Vec<(&'static str, String)>,
}

pub(crate) const POLICIES: &str = r#"
[[policy]]
id = "no-admin"
users = { include = ["all"] }
apps = { include = ["all"] }
grant = "block"
conditions = { request = { paths = ["/admin/**"] } }

[[policy]]
id = "no-embargo"
users = { include = ["all"] }
apps = { include = ["all"] }
grant = "block"
conditions = { locations = { include = ["embargo"] } }
"#;

pub(crate) const TRUSTED: &str = "[trusted-proxies]\nnetworks = [\"127.0.0.0/8\"]\n";

impl Default for Setup {
    fn default() -> Self {
        Self {
            server: "",
            plain: "",
            tls: "certificate = \"chain.pem\", key = \"key.pem\"",
            log: "",
            top: String::new(),
            issuer: "",
            audiences: "[\"api://wiki\"]",
            keys: "{ file = \"keys.json\" }".to_owned(),
            hosts: format!("[\"{HOST}\"]"),
            app: "",
            token: "{ bearer = true, cookie = \"session\" }",
            upstreams: String::new(),
            policies: POLICIES.to_owned(),
            environment: Vec::new(),
        }
    }
}

impl Setup {
    fn main_file(&self, ports: &[String; 3], origin: &str) -> String {
        let [plain, tls, admin] = ports;
        let upstreams =
            if self.upstreams.is_empty() { format!("[\"http://{origin}\"]") } else { self.upstreams.clone() };
        let Self { server, top, issuer, keys, hosts, app, token, .. } = self;
        // Tests send more bad tokens from one address than a network's people do.
        let limits =
            if server.contains("limits") { "" } else { "limits = { failed-verifications = \"1000000/s\" }" };
        format!(
            r#"policies = ["policies.toml"]

[server]
listeners = [{{ address = "{plain}"{plain_keys} }}, {{ address = "{tls}", tls = {{ {tls_keys} }} }}]
admin = "{admin}"
threads = 1
grace = "1s"
pid-file = "pid"
upgrade-socket = "up.sock"
decision-log = {{ file = "decisions.ndjson"{log} }}
{server}
{limits}

[[location]]
name = "embargo"
networks = ["192.0.2.0/24"]

[[issuer]]
name = "main"
issuer = "{issuer_url}"
audiences = {audiences}
keys = {keys}
leeway = "1s"
{issuer}

[issuer.claims]
extra = ["email"]

[[app]]
id = "wiki"
name = "Wiki"
hosts = {hosts}
upstreams = {upstreams}
unmatched = "allow"
token = {token}
identity-headers = {{ "X-User" = "user-id", "X-User-Name" = "user-name", "X-Groups" = "groups", "X-Device" = "device-id", "X-Mail" = "claim:email" }}
{app}

{top}
"#,
            issuer_url = keys::ISSUER,
            plain_keys = if self.plain.is_empty() { String::new() } else { format!(", {}", self.plain) },
            tls_keys = self.tls,
            log = if self.log.is_empty() { String::new() } else { format!(", {}", self.log) },
            audiences = self.audiences,
        )
    }
}

/// The proxy before its app, until dropped.
pub(crate) struct World {
    child: Mutex<Child>,
    pub(crate) plain: String,
    pub(crate) tls: String,
    pub(crate) admin: String,
    pub(crate) origin: Origin,
    pub(crate) folder: tempfile::TempDir,
}

fn ready(admin: &str) -> bool {
    TcpStream::connect(admin).is_ok()
        && exchange(
            admin,
            format!("GET /readyz HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n").as_bytes(),
        )
        .status
            == 200
}

impl World {
    /// The usual configuration.
    pub(crate) fn plain() -> Self {
        Self::start(Setup::default())
    }

    /// Starts, and waits until the keys are there.
    pub(crate) fn start(setup: Setup) -> Self {
        let world = Self::launch(setup).unwrap();
        world.wait_for("the keys", |world| ready(&world.admin));
        world
    }

    /// Starts, and waits until the proxy listens, or says what standard error said before it ended.
    pub(crate) fn launch(setup: Setup) -> Result<Self, String> {
        Self::launch_with(setup, |_| {})
    }

    /// The same, after a last look at the folder with all files in place.
    pub(crate) fn launch_with(setup: Setup, tamper: impl Fn(&std::path::Path)) -> Result<Self, String> {
        let origin = Origin::start();
        let folder = tempfile::tempdir().unwrap();
        let ports = [(); 3].map(|()| free_address().to_string());
        let file = |name: &str| folder.path().join(name);
        fs::write(file("portcullis.toml"), setup.main_file(&ports, &origin.address)).unwrap();
        fs::write(file("policies.toml"), &setup.policies).unwrap();
        fs::write(file("keys.json"), keys::jwks()).unwrap();
        fs::write(file("chain.pem"), &CERTIFICATE.0).unwrap();
        fs::write(file("key.pem"), &CERTIFICATE.1).unwrap();
        tamper(folder.path());
        let errors = fs::File::create(file("stderr.log")).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_portcullis"))
            .args(["run", "--config"])
            .arg(file("portcullis.toml"))
            .envs(setup.environment.iter().map(|(name, value)| (*name, value.as_str())))
            .stdout(Stdio::null())
            .stderr(errors)
            .spawn()
            .unwrap();
        let [plain, tls, admin] = ports;
        let world = Self { child: Mutex::new(child), plain, tls, admin, origin: origin.clone(), folder };
        let started = Instant::now();
        loop {
            let up = [&world.plain, &world.tls, &world.admin];
            if up.into_iter().all(|address| TcpStream::connect(address).is_ok()) {
                return Ok(world);
            }
            if let Some(status) = world.status() {
                let said = world.said();
                assert!(!status.success(), "it ended without serving and without an error: {said}");
                return Err(said);
            }
            assert!(started.elapsed() < Duration::from_secs(60), "it neither serves nor ends");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Standard error so far.
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(self.file("stderr.log")).unwrap()
    }

    /// The decision log so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.file("decisions.ndjson")).unwrap_or_default()
    }

    /// How the process ended, if it has.
    fn status(&self) -> Option<ExitStatus> {
        self.child.lock().unwrap().try_wait().unwrap()
    }

    /// Asks the process to end.
    pub(crate) fn terminate(&self) {
        let id = self.child.lock().unwrap().id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    }

    pub(crate) fn runs(&self) -> bool {
        self.status().is_none()
    }

    /// Looks until `holds`; fails at once when the process has ended, and else after a generous time.
    pub(crate) fn wait_for(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let started = Instant::now();
        loop {
            // What it did before its end counts.
            let ended = self.status();
            if holds(self) {
                return;
            }
            assert_eq!(ended, None, "waited for {what}, and the process has ended: {}", self.said());
            assert!(
                started.elapsed() < Duration::from_secs(60),
                "waited in vain for {what}: {}",
                self.said()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// A head with a good token.
    pub(crate) fn head(method: &str, target: &str, lines: &str) -> Vec<u8> {
        format!(
            "{method} {target} HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {}\r\n{lines}\r\n",
            keys::token()
        )
        .into_bytes()
    }

    /// A GET with a good token.
    pub(crate) fn get(&self, target: &str, lines: &str) -> Answer {
        exchange(&self.plain, &Self::head("GET", target, lines))
    }

    /// A GET with this token in place of a good one.
    pub(crate) fn with_token(&self, token: &str) -> u16 {
        self.bare(&format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {token}\r\n\r\n"))
    }

    /// The status of an answer to these very bytes.
    pub(crate) fn bare(&self, text: &str) -> u16 {
        exchange(&self.plain, text.as_bytes()).status
    }

    /// Everything that comes back for these bytes until the connection closes or falls silent.
    pub(crate) fn all(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(&self.plain).unwrap();
        let _ = std::io::Write::write_all(&mut stream, bytes);
        let mut received = Vec::new();
        let mut chunk = [0; 16 * 1024];
        // A busy machine may take its time for the first answer; a further one comes at once or never.
        let mut patience = Duration::from_secs(10);
        loop {
            stream.set_read_timeout(Some(patience)).unwrap();
            match stream.read(&mut chunk) {
                Ok(read) if read > 0 => received.extend_from_slice(&chunk[..read]),
                _ => return String::from_utf8_lossy(&received).into_owned(),
            }
            patience = Duration::from_millis(500);
        }
    }

    pub(crate) fn admin_get(&self, path: &str, lines: &str) -> Answer {
        let admin = &self.admin;
        let host = if lines.to_ascii_lowercase().starts_with("host:") {
            String::new()
        } else {
            format!("Host: {admin}\r\n")
        };
        let head = format!("GET {path} HTTP/1.1\r\n{host}Connection: close\r\n{lines}\r\n");
        exchange(admin, head.as_bytes())
    }

    /// The value of a series, 0 when it is not there.
    pub(crate) fn metric(&self, series: &str) -> f64 {
        let text = self.admin_get("/metrics", "").body;
        let line =
            text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ').map(str::to_owned));
        line.map_or(0.0, |value| value.parse().unwrap())
    }

    /// A TLS connection that names this host and offers these protocols.
    pub(crate) fn connect(
        &self,
        name: &str,
        protocols: &[&[u8]],
    ) -> StreamOwned<ClientConnection, TcpStream> {
        let mut config = client_config();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        self.connect_with(name, Arc::new(config))
    }

    pub(crate) fn connect_with(
        &self,
        name: &str,
        config: Arc<ClientConfig>,
    ) -> StreamOwned<ClientConnection, TcpStream> {
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let socket = TcpStream::connect(&self.tls).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        StreamOwned::new(ClientConnection::new(config, name).unwrap(), socket)
    }

    /// One request over HTTP/1.1 and TLS.
    pub(crate) fn over_tls(&self, name: &str, bytes: &[u8]) -> Answer {
        let mut stream = self.connect(name, &[b"http/1.1"]);
        std::io::Write::write_all(&mut stream, bytes).unwrap();
        answer(&mut stream, false)
    }

    /// One request over HTTP/2, with exactly these fields.
    pub(crate) fn h2(&self, fields: &[(&[u8], &[u8])], body: Option<&[u8]>) -> h2::Answer {
        h2::Connection::open(self.connect(HOST, &[b"h2"])).ask(fields, body, &[])
    }

    /// A GET over HTTP/2 with a good token and these further fields.
    pub(crate) fn h2_get(&self, target: &str, more: &[(&[u8], &[u8])]) -> h2::Answer {
        let bearer = format!("Bearer {}", keys::token());
        let mut fields = h2::fields("GET", HOST, target);
        fields.push((b"authorization", bearer.as_bytes()));
        fields.extend_from_slice(more);
        self.h2(&fields, None)
    }

    /// Asserts that neither protocol lets this target through, while its counterpart passes.
    pub(crate) fn refuses_target(&self, target: &str) {
        let before = self.origin.hits();
        let one = self.get(target, "").status;
        assert!(matches!(one, 400 | 403 | 404 | 405), "HTTP/1 {target}: {one}");
        let two = self.h2_get(target, &[]);
        assert!(two.is_refusal(), "HTTP/2 {target}: {two:?}");
        assert_eq!(self.origin.hits(), before, "{target} reached the app");
        assert_eq!(self.get("/plain", "").status, 200, "the counterpart");
        assert_eq!(self.h2_get("/plain", &[]).status(), 200, "the counterpart");
        assert_eq!(self.origin.hits(), before + 2, "the counterparts reach the app");
    }

    /// Asserts that these HTTP/1 lines make a request that was good stop before the app.
    pub(crate) fn refuses_lines(&self, lines: &str) {
        let before = self.origin.hits();
        let status = self.get("/", lines).status;
        assert_eq!(status, 400, "{lines:?}");
        assert_eq!(self.origin.hits(), before, "{lines:?} reached the app");
    }
}

/// What trusts the certificate of the tests.
pub(crate) fn client_config() -> ClientConfig {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let mut roots = RootCertStore::empty();
    roots.add(CERTIFICATE.2.clone()).unwrap();
    ClientConfig::builder().with_root_certificates(roots).with_no_client_auth()
}

impl Drop for World {
    fn drop(&mut self) {
        if let Ok(child) = self.child.get_mut() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
