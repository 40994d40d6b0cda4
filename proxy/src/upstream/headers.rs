//! What the app is told about the request: forged headers out, ours in.
//!
//! Runs after pingora has dropped hop-by-hop headers, so that no client can have ours dropped by
//! naming them in `Connection`.

use std::net::IpAddr;

use http::header::{AUTHORIZATION, COOKIE, HeaderName, HeaderValue, UPGRADE};
use http::{HeaderMap, request};
use pingora::http::RequestHeader;
use pingora::{Error, ErrorType, Result};
use portcullis_config::settings::{self, IdentityValue};

use super::forgeable::Forgeable;
use super::identity::identity_value;
use crate::admit::{self, Came};
use crate::kept::for_good;
use crate::token::Caller;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// What [`prepare`] always sets anew, or leaves because it is right, and need not take away first.
static REPLACED: [HeaderName; 4] = [X_FORWARDED_FOR, X_FORWARDED_HOST, X_FORWARDED_PROTO, X_REQUEST_ID];

/// What a permitted request is about.
pub(crate) struct Prepared<'r> {
    /// The app's settings.
    pub(crate) app: &'r settings::App,
    /// What the app is told, worked out at load.
    pub(crate) plan: &'r HeadPlan,
    /// Who asks.
    pub(crate) caller: &'r Caller,
    /// The client's address, as decided on; `None` when `X-Forwarded-For`, as it came from a trusted proxy, is it.
    pub(crate) client: Option<IpAddr>,
    /// What came beside the fields that everybody sends.
    pub(crate) came: Came,
    /// Whether the token that was verified is the one in `Authorization`.
    pub(crate) authorization_is_verified: bool,
    /// The host, as decided on.
    pub(crate) host: HeaderValue,
    /// The request's id.
    pub(crate) request_id: HeaderValue,
    /// Whether the client's connection was encrypted.
    pub(crate) tls: bool,
}

/// What does not change from one request to an app to the next.
#[derive(Debug)]
pub(crate) struct HeadPlan {
    forgeable: Forgeable,
    /// The names of its identity headers.
    identity: Vec<(HeaderName, IdentityValue)>,
}

impl HeadPlan {
    pub(super) fn new(app: &settings::App) -> Self {
        let named = |(name, value): &(String, IdentityValue)| {
            // INVARIANT: names were checked at load.
            let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
            Some((HeaderName::from_static(for_good(name.as_str())), value.clone()))
        };
        let identity = app.identity_headers.iter().filter_map(named).collect();
        let names = app.identity_headers.iter().map(|(name, _)| name.as_str());
        let names = names.chain(app.token.header.as_deref());
        let replaced = REPLACED.iter().map(HeaderName::as_str);
        let passed = app.allow_headers.iter().map(String::as_str).chain(replaced);
        Self { forgeable: Forgeable::new(names, passed), identity }
    }
}

/// The client's cookies in one line, without ours. `None` when none is left.
fn cookies(headers: &HeaderMap, ours: Option<&str>) -> Option<HeaderValue> {
    let mut kept = Vec::new();
    for line in headers.get_all(COOKIE) {
        for pair in line.as_bytes().split(|byte| *byte == b';') {
            let pair = pair.trim_ascii();
            let name = pair.split(|byte| *byte == b'=').next().unwrap_or_default().trim_ascii_end();
            if pair.is_empty() || ours.is_some_and(|ours| name == ours.as_bytes()) {
                continue;
            }
            if !kept.is_empty() {
                kept.extend_from_slice(b"; ");
            }
            kept.extend_from_slice(pair);
        }
    }
    if kept.is_empty() { None } else { HeaderValue::from_bytes(&kept).ok() }
}

/// An address as a header's value.
fn address(client: IpAddr) -> HeaderValue {
    // INVARIANT: digits, letters, dots and colons are fit for a header.
    HeaderValue::from_str(&admit::address(client)).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// Takes the parts out of a head and leaves an empty one. Not inlined: it is long, and a request does it twice.
#[inline(never)]
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
pub(crate) fn forget_spelling(header: &mut RequestHeader) -> Result<()> {
    let target = header.uri.path_and_query().map(|target| target.as_str().as_bytes());
    if target != Some(header.raw_path()) {
        return Err(Error::explain(ErrorType::HTTPStatus(500), "the target has two readings"));
    }
    if header.has_case() {
        *header = RequestHeader::from(take_parts(header));
    }
    Ok(())
}

/// Sets a header. Not inlined: six copies of it, each run once, cost more to fetch than to run.
#[inline(never)]
fn set(headers: &mut HeaderMap, name: HeaderName, value: HeaderValue) {
    headers.insert(name, value);
}

/// Rewrites the head that goes to the app; see [`forget_spelling`], which comes first.
pub(crate) fn prepare(header: &mut RequestHeader, passage: Prepared<'_>) {
    let Prepared { app, plan, caller, .. } = passage;
    let mut parts = take_parts(header);
    let headers = &mut parts.headers;
    let came = passage.came;
    let forged = headers.keys().filter(|name| plan.forgeable.holds(name.as_str()));
    for name in forged.cloned().collect::<Vec<_>>() {
        headers.remove(name);
    }
    if came.upgrade && !app.websocket {
        headers.remove(UPGRADE);
    }
    // Apps believe a credential that comes from us: one that nobody verified never reaches them.
    if !(app.forward_authorization && passage.authorization_is_verified) {
        headers.remove(AUTHORIZATION);
    }
    if came.cookies {
        let kept = cookies(headers, app.token.cookie.as_deref());
        headers.remove(COOKIE);
        if let Some(kept) = kept {
            headers.insert(COOKIE, kept);
        }
    }
    for (name, value) in &plan.identity {
        if let Some(value) = identity_value(value, caller.token()) {
            set(headers, name.clone(), value);
        }
    }
    if let Some(client) = passage.client {
        set(headers, X_FORWARDED_FOR, address(client));
    }
    set(headers, X_FORWARDED_HOST, passage.host);
    set(headers, X_FORWARDED_PROTO, HeaderValue::from_static(if passage.tls { "https" } else { "http" }));
    set(headers, X_REQUEST_ID, passage.request_id);
    *header = RequestHeader::from(parts);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_written_as_it_is() {
        for text in ["0.10.100.255", "192.0.2.1", "2001:db8::1", "1111:2222:3333:4444:5555:6666:7777:8888"] {
            assert_eq!(address(text.parse().unwrap()), text);
        }
    }

    #[test]
    fn our_cookie_never_reaches_the_app_and_split_cookies_are_joined() {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, HeaderValue::from_static("a=1; portcullis=secret"));
        headers.append(COOKIE, HeaderValue::from_static("b=2"));
        assert_eq!(cookies(&headers, Some("portcullis")).unwrap(), "a=1; b=2");
        assert_eq!(cookies(&headers, None).unwrap(), "a=1; portcullis=secret; b=2");
    }
}
