//! The program, served from a folder until it is ready.

use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::wire::exchange;

/// What it says goes here.
pub(crate) const SAID: &str = "stderr.log";

/// Runs `portcullis.toml` of a folder. A file that may grow no more is an error then, and not the end of the process.
pub(crate) fn run(folder: &Path, more: &[&str]) -> Child {
    let said = fs::File::options().create(true).append(true).open(folder.join(SAID)).unwrap();
    Command::new("sh")
        .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_portcullis")])
        .args(["run", "--config"])
        .arg(folder.join("portcullis.toml"))
        .args(more)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(said)
        .spawn()
        .unwrap()
}

/// Waits until all of these listen and the first says that it is ready.
pub(crate) fn wait_until_ready(child: &mut Child, folder: &Path, admin: &str, others: &[&str]) {
    let head = format!("GET /readyz HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n");
    let listens = |address: &str| TcpStream::connect(address).is_ok();
    let said = || fs::read_to_string(folder.join(SAID)).unwrap();
    let started = Instant::now();
    while !([admin].iter().chain(others).all(|address| listens(address))
        && exchange(admin, head.as_bytes()).status == 200)
    {
        if let Some(status) = child.try_wait().unwrap() {
            panic!("it ended, {status}: {}", said());
        }
        assert!(started.elapsed() < Duration::from_secs(60), "it does not become ready: {}", said());
        std::thread::sleep(Duration::from_millis(10));
    }
}
