//! One address of one server, and whether it takes requests.
//!
//! A server that fails is left out for a while that doubles with each further failure, up to five minutes;
//! then one request tries it. So a dead one costs nobody its timeout again and again. That all are out stops
//! nothing: then they are asked in turn as if none were.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorType};

use crate::failure::NetworkFailure;

/// Failures in a row of answers, after which a server is left out. One of connecting is enough: it says by itself
/// that the server takes nothing.
const FAILURES_MAX: u32 = 3;
/// How long a server is left out at first, and at most.
const EJECTION: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(300));
/// How long the one request that tries a server again may take before another may.
const TRIAL: Duration = Duration::from_secs(30);
/// The least time between two lines of the log about one address.
const LOG_EVERY: Duration = Duration::from_secs(30);
/// The longest detail of a failure in the log, in characters.
const DETAIL_MAX: usize = 300;

/// Milliseconds since the process first asked; never 0.
fn now_ms() -> u64 {
    static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);
    u64::try_from(BEGAN.elapsed().as_millis()).unwrap_or(u64::MAX - 1) + 1
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// An address that requests are sent to.
#[derive(Debug)]
pub(crate) struct Endpoint {
    /// The server as configured: host and port.
    pub(crate) server: Arc<str>,
    pub(crate) address: SocketAddr,
    /// In a box of its own, which is copied to where it is wanted without the stack between.
    peer: Box<HttpPeer>,
    health: Health,
    /// When it was logged last; 0 is never.
    logged_ms: AtomicU64,
}

/// Nothing here is exact: two requests that fail at once may count as one, which changes nothing.
#[derive(Debug, Default)]
struct Health {
    /// In a row, of answers.
    failures: AtomicU32,
    /// How often in a row it was left out.
    ejections: AtomicU32,
    /// Until when it is left out; 0 is not at all.
    until_ms: AtomicU64,
    /// Whether a request is trying it.
    on_trial: AtomicBool,
}

impl Health {
    /// Whether it takes a request. One that has been left out takes one first, and others when that went well.
    fn takes_requests(&self, now: impl Fn() -> u64) -> bool {
        let until = self.until_ms.load(Ordering::Relaxed);
        if until == 0 {
            return true;
        }
        let now = now();
        let trial = now.saturating_add(millis(TRIAL));
        let is_ours = now >= until
            && self.until_ms.compare_exchange(until, trial, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if is_ours {
            self.on_trial.store(true, Ordering::Relaxed);
        }
        is_ours
    }

    fn succeeded(&self) -> bool {
        if self.failures.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Relaxed);
        }
        let was_out = self.until_ms.load(Ordering::Relaxed) != 0;
        if was_out {
            self.ejections.store(0, Ordering::Relaxed);
            self.until_ms.store(0, Ordering::Relaxed);
        }
        was_out
    }

    /// Counts a failure, and gives for how long it is left out now, if it was not before.
    fn failed(&self, to_connect: bool, now: u64) -> Option<Duration> {
        let failures = self.failures.fetch_add(1, Ordering::Relaxed) + 1;
        let times = self.ejections.load(Ordering::Relaxed);
        // Of what was left out once, one failure is enough.
        if !to_connect && failures < FAILURES_MAX && times == 0 {
            return None;
        }
        // A request that was under way when it was left out says nothing new; the one that tries it does.
        if self.until_ms.load(Ordering::Relaxed) > now && !self.on_trial.swap(false, Ordering::Relaxed) {
            return None;
        }
        let out = EJECTION.0.saturating_mul(1 << times.min(16)).min(EJECTION.1);
        self.ejections.store(times + 1, Ordering::Relaxed);
        self.until_ms.store(now.saturating_add(millis(out)), Ordering::Relaxed);
        Some(out)
    }
}

impl Endpoint {
    pub(super) fn new(server: Arc<str>, address: SocketAddr, peer: HttpPeer) -> Self {
        let health = Health::default();
        Self { server, address, peer: Box::new(peer), health, logged_ms: AtomicU64::new(0) }
    }

    /// What pingora connects to.
    pub(crate) fn peer(&self) -> Box<HttpPeer> {
        self.peer.clone()
    }

    /// Whether it is not left out, for whoever only looks.
    pub(super) fn is_up(&self) -> bool {
        self.health.until_ms.load(Ordering::Relaxed) == 0
    }

    /// Whether it is not left out, or long enough to be tried; for whoever only looks.
    pub(super) fn would_take(&self) -> bool {
        self.health.until_ms.load(Ordering::Relaxed) <= now_ms()
    }

    /// Whether it is not left out.
    pub(super) fn takes_requests(&self) -> bool {
        self.health.takes_requests(now_ms)
    }

    /// It answered.
    pub(crate) fn succeeded(&self) {
        if self.health.succeeded() {
            tracing::info!(server = %self.server, address = %self.address, "the upstream answers again");
        }
    }

    /// It gave no answer. The log has at most one failure of an address in half a minute.
    pub(crate) fn failed(&self, app: &str, cause: NetworkFailure, to_connect: bool, problem: &Error) {
        let now = now_ms();
        // A want of this machine says nothing of that one, nor does one odd page of its other pages.
        let says_nothing = matches!(cause, NetworkFailure::Local | NetworkFailure::Protocol);
        let out = if says_nothing { None } else { self.health.failed(to_connect, now) };
        let logged = self.logged_ms.load(Ordering::Relaxed);
        if logged != 0 && now < logged.saturating_add(millis(LOG_EVERY)) {
            return;
        }
        if self.logged_ms.compare_exchange(logged, now, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            return;
        }
        let text = problem.to_string();
        let detail: String = text.escape_debug().take(DETAIL_MAX).collect();
        tracing::warn!(
            app,
            server = %self.server,
            address = %self.address,
            cause = cause.as_str(),
            left_out_secs = out.map(|out| out.as_secs()),
            detail,
            "the upstream gave no answer"
        );
    }
}

/// Why an attempt failed, as pingora says it.
pub(crate) fn cause_of(problem: &Error) -> NetworkFailure {
    match problem.root_etype() {
        ErrorType::ConnectRefused => NetworkFailure::Refused,
        ErrorType::ConnectNoRoute => NetworkFailure::Unreachable,
        ErrorType::ConnectTimedout
        | ErrorType::TLSHandshakeTimedout
        | ErrorType::ReadTimedout
        | ErrorType::WriteTimedout => NetworkFailure::Timeout,
        ErrorType::TLSHandshakeFailure | ErrorType::InvalidCert | ErrorType::HandshakeError => {
            NetworkFailure::of_handshake_text(&problem.to_string())
        }
        ErrorType::BindError | ErrorType::SocketError | ErrorType::InternalError => NetworkFailure::Local,
        ErrorType::InvalidHTTPHeader | ErrorType::H1Error | ErrorType::H2Error | ErrorType::InvalidH2 => {
            NetworkFailure::Protocol
        }
        _ => NetworkFailure::of_chain(problem.root_cause()).unwrap_or(NetworkFailure::Reset),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000;

    #[test]
    fn a_server_that_takes_no_connection_is_left_out_for_longer_each_time() {
        let health = Health::default();
        let mut now = 1;
        let mut pauses = Vec::new();
        for _ in 0..9 {
            assert!(health.takes_requests(|| now));
            let out = health.failed(true, now).unwrap();
            pauses.push(out.as_secs());
            assert!(!health.takes_requests(|| now + millis(out) - 1));
            now += millis(out);
        }
        assert_eq!(pauses, [5, 10, 20, 40, 80, 160, 300, 300, 300]);
        assert!(health.takes_requests(|| now));
        assert!(!health.takes_requests(|| now), "one request tries it, and no other meanwhile");
        assert!(health.succeeded());
        assert!(health.takes_requests(|| now));
        assert_eq!(health.failed(true, now), Some(EJECTION.0), "it begins anew");
    }

    #[test]
    fn answers_that_fail_leave_a_server_out_when_three_do_in_a_row() {
        let health = Health::default();
        for _ in 0..5 {
            assert_eq!(health.failed(false, SECOND), None);
            assert_eq!(health.failed(false, SECOND), None);
            assert!(!health.succeeded());
        }
        health.failed(false, SECOND);
        health.failed(false, SECOND);
        assert_eq!(health.failed(false, SECOND), Some(EJECTION.0));
        assert_eq!(health.failed(false, 2 * SECOND), None, "what was under way says nothing new");
        assert!(health.takes_requests(|| 6 * SECOND));
        assert_eq!(health.failed(false, 6 * SECOND), Some(2 * EJECTION.0), "the trial failed");
    }

    #[test]
    fn a_trial_that_never_ends_is_followed_by_another() {
        let health = Health::default();
        health.failed(true, SECOND);
        assert!(health.takes_requests(|| 10 * SECOND));
        assert!(!health.takes_requests(|| 39 * SECOND));
        assert!(health.takes_requests(|| 40 * SECOND));
    }
}
