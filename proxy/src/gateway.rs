//! Pingora's hooks: its session and errors in our types, and our answers in its. What a request may do is
//! `authorize`'s to say; what it has come to is in `exchange`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{TRANSFER_ENCODING, UPGRADE};
use http::{Method, Version};
use pingora::ErrorSource;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::modules::http::HttpModules;
use pingora::prelude::{Error, ErrorType, HttpPeer, ProxyHttp, Result, Session};
use pingora::protocols::Digest;
use pingora::proxy::FailToProxy;

use crate::admit::{Connection, Head, RawHead};
use crate::authorize::Verdict;
use crate::denial::Answer;
use crate::exchange::{Progress, RequestContext};
use crate::failure::NetworkFailure;
use crate::received::InspectedStream;
use crate::record::field::{self, NAME_MAX, field};
use crate::record::{Stage, Traffic};
use crate::refusal::{BadRequest, Refusal};
use crate::state::State;
use crate::upstream::{self, ForwardedFor};

/// The proxy, as pingora sees it.
#[derive(Debug)]
pub struct Gateway {
    state: &'static State,
}

impl Gateway {
    /// Serves what `state` holds.
    #[must_use]
    pub const fn new(state: &'static State) -> Self {
        Self { state }
    }
}

/// A head as the rooms behind the hooks know it. The bytes of an HTTP/1 head are wanted once: what was admitted is
/// what the parser made of them.
fn head<'r>(header: &'r RequestHeader, raw: Option<RawHead<'r>>) -> Head<'r> {
    Head {
        method: &header.method,
        target: raw.map_or_else(|| header.raw_path(), |raw| raw.target()),
        raw,
        version: header.version,
        headers: &header.headers,
        authority: header.uri.authority().map(http::uri::Authority::as_str),
    }
}

/// Judges a request that has come.
fn authorize(session: &Session, ctx: &mut RequestContext) -> Verdict {
    let raw = session.as_http1().map(|http1| http1.get_headers_raw_bytes());
    let verdict = match (&raw, InspectedStream::of(session)) {
        (Some(raw), Some(stream)) => {
            let verdict = stream.head(|received| {
                ctx.authorize(&head(session.req_header(), Some(RawHead::beside(raw, received))))
            });
            let chunked = session.req_header().headers.contains_key(TRANSFER_ENCODING);
            let is_sound = stream.expect_body(raw.len(), chunked);
            match verdict {
                Verdict::Permit(_) if !is_sound => Verdict::Refusal(Refusal::BadRequest(BadRequest::Framing)),
                verdict => verdict,
            }
        }
        // HTTP/1 comes on no other connection than an inspected one.
        (Some(_), None) => Verdict::Refusal(Refusal::Internal),
        (None, _) => ctx.authorize(&head(session.req_header(), None)),
    };
    let limit = ctx.snapshot.config.server.body_bytes_max;
    match verdict {
        Verdict::Permit(_) if ctx.facts.content_length.is_some_and(|length| length > limit) => {
            Verdict::Refusal(Refusal::BodyTooLarge)
        }
        verdict => verdict,
    }
}

/// Judges anew what still flows; see [`RequestContext::reauthorize`].
fn reauthorize(session: &Session, ctx: &mut RequestContext) -> Result<()> {
    ctx.reauthorize(&head(session.req_header(), None)).map_err(|refusal| {
        Error::explain(ErrorType::HTTPStatus(refusal.info().status), "no longer permitted")
    })
}

/// Rewrites the head that goes to the app.
fn set_upstream_headers(
    received: Version,
    header: &mut RequestHeader,
    ctx: &mut RequestContext,
) -> Result<()> {
    let request_id = ctx.id_value();
    let Progress::Permitted(permit) = &ctx.progress else { return Err(no_permit()) };
    let facts = &ctx.facts;
    upstream::prepare(
        header,
        upstream::PermittedRequest {
            app: ctx.snapshot.config.apps.get(permit.app().0 as usize).ok_or_else(no_permit)?,
            plan: ctx.snapshot.upstreams.head(permit).ok_or_else(no_permit)?,
            caller: facts.caller.as_deref().ok_or_else(no_permit)?,
            forwarded_for: if facts.keep_forwarded_for {
                ForwardedFor::Keep
            } else {
                ForwardedFor::Set(facts.client)
            },
            authorization_is_verified: facts.authorization_is_verified,
            host: facts.host.as_ref().ok_or_else(no_permit)?,
            site: facts.site.ok_or_else(no_permit)?,
            received,
            request_id,
        },
    );
    ctx.forwarding.asked_upgrade = facts.presence.upgrade && header.headers.contains_key(UPGRADE);
    Ok(())
}

/// Checks a part of the request's body before it passes.
///
/// An empty last piece never passes: pingora would write it to the app as a chunk of no length, which is the last
/// chunk (RFC 9112, section 7.1), and then the last chunk again, which the app reads as the beginning of a request
/// that nobody sent. An empty piece before the end stays: pingora drops it, and would take `None` for the end.
fn check_body(
    session: &Session,
    piece: &mut Option<Bytes>,
    end: bool,
    ctx: &mut RequestContext,
) -> Result<()> {
    let Some(chunk) = piece.as_ref() else { return Ok(()) };
    reauthorize(session, ctx)?;
    if chunk.is_empty() {
        if end {
            *piece = None;
        }
        return Ok(());
    }
    // What follows an upgrade is no request body.
    if session.was_upgraded() {
        return Ok(());
    }
    ctx.forwarding.body_bytes += chunk.len() as u64;
    if ctx.forwarding.body_bytes > ctx.snapshot.config.server.body_bytes_max {
        return Err(Error::explain(ErrorType::HTTPStatus(413), "the request body is too large"));
    }
    Ok(())
}

/// Cleans a head of the app's answer: an interim one, or that of the answer itself.
fn clean_answer(answer: &mut ResponseHeader, ctx: &mut RequestContext) -> Result<()> {
    if let Some(asked) = ctx.forwarding.asked_at {
        ctx.meters().upstream_answered(answer.status.as_u16(), asked.elapsed());
    }
    let request_id = ctx.id_value();
    let expected = upstream::Expected {
        authorization: ctx.app().is_some_and(|app| app.forward_authorization),
        upgrade: ctx.forwarding.asked_upgrade,
        own_cookies: ctx.snapshot.upstreams.own_cookies(),
    };
    let cleaned = upstream::clean(answer, expected, &mut ctx.forwarding.interim, request_id)
        .map_err(|odd| Error::explain(ErrorType::InvalidHTTPHeader, odd.as_str()))?;
    let is_final =
        !answer.status.is_informational() || answer.status == http::StatusCode::SWITCHING_PROTOCOLS;
    if is_final && let Some(endpoint) = ctx.endpoint() {
        endpoint.succeeded();
    }
    if cleaned != upstream::Cleaned::default() {
        ctx.forwarding.drops_body = cleaned.is_empty;
        ctx.meters().answer_cleaned(cleaned.cookies, cleaned.words, cleaned.challenges);
    }
    Ok(())
}

/// Notes that an attempt got no answer.
fn upstream_failed(ctx: &mut RequestContext, cause: NetworkFailure, to_connect: bool, problem: &Error) {
    ctx.meters().upstream_failed(cause);
    let mut failed = None;
    if let Some(endpoint) = ctx.endpoint() {
        endpoint.failed(ctx.app().map_or("", |app| app.id.as_str()), cause, to_connect, problem);
        failed = Some((Arc::clone(&endpoint.server), endpoint.address));
    }
    ctx.forwarding.tried.extend(failed.as_ref().map(|(_, address)| *address));
    ctx.forwarding.failure = Some((cause, failed.map(|(server, _)| server)));
}

/// Takes an offer of another protocol up, if it is of WebSockets, and else away: offers are optional, and what
/// is answered goes on in HTTP/1.1 (RFC 9110, section 7.8).
fn set_upgrade(header: &mut RequestHeader, websocket: bool) -> Result<()> {
    header.remove_header(&UPGRADE);
    header.remove_header("http2-settings");
    if websocket { header.insert_header(UPGRADE, "websocket") } else { Ok(()) }
}

async fn write(session: &mut Session, answer: Answer, close: bool) -> Result<()> {
    // With all its fields at once: set one by one, each would be looked up.
    let (mut head, ()) = http::Response::new(()).into_parts();
    head.status =
        http::StatusCode::from_u16(answer.status).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    head.headers = answer.headers;
    let head = ResponseHeader::from(head);
    if close {
        // Nothing that follows an ambiguous head on this connection can be trusted.
        session.set_keepalive(None);
    }
    let body = if session.req_header().method == Method::HEAD { Bytes::new() } else { answer.body };
    session.write_response_header(Box::new(head), body.is_empty()).await?;
    if !body.is_empty() {
        session.write_response_body(Some(body), true).await?;
    }
    Ok(())
}

/// There is nobody to read an answer, and nothing that follows on the connection can be trusted.
const fn no_answer() -> FailToProxy {
    FailToProxy { error_code: 0, can_reuse_downstream: false }
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

fn traffic(session: &Session) -> Traffic {
    let written = session.response_written();
    let status = status_written(session);
    let is_of_events = || {
        let kind = written.and_then(|head| head.headers.get(http::header::CONTENT_TYPE));
        kind.is_some_and(|kind| {
            kind.as_bytes().get(..EVENTS.len()).is_some_and(|kind| kind.eq_ignore_ascii_case(EVENTS))
        })
    };
    Traffic {
        status,
        bytes_in: session.body_bytes_read() as u64,
        bytes_out: session.body_bytes_sent() as u64,
        is_stream: status == Some(101) || is_of_events(),
    }
}

/// The kind of server-sent events (HTML Living Standard, section 9.2).
const EVENTS: &[u8] = b"text/event-stream";

/// A fault of ours where a permit should be: never a way through.
fn no_permit() -> Box<Error> {
    Error::explain(ErrorType::HTTPStatus(500), "no permit")
}

#[async_trait]
impl ProxyHttp for Gateway {
    // Boxed: the context is a part of every future of the request, and those are moved about.
    type CTX = Box<RequestContext>;

    fn new_ctx(&self) -> Box<RequestContext> {
        Box::new(RequestContext::new(self.state))
    }

    fn init_downstream_modules(&self, _modules: &mut HttpModules) {}

    async fn early_request_filter(&self, session: &mut Session, ctx: &mut Box<RequestContext>) -> Result<()> {
        let idle = ctx.snapshot.config.server.client_idle;
        // Whether it may be used again was read from the head (RFC 9112, section 9.3); this is for how long.
        if session.get_keepalive().is_some() {
            session.set_keepalive(Some(idle.as_secs().max(1)));
        }
        // Clients of HTTP/1.0 know no interim answers (RFC 9110, section 15.2).
        if session.req_header().version < Version::HTTP_11 {
            session.set_ignore_info_resp(true);
        }
        // A client that takes nothing of its answer is idle too.
        session.set_write_timeout(Some(idle));
        let peer = session.client_addr().and_then(|address| address.as_inet()).map(SocketAddr::ip);
        let local = session.server_addr().and_then(|address| address.as_inet()).map(SocketAddr::port);
        let listeners = &ctx.snapshot.config.server.listeners;
        let of_local = listeners.iter().find(|listener| Some(listener.address.port()) == local);
        ctx.connection = peer.map(|peer| Connection {
            peer,
            tls: session.digest().is_some_and(|digest| digest.ssl_digest.is_some()),
            port: of_local.and_then(|listener| listener.public_port).or(local),
        });
        Ok(())
    }

    async fn request_filter(&self, session: &mut Session, ctx: &mut Box<RequestContext>) -> Result<bool> {
        let verdict = authorize(session, ctx);
        if ctx.facts.presence.close {
            session.set_keepalive(None);
        }
        let refusal = match verdict {
            Verdict::Permit(permit) => {
                ctx.progress = Progress::Permitted(permit);
                let header = session.req_header_mut();
                upstream::drop_header_case(header)?;
                if ctx.facts.presence.upgrade {
                    set_upgrade(header, ctx.facts.presence.websocket)?;
                }
                return Ok(false);
            }
            Verdict::Refusal(refusal) => refusal,
        };
        let answer = ctx.denial(&refusal, &head(session.req_header(), None));
        let close = matches!(refusal, Refusal::BadRequest(_) | Refusal::BodyTooLarge);
        ctx.progress = Progress::Refused(refusal);
        write(session, answer, close).await?;
        Ok(true)
    }

    async fn upstream_peer(
        &self,
        _session: &mut Session,
        ctx: &mut Box<RequestContext>,
    ) -> Result<Box<HttpPeer>> {
        let Progress::Permitted(permit) = &ctx.progress else { return Err(no_permit()) };
        // A permit for one app, load or request opens no other.
        if Some(permit.app()) != ctx.facts.app || permit.request_id() != ctx.request_id {
            return Err(no_permit());
        }
        let attempt = ctx.forwarding.attempts;
        ctx.forwarding.attempts += 1;
        // What was read of the body is sent, and counted, again.
        ctx.forwarding.body_bytes = 0;
        // Between a request's begin and its first attempt there is nothing to wait for.
        ctx.forwarding.asked_at = Some(if attempt == 0 { ctx.started } else { Instant::now() });
        let upstreams = &ctx.snapshot.upstreams;
        let chosen = upstreams.choose(permit, &ctx.forwarding.tried).ok_or_else(|| {
            Error::explain(ErrorType::HTTPStatus(502), "no upstream of this app has an address")
        })?;
        let peer = upstreams.endpoint(permit, &chosen).map(upstream::Endpoint::peer);
        ctx.forwarding.chosen = Some(chosen);
        peer.ok_or_else(no_permit)
    }

    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        header: &mut RequestHeader,
        ctx: &mut Box<RequestContext>,
    ) -> Result<()> {
        set_upstream_headers(session.req_header().version, header, ctx)
    }

    async fn request_body_filter(
        &self,
        session: &mut Session,
        body: &mut Option<Bytes>,
        end: bool,
        ctx: &mut Box<RequestContext>,
    ) -> Result<()> {
        check_body(session, body, end, ctx)
    }

    // Here and not later: pingora makes its own framing of what this filter leaves.
    async fn upstream_response_filter(
        &self,
        _session: &mut Session,
        response: &mut ResponseHeader,
        ctx: &mut Box<RequestContext>,
    ) -> Result<()> {
        clean_answer(response, ctx)
    }

    /// Here pingora has made its own framing of the answer.
    async fn response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        _ctx: &mut Box<RequestContext>,
    ) -> Result<()> {
        // A client of HTTP/1.0 knows no chunks: the end of the connection ends the body (RFC 9112, sections 6.1 and
        // 6.3).
        if session.req_header().version < Version::HTTP_11
            && response.remove_header(&TRANSFER_ENCODING).is_some()
        {
            session.set_keepalive(None);
        }
        Ok(())
    }

    async fn connected_to_upstream(
        &self,
        _session: &mut Session,
        reused: bool,
        _peer: &HttpPeer,
        _fd: std::os::fd::RawFd,
        _digest: Option<&Digest>,
        ctx: &mut Box<RequestContext>,
    ) -> Result<()> {
        ctx.meters().upstream_connected(reused);
        Ok(())
    }

    fn response_body_filter(
        &self,
        session: &mut Session,
        body: &mut Option<Bytes>,
        _end: bool,
        ctx: &mut Box<RequestContext>,
    ) -> Result<Option<Duration>> {
        if body.is_some() {
            reauthorize(session, ctx)?;
        }
        if ctx.forwarding.drops_body {
            *body = None;
        }
        Ok(None)
    }

    fn fail_to_connect(
        &self,
        _session: &mut Session,
        _peer: &HttpPeer,
        ctx: &mut Box<RequestContext>,
        mut problem: Box<Error>,
    ) -> Box<Error> {
        // This attempt is over and counted.
        ctx.forwarding.asked_at = None;
        upstream_failed(ctx, upstream::cause_of(&problem), true, &problem);
        let has_another = match &ctx.progress {
            Progress::Permitted(permit) => ctx.snapshot.upstreams.has_another(permit, &ctx.forwarding.tried),
            _ => false,
        };
        problem.set_retry(has_another && ctx.forwarding.attempts < upstream::ATTEMPTS_MAX);
        problem
    }

    /// A request goes out a second time only if it cannot have been carried out twice: its method allows that,
    /// nothing of its body was sent, nothing came back, and the connection was one that had been idle.
    fn error_while_proxy(
        &self,
        _peer: &HttpPeer,
        session: &mut Session,
        mut problem: Box<Error>,
        ctx: &mut Box<RequestContext>,
        reused: bool,
    ) -> Box<Error> {
        problem.retry.decide_reuse(reused);
        let is_untouched = ctx.forwarding.body_bytes == 0
            && ctx.forwarding.interim == 0
            && session.response_written().is_none();
        let again = problem.retry()
            && is_untouched
            && session.req_header().method.is_idempotent()
            && ctx.forwarding.attempts < upstream::ATTEMPTS_MAX;
        problem.set_retry(again);
        if again && let Some(address) = ctx.endpoint().map(|endpoint| endpoint.address) {
            ctx.forwarding.tried.push(address);
        }
        problem
    }

    async fn fail_to_proxy(
        &self,
        session: &mut Session,
        problem: &Error,
        ctx: &mut Box<RequestContext>,
    ) -> FailToProxy {
        let refusal = match (&ctx.progress, problem.etype()) {
            // Judged anew and refused.
            (Progress::Refused(refusal), ErrorType::HTTPStatus(_)) => *refusal,
            // Refused, and the client did not wait for the answer: that refusal is what happened.
            (Progress::Refused(_), _) => return no_answer(),
            // A socket that says nothing is no failure of the app: it ends, as it was let in.
            (Progress::Permitted(_), ErrorType::ReadTimedout) if session.was_upgraded() => {
                return no_answer();
            }
            (_, ErrorType::HTTPStatus(413)) => Refusal::BodyTooLarge,
            (_, ErrorType::HTTPStatus(500) | ErrorType::InternalError) => Refusal::Internal,
            _ if InspectedStream::of(session).is_some_and(InspectedStream::has_malformed_chunks) => {
                Refusal::BadRequest(BadRequest::Framing)
            }
            _ if is_of_client(problem) => {
                if is_protocol_violation(problem) {
                    ctx.progress = Progress::Refused(Refusal::BadRequest(BadRequest::Framing));
                } else {
                    ctx.progress.abort(Stage::of(status_written(session)));
                }
                return no_answer();
            }
            (_, ErrorType::ConnectTimedout | ErrorType::ReadTimedout | ErrorType::WriteTimedout) => {
                Refusal::Upstream { status: 504 }
            }
            _ => Refusal::Upstream { status: 502 },
        };
        let status = refusal.info().status;
        if ctx.forwarding.asked_at.is_some() && matches!(refusal, Refusal::Upstream { .. }) {
            let cause = match problem.etype() {
                ErrorType::HTTPStatus(502) => NetworkFailure::Dns,
                _ => upstream::cause_of(problem),
            };
            upstream_failed(ctx, cause, false, problem);
        }
        // After an interim answer the answer is still to come (RFC 9110, section 15.2).
        let is_answered = session.response_written().is_some_and(|head| {
            !head.status.is_informational() || head.status == http::StatusCode::SWITCHING_PROTOCOLS
        });
        if !is_answered {
            let answer = ctx.denial(&refusal, &head(session.req_header(), None));
            if let Err(problem) = write(session, answer, true).await {
                tracing::debug!(%problem, "an answer could not be written");
            }
        }
        ctx.progress = Progress::Refused(refusal);
        FailToProxy { error_code: status, can_reuse_downstream: false }
    }

    async fn logging(&self, session: &mut Session, _problem: Option<&Error>, ctx: &mut Box<RequestContext>) {
        ctx.end(traffic(session), &head(session.req_header(), None));
    }

    /// Pingora's own lines about a request: never with a query, which may hold secrets.
    fn request_summary(&self, session: &Session, ctx: &Box<RequestContext>) -> String {
        let head = session.req_header();
        let method = field(head.method.as_str().as_bytes(), NAME_MAX);
        format!("{} {method} {}", ctx.id_text(), field::path(head.raw_path()))
    }
}
