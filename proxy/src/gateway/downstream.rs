//! The client's side of a request: pingora's session and its errors in our types, and our answers in its.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use pingora::ErrorSource;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::prelude::{Error, ErrorType, Result, Session};
use pingora::protocols::http::ServerSession;

use super::stop::Stop;
use crate::admit::{Connection, Head, RawHead};
use crate::authorize::{Reply, Verdict};
use crate::denial::Answer;
use crate::exchange::{Progress, RequestContext};
use crate::limit::BodyPace;
use crate::listener::{self, Conn, Framing};
use crate::record::{Stage, Traffic};
use crate::refusal::{BadRequest, Refusal};
use crate::tls::{Arrival, Tls};
use crate::upstream::leg::is_grpc;

/// A head as the rooms behind the hooks know it.
pub(super) fn head(header: &RequestHeader) -> Head<'_> {
    let authority = header.uri.authority().map(http::uri::Authority::as_str);
    Head::new(&header.method, header.raw_path(), header.version, &header.headers, authority)
}

/// The connection that a session's requests come on; `None` is a fault of ours.
pub(super) fn connection(session: &Session, tls: &Tls, arrival: &mut Arrival) -> Option<Connection> {
    let connection = listener::Connection::of(session)?;
    arrival.listener = Some(connection.listener);
    arrival.handshake.clone_from(&connection.handshake);
    let listener = tls.listener(connection.listener);
    Some(Connection {
        peer: connection.peer.ip(),
        is_unknown: connection.is_unknown,
        tls: connection.handshake.is_some(),
        port: Some(listener.map_or(connection.local.port(), |listener| listener.public_port)),
    })
}

/// Judges a request that has come. Waits only for a session that is not remembered, and only where a store has them.
pub(super) async fn authorize(session: &mut Session, ctx: &mut RequestContext) -> Verdict {
    let verdict = match authorize_at_once(session, ctx) {
        Verdict::Load(handle) => {
            ctx.state.load_session(&handle).await;
            ctx.authorize_loaded(&head(session.req_header()))
        }
        verdict => verdict,
    };
    let limit = ctx.body_bytes_max();
    match verdict {
        Verdict::Permit(_) if ctx.facts.content_length.is_some_and(|length| length > limit) => {
            Verdict::Refusal(Refusal::BodyTooLarge)
        }
        verdict => verdict,
    }
}

fn authorize_at_once(session: &Session, ctx: &mut RequestContext) -> Verdict {
    let raw = session.as_http1().map(|http1| http1.get_headers_raw_bytes());
    match (&raw, Conn::of(session)) {
        (Some(raw), Some(conn)) => {
            let verdict = conn.head(|received| {
                ctx.authorize(&head(session.req_header()).with_raw(RawHead::beside(raw, received)))
            });
            let framing = if ctx.facts.presence.chunked {
                Framing::Chunked
            } else {
                Framing::Length(ctx.facts.content_length.unwrap_or(0))
            };
            let is_sound = conn.expect_body(raw.len(), framing);
            match verdict {
                Verdict::Permit(_)
                | Verdict::Own(_)
                | Verdict::Load(_)
                | Verdict::Wait(_)
                | Verdict::Report(_)
                    if !is_sound =>
                {
                    Verdict::Refusal(Refusal::BadRequest(BadRequest::Framing))
                }
                verdict => verdict,
            }
        }
        // HTTP/1 comes on no other connection than ours.
        (Some(_), None) => Verdict::Refusal(Refusal::Internal),
        (None, _) => ctx.authorize(&head(session.req_header())),
    }
}

/// Judges anew what still flows; see [`RequestContext::reauthorize`].
pub(super) fn reauthorize(session: &Session, ctx: &mut RequestContext) -> Result<(), Stop> {
    ctx.reauthorize(&head(session.req_header())).map_err(Stop::Refused)
}

/// Checks a piece of what the client sends before it passes: the request's body, or what it says through a tunnel.
pub(super) fn check_body(
    session: &Session,
    piece: &Bytes,
    end: bool,
    is_tunnel: bool,
    ctx: &mut RequestContext,
) -> Result<(), Stop> {
    if !piece.is_empty() {
        reauthorize(session, ctx)?;
    }
    // What follows an upgrade is no request body.
    if is_tunnel {
        return Ok(());
    }
    ctx.forwarding.body_bytes += piece.len() as u64;
    if ctx.forwarding.body_bytes > ctx.body_bytes_max() {
        return Err(Stop::BodyTooLarge);
    }
    if end {
        ctx.forwarding.pace = None;
    }
    let in_time = |pace: &mut BodyPace| pace.received(piece.len(), Instant::now());
    if ctx.forwarding.pace.as_mut().is_none_or(in_time) { Ok(()) } else { Err(Stop::BodyTooSlow) }
}

/// Sets the pace of the body of a request that was let in. Not where both sides speak for as long as they like.
pub(super) fn expect_body(session: &mut Session, ctx: &mut RequestContext) {
    let rate = ctx.app().map_or(0, |app| app.body_rate_min);
    if ctx.facts.presence.upgrade || rate == 0 || session.is_body_empty() {
        return;
    }
    if is_call(session, ctx) {
        return;
    }
    ctx.forwarding.pace = BodyPace::new(rate);
}

/// What the content types of gRPC and gRPC-Web begin with: calls in which both sides send when they like.
const GRPC: &[u8] = b"application/grpc";

/// Whether the request is a call of gRPC, which lasts as long as both sides like: over HTTP/2, and of somebody who is
/// known. What a stranger says of a request gives it no time.
pub(super) fn is_call(session: &Session, ctx: &RequestContext) -> bool {
    session.as_http2().is_some() && ctx.facts.caller.is_some() && is_grpc(&session.req_header().headers)
}

/// Counts a piece of an app's answer over HTTP/2 until the next one is asked for: the client has taken it then. Over
/// HTTP/1 the connection counts what its socket does not take.
pub(super) fn count_unsent(session: &Session, bytes: usize, end: bool, ctx: &mut RequestContext) {
    if session.as_http2().is_some()
        && let Some(connection) = listener::Connection::of(session)
    {
        let is_of_events = session.response_written().is_some_and(|head| is_of_events(&head.headers));
        let is_read_ahead = !end && !is_of_events;
        let unsent = ctx.forwarding.unsent.get_or_insert_with(|| connection.nothing_unsent());
        unsent.set(bytes as u64, is_read_ahead);
    }
}

/// Whether the answer comes piece by piece, as things happen: nothing of it is read ahead.
pub(super) fn is_of_events(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE);
    let begins =
        |kind: &[u8], with: &[u8]| kind.get(..with.len()).is_some_and(|kind| kind.eq_ignore_ascii_case(with));
    kind.is_some_and(|kind| begins(kind.as_bytes(), EVENTS) || begins(kind.as_bytes(), GRPC))
}

/// Says that an answer is the last on its connection when the process ends.
pub(super) fn close_if_draining(session: &mut Session) {
    if listener::Connection::of(session).is_some_and(|connection| connection.is_draining()) {
        session.set_keepalive(None);
    }
}

/// Writes an answer of ours; how many of its bytes were left to be sent beside the request.
pub(super) async fn write(session: &mut Session, answer: Answer, close: bool) -> Result<u64> {
    // With all its fields at once: set one by one, each would be looked up.
    let (mut head, ()) = http::Response::new(()).into_parts();
    head.status =
        http::StatusCode::from_u16(answer.status).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    head.headers = answer.headers;
    let mut head = ResponseHeader::from(head);
    head.set_reason_phrase(answer.phrase.as_deref())?;
    close_if_draining(session);
    if close {
        // Nothing that follows an ambiguous head on this connection can be trusted.
        session.set_keepalive(None);
    }
    let body = if session.req_header().method == Method::HEAD { Bytes::new() } else { answer.body };
    let connection = listener::Connection::of(session).map(Arc::clone);
    if let Some(connection) = &connection {
        session.set_write_timeout(Some(connection.stall()));
    }
    if body.is_empty()
        && let ServerSession::H2(session) = &mut *session.downstream_session
    {
        // In one block that ends the stream, as gRPC wants it (gRPC over HTTP/2, "Trailers-Only"): pingora would send an
        // empty piece of a body behind it.
        session.write_response_header(Box::new(head), true)?;
        return Ok(0);
    }
    session.write_response_header(Box::new(head), body.is_empty()).await?;
    if body.is_empty() {
        return Ok(0);
    }
    let bytes = body.len() as u64;
    if let (ServerSession::H2(session), Some(connection)) = (&mut *session.downstream_session, &connection)
        && let Some(writer) = session.take_response_body_writer()
    {
        connection.send_beside(writer, body);
        return Ok(bytes);
    }
    session.write_response_body(Some(body), true).await?;
    Ok(0)
}

/// The answer of a reply.
pub(super) fn answer_of(reply: Reply, request_id: HeaderValue) -> Answer {
    let (status, mut headers, body) = match reply {
        Reply::ToHttps(location) => {
            let empty = (CONTENT_LENGTH, const { HeaderValue::from_static("0") });
            (308, HeaderMap::from_iter([(LOCATION, location), empty]), "")
        }
        Reply::Preflight(allowed) => (204, allowed, ""),
        Reply::Health { is_good } => {
            let (status, body) = if is_good { (200, "ok\n") } else { (503, "not now\n") };
            let headers = HeaderMap::from_iter([
                (CONTENT_TYPE, const { HeaderValue::from_static("text/plain") }),
                (CACHE_CONTROL, const { HeaderValue::from_static("no-store") }),
                (CONTENT_LENGTH, HeaderValue::from(body.len())),
            ]);
            (status, headers, body)
        }
    };
    headers.insert(HeaderName::from_static("x-request-id"), request_id);
    Answer { status, headers, body: Bytes::from_static(body.as_bytes()), refusal: None, phrase: None }
}

/// Why a request is refused that failed on its way; `None` when nobody is left to read an answer.
pub(super) fn refusal_of(problem: &Error, session: &Session, ctx: &mut RequestContext) -> Option<Refusal> {
    let stop = Stop::of(problem);
    Some(match (&ctx.progress, stop) {
        // Judged anew and refused.
        (Progress::Refused(refusal), Some(Stop::Refused(_))) => *refusal,
        // Refused, and the client did not wait for the answer: that refusal is what happened.
        (Progress::Refused(_), _) => return None,
        (_, Some(Stop::Refused(refusal))) => *refusal,
        (_, Some(Stop::BodyTooLarge)) => Refusal::BodyTooLarge,
        (_, Some(Stop::BodyTooSlow)) => Refusal::BodyTooSlow,
        // A socket that says nothing is no failure of the app: it ends, as it was let in.
        (_, Some(Stop::Silent)) => return None,
        (_, Some(Stop::ClientSilent)) => {
            ctx.progress.abort(Stage::of(status_written(session)));
            return None;
        }
        (_, Some(Stop::Client(problem))) => return client_failed(problem, session, ctx),
        (_, Some(Stop::Upstream(fault))) => {
            Refusal::Upstream { status: if fault.is_timeout() { 504 } else { 502 } }
        }
        // An answer of ours that was not taken.
        (_, None) if is_of_client(problem) => return client_failed(problem, session, ctx),
        (_, Some(Stop::Internal(_)) | None) => Refusal::Internal,
    })
}

/// What it is that the client's connection failed.
fn client_failed(problem: &Error, session: &Session, ctx: &mut RequestContext) -> Option<Refusal> {
    if Conn::of(session).is_some_and(Conn::has_malformed_chunks) {
        return Some(Refusal::BadRequest(BadRequest::Framing));
    }
    if is_protocol_violation(problem) {
        ctx.progress = Progress::Refused(Refusal::BadRequest(BadRequest::Framing));
    } else {
        ctx.progress.abort(Stage::of(status_written(session)));
    }
    None
}

/// Whether a failure is one of the client's connection. Pingora leaves out to say so where it writes trailers.
fn is_of_client(problem: &Error) -> bool {
    match problem.esource() {
        ErrorSource::Downstream => true,
        ErrorSource::Unset => matches!(problem.etype(), ErrorType::WriteError | ErrorType::WriteTimedout),
        ErrorSource::Upstream | ErrorSource::Internal => false,
    }
}

/// Whether the client broke the protocol, rather than went away: closed, reset, or took and sent nothing for
/// too long.
fn is_protocol_violation(problem: &Error) -> bool {
    match problem.etype() {
        ErrorType::ConnectionClosed
        | ErrorType::ReadError
        | ErrorType::WriteError
        | ErrorType::H2Error
        | ErrorType::ReadTimedout
        | ErrorType::WriteTimedout => {
            // Over HTTP/2 a breach of the protocol ends the stream or the connection from our side.
            problem.root_cause().downcast_ref::<h2::Error>().is_some_and(h2::Error::is_library)
        }
        _ => true,
    }
}

/// The status of the head that the client was sent.
fn status_written(session: &Session) -> Option<u16> {
    session.response_written().map(|head| head.status.as_u16())
}

/// What went over the client's connection.
pub(super) fn traffic(session: &Session, bytes_beside: u64) -> Traffic {
    let written = session.response_written();
    let status = status_written(session);
    let is_of_events = || {
        let kind = written.and_then(|head| head.headers.get(CONTENT_TYPE));
        kind.is_some_and(|kind| {
            kind.as_bytes().get(..EVENTS.len()).is_some_and(|kind| kind.eq_ignore_ascii_case(EVENTS))
        })
    };
    Traffic {
        status,
        bytes_in: session.body_bytes_read() as u64,
        bytes_out: session.body_bytes_sent() as u64 + bytes_beside,
        is_stream: status == Some(101) || is_of_events(),
    }
}

/// The kind of server-sent events (HTML Living Standard, section 9.2).
pub(super) const EVENTS: &[u8] = b"text/event-stream";
