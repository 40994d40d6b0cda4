//! A Redis for sessions of several replicas.

use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::free::free_address;

/// A Redis of the tests' own, until dropped; `None`, and says so, where there is none.
pub(crate) struct Redis(Child, String);

impl Redis {
    #[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
    pub(crate) fn start() -> Option<Self> {
        let address = free_address();
        let port = address.port().to_string();
        let started = Command::new("redis-server")
            .args(["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
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
        let redis = Self(child, format!("redis://{address}"));
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
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
