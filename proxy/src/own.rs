//! Requests that Portcullis answers itself: its own paths, and navigations that need a sign-in first.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use ahash::RandomState;
use aws_lc_rs::digest::{Context, SHA256};
use http::Method;
use http::header::{ACCEPT, AUTHORIZATION, HeaderName};
use portcullis_config::Config;
use portcullis_config::settings::{OWN_PATHS, is_provider_name};
use portcullis_policy::signals::{AppIndex, RequestId};

use crate::admit::{AdmittedRequest, Site};
use crate::denial::RequestHints;
use crate::session::{DemandDigest, Session};

/// The largest body of a request to one of our own paths, in bytes.
pub const OWN_BODY_BYTES_MAX: usize = 64 * 1024;

/// What is to be answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Own {
    /// A path of ours, on a host that has it.
    Path(OwnPath),
    /// A navigation to an app that needs a sign-in first.
    SignIn {
        /// The app.
        app: AppIndex,
        /// What the sign-in has to bring.
        demand: Demand,
        /// Why.
        cause: SignInCause,
    },
    /// A form that a browser sent to an app without a session. It is never kept, and never sent again.
    FormNotSent {
        /// The app.
        app: AppIndex,
    },
}

/// A path of ours. Each has its own methods; see [`OwnPath::takes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnPath {
    /// `sign-in`: begins a sign-in.
    SignIn,
    /// `callback/NAME`: where the provider at this position sends the browser back to; a name that no provider has is
    /// answered as one that has, or strangers would learn which there are.
    Callback(Option<usize>),
    /// `hand-over`: where the sign-in host sends the browser back to.
    HandOver,
    /// `sign-out`: asks, and with POST ends the session.
    SignOut,
    /// `signed-out`: where a sign-out ends.
    SignedOut,
    /// `logout/backchannel`: a provider says that a session ended.
    BackChannelLogout,
    /// `logout/frontchannel`: the same through the browser.
    FrontChannelLogout,
    /// `me`: what is known of the user.
    Me,
    /// `keys`: the keys that sign assertions to apps.
    Keys,
    /// `probe`: what a request for an app would be answered now.
    Probe,
    /// `refusal/LINK`: the page of a refusal whose answer went to a script.
    Refusal,
}

impl OwnPath {
    /// The path that is written so, byte for byte; `provider` gives the position of one by its name.
    #[must_use]
    pub fn named(path: &str, provider: impl FnOnce(&str) -> Option<usize>) -> Option<Self> {
        let name = path.strip_prefix(OWN_PATHS)?.strip_prefix('/')?;
        Some(match name {
            "sign-in" => Self::SignIn,
            "hand-over" => Self::HandOver,
            "sign-out" => Self::SignOut,
            "signed-out" => Self::SignedOut,
            "logout/backchannel" => Self::BackChannelLogout,
            "logout/frontchannel" => Self::FrontChannelLogout,
            "me" => Self::Me,
            "keys" => Self::Keys,
            "probe" => Self::Probe,
            _ if name.starts_with("refusal/") => Self::Refusal,
            _ => {
                let name = name.strip_prefix("callback/").filter(|name| is_provider_name(name))?;
                Self::Callback(provider(name))
            }
        })
    }

    /// Whether it takes this method. No other is answered, `OPTIONS` neither.
    #[must_use]
    pub fn takes(self, method: &Method) -> bool {
        match self {
            Self::SignIn
            | Self::Callback(_)
            | Self::HandOver
            | Self::FrontChannelLogout
            | Self::Probe
            | Self::Refusal => *method == Method::GET,
            Self::SignOut => *method == Method::GET || *method == Method::POST,
            Self::BackChannelLogout => *method == Method::POST,
            Self::SignedOut | Self::Me | Self::Keys => *method == Method::GET || *method == Method::HEAD,
        }
    }

    /// Who may ask for it.
    #[must_use]
    pub const fn is_for(self) -> Askers {
        match self {
            Self::SignIn | Self::Callback(_) | Self::HandOver | Self::Refusal => Askers::Navigations,
            Self::SignOut | Self::SignedOut | Self::Me | Self::Probe => Askers::OwnPages,
            Self::BackChannelLogout | Self::FrontChannelLogout | Self::Keys => Askers::Everybody,
        }
    }

    /// Whether its answer depends on the session of the browser.
    #[must_use]
    pub const fn needs_session(self) -> bool {
        match self {
            Self::SignIn
            | Self::Callback(_)
            | Self::HandOver
            | Self::SignOut
            | Self::Me
            | Self::Probe
            | Self::Refusal => true,
            Self::SignedOut | Self::BackChannelLogout | Self::FrontChannelLogout | Self::Keys => false,
        }
    }
}

/// Who may ask for a path of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Askers {
    /// A person who opens it in a window or tab, from wherever.
    Navigations,
    /// Pages of the same origin, and a person who opens it.
    OwnPages,
    /// Anybody: what it says or takes is public, or signed.
    Everybody,
}

/// The hosts that have paths of ours.
#[derive(Debug, Default)]
pub struct OwnHosts {
    /// Exact names and wildcards.
    hosts: HashMap<String, Option<AppIndex>, RandomState>,
    /// Exact names of apps that have no paths of ours: no wildcard is for them.
    without: HashSet<String, RandomState>,
}

impl OwnHosts {
    /// Those of apps with a sign-in or an assertion, and the sign-in host.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let mut hosts: HashMap<String, Option<AppIndex>, RandomState> = HashMap::default();
        let mut without: HashSet<String, RandomState> = HashSet::default();
        for (app, position) in config.apps.iter().zip(0_u32..) {
            if app.sign_in.is_empty() && !app.assertion {
                without.extend(app.hosts.iter().cloned());
                continue;
            }
            for host in &app.hosts {
                let is_only = config.apps.iter().filter(|other| other.hosts.contains(host)).count() == 1;
                hosts.insert(host.clone(), is_only.then_some(AppIndex(position)));
            }
        }
        if let Some(host) = &config.sign_in_host {
            hosts.entry(host.clone()).or_insert(None);
        }
        Self { hosts, without }
    }

    /// Whether a host has them, and the app that has the host for itself.
    #[must_use]
    pub fn get(&self, host: &str) -> Option<Option<AppIndex>> {
        let wildcard = || {
            let (_, rest) = host.split_once('.').filter(|_| !self.without.contains(host))?;
            self.hosts.get(&format!("*.{rest}"))
        };
        self.hosts.get(host).or_else(wildcard).copied()
    }
}

/// Why a navigation needs a sign-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignInCause {
    /// The browser has no session of this host.
    NoSession,
    /// It has one that is over.
    Expired,
    /// Policies ask for more than the session's sign-in brought.
    StepUp,
}

/// What a sign-in has to bring (OpenID Connect Core 1.0, section 3.1.2.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Demand {
    /// How long ago the user may have signed in, in seconds.
    pub max_age_secs: Option<u64>,
    /// `acr` values of which one is enough, the preferred one first.
    pub acr_values: Vec<String>,
    /// Authentication contexts of which one is enough, the preferred one first.
    pub contexts: Vec<String>,
    /// What the provider is to ask the user.
    pub prompt: Option<Prompt>,
}

/// What a provider is to ask the user, whatever it remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prompt {
    /// To sign in again.
    Login,
    /// Which account to use.
    SelectAccount,
}

impl Demand {
    /// Whether it asks for nothing but somebody.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        *self == Self::default()
    }

    /// What distinguishes it from others.
    #[must_use]
    pub fn digest(&self) -> DemandDigest {
        let mut context = Context::new(&SHA256);
        let mut text = |text: &str| {
            context.update(&text.len().to_le_bytes());
            context.update(text.as_bytes());
        };
        text(&self.max_age_secs.map(|secs| secs.to_string()).unwrap_or_default());
        text(&self.acr_values.len().to_string());
        self.acr_values.iter().chain(&self.contexts).for_each(|value| text(value));
        text(match self.prompt {
            None => "",
            Some(Prompt::Login) => "login",
            Some(Prompt::SelectAccount) => "select_account",
        });
        DemandDigest(context.finish().as_ref().first_chunk().copied().unwrap_or_default())
    }
}

/// What a browser is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Navigation {
    /// A person opens a page in a window or tab (GET).
    Page,
    /// A person sends a form, whose answer would be the page.
    Form,
    /// Anything else: a script, a part of a page, a frame, a program.
    None,
}

const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");
const SEC_PURPOSE: HeaderName = HeaderName::from_static("sec-purpose");
const PURPOSE: HeaderName = HeaderName::from_static("purpose");
const X_REQUESTED_WITH: HeaderName = HeaderName::from_static("x-requested-with");

impl Navigation {
    /// What a request says of it (Fetch Metadata Request Headers, sections 2.1 and 2.2); browsers that do not say so
    /// ask for `text/html`.
    #[must_use]
    pub fn of(request: &AdmittedRequest<'_>) -> Self {
        let is = |name: &HeaderName, word: &str| {
            request.header(name).is_some_and(|value| value.trim().eq_ignore_ascii_case(word))
        };
        let states_fetch = request.has(&SEC_FETCH_MODE) || request.has(&SEC_FETCH_DEST);
        let is_page = if states_fetch {
            is(&SEC_FETCH_MODE, "navigate") && is(&SEC_FETCH_DEST, "document")
        } else {
            request.header(&ACCEPT).is_some_and(names_html) && !request.has(&X_REQUESTED_WITH)
        };
        // What is fetched before anybody asked for it is no person's navigation.
        let is_ahead = request.has(&SEC_PURPOSE) || request.has(&PURPOSE);
        let is_scripted = request.has(&AUTHORIZATION) || request.is_websocket();
        match request.method() {
            _ if !is_page || is_ahead || is_scripted => Self::None,
            "GET" => Self::Page,
            "POST" => Self::Form,
            _ => Self::None,
        }
    }
}

/// Whether `Accept` names HTML, and wants it.
fn names_html(accept: &str) -> bool {
    accept.split(',').any(|range| {
        let (kind, parameters) = range.split_once(';').unwrap_or((range, ""));
        let is_none =
            parameters.split(';').any(|one| matches!(one.trim(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000"));
        kind.trim().eq_ignore_ascii_case("text/html") && !is_none
    })
}

/// A request of ours to answer. It owns what it needs: what answers it may wait.
#[derive(Clone, Debug)]
pub struct OwnRequest {
    /// What is asked.
    pub what: Own,
    /// The app, if the host has one alone, or the path of the request is an app's.
    pub app: Option<AppIndex>,
    /// The host, lower case, without port.
    pub host: String,
    /// Scheme and port under which the client asked.
    pub site: Site,
    /// The method.
    pub method: Method,
    /// Path and query, as received.
    pub target: String,
    /// The cookies that are ours, as received: name and value, in their order. A name may come twice.
    pub cookies: Vec<(String, String)>,
    /// The client's address; `None` when the trusted proxies do not know it.
    pub client: Option<IpAddr>,
    /// `Origin`, if it was sent once and is text.
    pub origin: Option<String>,
    /// `Content-Type`, the same.
    pub content_type: Option<String>,
    /// What the browser is doing.
    pub navigation: Navigation,
    /// What the answer's form depends on.
    pub hints: OwnHints,
    /// The session of the host, if there is a good one.
    pub session: Option<Arc<Session>>,
    /// The request's id.
    pub request_id: RequestId,
    /// Unix milliseconds.
    pub now_unix_ms: i64,
}

impl OwnRequest {
    /// The time of the request, in Unix seconds.
    #[must_use]
    pub const fn now(&self) -> i64 {
        self.now_unix_ms.div_euclid(1_000)
    }

    /// The path, without the query.
    #[must_use]
    pub fn path(&self) -> &str {
        self.target.split_once('?').map_or(&self.target, |(path, _)| path)
    }

    /// What follows the path.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.target.split_once('?').map(|(_, query)| query)
    }

    /// The values of a cookie of ours.
    pub fn cookies_named<'r>(&'r self, name: &'r str) -> impl Iterator<Item = &'r str> {
        self.cookies.iter().filter(move |(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// What the answer's form depends on.
    #[must_use]
    pub fn hints(&self) -> RequestHints<'_> {
        let hints = &self.hints;
        RequestHints {
            method: self.method.as_str(),
            is_upgrade: hints.is_upgrade,
            accept: hints.accept.as_deref(),
            query: self.query(),
            accept_language: hints.accept_language.as_deref(),
            sec_fetch_mode: hints.sec_fetch_mode.as_deref(),
            sec_fetch_dest: hints.sec_fetch_dest.as_deref(),
            x_requested_with: hints.x_requested_with.as_deref(),
            hx_request: hints.hx_request,
            content_type: self.content_type.as_deref(),
            user_agent: hints.user_agent.as_deref().map(str::as_bytes),
            had_bearer: hints.had_bearer,
            unpoly: hints.unpoly,
            clients: None,
        }
    }
}

/// [`RequestHints`] that are kept.
#[derive(Clone, Debug, Default)]
pub struct OwnHints {
    /// `Accept`
    pub accept: Option<String>,
    /// `Accept-Language`
    pub accept_language: Option<String>,
    /// `Sec-Fetch-Mode`
    pub sec_fetch_mode: Option<String>,
    /// `Sec-Fetch-Dest`
    pub sec_fetch_dest: Option<String>,
    /// `X-Requested-With`
    pub x_requested_with: Option<String>,
    /// Whether there is an `HX-Request`.
    pub hx_request: bool,
    /// `User-Agent`
    pub user_agent: Option<String>,
    /// Whether an upgrade is asked for.
    pub is_upgrade: bool,
    /// Whether there is an `Authorization`.
    pub had_bearer: bool,
    /// Whether a script of Unpoly asks.
    pub unpoly: bool,
}

impl OwnHints {
    /// Keeps these.
    #[must_use]
    pub fn of(hints: &RequestHints<'_>) -> Self {
        let kept = |text: Option<&str>| text.map(str::to_owned);
        Self {
            accept: kept(hints.accept),
            accept_language: kept(hints.accept_language),
            sec_fetch_mode: kept(hints.sec_fetch_mode),
            sec_fetch_dest: kept(hints.sec_fetch_dest),
            x_requested_with: kept(hints.x_requested_with),
            hx_request: hints.hx_request,
            user_agent: hints.user_agent.map(|agent| String::from_utf8_lossy(agent).into_owned()),
            is_upgrade: hints.is_upgrade,
            had_bearer: hints.had_bearer,
            unpoly: hints.unpoly,
        }
    }
}
