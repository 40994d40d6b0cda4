//! Host, framing, credentials and the other fields that two readers could take differently.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, Version, header};

use super::{CREDENTIAL_BYTES_MAX, Head};
use crate::refusal::BadRequest;

/// Header fields in one head.
const FIELDS_MAX: usize = 100;
/// Bytes of all header fields and the target together.
const HEAD_BYTES_MAX: usize = 48 * 1024;

/// Checks everything but target, host and address.
pub(super) fn check(head: &Head<'_>) -> Result<(), BadRequest> {
    let headers = head.headers;
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if headers.len() > FIELDS_MAX || bytes + head.target.len() > HEAD_BYTES_MAX {
        return Err(BadRequest::TooLarge);
    }
    if !head.method.as_str().bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-') {
        return Err(BadRequest::Method);
    }
    // CGI-like apps fold `_` into `-`: `X_User` would pass for `X-User`.
    if headers.keys().any(|name| name.as_str().contains('_')) {
        return Err(BadRequest::Header);
    }
    framing(head)?;
    described(headers)?;
    credentials(headers)?;
    connection(headers)
}

fn framing(head: &Head<'_>) -> Result<(), BadRequest> {
    let mut lengths = head.headers.get_all(header::CONTENT_LENGTH).iter();
    let length = lengths.next();
    let is_number =
        |value: &http::HeaderValue| !value.is_empty() && value.as_bytes().iter().all(u8::is_ascii_digit);
    if lengths.next().is_some() || length.is_some_and(|value| !is_number(value)) {
        return Err(BadRequest::Framing);
    }
    let mut codings = head.headers.get_all(header::TRANSFER_ENCODING).iter();
    if let Some(coding) = codings.next() {
        let plain = coding.as_bytes().eq_ignore_ascii_case(b"chunked");
        if !plain || codings.next().is_some() || length.is_some() || head.version != Version::HTTP_11 {
            return Err(BadRequest::Framing);
        }
    }
    Ok(())
}

/// What the client says of itself is said once and can be read. A value that cannot be read must not
/// pass for one that is missing: a condition would then not see it.
fn described(headers: &HeaderMap) -> Result<(), BadRequest> {
    for name in [header::USER_AGENT, HeaderName::from_static("sec-ch-ua-platform")] {
        let mut values = headers.get_all(&name).iter();
        if values.next().is_some_and(|value| value.to_str().is_err()) || values.next().is_some() {
            return Err(BadRequest::Header);
        }
    }
    Ok(())
}

fn credentials(headers: &HeaderMap) -> Result<(), BadRequest> {
    for name in [header::AUTHORIZATION, header::COOKIE] {
        let mut bytes = 0_usize;
        for (count, value) in headers.get_all(&name).iter().enumerate() {
            bytes += value.len();
            let is_second = name == header::AUTHORIZATION && count > 0;
            if is_second || bytes > CREDENTIAL_BYTES_MAX || value.to_str().is_err() {
                return Err(BadRequest::Credential);
            }
        }
    }
    Ok(())
}

/// `Connection` may not name headers: they would vanish after the decision.
fn connection(headers: &HeaderMap) -> Result<(), BadRequest> {
    const KNOWN: [&str; 5] = ["close", "keep-alive", "upgrade", "te", "http2-settings"];
    for value in headers.get_all(header::CONNECTION) {
        let value = value.to_str().map_err(|_| BadRequest::Header)?;
        let known =
            |token: &str| token.is_empty() || KNOWN.iter().any(|known| known.eq_ignore_ascii_case(token));
        if !value.split(',').map(str::trim).all(known) {
            return Err(BadRequest::Header);
        }
    }
    let mut upgrades = headers.get_all(header::UPGRADE).iter();
    let websocket = |value: &http::HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"websocket");
    if upgrades.next().is_some_and(|value| !websocket(value)) || upgrades.next().is_some() {
        return Err(BadRequest::Header);
    }
    Ok(())
}

/// The one host, lower case, without its port.
pub(super) fn host<'r>(head: &Head<'r>) -> Result<Cow<'r, str>, BadRequest> {
    const HOST: HeaderName = header::HOST;
    let mut fields = head.headers.get_all(HOST).iter();
    let field = fields.next().map(|value| value.to_str().map_err(|_| BadRequest::Host)).transpose()?;
    if fields.next().is_some() {
        return Err(BadRequest::Host);
    }
    let stated = match (head.authority, field) {
        (None, None) => return Err(BadRequest::Host),
        (Some(one), None) | (None, Some(one)) => one,
        (Some(authority), Some(field)) if authority.eq_ignore_ascii_case(field) => authority,
        (Some(_), Some(_)) => return Err(BadRequest::Host),
    };
    let name = without_port(stated)?;
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Ok(Cow::Owned(name.to_ascii_lowercase()))
    } else {
        Ok(Cow::Borrowed(name))
    }
}

pub(super) fn without_port(stated: &str) -> Result<&str, BadRequest> {
    let (name, port) = if stated.starts_with('[') {
        let (address, rest) = stated.split_once(']').ok_or(BadRequest::Host)?;
        let inside = address.strip_prefix('[').ok_or(BadRequest::Host)?;
        inside.parse::<std::net::Ipv6Addr>().map_err(|_| BadRequest::Host)?;
        // Kept with its brackets, as hosts are written in configuration.
        let name = stated.get(..address.len() + 1).ok_or(BadRequest::Host)?;
        (name, if rest.is_empty() { None } else { Some(rest.strip_prefix(':').ok_or(BadRequest::Host)?) })
    } else {
        let (name, port) = stated.split_once(':').map_or((stated, None), |(name, port)| (name, Some(port)));
        let label = |label: &str| {
            !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        if name.len() > 253 || !name.split('.').all(label) {
            return Err(BadRequest::Host);
        }
        (name, port)
    };
    match port {
        Some(port) if port.parse::<u16>().is_err() || port.starts_with('+') => Err(BadRequest::Host),
        Some(_) | None => Ok(name),
    }
}
