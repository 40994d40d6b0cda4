//! The time of day: where the proxy reads it, and how it is written and read as text.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::civil::{DateTime, date};
use jiff::fmt::rfc2822;
use jiff::fmt::temporal::DateTimePrinter;
use jiff::{SignedDuration, Timestamp};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

const MILLISECONDS: DateTimePrinter = DateTimePrinter::new().precision(Some(3));
const EPOCH: DateTime = date(1970, 1, 1).at(0, 0, 0, 0);

/// The time since 1970, exact to a tick of the kernel (1 to 10 ms). That is enough for tokens, keys and logs, and
/// each request reads it: the exact clock costs four times as much.
pub(crate) fn unix_time() -> Duration {
    let now = clock_gettime(ClockId::RealtimeCoarse);
    Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), u32::try_from(now.tv_nsec).unwrap_or(0))
}

/// [`unix_time`] in whole seconds.
pub(crate) fn unix_now() -> i64 {
    i64::try_from(unix_time().as_secs()).unwrap_or(i64::MAX)
}

/// When something happened, where it matters what was first: Unix microseconds, of which this process gives each once, and
/// each greater than the one before, whatever becomes of the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Moment(pub i64);

impl Moment {
    /// Before all others.
    pub const FIRST: Self = Self(i64::MIN);
    /// After all others.
    pub const LAST: Self = Self(i64::MAX);

    /// This one.
    #[must_use]
    pub fn now() -> Self {
        static LATEST: AtomicI64 = AtomicI64::new(i64::MIN);
        let time = clock_gettime(ClockId::Realtime);
        let micros = time.tv_sec.saturating_mul(1_000_000).saturating_add(time.tv_nsec / 1_000);
        let after = |latest: i64| micros.max(latest.saturating_add(1));
        let before = LATEST.fetch_update(Ordering::AcqRel, Ordering::Acquire, |latest| Some(after(latest)));
        Self(after(before.unwrap_or_else(|latest| latest)))
    }

    /// The first one of a second.
    #[must_use]
    pub const fn of_secs(unix_secs: i64) -> Self {
        Self(unix_secs.saturating_mul(1_000_000))
    }

    /// Its second, Unix time.
    #[must_use]
    pub const fn secs(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }
}

/// A time since 1970 in whole milliseconds.
pub(crate) fn millis(since_epoch: Duration) -> i64 {
    i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)
}

/// The moment in UTC. The calendar has the years 0 to 9999; a moment outside of it is the epoch.
pub(crate) fn utc(since_epoch: SignedDuration) -> DateTime {
    EPOCH.checked_add(since_epoch).ok().filter(|moment| moment.year() >= 0).unwrap_or(EPOCH)
}

/// ISO 8601 in UTC with milliseconds.
pub(crate) fn timestamp(unix_ms: i64) -> String {
    let mut text = String::with_capacity("2026-11-24T02:31:06.123Z".len());
    // INVARIANT: writing to a `String` cannot fail.
    let _ = MILLISECONDS.print_datetime(&utc(SignedDuration::from_millis(unix_ms)), &mut text);
    text.push('Z');
    text
}

/// A minute in UTC, for people.
pub(crate) fn minute(unix_secs: i64) -> String {
    utc(SignedDuration::from_secs(unix_secs)).strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// As `%t` of Apache's `mod_log_config`, in UTC.
pub(crate) fn common_log(unix_secs: i64) -> String {
    utc(SignedDuration::from_secs(unix_secs)).strftime("%d/%b/%Y:%H:%M:%S +0000").to_string()
}

/// Unix milliseconds of an ISO 8601 text with its offset.
pub(crate) fn parse_timestamp(text: &str) -> Option<i64> {
    text.parse::<Timestamp>().ok().map(Timestamp::as_millisecond)
}

/// Unix seconds of a `Date` header (RFC 9110, section 5.6.7: the form of RFC 5322).
pub(crate) fn parse_http_date(text: &str) -> Option<i64> {
    rfc2822::DateTimeParser::new().parse_timestamp(text).ok().map(Timestamp::as_second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_in_utc_and_one_beyond_the_calendar_is_the_epoch() {
        for (unix_ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (1_795_487_466_123, "2026-11-24T02:31:06.123Z"),
            (951_782_400_050, "2000-02-29T00:00:00.050Z"),
            (253_402_300_799_009, "9999-12-31T23:59:59.009Z"),
            (253_402_300_800_000, "1970-01-01T00:00:00.000Z"),
            (i64::MIN, "1970-01-01T00:00:00.000Z"),
        ] {
            assert_eq!(timestamp(unix_ms), text, "{unix_ms}");
        }
        assert_eq!(minute(1_795_487_466), "2026-11-24 02:31 UTC");
        assert_eq!(common_log(1_795_487_466), "24/Nov/2026:02:31:06 +0000");
    }

    #[test]
    fn no_moment_comes_twice() {
        let threads: Vec<_> = (0..4)
            .map(|_| std::thread::spawn(|| (0..10_000).map(|_| Moment::now()).collect::<Vec<_>>()))
            .collect();
        let mut all = Vec::new();
        for thread in threads {
            let some = thread.join().unwrap();
            assert!(some.is_sorted(), "each is later than the one before");
            all.extend(some);
        }
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 40_000);
        assert_eq!((Moment::of_secs(7).secs(), Moment(-1).secs()), (7, -1));
    }

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(parse_timestamp(&timestamp(1_795_487_466_123)), Some(1_795_487_466_123));
        assert_eq!(parse_timestamp("2026-11-24"), None);
    }

    #[test]
    fn the_date_of_http_is_read() {
        assert_eq!(parse_http_date("Tue, 15 Nov 1994 08:12:31 GMT"), Some(784_887_151));
        assert_eq!(parse_http_date("yesterday"), None);
    }
}
