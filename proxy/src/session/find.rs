//! The session of a request, by its cookie. One fingerprint and one look-up where it is remembered; no I/O ever: what a
//! store has to be asked for is said to the caller, who asks once and comes back.

use std::sync::Arc;

use portcullis_config::settings::SessionSettings;
use portcullis_policy::CompiledPolicies;

use super::cookie::VALUE_BYTES_MAX;
use super::key::StoreKey;
use super::no_session::{NoSession, Way};
use super::record::{SessionId, SessionRecord};
use super::remembered::Session;
use super::revocation::{Standing, Trust, Version};
use super::sessions::{Answered, Sessions, secs};
use super::store::Stored;
use crate::seal::{Purpose, Seals};
use crate::token::{self, Fingerprint, TokenCache, Verifier};

/// What sessions are read by.
#[derive(Clone, Copy, Debug)]
pub struct By<'r> {
    /// How long sessions last.
    pub settings: &'r SessionSettings,
    /// What opens cookies and stored sessions.
    pub seals: &'r Seals,
    /// What reads claims.
    pub verifier: &'r Verifier,
    /// What principals share.
    pub cache: &'r TokenCache,
    /// What principals are bound to.
    pub policies: &'r CompiledPolicies,
}

/// What a request brings, and what it is judged by.
#[derive(Clone, Copy, Debug)]
pub struct Presented<'r> {
    /// The value of the session's cookie.
    pub cookie: &'r str,
    /// The host that was asked, lower case, without port.
    pub host: &'r str,
    /// Unix seconds.
    pub now: i64,
    /// Whether the request uses the session, or what was let in before is looked at again.
    pub is_use: bool,
    /// What it is read by.
    pub by: By<'r>,
}

/// What was found.
#[derive(Clone, Debug)]
pub enum Found {
    /// A session.
    Session(Arc<Session>),
    /// None, and why.
    None(NoSession),
    /// The store has to be asked first: [`Sessions::load`], once, and then again.
    MustLoad(SessionHandle),
    /// It cannot be known: the store does not answer. Temporary, and no reason to sign in.
    Unavailable,
}

/// What a session is loaded by.
#[derive(Clone, Debug)]
pub struct SessionHandle {
    key: StoreKey,
    id: SessionId,
    at: Option<Fingerprint>,
    host: String,
}

impl By<'_> {
    /// When a session ends at the latest.
    fn end_of(&self, record: &SessionRecord) -> i64 {
        record.ends_at.min(record.created_at.saturating_add(secs(self.settings.absolute)))
    }

    const fn tokens(&self) -> (&Verifier, &TokenCache, &CompiledPolicies) {
        (self.verifier, self.cache, self.policies)
    }
}

impl Sessions {
    /// The session of a cookie. Never waits; without allocation where it is remembered.
    pub fn find(&self, presented: &Presented<'_>, observe: impl FnOnce(Way)) -> Found {
        if presented.cookie.len() > VALUE_BYTES_MAX {
            return Found::None(NoSession::TooLong);
        }
        if self.store().is_none() && !self.revocations().is_complete() {
            return self.must_wait(presented);
        }
        let at = self.fingerprints.of(presented.cookie.as_bytes());
        let known = at.as_ref().and_then(|at| self.remembered.get(at));
        if let Some(known) = known {
            return match self.remembered_stands(&known, presented) {
                Found::Session(session) => {
                    observe(Way::Remembered);
                    self.bound(session, presented, at)
                }
                // What is remembered of it is out of date.
                Found::MustLoad(_) => self.must_load(presented, at),
                found => found,
            };
        }
        if self.store().is_some() {
            return self.must_load(presented, at);
        }
        let found = self.read_cookie(presented);
        if let Found::Session(session) = &found {
            observe(Way::Read);
            self.remember(at, session);
            if presented.is_use {
                session.use_.note(presented.now);
            }
        }
        found
    }

    /// Asks the store for a session and takes it up, or keeps that there is none. Takes a second at most.
    pub async fn load(&self, handle: &SessionHandle, by: &By<'_>, now: i64) {
        let Some(store) = self.store() else { return self.revocations().completed().await };
        // Read first: what changes while the store is asked is looked at again.
        let version = self.revocations().version();
        let found = match store.get(handle.key).await {
            Ok(Some(stored)) => match opened(&stored, handle.id, by.seals) {
                Some(record) => self.read(record, version, (&handle.host, by, now)),
                None => Found::None(NoSession::OtherVersion),
            },
            Ok(None) => Found::None(NoSession::Gone),
            Err(_) => Found::Unavailable,
        };
        match found {
            Found::Session(session) => self.remember(handle.at, &session),
            Found::None(why) => self.keep_answer(handle.key, Answered::None(why), now),
            Found::Unavailable | Found::MustLoad(_) => {
                self.keep_answer(handle.key, Answered::Unavailable, now);
            }
        }
    }

    fn remember(&self, at: Option<Fingerprint>, session: &Arc<Session>) {
        self.know(&session.marks);
        if let Some(at) = at {
            self.remembered.insert(at, Arc::clone(session));
        }
    }

    fn remembered_stands(&self, session: &Arc<Session>, presented: &Presented<'_>) -> Found {
        let stands = self.stands(session, (presented.host, &presented.by, presented.now), Read::Before);
        if let (Found::Session(session), true) = (&stands, presented.is_use) {
            session.use_.note(presented.now);
        }
        stands
    }

    /// Whether a session may still be used. [`Found::MustLoad`] comes without what it is loaded by.
    fn stands(&self, session: &Arc<Session>, (host, by, now): Asked<'_>, read: Read) -> Found {
        if session.record().host != host {
            return Found::None(NoSession::OtherHost);
        }
        if now >= by.end_of(session.record()) {
            return Found::None(NoSession::Expired);
        }
        let revocations = self.revocations();
        let trust = revocations.trust(by.settings.stale_max);
        let ask = || match (trust, read) {
            (Trust::Current, Read::Before) => Found::MustLoad(SessionHandle::unknown(session)),
            _ => Found::Unavailable,
        };
        if trust == Trust::Expired {
            return Found::Unavailable;
        }
        match self.standing(session) {
            Standing::Stands => {}
            Standing::Ended => return Found::None(NoSession::Revoked),
            Standing::LookAgain => return ask(),
        }
        if now >= session.seen_at().saturating_add(secs(by.settings.idle)) {
            // Another replica may have seen it since.
            let is_known = self.store().is_none() || read == Read::Now;
            return if is_known { Found::None(NoSession::Idle) } else { ask() };
        }
        Found::Session(Arc::clone(session))
    }

    /// What has become of a session since it was looked up, as far as this process was told. Asks nobody.
    pub fn standing(&self, session: &Session) -> Standing {
        let revocations = self.revocations();
        let (version, seen) = (revocations.version(), session.looked_up_at.get());
        if version == seen {
            return Standing::Stands;
        }
        let standing = revocations.standing(&session.marks, Some(seen));
        if standing == Standing::Stands {
            session.looked_up_at.move_to(version);
        }
        standing
    }

    /// The session, read anew if policies or the settings of its issuer have changed.
    fn bound(&self, session: Arc<Session>, presented: &Presented<'_>, at: Option<Fingerprint>) -> Found {
        let by = &presented.by;
        if session.caller().is_by(by.verifier, by.policies) {
            return Found::Session(session);
        }
        let until = by.end_of(session.record());
        let bound = token::bind_session(by.tokens(), &session.record().claims, until, presented.now);
        let Ok(caller) = bound else { return Found::None(NoSession::Outdated) };
        let session = Arc::new(session.rebound(caller));
        self.remember(at, &session);
        Found::Session(session)
    }

    /// The session that the cookie itself has.
    fn read_cookie(&self, presented: &Presented<'_>) -> Found {
        let version = self.revocations().version();
        let bytes = match presented.by.seals.open(Purpose::Session, presented.cookie) {
            Ok(bytes) => bytes,
            Err(why) => return Found::None(why.into()),
        };
        let Some(record) = SessionRecord::from_bytes(&bytes) else {
            return Found::None(NoSession::OtherVersion);
        };
        self.read(record, version, (presented.host, &presented.by, presented.now))
    }

    /// Nobody knows yet what has ended: a session that was signed out would pass. Whoever has one waits for the journal.
    fn must_wait(&self, presented: &Presented<'_>) -> Found {
        match self.read_cookie(presented) {
            Found::Session(session) => Found::MustLoad(SessionHandle {
                key: session.key(),
                id: session.record().id,
                at: None,
                host: presented.host.to_owned(),
            }),
            found => found,
        }
    }

    /// What the store is asked for, unless it said lately what it says.
    fn must_load(&self, presented: &Presented<'_>, at: Option<Fingerprint>) -> Found {
        let bytes = match presented.by.seals.open(Purpose::SessionId, presented.cookie) {
            Ok(bytes) => bytes,
            Err(why) => return Found::None(why.into()),
        };
        let Ok(id) = <[u8; 32]>::try_from(bytes) else { return Found::None(NoSession::OtherVersion) };
        let id = SessionId::of(id);
        match self.answer_of(id.key(), presented.now) {
            Some(Answered::None(why)) => Found::None(why),
            Some(Answered::Unavailable) => Found::Unavailable,
            None => Found::MustLoad(SessionHandle { key: id.key(), id, at, host: presented.host.to_owned() }),
        }
    }

    /// The session of a record that was just read; `version` is older than it.
    fn read(&self, record: SessionRecord, version: Version, asked: Asked<'_>) -> Found {
        let (_, by, now) = asked;
        let until = by.end_of(&record);
        let (Ok(caller), Some(iss)) = (
            token::bind_session(by.tokens(), &record.claims, until, now),
            by.verifier.iss_of(record.claims.issuer()),
        ) else {
            return Found::None(NoSession::Outdated);
        };
        let use_ = self.use_of(record.id.key());
        use_.learn(record.last_seen_at);
        let session = Arc::new(Session::new(record, (caller, iss), use_, version));
        // What it was read from says nothing of what was revoked before.
        match self.revocations().standing(&session.marks, None) {
            Standing::Ended => Found::None(NoSession::Revoked),
            Standing::Stands | Standing::LookAgain => self.stands(&session, asked, Read::Now),
        }
    }
}

/// The host that is asked, what sessions are read by, and the time.
type Asked<'r> = (&'r str, &'r By<'r>, i64);

/// When a session was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Read {
    Before,
    Now,
}

impl SessionHandle {
    fn unknown(session: &Session) -> Self {
        Self { key: session.key(), id: session.record().id, at: None, host: String::new() }
    }
}

/// The record that a store had under the key of this id.
pub(super) fn opened(stored: &Stored, id: SessionId, seals: &Seals) -> Option<SessionRecord> {
    let text = std::str::from_utf8(&stored.value).ok()?;
    let bytes = seals.open(Purpose::StoredSession, text).ok()?;
    let mut record = SessionRecord::from_bytes(&bytes)?;
    record.last_seen_at = record.last_seen_at.max(stored.last_seen_at);
    // Who can write to the store could exchange two sessions.
    (record.id == id).then_some(record)
}
