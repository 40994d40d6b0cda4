//! A protected application: where it is reached, what it demands of a request, and what it receives.

use portcullis_policy::Openings;
use portcullis_policy::model::{AuthenticationContext, PathPattern};
use portcullis_policy::path::{Compare, PathCase, PathForms, is_below};

use super::certificates::ClientCertificates;
use super::clients::{Clients, Cors};
use super::health::Health;
use super::limits::Rate;
use super::listener::Hsts;
use super::session::SessionAuthorization;
use super::shaping::Shaping;
use super::upstream::{Balance, Retries, Timeouts, Upstream};

/// A protected application: how it is reached. Who may open it is in `policies.apps`.
#[derive(Clone, Debug)]
pub struct App {
    /// Its id.
    pub id: String,
    /// The name on the page.
    pub name: String,
    /// Host names, lower case, without port; at least one. `*.corp.example` is every name with one label more.
    pub hosts: Vec<String>,
    /// The path prefix in normal form, starting and not ending with `/`; `/` alone is everything.
    pub path_prefix: String,
    /// Parts of the app that ask for an authentication context: path prefix and context.
    pub contexts: Vec<(String, AuthenticationContext)>,
    /// How it takes the letter case of paths.
    pub paths: PathCase,
    /// Forms of paths that may reach it.
    pub allow_paths: PathForms,
    /// Its servers; at least one, and one of a weight.
    pub upstreams: Vec<Upstream>,
    /// Which of them takes a request.
    pub balance: Balance,
    /// How often a request may be sent anew.
    pub retries: Retries,
    /// Where the token is looked for.
    pub token: TokenPlaces,
    /// Issuers whose tokens are accepted, as positions in `Config::issuers`; at least one.
    pub issuers: Vec<usize>,
    /// Audiences of which a token must have one; `None` is any that its issuer is accepted with.
    pub audiences: Option<Vec<String>>,
    /// Where a browser without a token can sign in, at a place that is not ours.
    pub sign_in_url: Option<String>,
    /// Providers at which browsers sign in, as positions in `Config::providers`; empty: nobody signs in here.
    pub sign_in: Vec<usize>,
    /// Whether the fragment of a link outlives a sign-in.
    pub keep_fragment: bool,
    /// Whether its `Clear-Site-Data` may clear the cookies of its whole domain.
    pub clears_cookies: bool,
    /// Whether it receives a signed assertion of who asks.
    pub assertion: bool,
    /// What it receives as `Authorization` with requests on a session.
    pub session_authorization: SessionAuthorization,
    /// Identity headers for the app: name and what it carries.
    pub identity_headers: Vec<(String, IdentityValue)>,
    /// Whether an `Authorization` header that was verified reaches the app.
    pub forward_authorization: bool,
    /// Reserved headers that reach the app as any client sends them, lower case; see
    /// [`reserved`](crate::reserved).
    pub allow_headers: Vec<String>,
    /// Methods that are accepted; empty is any.
    pub methods: Vec<String>,
    /// Whether WebSocket upgrades pass.
    pub websocket: bool,
    /// Origins beside the app's own hosts whose pages may ask for it by script, and open a WebSocket with the user's
    /// cookie: `https://host` or `https://host:port`, lower case.
    pub allowed_origins: Vec<String>,
    /// How those pages may ask.
    pub cors: Cors,
    /// Which programs read its refusals.
    pub clients: Option<Clients>,
    /// Whether Microsoft Office opens its documents, which signs in by a dialog.
    pub office: bool,
    /// Upstream timeouts.
    pub timeouts: Timeouts,
    /// When a server of it is left out.
    pub health: Health,
    /// Largest request body, in bytes; that of the server if `None`.
    pub body_bytes_max: Option<u64>,
    /// The least that a client must send of a body, in bytes a second; 0 is no least.
    pub body_rate_min: u64,
    /// Requests of one address; `None` is without limit.
    pub rate: Option<Rate>,
    /// Requests of one person or program; `None` is without limit.
    pub rate_per_principal: Option<Rate>,
    /// Which certificates its clients must show; `None` does not ask for any.
    pub client_certificates: Option<ClientCertificates>,
    /// For how long browsers come by https alone; as the listener says if `None`.
    pub hsts: Option<Hsts>,
    /// What it opens to everybody.
    pub openings: Openings,
    /// What is changed of its requests and answers.
    pub shaping: Shaping,
}

/// The context that a path asks for: of the longest prefix that covers it. No allocation.
#[must_use]
pub fn context_of(
    contexts: &[(String, AuthenticationContext)],
    path: &str,
    compare: Compare,
) -> Option<AuthenticationContext> {
    let depth = |prefix: &str| prefix.bytes().filter(|byte| *byte == b'/').count();
    let covers = contexts.iter().filter(|(prefix, _)| is_below(path, prefix, compare));
    covers.max_by_key(|(prefix, _)| depth(prefix)).map(|(_, context)| *context)
}

/// Whether a configured host is this one, lower case: the same, or a wildcard for its first label.
#[must_use]
pub fn covers_host(configured: &str, host: &str) -> bool {
    match configured.strip_prefix("*.") {
        Some(rest) => host.split_once('.').is_some_and(|(first, above)| !first.is_empty() && above == rest),
        None => configured == host,
    }
}

impl App {
    /// Whether it may be asked for at this host, lower case. Another app may have the host by its exact name.
    #[must_use]
    pub fn has_host(&self, host: &str) -> bool {
        self.hosts.iter().any(|configured| covers_host(configured, host))
    }

    /// Whether a path, in normal form, is one of its own.
    #[must_use]
    pub fn has_path(&self, path: &str) -> bool {
        is_below(path, &self.path_prefix, self.paths.stricter())
    }

    /// Whether each of its paths is open to everybody.
    #[must_use]
    pub fn is_public(&self) -> bool {
        let is_whole = |pattern: &PathPattern| match pattern {
            PathPattern::Exact(_) => false,
            PathPattern::Subtree(base) => is_below(&self.path_prefix, base, self.paths.sparing()),
        };
        self.openings.paths.iter().any(is_whole)
    }

    /// The contexts that a path may ask for. Two where they turn on letter case, or on what some servers take for it,
    /// and the app is not known to distinguish case: the request is then judged under both.
    #[must_use]
    pub fn contexts_of(
        &self,
        path: &str,
    ) -> (Option<AuthenticationContext>, Option<Option<AuthenticationContext>>) {
        contexts_of(&self.contexts, self.paths, path)
    }
}

/// The same for these contexts of an app that takes letter case so.
#[must_use]
pub fn contexts_of(
    contexts: &[(String, AuthenticationContext)],
    case: PathCase,
    path: &str,
) -> (Option<AuthenticationContext>, Option<Option<AuthenticationContext>>) {
    if contexts.is_empty() {
        return (None, None);
    }
    let context = context_of(contexts, path, case.stricter());
    // What no case separates for certain may be two pages.
    let other = match case {
        PathCase::Unknown | PathCase::Insensitive => Some(context_of(contexts, path, case.sparing())),
        PathCase::Sensitive => None,
    };
    (context, other.filter(|other| *other != context))
}

/// Where the token is looked for, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenPlaces {
    /// `Authorization: Bearer`.
    pub bearer: bool,
    /// A cookie of this name; it never reaches the app.
    pub cookie: Option<String>,
    /// A header of this name; it never reaches the app.
    pub header: Option<String>,
}

/// What an identity header carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdentityValue {
    /// The user's id.
    UserId,
    /// The user's display name.
    UserName,
    /// Group ids, joined with commas.
    Groups,
    /// The device id.
    DeviceId,
    /// A claim of this name, if it is among the extra claims.
    Claim(String),
}
