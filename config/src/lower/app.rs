//! Applications: where they are reached, by whom, and what they are told.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use portcullis_policy::model::{self, Unmatched, UserSelector};
use portcullis_policy::path::{PathCase, fold as fold_path, is_below};
use portcullis_policy::signals::Value;
use portcullis_policy::text;
use url::{Host, Url};

use super::authorities::authorities;
use super::client_certificates::{Entrances, client_certificates};
use super::context::Context;
use super::definitions::Definitions;
use super::listener::hsts;
use super::names::Names;
use super::paths;
use super::values::{self, Flaw};
use crate::diagnose::{At, Diagnostic};
use crate::reserved::{Harm, fold, reserved};
use crate::schema::check::shortened;
use crate::schema::tables::{APP_CONTEXT, ASSIGNED, TIMEOUTS, TOKEN, UPSTREAM};
use crate::schema::tree::{Kind, Node, View};
use crate::settings::{App, IdentityValue, Issuer, Timeouts, TokenPlaces, Upstream, claim_label};

/// Headers that frame the message, route it, or carry other credentials: never identity.
const FORBIDDEN_HEADERS: [&str; 16] = [
    "host",
    "connection",
    "content-length",
    "content-type",
    "transfer-encoding",
    "te",
    "trailer",
    "upgrade",
    "expect",
    "authorization",
    "proxy-authorization",
    "cookie",
    "set-cookie",
    "forwarded",
    "x-forwarded-for",
    "keep-alive",
];

/// Which host and path lead to an app already, and where we listen.
#[derive(Debug, Default)]
pub(super) struct Routes {
    /// By the host, and the path without letter case.
    taken: BTreeMap<(String, String), Vec<Taken>>,
    own: Vec<SocketAddr>,
    entrances: Option<Entrances>,
}

impl Routes {
    /// Nothing is taken yet; the process listens on `own`, and clients come in by `entrances`, if these could be
    /// read.
    pub(super) fn new(own: Vec<SocketAddr>, entrances: Option<Entrances>) -> Self {
        Self { taken: BTreeMap::new(), own, entrances }
    }
}

#[derive(Debug)]
struct Taken {
    path: String,
    case: PathCase,
    at: At,
}

pub(super) fn app(
    cx: &mut Context<'_>,
    view: View<'_>,
    issuers: &[Issuer],
    issuer_names: &Names,
    known: &mut Definitions,
    routes: &mut Routes,
) -> Option<(App, model::App)> {
    let id = cx.parse_key(view, "id", app_id).map(|id| id.as_str().to_owned());
    if let Some(id) = &id {
        known.apps.define(cx, "app", id, view.at_key("id"));
    }
    for (group, at) in view.texts("groups") {
        if !known.app_groups.contains(group) {
            known.app_groups.places.insert(group.to_owned(), Some(at));
        }
    }
    let path_prefix = cx.parse_key(view, "path", values::path_prefix)?;
    let paths = paths::case(view);
    let allow_paths = paths::allowed(cx, view);
    let hosts = hosts(cx, view, (&path_prefix, paths), routes);
    cx.not_empty(view, "upstreams", "there would be nowhere to send requests to");
    let upstreams = upstreams(cx, view, &routes.own);
    let accepted = accepted_issuers(cx, view, issuers, issuer_names);
    let audiences = audiences(cx, view, issuers, &accepted);
    let identity_headers = identity_headers(cx, view, issuers, &accepted);
    let token = token(cx, view);
    let allow_headers = allow_headers(cx, view, &identity_headers, &token);
    let contexts = view.tables("contexts", &APP_CONTEXT).filter_map(|context| {
        let path = cx.parse_key(context, "path", values::path_prefix);
        if let Some(path) = &path
            && !is_below(path, &path_prefix, paths.stricter())
        {
            let what = format!("`{}` is not below the app's path `{path_prefix}`", shortened(path));
            cx.push(
                Diagnostic::error("app/context-path", context.at_key("path"), what)
                    .why("no request would ever ask for the context")
                    .help("write the whole path, beginning with the app's own"),
            );
        }
        let context = cx.parse_key(context, "context", values::context);
        Some((path?, context?))
    });
    let contexts: Vec<_> = contexts.collect();
    let methods = cx.parse_list(view, "methods", values::method);
    cx.not_empty(view, "methods", "leave it out to accept any method");
    let allowed_origins = cx.parse_list(view, "allowed-origins", values::origin);
    let sign_in_url = cx.parse_key(view, "sign-in-url", |text| values::secure_url(text).map(String::from));
    let forward_authorization = forward_authorization(cx, view, &token);
    let timeouts = timeouts(cx, view);
    let body_bytes_max = cx.parse_key(view, "body-max", values::size);
    let body_rate_min = cx.parse_key(view, "body-rate-min", values::byte_rate);
    let rate = cx.parse_key(view, "rate", values::rate);
    let rate_per_principal = cx.parse_key(view, "rate-per-principal", values::rate);
    let client_certificates = client_certificates(cx, view, &hosts, routes.entrances.as_ref());
    let hsts = hsts(cx, view);
    let assigned = assigned(cx, view);
    let id = id?;
    let settings = App {
        name: view.text("name").unwrap_or(&id).to_owned(),
        id: id.clone(),
        hosts,
        path_prefix,
        contexts,
        paths,
        allow_paths,
        upstreams,
        token,
        issuers: accepted,
        audiences,
        sign_in_url,
        identity_headers,
        forward_authorization,
        allow_headers,
        methods,
        websocket: view.is_on("websocket"),
        allowed_origins,
        timeouts: timeouts?,
        body_bytes_max,
        body_rate_min: body_rate_min?,
        rate,
        rate_per_principal,
        client_certificates,
        hsts,
    };
    let unmatched = match view.text("unmatched")? {
        "allow" => Unmatched::Allow,
        _ => Unmatched::Deny,
    };
    let attributes = attributes(cx, view);
    let groups = view.owned("groups");
    Some((settings, model::App { id, groups, attributes, assigned, unmatched, paths }))
}

/// Ids that policies' selectors use for something else cannot name an app.
fn app_id(text: &str) -> Result<model::PolicyId, Flaw> {
    if matches!(text, "all" | "none") {
        return Err(Flaw::new("id/invalid", format!("`{text}` cannot be the id of an app"))
            .why("policies say it to mean every app or none")
            .help("choose another id"));
    }
    values::id(text)
}

fn hosts(
    cx: &mut Context<'_>,
    view: View<'_>,
    (path, case): (&str, PathCase),
    routes: &mut Routes,
) -> Vec<String> {
    cx.not_empty(view, "hosts", "no request would ever be for this app");
    let mut hosts = Vec::new();
    for (name, at) in view.texts("hosts") {
        let Some(host) = cx.parse(name, at, values::host) else { continue };
        let taken = routes.taken.entry((host.clone(), path.chars().map(fold_path).collect())).or_default();
        let tells_apart = |other: &Taken| {
            other.path != path && [case, other.case].iter().all(|case| *case == PathCase::Sensitive)
        };
        let first = taken.iter().find(|other| !tells_apart(other)).map(|first| first.at);
        taken.push(Taken { path: path.to_owned(), case, at });
        if let Some(first) = first {
            let place = cx.sources.place(first.file, first.start);
            cx.push(
                Diagnostic::error(
                    "host/duplicate",
                    at,
                    format!("`{host}` with path `{path}` is taken already"),
                )
                .label("leads to two apps")
                .why("it would depend on their order whose policies protect it")
                .help(format!("first used at {place}")),
            );
        }
        hosts.push(host);
    }
    hosts
}

/// The app's servers, each with the authorities that it is checked against.
fn upstreams(cx: &mut Context<'_>, view: View<'_>, own: &[SocketAddr]) -> Vec<Upstream> {
    let common = authorities(cx, view, "upstream-ca");
    let mut all: Vec<Upstream> =
        view.items("upstreams").iter().filter_map(|node| upstream(cx, node, own)).collect();
    if view.get("upstream-ca").is_some() && !all.is_empty() && all.iter().all(|one| one.tls_name.is_none()) {
        plain_with_ca(cx, view.at_key("upstream-ca"));
    }
    for one in all.iter_mut().filter(|one| one.tls_name.is_some() && one.ca.is_none()) {
        one.ca.clone_from(&common);
    }
    all
}

fn plain_with_ca(cx: &mut Context<'_>, at: At) {
    cx.push(
        Diagnostic::error("upstream/ca", at, "a plain HTTP upstream has an authority")
            .why("no certificate would be checked")
            .help("write `https://`, or take the authority away"),
    );
}

/// Which of our own addresses an upstream leads to, as far as can be told without asking anybody: what loops
/// by way of a name or of another machine is seen when it comes back (`Via`).
fn leads_back(upstream: &Upstream, own: &[SocketAddr]) -> Option<SocketAddr> {
    let name = upstream.host.to_ascii_lowercase();
    let is_local = name == "localhost" || name.ends_with(".localhost");
    let address = upstream.host.parse::<IpAddr>().ok().map(|address| address.to_canonical());
    let reaches = |listener: &SocketAddr| {
        let ip = listener.ip().to_canonical();
        let here = ip.is_unspecified() || ip.is_loopback();
        match address {
            // Connecting to no address connects to this machine.
            Some(to) if to.is_unspecified() => here,
            Some(to) => to == ip || (to.is_loopback() && ip.is_unspecified()),
            None => is_local && here,
        }
    };
    own.iter().copied().find(|listener| listener.port() == upstream.port && reaches(listener))
}

fn upstream(cx: &mut Context<'_>, node: &Node, own: &[SocketAddr]) -> Option<Upstream> {
    let found = upstream_at(cx, node)?;
    if let Some(listener) = leads_back(&found, own) {
        let what = format!("the upstream is this very process, which listens on `{listener}`");
        cx.push(
            Diagnostic::error("upstream/own-listener", node.at, what)
                .label("leads back")
                .why("each request would come back as another one, until it is refused with 508")
                .help("write where the app listens"),
        );
        return None;
    }
    Some(found)
}

fn upstream_at(cx: &mut Context<'_>, node: &Node) -> Option<Upstream> {
    if let Some(text) = node.text() {
        return upstream_of(cx, text, node.at, None);
    }
    matches!(node.kind, Kind::Table(_)).then_some(())?;
    let view = View::new(&UPSTREAM, node);
    let name = match view.get("tls-name") {
        Some(_) => Some(cx.parse_key(view, "tls-name", values::host)?),
        None => None,
    };
    let name = name.map(|name| (name, view.at_key("tls-name")));
    let mut made = upstream_of(cx, view.text("url")?, view.at_key("url"), name)?;
    if view.get("ca").is_some() {
        if made.tls_name.is_none() {
            plain_with_ca(cx, view.at_key("ca"));
        }
        made.ca = Some(authorities(cx, view, "ca")?);
    }
    Some(made)
}

fn upstream_of(cx: &mut Context<'_>, text: &str, at: At, name: Option<(String, At)>) -> Option<Upstream> {
    let url = cx.parse(text, at, upstream_url)?;
    let host = match url.host()? {
        Host::Ipv6(address) => address.to_string(),
        host => host.to_string(),
    };
    let port = url.port_or_known_default()?;
    let named = matches!(url.host(), Some(Host::Domain(_)));
    match (url.scheme(), name) {
        ("https", Some((name, _))) => Some(Upstream { host, port, tls_name: Some(name), ca: None }),
        ("https", None) if named => Some(Upstream { tls_name: Some(host.clone()), host, port, ca: None }),
        ("https", None) => {
            cx.push(
                Diagnostic::error("upstream/tls-name", at, "a TLS upstream at an address has no server name")
                    .why("its certificate could not be checked against anything")
                    .help(format!("write `{{ url = \"{text}\", tls-name = \"wiki.corp\" }}`")),
            );
            None
        }
        (_, Some((_, at))) => {
            cx.push(
                Diagnostic::error("upstream/tls-name", at, "a plain HTTP upstream has a server name")
                    .why("no certificate would be checked")
                    .help("write `https://`, or take `tls-name` away"),
            );
            None
        }
        (_, None) => Some(Upstream { host, port, tls_name: None, ca: None }),
    }
}

fn upstream_url(text: &str) -> Result<Url, Flaw> {
    let flaw = |what: String| {
        Flaw::new("value/url", what).help("write `http://host:port` or `https://host:port`, without path")
    };
    let url = Url::parse(text).map_err(|error| flaw(format!("`{}` is no URL: {error}", shortened(text))))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(flaw("an upstream carries no user name or password".to_owned()));
    }
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    let port = url.port_or_known_default().is_some_and(|port| port != 0);
    if !bare || !port || !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(flaw(format!("`{}` is no upstream", shortened(text))));
    }
    Ok(url)
}

fn accepted_issuers(cx: &mut Context<'_>, view: View<'_>, issuers: &[Issuer], names: &Names) -> Vec<usize> {
    if view.get("issuers").is_none() {
        return (0..issuers.len()).collect();
    }
    cx.not_empty(view, "issuers", "nobody could sign in; leave it out to accept all");
    let mut accepted = Vec::new();
    for (name, at) in view.texts("issuers") {
        match issuers.iter().position(|issuer| issuer.name == name) {
            Some(position) if !accepted.contains(&position) => accepted.push(position),
            Some(_) => {}
            // An issuer with problems of its own was told already.
            None if names.contains(name) => {}
            None => {
                names.unknown(
                    cx,
                    "issuer/unknown",
                    "issuer",
                    name,
                    at,
                    "no token would be accepted because of it",
                );
            }
        }
    }
    accepted
}

/// An audience that no accepted issuer has would refuse everybody; it is rather a slip of the pen.
fn audiences(
    cx: &mut Context<'_>,
    view: View<'_>,
    issuers: &[Issuer],
    accepted: &[usize],
) -> Option<Vec<String>> {
    view.get("audiences")?;
    cx.not_empty(view, "audiences", "no token would be accepted; leave it out to accept any");
    let known = |text: &str| {
        let mut accepted = accepted.iter().filter_map(|position| issuers.get(*position));
        accepted.any(|issuer| issuer.audiences.iter().any(|audience| audience == text))
    };
    for (text, at) in view.texts("audiences").filter(|(text, _)| !known(text)) {
        let what = format!("no accepted issuer has the audience `{}`", shortened(text));
        cx.push(
            Diagnostic::error("app/audience", at, what)
                .why("tokens for other audiences than the issuer's are refused before")
                .help("add it to the issuer's `audiences`, or correct it"),
        );
    }
    Some(view.owned("audiences"))
}

fn identity_headers(
    cx: &mut Context<'_>,
    view: View<'_>,
    issuers: &[Issuer],
    accepted: &[usize],
) -> Vec<(String, IdentityValue)> {
    let mut headers: Vec<(String, IdentityValue)> = Vec::new();
    for entry in view.get("identity-headers").map_or(&[][..], Node::entries) {
        let lower = entry.key.to_ascii_lowercase();
        let twice = headers.iter().any(|(name, _)| fold(name) == fold(&lower));
        // Some servers read `_` as `-`, so a client could send a twin that is not removed.
        if !values::is_token(&entry.key)
            || FORBIDDEN_HEADERS.contains(&lower.as_str())
            || reserved(&lower).is_some_and(|reserved| reserved.harm == Harm::Judged)
            || twice
            || lower.contains('_')
        {
            let what = format!("`{}` cannot carry identity", shortened(&entry.key));
            cx.push(
                Diagnostic::error("app/identity-header", entry.at, what)
                    .why("it is no header name, is written twice, or means something else to proxies and servers")
                    .help("use a name of your own with hyphens, such as `X-User`"),
            );
            continue;
        }
        let Some(text) = entry.value.text() else { continue };
        let value = match text {
            "user-id" => IdentityValue::UserId,
            "user-name" => IdentityValue::UserName,
            "groups" => IdentityValue::Groups,
            "device-id" => IdentityValue::DeviceId,
            _ => match text.strip_prefix("claim:") {
                Some(claim) if !claim.is_empty() => {
                    let mut accepted = accepted.iter().filter_map(|position| issuers.get(*position));
                    if !accepted
                        .any(|issuer| issuer.claims.extra.iter().any(|extra| claim_label(extra) == claim))
                    {
                        let what = format!("claim `{}` is not kept by any accepted issuer", shortened(claim));
                        cx.push(
                            Diagnostic::error("app/identity-claim", entry.value.at, what)
                                .why("the header would always be empty")
                                .help(format!(
                                    "add it to `[issuer.claims]`: `extra = [\"{}\"]`",
                                    shortened(claim)
                                )),
                        );
                    }
                    IdentityValue::Claim(claim.to_owned())
                }
                _ => {
                    cx.push(
                        Diagnostic::error(
                            "value/word",
                            entry.value.at,
                            format!("no identity value `{}`", shortened(text)),
                        )
                        .help("it is `user-id`, `user-name`, `groups`, `device-id` or `claim:NAME`"),
                    );
                    continue;
                }
            },
        };
        headers.push((entry.key.clone(), value));
    }
    headers
}

/// Reserved headers that an app wants all the same.
fn allow_headers(
    cx: &mut Context<'_>,
    view: View<'_>,
    identity: &[(String, IdentityValue)],
    token: &TokenPlaces,
) -> Vec<String> {
    const CODE: &str = "app/allow-header";
    let mut allowed = Vec::new();
    for (text, at) in view.texts("allow-headers") {
        let (lower, shown) = (text.to_ascii_lowercase(), shortened(text));
        let is_set = identity
            .iter()
            .map(|(name, _)| name.as_str())
            .chain(token.header.as_deref())
            .any(|name| fold(name) == fold(&lower));
        let found = reserved(text);
        if !values::is_token(text) || text.contains('_') || FORBIDDEN_HEADERS.contains(&lower.as_str()) {
            cx.push(
                Diagnostic::error(CODE, at, format!("`{shown}` is no header that could be allowed"))
                    .help("name a header with hyphens, such as `Cf-Ray`"),
            );
        } else if is_set {
            cx.push(
                Diagnostic::error(CODE, at, format!("`{shown}` is set by Portcullis, or carries the token"))
                    .why("what a client sends under this name must not reach the app beside it")
                    .help("take it away"),
            );
        } else if let Some(judged) = found.filter(|found| found.harm == Harm::Judged) {
            cx.push(
                Diagnostic::error(CODE, at, format!("`{shown}` cannot be allowed"))
                    .why(format!(
                        "the app could serve something else than the policies judged ({})",
                        judged.why
                    ))
                    .help("take it away"),
            );
        } else {
            match found {
                None => cx.push(
                    Diagnostic::warning(CODE, at, format!("`{shown}` is not reserved"))
                        .why("it reaches the app without being named here")
                        .help("take it away"),
                ),
                Some(found) if found.harm == Harm::Identity => cx.push(
                    Diagnostic::warning(CODE, at, format!("any client can say who it is by `{shown}`"))
                        .why(format!("apps believe it ({}), and Portcullis does not check it", found.why))
                        .help("set it from the token by `identity-headers`, or be sure that the app does not read it"),
                ),
                Some(_) => {}
            }
            allowed.push(lower);
        }
    }
    allowed
}

/// Only what was verified is forwarded, so a token in another place leaves nothing to forward.
fn forward_authorization(cx: &mut Context<'_>, view: View<'_>, token: &TokenPlaces) -> bool {
    let forwards = view.is_on("forward-authorization");
    let other = token.cookie.is_some() || token.header.is_some();
    if forwards && (other || !token.bearer) {
        let what = if token.bearer {
            "`forward-authorization` beside a token in a cookie or header"
        } else {
            "`forward-authorization` has nothing to forward"
        };
        cx.push(
            Diagnostic::warning("app/forward-authorization", view.at_key("forward-authorization"), what)
                .why("only an `Authorization` that was verified reaches the app; one that comes beside a token in another place is refused with 400")
                .help("take the token from `Authorization` alone, or turn `forward-authorization` off"),
        );
    }
    forwards
}

fn token(cx: &mut Context<'_>, view: View<'_>) -> TokenPlaces {
    let token = view.table_or_default("token", &TOKEN);
    let name = |text: &str| {
        let fits = values::is_token(text) && !text.eq_ignore_ascii_case("authorization");
        let flaw = || {
            Flaw::new("app/token", format!("`{}` is no name for a cookie or header", shortened(text)))
                .help("write a name of letters, digits and hyphens, other than `Authorization`")
        };
        fits.then(|| text.to_owned()).ok_or_else(flaw)
    };
    let places = TokenPlaces {
        bearer: token.is_on("bearer"),
        cookie: cx.parse_key(token, "cookie", name),
        header: cx.parse_key(token, "header", name),
    };
    if !places.bearer && token.get("cookie").is_none() && token.get("header").is_none() {
        cx.push(
            Diagnostic::error("app/token", token.at(), "no place is left in which a token is looked for")
                .why("nobody could ever open the app")
                .help("name a `cookie` or `header`, or leave out `bearer = false`"),
        );
    }
    places
}

fn timeouts(cx: &mut Context<'_>, view: View<'_>) -> Option<Timeouts> {
    let view = view.table_or_default("timeouts", &TIMEOUTS);
    let mut duration = |key: &str| cx.parse_key(view, key, values::duration);
    let (connect, read, write, idle) =
        (duration("connect"), duration("read"), duration("write"), duration("idle"));
    Some(Timeouts { connect: connect?, read: read?, write: write?, idle: idle? })
}

fn assigned(cx: &mut Context<'_>, view: View<'_>) -> Option<Vec<UserSelector>> {
    let node = view.get("assigned")?;
    // From here on the answer is never `None`: that would mean everybody.
    let Some(table) = view.table("assigned", &ASSIGNED) else { return Some(Vec::new()) };
    let users = table.owned("users").into_iter().map(UserSelector::User);
    let groups = table.owned("groups").into_iter().map(UserSelector::Group);
    let roles = table.owned("roles").into_iter().map(UserSelector::Role);
    let selectors: Vec<UserSelector> = users.chain(groups).chain(roles).collect();
    if selectors.is_empty() {
        cx.push(
            Diagnostic::error("value/empty", node.at, "`assigned` names nobody")
                .why("nobody could open the app")
                .help("name `users`, `groups` or `roles`, or leave `assigned` out for everybody"),
        );
    }
    Some(selectors)
}

fn attributes(cx: &mut Context<'_>, view: View<'_>) -> Vec<(String, Value)> {
    let mut attributes: Vec<(String, Value)> = Vec::new();
    for entry in view.get("attributes").map_or(&[][..], Node::entries) {
        if attributes.iter().any(|(name, _)| text::eq(name, &entry.key)) {
            let what = format!("attribute `{}` is written twice", shortened(&entry.key));
            cx.push(
                Diagnostic::error("id/duplicate", entry.at, what)
                    .why("names compare without case")
                    .help("delete one of them"),
            );
            continue;
        }
        let value = match &entry.value.kind {
            Kind::Text(text) => Value::Text(text.clone()),
            Kind::Bool(boolean) => Value::Bool(*boolean),
            Kind::Float(float) => Value::Number(*float),
            Kind::Integer(Some(integer)) => match i32::try_from(*integer) {
                Ok(integer) => Value::Number(f64::from(integer)),
                Err(_) => {
                    cx.push(
                        Diagnostic::error(
                            "value/range",
                            entry.value.at,
                            "the number does not fit in 32 bits",
                        )
                        .help("write it as a string, and compare it as one"),
                    );
                    continue;
                }
            },
            Kind::List(items) => {
                Value::List(items.iter().filter_map(|item| item.text().map(ToOwned::to_owned)).collect())
            }
            Kind::Integer(None) | Kind::Date(_) | Kind::Table(_) => continue,
        };
        attributes.push((entry.key.clone(), value));
    }
    attributes
}
