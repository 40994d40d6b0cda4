//! Notices that files changed, and keeps keys and names fresh, all away from the request path.
//!
//! Files are compared by name, size, time and inode about once a second. That costs a handful of
//! `stat` calls, follows the symlink swap of a Kubernetes ConfigMap, and misses no rename. SIGHUP
//! asks for a reload at once.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pingora::server::ShutdownWatch;
use pingora::services::background::BackgroundService;
use portcullis_config::settings::KeySource;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};

use super::{Snapshot, State, patiently};
use crate::token::KeyStore;

const LOOK_EVERY: Duration = Duration::from_secs(1);
const RESOLVE_EVERY_LOOKS: u32 = 30;
const SWEEP_EVERY_LOOKS: u32 = 60;

/// A file as last seen: inode, size, seconds and nanoseconds of its last change.
type Stamp = (PathBuf, Option<(u64, u64, i64, i64)>);

/// The background service.
#[derive(Debug)]
pub struct Watch {
    state: Arc<State>,
}

impl Watch {
    /// Watches the files of `state`.
    #[must_use]
    pub const fn new(state: Arc<State>) -> Self {
        Self { state }
    }

    /// Begins work that nobody waits for.
    fn tidy(&self, work: fn(&State)) {
        let state = Arc::clone(&self.state);
        drop(tokio::spawn(patiently(move || work(&state))));
    }
}

fn stamps(snapshot: &Snapshot) -> Vec<Stamp> {
    let config = &snapshot.config;
    let mut paths: BTreeSet<PathBuf> = config.files.iter().cloned().collect();
    // A new file in an included folder changes the folder.
    paths.extend(config.files.iter().filter_map(|file| file.parent().map(PathBuf::from)));
    paths.extend(config.geo.iter().map(|geo| geo.database.clone()));
    // A key store looks at its own file, and takes keys up without a reload.
    for issuer in &config.issuers {
        if let KeySource::File(path) = &issuer.keys {
            paths.remove(path);
        }
    }
    let stamp = |path: PathBuf| {
        let seen = std::fs::metadata(&path).ok();
        // A folder's size and time change with any file in it, the decision log too; its entries
        // are what counts.
        let seen = seen.map(|seen| {
            if seen.is_dir() {
                (entries(&path), 0, 0, 0)
            } else {
                (seen.ino(), seen.size(), seen.mtime(), seen.mtime_nsec())
            }
        });
        (path, seen)
    };
    paths.into_iter().map(stamp).collect()
}

/// A number that changes when a TOML file comes or goes.
fn entries(folder: &PathBuf) -> u64 {
    let names: BTreeSet<_> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok().map(|entry| entry.file_name()))
        .filter(|name| PathBuf::from(name).extension().is_some_and(|extension| extension == "toml"))
        .collect();
    ahash::RandomState::with_seeds(1, 2, 3, 4).hash_one(names)
}

async fn look(state: &Arc<State>) -> Vec<Stamp> {
    let state = Arc::clone(state);
    tokio::task::spawn_blocking(move || stamps(&state.snapshot())).await.unwrap_or_default()
}

async fn reload(state: &Arc<State>) -> Option<Arc<Snapshot>> {
    let working = Arc::clone(state);
    match patiently(move || working.reload()).await {
        Some(Ok(snapshot)) => {
            tracing::info!(generation = snapshot.generation.0, "the configuration was reloaded");
            Some(snapshot)
        }
        Some(Err(problem)) => {
            tracing::error!("the configuration was NOT reloaded; the former one goes on serving\n{problem}");
            None
        }
        None => {
            state.metrics.reload_refused();
            tracing::error!("a reload ended early; the former configuration goes on serving");
            None
        }
    }
}

/// Starts the background refresh of key stores that are new.
fn run_new(
    stores: &[Arc<KeyStore>],
    running: &mut Vec<(Arc<KeyStore>, tokio::task::JoinHandle<()>)>,
    shutdown: &ShutdownWatch,
) {
    running.retain(|(store, task)| {
        let wanted = stores.iter().any(|other| Arc::ptr_eq(store, other));
        if !wanted {
            task.abort();
        }
        wanted
    });
    for store in stores {
        if !running.iter().any(|(other, _)| Arc::ptr_eq(store, other)) {
            let task = tokio::spawn(Arc::clone(store).run(shutdown.clone()));
            running.push((Arc::clone(store), task));
        }
    }
}

#[async_trait]
impl BackgroundService for Watch {
    async fn start(&self, mut shutdown: ShutdownWatch) {
        let mut hangup = match signal(SignalKind::hangup()) {
            Ok(hangup) => hangup,
            Err(problem) => {
                tracing::error!(%problem, "SIGHUP cannot be caught; files are still watched");
                return;
            }
        };
        let mut running = Vec::new();
        run_new(&self.state.snapshot().stores, &mut running, &shutdown);
        let mut seen = look(&self.state).await;
        let mut ticks = interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut looks = 0_u32;
        loop {
            let asked = tokio::select! {
                _ = shutdown.changed() => return,
                _ = hangup.recv() => true,
                _ = ticks.tick() => false,
            };
            looks = looks.wrapping_add(1);
            if self.state.has_retired() {
                self.tidy(State::let_go);
            }
            if looks.is_multiple_of(SWEEP_EVERY_LOOKS) {
                self.tidy(State::sweep);
            }
            if looks.is_multiple_of(RESOLVE_EVERY_LOOKS) {
                let snapshot = self.state.snapshot();
                // Names resolve when they resolve; nobody waits for it.
                drop(tokio::task::spawn_blocking(move || snapshot.upstreams.resolve()));
            }
            let mut now = look(&self.state).await;
            if !asked {
                if now == seen {
                    continue;
                }
                // Editors write in steps: wait until two looks agree.
                loop {
                    tokio::time::sleep(Duration::from_millis(200)).await;
                    let again = look(&self.state).await;
                    if again == now {
                        break;
                    }
                    now = again;
                }
            }
            if let Some(snapshot) = reload(&self.state).await {
                run_new(&snapshot.stores, &mut running, &shutdown);
            }
            seen = if asked { look(&self.state).await } else { merge(now, look(&self.state).await) };
        }
    }
}

/// Stamps from before a reload win where both have a file: a change during the reload is seen.
fn merge(before: Vec<Stamp>, after: Vec<Stamp>) -> Vec<Stamp> {
    after
        .into_iter()
        .map(|(path, stamp)| {
            let known = before.iter().find(|(other, _)| *other == path).map(|(_, known)| *known);
            (path, known.unwrap_or(stamp))
        })
        .collect()
}
