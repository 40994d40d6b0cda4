//! What goes to an app, and what comes of it, whatever is spoken between.

use std::collections::VecDeque;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};
use pingora::http::{RequestHeader, ResponseHeader};

/// A request as it goes to an app.
#[derive(Debug)]
pub(crate) struct Request {
    /// Its head, without any field of the connection or of framing.
    pub(crate) head: Box<RequestHeader>,
    pub(crate) body: Body,
    /// Whether the app is asked to switch to the protocol that `Upgrade` names.
    pub(crate) upgrade: bool,
}

/// How long the body of a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    /// There is none.
    None,
    /// So many bytes; none may be said, too.
    Length(u64),
    /// As long as it comes.
    Unknown,
}

/// What comes of an answer.
#[derive(Debug)]
pub(crate) enum Event {
    /// An interim answer (RFC 9110, section 15.2); others follow.
    Interim(Box<ResponseHeader>),
    /// The head of the answer. After one with status 101 the connection is a tunnel.
    Head(Box<ResponseHeader>),
    /// A piece of its body, never empty.
    Data(Bytes),
    /// What follows the body; the last event but the end.
    Trailers(HeaderMap),
    /// The answer is whole.
    End,
}

/// Pieces of a request's body, and whether each was the last.
pub(crate) type Sent = VecDeque<(Bytes, bool)>;

/// Whether a message is one of gRPC, by its content type; those of gRPC-Web are not.
pub(crate) fn is_grpc(headers: &HeaderMap) -> bool {
    const GRPC: &[u8] = b"application/grpc";
    headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).is_some_and(|kind| {
        kind.get(..GRPC.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(GRPC))
            && matches!(kind.get(GRPC.len()), None | Some(b'+' | b';' | b' '))
    })
}
