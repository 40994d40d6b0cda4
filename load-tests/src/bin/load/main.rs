//! Makes signed tokens for a scenario, and drives a server with corrected latencies.
#![expect(clippy::print_stdout, reason = "a measuring tool's own output")]

mod drive;
mod histogram;
mod tokens;

use std::error::Error;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand};
use serde_json::Value;

use crate::drive::{Plan, Request, drive};
use crate::tokens::Order;

type Fallible<T> = Result<T, Box<dyn Error + Send + Sync>>;

#[derive(Parser)]
#[command(about, version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Writes keys and tokens into a folder.
    Tokens(Order),
    /// Sends requests at a fixed rate and reports latencies, each from the time when it was due.
    Drive(Course),
}

#[derive(Args)]
struct Course {
    #[arg(long)]
    address: SocketAddr,
    /// Whole requests, one a line: `{"request": TEXT, "expect": STATUS, "fresh": BOOL}`.
    #[arg(long, conflicts_with_all = ["host", "path", "tokens", "expect", "header"])]
    script: Option<PathBuf>,
    #[arg(long, default_value = "localhost")]
    host: String,
    #[arg(long, default_value = "/")]
    path: String,
    /// A file with a token on each line.
    #[arg(long, required_unless_present = "script")]
    tokens: Option<PathBuf>,
    #[arg(long, default_value_t = 200)]
    expect: u16,
    /// A further header line, whole; may be given again.
    #[arg(long)]
    header: Vec<String>,
    #[arg(long, default_value_t = 32)]
    connections: usize,
    /// Requests per second over all connections; with 0, as fast as answers come.
    #[arg(long)]
    rate: u64,
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Sends each request once, however long it takes.
    #[arg(long)]
    once: bool,
    /// A file for each answer other than the expected one, with its times and its request's number.
    #[arg(long)]
    unexpected: Option<PathBuf>,
}

fn scripted(path: &Path) -> Fallible<Vec<Request>> {
    let request = |line: &str| -> Fallible<Request> {
        let line: Value = serde_json::from_str(line)?;
        let text = line.get("request").and_then(Value::as_str).ok_or("a line without a request")?;
        let expect = line.get("expect").and_then(Value::as_u64).ok_or("a line without a status")?;
        let fresh = line.get("fresh").and_then(Value::as_bool).unwrap_or_default();
        Ok(Request { bytes: text.into(), expect: expect.try_into()?, fresh })
    };
    fs::read_to_string(path)?.lines().map(request).collect()
}

impl Course {
    fn requests(&self) -> Fallible<Vec<Request>> {
        if let Some(script) = &self.script {
            return scripted(script);
        }
        let Self { path, host, expect, .. } = self;
        let more: String = self.header.iter().map(|line| format!("{line}\r\n")).collect();
        let request = |token: &str| Request {
            bytes: format!(
                "GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n{more}\r\n"
            )
            .into_bytes(),
            expect: *expect,
            fresh: false,
        };
        let tokens = self.tokens.as_deref().ok_or("neither tokens nor a script")?;
        Ok(fs::read_to_string(tokens)?.lines().map(request).collect())
    }
}

fn main() -> Fallible<()> {
    match Arguments::parse().command {
        Command::Tokens(order) => order.carry_out(),
        Command::Drive(course) => {
            let Course { address, connections, rate, seconds, once, .. } = course;
            let plan = Plan { address, requests: course.requests()?, connections, rate, seconds, once };
            let (seen, unexpected) = drive(&plan)?;
            if let Some(path) = course.unexpected {
                let lines: String = unexpected.iter().map(|one| format!("{one}\n")).collect();
                fs::write(path, lines)?;
            }
            println!("{seen}");
            Ok(())
        }
    }
}
