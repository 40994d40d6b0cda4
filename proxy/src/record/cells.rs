//! Counters that threads do not fight for: each thread adds to a line of its own, a scrape sums.
//!
//! A shared atomic costs little alone and ten times as much when two cores want its line. Here the
//! first threads that count have a shard each, to which nobody else writes, so that adding is a load and a
//! store; all later ones share one more, whose counters are added to atomically. Timings are counted in whole nanoseconds, so their sum is one more
//! addition and no loop.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

const LINE: usize = 8;
/// More shards than this would cost memory for every app and help nobody.
const SHARDS_MAX: usize = 16;

/// How many shards are of one thread each; a power of two.
static SHARDS: LazyLock<usize> = LazyLock::new(|| {
    std::thread::available_parallelism().map_or(1, usize::from).next_power_of_two().min(SHARDS_MAX)
});

static NEXT: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static OWN: usize = NEXT.fetch_add(1, Ordering::Relaxed);
}

/// About how many threads count.
pub(super) fn shards() -> usize {
    *SHARDS
}

/// Which of the threads that count this is, from zero; no two have the same.
pub(super) fn own_shard() -> usize {
    OWN.with(|own| *own)
}

/// Eight counters on one cache line.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Line([AtomicU64; LINE]);

/// A group of counters, sharded.
#[derive(Debug)]
pub(super) struct Cells {
    lines: Box<[Line]>,
    lines_per_shard: usize,
    /// How many shards are of one thread each; the last is everybody else's.
    owned: usize,
}

impl Cells {
    /// `count` counters at zero.
    pub(super) fn new(count: usize) -> Self {
        let (owned, lines_per_shard) = (*SHARDS, count.div_ceil(LINE));
        let lines = std::iter::repeat_with(Line::default).take((owned + 1) * lines_per_shard).collect();
        Self { lines, lines_per_shard, owned }
    }

    /// Adds to one counter. A counter that there is not counts nothing. Not inlined: a request adds to a dozen,
    /// and a dozen copies cost more to fetch than to run.
    #[inline(never)]
    pub(super) fn add(&self, cell: usize, amount: u64) {
        let own = own_shard();
        let Some(cell) = self.at(own.min(self.owned), cell) else { return };
        if own < self.owned {
            // This thread alone writes here.
            cell.store(cell.load(Ordering::Relaxed).wrapping_add(amount), Ordering::Relaxed);
        } else {
            cell.fetch_add(amount, Ordering::Relaxed);
        }
    }

    /// Takes one from a counter that is a level.
    pub(super) fn subtract(&self, cell: usize) {
        self.add(cell, u64::MAX);
    }

    /// The sum over all shards. A level may be added on one thread and taken on another, so the
    /// sum wraps.
    pub(super) fn sum(&self, cell: usize) -> u64 {
        (0..=self.owned)
            .filter_map(|shard| self.at(shard, cell))
            .fold(0, |sum, cell| sum.wrapping_add(cell.load(Ordering::Relaxed)))
    }

    fn at(&self, shard: usize, cell: usize) -> Option<&AtomicU64> {
        if cell / LINE >= self.lines_per_shard {
            return None;
        }
        self.lines.get(shard * self.lines_per_shard + cell / LINE)?.0.get(cell % LINE)
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
    pub(super) const fn cells(bounds: &[u64]) -> usize {
        bounds.len() + 2
    }

    /// Which bucket a time falls into.
    pub(super) fn bucket(self, nanos: u64) -> usize {
        self.bounds.partition_point(|bound| *bound < nanos)
    }

    /// Counts a time; tells the bucket.
    pub(super) fn observe(self, cells: &Cells, time: Duration) -> usize {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let bucket = self.bucket(nanos);
        cells.add(self.first + bucket, 1);
        cells.add(self.first + self.bounds.len() + 1, nanos);
        bucket
    }

    /// The counts of all buckets, and the sum in nanoseconds.
    pub(super) fn read(self, cells: &Cells) -> (Vec<u64>, u64) {
        let counts = (0..=self.bounds.len()).map(|bucket| cells.sum(self.first + bucket)).collect();
        (counts, cells.sum(self.first + self.bounds.len() + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_many_threads_count_is_lost() {
        let cells = Cells::new(20);
        std::thread::scope(|scope| {
            for _ in 0..40 {
                scope.spawn(|| {
                    for cell in 0..20 {
                        (0..50).for_each(|_| cells.add(cell, 2));
                    }
                });
            }
        });
        assert_eq!((0..20).map(|cell| cells.sum(cell)).collect::<Vec<_>>(), vec![4_000; 20]);
        cells.add(24, 1);
        assert_eq!(cells.sum(24), 0, "a counter that there is not");
    }

    #[test]
    fn a_level_that_falls_on_another_thread_than_it_rose_comes_back_to_zero() {
        let cells = Cells::new(1);
        cells.add(0, 1);
        std::thread::scope(|scope| {
            scope.spawn(|| cells.subtract(0));
        });
        assert_eq!(cells.sum(0), 0);
    }

    #[test]
    fn a_time_falls_into_the_bucket_whose_bound_it_does_not_exceed() {
        let timing = Timing { bounds: &[10, 20, 40], first: 3 };
        let cells = Cells::new(3 + Timing::cells(timing.bounds));
        for nanos in [0, 10, 11, 20, 40, 41, 1_000] {
            timing.observe(&cells, Duration::from_nanos(nanos));
        }
        assert_eq!(timing.read(&cells), (vec![2, 2, 1, 2], 1_122));
    }
}
