//! How often the same user was refused the same app with the same code a short while ago, so that
//! the page can say that trying again will not change it.
//!
//! A table of fixed size without locks: an entry is one word that threads exchange whole. Two users
//! who share a slot push each other out, which costs a sentence on a page and nothing else.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ahash::RandomState;

/// How far back refusals are counted.
pub(super) const WINDOW: Duration = Duration::from_secs(10 * 60);
/// The most that is shown; beyond it is "more than".
pub(super) const REPEATS_SHOWN_MAX: u32 = 10;

const SLOTS: usize = 4096;
/// Bits of a word: 24 of the key's hash, 28 of the first refusal's second, 12 of the count.
const SECS_BITS: u32 = 28;
const COUNT_BITS: u32 = 12;
const SECS_MASK: u64 = (1 << SECS_BITS) - 1;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;

/// The counter.
pub(super) struct Repeats {
    slots: Box<[AtomicU64]>,
    hasher: RandomState,
}

impl fmt::Debug for Repeats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Repeats").finish_non_exhaustive()
    }
}

impl Repeats {
    pub(super) fn new() -> Self {
        // Keyed by chance: nobody can choose whose entry is pushed out.
        Self { slots: (0..SLOTS).map(|_| AtomicU64::new(0)).collect(), hasher: RandomState::new() }
    }

    /// Counts nothing that was before.
    #[cfg(test)]
    pub(super) fn forget(&self) {
        self.slots.iter().for_each(|slot| slot.store(0, Ordering::Relaxed));
    }

    /// Counts a refusal at `now` (Unix seconds): how many there were within the window, this one
    /// included.
    pub(super) fn count(&self, user: &str, app: &str, code: u32, now: i64) -> u32 {
        let hash = self.hasher.hash_one((user, app, code));
        let tag = hash >> (64 - 24);
        let now = now.cast_unsigned() & SECS_MASK;
        let Some(slot) = self.slots.get(usize::try_from(hash).unwrap_or(0) % SLOTS) else { return 1 };
        let fresh = |word: u64| {
            let since = now.wrapping_sub((word >> COUNT_BITS) & SECS_MASK) & SECS_MASK;
            word & COUNT_MASK != 0 && word >> (SECS_BITS + COUNT_BITS) == tag && since < WINDOW.as_secs()
        };
        let next = |word: u64| {
            if fresh(word) {
                Some(if word & COUNT_MASK == COUNT_MASK { word } else { word + 1 })
            } else {
                Some((tag << (SECS_BITS + COUNT_BITS)) | (now << COUNT_BITS) | 1)
            }
        };
        let former = slot.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).unwrap_or_default();
        let count = if fresh(former) { (former & COUNT_MASK) + 1 } else { 1 };
        u32::try_from(count).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::Repeats;

    const NOW: i64 = 1_795_487_466;

    #[test]
    fn the_same_refusal_is_counted_within_ten_minutes_of_the_first() {
        let repeats = Repeats::new();
        assert_eq!(repeats.count("kari", "payroll", 53003, NOW), 1);
        assert_eq!(repeats.count("kari", "payroll", 53003, NOW + 1), 2);
        assert_eq!(repeats.count("kari", "payroll", 53003, NOW + 599), 3);
        assert_eq!(repeats.count("kari", "payroll", 53003, NOW + 600), 1);
    }

    #[test]
    fn another_user_app_or_code_is_another_refusal() {
        let repeats = Repeats::new();
        assert_eq!(repeats.count("kari", "payroll", 53003, NOW), 1);
        assert_eq!(repeats.count("bob", "payroll", 53003, NOW), 1);
        assert_eq!(repeats.count("kari", "wiki", 53003, NOW), 1);
        assert_eq!(repeats.count("kari", "payroll", 53000, NOW), 1);
    }

    #[test]
    fn the_count_stops_where_its_bits_end_and_odd_clocks_do_no_harm() {
        let repeats = Repeats::new();
        for _ in 0..5_000 {
            repeats.count("kari", "payroll", 53003, NOW);
        }
        assert_eq!(repeats.count("kari", "payroll", 53003, NOW), 4_096);
        for now in [i64::MIN, -1, 0, i64::MAX] {
            assert!(repeats.count("bob", "x", 1, now) >= 1);
        }
    }
}
