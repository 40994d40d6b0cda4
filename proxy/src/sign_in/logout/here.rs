//! Signing out here: a page that asks, a form that ends the session, and the page at the end.
//!
//! What a browser kept must go with it. Chromium restores pages from its back/forward cache although they say `no-store`,
//! unless a cookie that script cannot read has changed since (whatwg/html#7189): the session's is taken away. And
//! `Clear-Site-Data` empties what other caches kept.

use http::header::HeaderName;
use http::{HeaderValue, Method};
use portcullis_config::settings::OWN_PATHS;
use serde::{Deserialize, Serialize};

use super::end_session::{self, ComesBack};
use crate::clock::Moment;
use crate::denial::Answer;
use crate::own::{Navigation, OwnRequest};
use crate::pages::{OwnPage, SignedOutThere};
use crate::provider::Provider;
use crate::record::Logout;
use crate::refusal::{BadRequest, Refusal};
use crate::seal::Purpose;
use crate::session::outage::StoreUnavailable;
use crate::session::revocation::{Cause, Revoked, Who};
use crate::session::{CookieForm, Session};
use crate::sign_in::SignInContext;
use crate::sign_in::answer::{Lines, id_of, page, redirect, refuse};
use crate::sign_in::parameters::{Parameters, query};
use crate::sign_in::target::origin;

const CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");
/// How long the way back from the provider may take, in seconds.
const WAY_BACK_SECS: i64 = 15 * 60;

/// What a browser brings back from the provider.
#[derive(Debug, Serialize, Deserialize)]
struct WayBack {
    /// The origin that the sign-out began on.
    origin: String,
    /// The provider that was not reached: the browser was not sent there.
    unreached: Option<String>,
    /// Unix seconds.
    until: i64,
}

/// `sign-out`: GET asks, POST of our own page signs out.
pub(in crate::sign_in) async fn sign_out(ctx: SignInContext<'_>, request: &OwnRequest) -> Answer {
    if request.method != Method::POST {
        return ask(ctx, request);
    }
    // Lax cookies come with no form of another site; with one of another host of the same site they do. A browser
    // names the origin of whatever sends a POST (Fetch, section 3.2).
    let own = origin(request.site, &request.host);
    if request.origin.as_deref() != Some(own.as_str()) {
        return refuse(ctx, request, Refusal::BadRequest(BadRequest::Origin));
    }
    let Some(session) = &request.session else {
        // It may be the second time that they ask: the first could not be kept, and was answered so.
        if let Some(sessions) = ctx.state.sessions()
            && let Err(problem) = sessions.revocations().keep_all().await
        {
            tracing::error!(request_id = id_of(request), %problem, "a sign-out is still not kept; the user was shown that");
            return refuse(ctx, request, Refusal::SessionsUnavailable);
        }
        return end(ctx, request, None).await;
    };
    if let Err(problem) = close(ctx, session).await {
        tracing::error!(request_id = id_of(request), session = session.public_id(), %problem, "a sign-out was not kept; the user was shown that");
        return refuse(ctx, request, Refusal::SessionsUnavailable);
    }
    ctx.state.metrics.logged_out(Logout::Here);
    tracing::info!(session = session.public_id(), provider = session.record().provider, "signed out here");
    end(ctx, request, Some(session)).await
}

/// Ends this session, and those that rest on the same session at the provider, which the user leaves too.
async fn close(ctx: SignInContext<'_>, session: &Session) -> Result<(), StoreUnavailable> {
    let Some(sessions) = ctx.state.sessions() else { return Ok(()) };
    let closed = sessions.close(session).await;
    let record = session.record();
    let issuer = ctx.snapshot.verifier.iss_of(record.claims.issuer());
    if let (Some(issuer), Some(sid)) = (issuer, &record.sid) {
        let who = Who::Session { issuer: issuer.to_owned(), sid: sid.clone() };
        let revoked = Revoked { who, cause: Cause::SignOut };
        sessions.revocations().revoke(&revoked, Moment::now()).await?;
    }
    closed
}

fn ask(ctx: SignInContext<'_>, request: &OwnRequest) -> Answer {
    let Some(session) = &request.session else {
        return signed_out_page(ctx, request, None);
    };
    let provider = provider_of(ctx, session);
    let shown = OwnPage::SignOut {
        action: format!("{OWN_PATHS}/sign-out"),
        user: session.caller().token().user_name().unwrap_or(&session.record().sub).to_owned(),
        leads_to: provider.and_then(end_session::origin_of),
    };
    page(ctx, request, &shown, Lines::new())
}

/// Takes the cookies away and sends the browser on: to the provider where it can end its session too.
async fn end(ctx: SignInContext<'_>, request: &OwnRequest, session: Option<&Session>) -> Answer {
    let lines = without_cookies(request);
    // A script cannot follow to another origin, and shows what it likes.
    let is_form = request.navigation == Navigation::Form;
    let there = match session.filter(|_| is_form) {
        Some(session) => at_provider(ctx, request, session).await,
        None => There::Nowhere,
    };
    let mut answer = match there {
        There::At(url) => {
            ctx.state.metrics.logged_out(Logout::Provider);
            redirect(ctx, request, url.as_str(), lines)
        }
        There::Unreached(state) => {
            let state = query([("state", state.as_str())]);
            redirect(ctx, request, &format!("{OWN_PATHS}/signed-out?{state}"), lines)
        }
        There::Nowhere if is_form => redirect(ctx, request, &format!("{OWN_PATHS}/signed-out"), lines),
        There::Nowhere => {
            let shown = OwnPage::SignedOut { sign_in: "/".into(), there: SignedOutThere::NotAsked };
            page(ctx, request, &shown, lines)
        }
    };
    clear(&mut answer);
    answer
}

/// Whether the browser goes on to its provider, to sign out there too.
enum There {
    /// It does, by this address.
    At(reqwest::Url),
    /// The provider does not answer; what our own page is told of it.
    Unreached(String),
    /// There is nothing to go to.
    Nowhere,
}

async fn at_provider(ctx: SignInContext<'_>, request: &OwnRequest, session: &Session) -> There {
    let Some(provider) = provider_of(ctx, session) else { return There::Nowhere };
    let own = origin(request.site, &request.host);
    let until = request.now().saturating_add(WAY_BACK_SECS);
    let mut back = WayBack { origin: own.clone(), unreached: None, until };
    let Some(state) = sealed(ctx, &back) else { return There::Nowhere };
    // One address is registered where one host signs everybody in.
    let home = ctx.snapshot.config.sign_in_host.as_deref().map(|host| origin(request.site, host));
    let to = format!("{}{OWN_PATHS}/signed-out", home.unwrap_or(own));
    let Some(url) = end_session::address(provider, session, ComesBack { to: &to, state: &state }) else {
        return There::Nowhere;
    };
    if provider.answers().await {
        return There::At(url);
    }
    let request_id = id_of(request);
    tracing::warn!(
        request_id,
        provider = provider.name(),
        "signed out here alone: the provider does not answer"
    );
    back.unreached = Some(provider.settings().display_name.clone());
    sealed(ctx, &back).map_or(There::Nowhere, There::Unreached)
}

fn sealed(ctx: SignInContext<'_>, back: &WayBack) -> Option<String> {
    ctx.snapshot.seals.seal(Purpose::SignedOut, &postcard::to_allocvec(back).ok()?)
}

/// `signed-out`: where a sign-out ends, here or after the provider.
pub(in crate::sign_in) fn signed_out(ctx: SignInContext<'_>, request: &OwnRequest) -> Answer {
    let state = Parameters::read(&request.target).and_then(|found| found.get("state").map(str::to_owned));
    let back = state.and_then(|state| {
        let opened = ctx.snapshot.seals.open(Purpose::SignedOut, &state).ok()?;
        let back: WayBack = postcard::from_bytes(&opened).ok()?;
        (request.now() < back.until).then_some(back)
    });
    let mut answer = signed_out_page(ctx, request, back.as_ref());
    clear(&mut answer);
    answer
}

fn signed_out_page(ctx: SignInContext<'_>, request: &OwnRequest, back: Option<&WayBack>) -> Answer {
    // INVARIANT: the origin comes out of our own seal.
    let sign_in = back.map_or_else(|| "/".to_owned(), |back| format!("{}/", back.origin));
    let there = match back {
        None => SignedOutThere::NotAsked,
        Some(WayBack { unreached: Some(provider), .. }) => SignedOutThere::Unreached(provider.clone()),
        Some(WayBack { unreached: None, .. }) => SignedOutThere::Ended,
    };
    page(ctx, request, &OwnPage::SignedOut { sign_in, there }, Lines::new())
}

fn provider_of<'s>(ctx: SignInContext<'s>, session: &Session) -> Option<&'s Provider> {
    let name = &session.record().provider;
    ctx.snapshot.providers.iter().map(AsRef::as_ref).find(|provider| provider.name() == name)
}

/// `Set-Cookie` lines that take away every cookie of ours that the browser sent.
fn without_cookies(request: &OwnRequest) -> Lines {
    let Some(form) = CookieForm::of(request.site, &request.host) else { return Lines::new() };
    let mut names: Vec<&str> = request.cookies.iter().map(|(name, _)| name.as_str()).collect();
    names.push(form.session_name());
    names.sort_unstable();
    names.dedup();
    names.into_iter().filter_map(|name| form.remove(name)).collect()
}

fn clear(answer: &mut Answer) {
    answer.headers.insert(CLEAR_SITE_DATA, const { HeaderValue::from_static("\"cache\"") });
}
