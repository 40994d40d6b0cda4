//! Fresh tokens for sessions that are in use, before the old ones end: beside requests, by one replica at a time.
//!
//! A refresh token may count once (RFC 9700, section 4.14.2): two refreshes with one would end the grant. So a session is
//! locked over all replicas, and what a refresh brought is written only by the holder of the latest lock. And a provider
//! that does not answer ends nothing: `invalid_grant` alone says that the grant is over.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use portcullis_config::settings::Secret;
use tokio::sync::{Semaphore, watch};
use tokio::time::{MissedTickBehavior, interval};

use crate::clock::unix_now;
use crate::provider::{Provider, ProviderProblem, TokenAnswer};
use crate::record::Refresh;
use crate::session::key::StoreKey;
use crate::session::outage::StoreUnavailable;
use crate::session::store::{Fence, Fenced, Store};
use crate::session::{CookieForm, Keeping, SecretText, Session, SessionRecord, Sessions, StoredTokens};
use crate::state::{Snapshot, State};
use crate::token::{ExpectedIdToken, IdTokenProblem, SessionClaims};

/// How often sessions are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How long before its access token ends a session is refreshed, in seconds.
const LEAD_SECS: i64 = 60;
/// How long an access token is taken to last whose provider does not say so, in seconds.
const UNSAID_LIFE_SECS: i64 = 60 * 60;
/// How long after an attempt there is no other, in seconds: a provider that is down is not asked again by each look.
const PAUSE_SECS: i64 = 30;
/// Longer than metadata, the exchange, userinfo and the store may take together.
const LOCK_TIME: Duration = Duration::from_secs(LOCK_TIME_SECS.unsigned_abs());
const LOCK_TIME_SECS: i64 = 45;
/// Refreshes at once.
const AT_ONCE: usize = 16;

/// What became of a session that was due; with when to look at it again, in Unix seconds.
#[derive(Clone, Copy, Debug)]
enum Looked {
    /// It has fresh tokens.
    Refreshed(i64),
    /// Another replica refreshes it, or has; or it has ended.
    Elsewhere(i64),
}

/// Why a session was not refreshed.
#[derive(Debug, thiserror::Error)]
enum NotRefreshed {
    /// The provider says that the grant is over.
    #[error("the grant is over: {0}")]
    GrantOver(ProviderProblem),
    /// The provider gave no tokens.
    #[error("{0}")]
    Provider(ProviderProblem),
    /// The ID token is of somebody else, or of another session at the provider.
    #[error("the refreshed ID token is about another subject or session")]
    OtherSubject,
    /// The ID token does not count.
    #[error("the refreshed ID token is not accepted: {0}")]
    IdToken(#[from] IdTokenProblem),
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] StoreUnavailable),
    /// A fault of ours.
    #[error("the session could not be sealed")]
    Unsealable,
}

/// When a session is due, in Unix seconds; `None` where it cannot be refreshed.
fn due_at(record: &SessionRecord) -> Option<i64> {
    let tokens = record.tokens.as_ref()?;
    tokens.refresh_token.as_ref()?;
    let ends = tokens.access_expires_at.unwrap_or(record.signed_in_at.saturating_add(UNSAID_LIFE_SECS));
    Some(ends.saturating_sub(LEAD_SECS))
}

/// Refreshes sessions until shutdown is signalled, or its sender is gone.
pub(crate) async fn run(state: &'static State, mut shutdown: watch::Receiver<bool>) {
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let slots = Arc::new(Semaphore::new(AT_ONCE));
    // When to look at each again: what is remembered here of a session is older than that.
    let later: Arc<Mutex<HashMap<StoreKey, i64>>> = Arc::default();
    loop {
        tokio::select! {
            biased;
            _ = shutdown.wait_for(|stop| *stop) => return,
            _ = ticks.tick() => {}
        }
        let now = unix_now();
        later.lock().retain(|_, at| now < *at);
        let snapshot = state.snapshot();
        let is_on = snapshot.config.session.as_ref().is_some_and(|settings| settings.refresh);
        let Some(sessions) = state.sessions().filter(|sessions| is_on && sessions.store().is_some()) else {
            continue;
        };
        let due = sessions.in_use(now, |record| due_at(record).is_some_and(|at| now >= at));
        for session in due {
            if later.lock().contains_key(&session.key()) {
                continue;
            }
            // Others wait for the next look.
            let Ok(slot) = Arc::clone(&slots).try_acquire_owned() else { break };
            later.lock().insert(session.key(), now.saturating_add(LOCK_TIME_SECS));
            let later = Arc::clone(&later);
            tokio::spawn(async move {
                let again = refresh(state, sessions, &session).await;
                later.lock().insert(session.key(), again);
                drop(slot);
            });
        }
    }
}

/// Refreshes a session, counts and logs what became of it, and says when to look at it again.
async fn refresh(state: &'static State, sessions: &'static Sessions, session: &Session) -> i64 {
    let soon = unix_now().saturating_add(PAUSE_SECS);
    let snapshot = state.snapshot();
    let name = &session.record().provider;
    let known = snapshot.providers.iter().find(|provider| provider.name() == name);
    let (Some(provider), Some(store)) = (known, sessions.store()) else { return soon };
    let looked = refresh_once((&snapshot, provider), store.as_ref(), sessions, session).await;
    let session = session.public_id();
    let (result, again) = match looked {
        Ok(Looked::Refreshed(again)) => {
            tracing::debug!(provider = name, session, "a session was refreshed");
            (Refresh::Refreshed, again)
        }
        Ok(Looked::Elsewhere(again)) => (Refresh::Elsewhere, again),
        Err(NotRefreshed::GrantOver(problem)) => {
            tracing::info!(provider = name, session, %problem, "a session ended: its grant is over");
            (Refresh::Ended, soon)
        }
        Err(problem @ NotRefreshed::OtherSubject) => {
            tracing::error!(provider = name, session, %problem, "a session ended: its grant is somebody else's");
            (Refresh::Ended, soon)
        }
        Err(problem) => {
            tracing::warn!(provider = name, session, %problem, "a session was not refreshed; tried again in {PAUSE_SECS} s");
            (Refresh::Failed, soon)
        }
    };
    provider.metrics().refreshed(result);
    again.max(soon)
}

async fn refresh_once(
    (snapshot, provider): (&Snapshot, &Provider),
    store: &dyn Store,
    sessions: &Sessions,
    session: &Session,
) -> Result<Looked, NotRefreshed> {
    let key = session.key();
    let Some(fence) = store.lock(key, LOCK_TIME).await? else { return Ok(Looked::Elsewhere(0)) };
    let done = refresh_locked((snapshot, provider), fence, sessions, session).await;
    // A lock that stays is over by itself.
    let _ = store.unlock(key, fence).await;
    done
}

async fn refresh_locked(
    (snapshot, provider): (&Snapshot, &Provider),
    fence: Fence,
    sessions: &Sessions,
    session: &Session,
) -> Result<Looked, NotRefreshed> {
    // What is remembered here may be older than what another replica wrote.
    let now = unix_now();
    let over = Looked::Elsewhere(now.saturating_add(UNSAID_LIFE_SECS));
    let Some(record) = sessions.reread(session, &snapshot.seals).await? else { return Ok(over) };
    let (Some(at), Some(tokens)) = (due_at(&record), record.tokens.clone()) else { return Ok(over) };
    let Some(refresh_token) = &tokens.refresh_token else { return Ok(over) };
    if now < at {
        return Ok(Looked::Elsewhere(at));
    }
    let answer = match provider.refresh(&Secret::new(refresh_token.0.as_str())).await {
        Ok(answer) => answer,
        Err(problem) if problem.is_grant_over() => {
            let latest = sessions.reread(session, &snapshot.seals).await?;
            let is_same = latest
                .and_then(|latest| latest.tokens)
                .is_some_and(|latest| latest.refresh_token == tokens.refresh_token);
            // Another replica was faster: it has the grant.
            if !is_same {
                return Ok(Looked::Elsewhere(0));
            }
            sessions.close(session).await?;
            return Err(NotRefreshed::GrantOver(problem));
        }
        Err(problem) => return Err(NotRefreshed::Provider(problem)),
    };
    let (record, problem) = match renewed((snapshot, provider), record, &tokens, &answer).await {
        Ok(renewed) => renewed,
        // The grant is not this user's, and the old refresh token may be used up: nothing can come of it any more.
        Err(problem @ NotRefreshed::OtherSubject) => {
            sessions.close(session).await?;
            return Err(problem);
        }
        Err(problem) => return Err(problem),
    };
    let settings = snapshot.config.session.as_ref().ok_or(NotRefreshed::Unsealable)?;
    let keeping = Keeping {
        seals: &snapshot.seals,
        settings,
        form: CookieForm::Secure,
        verifier: &snapshot.verifier,
        now: unix_now(),
    };
    match sessions.rewrite(&record, &keeping, fence).await?.ok_or(NotRefreshed::Unsealable)? {
        Fenced::Stored => match problem {
            None => Ok(Looked::Refreshed(due_at(&record).unwrap_or_default())),
            Some(problem) => Err(problem),
        },
        Fenced::Superseded => Ok(Looked::Elsewhere(0)),
        Fenced::Gone => Ok(over),
    }
}

/// What the provider gave, as far as it can be judged now.
enum Judged {
    /// The session's claims from now on; the same as before where the provider sent no ID token.
    Claims(SessionClaims),
    /// Nothing can be said of the ID token at this moment, and why.
    Later(NotRefreshed),
}

/// The session with what the provider gave. Where that cannot be judged now, the new refresh token is kept all the same,
/// for the old one may be used up; everything else stays as it was, and the next attempt is soon.
async fn renewed(
    (snapshot, provider): (&Snapshot, &Provider),
    record: SessionRecord,
    tokens: &StoredTokens,
    answer: &TokenAnswer,
) -> Result<(SessionRecord, Option<NotRefreshed>), NotRefreshed> {
    let judged = judge((snapshot, provider), &record, answer).await?;
    let secret = |new: &Option<Secret>| new.as_ref().map(|new| SecretText(new.expose().to_owned()));
    // A provider that sends no new one leaves the old one good (RFC 6749, section 6).
    let refresh_token = secret(&answer.refresh_token).or_else(|| tokens.refresh_token.clone());
    let (claims, tokens, problem) = match judged {
        Judged::Claims(claims) => {
            let life =
                answer.expires_in.and_then(|secs| i64::try_from(secs).ok()).unwrap_or(UNSAID_LIFE_SECS);
            let tokens = StoredTokens {
                id_token: secret(&answer.id_token).unwrap_or_else(|| tokens.id_token.clone()),
                access_token: secret(&answer.access_token).or_else(|| tokens.access_token.clone()),
                access_expires_at: Some(unix_now().saturating_add(life)),
                refresh_token,
            };
            (claims, tokens, None)
        }
        Judged::Later(problem) => {
            (record.claims.clone(), StoredTokens { refresh_token, ..tokens.clone() }, Some(problem))
        }
    };
    Ok((SessionRecord { claims, tokens: Some(tokens), ..record }, problem))
}

/// Verifies a refreshed ID token as any other, and that it is about the same person and session (OpenID Connect Core 1.0,
/// section 12.2). What it says replaces what the session knew: groups that were left, an account that was changed.
async fn judge(
    (snapshot, provider): (&Snapshot, &Provider),
    record: &SessionRecord,
    answer: &TokenAnswer,
) -> Result<Judged, NotRefreshed> {
    let Some(text) = &answer.id_token else { return Ok(Judged::Claims(record.claims.clone())) };
    let (settings, verifier, now) = (provider.settings(), &snapshot.verifier, unix_now());
    let expected = ExpectedIdToken {
        issuer: settings.issuer,
        client_id: &settings.client_id,
        nonce: None,
        access_token: answer.access_token.as_ref().map(Secret::expose),
    };
    let token = match verifier.verify_id_token(text.expose(), &expected, now) {
        Ok(token) => token,
        // Keys that are away or new, a clock that is wrong: the next one may count.
        Err(problem) => return Ok(Judged::Later(problem.into())),
    };
    let is_other_session = token.sid.is_some() && record.sid.is_some() && token.sid != record.sid;
    if token.sub != record.sub || is_other_session {
        return Err(NotRefreshed::OtherSubject);
    }
    let token = match (&answer.access_token, settings.userinfo) {
        (Some(access_token), true) => match userinfo(provider, access_token).await {
            Ok(said) => match verifier.with_userinfo(token, &said, now) {
                Ok(token) => token,
                Err(IdTokenProblem::UserinfoSubject) => return Err(NotRefreshed::OtherSubject),
                Err(problem) => return Ok(Judged::Later(problem.into())),
            },
            Err(problem) => return Ok(Judged::Later(NotRefreshed::Provider(problem))),
        },
        _ => token,
    };
    // How the user signed in is as it was where the provider says nothing of it.
    Ok(Judged::Claims(verifier.with_sign_in_of(token.claims, &record.claims)))
}

async fn userinfo(provider: &Provider, access_token: &Secret) -> Result<Vec<u8>, ProviderProblem> {
    let metadata = provider.ready().await?;
    provider.userinfo(&metadata, access_token).await
}
