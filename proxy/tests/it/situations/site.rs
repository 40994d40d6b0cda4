//! One process for all situations, started by whichever test comes first and ended by the last.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Child;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::binary::{run, wait_until_ready};
use crate::free::free_address;
use crate::keys;
use crate::origin::Origin;
use crate::wire::{Answer, exchange};

/// In the office.
pub(super) const OFFICE: &str = "203.0.113.7";
/// At home, in Germany.
pub(super) const HOME: &str = "203.0.113.200";
/// On a journey, in the United States.
pub(super) const ABROAD: &str = "198.51.100.200";
/// Behind a VPN, and behind a privacy relay; both are in the United States.
pub(super) const VPN: &str = "198.51.100.20";
pub(super) const RELAY: &str = "198.51.100.70";
/// Where the database of countries has a record that cannot be read.
pub(super) const DAMAGED: &str = "192.0.2.10";

const BROWSER: &str = "Accept: text/html,*/*;q=0.8\r\nAccept-Language: en\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n\
     Sec-Fetch-Site: none\r\nUser-Agent: Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
     Chrome/131.0.0.0 Safari/537.36\r\n";
const PROGRAM: &str = "Accept: application/json\r\nUser-Agent: python-requests/2.32.3\r\n";

/// What is configured, for tests that look for words of it.
pub(super) const MAIN: &str = include_str!("portcullis.toml");
pub(super) const POLICIES: &str = include_str!("policies.toml");
pub(super) const NOTES: &str = include_str!("notes.toml");

/// Somebody with a good token, and what is asked for.
pub(super) struct Visitor {
    pub(super) app: &'static str,
    pub(super) target: &'static str,
    pub(super) from: &'static str,
    pub(super) claims: Value,
}

impl Visitor {
    /// Anna, who has signed in with two factors and whose token tells of no device.
    pub(super) fn new(app: &'static str, from: &'static str) -> Self {
        Self { app, target: "/start", from, claims: keys::claims() }
    }

    /// Her token says this as well.
    pub(super) fn with(mut self, claim: &str, value: impl Into<Value>) -> Self {
        self.claims[claim] = value.into();
        self
    }

    pub(super) fn at(mut self, target: &'static str) -> Self {
        self.target = target;
        self
    }

    /// On a device that is registered.
    pub(super) fn on_device(self, os: &str, version: &str, is_compliant: bool) -> Self {
        self.with("deviceid", "laptop-7")
            .with("device_compliant", is_compliant)
            .with("device_trust_type", "AzureAD")
            .with("device_os", os)
            .with("device_os_version", version)
    }

    pub(super) fn token(&self) -> String {
        keys::sign(&keys::EC, keys::HEADER, &self.claims.to_string())
    }
}

/// The proxy, until the last test has dropped it.
pub(super) struct Site {
    child: Mutex<Child>,
    pub(super) proxy: String,
    folder: tempfile::TempDir,
}

/// The process of all tests.
pub(super) fn site() -> Arc<Site> {
    static SITE: Mutex<Weak<Site>> = Mutex::new(Weak::new());
    let mut shared = SITE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(site) = shared.upgrade() {
        return site;
    }
    let site = Arc::new(Site::start(MAIN, POLICIES));
    *shared = Arc::downgrade(&site);
    site
}

impl Site {
    /// These files, with their holes filled, and beside them what they may name.
    pub(super) fn start(main: &str, policies: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [proxy, admin, silent] = [(); 3].map(|()| free_address().to_string());
        let front = front(proxy.clone());
        let holes = [
            ("PROXY", &proxy),
            ("ADMIN", &admin),
            ("SILENT", &silent),
            ("FRONT", &front),
            ("APP", &Origin::start().address),
        ];
        let mut main = main.to_owned();
        for (hole, text) in holes {
            main = main.replace(&format!("@{hole}@"), text);
        }
        let put = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
        put("portcullis.toml", main.as_bytes());
        put("policies.toml", policies.as_bytes());
        put("notes.toml", NOTES.as_bytes());
        put("keys.json", keys::jwks().as_bytes());
        put("support.key", b"BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=");
        put("country.mmdb", &damaged_countries());
        let mut child = run(folder.path(), &[]);
        wait_until_ready(&mut child, folder.path(), &admin, &[&proxy]);
        Self { child: Mutex::new(child), proxy, folder }
    }

    /// Looks until `holds`; fails at once when the process has ended, and else after a generous time.
    pub(super) fn wait_for(&self, what: &str, holds: impl Fn() -> bool) {
        let started = Instant::now();
        while !holds() {
            assert_eq!(
                self.child.lock().unwrap().try_wait().unwrap(),
                None,
                "waited for {what}, and it has ended"
            );
            assert!(started.elapsed() < Duration::from_secs(60), "waited in vain for {what}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Whether a line of the decision log has this.
    pub(super) fn has_logged(&self, text: &str) -> bool {
        fs::read_to_string(self.folder.path().join("decisions.ndjson")).is_ok_and(|log| log.contains(text))
    }

    /// Replaces the policies of `notes`.
    pub(super) fn edit_notes(&self, text: &str) {
        fs::write(self.folder.path().join("notes.toml"), text).unwrap();
    }

    /// A person opens it in a browser that has the token in a cookie.
    pub(super) fn open(&self, visitor: &Visitor) -> Answer {
        self.open_with(visitor, "")
    }

    pub(super) fn open_with(&self, visitor: &Visitor, more: &str) -> Answer {
        self.send("GET", visitor, &format!("Cookie: session={}\r\n{BROWSER}{more}", visitor.token()))
    }

    /// A program asks with the token in `Authorization`.
    pub(super) fn call(&self, visitor: &Visitor) -> Answer {
        self.call_as("GET", visitor, PROGRAM)
    }

    /// The same, with these lines in place of what that program sends.
    pub(super) fn call_as(&self, method: &str, visitor: &Visitor, lines: &str) -> Answer {
        self.send(method, visitor, &format!("Authorization: Bearer {}\r\n{lines}", visitor.token()))
    }

    fn send(&self, method: &str, Visitor { app, target, from, .. }: &Visitor, lines: &str) -> Answer {
        let head = format!(
            "{method} {target} HTTP/1.1\r\nHost: {app}.test\r\nX-Forwarded-For: {from}\r\n{lines}\r\n"
        );
        exchange(&self.proxy, head.as_bytes())
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Ok(child) = self.child.get_mut() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The demo's countries, but for one record, whose country is no country's code: as a download that broke.
fn damaged_countries() -> Vec<u8> {
    let mut bytes = include_bytes!("../../../src/demo/country.mmdb").to_vec();
    let at = bytes.windows(3).position(|window| window == b"BKP").unwrap();
    bytes[at + 1..at + 3].copy_from_slice(b"1!");
    bytes
}

/// A back end that asks the app `orders` in its user's name, and hands on what it is told.
fn front(proxy: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let proxy = proxy.clone();
            std::thread::spawn(move || hand_on(stream, &proxy));
        }
    });
    address
}

fn hand_on(mut stream: TcpStream, proxy: &str) {
    let (mut received, mut chunk) = (Vec::new(), [0; 4096]);
    while !received.ends_with(b"\r\n\r\n") {
        match stream.read(&mut chunk) {
            Ok(0) | Err(_) => return,
            Ok(count) => received.extend_from_slice(&chunk[..count]),
        }
    }
    let head = String::from_utf8(received).unwrap();
    let token = head.lines().find(|line| line.to_ascii_lowercase().starts_with("authorization:")).unwrap();
    let asked =
        format!("GET /orders HTTP/1.1\r\nHost: orders.test\r\n{token}\r\nUser-Agent: shop/1.0\r\n\r\n");
    let told = exchange(proxy, asked.as_bytes());
    let _ = stream.write_all(format!("{}\r\n\r\n{}", told.head, told.body).as_bytes());
}
