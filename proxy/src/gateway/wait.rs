//! Pages that wait: their question, and the answer that goes on.

use http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use pingora::http::ResponseHeader;
use pingora::prelude::{Error, ErrorType, Result, Session};
use pingora::protocols::http::ServerSession;

use super::downstream::{EVENTS, head, write};
use crate::admit::{Connection, Head};
use crate::authorize::Verdict;
use crate::denial::Answer as HttpAnswer;
use crate::exchange::{Progress, RequestContext};
use crate::limit::network;
use crate::listener;
use crate::record::WaitRefused;
use crate::refusal::Refusal;
use crate::wait::{self, Answer, Begun, Page, Watch};
use crate::waiting::WaitHandle;

/// Proxies before us pass the events on as they come (nginx, `ngx_http_proxy_module`, `proxy_buffering`).
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
/// What is asked as any other path that does not exist.
const NOWHERE: &[u8] = b"/.portcullis/wait";

/// Answers a page that waits.
pub(super) async fn answer(
    session: &mut Session,
    ctx: &mut RequestContext,
    handle: WaitHandle,
) -> Result<()> {
    let Some(connection) = ctx.connection else { return Err(Error::new(ErrorType::InternalError)) };
    let accepted = session.req_header().headers.get(ACCEPT);
    let wants_events = accepted.is_some_and(|kind| kind.as_bytes().starts_with(EVENTS));
    let page = page(session, ctx, connection, handle);
    let state = ctx.state;
    let begun = if wants_events {
        let address = ctx.facts.client.unwrap_or(connection.peer);
        let max = ctx.snapshot.config.server.limits.waiting as usize;
        wait::begin_stream(state, page, network(address), max).await
    } else {
        wait::begin_poll(state, page).await
    };
    match begun {
        Begun::Watching(watch) => stream(session, ctx, *watch).await,
        Begun::Answered(answer) => {
            let text = if answer == Answer::ComeIn { "come-in" } else { "still" };
            reply(session, ctx, 200, text).await
        }
        Begun::Refused(WaitRefused::Foreign) => {
            let refusal = stranger(session, ctx);
            let answer = ctx.denial(&refusal, &head(session.req_header()));
            ctx.progress = Progress::Refused(refusal);
            ctx.bytes_beside = write(session, answer, false).await?;
            Ok(())
        }
        Begun::Refused(WaitRefused::Full) => reply(session, ctx, 503, "").await,
        Begun::Refused(WaitRefused::TooOften) => reply(session, ctx, 429, "").await,
    }
}

/// The page of ours that a request comes from.
pub(super) fn page(
    session: &Session,
    ctx: &RequestContext,
    connection: Connection,
    handle: WaitHandle,
) -> Page {
    let request = session.req_header();
    let authority = request.uri.authority().map(http::uri::Authority::as_str);
    Page::new(handle, (&request.headers, authority), (connection, ctx.arrival.clone()), ctx.request_id)
}

/// Why the request is refused if what it holds is nothing.
pub(super) fn stranger(session: &Session, ctx: &mut RequestContext) -> Refusal {
    let request = session.req_header();
    let authority = request.uri.authority().map(http::uri::Authority::as_str);
    let head = Head::new(&request.method, NOWHERE, request.version, &request.headers, authority);
    match ctx.authorize(&head) {
        Verdict::Refusal(refusal) => refusal,
        Verdict::Permit(_)
        | Verdict::Reply(_)
        | Verdict::Own(_)
        | Verdict::Load(_)
        | Verdict::Wait(_)
        | Verdict::Report(_) => Refusal::NoToken,
    }
}

/// The fields of any answer to a page that waits.
fn fields(ctx: &RequestContext, kind: HeaderValue) -> HeaderMap {
    let mut headers = HeaderMap::from_iter([
        (CONTENT_TYPE, kind),
        (CACHE_CONTROL, const { HeaderValue::from_static("no-store") }),
        (X_CONTENT_TYPE_OPTIONS, const { HeaderValue::from_static("nosniff") }),
        (HeaderName::from_static("x-request-id"), ctx.id_value()),
    ]);
    if let Some((value, _)) = ctx.hsts() {
        headers.insert(http::header::STRICT_TRANSPORT_SECURITY, value.clone());
    }
    headers
}

async fn reply(
    session: &mut Session,
    ctx: &mut RequestContext,
    status: u16,
    text: &'static str,
) -> Result<()> {
    let mut headers = fields(ctx, const { HeaderValue::from_static("text/plain") });
    headers.insert(CONTENT_LENGTH, HeaderValue::from(text.len()));
    if status != 200 {
        headers.insert(RETRY_AFTER, const { HeaderValue::from_static("5") });
    }
    let body = bytes::Bytes::from_static(text.as_bytes());
    ctx.progress = Progress::Replied;
    let answer = HttpAnswer { status, headers, body, refusal: None, phrase: None };
    ctx.bytes_beside = write(session, answer, false).await?;
    Ok(())
}

/// Begins the stream; pingora's part of the request ends with that.
async fn stream(session: &mut Session, ctx: &mut RequestContext, watch: Watch) -> Result<()> {
    let mut headers = fields(ctx, const { HeaderValue::from_static("text/event-stream") });
    headers.insert(X_ACCEL_BUFFERING, const { HeaderValue::from_static("no") });
    ctx.progress = Progress::Replied;
    let Some(connection) = listener::Connection::of(session).cloned() else {
        return Err(Error::new(ErrorType::InternalError));
    };
    if session.as_http2().is_some() {
        let (mut parts, ()) = http::Response::new(()).into_parts();
        parts.headers = headers;
        session.write_response_header(Box::new(ResponseHeader::from(parts)), false).await?;
        if let ServerSession::H2(http2) = &mut *session.downstream_session
            && let Some(body) = http2.take_response_body_writer()
        {
            connection.send_events(body, |events| Box::pin(watch.run(events)));
        }
        return Ok(());
    }
    // Pingora writes nothing of it, and gives the connection back as if the client was to send its next request.
    let head = written(&headers);
    session.set_keepalive(Some(1));
    ctx.status_beside = Some(200);
    connection.hold_events(move |mut events| {
        Box::pin(async move {
            if events.send(head.into()).await.is_ok() {
                watch.run(events).await;
            }
        })
    });
    Ok(())
}

/// A head of HTTP/1 whose body ends with the connection (RFC 9112, section 6.3).
fn written(headers: &HeaderMap) -> Vec<u8> {
    let mut head = b"HTTP/1.1 200 OK\r\nconnection: close\r\n".to_vec();
    for (name, value) in headers {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            head.extend_from_slice(part);
        }
    }
    head.extend_from_slice(b"\r\n");
    head
}
