//! `portcullis run`: serve a configuration until a signal ends it.

use std::path::PathBuf;

use clap::Args;

use super::terminal::Failure;
use crate::server::{self, Start};
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

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    server::prepare_process();
    let state = State::start(&arguments.config)?;
    server::serve(state, Start { upgrade: arguments.upgrade, companion: None })?;
    Ok(())
}
