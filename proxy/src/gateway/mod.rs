//! Pingora's hooks: when what happens to a request. What it may do is `authorize`'s to say; what it has come to is in
//! `exchange`.

mod app_answer;
mod client;
mod downstream;
mod forward;
mod forward_auth;
mod own;
mod relay;
mod report;
mod stop;
mod wait;

use async_trait::async_trait;
use http::Version;
use pingora::modules::http::HttpModules;
use pingora::prelude::{Error, HttpPeer, ProxyHttp, Result, Session};
use pingora::proxy::FailToProxy;

use self::downstream::{answer_of, authorize, connection, expect_body, head, refusal_of, traffic, write};
use self::stop::Stop;
use crate::authorize::Verdict;
use crate::exchange::{Progress, RequestContext};
use crate::limit::DRAIN_MAX;
use crate::listener::{Conn, Connection};
use crate::record::field::{self, NAME_MAX, field};
use crate::refusal::Refusal;
use crate::state::State;
use crate::upstream;
use crate::upstream::leg::Connector;

/// The proxy, as pingora sees it.
#[derive(Debug)]
pub struct Gateway {
    state: &'static State,
    connector: Connector,
}

impl Gateway {
    /// Serves what `state` holds, and keeps so many idle connections to apps at most.
    #[must_use]
    pub fn new(state: &'static State, idle_max: usize) -> Self {
        Self { state, connector: Connector::new(idle_max) }
    }

    /// Forwards a request that was let in.
    async fn forward(&self, session: &mut Session, ctx: &mut RequestContext) -> Result<bool> {
        expect_body(session, ctx);
        let header = session.req_header_mut();
        upstream::drop_header_case(header)?;
        ctx.forwarding.affinity = ctx.affinity(&header.headers);
        if ctx.facts.presence.upgrade {
            forward::set_upgrade(header, ctx.facts.presence.websocket)?;
        }
        let forwarded = relay::forward(session, ctx, &self.connector).await;
        if matches!(forwarded, Err(Stop::Client(_)))
            && ctx.forwarding.attempts > 0
            && session.as_http2().is_some()
            && let Some(connection) = Connection::of(session)
        {
            connection.gave_up();
        }
        forwarded.map(|()| true).map_err(Stop::into_error)
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
                if let Some(connection) = Connection::of(session) {
                    connection.grant();
                }
                match app_answer::of(ctx, session.req_header().raw_path()) {
                    Ok(None) => return self.forward(session, ctx).await,
                    Ok(Some(answer)) => {
                        ctx.progress = Progress::Replied;
                        ctx.bytes_beside = write(session, answer, false).await?;
                        return Ok(true);
                    }
                    Err(refusal) => refusal,
                }
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

    /// Never asked: what is let in is forwarded by a leg of our own.
    async fn upstream_peer(
        &self,
        _session: &mut Session,
        _ctx: &mut Box<RequestContext>,
    ) -> Result<Box<HttpPeer>> {
        Err(Stop::Internal("pingora is not to forward").into_error())
    }

    async fn fail_to_proxy(
        &self,
        session: &mut Session,
        problem: &Error,
        ctx: &mut Box<RequestContext>,
    ) -> FailToProxy {
        ctx.keep_server();
        let Some(refusal) = refusal_of(problem, session, ctx) else {
            // Nothing that follows on the connection can be trusted.
            return FailToProxy { error_code: 0, can_reuse_downstream: false };
        };
        let status = refusal.info().status;
        if ctx.forwarding.asked_at.is_some()
            && let Some(Stop::Upstream(fault)) = Stop::of(problem)
        {
            forward::attempt_failed(ctx, fault, false);
        }
        // After an interim answer the answer is still to come (RFC 9110, section 15.2), unless that is half sent.
        let is_answered = session.has_pending_downstream_proxy_tasks()
            || session.response_written().is_some_and(|head| {
                !head.status.is_informational() || head.status == http::StatusCode::SWITCHING_PROTOCOLS
            });
        ctx.forwarding.is_truncated = is_answered;
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
