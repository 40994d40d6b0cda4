//! Which part of a head was the reason for its refusal, for the log: the name of a header, or a word. Never a
//! value: it may hold a secret.

use portcullis_config::settings::ForwardedHeader;

use super::fields::Fields;
use super::head::Head;
use crate::refusal::BadRequest;

/// The part at fault. Searched again once a request was refused, so that other requests carry nothing for it.
#[cold]
pub(crate) fn at_fault<'r>(bad: BadRequest, head: &Head<'r>, forwarded: ForwardedHeader) -> &'r str {
    let headers = head.headers;
    let mut fields = Fields::default();
    let first = headers
        .iter()
        .find(|(name, value)| fields.take(name.as_str(), value, forwarded) == Err(bad))
        .map(|(name, _)| name.as_str());
    first.unwrap_or(match bad {
        BadRequest::Host => "host",
        BadRequest::Target => "target",
        BadRequest::Framing => {
            if headers.contains_key(http::header::TRANSFER_ENCODING) {
                "transfer-encoding"
            } else {
                "framing"
            }
        }
        BadRequest::Header => "header",
        BadRequest::Credential => "cookie",
        BadRequest::Method => "method",
        BadRequest::ForwardedAddress => match forwarded {
            ForwardedHeader::XForwardedFor => "x-forwarded-for",
            ForwardedHeader::Forwarded => "forwarded",
        },
        BadRequest::TooLarge => "head",
        BadRequest::Origin => "origin",
        // Not of one part alone.
        other => other.as_str(),
    })
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue, Method, Version};

    use super::*;

    #[test]
    fn the_first_header_that_is_wrong_is_named_and_its_value_is_not() {
        let named = |bad, lines: &[(&'static str, &'static [u8])]| {
            let fields = lines.iter().map(|(name, value)| {
                (HeaderName::from_static(name), HeaderValue::from_bytes(value).unwrap())
            });
            let headers = fields.collect();
            let head = Head::new(&Method::GET, b"/", Version::HTTP_11, &headers, None);
            at_fault(bad, &head, ForwardedHeader::XForwardedFor).to_owned()
        };
        let host: (&str, &[u8]) = ("host", b"wiki.test");
        for (bad, lines, name) in [
            (BadRequest::Host, vec![host, host], "host"),
            (BadRequest::Host, vec![], "host"),
            (BadRequest::Framing, vec![host, ("content-length", b"x")], "content-length"),
            (BadRequest::Framing, vec![host, ("transfer-encoding", b"s3cret")], "transfer-encoding"),
            (BadRequest::Framing, vec![host], "framing"),
            (BadRequest::Header, vec![host, ("user-agent", b"a"), ("user-agent", b"b")], "user-agent"),
            (
                BadRequest::Credential,
                vec![("authorization", b"Bearer s3cret"), ("authorization", b"x")],
                "authorization",
            ),
            (BadRequest::ForwardedAddress, vec![host, ("x-forwarded-for", b"x")], "x-forwarded-for"),
            (BadRequest::Target, vec![host], "target"),
        ] {
            assert_eq!(named(bad, &lines), name, "{bad:?}");
        }
    }
}
