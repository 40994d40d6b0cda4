//! The end of a sign-in that was good: a session with a new id, the former one dead, and the browser where it wanted to be.

use std::time::Duration;

use super::answer::{Failure, Lines, fail, id_of, page, redirect};
use super::attempt::{Asked, Attempt, tag_of};
use super::authorization::ways_on;
use super::context::{SignIn, SignInContext};
use super::turns::{self, Turns};
use crate::clock::{Moment, unix_now};
use crate::denial::Answer;
use crate::pages::{FragmentStep, OwnPage};
use crate::provider::{Provider, TokenAnswer};
use crate::refusal::SignInFault;
use crate::session::{
    DemandDigest, Keeping, Lasting, SecretText, Session, SessionId, SessionRecord, StoredTokens,
};
use crate::token::IdToken;
use crate::waiting::Holder;

/// What a provider's answer came to.
#[derive(Debug)]
pub(super) struct SignedIn {
    /// Before the provider was asked for it.
    pub(super) at: Moment,
    pub(super) id_token: IdToken,
    pub(super) tokens: TokenAnswer,
}

/// Where a browser goes with its new session.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival<'a> {
    /// The app's id.
    pub(super) app: &'a str,
    pub(super) asked: &'a Asked,
    pub(super) target: &'a str,
    /// What the tab calls the fragment that it put aside.
    pub(super) tag: &'a str,
}

/// Completes a sign-in at the app's own host.
pub(super) async fn here(
    it: SignIn<'_>,
    provider: &Provider,
    attempt: &Attempt,
    signed_in: &SignedIn,
    lines: Lines,
) -> Answer {
    let tag = tag_of(&attempt.state);
    let Attempt { goal, asked, .. } = attempt;
    let arrival = Arrival { app: &goal.app, asked, target: &goal.target, tag: &tag };
    let opened = match record(it, provider, asked, signed_in, &it.request.host) {
        Some(record) => open(it, provider, record, arrival, &lines).await,
        None => Err(SignInFault::Internal.into()),
    };
    opened.unwrap_or_else(|failure| {
        let (retry, choose) = ways_on(it, goal);
        fail(it.ctx, it.request, Some(provider), Failure { retry, choose, lines, ..failure })
    })
}

/// What is kept of a sign-in. Its id is new: whatever id a browser brought, nobody is written into it.
pub(super) fn record(
    it: SignIn<'_>,
    provider: &Provider,
    asked: &Asked,
    SignedIn { at, id_token, tokens }: &SignedIn,
    host: &str,
) -> Option<SessionRecord> {
    let now = unix_now();
    let absolute = i64::try_from(it.settings.absolute.as_secs()).unwrap_or(i64::MAX);
    let secret = |secret: &portcullis_config::settings::Secret| SecretText(secret.expose().to_owned());
    // Cookies hold no tokens.
    let stored = it.sessions.store().is_some().then(|| {
        Some(StoredTokens {
            id_token: tokens.id_token.as_ref().map(secret)?,
            access_token: tokens.access_token.as_ref().map(secret),
            access_expires_at: tokens
                .expires_in
                .map(|secs| now.saturating_add(i64::try_from(secs).unwrap_or(i64::MAX))),
            refresh_token: tokens.refresh_token.as_ref().map(secret),
        })
    });
    Some(SessionRecord {
        id: SessionId::draw()?,
        host: host.to_owned(),
        provider: provider.name().to_owned(),
        claims: id_token.claims.clone(),
        sub: id_token.sub.clone(),
        sid: id_token.sid.clone(),
        created_at: now,
        ends_at: now.saturating_add(absolute),
        signed_in_at: now,
        signed_in: *at,
        last_seen_at: now,
        lasting: Lasting::default(),
        answered: asked.digest.map(DemandDigest),
        tokens: stored.flatten(),
    })
}

/// A session that goes on with the same user ends when the former one would have: a step-up prolongs nothing.
fn continue_from(record: SessionRecord, former: Option<&Session>) -> SessionRecord {
    let former = former.map(Session::record);
    let same = former.filter(|former| former.provider == record.provider && former.sub == record.sub);
    match same {
        Some(SessionRecord { created_at, ends_at, lasting, .. }) => {
            SessionRecord { created_at: *created_at, ends_at: *ends_at, lasting: *lasting, ..record }
        }
        None => record,
    }
}

/// How long a browser may take to keep the cookie of its new session, beside what its pages rest before they ask again.
const COOKIE_TIME: Duration = Duration::from_millis(100);

/// Refusal pages of this user in other windows wait, perhaps for this sign-in.
fn recall_pages(ctx: SignInContext<'_>, former: &Session) {
    let token = former.caller().token();
    let Some(issuer) = ctx.snapshot.config.issuers.get(token.issuer_index()) else { return };
    let (waiting, holder) = (&ctx.state.waiting, Holder::of(&issuer.issuer, &token.principal().id));
    tokio::spawn(async move {
        tokio::time::sleep(COOKIE_TIME).await;
        waiting.recall(holder);
    });
}

/// Opens the session, and sends the browser on.
pub(super) async fn open(
    it: SignIn<'_>,
    provider: &Provider,
    record: SessionRecord,
    arrival: Arrival<'_>,
    lines: &Lines,
) -> Result<Answer, Failure> {
    let SignIn { ctx, request, cookies, seals, sessions, settings } = it;
    let former = request.session.as_deref();
    let record = continue_from(record, former);
    let now = unix_now();
    let verifier = &*ctx.snapshot.verifier;
    let keeping = Keeping { seals, settings, form: cookies.form(), verifier, now };
    let cookie = sessions.open(&record, former, &keeping).await?;
    let turns = Turns::of(&cookies, seals, now);
    let counted = turns.completed(turns::what(arrival.app, arrival.asked), now, &cookies, seals);
    let lines: Lines = lines.iter().cloned().chain(counted).chain([cookie]).collect();

    if let Some(former) = former {
        recall_pages(ctx, former);
    }
    provider.metrics().completed();
    let user = ctx.snapshot.denials.subject(ctx.snapshot.config.server.decision_subject, &record.sub);
    let (request_id, session, app) = (id_of(request), record.id.public_id(), arrival.app);
    tracing::info!(request_id, provider = provider.name(), app, user, session, "signed in");

    let keeps_fragment = ctx.snapshot.config.apps.iter().any(|known| known.id == app && known.keep_fragment);
    if keeps_fragment {
        let (attempt, next) = (arrival.tag.to_owned(), arrival.target.to_owned());
        let restore = OwnPage::KeepFragment { attempt, step: FragmentStep::Restore, next };
        return Ok(page(ctx, request, &restore, lines));
    }
    Ok(redirect(ctx, request, arrival.target, lines))
}
