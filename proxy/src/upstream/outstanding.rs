//! How many requests are under way at a server.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// The count of one address.
#[derive(Debug, Default)]
pub(crate) struct Outstanding(Arc<AtomicU32>);

impl Outstanding {
    /// How many there are.
    pub(crate) fn count(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }

    /// One more, until what is given here is dropped.
    pub(crate) fn begin(&self) -> InFlight {
        self.0.fetch_add(1, Ordering::Relaxed);
        InFlight(Arc::clone(&self.0))
    }
}

/// A request that is under way at a server. However it ends, dropping this ends it.
#[derive(Debug)]
pub(crate) struct InFlight(Arc<AtomicU32>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_counts_until_it_is_dropped_by_a_panic_too() {
        let outstanding = Outstanding::default();
        let (one, other) = (outstanding.begin(), outstanding.begin());
        assert_eq!(outstanding.count(), 2);
        drop(one);
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
            let _kept = other;
            std::panic::resume_unwind(Box::new("an exchange that fails"));
        }));
        assert!(panicked.is_err());
        assert_eq!(outstanding.count(), 0);
    }
}
