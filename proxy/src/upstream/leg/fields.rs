//! Fields of answers: how many there may be, and which may stand behind a body.

use http::HeaderMap;
use http::header::HeaderName;

/// The head of an answer at most, in bytes, and fields of it.
pub(super) const HEAD_BYTES_MAX: usize = 64 << 10;
pub(super) const FIELDS_MAX: usize = 100;
/// All trailers at most, in bytes and in number.
pub(super) const TRAILER_BYTES_MAX: usize = 16 << 10;
pub(super) const TRAILERS_MAX: usize = 64;

/// Whether a field may come behind a body (RFC 9110, section 6.5.1): not what frames it, routes it, authenticates, or says
/// how the body is to be read or kept.
pub(super) fn may_trail(name: &HeaderName) -> bool {
    !matches!(
        name.as_str(),
        "age"
            | "authorization"
            | "cache-control"
            | "clear-site-data"
            | "connection"
            | "content-encoding"
            | "content-length"
            | "content-range"
            | "content-type"
            | "date"
            | "expires"
            | "host"
            | "keep-alive"
            | "location"
            | "proxy-authenticate"
            | "proxy-connection"
            | "proxy-status"
            | "retry-after"
            | "set-cookie"
            | "strict-transport-security"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
            | "vary"
            | "www-authenticate"
            | "x-request-id"
    )
}

/// Leaves what may trail.
pub(super) fn clean_trailers(trailers: HeaderMap) -> HeaderMap {
    if trailers.keys().all(may_trail) {
        return trailers;
    }
    let mut left = HeaderMap::with_capacity(trailers.len());
    for name in trailers.keys().filter(|name| may_trail(name)) {
        for value in trailers.get_all(name) {
            left.append(name, value.clone());
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn what_says_how_a_body_is_read_does_not_come_behind_it() {
        let one = HeaderValue::from_static("1");
        let mut trailers = HeaderMap::new();
        for name in ["grpc-status", "x-sum", "x-sum"] {
            trailers.append(HeaderName::from_static(name), one.clone());
        }
        assert_eq!(clean_trailers(trailers.clone()), trailers);
        let mut more = trailers.clone();
        for name in ["set-cookie", "content-length", "x-request-id"] {
            more.append(HeaderName::from_static(name), one.clone());
        }
        assert_eq!(clean_trailers(more), trailers);
    }
}
