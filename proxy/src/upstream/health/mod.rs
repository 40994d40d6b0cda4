//! Whether an address of a server takes requests: as requests to it show, and checks where there are any. Both must
//! agree. What is known outlives reloads, as long as nothing changed of how the server is reached and judged.
//!
//! That all addresses of an app are out stops nothing: see [`panics`].

mod active;
mod check;
mod passive;
mod standing;
mod ticks;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use pingora::upstreams::peer::HttpPeer;
use portcullis_config::settings;
use tokio::sync::{Semaphore, watch};

use self::active::Active;
use self::check::{Checked, check, fraction, jittered};
use self::passive::{Limits, Passive};
pub(crate) use self::standing::Standing;
use self::ticks::{millis, now_ms};
use super::outstanding::Outstanding;
use crate::clock::unix_now;
use crate::failure::NetworkFailure;
use crate::record::{CheckResult, ServerMetrics};

/// The least time between two lines of the log about failures of one address.
const LOG_EVERY: Duration = Duration::from_secs(30);
/// The longest detail of a failure in the log, in characters.
const DETAIL_MAX: usize = 300;
/// The longest time from a load to the first check of an address.
const FIRST_CHECK_MAX: Duration = Duration::from_secs(2);

/// Checks of all servers that may be under way; others wait for their turn.
static CHECKING: Semaphore = Semaphore::const_new(32);

/// What an address is, and how it is reached and judged. Where all of that is the same after a reload, so is its
/// health.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Subject {
    /// The app's id.
    pub(super) app: Arc<str>,
    /// The server as it is configured.
    pub(super) server: Arc<str>,
    /// The address, as it is written.
    pub(super) address: String,
    /// Whatever else says who answers there: authority, certificates, name, protocol.
    pub(super) reached_by: u64,
    pub(super) settings: settings::Health,
}

/// Why an address became what it is.
#[derive(Clone, Debug, Default)]
struct Change {
    /// In Unix seconds; 0 is since it is known.
    at: i64,
    /// A word of [`NetworkFailure`] or [`CheckResult`].
    cause: Option<&'static str>,
}

/// The last check of an address.
#[derive(Clone, Debug)]
pub(crate) struct LastCheck {
    /// In Unix seconds.
    pub(crate) at: i64,
    pub(crate) took: Duration,
    pub(crate) result: CheckResult,
    pub(crate) status: Option<u16>,
    pub(crate) detail: Option<String>,
}

/// What people are shown of an address.
#[derive(Clone, Debug)]
pub(crate) struct HealthReading {
    pub(crate) address: String,
    pub(crate) standing: Standing,
    /// Since when, in Unix seconds.
    pub(crate) since: i64,
    /// Why it does not take requests, or did not.
    pub(crate) cause: Option<&'static str>,
    /// Requests under way.
    pub(crate) outstanding: u32,
    pub(crate) last_check: Option<LastCheck>,
}

/// The health of one address.
#[derive(Debug)]
pub(crate) struct Health {
    subject: Subject,
    /// What a check connects to.
    peer: Box<HttpPeer>,
    metrics: Arc<ServerMetrics>,
    passive: Passive,
    /// Requests under way, whichever configuration they began under.
    outstanding: Outstanding,
    /// Whether its checks fail.
    is_down: AtomicBool,
    active: Mutex<Active>,
    /// Since when it is known, in Unix seconds.
    known_since: i64,
    change: Mutex<Change>,
    last_check: Mutex<Option<LastCheck>>,
    /// When a failure was logged last; 0 is never.
    logged_ms: AtomicU64,
}

impl Health {
    pub(super) fn new(subject: Subject, peer: HttpPeer, metrics: Arc<ServerMetrics>) -> Self {
        Self {
            subject,
            peer: Box::new(peer),
            metrics,
            passive: Passive::default(),
            outstanding: Outstanding::default(),
            is_down: AtomicBool::new(false),
            active: Mutex::default(),
            known_since: unix_now(),
            change: Mutex::default(),
            last_check: Mutex::default(),
            logged_ms: AtomicU64::new(0),
        }
    }

    pub(super) const fn outstanding(&self) -> &Outstanding {
        &self.outstanding
    }

    pub(super) const fn subject(&self) -> &Subject {
        &self.subject
    }

    /// Whether it is asked at intervals.
    pub(super) const fn is_checked(&self) -> bool {
        self.subject.settings.check.is_some()
    }

    fn standing(&self) -> Standing {
        if self.is_down.load(Ordering::Relaxed) {
            Standing::CheckFails
        } else {
            self.passive.standing(now_ms)
        }
    }

    /// Whether it is not left out, or long enough to be tried; for whoever only looks.
    pub(super) fn would_take(&self) -> bool {
        !self.is_down.load(Ordering::Relaxed) && self.passive.would_take(now_ms)
    }

    /// Whether it takes a request, which may be the one that tries it again.
    pub(super) fn takes_requests(&self) -> bool {
        !self.is_down.load(Ordering::Relaxed) && self.passive.takes_requests(now_ms)
    }

    /// It began to answer, after so long.
    pub(super) fn answered(&self, took: Duration) {
        self.metrics.answered(took);
    }

    /// It answered, and nothing of that failed.
    pub(super) fn succeeded(&self) {
        if self.passive.succeeded() {
            self.changed(None);
            let Subject { app, server, address, .. } = &self.subject;
            tracing::info!(app = &**app, server = &**server, address, "the upstream answers again");
        }
    }

    /// A request to it got no answer. The log has each time that it is left out, and otherwise at most one failure of an
    /// address in half a minute.
    pub(super) fn failed(&self, cause: NetworkFailure, to_connect: bool, problem: &dyn std::fmt::Display) {
        self.metrics.failed(cause);
        let now = now_ms();
        // A want of this machine says nothing of that one, nor does a request that was too long: its client may be slow.
        let out = match cause {
            NetworkFailure::Local | NetworkFailure::TotalTimeout => None,
            _ => self.passive.failed(to_connect, self.limits(), now),
        };
        if out.is_some() {
            self.metrics.ejected();
            self.changed(Some(cause.as_str()));
        }
        let logged = self.logged_ms.load(Ordering::Relaxed);
        let is_due = logged == 0 || now >= logged.saturating_add(millis(LOG_EVERY));
        let is_ours = (is_due || out.is_some())
            && self.logged_ms.compare_exchange(logged, now, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if !is_ours && out.is_none() {
            return;
        }
        let text = problem.to_string();
        let detail: String = text.escape_debug().take(DETAIL_MAX).collect();
        let Subject { app, server, address, .. } = &self.subject;
        let (app, server, cause) = (&**app, &**server, cause.as_str());
        match out {
            Some(out) => {
                let left_out_secs = millis(out).div_ceil(1_000);
                tracing::warn!(
                    app,
                    server,
                    address,
                    cause,
                    left_out_secs,
                    detail,
                    "the upstream gave no answer: it is left out for a while"
                );
            }
            None => tracing::warn!(app, server, address, cause, detail, "the upstream gave no answer"),
        }
    }

    const fn limits(&self) -> Limits {
        let settings::Health { failures, eject_for, eject_max, .. } = self.subject.settings;
        Limits { failures, eject_for, eject_max }
    }

    fn changed(&self, cause: Option<&'static str>) {
        *self.change.lock() = Change { at: unix_now(), cause };
    }

    /// What people are shown.
    pub(crate) fn read(&self) -> HealthReading {
        let standing = self.standing();
        let Change { at, cause } = self.change.lock().clone();
        HealthReading {
            address: self.subject.address.clone(),
            standing,
            since: if at == 0 { self.known_since } else { at },
            cause: cause.filter(|_| standing != Standing::Up),
            outstanding: self.outstanding.count(),
            last_check: self.last_check.lock().clone(),
        }
    }

    /// Asks it at intervals, until `stop` turns true or its sender is gone.
    pub(crate) async fn run(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let Some(settings) = &self.subject.settings.check else { return };
        let random = ahash::RandomState::new();
        let mut pause = settings.interval.min(FIRST_CHECK_MAX).mul_f64(fraction(random.hash_one(0)));
        for turn in 1_u64.. {
            tokio::select! {
                _ = stop.changed() => return,
                () = tokio::time::sleep(pause) => {}
            }
            let began = Instant::now();
            // The semaphore is never closed.
            if let Ok(_turn) = CHECKING.acquire().await {
                let asked = Instant::now();
                let checked = check(&self.peer, settings).await;
                self.take(checked, asked.elapsed(), settings);
            }
            pause = jittered(settings.interval, random.hash_one(turn)).saturating_sub(began.elapsed());
        }
    }

    /// Takes the result of a check. The log has changes alone.
    fn take(&self, checked: Checked, took: Duration, settings: &settings::HealthCheck) {
        let passed = checked.result == CheckResult::Passed;
        self.metrics.checked(checked.result);
        if passed {
            self.passive.answers_checks(now_ms());
        }
        let Checked { result, status, detail } = checked;
        *self.last_check.lock() =
            Some(LastCheck { at: unix_now(), took, result, status, detail: detail.clone() });
        if result == CheckResult::Failed(NetworkFailure::Local) {
            // A want of this machine says nothing of that one.
            return;
        }
        let is_down = self.active.lock().take(passed, settings);
        let was_down = self.is_down.swap(is_down, Ordering::Relaxed);
        if was_down == is_down {
            return;
        }
        let Subject { app, server, address, .. } = &self.subject;
        let (app, server, path) = (&**app, &**server, settings.path.as_str());
        if is_down {
            self.changed(Some(result.as_str()));
            let cause = result.as_str();
            tracing::warn!(
                app,
                server,
                address,
                path,
                cause,
                status,
                detail,
                "the upstream's health check fails: it gets no requests"
            );
        } else {
            self.changed(None);
            tracing::info!(
                app,
                server,
                address,
                path,
                status,
                "the upstream's health check passes: it gets requests again"
            );
        }
    }
}

/// Whether all addresses of an app get requests, the bad ones too: so few are up that it is likelier that checks, or
/// what lies between, are at fault, or that the rest could not bear the load. With none up they always do: a request
/// that is tried costs less than one that is refused unseen.
pub(super) fn panics(up: usize, all: usize, percent: u8) -> bool {
    up == 0 || up.saturating_mul(100) < all.saturating_mul(usize::from(percent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn with_few_up_all_get_requests_and_with_none_they_always_do() {
        for (up, all, percent, expected) in [
            (0, 3, 0, true),
            (1, 3, 0, false),
            (1, 3, 33, false),
            (1, 3, 34, true),
            (2, 4, 50, false),
            (1, 4, 50, true),
            (3, 3, 100, false),
            (2, 3, 100, true),
        ] {
            assert_eq!(panics(up, all, percent), expected, "{up} of {all} at {percent}%");
        }
    }
}
