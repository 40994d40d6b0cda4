//! Work beside requests that outlives reloads: the reload itself, the refresh of keys and of upstream names, the checks
//! of upstreams, and the freeing of what is no longer used.
//!
//! Files are looked at about once a second; a reload can be asked for at once.

mod files;
mod low_priority;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

pub(crate) use low_priority::spawn_low_priority;

use self::files::Files;
use crate::provider::Provider;
use crate::state::{Snapshot, State, StateError};
use crate::token::KeyStore;
use crate::upstream::{Health, Name};

const TICK: Duration = Duration::from_secs(1);
const SWEEP_EVERY_TICKS: u32 = 60;
/// Editors write in steps: two looks so far apart must agree before a change is read.
const SETTLE: Duration = Duration::from_millis(200);

/// Asks for a reload; what it sends back says whether the files serve now.
pub(crate) type ReloadRequest = oneshot::Sender<bool>;

/// Keeps a state fresh.
#[derive(Debug)]
pub(crate) struct Background {
    state: &'static State,
}

impl Background {
    /// Keeps `state` fresh.
    #[must_use]
    pub(crate) const fn new(state: &'static State) -> Self {
        Self { state }
    }

    /// Starts what is due at a tick, and does not wait for it.
    fn start_due(&self, tick: u32) {
        let start = |work: fn(&State)| {
            let state = self.state;
            drop(tokio::spawn(spawn_low_priority(move || work(state))));
        };
        if self.state.has_retired() {
            start(State::drop_retired);
        }
        if tick.is_multiple_of(SWEEP_EVERY_TICKS) {
            start(State::sweep);
            drop(tokio::spawn(self.state.flush_uses()));
        }
    }

    async fn look(&self) -> Files {
        let state = self.state;
        tokio::task::spawn_blocking(move || Files::of(&state.snapshot().config)).await.unwrap_or_default()
    }

    /// The files once they are no longer being written; `found` is how they were found.
    async fn settled(mut found: Files) -> Files {
        loop {
            tokio::time::sleep(SETTLE).await;
            let look = tokio::task::spawn_blocking(move || (found.again(), found)).await;
            let (again, before) = look.unwrap_or_default();
            if again == before {
                return again;
            }
            found = again;
        }
    }

    /// Reads the files and serves them, if they are as `found` says all the while: half of a policy file may be a valid one.
    async fn reload(&self, found: Files) -> Reload {
        let state = self.state;
        let reload = move || {
            let mut read = None;
            let result = state.reload(|config| {
                let now = config.map_or_else(|| found.again(), Files::of);
                let is_whole = now.were_so(&found);
                read = Some(now);
                is_whole
            });
            (result, found, read)
        };
        let (serves, found) = match spawn_low_priority(reload).await {
            Some((Err(StateError::Changing), _, Some(read))) => return Reload::Changing(read),
            Some((Ok(snapshot), found, _)) => {
                tracing::info!(generation = snapshot.generation.0, "the configuration was reloaded");
                (true, found)
            }
            Some((Err(problem), found, _)) => {
                tracing::error!(
                    "the configuration was NOT reloaded; the former one goes on serving\n{problem}"
                );
                (false, found)
            }
            None => {
                self.state.metrics.reload_refused();
                tracing::error!("a reload ended early; the former configuration goes on serving");
                (false, self.look().await)
            }
        };
        Reload::Done { serves, found }
    }

    /// Works until `shutdown` turns true, or its sender is gone.
    pub(crate) async fn run(
        self,
        mut requests: mpsc::Receiver<ReloadRequest>,
        mut shutdown: watch::Receiver<bool>,
    ) {
        let mut keys = Refreshes::new(&shutdown, |store: Arc<KeyStore>, stop| tokio::spawn(store.run(stop)));
        let mut metadata = Refreshes::new(&shutdown, |one: Arc<Provider>, stop| tokio::spawn(one.run(stop)));
        let mut names = Refreshes::new(&shutdown, |name: Arc<Name>, stop| tokio::spawn(name.run(stop)));
        let mut checks = Refreshes::new(&shutdown, |one: Arc<Health>, stop| tokio::spawn(one.run(stop)));
        let mut follow = |snapshot: &Snapshot| {
            keys.follow(&snapshot.stores);
            metadata.follow(&snapshot.providers);
            names.follow(snapshot.upstreams.names().all());
            checks.follow(&snapshot.upstreams.checked());
        };
        follow(&self.state.snapshot());
        if let Some(storage) = self.state.storage() {
            drop(tokio::spawn(storage.run(shutdown.clone())));
        }
        let mut known = self.look().await;
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut tick = 0_u32;
        loop {
            let snapshot = self.state.snapshot();
            let asked = tokio::select! {
                _ = shutdown.changed() => return,
                () = snapshot.upstreams.names().changed() => {
                    snapshot.upstreams.refresh();
                    follow(&snapshot);
                    continue;
                }
                Some(request) = requests.recv() => Some(request),
                _ = ticks.tick() => None,
            };
            tick = tick.wrapping_add(1);
            self.start_due(tick);
            let mut found = self.look().await;
            if asked.is_none() && !found.differ_from(&known) {
                continue;
            }
            found = Self::settled(found).await;
            drop(snapshot);
            let (serves, found) = loop {
                match self.reload(found).await {
                    Reload::Done { serves, found } => break (serves, found),
                    Reload::Changing(read) => found = Self::settled(read).await,
                }
            };
            follow(&self.state.snapshot());
            if let Some(asked) = asked {
                // Whoever asked may have stopped waiting.
                let _ = asked.send(serves);
            }
            // A change during the reload is seen at the next look.
            known = self.look().await.with_stamps_of(&found);
        }
    }
}

/// What came of a reload.
enum Reload {
    /// It is over.
    Done {
        /// Whether the files serve now.
        serves: bool,
        /// As they were read.
        found: Files,
    },
    /// They were written while they were read; as they were found afterwards.
    Changing(Files),
}

/// The tasks that keep each issuer's keys, or each provider's metadata, fresh.
struct Refreshes<T> {
    running: Vec<(Arc<T>, JoinHandle<()>)>,
    start: fn(Arc<T>, watch::Receiver<bool>) -> JoinHandle<()>,
    shutdown: watch::Receiver<bool>,
}

impl<T> Refreshes<T> {
    fn new(
        shutdown: &watch::Receiver<bool>,
        start: fn(Arc<T>, watch::Receiver<bool>) -> JoinHandle<()>,
    ) -> Self {
        Self { running: Vec::new(), start, shutdown: shutdown.clone() }
    }

    /// Ends the tasks of those that are gone, and starts those of new ones.
    fn follow(&mut self, serving: &[Arc<T>]) {
        self.running.retain(|(known, task)| {
            let is_used = serving.iter().any(|other| Arc::ptr_eq(known, other));
            if !is_used {
                task.abort();
            }
            is_used
        });
        for one in serving {
            if !self.running.iter().any(|(other, _)| Arc::ptr_eq(one, other)) {
                let task = (self.start)(Arc::clone(one), self.shutdown.clone());
                self.running.push((Arc::clone(one), task));
            }
        }
    }
}
