//! Pingora's hooks: when what happens to a request. What it may do is `authorize`'s to say; what it has come to is in
//! `exchange`.

mod downstream;
mod forward;
mod forward_auth;
mod own;
mod report;
mod wait;

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::Version;
use http::header::TRANSFER_ENCODING;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::modules::http::HttpModules;
use pingora::prelude::{Error, ErrorType, HttpPeer, ProxyHttp, Result, Session};
use pingora::protocols::Digest;
use pingora::proxy::FailToProxy;

use self::downstream::{
    answer_of, authorize, check_body, close_if_draining, connection, count_unsent, expect_body, head,
    reauthorize, refusal_of, traffic, write,
};
use crate::authorize::Verdict;
use crate::exchange::{Progress, RequestContext};
use crate::failure::NetworkFailure;
use crate::limit::DRAIN_MAX;
use crate::listener::{Conn, Connection};
use crate::record::field::{self, NAME_MAX, field};
use crate::refusal::Refusal;
use crate::state::State;
use crate::upstream;

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
        // The rest of a body that nobody wants is read for the sake of the answer, and not for ever.
        session.set_total_drain_timeout(Some(DRAIN_MAX));
        let ctx = &mut **ctx;
        ctx.connection = connection(session, &ctx.snapshot.tls, &mut ctx.arrival);
        Ok(())
    }

    async fn request_filter(&self, session: &mut Session, ctx: &mut Box<RequestContext>) -> Result<bool> {
        if let Some(protocol) = forward_auth::protocol(ctx) {
            forward_auth::answer(session, ctx, protocol).await?;
            return Ok(true);
        }
        let verdict = authorize(session, ctx).await;
        if ctx.facts.presence.close {
            session.set_keepalive(None);
        }
        let refusal = match verdict {
            Verdict::Permit(permit) => {
                ctx.progress = Progress::Permitted(permit);
                expect_body(session, ctx);
                if let Some(connection) = Connection::of(session) {
                    connection.grant();
                }
                let header = session.req_header_mut();
                upstream::drop_header_case(header)?;
                if ctx.facts.presence.upgrade {
                    forward::set_upgrade(header, ctx.facts.presence.websocket)?;
                }
                return Ok(false);
            }
            Verdict::Reply(reply) => {
                ctx.progress = Progress::Replied;
                write(session, answer_of(reply, ctx.id_value()), false).await?;
                return Ok(true);
            }
            Verdict::Own(own) => {
                own::answer(session, ctx, &own).await?;
                return Ok(true);
            }
            Verdict::Wait(handle) => {
                wait::answer(session, ctx, *handle).await?;
                return Ok(true);
            }
            Verdict::Report(handle) => {
                report::answer(session, ctx, *handle).await?;
                return Ok(true);
            }
            Verdict::Refusal(refusal) => refusal,
            // It was loaded, if it could be.
            Verdict::Load(_) => Refusal::SessionsUnavailable,
        };
        let answer = ctx.denial(&refusal, &head(session.req_header()));
        let close = matches!(refusal, Refusal::BadRequest(_) | Refusal::BodyTooLarge);
        ctx.progress = Progress::Refused(refusal);
        ctx.bytes_beside = write(session, answer, close).await?;
        Ok(true)
    }

    async fn upstream_peer(
        &self,
        _session: &mut Session,
        ctx: &mut Box<RequestContext>,
    ) -> Result<Box<HttpPeer>> {
        forward::next_peer(ctx)
    }

    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        header: &mut RequestHeader,
        ctx: &mut Box<RequestContext>,
    ) -> Result<()> {
        forward::set_upstream_headers(session.req_header().version, header, ctx)
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
        forward::clean_answer(response, ctx)
    }

    /// Here pingora has made its own framing of the answer.
    async fn response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        _ctx: &mut Box<RequestContext>,
    ) -> Result<()> {
        if response.status != http::StatusCode::SWITCHING_PROTOCOLS {
            close_if_draining(session);
        } else if let Some(conn) = Conn::of(session) {
            conn.switch_protocol();
        }
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
        ctx.app_metrics().upstream_connected(reused);
        Ok(())
    }

    fn response_body_filter(
        &self,
        session: &mut Session,
        body: &mut Option<Bytes>,
        end: bool,
        ctx: &mut Box<RequestContext>,
    ) -> Result<Option<Duration>> {
        if body.is_some() {
            reauthorize(session, ctx)?;
        }
        if ctx.forwarding.drops_body {
            *body = None;
        }
        if let Some(body) = body {
            count_unsent(session, body.len(), end, ctx);
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
        forward::attempt_failed(ctx, upstream::cause_of(&problem), true, &problem);
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
        if again && let Some(address) = ctx.endpoint().map(|endpoint| endpoint.address.clone()) {
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
        let Some(refusal) = refusal_of(problem, session, ctx) else {
            // Nothing that follows on the connection can be trusted.
            return FailToProxy { error_code: 0, can_reuse_downstream: false };
        };
        let status = refusal.info().status;
        if ctx.forwarding.asked_at.is_some() && matches!(refusal, Refusal::Upstream { .. }) {
            let cause = match problem.etype() {
                ErrorType::HTTPStatus(502) => NetworkFailure::Dns,
                _ => upstream::cause_of(problem),
            };
            forward::attempt_failed(ctx, cause, false, problem);
        }
        // After an interim answer the answer is still to come (RFC 9110, section 15.2).
        let is_answered = session.response_written().is_some_and(|head| {
            !head.status.is_informational() || head.status == http::StatusCode::SWITCHING_PROTOCOLS
        });
        // Judged anew and refused: no page can follow an upgrade, but a frame can.
        if session.was_upgraded()
            && matches!(ctx.progress, Progress::Refused(_))
            && let Some(conn) = Conn::of(session)
        {
            conn.refuse_websocket(refusal.info().code);
        }
        if !is_answered {
            let answer = ctx.denial(&refusal, &head(session.req_header()));
            match write(session, answer, true).await {
                Ok(bytes) => ctx.bytes_beside = bytes,
                Err(problem) => tracing::debug!(%problem, "an answer could not be written"),
            }
        }
        ctx.progress = Progress::Refused(refusal);
        FailToProxy { error_code: status, can_reuse_downstream: false }
    }

    async fn logging(&self, session: &mut Session, _problem: Option<&Error>, ctx: &mut Box<RequestContext>) {
        let mut traffic = traffic(session, ctx.bytes_beside);
        traffic.status = traffic.status.or(ctx.status_beside);
        ctx.end(traffic, &head(session.req_header()));
    }

    /// Pingora's own lines about a request: never with a query, which may hold secrets.
    fn request_summary(&self, session: &Session, ctx: &Box<RequestContext>) -> String {
        let head = session.req_header();
        let method = field(head.method.as_str().as_bytes(), NAME_MAX);
        format!("{} {method} {}", ctx.id_text(), field::path(head.raw_path()))
    }
}
