//! What requests show of a server: failures in a row leave it out, for a while that doubles with each further one; then
//! one request tries it. So a dead one costs nobody its timeout again and again.
//!
//! Nothing here is exact: two requests that fail at once may count as one, which changes nothing.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use super::standing::Standing;
use super::ticks::millis;

/// How long the one request that tries a server again may take before another may.
const TRIAL: Duration = Duration::from_secs(30);

/// What the settings say.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Requests in a row that must fail: without an answer, with half of one, or with none that can be passed on. One failure to connect is enough: it says by itself that the server takes
    /// nothing.
    pub(super) failures: u32,
    /// How long a server is left out at first.
    pub(super) eject_for: Duration,
    /// How long at most.
    pub(super) eject_max: Duration,
}

/// What requests have shown.
#[derive(Debug, Default)]
pub(super) struct Passive {
    /// In a row, of answers.
    failures: AtomicU32,
    /// How often in a row it was left out.
    ejections: AtomicU32,
    /// Until when it is left out; 0 is not at all.
    until_ms: AtomicU64,
    /// Whether a request is trying it.
    on_trial: AtomicBool,
    /// Whether it is left out because it took no connection.
    took_none: AtomicBool,
}

impl Passive {
    fn until_ms(&self) -> u64 {
        self.until_ms.load(Ordering::Relaxed)
    }

    /// How it does; for whoever only looks.
    pub(super) fn standing(&self, now: impl Fn() -> u64) -> Standing {
        let until = self.until_ms();
        if until == 0 {
            return Standing::Up;
        }
        match until.saturating_sub(now()) {
            0 => Standing::OnTrial,
            _ if self.on_trial.load(Ordering::Relaxed) => Standing::OnTrial,
            left => Standing::Ejected(Duration::from_millis(left)),
        }
    }

    /// Whether it would take a request now; for whoever only looks.
    pub(super) fn would_take(&self, now: impl Fn() -> u64) -> bool {
        let until = self.until_ms();
        until == 0 || until <= now()
    }

    /// Whether it takes a request. One that has been left out takes one first, and others when that went well.
    pub(super) fn takes_requests(&self, now: impl Fn() -> u64) -> bool {
        let until = self.until_ms();
        if until == 0 {
            return true;
        }
        let now = now();
        let trial = now.saturating_add(millis(TRIAL));
        let is_ours = now >= until
            && self.until_ms.compare_exchange(until, trial, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if is_ours {
            self.on_trial.store(true, Ordering::Relaxed);
        }
        is_ours
    }

    /// It answered, to the end. Whether it was left out until now.
    pub(super) fn succeeded(&self) -> bool {
        if self.failures.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Relaxed);
        }
        let was_out = self.until_ms() != 0;
        if was_out {
            self.ejections.store(0, Ordering::Relaxed);
            self.on_trial.store(false, Ordering::Relaxed);
            self.until_ms.store(0, Ordering::Relaxed);
        }
        was_out
    }

    /// Counts a failure, and gives for how long it is left out now, if it was not before.
    pub(super) fn failed(&self, to_connect: bool, limits: Limits, now: u64) -> Option<Duration> {
        let failures = self.failures.fetch_add(1, Ordering::Relaxed) + 1;
        let times = self.ejections.load(Ordering::Relaxed);
        // Of what was left out once, one failure is enough.
        if !to_connect && failures < limits.failures && times == 0 {
            return None;
        }
        // A request that was under way when it was left out says nothing new; the one that tries it does.
        let was_on_trial = self.on_trial.swap(false, Ordering::Relaxed);
        if self.until_ms() > now && !was_on_trial {
            return None;
        }
        let out = limits.eject_for.saturating_mul(1 << times.min(16)).min(limits.eject_max);
        self.ejections.store(times.saturating_add(1), Ordering::Relaxed);
        self.took_none.store(to_connect, Ordering::Relaxed);
        self.until_ms.store(now.saturating_add(millis(out)), Ordering::Relaxed);
        Some(out)
    }

    /// A check was answered. Where it is left out because it took no connection, the next request tries it: it takes
    /// some again. That it answers checks says nothing of requests that failed otherwise.
    pub(super) fn answers_checks(&self, now: u64) {
        let until = self.until_ms();
        if until > now && self.took_none.load(Ordering::Relaxed) && !self.on_trial.load(Ordering::Relaxed) {
            // Whoever changed it meanwhile knows better.
            let _ = self.until_ms.compare_exchange(until, now, Ordering::Relaxed, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000;
    const LIMITS: Limits =
        Limits { failures: 3, eject_for: Duration::from_secs(5), eject_max: Duration::from_secs(300) };

    #[test]
    fn a_server_that_takes_no_connection_is_left_out_for_longer_each_time() {
        let health = Passive::default();
        let mut now = 1;
        let mut pauses = Vec::new();
        for _ in 0..9 {
            assert!(health.takes_requests(|| now));
            let out = health.failed(true, LIMITS, now).unwrap();
            pauses.push(out.as_secs());
            assert!(!health.takes_requests(|| now + millis(out) - 1));
            now += millis(out);
        }
        assert_eq!(pauses, [5, 10, 20, 40, 80, 160, 300, 300, 300]);
        assert!(health.takes_requests(|| now));
        assert!(!health.takes_requests(|| now), "one request tries it, and no other meanwhile");
        assert!(health.succeeded());
        assert!(health.takes_requests(|| now));
        assert_eq!(health.failed(true, LIMITS, now), Some(LIMITS.eject_for), "it begins anew");
    }

    #[test]
    fn answers_that_fail_leave_a_server_out_when_so_many_do_in_a_row() {
        for failures in [1, 3, 7] {
            let (health, limits) = (Passive::default(), Limits { failures, ..LIMITS });
            for _ in 0..5 {
                for _ in 1..failures {
                    assert_eq!(health.failed(false, limits, SECOND), None);
                }
                assert!(!health.succeeded());
            }
            for _ in 1..failures {
                health.failed(false, limits, SECOND);
            }
            assert_eq!(health.failed(false, limits, SECOND), Some(limits.eject_for), "{failures}");
            assert_eq!(health.failed(false, limits, 2 * SECOND), None, "what was under way says nothing new");
            assert!(health.takes_requests(|| 6 * SECOND));
            assert_eq!(
                health.failed(false, limits, 6 * SECOND),
                Some(2 * limits.eject_for),
                "the trial failed"
            );
        }
    }

    #[test]
    fn a_time_out_that_is_over_leaves_nothing_out_and_each_begins_without_a_trial() {
        let (health, standing) = (Passive::default(), |health: &Passive, now| health.standing(|| now));
        assert_eq!(standing(&health, SECOND), Standing::Up);
        health.failed(true, LIMITS, SECOND);
        for (now, left) in [(SECOND, 5 * SECOND), (6 * SECOND - 1, 1)] {
            assert_eq!(standing(&health, now), Standing::Ejected(Duration::from_millis(left)));
            assert!(!health.would_take(|| now));
        }
        for now in [6 * SECOND, 900 * SECOND] {
            assert_eq!(standing(&health, now), Standing::OnTrial, "nobody asked it, and the next one does");
            assert!(health.would_take(|| now));
        }
        assert!(health.takes_requests(|| 900 * SECOND));
        assert_eq!(standing(&health, 901 * SECOND), Standing::OnTrial, "one request is trying it");
        assert!(!health.would_take(|| 901 * SECOND));
        assert!(health.succeeded());
        assert_eq!(standing(&health, 901 * SECOND), Standing::Up);

        assert_eq!(health.failed(true, LIMITS, 902 * SECOND), Some(LIMITS.eject_for));
        assert_eq!(standing(&health, 902 * SECOND), Standing::Ejected(LIMITS.eject_for));
        assert_eq!(health.failed(true, LIMITS, 903 * SECOND), None, "no trial, but what was under way");
        health.answers_checks(904 * SECOND);
        assert_eq!(standing(&health, 904 * SECOND), Standing::OnTrial, "a check passed");
    }

    #[test]
    fn a_trial_that_never_ends_is_followed_by_another() {
        let health = Passive::default();
        health.failed(true, LIMITS, SECOND);
        assert!(health.takes_requests(|| 10 * SECOND));
        assert!(!health.takes_requests(|| 39 * SECOND));
        assert!(health.takes_requests(|| 40 * SECOND));
    }

    #[test]
    fn a_check_that_passes_lets_a_request_try_what_took_no_connection_and_nothing_else() {
        let health = Passive::default();
        health.failed(true, LIMITS, SECOND);
        assert!(!health.takes_requests(|| 2 * SECOND));
        health.answers_checks(2 * SECOND);
        assert!(health.takes_requests(|| 2 * SECOND));
        health.answers_checks(3 * SECOND);
        assert!(!health.takes_requests(|| 3 * SECOND), "one request is trying it");
        assert_eq!(health.failed(false, LIMITS, 4 * SECOND), Some(2 * LIMITS.eject_for));
        health.answers_checks(5 * SECOND);
        assert!(!health.takes_requests(|| 5 * SECOND), "it takes connections, and answers badly");
    }
}
