//! Signing in at one host for all apps: the app's host sends the browser to the sign-in host with a sealed request, and that
//! sends it back with a sealed code. Each is bound to the browser by a cookie of the host that begins it, the code is good for
//! thirty seconds, and counts once. No token is in any address.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use super::answer::{Failure, Lines, fail, page, redirect};
use super::attempt::{
    ATTEMPT_SECS, Asked, Attempt, Goal, HandOverTo, SKEW_SECS, is_within, keep, random, tag_of,
};
use super::authorization::{self, Beginning, ways_on};
use super::chooser::{SIGN_IN, link};
use super::complete::{self, Arrival, SignedIn};
use super::context::SignIn;
use super::cookie::Kind;
use super::lost::without_attempt;
use super::parameters::{Parameters, query};
use super::target::origin;
use crate::clock::unix_now;
use crate::denial::Answer;
use crate::pages::{FragmentStep, OwnPage};
use crate::provider::Provider;
use crate::refusal::SignInFault;
use crate::seal::Purpose;
use crate::session::key::{OnceKey, StoreKey};
use crate::session::revocation::{Once, SessionMarks, Use};
use crate::session::store::Entry;
use crate::session::{SessionId, SessionRecord};

/// How long a request to the sign-in host is good, in seconds.
const REQUEST_SECS: i64 = 60;
/// How long a code is good, in seconds.
const CODE_SECS: i64 = 30;
/// The longest code, in characters: an address with more is not for every server.
const CODE_CHARS_MAX: usize = 6 * 1024;
const HAND_OVER: &str = "/.portcullis/hand-over";

/// What passes from host to host, sealed.
#[derive(Serialize, Deserialize)]
enum Passed {
    Request(Box<Request>),
    Code(Box<Code>),
}

/// An app's host asks for a sign-in.
#[derive(Serialize, Deserialize)]
struct Request {
    at: i64,
    provider: String,
    asked: Asked,
    goal: Goal,
}

/// The sign-in host answers.
#[derive(Serialize, Deserialize)]
struct Code {
    at: i64,
    /// Counts once.
    id: String,
    /// The host that it is for.
    host: String,
    to: HandOverTo,
    provider: String,
    session: Kept,
}

/// Where the session is that a code stands for.
#[derive(Serialize, Deserialize)]
enum Kept {
    /// In the code itself, sealed with it. It holds no tokens.
    Here(Vec<u8>),
    /// In the store, under the digest of this.
    InStore([u8; 32]),
}

/// What the app's host remembers of a request, in the browser.
#[derive(Serialize, Deserialize)]
struct Pending {
    started_at: i64,
    secret: String,
    app: String,
    asked: Asked,
    target: String,
}

fn binding_of(secret: &str) -> [u8; 32] {
    digest(&SHA256, secret.as_bytes()).as_ref().first_chunk().copied().unwrap_or_default()
}

/// At the app's host: sends the browser to the sign-in host.
pub(super) fn begin_there(it: SignIn<'_>, beginning: Beginning<'_>, host: &str, mut lines: Lines) -> Answer {
    let SignIn { ctx, request, .. } = it;
    let Beginning { app, provider, asked, target } = beginning;
    let Some((tag, location, more)) = ask(it, (&app.id, provider.name()), asked, target, host) else {
        return fail(ctx, request, Some(provider), SignInFault::Internal.into());
    };
    lines.extend(more);
    if app.keep_fragment {
        let keep = OwnPage::KeepFragment { attempt: tag, step: FragmentStep::Save, next: location };
        return page(ctx, request, &keep, lines);
    }
    redirect(ctx, request, &location, lines)
}

fn ask(
    it: SignIn<'_>,
    (app, provider): (&str, &str),
    asked: Asked,
    target: String,
    host: &str,
) -> Option<(String, String, Lines)> {
    let SignIn { request, seals, cookies, .. } = it;
    let (now, secret) = (request.now(), random()?);
    let (tag, binding) = (tag_of(&secret), binding_of(&secret));
    let goal = Goal {
        app: app.to_owned(),
        origin: origin(request.site, &request.host),
        target: target.clone(),
        hand_over: Some(HandOverTo { tag: tag.clone(), binding }),
    };
    let pending = Pending { started_at: now, secret, app: app.to_owned(), asked: asked.clone(), target };
    let sealed = seals.seal(Purpose::HandOver, &postcard::to_stdvec(&pending).ok()?)?;
    let live = |value: &str| {
        let pending = open_pending(it, value)?;
        is_within(pending.started_at, ATTEMPT_SECS, now).then_some(pending.started_at)
    };
    let lines = keep(&cookies, (Kind::HandOver, &tag), &sealed, live)?;
    let passed = Passed::Request(Box::new(Request { at: now, provider: provider.to_owned(), asked, goal }));
    let sealed = seals.seal(Purpose::HandOverLink, &postcard::to_stdvec(&passed).ok()?)?;
    let link = format!("{}{SIGN_IN}?{}", origin(request.site, host), query([("request", sealed.as_str())]));
    Some((tag, link, lines))
}

fn open_pending(it: SignIn<'_>, sealed: &str) -> Option<Pending> {
    postcard::from_bytes(&it.seals.open(Purpose::HandOver, sealed).ok()?).ok()
}

fn open_passed(it: SignIn<'_>, sealed: &str) -> Option<Passed> {
    postcard::from_bytes(&it.seals.open(Purpose::HandOverLink, sealed).ok()?).ok()
}

/// At the sign-in host: begins what an app's host asked for.
pub(super) async fn begin_here(it: SignIn<'_>, sealed: &str) -> Answer {
    let SignIn { ctx, request, .. } = it;
    let config = &ctx.snapshot.config;
    let is_here = config.sign_in_host.as_deref() == Some(request.host.as_str());
    let Some(Passed::Request(asked)) = open_passed(it, sealed).filter(|_| is_here) else {
        return fail(ctx, request, None, SignInFault::MalformedLink.into());
    };
    if !is_within(asked.at, REQUEST_SECS, request.now()) {
        let (retry, _) = ways_on(it, &asked.goal);
        let page = Some(OwnPage::StaleLink { retry });
        return fail(ctx, request, None, Failure { page, ..SignInFault::StaleLink.into() });
    }
    let app = config.apps.iter().find(|app| app.id == asked.goal.app);
    let provider = ctx.snapshot.providers.iter().enumerate().find(|(at, provider)| {
        provider.name() == asked.provider && app.is_some_and(|app| app.sign_in.contains(at))
    });
    let Some((_, provider)) = provider else {
        return fail(ctx, request, None, SignInFault::MalformedLink.into());
    };
    let Request { asked, goal, .. } = *asked;
    authorization::send(it, provider, asked, goal, false, Lines::new()).await
}

/// At the sign-in host: sends the browser back to the app's host.
pub(super) async fn send(
    it: SignIn<'_>,
    provider: &Provider,
    attempt: &Attempt,
    signed_in: &SignedIn,
    lines: Lines,
) -> Answer {
    let SignIn { ctx, request, .. } = it;
    match code(it, provider, attempt, signed_in).await {
        Ok(sealed) => {
            let location =
                format!("{}{HAND_OVER}?{}", attempt.goal.origin, query([("code", sealed.as_str())]));
            redirect(ctx, request, &location, lines)
        }
        Err(fault) => {
            let (retry, choose) = ways_on(it, &attempt.goal);
            let detail = "the hand-over to the app's host".to_owned();
            fail(ctx, request, Some(provider), Failure { retry, choose, lines, detail, ..fault.into() })
        }
    }
}

async fn code(
    it: SignIn<'_>,
    provider: &Provider,
    attempt: &Attempt,
    signed_in: &SignedIn,
) -> Result<String, SignInFault> {
    let Attempt { goal, asked, .. } = attempt;
    let host = host_of(&goal.origin).ok_or(SignInFault::Internal)?;
    let record = complete::record(it, provider, asked, signed_in, host).ok_or(SignInFault::Internal)?;
    let code = Code {
        at: unix_now(),
        id: random().ok_or(SignInFault::Internal)?,
        host: host.to_owned(),
        to: goal.hand_over.clone().ok_or(SignInFault::Internal)?,
        provider: provider.name().to_owned(),
        session: keep_session(it, &record).await?,
    };
    let plain = postcard::to_stdvec(&Passed::Code(Box::new(code))).map_err(|_| SignInFault::Internal)?;
    let sealed = it.seals.seal(Purpose::HandOverLink, &plain).ok_or(SignInFault::Internal)?;
    if sealed.len() > CODE_CHARS_MAX { Err(SignInFault::SessionTooLarge) } else { Ok(sealed) }
}

/// Keeps a session until its browser comes for it: tokens are in no address, sealed or not.
async fn keep_session(it: SignIn<'_>, record: &SessionRecord) -> Result<Kept, SignInFault> {
    let bytes = record.to_bytes().ok_or(SignInFault::Internal)?;
    let Some(store) = it.sessions.store() else { return Ok(Kept::Here(bytes)) };
    let name = *SessionId::draw().ok_or(SignInFault::Internal)?.bytes();
    let key = StoreKey::of(&name);
    let iss = it.ctx.snapshot.verifier.iss_of(record.claims.issuer()).ok_or(SignInFault::Internal)?;
    let entry = Entry {
        key,
        value: it.seals.seal(Purpose::HandOver, &bytes).ok_or(SignInFault::Internal)?.into_bytes(),
        expires_at: record.signed_in_at.saturating_add(CODE_SECS).saturating_add(SKEW_SECS),
        // Who is signed out meanwhile is signed out here too.
        marks: SessionMarks::new(key, iss, &record.sub, record.sid.as_deref(), record.signed_in),
    };
    store.put(entry, None).await.map_err(|_| SignInFault::StoreUnavailable)?;
    Ok(Kept::InStore(name))
}

/// The session that a code stands for.
async fn kept_session(it: SignIn<'_>, kept: &Kept) -> Result<SessionRecord, SignInFault> {
    let record = match kept {
        Kept::Here(bytes) => SessionRecord::from_bytes(bytes),
        Kept::InStore(name) => {
            let (store, key) = (it.sessions.store().ok_or(SignInFault::Internal)?, StoreKey::of(name));
            let stored = store.get(key).await.map_err(|_| SignInFault::StoreUnavailable)?;
            let sealed = stored.ok_or(SignInFault::StaleLink)?.value;
            // It expires by itself where that fails.
            let _ = store.remove(key).await;
            let sealed = std::str::from_utf8(&sealed).map_err(|_| SignInFault::Internal)?;
            let bytes = it.seals.open(Purpose::HandOver, sealed).map_err(|_| SignInFault::Internal)?;
            SessionRecord::from_bytes(&bytes)
        }
    };
    let record = record.ok_or(SignInFault::Internal)?;
    if record.host == it.request.host { Ok(record) } else { Err(SignInFault::OtherAttempt) }
}

/// The host of an origin that we made.
fn host_of(origin: &str) -> Option<&str> {
    let rest = origin.split_once("://")?.1;
    Some(match rest.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => rest,
    })
}

/// At the app's host: takes the code.
pub(super) async fn answer(it: SignIn<'_>) -> Answer {
    let SignIn { ctx, request, .. } = it;
    let malformed = || fail(ctx, request, None, SignInFault::MalformedLink.into());
    let Some(parameters) = Parameters::read(&request.target) else { return malformed() };
    let Some(Passed::Code(code)) = parameters.get("code").and_then(|sealed| open_passed(it, sealed)) else {
        return malformed();
    };
    let is_recent = is_within(code.at, CODE_SECS, request.now());
    let pending = it.cookies.get(Kind::HandOver, &code.to.tag).and_then(|sealed| open_pending(it, sealed));
    let is_bound =
        |pending: &Pending| verify_slices_are_equal(&binding_of(&pending.secret), &code.to.binding).is_ok();
    // The wrong browser or host, or a browser that has used it. Not before all this is certain does the code count as used.
    let is_here = is_recent && code.host == request.host;
    let Some(pending) = pending.filter(|pending| is_here && is_bound(pending)) else {
        return without_attempt(it, is_recent);
    };
    let provider = ctx.snapshot.providers.iter().find(|provider| provider.name() == code.provider);
    let Some(provider) = provider else { return malformed() };
    let lines: Lines = it.cookies.delete(Kind::HandOver, &code.to.tag).into_iter().collect();
    let arrival =
        Arrival { app: &pending.app, asked: &pending.asked, target: &pending.target, tag: &code.to.tag };
    let opened = match use_once(it, &code).await {
        Ok(record) => complete::open(it, provider, record, arrival, &lines).await,
        Err(fault) => Err(fault.into()),
    };
    opened.unwrap_or_else(|failure| {
        let retry = link(&pending.target, None);
        fail(ctx, request, Some(provider), Failure { retry, lines, ..failure })
    })
}

/// The session of a code. A code counts once; where that cannot be known, it does not count.
async fn use_once(it: SignIn<'_>, code: &Code) -> Result<SessionRecord, SignInFault> {
    let until = code.at.saturating_add(CODE_SECS).saturating_add(SKEW_SECS);
    let once = Once { key: OnceKey::of("hand-over", "", &code.id), until };
    match it.sessions.revocations().first_use(once).await {
        Ok(Use::First) => kept_session(it, &code.session).await,
        Ok(Use::Again) => Err(SignInFault::StaleLink),
        Err(_) => Err(SignInFault::StoreUnavailable),
    }
}
