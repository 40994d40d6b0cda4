//! How the store does, for metrics, `/status` and the log.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use parking_lot::Mutex;

use super::outage::{Operation, StoreFault, StoreUnavailable};
use crate::clock::unix_now;

/// Whether the store works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It does.
    Works,
    /// It does not, since this time (Unix seconds).
    Failing(i64, StoreFault),
}

/// Counts failures, and says once that a store fails, and once that it works again.
#[derive(Debug)]
pub struct Health {
    failures: [AtomicU64; Operation::ALL.len()],
    /// 0 while it works: read without the lock.
    since: AtomicI64,
    condition: Mutex<Condition>,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            failures: Operation::ALL.map(|_| AtomicU64::new(0)),
            since: AtomicI64::new(0),
            condition: Mutex::new(Condition::Works),
        }
    }
}

impl Health {
    /// Takes note of an answer.
    pub(super) fn note<T>(&self, answer: Result<T, StoreUnavailable>) -> Result<T, StoreUnavailable> {
        match &answer {
            Ok(_) => self.works(),
            Err(failure) => self.fails(*failure),
        }
        answer
    }

    /// It works.
    pub(super) fn works(&self) {
        if self.since.load(Ordering::Relaxed) == 0 {
            return;
        }
        let mut condition = self.condition.lock();
        if let Condition::Failing(since, _) = *condition {
            *condition = Condition::Works;
            self.since.store(0, Ordering::Relaxed);
            tracing::info!(seconds = unix_now().saturating_sub(since), "the session store works again");
        }
    }

    /// Something did not work that has a substitute.
    pub(super) fn count(&self, failure: StoreUnavailable) {
        if let Some(count) = self.failures.get(failure.operation as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// It does not.
    pub(super) fn fails(&self, failure: StoreUnavailable) {
        self.count(failure);
        let StoreUnavailable { operation, fault } = failure;
        let mut condition = self.condition.lock();
        let since = match *condition {
            Condition::Failing(since, former) if former == fault => since,
            Condition::Failing(since, _) => {
                tracing::warn!(
                    operation = operation.as_str(),
                    fault = fault.as_str(),
                    "the session store fails"
                );
                since
            }
            Condition::Works => {
                tracing::error!(
                    operation = operation.as_str(),
                    fault = fault.as_str(),
                    "the session store fails: requests with sessions that are not remembered are refused as temporary"
                );
                unix_now().max(1)
            }
        };
        *condition = Condition::Failing(since, fault);
        self.since.store(since, Ordering::Relaxed);
    }

    /// Whether it works.
    #[must_use]
    pub fn condition(&self) -> Condition {
        *self.condition.lock()
    }

    /// How often each operation failed.
    #[must_use]
    pub fn failures(&self) -> [(Operation, u64); Operation::ALL.len()] {
        let mut counts = Operation::ALL.map(|operation| (operation, 0));
        for ((_, count), failures) in counts.iter_mut().zip(&self.failures) {
            *count = failures.load(Ordering::Relaxed);
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_counted_by_operation_and_the_first_of_a_row_says_since_when() {
        let health = Health::default();
        let failure = StoreUnavailable { operation: Operation::Get, fault: StoreFault::Timeout };
        assert_eq!(health.note(Err::<(), _>(failure)), Err(failure));
        let Condition::Failing(since, StoreFault::Timeout) = health.condition() else { panic!("it fails") };
        health.fails(StoreUnavailable { operation: Operation::Put, fault: StoreFault::Disk });
        assert_eq!(health.condition(), Condition::Failing(since, StoreFault::Disk));
        let failed: Vec<_> = health.failures().into_iter().filter(|(_, count)| *count > 0).collect();
        assert_eq!(failed, [(Operation::Get, 1), (Operation::Put, 1)]);
        assert_eq!(health.note(Ok(7)), Ok(7));
        assert_eq!(health.condition(), Condition::Works);
    }
}
