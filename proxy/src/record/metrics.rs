//! The metrics, and the handles that requests count with.

use std::collections::BTreeMap;

use portcullis_config::settings;
use portcullis_policy::decision::{PolicyResult, ReasonCode, Refused};
use portcullis_policy::model::{PolicySet, PolicyState};
use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, TextEncoder,
};

use super::names;
use crate::refusal::{BadRequest, BadToken, Nuance, Refusal};

/// How a request ended, for the label `outcome`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Outcome {
    /// Forwarded to the app.
    Granted = 0,
    /// The user can sign in again or stronger.
    Challenged = 1,
    /// A state or a block policy refuses.
    Denied = 2,
    /// No valid token.
    Unauthenticated = 3,
    /// Something that deciding needs did not answer.
    Unavailable = 4,
    /// Ambiguous or for no app.
    Rejected = 5,
    /// The app did not answer, or a fault of ours.
    Failed = 6,
}

impl Outcome {
    const ALL: [Self; 7] = [
        Self::Granted,
        Self::Challenged,
        Self::Denied,
        Self::Unauthenticated,
        Self::Unavailable,
        Self::Rejected,
        Self::Failed,
    ];

    /// The label's value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Granted => "granted",
            Self::Challenged => "challenged",
            Self::Denied => "denied",
            Self::Unauthenticated => "unauthenticated",
            Self::Unavailable => "unavailable",
            Self::Rejected => "rejected",
            Self::Failed => "failed",
        }
    }

    /// The outcome that a refusal is counted as.
    #[must_use]
    pub const fn of(refusal: &Refusal) -> Self {
        match refusal {
            Refusal::BadRequest(_) | Refusal::NoApp | Refusal::BodyTooLarge => Self::Rejected,
            Refusal::NoToken | Refusal::BadToken(_) => Self::Unauthenticated,
            Refusal::KeysUnavailable => Self::Unavailable,
            Refusal::Policy(..) => match refusal.row().status {
                401 => Self::Challenged,
                503 => Self::Unavailable,
                _ => Self::Denied,
            },
            Refusal::Internal | Refusal::Upstream { .. } => Self::Failed,
        }
    }
}

/// The counters of one app.
#[derive(Debug)]
pub struct AppMeters {
    outcomes: Vec<IntCounter>,
    refusals: Vec<(Refusal, IntCounter)>,
    other: IntCounter,
    /// Time of whole requests.
    pub duration: Histogram,
}

impl AppMeters {
    /// Counts the end of a request.
    pub fn count(&self, outcome: Outcome) {
        if let Some(counter) = self.outcomes.get(outcome as usize) {
            counter.inc();
        }
    }

    /// Counts a refusal by its reason.
    pub fn refuse(&self, refusal: &Refusal) {
        let (reason, code) = (refusal.reason(), refusal.row().code);
        // A refusal that is temporary has the reason of its policy and a code of its own.
        let named = || self.refusals.iter().filter(|(known, _)| known.reason() == reason);
        let found = named().find(|(known, _)| known.row().code == code).or_else(|| named().next());
        found.map_or(&self.other, |(_, counter)| counter).inc();
    }
}

/// The counters of one policy, one for each result.
#[derive(Debug)]
pub struct PolicyMeters(Vec<IntCounter>);

impl PolicyMeters {
    /// Counts one result.
    pub fn count(&self, result: PolicyResult) {
        if let Some(counter) = self.0.get(result as usize) {
            counter.inc();
        }
    }
}

/// Every metric, in a registry of their own.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    refusals: IntCounterVec,
    policy_results: IntCounterVec,
    request_duration: HistogramVec,
    /// Time to authenticate.
    pub token_duration: Histogram,
    /// Time to decide.
    pub decision_duration: Histogram,
    keys: IntGaugeVec,
    keys_age: GaugeVec,
    key_failures: IntGaugeVec,
    generation: IntGauge,
    reloads: IntCounterVec,
    reload_ok: IntGauge,
    reload_time: Gauge,
    compile_seconds: Gauge,
    policies: IntGaugeVec,
    cache_entries: IntGauge,
    /// Log entries that were dropped.
    pub log_dropped: IntCounter,
    /// Repeated refusals that the log left out on purpose.
    pub log_sampled: IntCounter,
    /// Requests that ended without an answer.
    pub unfinished: IntCounter,
}

fn opts((name, help): (&str, &str)) -> Opts {
    Opts::new(name, help)
}

fn histogram(
    (name, help): (&str, &str),
    start: f64,
    factor: f64,
    count: usize,
) -> prometheus::Result<HistogramOpts> {
    Ok(HistogramOpts::new(name, help).buckets(prometheus::exponential_buckets(start, factor, count)?))
}

impl Metrics {
    /// Makes and registers every metric.
    ///
    /// # Errors
    /// When two metrics have one name: a fault in [`names`], seen at start.
    pub fn new() -> prometheus::Result<Self> {
        let metrics = Self {
            registry: Registry::new(),
            requests: IntCounterVec::new(opts(names::REQUESTS), &["app", "outcome"])?,
            refusals: IntCounterVec::new(opts(names::REFUSALS), &["app", "reason", "code"])?,
            policy_results: IntCounterVec::new(opts(names::POLICY_RESULTS), &["policy", "result"])?,
            request_duration: HistogramVec::new(
                histogram(names::REQUEST_DURATION, 0.000_1, 2.5, 14)?,
                &["app"],
            )?,
            token_duration: Histogram::with_opts(histogram(names::TOKEN_DURATION, 0.000_000_5, 2.0, 14)?)?,
            decision_duration: Histogram::with_opts(histogram(
                names::DECISION_DURATION,
                0.000_000_125,
                2.0,
                14,
            )?)?,
            keys: IntGaugeVec::new(opts(names::KEYS), &["issuer"])?,
            keys_age: GaugeVec::new(opts(names::KEYS_AGE), &["issuer"])?,
            key_failures: IntGaugeVec::new(opts(names::KEY_FETCH_FAILURES), &["issuer"])?,
            generation: IntGauge::with_opts(opts(names::GENERATION))?,
            reloads: IntCounterVec::new(opts(names::RELOADS), &["result"])?,
            reload_ok: IntGauge::with_opts(opts(names::RELOAD_OK))?,
            reload_time: Gauge::with_opts(opts(names::RELOAD_TIME))?,
            compile_seconds: Gauge::with_opts(opts(names::COMPILE_SECONDS))?,
            policies: IntGaugeVec::new(opts(names::POLICIES), &["state"])?,
            cache_entries: IntGauge::with_opts(opts(names::CACHE_ENTRIES))?,
            log_dropped: IntCounter::with_opts(opts(names::LOG_DROPPED))?,
            log_sampled: IntCounter::with_opts(opts(names::LOG_SAMPLED))?,
            unfinished: IntCounter::with_opts(opts(names::UNFINISHED))?,
        };
        let build = IntGaugeVec::new(opts(names::BUILD_INFO), &["version"])?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        let all: [Box<dyn prometheus::core::Collector>; 21] = [
            Box::new(metrics.requests.clone()),
            Box::new(metrics.refusals.clone()),
            Box::new(metrics.policy_results.clone()),
            Box::new(metrics.request_duration.clone()),
            Box::new(metrics.token_duration.clone()),
            Box::new(metrics.decision_duration.clone()),
            Box::new(metrics.keys.clone()),
            Box::new(metrics.keys_age.clone()),
            Box::new(metrics.key_failures.clone()),
            Box::new(metrics.generation.clone()),
            Box::new(metrics.reloads.clone()),
            Box::new(metrics.reload_ok.clone()),
            Box::new(metrics.reload_time.clone()),
            Box::new(metrics.compile_seconds.clone()),
            Box::new(metrics.policies.clone()),
            Box::new(metrics.cache_entries.clone()),
            Box::new(metrics.log_dropped.clone()),
            Box::new(metrics.log_sampled.clone()),
            Box::new(metrics.unfinished.clone()),
            Box::new(build),
            Box::new(prometheus::process_collector::ProcessCollector::for_self()),
        ];
        for collector in all {
            metrics.registry.register(collector)?;
        }
        for result in ["success", "failure"] {
            metrics.reloads.with_label_values(&[result]);
        }
        Ok(metrics)
    }

    /// Handles for one app; `None` stands for requests that reach no app.
    #[must_use]
    pub fn app(&self, app: Option<&settings::App>) -> AppMeters {
        let name = app.map_or("none", |app| app.id.as_str());
        let counter = |refusal: Refusal| {
            let code = refusal.row().code.to_string();
            let labels: &[&str] = &[name, refusal.reason(), &code];
            (refusal, self.refusals.with_label_values(labels))
        };
        let mut possible: Vec<Refusal> = Vec::new();
        possible.extend(BadRequest::ALL.map(Refusal::BadRequest));
        if app.is_some() {
            possible.extend([Refusal::NoToken, Refusal::KeysUnavailable, Refusal::Upstream { status: 502 }]);
            possible.extend([Refusal::BodyTooLarge, Refusal::Internal]);
            possible.extend(BadToken::ALL.map(Refusal::BadToken));
            for primary in ReasonCode::ALL {
                let refused = Refused { primary, reasons: Default::default(), temporary: false };
                let plain = Refusal::Policy(refused, Nuance::None);
                possible.push(plain);
                let nuanced = Nuance::ALL.map(|nuance| Refusal::Policy(refused, nuance));
                possible.extend(nuanced.into_iter().filter(|refusal| refusal.row() != plain.row()));
            }
        } else {
            possible.push(Refusal::NoApp);
        }
        AppMeters {
            outcomes: Outcome::ALL
                .map(|outcome| self.requests.with_label_values(&[name, outcome.as_str()]))
                .to_vec(),
            refusals: possible.into_iter().map(counter).collect(),
            other: self.refusals.with_label_values(&[name, "other", "0"]),
            duration: self.request_duration.with_label_values(&[name]),
        }
    }

    /// Handles for each policy, in order; sets the gauges that count policies.
    #[must_use]
    pub fn policies(&self, set: &PolicySet) -> Vec<PolicyMeters> {
        let mut states = BTreeMap::from([("enabled", 0), ("report-only", 0), ("disabled", 0)]);
        let meters = set.policies.iter().map(|policy| {
            let state = match policy.state {
                PolicyState::Enabled => "enabled",
                PolicyState::ReportOnly => "report-only",
                PolicyState::Disabled => "disabled",
            };
            *states.entry(state).or_insert(0) += 1;
            PolicyMeters(
                PolicyResult::ALL
                    .map(|result| {
                        self.policy_results.with_label_values(&[policy.id.as_str(), result.as_str()])
                    })
                    .to_vec(),
            )
        });
        let meters = meters.collect();
        for (state, count) in states {
            self.policies.with_label_values(&[state]).set(count);
        }
        meters
    }

    /// Drops the series of apps and policies that a reload removed.
    pub fn forget(&self, apps: &[String], policies: &[String]) {
        for app in apps {
            for outcome in Outcome::ALL {
                // A series that was never made needs no removal.
                let _ = self.requests.remove_label_values(&[app, outcome.as_str()]);
            }
            let _ = self.request_duration.remove_label_values(&[app]);
        }
        for policy in policies {
            for result in PolicyResult::ALL {
                let _ = self.policy_results.remove_label_values(&[policy, result.as_str()]);
            }
        }
    }

    /// A configuration was loaded and serves.
    pub fn reloaded(&self, generation: u64, now_secs: i64, compile_secs: f64) {
        self.generation.set(i64::try_from(generation).unwrap_or(i64::MAX));
        self.reload_ok.set(1);
        #[expect(
            clippy::cast_precision_loss,
            reason = "a Unix time fits an f64 exactly until the year 285 million"
        )]
        self.reload_time.set(now_secs as f64);
        self.compile_seconds.set(compile_secs);
        self.reloads.with_label_values(&["success"]).inc();
    }

    /// A configuration was refused; the former one goes on.
    pub fn reload_refused(&self) {
        self.reload_ok.set(0);
        self.reloads.with_label_values(&["failure"]).inc();
    }

    /// The state of an issuer's keys.
    pub fn issuer(&self, name: &str, keys: usize, age_secs: Option<u64>, failures: u64) {
        self.keys.with_label_values(&[name]).set(i64::try_from(keys).unwrap_or(i64::MAX));
        #[expect(clippy::cast_precision_loss, reason = "an age in seconds fits")]
        self.keys_age.with_label_values(&[name]).set(age_secs.map_or(-1.0, |age| age as f64));
        self.key_failures.with_label_values(&[name]).set(i64::try_from(failures).unwrap_or(i64::MAX));
    }

    /// How many verified tokens are cached.
    pub fn cached(&self, entries: usize) {
        self.cache_entries.set(i64::try_from(entries).unwrap_or(i64::MAX));
    }

    /// Everything in Prometheus' text format.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing into a `String` fails only for a family without metrics, which is then left out.
        let _ = TextEncoder::new().encode_utf8(&self.registry.gather(), &mut text);
        text
    }
}
