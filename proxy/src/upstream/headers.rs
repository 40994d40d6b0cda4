//! The head that an app receives: forged headers out, ours in.
//!
//! Runs after pingora has dropped hop-by-hop headers, so that no client can have ours dropped by
//! naming them in `Connection`.

use std::net::IpAddr;
use std::sync::LazyLock;

use http::header::{AUTHORIZATION, CONNECTION, COOKIE, HOST, HeaderName, HeaderValue, UPGRADE, VIA};
use http::{HeaderMap, Uri, Version, request};
use pingora::http::RequestHeader;
use pingora::{Error, ErrorType, Result};
use portcullis_config::settings::{self, FieldChanges, IdentityValue, UpstreamHost, is_own_cookie};

use super::back::{Back, Public};
use super::forgeable::Forgeable;
use super::identity::identity_value;
use crate::admit::{Site, cookies};
use crate::route::RewrittenTarget;
use crate::token::CachedPrincipal;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");
const DESTINATION: HeaderName = HeaderName::from_static("destination");
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// What [`prepare`] always sets anew, or leaves because it is right, and need not take away first.
static REPLACED: [HeaderName; 5] =
    [X_FORWARDED_FOR, X_FORWARDED_HOST, X_FORWARDED_PROTO, X_FORWARDED_PORT, X_REQUEST_ID];

/// How many fields [`prepare`] adds at most, beside identity.
const ADDED: usize = 10;

/// What a permitted request is about.
pub(crate) struct PermittedRequest<'r> {
    /// The app's settings.
    pub(crate) app: &'r settings::App,
    /// What the app receives, worked out at load.
    pub(crate) plan: &'r HeadPlan,
    /// Who asks; `None` where the app opens to everybody.
    pub(crate) caller: Option<&'r CachedPrincipal>,
    /// The client's address, as decided on.
    pub(crate) forwarded_for: ForwardedFor,
    /// Whether the token that was verified is the one in `Authorization`.
    pub(crate) authorization_is_verified: bool,
    /// The host, as decided on.
    pub(crate) host: &'r HeaderValue,
    /// Scheme and port under which the client asked.
    pub(crate) site: Site,
    /// The version of the request as it was received.
    pub(crate) received: Version,
    /// The request's id.
    pub(crate) request_id: HeaderValue,
    /// What the app receives as `Authorization` of a session, where it asks for that.
    pub(crate) session_authorization: Option<HeaderValue>,
    /// The target that the app receives; `None` is what was asked for.
    pub(crate) rewritten: Option<&'r RewrittenTarget>,
    /// The server that is asked, by its configured name, where the app's own host is not what the client asked for.
    pub(crate) server: Option<&'r str>,
    /// The signed statement of who asks, where the app wants one, and its header.
    pub(crate) assertion: Option<(HeaderName, HeaderValue)>,
}

/// Whether we write the client's address for the app.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ForwardedFor {
    /// `X-Forwarded-For`, as a trusted proxy sent it, has it.
    Keep,
    /// By us; `None` when the trusted proxies do not know it.
    Set(Option<IpAddr>),
}

/// Names this process to itself: a request that comes back has been here (RFC 9110, section 7.6.3). Drawn anew
/// at each start, so that nobody can send it who has not received it.
static PSEUDONYM: LazyLock<String> = LazyLock::new(|| {
    let (_, drawn) = uuid::Uuid::now_v7().as_u64_pair();
    format!("portcullis-{drawn:016x}")
});

/// `Via` for requests in HTTP/1.0, 1.1 and 2.
static VIAS: LazyLock<[HeaderValue; 3]> = LazyLock::new(|| {
    ["1.0", "1.1", "2"].map(|version| {
        let text: &'static str = Box::leak(format!("{version} {}", *PSEUDONYM).into());
        HeaderValue::from_static(text)
    })
});

fn via(received: Version) -> HeaderValue {
    let [ten, eleven, two] = &*VIAS;
    match received {
        Version::HTTP_2 => two.clone(),
        Version::HTTP_11 => eleven.clone(),
        _ => ten.clone(),
    }
}

/// Whether a request went through this process already.
pub(crate) fn has_looped<'r>(mut via: impl Iterator<Item = &'r HeaderValue>) -> bool {
    via.any(|line| memchr::memmem::find(line.as_bytes(), PSEUDONYM.as_bytes()).is_some())
}

/// What does not change from one request to an app to the next.
#[derive(Debug)]
pub(crate) struct HeadPlan {
    forgeable: Forgeable,
    /// The names of its identity headers.
    identity: Vec<(HeaderName, IdentityValue)>,
    request: Changes,
    response: Changes,
    host: Host,
    back: Option<Back>,
}

/// The host that the app is asked for.
#[derive(Debug)]
enum Host {
    Keep,
    /// That of each server, by its configured name.
    Upstream(Vec<(String, HeaderValue)>),
    Name(HeaderValue),
}

impl Host {
    fn of(app: &settings::App) -> Self {
        // INVARIANT: a configured host is letters, digits, dots, hyphens or an address in brackets, and a port.
        let value = |text: &str| HeaderValue::from_str(text).ok();
        match &app.shaping.upstream_host {
            UpstreamHost::Keep => Self::Keep,
            UpstreamHost::Name(name) => value(name).map_or(Self::Keep, Self::Name),
            UpstreamHost::Upstream => {
                let named = |upstream: &settings::Upstream| {
                    Some((upstream.at.to_string(), value(&upstream.authority())?))
                };
                Self::Upstream(app.upstreams.iter().filter_map(named).collect())
            }
        }
    }

    /// The host for this server; `None` is the client's.
    fn instead(&self, server: Option<&str>) -> Option<HeaderValue> {
        match self {
            Self::Keep => None,
            Self::Name(name) => server.map(|_| name.clone()),
            Self::Upstream(hosts) => {
                let server = server?;
                hosts.iter().find(|(name, _)| name == server).map(|(_, host)| host.clone())
            }
        }
    }
}

/// Fields that are set and taken away.
#[derive(Debug, Default)]
struct Changes {
    set: Vec<(HeaderName, HeaderValue)>,
    remove: Vec<HeaderName>,
}

impl Changes {
    fn of(changes: &FieldChanges) -> Self {
        let name = |text: &str| HeaderName::from_bytes(text.as_bytes()).ok();
        let set = changes.set.iter().filter_map(|(field, value)| {
            let (text, is_secret) = value.text();
            let mut value = HeaderValue::from_str(text).ok()?;
            value.set_sensitive(is_secret);
            Some((name(field)?, value))
        });
        Self { set: set.collect(), remove: changes.remove.iter().filter_map(|text| name(text)).collect() }
    }

    fn make(&self, headers: &mut HeaderMap) {
        for name in &self.remove {
            headers.remove(name);
        }
        for (name, value) in &self.set {
            headers.insert(name.clone(), value.clone());
        }
    }
}

impl HeadPlan {
    /// `assertion` is the header of assertions: an app that has none must not believe a client's.
    pub(super) fn new(app: &settings::App, assertion: Option<&str>) -> Self {
        let named = |(name, value): &(String, IdentityValue)| {
            // INVARIANT: names were checked at load.
            Some((HeaderName::from_bytes(name.as_bytes()).ok()?, value.clone()))
        };
        let identity = app.identity_headers.iter().filter_map(named).collect();
        let names = app.identity_headers.iter().map(|(name, _)| name.as_str());
        let set = app.shaping.request.set.iter().map(|(name, _)| name.as_str());
        let names = names.chain(app.token.header.as_deref()).chain(assertion).chain(set);
        let replaced = REPLACED.iter().map(HeaderName::as_str);
        let allowed = app.allow_headers.iter().map(String::as_str);
        let allowed = allowed.filter(|name| assertion.is_none_or(|own| !name.eq_ignore_ascii_case(own)));
        let passed = allowed.chain(replaced);
        Self {
            forgeable: Forgeable::new(names, passed),
            identity,
            request: Changes::of(&app.shaping.request),
            response: Changes::of(&app.shaping.response),
            host: Host::of(app),
            back: Back::of(app),
        }
    }

    /// Whether the app's answers are changed, beside what is taken out of all.
    pub(crate) fn changes_answers(&self) -> bool {
        self.back.is_some() || !self.response.set.is_empty() || !self.response.remove.is_empty()
    }

    /// Leads what an answer says of its place back to where clients find it, and sets and takes away fields.
    pub(crate) fn change_answer(&self, headers: &mut HeaderMap, public: Public<'_>) {
        if let Some(back) = &self.back {
            back.lead(headers, public);
        }
        self.set_fields(headers);
    }

    /// Sets and takes away fields of an answer, and leaves its place.
    pub(crate) fn set_fields(&self, headers: &mut HeaderMap) {
        self.response.make(headers);
    }
}

/// The client's cookies in one line, without the one that carries the app's token and without those of sessions and
/// sign-ins. `None` when none is left.
fn cookies_of_app(headers: &HeaderMap, token: Option<&str>) -> Option<HeaderValue> {
    let is_ours = |name: &[u8]| {
        Some(name) == token.map(str::as_bytes) || std::str::from_utf8(name).is_ok_and(is_own_cookie)
    };
    let others = cookies(headers).filter(|cookie| !is_ours(cookie.name));
    let pairs: Vec<&[u8]> = others.map(|cookie| cookie.pair).collect();
    if pairs.is_empty() { None } else { HeaderValue::from_bytes(&pairs.join(&b"; "[..])).ok() }
}

/// An address as a header's value. Without one, apps would take ours for the client's.
fn address(client: Option<IpAddr>) -> HeaderValue {
    let Some(client) = client else { return HeaderValue::from_static("unknown") };
    // INVARIANT: digits, letters, dots and colons are fit for a header.
    HeaderValue::try_from(client.to_string()).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// A host as the client knows it: with its port, unless that is the scheme's own.
pub(crate) fn authority(host: &HeaderValue, site: Site) -> HeaderValue {
    let Some(port) = site.written_port() else { return host.clone() };
    let text = [host.as_bytes(), b":", port.to_string().as_bytes()].concat();
    // INVARIANT: a colon and digits are fit for a header.
    HeaderValue::from_bytes(&text).unwrap_or_else(|_| host.clone())
}

/// Whether a value is what [`authority`] writes, byte for byte.
fn is_authority(value: &HeaderValue, host: &HeaderValue, site: Site) -> bool {
    let rest = value.as_bytes().strip_prefix(host.as_bytes());
    match (rest, site.written_port()) {
        (Some([]), None) => true,
        (Some([b':', digits @ ..]), Some(port)) => {
            matches!(digits, [b'1'..=b'9', ..])
                && std::str::from_utf8(digits).is_ok_and(|digits| digits.parse() == Ok(port))
        }
        _ => false,
    }
}

fn port(number: u16) -> HeaderValue {
    match number {
        80 => HeaderValue::from_static("80"),
        443 => HeaderValue::from_static("443"),
        number => HeaderValue::from(number),
    }
}

/// Takes the parts out of a head and leaves an empty one.
fn take_parts(header: &mut RequestHeader) -> request::Parts {
    let empty = RequestHeader::from(http::Request::new(()).into_parts().0);
    request::Parts::from(std::mem::replace(header, empty))
}

/// Gives up how the client spelled the names of its headers. They mean the same in any case (RFC 9110,
/// section 5.1), and the second map that pingora keeps the spelling in is copied and written with each
/// request.
///
/// # Errors
/// When the target is not what was admitted: what the app receives must be what the policies judged.
pub(crate) fn drop_header_case(header: &mut RequestHeader) -> Result<()> {
    let target = header.uri.path_and_query().map(|target| target.as_str().as_bytes());
    if target != Some(header.raw_path()) {
        return Err(Error::explain(ErrorType::HTTPStatus(500), "the target has two readings"));
    }
    if header.has_case() {
        *header = RequestHeader::from(take_parts(header));
    }
    Ok(())
}

/// Rewrites the head that goes to the app; see [`drop_header_case`], which comes first.
pub(crate) fn prepare(header: &mut RequestHeader, request: PermittedRequest<'_>) {
    let PermittedRequest { app, plan, caller, .. } = request;
    let mut parts = take_parts(header);
    let headers = &mut parts.headers;
    let forged = headers.keys().filter(|name| plan.forgeable.holds(name.as_str()));
    for name in forged.cloned().collect::<Vec<_>>() {
        headers.remove(name);
    }
    if !app.websocket && headers.remove(UPGRADE).is_some() {
        headers.remove(CONNECTION);
    }
    // Apps believe a credential that comes from us: one that nobody verified never reaches them.
    if !(app.forward_authorization && request.authorization_is_verified) {
        headers.remove(AUTHORIZATION);
    }
    match cookies_of_app(headers, app.token.cookie.as_deref()) {
        Some(left) => headers.insert(COOKIE, left),
        None => headers.remove(COOKIE),
    };
    headers.reserve(plan.identity.len() + plan.request.set.len() + ADDED);
    plan.request.make(headers);
    if let Some(caller) = caller {
        for (name, value) in &plan.identity {
            if let Some(value) = identity_value(value, caller.token()) {
                headers.insert(name.clone(), value);
            }
        }
    }
    if let Some(value) = request.session_authorization {
        headers.insert(AUTHORIZATION, value);
    }
    if let Some((name, value)) = request.assertion {
        headers.insert(name, value);
    }
    if let ForwardedFor::Set(client) = request.forwarded_for {
        headers.insert(X_FORWARDED_FOR, address(client));
    }
    // Most clients spell the host as it is judged.
    let sent = headers.get(HOST).filter(|sent| is_authority(sent, request.host, request.site)).cloned();
    let host = sent.unwrap_or_else(|| {
        let host = authority(request.host, request.site);
        headers.insert(HOST, host.clone());
        host
    });
    headers.insert(X_FORWARDED_HOST, host);
    if let Some(host) = plan.host.instead(request.server) {
        headers.insert(HOST, host);
    }
    headers.insert(X_FORWARDED_PORT, port(request.site.port));
    headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(request.site.scheme.as_str()));
    headers.append(VIA, via(request.received));
    headers.insert(X_REQUEST_ID, request.request_id);
    if let Some(rewritten) = request.rewritten {
        parts.uri = Uri::from(rewritten.target.clone());
        let headers = &mut parts.headers;
        if !rewritten.prefix.is_empty() {
            headers.insert(X_FORWARDED_PREFIX, rewritten.prefix.clone());
        }
        if let Some(destination) = &rewritten.destination {
            headers.insert(DESTINATION, destination.clone());
        }
    }
    *header = RequestHeader::from(parts);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admit::Scheme;

    #[test]
    fn an_address_is_written_as_it_is() {
        for text in ["0.10.100.255", "192.0.2.1", "2001:db8::1", "1111:2222:3333:4444:5555:6666:7777:8888"] {
            assert_eq!(address(Some(text.parse().unwrap())), text);
        }
        assert_eq!(address(None), "unknown");
    }

    #[test]
    fn a_port_is_written_unless_it_is_the_scheme_s_own() {
        let host = HeaderValue::from_static("wiki.test");
        for (scheme, number, written) in [
            (Scheme::Http, 80, "wiki.test"),
            (Scheme::Https, 443, "wiki.test"),
            (Scheme::Http, 443, "wiki.test:443"),
            (Scheme::Https, 8443, "wiki.test:8443"),
        ] {
            let site = Site { scheme, port: number };
            assert_eq!(authority(&host, site), written);
            for (sent, is_such) in [
                (written.to_owned(), true),
                (written.to_uppercase(), false),
                (format!("{written}."), false),
                (format!("{written}:{number}"), false),
                (format!("wiki.test:0{number}"), false),
                (format!("wiki.test:+{number}"), false),
                ("wiki.test:1".to_owned(), false),
                ("wiki.test:".to_owned(), false),
            ] {
                let sent = HeaderValue::from_str(&sent).unwrap();
                assert_eq!(is_authority(&sent, &host, site), is_such, "{sent:?} for {written}");
            }
            assert_eq!(port(number), number.to_string());
        }
    }

    #[test]
    fn a_request_that_was_here_is_known_by_our_word_in_any_line_of_via() {
        let mut headers = HeaderMap::new();
        headers.append(VIA, HeaderValue::from_static("1.1 portcullis-0000000000000000, 1.0 other"));
        assert!(!has_looped(headers.get_all(VIA).iter()));
        headers.append(VIA, HeaderValue::from_str(&format!("2 cache (x), 1.1 {} (y)", *PSEUDONYM)).unwrap());
        assert!(has_looped(headers.get_all(VIA).iter()));
        assert_eq!(via(Version::HTTP_2), format!("2 {}", *PSEUDONYM));
    }

    #[test]
    fn our_cookie_never_reaches_the_app_and_split_cookies_are_joined() {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, HeaderValue::from_static("a=1; portcullis=secret"));
        headers.append(COOKIE, HeaderValue::from_static("b=2"));
        assert_eq!(cookies_of_app(&headers, Some("portcullis")).unwrap(), "a=1; b=2");
        assert_eq!(cookies_of_app(&headers, None).unwrap(), "a=1; portcullis=secret; b=2");
    }

    #[test]
    fn never_n102_cookies_of_sessions_and_sign_ins_reach_no_app_in_any_letter_case() {
        let mut headers = HeaderMap::new();
        headers
            .append(COOKIE, HeaderValue::from_static("__Host-Http-portcullis=s; a=1; portcullis-session=s"));
        headers.append(COOKIE, HeaderValue::from_static("__HOST-HTTP-Portcullis-attempt-1=s;b=2"));
        assert_eq!(cookies_of_app(&headers, None).unwrap(), "a=1; b=2");
    }
}
