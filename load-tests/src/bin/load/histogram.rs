//! Latencies in log-linear buckets: a fixed size whatever comes, and less than one percent off.

/// Buckets for each doubling, as a power of two.
const BITS: u32 = 7;

pub(crate) struct Histogram {
    counts: Vec<u64>,
    total: u64,
    max: u64,
}

impl Histogram {
    pub(crate) fn new() -> Self {
        Self { counts: vec![0; (65 - BITS as usize) << BITS], total: 0, max: 0 }
    }

    pub(crate) fn record(&mut self, nanos: u64) {
        let doublings = nanos.checked_ilog2().unwrap_or(0).saturating_sub(BITS);
        let bucket = ((doublings as usize) << BITS) + (nanos >> doublings) as usize;
        if let Some(count) = self.counts.get_mut(bucket) {
            *count += 1;
        }
        self.total += 1;
        self.max = self.max.max(nanos);
    }

    pub(crate) fn clear(&mut self) {
        self.counts.fill(0);
        (self.total, self.max) = (0, 0);
    }

    pub(crate) const fn total(&self) -> u64 {
        self.total
    }

    /// The value in milliseconds that this share of all stays at or below.
    pub(crate) fn millis(&self, share: f64) -> f64 {
        let wanted = (self.total as f64 * share).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                let doublings = (bucket >> BITS).saturating_sub(1);
                let next = (bucket - (doublings << BITS) + 1) as u64;
                return ((next << doublings) - 1).min(self.max) as f64 / 1e6;
            }
        }
        self.max as f64 / 1e6
    }
}

/// How long a window is, in nanoseconds.
const WINDOW: u64 = 50_000_000;
/// Answers that a window needs before its p99 is reported.
const WINDOW_MIN: u64 = 100;
/// Windows that are reported at most.
const WINDOWS_MAX: usize = 10_000;

/// The p99 of each window of 50 ms: where a machine stands still now and then, most windows show what the
/// server does meanwhile.
pub(crate) struct Windows {
    current: Histogram,
    ends: u64,
    p99s: Vec<f64>,
}

impl Windows {
    pub(crate) fn new() -> Self {
        Self { current: Histogram::new(), ends: 0, p99s: Vec::with_capacity(WINDOWS_MAX) }
    }

    /// Counts an answer that arrived at `now`, in nanoseconds that only grow.
    pub(crate) fn record(&mut self, now: u64, nanos: u64) {
        if now >= self.ends {
            if self.current.total() >= WINDOW_MIN && self.p99s.len() < WINDOWS_MAX {
                self.p99s.push(self.current.millis(0.99));
            }
            self.current.clear();
            self.ends = now - now % WINDOW + WINDOW;
        }
        self.current.record(nanos);
    }

    /// Of the windows that ended, in milliseconds and in their order.
    pub(crate) fn p99s(&self) -> &[f64] {
        &self.p99s
    }
}

#[cfg(test)]
mod tests {
    use super::{Histogram, WINDOW, Windows};

    #[test]
    fn each_window_has_its_own_p99_once_it_ended() {
        let mut windows = Windows::new();
        for window in 0..3 {
            for number in 0..200 {
                windows.record(window * WINDOW + number, (window + 1) * 1_000_000);
            }
        }
        // Too few to report anything.
        windows.record(3 * WINDOW, 1);
        windows.record(5 * WINDOW, 1);
        let seen: Vec<f64> = windows.p99s().iter().map(|millis| millis.floor()).collect();
        assert_eq!(seen, [1.0, 2.0, 3.0]);
    }

    #[test]
    fn a_percentile_is_less_than_one_percent_off() {
        let mut histogram = Histogram::new();
        for micros in 1..=100_000_u64 {
            histogram.record(micros * 1_000);
        }
        assert_eq!(histogram.total(), 100_000);
        for (share, millis) in [(0.001, 0.1), (0.5, 50.0), (0.99, 99.0), (0.999, 99.9), (1.0, 100.0)] {
            let seen = histogram.millis(share);
            assert!((millis..=millis * 1.01).contains(&seen), "{share}: {seen}");
        }
    }

    #[test]
    fn the_smallest_and_the_largest_value_have_a_bucket() {
        let mut histogram = Histogram::new();
        histogram.record(0);
        histogram.record(u64::MAX);
        assert_eq!(histogram.counts.iter().sum::<u64>(), 2);
        assert!(histogram.millis(0.5) < 1e-6);
    }
}
