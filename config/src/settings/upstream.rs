//! The servers behind an app, which of them takes a request, and how long each step of a request to them may take.

use std::fmt;
use std::time::Duration;

use portcullis_policy::words;

use super::certificates::Authorities;
use super::listener::CertificatePair;

/// One upstream server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// Where it listens.
    pub at: UpstreamAddress,
    /// Its share of the requests, beside the weights of the app's other servers. One of weight 0 takes only requests
    /// whose cookie names it.
    pub weight: u16,
    /// What it speaks.
    pub protocol: UpstreamProtocol,
    /// How its certificate is checked; `None` is without TLS.
    pub tls: Option<UpstreamTls>,
}

impl Upstream {
    /// The server name that its certificate must carry; `None` without TLS.
    #[must_use]
    pub fn tls_name(&self) -> Option<&str> {
        self.tls.as_ref().map(|tls| tls.name.as_str())
    }

    /// Its host as its own clients write it (RFC 9110, section 7.2), lower case: with its port, unless that is the
    /// scheme's own.
    #[must_use]
    pub fn authority(&self) -> String {
        // A socket has no name; servers behind one are asked for this machine.
        let UpstreamAddress::Network { host, port } = &self.at else { return "localhost".to_owned() };
        let host = host.to_ascii_lowercase();
        let host = if host.contains(':') { format!("[{host}]") } else { host };
        let usual = if self.tls.is_some() { 443 } else { 80 };
        if *port == usual { host } else { format!("{host}:{port}") }
    }
}

/// Where a server listens. Its text names the server in metrics and logs.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum UpstreamAddress {
    /// On a port of a host.
    Network {
        /// Host name or address.
        host: String,
        /// Port.
        port: u16,
    },
    /// On a socket of this machine, at an absolute path.
    Unix(String),
}

impl fmt::Display for UpstreamAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Network { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{path}"),
        }
    }
}

words! {
    /// What a server speaks.
    pub enum UpstreamProtocol {
        /// HTTP/1.1.
        Http1 = "http/1.1",
        /// HTTP/2 and nothing else; without TLS by prior knowledge (RFC 9113, section 3.3).
        Http2 = "h2",
        /// Whichever of both the server chooses in the handshake of TLS, HTTP/2 if it has that.
        Auto = "auto",
    }
}

/// How a TLS server and we prove ourselves to each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamTls {
    /// The server name to verify; never empty.
    pub name: String,
    /// Whose certificates count; the system's authorities if `None`.
    pub ca: Option<Authorities>,
    /// What we show to a server that asks who we are.
    pub client: Option<CertificatePair>,
}

/// Which server of an app takes a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Balance {
    /// Each in turn, as often as its weight says.
    RoundRobin,
    /// The one with the fewest requests under way for its weight.
    LeastRequests,
    /// The one that the key of the request falls to, for as long as it is there; without a key as `LeastRequests`.
    ConsistentHash(HashKey),
    /// The one that a sealed cookie names; without one as `LeastRequests`.
    Sticky {
        /// How long browsers keep the cookie; until they are closed if `None`.
        life: Option<Duration>,
    },
}

words! {
    /// The policies of `[app.balance]`.
    pub enum BalancePolicy {
        /// [`Balance::RoundRobin`].
        RoundRobin = "round-robin",
        /// [`Balance::LeastRequests`].
        LeastRequests = "least-requests",
        /// [`Balance::ConsistentHash`].
        ConsistentHash = "consistent-hash",
        /// [`Balance::Sticky`].
        Sticky = "sticky",
    }
}

/// What of a request decides which server it falls to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HashKey {
    /// The user, or the program.
    Principal,
    /// The client's address.
    Address,
    /// The cookie of this name.
    Cookie(String),
    /// The header of this name, lower case.
    Header(String),
}

/// How often a request may be sent anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retries {
    /// How often it is sent at most, the first time among them; at least once.
    pub attempts: u8,
    /// How many retries there may be for a hundred requests of the app.
    pub budget_percent: u8,
}

/// Upstream timeouts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// To connect.
    pub connect: Duration,
    /// From the end of the request, or from the last that the server took of it, to the head of the answer.
    pub first_byte: Duration,
    /// Between two reads.
    pub read: Duration,
    /// Between two writes.
    pub write: Duration,
    /// How long a stream (a WebSocket, server-sent events, gRPC) may stay silent in both directions.
    pub stream_idle: Duration,
    /// How long an idle upstream connection stays open.
    pub idle: Duration,
    /// How long a request may take altogether, streams apart; as long as it likes if absent.
    pub total: Option<Duration>,
}
