//! Settings of the process, and which proxies stand in front of it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use portcullis_policy::words;

use super::limits::Limits;
use super::listener::Listener;
use super::log::{DecisionLog, ProcessLog, Subject};
use super::secret::Secret;

/// Process-wide settings.
#[derive(Clone, Debug)]
pub struct Server {
    /// Public listeners; at least one.
    pub listeners: Vec<Listener>,
    /// Where metrics and health answer; never on a public listener.
    pub admin: SocketAddr,
    /// Whether refusals can be looked up there, and by whom.
    pub help_desk: Option<HelpDesk>,
    /// Worker threads; `None` is one per core.
    pub threads: Option<usize>,
    /// How long open requests may take after a stop was requested.
    pub grace: Duration,
    /// How long it still accepts after a stop was asked for.
    pub pre_stop_delay: Duration,
    /// Where a successor asks for the listening sockets.
    pub upgrade_socket: PathBuf,
    /// File with the process id.
    pub pid_file: PathBuf,
    /// How long a client connection stays open that sends no request, or takes nothing of an answer.
    pub client_idle: Duration,
    /// The most idle upstream connections held.
    pub upstream_pool: usize,
    /// Largest request body, in bytes, of apps that say nothing.
    pub body_bytes_max: u64,
    /// What no address may exceed.
    pub limits: Limits,
    /// Where decisions are logged.
    pub decision_log: DecisionLog,
    /// How the decision log names people.
    pub decision_subject: Subject,
    /// How the process' own messages are written.
    pub process_log: ProcessLog,
}

/// The help desk on the admin listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HelpDesk {
    /// What whoever asks proves itself by.
    pub token: Secret,
}

/// Who may name the client's address, and how.
#[derive(Clone, Debug)]
pub struct TrustedProxies {
    /// Networks of trusted peers.
    pub networks: Vec<IpNet>,
    /// The header they use.
    pub header: ForwardedHeader,
}

words! {
    /// The header that names the client's address.
    pub enum ForwardedHeader {
        /// `X-Forwarded-For`
        XForwardedFor = "x-forwarded-for",
        /// `Forwarded`, RFC 7239
        Forwarded = "forwarded",
    }
}

impl Server {
    /// The keys of `[server]` that only a restart can change, each with its value as text.
    pub(super) fn restart_values(&self) -> [(&'static str, String); 11] {
        // Certificates, and what else a listener says, serve at once.
        let addresses: Vec<_> = self.listeners.iter().map(|listener| listener.address).collect();
        [
            ("listeners", format!("{addresses:?}")),
            ("admin", format!("{:?}", self.admin)),
            ("threads", format!("{:?}", self.threads)),
            ("grace", format!("{:?}", self.grace)),
            ("pre-stop-delay", format!("{:?}", self.pre_stop_delay)),
            ("upstream-pool", format!("{:?}", self.upstream_pool)),
            ("limits.connections", format!("{:?}", self.limits.connections)),
            ("decision-log", format!("{:?}", self.decision_log)),
            ("process-log", format!("{:?}", self.process_log)),
            ("pid-file", format!("{:?}", self.pid_file)),
            ("upgrade-socket", format!("{:?}", self.upgrade_socket)),
        ]
    }
}
