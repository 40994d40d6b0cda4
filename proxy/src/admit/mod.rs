//! The only reading of a raw request head. What comes out is what the policies judge and what the app
//! receives; whatever could be read in two ways is refused before anybody interprets it.

mod address;
mod forwarded;
mod head;
mod target;

use std::borrow::Cow;
use std::net::IpAddr;

use http::{HeaderMap, HeaderName, Method, Version, header};
use portcullis_config::settings::TrustedProxies;

use crate::refusal::BadRequest;
pub(crate) use address::{AddressText, address};
use forwarded::Client;
use head::Fields;

/// Headers that never reach an app: they would change what it does after the policies judged, or pass
/// for what only a proxy may say.
pub const STRIPPED: &[&str] = &[
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
    "x-original-method",
    "x-original-url",
    "x-original-uri",
    "x-rewrite-url",
    "x-forwarded-uri",
    "x-forwarded-method",
    "x-forwarded-path",
    "x-forwarded-prefix",
    "x-forwarded-server",
    "x-forwarded-user",
    "x-envoy-original-path",
    "x-envoy-external-address",
    "x-client-ip",
    "x-cluster-client-ip",
    "true-client-ip",
    "cf-connecting-ip",
    "trailer",
    "proxy",
];

/// The longest credential, in bytes: `Authorization`, or all cookies together.
const CREDENTIAL_BYTES_MAX: usize = 16 * 1024;
/// Cookies looked at; more are refused.
const COOKIES_MAX: usize = 128;
/// The part of a user agent that anybody looks at, in bytes.
const USER_AGENT_BYTES_MAX: usize = 512;

/// A request head as it came.
#[derive(Clone, Copy, Debug)]
pub struct Head<'r> {
    /// Method.
    pub method: &'r Method,
    /// The request target, byte for byte; see [`target_of`].
    pub target: &'r [u8],
    /// Protocol version.
    pub version: Version,
    /// Header fields.
    pub headers: &'r HeaderMap,
    /// `:authority` of an HTTP/2 request.
    pub authority: Option<&'r str>,
    /// The address of the connection's other end.
    pub peer: IpAddr,
}

/// The target in the first line of an HTTP/1 head as it was received. Parsers mend targets (they cut off
/// a fragment, escape a space): what needs mending is to be refused, so it must be seen. Empty when the
/// line cannot be read, or when any line ends in a bare LF, which other readers take for no end.
///
/// `fields` are those that the parser made of it, where it lies.
#[must_use]
pub fn target_of<'h>(head: &'h [u8], fields: &HeaderMap) -> &'h [u8] {
    let line = head.trim_ascii_start();
    let line = memchr::memchr(b'\r', line).and_then(|end| line.get(..end)).unwrap_or(line);
    // The last one stands near the end, before the version.
    let ends = (memchr::memchr(b' ', line), line.iter().rposition(|byte| *byte == b' '));
    match ends {
        (Some(first), Some(last)) if is_as_usual(head, line.len(), fields) || !has_bare_end(head) => {
            line.get(first + 1..last).unwrap_or_default()
        }
        _ => b"",
    }
}

/// Whether any line ends in a bare LF.
fn has_bare_end(head: &[u8]) -> bool {
    memchr::memchr_iter(b'\n', head)
        .any(|at| at.checked_sub(1).and_then(|before| head.get(before)) != Some(&b'\r'))
}

/// Whether a head is its first line, these fields, each written `name: value`, and an empty line, all of which end
/// in CRLF, and nothing else: so nearly all clients write, and it can be told without looking at each byte.
fn is_as_usual(head: &[u8], first_line: usize, fields: &HeaderMap) -> bool {
    const END: &[u8] = b"\r\n";
    let begin = first_line + END.len();
    let mut length = begin + END.len();
    for (name, value) in fields {
        let value = value.as_bytes();
        // Where it lies in the head; far outside, if it lies elsewhere.
        let at = value.as_ptr().addr().wrapping_sub(head.as_ptr().addr());
        let (before, after) = (at.checked_sub(2), at.checked_add(value.len()));
        let (Some(before), Some(after)) = (before, after) else { return false };
        let is_between = head.get(before..at) == Some(b": ")
            && head.get(after..).is_some_and(|rest| rest.starts_with(END));
        if !is_between || before < begin + name.as_str().len() {
            return false;
        }
        length += name.as_str().len() + value.len() + 4;
    }
    // No two fields share a byte, so that nothing is left when the lengths add up.
    length == head.len() && head.get(first_line..begin) == Some(END) && head.ends_with(b"\r\n\r\n")
}

/// A request that can be read in one way only.
#[derive(Clone, Debug)]
pub struct AdmittedRequest<'r> {
    headers: &'r HeaderMap,
    fields: Fields<'r>,
    method: &'r str,
    host: Cow<'r, str>,
    path: Cow<'r, str>,
    client: Client,
}

/// Reads a head, or says what makes it ambiguous.
///
/// # Errors
/// What is wrong with it; the request is to be refused with 400.
pub fn admit<'r>(head: &Head<'r>, proxies: &TrustedProxies) -> Result<AdmittedRequest<'r>, BadRequest> {
    let fields = head::check(head, proxies.header)?;
    let path = target::path(head.target)?;
    let host = head::host(head, fields.host)?;
    let client = forwarded::client(head, fields.forwarded, proxies)?;
    Ok(AdmittedRequest { headers: head.headers, fields, method: head.method.as_str(), host, path, client })
}

impl<'r> AdmittedRequest<'r> {
    /// The host that was asked, lower case, without port.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The path in its one spelling; never with a query. The app receives an equivalent one.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The method.
    #[must_use]
    pub const fn method(&self) -> &'r str {
        self.method
    }

    /// The client's address: of the connection, or as told by a trusted proxy.
    #[must_use]
    pub const fn client(&self) -> IpAddr {
        self.client.address
    }

    /// Whether `X-Forwarded-For` may stay as it came: it is one line, with this address alone.
    #[must_use]
    pub(crate) const fn client_is_told(&self) -> bool {
        self.client.is_told
    }

    /// The cookie of this name.
    ///
    /// # Errors
    /// [`BadRequest::Credential`] when it came twice, or among too many.
    pub fn cookie(&self, name: &str) -> Result<Option<&'r str>, BadRequest> {
        if !self.fields.has_cookies {
            return Ok(None);
        }
        let mut found = None;
        let mut count = 0_usize;
        for line in self.headers.get_all(header::COOKIE) {
            let line = line.to_str().map_err(|_| BadRequest::Credential)?;
            for pair in line.split(';') {
                count += 1;
                if count > COOKIES_MAX {
                    return Err(BadRequest::Credential);
                }
                let Some((key, value)) = pair.split_once('=') else { continue };
                if key.trim() == name && found.replace(value.trim()).is_some() {
                    return Err(BadRequest::Credential);
                }
            }
        }
        Ok(found.filter(|value| !value.is_empty()))
    }

    /// The value of a header that came once and is visible ASCII.
    #[must_use]
    pub fn header(&self, name: &HeaderName) -> Option<&'r str> {
        let mut values = self.headers.get_all(name).iter();
        let value = values.next()?.to_str().ok()?;
        values.next().is_none().then_some(value)
    }

    /// Whether the client asks for a WebSocket; nothing else may be asked for.
    #[must_use]
    pub fn is_upgrade(&self) -> bool {
        self.fields.has_upgrade
    }

    /// Whether no page of a strange origin is behind this request: none is named (no browser), or one of
    /// the same host, or one of `allowed` (`https://host`, lower case). RFC 6454, section 7; RFC 6455,
    /// section 10.2.
    #[must_use]
    pub fn is_from_own_page(&self, allowed: &[String]) -> bool {
        if !self.headers.contains_key(header::ORIGIN) {
            return true;
        }
        // Doubled or unreadable is strange.
        let Some(origin) = self.header(&header::ORIGIN).map(str::to_ascii_lowercase) else { return false };
        let own = origin
            .split_once("://")
            .filter(|(scheme, _)| matches!(*scheme, "http" | "https"))
            .and_then(|(_, authority)| head::without_port(authority).ok())
            .is_some_and(|host| host == self.host);
        own || allowed.contains(&origin)
    }

    /// The value of `Authorization`, as it came.
    #[must_use]
    pub const fn authorization(&self) -> Option<&'r [u8]> {
        self.fields.authorization
    }

    /// The length of the body, where it was told.
    #[must_use]
    pub const fn content_length(&self) -> Option<u64> {
        self.fields.content_length
    }

    /// `Sec-CH-UA-Platform`, as it came.
    #[must_use]
    pub const fn platform_hint(&self) -> Option<&'r str> {
        self.fields.platform_hint
    }

    /// The user agent, cut to a length that is worth reading.
    #[must_use]
    pub fn user_agent(&self) -> Option<&'r str> {
        let agent = self.fields.user_agent?;
        // INVARIANT: only ASCII is admitted, so every place is a boundary.
        Some(agent.get(..USER_AGENT_BYTES_MAX).unwrap_or(agent))
    }
}

#[cfg(test)]
mod tests;
