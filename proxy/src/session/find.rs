//! The session of a request, by its cookie. One fingerprint and one look-up where it is remembered; no I/O ever: what a
//! store has to be asked for is said to the caller, who asks once and comes back.

use std::sync::Arc;

use portcullis_config::settings::SessionSettings;
use portcullis_policy::{CompiledPolicies, words};

use super::cookie::VALUE_BYTES_MAX;
use super::key::StoreKey;
use super::record::{SessionId, SessionRecord};
use super::remembered::Session;
use super::revocation::{Standing, Trust, Version};
use super::sessions::{Loaded, Sessions};
use super::store::Stored;
use crate::seal::{Purpose, Seals, UnsealError};
use crate::token::{self, Fingerprint, TokenCache, Verifier};

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

/// What was found.
#[derive(Clone, Debug)]
pub enum Found {
    /// A session.
    Session(Arc<Session>),
    /// None, and why.
    None(NoSession),
    /// The store has to be asked first: [`Sessions::load`], once, and then again.
    MustLoad(StoreKey),
    /// It cannot be known: the store does not answer. Temporary, and no reason to sign in.
    Unavailable,
}

words! {
    /// Why a request has no session.
    pub enum NoSession {
        /// It has no cookie of ours.
        Absent = "absent",
        /// The cookie came twice, or is no text.
        Doubled = "doubled",
        /// The cookie is longer than any of ours.
        TooLong = "too-long",
        /// It is no seal of ours: altered, invented, or sealed with a key that is gone.
        Unsealed = "unsealed",
        /// It was sealed by another version.
        OtherVersion = "other-version",
        /// It is of another host.
        OtherHost = "other-host",
        /// It was not used for too long.
        Idle = "idle",
        /// Its time is over.
        Expired = "expired",
        /// It was ended: by a sign-out, by its provider, by an administrator.
        Revoked = "revoked",
        /// The store has none: it was ended, or is long over.
        Gone = "gone",
        /// The configuration reads claims that it does not have, or has its issuer no more.
        Outdated = "outdated",
        /// It was signed in at a provider that the app does not take.
        OtherProvider = "other-provider",
    }
}

impl From<UnsealError> for NoSession {
    fn from(why: UnsealError) -> Self {
        match why {
            UnsealError::OtherVersion => Self::OtherVersion,
            UnsealError::Malformed | UnsealError::UnknownKey | UnsealError::Altered => Self::Unsealed,
        }
    }
}

impl NoSession {
    /// Whether there was a session once, which is over.
    #[must_use]
    pub const fn is_over(self) -> bool {
        match self {
            Self::Idle | Self::Expired | Self::Revoked | Self::Gone | Self::Outdated => true,
            Self::Absent
            | Self::Doubled
            | Self::TooLong
            | Self::Unsealed
            | Self::OtherVersion
            | Self::OtherHost
            | Self::OtherProvider => false,
        }
    }
}

/// How a session was found, for counting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// It was remembered.
    Remembered,
    /// It was read from the cookie or from what the store gave.
    Read,
}

impl Presented<'_> {
    /// When a session ends at the latest.
    fn end_of(&self, record: &SessionRecord) -> i64 {
        record.ends_at.min(record.created_at.saturating_add(secs(self.settings.absolute)))
    }
}

pub(super) fn secs(span: std::time::Duration) -> i64 {
    i64::try_from(span.as_secs()).unwrap_or(i64::MAX)
}

impl Sessions {
    /// The session of a cookie. Never waits; without allocation where it is remembered.
    pub fn find(&self, presented: &Presented<'_>, mut observe: impl FnMut(Way)) -> Found {
        if presented.cookie.len() > VALUE_BYTES_MAX {
            return Found::None(NoSession::TooLong);
        }
        let fingerprint = self.fingerprints.of(presented.cookie.as_bytes());
        let known = fingerprint.as_ref().and_then(|fingerprint| self.remembered.get(fingerprint));
        if let Some(known) = known {
            if known.record().host != presented.host {
                return Found::None(NoSession::OtherHost);
            }
            let found = self.stands(&known, presented);
            if matches!(found, Found::Session(_)) {
                observe(Way::Remembered);
            }
            return match found {
                Found::Session(_) if !known.caller().is_by(presented.verifier, presented.policies) => {
                    self.rebind(&known, presented, fingerprint)
                }
                found => found,
            };
        }
        let found = match self.store() {
            None => self.read_cookie(presented),
            Some(_) => self.read_stored(presented),
        };
        if let (Found::Session(session), Some(fingerprint)) = (&found, fingerprint) {
            observe(Way::Read);
            self.remembered.insert(fingerprint, Arc::clone(session));
        }
        found
    }

    /// Whether a session may still be used.
    fn stands(&self, session: &Arc<Session>, presented: &Presented<'_>) -> Found {
        let now = presented.now;
        if now >= presented.end_of(session.record()) {
            return Found::None(NoSession::Expired);
        }
        let revocations = self.revocations();
        let trust = revocations.trust(presented.settings.stale_max);
        if trust == Trust::Expired {
            return Found::Unavailable;
        }
        let ask = || match trust {
            Trust::Current => Found::MustLoad(session.key()),
            Trust::Stale | Trust::Expired => Found::Unavailable,
        };
        let (version, seen) = (revocations.version(), session.looked_up_at.get());
        if version != seen {
            match revocations.standing(&session.marks, Some(seen)) {
                Standing::Stands => session.looked_up_at.move_to(version),
                Standing::Ended => return Found::None(NoSession::Revoked),
                Standing::LookAgain => return ask(),
            }
        }
        if now >= session.seen_at().saturating_add(secs(presented.settings.idle)) {
            // Another replica may have seen it since.
            let is_fresh = self.store().is_none() || session.loaded_at == now;
            return if is_fresh { Found::None(NoSession::Idle) } else { ask() };
        }
        if presented.is_use {
            session.use_.note(now);
        }
        Found::Session(Arc::clone(session))
    }

    /// Reads a session's claims anew: by other policies, or by other settings of its issuer.
    fn rebind(&self, known: &Session, presented: &Presented<'_>, at: Option<Fingerprint>) -> Found {
        let by = (presented.verifier, presented.cache, presented.policies);
        let until = presented.end_of(known.record());
        let Ok(caller) = token::bind_session(by, &known.record().claims, until, presented.now) else {
            return Found::None(NoSession::Outdated);
        };
        let session = Arc::new(known.rebound(caller));
        if let Some(at) = at {
            self.remembered.insert(at, Arc::clone(&session));
        }
        Found::Session(session)
    }

    /// The session that the cookie itself has.
    fn read_cookie(&self, presented: &Presented<'_>) -> Found {
        let version = self.revocations().version();
        let bytes = match presented.seals.open(Purpose::Session, presented.cookie) {
            Ok(bytes) => bytes,
            Err(why) => return Found::None(why.into()),
        };
        let Some(record) = SessionRecord::from_bytes(&bytes) else {
            return Found::None(NoSession::OtherVersion);
        };
        self.read(record, (presented.now, version), presented)
    }

    /// The session that the store has, if it was asked already.
    fn read_stored(&self, presented: &Presented<'_>) -> Found {
        let bytes = match presented.seals.open(Purpose::SessionId, presented.cookie) {
            Ok(bytes) => bytes,
            Err(why) => return Found::None(why.into()),
        };
        let Ok(id) = <[u8; 32]>::try_from(bytes) else { return Found::None(NoSession::OtherVersion) };
        let id = SessionId::of(id);
        let Some(loaded) = self.loaded(id.key(), presented.now) else {
            return Found::MustLoad(id.key());
        };
        match loaded {
            Loaded::Unavailable => Found::Unavailable,
            Loaded::None => Found::None(NoSession::Gone),
            Loaded::Session(stored, version) => {
                let Some(record) = opened(&stored, id, presented.seals) else {
                    return Found::None(NoSession::OtherVersion);
                };
                self.read(record, (presented.now, version), presented)
            }
        }
    }

    /// The session of a record that was just read.
    fn read(
        &self,
        record: SessionRecord,
        (loaded_at, version): (i64, Version),
        presented: &Presented<'_>,
    ) -> Found {
        if record.host != presented.host {
            return Found::None(NoSession::OtherHost);
        }
        let until = presented.end_of(&record);
        if presented.now >= until {
            return Found::None(NoSession::Expired);
        }
        let by = (presented.verifier, presented.cache, presented.policies);
        let (Ok(caller), Some(iss)) = (
            token::bind_session(by, &record.claims, until, presented.now),
            presented.verifier.iss_of(record.claims.issuer()),
        ) else {
            return Found::None(NoSession::Outdated);
        };
        let use_ = self.use_of(record.id.key());
        use_.learn(record.last_seen_at);
        let session = Arc::new(Session::new(record, (caller, iss), use_, (loaded_at, version)));
        // It was just asked for: by what was revoked before that, and not by what changed since.
        match self.revocations().standing(&session.marks, None) {
            Standing::Ended => return Found::None(NoSession::Revoked),
            Standing::Stands | Standing::LookAgain => {}
        }
        self.stands(&session, presented)
    }
}

/// The record that a store had under the key of this id.
fn opened(stored: &Stored, id: SessionId, seals: &Seals) -> Option<SessionRecord> {
    let text = std::str::from_utf8(&stored.value).ok()?;
    let bytes = seals.open(Purpose::StoredSession, text).ok()?;
    let mut record = SessionRecord::from_bytes(&bytes)?;
    record.last_seen_at = record.last_seen_at.max(stored.last_seen_at);
    // Who can write to the store could exchange two sessions.
    (record.id == id).then_some(record)
}
