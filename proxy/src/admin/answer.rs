//! Answers of the admin listener, and whose pages it answers.

use std::net::IpAddr;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use http_body_util::Full;

pub(super) type Answer = Response<Full<Bytes>>;

/// An answer of this listener.
pub(super) fn answer(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Answer {
    let body: Bytes = body.into();
    let mut response = Response::new(Full::new(body.clone()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Whether a page in the operator's browser is behind this request. Such a page may name any host that
/// resolves to us (DNS rebinding), so on a loopback listener the host must be an address or `localhost`;
/// and no page has any business here (Fetch Metadata; RFC 6454, section 7).
pub(super) fn is_of_a_page(headers: &HeaderMap, local: Option<IpAddr>) -> bool {
    let foreign = headers.get("sec-fetch-site").is_some_and(|site| site != "none" && site != "same-origin");
    headers.contains_key(header::ORIGIN) || foreign || is_of_odd_host(headers, local)
}

/// Whether a request to a loopback listener names a host that need not be this machine.
pub(super) fn is_of_odd_host(headers: &HeaderMap, local: Option<IpAddr>) -> bool {
    let local = local.is_some_and(|address| address.is_loopback());
    // Without the field it is no browser: some health checks still speak HTTP/1.0.
    let host = headers.get(header::HOST).map_or("localhost", |host| host.to_str().unwrap_or_default());
    let name =
        host.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok()).map_or(host, |(name, _)| name);
    let plain = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().is_ok();
    local && !plain && name != "localhost"
}

pub(super) const TEXT: &str = "text/plain; charset=utf-8";
pub(super) const JSON: &str = "application/json";
