//! Applications: where they are reached, by whom, and what they demand of a token.

use portcullis_policy::model::{self, Unmatched, UserSelector};
use portcullis_policy::path::is_below;
use portcullis_policy::signals::Value;
use portcullis_policy::text;

use super::balance::{balance, retries, timeouts};
use super::client_certificates::client_certificates;
use super::clients;
use super::context::Context;
use super::definitions::Definitions;
use super::headers::{allow_headers, forward_authorization, identity_headers};
use super::health;
use super::hosts::{Routes, hosts};
use super::listener::hsts;
use super::names::Names;
use super::opening;
use super::paths;
use super::shaping;
use super::sign_in::{self, AppSignIn, SignIns};
use super::upstream::upstreams;
use super::values::{self, Flaw};
use crate::diagnose::Diagnostic;
use crate::schema::check::shortened;
use crate::schema::tables::{APP_CONTEXT, ASSIGNED, TOKEN};
use crate::schema::tree::{Kind, Node, View};
use crate::settings::{App, Clients, Issuer, TokenPlaces};

pub(super) fn app(
    cx: &mut Context<'_>,
    view: View<'_>,
    (issuers, issuer_names): (&[Issuer], &Names),
    sign_ins: &SignIns,
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
    cx.not_empty(view, "upstreams", "no server would take its requests");
    let upstreams = upstreams(cx, view, &routes.own);
    let balance = balance(cx, view, (sign_ins.has_session, sign_ins.is_plain()));
    let retries = retries(view);
    let accepted = accepted_issuers(cx, view, issuers, issuer_names);
    let audiences = audiences(cx, view, issuers, &accepted);
    let identity_headers = identity_headers(cx, view, issuers, &accepted);
    let token = token(cx, view);
    sign_in::ours(cx, view, &path_prefix, &token);
    sign_ins.header_of_app(cx, view, &token);
    let sign_in = sign_ins.of_app(cx, view, (issuers, &accepted), &hosts);
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
    let cors = clients::cors(cx, view);
    let office = clients::office(cx, view);
    let openings = opening::openings(cx, view, &path_prefix);
    let shaping = shaping::shaping(cx, view, (&hosts, &path_prefix));
    let sign_in_url = cx.parse_key(view, "sign-in-url", |text| values::secure_url(text).map(String::from));
    let forward_authorization = forward_authorization(cx, view, &token);
    let timeouts = timeouts(cx, view);
    let health = health::health(cx, view, &hosts);
    let body_bytes_max = cx.parse_key(view, "body-max", values::size);
    let body_rate_min = cx.parse_key(view, "body-rate-min", values::byte_rate);
    let rate = cx.parse_key(view, "rate", values::rate);
    let rate_per_principal = cx.parse_key(view, "rate-per-principal", values::rate);
    let client_certificates = client_certificates(cx, view, &hosts, routes.entrances.as_ref());
    let hsts = hsts(cx, view);
    let assigned = assigned(cx, view);
    let id = id?;
    let AppSignIn { providers, keep_fragment, assertion, session_authorization } = sign_in?;
    let settings = App {
        name: view.text("name").unwrap_or(&id).to_owned(),
        id: id.clone(),
        hosts,
        path_prefix,
        contexts,
        paths,
        allow_paths,
        upstreams,
        balance: balance?,
        retries: retries?,
        token,
        issuers: accepted,
        audiences,
        sign_in_url,
        sign_in: providers,
        keep_fragment,
        clears_cookies: view.is_on("clears-cookies"),
        assertion,
        session_authorization,
        identity_headers,
        forward_authorization,
        allow_headers,
        methods,
        websocket: view.is_on("websocket"),
        allowed_origins,
        cors: cors?,
        clients: view.text("clients").and_then(Clients::from_word),
        office,
        timeouts: timeouts?,
        health: health?,
        body_bytes_max,
        body_rate_min: body_rate_min?,
        rate,
        rate_per_principal,
        client_certificates,
        hsts,
        openings,
        shaping: shaping?,
    };
    shaping::beside_identity(cx, view, &settings, sign_ins.assertion_header());
    opening::within_contexts(cx, view, &settings);
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
            // An issuer with problems of its own was reported already.
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
