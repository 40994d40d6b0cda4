//! A request as another proxy describes it, or why there is none.

use std::fmt;
use std::net::IpAddr;
use std::sync::OnceLock;

use http::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderName, HeaderValue, TE, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, Method, Version};
use portcullis_config::settings::ForwardAuthProtocol;

use crate::admit::{Connection, Head};

/// Of the connection between the proxy and us, not of the client's.
const OF_CONNECTION: [HeaderName; 8] = [
    CONNECTION,
    CONTENT_LENGTH,
    EXPECT,
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];
/// Browsers send it with each WebSocket and page script cannot (Fetch, "forbidden request-header"), and no proxy
/// takes it away as some take `Upgrade`.
const WEBSOCKET_FIELDS: [HeaderName; 2] =
    [HeaderName::from_static("sec-websocket-key"), HeaderName::from_static("sec-websocket-version")];

/// A request as another proxy received it.
#[derive(Clone, Debug)]
pub struct Described {
    /// Its method.
    pub method: Method,
    /// Its target, a path and a query.
    pub target: Vec<u8>,
    /// Its fields, `Host` among them.
    pub headers: HeaderMap,
    /// The connection that it came on.
    pub connection: Connection,
}

impl Described {
    /// Its head, which is judged. Proxies speak HTTP/1.1 of a WebSocket, whatever their clients speak.
    #[must_use]
    pub fn head(&self) -> Head<'_> {
        Head::new(&self.method, &self.target, Version::HTTP_11, &self.headers, None)
    }
}

/// Turns the fields that a proxy passed on into those of the described request: what belongs to the connection
/// between it and us goes, `Host` and an offer of a WebSocket come.
pub(super) fn set_own_fields(headers: &mut HeaderMap, host: HeaderValue) {
    let is_websocket = is_websocket(headers);
    for name in &OF_CONNECTION {
        headers.remove(name);
    }
    headers.insert(HOST, host);
    if is_websocket {
        headers.insert(CONNECTION, const { HeaderValue::from_static("upgrade") });
        headers.insert(UPGRADE, const { HeaderValue::from_static("websocket") });
    }
}

fn is_websocket(headers: &HeaderMap) -> bool {
    let is_offer = |value: &HeaderValue| {
        value
            .as_bytes()
            .split(|byte| *byte == b',')
            .any(|offer| offer.trim_ascii().eq_ignore_ascii_case(b"websocket"))
    };
    headers.get_all(UPGRADE).iter().any(is_offer)
        || WEBSOCKET_FIELDS.iter().any(|name| headers.contains_key(name))
}

/// The question of another proxy, for answer, log and metrics.
#[derive(Debug)]
pub struct Asked {
    /// How it asks.
    pub protocol: ForwardAuthProtocol,
    /// Its address.
    pub peer: Option<IpAddr>,
    /// What it asks about, or why nobody knows.
    pub described: Result<Described, BadDescription>,
    /// A field that the app must not receive, and that the proxy would pass on.
    pub passes_on: OnceLock<HeaderName>,
}

/// Why a description is none. Nothing of it is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadDescription {
    /// The header or attribute at fault.
    pub field: &'static str,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What is wrong with a part of a description.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is not there.
    Missing,
    /// It came more than once.
    Doubled,
    /// It cannot be read.
    Malformed,
    /// Another header says something else.
    Contradicted,
}

impl BadDescription {
    pub(super) const fn new(field: &'static str, fault: Fault) -> Self {
        Self { field, fault }
    }
}

/// For the operator of the proxy that asks: what is wrong, and never a value.
impl fmt::Display for BadDescription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.fault {
            Fault::Missing => "is missing",
            Fault::Doubled => "came more than once",
            Fault::Malformed => "cannot be read",
            Fault::Contradicted => "is contradicted by another header",
        };
        write!(f, "{} {what}", self.field)
    }
}
