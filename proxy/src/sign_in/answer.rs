//! The answers of signing in: a redirect, or a page of ours. A sign-in that fails is counted and logged here, once.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, LOCATION, REFERRER_POLICY, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::context::SignInContext;
use crate::denial::{Answer, Facts};
use crate::own::OwnRequest;
use crate::pages::{OwnPage, PageRequest, ProviderError};
use crate::provider::{Provider, ProviderProblem};
use crate::record::SignInFailure;
use crate::refusal::{Refusal, SignInFault};
use crate::session::NotOpened;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// `Set-Cookie` lines that go with an answer.
pub(super) type Lines = Vec<HeaderValue>;

/// Sends the browser on (303: by GET, whatever was asked).
pub(super) fn redirect(ctx: SignInContext<'_>, request: &OwnRequest, to: &str, lines: Lines) -> Answer {
    let Ok(location) = HeaderValue::try_from(to) else {
        return fail(ctx, request, None, Failure::of(SignInFault::Internal));
    };
    let mut headers = HeaderMap::from_iter([
        (LOCATION, location),
        (CONTENT_LENGTH, const { HeaderValue::from_static("0") }),
        (CACHE_CONTROL, const { HeaderValue::from_static("no-store") }),
        // The address of an app's page is nobody else's business, nor is the code in that of a callback.
        (REFERRER_POLICY, const { HeaderValue::from_static("no-referrer") }),
    ]);
    if let Ok(id) = HeaderValue::try_from(id_of(request)) {
        headers.insert(REQUEST_ID, id);
    }
    for line in lines {
        headers.append(SET_COOKIE, line);
    }
    Answer { status: 303, headers, body: Bytes::new(), refusal: None, phrase: None }
}

/// A page of ours.
pub(super) fn page(ctx: SignInContext<'_>, request: &OwnRequest, page: &OwnPage, lines: Lines) -> Answer {
    let at = PageRequest { request_id: request.request_id.0, now_unix_ms: request.now_unix_ms };
    let mut answer = ctx.snapshot.pages.answer(&request.hints(), at, page);
    for line in lines {
        answer.headers.append(SET_COOKIE, line);
    }
    answer
}

/// A request of ours that is refused, as any other is.
pub(super) fn refuse(ctx: SignInContext<'_>, request: &OwnRequest, refusal: Refusal) -> Answer {
    let facts =
        Facts { client: request.client, ..Facts::of_request(request.request_id.0, request.now_unix_ms) };
    let answer = ctx.snapshot.denials.render(&refusal, &facts, &request.hints());
    Answer { refusal: Some(refusal), ..answer }
}

/// The request's id, as it is written.
pub(in crate::sign_in) fn id_of(request: &OwnRequest) -> String {
    uuid::Uuid::from_u128(request.request_id.0).to_string()
}

/// How a sign-in failed.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) fault: SignInFault,
    /// For the operator's log.
    pub(super) detail: String,
    /// The page, where it is not the usual one.
    pub(super) page: Option<OwnPage>,
    /// Starts again.
    pub(super) retry: String,
    /// The provider's own words, where they are its own.
    pub(super) said: Option<ProviderError>,
    /// Asks for another provider.
    pub(super) choose: Option<String>,
    pub(super) lines: Lines,
}

impl Failure {
    pub(super) fn of(fault: SignInFault) -> Self {
        Self {
            fault,
            detail: String::new(),
            page: None,
            retry: "/".to_owned(),
            said: None,
            choose: None,
            lines: Lines::new(),
        }
    }
}

impl From<SignInFault> for Failure {
    fn from(fault: SignInFault) -> Self {
        Self::of(fault)
    }
}

impl From<ProviderProblem> for Failure {
    fn from(problem: ProviderProblem) -> Self {
        Self { detail: problem.detail, ..Self::of(problem.fault) }
    }
}

impl From<NotOpened> for Failure {
    fn from(problem: NotOpened) -> Self {
        let fault = match &problem {
            NotOpened::Unavailable(_) => SignInFault::StoreUnavailable,
            NotOpened::TooLarge { .. } => SignInFault::SessionTooLarge,
            NotOpened::Unsealable => SignInFault::Internal,
        };
        Self { detail: problem.to_string(), ..Self::of(fault) }
    }
}

/// Ends a sign-in without a session: counted, logged, and shown. Without a provider nothing had begun: anybody can open a link
/// that belongs to nothing.
pub(super) fn fail(
    ctx: SignInContext<'_>,
    request: &OwnRequest,
    provider: Option<&Provider>,
    failure: Failure,
) -> Answer {
    let Failure { fault, detail, page: own, retry, said, choose, lines } = failure;
    let (request_id, reason) = (id_of(request), fault.as_str());
    match provider {
        Some(provider) => {
            provider.metrics().failed(fault);
            let said = said.as_ref().map(|said| (said.error.as_str(), said.description.as_deref()));
            let known = SignInFailure::new(provider.name(), said, &detail);
            let (error, description) = (known.error.as_deref(), known.error_description.as_deref());
            tracing::warn!(
                request_id,
                provider = provider.name(),
                reason,
                detail,
                error,
                description,
                "a sign-in failed"
            );
            // The first is the cause.
            let _ = ctx.failure.set(known);
        }
        None => tracing::debug!(request_id, reason, detail, "a sign-in was not begun"),
    }
    let shown = own.unwrap_or_else(|| OwnPage::SignInFailed {
        provider: provider.map_or_else(String::new, |known| known.settings().display_name.clone()),
        fault,
        said,
        retry,
        choose,
    });
    let mut answer = page(ctx, request, &shown, lines);
    answer.refusal = Some(Refusal::SignIn(fault));
    answer
}
