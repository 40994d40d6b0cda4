//! The store that the configuration names, from the start of the process to its end.
//!
//! A file belongs to one process. At an upgrade the predecessor leaves it when the successor serves, and goes on with what
//! it remembers; the successor opens it before it accepts anything.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use portcullis_config::settings::{Secret, SessionSettings, SessionStore};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use super::health::{Condition, Health};
use super::outage::{Operation, StoreFault, StoreUnavailable};
use super::revocation::{Journal, JournalProblem, Link, Records, RevocationLog, RevocationMap, Revocations};
use super::store::{FileProblem, RedbStore, RedisStore, Store, Target, follow};

/// How often a store that failed is looked after.
const TICK: Duration = Duration::from_secs(1);
const SWEEP_EVERY_TICKS: u32 = 60;
/// How long a start waits for a server's first answer.
const START_TIME: Duration = Duration::from_secs(2);
/// How long a successor waits for its predecessor to leave the file.
const TAKE_OVER_TIME: Duration = Duration::from_secs(8);
const TAKE_OVER_LOOK: Duration = Duration::from_millis(20);

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StorageProblem {
    /// Another process has its file.
    #[error(
        "error[session/store-held]: {0}: another process has it\n  = why: two processes would not hear of each other's sign-outs\n  = help: end the other process, take over from it with `portcullis run --upgrade`, or give this one a file of its own\n"
    )]
    Held(String),
    /// Its file is not what it should be, or is damaged.
    #[error(
        "error[session/store-unreadable]: {file}: {what}\n  = why: sessions that were ended might live again\n  = help: {help}\n"
    )]
    Unreadable {
        /// The file.
        file: String,
        /// What is wrong.
        what: String,
        /// How to mend it.
        help: &'static str,
    },
    /// It cannot be opened.
    #[error(
        "error[session/store]: {0}: {1}\n  = help: see to it that this user can read and write it, and that its folder exists\n"
    )]
    Io(String, String),
    /// The address of the server is no good.
    #[error("error[session/store]: the address of the session store is not usable: {0}\n")]
    Address(String),
}

#[derive(Debug)]
enum Kind {
    Cookie(Arc<Journal>, String),
    Redb(Arc<RedbStore>, String),
    Redis(Arc<RedisStore>),
}

/// Where sessions are, and what ends them.
#[derive(Debug)]
pub struct Storage {
    /// Where sessions are looked up; `None` where they are in cookies.
    pub store: Option<Arc<dyn Store>>,
    /// What has ended.
    pub revocations: Arc<Revocations>,
    link: Arc<Link>,
    health: Arc<Health>,
    kind: Kind,
}

impl Kind {
    fn log(&self) -> Arc<dyn RevocationLog> {
        match self {
            Self::Cookie(journal, _) => Arc::clone(journal) as _,
            Self::Redb(store, _) => Arc::clone(store) as _,
            Self::Redis(store) => Arc::clone(store) as _,
        }
    }

    fn store(&self) -> Option<Arc<dyn Store>> {
        match self {
            Self::Cookie(..) => None,
            Self::Redb(store, _) => Some(Arc::clone(store) as _),
            Self::Redis(store) => Some(Arc::clone(store) as _),
        }
    }
}

impl Storage {
    /// Looks whether the store can be used, and opens nothing. Blocks.
    ///
    /// # Errors
    /// When its file is damaged or of another kind, or its address is no good.
    pub fn new(settings: &SessionSettings) -> Result<Self, StorageProblem> {
        let health = Arc::<Health>::default();
        let no_thread =
            |problem: std::io::Error| StorageProblem::Io("a thread".to_owned(), problem.to_string());
        let records = if settings.store.holds_tokens() { Records::Stored } else { Records::None };
        let map = Arc::new(RevocationMap::new(records));
        let mut link = Arc::new(Link::alone());
        let kind = match &settings.store {
            SessionStore::Cookie => {
                let shown = shown(settings.journal.as_deref());
                if let Some(place) = &settings.journal {
                    Journal::inspect(place).map_err(|problem| of_journal(&shown, problem))?;
                }
                let journal = Journal::new(settings.journal.clone(), Arc::clone(&map), Arc::clone(&health));
                Kind::Cookie(Arc::new(journal.map_err(no_thread)?), shown)
            }
            SessionStore::Redb(place) => {
                let shown = shown(Some(place));
                RedbStore::inspect(place).map_err(|problem| of_file(&shown, problem))?;
                let store = RedbStore::new(place.clone(), Arc::clone(&map), Arc::clone(&health));
                Kind::Redb(Arc::new(store.map_err(no_thread)?), shown)
            }
            SessionStore::Redis { url, password, ca } => {
                link = Arc::new(Link::shared());
                let target = Target {
                    url: url.expose(),
                    password: password.as_ref().map(Secret::expose),
                    authorities: ca.as_ref().map(|ca| ca.certificates.as_slice()),
                };
                let store =
                    RedisStore::new(&target, Arc::clone(&map), Arc::clone(&link), Arc::clone(&health));
                Kind::Redis(Arc::new(store.map_err(StorageProblem::Address)?))
            }
        };
        let revocations = Arc::new(Revocations::new(map, Arc::clone(&link), kind.log()));
        revocations.sessions_live(settings.absolute);
        Ok(Self { store: kind.store(), revocations, link, health, kind })
    }

    /// Opens it. Redis is waited for, but not for long: until it answers, no session is known and none can begin.
    ///
    /// # Errors
    /// When another process has its file, or the file is damaged or not ours.
    pub async fn open(&self) -> Result<(), StorageProblem> {
        match &self.kind {
            Kind::Cookie(journal, file) => journal.open().await.map_err(|problem| of_journal(file, problem)),
            Kind::Redb(store, file) => store.open().await.map_err(|problem| of_file(file, problem)),
            Kind::Redis(store) => {
                store.open().map_err(StorageProblem::Address)?;
                store.first_news(START_TIME).await;
                Ok(())
            }
        }
    }

    /// Opens it when the predecessor has left it. From this call on whoever asks waits for that, for a second at most.
    /// What cannot be opened in time is tried again in the background.
    pub fn take_over(&'static self) -> impl Future<Output = ()> {
        self.hold_back(true);
        async move {
            let end = Instant::now() + TAKE_OVER_TIME;
            let opened = loop {
                match self.open().await {
                    Err(StorageProblem::Held(_)) if Instant::now() < end => sleep(TAKE_OVER_LOOK).await,
                    other => break other,
                }
            };
            self.hold_back(false);
            if let Err(problem) = opened {
                let fault = match problem {
                    StorageProblem::Held(_) => StoreFault::NotOpen,
                    StorageProblem::Unreadable { .. } => StoreFault::Unreadable,
                    StorageProblem::Io(..) | StorageProblem::Address(_) => StoreFault::Disk,
                };
                self.health.fails(StoreUnavailable { operation: Operation::Open, fault });
                tracing::error!("the session store cannot be opened; it is tried again\n{problem}");
            }
        }
    }

    fn hold_back(&self, is_held: bool) {
        match &self.kind {
            Kind::Cookie(journal, _) => journal.gate().close(is_held),
            Kind::Redb(store, _) => store.gate().close(is_held),
            Kind::Redis(_) => {}
        }
    }

    /// Leaves it to the successor. What is remembered here serves for `stale-max`; nothing new is known.
    pub async fn release(&self) {
        match &self.kind {
            Kind::Cookie(journal, _) => journal.release().await,
            Kind::Redb(store, _) => store.release().await,
            // It is shared.
            Kind::Redis(_) => return,
        }
        self.link.cut();
    }

    /// Looks after it until `shutdown` turns true: drops what has expired, follows other replicas, opens anew what failed.
    pub async fn run(&self, shutdown: watch::Receiver<bool>) {
        if let Kind::Redis(store) = &self.kind {
            tokio::join!(follow(store, shutdown.clone()), self.tick(shutdown));
        } else {
            self.tick(shutdown).await;
        }
    }

    async fn tick(&self, shutdown: watch::Receiver<bool>) {
        let mut ending = shutdown;
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut tick = 0_u32;
        loop {
            tokio::select! {
                _ = ending.wait_for(|ends| *ends) => return,
                _ = ticks.tick() => {}
            }
            tick = tick.wrapping_add(1);
            let sweeps = tick.is_multiple_of(SWEEP_EVERY_TICKS);
            match &self.kind {
                Kind::Cookie(journal, _) => journal.look_after(sweeps),
                Kind::Redb(store, _) => store.look_after(sweeps),
                Kind::Redis(_) => {}
            }
            // It fails where the store does, which is said there.
            let _ = self.revocations.keep_all().await;
        }
    }

    /// Whether it works.
    #[must_use]
    pub fn condition(&self) -> Condition {
        self.health.condition()
    }

    /// How often each operation failed.
    #[must_use]
    pub fn failures(&self) -> [(Operation, u64); Operation::ALL.len()] {
        self.health.failures()
    }

    /// Its kind, as the configuration calls it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match &self.kind {
            Kind::Cookie(..) => "cookie",
            Kind::Redb(..) => "redb",
            Kind::Redis(_) => "redis",
        }
    }
}

fn shown(file: Option<&Path>) -> String {
    file.map_or_else(|| "no journal".to_owned(), |file| file.display().to_string())
}

fn of_journal(file: &str, problem: JournalProblem) -> StorageProblem {
    match problem {
        JournalProblem::Held => StorageProblem::Held(file.to_owned()),
        JournalProblem::Io(problem) => StorageProblem::Io(file.to_owned(), problem.to_string()),
        JournalProblem::Malformed(what) => StorageProblem::Unreadable {
            file: file.to_owned(),
            what,
            help: "restore the file from a copy; or move it away and give `session.keys` new keys, which signs everybody out",
        },
    }
}

fn of_file(file: &str, problem: FileProblem) -> StorageProblem {
    let unreadable = |what, help| StorageProblem::Unreadable { file: file.to_owned(), what, help };
    match problem {
        FileProblem::Held => StorageProblem::Held(file.to_owned()),
        FileProblem::Io(what) => StorageProblem::Io(file.to_owned(), what),
        FileProblem::Foreign(what) => {
            unreadable(what.to_owned(), "name another file in `session.store`; this one is left as it is")
        }
        FileProblem::Damaged(what) => unreadable(
            what,
            "restore the file from a copy, or move it away: everybody signs in again, and no session lives on",
        ),
    }
}
