//! Where sessions are kept that do not fit into a cookie, or must be ended and refreshed on the server.
//!
//! A store sees sealed bytes under digests: who reads it learns no id, no token and no name. What has an index is
//! digested too.

mod redb;
mod redis;

use std::time::Duration;

pub use self::redb::{FileProblem, RedbStore};
pub(crate) use self::redis::follow;
pub use self::redis::{RedisStore, Target};

use super::key::StoreKey;
use super::outage::Answer;
use super::revocation::{Notice, RevocationLog, SessionMarks};

/// A session to be stored.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Under which it is found.
    pub key: StoreKey,
    /// The sealed session.
    pub value: Vec<u8>,
    /// When it may be dropped: the end of its life, or of its idle time with some slack. Unix seconds.
    pub expires_at: i64,
    /// What a logout may name: the store drops all sessions of a mark at once.
    pub marks: SessionMarks,
}

/// A stored session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The sealed session.
    pub value: Vec<u8>,
    /// When it was last seen as far as the store knows, Unix seconds; it is up to a minute behind.
    pub last_seen_at: i64,
}

/// A session was used.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// Which.
    pub key: StoreKey,
    /// When, Unix seconds.
    pub at: i64,
    /// When it may be dropped now, Unix seconds.
    pub expires_at: i64,
}

/// Grows with each lock. Who holds a lower one than the store has seen comes too late.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fence(pub u64);

/// What became of a write under a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fenced {
    /// It is stored.
    Stored,
    /// A later holder of the lock has written: what this one has is old.
    Superseded,
    /// The session has ended meanwhile. It is not brought back.
    Gone,
}

/// A store of sessions. Every answer takes a second at most.
///
/// All methods fail with [`StoreUnavailable`](super::outage::StoreUnavailable) when the store cannot do it: callers refuse
/// as "temporary".
pub trait Store: RevocationLog {
    /// Finds a session.
    fn get(&self, key: StoreKey) -> Answer<'_, Option<Stored>>;

    /// Keeps a session; `replaces` is dropped in the same step, on every replica.
    fn put(&self, entry: Entry, replaces: Option<StoreKey>) -> Answer<'_, ()>;

    /// Forgets a session, on every replica.
    fn remove(&self, key: StoreKey) -> Answer<'_, ()>;

    /// Ends the stored sessions that a notice names, on the word of anybody: where there are none, nothing is kept. Whether
    /// there were any.
    fn revoke_stored(&self, notice: Notice) -> Answer<'_, bool>;

    /// Notes when sessions were last used. Sessions that are gone stay gone.
    fn seen(&self, batch: Vec<Seen>) -> Answer<'_, ()>;

    /// Lets one holder over all replicas work on a session for `time`; `None` while another one does.
    fn lock(&self, key: StoreKey, time: Duration) -> Answer<'_, Option<Fence>>;

    /// Gives a lock back before its time. One that another holder has now is left alone.
    fn unlock(&self, key: StoreKey, fence: Fence) -> Answer<'_, ()>;

    /// Writes a session that is stored already, under a lock; other replicas look it up again.
    fn put_fenced(&self, entry: Entry, fence: Fence) -> Answer<'_, Fenced>;
}
