//! Sharded counters: each thread adds to a cache line of its own, a scrape sums.
//!
//! A shared atomic costs little alone and ten times as much when two cores contend for its cache line. Here the
//! first threads that count have a shard each, to which no other thread writes, so that adding is a load and a
//! store; all later ones share one more, whose counters are added to atomically. Times are counted in whole
//! nanoseconds, so their sum is one more addition and no loop.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

const LINE: usize = 8;
/// More shards than this would cost memory for every app without a gain.
const SHARDS_MAX: usize = 16;

/// How many shards are of one thread each; a power of two.
static SHARDS: LazyLock<usize> = LazyLock::new(|| {
    std::thread::available_parallelism().map_or(1, usize::from).next_power_of_two().min(SHARDS_MAX)
});

static NEXT: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static THREAD: usize = NEXT.fetch_add(1, Ordering::Relaxed);
}

/// About how many threads count.
pub(super) fn shards() -> usize {
    *SHARDS
}

/// Which of the threads that count this is, from zero; no two have the same.
pub(super) fn thread_index() -> usize {
    THREAD.with(|thread| *thread)
}

/// Eight counters on one cache line.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Line([AtomicU64; LINE]);

/// A group of counters, sharded.
#[derive(Debug)]
pub(super) struct Counters {
    lines: Box<[Line]>,
    lines_per_shard: usize,
    /// How many shards are of one thread each; the last is shared by all other threads.
    owned: usize,
}

impl Counters {
    /// `count` counters at zero.
    pub(super) fn new(count: usize) -> Self {
        let (owned, lines_per_shard) = (*SHARDS, count.div_ceil(LINE));
        let lines = std::iter::repeat_with(Line::default).take((owned + 1) * lines_per_shard).collect();
        Self { lines, lines_per_shard, owned }
    }

    /// Adds to one counter. A counter that does not exist counts nothing. Not inlined: a request adds to a dozen,
    /// and a dozen copies cost more to fetch than to run.
    #[inline(never)]
    pub(super) fn add(&self, counter: usize, amount: u64) {
        let thread = thread_index();
        let Some(counter) = self.at(thread.min(self.owned), counter) else { return };
        if thread < self.owned {
            // This thread alone writes here.
            counter.store(counter.load(Ordering::Relaxed).wrapping_add(amount), Ordering::Relaxed);
        } else {
            counter.fetch_add(amount, Ordering::Relaxed);
        }
    }

    /// Takes one from a counter that is a level.
    pub(super) fn subtract(&self, counter: usize) {
        self.add(counter, u64::MAX);
    }

    /// The sum over all shards. A level may be added on one thread and taken on another, so the
    /// sum wraps.
    pub(super) fn sum(&self, counter: usize) -> u64 {
        (0..=self.owned)
            .filter_map(|shard| self.at(shard, counter))
            .fold(0, |sum, counter| sum.wrapping_add(counter.load(Ordering::Relaxed)))
    }

    fn at(&self, shard: usize, counter: usize) -> Option<&AtomicU64> {
        if counter / LINE >= self.lines_per_shard {
            return None;
        }
        self.lines.get(shard * self.lines_per_shard + counter / LINE)?.0.get(counter % LINE)
    }
}

/// Where a histogram's counters lie within a group, and its upper bounds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timing {
    /// Upper bounds in nanoseconds, ascending; one more bucket is without bound.
    pub(super) bounds: &'static [u64],
    /// The first of its counters: the buckets, then the sum in nanoseconds.
    pub(super) first: usize,
}

impl Timing {
    /// How many counters it takes.
    pub(super) const fn counters(bounds: &[u64]) -> usize {
        bounds.len() + 2
    }

    /// Which bucket a time falls into.
    pub(super) fn bucket(self, nanos: u64) -> usize {
        self.bounds.partition_point(|bound| *bound < nanos)
    }

    /// Counts a time; returns its bucket.
    pub(super) fn observe(self, counters: &Counters, time: Duration) -> usize {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let bucket = self.bucket(nanos);
        counters.add(self.first + bucket, 1);
        counters.add(self.first + self.bounds.len() + 1, nanos);
        bucket
    }

    /// The counts of all buckets, and the sum in nanoseconds.
    pub(super) fn read(self, counters: &Counters) -> (Vec<u64>, u64) {
        let counts = (0..=self.bounds.len()).map(|bucket| counters.sum(self.first + bucket)).collect();
        (counts, counters.sum(self.first + self.bounds.len() + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_many_threads_count_is_lost() {
        let counters = Counters::new(20);
        std::thread::scope(|scope| {
            for _ in 0..40 {
                scope.spawn(|| {
                    for counter in 0..20 {
                        (0..50).for_each(|_| counters.add(counter, 2));
                    }
                });
            }
        });
        assert_eq!((0..20).map(|counter| counters.sum(counter)).collect::<Vec<_>>(), vec![4_000; 20]);
        counters.add(24, 1);
        assert_eq!(counters.sum(24), 0, "a counter that there is not");
    }

    #[test]
    fn a_level_that_falls_on_another_thread_than_it_rose_comes_back_to_zero() {
        let counters = Counters::new(1);
        counters.add(0, 1);
        std::thread::scope(|scope| {
            scope.spawn(|| counters.subtract(0));
        });
        assert_eq!(counters.sum(0), 0);
    }

    #[test]
    fn a_time_falls_into_the_bucket_whose_bound_it_does_not_exceed() {
        let timing = Timing { bounds: &[10, 20, 40], first: 3 };
        let counters = Counters::new(3 + Timing::counters(timing.bounds));
        for nanos in [0, 10, 11, 20, 40, 41, 1_000] {
            timing.observe(&counters, Duration::from_nanos(nanos));
        }
        assert_eq!(timing.read(&counters), (vec![2, 2, 1, 2], 1_122));
    }
}
