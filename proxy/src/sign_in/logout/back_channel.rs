//! A provider says from server to server that sessions have ended (OpenID Connect Back-Channel Logout 1.0).

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue};
use url::form_urlencoded;

use crate::clock::Moment;
use crate::denial::Answer;
use crate::own::OwnRequest;
use crate::provider::Provider;
use crate::record::Logout;
use crate::refusal::BadToken;
use crate::session::key::OnceKey;
use crate::session::revocation::{Cause, Once, Revoked, Use, Who};
use crate::sign_in::SignInContext;
use crate::token::{IdTokenProblem, LogoutToken, TokenProblem};

/// Why nothing was ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Unheard {
    /// The form has no `logout_token`, or several.
    #[error("the form does not have one logout_token")]
    Form,
    /// It is none that counts.
    #[error(transparent)]
    Token(IdTokenProblem),
    /// It was used before.
    #[error("the logout token was used before")]
    Replayed,
    /// It cannot be verified, or kept, now.
    #[error("temporarily unavailable")]
    Unavailable,
}

/// `logout/backchannel`: POST of a form with a logout token.
pub(in crate::sign_in) async fn back_channel(
    ctx: SignInContext<'_>,
    request: &OwnRequest,
    body: &Bytes,
) -> Answer {
    let request_id = uuid::Uuid::from_u128(request.request_id.0);
    match end(ctx, request, body).await {
        Ok(provider) => {
            ctx.state.metrics.logged_out(Logout::BackChannel);
            tracing::info!(%request_id, provider, "a provider ended sessions (back-channel)");
            answer(200, Bytes::new())
        }
        Err(unheard) => {
            tracing::warn!(%request_id, reason = %unheard, "a back-channel logout ended nothing");
            refused(unheard)
        }
    }
}

/// Ends what the token names, and says whose token it was.
async fn end<'s>(ctx: SignInContext<'s>, request: &OwnRequest, body: &Bytes) -> Result<&'s str, Unheard> {
    let text = logout_token(request.content_type.as_deref(), body).ok_or(Unheard::Form)?;
    let (provider, token) = verified(ctx, &text, request.now())?;
    let sessions = ctx.state.sessions().ok_or(Unheard::Unavailable)?;
    let issuer = provider.issuer().to_owned();
    let key = OnceKey::of("logout", &issuer, &token.jti);
    // Section 2.6: with a `sid` that session of the provider ends, and with a `sub` alone all of the subject's. Here each
    // is on any number of hosts and browsers.
    let (first, who) = match (token.sid, token.sub) {
        // Sessions whose ID tokens named none may rest on that one.
        (Some(sid), Some(sub)) => {
            (Some(Who::Unnamed { issuer: issuer.clone(), sub }), Who::Session { issuer, sid })
        }
        (Some(sid), None) => (None, Who::Session { issuer, sid }),
        (None, Some(sub)) => (None, Who::Subject { issuer, sub }),
        (None, None) => return Err(Unheard::Token(IdTokenProblem::NoLogout)),
    };
    let (at, revocations) = (Moment::now(), sessions.revocations());
    let revoked = |who| Revoked { who, cause: Cause::BackChannel };
    let once = Once { key, until: token.expires_at };
    let ended = match revocations.revoke_once(once, &revoked(who), at).await {
        Ok(Use::First) => match first {
            Some(first) => revocations.revoke(&revoked(first), at).await.map(|()| Use::First),
            None => Ok(Use::First),
        },
        other => other,
    };
    match ended {
        Ok(Use::First) => Ok(provider.name()),
        Ok(Use::Again) => Err(Unheard::Replayed),
        Err(problem) => {
            tracing::error!(provider = provider.name(), %problem, "a logout of the provider could not be kept");
            Err(Unheard::Unavailable)
        }
    }
}

/// The one `logout_token` of the form; other parameters are not for us (section 2.5).
fn logout_token(content_type: Option<&str>, body: &[u8]) -> Option<String> {
    let kind = content_type?.split(';').next()?.trim();
    if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return None;
    }
    let mut found = form_urlencoded::parse(body).filter(|(name, _)| name == "logout_token");
    let (token, second) = (found.next()?, found.next());
    second.is_none().then(|| token.1.into_owned())
}

/// The token, and the provider whose issuer and client id it names. Verified for each: what a token says of itself
/// before it is verified chooses nothing.
fn verified<'s>(
    ctx: SignInContext<'s>,
    text: &str,
    now: i64,
) -> Result<(&'s Provider, LogoutToken), Unheard> {
    let mut reason = Unheard::Token(BadToken::Issuer.into());
    for provider in &ctx.snapshot.providers {
        let settings = provider.settings();
        let expected = (settings.issuer, settings.client_id.as_str());
        match ctx.snapshot.verifier.verify_logout_token(text, expected, now) {
            Ok(token) => return Ok((provider, token)),
            Err(IdTokenProblem::Token(TokenProblem::KeysUnavailable)) => reason = Unheard::Unavailable,
            // Of another provider: says nothing of the token.
            Err(IdTokenProblem::Token(TokenProblem::Bad(BadToken::Issuer))) => {}
            Err(problem) if reason != Unheard::Unavailable => reason = Unheard::Token(problem),
            Err(_) => {}
        }
    }
    Err(reason)
}

/// Sections 2.8: 400 with an error in the words of RFC 6749, section 5.2; for what passes by itself a status that a
/// provider tries again after.
fn refused(unheard: Unheard) -> Answer {
    let status = match unheard {
        Unheard::Form | Unheard::Token(_) | Unheard::Replayed => 400,
        Unheard::Unavailable => 503,
    };
    let error = if status == 400 { "invalid_request" } else { "temporarily_unavailable" };
    let body = serde_json::json!({"error": error, "error_description": unheard.to_string()});
    let mut answer = answer(status, Bytes::from(body.to_string()));
    answer.headers.insert(CONTENT_TYPE, const { HeaderValue::from_static("application/json") });
    if status == 503 {
        answer.headers.insert(RETRY_AFTER, const { HeaderValue::from_static("5") });
    }
    answer
}

fn answer(status: u16, body: Bytes) -> Answer {
    let headers = HeaderMap::from_iter([
        (CACHE_CONTROL, const { HeaderValue::from_static("no-store") }),
        (CONTENT_LENGTH, HeaderValue::from(body.len())),
    ]);
    Answer { status, headers, body, refusal: None, phrase: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORM: Option<&str> = Some("application/x-www-form-urlencoded");

    #[test]
    fn trap_26_a_doubled_logout_token_is_none() {
        let read = |body: &str| logout_token(FORM, body.as_bytes());
        assert_eq!(read("logout_token=a.b.c").as_deref(), Some("a.b.c"));
        assert_eq!(read("x=1&logout_token=a&y=2").as_deref(), Some("a"));
        for bad in ["logout_token=a&logout_token=a", "logout_token=a&logout%5Ftoken=b", "", "token=a"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_logout_token_comes_in_a_form_alone() {
        for good in ["application/x-www-form-urlencoded", "Application/X-WWW-Form-Urlencoded; charset=UTF-8"]
        {
            assert!(logout_token(Some(good), b"logout_token=a").is_some(), "{good}");
        }
        for bad in [None, Some("text/plain"), Some("multipart/form-data"), Some("application/json"), Some("")]
        {
            assert!(logout_token(bad, b"logout_token=a").is_none(), "{bad:?}");
        }
    }

    #[test]
    fn a_refusal_says_whether_to_try_again_and_is_never_stored() {
        for (unheard, status) in [
            (Unheard::Form, 400),
            (Unheard::Replayed, 400),
            (Unheard::Token(IdTokenProblem::NoLogout), 400),
            (Unheard::Unavailable, 503),
        ] {
            let answer = refused(unheard);
            assert_eq!(
                (answer.status, &answer.headers[CACHE_CONTROL]),
                (status, &"no-store".parse().unwrap())
            );
            assert_eq!(answer.headers.contains_key(RETRY_AFTER), status == 503);
            assert!(serde_json::from_slice::<serde_json::Value>(&answer.body).unwrap()["error"].is_string());
        }
    }
}
