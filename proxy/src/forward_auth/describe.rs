//! A request as the fields of another one describe it: `X-Forwarded-Method`, `-Proto`, `-Host`, `-Uri` (Caddy,
//! Traefik), or `X-Original-Method` with `X-Original-URL` or `-URI` (nginx), and `X-Forwarded-For`. Envoy's ext_authz
//! over HTTP sends method, target and host as they are.
//!
//! A proxy that overwrites some of these fields passes the others on as its client sent them. So each may come once,
//! and where two say the same thing they must agree: a client can then make its own request be refused, and nothing
//! else.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue, Method, header};

use super::described::{BadDescription, Described, Fault, set_own_fields};
use crate::admit::{Connection, Scheme, encode_query, last_hop, port_of};

const METHOD: &str = "X-Forwarded-Method";
const PROTO: &str = "X-Forwarded-Proto";
const HOST: &str = "X-Forwarded-Host";
const URI: &str = "X-Forwarded-Uri";
const FOR: &str = "X-Forwarded-For";
const ORIGINAL_METHOD: &str = "X-Original-Method";
const ORIGINAL_URL: &str = "X-Original-URL";
const ORIGINAL_URI: &str = "X-Original-URI";

/// What describes, and is no part of the described request. `X-Forwarded-Port` is not read: not all proxies that ask
/// overwrite it, and the port stands in the host.
const DESCRIBING: &[&str] =
    &[METHOD, PROTO, HOST, URI, ORIGINAL_METHOD, ORIGINAL_URL, ORIGINAL_URI, "X-Forwarded-Port"];
/// The same where the request describes itself: what else has such a name was sent by the client.
const DESCRIBING_ITSELF: &[&str] = &[PROTO, HOST, "X-Forwarded-Port"];

/// What nginx, Caddy or Traefik describe in the fields of their own request.
///
/// # Errors
/// Which field is missing, doubled, unreadable or contradicted.
pub fn by_fields(received: &HeaderMap, peer: IpAddr) -> Result<Described, BadDescription> {
    let bytes = |name| Ok(once(received, name)?.map(HeaderValue::as_bytes));
    let url = match bytes(ORIGINAL_URL)? {
        Some(text) => Some(Url::of(text).ok_or(BadDescription::new(ORIGINAL_URL, Fault::Malformed))?),
        None => None,
    };
    let of_url = |part: for<'u> fn(&Url<'u>) -> &'u [u8]| url.as_ref().map(part);
    let parts = Parts {
        method: agreed(METHOD, &[bytes(METHOD)?, bytes(ORIGINAL_METHOD)?], <[u8]>::eq)?,
        target: agreed(URI, &[bytes(URI)?, bytes(ORIGINAL_URI)?, of_url(|url| url.target)], <[u8]>::eq)?,
        host: agreed(HOST, &[bytes(HOST)?, of_url(|url| url.host)], <[u8]>::eq_ignore_ascii_case)?,
        proto: agreed(PROTO, &[bytes(PROTO)?, of_url(|url| url.scheme)], <[u8]>::eq)?,
    };
    describe(parts, DESCRIBING, received, peer)
}

/// What all say that say anything; `field` is the one to name when nobody does, or when they differ.
fn agreed<'s>(
    field: &'static str,
    said: &[Option<&'s [u8]>],
    is_same: fn(&[u8], &[u8]) -> bool,
) -> Result<&'s [u8], BadDescription> {
    let mut said = said.iter().flatten();
    let first = said.next().ok_or(BadDescription::new(field, Fault::Missing))?;
    if said.all(|other| is_same(first, other)) {
        Ok(first)
    } else {
        Err(BadDescription::new(field, Fault::Contradicted))
    }
}

/// What Envoy's ext_authz over HTTP sends: the described request itself, without its body.
///
/// # Errors
/// Which field is missing, doubled or unreadable.
pub fn by_itself(
    (method, target, authority): (&Method, &[u8], Option<&str>),
    received: &HeaderMap,
    peer: IpAddr,
) -> Result<Described, BadDescription> {
    let host = match (authority, once(received, header::HOST.as_str())?) {
        (Some(authority), _) => authority.as_bytes(),
        (None, Some(host)) => host.as_bytes(),
        (None, None) => return Err(BadDescription::new("Host", Fault::Missing)),
    };
    let proto = once(received, PROTO)?.ok_or(BadDescription::new(PROTO, Fault::Missing))?;
    let method = method.as_str().as_bytes();
    describe(Parts { method, target, host, proto: proto.as_bytes() }, DESCRIBING_ITSELF, received, peer)
}

/// The parts of a described request that its fields do not say.
struct Parts<'r> {
    method: &'r [u8],
    target: &'r [u8],
    host: &'r [u8],
    proto: &'r [u8],
}

fn describe(
    parts: Parts<'_>,
    describing: &[&str],
    received: &HeaderMap,
    peer: IpAddr,
) -> Result<Described, BadDescription> {
    let malformed = |field| BadDescription::new(field, Fault::Malformed);
    let method = Method::from_bytes(parts.method).map_err(|_| malformed(METHOD))?;
    let scheme = std::str::from_utf8(parts.proto).ok().and_then(Scheme::named);
    let scheme = scheme.ok_or(malformed(PROTO))?;
    if !parts.target.starts_with(b"/") {
        return Err(malformed(URI));
    }
    let host = HeaderValue::from_bytes(parts.host).map_err(|_| malformed(HOST))?;
    let stated = host.to_str().ok().and_then(|host| port_of(host).ok());
    let port = stated.ok_or(malformed(HOST))?;
    let mut headers = received.clone();
    for name in describing {
        headers.remove(*name);
    }
    let client = client(&mut headers)?;
    set_own_fields(&mut headers, host);
    Ok(Described {
        method,
        target: encode_query(parts.target).into_owned(),
        headers,
        connection: Connection {
            peer: client.unwrap_or(peer),
            is_unknown: client.is_none(),
            tls: scheme == Scheme::Https,
            port: Some(port.unwrap_or(scheme.port())),
        },
    })
}

/// Takes the last hop out of `X-Forwarded-For`: the proxy that asks added it, and it is the other end of the
/// connection that the described request came on. What stands before it counts if that end is a trusted proxy.
/// `None`: the proxy does not know it.
fn client(headers: &mut HeaderMap) -> Result<Option<IpAddr>, BadDescription> {
    let lines: Vec<HeaderValue> = headers.get_all(FOR).iter().cloned().collect();
    let (last, before) = lines.split_last().ok_or(BadDescription::new(FOR, Fault::Missing))?;
    let (hop, rest) = last_hop(last).ok_or(BadDescription::new(FOR, Fault::Malformed))?;
    let rest = rest.and_then(|rest| HeaderValue::from_str(rest).ok());
    headers.remove(FOR);
    for line in before.iter().cloned().chain(rest) {
        headers.append(HeaderName::from_static("x-forwarded-for"), line);
    }
    Ok(hop)
}

/// The value of a field that may come once.
fn once<'h>(headers: &'h HeaderMap, name: &'static str) -> Result<Option<&'h HeaderValue>, BadDescription> {
    let mut values = headers.get_all(name).iter();
    let value = values.next();
    match values.next() {
        None => Ok(value),
        Some(_) => Err(BadDescription::new(name, Fault::Doubled)),
    }
}

/// `X-Original-URL`: `https://host/path?query`.
struct Url<'r> {
    scheme: &'r [u8],
    host: &'r [u8],
    target: &'r [u8],
}

impl<'r> Url<'r> {
    fn of(text: &'r [u8]) -> Option<Self> {
        let (scheme, rest) = text.split_at_checked(memchr::memmem::find(text, b"://")?)?;
        let rest = rest.get(3..)?;
        let (host, target) = rest.split_at_checked(memchr::memchr(b'/', rest)?)?;
        Some(Self { scheme, host, target })
    }
}

#[cfg(test)]
mod tests;
