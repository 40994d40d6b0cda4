//! A provider's page says in a hidden frame that a session has ended (OpenID Connect Front-Channel Logout 1.0). No cookie
//! of ours comes with a frame of another site, so `iss` and `sid` say which; and whoever knows them could only end that
//! session. Tokens are not revoked (section 4).
//!
//! Anybody can ask, with whatever they invent. So nothing is kept of what names no session that is known; where sessions
//! are in cookies alone, one may be of before this process, and such are kept in a room of their own. And whoever asks
//! learns nothing: an issuer or a session that there is not is answered as one that there is.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};
use portcullis_config::settings::Rate;

use crate::denial::Answer;
use crate::own::OwnRequest;
use crate::record::Logout;
use crate::refusal::{BadRequest, Refusal, Sender};
use crate::session::revocation::{Cause, Revoked, Who};
use crate::sign_in::SignInContext;
use crate::sign_in::answer::{id_of, refuse};
use crate::sign_in::parameters::Parameters;

/// The longest `iss` and `sid`, in bytes.
const NAME_BYTES_MAX: usize = 512;
/// Of all browsers together, for what names no session that is known: it would be kept, and flushed to disk.
const RATE: Rate = Rate { count: 10, per: Duration::from_secs(1), burst: 300 };

/// `logout/frontchannel`: GET with `iss` and `sid`.
pub(in crate::sign_in) async fn front_channel(ctx: SignInContext<'_>, request: &OwnRequest) -> Answer {
    let found = Parameters::read(&request.target);
    let named = found.as_ref().and_then(|found| Some((found.get("iss")?, found.get("sid")?)));
    let is_name = |text: &str| text.len() <= NAME_BYTES_MAX && !text.chars().any(char::is_control);
    let Some((iss, sid)) = named.filter(|(iss, sid)| is_name(iss) && is_name(sid)) else {
        return refuse(ctx, request, Refusal::BadRequest(BadRequest::Target));
    };
    let Some(sessions) = ctx.state.sessions() else {
        return refuse(ctx, request, Refusal::SessionsUnavailable);
    };
    let who = Who::Session { issuer: iss.to_owned(), sid: sid.to_owned() };
    let revoked = Revoked { who, cause: Cause::FrontChannel };
    if sessions.knows(&revoked) == Some(false)
        && ctx.state.limits.front_channel_logout(RATE, request.now_unix_ms).is_exceeded
    {
        return refuse(ctx, request, Refusal::TooManyRequests(Sender::Address));
    }
    let provider = ctx.snapshot.providers.iter().find(|provider| provider.issuer() == iss);
    let provider = provider.map(|provider| provider.name());
    let request_id = id_of(request);
    match sessions.end_named(&revoked).await {
        Ok(true) => {
            ctx.state.metrics.logged_out(Logout::FrontChannel);
            tracing::info!(request_id, provider, "a provider ended sessions (front-channel)");
        }
        Ok(false) => tracing::debug!(request_id, provider, "a front-channel logout ended no known session"),
        Err(problem) => {
            tracing::error!(request_id, provider, %problem, "a front-channel logout could not be kept");
            return refuse(ctx, request, Refusal::SessionsUnavailable);
        }
    }
    frame()
}

/// An empty page. Any page may have it in a frame: to say whose may would tell which providers there are.
fn frame() -> Answer {
    const BODY: &str = "<!doctype html><title>Signed out</title>";
    let headers = HeaderMap::from_iter([
        (CACHE_CONTROL, const { HeaderValue::from_static("no-store") }),
        (CONTENT_TYPE, const { HeaderValue::from_static("text/html; charset=utf-8") }),
        (CONTENT_LENGTH, HeaderValue::from(BODY.len())),
        (
            CONTENT_SECURITY_POLICY,
            const { HeaderValue::from_static("default-src 'none'; frame-ancestors *") },
        ),
    ]);
    Answer { status: 200, headers, body: Bytes::from_static(BODY.as_bytes()), refusal: None, phrase: None }
}
