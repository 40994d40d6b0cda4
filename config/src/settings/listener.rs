//! Where clients connect, and the TLS that they are served with.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use portcullis_policy::words;

/// A public listener.
#[derive(Clone, Debug)]
pub struct Listener {
    /// Where it listens.
    pub address: SocketAddr,
    /// Certificates and keys; `None` is plain HTTP.
    pub tls: Option<ListenerTls>,
    /// The port that clients connect to, where it is another than that of `address`.
    pub public_port: Option<u16>,
    /// Networks whose connections begin with a PROXY header; none of others does.
    pub proxy_protocol_from: Vec<IpNet>,
    /// Whether requests are sent to https, and none is let in. Of plain listeners alone.
    pub redirect_to_https: bool,
    /// For how long browsers come by https alone; an app may say otherwise for its hosts.
    pub hsts: Option<Hsts>,
    /// Another proxy asks here whether to let requests in; `None`: clients come here themselves.
    pub forward_auth: Option<ForwardAuth>,
    /// A path that is answered here, for whatever host.
    pub health_path: Option<String>,
}

/// Another proxy that asks, request by request, before it lets in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardAuth {
    /// How it asks.
    pub protocol: ForwardAuthProtocol,
    /// Networks from which it asks; at least one. Nobody else's description of a request counts.
    pub peers: Vec<IpNet>,
}

words! {
    /// How a proxy asks whether to let a request in.
    pub enum ForwardAuthProtocol {
        /// nginx `auth_request`, Caddy `forward_auth`, Traefik ForwardAuth.
        Http = "http",
        /// Envoy's `ext_authz` over HTTP.
        ExtAuthzHttp = "ext-authz-http",
        /// Envoy's `ext_authz` over gRPC.
        ExtAuthzGrpc = "ext-authz-grpc",
    }
}

/// What a listener serves TLS with.
#[derive(Clone, Debug)]
pub struct ListenerTls {
    /// Certificates with their keys; at least one. The first serves names that none is for.
    pub pairs: Vec<CertificatePair>,
    /// Keys that seal session tickets: the first seals, each opens. Empty: keys of the process alone.
    pub ticket_keys: Vec<TicketKey>,
}

/// Certificate chain and private key, as PEM files that were seen to be readable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificatePair {
    /// Certificate chain.
    pub certificate: PathBuf,
    /// Private key.
    pub key: PathBuf,
}

/// What session tickets are sealed with.
#[derive(Clone, PartialEq, Eq)]
pub struct TicketKey(pub [u8; 80]);

impl std::fmt::Debug for TicketKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TicketKey(…)")
    }
}

/// HTTP Strict Transport Security (RFC 6797).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hsts {
    /// How long browsers remember it.
    pub max_age: Duration,
    /// Whether it holds for names below the host.
    pub include_subdomains: bool,
}
