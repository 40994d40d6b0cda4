//! What is counted for the whole process, and the page that a scrape reads.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use portcullis_config::settings::ForwardAuthProtocol;
use portcullis_policy::model::PolicyState;
use portcullis_policy::words;

use super::counters::{Counters, Timing};
use super::cut::CutRequests;
use super::exposition::{Format, Page};
use super::scrape::{self, Serving};
use super::sign_in::{Logout, Logouts};
use super::waiting::WaitCounters;
use super::{app_metrics, listeners, names, process, servers, sign_in};
use crate::session::{NoSession, Way};
use crate::token::Lookup;

/// From 250 ns to 10 ms: steps of ours.
const STEP_BOUNDS: &[u64] =
    &[250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000, 10_000_000];

const TOKEN: Timing = Timing { bounds: STEP_BOUNDS, first: 0 };
const DECISION: Timing = Timing { bounds: STEP_BOUNDS, first: Timing::counters(STEP_BOUNDS) };
const IN_FLIGHT_AT: usize = DECISION.first + Timing::counters(STEP_BOUNDS);
const UNFINISHED_AT: usize = IN_FLIGHT_AT + 1;
const UNKNOWN_CLIENTS_AT: usize = UNFINISHED_AT + 1;
const ODD_HEADERS_AT: usize = UNKNOWN_CLIENTS_AT + 1;
const LOOKUPS_AT: usize = ODD_HEADERS_AT + 1;
const LOOKUPS: [&str; 3] = ["hit", "rebound", "miss"];
const SESSIONS_AT: usize = LOOKUPS_AT + LOOKUPS.len();
/// Results of a look-up of a session that are no [`NoSession`].
const SESSIONS: [&str; 3] = ["remembered", "read", "unavailable"];
const NO_SESSIONS_AT: usize = SESSIONS_AT + SESSIONS.len();
const FORWARD_AUTH_AT: usize = NO_SESSIONS_AT + NoSession::ALL.len();
const COUNTERS: usize = FORWARD_AUTH_AT + ForwardAuthProtocol::ALL.len() * ForwardAuthAnswer::ALL.len();

/// What became of a hand-over of the listening sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handover {
    /// This process took over from another one.
    Taken,
    /// A process of another user asked.
    Foreign,
    /// A process asked to which no hand-over can be.
    Refused,
    /// A successor left, or was silent, before it served.
    Abandoned,
}

const HANDOVERS: [(Handover, &str); 4] = [
    (Handover::Taken, "taken"),
    (Handover::Foreign, "foreign"),
    (Handover::Refused, "refused"),
    (Handover::Abandoned, "abandoned"),
];

words! {
    /// What a proxy that asks about a request is answered.
    pub enum ForwardAuthAnswer {
        /// It may let it in.
        Allowed = "allowed",
        /// It may not.
        Refused = "refused",
        /// It is to pass on an answer of ours that is no refusal.
        Replied = "replied",
        /// The request is not described as it must be.
        BadDescription = "bad-description",
        /// It may not ask.
        NotAPeer = "not-a-peer",
    }
}

words! {
    /// What a look-up at the help desk came to.
    pub enum DeskResult {
        /// Something was told.
        Found = "found",
        /// Nothing fits, or it is foreign or too old.
        NotFound = "not-found",
        /// It was asked without the token.
        NotAllowed = "not-allowed",
        /// It was asked too often.
        TooMany = "too-many",
        /// Nothing could be looked up.
        Failed = "failed",
    }
}

/// What belongs to the process, not to an app or a policy.
#[derive(Debug)]
pub struct Metrics {
    counters: Counters,
    loads: AtomicU64,
    refused_loads: AtomicU64,
    last_refused: AtomicBool,
    loaded_at: AtomicU64,
    compile_nanos: AtomicU64,
    /// Bytes of answers that wait for clients to take them.
    pub unsent: AtomicU64,
    /// Bytes of heads that are not complete.
    pub unfinished_heads: AtomicU64,
    /// Handshakes and requests of strangers that wait for their turn.
    pub turns_waiting: AtomicU64,
    /// How long the last page was: the next one will be about as long.
    page_bytes: AtomicUsize,
    handovers: [AtomicU64; HANDOVERS.len()],
    /// Connections that the process may have.
    pub connections_max: AtomicU64,
    cut_by_predecessor: AtomicU64,
    worker_stalls: AtomicU64,
    logouts: Logouts,
    /// What is cut, once the process cuts it.
    pub cut: CutRequests,
    /// Of pages that wait.
    pub waiting: WaitCounters,
    desk: [AtomicU64; DeskResult::ALL.len()],
}

const fn forward_auth_at(protocol: ForwardAuthProtocol, answer: ForwardAuthAnswer) -> usize {
    FORWARD_AUTH_AT + protocol as usize * ForwardAuthAnswer::ALL.len() + answer as usize
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
            counters: Counters::new(COUNTERS),
            loads: AtomicU64::new(0),
            refused_loads: AtomicU64::new(0),
            last_refused: AtomicBool::new(false),
            loaded_at: AtomicU64::new(0),
            compile_nanos: AtomicU64::new(0),
            unsent: AtomicU64::new(0),
            unfinished_heads: AtomicU64::new(0),
            turns_waiting: AtomicU64::new(0),
            page_bytes: AtomicUsize::new(0),
            handovers: Default::default(),
            connections_max: AtomicU64::new(0),
            cut_by_predecessor: AtomicU64::new(0),
            worker_stalls: AtomicU64::new(0),
            logouts: Logouts::default(),
            cut: CutRequests::default(),
            waiting: WaitCounters::default(),
            desk: Default::default(),
        }
    }

    /// A request has begun.
    pub fn begun(&self) {
        self.counters.add(IN_FLIGHT_AT, 1);
    }

    /// A request has ended.
    pub fn gone(&self) {
        self.counters.subtract(IN_FLIGHT_AT);
    }

    /// How many have begun and not ended.
    #[must_use]
    pub fn in_flight(&self) -> i64 {
        self.counters.sum(IN_FLIGHT_AT).cast_signed().max(0)
    }

    /// A request ended without an answer.
    pub fn unfinished(&self) {
        self.counters.add(UNFINISHED_AT, 1);
    }

    /// A trusted proxy did not know the client's address.
    pub fn client_unknown(&self) {
        self.counters.add(UNKNOWN_CLIENTS_AT, 1);
    }

    /// So many fields of a request are left out for their names.
    pub fn odd_headers(&self, count: u64) {
        self.counters.add(ODD_HEADERS_AT, count);
    }

    /// Somebody asked at the help desk.
    pub fn desk_asked(&self, result: DeskResult) {
        if let Some(count) = self.desk.get(result as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Sessions were ended.
    pub fn logged_out(&self, what: Logout) {
        self.logouts.count(what);
    }

    /// A token was looked up in the cache, and verified if it was not there.
    pub fn token_looked_up(&self, lookup: Lookup) {
        let at = match lookup {
            Lookup::Hit => 0,
            Lookup::Rebound => 1,
            Lookup::Miss(_) => 2,
        };
        self.counters.add(LOOKUPS_AT + at, 1);
        if let Lookup::Miss(Some(took)) = lookup {
            TOKEN.observe(&self.counters, took);
        }
    }

    /// A session was found so.
    pub fn session_found(&self, way: Way) {
        let at = match way {
            Way::Remembered => 0,
            Way::Read => 1,
        };
        self.counters.add(SESSIONS_AT + at, 1);
    }

    /// Whether there is a session could not be known.
    pub fn sessions_unavailable(&self) {
        self.counters.add(SESSIONS_AT + 2, 1);
    }

    /// A cookie of a session was none.
    pub fn no_session(&self, why: NoSession) {
        self.counters.add(NO_SESSIONS_AT + why as usize, 1);
    }

    /// A proxy that asks about a request was answered.
    pub fn forward_auth_answered(&self, protocol: ForwardAuthProtocol, answer: ForwardAuthAnswer) {
        self.counters.add(forward_auth_at(protocol, answer), 1);
    }

    /// A request was decided.
    pub fn decided(&self, took: Duration) {
        DECISION.observe(&self.counters, took);
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

    /// When the configuration that serves was loaded, and whether a newer one was refused since.
    pub fn last_reload(&self) -> (i64, bool) {
        let loaded = i64::try_from(self.loaded_at.load(Ordering::Relaxed)).unwrap_or(i64::MAX);
        (loaded, self.last_refused.load(Ordering::Relaxed))
    }

    /// The process before this one has cut so many requests.
    pub fn cut_by_predecessor(&self, requests: u64) {
        self.cut_by_predecessor.fetch_add(requests, Ordering::Relaxed);
    }

    /// A worker took up no task.
    pub fn worker_stalled(&self) {
        self.worker_stalls.fetch_add(1, Ordering::Relaxed);
    }

    /// A hand-over of the listening sockets ended so.
    pub fn handover(&self, handover: Handover) {
        for ((one, _), count) in HANDOVERS.iter().zip(&self.handovers) {
            if *one == handover {
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// The page of a scrape.
    #[must_use]
    pub fn page(&self, serving: &Serving<'_>, format: Format) -> String {
        // A little more, for counts that gain a digit.
        let last = self.page_bytes.load(Ordering::Relaxed);
        let mut page = Page::new(format, last + last / 64);
        app_metrics::write(&mut page, &serving.apps, serving.now);
        servers::write(&mut page, &serving.servers, &serving.panics);
        page.family(&names::IN_FLIGHT).value(&[], self.in_flight());
        page.family(&names::UNFINISHED).value(&[], self.counters.sum(UNFINISHED_AT));
        page.family(&names::UNKNOWN_CLIENTS).value(&[], self.counters.sum(UNKNOWN_CLIENTS_AT));
        page.family(&names::ODD_HEADERS).value(&[], self.counters.sum(ODD_HEADERS_AT));
        scrape::write_policies(&mut page, &serving.policies);
        for (family, timing) in [(&names::TOKEN_DURATION, TOKEN), (&names::DECISION_DURATION, DECISION)] {
            page.family(family).histogram(&[], timing.bounds, &timing.read(&self.counters), &[]);
        }
        let mut lookups = page.family(&names::CACHE_LOOKUPS);
        for (at, result) in LOOKUPS.into_iter().enumerate() {
            lookups.value(&[result], self.counters.sum(LOOKUPS_AT + at));
        }
        page.family(&names::CACHE_ENTRIES).value(&[], serving.cached);
        let mut sessions = page.family(&names::SESSION_LOOKUPS);
        let results = SESSIONS.into_iter().chain(NoSession::WORDS);
        for (at, result) in results.enumerate() {
            sessions.value(&[result], self.counters.sum(SESSIONS_AT + at));
        }
        page.family(&names::SESSIONS_REMEMBERED).value(&[], serving.sessions_remembered);
        scrape::write_session_store(&mut page, serving.session_store);
        scrape::write_issuers(&mut page, &serving.issuers);
        sign_in::write(&mut page, &serving.sign_ins);
        self.logouts.write(&mut page);
        self.write_configuration(&mut page, serving);
        if let Some(built) = serving.geo_built {
            page.family(&names::GEO_BUILT).value(&[], built);
        }
        let mut certificates = page.family(&names::CERTIFICATE);
        for (listener, name, not_after) in &serving.certificates {
            certificates.value(&[listener, name], *not_after);
        }
        page.family(&names::CONNECTIONS_MAX).value(&[], self.connections_max.load(Ordering::Relaxed));
        listeners::write(&mut page, serving.listeners);
        page.family(&names::TURNS_WAITING).value(&[], self.turns_waiting.load(Ordering::Relaxed));
        page.family(&names::UNFINISHED_HEADS).value(&[], self.unfinished_heads.load(Ordering::Relaxed));
        page.family(&names::UNSENT).value(&[], self.unsent.load(Ordering::Relaxed));
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
        let mut lookups = page.family(&names::HELP_DESK);
        for (result, count) in DeskResult::WORDS.into_iter().zip(&self.desk) {
            lookups.value(&[result], count.load(Ordering::Relaxed));
        }
        let mut answers = page.family(&names::FORWARD_AUTH);
        for protocol in ForwardAuthProtocol::ALL {
            for answer in ForwardAuthAnswer::ALL {
                let count = self.counters.sum(forward_auth_at(protocol, answer));
                answers.value(&[protocol.as_str(), answer.as_str()], count);
            }
        }
        self.waiting.write(&mut page, serving.waiting);
        let mut handovers = page.family(&names::HANDOVERS);
        for ((_, result), count) in HANDOVERS.iter().zip(&self.handovers) {
            handovers.value(&[result], count.load(Ordering::Relaxed));
        }
        page.family(&names::CUT_BY_PREDECESSOR).value(&[], self.cut_by_predecessor.load(Ordering::Relaxed));
        page.family(&names::WORKER_STALLS).value(&[], self.worker_stalls.load(Ordering::Relaxed));
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
        page.family(&names::APPS).value(&[], serving.apps.iter().filter(|app| app.id().is_some()).count());
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
