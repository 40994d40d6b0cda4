//! What runs beside requests and outlives reloads: the reload itself, the refresh of keys and of upstream names, and
//! the freeing of what is no longer used.
//!
//! Files are looked at about once a second; SIGHUP asks for a reload at once.

mod files;
mod low_priority;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pingora::server::ShutdownWatch;
use pingora::services::background::BackgroundService;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

pub(crate) use low_priority::spawn_low_priority;

use self::files::Files;
use crate::state::State;
use crate::token::KeyStore;

const TICK: Duration = Duration::from_secs(1);
const RESOLVE_EVERY_TICKS: u32 = 30;
const SWEEP_EVERY_TICKS: u32 = 60;
/// Editors write in steps: two looks so far apart must agree before a change is read.
const SETTLE: Duration = Duration::from_millis(200);

/// The service that pingora runs.
#[derive(Debug)]
pub struct Background {
    state: &'static State,
}

impl Background {
    /// Keeps `state` fresh.
    #[must_use]
    pub const fn new(state: &'static State) -> Self {
        Self { state }
    }

    /// Starts what is due at a tick; nobody waits for it.
    fn start_due(&self, tick: u32) {
        let start = |work: fn(&State)| {
            let state = self.state;
            drop(tokio::spawn(spawn_low_priority(move || work(state))));
        };
        if self.state.has_retired() {
            start(State::drop_retired);
        }
        if tick.is_multiple_of(RESOLVE_EVERY_TICKS) {
            start(|state| state.snapshot().upstreams.resolve());
        }
        if tick.is_multiple_of(SWEEP_EVERY_TICKS) {
            start(State::sweep);
        }
    }

    async fn look(&self) -> Files {
        let state = self.state;
        tokio::task::spawn_blocking(move || Files::of(&state.snapshot().config)).await.unwrap_or_default()
    }

    /// The files once they are no longer being written; `found` is how they were found.
    async fn settled(&self, mut found: Files) -> Files {
        loop {
            tokio::time::sleep(SETTLE).await;
            let again = self.look().await;
            if again == found {
                return found;
            }
            found = again;
        }
    }

    async fn reload(&self) {
        let state = self.state;
        match spawn_low_priority(move || state.reload()).await {
            Some(Ok(snapshot)) => {
                tracing::info!(generation = snapshot.generation.0, "the configuration was reloaded");
            }
            Some(Err(problem)) => {
                tracing::error!(
                    "the configuration was NOT reloaded; the former one goes on serving\n{problem}"
                );
            }
            None => {
                self.state.metrics.reload_refused();
                tracing::error!("a reload ended early; the former configuration goes on serving");
            }
        }
    }
}

#[async_trait]
impl BackgroundService for Background {
    async fn start(&self, mut shutdown: ShutdownWatch) {
        let mut hangup = match signal(SignalKind::hangup()) {
            Ok(hangup) => hangup,
            Err(problem) => {
                tracing::error!(%problem, "SIGHUP cannot be caught; files are not watched and keys are not fetched");
                return;
            }
        };
        let mut keys = KeyRefreshes { running: Vec::new(), shutdown: shutdown.clone() };
        keys.follow(&self.state.snapshot().stores);
        let mut known = self.look().await;
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut tick = 0_u32;
        loop {
            let asked = tokio::select! {
                _ = shutdown.changed() => return,
                _ = hangup.recv() => true,
                _ = ticks.tick() => false,
            };
            tick = tick.wrapping_add(1);
            self.start_due(tick);
            let mut found = self.look().await;
            if !asked {
                if found == known {
                    continue;
                }
                found = self.settled(found).await;
            }
            self.reload().await;
            keys.follow(&self.state.snapshot().stores);
            // A change during the reload is seen at the next look.
            known = self.look().await.with_stamps_of(&found);
        }
    }
}

/// The tasks that keep each issuer's keys fresh.
struct KeyRefreshes {
    running: Vec<(Arc<KeyStore>, JoinHandle<()>)>,
    shutdown: ShutdownWatch,
}

impl KeyRefreshes {
    /// Ends the tasks of stores that are gone, and starts those of new ones.
    fn follow(&mut self, stores: &[Arc<KeyStore>]) {
        self.running.retain(|(store, task)| {
            let is_used = stores.iter().any(|other| Arc::ptr_eq(store, other));
            if !is_used {
                task.abort();
            }
            is_used
        });
        for store in stores {
            if !self.running.iter().any(|(other, _)| Arc::ptr_eq(store, other)) {
                let task = tokio::spawn(Arc::clone(store).run(self.shutdown.clone()));
                self.running.push((Arc::clone(store), task));
            }
        }
    }
}
