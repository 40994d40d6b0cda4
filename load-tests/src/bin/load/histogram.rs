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

#[cfg(test)]
mod tests {
    use super::Histogram;

    #[test]
    fn a_percentile_is_less_than_one_percent_off() {
        let mut histogram = Histogram::new();
        for micros in 1..=100_000_u64 {
            histogram.record(micros * 1_000);
        }
        assert_eq!(histogram.total(), 100_000);
        for (share, millis) in [(0.001, 0.1), (0.5, 50.0), (0.99, 99.0), (0.999, 99.9), (1.0, 100.0)] {
            let told = histogram.millis(share);
            assert!((millis..=millis * 1.01).contains(&told), "{share}: {told}");
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
