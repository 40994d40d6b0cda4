//! A provider's page says in a hidden frame that a session has ended (OpenID Connect Front-Channel Logout 1.0). No cookie
//! of ours comes with a frame of another site, so `iss` and `sid` say which; and whoever knows them could only end that
//! session. Tokens are not revoked (section 4).

use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};
use portcullis_config::settings::Rate;

use crate::denial::Answer;
use crate::own::OwnRequest;
use crate::provider::Provider;
use crate::record::Logout;
use crate::refusal::{BadRequest, Refusal, Sender};
use crate::session::revocation::{Cause, Revoked, Who};
use crate::sign_in::SignInContext;
use crate::sign_in::answer::refuse;
use crate::sign_in::parameters::Parameters;

/// The longest `sid`, in bytes.
const SID_BYTES_MAX: usize = 512;
/// Of all browsers together: anybody can ask, each is remembered for as long as a session lives, and what ends sessions
/// must never be full.
const RATE: Rate = Rate { count: 10, per: Duration::from_secs(1), burst: 300 };

/// `logout/frontchannel`: GET with `iss` and `sid`.
pub(in crate::sign_in) async fn front_channel(ctx: SignInContext<'_>, request: &OwnRequest) -> Answer {
    let found = Parameters::read(&request.target);
    let named = found.as_ref().and_then(|found| Some((found.get("iss")?, found.get("sid")?)));
    let known = named.and_then(|(iss, sid)| {
        let provider = ctx.snapshot.providers.iter().find(|provider| provider.issuer() == iss)?;
        let is_sid = sid.len() <= SID_BYTES_MAX && !sid.chars().any(char::is_control);
        is_sid.then_some((provider, sid))
    });
    let Some((provider, sid)) = known else {
        return refuse(ctx, request, Refusal::BadRequest(BadRequest::Target));
    };
    let Some(sessions) = ctx.state.sessions() else {
        return refuse(ctx, request, Refusal::SessionsUnavailable);
    };
    if ctx.state.limits.front_channel_logout(RATE, request.now_unix_ms).is_exceeded {
        return refuse(ctx, request, Refusal::TooManyRequests(Sender::Address));
    }
    let who = Who::Session { issuer: provider.issuer().to_owned(), sid: sid.to_owned() };
    let revoked = Revoked { who, cause: Cause::FrontChannel };
    if let Err(problem) = sessions.revocations().revoke(&revoked, request.now()).await {
        tracing::error!(provider = provider.name(), %problem, "a logout of the provider could not be kept");
        return refuse(ctx, request, Refusal::SessionsUnavailable);
    }
    ctx.state.metrics.logged_out(Logout::FrontChannel);
    tracing::info!(provider = provider.name(), "a provider ended sessions (front-channel)");
    frame(provider)
}

/// An empty page that this provider's pages alone may have in a frame.
fn frame(provider: &Provider) -> Answer {
    const BODY: &str = "<!doctype html><title>Signed out</title>";
    let policy = format!("default-src 'none'; frame-ancestors {}", origins(provider).join(" "));
    let policy = HeaderValue::try_from(policy)
        .unwrap_or(const { HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'") });
    let headers = HeaderMap::from_iter([
        (CACHE_CONTROL, const { HeaderValue::from_static("no-store") }),
        (CONTENT_TYPE, const { HeaderValue::from_static("text/html; charset=utf-8") }),
        (CONTENT_LENGTH, HeaderValue::from(BODY.len())),
        (CONTENT_SECURITY_POLICY, policy),
    ]);
    Answer { status: 200, headers, body: Bytes::from_static(BODY.as_bytes()), refusal: None }
}

/// Where the provider's pages are: its issuer, and its end-session endpoint where that is elsewhere.
fn origins(provider: &Provider) -> Vec<String> {
    let issuer = reqwest::Url::parse(provider.issuer()).ok();
    let end = provider.metadata().and_then(|metadata| metadata.end_session_endpoint.clone());
    let mut origins: Vec<String> =
        issuer.into_iter().chain(end).map(|url| url.origin().ascii_serialization()).collect();
    origins.dedup();
    origins.retain(|origin| origin != "null");
    if origins.is_empty() { vec!["'none'".to_owned()] } else { origins }
}
