//! Whether what is remembered here may be relied on: whether what other replicas end arrives.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Other replicas are heard from at least so often; after this time without a word, memory is stale.
pub(crate) const CURRENT_FOR: Duration = Duration::from_secs(3);

/// Nobody else ends sessions.
const ALONE: u64 = u64::MAX;
/// Nothing has been heard yet.
const NEVER: u64 = 0;

/// How far memory can be relied on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// It has what others ended.
    Current,
    /// The store is away, for less than `stale-max`: what is remembered serves, nothing new is known.
    Stale,
    /// It has been away for longer: remembered sessions are refused as "temporary".
    Expired,
}

/// The connection to what others end.
#[derive(Debug)]
pub struct Link {
    /// When it was last known to be up, in milliseconds of the monotonic clock.
    confirmed_ms: AtomicU64,
}

fn uptime_ms() -> u64 {
    let now = clock_gettime(ClockId::MonotonicCoarse);
    let (secs, millis) = (u64::try_from(now.tv_sec).unwrap_or(0), now.tv_nsec / 1_000_000);
    (secs * 1000 + u64::try_from(millis).unwrap_or(0)).max(NEVER + 1)
}

impl Link {
    /// This process alone ends sessions: memory is always current.
    #[must_use]
    pub fn alone() -> Self {
        Self { confirmed_ms: AtomicU64::new(ALONE) }
    }

    /// Others do too, and nothing has been heard yet.
    #[must_use]
    pub fn shared() -> Self {
        Self { confirmed_ms: AtomicU64::new(NEVER) }
    }

    /// Everything that others ended until now is here.
    pub fn confirm(&self) {
        self.confirmed_ms.store(uptime_ms(), Ordering::Release);
    }

    /// From now on another process ends sessions, and this one does not hear of it.
    pub fn cut(&self) {
        self.confirm();
    }

    /// How far memory can be relied on.
    #[must_use]
    pub fn trust(&self, stale_max: Duration) -> Trust {
        match self.confirmed_ms.load(Ordering::Acquire) {
            ALONE => Trust::Current,
            NEVER => Trust::Expired,
            at => Self::trust_after(Duration::from_millis(uptime_ms().saturating_sub(at)), stale_max),
        }
    }

    fn trust_after(silence: Duration, stale_max: Duration) -> Trust {
        if silence <= CURRENT_FOR {
            Trust::Current
        } else if silence <= stale_max {
            Trust::Stale
        } else {
            Trust::Expired
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_serves_for_its_bound_and_not_longer() {
        let trust = |secs, max| Link::trust_after(Duration::from_secs(secs), Duration::from_secs(max));
        assert_eq!(trust(0, 300), Trust::Current);
        assert_eq!(trust(3, 300), Trust::Current);
        assert_eq!(trust(4, 300), Trust::Stale);
        assert_eq!(trust(300, 300), Trust::Stale);
        assert_eq!(trust(301, 300), Trust::Expired);
        assert_eq!(trust(4, 0), Trust::Expired, "a bound of nothing");
    }

    #[test]
    fn what_was_never_heard_of_is_not_relied_on_and_who_is_alone_hears_everything() {
        let link = Link::shared();
        assert_eq!(link.trust(Duration::from_secs(300)), Trust::Expired);
        link.confirm();
        assert_eq!(link.trust(Duration::from_secs(300)), Trust::Current);
        assert_eq!(Link::alone().trust(Duration::ZERO), Trust::Current);
    }
}
