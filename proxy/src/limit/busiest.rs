//! How much of a rate is spent by whoever spent most of it. The table of buckets cannot say it, for it knows hashes; but
//! of one rate the bucket that will be full last is the one that is farthest from full, and the latest time of all is
//! one word.

use std::sync::atomic::{AtomicI64, Ordering};

use portcullis_config::settings::Rate;

use super::buckets::Steps;
use super::quota::Quota;

/// When the last bucket of a rate will be full, in Unix microseconds.
#[derive(Debug, Default)]
pub struct Busiest(AtomicI64);

impl Busiest {
    /// Somebody was counted.
    pub fn counted(&self, quota: &Quota, now_unix_ms: i64) {
        let now = now_unix_ms.saturating_mul(1_000);
        let full = now.saturating_add(i64::try_from(quota.until_full.as_micros()).unwrap_or(i64::MAX));
        let seen = self.0.load(Ordering::Relaxed);
        if seen.saturating_sub(now) > Steps::of(quota.rate).all.cast_signed() {
            // The clock or the rate was set back since.
            self.0.store(full, Ordering::Relaxed);
        } else if full > seen {
            self.0.fetch_max(full, Ordering::Relaxed);
        }
    }

    /// How many of its burst are spent.
    #[must_use]
    pub fn spent(&self, rate: Rate, now_unix_ms: i64) -> u64 {
        let steps = Steps::of(rate);
        let ahead = self.0.load(Ordering::Relaxed).saturating_sub(now_unix_ms.saturating_mul(1_000));
        let ahead = u64::try_from(ahead).unwrap_or(0);
        if ahead > steps.all { 0 } else { ahead.div_ceil(steps.one) }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::time::Duration;

    use super::super::Limits;
    use super::*;

    #[test]
    fn it_is_the_one_who_spent_most_and_comes_back_with_time() {
        let (limits, busiest) = (Limits::new(), Busiest::default());
        let rate = Rate { count: 2, per: Duration::from_secs(1), burst: 10 };
        let ask = |address: &str, times: usize, now: i64| {
            let address: IpAddr = address.parse().unwrap();
            for _ in 0..times {
                busiest.counted(&limits.count_address("wiki", address, rate, now), now);
            }
        };
        assert_eq!(busiest.spent(rate, 0), 0);
        ask("192.0.2.1", 3, 1_000);
        ask("192.0.2.2", 7, 1_000);
        ask("192.0.2.3", 1, 1_000);
        assert_eq!(busiest.spent(rate, 1_000), 7);
        assert_eq!(busiest.spent(rate, 2_000), 5);
        ask("192.0.2.2", 20, 2_000);
        assert_eq!(busiest.spent(rate, 2_000), 10, "what is refused is not spent");
        assert_eq!(busiest.spent(rate, 60_000), 0);
    }

    #[test]
    fn a_clock_that_was_set_back_is_not_believed() {
        let (limits, busiest) = (Limits::new(), Busiest::default());
        let rate = Rate { count: 1, per: Duration::from_secs(1), burst: 5 };
        let address: IpAddr = "192.0.2.1".parse().unwrap();
        busiest.counted(&limits.count_address("wiki", address, rate, 100_000), 100_000);
        assert_eq!(busiest.spent(rate, 0), 0);
        let other = Limits::new();
        busiest.counted(&other.count_address("wiki", address, rate, 0), 0);
        assert_eq!(busiest.spent(rate, 0), 1);
    }
}
