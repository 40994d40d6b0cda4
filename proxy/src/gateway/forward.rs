//! The app's side of a request: where it is sent, with which head, and what is taken out of the answer.

use std::time::Instant;

use http::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, EXPECT, HeaderName, HeaderValue, PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION, SET_COOKIE, STRICT_TRANSPORT_SECURITY, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::{Method, Version};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::prelude::{HttpPeer, Result, Session};
use pingora::protocols::ALPN;
use portcullis_config::settings::Retries;

use super::stop::Stop;
use crate::clock;
use crate::cors;
use crate::exchange::{Progress, RequestContext};
use crate::failure::{NetworkFailure, RetryRefusal};
use crate::limit;
use crate::tls::Origin;
use crate::upstream::leg::{self, Fault};
use crate::upstream::{self, Failed, ForwardedFor, Retry, Stage};

/// Where the request is sent next.
pub(super) fn next_peer(ctx: &mut RequestContext) -> Result<Box<HttpPeer>, Stop> {
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
    if attempt == 0 {
        ctx.app_metrics().upstream_sent();
    }
    // A server that failed is done with it.
    ctx.forwarding.in_flight = None;
    let upstreams = &ctx.snapshot.upstreams;
    let chosen = upstreams.choose(permit, ctx.forwarding.affinity, &ctx.forwarding.tried);
    let chosen = chosen.ok_or(Fault::NoAddress)?;
    let endpoint = upstreams.endpoint(permit, &chosen).ok_or_else(no_permit)?;
    ctx.forwarding.in_flight = Some(endpoint.outstanding().begin());
    let mut peer = endpoint.peer();
    if ctx.facts.presence.upgrade && peer.options.alpn == ALPN::H2H1 {
        // Over HTTP/2 there is no switching (RFC 9113, section 8.6).
        peer.options.alpn = ALPN::H1;
    }
    ctx.forwarding.chosen = Some(chosen);
    Ok(peer)
}

/// The request as it goes to the app. What it says of the client's connection is not passed on (RFC 9110, section 7.6.1),
/// nor is its framing: both are made anew.
pub(super) fn request(session: &mut Session, ctx: &mut RequestContext) -> Result<leg::Request, Stop> {
    let received = session.req_header().version;
    let body = match ctx.facts.content_length {
        Some(length) => leg::Body::Length(length),
        None if session.is_body_empty() => leg::Body::None,
        None => leg::Body::Unknown,
    };
    let mut head = Box::new(session.req_header().clone());
    for name in &OF_CONNECTION {
        head.remove_header(name);
    }
    if !ctx.facts.presence.upgrade {
        head.remove_header(&UPGRADE);
    }
    if received < Version::HTTP_11 {
        // RFC 9110, section 10.1.1: nobody waits for the answer to it.
        head.remove_header(&EXPECT);
    }
    set_upstream_headers(received, &mut head, ctx)?;
    Ok(leg::Request { head, body, upgrade: ctx.forwarding.asked_upgrade })
}

/// Fields of a request that concern one connection, or say where its body ends.
static OF_CONNECTION: [HeaderName; 10] = [
    CONNECTION,
    CONTENT_LENGTH,
    TRANSFER_ENCODING,
    TE,
    TRAILER,
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    HeaderName::from_static("http2-settings"),
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// Rewrites the head that goes to the app.
pub(super) fn set_upstream_headers(
    received: Version,
    header: &mut RequestHeader,
    ctx: &mut RequestContext,
) -> Result<(), Stop> {
    let request_id = ctx.id_value();
    let Progress::Permitted(permit) = &ctx.progress else { return Err(no_permit()) };
    let facts = &ctx.facts;
    let app = ctx.snapshot.config.apps.get(permit.app().0 as usize).ok_or_else(no_permit)?;
    // Who is let in as nobody is nobody to the app, whatever else was sent.
    let caller = facts.caller.as_deref().filter(|_| !facts.is_open);
    if caller.is_none() && !facts.is_open {
        return Err(no_permit());
    }
    upstream::prepare(
        header,
        upstream::PermittedRequest {
            app,
            plan: ctx.snapshot.upstreams.head(permit).ok_or_else(no_permit)?,
            caller,
            forwarded_for: if facts.keep_forwarded_for {
                ForwardedFor::Keep
            } else {
                ForwardedFor::Set(facts.client)
            },
            authorization_is_verified: facts.authorization_is_verified && !facts.is_open,
            host: facts.host.as_ref().ok_or_else(no_permit)?,
            site: facts.site.ok_or_else(no_permit)?,
            received,
            request_id,
            session_authorization: ctx.session_authorization(),
            rewritten: facts.rewritten.as_ref(),
            // Where another proxy asks the app, that chooses its host.
            server: ctx.endpoint().map(|endpoint| &*endpoint.server),
            assertion: match app.assertion && !facts.is_open {
                true => Some(ctx.assertion().ok_or_else(unsigned)?),
                false => None,
            },
        },
    );
    ctx.forwarding.asked_upgrade = facts.presence.upgrade && header.headers.contains_key(UPGRADE);
    Ok(())
}

/// Cleans a head of the app's answer: an interim one, or that of the answer itself.
pub(super) fn clean_answer(answer: &mut ResponseHeader, ctx: &mut RequestContext) -> Result<(), Stop> {
    let took = ctx.forwarding.asked_at.map(|asked| asked.elapsed());
    if let Some(took) = took {
        ctx.app_metrics().upstream_answered(answer.status.as_u16(), took);
    }
    let request_id = ctx.id_value();
    let expected = upstream::Expected {
        authorization: ctx.app().is_some_and(|app| app.forward_authorization),
        upgrade: ctx.forwarding.asked_upgrade,
        own_cookies: ctx.snapshot.upstreams.own_cookies(),
        keeps_cookies: ctx.snapshot.config.session.is_some()
            && ctx.app().is_none_or(|app| !app.clears_cookies),
    };
    let cleaned = upstream::clean(answer, expected, &mut ctx.forwarding.interim, request_id)
        .map_err(|odd| Fault::protocol(odd.as_str()))?;
    let is_final =
        !answer.status.is_informational() || answer.status == http::StatusCode::SWITCHING_PROTOCOLS;
    if is_final {
        change_answer(answer, ctx)?;
    }
    if is_final {
        complete_answer(answer, ctx)?;
        if let Some(endpoint) = ctx.endpoint() {
            endpoint.answered(took.unwrap_or_default());
        }
        if let Some(cookie) = ctx.sticky_cookie() {
            set_cookie(answer, cookie)?;
        }
    }
    if cleaned != upstream::Cleaned::default() {
        ctx.forwarding.drops_body = cleaned.is_empty;
        ctx.app_metrics().answer_cleaned([
            cleaned.cookies,
            cleaned.words,
            cleaned.challenges,
            cleaned.clearings,
        ]);
    }
    Ok(())
}

/// Adds what we say in every answer that is the app's, or in the place of the app's.
pub(super) fn complete_answer(answer: &mut ResponseHeader, ctx: &RequestContext) -> Result<(), Stop> {
    if let Some((value, origin)) = ctx.hsts()
        && (origin == Origin::App || !answer.headers.contains_key(STRICT_TRANSPORT_SECURITY))
    {
        answer.insert_header(STRICT_TRANSPORT_SECURITY, value.clone())?;
    }
    if !ctx.facts.is_preflight
        && let Some(origin) = ctx.facts.allowed_origin.clone()
        && let Some(app) = ctx.app()
    {
        for (name, value) in &cors::exposing(&answer.headers, app, origin) {
            answer.append_header(name.clone(), value.clone())?;
        }
    }
    if let Some(cookie) = ctx.renewed_cookie() {
        set_cookie(answer, cookie)?;
    }
    if ctx.facts.quotas.is_counted() {
        for (name, value) in limit::fields(&ctx.facts.quotas.counted()) {
            answer.append_header(name, value)?;
        }
    }
    Ok(())
}

fn set_cookie(answer: &mut ResponseHeader, cookie: HeaderValue) -> Result<(), Stop> {
    answer.append_header(SET_COOKIE, cookie)?;
    // No cache between us and the browser may give it to another.
    answer.append_header(CACHE_CONTROL, const { HeaderValue::from_static("private") })?;
    Ok(())
}

/// Changes an answer as its app's settings say.
fn change_answer(answer: &mut ResponseHeader, ctx: &RequestContext) -> Result<(), Stop> {
    let Progress::Permitted(permit) = &ctx.progress else { return Ok(()) };
    let Some(plan) = ctx.snapshot.upstreams.head(permit).filter(|plan| plan.changes_answers()) else {
        return Ok(());
    };
    let site = ctx.facts.site.ok_or_else(no_permit)?;
    let host = upstream::authority(ctx.facts.host.as_ref().ok_or_else(no_permit)?, site);
    let public = upstream::Public { site, authority: host.to_str().map_err(|_| no_permit())? };
    upstream::change_fields(answer, |headers| plan.change_answer(headers, public));
    Ok(())
}

/// Notes that an attempt got no answer.
pub(super) fn attempt_failed(ctx: &mut RequestContext, fault: &Fault, to_connect: bool) {
    let cause = fault.cause();
    ctx.app_metrics().upstream_failed(cause);
    let mut failed = None;
    if let Some(endpoint) = ctx.endpoint() {
        endpoint.failed(cause, to_connect, fault);
        failed = Some(endpoint.address.clone());
    }
    ctx.forwarding.tried.extend(failed);
    ctx.keep_server();
    ctx.forwarding.failure = Some(cause);
}

/// Whether a request is sent once more that got this far; counted, and its server is not asked again while another is
/// there.
pub(super) fn is_sent_again(
    ctx: &mut RequestContext,
    method: &Method,
    (stage, cause): (Stage, NetworkFailure),
) -> bool {
    let failed = ctx.endpoint().map(|endpoint| endpoint.address.clone());
    if let Some(failed) = failed.filter(|failed| !ctx.forwarding.tried.contains(failed)) {
        ctx.forwarding.tried.push(failed);
    }
    let Progress::Permitted(permit) = &ctx.progress else { return false };
    let Some(Retries { attempts, budget_percent }) = ctx.app().map(|app| app.retries) else { return false };
    let (upstreams, metrics) = (&ctx.snapshot.upstreams, ctx.app_metrics());
    let failed = Failed {
        stage,
        cause,
        method,
        body_bytes: ctx.forwarding.body_bytes,
        attempts: ctx.forwarding.attempts,
        attempts_max: attempts,
        has_another: upstreams.has_another(permit, &ctx.forwarding.tried),
    };
    let allows = |budget: &upstream::Budget| {
        budget.allows(budget_percent, metrics.upstream_sent_total(), clock::millis(clock::unix_time()))
    };
    match failed.retry() {
        Retry::Never => false,
        Retry::Exhausted => {
            metrics.upstream_not_retried(RetryRefusal::Attempts);
            false
        }
        Retry::Again { reason, costs } if !costs || upstreams.budget(permit).is_some_and(allows) => {
            metrics.upstream_retried(reason);
            true
        }
        Retry::Again { .. } => {
            metrics.upstream_not_retried(RetryRefusal::Budget);
            false
        }
    }
}

/// Takes an offer of another protocol up, if it is of WebSockets, and else away: offers are optional, and what
/// is answered goes on in HTTP/1.1 (RFC 9110, section 7.8).
pub(super) fn set_upgrade(header: &mut RequestHeader, websocket: bool) -> Result<()> {
    header.remove_header(&UPGRADE);
    header.remove_header("http2-settings");
    if websocket { header.insert_header(UPGRADE, "websocket") } else { Ok(()) }
}

/// An app that asks for signed statements is not asked without one.
fn unsigned() -> Stop {
    Stop::Internal("no assertion could be signed")
}

/// A fault of ours where a permit should be: never a way through.
fn no_permit() -> Stop {
    Stop::Internal("no permit")
}
