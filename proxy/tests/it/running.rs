//! Starts `portcullis demo` on free ports and speaks to it in raw bytes.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::wire::{Answer, exchange};

/// A demo that runs until dropped.
pub(crate) struct Running {
    child: Mutex<Child>,
    pub(crate) proxy: String,
    pub(crate) admin: String,
    pub(crate) app_host: String,
    /// Where a browser begins.
    pub(crate) url: String,
    pub(crate) requests: BTreeMap<String, Vec<(String, String)>>,
    /// How each request is answered, as the demo says: status, and code of a denial.
    pub(crate) answers: BTreeMap<String, (u16, Option<u64>)>,
    pub(crate) folder: tempfile::TempDir,
}

impl Running {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_portcullis"))
            .args(["demo", "--json", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--dir"])
            .arg(folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut text = String::new();
        let started: Value = loop {
            let read = lines.read_line(&mut text).unwrap();
            assert_ne!(read, 0, "the demo ended before it printed where it listens: {text}");
            if let Ok(value) = serde_json::from_str(&text) {
                break value;
            }
        };
        let word = |name: &str| started[name].as_str().unwrap().to_owned();
        let address = |url: String| url.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let (mut requests, mut answers) = (BTreeMap::new(), BTreeMap::new());
        for request in started["requests"].as_array().unwrap() {
            let headers = request["headers"].as_object().unwrap();
            let headers =
                headers.iter().map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()));
            let name = request["name"].as_str().unwrap().to_owned();
            let status = request["status"].as_u64().unwrap().try_into().unwrap();
            answers.insert(name.clone(), (status, request["code"].as_u64()));
            requests.insert(name, headers.collect());
        }
        let running = Self {
            child: Mutex::new(child),
            proxy: address(word("proxy")),
            admin: address(word("admin")),
            app_host: word("app_host"),
            url: word("url"),
            requests,
            answers,
            folder,
        };
        running.wait_for("the keys to be loaded", |running| {
            TcpStream::connect(&running.proxy).is_ok()
                && TcpStream::connect(&running.admin).is_ok()
                && running.admin_get("/readyz").status == 200
        });
        running
    }

    /// Looks until `holds`; fails at once when the process has ended, and else after a generous time.
    pub(crate) fn wait_for(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        self.wait_while(|| self.child.lock().unwrap().try_wait().unwrap(), what, holds);
    }

    /// The same, and it is another process that must not end.
    pub(crate) fn wait_with(&self, other: &mut Child, what: &str, holds: impl Fn(&Self) -> bool) {
        self.wait_while(|| other.try_wait().unwrap(), what, holds);
    }

    fn wait_while(
        &self,
        mut ended: impl FnMut() -> Option<ExitStatus>,
        what: &str,
        holds: impl Fn(&Self) -> bool,
    ) {
        let started = Instant::now();
        loop {
            // What it did before its end counts.
            let ended = ended();
            if holds(self) {
                return;
            }
            assert_eq!(ended, None, "waited for {what}, and the process has ended");
            assert!(started.elapsed() < Duration::from_secs(60), "waited in vain for {what}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.lock().unwrap().id()
    }

    /// Waits for the process to end by itself; whether it did in time.
    pub(crate) fn ended(&mut self) -> bool {
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(60) {
            if self.child.get_mut().unwrap().try_wait().unwrap().is_some() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        false
    }

    pub(crate) fn token(&self, name: &str) -> String {
        let headers = &self.requests[name];
        let (_, value) = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("authorization")).unwrap();
        value.clone()
    }

    /// Sends raw bytes and reads one answer, or whatever arrived before the connection closed.
    pub(crate) fn raw(&self, bytes: &[u8]) -> Answer {
        exchange(&self.proxy, bytes)
    }

    /// One of the demo's three requests, with further header lines.
    pub(crate) fn ask(&self, name: &str, path: &str, more: &str) -> Answer {
        let mut head = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n", self.app_host);
        for (name, value) in &self.requests[name] {
            if !name.eq_ignore_ascii_case("host") {
                head.push_str(&format!("{name}: {value}\r\n"));
            }
        }
        self.raw(format!("{head}{more}\r\n").as_bytes())
    }

    pub(crate) fn admin_get(&self, path: &str) -> Answer {
        self.admin_get_with(path, "")
    }

    /// The same, with further header lines.
    pub(crate) fn admin_get_with(&self, path: &str, more: &str) -> Answer {
        exchange(
            &self.admin,
            format!("GET {path} HTTP/1.1\r\nHost: {}\r\n{more}Connection: close\r\n\r\n", self.admin)
                .as_bytes(),
        )
    }

    /// The value of a series, 0 when it is not there.
    pub(crate) fn metric(&self, series: &str) -> f64 {
        let text = self.admin_get("/metrics").body;
        let line =
            text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ').map(str::to_owned));
        line.map_or(0.0, |value| value.parse().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Ok(child) = self.child.get_mut() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
