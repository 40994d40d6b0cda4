//! Requests that stand for a count, for OpenMetrics.

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use super::exposition::Exemplar;

/// One request for each of some counts, the first after a scrape. Never waits: a request that finds
/// a slot taken or in use goes on.
#[derive(Debug)]
pub(super) struct Exemplars(Box<[Slot]>);

#[derive(Debug, Default)]
struct Slot {
    filled: AtomicBool,
    exemplar: Mutex<Option<Exemplar>>,
}

impl Exemplars {
    pub(super) fn new(count: usize) -> Self {
        Self(std::iter::repeat_with(Slot::default).take(count).collect())
    }

    pub(super) fn offer(&self, at: usize, exemplar: Exemplar) {
        let Some(slot) = self.0.get(at) else { return };
        if !slot.filled.load(Ordering::Relaxed)
            && let Some(mut place) = slot.exemplar.try_lock()
        {
            *place = Some(exemplar);
            slot.filled.store(true, Ordering::Relaxed);
        }
    }

    /// The exemplars as they are; the next request to come replaces each.
    pub(super) fn read(&self) -> Vec<Option<Exemplar>> {
        let read = |slot: &Slot| {
            slot.filled.store(false, Ordering::Relaxed);
            *slot.exemplar.lock()
        };
        self.0.iter().map(read).collect()
    }
}
