//! Whether a request is sent once more, after a server gave no answer.
//!
//! It may be where no server can have carried it out: no connection was made; or its method may be repeated (RFC 9110,
//! section 9.2.2), nothing of its body was sent and nothing came back. What took a server's time costs a budget, so that
//! retries cannot multiply an outage.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use http::Method;

use crate::failure::{NetworkFailure, RetryReason};

/// How far a request had come when it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// There was no connection.
    Connecting,
    /// The server says that it has not begun with it.
    Untouched,
    /// It was sent, over a connection that had been idle or over a new one; nothing came back.
    Sent {
        /// Whether the connection had been idle.
        reused: bool,
    },
}

/// An attempt that failed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Failed<'r> {
    pub(crate) stage: Stage,
    pub(crate) cause: NetworkFailure,
    pub(crate) method: &'r Method,
    /// What was sent of the body.
    pub(crate) body_bytes: u64,
    /// How often it was sent.
    pub(crate) attempts: usize,
    pub(crate) attempts_max: u8,
    /// Whether a server is left that has not failed it.
    pub(crate) has_another: bool,
}

/// Whether it is sent once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retry {
    /// It cannot be.
    Never,
    /// It could be, but was sent often enough.
    Exhausted,
    /// It may be.
    Again {
        /// Why.
        reason: RetryReason,
        /// Whether the budget is asked.
        costs: bool,
    },
}

impl Failed<'_> {
    /// Judges a failed attempt. The budget is asked apart, for it remembers.
    pub(crate) fn retry(&self) -> Retry {
        let reason = match self.stage {
            Stage::Connecting if self.has_another => RetryReason::Connect,
            Stage::Untouched => RetryReason::Untouched,
            Stage::Sent { reused } if self.is_harmless() => match reused {
                true => RetryReason::IdleClosed,
                false if self.has_another => RetryReason::Reset,
                false => return Retry::Never,
            },
            Stage::Connecting | Stage::Sent { .. } => return Retry::Never,
        };
        if self.attempts >= usize::from(self.attempts_max) {
            return Retry::Exhausted;
        }
        // Where nobody took the connection nobody's time was taken, however long that was waited for.
        let is_free = self.stage == Stage::Connecting
            && matches!(
                self.cause,
                NetworkFailure::Refused | NetworkFailure::Unreachable | NetworkFailure::ConnectTimeout
            );
        Retry::Again { reason, costs: !is_free }
    }

    /// Whether nothing can happen twice, and another server may do better. One that is slow may still be at it.
    fn is_harmless(&self) -> bool {
        self.method.is_idempotent() && self.body_bytes == 0 && self.cause == NetworkFailure::Reset
    }
}

/// How long retries are counted together, in milliseconds.
const WINDOW_MS: i64 = 10_000;
/// How many there may always be in that time.
const FLOOR: u64 = 30;

/// How many retries an app has left. Nothing here is exact: two that come at once may both be the last one.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    /// When the present window began; Unix milliseconds.
    began: AtomicI64,
    /// How many requests the app had had then.
    requests: AtomicU64,
    /// How many requests the window before had, reckoned to its length.
    former: AtomicU64,
    /// Retries of the present window.
    retries: AtomicU64,
}

impl Budget {
    /// Whether there may be one more retry, which then counts. `requests` are those that the app has had so far.
    pub(crate) fn allows(&self, percent: u8, requests: u64, now_ms: i64) -> bool {
        if percent == 0 {
            return false;
        }
        let began = self.began.load(Ordering::Relaxed);
        let elapsed = now_ms.saturating_sub(began);
        // A clock that was set back begins a window, too.
        let is_over = !(0..WINDOW_MS).contains(&elapsed);
        if is_over && self.began.compare_exchange(began, now_ms, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        {
            let had = requests.saturating_sub(self.requests.swap(requests, Ordering::Relaxed));
            let elapsed = u64::try_from(elapsed).unwrap_or(u64::MAX).max(1);
            let reckoned = u128::from(had) * u128::from(WINDOW_MS.unsigned_abs()) / u128::from(elapsed);
            self.former.store(u64::try_from(reckoned).unwrap_or(u64::MAX), Ordering::Relaxed);
            self.retries.store(0, Ordering::Relaxed);
        }
        let present = requests.saturating_sub(self.requests.load(Ordering::Relaxed));
        let seen = present.max(self.former.load(Ordering::Relaxed));
        let limit = FLOOR.max(seen.saturating_mul(percent.into()) / 100);
        let is_left = self.retries.load(Ordering::Relaxed) < limit;
        if is_left {
            self.retries.fetch_add(1, Ordering::Relaxed);
        }
        is_left
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NEW: Stage = Stage::Sent { reused: false };
    const IDLE: Stage = Stage::Sent { reused: true };

    fn failed(stage: Stage, cause: NetworkFailure, method: &Method) -> Failed<'_> {
        Failed { stage, cause, method, body_bytes: 0, attempts: 1, attempts_max: 3, has_another: true }
    }

    fn again(reason: RetryReason, costs: bool) -> Retry {
        Retry::Again { reason, costs }
    }

    #[test]
    fn what_no_server_took_goes_to_another_one_whatever_it_is() {
        for method in [Method::GET, Method::POST, Method::PATCH] {
            for (cause, costs) in [
                (NetworkFailure::Refused, false),
                (NetworkFailure::Unreachable, false),
                (NetworkFailure::ConnectTimeout, false),
                (NetworkFailure::TlsOther, true),
            ] {
                let failed = failed(Stage::Connecting, cause, &method);
                assert_eq!(failed.retry(), again(RetryReason::Connect, costs), "{method} {cause:?}");
                assert_eq!(
                    Failed { has_another: false, ..failed }.retry(),
                    Retry::Never,
                    "{method} {cause:?}"
                );
                assert_eq!(Failed { body_bytes: 9, ..failed }.retry(), again(RetryReason::Connect, costs));
            }
        }
    }

    #[test]
    fn what_was_sent_is_repeated_only_where_nothing_can_happen_twice() {
        let reset = NetworkFailure::Reset;
        for method in [Method::GET, Method::HEAD, Method::OPTIONS, Method::PUT, Method::DELETE] {
            assert_eq!(failed(NEW, reset, &method).retry(), again(RetryReason::Reset, true), "{method}");
            assert_eq!(
                failed(IDLE, reset, &method).retry(),
                again(RetryReason::IdleClosed, true),
                "{method}"
            );
            for stage in [NEW, IDLE] {
                let begun = Failed { body_bytes: 1, ..failed(stage, reset, &method) };
                assert_eq!(begun.retry(), Retry::Never, "{method}");
            }
        }
        for method in [Method::POST, Method::PATCH] {
            for stage in [NEW, IDLE] {
                assert_eq!(failed(stage, reset, &method).retry(), Retry::Never, "{method}");
            }
        }
        for cause in NetworkFailure::ALL.into_iter().filter(|cause| *cause != reset) {
            assert_eq!(failed(NEW, cause, &Method::GET).retry(), Retry::Never, "{cause:?}");
        }
    }

    #[test]
    fn what_a_server_has_not_begun_with_is_sent_again_whatever_it_is() {
        for method in [Method::GET, Method::POST] {
            let failed = failed(Stage::Untouched, NetworkFailure::Reset, &method);
            assert_eq!(failed.retry(), again(RetryReason::Untouched, true));
            let alone = Failed { body_bytes: 9, has_another: false, ..failed };
            assert_eq!(alone.retry(), again(RetryReason::Untouched, true), "over another connection");
            assert_eq!(Failed { attempts: 3, ..failed }.retry(), Retry::Exhausted);
        }
    }

    #[test]
    fn a_server_that_just_failed_is_asked_again_only_over_a_new_connection() {
        let alone =
            |stage| Failed { has_another: false, ..failed(stage, NetworkFailure::Reset, &Method::GET) };
        assert_eq!(alone(NEW).retry(), Retry::Never);
        assert_eq!(alone(IDLE).retry(), again(RetryReason::IdleClosed, true));
    }

    #[test]
    fn a_request_is_sent_as_often_as_the_app_allows() {
        let third =
            Failed { attempts: 3, ..failed(Stage::Connecting, NetworkFailure::Refused, &Method::GET) };
        assert_eq!(third.retry(), Retry::Exhausted);
        assert_eq!(Failed { attempts_max: 4, ..third }.retry(), again(RetryReason::Connect, false));
    }

    fn allowed(budget: &Budget, percent: u8, requests: u64, now: i64) -> u64 {
        (0..100_000).take_while(|_| budget.allows(percent, requests, now)).count() as u64
    }

    #[test]
    fn an_app_without_requests_has_a_few_retries_and_a_busy_one_its_percentage() {
        let start = 1_800_000_000_000;
        let budget = Budget::default();
        assert_eq!(allowed(&budget, 20, 0, start), FLOOR);
        assert_eq!(allowed(&budget, 20, 1_000, start + 5_000), 200 - FLOOR);
        assert_eq!(allowed(&budget, 20, 1_000, start + 10_000), 200, "a new window goes by the former");
        assert_eq!(allowed(&budget, 20, 1_000, start + 30_000), FLOOR, "nobody asked for twenty seconds");
        assert_eq!(allowed(&Budget::default(), 0, 1_000_000, start), 0, "0 percent is none");
    }

    #[test]
    fn a_reload_in_the_middle_of_an_outage_gives_no_more_than_the_floor() {
        assert_eq!(allowed(&Budget::default(), 20, 50_000_000, 1_800_000_000_000), FLOOR);
    }

    #[test]
    fn a_clock_that_is_set_back_ends_no_budget() {
        let budget = Budget::default();
        allowed(&budget, 20, 0, 1_800_000_000_000);
        assert_eq!(allowed(&budget, 20, 0, 1_700_000_000_000), FLOOR);
    }

    proptest! {
        #[test]
        fn retries_never_exceed_the_percentage_and_the_floor(
            percent in 1_u8..=100,
            steps in prop::collection::vec((0_u64..500, 0_i64..3_000, 0_usize..200), 1..40),
        ) {
            let budget = Budget::default();
            let (mut requests, mut now, mut retries) = (0, 1_800_000_000_000_i64, 0_u64);
            let began = now;
            for (more, later, wanted) in steps {
                requests += more;
                now += later;
                retries += (0..wanted).filter(|_| budget.allows(percent, requests, now)).count() as u64;
            }
            // Each request counts for the window in which it came, and for the one after that.
            let windows = ((now - began) / WINDOW_MS) as u64 + 1;
            prop_assert!(retries <= windows * FLOOR + 2 * requests * u64::from(percent) / 100 + windows);
        }
    }
}
