//! What clients leave unread. The connection that holds most of it goes when it is too much for the process.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::seats::Seats;
use super::signal::Signal;

/// How much may be left unread, and for how long.
#[derive(Clone, Debug)]
pub(super) struct Budget {
    pub(super) seats: Arc<Seats>,
    /// What all connections leave unread.
    pub(super) total: &'static AtomicU64,
    pub(super) of_connection: u64,
    pub(super) of_process: u64,
    /// An answer of ours.
    pub(super) stall: Duration,
}

impl Budget {
    pub(super) fn is_over(&self, signal: &Signal) -> bool {
        signal.unsent.load(Ordering::Relaxed) > self.of_connection
    }
}

/// What is held of a long answer behind the piece that its client does not take, in bytes: 64 KiB each in the libraries that
/// speak TLS and HTTP/2 to the client, and some 50 KiB of the request itself. An app that speaks HTTP/2 may send as much again
/// (`STREAM_WINDOW` of the upstream leg), and 64 KiB are held where the request had a long body.
pub(super) const READ_AHEAD: u64 = 128 << 10;

/// Bytes of one answer that its client has not taken.
#[derive(Debug)]
pub(crate) struct Unsent {
    signal: Arc<Signal>,
    budget: Budget,
    bytes: u64,
    ahead: u64,
}

impl Unsent {
    pub(super) const fn new(signal: Arc<Signal>, budget: Budget) -> Self {
        Self { signal, budget, bytes: 0, ahead: 0 }
    }

    /// So many they are now, and more of the answer is read ahead behind them, or not.
    pub(crate) fn set(&mut self, bytes: u64, is_read_ahead: bool) {
        self.change_to(bytes, if is_read_ahead { READ_AHEAD } else { 0 });
    }

    /// So much memory they take, and none of it is of an answer: streams that wait for their turn. They do not count as what
    /// the connection leaves unread, or they would wait for themselves.
    pub(super) fn hold(&mut self, bytes: u64) {
        self.change_to(0, bytes);
    }

    fn change_to(&mut self, bytes: u64, ahead: u64) {
        let before = self.bytes + self.ahead;
        let was_over = self.budget.is_over(&self.signal);
        change(&self.signal.unsent, self.bytes, bytes);
        change(&self.signal.held, before, bytes + ahead);
        let total = change(self.budget.total, before, bytes + ahead);
        (self.bytes, self.ahead) = (bytes, ahead);
        if was_over && !self.budget.is_over(&self.signal) {
            // Streams of the connection may wait for that.
            self.signal.wake();
        }
        if bytes + ahead > before && total > self.budget.of_process {
            self.budget.seats.cut_largest(self.budget.of_process);
        }
    }
}

/// Changes a sum by what one of its parts changed; what it is then.
pub(super) fn change(sum: &AtomicU64, before: u64, after: u64) -> u64 {
    if after >= before {
        sum.fetch_add(after - before, Ordering::Relaxed) + (after - before)
    } else {
        sum.fetch_sub(before - after, Ordering::Relaxed).saturating_sub(before - after)
    }
}

impl Drop for Unsent {
    fn drop(&mut self) {
        self.set(0, false);
    }
}
