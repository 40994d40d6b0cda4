//! Host, framing, credentials and the other fields that two readers could take differently.

use std::borrow::Cow;

use http::header::COOKIE;
use http::{HeaderValue, Method, Version};
use portcullis_config::settings::ForwardedHeader;

use super::head::Head;
use super::site::ForwardedSite;
use crate::refusal::BadRequest;

/// The longest `Authorization`, in bytes.
pub(super) const CREDENTIAL_BYTES_MAX: usize = 16 * 1024;
/// Header fields in one head.
const FIELDS_MAX: usize = 100;
/// Bytes of all header fields and the target together.
const HEAD_BYTES_MAX: usize = 48 * 1024;

/// The fields that later modules read, each of which was sent once at most.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fields<'r> {
    pub(super) host: Option<&'r str>,
    /// As received: only the verification of tokens reads it.
    pub(super) authorization: Option<&'r [u8]>,
    pub(super) user_agent: Option<&'r str>,
    pub(super) platform_hint: Option<&'r str>,
    pub(super) content_length: Option<u64>,
    /// `Destination`: the second path of a WebDAV request.
    pub(super) destination: Option<&'r str>,
    pub(super) presence: HeaderPresence,
    /// The lines of the header that has the client's address.
    pub(super) forwarded: Lines<'r>,
    /// What else a trusted proxy reports of the client's connection.
    pub(super) forwarded_site: ForwardedSite<'r>,
    coding: Option<&'r [u8]>,
    connection: ConnectionOptions,
}

/// What `Connection` says.
#[derive(Clone, Copy, Debug, Default)]
struct ConnectionOptions {
    close: bool,
    upgrade: bool,
}

/// Which of the less usual fields are present.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct HeaderPresence {
    /// `Upgrade`, with whatever in it.
    pub(crate) upgrade: bool,
    /// A WebSocket is asked for.
    pub(crate) websocket: bool,
    /// `Connection: close`.
    pub(crate) close: bool,
    /// A body in chunks.
    pub(crate) chunked: bool,
    /// How many fields have a name that is not [plain](is_plain_name).
    pub(crate) odd_names: u8,
}

/// Whether a field's name is of letters, digits and hyphens alone. CGI-like apps and other proxies fold what
/// else stands between words into `-`, and `X_User` or `X.User` would pass for `X-User`: such fields are left
/// out, as nginx does.
pub(crate) fn is_plain_name(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// The lines of one header.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Lines<'r> {
    #[default]
    None,
    One(&'r HeaderValue),
    Many,
}

impl<'r> Lines<'r> {
    const fn and(self, line: &'r HeaderValue) -> Self {
        match self {
            Self::None => Self::One(line),
            Self::One(_) | Self::Many => Self::Many,
        }
    }
}

/// Checks everything but target, host and address, in one pass over the fields. `forwarded` is the header
/// in which trusted proxies report the client's address.
pub(super) fn check<'r>(head: &Head<'r>, forwarded: ForwardedHeader) -> Result<Fields<'r>, BadRequest> {
    let mut fields = Fields::default();
    let mut bytes = head.target.len();
    let mut fault = None;
    for (name, value) in head.headers {
        let name = name.as_str();
        bytes += name.len() + value.len() + 4;
        if let (None, Err(found)) = (fault, fields.take(name, value, forwarded)) {
            fault = Some(found);
        }
    }
    if has_too_many_fields(head) || bytes > HEAD_BYTES_MAX {
        return Err(BadRequest::TooLarge);
    }
    if let Some(raw) = head.raw {
        // What was sent counts, not what a parser makes of it.
        if raw.is_mended() {
            return Err(BadRequest::Target);
        }
        if raw.has_bare_end() {
            return Err(BadRequest::Framing);
        }
    }
    match *head.method {
        // It would show what is hidden from scripts, and what we add (RFC 9110, section 9.3.8); the other makes a
        // tunnel.
        Method::TRACE | Method::CONNECT => return Err(BadRequest::MethodNotAllowed),
        _ if !head.method.as_str().bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-') => {
            return Err(BadRequest::Method);
        }
        _ => {}
    }
    if let Some(coding) = fields.coding {
        fields.presence.chunked = true;
        let plain = coding.eq_ignore_ascii_case(b"chunked");
        // The parser removes the length where both were sent (RFC 9112, section 6.1).
        let has_length =
            fields.content_length.is_some() || head.raw.is_some_and(|raw| raw.has_field("content-length"));
        if !plain || has_length || head.version != Version::HTTP_11 {
            return Err(BadRequest::Framing);
        }
    }
    fields.presence.close = fields.connection.close;
    // An offer that its connection does not name was meant for another hop, and one of HTTP/1.0 is void (RFC
    // 9110, section 7.8).
    fields.presence.websocket &=
        fields.connection.upgrade && head.version == Version::HTTP_11 && *head.method == Method::GET;
    fault.map_or(Ok(fields), Err)
}

/// The length of the body of a request that is not judged itself; `None` for one in chunks.
///
/// # Errors
/// What is wrong with its head.
pub(crate) fn own_framing(head: &Head<'_>) -> Result<Option<u64>, BadRequest> {
    let fields = check(head, ForwardedHeader::XForwardedFor)?;
    Ok(if fields.presence.chunked { None } else { Some(fields.content_length.unwrap_or(0)) })
}

/// Browsers send each cookie in a field of its own over HTTP/2, which are one field (RFC 9113, section 8.2.3).
fn has_too_many_fields(head: &Head<'_>) -> bool {
    let count = head.headers.len();
    if count <= FIELDS_MAX {
        return false;
    }
    let cookies = head.headers.get_all(COOKIE).iter().count();
    head.version != Version::HTTP_2 || count - cookies.saturating_sub(1) > FIELDS_MAX
}

impl<'r> Fields<'r> {
    /// Takes a field in, or says what is wrong with it.
    pub(super) fn take(
        &mut self,
        name: &str,
        value: &'r HeaderValue,
        forwarded: ForwardedHeader,
    ) -> Result<(), BadRequest> {
        match name {
            "host" => once(&mut self.host, text(value, BadRequest::Host)?, BadRequest::Host),
            "content-length" => {
                // Some read `010` as eight.
                let is_number = match value.as_bytes() {
                    [b'0', _, ..] => false,
                    digits => !digits.is_empty() && digits.iter().all(u8::is_ascii_digit),
                };
                let length = text(value, BadRequest::Framing)?.parse().ok().filter(|_| is_number);
                once(&mut self.content_length, length.ok_or(BadRequest::Framing)?, BadRequest::Framing)
            }
            "transfer-encoding" => once(&mut self.coding, value.as_bytes(), BadRequest::Framing),
            // What the client says of itself is said once and can be read. A value that cannot be read
            // must not pass for one that is missing: a condition would then not see it.
            "user-agent" => once(&mut self.user_agent, text(value, BadRequest::Header)?, BadRequest::Header),
            "sec-ch-ua-platform" => {
                once(&mut self.platform_hint, text(value, BadRequest::Header)?, BadRequest::Header)
            }
            "authorization" => {
                let said = value.as_bytes();
                if said.len() > CREDENTIAL_BYTES_MAX {
                    return Err(BadRequest::Credential);
                }
                once(&mut self.authorization, said, BadRequest::Credential)
            }
            "connection" => self.connection.take(value),
            "upgrade" => {
                self.presence.upgrade = true;
                // A list; versions follow a slash.
                self.presence.websocket |= value
                    .as_bytes()
                    .split(|byte| *byte == b',')
                    .any(|offer| offer.trim_ascii().eq_ignore_ascii_case(b"websocket"));
                Ok(())
            }
            // All that a trusted proxy says of its own end stands in the last line.
            "x-forwarded-proto" => {
                self.forwarded_site.proto = Some(value);
                Ok(())
            }
            "x-forwarded-port" => {
                self.forwarded_site.port = Some(value);
                Ok(())
            }
            "x-forwarded-for" if forwarded == ForwardedHeader::XForwardedFor => {
                self.forwarded = self.forwarded.and(value);
                Ok(())
            }
            "forwarded" if forwarded == ForwardedHeader::Forwarded => {
                self.forwarded = self.forwarded.and(value);
                self.forwarded_site.forwarded = Some(value);
                Ok(())
            }
            "destination" => {
                once(&mut self.destination, text(value, BadRequest::Destination)?, BadRequest::Destination)
            }
            _ => {
                self.presence.odd_names =
                    self.presence.odd_names.saturating_add(u8::from(!is_plain_name(name)));
                Ok(())
            }
        }
    }
}

/// Stores what may come once.
fn once<T>(slot: &mut Option<T>, value: T, twice: BadRequest) -> Result<(), BadRequest> {
    if slot.replace(value).is_some() { Err(twice) } else { Ok(()) }
}

/// A value of visible ASCII.
fn text(value: &HeaderValue, otherwise: BadRequest) -> Result<&str, BadRequest> {
    value.to_str().map_err(|_| otherwise)
}

impl ConnectionOptions {
    /// `Connection` may not name headers: they would vanish after the decision.
    fn take(&mut self, value: &HeaderValue) -> Result<(), BadRequest> {
        for option in text(value, BadRequest::Header)?.split(',').map(str::trim) {
            let is = |known: &str| option.eq_ignore_ascii_case(known);
            if is("close") {
                self.close = true;
            } else if is("upgrade") {
                self.upgrade = true;
            } else if !["", "keep-alive", "te", "http2-settings"].into_iter().any(is) {
                return Err(BadRequest::Header);
            }
        }
        Ok(())
    }
}

/// The one host, lower case, without its port; and the port.
pub(super) fn host<'r>(
    head: &Head<'r>,
    field: Option<&'r str>,
) -> Result<(Cow<'r, str>, Option<u16>), BadRequest> {
    let stated = match (head.authority, field) {
        (None, None) => return Err(BadRequest::Host),
        (Some(one), None) | (None, Some(one)) => one,
        (Some(authority), Some(field)) if authority.eq_ignore_ascii_case(field) => authority,
        (Some(_), Some(_)) => return Err(BadRequest::Host),
    };
    let (name, port) = host_and_port(stated)?;
    let has_upper_case = name.bytes().any(|byte| byte.is_ascii_uppercase());
    let name = if has_upper_case { Cow::Owned(name.to_ascii_lowercase()) } else { Cow::Borrowed(name) };
    Ok((name, port))
}

/// Whether this is a name of labels between dots, none of them empty.
fn is_name(name: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    name.len() <= 253 && name.split('.').all(is_label)
}

/// The port beside a host's name.
///
/// # Errors
/// When it is no host.
pub(crate) fn port_of(stated: &str) -> Result<Option<u16>, BadRequest> {
    host_and_port(stated).map(|(_, port)| port)
}

/// A host's name, and the port beside it.
pub(super) fn host_and_port(stated: &str) -> Result<(&str, Option<u16>), BadRequest> {
    let (name, port) = if stated.starts_with('[') {
        let (address, rest) = stated.split_once(']').ok_or(BadRequest::Host)?;
        let inside = address.strip_prefix('[').ok_or(BadRequest::Host)?;
        inside.parse::<std::net::Ipv6Addr>().map_err(|_| BadRequest::Host)?;
        // With its brackets, as hosts are written in configuration.
        let name = stated.get(..address.len() + 1).ok_or(BadRequest::Host)?;
        (name, if rest.is_empty() { None } else { Some(rest.strip_prefix(':').ok_or(BadRequest::Host)?) })
    } else {
        let (name, port) = match memchr::memchr(b':', stated.as_bytes()) {
            Some(colon) => (stated.get(..colon).ok_or(BadRequest::Host)?, stated.get(colon + 1..)),
            None => (stated, None),
        };
        if !is_name(name) {
            return Err(BadRequest::Host);
        }
        (name, port)
    };
    let Some(port) = port else { return Ok((name, None)) };
    let port = port.parse().ok().filter(|_| !port.starts_with('+')).ok_or(BadRequest::Host)?;
    Ok((name, Some(port)))
}
