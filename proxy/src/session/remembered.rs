//! A session in memory: its record, and the principal that its claims were read to.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use super::key::StoreKey;
use super::record::SessionRecord;
use crate::token::CachedPrincipal;

/// A session that may be used, as far as was known when it was found.
pub struct Session {
    record: SessionRecord,
    key: StoreKey,
    public_id: String,
    caller: Arc<CachedPrincipal>,
    /// When it was used last, in Unix seconds: one for all cookies and copies of a session.
    seen: Arc<AtomicI64>,
    /// When its record was read from the store, in Unix seconds.
    pub(super) loaded_at: i64,
    /// The version of the list of what was revoked that it was looked up in last.
    pub(super) looked_up_at: AtomicU64,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("public_id", &self.public_id).finish_non_exhaustive()
    }
}

impl Session {
    pub(super) fn new(
        record: SessionRecord,
        caller: Arc<CachedPrincipal>,
        seen: Arc<AtomicI64>,
        loaded_at: i64,
    ) -> Self {
        seen.fetch_max(record.last_seen_at, Ordering::Relaxed);
        Self {
            key: record.id.key(),
            public_id: record.id.public_id(),
            record,
            caller,
            seen,
            loaded_at,
            looked_up_at: AtomicU64::new(0),
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

    /// When it was used last, in Unix seconds.
    #[must_use]
    pub fn seen_at(&self) -> i64 {
        self.seen.load(Ordering::Relaxed)
    }
}
