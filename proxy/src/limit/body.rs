//! How slowly the body of a request may come.
//!
//! Time counts only while the client is waited for: an app that takes the body slowly makes its client no slower. A
//! client has ten seconds ahead at the beginning; each byte buys the time in which the least rate brings one, and time
//! that is not used is saved, up to half a minute: whoever sends fast may pause.

use std::time::{Duration, Instant};

/// How long a client may take before its first byte.
const AHEAD: Duration = Duration::from_secs(10);
/// What may be saved.
const SAVED_MAX: Duration = Duration::from_secs(30);
/// How long the rest of a body is read that nobody wants, so that its sender reads our answer.
pub const DRAIN_MAX: Duration = Duration::from_secs(10);

/// The pace of one body.
#[derive(Debug)]
pub struct BodyPace {
    /// Bytes a second; more than 0.
    rate: u64,
    /// How long the client may still be waited for.
    left: Duration,
    waiting_since: Option<Instant>,
}

impl BodyPace {
    /// Of a body of which at least `rate` bytes a second must come; `None` where none must.
    #[must_use]
    pub fn new(rate: u64) -> Option<Self> {
        (rate > 0).then_some(Self { rate, left: AHEAD, waiting_since: None })
    }

    /// The client is waited for, at `now`, or still is: until when.
    pub fn deadline(&mut self, now: Instant) -> Instant {
        *self.waiting_since.get_or_insert(now) + self.left
    }

    /// The client is not waited for any more, because the app takes nothing. `false` when it was for too long.
    pub fn pause(&mut self, now: Instant) -> bool {
        self.spend(now)
    }

    /// So many bytes came. `false` when they came too late.
    pub fn received(&mut self, bytes: usize, now: Instant) -> bool {
        let in_time = self.spend(now);
        let bought = Duration::from_secs_f64(bytes as f64 / self.rate as f64);
        self.left = self.left.saturating_add(bought).min(SAVED_MAX);
        in_time
    }

    /// Whoever it was that took so long, it was not the client.
    pub const fn forgive(&mut self) {
        self.waiting_since = None;
    }

    fn spend(&mut self, now: Instant) -> bool {
        let Some(since) = self.waiting_since.take() else { return true };
        let took = now.saturating_duration_since(since);
        let in_time = took <= self.left;
        self.left = self.left.saturating_sub(took);
        in_time
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEC: Duration = Duration::from_secs(1);

    /// A client that sends so many bytes after each of these seconds: how many of the pieces are taken.
    fn taken(pace: &mut BodyPace, pieces: &[(u64, usize)]) -> usize {
        let mut now = Instant::now();
        let in_time = |&&(secs, bytes): &&(u64, usize)| {
            let deadline = pace.deadline(now);
            now += Duration::from_secs(secs);
            now <= deadline && pace.received(bytes, now)
        };
        pieces.iter().take_while(in_time).count()
    }

    fn pace() -> BodyPace {
        BodyPace::new(1_024).unwrap()
    }

    #[test]
    fn a_client_that_sends_nothing_has_ten_seconds() {
        assert_eq!(taken(&mut pace(), &[(10, 1)]), 1);
        assert_eq!(taken(&mut pace(), &[(11, 1)]), 0);
    }

    #[test]
    fn a_client_that_sends_a_byte_now_and_then_ends_soon() {
        let drops = [(2, 1); 100];
        assert_eq!(taken(&mut pace(), &drops), 5);
    }

    #[test]
    fn a_client_at_the_least_rate_goes_on_for_ever() {
        let slow = [(5, 5 * 1_024); 1_000];
        assert_eq!(taken(&mut pace(), &slow), 1_000);
        let slower = [(5, 4 * 1_024); 1_000];
        assert!(taken(&mut pace(), &slower) < 20);
    }

    #[test]
    fn who_sends_fast_may_pause_for_half_a_minute_and_no_longer() {
        let burst = (0, 1 << 30);
        assert_eq!(taken(&mut pace(), &[burst, (30, 1)]), 2);
        assert_eq!(taken(&mut pace(), &[burst, (31, 1)]), 1);
    }

    #[test]
    fn the_time_in_which_the_app_takes_nothing_does_not_count() {
        let (mut pace, start) = (pace(), Instant::now());
        let mut now = start;
        for _ in 0..4 {
            pace.deadline(now);
            assert!(pace.pause(now + 2 * SEC));
            now += 602 * SEC;
        }
        assert_eq!(pace.deadline(now), now + 2 * SEC);
        assert!(pace.received(1, now + 2 * SEC));
        pace.deadline(now);
        assert!(!pace.received(1, now + SEC));
    }

    #[test]
    fn no_least_rate_is_no_pace() {
        assert!(BodyPace::new(0).is_none());
    }
}
