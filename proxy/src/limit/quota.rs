//! What is left of a rate, and the fields of an answer that say so (`RateLimit-Policy`, `RateLimit`; IETF draft
//! draft-ietf-httpapi-ratelimit-headers).

use std::fmt::Write as _;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use portcullis_config::settings::Rate;

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// What is left of a rate after a request was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// The rate.
    pub rate: Rate,
    /// How many more are let in at once.
    pub left: u32,
    /// How long until one more is let in; zero while some are left.
    pub wait: Duration,
    /// How long until all are let in again that may come at once.
    pub until_full: Duration,
    /// Whether this one was too many.
    pub is_exceeded: bool,
}

/// Whole seconds, rounded up, and at least one: `Retry-After` of an answer that was refused for this quota.
#[must_use]
pub fn retry_after_secs(quota: &Quota) -> u64 {
    u64::try_from(quota.wait.as_micros().div_ceil(1_000_000)).unwrap_or(u64::MAX).max(1)
}

/// The fields of an answer that say what is left, each quota by its name; none for no quota. They are lists, to be
/// appended to what an app says of its own.
pub fn fields(quotas: &[(&str, Quota)]) -> impl Iterator<Item = (HeaderName, HeaderValue)> + use<> {
    let (mut policy, mut limit) = (String::with_capacity(64), String::with_capacity(48));
    for (at, (name, quota)) in quotas.iter().enumerate() {
        let comma = if at > 0 { ", " } else { "" };
        let (most, window) = window(quota);
        // INVARIANT: writing to a `String` cannot fail.
        let _ = write!(policy, "{comma}\"{name}\";q={most};w={window}");
        let _ = write!(limit, "{comma}\"{name}\";r={}", quota.left);
        if !quota.wait.is_zero() {
            let _ = write!(limit, ";t={}", retry_after_secs(quota));
        }
    }
    let written = [(POLICY, policy), (LIMIT, limit)].into_iter().filter(|(_, text)| !text.is_empty());
    written.filter_map(|(name, text)| Some((name, HeaderValue::try_from(text).ok()?)))
}

/// How many in how many seconds: the burst and the time in which it comes again, if that is a second at least.
fn window(quota: &Quota) -> (u32, u64) {
    let rate = quota.rate;
    let refill = rate.per.as_secs() * u64::from(rate.burst);
    if refill < u64::from(rate.count) {
        (rate.count, rate.per.as_secs())
    } else {
        (rate.burst, refill.div_ceil(u64::from(rate.count)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quota(count: u32, secs: u64, burst: u32, left: u32, wait_ms: u64) -> Quota {
        let rate = Rate { count, per: Duration::from_secs(secs), burst };
        let wait = Duration::from_millis(wait_ms);
        Quota { rate, left, wait, until_full: wait, is_exceeded: false }
    }

    #[test]
    fn a_rate_is_written_as_what_comes_at_once_and_how_soon_again() {
        let written = |quotas: &[(&str, Quota)]| -> Vec<String> {
            fields(quotas).map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect()
        };
        assert_eq!(
            written(&[("address", quota(20, 1, 100, 7, 0)), ("principal", quota(60, 60, 10, 0, 1_001))]),
            [
                "ratelimit-policy: \"address\";q=100;w=5, \"principal\";q=10;w=10",
                "ratelimit: \"address\";r=7, \"principal\";r=0;t=2"
            ]
        );
        assert_eq!(
            written(&[("address", quota(100, 1, 1, 0, 10))]),
            ["ratelimit-policy: \"address\";q=100;w=1", "ratelimit: \"address\";r=0;t=1"]
        );
        assert!(written(&[]).is_empty());
    }

    #[test]
    fn a_client_is_never_asked_to_come_back_at_once() {
        assert_eq!(retry_after_secs(&quota(20, 1, 100, 0, 50)), 1);
        assert_eq!(retry_after_secs(&quota(1, 3_600, 1, 0, 3_600_000)), 3_600);
    }
}
