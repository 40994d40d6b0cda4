//! How often the same user was refused the same app with the same code a short while ago, so that
//! the page can say that trying again will not change it.
//!
//! A table of fixed size without locks: an entry is one word that threads exchange whole. An entry has
//! its place in one of eight words, which share a cache line; where all eight are taken, the one with
//! the fewest refusals makes room. Whoever is pushed out begins anew, which costs a sentence on a page,
//! or some lines in the log (`thinning`).

use std::fmt;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ahash::RandomState;

/// How far back refusals are counted.
pub(super) const WINDOW: Duration = Duration::from_secs(10 * 60);
/// The most that is shown; beyond it is "more than".
pub(super) const REPEATS_SHOWN_MAX: u32 = 10;

/// Of eight words each.
const LINES: usize = 1024;
const WORDS: usize = 8;
/// Bits of a word: 24 of the key's hash, 28 of the first refusal's second, 12 of the count.
const SECS_BITS: u32 = 28;
const COUNT_BITS: u32 = 12;
const SECS_MASK: u64 = (1 << SECS_BITS) - 1;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;

/// What one look-up reads.
#[derive(Default)]
#[repr(align(64))]
struct Line([AtomicU64; WORDS]);

/// The counter.
pub(super) struct Repeats {
    lines: Box<[Line]>,
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
        Self { lines: (0..LINES).map(|_| Line::default()).collect(), hasher: RandomState::new() }
    }

    /// Counts nothing that was before.
    #[cfg(test)]
    pub(super) fn forget(&self) {
        self.lines.iter().flat_map(|line| &line.0).for_each(|word| word.store(0, Ordering::Relaxed));
    }

    /// Counts a refusal at `now` (Unix seconds): how many there were within the window, this one
    /// included.
    pub(super) fn count(&self, user: &str, app: &str, code: u32, now: i64) -> u32 {
        self.count_hashed(self.hash((user, app, code)), now)
    }

    /// What is counted, as a number.
    pub(super) fn hash(&self, what: impl Hash) -> u64 {
        self.hasher.hash_one(what)
    }

    /// Counts what has this [`hash`](Self::hash).
    pub(super) fn count_hashed(&self, hash: u64, now: i64) -> u32 {
        let tag = hash >> (64 - 24);
        let now = now.cast_unsigned() & SECS_MASK;
        let Some(line) = self.lines.get(usize::try_from(hash).unwrap_or(0) % LINES) else { return 1 };
        let count = |word: u64| {
            let since = now.wrapping_sub((word >> COUNT_BITS) & SECS_MASK) & SECS_MASK;
            if since < WINDOW.as_secs() { word & COUNT_MASK } else { 0 }
        };
        loop {
            // The first that is this key's, else the first of those with the fewest.
            let mut place = None;
            for word in &line.0 {
                let seen = word.load(Ordering::Relaxed);
                let counted = count(seen);
                if counted != 0 && seen >> (SECS_BITS + COUNT_BITS) == tag {
                    place = Some((word, seen, counted, true));
                    break;
                }
                if place.is_none_or(|(_, _, fewest, _)| counted < fewest) {
                    place = Some((word, seen, counted, false));
                }
            }
            let Some((word, seen, counted, is_own)) = place else { return 1 };
            let (next, count) = if !is_own {
                ((tag << (SECS_BITS + COUNT_BITS)) | (now << COUNT_BITS) | 1, 1)
            } else if counted == COUNT_MASK {
                (seen, COUNT_MASK + 1)
            } else {
                (seen + 1, counted + 1)
            };
            // Another thread may have written it meanwhile.
            if word.compare_exchange_weak(seen, next, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
                return u32::try_from(count).unwrap_or(u32::MAX);
            }
        }
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
    fn a_thousand_users_who_are_refused_in_turn_are_each_counted() {
        let repeats = Repeats::new();
        let users: Vec<String> = (0..1_000).map(|number| format!("user-{number}")).collect();
        for turn in 1..=20 {
            let known =
                users.iter().filter(|user| repeats.count(user, "payroll", 53003, NOW) == turn).count();
            // Where nine share a line, which is seldom, two of them begin anew each time.
            assert!(known >= 998, "{known} of 1,000 in turn {turn}");
        }
    }

    #[test]
    fn whoever_was_refused_most_stays_where_there_is_no_more_room() {
        let repeats = Repeats::new();
        (0..100).for_each(|_| assert!(repeats.count("kari", "payroll", 53003, NOW) >= 1));
        for number in 0..100_000 {
            repeats.count(&format!("user-{number}"), "payroll", 53003, NOW);
        }
        assert_eq!(repeats.count("kari", "payroll", 53003, NOW), 101);
        assert_eq!(repeats.count("kari", "payroll", 53003, NOW + 600), 1);
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
