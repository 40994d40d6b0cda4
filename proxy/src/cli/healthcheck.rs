//! `portcullis healthcheck`: whether a running proxy is ready, for containers that hold nothing else.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::terminal::Failure;
use crate::state::read;

const TIMEOUT: Duration = Duration::from_secs(3);
/// The head and the few words that `/readyz` answers with.
const ANSWER_BYTES_MAX: u64 = 4 * 1024;

/// Which proxy to ask.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(super) struct Arguments {
    /// The main configuration file; it names the admin listener.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The admin listener.
    #[arg(long, value_name = "ADDRESS")]
    admin: Option<SocketAddr>,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut admin = match (arguments.admin, &arguments.config) {
        (Some(admin), _) => admin,
        (None, Some(config)) => read(config)?.server.admin,
        (None, None) => return Err("name --config or --admin".into()),
    };
    if admin.ip().is_unspecified() {
        // Every address is listened on; ask by the nearest.
        admin.set_ip(match admin {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    let failed = |problem: std::io::Error| format!("{admin} does not answer: {problem}");
    let answer = ask(admin).map_err(failed)?;
    if answer.starts_with("HTTP/1.1 200 ") {
        return Ok(());
    }
    let reason = answer.split_once("\r\n\r\n").map_or("no answer in HTTP", |(_, body)| body.trim());
    Err(format!("not ready: {reason}").into())
}

fn ask(admin: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&admin, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    write!(stream, "GET /readyz HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
