//! The head of a denial: what every one carries, and the challenges of a 401.

use std::sync::LazyLock;

use http::HeaderMap;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
    HeaderName, HeaderValue, REFERRER_POLICY, RETRY_AFTER, VARY, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::facts::Facts;
use super::step_up::{Contexts, StepUp, StepUps};
use super::view::View;
use crate::decision_record::DecisionRecord;
use crate::limit;
use crate::refusal::{BadRequest, BadToken, ErrorInfo, Refusal, Resolution};
use portcullis_policy::decision::ReasonCode;
use portcullis_policy::model::AuthenticationContext;

/// Fields of a denial at most, with the two that pingora adds.
const FIELDS_MAX: usize = 22;

const PROXY_STATUS: HeaderName = HeaderName::from_static("proxy-status");
pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const X_ROBOTS_TAG: HeaderName = HeaderName::from_static("x-robots-tag");
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const X_UP_TARGET: HeaderName = HeaderName::from_static("x-up-target");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// `acr` values named in a challenge, and their bytes; more would only fill the head.
const ACR_VALUES_MAX: usize = 8;
const ACR_BYTES_MAX: usize = 128;

/// A value of ours; what cannot be a header value is an empty one.
fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(const { HeaderValue::from_static("") })
}

/// The content types of bodies.
pub(crate) const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/problem+json");
pub(crate) const PLAIN: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// A value that is known when this is compiled.
macro_rules! fixed {
    ($text:literal) => {
        const { HeaderValue::from_static($text) }
    };
}

/// What is the same in every denial of one language, to be copied: a field that is copied is not looked up.
pub(crate) fn fixed(csp: &HeaderValue, lang: &'static str) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(FIELDS_MAX);
    headers.insert(CACHE_CONTROL, fixed!("no-store"));
    headers.insert(CONTENT_SECURITY_POLICY, csp.clone());
    headers.insert(REFERRER_POLICY, fixed!("no-referrer"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, fixed!("nosniff"));
    headers.insert(X_ROBOTS_TAG, fixed!("noindex"));
    // The same for everybody: what an app says of origins or clients is for its users.
    headers.insert(VARY, fixed!("Accept, Accept-Language, HX-Request, Origin, Sec-Fetch-Mode, User-Agent"));
    headers.insert(CONTENT_LANGUAGE, HeaderValue::from_static(lang));
    headers
}

/// What every denial carries, whatever its form.
pub(super) fn common(
    refusal: &Refusal,
    view: &View<'_>,
    facts: &Facts<'_>,
    step_ups: &StepUps,
    fixed: &HeaderMap,
) -> HeaderMap {
    let mut headers = fixed.clone();
    headers.insert(X_REQUEST_ID, value(&view.request_id));
    headers.insert(PROXY_STATUS, proxy_status(refusal, view));
    if let Some(secs) = view.retry_after_secs {
        headers.insert(RETRY_AFTER, HeaderValue::from(secs));
    }
    // What strangers may get wrong is for them to find out.
    if let (Refusal::TooManyRequests(_), Some(quota)) = (refusal, facts.exceeded) {
        headers.extend(limit::fields(&[quota]));
    }
    if *refusal == Refusal::BadRequest(BadRequest::MethodNotAllowed) {
        headers.insert(ALLOW, facts.methods.map_or(ALLOWED, |methods| value(&methods.join(", "))));
    }
    if view.info.status == 401 {
        let challenge = challenge(refusal, view.info.resolution, facts, step_ups);
        headers.insert(WWW_AUTHENTICATE, challenge);
    }
    headers
}

/// Type and length of the body.
pub(crate) fn body(headers: &mut HeaderMap, content_type: HeaderValue, len: usize) {
    headers.insert(CONTENT_TYPE, content_type);
    headers.insert(CONTENT_LENGTH, HeaderValue::from(len));
}

/// gRPC's status in the head: a response of trailers only.
pub(super) fn grpc(headers: &mut HeaderMap, content_type: &'static str, view: &View<'_>, message: &str) {
    let status = match view.info.status {
        401 => fixed!("16"),
        403 => fixed!("7"),
        404 => fixed!("12"),
        408 | 504 => fixed!("4"),
        413 | 429 => fixed!("8"),
        502 | 503 => fixed!("14"),
        _ => fixed!("13"),
    };
    body(headers, HeaderValue::from_static(content_type), 0);
    headers.insert(GRPC_STATUS, status);
    headers.insert(GRPC_MESSAGE, value(message));
}

/// Unpoly puts a page that it did not expect into the place of the whole page, not of the part that it asked for.
/// Source: <https://unpoly.com/X-Up-Target>.
pub(super) fn for_unpoly(headers: &mut HeaderMap) {
    headers.insert(X_UP_TARGET, fixed!("body"));
}

/// What is accepted where an app says nothing of methods; everybody reads the same.
const ALLOWED: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");

const DENIED: &str = "http_request_denied";

/// `Proxy-Status` of refusals by policies, by code: they come in storms.
static BY_POLICIES: LazyLock<Vec<(u32, HeaderValue)>> = LazyLock::new(|| {
    let codes = ReasonCode::ALL.map(|reason| ErrorInfo::of_reason(reason).code);
    codes.map(|code| (code, written(DENIED, &code.to_string()))).to_vec()
});

/// `Proxy-Status` (RFC 9209), with the registered error types.
fn proxy_status(refusal: &Refusal, view: &View<'_>) -> HeaderValue {
    let error = match refusal {
        Refusal::Policy(..) => {
            let known = BY_POLICIES.iter().find(|(code, _)| *code == view.info.code);
            return known.map_or_else(|| written(DENIED, &view.code), |(_, value)| value.clone());
        }
        Refusal::NoToken
        | Refusal::BadToken(_)
        | Refusal::BadSession(_)
        | Refusal::ClientCertificate(_)
        | Refusal::KeysUnavailable
        | Refusal::SessionsUnavailable
        | Refusal::SignIn(_)
        | Refusal::TooManyRequests(_) => DENIED,
        Refusal::BadRequest(_) | Refusal::BodyTooLarge | Refusal::BodyTooSlow => "http_request_error",
        Refusal::NoApp => "destination_not_found",
        Refusal::Internal => "proxy_internal_error",
        Refusal::Loop => "proxy_loop_detected",
        Refusal::Upstream { status: 504 } => "http_response_timeout",
        Refusal::Upstream { .. } | Refusal::Maintenance => "destination_unavailable",
    };
    written(error, &view.code)
}

/// An error, and the code where there is one.
fn written(error: &str, code: &str) -> HeaderValue {
    if code.is_empty() {
        value(&["portcullis; error=", error].concat())
    } else {
        value(&["portcullis; error=", error, "; details=\"", code, "\""].concat())
    }
}

/// The challenge of a 401. Only what a new token can mend is one: RFC 6750 section 3 for a missing
/// or bad token, RFC 9470 section 3 for strength and freshness, and Microsoft's claims challenge
/// for a client that says it follows those. A block is never a challenge, since a client that
/// follows challenges would loop.
fn challenge(
    refusal: &Refusal,
    resolution: Resolution,
    facts: &Facts<'_>,
    step_ups: &StepUps,
) -> HeaderValue {
    match refusal {
        Refusal::BadToken(BadToken::Expired) => HeaderValue::from_static(
            "Bearer error=\"invalid_token\", error_description=\"The access token expired\"",
        ),
        Refusal::BadToken(BadToken::Revoked) => HeaderValue::from_static(
            "Bearer error=\"invalid_token\", error_description=\"The access token was revoked\"",
        ),
        Refusal::BadToken(_) => HeaderValue::from_static("Bearer error=\"invalid_token\""),
        Refusal::Policy(refused, _) if matches!(resolution, Resolution::Reauthenticate) => {
            let contexts = facts.record.map(contexts_of).unwrap_or_default();
            let step_up = step_ups.needed(*refused, facts.applied, &contexts);
            let too_old = refused.reasons.contains(ReasonCode::SignInTooOld)
                || refused.primary == ReasonCode::SignInTooOld;
            if facts.follows_claims_challenges {
                return claims_challenge(facts, &step_up, &contexts, too_old);
            }
            let mut text = String::from("Bearer error=\"insufficient_user_authentication\"");
            let values = step_up.acr_values.iter().filter(|value| is_acr(value)).take(ACR_VALUES_MAX);
            let mut values = values.map(String::as_str).collect::<Vec<_>>().join(" ");
            if values.is_empty() {
                // An issuer that names contexts in its tokens grants them by name.
                let names = step_up.contexts.iter().take(ACR_VALUES_MAX).map(ToString::to_string);
                values = names.collect::<Vec<_>>().join(" ");
            }
            if !values.is_empty() {
                text.push_str(", acr_values=\"");
                text.push_str(&values);
                text.push('"');
            }
            // Without `max_age` a client may get a token from the old sign-in again, and loop.
            if let Some(secs) = step_up.max_age_secs.or(too_old.then_some(0)) {
                text.push_str(", max_age=\"");
                text.push_str(&secs.to_string());
                text.push('"');
            }
            value(&text)
        }
        Refusal::Policy(..)
        | Refusal::NoToken
        | Refusal::BadSession(_)
        | Refusal::ClientCertificate(_)
        | Refusal::KeysUnavailable
        | Refusal::SessionsUnavailable
        | Refusal::BadRequest(_)
        | Refusal::NoApp
        | Refusal::Internal
        | Refusal::Upstream { .. }
        | Refusal::Maintenance
        | Refusal::TooManyRequests(_)
        | Refusal::BodyTooLarge
        | Refusal::BodyTooSlow
        | Refusal::SignIn(_)
        | Refusal::Loop => HeaderValue::from_static("Bearer"),
    }
}

/// What the route asks for and what the token holds.
fn contexts_of(record: &DecisionRecord) -> Contexts {
    Contexts {
        asked: record.context.as_deref().and_then(AuthenticationContext::new),
        held: record.contexts.iter().filter_map(|name| AuthenticationContext::new(name)).collect(),
        acr: record.acr.clone(),
    }
}

/// Microsoft's challenge: an authentication context that proves what is missing, or else the one of the route,
/// for whose sake the issuer asks its own policies; never one that the token holds, for then the next token
/// would be the same. Otherwise, and where the sign-in is too old, a token that is issued from now on.
/// Source: Microsoft identity platform, "Developer guide to Conditional Access authentication context".
fn claims_challenge(facts: &Facts<'_>, step_up: &StepUp, contexts: &Contexts, too_old: bool) -> HeaderValue {
    let of_route = contexts.asked.filter(|asked| !contexts.held.contains(asked));
    let context = step_up.contexts.first().copied().or(of_route);
    let mut wanted = serde_json::Map::new();
    if let Some(context) = context {
        wanted.insert("acrs".into(), serde_json::json!({ "essential": true, "value": context.to_string() }));
    }
    if context.is_none() || too_old {
        let now = facts.now_unix_ms.div_euclid(1_000).to_string();
        wanted.insert("nbf".into(), serde_json::json!({ "essential": true, "value": now }));
    }
    let claims = STANDARD.encode(serde_json::json!({ "access_token": wanted }).to_string());
    let uri = facts.issuer.and_then(authorization_uri);
    let uri = uri.map(|uri| format!(" authorization_uri=\"{uri}\",")).unwrap_or_default();
    value(&format!("Bearer realm=\"\",{uri} error=\"insufficient_claims\", claims=\"{claims}\""))
}

/// Where a token of an Entra tenant is asked for; other issuers publish it in their metadata.
fn authorization_uri(issuer: &str) -> Option<String> {
    let hosts = ["https://login.microsoftonline.com/", "https://sts.windows.net/"];
    let tenant = hosts.iter().find_map(|host| issuer.strip_prefix(host))?.split('/').next()?;
    let is_tenant = !tenant.is_empty()
        && tenant.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'));
    is_tenant.then(|| format!("https://login.microsoftonline.com/{tenant}/oauth2/v2.0/authorize"))
}

/// Whether a value can stand in the list: printable ASCII without space, quote and backslash.
fn is_acr(value: &str) -> bool {
    !value.is_empty()
        && value.len() <= ACR_BYTES_MAX
        && value.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\')
}
