//! What must be done before the first thread and the first second: signals, sockets of systemd, and where the program
//! lies.

use std::path::PathBuf;

use tokio::runtime::{Builder, Runtime};

use super::error::ServeError;
use super::signals::Signals;
use super::sockets::Inherited;
use crate::process_log;

/// Installs the one crypto library and the log, both before anything else.
pub fn prepare_process() {
    // A second call finds it installed already, which is as good.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
    process_log::install();
}

/// A process that is going to serve.
#[derive(Debug)]
pub struct Process {
    /// Where the program lies: after an update another one lies there, and this process' own has no name any more.
    pub(super) program: Option<PathBuf>,
    /// For signals and the hand-over; on the caller's thread.
    pub(super) runtime: Runtime,
    pub(super) signals: Signals,
    pub(super) inherited: Inherited,
}

impl Process {
    /// Call it first of all, and once.
    ///
    /// # Errors
    /// When the system refuses, or systemd passed something that is no listening socket.
    pub fn begin() -> Result<Self, ServeError> {
        // Before there are threads, for it changes the environment.
        let inherited = Inherited::from_systemd()?;
        prepare_process();
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let signals = {
            let _in_runtime = runtime.enter();
            Signals::catch()?
        };
        Ok(Self { program: std::env::current_exe().ok(), runtime, signals, inherited })
    }
}
