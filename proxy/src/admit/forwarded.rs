//! Which hop of a forwarded chain is the client. Wrong here means every location policy is wrong.
//!
//! Only a trusted peer is listened to, and then the right-most hop that is not itself trusted counts:
//! everything further left could have been sent by the client.

use std::net::IpAddr;

use http::{HeaderName, HeaderValue, header};
use portcullis_config::settings::{ForwardedHeader, TrustedProxies};

use super::head::Lines;
use super::{Head, address as own};
use crate::refusal::BadRequest;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// Hops that are looked at; a longer chain is refused.
const HOPS_MAX: usize = 32;

/// Where a request comes from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Client {
    /// An IPv4-mapped IPv6 address is the IPv4 address.
    pub(super) address: IpAddr,
    /// Whether the one `X-Forwarded-For` of the request says this address and nothing else, as we write it.
    pub(super) is_told: bool,
}

/// The client's address.
pub(super) fn client(
    head: &Head<'_>,
    lines: Lines<'_>,
    proxies: &TrustedProxies,
) -> Result<Client, BadRequest> {
    let peer = head.peer.to_canonical();
    if !trusted(&peer, proxies) {
        return Ok(Client { address: peer, is_told: false });
    }
    // The usual case, which needs no walk: a lone hop is the client, trusted or not.
    if let (Lines::One(line), ForwardedHeader::XForwardedFor) = (lines, proxies.header)
        && let Some(address) = own::v4(line.as_bytes())
    {
        return Ok(Client { address: address.into(), is_told: true });
    }
    let address = match lines {
        Lines::None => Ok(peer),
        Lines::One(line) => walk(peer, std::iter::once(line), proxies),
        Lines::Many => {
            let name = match proxies.header {
                ForwardedHeader::XForwardedFor => X_FORWARDED_FOR,
                ForwardedHeader::Forwarded => header::FORWARDED,
            };
            walk(peer, head.headers.get_all(name).iter().rev(), proxies)
        }
    };
    Ok(Client { address: address?, is_told: false })
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
) -> Result<IpAddr, BadRequest> {
    let mut leftmost = peer;
    let mut hops = 0_usize;
    for line in lines {
        let mut rest = Some(line.to_str().map_err(|_| BadRequest::ForwardedAddress)?);
        while let Some(list) = rest {
            let element = match memchr::memrchr(b',', list.as_bytes()) {
                Some(comma) => {
                    rest = list.get(..comma);
                    list.get(comma + 1..).unwrap_or_default()
                }
                None => {
                    rest = None;
                    list
                }
            };
            hops += 1;
            if hops > HOPS_MAX {
                return Err(BadRequest::ForwardedAddress);
            }
            let hop = match proxies.header {
                ForwardedHeader::XForwardedFor => address(element.trim()),
                ForwardedHeader::Forwarded => forwarded_for(element).and_then(address),
            };
            leftmost = hop.ok_or(BadRequest::ForwardedAddress)?.to_canonical();
            if !trusted(&leftmost, proxies) {
                return Ok(leftmost);
            }
        }
    }
    Ok(leftmost)
}

/// The `for` parameter of one element of `Forwarded` (RFC 7239, section 4), without its quotes. Quoted
/// commas do not occur in addresses, so an element that holds one is not read.
fn forwarded_for(element: &str) -> Option<&str> {
    let mut found = None;
    for pair in element.split(';') {
        let (name, value) = pair.trim().split_once('=')?;
        if name.eq_ignore_ascii_case("for") {
            let value = match value.strip_prefix('"') {
                Some(quoted) => quoted.strip_suffix('"')?,
                None => value,
            };
            if found.replace(value).is_some() {
                return None;
            }
        }
    }
    found
}

/// An address, with or without a port: `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]:80`.
fn address(text: &str) -> Option<IpAddr> {
    if let Some(rest) = text.strip_prefix('[') {
        let (inside, port) = rest.split_once(']')?;
        let port_fits =
            port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok());
        return inside.parse::<std::net::Ipv6Addr>().ok().filter(|_| port_fits).map(IpAddr::V6);
    }
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    let (host, port) = text.split_once(':')?;
    port.parse::<u16>().ok()?;
    host.parse::<std::net::Ipv4Addr>().ok().map(IpAddr::V4)
}
