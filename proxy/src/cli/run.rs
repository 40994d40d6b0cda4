//! `portcullis run`: serve a configuration until a signal ends it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::terminal::Failure;
use crate::server::{self, End, Process, ServeError, Start};
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
    let start = Start { upgrade: arguments.upgrade, sockets: Vec::new(), companion: None };
    server::serve(process, state, start).map(status).map_err(|problem| placed(&arguments.config, &problem))
}

/// What is wrong, and where the address stands that cannot be listened on: there may be several in several files.
fn placed(config: &Path, problem: &ServeError) -> Failure {
    if let ServeError::Listen { address, .. } = problem {
        let sources = portcullis_config::load(config).sources;
        if let Some((file, span)) = sources.find_value(&[address]) {
            return format!("{problem}\n  --> {}", sources.place(file, span.start)).into();
        }
    }
    problem.to_string().into()
}
