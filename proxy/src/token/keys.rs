//! The keys of one issuer, refreshed in the background. A request reads what is there and never
//! waits; an unknown `kid` only asks for a fetch, and any number of them ask for one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use portcullis_config::settings::{Authorities, Issuer, KeySource};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::fetch::{Document, FetchError, Fetcher, FileMark};
use super::jwk::{KeyFault, KeySet};
use super::telling::SignInTelling;
use crate::clock::unix_now;

/// Between attempts while the source fails: doubled from the first to the second.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// How often a key file is looked at.
const FILE_POLL: Duration = Duration::from_secs(2);
/// No configuration makes fetches more frequent than the first, or rarer than the second.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(24 * 60 * 60));

/// What is known of an issuer's keys.
#[derive(Clone, Debug, Default)]
struct KeyState {
    /// The last good set; `None` until the first fetch succeeded.
    set: Option<Arc<KeySet>>,
    /// Grows whenever the keys become other ones; zero before the first.
    generation: u32,
    /// When the source last gave a good set, in Unix seconds.
    fetched_at: Option<i64>,
    /// Why the latest fetch failed; `None` when it succeeded.
    last_error: Option<FetchError>,
}

/// Which keys are trusted and how long, in one word: each request with a cached token reads it, without counting
/// itself among the readers of [`KeyState`] and without reading two values that do not belong together.
///
/// The upper half is the generation, the lower one the last second (Unix time), that of 2106 at most. Zero: none.
#[derive(Debug, Default)]
struct Trust(AtomicU64);

impl Trust {
    fn renew(&self, generation: u32, fetched_at: i64, stale_max: Duration) {
        let last = fetched_at.max(0).saturating_add_unsigned(stale_max.as_secs());
        let last = u32::try_from(last).unwrap_or(u32::MAX);
        self.0.store(u64::from(generation) << 32 | u64::from(last), Ordering::Release);
    }

    fn generation(&self, now: i64) -> Option<u32> {
        let word = self.0.load(Ordering::Acquire);
        let (generation, last) = ((word >> 32) as u32, word & u64::from(u32::MAX));
        (generation > 0 && i64::try_from(last).is_ok_and(|last| now <= last)).then_some(generation)
    }
}

/// The keys of one issuer and the loop that keeps them fresh.
#[derive(Debug)]
pub struct KeyStore {
    name: String,
    issuer: String,
    source: KeySource,
    ca: Option<Authorities>,
    algorithms: Vec<String>,
    refresh: Duration,
    refresh_min: Duration,
    stale_max: Duration,
    state: ArcSwap<KeyState>,
    trust: Trust,
    failures: AtomicU64,
    /// Seconds from the latest good fetch to the next; the configured ones before the first.
    interval_secs: AtomicU64,
    wanted: AtomicBool,
    /// Somebody waits for keys; see [`KeyStore::hasten`].
    hastened: AtomicBool,
    wake: Notify,
    sign_ins: SignInTelling,
}

impl KeyStore {
    /// What the issuer's tokens tell of sign-ins; outlives reloads as the keys do.
    #[must_use]
    pub const fn sign_ins(&self) -> &SignInTelling {
        &self.sign_ins
    }

    /// A store without keys; [`run`](Self::run) fills it.
    #[must_use]
    pub fn new(issuer: &Issuer) -> Self {
        Self {
            name: issuer.name.clone(),
            issuer: issuer.issuer.clone(),
            source: issuer.keys.clone(),
            ca: issuer.ca.clone(),
            algorithms: issuer.algorithms.clone(),
            refresh: issuer.refresh,
            refresh_min: issuer.refresh_min.clamp(PAUSE.0, PAUSE.1),
            stale_max: issuer.stale_max,
            state: ArcSwap::from_pointee(KeyState::default()),
            trust: Trust::default(),
            failures: AtomicU64::new(0),
            interval_secs: AtomicU64::new(issuer.refresh.as_secs()),
            wanted: AtomicBool::new(false),
            hastened: AtomicBool::new(false),
            wake: Notify::new(),
            sign_ins: SignInTelling::default(),
        }
    }

    /// The issuer's short name, for metrics and logs.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Seconds since the source last gave a good set; `None` before the first.
    #[must_use]
    pub fn age_secs(&self, now: i64) -> Option<u64> {
        age(&self.state.load(), now)
    }

    /// How many keys are in use.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.state.load().set.as_ref().map_or(0, |set| set.count())
    }

    /// How many keys of the set in use verify nothing, by fault.
    #[must_use]
    pub fn unused(&self) -> Vec<(&'static str, usize)> {
        let state = self.state.load();
        let unused = state.set.as_ref().map_or(&[][..], |set| set.unused());
        let count = |fault: KeyFault| unused.iter().filter(|key| key.fault == fault).count();
        KeyFault::ALL.map(|fault| (fault.as_str(), count(fault))).to_vec()
    }

    /// What is known of the keys at this time, in one line for people.
    #[must_use]
    pub fn describe(&self, now: i64) -> String {
        let state = self.state.load();
        let mut line = if self.available(now) { "usable" } else { "not usable" }.to_owned();
        match age(&state, now) {
            Some(secs) => {
                let (count, s) = (self.keys(), if self.keys() == 1 { "" } else { "s" });
                line.push_str(&format!(", {count} key{s}, fetched {secs} s ago"));
            }
            None => line.push_str(", no keys yet"),
        }
        for (fault, count) in self.unused().into_iter().filter(|(_, count)| *count > 0) {
            line.push_str(&format!(", {count} unused ({fault})"));
        }
        if let Some(error) = self.last_error() {
            line.push_str(&format!("; {error}"));
        }
        line
    }

    /// Fetches that failed since the start.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Whether the latest fetch failed.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        self.last_error().is_some()
    }

    /// Why the latest fetch failed; `None` when it succeeded.
    pub(super) fn last_error(&self) -> Option<FetchError> {
        self.state.load().last_error
    }

    /// After how long a good set is fetched anew.
    #[must_use]
    pub fn interval(&self) -> Duration {
        Duration::from_secs(self.interval_secs.load(Ordering::Relaxed))
    }

    /// Grows whenever the keys become other ones.
    #[must_use]
    pub fn generation(&self) -> u32 {
        self.state.load().generation
    }

    /// Whether there are keys that may be trusted at this time.
    #[must_use]
    pub fn available(&self, now: i64) -> bool {
        self.usable_generation(now).is_some()
    }

    /// Asks for a fetch soon, at most one per `refresh_min`. Never waits; for the request path.
    pub fn request_refresh(&self) {
        // Read first: under a flood of unknown keys the line stays shared between cores.
        if !self.wanted.load(Ordering::Relaxed) && !self.wanted.swap(true, Ordering::AcqRel) {
            self.wake.notify_one();
        }
    }

    /// Somebody waits for keys that are not there: the source is asked once a second for as long as this is said anew.
    pub fn hasten(&self) {
        self.hastened.store(true, Ordering::Relaxed);
        self.wake.notify_one();
    }

    /// Whether a refresh was requested and has not begun.
    #[must_use]
    pub fn refresh_requested(&self) -> bool {
        self.wanted.load(Ordering::Acquire)
    }

    /// The keys, unless there are none or they are too old to be trusted.
    pub(super) fn usable(&self, now: i64) -> Option<(Arc<KeySet>, u32)> {
        self.trust.generation(now)?;
        let state = self.state.load();
        state.set.clone().map(|set| (set, state.generation))
    }

    /// The generation of the keys, unless there are none or they are too old to be trusted.
    pub(super) fn usable_generation(&self, now: i64) -> Option<u32> {
        self.trust.generation(now)
    }

    /// Keeps the keys fresh until shutdown is signalled or its sender is gone: fetches at once, retries
    /// quickly until that succeeds, then follows the configured schedule.
    pub async fn run(self: Arc<Self>, mut shutdown: watch::Receiver<bool>) {
        let mut fetcher = Fetcher::new(self.issuer.clone(), self.ca.clone());
        let mut backoff = RETRY.0;
        loop {
            // The flag falls before the fetch begins: a request during it may need a later fetch.
            self.wanted.store(false, Ordering::Release);
            let began = Instant::now();
            let mark = self.file_mark();
            let outcome = tokio::select! {
                biased;
                () = stopped(&mut shutdown) => return,
                outcome = fetcher.keys(&self.source) => outcome,
            };
            let pause = match self.install(outcome, unix_now()) {
                Ok(max_age) => {
                    backoff = RETRY.0;
                    let pause = self.pause(max_age);
                    self.interval_secs.store(pause.as_secs(), Ordering::Relaxed);
                    pause
                }
                Err(error) => {
                    tracing::warn!(issuer = %self.name, %error, "keys could not be fetched");
                    let pause = backoff;
                    backoff = (backoff * 2).min(RETRY.1);
                    self.hastened.store(false, Ordering::Relaxed);
                    pause
                }
            };
            tokio::select! {
                biased;
                () = stopped(&mut shutdown) => return,
                () = self.due(began, pause, mark) => {}
            }
        }
    }

    /// Takes a document, or records why there is none. Unless a document has a good set, the last
    /// good one stays.
    pub(super) fn install(
        &self,
        outcome: Result<Document, FetchError>,
        now: i64,
    ) -> Result<Option<Duration>, FetchError> {
        let parsed = outcome.and_then(|document| {
            let set = KeySet::parse(&document.body, &self.algorithms)?;
            Ok((set, document.max_age))
        });
        // INVARIANT: `run` is the only writer, so reading and storing need not be one step.
        let mut state = KeyState::clone(&self.state.load());
        match parsed {
            Ok((set, max_age)) => {
                let former = state.set.as_deref();
                // Said once, and not with each refresh.
                if former.is_none_or(|former| former.unused() != set.unused()) {
                    for key in set.unused() {
                        tracing::warn!(issuer = %self.name, "a key of the set is not used: {key}");
                    }
                }
                // Equal keys keep their generation, or each refresh would empty the cache.
                if former.is_none_or(|former| !former.same_keys(&set)) {
                    state.generation += 1;
                    tracing::info!(issuer = %self.name, keys = set.count(), "keys changed");
                }
                state.set = Some(Arc::new(set));
                state.fetched_at = Some(now);
                state.last_error = None;
                let (generation, stale_max) = (state.generation, self.stale_max);
                self.state.store(Arc::new(state));
                self.trust.renew(generation, now, stale_max);
                Ok(max_age)
            }
            Err(error) => {
                self.failures.fetch_add(1, Ordering::Relaxed);
                state.last_error = Some(error);
                self.state.store(Arc::new(state));
                Err(error)
            }
        }
    }

    /// How long after a good fetch the next one is due.
    fn pause(&self, max_age: Option<Duration>) -> Duration {
        let wished = max_age.map_or(self.refresh, |age| age.min(self.refresh));
        // Keys must not grow stale for want of requests.
        wished.min(self.stale_max / 2).clamp(PAUSE.0, PAUSE.1)
    }

    /// Waits until the next fetch is due: by time, by an unknown `kid`, or by a changed file.
    async fn due(&self, began: Instant, pause: Duration, mark: Option<FileMark>) {
        let scheduled = began + pause;
        let asked = async {
            while !self.refresh_requested() && !self.hastened.load(Ordering::Relaxed) {
                self.wake.notified().await;
            }
            let is_hastened = self.hastened.load(Ordering::Relaxed) && self.is_failing();
            let rest = if is_hastened { RETRY.0.min(self.refresh_min) } else { self.refresh_min };
            tokio::time::sleep_until(began + rest).await;
        };
        let changed = async {
            if !matches!(self.source, KeySource::File(_)) {
                std::future::pending::<()>().await;
            }
            while self.file_mark() == mark {
                tokio::time::sleep(FILE_POLL).await;
            }
            // A writer in place may not have finished.
            tokio::time::sleep(Duration::from_millis(100)).await;
        };
        tokio::select! {
            () = tokio::time::sleep_until(scheduled) => {}
            () = asked => {}
            () = changed => {}
        }
    }

    fn file_mark(&self) -> Option<FileMark> {
        match &self.source {
            KeySource::File(path) => FileMark::of(path),
            KeySource::Url(_) | KeySource::Discovery(_) => None,
        }
    }
}

fn age(state: &KeyState, now: i64) -> Option<u64> {
    state.fetched_at.map(|at| u64::try_from(now.saturating_sub(at)).unwrap_or(0))
}

/// Returns when shutdown is signalled, or its sender is gone.
async fn stopped(shutdown: &mut watch::Receiver<bool>) {
    // An error means that the sender is gone: the process is ending.
    let _ = shutdown.wait_for(|stop| *stop).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_trusted_up_to_their_last_second_and_not_before_there_are_any() {
        let trust = Trust::default();
        assert_eq!((trust.generation(0), trust.generation(-1)), (None, None));
        trust.renew(7, 1_000, Duration::from_secs(100));
        assert_eq!(
            [0, 1_000, 1_100, 1_101].map(|now| trust.generation(now)),
            [Some(7), Some(7), Some(7), None]
        );
        trust.renew(u32::MAX, i64::from(u32::MAX) - 1, Duration::MAX);
        assert_eq!(trust.generation(i64::from(u32::MAX)), Some(u32::MAX));
        assert_eq!(trust.generation(i64::from(u32::MAX) + 1), None);
    }
}
