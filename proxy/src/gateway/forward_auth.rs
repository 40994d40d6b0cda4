//! A listener on which another proxy asks whether to let requests in: what it asks is read, judged as a request of its
//! own client, and answered in the proxy's protocol.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, SET_COOKIE,
    STRICT_TRANSPORT_SECURITY, UPGRADE, WWW_AUTHENTICATE,
};
use http::{HeaderMap, Version};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::prelude::{Error, ErrorType, Result, Session};
use portcullis_config::settings::ForwardAuthProtocol;
use tokio::time::timeout;

use super::app_answer;
use super::downstream::{answer_of, head, write};
use super::forward::set_upstream_headers;
use crate::admit::{RawHead, own_framing};
use crate::authorize::Verdict;
use crate::denial::Answer;
use crate::exchange::{Progress, RequestContext};
use crate::forward_auth::{
    Allowed, Asked, BadDescription, Described, Fault, check, describe, imitates_identity,
};
use crate::limit;
use crate::listener::{Conn, Connection, Framing};
use crate::own::{Own, OwnRequest};
use crate::record::{ForwardAuthAnswer, Outcome};
use crate::refusal::{BadRequest, Refusal};
use crate::sign_in;

/// `page`: the proxy (nginx) was refused a moment ago, could not pass the answer on, and fetches it.
const WANTED: HeaderName = HeaderName::from_static("x-portcullis-answer");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Envoy's: names of fields that it takes out of a request which its HTTP authorization service let in.
const TO_REMOVE: HeaderName = HeaderName::from_static("x-envoy-auth-headers-to-remove");

/// How proxies ask on the listener of this request; `None` where clients come themselves.
pub(super) fn protocol(ctx: &RequestContext) -> Option<ForwardAuthProtocol> {
    let listener = ctx.snapshot.tls.listener(ctx.arrival.listener?)?;
    listener.forward_auth.as_ref().map(|forward_auth| forward_auth.protocol)
}

/// What the proxy is to do with its request.
enum Directive {
    /// Let it in, with these changes.
    Allow(Box<Allowed>),
    /// Answer it so.
    Answer(Denying),
}

/// An answer that no proxy takes for leave to let its request in, as each takes every status of 2xx: a page of ours
/// that is no refusal, the choice of a provider for instance, is sent with 401.
struct Denying(Answer);

impl From<Answer> for Denying {
    fn from(mut answer: Answer) -> Self {
        if answer.status < 300 {
            answer.status = 401;
            // RFC 9110, section 15.5.2.
            answer.headers.entry(WWW_AUTHENTICATE).or_insert(const { HeaderValue::from_static("Bearer") });
        }
        Self(answer)
    }
}

impl Directive {
    fn answer(answer: Answer) -> Self {
        Self::Answer(answer.into())
    }
}

/// Answers what another proxy asks.
pub(super) async fn answer(
    session: &mut Session,
    ctx: &mut RequestContext,
    protocol: ForwardAuthProtocol,
) -> Result<()> {
    let (directive, said) = if is_from_proxy(ctx) {
        if let Some(connection) = Connection::of(session) {
            connection.grant();
        }
        match read(session, ctx, protocol).await? {
            Ok(described) => judge(ctx, protocol, described).await,
            Err(refusal) => {
                let answer = ctx.denial(&refusal, &head(session.req_header()));
                ctx.progress = Progress::Refused(refusal);
                (Directive::answer(answer), ForwardAuthAnswer::Refused)
            }
        }
    } else {
        ctx.progress = Progress::Refused(Refusal::BadRequest(BadRequest::FrontProxy));
        let text =
            "this listener answers the proxies that `peers` of its `forward-auth` names, and no other client";
        (Directive::answer(plain(403, text)), ForwardAuthAnswer::NotAPeer)
    };
    ctx.state.metrics.forward_auth_answered(protocol, said);
    match (protocol, directive) {
        (ForwardAuthProtocol::ExtAuthzGrpc, directive) if session.as_http2().is_some() => {
            write_call(session, ctx, directive).await
        }
        (_, Directive::Answer(Denying(mut answer))) => {
            answer.headers.insert(REQUEST_ID, ctx.id_value());
            ctx.bytes_beside = write(session, answer, false).await?;
            Ok(())
        }
        (_, Directive::Allow(allowed)) => {
            let mut headers = if protocol == ForwardAuthProtocol::Http {
                allowed.overwriting()
            } else {
                let names: Vec<&str> = allowed.taken_away().map(HeaderName::as_str).collect();
                let names = HeaderValue::try_from(names.join(","));
                let mut headers = allowed.fields();
                headers.insert(TO_REMOVE, names.map_err(|_| Error::new(ErrorType::InternalError))?);
                headers
            };
            headers.extend(to_client(ctx));
            headers.insert(CONTENT_LENGTH, const { HeaderValue::from_static("0") });
            let answer = Answer { status: 200, headers, body: Bytes::new(), refusal: None, phrase: None };
            ctx.bytes_beside = write(session, answer, false).await?;
            Ok(())
        }
    }
}

/// Whether the other end is a proxy that may ask here.
fn is_from_proxy(ctx: &RequestContext) -> bool {
    let listener = ctx.arrival.listener.and_then(|index| ctx.snapshot.tls.listener(index));
    let peers = listener.and_then(|listener| listener.forward_auth.as_ref()).map(|asks| &asks.peers);
    ctx.connection.filter(|connection| !connection.is_unknown).is_some_and(|connection| {
        let peer = connection.peer.to_canonical();
        peers.is_some_and(|peers| peers.iter().any(|network| network.contains(&peer)))
    })
}

/// Reads what is asked; a refusal is of the asking request itself.
async fn read(
    session: &mut Session,
    ctx: &RequestContext,
    protocol: ForwardAuthProtocol,
) -> Result<std::result::Result<std::result::Result<Described, BadDescription>, Refusal>> {
    if let Err(refusal) = expect_body(session) {
        // Nothing that follows on the connection can be trusted.
        session.set_keepalive(None);
        return Ok(Err(refusal));
    }
    let Some(peer) = ctx.connection.map(|connection| connection.peer) else {
        return Ok(Err(Refusal::Internal));
    };
    let header = session.req_header();
    Ok(Ok(match protocol {
        ForwardAuthProtocol::Http => describe::by_fields(&header.headers, peer),
        ForwardAuthProtocol::ExtAuthzHttp => {
            let head = head(header);
            describe::by_itself((head.method, head.target, head.authority()), &header.headers, peer)
        }
        ForwardAuthProtocol::ExtAuthzGrpc => {
            let kind = header.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
            let is_call = session.as_http2().is_some()
                && header.raw_path() == check::TARGET
                && kind.is_some_and(|kind| kind.starts_with(check::CONTENT_TYPE.as_bytes()));
            if !is_call {
                return Ok(Ok(Err(BadDescription { field: "Authorization/Check", fault: Fault::Missing })));
            }
            let time = ctx.snapshot.config.server.limits.head_time;
            match timeout(time, call(session)).await {
                Ok(Ok(Some(call))) => check::described(&call),
                Ok(Ok(None)) => return Ok(Err(Refusal::BodyTooLarge)),
                Ok(Err(problem)) => return Err(problem),
                Err(_) => return Ok(Err(Refusal::BodyTooSlow)),
            }
        }
    }))
}

/// Says to the connection where the asking request ends.
fn expect_body(session: &Session) -> std::result::Result<(), Refusal> {
    let Some(raw) = session.as_http1().map(|http1| http1.get_headers_raw_bytes()) else { return Ok(()) };
    let conn = Conn::of(session).ok_or(Refusal::Internal)?;
    let length = conn
        .head(|received| own_framing(&head(session.req_header()).with_raw(RawHead::beside(&raw, received))));
    let framing = match length {
        Ok(Some(length)) => Framing::Length(length),
        Ok(None) => Framing::Chunked,
        Err(_) => Framing::Length(0),
    };
    let is_sound = conn.expect_body(raw.len(), framing);
    match length {
        Ok(_) if is_sound => Ok(()),
        Ok(_) => Err(Refusal::BadRequest(BadRequest::Framing)),
        Err(bad) => Err(Refusal::BadRequest(bad)),
    }
}

/// The body of a call; `None` when it is larger than any that describes a request.
async fn call(session: &mut Session) -> Result<Option<Vec<u8>>> {
    let mut call = Vec::new();
    while let Some(piece) = session.downstream_session.read_request_body().await? {
        if call.len() + piece.len() > check::MESSAGE_BYTES_MAX {
            return Ok(None);
        }
        call.extend_from_slice(&piece);
    }
    Ok(Some(call))
}

/// Judges a described request.
async fn judge(
    ctx: &mut RequestContext,
    protocol: ForwardAuthProtocol,
    described: std::result::Result<Described, BadDescription>,
) -> (Directive, ForwardAuthAnswer) {
    let peer = ctx.connection.map(|connection| connection.peer);
    let asked = Arc::new(Asked { protocol, peer, described, passes_on: OnceLock::new() });
    ctx.asked = Some(Arc::clone(&asked));
    let described = match &asked.described {
        Ok(described) => described,
        Err(bad) => {
            ctx.progress = Progress::Refused(Refusal::BadRequest(BadRequest::Description));
            let text = format!("the request to judge is not described: {bad}");
            return (Directive::answer(plain(400, &text)), ForwardAuthAnswer::BadDescription);
        }
    };
    ctx.connection = Some(described.connection);
    // Of the client's handshake nothing is known.
    ctx.arrival.handshake = None;
    let verdict = match ctx.authorize(&described.head()) {
        Verdict::Load(handle) => {
            ctx.state.load_session(&handle).await;
            ctx.authorize_loaded(&described.head())
        }
        verdict => verdict,
    };
    let refusal = match verdict {
        Verdict::Permit(permit) => {
            ctx.progress = Progress::Permitted(permit);
            let answered = app_answer::of(ctx, described.head().target);
            if let Ok(Some(answer)) = answered {
                ctx.progress = Progress::Replied;
                return (Directive::answer(answer), ForwardAuthAnswer::Replied);
            }
            match answered.and_then(|_| allow(ctx, &asked, described)) {
                Ok(_) if wants_page(described) => {
                    ctx.progress = Progress::Replied;
                    let mut answer = plain(503, "what was refused a moment ago is let in now: load it again");
                    answer.headers.insert(RETRY_AFTER, const { HeaderValue::from_static("1") });
                    return (Directive::answer(answer), ForwardAuthAnswer::Replied);
                }
                Ok(allowed) => return (Directive::Allow(Box::new(allowed)), ForwardAuthAnswer::Allowed),
                Err(refusal) => refusal,
            }
        }
        Verdict::Reply(reply) => {
            ctx.progress = Progress::Replied;
            return (Directive::answer(answer_of(reply, ctx.id_value())), ForwardAuthAnswer::Replied);
        }
        Verdict::Own(own) => return own_answer(ctx, &own).await,
        Verdict::Wait(_) | Verdict::Report(_) => return path_of_ours(ctx),
        Verdict::Refusal(refusal) => refusal,
        // It was loaded, if it could be.
        Verdict::Load(_) => Refusal::SessionsUnavailable,
    };
    let answer = ctx.denial(&refusal, &described.head());
    ctx.progress = Progress::Refused(refusal);
    (Directive::answer(answer), ForwardAuthAnswer::Refused)
}

/// The answer to a request that we answer ourselves. Paths of ours are not answered here: an answer of 200 would let them
/// in to the app.
async fn own_answer(ctx: &mut RequestContext, own: &OwnRequest) -> (Directive, ForwardAuthAnswer) {
    if let Own::Path(_) = own.what {
        return path_of_ours(ctx);
    }
    let answer = sign_in::answer(ctx.sign_in(), own, Bytes::new()).await;
    ctx.progress = answer.refusal.map_or(Progress::Replied, Progress::Refused);
    let said = if answer.refusal.is_some() { ForwardAuthAnswer::Refused } else { ForwardAuthAnswer::Replied };
    (Directive::answer(answer), said)
}

fn path_of_ours(ctx: &mut RequestContext) -> (Directive, ForwardAuthAnswer) {
    ctx.progress = Progress::Refused(Refusal::BadRequest(BadRequest::Description));
    let text = "`/.portcullis/` is to be sent to an ordinary listener of Portcullis, without asking";
    (Directive::answer(plain(404, text)), ForwardAuthAnswer::BadDescription)
}

/// What the proxy has to change in a request that is let in, so that its app receives what it would from us. What we
/// would take away and a proxy cannot is refused.
fn allow(
    ctx: &mut RequestContext,
    asked: &Asked,
    described: &Described,
) -> std::result::Result<Allowed, Refusal> {
    let refuse = |name: &HeaderName| {
        asked.passes_on.get_or_init(|| name.clone());
        Refusal::BadRequest(BadRequest::Header)
    };
    if ctx.facts.presence.websocket && !ctx.app().ok_or(Refusal::Internal)?.websocket {
        return Err(refuse(&UPGRADE));
    }
    let identity = identity_names(ctx);
    let (mut parts, ()) = http::Request::new(()).into_parts();
    parts.method = described.method.clone();
    parts.headers = described.headers.clone();
    let mut header = RequestHeader::from(parts);
    set_upstream_headers(Version::HTTP_11, &mut header, ctx).map_err(|_| Refusal::Internal)?;
    let allowed = Allowed::between(&described.headers, &header.headers, &identity);
    // Envoy takes away what it is named.
    if asked.protocol == ForwardAuthProtocol::Http
        && let Some(name) = imitates_identity(&described.headers, &identity).or_else(|| allowed.passes_on())
    {
        return Err(refuse(name));
    }
    Ok(allowed)
}

/// The names under which the app reads who asks.
fn identity_names(ctx: &RequestContext) -> Vec<HeaderName> {
    let own = ctx.app().into_iter().flat_map(|app| &app.identity_headers).map(|(name, _)| name);
    let assertion = ctx.snapshot.config.assertion.as_ref().map(|assertion| &assertion.header);
    own.chain(assertion).filter_map(|name| HeaderName::from_bytes(name.as_bytes()).ok()).collect()
}

fn wants_page(described: &Described) -> bool {
    described.headers.get(&WANTED).is_some_and(|wanted| wanted == "page")
}

/// What the client of a request that was let in receives beside the app's answer.
fn to_client(ctx: &RequestContext) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(REQUEST_ID, ctx.id_value());
    if let Some((value, _)) = ctx.hsts() {
        headers.insert(STRICT_TRANSPORT_SECURITY, value.clone());
    }
    if let Some(cookie) = ctx.renewed_cookie() {
        headers.append(SET_COOKIE, cookie);
        // No cache between us and the browser may give it to another.
        headers.append(CACHE_CONTROL, const { HeaderValue::from_static("private") });
    }
    for (name, value) in limit::fields(&ctx.facts.quotas.counted()) {
        headers.append(name, value);
    }
    headers
}

/// An answer for whoever runs the proxy that asks.
fn plain(status: u16, text: &str) -> Answer {
    let body = Bytes::from(format!("Portcullis forward-auth: {text}\n"));
    let headers = HeaderMap::from_iter([
        (CONTENT_TYPE, const { HeaderValue::from_static("text/plain; charset=utf-8") }),
        (CACHE_CONTROL, const { HeaderValue::from_static("no-store") }),
        (CONTENT_LENGTH, HeaderValue::from(body.len())),
    ]);
    Answer { status, headers, body, refusal: None, phrase: None }
}

/// Answers a call over gRPC. Whatever goes wrong is an answer that denies: a failed call is let through by a proxy that
/// was told so.
async fn write_call(session: &mut Session, ctx: &RequestContext, directive: Directive) -> Result<()> {
    let results = results(ctx);
    let message = match directive {
        Directive::Allow(allowed) => check::allow(&allowed, &to_client(ctx), results),
        Directive::Answer(Denying(mut answer)) => {
            answer.headers.insert(REQUEST_ID, ctx.id_value());
            check::deny(&answer, results)
        }
    };
    let mut head = ResponseHeader::build(200, Some(1))?;
    head.insert_header(CONTENT_TYPE, check::CONTENT_TYPE)?;
    let trailers = HeaderMap::from_iter([(
        HeaderName::from_static("grpc-status"),
        const { HeaderValue::from_static("0") },
    )]);
    let session = &mut session.downstream_session;
    session.write_response_header(Box::new(head)).await?;
    session.write_response_body(message, false).await?;
    session.write_response_trailers(trailers).await
}

/// What Envoy's filters and log may read of the answer.
fn results(ctx: &RequestContext) -> check::Results {
    let (outcome, reason) = match &ctx.progress {
        Progress::Permitted(_) | Progress::Aborted(..) => (ctx.let_in(), None),
        Progress::Refused(refusal) => (Outcome::of(refusal), Some(refusal.reason())),
        Progress::Replied => (Outcome::Replied, None),
        Progress::Received => (Outcome::Failed, None),
    };
    let policies = &ctx.snapshot.policies.set().policies;
    let applied = ctx.facts.decision.applied.iter();
    check::Results {
        request_id: ctx.id_text(),
        outcome: outcome.as_str(),
        reason,
        app_id: ctx.app().map(|app| app.id.clone()),
        policies: applied
            .filter_map(|(policy, result)| {
                Some((policies.get(policy.0 as usize)?.id.to_string(), result.as_str()))
            })
            .collect(),
    }
}
