//! The thread that writes to the database.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ::redb::{Database, StorageError};
use tokio::sync::oneshot::Sender;

use super::file::{self, FileProblem, Shared};
use super::tables::Tables;
use crate::clock::{millis, unix_now, unix_time};
use crate::session::health::Health;
use crate::session::key::StoreKey;
use crate::session::outage::{Operation, StoreFault, StoreUnavailable};
use crate::session::revocation::{Notice, Once, RevocationMap, Use};
use crate::session::store::{Entry, Fence, Fenced, Seen};

/// How often a file that failed is opened again at most.
const REOPEN_TIME: Duration = Duration::from_secs(1);

/// Who waits for an answer.
type To<T> = Sender<Result<T, StoreFault>>;

/// What the thread is asked for.
#[derive(Debug)]
pub(super) enum Work {
    Open(Sender<Result<(), FileProblem>>),
    Write(Box<Write>),
    LookAfter { sweeps: bool },
    Release(Sender<()>),
}

/// What is written.
#[derive(Debug)]
pub(super) enum Write {
    Put(Entry, Option<StoreKey>, To<()>),
    PutFenced(Entry, Fence, To<Fenced>),
    Remove(StoreKey, To<()>),
    Seen(Vec<Seen>, To<()>),
    Lock(StoreKey, Duration, To<Option<Fence>>),
    Unlock(StoreKey, Fence, To<()>),
    Revoke(Notice, Option<Once>, To<Use>),
    FirstUse(Once, To<Use>),
}

/// An answer that waits for the commit, and what memory learns then.
struct Pending {
    notice: Option<Notice>,
    send: Box<dyn FnOnce(Result<(), StoreFault>)>,
}

impl Pending {
    fn new<T: 'static>(to: To<T>, answer: T, notice: Option<Notice>) -> Self {
        let send = move |committed: Result<(), StoreFault>| drop(to.send(committed.map(|()| answer)));
        Self { notice, send: Box::new(send) }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// It has not been asked for.
    NotOpen,
    Open,
    /// It failed; it is opened again from this moment on.
    Failed(Instant),
    HandedOver,
}

/// What the thread has.
pub(super) struct Keeper {
    place: PathBuf,
    map: Arc<RevocationMap>,
    database: Shared,
    health: Arc<Health>,
    phase: Phase,
}

impl Keeper {
    pub(super) fn new(
        place: PathBuf,
        map: Arc<RevocationMap>,
        database: Shared,
        health: Arc<Health>,
    ) -> Self {
        Self { place, map, database, health, phase: Phase::NotOpen }
    }

    pub(super) fn work(&mut self, batch: Vec<Work>) {
        let mut writes = Vec::new();
        for work in batch {
            match work {
                Work::Write(write) => writes.push(*write),
                Work::Open(answer) => drop(answer.send(self.open())),
                Work::LookAfter { sweeps } => self.look_after(sweeps),
                Work::Release(answer) => {
                    self.write(std::mem::take(&mut writes));
                    self.phase = Phase::HandedOver;
                    self.close();
                    let _ = answer.send(());
                }
            }
        }
        if !writes.is_empty() {
            self.write(writes);
        }
    }

    fn open(&mut self) -> Result<(), FileProblem> {
        if self.phase == Phase::Open {
            return Ok(());
        }
        let (database, ended) = guarded(|| file::open(&self.place))
            .inspect_err(|_| self.phase = Phase::Failed(Instant::now() + REOPEN_TIME))?;
        for notice in ended {
            // A full map asks the store.
            let _ = self.map.apply(&notice);
        }
        self.database.store(Some(Arc::new(database)));
        self.phase = Phase::Open;
        Ok(())
    }

    /// Drops the database when its last reader has.
    fn close(&mut self) {
        let mut database = self.database.swap(None);
        while let Some(shared) = database.take() {
            database = Arc::try_unwrap(shared).err();
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// The database, opened again where it has failed.
    fn opened(&mut self) -> Result<Arc<Database>, StoreFault> {
        match self.phase {
            Phase::NotOpen => return Err(StoreFault::NotOpen),
            Phase::HandedOver => return Err(StoreFault::HandedOver),
            Phase::Failed(from) if Instant::now() < from => return Err(StoreFault::Disk),
            Phase::Failed(_) => {
                if let Err(problem) = self.open() {
                    tracing::warn!(%problem, file = %self.place.display(), "the session database cannot be opened again");
                    return Err(StoreFault::Disk);
                }
            }
            Phase::Open => {}
        }
        self.database.load_full().ok_or(StoreFault::NotOpen)
    }

    fn failed(&mut self, problem: &::redb::Error) {
        tracing::error!(%problem, file = %self.place.display(), "the session database cannot be written");
        self.phase = Phase::Failed(Instant::now() + REOPEN_TIME);
        self.close();
    }

    /// Commits writes together, and answers.
    fn write(&mut self, writes: Vec<Write>) {
        let database = match self.opened() {
            Ok(database) => database,
            Err(fault) => return writes.into_iter().for_each(|write| write.refuse(fault)),
        };
        let map = Arc::clone(&self.map);
        let mut pending = Vec::with_capacity(writes.len());
        let committed = guarded::<_, ::redb::Error>(|| {
            let writing = database.begin_write()?;
            {
                let mut tables = Tables::open(&writing)?;
                for write in writes {
                    pending.push(write.apply(&mut tables, &map)?);
                }
            }
            writing.commit()?;
            Ok(())
        });
        drop(database);
        let outcome = match committed {
            Ok(()) => Ok(()),
            Err(problem) => {
                self.failed(&problem);
                Err(StoreFault::Disk)
            }
        };
        for Pending { notice, send } in pending {
            if let (Some(notice), Ok(())) = (notice, outcome) {
                let _ = self.map.apply(&notice);
            }
            send(outcome);
        }
    }

    fn look_after(&mut self, sweeps: bool) {
        let now = unix_now();
        if sweeps {
            self.map.sweep(now);
        }
        let Ok(database) = self.opened() else { return };
        let swept = if sweeps { guarded(|| sweep(&database, now)) } else { Ok(()) };
        drop(database);
        match swept {
            Ok(()) => self.health.works(),
            Err(problem) => {
                self.failed(&problem);
                self.health.fails(StoreUnavailable { operation: Operation::Sweep, fault: StoreFault::Disk });
            }
        }
    }
}

/// Drops what has expired.
fn sweep(database: &Database, now: i64) -> Result<(), ::redb::Error> {
    loop {
        let writing = database.begin_write()?;
        let is_more = Tables::open(&writing)?.sweep(now)?;
        writing.commit()?;
        if !is_more {
            return Ok(());
        }
    }
}

impl Write {
    /// Does it; the answer waits for the commit.
    fn apply(self, tables: &mut Tables<'_>, map: &RevocationMap) -> Result<Pending, StorageError> {
        let now = unix_now();
        let until = map.kept_until(now);
        Ok(match self {
            Self::Put(entry, replaces, to) => {
                tables.put(&entry, replaces, now)?;
                Pending::new(to, (), replaces.map(|key| Notice::ended(key, until)))
            }
            Self::PutFenced(entry, fence, to) => {
                let fenced = tables.put_fenced(&entry, fence, now)?;
                let is_changed = fenced == Fenced::Stored;
                let notice = is_changed.then(|| Notice::changed(entry.key, until));
                Pending::new(to, fenced, notice)
            }
            Self::Remove(key, to) => {
                tables.drop_session(key)?;
                Pending::new(to, (), Some(Notice::ended(key, until)))
            }
            Self::Seen(batch, to) => Pending::new(to, tables.seen(&batch)?, None),
            Self::Lock(key, time, to) => {
                let now_ms = millis(unix_time());
                let until_ms = now_ms.saturating_add(millis(time));
                Pending::new(to, tables.lock(key, now_ms, until_ms)?, None)
            }
            Self::Unlock(key, fence, to) => Pending::new(to, tables.unlock(key, fence)?, None),
            Self::FirstUse(once, to) => Pending::new(to, tables.first_use(once, now)?, None),
            Self::Revoke(notice, once, to) => {
                let used = once.map_or(Ok(Use::First), |once| tables.first_use(once, now))?;
                if used == Use::Again {
                    return Ok(Pending::new(to, used, None));
                }
                tables.revoke(&notice)?;
                Pending::new(to, used, Some(notice))
            }
        })
    }

    fn refuse(self, fault: StoreFault) {
        match self {
            Self::Put(_, _, to) | Self::Remove(_, to) | Self::Seen(_, to) | Self::Unlock(_, _, to) => {
                let _ = to.send(Err(fault));
            }
            Self::PutFenced(_, _, to) => drop(to.send(Err(fault))),
            Self::Lock(_, _, to) => drop(to.send(Err(fault))),
            Self::Revoke(_, _, to) | Self::FirstUse(_, to) => drop(to.send(Err(fault))),
        }
    }
}

/// Runs what opens, reads or writes the database; a damaged file may make it panic.
pub(super) fn guarded<T, E: From<StorageError>>(work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    let panicked = |_| Err(StorageError::Corrupted("the database gave up".to_owned()).into());
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(panicked)
}
