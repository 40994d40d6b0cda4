//! The only reading of a raw request head. What comes out is what the policies judge and what the app
//! receives; whatever has two readings is refused before it is interpreted.

mod chunks;
mod cookie;
mod elements;
mod fault;
mod fields;
mod forwarded;
mod head;
mod query;
mod raw;
mod site;
mod target;

use std::borrow::Cow;
use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue, header};
use portcullis_config::settings::{TrustedProxies, is_own_cookie};
use portcullis_policy::path::{PathForms, ReadPath};

use crate::refusal::BadRequest;
pub(crate) use chunks::ChunkLines;
pub(crate) use cookie::cookies;
pub(crate) use fault::at_fault;
use fields::Fields;
pub(crate) use fields::{HeaderPresence, is_plain_name, own_framing, port_of};
use forwarded::Client;
pub(crate) use forwarded::last_hop;
pub use head::Head;
pub(crate) use query::{QueryEncoder, encode_query};
pub use raw::RawHead;
pub use site::{Connection, Scheme, Site};

/// The part of a user agent that is looked at, in bytes.
const USER_AGENT_BYTES_MAX: usize = 512;

/// A request that has one reading only.
#[derive(Clone, Debug)]
pub struct AdmittedRequest<'r> {
    headers: &'r HeaderMap,
    fields: Fields<'r>,
    method: &'r str,
    host: Cow<'r, str>,
    path: ReadPath<'r>,
    destination: Option<ReadPath<'r>>,
    client: Client,
    site: Site,
}

/// Reads a head, or says what makes it ambiguous.
///
/// # Errors
/// What is wrong with it; the request is to be refused with 400.
pub fn admit<'r>(
    head: &Head<'r>,
    connection: Connection,
    proxies: &TrustedProxies,
) -> Result<AdmittedRequest<'r>, BadRequest> {
    let fields = fields::check(head, proxies.header)?;
    let path = target::path(head.target)?;
    let (host, port) = fields::host(head, fields.host)?;
    let client = forwarded::client(head, &connection, fields.forwarded, proxies)?;
    let destination = match fields.destination {
        Some(text) => Some(target::destination(text, &host)?),
        None => None,
    };
    let site =
        site::site(connection, client.by_trusted.then_some(proxies.header), fields.forwarded_site, port);
    let (headers, method) = (head.headers, head.method.as_str());
    Ok(AdmittedRequest { headers, fields, method, host, path, destination, client, site })
}

impl<'r> AdmittedRequest<'r> {
    /// The host that was asked, lower case, without port.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The path in normal form; never with a query. The app receives an equivalent one.
    #[must_use]
    pub fn path(&self) -> &str {
        self.path.written()
    }

    /// Every other path that the request may be about: how else the app may read the target, and where
    /// WebDAV is to copy or move something to. Each must be let in.
    pub fn other_paths(&self) -> impl Iterator<Item = &str> {
        let destination = self.destination.iter();
        let second = destination.flat_map(|path| std::iter::once(path.written()).chain(other_readings(path)));
        other_readings(&self.path).chain(second)
    }

    /// What of its paths an app must allow by name.
    #[must_use]
    pub fn path_forms(&self) -> PathForms {
        let second = self.destination.as_ref().map_or(PathForms::EMPTY, ReadPath::forms);
        self.path.forms().union(second)
    }

    /// The method.
    #[must_use]
    pub const fn method(&self) -> &'r str {
        self.method
    }

    /// The client's address: of the connection, or the one that a trusted proxy reports. `None` when that does not
    /// know it: such a client is in no location, and in no country.
    #[must_use]
    pub const fn client(&self) -> Option<IpAddr> {
        self.client.address
    }

    /// Scheme and port under which the client asked.
    #[must_use]
    pub const fn site(&self) -> Site {
        self.site
    }

    /// Which of the less usual fields are present.
    #[must_use]
    pub(crate) const fn presence(&self) -> HeaderPresence {
        self.fields.presence
    }

    /// Whether `X-Forwarded-For` may stay as received: it is one line, with this address alone.
    #[must_use]
    pub(crate) const fn keep_forwarded_for(&self) -> bool {
        self.client.keep_forwarded_for
    }

    /// The cookie of this name. All others are opaque: theirs is any byte, and any number.
    ///
    /// # Errors
    /// [`BadRequest::Credential`] when it was sent twice, or is not visible ASCII.
    pub fn cookie(&self, name: &str) -> Result<Option<&'r str>, BadRequest> {
        let ours = cookies(self.headers).filter(|cookie| cookie.name == name.as_bytes());
        let mut values = ours.filter_map(|cookie| cookie.value);
        let (value, second) = (values.next(), values.next());
        if second.is_some() {
            return Err(BadRequest::Credential);
        }
        let Some(value) = value.filter(|value| !value.is_empty()) else { return Ok(None) };
        // Without an early end, so that many bytes are looked at at once.
        let is_visible = value.iter().fold(true, |all, byte| all & matches!(byte, b' '..=b'~'));
        let value = std::str::from_utf8(value).ok().filter(|_| is_visible);
        value.map(Some).ok_or(BadRequest::Credential)
    }

    /// The value of a header that was sent once and is visible ASCII.
    #[must_use]
    pub fn header(&self, name: &HeaderName) -> Option<&'r str> {
        let mut values = self.headers.get_all(name).iter();
        let value = values.next()?.to_str().ok()?;
        values.next().is_none().then_some(value)
    }

    /// Whether a header was sent, with whatever in it.
    #[must_use]
    pub(crate) fn has(&self, name: &HeaderName) -> bool {
        self.headers.contains_key(name)
    }

    /// The cookies whose names we keep for ourselves, as text: name and value. One that is no text is none of ours.
    pub(crate) fn own_cookies(&self) -> impl Iterator<Item = (&'r str, &'r str)> {
        cookies(self.headers).filter_map(|cookie| {
            let name = std::str::from_utf8(cookie.name).ok().filter(|name| is_own_cookie(name))?;
            Some((name, std::str::from_utf8(cookie.value?).ok()?))
        })
    }

    /// Whether the request has a body, or says that one comes.
    #[must_use]
    pub(crate) fn has_body(&self) -> bool {
        self.fields.presence.chunked || self.fields.content_length.is_some_and(|length| length > 0)
    }

    /// The lines of `Via`, as received.
    pub fn via(&self) -> impl Iterator<Item = &'r HeaderValue> {
        self.headers.get_all(header::VIA).iter()
    }

    /// Whether the client asks for a WebSocket. Offers of other protocols are optional, and not taken up.
    #[must_use]
    pub const fn is_websocket(&self) -> bool {
        self.fields.presence.websocket
    }

    /// Whether no page of a strange origin is behind this request: none is named (no browser), or one of
    /// the same scheme, host and port, or one of `allowed` (`https://host`, lower case). RFC 6454, sections 5
    /// and 7; RFC 6455, section 10.2.
    #[must_use]
    pub fn is_from_own_page(&self, allowed: &[String]) -> bool {
        if !self.headers.contains_key(header::ORIGIN) {
            return true;
        }
        // Doubled or unreadable is strange.
        let Some(origin) = self.header(&header::ORIGIN).map(str::to_ascii_lowercase) else { return false };
        let own = origin.split_once("://").is_some_and(|(scheme, authority)| {
            let Ok((host, port)) = fields::host_and_port(authority) else { return false };
            let Site { scheme: ours, port: our_port } = self.site;
            scheme == ours.as_str() && host == self.host && port.unwrap_or(ours.port()) == our_port
        });
        own || allowed.contains(&origin)
    }

    /// The value of `Authorization`, as received.
    #[must_use]
    pub const fn authorization(&self) -> Option<&'r [u8]> {
        self.fields.authorization
    }

    /// The length of the body, where the client stated it.
    #[must_use]
    pub const fn content_length(&self) -> Option<u64> {
        self.fields.content_length
    }

    /// `Sec-CH-UA-Platform`, as received.
    #[must_use]
    pub const fn platform_hint(&self) -> Option<&'r str> {
        self.fields.platform_hint
    }

    /// The user agent, visible ASCII, cut to a length that is worth reading.
    #[must_use]
    pub fn user_agent(&self) -> Option<&'r [u8]> {
        let agent = self.fields.user_agent?.as_bytes();
        Some(agent.get(..USER_AGENT_BYTES_MAX).unwrap_or(agent))
    }
}

fn other_readings<'p>(path: &'p ReadPath<'_>) -> impl Iterator<Item = &'p str> {
    path.others().iter().map(String::as_str)
}

#[cfg(test)]
mod tests;
