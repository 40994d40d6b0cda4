//! What clients leave unread. The connection that holds most of it goes when it is too much for the process.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::seats::Seats;
use super::signal::Signal;

/// How much may be left unread.
#[derive(Clone, Debug)]
pub(super) struct Budget {
    pub(super) seats: Arc<Seats>,
    /// What all connections leave unread.
    pub(super) total: &'static AtomicU64,
    pub(super) of_connection: u64,
    pub(super) of_process: u64,
}

impl Budget {
    pub(super) fn is_over(&self, signal: &Signal) -> bool {
        signal.unsent.load(Ordering::Relaxed) > self.of_connection
    }
}

/// Bytes of one answer that its client has not taken.
#[derive(Debug)]
pub(crate) struct Unsent {
    signal: Arc<Signal>,
    budget: Budget,
    bytes: u64,
}

impl Unsent {
    pub(super) const fn new(signal: Arc<Signal>, budget: Budget) -> Self {
        Self { signal, budget, bytes: 0 }
    }

    /// So many they are now.
    pub(crate) fn set(&mut self, bytes: u64) {
        let before = std::mem::replace(&mut self.bytes, bytes);
        if bytes < before {
            self.signal.unsent.fetch_sub(before - bytes, Ordering::Relaxed);
            self.budget.total.fetch_sub(before - bytes, Ordering::Relaxed);
        } else if bytes > before {
            self.signal.unsent.fetch_add(bytes - before, Ordering::Relaxed);
            let total = self.budget.total.fetch_add(bytes - before, Ordering::Relaxed) + bytes - before;
            if total > self.budget.of_process {
                self.budget.seats.cut_largest(self.budget.of_process);
            }
        }
    }
}

impl Drop for Unsent {
    fn drop(&mut self) {
        self.set(0);
    }
}
