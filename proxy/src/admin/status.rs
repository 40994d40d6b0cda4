//! What the process is doing, for `/status`: written by the server, read by people and by scripts.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;
use portcullis_config::settings::{App, Limits, OwnAnswer, Rate};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::clock::unix_now;
use crate::limit::{self, Busiest};
use crate::listener::{CONTROL_FRAMES_GRANTED, CONTROL_FRAMES_MAX, SeatCounts, Seats};
use crate::record::{ListenerReading, WAITING_BYTES_MAX};
use crate::session::health::Condition;
use crate::session::storage::Storage;
use crate::state::{CACHED_TOKENS, Snapshot, State};
use crate::upstream::{HealthReading, Name, ServerState, Standing};

/// Connections of the admin listener at once. One more takes the place of the oldest: who holds connections keeps nobody
/// out.
pub(super) const ADMIN_CONNECTIONS_MAX: usize = 32;

/// How far the process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It does not serve yet.
    Starting,
    /// It serves.
    Serving,
    /// It serves, and is about to stop: whoever balances load is to look elsewhere.
    Leaving,
    /// It accepts nothing any more, and finishes what is under way.
    Draining,
}

impl Phase {
    const ALL: [Self; 4] = [Self::Starting, Self::Serving, Self::Leaving, Self::Draining];

    /// The word of pages and logs.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Serving => "serving",
            Self::Leaving => "leaving",
            Self::Draining => "draining",
        }
    }
}

/// What is under way, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Left {
    /// Open connections.
    pub(crate) connections: u64,
    /// Requests by HTTP/1.
    pub(crate) http1_requests: u64,
    /// Requests by HTTP/2.
    pub(crate) http2_requests: u64,
    /// WebSockets.
    pub(crate) websockets: u64,
}

impl Left {
    /// Of this process, now.
    pub(crate) fn of(seats: &Seats) -> Self {
        let SeatCounts { connections, requests, streams, websockets } = seats.counts();
        Self {
            connections: connections as u64,
            http1_requests: requests as u64,
            http2_requests: streams as u64,
            websockets: websockets as u64,
        }
    }

    /// Requests and WebSockets: what would be cut if the process ended now.
    pub(crate) const fn requests(&self) -> u64 {
        self.http1_requests + self.http2_requests + self.websockets
    }
}

/// The process before or after this one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Neighbour {
    /// Its process id.
    pub(crate) pid: u32,
    /// Which process since the first start it is.
    pub(crate) generation: u64,
    /// Its version.
    pub(crate) version: String,
    /// How far it is.
    pub(crate) state: NeighbourState,
    /// What it has still to finish.
    pub(crate) left: Option<Left>,
}

/// How far another process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum NeighbourState {
    /// It serves.
    Serving,
    /// It finishes what is under way.
    Draining,
    /// It has ended.
    Ended,
}

/// A successor that does not serve alone yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Next {
    /// Its process id; 0 if it cannot be seen.
    pub(crate) pid: u32,
    /// Its version, once it said so.
    pub(crate) version: Option<String>,
    /// How far it is.
    pub(crate) state: NextState,
}

/// How far a successor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum NextState {
    /// It was started, and has asked for nothing yet.
    Starting,
    /// It has the sockets, and does not serve yet.
    TakingOver,
    /// It serves.
    Serving,
}

/// Who is connected, and where.
#[derive(Debug)]
pub(crate) struct Connected {
    /// Who.
    pub(crate) seats: Arc<Seats>,
    /// How many may be.
    pub(crate) limit: usize,
    /// Where; and whether by TLS.
    pub(crate) listeners: Vec<(SocketAddr, bool)>,
}

/// What the process is doing.
#[derive(Debug)]
pub(crate) struct Status {
    started: i64,
    connected: OnceLock<Connected>,
    /// Which process since the first start this is: one more with each hand-over.
    generation: AtomicU64,
    phase: AtomicU8,
    /// Connections of the admin listener.
    admin: AtomicUsize,
    predecessor: Mutex<Option<Neighbour>>,
    successor: Mutex<Option<Next>>,
}

impl Status {
    /// Of a process that starts now.
    pub(crate) fn new() -> Self {
        Self {
            started: unix_now(),
            connected: OnceLock::new(),
            generation: AtomicU64::new(1),
            phase: AtomicU8::new(0),
            admin: AtomicUsize::new(0),
            predecessor: Mutex::new(None),
            successor: Mutex::new(None),
        }
    }

    /// A connection of the admin listener begins; it ends when the guard is dropped.
    pub(super) fn admin_connection(&self) -> AdminConnection<'_> {
        self.admin.fetch_add(1, Ordering::Relaxed);
        AdminConnection(self)
    }

    /// How far it is.
    pub(crate) fn phase(&self) -> Phase {
        let at = self.phase.load(Ordering::Relaxed);
        Phase::ALL.into_iter().find(|phase| *phase as u8 == at).unwrap_or(Phase::Draining)
    }

    /// It is so far now.
    pub(crate) fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    /// It serves these.
    pub(crate) fn serves(&self, connected: Connected) {
        // INVARIANT: a process begins to serve once.
        let _ = self.connected.set(connected);
        self.enter(Phase::Serving);
    }

    /// Which process since the first start this is.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Relaxed)
    }

    /// This process follows another one.
    pub(crate) fn follow(&self, predecessor: Neighbour) {
        self.generation.store(predecessor.generation + 1, Ordering::Relaxed);
        *self.predecessor.lock() = Some(predecessor);
    }

    /// The other one is so far.
    pub(crate) fn predecessor_is(&self, state: NeighbourState, left: Option<Left>) {
        if let Some(predecessor) = self.predecessor.lock().as_mut() {
            predecessor.state = state;
            predecessor.left = left;
        }
    }

    /// A successor is so far.
    pub(crate) fn successor_is(&self, next: Next) {
        *self.successor.lock() = Some(next);
    }

    /// This successor is gone, and has not got so far as to serve.
    pub(crate) fn successor_failed(&self, pid: u32) {
        self.successor.lock().take_if(|next| next.pid == pid);
    }

    /// The page, in JSON.
    pub(crate) fn page(&self, state: &State) -> String {
        let snapshot = state.snapshot();
        let predecessor = self.predecessor.lock().clone();
        let connected = self.connected.get();
        let successor = self.successor.lock().clone();
        let left = connected.map(|connected| Left::of(&connected.seats));
        let listeners: Vec<Value> = connected
            .into_iter()
            .flat_map(|connected| &connected.listeners)
            .zip(&state.listeners)
            .map(|((address, tls), counters)| listener(*address, *tls, &counters.read()))
            .collect();
        let certificates: Vec<Value> = snapshot
            .tls
            .expiries()
            .map(|(listener, name, until)| json!({ "listener": listener, "name": name, "notAfter": time(until) }))
            .collect();
        let (loaded, is_refused) = state.metrics.last_reload();
        let page: Value = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "pid": std::process::id(),
            "generation": self.generation(),
            "configuration": snapshot.generation.0,
            "configurationLoaded": time(loaded),
            "lastReloadSuccessful": !is_refused,
            "started": time(self.started),
            "state": self.phase().as_str(),
            "listeners": listeners,
            "certificates": certificates,
            "budgets": connected.map(|connected| budgets(connected, &snapshot.config.server.limits, state, self.admin.load(Ordering::Relaxed))),
            "apps": apps(&snapshot),
            "left": left,
            "sessionStore": state.storage().map(session_store),
            "predecessor": predecessor,
            "successor": successor,
        });
        format!("{page:#}\n")
    }
}

/// A connection of the admin listener.
pub(super) struct AdminConnection<'a>(&'a Status);

impl Drop for AdminConnection<'_> {
    fn drop(&mut self) {
        self.0.admin.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A listener and what it has counted: the numbers of the metrics.
fn listener(address: SocketAddr, tls: bool, counted: &ListenerReading<'_>) -> Value {
    let by_word = |counts: &[(&'static str, u64)]| -> Map<String, Value> {
        counts.iter().map(|(word, count)| ((*word).to_owned(), (*count).into())).collect()
    };
    json!({
        "address": address,
        "tls": tls,
        "open": counted.open,
        "accepted": counted.accepted,
        "closed": by_word(&counted.closed),
        "handshakeFailures": by_word(&counted.handshakes),
        "acceptPauses": by_word(&counted.pauses),
        "http2StreamsRefused": counted.streams_refused,
        "answersUnread": counted.answers_unread,
    })
}

/// What the requests of each app may be, how much of its rates is spent by whoever spent most, and how its servers do.
fn apps(snapshot: &Snapshot) -> Vec<Value> {
    let now_ms = Timestamp::now().as_millisecond();
    let spent = |rate: Option<Rate>, busiest: &Busiest| {
        rate.map(|rate| {
            let (used, per) = (busiest.spent(rate, now_ms), rate.per.as_secs());
            json!({ "limit": rate.burst, "used": used, "count": rate.count, "perSeconds": per })
        })
    };
    let apps = snapshot.config.apps.iter().zip(&snapshot.app_metrics);
    let upstreams = snapshot.upstreams.servers().zip(snapshot.upstreams.panics());
    apps.zip(upstreams)
        .map(|((app, metrics), (servers, panics))| {
            json!({
                "id": app.id,
                "answeredBy": answered_by(app),
                "bodyMax": app.body_bytes_max.unwrap_or(snapshot.config.server.body_bytes_max),
                "bodyRateMin": app.body_rate_min,
                "rate": spent(app.rate, &metrics.rate),
                "ratePerPrincipal": spent(app.rate_per_principal, &metrics.rate_per_principal),
                "panic": panics,
                "servers": servers.iter().map(server).collect::<Vec<Value>>(),
            })
        })
        .collect()
}

/// Who answers whom the app's policies let in.
const fn answered_by(app: &App) -> &'static str {
    match (app.shaping.maintenance, &app.shaping.own_answer) {
        (Some(_), _) => "maintenance",
        (None, Some(OwnAnswer::Redirect { .. })) => "redirect",
        (None, Some(OwnAnswer::Fixed { .. })) => "respond",
        (None, None) => "servers",
    }
}

/// A server of an app: its addresses, since when and why each takes requests or not, and what its name last came to.
fn server(state: &ServerState<'_>) -> Value {
    let lookup = state
        .name
        .and_then(Name::last)
        .map(|last| json!({ "at": time(last.at), "result": last.result.as_str(), "detail": last.detail }));
    json!({
        "server": state.server,
        "lookup": lookup,
        "addresses": state.addresses.iter().map(address).collect::<Vec<Value>>(),
    })
}

fn address(reading: &HealthReading) -> Value {
    let check = reading.last_check.as_ref().map(|check| {
        json!({
            "at": time(check.at),
            "result": check.result.as_str(),
            "status": check.status,
            "tookMs": millis(check.took),
            "detail": check.detail,
        })
    });
    let left_out = match reading.standing {
        Standing::Ejected(left) => Some(left),
        Standing::Up | Standing::OnTrial | Standing::CheckFails => None,
    };
    json!({
        "address": reading.address,
        "state": reading.standing.as_str(),
        "since": time(reading.since),
        "cause": reading.cause,
        "leftOutMs": left_out.map(millis),
        "outstanding": reading.outstanding,
        "lastCheck": check,
    })
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// A moment in Unix seconds, as JSON has it.
fn time(seconds: i64) -> Option<String> {
    Timestamp::from_second(seconds).map(|time| time.to_string()).ok()
}

/// The session store: its kind, and since when it fails.
fn session_store(store: &Storage) -> Value {
    let (state, since, fault) = match store.condition() {
        Condition::Works => ("connected", None, None),
        Condition::Failing(since, fault) => ("failing", Some(since), Some(fault.as_str())),
    };
    json!({
        "kind": store.kind(),
        "state": state,
        "failingSince": since.and_then(time),
        "fault": fault,
        "revocations": store.revocations.len(),
    })
}

/// Each budget and how much of it is used: by the process, or by whoever uses most of it.
fn budgets(connected: &Connected, limits: &Limits, state: &State, admin: usize) -> Value {
    let used = connected.seats.counts().connections;
    let most = connected.seats.most();
    let bytes = |total: &AtomicU64| total.load(Ordering::Relaxed);
    let failures: Rate = limits.failed_verifications;
    let now_ms = Timestamp::now().as_millisecond();
    let log =
        |waiting: Option<usize>| waiting.map(|used| json!({ "limit": WAITING_BYTES_MAX, "used": used }));
    let [decision_log, access_log] = state.log.waiting_bytes().map(log);
    json!({
        "adminConnections": { "limit": ADMIN_CONNECTIONS_MAX, "used": admin },
        "controlFrames": {
            "limit": CONTROL_FRAMES_MAX,
            "limitAfterGrant": CONTROL_FRAMES_MAX * CONTROL_FRAMES_GRANTED,
            "used": most.control_frames,
        },
        "decisionLog": decision_log,
        "accessLog": access_log,
        "failedVerifications": { "limit": failures.burst, "used": state.limits.most_failures(failures, now_ms) },
        "connections": { "limit": connected.limit, "used": used },
        "connectionsPerProxy": { "limit": connected.seats.proxy_max(limits.connections_per_proxy), "used": most.connections_of_proxy },
        "connectionsPerAddress": { "limit": limits.connections_per_address, "used": most.connections_of_address },
        "streams": { "limit": limits.streams, "used": most.streams },
        "streamsBeforeGrant": { "limit": limits.streams_before_grant, "used": most.streams_before_grant },
        "unfinishedHeads": { "limit": limits.unfinished_heads, "used": bytes(&state.metrics.unfinished_heads) },
        "unsent": { "limit": limit::unsent_max(limits.unsent), "used": bytes(&state.metrics.unsent) },
        "verifiedTokens": { "limit": CACHED_TOKENS, "used": state.cache.len() },
        "unsentPerConnection": { "limit": limits.unsent_per_connection, "used": most.unsent },
    })
}
