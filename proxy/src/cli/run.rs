//! `portcullis run`: serve a configuration until a signal ends it.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::terminal::Failure;
use crate::server::{self, End, Process, Start};
use crate::state::State;

/// What to serve.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The main configuration file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Take the listening sockets over from the process that serves now, without refusing one
    /// connection, and ask it to finish.
    #[arg(long)]
    upgrade: bool,
}

/// Exit status when `grace` ended before everything was finished.
const CUT: u8 = 3;

/// The exit status of a process that has served.
pub(super) fn status(end: End) -> ExitCode {
    match end {
        End::Finished => ExitCode::SUCCESS,
        End::Cut => ExitCode::from(CUT),
    }
}

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let process = Process::begin()?;
    let state = State::start(&arguments.config)?;
    Ok(status(server::serve(
        process,
        state,
        Start { upgrade: arguments.upgrade, sockets: Vec::new(), companion: None },
    )?))
}
