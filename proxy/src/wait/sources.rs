//! What decisions rest on, looked at while somebody waits: when something of it has moved, pages are decided again. Of
//! reloads and of sign-ins pages are told where they happen.

use std::time::Duration;

use portcullis_policy::decision::Generation;
use portcullis_policy::model::PolicyState;
use portcullis_policy::remedy::AHEAD_SECS;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::clock::unix_now;
use crate::session::health::Condition;
use crate::session::revocation::Version;
use crate::state::{Snapshot, State};

/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(250);

/// What was seen of it.
#[derive(Debug)]
struct Seen {
    /// Of each issuer, which keys it has, and whether they may be trusted.
    keys: Vec<(u32, bool)>,
    sessions_work: bool,
    /// Which of the sessions that ended or changed was the latest.
    revoked: Option<Version>,
    /// Whether each server of each app takes requests.
    servers: Vec<bool>,
}

impl Seen {
    fn now(state: &State, snapshot: &Snapshot, now: i64) -> Self {
        Self {
            keys: snapshot.stores.iter().map(|store| (store.generation(), store.available(now))).collect(),
            sessions_work: state.storage().is_none_or(|storage| storage.condition() == Condition::Works),
            revoked: state.sessions().map(|sessions| sessions.revocations().version()),
            servers: snapshot.upstreams.open_servers().collect(),
        }
    }

    /// Whether nothing but sessions has moved.
    fn is_but_for_sessions(&self, before: &Self) -> bool {
        let Self { keys, sessions_work, revoked: _, servers } = self;
        (keys, sessions_work, servers) == (&before.keys, &before.sessions_work, &before.servers)
    }
}

/// The next moment at which a policy begins or ends to speak.
#[derive(Debug)]
struct Clock {
    of: Generation,
    next: Option<i64>,
}

impl Clock {
    fn new(snapshot: &Snapshot, now: i64) -> Self {
        let policies = snapshot.policies.set().policies.iter();
        let policies = policies.filter(|policy| policy.state == PolicyState::Enabled);
        let times = policies.filter_map(|policy| policy.conditions.time.as_ref());
        // Where nothing changes for so long, it is looked again then.
        let until = now.saturating_add(AHEAD_SECS);
        let changes = times.flat_map(|time| time.boundaries(now, until));
        Self { of: snapshot.generation, next: changes.chain([until]).min() }
    }

    /// Whether such a moment has come.
    fn strikes(&mut self, snapshot: &Snapshot, now: i64) -> bool {
        let strikes = self.next.is_some_and(|at| now >= at);
        if strikes || self.of != snapshot.generation {
            *self = Self::new(snapshot, now);
        }
        strikes
    }
}

/// Wakes pages that wait when something moves, until the process ends.
pub(crate) async fn follow(state: &'static State, mut shutdown: watch::Receiver<bool>) {
    tokio::select! {
        () = look(state) => {}
        // An error means that the sender is gone: the process is ending.
        _ = shutdown.wait_for(|ends| *ends) => {}
    }
}

async fn look(state: &'static State) {
    let waiting = &state.waiting;
    loop {
        waiting.begun().await;
        let (snapshot, now) = (state.snapshot(), unix_now());
        let mut clock = Clock::new(&snapshot, now);
        let mut seen = Seen::now(state, &snapshot, now);
        drop(snapshot);
        while waiting.count() > 0 {
            sleep(LOOK).await;
            let (snapshot, now) = (state.snapshot(), unix_now());
            if waiting.awaits_source() {
                // Who waits for keys is worth a fetch, and the source a second of rest between two.
                snapshot.stores.iter().filter(|store| !store.available(now)).for_each(|store| store.hasten());
            }
            let is_now = Seen::now(state, &snapshot, now);
            let strikes = clock.strikes(&snapshot, now);
            if strikes || !is_now.is_but_for_sessions(&seen) {
                waiting.wake_all();
            } else if is_now.revoked != seen.revoked {
                // Another replica may have signed the user in: the page asks again, with the cookie of then.
                waiting.sessions_moved();
            }
            seen = is_now;
        }
    }
}
