//! A request that was written down, to the facts that policies look at.

use std::net::IpAddr;
use std::path::Path;

use jiff::Timestamp;
use portcullis_policy::model::{
    AuthenticationContext, ClientAppType, CountryCode, Flow, GuestKind, Platform, RiskLevel,
};
use portcullis_policy::path::{ReadPath, read_text};
use portcullis_policy::signals::{
    AppIndex, ClientContext, DeviceAttribute, Fact, Identity, IssuerEvidence, OwnedDevice, OwnedSignals,
    Principal, SignIn, Standing, Target, Value,
};

use super::question::{Asking, Case, Question};
use crate::diagnose::{At, Diagnostic, Sources};
use crate::lower::context::Context;
use crate::lower::values::{self, Flaw};
use crate::schema::ask_tables::{CASE, CASES, DEVICE, QUESTION};
use crate::schema::check::{listed, nearest, shortened};
use crate::schema::tree::{Kind, Node, View};
use crate::settings::{App, Config, TokenPlaces};
use crate::vocabulary::DEVICE_KEYS;

/// One question; problems are added to `found`.
pub(super) fn question(
    asking: Asking<'_>,
    node: &Node,
    sources: &Sources,
    found: &mut Vec<Diagnostic>,
) -> Option<Question> {
    // A question names no files.
    let mut cx =
        Context { sources, folder: Path::new(""), found, files: &mut Vec::new(), named: &mut Vec::new() };
    of_view(&mut cx, asking, View::new(&QUESTION, node))
}

/// The cases of a file.
pub(super) fn cases(
    asking: Asking<'_>,
    node: &Node,
    sources: &Sources,
    found: &mut Vec<Diagnostic>,
) -> Option<Vec<Case>> {
    let mut cx =
        Context { sources, folder: Path::new(""), found, files: &mut Vec::new(), named: &mut Vec::new() };
    let file = View::new(&CASES, node);
    file.tables("case", &CASE).map(|view| case(&mut cx, asking, view)).collect()
}

fn case(cx: &mut Context<'_>, asking: Asking<'_>, view: View<'_>) -> Option<Case> {
    let policies = || asking.config.policies.policies.iter().map(|policy| policy.id.as_str());
    for (id, at) in view.texts("applied") {
        if !policies().any(|known| known == id) {
            let help = match nearest(id, policies()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("policies are {}", listed(policies().take(10))),
            };
            let what = format!("no policy `{}`", shortened(id));
            cx.push(Diagnostic::error("policy/unknown", at, what).help(help));
        }
    }
    let question = of_view(cx, asking, view.table("request", &QUESTION)?);
    let code = match view.get("code").map(|node| &node.kind) {
        Some(Kind::Integer(Some(code))) => u32::try_from(*code).ok(),
        _ => None,
    };
    let applied = view.get("applied").map(|_| {
        let mut ids = view.owned("applied");
        ids.sort();
        ids
    });
    let at_name = view.at_key("name");
    Some(Case {
        name: view.text("name")?.to_owned(),
        place: cx.sources.place(at_name.file, at_name.start),
        question: question?,
        expect: view.text("expect")?.to_owned(),
        code,
        applied,
    })
}

fn of_view(cx: &mut Context<'_>, asking: Asking<'_>, view: View<'_>) -> Option<Question> {
    let config = asking.config;
    let now = moment(cx, view).unwrap_or(asking.now);
    let gone: Vec<&str> = view.texts("unavailable").map(|(name, _)| name).collect();
    let app = app(cx, config, view);
    let settings = app.and_then(|app| config.apps.get(app));
    let path = path(cx, (asking, settings), view)?;
    let asked = cx.parse_key(view, "context", values::context);
    let contexts = |path: &str| match (asked, settings) {
        (None, Some(app)) => app.contexts_of(path),
        (asked, _) => (asked, None),
    };
    let (asked_context, other) = contexts(path.written());
    let mut other_readings: Vec<_> =
        other.map(|context| (path.written().to_owned(), context)).into_iter().collect();
    for reading in path.others() {
        let (context, other) = contexts(reading);
        other_readings
            .extend([Some(context), other].into_iter().flatten().map(|context| (reading.clone(), context)));
    }
    let settings = settings?;
    // As the proxy takes it: what has several readings is not open.
    let is_public = path.forms().is_empty()
        && path.others().is_empty()
        && settings.openings.covers(path.written(), settings.paths);
    let path = path.written().to_owned();
    let evidence = evidence(cx, config, view, settings);
    // Of what is open to everybody nobody is asked who he is.
    let is_stranger = is_public && view.get("user").is_none() && view.get("program").is_none();
    let principal = match is_stranger {
        true => Some(Principal { id: "".into(), auth_time: None, standing: Standing::default().into() }),
        false => principal(cx, view, now, &gone, config, evidence),
    };
    let address = cx.parse_key(view, "ip", |text| {
        text.parse::<IpAddr>().map(|address| address.to_canonical()).map_err(|_| {
            Flaw::new("value/address", format!("`{}` is no address", shortened(text)))
                .help("write an IPv4 or IPv6 address without a port")
        })
    });
    let country: Option<CountryCode> = cx.parse_key(view, "country", |text| {
        // `ZZ` is nobody's: in a question it is a country that no location names, as `analyze` and `test --init` say it.
        let unknown = text.eq_ignore_ascii_case("ZZ").then(|| CountryCode::new("ZZ")).flatten();
        unknown.map_or_else(|| values::country(text), Ok)
    });
    let fact = |name: &str| gone.contains(&name);
    let risk = |name: &str| or_gone(view.word(name, RiskLevel::from_word), fact(name));
    let platform = view.word("platform", Platform::from_word);
    let client = view.word("client", ClientAppType::from_word);
    let device = view.table("device", &DEVICE).map(|view| device(cx, view));
    let context = ClientContext {
        address: or_gone(address, fact("ip")),
        country: or_gone(country, fact("country")),
        platform: or_gone(platform, fact("platform")),
        client_app: or_gone(client, fact("client")),
        sign_in_risk: risk("sign-in-risk"),
        user_risk: risk("user-risk"),
        insider_risk: risk("insider-risk"),
        service_principal_risk: risk("service-principal-risk"),
        device: Fact::Unknown,
    };
    Some(Question {
        is_public,
        looks_up_country: context.country == Fact::Unknown,
        signals: OwnedSignals {
            principal: principal?,
            target: Target { app: AppIndex(u32::try_from(app?).ok()?), context: asked_context },
            method: cx.parse_key(view, "method", values::method)?,
            path,
            context,
            device: or_gone(device, fact("device")),
            now,
        },
        is_bearer: match view.text("carrier") {
            Some(word) => word == "bearer",
            None => !comes_in_session(&settings.token, client),
        },
        other_readings,
    })
}

/// Whether a token is taken to come in a session, where nothing is said of it.
fn comes_in_session(places: &TokenPlaces, client: Option<ClientAppType>) -> bool {
    let has_session = places.cookie.is_some() || places.header.is_some();
    has_session && (!places.bearer || matches!(client, None | Some(ClientAppType::Browser)))
}

/// What the word of the token's issuer is good for: of the one that is named, or the first that the app accepts.
fn evidence(cx: &mut Context<'_>, config: &Config, view: View<'_>, app: &App) -> IssuerEvidence {
    let accepted = || app.issuers.iter().filter_map(|position| config.issuers.get(*position));
    let names = || accepted().map(|issuer| issuer.name.as_str());
    let wanted = view.text("issuer");
    let found = accepted().find(|issuer| wanted.is_none_or(|wanted| issuer.name == wanted));
    if let (None, Some(wanted)) = (found, wanted) {
        let help = match nearest(wanted, names()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("the app accepts tokens of {}", listed(names())),
        };
        let what = format!("the app accepts no tokens of an issuer `{}`", shortened(wanted));
        cx.push(Diagnostic::error("issuer/unknown", view.at_key("issuer"), what).help(help));
    }
    found.map_or(IssuerEvidence::ANY, |issuer| issuer.evidence)
}

/// An unavailable fact is unavailable, whatever is written beside it.
fn or_gone<T>(known: Option<T>, gone: bool) -> Fact<T> {
    if gone { Fact::Unavailable } else { known.map_or(Fact::Unknown, Fact::Known) }
}

/// The path of a request, as it would be read of a request head.
fn path<'v>(
    cx: &mut Context<'_>,
    (asking, app): (Asking<'v>, Option<&'v App>),
    view: View<'v>,
) -> Option<ReadPath<'v>> {
    let text = view.text("path").or_else(|| app.map(|app| app.path_prefix.as_str())).unwrap_or("/");
    let flaw = |what: &str| {
        Flaw::new("ask/path", format!("`{}` {what}", shortened(text)))
            .why("such a request is refused as malformed (400) before any policy is asked")
    };
    let read = match read_text(text) {
        Ok(read) => read,
        Err(_) => {
            let flaw =
                flaw("is no path that is let through").help("write a path such as `/admin`, without a query");
            return cx.parse(text, at(view), |_| Err(flaw));
        }
    };
    if let Some(flaw) = app.and_then(|app| not_of_app(asking.config, app, &read)) {
        return cx.parse(text, at(view), |_| Err(flaw));
    }
    if app.is_some_and(|app| !(asking.is_received)(app, read.written())) {
        let flaw = flaw("cannot be rewritten to a path that all readers agree on")
            .help("beside `prefix-rewrite` no `allow-paths` lets it pass: ask about another path");
        return cx.parse(text, at(view), |_| Err(flaw));
    }
    let refused = app.and_then(|app| read.forms().beyond(app.allow_paths));
    if let Some(form) = refused {
        let flaw = flaw("has a form that the app does not allow").help(format!(
            "requests with it pass where the app says `allow-paths = [\"{}\"]`",
            form.as_str()
        ));
        return cx.parse(text, at(view), |_| Err(flaw));
    }
    Some(read)
}

/// What is wrong with a path that no request for the app has.
fn not_of_app(config: &Config, app: &App, path: &ReadPath<'_>) -> Option<Flaw> {
    let (written, own) = (path.written(), &app.path_prefix);
    let flaw = |what: String| Flaw::new("ask/path", format!("`{}` {what}", shortened(written)));
    if !app.has_path(written) {
        let flaw = flaw(format!("is no path of the app `{}`", app.id));
        return Some(
            flaw.why("such a request goes to another app, or is answered 404 before any policy is asked")
                .help(format!("its paths begin with `{own}`")),
        );
    }
    if !path.others().iter().all(|other| app.has_path(other)) {
        let flaw = flaw(format!("is read by some servers as no path of the app `{}`", app.id));
        return Some(
            flaw.why("such a request is refused (400) before any policy is asked")
                .help("ask about one with one reading"),
        );
    }
    let depth = |app: &App| app.path_prefix.split('/').filter(|segment| !segment.is_empty()).count();
    let is_nearer = |other: &&App| {
        depth(other) > depth(app)
            && other.has_path(written)
            && app.hosts.iter().all(|host| other.hosts.contains(host))
    };
    let other = config.apps.iter().find(is_nearer)?;
    let flaw = flaw(format!("is a path of the app `{}`", other.id));
    Some(
        flaw.why("of several apps of a host that with the longest path gets the request")
            .help(format!("ask about that: `app = \"{}\"`", other.id)),
    )
}

fn at(view: View<'_>) -> At {
    if view.get("path").is_some() { view.at_key("path") } else { view.at() }
}

fn app(cx: &mut Context<'_>, config: &Config, view: View<'_>) -> Option<usize> {
    let id = view.text("app")?;
    let ids = || config.apps.iter().map(|app| app.id.as_str());
    let position = ids().position(|known| known == id);
    if position.is_none() {
        let help = match nearest(id, ids()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("apps are {}", listed(ids().take(10))),
        };
        let what = format!("no app `{}`", shortened(id));
        cx.push(Diagnostic::error("app/unknown", view.at_key("app"), what).help(help));
    }
    position
}

fn moment(cx: &mut Context<'_>, view: View<'_>) -> Option<i64> {
    let node = view.get("at")?;
    let (Kind::Text(text) | Kind::Date(text)) = &node.kind else { return None };
    cx.parse(text, node.at, |text| {
        text.parse::<Timestamp>().map(Timestamp::as_second).map_err(|_| {
            Flaw::new("value/date", format!("`{}` is no moment", shortened(text)))
                .help("write a date and time with its offset: `2026-01-19T08:00:00+01:00`")
        })
    })
}

fn principal(
    cx: &mut Context<'_>,
    view: View<'_>,
    now: i64,
    gone: &[&str],
    config: &Config,
    evidence: IssuerEvidence,
) -> Option<Principal> {
    let guest = cx.parse_key(view, "guest", |text| {
        GuestKind::from_word(text).ok_or_else(|| {
            Flaw::new("value/word", format!("no kind of guest `{}`", shortened(text)))
                .help(format!("it is one of {}", listed(GuestKind::WORDS.into_iter())))
        })
    });
    let (id, identity) = match (view.text("user"), view.text("program")) {
        (Some(user), None) => {
            let home_tenant = view.text("home-tenant").map(ToOwned::to_owned);
            (user, Identity::User { guest, home_tenant })
        }
        (None, Some(program)) => (program, Identity::Workload),
        (user, _) => {
            let what =
                if user.is_some() { "both `user` and `program`" } else { "neither `user` nor `program`" };
            let at = if user.is_some() { view.at_key("program") } else { view.at() };
            cx.push(
                Diagnostic::error("ask/who", at, format!("a request has {what}"))
                    .help("a token is a person's or a program's: write one of them; without a token only the paths of `public` are opened"),
            );
            return None;
        }
    };
    let ago = |cx: &mut Context<'_>, key: &str| {
        let span = cx.parse_key(view, key, values::age)?;
        Some(now.saturating_sub(i64::try_from(span.as_secs()).ok()?))
    };
    let text = |key: &str| view.text(key).map(ToOwned::to_owned);
    let ids = |key: &str| match view.get(key) {
        _ if gone.contains(&key) => Fact::Unavailable,
        None => Fact::Unknown,
        Some(_) => Fact::Known(view.owned(key)),
    };
    let auth_time = ago(cx, "signed-in");
    let (methods, acr) = (view.owned("amr"), text("acr"));
    let contexts = cx.parse_list(view, "acrs", values::context);
    let (methods, acr, contexts) = match view.is_on("mfa") {
        true => proven(cx, view, config, evidence, (methods, acr, contexts)),
        false => (methods, acr, contexts),
    };
    let sign_in = SignIn {
        contexts,
        issuer: evidence.shown_by(&methods, acr.as_ref()),
        methods,
        acr,
        client_id: text("client-id"),
        flow: view.word("flow", Flow::from_word),
        password_changed: ago(cx, "password-changed"),
        risk_seen: ago(cx, "risk-seen"),
        terms: view.owned("terms"),
        custom_controls: view.owned("custom-controls"),
    };
    let (groups, roles) = (ids("groups"), ids("roles"));
    let standing = Standing { identity, groups, roles, sign_in, claims: claims(view) };
    Some(Principal { id: id.into(), auth_time, standing: standing.into() })
}

/// Methods, `acr` and contexts of a sign-in.
type Proofs = (Vec<String>, Option<String>, Vec<AuthenticationContext>);

/// The proofs of a token, with one of several factors that an issuer of this kind can assert.
fn proven(
    cx: &mut Context<'_>,
    view: View<'_>,
    config: &Config,
    issuer: IssuerEvidence,
    (mut methods, mut acr, mut contexts): Proofs,
) -> Proofs {
    let evidence = &config.policies.evidence;
    let method = evidence.mfa_methods.first().filter(|_| issuer.asserts_methods);
    let class = evidence.mfa_acrs.first().filter(|_| issuer.asserts_acr && acr.is_none());
    match (method, class, evidence.mfa_contexts.first()) {
        (Some(method), ..) => methods.push(method.clone()),
        (None, Some(class), _) => acr = Some(class.clone()),
        (None, None, Some(context)) => contexts.push(*context),
        (None, None, None) => cx.push(
            Diagnostic::error(
                "ask/mfa",
                view.at_key("mfa"),
                "no token of this issuer can prove several factors",
            )
            .why("no evidence that the policies accept is in its tokens")
            .help("map a context to it: `[evidence]` `mfa-contexts = [\"c1\"]`; see deploy/entra-id.md"),
        ),
    }
    (methods, acr, contexts)
}

fn claims(view: View<'_>) -> Vec<(Box<str>, Value)> {
    let entries = view.get("claims").map_or(&[][..], Node::entries);
    let mut claims: Vec<(Box<str>, Value)> =
        entries.iter().filter_map(|entry| Some((entry.key.as_str().into(), value(&entry.value)?))).collect();
    claims.sort_by(|left, right| left.0.cmp(&right.0));
    claims
}

/// What is written, as a value of a claim or an attribute.
fn value(node: &Node) -> Option<Value> {
    Some(match &node.kind {
        Kind::Text(text) => Value::Text(text.clone()),
        Kind::Bool(flag) => Value::Bool(*flag),
        #[expect(clippy::cast_precision_loss, reason = "claims are JSON numbers, which are no more exact")]
        Kind::Integer(number) => Value::Number((*number)? as f64),
        Kind::Float(number) => Value::Number(*number),
        Kind::List(items) => {
            Value::List(items.iter().filter_map(|item| item.text().map(ToOwned::to_owned)).collect())
        }
        Kind::Date(_) | Kind::Table(_) => return None,
    })
}

fn device(cx: &mut Context<'_>, view: View<'_>) -> OwnedDevice {
    let mut device = OwnedDevice::default();
    for (key, attribute) in DEVICE_KEYS {
        device.set(attribute, view.get(key).and_then(value));
    }
    for entry in view.get("extension-attributes").map_or(&[][..], Node::entries) {
        match entry.key.parse() {
            Ok(number @ 1..=15_u8) => device.set(DeviceAttribute::Extension(number), value(&entry.value)),
            Ok(_) | Err(_) => {
                let what = format!("no extension attribute `{}`", shortened(&entry.key));
                cx.push(Diagnostic::error("key/unknown", entry.at, what).help("they are numbered 1 to 15"));
            }
        }
    }
    device
}
