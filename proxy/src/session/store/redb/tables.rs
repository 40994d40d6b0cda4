//! The tables of the database file.
//!
//! What changes every minute (when a session was last seen) is apart from what is large (the session).

use ::redb::{
    Database, ReadableDatabase as _, ReadableTable as _, StorageError, Table, TableDefinition, TableError,
    WriteTransaction,
};

use crate::clock::Moment;
use crate::session::key::{Mark, StoreKey};
use crate::session::revocation::{By, Notice, Once, SessionMarks, Use};
use crate::session::store::{Entry, Fence, Fenced, Seen, Stored};

type Digest = [u8; 32];

/// Numbers of the file itself.
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
/// Fence, marks, and the sealed session.
const SESSIONS: TableDefinition<'_, &Digest, &[u8]> = TableDefinition::new("sessions");
/// When each may be dropped, and when it was last seen.
const TIMES: TableDefinition<'_, &Digest, (i64, i64)> = TableDefinition::new("times");
/// A mark, and a session that has it.
const INDEX: TableDefinition<'_, &[u8; 64], ()> = TableDefinition::new("index");
/// Sessions until which moment have ended, and until when that matters.
const REVOCATIONS: TableDefinition<'_, &Digest, (i64, i64)> = TableDefinition::new("revocations");
/// What has been used that counts once, and until when that matters.
const REPLAYS: TableDefinition<'_, &Digest, i64> = TableDefinition::new("replays");
/// Who works on a session, and until when, in milliseconds.
const LOCKS: TableDefinition<'_, &Digest, (u64, i64)> = TableDefinition::new("locks");

/// Changes when an older process would misread the tables.
const FORMAT: u64 = 2;
/// Dropped in one step at most, so that nobody waits long.
const SWEPT_AT_ONCE: usize = 4096;

/// Why a file that is a database is not ours.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unusable {
    /// It has other tables.
    #[error("it is a database of another program")]
    Foreign,
    /// It has our tables, of another version.
    #[error("another version of Portcullis wrote it")]
    OtherVersion,
    /// The database fails.
    #[error(transparent)]
    Failed(#[from] ::redb::Error),
}

impl From<TableError> for Unusable {
    fn from(problem: TableError) -> Self {
        Self::Failed(problem.into())
    }
}

impl From<StorageError> for Unusable {
    fn from(problem: StorageError) -> Self {
        Self::Failed(problem.into())
    }
}

/// Makes the tables of a new file, or sees that they are ours; nobody holds a lock then. Returns what has ended.
pub(super) fn prepare(database: &Database) -> Result<Vec<Notice>, Unusable> {
    let writing = database.begin_write().map_err(::redb::Error::from)?;
    let is_new = writing.list_tables()?.next().is_none();
    see_format(&writing, is_new)?;
    // No process but this one has the file: whoever held a lock is gone.
    writing.open_table(LOCKS)?.retain(|_, _| false)?;
    let ended = Tables::open(&writing)?.notices()?;
    writing.commit().map_err(::redb::Error::from)?;
    Ok(ended)
}

fn see_format(writing: &WriteTransaction, is_new: bool) -> Result<(), Unusable> {
    let mut meta = match writing.open_table(META) {
        Err(TableError::TableTypeMismatch { .. } | TableError::TableIsMultimap(_)) => {
            return Err(Unusable::Foreign);
        }
        other => other?,
    };
    let format = meta.get("format")?.map(|format| format.value());
    match format {
        None if is_new => meta.insert("format", FORMAT).map(drop).map_err(Unusable::from),
        None => Err(Unusable::Foreign),
        Some(FORMAT) => Ok(()),
        Some(_) => Err(Unusable::OtherVersion),
    }
}

/// Finds a session.
pub(super) fn get(database: &Database, key: StoreKey, now: i64) -> Result<Option<Stored>, ::redb::Error> {
    let reading = database.begin_read()?;
    let Some((expires_at, last_seen_at)) = reading.open_table(TIMES)?.get(&key.0)?.map(|times| times.value())
    else {
        return Ok(None);
    };
    if expires_at <= now {
        return Ok(None);
    }
    let row = reading.open_table(SESSIONS)?.get(&key.0)?.map(|row| row.value().to_vec());
    let Some(row) = row else { return Ok(None) };
    let row = Row::read(&row).ok_or_else(|| StorageError::Corrupted("a session is cut off".to_owned()))?;
    Ok(Some(Stored { value: row.value.to_vec(), last_seen_at }))
}

/// What stands in `sessions`.
struct Row<'r> {
    fence: Fence,
    subject: Mark,
    session: Option<Mark>,
    value: &'r [u8],
}

impl<'r> Row<'r> {
    fn of(entry: &'r Entry, fence: Fence) -> Self {
        let SessionMarks { subject, session, .. } = entry.marks;
        Self { fence, subject, session, value: &entry.value }
    }

    fn write(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(8 + 32 + 1 + 32 + self.value.len());
        bytes.extend_from_slice(&self.fence.0.to_be_bytes());
        bytes.extend_from_slice(&self.subject.0);
        bytes.push(u8::from(self.session.is_some()));
        bytes.extend_from_slice(&self.session.map_or([0; 32], |mark| mark.0));
        bytes.extend_from_slice(self.value);
        bytes
    }

    fn read(bytes: &'r [u8]) -> Option<Self> {
        let (fence, rest) = bytes.split_first_chunk::<8>()?;
        let (subject, rest) = rest.split_first_chunk::<32>()?;
        let (has_session, rest) = rest.split_first()?;
        let (session, value) = rest.split_first_chunk::<32>()?;
        Some(Self {
            fence: Fence(u64::from_be_bytes(*fence)),
            subject: Mark(*subject),
            session: (*has_session == 1).then_some(Mark(*session)),
            value,
        })
    }

    fn marks(&self) -> impl Iterator<Item = Mark> {
        std::iter::once(self.subject).chain(self.session)
    }
}

fn indexed(mark: Mark, key: StoreKey) -> [u8; 64] {
    let mut both = [0; 64];
    let (first, last) = both.split_at_mut(32);
    first.copy_from_slice(&mark.0);
    last.copy_from_slice(&key.0);
    both
}

/// The first and the last row that the index may have of a mark.
fn all_of(mark: Mark) -> ([u8; 64], [u8; 64]) {
    (indexed(mark, StoreKey([0; 32])), indexed(mark, StoreKey([255; 32])))
}

/// Finds out whether any session has a mark.
pub(super) fn has_sessions(database: &Database, mark: Mark) -> Result<bool, ::redb::Error> {
    let (first, last) = all_of(mark);
    let index = database.begin_read()?.open_table(INDEX)?;
    let mut rows = index.range::<&[u8; 64]>(&first..=&last)?;
    Ok(rows.next().transpose()?.is_some())
}

/// All tables, for one transaction.
pub(super) struct Tables<'t> {
    meta: Table<'t, &'static str, u64>,
    sessions: Table<'t, &'static Digest, &'static [u8]>,
    times: Table<'t, &'static Digest, (i64, i64)>,
    index: Table<'t, &'static [u8; 64], ()>,
    revocations: Table<'t, &'static Digest, (i64, i64)>,
    replays: Table<'t, &'static Digest, i64>,
    locks: Table<'t, &'static Digest, (u64, i64)>,
}

impl<'t> Tables<'t> {
    pub(super) fn open(writing: &'t WriteTransaction) -> Result<Self, TableError> {
        Ok(Self {
            meta: writing.open_table(META)?,
            sessions: writing.open_table(SESSIONS)?,
            times: writing.open_table(TIMES)?,
            index: writing.open_table(INDEX)?,
            revocations: writing.open_table(REVOCATIONS)?,
            replays: writing.open_table(REPLAYS)?,
            locks: writing.open_table(LOCKS)?,
        })
    }

    fn notices(&self) -> Result<Vec<Notice>, StorageError> {
        let rows = self.revocations.iter()?;
        let notice = rows.map(|row| {
            let (mark, times) = row?;
            let (not_before, until) = times.value();
            Ok(Notice { mark: Mark(*mark.value()), not_before: Moment(not_before), until, by: By::Known })
        });
        notice.collect()
    }

    fn write(&mut self, entry: &Entry, fence: Fence, seen_at: i64) -> Result<(), StorageError> {
        self.unlink(entry.key)?;
        let row = Row::of(entry, fence);
        for mark in row.marks() {
            self.index.insert(&indexed(mark, entry.key), ())?;
        }
        self.sessions.insert(&entry.key.0, row.write().as_slice())?;
        self.times.insert(&entry.key.0, (entry.expires_at, seen_at))?;
        Ok(())
    }

    pub(super) fn put(
        &mut self,
        entry: &Entry,
        replaces: Option<StoreKey>,
        now: i64,
    ) -> Result<(), StorageError> {
        if let Some(key) = replaces {
            self.drop_session(key)?;
        }
        self.write(entry, Fence(0), now)
    }

    pub(super) fn put_fenced(
        &mut self,
        entry: &Entry,
        fence: Fence,
        now: i64,
    ) -> Result<Fenced, StorageError> {
        let times = self.times.get(&entry.key.0)?.map(|times| times.value());
        let known = self.fence(entry.key)?;
        let (Some((expires_at, seen_at)), Some(known)) = (times, known) else { return Ok(Fenced::Gone) };
        if expires_at <= now {
            return Ok(Fenced::Gone);
        }
        if known > fence {
            return Ok(Fenced::Superseded);
        }
        self.write(entry, fence, seen_at)?;
        Ok(Fenced::Stored)
    }

    /// The fence that a session was last written with.
    fn fence(&self, key: StoreKey) -> Result<Option<Fence>, StorageError> {
        let row = self.sessions.get(&key.0)?;
        Ok(row.and_then(|row| Row::read(row.value()).map(|row| row.fence)))
    }

    pub(super) fn drop_session(&mut self, key: StoreKey) -> Result<(), StorageError> {
        self.unlink(key)?;
        self.locks.remove(&key.0)?;
        Ok(())
    }

    fn unlink(&mut self, key: StoreKey) -> Result<(), StorageError> {
        let row = self.sessions.remove(&key.0)?.map(|row| row.value().to_vec());
        for mark in row.as_deref().and_then(Row::read).iter().flat_map(Row::marks) {
            self.index.remove(&indexed(mark, key))?;
        }
        self.times.remove(&key.0)?;
        Ok(())
    }

    pub(super) fn seen(&mut self, batch: &[Seen]) -> Result<(), StorageError> {
        for Seen { key, at, expires_at } in batch {
            let known = self.times.get(&key.0)?.map(|times| times.value());
            if let Some((_, seen_at)) = known.filter(|(_, seen_at)| seen_at < at) {
                self.times.insert(&key.0, (*expires_at, seen_at.max(*at)))?;
            }
        }
        Ok(())
    }

    /// `now_ms`, `until_ms`: Unix milliseconds.
    pub(super) fn lock(
        &mut self,
        key: StoreKey,
        now_ms: i64,
        until_ms: i64,
    ) -> Result<Option<Fence>, StorageError> {
        let held_until = self.locks.get(&key.0)?.map(|lock| lock.value().1);
        if held_until.is_some_and(|held_until| held_until > now_ms) {
            return Ok(None);
        }
        let fence = self.meta.get("fence")?.map_or(0, |fence| fence.value()) + 1;
        self.meta.insert("fence", fence)?;
        self.locks.insert(&key.0, (fence, until_ms))?;
        Ok(Some(Fence(fence)))
    }

    pub(super) fn unlock(&mut self, key: StoreKey, fence: Fence) -> Result<(), StorageError> {
        let holder = self.locks.get(&key.0)?.map(|lock| lock.value().0);
        if holder == Some(fence.0) {
            self.locks.remove(&key.0)?;
        }
        Ok(())
    }

    pub(super) fn first_use(&mut self, once: Once, now: i64) -> Result<Use, StorageError> {
        let used_until = self.replays.get(&once.key.0)?.map(|until| until.value());
        if used_until.is_some_and(|until| until > now) {
            return Ok(Use::Again);
        }
        self.replays.insert(&once.key.0, once.until)?;
        Ok(Use::First)
    }

    /// Notes that sessions have ended, and drops those that the index knows.
    pub(super) fn revoke(&mut self, notice: &Notice) -> Result<(), StorageError> {
        let former = self.revocations.get(&notice.mark.0)?.map(|times| times.value());
        let (not_before, until) = former.unwrap_or((i64::MIN, i64::MIN));
        let times = (not_before.max(notice.not_before.0), until.max(notice.until));
        self.revocations.insert(&notice.mark.0, times)?;
        let (first, last) = all_of(notice.mark);
        let mut keys = Vec::new();
        for row in self.index.range::<&[u8; 64]>(&first..=&last)? {
            let (both, ()) = row.map(|(both, _)| (both, ()))?;
            keys.extend(both.value().last_chunk::<32>().map(|key| StoreKey(*key)));
        }
        keys.into_iter().try_for_each(|key| self.drop_session(key))
    }

    /// Drops what has expired, some of it; whether there may be more.
    pub(super) fn sweep(&mut self, now: i64) -> Result<bool, StorageError> {
        let mut keys = Vec::new();
        for row in self.times.iter()? {
            let (key, times) = row?;
            if times.value().0 <= now {
                keys.push(StoreKey(*key.value()));
            }
            if keys.len() == SWEPT_AT_ONCE {
                break;
            }
        }
        let is_more = keys.len() == SWEPT_AT_ONCE;
        for key in keys {
            self.drop_session(key)?;
        }
        self.revocations.retain(|_, (_, until)| until > now)?;
        self.replays.retain(|_, until| until > now)?;
        let now_ms = now.saturating_mul(1000);
        self.locks.retain(|_, (_, until_ms)| until_ms > now_ms)?;
        Ok(is_more)
    }
}
