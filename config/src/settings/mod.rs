//! A checked configuration: what the proxy runs on. Every value is parsed, every reference holds.

mod app;
mod certificates;
mod claims;
mod clients;
mod denial;
mod dns;
mod geo;
mod health;
mod issuer;
mod limits;
mod listener;
mod log;
mod provider;
mod secret;
mod server;
mod session;
mod shaping;
mod upstream;

use std::path::PathBuf;

use portcullis_policy::PolicySet;

pub use app::{App, IdentityValue, TokenPlaces, context_of, contexts_of, covers_host};
pub use certificates::{Authorities, ClientCertificates, ClientDemand, RevocationLists};
pub use claims::{Claims, ListSeparator, claim_label, claim_path, claim_path_names};
pub use clients::{Clients, Cors};
pub use denial::{
    AppDenial, Denial, Disclosure, FullTo, LANGUAGES, PolicyDenial, SupportKey, TEMPLATE_HOLES,
};
pub use dns::Dns;
pub use geo::Geo;
pub use health::{CheckMethod, Health, HealthCheck, Statuses};
pub use issuer::{Issuer, KeySource};
pub use limits::{Limits, Rate};
pub use listener::{
    CertificatePair, ForwardAuth, ForwardAuthProtocol, Hsts, Listener, ListenerTls, TicketKey,
};
pub use log::{AccessFormat, AccessLog, DecisionLog, LogSink, ProcessLog, Subject, SyslogTarget};
pub use provider::{ClientAuthentication, Provider, PushedAuthorization, SecretMethod};
pub use secret::{SealKey, Secret, SigningKey};
pub use server::{ForwardedHeader, HelpDesk, Server, TrustedProxies};
pub use session::{
    Assertion, OWN_COOKIES, OWN_PATHS, SessionAuthorization, SessionSettings, SessionStore, is_own_cookie,
    is_provider_name,
};
pub use shaping::{FieldChanges, FieldValue, OwnAnswer, Shaping, UpstreamHost};
pub use upstream::{
    Balance, BalancePolicy, HashKey, Retries, Timeouts, Upstream, UpstreamAddress, UpstreamProtocol,
    UpstreamTls,
};

/// A whole configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// Process-wide settings; a change of these needs a restart.
    pub server: Server,
    /// Networks whose peers may name the client's address by header. Empty: nobody.
    pub trusted_proxies: TrustedProxies,
    /// Token issuers.
    pub issuers: Vec<Issuer>,
    /// OpenID providers.
    pub providers: Vec<Provider>,
    /// Sessions; there is one wherever an app has a sign-in.
    pub session: Option<SessionSettings>,
    /// One host at which browsers sign in for all apps, lower case; each app's own host if `None`.
    pub sign_in_host: Option<String>,
    /// The assertion that apps receive; there is one wherever an app asks for it.
    pub assertion: Option<Assertion>,
    /// Applications, in the order of `policies.apps`: `apps[i]` is `AppIndex(i)`.
    pub apps: Vec<App>,
    /// How names of apps' servers become addresses.
    pub dns: Dns,
    /// The country database.
    pub geo: Option<Geo>,
    /// Denial page and branding.
    pub denial: Denial,
    /// Apps, locations, strengths, evidence and policies for the engine.
    pub policies: PolicySet,
    /// Where each policy is written, as `file:line:column`, in the order of `policies.policies`.
    pub policy_places: Vec<String>,
    /// Every file that was read, to be watched.
    pub files: Vec<PathBuf>,
}

/// The values of the keys that only a restart can change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestartValues(Vec<(&'static str, String)>);

impl Config {
    /// What a process keeps until it ends, whatever files say meanwhile.
    #[must_use]
    pub fn restart_values(&self) -> RestartValues {
        let session = SessionSettings::restart_values(self.session.as_ref());
        RestartValues(self.server.restart_values().into_iter().chain(session).collect())
    }
}

impl RestartValues {
    /// The keys in which they differ from others.
    #[must_use]
    pub fn differing(&self, others: &Self) -> Vec<&'static str> {
        let pairs = self.0.iter().zip(&others.0);
        pairs.filter(|(here, there)| here != there).map(|((key, _), _)| *key).collect()
    }
}
