//! A Redis for sessions of several replicas.

use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::free::free_address;

/// A Redis of the tests' own, until dropped; `None`, and says so, where there is none.
pub(crate) struct Redis(Child, String, Option<Tls>);

/// The certificates of a Redis that takes TLS alone.
struct Tls {
    folder: tempfile::TempDir,
}

impl Redis {
    pub(crate) fn start() -> Option<Self> {
        Self::start_with(None)
    }

    /// The same by TLS alone, with a certificate of an authority of its own.
    pub(crate) fn start_tls() -> Option<Self> {
        Self::start_with(Some(Tls::new()))
    }

    #[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
    fn start_with(tls: Option<Tls>) -> Option<Self> {
        let address = free_address();
        let port = address.port().to_string();
        let how = match &tls {
            None => vec!["--port".to_owned(), port],
            Some(tls) => {
                let file = |name: &str| tls.folder.path().join(name).display().to_string();
                let options = [
                    ("--port", "0".to_owned()),
                    ("--tls-port", port),
                    ("--tls-cert-file", file("redis.pem")),
                    ("--tls-key-file", file("redis.key")),
                    ("--tls-ca-cert-file", file("ca.pem")),
                    ("--tls-auth-clients", "no".to_owned()),
                ];
                options.into_iter().flat_map(|(name, value)| [name.to_owned(), value]).collect()
            }
        };
        let started = Command::new("redis-server")
            .args(how)
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let child = match started {
            Ok(child) => child,
            Err(problem) => {
                eprintln!("skipped: no redis-server here: {problem}");
                return None;
            }
        };
        let scheme = if tls.is_some() { "rediss" } else { "redis" };
        let redis = Self(child, format!("{scheme}://{address}"), tls);
        let started = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(started.elapsed() < Duration::from_secs(20), "redis-server does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(redis)
    }

    /// The line of `[session]` that keeps sessions there.
    pub(crate) fn store(&self) -> &'static str {
        format!("store = {{ redis = {:?} }}", self.1).leak()
    }

    /// The same, and the authority of whose certificates it may have one: its own, or another one.
    pub(crate) fn store_of(&self, authority: &str) -> &'static str {
        let file = self.2.as_ref().unwrap().folder.path().join(authority);
        format!("store = {{ redis = {:?}, ca = {:?} }}", self.1, file.display().to_string()).leak()
    }
}

impl Tls {
    /// `ca.pem` signs `redis.pem`; `other.pem` signs nothing.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name).display().to_string();
        let openssl = |arguments: &[&str]| {
            let done = Command::new("openssl").args(arguments).output().unwrap();
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        };
        const KEY: [&str; 4] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
        for name in ["ca", "other"] {
            let (key, certificate) = (file(&format!("{name}.key")), file(&format!("{name}.pem")));
            let subject = format!("/CN={name} of the test");
            let rest = ["-nodes", "-days", "2", "-subj", &subject, "-keyout", &key, "-out", &certificate];
            openssl(&[&["req", "-x509"], &KEY[..], &rest].concat());
        }
        let (ca, ca_key) = (file("ca.pem"), file("ca.key"));
        let (key, certificate) = (file("redis.key"), file("redis.pem"));
        let rest = ["-nodes", "-days", "2", "-subj", "/CN=redis", "-addext", "subjectAltName=IP:127.0.0.1"];
        let signed = ["-addext", "basicConstraints=CA:FALSE", "-CA", &ca, "-CAkey", &ca_key];
        let to = ["-keyout", &key, "-out", &certificate];
        openssl(&[&["req", "-x509"], &KEY[..], &rest, &signed, &to].concat());
        Self { folder }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
