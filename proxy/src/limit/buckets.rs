//! Token buckets in a table of fixed size, without locks.
//!
//! A bucket is one word: when it will be full again (the "theoretical arrival time" of the generic cell rate algorithm,
//! ITU-T I.371). A bucket that is full is the same as none, so that an entry frees its place by waiting. An entry has
//! its place in one of eight words, which share a cache line; where all eight are in use, the one that is nearest to
//! full makes room, and its owner begins anew.
//!
//! So whoever comes with many addresses can at most win back what those had spent, and whoever spent most stays. Nobody
//! pays for somebody else, unless 20 bits of a hash are the same within one line, and nobody can look for such: the
//! hash is keyed by chance.

use std::fmt;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ahash::RandomState;
use portcullis_config::settings::Rate;

use super::quota::Quota;

/// Of eight words each: 256 KiB.
const LINES: usize = 4096;
const WORDS: usize = 8;
/// Bits of a word: 20 of the key's hash, 44 of the time in microseconds, which come round after 203 days.
const TIME_BITS: u32 = 44;
const TIME_MASK: u64 = (1 << TIME_BITS) - 1;
/// No rate takes longer to be full again, in microseconds; what seems to is a time that has passed.
const REFILL_MAX: u64 = 86_400 * 1_000_000;

/// What one look-up reads.
#[derive(Default)]
#[repr(align(64))]
struct Line([AtomicU64; WORDS]);

/// The table.
pub(super) struct Buckets {
    lines: Box<[Line]>,
    hasher: RandomState,
}

impl fmt::Debug for Buckets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buckets").finish_non_exhaustive()
    }
}

/// A rate in microseconds.
#[derive(Clone, Copy)]
pub(super) struct Steps {
    rate: Rate,
    /// For one; rounded up, so that never more are let in than is written.
    pub(super) one: u64,
    /// For all that may come at once.
    pub(super) all: u64,
}

impl Steps {
    pub(super) fn of(rate: Rate) -> Self {
        let per = u64::try_from(rate.per.as_micros()).unwrap_or(REFILL_MAX);
        let one = per.div_ceil(u64::from(rate.count.max(1))).max(1);
        Self { rate, one, all: one.saturating_mul(u64::from(rate.burst.max(1))) }
    }

    /// What follows from a bucket that will be full in `debt`, once this request is counted or refused.
    fn quota(self, debt: u64) -> (Quota, u64) {
        let after = debt + self.one;
        let is_exceeded = after > self.all;
        let debt = if is_exceeded { debt } else { after };
        let left = self.all.saturating_sub(debt) / self.one;
        let wait = (debt + self.one).saturating_sub(self.all);
        let quota = Quota {
            rate: self.rate,
            left: u32::try_from(left).unwrap_or(u32::MAX),
            wait: Duration::from_micros(wait),
            until_full: Duration::from_micros(debt),
            is_exceeded,
        };
        (quota, debt)
    }
}

/// For how long a word's bucket is not full, at `now` in microseconds.
const fn debt(word: u64, now: u64, max: u64) -> u64 {
    let ahead = (word & TIME_MASK).wrapping_sub(now) & TIME_MASK;
    // A time that has passed, or one of a clock or a rate that was set back since.
    if ahead > max { 0 } else { ahead }
}

impl Buckets {
    pub(super) fn new() -> Self {
        Self { lines: (0..LINES).map(|_| Line::default()).collect(), hasher: RandomState::new() }
    }

    /// Counts one of `key`, unless it is too many.
    pub(super) fn take(&self, key: &impl Hash, rate: Rate, now_unix_ms: i64) -> Quota {
        self.at(key, Steps::of(rate), now_unix_ms, true)
    }

    /// What [`take`](Self::take) would say.
    pub(super) fn peek(&self, key: &impl Hash, rate: Rate, now_unix_ms: i64) -> Quota {
        self.at(key, Steps::of(rate), now_unix_ms, false)
    }

    /// How many the bucket has counted that is farthest from full.
    pub(super) fn most(&self, rate: Rate, now_unix_ms: i64) -> u64 {
        let steps = Steps::of(rate);
        let now = now_unix_ms.cast_unsigned().wrapping_mul(1_000) & TIME_MASK;
        let words = self.lines.iter().flat_map(|line| &line.0);
        let spent = words.map(|word| debt(word.load(Ordering::Relaxed), now, steps.all)).max();
        spent.unwrap_or_default().div_ceil(steps.one)
    }

    fn at(&self, key: &impl Hash, steps: Steps, now_unix_ms: i64, counts: bool) -> Quota {
        let hash = self.hasher.hash_one(key);
        let tag = hash >> TIME_BITS;
        let now = now_unix_ms.cast_unsigned().wrapping_mul(1_000) & TIME_MASK;
        let Some(line) = self.lines.get(usize::try_from(hash).unwrap_or(0) % LINES) else {
            return steps.quota(0).0;
        };
        loop {
            // The key's own, else the one that is nearest to full.
            let mut place: Option<(&AtomicU64, u64, u64)> = None;
            let mut own = 0;
            for word in &line.0 {
                let seen = word.load(Ordering::Relaxed);
                let spent = debt(seen, now, REFILL_MAX);
                if spent != 0 && seen >> TIME_BITS == tag {
                    place = Some((word, seen, spent));
                    own = debt(seen, now, steps.all);
                    break;
                }
                if place.is_none_or(|(_, _, least)| spent < least) {
                    place = Some((word, seen, spent));
                }
            }
            let (quota, debt) = steps.quota(own);
            let Some((word, seen, _)) = place.filter(|_| counts && !quota.is_exceeded) else { return quota };
            let next = (tag << TIME_BITS) | (now.wrapping_add(debt) & TIME_MASK);
            // Another thread may have written it meanwhile.
            if word.compare_exchange_weak(seen, next, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
                return quota;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_795_487_466_123;

    fn rate(count: u32, secs: u64, burst: u32) -> Rate {
        Rate { count, per: Duration::from_secs(secs), burst }
    }

    /// How many of `asked` requests at once are let in.
    fn passed(buckets: &Buckets, key: &str, rate: Rate, now: i64, asked: u32) -> u32 {
        (0..asked).map(|_| u32::from(!buckets.take(&key, rate, now).is_exceeded)).sum()
    }

    #[test]
    fn a_burst_passes_at_once_and_then_the_rate() {
        let (buckets, rate) = (Buckets::new(), rate(20, 1, 100));
        assert_eq!(passed(&buckets, "a", rate, NOW, 500), 100);
        assert_eq!(passed(&buckets, "a", rate, NOW + 49, 10), 0);
        assert_eq!(passed(&buckets, "a", rate, NOW + 50, 10), 1);
        assert_eq!(passed(&buckets, "a", rate, NOW + 1_050, 500), 20);
        assert_eq!(passed(&buckets, "a", rate, NOW + 60_000, 500), 100);
        // Over ten minutes of asking more often than is let in, never more than the rate and one burst.
        let all: u32 = (0..6_000).map(|tick| passed(&buckets, "b", rate, NOW + tick * 100, 5)).sum();
        assert!((12_000..=12_100).contains(&all), "{all}");
    }

    #[test]
    fn what_is_left_and_how_long_to_wait_is_said() {
        let (buckets, rate) = (Buckets::new(), rate(60, 60, 3));
        let said = |now: i64| {
            let quota = buckets.take(&"a", rate, now);
            (quota.left, quota.wait.as_millis(), quota.is_exceeded)
        };
        assert_eq!([said(NOW), said(NOW), said(NOW)], [(2, 0, false), (1, 0, false), (0, 1_000, false)]);
        assert_eq!([said(NOW), said(NOW + 400)], [(0, 1_000, true), (0, 600, true)]);
        assert_eq!(said(NOW + 1_000), (0, 1_000, false));
    }

    #[test]
    fn nobody_is_limited_for_what_somebody_else_sent() {
        let (buckets, rate) = (Buckets::new(), rate(10, 3_600, 10));
        // Some 300 addresses for each place that there is, every one of them over its limit.
        for number in 0..100_000 {
            passed(&buckets, &format!("attacker-{number}"), rate, NOW, 11);
        }
        let hurt = (0..1_000).filter(|n| passed(&buckets, &format!("user-{n}"), rate, NOW, 1) == 0).count();
        // By chance 8 of 2^20 keys have the tag of an entry in their line.
        assert!(hurt <= 2, "{hurt} of 1,000");
    }

    #[test]
    fn whoever_spent_most_stays_limited_where_there_is_no_more_room() {
        let (buckets, rate) = (Buckets::new(), rate(10, 3_600, 10));
        assert_eq!(passed(&buckets, "attacker", rate, NOW, 100), 10);
        for number in 0..200_000 {
            passed(&buckets, &format!("other-{number}"), rate, NOW, 1);
        }
        assert_eq!(passed(&buckets, "attacker", rate, NOW, 100), 0);
    }

    #[test]
    fn a_clock_that_is_set_back_or_a_rate_that_is_changed_locks_nobody_out() {
        let (buckets, slow) = (Buckets::new(), rate(1, 3_600, 20));
        assert_eq!(passed(&buckets, "a", slow, NOW, 100), 20);
        assert_eq!(passed(&buckets, "a", rate(100, 1, 100), NOW, 200), 100);
        assert_eq!(passed(&buckets, "b", slow, NOW, 100), 20);
        assert_eq!(passed(&buckets, "b", slow, NOW - 86_400_000, 100), 20);
        for now in [i64::MIN, -1, 0, i64::MAX] {
            assert!(passed(&buckets, "c", slow, now, 1) <= 1);
        }
    }

    #[test]
    fn many_threads_together_pass_no_more_than_the_burst() {
        let (buckets, rate) = (Buckets::new(), rate(1, 3_600, 24));
        let all = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..8).map(|_| scope.spawn(|| passed(&buckets, "a", rate, NOW, 1_000))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum::<u32>()
        });
        assert_eq!(all, 24);
    }
}
