//! A session in memory: its record, the principal that its claims were read to, and when it was used.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU8, AtomicU64, Ordering};

use super::key::StoreKey;
use super::record::{Lasting, SessionRecord};
use super::revocation::{SessionMarks, Version};
use crate::token::CachedPrincipal;

/// How often the use of a session is written down, in seconds: more often would make of every request a writer.
const NOTE_EVERY_SECS: i64 = 5;

/// A session that may be used, as far as was known when it was found.
pub struct Session {
    record: SessionRecord,
    key: StoreKey,
    public_id: String,
    caller: Arc<CachedPrincipal>,
    pub(super) marks: SessionMarks,
    pub(super) use_: Arc<Use>,
    /// [`Version`] of what was revoked when it was looked up last.
    pub(super) looked_up_at: LookedUp,
}

/// When a session was used and what was noted of it, in Unix seconds: one for all its cookies and copies.
#[derive(Debug, Default)]
pub(super) struct Use {
    seen: AtomicI64,
    /// When its cookie was renewed last.
    renewed: AtomicI64,
    /// What the store knows of `seen`.
    flushed: AtomicI64,
    /// What the browser was asked to do with its cookie since the record was made: nothing, or [`Lasting`] plus one.
    lasting: AtomicU8,
}

/// A [`Version`] that many requests read and few write.
#[derive(Debug)]
pub(super) struct LookedUp(AtomicU64);

impl LookedUp {
    pub(super) fn at(version: Version) -> Self {
        Self(AtomicU64::new(version.number()))
    }

    pub(super) fn get(&self) -> Version {
        Version::of(self.0.load(Ordering::Acquire))
    }

    /// Never back: a slower look-up saw less.
    pub(super) fn move_to(&self, version: Version) {
        self.0.fetch_max(version.number(), Ordering::AcqRel);
    }
}

impl Use {
    pub(super) fn seen_at(&self) -> i64 {
        self.seen.load(Ordering::Relaxed)
    }

    /// It is used at this time.
    pub(super) fn note(&self, now: i64) {
        if now.saturating_sub(self.seen_at()) >= NOTE_EVERY_SECS {
            self.seen.fetch_max(now, Ordering::Relaxed);
        }
    }

    /// What is known of its use from elsewhere.
    pub(super) fn learn(&self, seen_at: i64) {
        self.seen.fetch_max(seen_at, Ordering::Relaxed);
        self.flushed.fetch_max(seen_at, Ordering::Relaxed);
    }

    /// Whether the cookie is to be renewed, which this caller does then: nobody else before `pause_secs` are over.
    pub(super) fn takes_renewal(&self, now: i64, pause_secs: i64) -> bool {
        let before = self.renewed.load(Ordering::Relaxed);
        now.saturating_sub(before) >= pause_secs
            && self.renewed.compare_exchange(before, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// What the browser does with its cookie, which the record says otherwise.
    pub(super) fn lasting(&self, record: Lasting) -> Lasting {
        match self.lasting.load(Ordering::Relaxed) {
            0 => record,
            1 => Lasting::BrowserSession,
            _ => Lasting::UntilItEnds,
        }
    }

    /// The browser is asked to do this with its cookie.
    pub(super) fn set_lasting(&self, lasting: Lasting) {
        self.lasting.store(lasting as u8 + 1, Ordering::Relaxed);
    }

    /// When it was used last, if the store does not know that yet; from now on it does.
    pub(super) fn take_unflushed(&self) -> Option<i64> {
        let seen = self.seen_at();
        (self.flushed.fetch_max(seen, Ordering::Relaxed) < seen).then_some(seen)
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("public_id", &self.public_id).finish_non_exhaustive()
    }
}

impl Session {
    /// `iss`: of the issuer of its claims. `version`: read before the record was.
    pub(super) fn new(
        record: SessionRecord,
        (caller, iss): (Arc<CachedPrincipal>, &str),
        use_: Arc<Use>,
        version: Version,
    ) -> Self {
        let key = record.id.key();
        Self {
            marks: SessionMarks::new(key, iss, &record.sub, record.sid.as_deref(), record.signed_in),
            public_id: record.id.public_id(),
            looked_up_at: LookedUp::at(version),
            key,
            record,
            caller,
            use_,
        }
    }

    /// The same, as it is read now.
    pub(super) fn rebound(&self, caller: Arc<CachedPrincipal>) -> Self {
        Self {
            record: self.record.clone(),
            key: self.key,
            public_id: self.public_id.clone(),
            caller,
            marks: self.marks,
            use_: Arc::clone(&self.use_),
            looked_up_at: LookedUp::at(self.looked_up_at.get()),
        }
    }

    /// What is kept of it.
    #[must_use]
    pub const fn record(&self) -> &SessionRecord {
        &self.record
    }

    /// What it is known by on our side.
    #[must_use]
    pub const fn key(&self) -> StoreKey {
        self.key
    }

    /// What it is called in public: in logs, to apps, to its user.
    #[must_use]
    pub fn public_id(&self) -> &str {
        &self.public_id
    }

    /// Who it is of.
    #[must_use]
    pub const fn caller(&self) -> &Arc<CachedPrincipal> {
        &self.caller
    }

    /// When it was used last, in Unix seconds; a few seconds behind.
    #[must_use]
    pub fn seen_at(&self) -> i64 {
        self.use_.seen_at()
    }

    /// Memory that it takes, in bytes; an estimate.
    pub(super) fn bytes(&self) -> usize {
        const FIXED: usize = 768;
        let tokens = self.record.tokens.as_ref().map_or(0, super::record::StoredTokens::bytes);
        FIXED + self.caller.own_bytes() + self.record.claims.text_bytes() + tokens
    }
}
