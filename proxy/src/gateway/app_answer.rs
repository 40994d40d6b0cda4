//! What an app without servers answers who is let in: another place, or always the same.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, LOCATION, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, response};
use percent_encoding::{CONTROLS, percent_encode};
use pingora::http::ResponseHeader;
use portcullis_config::settings::OwnAnswer;

use super::forward::complete_answer;
use crate::denial::Answer;
use crate::exchange::{Progress, RequestContext};
use crate::refusal::Refusal;

/// The answer to a request that was let in to an app without servers; `target` is what was asked for. `None` for an app that
/// has servers.
///
/// # Errors
/// By a fault of ours.
pub(super) fn of(ctx: &RequestContext, target: &[u8]) -> Result<Option<Answer>, Refusal> {
    let Progress::Permitted(permit) = &ctx.progress else { return Err(Refusal::Internal) };
    let app = ctx.snapshot.config.apps.get(permit.app().0 as usize).ok_or(Refusal::Internal)?;
    let Some(answer) = &app.shaping.own_answer else { return Ok(None) };
    let target = ctx.facts.rewritten.as_ref().map_or(target, |seen| seen.target.as_str().as_bytes());
    let (status, mut headers, body) = made(answer, target).ok_or(Refusal::Internal)?;
    ctx.snapshot.upstreams.head(permit).ok_or(Refusal::Internal)?.set_fields(&mut headers);
    if status != StatusCode::NO_CONTENT {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    }
    headers.insert(HeaderName::from_static("x-request-id"), ctx.id_value());
    let (mut head, ()) = http::Response::new(()).into_parts();
    (head.status, head.headers) = (status, headers);
    let mut head = ResponseHeader::from(head);
    complete_answer(&mut head, ctx).map_err(|_| Refusal::Internal)?;
    let headers = response::Parts::from(head).headers;
    Ok(Some(Answer { status: status.as_u16(), headers, body, refusal: None, phrase: None }))
}

/// Status, fields and body; `None` is a fault of ours.
fn made(answer: &OwnAnswer, target: &[u8]) -> Option<(StatusCode, HeaderMap, Bytes)> {
    // Who asks may be answered otherwise tomorrow, and others today.
    let mut headers = HeaderMap::from_iter([(CACHE_CONTROL, const { HeaderValue::from_static("no-store") })]);
    let (status, body) = match answer {
        OwnAnswer::Redirect { to, status, keep_path, keep_query } => {
            headers.insert(LOCATION, location(to, (*keep_path, *keep_query), target)?);
            (*status, Bytes::new())
        }
        OwnAnswer::Fixed { status, content_type, body } => {
            if !body.is_empty() {
                headers.insert(CONTENT_TYPE, HeaderValue::from_str(content_type).ok()?);
                headers.insert(X_CONTENT_TYPE_OPTIONS, const { HeaderValue::from_static("nosniff") });
            }
            (*status, Bytes::from(body.clone()))
        }
    };
    Some((StatusCode::from_u16(status).ok()?, headers, body))
}

/// INVARIANT: `to` has a host, and what follows begins with `/` or `?`: nothing that a client sends can change the host.
fn location(to: &str, (keep_path, keep_query): (bool, bool), target: &[u8]) -> Option<HeaderValue> {
    let mark = memchr::memchr(b'?', target).unwrap_or(target.len());
    let (path, query) = target.split_at_checked(mark)?;
    let path = if keep_path { path } else { b"" };
    let query = if keep_query { query } else { b"" };
    if !path.is_empty() && !path.starts_with(b"/") {
        return None;
    }
    let kept = [path, query].concat();
    HeaderValue::try_from(format!("{to}{}", percent_encode(&kept, CONTROLS))).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_keeps_what_it_is_to_keep_and_never_leaves_its_host() {
        for (to, kept, target, expected) in [
            ("https://new.test/", (false, false), "/a?b", "https://new.test/"),
            ("https://new.test/x?y=1", (false, false), "/a?b", "https://new.test/x?y=1"),
            ("https://new.test", (true, false), "/a/b%2Fc?d", "https://new.test/a/b%2Fc"),
            (
                "https://new.test/base",
                (true, true),
                "/a?b=//evil.test",
                "https://new.test/base/a?b=//evil.test",
            ),
            ("https://new.test", (true, true), "//evil.test/x", "https://new.test//evil.test/x"),
            ("https://new.test", (true, true), "/@evil.test", "https://new.test/@evil.test"),
            ("https://new.test/", (false, true), "/a?b", "https://new.test/?b"),
        ] {
            let found = location(to, kept, target.as_bytes()).unwrap();
            assert_eq!(found, expected, "{target}");
            let host = url::Url::parse(found.to_str().unwrap()).unwrap().host_str().map(str::to_owned);
            assert_eq!(host.as_deref(), Some("new.test"), "{target}");
        }
        assert_eq!(location("https://new.test", (true, true), b"evil.test"), None);
    }
}
