//! Which hop of a forwarded chain is the client. Wrong here means every location policy is wrong.
//!
//! Only a trusted peer is listened to, and then the right-most hop that is not itself trusted counts:
//! everything further left could have been sent by the client. A hop that a trusted proxy could not
//! name is an address that cannot be known, never a trusted one; what cannot be read at all is refused.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::{HeaderName, HeaderValue, header};
use portcullis_config::settings::{ForwardedHeader, TrustedProxies};

use super::elements::elements;
use super::fields::Lines;
use super::head::Head;
use super::site::Connection;
use crate::refusal::BadRequest;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// Hops that are looked at; a longer chain is refused.
const HOPS_MAX: usize = 32;

/// Where a request comes from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Client {
    /// An IPv4-mapped IPv6 address is the IPv4 address. `None` when the trusted proxies do not know it.
    pub(super) address: Option<IpAddr>,
    /// Whether the one `X-Forwarded-For` of the request says this address and nothing else, as we write it.
    pub(super) keep_forwarded_for: bool,
    /// Whether the connection's other end is a trusted proxy.
    pub(super) by_trusted: bool,
}

/// A hop, as a trusted proxy names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hop {
    Known(IpAddr),
    /// `unknown`, an obfuscated identifier, or nothing at all.
    Unknown,
}

/// The client's address.
pub(super) fn client(
    head: &Head<'_>,
    connection: &Connection,
    lines: Lines<'_>,
    proxies: &TrustedProxies,
) -> Result<Client, BadRequest> {
    if connection.is_unknown {
        // A balancer that sends PROXY headers passes fields on as they are: the client wrote them.
        return Ok(Client { address: None, keep_forwarded_for: false, by_trusted: false });
    }
    let peer = connection.peer.to_canonical();
    if !trusted(&peer, proxies) {
        return Ok(Client { address: Some(peer), keep_forwarded_for: false, by_trusted: false });
    }
    // The usual case, which needs no walk: a lone hop is the client, trusted or not.
    if let (Lines::One(line), ForwardedHeader::XForwardedFor) = (lines, proxies.header)
        && let Ok(address) = line.to_str().unwrap_or_default().parse::<Ipv4Addr>()
    {
        return Ok(Client { address: Some(address.into()), keep_forwarded_for: true, by_trusted: true });
    }
    let hop = match lines {
        Lines::None => Ok(Hop::Known(peer)),
        Lines::One(line) => walk(peer, std::iter::once(line), proxies),
        Lines::Many => {
            let name = match proxies.header {
                ForwardedHeader::XForwardedFor => X_FORWARDED_FOR,
                ForwardedHeader::Forwarded => header::FORWARDED,
            };
            walk(peer, head.headers.get_all(name).iter().rev(), proxies)
        }
    };
    let address = match hop? {
        Hop::Known(address) => Some(address),
        Hop::Unknown => None,
    };
    Ok(Client { address, keep_forwarded_for: false, by_trusted: true })
}

fn trusted(address: &IpAddr, proxies: &TrustedProxies) -> bool {
    proxies.networks.iter().any(|network| network.contains(address))
}

/// From the peer leftwards to the first hop that is not trusted. All lines of the header are one list, in
/// their order; they come from its end.
fn walk<'l>(
    peer: IpAddr,
    lines: impl Iterator<Item = &'l HeaderValue>,
    proxies: &TrustedProxies,
) -> Result<Hop, BadRequest> {
    let mut leftmost = peer;
    let mut count = 0_usize;
    // The client, once it is reached.
    let mut next = |hop: Option<Hop>| {
        count += 1;
        match hop.filter(|_| count <= HOPS_MAX).ok_or(BadRequest::ForwardedAddress)? {
            Hop::Unknown => Ok(Some(Hop::Unknown)),
            Hop::Known(address) => {
                leftmost = address.to_canonical();
                Ok((!trusted(&leftmost, proxies)).then_some(Hop::Known(leftmost)))
            }
        }
    };
    for line in lines {
        match proxies.header {
            ForwardedHeader::XForwardedFor => {
                let line = line.to_str().map_err(|_| BadRequest::ForwardedAddress)?;
                // Empty elements say nothing (RFC 9110, section 5.6.1.2).
                for hop in line.rsplit(',').map(str::trim).filter(|hop| !hop.is_empty()) {
                    if let Some(client) = next(hop_of(unquoted(hop)))? {
                        return Ok(client);
                    }
                }
            }
            ForwardedHeader::Forwarded => {
                let all = elements(line.as_bytes()).ok_or(BadRequest::ForwardedAddress)?;
                for element in all.iter().rev() {
                    let hop = element.node.as_deref().map_or(Some(Hop::Unknown), hop_of);
                    if let Some(client) = next(hop)? {
                        return Ok(client);
                    }
                }
            }
        }
    }
    Ok(Hop::Known(leftmost))
}

/// The last hop of a line of `X-Forwarded-For`, and the hops before it. The hop is `None` inside when whoever added it
/// does not know the address; the whole is `None` when it cannot be read.
pub(crate) fn last_hop(line: &HeaderValue) -> Option<(Option<IpAddr>, Option<&str>)> {
    let line = line.to_str().ok()?.trim_end_matches([',', ' ', '\t']);
    let (before, last) = line.rsplit_once(',').map_or((None, line), |(before, last)| (Some(before), last));
    match hop_of(unquoted(last.trim()))? {
        Hop::Known(address) => Some((Some(address.to_canonical()), before)),
        Hop::Unknown => Some((None, before)),
    }
}

/// An address between quotes, as some write IPv6 addresses. A quote within is left, and is no address.
fn unquoted(text: &str) -> &str {
    text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text)
}

/// A node (RFC 7239, section 6): an address, `unknown` or an obfuscated identifier, with or without a port.
/// `None` for what is none of these.
fn hop_of(text: &str) -> Option<Hop> {
    if let Some(address) = address(text) {
        return Some(Hop::Known(address));
    }
    // nginx names a client on a Unix socket so.
    if text == "unix:" {
        return Some(Hop::Unknown);
    }
    let (name, port) = text.split_once(':').unwrap_or((text, "0"));
    ((name.eq_ignore_ascii_case("unknown") || is_obfuscated(name)) && is_port(port)).then_some(Hop::Unknown)
}

/// `_` and what follows it (RFC 7239, section 6.3).
fn is_obfuscated(text: &str) -> bool {
    text.strip_prefix('_').is_some_and(|rest| {
        let is_sign = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        !rest.is_empty() && rest.bytes().all(is_sign)
    })
}

fn is_port(text: &str) -> bool {
    is_obfuscated(text)
        || (!text.is_empty() && text.len() <= 5 && text.bytes().all(|byte| byte.is_ascii_digit()))
}

/// An address, with or without a port: `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]:80`. The
/// zone of an IPv6 address means something on the proxy's machine only, and is left out.
fn address(text: &str) -> Option<IpAddr> {
    if let Some(rest) = text.strip_prefix('[') {
        let (inside, port) = rest.split_once(']')?;
        let port_fits = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
        return v6(inside).filter(|_| port_fits);
    }
    if let Ok(address) = text.parse::<Ipv4Addr>() {
        return Some(address.into());
    }
    if let Some(address) = v6(text) {
        return Some(address);
    }
    let (host, _) = text.split_once(':').filter(|(_, port)| is_port(port))?;
    host.parse::<Ipv4Addr>().ok().map(IpAddr::V4)
}

/// An IPv6 address, with or without a zone (RFC 4007, section 11).
fn v6(text: &str) -> Option<IpAddr> {
    let address = match text.split_once('%') {
        None => text,
        Some((address, zone)) => {
            let is_sign =
                |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'%');
            (!zone.is_empty() && zone.bytes().all(is_sign)).then_some(address)?
        }
    };
    address.parse::<Ipv6Addr>().ok().map(IpAddr::V6)
}
