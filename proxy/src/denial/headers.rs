//! The head of a denial: what every one carries, and the challenges of a 401.

use http::header::{
    CACHE_CONTROL, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName,
    HeaderValue, REFERRER_POLICY, RETRY_AFTER, VARY, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};

use super::escape::push_percent;
use super::facts::StepUp;
use super::view::View;
use crate::refusal::{BadToken, Refusal, Resolution};
use portcullis_policy::decision::ReasonCode;

pub(super) type Headers = Vec<(HeaderName, HeaderValue)>;

const PROXY_STATUS: HeaderName = HeaderName::from_static("proxy-status");
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const X_ROBOTS_TAG: HeaderName = HeaderName::from_static("x-robots-tag");
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// `acr` values named in a challenge, and their bytes; more would only fill the head.
const ACR_VALUES_MAX: usize = 8;
const ACR_BYTES_MAX: usize = 128;

/// A value of ours; what cannot be a header value is an empty one.
fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(const { HeaderValue::from_static("") })
}

/// What every denial carries, whatever its form.
pub(super) fn common(
    refusal: &Refusal,
    view: &View<'_>,
    step_up: &StepUp<'_>,
    csp: &HeaderValue,
    lang: &str,
) -> Headers {
    let mut headers = Vec::with_capacity(16);
    headers.push((CACHE_CONTROL, HeaderValue::from_static("no-store")));
    headers.push((CONTENT_SECURITY_POLICY, csp.clone()));
    headers.push((REFERRER_POLICY, HeaderValue::from_static("no-referrer")));
    headers.push((X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")));
    headers.push((X_ROBOTS_TAG, HeaderValue::from_static("noindex")));
    headers.push((VARY, HeaderValue::from_static("Accept, Accept-Language, Sec-Fetch-Mode")));
    headers.push((CONTENT_LANGUAGE, value(lang)));
    headers.push((X_REQUEST_ID, value(&view.request_id)));
    headers.push((PROXY_STATUS, proxy_status(refusal, view.row.code)));
    if view.is_temporary {
        headers.push((RETRY_AFTER, HeaderValue::from(super::RETRY_AFTER.as_secs())));
    }
    if view.row.status == 401 {
        headers.push((WWW_AUTHENTICATE, challenge(refusal, view.row.resolution, step_up)));
    }
    headers
}

/// Type and length of the body.
pub(super) fn body(headers: &mut Headers, content_type: &'static str, len: usize) {
    headers.push((CONTENT_TYPE, HeaderValue::from_static(content_type)));
    headers.push((CONTENT_LENGTH, HeaderValue::from(len)));
}

/// gRPC's status in the head: a response of trailers only.
pub(super) fn grpc(headers: &mut Headers, content_type: &'static str, view: &View<'_>) {
    let status = match view.row.status {
        401 => "16",
        403 => "7",
        404 => "12",
        413 => "8",
        502..=504 => "14",
        _ => "13",
    };
    let code = if view.row.code == 0 { view.error.to_owned() } else { view.row.code.to_string() };
    let mut message = String::with_capacity(80);
    // gRPC over HTTP/2 percent-encodes the message; spaces may stay as they are.
    push_percent(&mut message, &format!("{code}; request {}", view.request_id), b" ;:");
    headers.push((CONTENT_TYPE, HeaderValue::from_static(content_type)));
    headers.push((GRPC_STATUS, HeaderValue::from_static(status)));
    headers.push((GRPC_MESSAGE, value(&message)));
}

/// `Proxy-Status` (RFC 9209), with the registered error types.
fn proxy_status(refusal: &Refusal, code: u32) -> HeaderValue {
    let error = match refusal {
        Refusal::Policy(_) | Refusal::NoToken | Refusal::BadToken(_) | Refusal::KeysUnavailable => {
            "http_request_denied"
        }
        Refusal::BadRequest(_) | Refusal::BodyTooLarge => "http_request_error",
        Refusal::NoApp => "destination_not_found",
        Refusal::Internal => "proxy_internal_error",
        Refusal::Upstream { status: 504 } => "http_response_timeout",
        Refusal::Upstream { .. } => "destination_unavailable",
    };
    if code == 0 {
        value(&format!("portcullis; error={error}"))
    } else {
        value(&format!("portcullis; error={error}; details=\"{code}\""))
    }
}

/// The challenge of a 401. Only what a new token can mend is one: RFC 6750 section 3 for a missing
/// or bad token, RFC 9470 section 3 for strength and freshness. A block is never a challenge, since
/// a client that follows challenges would loop.
fn challenge(refusal: &Refusal, resolution: Resolution, step_up: &StepUp<'_>) -> HeaderValue {
    match refusal {
        Refusal::BadToken(BadToken::Expired) => HeaderValue::from_static(
            "Bearer error=\"invalid_token\", error_description=\"The access token expired\"",
        ),
        Refusal::BadToken(_) => HeaderValue::from_static("Bearer error=\"invalid_token\""),
        Refusal::Policy(refused) if matches!(resolution, Resolution::Reauthenticate) => {
            let mut text = String::from("Bearer error=\"insufficient_user_authentication\"");
            let values = step_up.acr_values.iter().filter(|value| is_acr(value)).take(ACR_VALUES_MAX);
            let values = values.copied().collect::<Vec<_>>().join(" ");
            if !values.is_empty() {
                text.push_str(", acr_values=\"");
                text.push_str(&values);
                text.push('"');
            }
            // Without `max_age` a client may get a token from the old sign-in again, and loop.
            let too_old = refused.reasons.contains(ReasonCode::SignInTooOld)
                || refused.primary == ReasonCode::SignInTooOld;
            if let Some(secs) = step_up.max_age_secs.or(too_old.then_some(0)) {
                text.push_str(", max_age=\"");
                text.push_str(&secs.to_string());
                text.push('"');
            }
            value(&text)
        }
        _ => HeaderValue::from_static("Bearer"),
    }
}

/// Whether a value can stand in the list: printable ASCII without space, quote and backslash.
fn is_acr(value: &str) -> bool {
    !value.is_empty()
        && value.len() <= ACR_BYTES_MAX
        && value.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\')
}
