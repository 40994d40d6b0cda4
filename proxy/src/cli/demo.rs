//! `portcullis demo`: the proxy, an identity issuer, an app and sample policies, all on loopback.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;

use super::terminal::{self, Failure};
use crate::demo::{Demo, Options};
use crate::server::{self, Companion, Process, Start};
use crate::state::State;

/// Where the demonstration listens and what it prints.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Where the proxy listens; port 0 picks a free one.
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Where metrics and health answer; port 0 picks a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    admin_listen: SocketAddr,
    /// Where the configuration files go; a fresh folder, removed at the end, when left out.
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
    /// Print addresses and requests as JSON, for scripts.
    #[arg(long)]
    json: bool,
}

/// Listens, and says where: the configuration names the port that the system gave for port 0. The socket is kept, for
/// whoever releases a port and binds it again may find it taken.
fn listen(address: SocketAddr, flag: &str) -> Result<(TcpListener, SocketAddr), Failure> {
    let bound = server::bind(address).and_then(|socket| socket.local_addr().map(|bound| (socket, bound)));
    bound.map_err(|problem| format!("cannot listen on {address}: {problem}; name another with {flag}").into())
}

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let process = Process::begin()?;
    let (front, proxy) = listen(arguments.listen, "--listen")?;
    let (back, admin) = listen(arguments.admin_listen, "--admin-listen")?;
    let (demo, _folder) = Demo::prepare(Options { proxy, admin, folder: arguments.dir.clone() })?;
    let demo = Arc::new(demo);
    let state = State::start(&demo.config())?;
    terminal::print(&if arguments.json { demo.json() } else { demo.text() });
    let companion: Companion = Box::new(move |shutdown| {
        let demo = Arc::clone(&demo);
        Box::pin(async move { demo.run(shutdown).await })
    });
    let start = Start { upgrade: false, sockets: vec![front, back], companion: Some(companion) };
    Ok(super::run::status(server::serve(process, state, start)?))
}
