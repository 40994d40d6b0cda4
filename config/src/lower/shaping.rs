//! What an app changes of requests and answers: the path and the host that it is asked for, and fields. Fields that frame a
//! message, that say who asks, or that are ours to say are not to be written by hand.

use std::time::Duration;

use portcullis_policy::path::{Compare, is_below, read_text};

use super::context::Context;
use super::secrets::secret_of;
use super::values::{self, Flaw};
use crate::diagnose::{At, Diagnostic};
use crate::reserved::{Harm, fold, reserved};
use crate::schema::check::shortened;
use crate::schema::sign_in_tables::SECRET;
use crate::schema::tables::{FIELDS, MAINTENANCE, REDIRECT, RESPOND};
use crate::schema::tree::{Node, View};
use crate::settings::{
    App, FieldChanges, FieldValue, OwnAnswer, SessionAuthorization, Shaping, UpstreamHost, covers_host,
};

const FIELD: &str = "app/field";
/// How long clients may be asked to wait before they look again.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(86_400);

/// Fields that frame a message or belong to one connection (RFC 9110, section 7.6.1; RFC 9112, section 6).
const OF_CONNECTIONS: [&str; 12] = [
    "connection",
    "content-length",
    "expect",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
];

/// Which message a field is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leg {
    Request,
    Response,
}

/// What an app says of it. `prefix` is its path.
pub(super) fn shaping(
    cx: &mut Context<'_>,
    view: View<'_>,
    (hosts, prefix): (&[String], &str),
) -> Option<Shaping> {
    let prefix_rewrite =
        cx.parse_key(view, "prefix-rewrite", |text| prefix_rewrite(text, view.get("path").map(|_| prefix)));
    let own_answer = own_answer(cx, view, (hosts, prefix), prefix_rewrite.as_deref());
    let maintenance = maintenance(cx, view);
    let upstream_host = cx.parse_key(view, "upstream-host", upstream_host);
    let request = changes(cx, view, "request-headers", Leg::Request);
    let response = changes(cx, view, "response-headers", Leg::Response);
    Some(Shaping {
        prefix_rewrite,
        upstream_host: upstream_host?,
        own_answer: own_answer?,
        maintenance,
        request: request?,
        response: response?,
    })
}

/// What is answered instead of by servers: an app has the one or the other. `None` where what is said cannot be used.
fn own_answer(
    cx: &mut Context<'_>,
    view: View<'_>,
    app: (&[String], &str),
    rewrite: Option<&str>,
) -> Option<Option<OwnAnswer>> {
    const KEYS: [&str; 3] = ["upstreams", "redirect", "respond"];
    let said: Vec<&str> = KEYS.into_iter().filter(|key| view.get(key).is_some()).collect();
    match said.as_slice() {
        [] => {
            cx.push(
                Diagnostic::error("app/answer", view.at(), "the app has no `upstreams`, `redirect` or `respond`")
                    .label("needs one of them")
                    .why("nobody would answer who is let in")
                    .help("write exactly one: `upstreams = [\"http://10.0.0.5:8080\"]` for servers, or `redirect` or `respond` for an app without"),
            );
            return None;
        }
        [_] => {}
        [first, second, ..] => cx.push(
            Diagnostic::error("app/answer", view.at_key(second), format!("`{second}` beside `{first}`"))
                .why("it would not be clear who answers")
                .help("keep exactly one of `upstreams`, `redirect` and `respond`"),
        ),
    }
    if view.get("upstreams").is_none() {
        of_servers(cx, view);
    }
    if let Some(table) = view.table("redirect", &REDIRECT) {
        return redirect(cx, table, app, rewrite).map(Some);
    }
    match view.table("respond", &RESPOND) {
        Some(table) => fixed(cx, table).map(Some),
        None => Some(None),
    }
}

/// Warns of keys that are about servers, or what they receive, where there are none.
fn of_servers(cx: &mut Context<'_>, view: View<'_>) {
    const KEYS: [&str; 12] = [
        "upstream-ca",
        "upstream-host",
        "balance",
        "retries",
        "timeouts",
        "health",
        "request-headers",
        "identity-headers",
        "assertion",
        "session-authorization",
        "forward-authorization",
        "allow-headers",
    ];
    for node in KEYS.into_iter().filter(|key| view.get(key).is_some()) {
        cx.push(
            Diagnostic::warning("app/answer", view.at_key(node), format!("`{node}` without `upstreams`"))
                .why("it is about the servers of an app, and this one has none")
                .help("take it away"),
        );
    }
}

fn redirect(
    cx: &mut Context<'_>,
    view: View<'_>,
    (hosts, prefix): (&[String], &str),
    rewrite: Option<&str>,
) -> Option<OwnAnswer> {
    const CODE: &str = "app/redirect";
    let (keep_path, keep_query) = (view.is_on("keep-path"), view.is_on("keep-query"));
    let status: u16 = view.integer("status")?;
    if !matches!(status, 301 | 302 | 303 | 307 | 308) {
        cx.push(
            Diagnostic::error(CODE, view.at_key("status"), format!("{status} sends nobody elsewhere"))
                .help("write 302, or 301, 303, 307 or 308"),
        );
    }
    let url = cx.parse_key(view, "to", values::secure_url)?;
    let at = view.at_key("to");
    if (keep_path || keep_query) && (url.query().is_some() || url.fragment().is_some()) {
        cx.push(
            Diagnostic::error(CODE, at, "what is kept would follow a query or a fragment")
                .why("it would be a part of that, and no path or query")
                .help("write the URL without them, or keep nothing"),
        );
        return None;
    }
    let begins = if keep_path { rewrite.unwrap_or(prefix) } else { "" };
    let lands = format!("{}{}", url.path().trim_end_matches('/'), begins);
    let lands = if lands.is_empty() { "/" } else { lands.as_str() };
    let is_own = url.host_str().is_some_and(|host| hosts.iter().any(|own| covers_host(own, host)));
    if is_own && read_text(lands).is_ok_and(|path| is_below(path.written(), prefix, Compare::Folded)) {
        cx.push(
            Diagnostic::error(CODE, at, "the app sends its clients to itself")
                .why("they would go round in a circle")
                .help("write another host, or a path that is not the app's"),
        );
    }
    let to = if keep_path { url.as_str().trim_end_matches('/') } else { url.as_str() };
    Some(OwnAnswer::Redirect { to: to.to_owned(), status, keep_path, keep_query })
}

fn fixed(cx: &mut Context<'_>, view: View<'_>) -> Option<OwnAnswer> {
    const CODE: &str = "app/respond";
    let status: u16 = view.integer("status")?;
    let body = view.text("body").unwrap_or_default();
    let content_type = value_of(cx, view.text("content-type")?, view.at_key("content-type"))?;
    // RFC 9110, sections 15.3.5, 15.3.6, 15.4.5, 15.5.2 and 15.5.8.
    if matches!(status, 205 | 304 | 401 | 407) || (300..400).contains(&status) {
        cx.push(
            Diagnostic::error(CODE, view.at_key("status"), format!("{status} asks for more than a body"))
                .why("it says where to go, how to sign in, or that nothing follows")
                .help("write another status; `redirect` sends elsewhere"),
        );
    }
    if body.len() > 65_536 || (status == 204 && !body.is_empty()) {
        cx.push(
            Diagnostic::error(CODE, view.at_key("body"), "this body cannot be sent")
                .why("204 has none, and no other has more than 64 KiB")
                .help("shorten it; files are served by an app of their own"),
        );
    }
    Some(OwnAnswer::Fixed { status, content_type, body: body.to_owned() })
}

fn maintenance(cx: &mut Context<'_>, view: View<'_>) -> Option<Duration> {
    let is_on = view.get("maintenance").is_some_and(|node| node.boolean() != Some(false));
    let table = view.table_or_default("maintenance", &MAINTENANCE);
    let retry_after = cx.parse_key(table, "retry-after", values::duration).filter(|_| is_on)?;
    if retry_after > RETRY_AFTER_MAX {
        cx.push(
            Diagnostic::error(
                "app/maintenance",
                table.at_key("retry-after"),
                "`retry-after` is longer than a day",
            )
            .why("the page says the time of day, which would be another day's")
            .help("write when to look again, and not when all is done: `24h` at most"),
        );
    }
    Some(retry_after)
}

/// `prefix` is the app's path, where one is written.
fn prefix_rewrite(text: &str, prefix: Option<&str>) -> Result<String, Flaw> {
    let path = values::path_prefix(text)?;
    let flaw = |what: String| Flaw::new("app/prefix-rewrite", what);
    if !read_text(&path).is_ok_and(|read| read.forms().is_empty()) {
        return Err(flaw(format!("`{}` has more than one reading", shortened(text)))
            .why("the app could serve another page than the one that was judged")
            .help("write a path of plain names, such as `/` or `/app`"));
    }
    if prefix.is_none() && path == "/" {
        return Err(flaw("there is no `path` of the app to take away".to_owned())
            .why("nothing would be rewritten")
            .help("write `path`, such as `path = \"/wiki\"`, or leave `prefix-rewrite` out"));
    }
    if prefix == Some(&path) {
        return Err(flaw(format!("`{}` is the app's path already", shortened(text)))
            .why("nothing would be rewritten")
            .help("leave it out, or write `/` to take the app's path away"));
    }
    Ok(path)
}

fn upstream_host(text: &str) -> Result<UpstreamHost, Flaw> {
    match text {
        "keep" => return Ok(UpstreamHost::Keep),
        "upstream" => return Ok(UpstreamHost::Upstream),
        _ => {}
    }
    let flaw = || {
        Flaw::new(
            "app/upstream-host",
            format!("`{}` is no host that an app could be asked for", shortened(text)),
        )
        .help("write `keep`, `upstream`, or a name such as `wiki.internal` or `wiki.internal:8080`")
    };
    let is_address = text.starts_with('[') && text.ends_with(']');
    let (name, port) = match text.rsplit_once(':').filter(|_| !is_address) {
        Some((name, port)) => (name, Some(port)),
        None => (text, None),
    };
    let host = values::host(name).map_err(|_| flaw())?;
    let Some(port) = port else { return Ok(UpstreamHost::Name(host)) };
    let number = port.parse::<u16>().ok().filter(|number| *number > 0 && number.to_string() == port);
    number.map(|port| UpstreamHost::Name(format!("{host}:{port}"))).ok_or_else(flaw)
}

fn changes(cx: &mut Context<'_>, view: View<'_>, key: &str, leg: Leg) -> Option<FieldChanges> {
    let Some(table) = view.table(key, &FIELDS) else { return Some(FieldChanges::default()) };
    cx.not_empty(table, "remove", "leave it out where nothing is taken away");
    let mut changes = FieldChanges::default();
    let mut is_whole = true;
    for entry in table.get("set").map_or(&[][..], Node::entries) {
        let name = entry.key.to_ascii_lowercase();
        if changes.set.iter().any(|(known, _)| fold(known) == fold(&name)) {
            twice(cx, &entry.key, entry.at);
            continue;
        }
        let value = match entry.value.text() {
            Some(text) => value_of(cx, text, entry.value.at).map(FieldValue::Text),
            None => secret_of(cx, View::new(&SECRET, &entry.value), FIELD).map(FieldValue::Secret),
        };
        let Some(value) = value else {
            is_whole = false;
            continue;
        };
        let is_secret = matches!(value, FieldValue::Secret(_));
        if let Err(flaw) = may_set(&name, leg, is_secret) {
            cx.flaw(entry.at, flaw);
            continue;
        }
        changes.set.push((name, value));
    }
    for (text, at) in table.texts("remove") {
        let name = text.to_ascii_lowercase();
        if changes.set.iter().any(|(known, _)| *known == name) || changes.remove.contains(&name) {
            twice(cx, text, at);
        } else if let Err(flaw) = may_remove(&name, leg) {
            cx.flaw(at, flaw);
        } else {
            changes.remove.push(name);
        }
    }
    is_whole.then_some(changes)
}

fn twice(cx: &mut Context<'_>, name: &str, at: At) {
    cx.push(
        Diagnostic::error(FIELD, at, format!("`{}` is written twice", shortened(name)))
            .why("names compare without case, and `_` is read as `-` by some")
            .help("delete one of them"),
    );
}

fn value_of(cx: &mut Context<'_>, text: &str, at: At) -> Option<String> {
    let is_plain = text.bytes().all(|byte| matches!(byte, b' '..=b'~')) && text.trim() == text;
    if !is_plain || text.is_empty() || text.len() > 4_096 {
        cx.push(
            Diagnostic::error(FIELD, at, "this cannot be the value of a header field")
                .why("only visible ASCII and spaces between it are read alike by everybody")
                .help("write 1 to 4096 such characters, or take the field away by `remove`"),
        );
        return None;
    }
    Some(text.to_owned())
}

fn refuse(name: &str, why: &'static str, help: &str) -> Flaw {
    Flaw::new(FIELD, format!("`{}` cannot be changed here", shortened(name))).why(why).help(help)
}

/// What neither is set nor taken away.
fn untouchable(name: &str, leg: Leg) -> Result<(), Flaw> {
    if !values::is_token(name) || name.contains('_') {
        return Err(refuse(
            name,
            "servers do not read such a name alike",
            "write letters, digits and hyphens",
        ));
    }
    if OF_CONNECTIONS.contains(&name) {
        return Err(refuse(name, "it frames the message or belongs to one connection", "take it away"));
    }
    if name == "host" && leg == Leg::Request {
        return Err(refuse(name, "it chooses the site at the app", "write `upstream-host`"));
    }
    if matches!(name, "x-request-id" | "proxy-status") {
        return Err(refuse(
            name,
            "it is ours to say, the same to the client, the app and the log",
            "take it away",
        ));
    }
    Ok(())
}

fn may_set(name: &str, leg: Leg, is_secret: bool) -> Result<(), Flaw> {
    untouchable(name, leg)?;
    match leg {
        Leg::Request => match reserved(name).map(|found| found.harm) {
            Some(Harm::Judged) => Err(refuse(
                name,
                "the app could serve something else than the policies judged",
                "take it away",
            )),
            Some(Harm::Identity) => Err(refuse(
                name,
                "it says who asks, and would say the same of everybody",
                "write `identity-headers`, which take it from the token",
            )),
            None if name == "cookie" => {
                Err(refuse(name, "it would replace the client's own cookies", "take it away"))
            }
            None if name == "authorization" && !is_secret => Err(refuse(
                name,
                "a credential in the configuration is read by whoever reads that",
                "write `{ file = \"FILE\" }`, with the whole value in the file",
            )),
            Some(Harm::Origin) | None => Ok(()),
        },
        Leg::Response => match name {
            "set-cookie" => Err(refuse(name, "everybody would have the same cookie", "take it away")),
            "strict-transport-security" => Err(refuse(name, "it has a key of its own", "write `hsts`")),
            "clear-site-data" => Err(refuse(name, "every answer would sign people out", "take it away")),
            "content-encoding" | "content-range" | "content-type" => {
                Err(refuse(name, "it says how the app wrote this very answer", "take it away"))
            }
            _ if name.starts_with("access-control-") => Err(refuse(
                name,
                "which pages may read answers has keys of its own",
                "write `allowed-origins` and `cors`",
            )),
            _ => Ok(()),
        },
    }
}

fn may_remove(name: &str, leg: Leg) -> Result<(), Flaw> {
    untouchable(name, leg)?;
    let is_ours =
        matches!(name, "x-forwarded-for" | "x-forwarded-host" | "x-forwarded-proto" | "x-forwarded-port");
    if leg == Leg::Request && is_ours {
        return Err(refuse(name, "the app would take Portcullis for the client", "take it away"));
    }
    Ok(())
}

/// What is set beside what the app receives already under that name.
pub(super) fn beside_identity(cx: &mut Context<'_>, view: View<'_>, app: &App, assertion: Option<&str>) {
    let Some(table) = view.table("request-headers", &FIELDS) else { return };
    let set =
        table.get("set").map_or(&[][..], Node::entries).iter().map(|entry| (entry.key.as_str(), entry.at));
    let of_identity = app.identity_headers.iter().map(|(name, _)| name.as_str());
    let names: Vec<&str> = of_identity.chain(app.token.header.as_deref()).chain(assertion).collect();
    let sends_token = app.forward_authorization || app.session_authorization != SessionAuthorization::None;
    for (name, at) in set.chain(table.texts("remove")) {
        let carries = names.iter().any(|known| fold(known) == fold(name));
        if carries || (sends_token && name.eq_ignore_ascii_case("authorization")) {
            let what = format!("`{}` says who asks", shortened(name));
            cx.push(
                Diagnostic::error("app/field-identity", at, what)
                    .why("`identity-headers`, `token`, `[assertion]` or a forwarded `Authorization` has this name already")
                    .help("take it away here, or give the other another name"),
            );
        }
    }
}
