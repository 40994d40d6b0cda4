//! What is counted for each server of an app, by the name that it is configured by: an address that comes and goes with
//! DNS is no series.

use std::time::Duration;

use super::counters::{Counters, Timing};
use super::exposition::Page;
use super::names;
use crate::failure::NetworkFailure;

/// From 1 ms to 30 s: enough to tell a slow server from its neighbours.
const BOUNDS: &[u64] = &[
    1_000_000,
    5_000_000,
    25_000_000,
    100_000_000,
    250_000_000,
    1_000_000_000,
    2_500_000_000,
    10_000_000_000,
    30_000_000_000,
];

/// How a health check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckResult {
    /// As it should.
    Passed,
    /// With a status that is not expected.
    Status,
    /// Without an answer.
    Failed(NetworkFailure),
}

const CHECK_RESULTS: usize = NetworkFailure::ALL.len() + 2;

impl CheckResult {
    /// The word of metrics, logs and `/status`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Status => "status",
            Self::Failed(cause) => cause.as_str(),
        }
    }

    const fn index(self) -> usize {
        match self {
            Self::Passed => 0,
            Self::Status => 1,
            Self::Failed(cause) => 2 + cause as usize,
        }
    }

    fn all() -> impl Iterator<Item = Self> {
        [Self::Passed, Self::Status].into_iter().chain(NetworkFailure::ALL.into_iter().map(Self::Failed))
    }
}

const RESPONSE: Timing = Timing { bounds: BOUNDS, first: 0 };
const FAILURES_AT: usize = Timing::counters(BOUNDS);
const CHECKS_AT: usize = FAILURES_AT + NetworkFailure::ALL.len();
const EJECTIONS_AT: usize = CHECKS_AT + CHECK_RESULTS;
const COUNTERS: usize = EJECTIONS_AT + 1;

/// The counters of one server of one app.
#[derive(Debug)]
pub struct ServerMetrics(Counters);

impl Default for ServerMetrics {
    fn default() -> Self {
        Self(Counters::new(COUNTERS))
    }
}

impl ServerMetrics {
    /// Counts an answer, and the time to its head.
    pub fn answered(&self, took: Duration) {
        RESPONSE.observe(&self.0, took);
    }

    /// Counts an attempt that got no answer.
    pub fn failed(&self, cause: NetworkFailure) {
        self.0.add(FAILURES_AT + cause as usize, 1);
    }

    /// Counts that an address is left out for a while.
    pub fn ejected(&self) {
        self.0.add(EJECTIONS_AT, 1);
    }

    /// Counts a health check.
    pub fn checked(&self, result: CheckResult) {
        self.0.add(CHECKS_AT + result.index(), 1);
    }
}

/// One server at the moment of a scrape.
#[derive(Debug)]
pub struct ServerReading<'s> {
    /// The app's id.
    pub app: &'s str,
    /// The server as it is configured.
    pub server: &'s str,
    /// Its counters.
    pub metrics: &'s ServerMetrics,
    /// Whether an address of it takes requests.
    pub is_up: bool,
    /// Addresses that it has.
    pub addresses: usize,
    /// Those that are left out for a while, because requests failed.
    pub ejected: usize,
    /// Those whose checks fail.
    pub failing: usize,
    /// Requests that are under way at it.
    pub outstanding: u64,
    /// Whether it is checked.
    pub is_checked: bool,
    /// How often look-ups of its name came to what; none where it has no name.
    pub lookups: Vec<(&'static str, u64)>,
}

/// Writes the series of every server, and of every app whether all its servers get requests because too few are up.
pub(super) fn write(page: &mut Page, servers: &[ServerReading<'_>], panics: &[(&str, bool)]) {
    let mut gauge = |family: &'static names::Family, value: fn(&ServerReading<'_>) -> u64| {
        let mut samples = page.family(family);
        for one in servers {
            samples.value(&[one.app, one.server], value(one));
        }
    };
    gauge(&names::UPSTREAM_UP, |one| u64::from(one.is_up));
    gauge(&names::SERVER_ADDRESSES, |one| one.addresses as u64);
    gauge(&names::SERVER_EJECTED, |one| one.ejected as u64);
    gauge(&names::SERVER_CHECK_FAILS, |one| one.failing as u64);
    gauge(&names::SERVER_OUTSTANDING, |one| one.outstanding);
    let mut ejections = page.family(&names::SERVER_EJECTIONS);
    for one in servers {
        ejections.value(&[one.app, one.server], one.metrics.0.sum(EJECTIONS_AT));
    }
    let mut failures = page.family(&names::SERVER_FAILURES);
    for one in servers {
        for cause in NetworkFailure::ALL {
            let count = one.metrics.0.sum(FAILURES_AT + cause as usize);
            failures.value(&[one.app, one.server, cause.as_str()], count);
        }
    }
    let mut checks = page.family(&names::SERVER_CHECKS);
    for one in servers.iter().filter(|one| one.is_checked) {
        for result in CheckResult::all() {
            let count = one.metrics.0.sum(CHECKS_AT + result.index());
            checks.value(&[one.app, one.server, result.as_str()], count);
        }
    }
    let mut lookups = page.family(&names::SERVER_LOOKUPS);
    for one in servers {
        for (result, count) in &one.lookups {
            lookups.value(&[one.app, one.server, result], count);
        }
    }
    let mut times = page.family(&names::SERVER_DURATION);
    for one in servers {
        times.histogram(&[one.app, one.server], RESPONSE.bounds, &RESPONSE.read(&one.metrics.0), &[]);
    }
    let mut panicking = page.family(&names::PANICS);
    for (app, panics) in panics {
        panicking.value(&[app], u8::from(*panics));
    }
}
