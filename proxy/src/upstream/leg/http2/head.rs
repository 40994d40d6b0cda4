//! Heads in HTTP/2: what a request needs, and what an answer may hold.

use http::header::{CONTENT_LENGTH, HOST, HeaderMap, HeaderValue, TE, UPGRADE};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Method, Request, Response, StatusCode, Uri, Version};
use pingora::http::{RequestHeader, ResponseHeader};

use super::super::fault::Fault;
use super::super::fields::{FIELDS_MAX, HEAD_BYTES_MAX, TRAILER_BYTES_MAX, TRAILERS_MAX, clean_trailers};
use super::super::message::{Body, is_grpc};

const TARGET: Fault = Fault::protocol("the target of the request cannot be written");

/// The head of a request to a server that is reached over TLS, or not.
///
/// # Errors
/// When there is no host, or a target that cannot be written.
pub(super) fn request(head: &RequestHeader, body: Body, tls: bool) -> Result<Request<()>, Fault> {
    let target = PathAndQuery::try_from(head.raw_path()).map_err(|_| TARGET)?;
    // What is sent is what was judged: the library would cut off a fragment.
    if target.as_str().as_bytes() != head.raw_path() {
        return Err(TARGET);
    }
    let host = head.headers.get(HOST).ok_or(TARGET)?;
    let mut uri = http::uri::Parts::default();
    uri.scheme = Some(if tls { Scheme::HTTPS } else { Scheme::HTTP });
    uri.authority = Some(Authority::try_from(host.as_bytes()).map_err(|_| TARGET)?);
    uri.path_and_query = Some(target);
    let mut request = Request::new(());
    *request.method_mut() = head.method.clone();
    *request.uri_mut() = Uri::from_parts(uri).map_err(|_| TARGET)?;
    *request.version_mut() = Version::HTTP_2;
    let mut headers = head.headers.clone();
    headers.remove(HOST);
    // There is no such thing here (RFC 9113, section 8.6).
    headers.remove(UPGRADE);
    if let Body::Length(length) = body {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    // Some servers of gRPC answer nobody who does not say so (gRPC over HTTP/2, "Requests").
    if is_grpc(&headers) {
        headers.insert(TE, const { HeaderValue::from_static("trailers") });
    }
    *request.headers_mut() = headers;
    Ok(request)
}

const TOO_LARGE: Fault = Fault::protocol("the answer's head has more than 100 fields or 64 KiB");
const AMBIGUOUS: Fault = Fault::protocol("the answer's length is ambiguous");
const UNASKED: Fault = Fault::protocol("the answer switches protocols, which HTTP/2 does not");

/// The head of an answer, and how many bytes it has. What breaks the rules of pseudo-header fields, or has fields of a
/// connection, the library has refused before.
pub(super) fn answer<T>(answer: Response<T>) -> Result<(Box<ResponseHeader>, u64, T), Fault> {
    let (mut parts, body) = answer.into_parts();
    if parts.status == StatusCode::SWITCHING_PROTOCOLS {
        return Err(UNASKED);
    }
    let bytes = size(&parts.headers);
    if parts.headers.len() > FIELDS_MAX || bytes > HEAD_BYTES_MAX {
        return Err(TOO_LARGE);
    }
    let mut lengths = parts.headers.get_all(CONTENT_LENGTH).iter();
    let is_number =
        |length: &HeaderValue| !length.is_empty() && length.as_bytes().iter().all(u8::is_ascii_digit);
    if lengths.next().is_some_and(|length| !is_number(length)) || lengths.next().is_some() {
        return Err(AMBIGUOUS);
    }
    // As those of HTTP/1.1 are passed on, framing being made anew.
    parts.version = Version::HTTP_11;
    Ok((Box::new(ResponseHeader::from(parts)), bytes as u64, body))
}

/// What may follow the body.
pub(super) fn behind(fields: HeaderMap) -> Result<HeaderMap, Fault> {
    if fields.len() > TRAILERS_MAX || size(&fields) > TRAILER_BYTES_MAX {
        return Err(Fault::protocol("the trailers of the answer are malformed, or too large"));
    }
    Ok(clean_trailers(fields))
}

/// Names and values, in bytes.
fn size(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum()
}

/// Whether an answer has no body, whatever its head says.
pub(super) fn is_without_body(method: &Method, status: StatusCode) -> bool {
    *method == Method::HEAD || matches!(status.as_u16(), 204 | 304)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn post(fields: &[(&'static str, &'static str)]) -> RequestHeader {
        let mut head = RequestHeader::build("POST", b"/a?b", None).unwrap();
        for (name, value) in fields {
            head.append_header(*name, *value).unwrap();
        }
        head
    }

    #[test]
    fn a_request_names_its_host_once_and_nothing_of_a_connection() {
        let head = post(&[("host", "app.test:81"), ("upgrade", "websocket"), ("x", "1")]);
        let made = request(&head, Body::Length(3), true).unwrap();
        assert_eq!(made.uri(), "https://app.test:81/a?b");
        let mut names: Vec<_> = made.headers().keys().map(|name| name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, ["content-length", "x"]);
        let made = request(&head, Body::Unknown, false).unwrap();
        assert_eq!(made.uri().scheme_str(), Some("http"));
        assert!(!made.headers().contains_key(CONTENT_LENGTH));
        assert!(request(&post(&[]), Body::None, true).is_err(), "no host");
        assert!(request(&post(&[("host", "a b")]), Body::None, true).is_err());
    }

    #[test]
    fn only_grpc_is_told_that_trailers_are_taken() {
        for (kind, is_told) in [
            ("application/grpc", true),
            ("Application/gRPC+proto; x=y", true),
            ("application/grpc-web", false),
            ("application/grpcx", false),
            ("text/plain", false),
        ] {
            let made = request(&post(&[("host", "a"), ("content-type", kind)]), Body::Unknown, true).unwrap();
            assert_eq!(made.headers().contains_key(TE), is_told, "{kind}");
        }
    }

    #[test]
    fn a_head_of_many_or_long_fields_or_of_two_lengths_is_refused() {
        let read = |fields: &[(&'static str, &str)]| {
            let mut made = Response::new(());
            for (name, value) in fields {
                made.headers_mut().append(*name, HeaderValue::from_str(value).unwrap());
            }
            answer(made).map(|(_, bytes, ())| bytes).map_err(|fault| fault.to_string())
        };
        assert_eq!(read(&[("a", "bc"), ("content-length", "3")]), Ok(18));
        assert_eq!(read(&vec![("x", "1"); FIELDS_MAX + 1]), Err(TOO_LARGE.to_string()));
        assert_eq!(read(&[("x", &"y".repeat(HEAD_BYTES_MAX))]), Err(TOO_LARGE.to_string()));
        for lengths in [&["3", "3"][..], &["+3"], &["3, 3"], &[""]] {
            let fields: Vec<_> = lengths.iter().map(|length| ("content-length", *length)).collect();
            assert_eq!(read(&fields), Err(AMBIGUOUS.to_string()));
        }
        let mut switch = Response::new(());
        *switch.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        assert!(answer(switch).is_err());
    }
}
