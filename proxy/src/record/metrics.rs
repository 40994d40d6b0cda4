//! What requests count with, and the page that a scrape reads.
//!
//! The counters of an app or a policy live with the snapshot that serves it, are handed on to the
//! next snapshot and vanish with the app: series are what serves, and a refused reload leaves no
//! trace. Every series is there from the start, at zero.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use portcullis_policy::decision::{PolicyResult, ReasonCode};
use portcullis_policy::model::PolicyState;

use super::cells::{Cells, Timing};
use super::challenges::{Challenges, End, UserMark};
use super::event::{Stage, Traffic};
use super::exposition::{Exemplar, Format, Page};
use super::tallies::{RESULTS, cell_of};
use super::{names, process};
use crate::failure::NetworkFailure;
use crate::refusal::Refusal;
use crate::token::Lookup;

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
/// From 250 ns to 10 ms: steps of ours.
const STEP_BOUNDS: &[u64] =
    &[250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000, 10_000_000];

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
    /// Let in; the client went away before the answer was whole.
    Aborted = 7,
}

impl Outcome {
    const ALL: [Self; 8] = [
        Self::Granted,
        Self::Challenged,
        Self::Denied,
        Self::Unauthenticated,
        Self::Unavailable,
        Self::Rejected,
        Self::Failed,
        Self::Aborted,
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
            Self::Aborted => "aborted",
        }
    }

    /// The outcome that a refusal is counted as.
    #[must_use]
    pub const fn of(refusal: &Refusal) -> Self {
        match refusal {
            Refusal::BadRequest(_) | Refusal::NoApp | Refusal::BodyTooLarge => Self::Rejected,
            Refusal::NoToken | Refusal::BadToken(_) | Refusal::BadSession(_) => Self::Unauthenticated,
            Refusal::KeysUnavailable => Self::Unavailable,
            Refusal::Policy(..) => match refusal.info().status {
                401 => Self::Challenged,
                503 => Self::Unavailable,
                _ => Self::Denied,
            },
            Refusal::Internal | Refusal::Upstream { .. } | Refusal::Loop => Self::Failed,
        }
    }
}

const STATUS_CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];
const CONNECTION_KINDS: [&str; 2] = ["new", "reused"];
const CLEANED_KINDS: [&str; 3] = ["cookie", "word", "challenge"];
const DIRECTIONS: [&str; 2] = ["in", "out"];

// Where an app's counters lie within its group.
const OUTCOMES_AT: usize = 0;
const STATUS_AT: usize = OUTCOMES_AT + Outcome::ALL.len();
const FAILURES_AT: usize = STATUS_AT + STATUS_CLASSES.len();
const CONNECTIONS_AT: usize = FAILURES_AT + NetworkFailure::ALL.len();
const CLEANED_AT: usize = CONNECTIONS_AT + CONNECTION_KINDS.len();
const REQUEST: Timing = Timing { bounds: REQUEST_BOUNDS, first: CLEANED_AT + CLEANED_KINDS.len() };
const UPSTREAM: Timing =
    Timing { bounds: REQUEST_BOUNDS, first: REQUEST.first + Timing::cells(REQUEST_BOUNDS) };
const UNMET_AT: usize = UPSTREAM.first + Timing::cells(REQUEST_BOUNDS);
const REFUSALS_AT: usize = UNMET_AT + ReasonCode::ALL.len();
const CHALLENGES_AT: usize = REFUSALS_AT + Refusal::COUNT;
const ABORTS_AT: usize = CHALLENGES_AT + End::WORDS.len();
const BYTES_AT: usize = ABORTS_AT + Stage::ALL.len();
const STREAM: Timing = Timing { bounds: STREAM_BOUNDS, first: BYTES_AT + DIRECTIONS.len() };
const APP_CELLS: usize = STREAM.first + Timing::cells(STREAM_BOUNDS);

/// One request for each of some counts, the first after a scrape. Never waits: a request that finds
/// a slot taken or in use goes on.
#[derive(Debug)]
struct Exemplars(Box<[Slot]>);

#[derive(Debug, Default)]
struct Slot {
    filled: AtomicBool,
    kept: Mutex<Option<Exemplar>>,
}

impl Exemplars {
    fn new(count: usize) -> Self {
        Self(std::iter::repeat_with(Slot::default).take(count).collect())
    }

    fn offer(&self, at: usize, exemplar: Exemplar) {
        let Some(slot) = self.0.get(at) else { return };
        if !slot.filled.load(Ordering::Relaxed)
            && let Some(mut kept) = slot.kept.try_lock()
        {
            *kept = Some(exemplar);
            slot.filled.store(true, Ordering::Relaxed);
        }
    }

    /// The exemplars as they are; the next request to come replaces each.
    fn read(&self) -> Vec<Option<Exemplar>> {
        let read = |slot: &Slot| {
            slot.filled.store(false, Ordering::Relaxed);
            *slot.kept.lock()
        };
        self.0.iter().map(read).collect()
    }
}

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
    /// The time since its head came.
    pub took: Duration,
    /// Its id.
    pub request_id: u128,
    /// When it began, in Unix milliseconds.
    pub unix_ms: i64,
    /// Who asked, if that is known.
    pub user: Option<UserMark>,
}

/// The counters of one app, or of the requests that reach none.
#[derive(Debug)]
pub struct AppMeters {
    id: Option<String>,
    cells: Cells,
    by_duration: Exemplars,
    by_refusal: Exemplars,
    challenges: Challenges,
}

impl AppMeters {
    /// Counters at zero; `None` is for requests that reach no app.
    #[must_use]
    pub fn new(id: Option<&str>) -> Self {
        Self {
            id: id.map(ToOwned::to_owned),
            cells: Cells::new(APP_CELLS),
            by_duration: Exemplars::new(REQUEST_BOUNDS.len() + 1),
            by_refusal: Exemplars::new(Refusal::COUNT),
            challenges: Challenges::new(),
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
        self.cells.add(OUTCOMES_AT + outcome as usize, 1);
        // What lasts as long as its client likes says nothing of how fast an app is.
        if traffic.is_stream {
            STREAM.observe(&self.cells, took);
        } else {
            let bucket = REQUEST.observe(&self.cells, took);
            self.by_duration.offer(bucket, exemplar(took.as_secs_f64()));
        }
        for (at, bytes) in [traffic.bytes_in, traffic.bytes_out].into_iter().enumerate() {
            if bytes > 0 {
                self.cells.add(BYTES_AT + at, bytes);
            }
        }
        if let Some(stage) = stage {
            self.cells.add(ABORTS_AT + stage as usize, 1);
        }
        let now = u32::try_from(unix_ms / 1_000).unwrap_or(0);
        let end = user.and_then(|user| match outcome {
            // Whoever went away after that had been let in, too.
            Outcome::Granted | Outcome::Aborted => self.challenges.meet(user, now),
            Outcome::Challenged => self.challenges.ask(user, now),
            Outcome::Denied
            | Outcome::Unauthenticated
            | Outcome::Unavailable
            | Outcome::Rejected
            | Outcome::Failed => None,
        });
        if let Some(end) = end {
            self.cells.add(CHALLENGES_AT + end as usize, 1);
        }
        let Some(refusal) = refusal else { return };
        self.cells.add(REFUSALS_AT + refusal.index(), 1);
        self.by_refusal.offer(refusal.index(), exemplar(1.0));
        if let Refusal::Policy(refused, _) = refusal {
            for reason in refused.reasons.iter() {
                self.cells.add(UNMET_AT + reason as usize, 1);
            }
        }
    }

    /// Counts an answer of the app and the time to its head. An interim answer (1xx but 101) is
    /// none.
    pub fn upstream_answered(&self, status: u16, took: Duration) {
        if status >= 200 || status == 101 {
            self.cells.add(STATUS_AT + usize::from(status / 100).clamp(1, 5) - 1, 1);
            UPSTREAM.observe(&self.cells, took);
        }
    }

    /// Counts an attempt that got no answer.
    pub fn upstream_failed(&self, kind: NetworkFailure) {
        self.cells.add(FAILURES_AT + kind as usize, 1);
    }

    /// Counts a connection to the app.
    pub fn upstream_connected(&self, reused: bool) {
        self.cells.add(CONNECTIONS_AT + usize::from(reused), 1);
    }

    /// Counts what was taken out of an answer: cookies of ours, words of ours, challenges that nobody
    /// could meet.
    pub fn answer_cleaned(&self, cookies: u16, words: u16, challenges: u16) {
        for (at, count) in
            [cookies, words, challenges].into_iter().enumerate().filter(|(_, count)| *count > 0)
        {
            self.cells.add(CLEANED_AT + at, u64::from(count));
        }
    }

    fn label(&self) -> &str {
        // No app can be called so: ids are of letters, digits, `-`, `_` and `.`.
        self.id.as_deref().unwrap_or("(none)")
    }
}

const TOKEN: Timing = Timing { bounds: STEP_BOUNDS, first: 0 };
const DECISION: Timing = Timing { bounds: STEP_BOUNDS, first: Timing::cells(STEP_BOUNDS) };
const IN_FLIGHT_AT: usize = DECISION.first + Timing::cells(STEP_BOUNDS);
const UNFINISHED_AT: usize = IN_FLIGHT_AT + 1;
const UNKNOWN_CLIENTS_AT: usize = UNFINISHED_AT + 1;
const ODD_HEADERS_AT: usize = UNKNOWN_CLIENTS_AT + 1;
const LOOKUPS_AT: usize = ODD_HEADERS_AT + 1;
const LOOKUPS: [&str; 3] = ["hit", "rebound", "miss"];

/// What belongs to the process, not to an app or a policy.
#[derive(Debug)]
pub struct Metrics {
    cells: Cells,
    loads: AtomicU64,
    refused_loads: AtomicU64,
    last_refused: AtomicBool,
    loaded_at: AtomicU64,
    compile_nanos: AtomicU64,
    /// How long the last page was: the next one will be about as long.
    page_bytes: AtomicUsize,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Counters at zero.
    #[must_use]
    pub fn new() -> Self {
        Self {
            cells: Cells::new(LOOKUPS_AT + LOOKUPS.len()),
            loads: AtomicU64::new(0),
            refused_loads: AtomicU64::new(0),
            last_refused: AtomicBool::new(false),
            loaded_at: AtomicU64::new(0),
            compile_nanos: AtomicU64::new(0),
            page_bytes: AtomicUsize::new(0),
        }
    }

    /// A request has come.
    pub fn begun(&self) {
        self.cells.add(IN_FLIGHT_AT, 1);
    }

    /// A request has gone.
    pub fn gone(&self) {
        self.cells.subtract(IN_FLIGHT_AT);
    }

    /// A request ended without an answer.
    pub fn unfinished(&self) {
        self.cells.add(UNFINISHED_AT, 1);
    }

    /// A trusted proxy did not know where a request came from.
    pub fn client_unknown(&self) {
        self.cells.add(UNKNOWN_CLIENTS_AT, 1);
    }

    /// So many fields of a request are left out for their names.
    pub fn odd_headers(&self, count: u64) {
        self.cells.add(ODD_HEADERS_AT, count);
    }

    /// A token was looked up in the cache, and verified if it was not there.
    pub fn token_looked_up(&self, lookup: Lookup) {
        let at = match lookup {
            Lookup::Hit => 0,
            Lookup::Rebound => 1,
            Lookup::Miss(_) => 2,
        };
        self.cells.add(LOOKUPS_AT + at, 1);
        if let Lookup::Miss(Some(took)) = lookup {
            TOKEN.observe(&self.cells, took);
        }
    }

    /// A request was decided.
    pub fn decided(&self, took: Duration) {
        DECISION.observe(&self.cells, took);
    }

    /// A configuration was loaded and serves.
    pub fn reloaded(&self, now: i64, compile: Duration) {
        self.loads.fetch_add(1, Ordering::Relaxed);
        self.loaded_at.store(now.unsigned_abs(), Ordering::Relaxed);
        self.compile_nanos.store(u64::try_from(compile.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.last_refused.store(false, Ordering::Relaxed);
    }

    /// A configuration was refused; the former one goes on.
    pub fn reload_refused(&self) {
        self.refused_loads.fetch_add(1, Ordering::Relaxed);
        self.last_refused.store(true, Ordering::Relaxed);
    }

    /// The page of a scrape.
    #[must_use]
    pub fn page(&self, serving: &Serving<'_>, format: Format) -> String {
        // A little more, for counts that gain a digit.
        let last = self.page_bytes.load(Ordering::Relaxed);
        let mut page = Page::new(format, last + last / 64);
        for app in &serving.apps {
            let abandoned = app.challenges.give_up(u32::try_from(serving.now).unwrap_or(0));
            app.cells.add(CHALLENGES_AT + End::Abandoned as usize, abandoned);
        }
        write_apps(&mut page, &serving.apps, &serving.servers);
        page.family(&names::IN_FLIGHT).value(&[], self.cells.sum(IN_FLIGHT_AT).cast_signed().max(0));
        page.family(&names::UNFINISHED).value(&[], self.cells.sum(UNFINISHED_AT));
        page.family(&names::UNKNOWN_CLIENTS).value(&[], self.cells.sum(UNKNOWN_CLIENTS_AT));
        page.family(&names::ODD_HEADERS).value(&[], self.cells.sum(ODD_HEADERS_AT));
        write_policies(&mut page, &serving.policies);
        for (family, timing) in [(&names::TOKEN_DURATION, TOKEN), (&names::DECISION_DURATION, DECISION)] {
            page.family(family).histogram(&[], timing.bounds, &timing.read(&self.cells), &[]);
        }
        let mut lookups = page.family(&names::CACHE_LOOKUPS);
        for (at, result) in LOOKUPS.into_iter().enumerate() {
            lookups.value(&[result], self.cells.sum(LOOKUPS_AT + at));
        }
        page.family(&names::CACHE_ENTRIES).value(&[], serving.cached);
        write_issuers(&mut page, &serving.issuers);
        self.write_configuration(&mut page, serving);
        if let Some(built) = serving.geo_built {
            page.family(&names::GEO_BUILT).value(&[], built);
        }
        let mut certificates = page.family(&names::CERTIFICATE);
        for (listener, not_after) in serving.certificates {
            certificates.value(&[listener], *not_after);
        }
        page.family(&names::HANDSHAKES).value(&[], serving.handshakes_failed);
        let mut entries = page.family(&names::LOG_ENTRIES);
        for (result, count) in
            ["written", "dropped", "failed", "sampled"].into_iter().zip(serving.log_entries)
        {
            entries.value(&[result], count);
        }
        let mut lines = page.family(&names::ACCESS_ENTRIES);
        for (result, count) in ["written", "dropped", "failed"].into_iter().zip(serving.access_entries) {
            lines.value(&[result], count);
        }
        page.family(&names::BUILD_INFO).value(&[env!("CARGO_PKG_VERSION")], 1_u64);
        process::write(&mut page);
        let text = page.end();
        self.page_bytes.store(text.len(), Ordering::Relaxed);
        text
    }

    fn write_configuration(&self, page: &mut Page, serving: &Serving<'_>) {
        page.family(&names::GENERATION).value(&[], serving.generation);
        page.family(&names::RELOADS)
            .value(&["success"], self.loads.load(Ordering::Relaxed))
            .value(&["failure"], self.refused_loads.load(Ordering::Relaxed));
        page.family(&names::RELOAD_OK).value(&[], u8::from(!self.last_refused.load(Ordering::Relaxed)));
        page.family(&names::RELOAD_TIME).value(&[], self.loaded_at.load(Ordering::Relaxed));
        let compile = Duration::from_nanos(self.compile_nanos.load(Ordering::Relaxed));
        page.family(&names::COMPILE_SECONDS).value(&[], compile.as_secs_f64());
        page.family(&names::APPS).value(&[], serving.apps.iter().filter(|app| app.id.is_some()).count());
        let mut policies = page.family(&names::POLICIES);
        for (state, word) in [
            (PolicyState::Enabled, "enabled"),
            (PolicyState::ReportOnly, "report-only"),
            (PolicyState::Disabled, "disabled"),
        ] {
            policies.value(&[word], serving.policies.iter().filter(|policy| policy.state == state).count());
        }
    }
}

/// What serves at the moment of a scrape.
#[derive(Debug)]
pub struct Serving<'s> {
    /// Now, in Unix seconds.
    pub now: i64,
    /// The number of the configuration.
    pub generation: u64,
    /// The counters of every app, and of none.
    pub apps: Vec<&'s AppMeters>,
    /// Servers of apps: the app, the server as it is configured, and whether it takes requests.
    pub servers: Vec<(&'s str, Arc<str>, bool)>,
    /// Every policy.
    pub policies: Vec<PolicyReading<'s>>,
    /// Every issuer.
    pub issuers: Vec<IssuerReading<'s>>,
    /// When the country database was built, in Unix seconds.
    pub geo_built: Option<u64>,
    /// Listeners with TLS, and when their certificates expire, in Unix seconds.
    pub certificates: &'s [(String, i64)],
    /// Verified tokens that are remembered.
    pub cached: usize,
    /// Log entries: written, dropped, failed.
    pub log_entries: [u64; 4],
    /// Lines of the access log: written, dropped, failed.
    pub access_entries: [u64; 3],
    /// TLS handshakes with clients that failed.
    pub handshakes_failed: u64,
}

/// A policy at the moment of a scrape.
#[derive(Clone, Copy, Debug)]
pub struct PolicyReading<'s> {
    /// Its id.
    pub id: &'s str,
    /// Its state; only results that this state can give become series.
    pub state: PolicyState,
    /// How often it was satisfied, refused, and asked for something.
    pub counts: [u64; RESULTS],
}

/// An issuer at the moment of a scrape.
#[derive(Clone, Debug)]
pub struct IssuerReading<'s> {
    /// Its short name.
    pub name: &'s str,
    /// Keys held.
    pub keys: usize,
    /// Seconds since its source last gave a good set.
    pub age_secs: Option<u64>,
    /// Whether the keys may be trusted.
    pub usable: bool,
    /// Fetches that failed.
    pub failures: u64,
    /// Whether the latest fetch failed.
    pub is_failing: bool,
    /// After how many seconds keys are fetched anew.
    pub interval_secs: u64,
    /// Keys of the set that verify nothing, by fault.
    pub unused: Vec<(&'static str, usize)>,
}

fn write_apps(page: &mut Page, apps: &[&AppMeters], servers: &[(&str, Arc<str>, bool)]) {
    let mut group = |family: &'static names::Family, first: usize, words: &[&str]| {
        let mut samples = page.family(family);
        for app in apps {
            for (at, word) in words.iter().enumerate() {
                samples.value(&[app.label(), word], app.cells.sum(first + at));
            }
        }
    };
    group(&names::REQUESTS, OUTCOMES_AT, &Outcome::ALL.map(Outcome::as_str));
    group(&names::UNMET, UNMET_AT, &ReasonCode::ALL.map(ReasonCode::as_str));
    group(&names::CHALLENGES_ENDED, CHALLENGES_AT, &End::WORDS);
    group(&names::ABORTS, ABORTS_AT, &Stage::ALL.map(Stage::as_str));
    group(&names::CLIENT_BYTES, BYTES_AT, &DIRECTIONS);
    group(&names::UPSTREAM_RESPONSES, STATUS_AT, &STATUS_CLASSES);
    group(&names::UPSTREAM_FAILURES, FAILURES_AT, &NetworkFailure::ALL.map(NetworkFailure::as_str));
    group(&names::UPSTREAM_CONNECTIONS, CONNECTIONS_AT, &CONNECTION_KINDS);
    group(&names::ANSWER_FIELDS, CLEANED_AT, &CLEANED_KINDS);

    let mut refused = page.family(&names::REFUSALS);
    for app in apps {
        let exemplars = app.by_refusal.read();
        for (at, refusal) in Refusal::all().iter().enumerate() {
            let info = refusal.info();
            let code = info.code.to_string();
            let exemplar = exemplars.get(at).copied().flatten();
            refused.counted(&[app.label(), info.reason, &code], app.cells.sum(REFUSALS_AT + at), exemplar);
        }
    }
    let mut requests = page.family(&names::REQUEST_DURATION);
    for app in apps {
        let exemplars = app.by_duration.read();
        requests.histogram(&[app.label()], REQUEST.bounds, &REQUEST.read(&app.cells), &exemplars);
    }
    let mut streams = page.family(&names::STREAM_DURATION);
    for app in apps {
        streams.histogram(&[app.label()], STREAM.bounds, &STREAM.read(&app.cells), &[]);
    }
    let mut up = page.family(&names::UPSTREAM_UP);
    for (app, server, is_up) in servers {
        up.value(&[app, server], u8::from(*is_up));
    }
    let mut upstream = page.family(&names::UPSTREAM_DURATION);
    for app in apps {
        upstream.histogram(&[app.label()], UPSTREAM.bounds, &UPSTREAM.read(&app.cells), &[]);
    }
}

fn write_policies(page: &mut Page, policies: &[PolicyReading<'_>]) {
    let mut results = page.family(&names::POLICY_RESULTS);
    for PolicyReading { id, state, counts } in policies {
        for result in PolicyResult::ALL {
            let reported = match result {
                PolicyResult::Success | PolicyResult::Failure | PolicyResult::Interrupted => false,
                PolicyResult::ReportOnlySuccess
                | PolicyResult::ReportOnlyFailure
                | PolicyResult::ReportOnlyInterrupted => true,
            };
            let possible = match state {
                PolicyState::Enabled => !reported,
                PolicyState::ReportOnly => reported,
                PolicyState::Disabled => false,
            };
            if possible {
                let count = counts.get(cell_of(result)).copied().unwrap_or_default();
                results.value(&[id, result.as_str()], count);
            }
        }
    }
}

fn write_issuers(page: &mut Page, issuers: &[IssuerReading<'_>]) {
    let mut group = |family: &'static names::Family, value: fn(&IssuerReading<'_>) -> String| {
        let mut samples = page.family(family);
        for issuer in issuers {
            samples.value(&[issuer.name], value(issuer));
        }
    };
    group(&names::KEYS, |issuer| issuer.keys.to_string());
    group(&names::KEYS_AGE, |issuer| issuer.age_secs.map_or("NaN".to_owned(), |age| age.to_string()));
    group(&names::KEYS_USABLE, |issuer| u8::from(issuer.usable).to_string());
    group(&names::KEYS_FETCH_OK, |issuer| u8::from(!issuer.is_failing).to_string());
    group(&names::KEYS_INTERVAL, |issuer| issuer.interval_secs.to_string());
    group(&names::KEY_FETCH_FAILURES, |issuer| issuer.failures.to_string());
    let mut unused = page.family(&names::KEYS_UNUSED);
    for issuer in issuers {
        for (fault, count) in &issuer.unused {
            unused.value(&[issuer.name, fault], count.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use portcullis_policy::decision::{ReasonSet, Refused};

    use super::*;
    use crate::refusal::Subcode;

    fn serving(app: &AppMeters, counts: [u64; RESULTS]) -> Serving<'_> {
        Serving {
            now: 10_000,
            generation: 1,
            apps: vec![app],
            servers: vec![("wiki", "wiki.corp:443".into(), false)],
            policies: vec![PolicyReading { id: "watch-mfa", state: PolicyState::ReportOnly, counts }],
            issuers: vec![IssuerReading {
                name: "entra",
                keys: 0,
                age_secs: None,
                usable: false,
                failures: 3,
                is_failing: true,
                interval_secs: 600,
                unused: vec![("weak", 1)],
            }],
            geo_built: Some(1_700_000_000),
            certificates: &[],
            cached: 0,
            log_entries: [0; 4],
            access_entries: [0; 3],
            handshakes_failed: 0,
        }
    }

    #[test]
    fn a_refusal_for_want_of_a_fact_is_counted_as_such_and_every_failed_reason_is_unmet() {
        let app = AppMeters::new(Some("wiki"));
        let reasons = ReasonSet::EMPTY.with(ReasonCode::MfaRequired).with(ReasonCode::DeviceNotCompliant);
        let refused = |temporary| {
            Refusal::Policy(
                Refused { primary: ReasonCode::DeviceNotCompliant, reasons, temporary },
                Subcode::None,
            )
        };
        for refusal in [refused(true), refused(false)] {
            let outcome = Outcome::of(&refusal);
            let took = Duration::from_millis(3);
            app.ended(Ended {
                outcome,
                refusal: Some(&refusal),
                stage: None,
                traffic: Traffic::default(),
                took,
                request_id: 9,
                unix_ms: 1_000,
                user: None,
            });
        }
        let text = Metrics::new().page(&serving(&app, [0; RESULTS]), Format::OpenMetrics);
        for line in [
            r#"portcullis_requests_total{app="wiki",outcome="unavailable"} 1"#,
            r#"portcullis_requests_total{app="wiki",outcome="denied"} 1"#,
            r#"portcullis_refusals_total{app="wiki",reason="fact-unavailable",code="90033"} 1 #"#,
            r#"portcullis_refusals_total{app="wiki",reason="device-not-compliant",code="53000"} 1 # {request_id="00000000-0000-0000-0000-000000000009"} 1 1.000"#,
            r#"portcullis_unmet_requirements_total{app="wiki",reason="mfa-required"} 2"#,
            r#"portcullis_unmet_requirements_total{app="wiki",reason="device-not-compliant"} 2"#,
            r#"portcullis_request_duration_seconds_bucket{app="wiki",le="0.005"} 2 # {request_id="#,
            r#"portcullis_upstream_server_up{app="wiki",server="wiki.corp:443"} 0"#,
            r#"portcullis_issuer_keys_age_seconds{issuer="entra"} NaN"#,
            r#"portcullis_issuer_keys_last_fetch_successful{issuer="entra"} 0"#,
            r#"portcullis_issuer_keys_refresh_interval_seconds{issuer="entra"} 600"#,
            r#"portcullis_issuer_keys_unused{issuer="entra",reason="weak"} 1"#,
        ] {
            assert!(text.lines().any(|found| found.starts_with(line)), "{line}\n{text}");
        }
    }

    #[test]
    fn a_challenge_is_met_by_coming_back_and_abandoned_by_staying_away() {
        let app = AppMeters::new(Some("wiki"));
        let ended = |outcome, user: &str| {
            let took = Duration::from_millis(1);
            app.ended(Ended {
                outcome,
                refusal: None,
                stage: None,
                traffic: Traffic::default(),
                took,
                request_id: 9,
                unix_ms: 1_000_000,
                user: Some(UserMark::of(user)),
            });
        };
        ended(Outcome::Challenged, "alice");
        ended(Outcome::Challenged, "bob");
        ended(Outcome::Granted, "alice");
        ended(Outcome::Granted, "alice");
        let text = Metrics::new().page(&serving(&app, [0; RESULTS]), Format::Text);
        for (how, count) in [("met", 1), ("abandoned", 1), ("displaced", 0)] {
            let line = format!("portcullis_challenges_ended_total{{app=\"wiki\",how=\"{how}\"}} {count}\n");
            assert!(text.contains(&line), "{line}{text}");
        }
    }

    #[test]
    fn a_policy_has_series_for_the_results_that_its_state_can_give() {
        let app = AppMeters::new(None);
        let text = Metrics::new().page(&serving(&app, [0, 1, 0]), Format::Text);
        let results: Vec<_> =
            text.lines().filter(|line| line.starts_with("portcullis_policy_results_total{")).collect();
        assert_eq!(results.len(), 3, "{results:?}");
        assert!(results.iter().all(|line| line.contains("reportOnly")), "{results:?}");
        assert!(
            text.contains(
                r#"portcullis_policy_results_total{policy="watch-mfa",result="reportOnlyFailure"} 1"#
            )
        );
    }

    #[test]
    fn a_million_requests_of_every_kind_make_no_new_series() {
        let app = AppMeters::new(Some("wiki"));
        let metrics = Metrics::new();
        let series = || {
            let text = metrics.page(&serving(&app, [0; RESULTS]), Format::Text);
            text.lines().filter(|line| !line.starts_with('#')).count()
        };
        let (before, refusals) = (series(), Refusal::all());
        // A xorshift: the same million on every run.
        let mut random = 0x9E37_79B9_7F4A_7C15_u64;
        for _ in 0..1_000_000 {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let refusal = refusals.get(usize::try_from(random >> 40).unwrap() % (2 * refusals.len()));
            let outcome = refusal.map_or(Outcome::Granted, Outcome::of);
            let took = Duration::from_nanos(random >> 30);
            let user = random.to_string();
            app.ended(Ended {
                outcome,
                refusal,
                stage: None,
                traffic: Traffic::default(),
                took,
                request_id: random.into(),
                unix_ms: 0,
                user: Some(UserMark::of(&user)),
            });
            app.upstream_answered(u16::try_from(random & 0xFFFF).unwrap(), took);
            app.upstream_connected(random & 1 == 0);
            metrics.begun();
            metrics.decided(took);
            metrics.gone();
        }
        assert_eq!(series(), before);
        let text = metrics.page(&serving(&app, [0; RESULTS]), Format::Text);
        assert!(text.contains("portcullis_request_duration_seconds_count{app=\"wiki\"} 1000000\n"), "{text}");
        assert!(text.contains("portcullis_requests_in_flight 0\n"), "{text}");
    }

    /// Run by hand, as a ratio on one machine:
    /// `cargo test --release -p portcullis --lib counting_costs -- --ignored --nocapture`.
    #[test]
    #[ignore = "measures; a busy machine says nothing"]
    fn counting_costs_little_alone_and_together() {
        const USER: &str = "11111111-2222-3333-4444-555555555555";
        let app = AppMeters::new(Some("wiki"));
        let shared = [AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0)];
        let own = || {
            let took = Duration::from_micros(300);
            let outcome = Outcome::Granted;
            app.ended(Ended {
                outcome,
                refusal: None,
                stage: None,
                traffic: Traffic::default(),
                took,
                request_id: 1,
                unix_ms: 1,
                user: Some(UserMark::of(USER)),
            });
        };
        let plain = || {
            for counter in &shared {
                counter.fetch_add(1, Ordering::Relaxed);
            }
        };
        // Processor time, in ticks of 10 ms: what other programs take does not count.
        let ticks = || -> f64 {
            let text = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
            let fields: Vec<&str> = text.rsplit_once(") ").unwrap().1.split(' ').collect();
            fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()
        };
        let time = |threads: u32, work: &(dyn Fn() + Sync)| {
            const ROUNDS: u32 = 20_000_000;
            let measured = || {
                let before = ticks();
                (0..ROUNDS).for_each(|_| work());
                ticks() - before
            };
            let spent: f64 = std::thread::scope(|scope| {
                let running: Vec<_> = (0..threads).map(|_| scope.spawn(measured)).collect();
                running.into_iter().map(|thread| thread.join().unwrap()).sum()
            });
            spent * 1e7 / f64::from(ROUNDS) / f64::from(threads)
        };
        for threads in [1, 2] {
            let (sharded, atomics) = (time(threads, &own), time(threads, &plain));
            println!(
                "{threads} threads: a request's end {sharded:.1} ns; three shared atomics {atomics:.1} ns"
            );
        }
    }
}
