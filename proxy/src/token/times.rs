//! Times of tokens. A NumericDate may be a fraction (RFC 7519, section 2); requests count whole seconds, so each
//! is rounded to the stricter side.

use serde_json::Value;

/// The last second of the year 9999; no real time is later.
const MAX: i64 = 253_402_300_799;

/// When a token is valid, in Unix seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// `exp`
    pub(super) expires_at: i64,
    /// `nbf`; long past when the token has none.
    pub(super) not_before: i64,
    /// `iat` plus the configured longest age; never when there is none.
    pub(super) too_old_at: i64,
}

impl Times {
    /// Whether a token with these is valid at this time (Unix seconds), forgiving so many seconds.
    pub(super) fn are_current(self, now: i64, leeway: i64) -> bool {
        now < self.expires_at.saturating_add(leeway)
            && self.not_before <= now.saturating_add(leeway)
            && now < self.too_old_at.saturating_add(leeway)
    }
}

/// A moment between 1970 and 9999, as the whole seconds around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NumericDate {
    /// The second that it lies in: for ends, and for what must not be older than it is.
    pub(super) down: i64,
    /// The second that it is over in: for beginnings.
    pub(super) up: i64,
}

impl NumericDate {
    /// A JSON number; `None` for anything else, and for what is negative, not finite or out of range.
    pub(super) fn read(value: &Value) -> Option<Self> {
        let number = value.as_number()?;
        let (down, up) = match number.as_i64() {
            Some(whole) => (whole, whole),
            None => {
                let exact = number.as_f64().filter(|exact| exact.is_finite() && *exact >= 0.0)?;
                // INVARIANT: within the range a whole `f64` is an `i64`; beyond it the cast ends at the limit.
                (exact.floor() as i64, exact.ceil() as i64)
            }
        };
        (down >= 0 && up <= MAX).then_some(Self { down, up })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{MAX, NumericDate};

    #[test]
    fn a_date_may_be_a_fraction_and_is_rounded_to_both_sides() {
        let read = |value| NumericDate::read(&value).map(|date| (date.down, date.up));
        assert_eq!(read(json!(100)), Some((100, 100)));
        assert_eq!(read(json!(100.0)), Some((100, 100)));
        assert_eq!(read(json!(100.25)), Some((100, 101)));
        assert_eq!(read(json!(1.764e9)), Some((1_764_000_000, 1_764_000_000)));
        assert_eq!(read(json!(0.5)), Some((0, 1)));
        assert_eq!(read(json!(0)), Some((0, 0)));
        assert_eq!(read(json!(MAX)), Some((MAX, MAX)));
    }

    #[test]
    fn what_is_no_date_is_none() {
        for odd in [
            json!(-1),
            json!(-0.5),
            json!(1e300),
            json!(MAX as f64 + 0.5),
            json!(MAX + 1),
            json!(u64::MAX),
            json!("100"),
            json!("100.5"),
            json!(null),
            json!(true),
            json!([100]),
            json!({"seconds": 100}),
        ] {
            assert_eq!(NumericDate::read(&odd), None, "{odd}");
        }
        for text in ["NaN", "Infinity", "1e999", "0x10"] {
            assert!(serde_json::from_str::<serde_json::Value>(text).is_err(), "{text}");
        }
    }
}
