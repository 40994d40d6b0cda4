//! SIGUSR2: a successor of the program that lies on disk now. systemd takes only a process of the service's own for the
//! service, so the process that serves starts it itself.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::{Command, ExitStatus};

use tokio::sync::oneshot;

/// Variables that speak of this process alone.
const OF_THIS_PROCESS: [&str; 5] =
    ["WATCHDOG_PID", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_FDS_FIRST_FD"];

/// A successor that was started here.
#[derive(Debug)]
pub(super) struct Spawned {
    pub(super) pid: u32,
    end: oneshot::Receiver<io::Result<ExitStatus>>,
}

/// Starts it: the same program, the same arguments, and `--upgrade`.
///
/// # Errors
/// When there is no such program, or when this is the first process of a container.
pub(super) fn spawn(program: Option<&PathBuf>) -> io::Result<Spawned> {
    if std::process::id() == 1 {
        return Err(io::Error::other("the container ends with this process; replace the container"));
    }
    let program =
        program.ok_or_else(|| io::Error::other("this process does not know where its program lies"))?;
    let mut arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    if !arguments.iter().any(|argument| argument == "--upgrade") {
        arguments.push("--upgrade".into());
    }
    let mut command = Command::new(program);
    command.args(arguments);
    for name in OF_THIS_PROCESS {
        command.env_remove(name);
    }
    let mut child = command.spawn()?;
    let pid = child.id();
    let (ended, end) = oneshot::channel();
    std::thread::Builder::new().name("successor".to_owned()).spawn(move || {
        // Nobody asks any more once it serves.
        let _ = ended.send(child.wait());
    })?;
    Ok(Spawned { pid, end })
}

/// How it ended. Never, where there is none.
pub(super) async fn ended(spawned: &mut Option<Spawned>) -> String {
    match spawned {
        None => std::future::pending().await,
        Some(spawned) => match (&mut spawned.end).await {
            Ok(Ok(status)) => status.to_string(),
            Ok(Err(problem)) => problem.to_string(),
            Err(_) => "nobody knows how".to_owned(),
        },
    }
}
