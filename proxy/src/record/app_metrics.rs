//! What is counted for each app.
//!
//! The counters live with the snapshot that serves, are handed on to the next one and vanish with the app: series
//! are what serves, and a refused reload leaves no trace. Every series is there from the start, at zero.

use std::time::Duration;

use portcullis_policy::decision::ReasonCode;

use super::challenges::{Challenges, End, UserHash};
use super::counters::{Counters, Timing};
use super::event::{Stage, Traffic};
use super::exemplars::Exemplars;
use super::exposition::{Exemplar, Page};
use super::names;
use super::outcome::Outcome;
use crate::failure::{NetworkFailure, RetryReason, RetryRefusal};
use crate::limit::Busiest;
use crate::refusal::Refusal;

/// From 100 µs to 30 s: whole requests and the app's part of them.
const REQUEST_BOUNDS: &[u64] = &[
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
    30_000_000_000,
];
/// From a second to a day: WebSockets and streams of events.
const STREAM_BOUNDS: &[u64] = &[
    1_000_000_000,
    10_000_000_000,
    60_000_000_000,
    300_000_000_000,
    1_800_000_000_000,
    3_600_000_000_000,
    14_400_000_000_000,
    86_400_000_000_000,
];
const STATUS_CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];
const CONNECTION_KINDS: [&str; 2] = ["new", "reused"];
const CLEANED_KINDS: [&str; 4] = ["cookie", "word", "challenge", "clear-cookies"];
const DIRECTIONS: [&str; 2] = ["in", "out"];

// Where an app's counters lie within its group.
const OUTCOMES_AT: usize = 0;
const STATUS_AT: usize = OUTCOMES_AT + Outcome::ALL.len();
const FAILURES_AT: usize = STATUS_AT + STATUS_CLASSES.len();
const CONNECTIONS_AT: usize = FAILURES_AT + NetworkFailure::ALL.len();
const CLEANED_AT: usize = CONNECTIONS_AT + CONNECTION_KINDS.len();
const SENT_AT: usize = CLEANED_AT + CLEANED_KINDS.len();
const RETRIED_AT: usize = SENT_AT + 1;
const NOT_RETRIED_AT: usize = RETRIED_AT + RetryReason::ALL.len();
const REQUEST: Timing = Timing { bounds: REQUEST_BOUNDS, first: NOT_RETRIED_AT + RetryRefusal::ALL.len() };
const UPSTREAM: Timing =
    Timing { bounds: REQUEST_BOUNDS, first: REQUEST.first + Timing::counters(REQUEST_BOUNDS) };
const UNMET_AT: usize = UPSTREAM.first + Timing::counters(REQUEST_BOUNDS);
const REFUSALS_AT: usize = UNMET_AT + ReasonCode::ALL.len();
const CHALLENGES_AT: usize = REFUSALS_AT + Refusal::COUNT;
const ABORTS_AT: usize = CHALLENGES_AT + End::WORDS.len();
const BYTES_AT: usize = ABORTS_AT + Stage::ALL.len();
const STREAM: Timing = Timing { bounds: STREAM_BOUNDS, first: BYTES_AT + DIRECTIONS.len() };
const APP_COUNTERS: usize = STREAM.first + Timing::counters(STREAM_BOUNDS);

/// How a request ended, for its app's counters.
#[derive(Clone, Copy, Debug)]
pub struct Ended<'r> {
    /// How.
    pub outcome: Outcome,
    /// Why it stopped, if it did.
    pub refusal: Option<&'r Refusal>,
    /// Where its client left it, if it did.
    pub stage: Option<Stage>,
    /// What went over the client's connection.
    pub traffic: Traffic,
    /// The time since its head was received.
    pub took: Duration,
    /// Its id.
    pub request_id: u128,
    /// When it began, in Unix milliseconds.
    pub unix_ms: i64,
    /// The user, if known.
    pub user: Option<UserHash>,
}

/// The counters of one app, or of the requests that reach none.
#[derive(Debug)]
pub struct AppMetrics {
    id: Option<String>,
    counters: Counters,
    by_duration: Exemplars,
    by_refusal: Exemplars,
    challenges: Challenges,
    /// How much is spent of its `rate`.
    pub rate: Busiest,
    /// How much is spent of its `rate-per-principal`.
    pub rate_per_principal: Busiest,
}

impl AppMetrics {
    /// Counters at zero; `None` is for requests that reach no app.
    #[must_use]
    pub fn new(id: Option<&str>) -> Self {
        Self {
            id: id.map(ToOwned::to_owned),
            counters: Counters::new(APP_COUNTERS),
            by_duration: Exemplars::new(REQUEST_BOUNDS.len() + 1),
            by_refusal: Exemplars::new(Refusal::COUNT),
            challenges: Challenges::new(),
            rate: Busiest::default(),
            rate_per_principal: Busiest::default(),
        }
    }

    /// The app's id.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// Counts the end of a request.
    pub fn ended(&self, ended: Ended<'_>) {
        let Ended { outcome, refusal, stage, traffic, took, request_id, unix_ms, user } = ended;
        let exemplar = |value| Exemplar { request_id, value, unix_ms };
        self.counters.add(OUTCOMES_AT + outcome as usize, 1);
        // The duration of a stream depends on its client and says nothing about the app's speed.
        if traffic.is_stream {
            STREAM.observe(&self.counters, took);
        } else {
            let bucket = REQUEST.observe(&self.counters, took);
            self.by_duration.offer(bucket, exemplar(took.as_secs_f64()));
        }
        for (at, bytes) in [traffic.bytes_in, traffic.bytes_out].into_iter().enumerate() {
            if bytes > 0 {
                self.counters.add(BYTES_AT + at, bytes);
            }
        }
        if let Some(stage) = stage {
            self.counters.add(ABORTS_AT + stage as usize, 1);
        }
        let now = u32::try_from(unix_ms / 1_000).unwrap_or(0);
        let end = user.and_then(|user| match outcome {
            // A client that went away after that had been let in, too.
            Outcome::Granted | Outcome::Aborted => self.challenges.meet(user, now),
            Outcome::Challenged => self.challenges.ask(user, now),
            Outcome::Denied
            | Outcome::Unauthenticated
            | Outcome::Unavailable
            | Outcome::Rejected
            | Outcome::Replied
            | Outcome::Public
            | Outcome::Limited
            | Outcome::Failed => None,
        });
        if let Some(end) = end {
            self.counters.add(CHALLENGES_AT + end as usize, 1);
        }
        let Some(refusal) = refusal else { return };
        let index = refusal.index();
        self.counters.add(REFUSALS_AT + index, 1);
        self.by_refusal.offer(index, exemplar(1.0));
        if let Refusal::Policy(refused, _) = refusal {
            for reason in refused.reasons.iter() {
                self.counters.add(UNMET_AT + reason as usize, 1);
            }
        }
    }

    /// Counts an answer of the app and the time to its head. An interim answer (1xx but 101) is
    /// none.
    pub fn upstream_answered(&self, status: u16, took: Duration) {
        if status >= 200 || status == 101 {
            self.counters.add(STATUS_AT + usize::from(status / 100).clamp(1, 5) - 1, 1);
            UPSTREAM.observe(&self.counters, took);
        }
    }

    /// Counts an attempt that got no answer.
    pub fn upstream_failed(&self, kind: NetworkFailure) {
        self.counters.add(FAILURES_AT + kind as usize, 1);
    }

    /// Counts a request that is sent to the app for the first time.
    pub fn upstream_sent(&self) {
        self.counters.add(SENT_AT, 1);
    }

    /// How many requests were sent to the app, retries apart.
    #[must_use]
    pub fn upstream_sent_total(&self) -> u64 {
        self.counters.sum(SENT_AT)
    }

    /// Counts a request that is sent once more.
    pub fn upstream_retried(&self, reason: RetryReason) {
        self.counters.add(RETRIED_AT + reason as usize, 1);
    }

    /// Counts a request that could have been sent once more, and is not.
    pub fn upstream_not_retried(&self, reason: RetryRefusal) {
        self.counters.add(NOT_RETRIED_AT + reason as usize, 1);
    }

    /// Counts a connection to the app.
    pub fn upstream_connected(&self, reused: bool) {
        self.counters.add(CONNECTIONS_AT + usize::from(reused), 1);
    }

    /// Counts what was taken out of an answer: cookies of ours, words of ours, challenges that no client
    /// could meet, and wishes to clear cookies.
    pub fn answer_cleaned(&self, counts: [u16; CLEANED_KINDS.len()]) {
        for (at, count) in counts.into_iter().enumerate().filter(|(_, count)| *count > 0) {
            self.counters.add(CLEANED_AT + at, u64::from(count));
        }
    }

    fn label(&self) -> &str {
        // No app can be called so: ids are of letters, digits, `-`, `_` and `.`.
        self.id.as_deref().unwrap_or("(none)")
    }
}

/// Writes the series of every app.
pub(super) fn write(page: &mut Page, apps: &[&AppMetrics], now: i64) {
    for app in apps {
        let abandoned = app.challenges.expire(u32::try_from(now).unwrap_or(0));
        app.counters.add(CHALLENGES_AT + End::Abandoned as usize, abandoned);
    }
    let mut group = |family: &'static names::Family, first: usize, words: &[&str]| {
        let mut samples = page.family(family);
        for app in apps {
            for (at, word) in words.iter().enumerate() {
                samples.value(&[app.label(), word], app.counters.sum(first + at));
            }
        }
    };
    group(&names::REQUESTS, OUTCOMES_AT, &Outcome::WORDS);
    group(&names::UNMET, UNMET_AT, &ReasonCode::ALL.map(ReasonCode::as_str));
    group(&names::CHALLENGES_ENDED, CHALLENGES_AT, &End::WORDS);
    group(&names::ABORTS, ABORTS_AT, &Stage::ALL.map(Stage::as_str));
    group(&names::CLIENT_BYTES, BYTES_AT, &DIRECTIONS);
    group(&names::UPSTREAM_RESPONSES, STATUS_AT, &STATUS_CLASSES);
    group(&names::UPSTREAM_FAILURES, FAILURES_AT, &NetworkFailure::ALL.map(NetworkFailure::as_str));
    group(&names::UPSTREAM_CONNECTIONS, CONNECTIONS_AT, &CONNECTION_KINDS);
    group(&names::UPSTREAM_RETRIES, RETRIED_AT, &RetryReason::WORDS);
    group(&names::UPSTREAM_RETRIES_REFUSED, NOT_RETRIED_AT, &RetryRefusal::WORDS);
    group(&names::ANSWER_FIELDS, CLEANED_AT, &CLEANED_KINDS);

    let mut refused = page.family(&names::REFUSALS);
    for app in apps {
        let exemplars = app.by_refusal.read();
        for (at, refusal) in Refusal::all().iter().enumerate() {
            let info = refusal.info();
            let code = info.code.to_string();
            let exemplar = exemplars.get(at).copied().flatten();
            refused.counted(&[app.label(), info.reason, &code], app.counters.sum(REFUSALS_AT + at), exemplar);
        }
    }
    let mut requests = page.family(&names::REQUEST_DURATION);
    for app in apps {
        let exemplars = app.by_duration.read();
        requests.histogram(&[app.label()], REQUEST.bounds, &REQUEST.read(&app.counters), &exemplars);
    }
    let mut streams = page.family(&names::STREAM_DURATION);
    for app in apps {
        streams.histogram(&[app.label()], STREAM.bounds, &STREAM.read(&app.counters), &[]);
    }
    let mut upstream = page.family(&names::UPSTREAM_DURATION);
    for app in apps {
        upstream.histogram(&[app.label()], UPSTREAM.bounds, &UPSTREAM.read(&app.counters), &[]);
    }
}
