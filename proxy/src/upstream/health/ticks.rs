//! Moments as small numbers: a moment that is only compared with others fits into an atomic.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// Milliseconds since the process first asked; never 0.
pub(super) fn now_ms() -> u64 {
    static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);
    millis(BEGAN.elapsed()).min(u64::MAX - 1) + 1
}

/// Whole milliseconds.
pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
