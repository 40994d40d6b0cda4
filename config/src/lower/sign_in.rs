//! Signing in: which providers there are, at which of them an app's visitors sign in, and whether that can work where
//! the app is reached.

use super::context::Context;
use super::names::Names;
use super::secrets::MAKES_SEAL_KEY;
use super::{provider, session, values};
use crate::diagnose::{At, Diagnostic};
use crate::reserved::fold;
use crate::schema::check::shortened;
use crate::schema::sign_in_tables::{ASSERTION, PROVIDER, SESSION, SIGN_IN};
use crate::schema::tables::{APP, BALANCE, LISTENER, SERVER};
use crate::schema::tree::{Node, View};
use crate::settings::{
    Assertion, Issuer, OWN_PATHS, Provider, Server, SessionAuthorization, SessionSettings, TokenPlaces,
    TrustedProxies, is_own_cookie,
};
use portcullis_policy::path::{Compare, is_below};

/// What the main file says of signing in. A part that is written and cannot be used is `None`, and then there is no
/// configuration.
#[derive(Debug)]
pub(super) struct SignIns {
    pub(super) providers: Vec<Provider>,
    pub(super) session: Option<SessionSettings>,
    pub(super) host: Option<String>,
    pub(super) assertion: Option<Assertion>,
    names: Names,
    is_whole: bool,
    pub(super) has_session: bool,
    has_assertion: bool,
    transport: Transport,
}

/// How browsers come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Transport {
    /// By TLS to us, or to a proxy that we trust to say so.
    MayBeTls,
    /// By plain HTTP alone.
    Plain,
}

impl Transport {
    fn of(server: Option<&Server>, proxies: Option<&TrustedProxies>) -> Self {
        // What could not be read was reported.
        let (Some(server), Some(proxies)) = (server, proxies) else { return Self::MayBeTls };
        let may_be = server.listeners.iter().any(|one| one.tls.is_some() || one.forward_auth.is_some());
        if may_be || !proxies.networks.is_empty() { Self::MayBeTls } else { Self::Plain }
    }
}

/// What an app says of signing in.
#[derive(Debug)]
pub(super) struct AppSignIn {
    pub(super) providers: Vec<usize>,
    pub(super) keep_fragment: bool,
    pub(super) assertion: bool,
    pub(super) session_authorization: SessionAuthorization,
}

impl SignIns {
    pub(super) fn of(
        cx: &mut Context<'_>,
        main: View<'_>,
        (issuers, issuer_names): (&[Issuer], &Names),
        (server, proxies): (Option<&Server>, Option<&TrustedProxies>),
    ) -> Self {
        let mut names = Names::default();
        let mut providers = Vec::new();
        for view in main.tables("provider", &PROVIDER) {
            providers.extend(provider::provider(cx, view, issuers, issuer_names, &mut names));
        }
        let session = main.table("session", &SESSION).map(|view| session::session(cx, view));
        let assertion = main.table("assertion", &ASSERTION).map(|view| session::assertion(cx, view));
        let transport = Transport::of(server, proxies);
        let host = main.table("sign-in", &SIGN_IN).map(|view| host(cx, main, view, transport));
        let is_whole = providers.len() == main.items("provider").len()
            && !matches!(session, Some(None))
            && !matches!(assertion, Some(None))
            && !matches!(host, Some(None));
        Self {
            providers,
            host: host.flatten(),
            names,
            is_whole,
            has_session: session.is_some(),
            has_assertion: assertion.is_some(),
            session: session.flatten(),
            assertion: assertion.flatten(),
            transport,
        }
    }

    /// The header of assertions.
    pub(super) fn assertion_header(&self) -> Option<&str> {
        self.assertion.as_ref().map(|assertion| assertion.header.as_str())
    }

    /// Whether browsers come by plain HTTP alone.
    pub(super) fn is_plain(&self) -> bool {
        self.transport == Transport::Plain
    }

    /// Whether nothing that was written is missing.
    pub(super) const fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// What an app says of signing in, held against its issuers, its hosts and its other keys.
    pub(super) fn of_app(
        &self,
        cx: &mut Context<'_>,
        view: View<'_>,
        (issuers, accepted): (&[Issuer], &[usize]),
        hosts: &[String],
    ) -> Option<AppSignIn> {
        let providers = self.providers_of_app(cx, view, issuers, accepted);
        let signs_in = view.get("sign-in").is_some();
        if signs_in {
            self.session_of_app(cx, view);
            self.transport_of_app(cx, view, hosts);
            self.wildcard_of_app(cx, view, hosts);
        }
        let assertion = view.is_on("assertion");
        if assertion && !self.has_assertion {
            cx.push(
                Diagnostic::error(
                    "assertion/missing",
                    view.at_key("assertion"),
                    "`assertion` without `[assertion]`",
                )
                .why("there is no key that could sign it")
                .help("write `[assertion]` with `keys = [\"assertion-1.pem\"]`"),
            );
        }
        let session_authorization = view.word("session-authorization", SessionAuthorization::from_word)?;
        if session_authorization == SessionAuthorization::AccessToken {
            self.authorization_of_app(cx, view, signs_in);
        }
        let keep_fragment = view.is_on("keep-fragment");
        Some(AppSignIn { providers, keep_fragment, assertion, session_authorization })
    }

    fn providers_of_app(
        &self,
        cx: &mut Context<'_>,
        view: View<'_>,
        issuers: &[Issuer],
        accepted: &[usize],
    ) -> Vec<usize> {
        cx.not_empty(view, "sign-in", "nobody could sign in");
        let mut found = Vec::new();
        for (text, at) in one_or_several(view, "sign-in") {
            let Some(position) = self.providers.iter().position(|provider| provider.name == text) else {
                // A provider with problems of its own was reported already.
                if !self.names.contains(text) {
                    self.names.unknown(
                        cx,
                        "provider/unknown",
                        "provider",
                        text,
                        at,
                        "nobody could sign in there",
                    );
                }
                continue;
            };
            let issuer = self.providers.get(position).map(|provider| provider.issuer);
            if let Some(issuer) = issuer.filter(|issuer| !accepted.contains(issuer)) {
                let name = issuers.get(issuer).map(|issuer| issuer.name.as_str()).unwrap_or_default();
                let what =
                    format!("the app does not accept the issuer `{name}` of provider `{}`", shortened(text));
                cx.push(
                    Diagnostic::error("app/sign-in-issuer", at, what)
                        .why("who signed in there would be refused, and sent to sign in again")
                        .help(format!("add `{name}` to the app's `issuers`")),
                );
            }
            if !found.contains(&position) {
                found.push(position);
            }
        }
        if let Some(node) = view.get("sign-in-url").filter(|_| view.get("sign-in").is_some()) {
            cx.push(
                Diagnostic::error("app/sign-in-url", node.at, "`sign-in-url` beside `sign-in`")
                    .why("a browser can be sent to one of them only")
                    .help("take `sign-in-url` away where Portcullis signs people in itself"),
            );
        }
        found
    }

    fn session_of_app(&self, cx: &mut Context<'_>, view: View<'_>) {
        if !self.has_session {
            cx.push(
                Diagnostic::error("session/missing", view.at_key("sign-in"), "`sign-in` without `[session]`")
                    .why("there is no key that could seal the session of who signed in")
                    .help(format!(
                        "write `[session]` with `keys = [\"secrets/session-1.key\"]`; `{MAKES_SEAL_KEY}` makes one"
                    )),
            );
        }
    }

    /// The session cookie is `Secure`, which browsers take by plain HTTP from their own machine alone.
    fn transport_of_app(&self, cx: &mut Context<'_>, view: View<'_>, hosts: &[String]) {
        for host in hosts {
            over_tls(cx, (host, "an app's host"), view.at_key("sign-in"), self.transport);
        }
    }

    /// A provider knows each address that browsers come back to.
    fn wildcard_of_app(&self, cx: &mut Context<'_>, view: View<'_>, hosts: &[String]) {
        let Some(host) = hosts.iter().find(|host| host.starts_with("*.")).filter(|_| self.host.is_none())
        else {
            return;
        };
        cx.push(
            Diagnostic::error(
                "app/sign-in-wildcard",
                view.at_key("sign-in"),
                format!("the app's host `{host}` stands for many, and there is no host for signing in"),
            )
            .why("a provider sends browsers back to addresses that it knows, and each host would be another one")
            .help("write `[sign-in]` with `host = \"login.corp.example\"`: that one is registered, and serves them all"),
        );
    }

    fn authorization_of_app(&self, cx: &mut Context<'_>, view: View<'_>, signs_in: bool) {
        let at = view.at_key("session-authorization");
        if !signs_in {
            cx.push(
                Diagnostic::error(
                    "app/session-authorization",
                    at,
                    "`session-authorization` without `sign-in`",
                )
                .why("the app has no sessions, and would never receive a token")
                .help(
                    "add `sign-in`, or take it away; `forward-authorization` is for tokens that clients send",
                ),
            );
        }
        if self.session.as_ref().is_some_and(|session| !session.store.holds_tokens()) {
            cx.push(
                Diagnostic::error(
                    "session/needs-store",
                    at,
                    "access tokens for an app with the cookie store",
                )
                .why("the cookie holds no tokens")
                .help("name a store: `store = { redb = \"sessions.redb\" }` or `{ redis = \"rediss://…\" }`"),
            );
        }
    }

    /// The header of the assertion is no other header of an app.
    pub(super) fn header_of_app(&self, cx: &mut Context<'_>, view: View<'_>, token: &TokenPlaces) {
        let Some(assertion) = &self.assertion else { return };
        let identity = view.get("identity-headers").map_or(&[][..], Node::entries);
        let named = identity.iter().map(|entry| (entry.key.as_str(), entry.at));
        let allowed = view.texts("allow-headers");
        let of_token = token.header.as_deref().map(|name| (name, view.at_key("token")));
        for (name, at) in
            named.chain(allowed).chain(of_token).filter(|(name, _)| fold(name) == fold(&assertion.header))
        {
            cx.push(
                Diagnostic::error(
                    "assertion/header",
                    at,
                    format!("`{}` carries the assertion", shortened(name)),
                )
                .why("no client sends it to an app, and nothing else stands in it")
                .help("take another name here, or for `header` of `[assertion]`"),
            );
        }
    }

    /// Listeners by which browsers come that could not sign in there, beside those with TLS.
    pub(super) fn plain_listeners(
        &self,
        cx: &mut Context<'_>,
        main: View<'_>,
        server: &Server,
        proxies: &TrustedProxies,
    ) {
        let signs_in = |app: View<'_>| {
            app.get("sign-in").is_some()
                && app
                    .texts("hosts")
                    .any(|(host, _)| values::host_or_wildcard(host).is_ok_and(|host| !is_loopback(&host)))
        };
        let has_tls = server.listeners.iter().any(|one| one.tls.is_some() && one.forward_auth.is_none());
        if !has_tls || !proxies.networks.is_empty() || !main.tables("app", &APP).any(signs_in) {
            return;
        }
        let view = main.table("server", &SERVER);
        let listeners = view.iter().flat_map(|view| view.tables("listeners", &LISTENER));
        let is_plain = |view: &View<'_>| {
            view.get("tls").is_none()
                && view.get("forward-auth").is_none()
                && !view.is_on("redirect-to-https")
        };
        for view in listeners.filter(is_plain) {
            cx.push(
                Diagnostic::warning(
                    "listener/sign-in",
                    view.at_key("address"),
                    "browsers that come here cannot sign in",
                )
                .why("the session cookie is for https alone; a navigation by plain HTTP gets 401")
                .help("write `redirect-to-https = true` into this listener, or give it `tls`"),
            );
        }
    }

    /// What is written and used by nothing.
    pub(super) fn unused(&self, cx: &mut Context<'_>, main: View<'_>) {
        let named: Vec<&str> = main
            .tables("app", &APP)
            .flat_map(|app| one_or_several(app, "sign-in"))
            .map(|(text, _)| text)
            .collect();
        for view in main.tables("provider", &PROVIDER) {
            let Some(name) = view.text("name").filter(|name| !named.contains(name)) else { continue };
            cx.push(
                Diagnostic::warning(
                    "provider/unused",
                    view.at_key("name"),
                    format!("no app signs people in at `{}`", shortened(name)),
                )
                .help(format!(
                    "write `sign-in = \"{}\"` into an app, or take the provider away",
                    shortened(name)
                )),
            );
        }
        let tables = [main.table("session", &SESSION), main.table("sign-in", &SIGN_IN)];
        // The keys of sessions seal the cookies of `sticky`, too.
        let is_sticky = |app: View<'_>| {
            app.table("balance", &BALANCE).is_some_and(|balance| balance.text("policy") == Some("sticky"))
        };
        let [session, sign_in] = tables;
        let session = session.filter(|_| !main.tables("app", &APP).any(is_sticky));
        for view in [session, sign_in].into_iter().flatten().filter(|_| named.is_empty()) {
            cx.push(
                Diagnostic::warning("session/unused", view.at(), "no app signs anybody in")
                    .why("this serves apps with `sign-in` alone")
                    .help("write `sign-in` into an app, or take this away"),
            );
        }
        self.refreshable(cx, main);
    }

    /// Providers give a refresh token to who asks for one.
    fn refreshable(&self, cx: &mut Context<'_>, main: View<'_>) {
        let refreshes = |session: &SessionSettings| session.refresh && session.store.holds_tokens();
        if !self.session.as_ref().is_some_and(refreshes) {
            return;
        }
        let asks = |view: View<'_>| {
            let parameters = view.get("parameters").map_or(&[][..], Node::entries);
            // Google's word for it is a parameter.
            view.texts("scopes").any(|(scope, _)| scope == "offline_access")
                || parameters.iter().any(|entry| entry.key == "access_type")
        };
        if main.tables("provider", &PROVIDER).any(asks) {
            return;
        }
        let Some(view) = main.table("session", &SESSION) else { return };
        cx.push(
            Diagnostic::warning(
                "session/refresh-scope",
                view.at_key("refresh"),
                "no provider is asked for a refresh token",
            )
            .why("without one, `refresh` does nothing: a session ends with its sign-in")
            .help("add `\"offline_access\"` to the `scopes` of a provider"),
        );
    }
}

/// A host at which browsers keep sessions is reached by https, or is this machine.
fn over_tls(cx: &mut Context<'_>, (host, what): (&str, &str), at: At, transport: Transport) {
    if transport == Transport::MayBeTls || is_loopback(host) {
        return;
    }
    cx.push(
        Diagnostic::error("app/sign-in-plain", at, format!("{what} `{host}` is reached by plain HTTP alone"))
            .why("browsers keep the session cookie for https alone, so that signing in would never end")
            .help("give a listener `tls`, or name the proxy that ends TLS in `[trusted-proxies]`; `localhost` and `*.localhost` need neither"),
    );
}

/// The sign-in host, which is no app's.
fn host(cx: &mut Context<'_>, main: View<'_>, view: View<'_>, transport: Transport) -> Option<String> {
    let host = cx.parse_key(view, "host", values::host)?;
    over_tls(cx, (&host, "the sign-in host"), view.at_key("host"), transport);
    let same = |text: &str| values::host(text).is_ok_and(|other| other == host);
    for app in main.tables("app", &APP) {
        for (text, at) in app.texts("hosts").filter(|(text, _)| same(text)) {
            let place = cx.sources.place(at.file, at.start);
            let what = format!("the sign-in host `{}` is a host of an app", shortened(text));
            cx.push(
                Diagnostic::error("sign-in/host", view.at_key("host"), what)
                    .why("what the app serves there could read the sign-in of all apps")
                    .help(format!("choose a host that no app has; this one stands at {place}")),
            );
        }
    }
    Some(host)
}

/// Paths and cookies that are ours on every host.
pub(super) fn ours(cx: &mut Context<'_>, view: View<'_>, path_prefix: &str, token: &TokenPlaces) {
    if is_below(path_prefix, OWN_PATHS, Compare::Folded) {
        cx.push(
            Diagnostic::error(
                "app/own-path",
                view.at_key("path"),
                format!("`{path_prefix}` is a path of Portcullis"),
            )
            .why("requests below it never reach an app")
            .help("give the app another path"),
        );
    }
    if let Some(cookie) = token.cookie.as_deref().filter(|cookie| is_own_cookie(cookie)) {
        let what = format!("`{}` is the name of a cookie of Portcullis", shortened(cookie));
        cx.push(
            Diagnostic::error("app/token-cookie", view.at_key("token"), what)
                .why("a session would be taken for a token, and a token for a session")
                .help("let the token come in a cookie of another name"),
        );
    }
}

/// The texts under a key: one, or a list of them.
fn one_or_several<'t>(view: View<'t>, key: &str) -> impl Iterator<Item = (&'t str, At)> + use<'t> {
    let one = view.get(key).and_then(|node| Some((Node::text(node)?, node.at)));
    one.into_iter().chain(view.texts(key))
}

pub(super) fn is_loopback(host: &str) -> bool {
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    host == "localhost" || host.ends_with(".localhost") || address.is_ok_and(|address| address.is_loopback())
}
