//! How a process ends, and why it could not serve.

use crate::session::storage::StorageProblem;

/// How the process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Everything that was under way is finished, or nobody wanted that.
    Finished,
    /// What took longer than `grace`, or than the patience of whoever sent a second signal, was cut.
    Cut,
}

/// Why the process could not serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The process that serves now does not hand over.
    #[error("no hand-over: {0}")]
    Predecessor(String),
    /// The machine lacks what is needed.
    #[error("{0}")]
    Impossible(String),
    /// The system refuses threads or signals.
    #[error("the system refuses: {0}")]
    System(#[from] std::io::Error),
    /// The session store cannot be used.
    #[error("{0}")]
    Sessions(#[from] StorageProblem),
    /// A socket that was handed over cannot be used.
    #[error("{0}")]
    Inherited(String),
    /// The process id cannot be written.
    #[error("the process id cannot be written to {0}: {1}")]
    PidFile(String, std::io::Error),
    /// No successor could ask for the sockets.
    #[error("the upgrade socket {0} cannot be opened: {1}")]
    UpgradeSocket(String, std::io::Error),
    /// A TLS listener's files are no good.
    #[error("TLS for {address}: {problem}")]
    Tls {
        /// The listener.
        address: String,
        /// What is wrong.
        problem: String,
    },
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {problem}")]
    Listen {
        /// The listener.
        address: String,
        /// What is wrong.
        problem: std::io::Error,
    },
}
