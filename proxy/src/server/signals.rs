//! Signals, and what they mean. All are caught from the first moment on: the kernel gives the first process of a
//! container no signal that it does not catch.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// SIGTERM: what is under way may finish.
    Finish,
    /// SIGINT: end at once.
    End,
    /// SIGHUP: read the configuration anew.
    Reload,
    /// SIGUSR2: start a successor from the program on disk, and hand over to it.
    Upgrade,
    /// SIGQUIT: nothing. It once asked to hand over to a successor; whoever still sends it must not end the service.
    Nothing,
}

/// The signals that are caught.
#[derive(Debug)]
pub(super) struct Signals {
    finish: Signal,
    end: Signal,
    reload: Signal,
    upgrade: Signal,
    nothing: Signal,
}

impl Signals {
    /// Catches them. Needs a runtime.
    ///
    /// # Errors
    /// When the system refuses.
    pub(super) fn catch() -> io::Result<Self> {
        Ok(Self {
            finish: signal(SignalKind::terminate())?,
            end: signal(SignalKind::interrupt())?,
            reload: signal(SignalKind::hangup())?,
            upgrade: signal(SignalKind::user_defined2())?,
            nothing: signal(SignalKind::quit())?,
        })
    }

    /// The next one. Cancel safe.
    pub(super) async fn next(&mut self) -> Wish {
        tokio::select! {
            biased;
            _ = self.end.recv() => Wish::End,
            _ = self.finish.recv() => Wish::Finish,
            _ = self.upgrade.recv() => Wish::Upgrade,
            _ = self.reload.recv() => Wish::Reload,
            _ = self.nothing.recv() => Wish::Nothing,
        }
    }
}
