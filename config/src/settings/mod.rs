//! A checked configuration: what the proxy runs on. Every value is parsed, every reference holds.

mod app;
mod certificates;
mod claims;
mod denial;
mod geo;
mod issuer;
mod limits;
mod listener;
mod log;
mod server;
mod upstream;

use std::path::PathBuf;

use portcullis_policy::PolicySet;

pub use app::{App, IdentityValue, TokenPlaces, context_of, contexts_of};
pub use certificates::{Authorities, ClientCertificates, ClientDemand, RevocationLists};
pub use claims::{Claims, ListSeparator, claim_label, claim_path, claim_path_names};
pub use denial::{
    AppDenial, Denial, Disclosure, FullTo, LANGUAGES, PolicyDenial, SupportKey, TEMPLATE_HOLES,
};
pub use geo::Geo;
pub use issuer::{Issuer, KeySource};
pub use limits::{Limits, Rate};
pub use listener::{CertificatePair, Hsts, Listener, ListenerTls, TicketKey};
pub use log::{AccessFormat, AccessLog, DecisionLog, LogSink, ProcessLog, Subject, SyslogTarget};
pub use server::{ForwardedHeader, Server, TrustedProxies};
pub use upstream::{Timeouts, Upstream};

/// A whole configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// Process-wide settings; a change of these needs a restart.
    pub server: Server,
    /// Networks whose peers may name the client's address by header. Empty: nobody.
    pub trusted_proxies: TrustedProxies,
    /// Token issuers.
    pub issuers: Vec<Issuer>,
    /// Applications, in the order of `policies.apps`: `apps[i]` is `AppIndex(i)`.
    pub apps: Vec<App>,
    /// The country database.
    pub geo: Option<Geo>,
    /// Denial page and branding.
    pub denial: Denial,
    /// Apps, locations, strengths, evidence and policies for the engine.
    pub policies: PolicySet,
    /// Every file that was read, to be watched.
    pub files: Vec<PathBuf>,
}
