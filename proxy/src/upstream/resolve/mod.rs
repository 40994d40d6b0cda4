//! The addresses of servers that are configured by name. Each name is looked up again when its answer is over; a
//! look-up that fails keeps the addresses that there are.

mod lookup;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use portcullis_config::settings::Dns;
use tokio::sync::{Notify, watch};

pub(crate) use self::lookup::LookupResult;
use self::lookup::{Answer, Family, has_route, look_up};
use crate::clock::unix_now;

/// How long a load waits for the first look-ups of names that are new. One that takes longer is looked up beside
/// requests.
const FIRST_TIME: Duration = Duration::from_secs(5);

/// A name of a server, shared by all apps that have it and handed on from one configuration to the next.
#[derive(Debug)]
pub(crate) struct Name {
    host: String,
    settings: Dns,
    known: Mutex<Known>,
    results: [AtomicU64; LookupResult::ALL.len()],
    changed: Arc<Notify>,
}

/// What is known of a name.
#[derive(Clone, Debug, Default)]
struct Known {
    v4: Vec<IpAddr>,
    v6: Vec<IpAddr>,
    /// When it is looked up again; at once if `None`.
    due: Option<Instant>,
    /// Since when it is said not to exist.
    absent_since: Option<Instant>,
    last: Option<LastLookup>,
}

/// The last look-up of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LastLookup {
    /// When, in Unix seconds.
    pub(crate) at: i64,
    pub(crate) result: LookupResult,
    /// What the library says of a failure.
    pub(crate) detail: Option<String>,
}

impl Known {
    /// Takes an answer, and says whether the addresses are others now.
    fn take(&mut self, answer: Answer, settings: &Dns, now: Instant, at: i64) -> bool {
        let former = (self.v4.clone(), self.v6.clone());
        let clamp = |ttl: Duration| ttl.clamp(settings.ttl_min, settings.ttl_max.max(settings.ttl_min));
        let mut pause = settings.ttl_max;
        let (mut result, mut detail, mut has_failed) = (LookupResult::Absent, None, false);
        let was_said_absent = matches!((&answer.v4, &answer.v6), (Family::Absent, Family::Absent));
        let exists = [&answer.v4, &answer.v6].iter().any(|family| matches!(family, Family::Addresses(..)));
        for (addresses, family) in [(&mut self.v4, answer.v4), (&mut self.v6, answer.v6)] {
            match family {
                Family::Addresses(found, ttl) => {
                    *addresses = found;
                    pause = pause.min(clamp(ttl));
                    result = LookupResult::Found;
                }
                // Of a name that exists the other family alone counts.
                Family::Absent if exists => addresses.clear(),
                Family::Absent => pause = settings.ttl_min,
                Family::Failed(why, words) => {
                    pause = settings.ttl_min;
                    has_failed = true;
                    if !exists {
                        result = why;
                    }
                    detail.get_or_insert(words);
                }
            }
        }
        if was_said_absent {
            let since = *self.absent_since.get_or_insert(now);
            if now.saturating_duration_since(since) >= settings.hold {
                self.v4.clear();
                self.v6.clear();
            }
        } else if exists {
            self.absent_since = None;
        }
        self.due = Some(now + pause.max(settings.ttl_min.min(Duration::from_secs(1))));
        self.last = Some(LastLookup { at, result, detail: detail.filter(|_| has_failed) });
        former != (self.v4.clone(), self.v6.clone())
    }

    fn addresses(&self) -> Vec<IpAddr> {
        self.v4.iter().chain(&self.v6).copied().collect()
    }
}

impl Name {
    /// What is `known` of the name goes on, until it is looked up, which is at once.
    fn new(host: &str, settings: &Dns, known: Known, changed: Arc<Notify>) -> Self {
        Self {
            host: host.to_owned(),
            settings: settings.clone(),
            known: Mutex::new(Known { due: None, ..known }),
            results: Default::default(),
            changed,
        }
    }

    /// Its addresses, as they were last found. Those that this machine has no way to are left out, where there are
    /// others.
    pub(super) fn addresses(&self) -> Vec<IpAddr> {
        self.known.lock().addresses()
    }

    /// How often look-ups came to what.
    pub(crate) fn results(&self) -> impl Iterator<Item = (LookupResult, u64)> {
        LookupResult::ALL
            .into_iter()
            .zip(&self.results)
            .map(|(result, count)| (result, count.load(Ordering::Relaxed)))
    }

    /// The last look-up.
    pub(crate) fn last(&self) -> Option<LastLookup> {
        self.known.lock().last.clone()
    }

    async fn look_up(&self) {
        let mut answer = look_up(&self.host, &self.settings).await;
        reachable(&mut answer);
        let (former, known, is_changed) = {
            let mut known = self.known.lock();
            let former = known.clone();
            let is_changed = known.take(answer, &self.settings, Instant::now(), unix_now());
            (former, known.clone(), is_changed)
        };
        if let Some(last) = &known.last {
            if let Some(count) = self.results.get(last.result as usize) {
                count.fetch_add(1, Ordering::Relaxed);
            }
            let was = former.last.as_ref().map(|last| last.result);
            self.log(was, last, &known, is_changed);
        }
        if is_changed {
            self.changed.notify_one();
        }
    }

    /// Says what is new, and nothing again.
    fn log(&self, was: Option<LookupResult>, last: &LastLookup, known: &Known, is_changed: bool) {
        let name = self.host.as_str();
        let addresses = known.addresses();
        if last.result == LookupResult::Found {
            if was.is_none_or(|was| was != LookupResult::Found) || is_changed {
                tracing::info!(name, ?addresses, "the upstream's name resolves");
            }
        } else if was != Some(last.result) || is_changed {
            let detail = last.detail.as_deref();
            let goes_on =
                if addresses.is_empty() { "it has no address" } else { "its former addresses go on serving" };
            tracing::warn!(
                name,
                cause = "dns",
                result = last.result.as_str(),
                detail,
                "the upstream's name does not resolve; {goes_on}"
            );
        }
    }

    /// Looks the name up whenever its answer is over, until `stop` turns true or its sender is gone.
    pub(crate) async fn run(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        loop {
            let due = self.known.lock().due.unwrap_or_else(Instant::now);
            tokio::select! {
                _ = stop.changed() => return,
                () = tokio::time::sleep_until(due.into()) => {}
            }
            self.look_up().await;
        }
    }
}

/// Leaves the family out that this machine has no way to, where it has one to the other: to connect to it would fail
/// each time.
fn reachable(answer: &mut Answer) {
    let has_way = |family: &Family| match family {
        Family::Addresses(addresses, _) => addresses.iter().any(|address| has_route(*address)),
        Family::Absent | Family::Failed(..) => false,
    };
    match (has_way(&answer.v4), has_way(&answer.v6)) {
        (true, false) if matches!(answer.v6, Family::Addresses(..)) => answer.v6 = Family::Absent,
        (false, true) if matches!(answer.v4, Family::Addresses(..)) => answer.v4 = Family::Absent,
        _ => {}
    }
}

/// All names of a configuration.
#[derive(Debug)]
pub(crate) struct Names {
    all: Vec<Arc<Name>>,
    changed: Arc<Notify>,
}

impl Names {
    /// None yet; `former` are those of the configuration before.
    pub(super) fn new(former: Option<&Self>) -> Self {
        Self {
            all: Vec::new(),
            changed: former.map_or_else(Arc::default, |former| Arc::clone(&former.changed)),
        }
    }

    /// This name: the one that is known already, if nothing changed.
    pub(super) fn of(&mut self, host: &str, settings: &Dns, former: Option<&Self>) -> Arc<Name> {
        let is_it = |name: &&Arc<Name>| name.host == host && name.settings == *settings;
        if let Some(known) = self.all.iter().find(is_it) {
            return Arc::clone(known);
        }
        let name =
            former.and_then(|former| former.all.iter().find(is_it)).map(Arc::clone).unwrap_or_else(|| {
                let before = former.and_then(|former| former.all.iter().find(|name| name.host == host));
                let known = before.map(|name| name.known.lock().clone()).unwrap_or_default();
                Arc::new(Name::new(host, settings, known, Arc::clone(&self.changed)))
            });
        self.all.push(Arc::clone(&name));
        name
    }

    /// Every name.
    pub(crate) fn all(&self) -> &[Arc<Name>] {
        &self.all
    }

    /// Waits until a name has other addresses.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Looks those up that never were; blocks for that, for a few seconds at most. Not to be called within a runtime.
    pub(super) fn look_up_new(&self) {
        let new: Vec<_> =
            self.all.iter().filter(|name| name.known.lock().due.is_none()).map(Arc::clone).collect();
        if new.is_empty() {
            return;
        }
        match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime.block_on(async {
                let mut looking = tokio::task::JoinSet::new();
                for name in new {
                    looking.spawn(async move { name.look_up().await });
                }
                let _ = tokio::time::timeout(FIRST_TIME, looking.join_all()).await;
            }),
            Err(problem) => tracing::warn!(%problem, "names of upstreams are looked up later"),
        }
    }
}
