//! Sessions in a redb database file: for one machine.
//!
//! One thread writes, and what waits is committed together and flushed to disk before anybody is answered. Last-seen times
//! come once a minute. Readers share the open database. When the file fails (a full disk), the database is closed and
//! opened again, once a second at most, which takes back what was half written.

mod file;
mod keeper;
mod tables;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ::redb::Database;
use ahash::AHashMap;
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};

pub use self::file::FileProblem;
use self::file::Shared;
use self::keeper::{Keeper, Work, Write};
use crate::clock::unix_now;
use crate::session::batch::{ANSWER_TIME, Gate, Worker};
use crate::session::health::{Condition, Health};
use crate::session::key::StoreKey;
use crate::session::outage::{Answer, Operation, StoreFault, StoreUnavailable};
use crate::session::revocation::{Notice, Once, RevocationLog, RevocationMap, Use};
use crate::session::store::{Entry, Fence, Fenced, Seen, Store, Stored};

/// How long a hand-over waits for those who hold a lock.
const RELEASE_TIME: Duration = Duration::from_secs(3);
const RELEASE_LOOK: Duration = Duration::from_millis(10);

/// The store of one machine.
#[derive(Debug)]
pub struct RedbStore {
    worker: Worker<Work>,
    database: Shared,
    health: Arc<Health>,
    locks: Mutex<Locks>,
}

/// Locks that this process holds. A hand-over waits for them: what they fetched would be lost.
#[derive(Debug, Default)]
struct Locks {
    held: AHashMap<StoreKey, Fence>,
    is_leaving: bool,
}

impl RedbStore {
    /// A store whose file is still to be opened.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn new(place: PathBuf, map: Arc<RevocationMap>, health: Arc<Health>) -> std::io::Result<Self> {
        let database = Shared::default();
        let mut keeper = Keeper::new(place, map, Arc::clone(&database), Arc::clone(&health));
        let worker = Worker::start("sessions", move |batch| keeper.work(batch))?;
        Ok(Self { worker, database, health, locks: Mutex::default() })
    }

    /// Looks whether there is a file of another kind, whoever has it.
    ///
    /// # Errors
    /// When there is.
    pub fn inspect(place: &Path) -> Result<(), FileProblem> {
        file::inspect(place)
    }

    /// Opens the file.
    ///
    /// # Errors
    /// When another process has it, or it is damaged or not ours.
    pub async fn open(&self) -> Result<(), FileProblem> {
        let (answer, answered) = oneshot::channel();
        self.worker.tell(Work::Open(answer));
        answered.await.unwrap_or_else(|_| Err(FileProblem::Io("its thread has ended".to_owned())))
    }

    /// What holds those who ask back.
    pub(in crate::session) fn gate(&self) -> &Gate {
        self.worker.gate()
    }

    /// Leaves the file to another process, once nobody holds a lock here, or after three seconds.
    pub async fn release(&self) {
        self.locks.lock().is_leaving = true;
        let end = Instant::now() + RELEASE_TIME;
        while !self.locks.lock().held.is_empty() && Instant::now() < end {
            sleep(RELEASE_LOOK).await;
        }
        let (answer, answered) = oneshot::channel();
        self.worker.tell(Work::Release(answer));
        let _ = answered.await;
    }

    /// Opens the file again where it failed, and drops what has expired.
    pub(crate) fn look_after(&self, sweeps: bool) {
        if sweeps || self.health.condition() != Condition::Works {
            self.worker.tell(Work::LookAfter { sweeps });
        }
    }

    async fn write<T>(
        &self,
        operation: Operation,
        make: impl FnOnce(oneshot::Sender<Result<T, StoreFault>>) -> Write + Send,
    ) -> Result<T, StoreUnavailable> {
        let answer = self.worker.ask(operation, |answer| Work::Write(Box::new(make(answer)))).await;
        self.health.note(answer)
    }

    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Database) -> Result<T, ::redb::Error> + Send + 'static,
    ) -> Result<T, StoreFault> {
        self.gate().passed().await;
        let Some(database) = self.database.load_full() else { return Err(StoreFault::NotOpen) };
        let look = move || {
            let answer = keeper::guarded(|| read(&database));
            // Before the answer: whoever closes the file waits for readers.
            drop(database);
            answer
        };
        match timeout(ANSWER_TIME, tokio::task::spawn_blocking(look)).await {
            Ok(Ok(answer)) => answer.map_err(|problem| {
                tracing::error!(%problem, "a session cannot be read");
                StoreFault::Unreadable
            }),
            Ok(Err(_)) => Err(StoreFault::Unreadable),
            Err(_) => Err(StoreFault::Timeout),
        }
    }
}

impl RevocationLog for RedbStore {
    fn revoke(&self, notice: Notice, once: Option<Once>) -> Answer<'_, Use> {
        Box::pin(self.write(Operation::Revoke, move |answer| Write::Revoke(notice, once, answer)))
    }

    fn first_use(&self, once: Once) -> Answer<'_, Use> {
        Box::pin(self.write(Operation::FirstUse, move |answer| Write::FirstUse(once, answer)))
    }
}

impl Store for RedbStore {
    fn get(&self, key: StoreKey) -> Answer<'_, Option<Stored>> {
        Box::pin(async move {
            let answer = self.read(move |database| tables::get(database, key, unix_now())).await;
            self.health.note(answer.map_err(|fault| StoreUnavailable { operation: Operation::Get, fault }))
        })
    }

    fn put(&self, entry: Entry, replaces: Option<StoreKey>) -> Answer<'_, ()> {
        Box::pin(self.write(Operation::Put, move |answer| Write::Put(entry, replaces, answer)))
    }

    fn remove(&self, key: StoreKey) -> Answer<'_, ()> {
        Box::pin(self.write(Operation::Remove, move |answer| Write::Remove(key, answer)))
    }

    fn revoke_stored(&self, notice: Notice) -> Answer<'_, bool> {
        Box::pin(async move {
            // Looked at first: what anybody may invent flushes nothing to the disk.
            let has_any = self.read(move |database| tables::has_sessions(database, notice.mark)).await;
            let failed = |fault| StoreUnavailable { operation: Operation::Revoke, fault };
            if !self.health.note(has_any.map_err(failed))? {
                return Ok(false);
            }
            let used = self.write(Operation::Revoke, move |answer| Write::Revoke(notice, None, answer)).await;
            used.map(|_| true)
        })
    }

    fn seen(&self, batch: Vec<Seen>) -> Answer<'_, ()> {
        Box::pin(self.write(Operation::Seen, move |answer| Write::Seen(batch, answer)))
    }

    fn lock(&self, key: StoreKey, time: Duration) -> Answer<'_, Option<Fence>> {
        Box::pin(async move {
            if self.locks.lock().is_leaving {
                let (operation, fault) = (Operation::Lock, StoreFault::HandedOver);
                return Err(StoreUnavailable { operation, fault });
            }
            let fence = self.write(Operation::Lock, move |answer| Write::Lock(key, time, answer)).await?;
            if let Some(fence) = fence {
                self.locks.lock().held.insert(key, fence);
            }
            Ok(fence)
        })
    }

    fn unlock(&self, key: StoreKey, fence: Fence) -> Answer<'_, ()> {
        Box::pin(async move {
            let answer = self.write(Operation::Lock, move |answer| Write::Unlock(key, fence, answer)).await;
            let mut locks = self.locks.lock();
            if locks.held.get(&key) == Some(&fence) {
                locks.held.remove(&key);
            }
            answer
        })
    }

    fn put_fenced(&self, entry: Entry, fence: Fence) -> Answer<'_, Fenced> {
        Box::pin(self.write(Operation::Put, move |answer| Write::PutFenced(entry, fence, answer)))
    }
}
