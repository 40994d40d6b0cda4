//! `portcullis run` as a service manager sees it: processes that begin, hand over and end.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::free::free_address;
use crate::keys;
use crate::staged::StagedApp;
use crate::wire::{Answer, exchange};

/// The app's host.
pub(crate) const HOST: &str = "wiki.test";

/// A configuration, its app, and whatever processes run on it.
pub(crate) struct Service {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) app: StagedApp,
    pub(crate) plain: String,
    pub(crate) tls: String,
    pub(crate) admin: String,
    pub(crate) authority: rustls_pki_types::CertificateDer<'static>,
}

/// One process; killed when it is dropped.
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

/// Looks until there is something, or fails after a generous time.
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

impl Service {
    /// Writes the files; `server` are further lines of `[server]`.
    pub(crate) fn new(server: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let app = StagedApp::start();
        let [plain, tls, admin] = [(); 3].map(|()| free_address().to_string());
        let made = rcgen::generate_simple_self_signed(vec![HOST.to_owned()]).unwrap();
        let authority = made.cert.der().clone();
        let service = Self { folder, app, plain, tls, admin, authority };
        fs::write(service.file("chain.pem"), made.cert.pem()).unwrap();
        fs::write(service.file("key.pem"), made.signing_key.serialize_pem()).unwrap();
        fs::write(service.file("keys.json"), keys::jwks()).unwrap();
        service.configure("", server);
        service
    }

    /// Writes the main file anew: further listeners, and further lines of `[server]`.
    pub(crate) fn configure(&self, listeners: &str, server: &str) {
        fs::write(self.file("portcullis.toml"), self.configuration(listeners, server)).unwrap();
    }

    /// The text of a main file.
    pub(crate) fn configuration(&self, listeners: &str, server: &str) -> String {
        let Self { app, plain, tls, admin, .. } = self;
        format!(
            r#"[server]
listeners = [{{ address = "{plain}" }}, {{ address = "{tls}", tls = {{ certificate = "chain.pem", key = "key.pem" }} }}{listeners}]
admin = "{admin}"
threads = 2
pid-file = "pid"
upgrade-socket = "up.sock"
decision-log = "off"
{server}

[[issuer]]
name = "main"
issuer = "{issuer}"
audiences = ["{audience}"]
keys = {{ file = "keys.json" }}

[[app]]
id = "wiki"
name = "Wiki"
hosts = ["{HOST}"]
upstreams = ["http://{upstream}"]
unmatched = "allow"
"#,
            issuer = keys::ISSUER,
            audience = keys::AUDIENCE,
            upstream = app.address,
        )
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// How a process is started; its standard error goes to a file of this name.
    pub(crate) fn command(&self, arguments: &[&str], log: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        command.args(["run", "--config"]).arg(self.file("portcullis.toml")).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(fs::File::create(self.file(log)).unwrap());
        command
    }

    /// Starts one.
    pub(crate) fn spawn(&self, arguments: &[&str], log: &str) -> Process {
        let child = self.command(arguments, log).spawn().unwrap();
        Process { child, log: self.file(log) }
    }

    /// A process that was started otherwise.
    pub(crate) fn process(&self, mut command: Command, log: &str) -> Process {
        Process { child: command.spawn().unwrap(), log: self.file(log) }
    }

    /// Starts one, and waits until it serves.
    pub(crate) fn start(&self) -> Process {
        let mut process = self.spawn(&[], "first.log");
        process.wait_for("the first process to serve", || self.is_ready().then_some(()));
        process
    }

    /// What the admin listener answers; `None` while nobody does.
    pub(crate) fn admin_get(&self, path: &str) -> Option<Answer> {
        let mut stream = TcpStream::connect(&self.admin).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.admin).ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        let (head, body) = text.split_once("\r\n\r\n")?;
        let status = head.split(' ').nth(1)?.parse().ok()?;
        Some(Answer { status, head: head.to_owned(), body: body.to_owned() })
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.admin_get("/readyz").is_some_and(|answer| answer.status == 200)
    }

    /// `/status`.
    pub(crate) fn status(&self) -> Option<Value> {
        let answer = self.admin_get("/status")?;
        assert_eq!(answer.header("content-type"), Some("application/json"), "{answer:?}");
        Some(serde_json::from_str(&answer.body).unwrap())
    }

    /// The value of a series; 0 when it is not there.
    pub(crate) fn metric(&self, series: &str) -> f64 {
        let text = self.admin_get("/metrics").unwrap().body;
        let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.map_or(0.0, |value| value.parse().unwrap())
    }

    /// A head with a good token.
    pub(crate) fn head(method: &str, target: &str, lines: &str) -> Vec<u8> {
        let token = keys::token();
        format!("{method} {target} HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {token}\r\n{lines}\r\n")
            .into_bytes()
    }

    /// A request on a connection of its own.
    pub(crate) fn get(&self, target: &str) -> Answer {
        exchange(&self.plain, &Self::head("GET", target, ""))
    }

    /// A connection on which this was sent.
    pub(crate) fn send(&self, bytes: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(&self.plain).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.write_all(bytes).unwrap();
        stream
    }
}

impl Process {
    /// As [`wait_for`], and fails at once when the process ends meanwhile.
    pub(crate) fn wait_for<T>(&mut self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        wait_for(what, || {
            let ended = self.child.try_wait().unwrap();
            let found = look();
            if let (None, Some(status)) = (&found, ended) {
                panic!("waited for {what}, and the process ended with {status}: {}", self.said());
            }
            found
        })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Standard error so far.
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Waits until standard error holds this text.
    pub(crate) fn wait_to_say(&mut self, text: &str) {
        let log = self.log.clone();
        self.wait_for(&format!("it to say {text:?}"), || {
            fs::read_to_string(&log).unwrap().contains(text).then_some(())
        });
    }

    /// Sends a signal, as `kill` names it.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.pid().to_string()]).status();
        assert!(sent.unwrap().success());
    }

    pub(crate) fn runs(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for its end.
    pub(crate) fn end(&mut self) -> ExitStatus {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(started.elapsed() < Duration::from_secs(60), "it goes on: {}", self.said());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
