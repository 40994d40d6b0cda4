//! The journal beside the cookie store: what ended stays ended after a restart.
//!
//! One thread appends and flushes for all that wait. After a failed write the end of the file is unknown, so the next one
//! writes the whole journal anew from memory before anybody is answered.

mod file;
mod format;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ahash::AHashMap;
use tokio::sync::oneshot;

use self::file::JournalFile;
pub use self::file::JournalProblem;
use self::format::Record;
use super::map::RevocationMap;
use super::notice::{By, Notice};
use super::{Once, RevocationLog, Use};
use crate::clock::unix_now;
use crate::session::batch::{Gate, Worker};
use crate::session::health::{Condition, Health};
use crate::session::key::OnceKey;
use crate::session::outage::{Answer, Operation, StoreFault, StoreUnavailable};

/// A journal is written anew when it has so many records more than twice those that matter.
const IDLE_RECORDS: usize = 4096;

/// The log of the cookie store.
#[derive(Debug)]
pub struct Journal {
    worker: Worker<Work>,
    health: Arc<Health>,
}

#[derive(Debug)]
enum Work {
    Open(oneshot::Sender<Result<(), JournalProblem>>),
    Note(Option<Notice>, Option<Once>, oneshot::Sender<Result<Use, StoreFault>>),
    LookAfter {
        sweeps: bool,
    },
    Release(oneshot::Sender<()>),
    #[cfg(test)]
    Break(oneshot::Sender<()>),
}

impl Journal {
    /// A journal that is still to be opened. Without a place, sign-outs are forgotten at a restart.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn new(
        place: Option<PathBuf>,
        map: Arc<RevocationMap>,
        health: Arc<Health>,
    ) -> std::io::Result<Self> {
        if place.is_some() {
            map.await_journal();
        }
        let mut keeper = Keeper {
            place,
            file: State::NotOpen,
            used: AHashMap::new(),
            map,
            health: Arc::clone(&health),
            is_wanted: false,
        };
        Ok(Self { worker: Worker::start("journal", move |batch| keeper.work(batch))?, health })
    }

    /// Looks whether a journal can be read, whoever has it.
    ///
    /// # Errors
    /// When it cannot.
    pub fn inspect(place: &Path) -> Result<(), JournalProblem> {
        file::inspect(place)
    }

    /// Opens it and takes up what it says.
    ///
    /// # Errors
    /// When another process has it, or it cannot be read.
    pub async fn open(&self) -> Result<(), JournalProblem> {
        let (answer, answered) = oneshot::channel();
        self.worker.tell(Work::Open(answer));
        answered.await.unwrap_or_else(|_| Err(std::io::Error::other("its thread has ended").into()))
    }

    /// Opens the file again where it failed; forgets what no longer matters, and writes the file anew where that saves
    /// much.
    pub(crate) fn look_after(&self, sweeps: bool) {
        if sweeps || self.health.condition() != Condition::Works {
            self.worker.tell(Work::LookAfter { sweeps });
        }
    }

    /// What holds those who ask back.
    pub(in crate::session) fn gate(&self) -> &Gate {
        self.worker.gate()
    }

    /// Leaves the file to another process.
    pub async fn release(&self) {
        let (answer, answered) = oneshot::channel();
        self.worker.tell(Work::Release(answer));
        let _ = answered.await;
    }

    /// From now on writes fail as on a full disk.
    #[cfg(test)]
    async fn break_file(&self) {
        let (answer, answered) = oneshot::channel();
        self.worker.tell(Work::Break(answer));
        answered.await.unwrap();
    }

    async fn note(
        &self,
        operation: Operation,
        notice: Option<Notice>,
        once: Option<Once>,
    ) -> Result<Use, StoreUnavailable> {
        let answer = self.worker.ask(operation, |answer| Work::Note(notice, once, answer)).await;
        self.health.note(answer)
    }
}

impl RevocationLog for Journal {
    fn revoke(&self, notice: Notice, once: Option<Once>) -> Answer<'_, Use> {
        Box::pin(self.note(Operation::Revoke, Some(notice), once))
    }

    fn first_use(&self, once: Once) -> Answer<'_, Use> {
        Box::pin(self.note(Operation::FirstUse, None, Some(once)))
    }
}

/// Whether there is a file to write to.
#[derive(Debug)]
enum State {
    NotOpen,
    /// None is wanted.
    Without,
    Open(JournalFile),
    /// Its end is unknown: it is to be written anew.
    Broken(JournalFile),
    HandedOver,
}

/// What the thread has.
struct Keeper {
    place: Option<PathBuf>,
    file: State,
    used: AHashMap<OnceKey, i64>,
    map: Arc<RevocationMap>,
    health: Arc<Health>,
    /// Whether the file has been asked for.
    is_wanted: bool,
}

/// Who waits for what.
type Waiting = (Use, oneshot::Sender<Result<Use, StoreFault>>);

impl Keeper {
    fn work(&mut self, batch: Vec<Work>) {
        let now = unix_now();
        let (mut records, mut waiting): (Vec<Record>, Vec<Waiting>) = (Vec::new(), Vec::new());
        for work in batch {
            match work {
                Work::Note(notice, once, answer) => {
                    waiting.push((self.take(notice, once, now, &mut records), answer));
                }
                Work::Open(answer) => drop(answer.send(self.open(now))),
                Work::LookAfter { sweeps } => self.look_after(sweeps, now),
                #[cfg(test)]
                Work::Break(answer) => {
                    if let State::Open(file) = &mut self.file {
                        file.fill_disk();
                    }
                    answer.send(()).unwrap();
                }
                Work::Release(answer) => {
                    self.write(&mut records, &mut waiting, now);
                    self.file = State::HandedOver;
                    let _ = answer.send(());
                }
            }
        }
        self.write(&mut records, &mut waiting, now);
    }

    /// What is to be written for a request.
    fn take(
        &mut self,
        notice: Option<Notice>,
        once: Option<Once>,
        now: i64,
        records: &mut Vec<Record>,
    ) -> Use {
        if let Some(once) = once {
            if self.used.get(&once.key).is_some_and(|until| *until > now) {
                return Use::Again;
            }
            self.used.insert(once.key, once.until);
            records.push(Record::Used(once));
        }
        records.extend(notice.map(Record::Revoked));
        Use::First
    }

    /// Writes records, and answers those who wait for them.
    fn write(&mut self, records: &mut Vec<Record>, waiting: &mut Vec<Waiting>, now: i64) {
        let records = std::mem::take(records);
        let written = if records.is_empty() { Ok(()) } else { self.store(&records, now) };
        for record in &records {
            match (record, written) {
                (Record::Revoked(notice), Ok(())) => {
                    // The map was not full when the caller, or the journal, put it there.
                    let _ = self.map.apply(notice);
                }
                (Record::Used(once), Err(_)) => drop(self.used.remove(&once.key)),
                (Record::Revoked(_), Err(_)) | (Record::Used(_), Ok(())) => {}
            }
        }
        for (used, answer) in waiting.drain(..) {
            let _ = answer.send(written.map(|()| used));
        }
    }

    fn store(&mut self, records: &[Record], now: i64) -> Result<(), StoreFault> {
        let state = std::mem::replace(&mut self.file, State::NotOpen);
        let (state, written) = match state {
            State::NotOpen => (State::NotOpen, Err(StoreFault::NotOpen)),
            State::HandedOver => (State::HandedOver, Err(StoreFault::HandedOver)),
            State::Without => (State::Without, Ok(())),
            State::Open(mut file) => match file.append(records) {
                Ok(()) => (State::Open(file), Ok(())),
                Err(problem) => {
                    tracing::error!(%problem, "the journal of sign-outs cannot be written");
                    (State::Broken(file), Err(StoreFault::Disk))
                }
            },
            State::Broken(mut file) => {
                let mut all = self.alive(now);
                all.extend_from_slice(records);
                match file.rewrite(&all) {
                    Ok(()) => (State::Open(file), Ok(())),
                    Err(_) => (State::Broken(file), Err(StoreFault::Disk)),
                }
            }
        };
        self.file = state;
        written
    }

    /// What a new journal says.
    fn alive(&self, now: i64) -> Vec<Record> {
        let used = self.used.iter().filter(|(_, until)| **until > now);
        let used = used.map(|(key, until)| Record::Used(Once { key: *key, until: *until }));
        self.map.notices(now).into_iter().map(Record::Revoked).chain(used).collect()
    }

    fn open(&mut self, now: i64) -> Result<(), JournalProblem> {
        self.is_wanted = true;
        let Some(place) = &self.place else {
            self.file = State::Without;
            return Ok(());
        };
        if matches!(self.file, State::Open(_) | State::Broken(_)) {
            return Ok(());
        }
        let (file, contents) = JournalFile::open(place)?;
        if contents.torn_bytes > 0 {
            tracing::warn!(
                bytes = contents.torn_bytes,
                file = %place.display(),
                "the last sign-outs before a crash were not written whole and are gone; nobody was answered that they would last"
            );
        }
        for record in contents.records {
            match record {
                Record::Revoked(notice) if notice.until > now => {
                    match (self.map.apply(&notice), notice.by) {
                        // What anybody may have invented keeps no process from starting.
                        (Ok(()), _) | (Err(_), By::Anybody) => {}
                        (Err(full), By::Known) => return Err(std::io::Error::other(full.to_string()).into()),
                    }
                }
                Record::Used(once) if once.until > now => drop(self.used.insert(once.key, once.until)),
                Record::Revoked(_) | Record::Used(_) => {}
            }
        }
        self.file = State::Open(file);
        self.map.has_journal();
        self.shrink(now);
        Ok(())
    }

    fn look_after(&mut self, sweeps: bool, now: i64) {
        if sweeps {
            self.map.sweep(now);
            self.used.retain(|_, until| *until > now);
            self.shrink(now);
        }
        let mended = match &self.file {
            State::Broken(_) => self.store(&[], now).is_ok(),
            State::NotOpen if self.is_wanted => self.open(now).is_ok(),
            _ => return,
        };
        if mended {
            self.health.works();
        }
    }

    /// Writes the journal anew where most of it no longer matters.
    fn shrink(&mut self, now: i64) {
        let matters = self.map.len() + self.used.len();
        let State::Open(file) = &self.file else { return };
        if file.records <= 2 * matters + IDLE_RECORDS {
            return;
        }
        let alive = self.alive(now);
        if let State::Open(file) = &mut self.file
            && let Err(problem) = file.rewrite(&alive)
        {
            // The former one stands.
            tracing::warn!(%problem, "the journal of sign-outs cannot be written anew; it grows");
        }
    }
}
