//! Under which scheme and port the client knows us. Links, cookies, the origin of pages and the headers for the app
//! are made of it. What a trusted proxy states counts, for it took the client's connection; what a client states never.

use std::net::IpAddr;

use http::HeaderValue;
use portcullis_config::settings::ForwardedHeader;

use super::elements::{Element, elements};

/// The connection of a request.
#[derive(Clone, Copy, Debug)]
pub struct Connection {
    /// The address of its other end.
    pub peer: IpAddr,
    /// The other end stands for a client whose address it does not know.
    pub is_unknown: bool,
    /// Whether it is encrypted.
    pub tls: bool,
    /// The port of ours that clients connect to; `None` when the connection has none.
    pub port: Option<u16>,
}

/// A scheme that clients ask under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Not encrypted on the client's side.
    Http,
    /// Encrypted on the client's side.
    Https,
}

impl Scheme {
    /// As it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The scheme's default port.
    #[must_use]
    pub const fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }

    /// Exactly `http` or `https`; of a WebSocket some proxies say `ws` or `wss`, which run over these (RFC
    /// 6455, section 3).
    pub(crate) fn named(text: &str) -> Option<Self> {
        match text {
            "http" | "ws" => Some(Self::Http),
            "https" | "wss" => Some(Self::Https),
            _ => None,
        }
    }
}

/// Scheme and port as in the client's address bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Site {
    /// Its scheme.
    pub scheme: Scheme,
    /// Its port.
    pub port: u16,
}

impl Site {
    /// The port, unless it is the scheme's default.
    #[must_use]
    pub fn written_port(self) -> Option<u16> {
        Some(self.port).filter(|port| *port != self.scheme.port())
    }
}

/// What a trusted peer may say of it, each the last line of its header.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ForwardedSite<'r> {
    pub(super) proto: Option<&'r HeaderValue>,
    pub(super) port: Option<&'r HeaderValue>,
    pub(super) forwarded: Option<&'r HeaderValue>,
}

/// The site that a request was sent to.
///
/// `stated` is the port beside the host's name. A client may name our listener's port, or the default
/// port of its scheme, since ports may be translated before they reach us. Any other is not ours, and the
/// listener's own takes its place.
pub(super) fn site(
    connection: Connection,
    by_trusted: Option<ForwardedHeader>,
    forwarded: ForwardedSite<'_>,
    stated: Option<u16>,
) -> Site {
    let own = if connection.tls { Scheme::Https } else { Scheme::Http };
    let Some(header) = by_trusted else {
        let stated = stated.unwrap_or(own.port());
        let is_ours = stated == own.port() || Some(stated) == connection.port;
        let port = if is_ours { stated } else { connection.port.unwrap_or(own.port()) };
        return Site { scheme: own, port };
    };
    let scheme = match header {
        ForwardedHeader::XForwardedFor => forwarded.proto.and_then(last).and_then(Scheme::named),
        ForwardedHeader::Forwarded => {
            forwarded.forwarded.and_then(last_element).and_then(|element| Scheme::named(&element.proto?))
        }
    };
    // A proxy that sends `Forwarded` may pass a client's `X-Forwarded-Port` on.
    let port = forwarded.port.filter(|_| header == ForwardedHeader::XForwardedFor).and_then(last);
    let port = port.and_then(|text| text.parse().ok()).filter(|port| *port != 0);
    let is_plain = scheme.is_none() && port.is_none();
    let scheme = scheme.unwrap_or(own);
    // A proxy that says nothing of its own end passes on what it was asked, port included.
    let port = port.or(stated.filter(|port| is_plain && *port != 0)).unwrap_or(scheme.port());
    Site { scheme, port }
}

/// The right-most element of `Forwarded`: what our peer says of the connection that it took the request from.
fn last_element(line: &HeaderValue) -> Option<Element<'_>> {
    elements(line.as_bytes())?.pop()
}

/// The right-most element of a list: what our peer added.
fn last(line: &HeaderValue) -> Option<&str> {
    Some(line.to_str().ok()?.rsplit(',').next()?.trim())
}
