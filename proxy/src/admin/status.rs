//! What the process is doing, for `/status`: written by the server, read by people and by scripts.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use jiff::Timestamp;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::clock::unix_now;
use crate::listener::{SeatCounts, Seats};
use crate::state::State;

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
    predecessor: Mutex<Option<Neighbour>>,
}

impl Status {
    /// Of a process that starts now.
    pub(crate) fn new() -> Self {
        Self {
            started: unix_now(),
            connected: OnceLock::new(),
            generation: AtomicU64::new(1),
            phase: AtomicU8::new(0),
            predecessor: Mutex::new(None),
        }
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

    /// The page, in JSON.
    pub(crate) fn page(&self, state: &State) -> String {
        let snapshot = state.snapshot();
        let time = |seconds| Timestamp::from_second(seconds).map(|time| time.to_string()).ok();
        let predecessor = self.predecessor.lock().clone();
        let connected = self.connected.get();
        let left = connected.map(|connected| Left::of(&connected.seats));
        let listeners: Vec<Value> = connected
            .into_iter()
            .flat_map(|connected| &connected.listeners)
            .map(|(address, tls)| json!({ "address": address, "tls": tls }))
            .collect();
        let certificates: Vec<Value> = snapshot
            .tls
            .expiries()
            .map(|(listener, name, until)| json!({ "listener": listener, "name": name, "notAfter": time(until) }))
            .collect();
        let page: Value = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "pid": std::process::id(),
            "generation": self.generation(),
            "configuration": snapshot.generation.0,
            "started": time(self.started),
            "state": self.phase().as_str(),
            "listeners": listeners,
            "certificates": certificates,
            "budgets": {
                "connections": {
                    "limit": connected.map(|connected| connected.limit),
                    "used": left.map(|left| left.connections),
                },
            },
            "left": left,
            "predecessor": predecessor,
        });
        format!("{page:#}\n")
    }
}
