//! Heads that have begun and not ended: nobody knows yet who sends them. The connection that holds most of them goes
//! when they are too much for the process.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::budget::change;
use super::seats::Seats;
use super::signal::Signal;

/// What a connection holds of a head that is not complete.
#[derive(Debug)]
pub(super) struct UnfinishedHead {
    pub(super) seats: Arc<Seats>,
    pub(super) signal: Arc<Signal>,
    /// What all connections hold.
    pub(super) total: &'static AtomicU64,
    /// The most that all may hold.
    pub(super) of_process: u64,
}

impl UnfinishedHead {
    /// So many bytes it is now; 0 is none. To be called by the connection alone.
    pub(super) fn set(&self, bytes: u64) {
        let before = self.signal.head.swap(bytes, Ordering::Relaxed);
        let total = change(self.total, before, bytes);
        if bytes > before && total > self.of_process {
            self.seats.cut_longest_head(self.of_process);
        }
    }
}

impl Drop for UnfinishedHead {
    fn drop(&mut self) {
        self.set(0);
    }
}
