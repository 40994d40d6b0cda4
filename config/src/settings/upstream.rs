//! The servers behind an app, and how long each step of a request to them may take.

use std::time::Duration;

use super::certificates::Authorities;

/// One upstream server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Server name to verify; `None` is plain HTTP, and a TLS upstream always has one.
    pub tls_name: Option<String>,
    /// Whose certificates count; the system's authorities if `None`.
    pub ca: Option<Authorities>,
}

/// Upstream timeouts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// To connect.
    pub connect: Duration,
    /// Between two reads.
    pub read: Duration,
    /// Between two writes.
    pub write: Duration,
    /// How long an idle upstream connection stays open.
    pub idle: Duration,
}
