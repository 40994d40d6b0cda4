//! What is counted for each listener: connections, how they ended, and what was refused before any request.

use std::net::IpAddr;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use portcullis_policy::words;

use super::exposition::Page;
use super::names;
use crate::limit::network;

words! {
    /// Why a connection ended.
    pub enum Closed {
        /// Its client or an answer ended it.
        Ended = "ended",
        /// Nothing came for `client-idle`.
        Idle = "idle",
        /// Its address had as many as it may.
        Address = "address-limit",
        /// The proxy or balancer that it came by had as many as it may.
        Proxy = "proxy-limit",
        /// Too many connections of its address were cut by limits lately.
        Cuts = "cut-limit",
        /// It had not come as far as a request within `handshake-time`.
        HandshakeTime = "handshake-time",
        /// Its PROXY header was missing or malformed.
        ProxyHeader = "proxy-header",
        /// TLS could not be agreed on.
        Handshake = "handshake",
        /// A head was larger than `head-max`.
        HeadMax = "head-max",
        /// A head took longer than `head-time`.
        HeadTime = "head-time",
        /// It held most of the heads that were not complete.
        Heads = "unfinished-heads",
        /// It opened too many malformed streams of HTTP/2.
        Malformed = "malformed-streams",
        /// It sent too many frames of HTTP/2 that carry nothing of a request.
        ControlFrames = "control-frames",
        /// It held most of what clients leave unread.
        Unsent = "unsent",
        /// It was idle when the process ended.
        Drain = "drain",
    }
}

words! {
    /// Why a handshake of TLS failed.
    pub enum HandshakeFailure {
        /// The client went away.
        Gone = "gone",
        /// It took too long.
        Timeout = "timeout",
        /// A plain request.
        Plain = "plain-request",
        /// Bytes that are no TLS.
        NotTls = "not-tls",
        /// The client refused: for instance, it does not trust the certificate.
        Alert = "alert",
        /// No version, cipher or group in common, or a breach of the protocol.
        Protocol = "protocol",
    }
}

words! {
    /// Why nothing was accepted for a while.
    pub enum Pause {
        /// As many connections as the process may have.
        Full = "connections",
        /// No descriptors or memory.
        Exhausted = "exhausted",
    }
}

impl Closed {
    /// Whether what its client did cost so much that the next connection of the same address is one too many.
    pub(crate) const fn is_cut(self) -> bool {
        match self {
            Self::HeadMax
            | Self::HeadTime
            | Self::Heads
            | Self::Malformed
            | Self::ControlFrames
            | Self::Unsent => true,
            // It cost nothing, or is what a slow client does.
            Self::Ended
            | Self::Idle
            | Self::Address
            | Self::Proxy
            | Self::Cuts
            | Self::HandshakeTime
            | Self::ProxyHeader
            | Self::Handshake
            | Self::Drain => false,
        }
    }

    /// Whether a limit closed the connection.
    const fn is_limit(self) -> bool {
        match self {
            Self::Ended | Self::Idle | Self::Handshake | Self::Drain => false,
            Self::Address
            | Self::Proxy
            | Self::Cuts
            | Self::HandshakeTime
            | Self::ProxyHeader
            | Self::HeadMax
            | Self::HeadTime
            | Self::Malformed
            | Self::ControlFrames
            | Self::Heads
            | Self::Unsent => true,
        }
    }
}

/// Between two lines of one listener about one limit.
const QUIET: Duration = Duration::from_secs(60);

/// Addresses, or networks of 64 bits, that are named until then.
const NAMED_MAX: usize = 8;

/// Who was named since when, and what happened since the last line.
#[derive(Debug, Default)]
struct Notice {
    named: Mutex<(Option<Instant>, Vec<u64>)>,
    since: AtomicU64,
}

impl Notice {
    /// How often it happened since the last line, if this one is to be named: whoever fills the log fills no disk.
    fn due(&self, who: u64) -> Option<u64> {
        self.since.fetch_add(1, Ordering::Relaxed);
        let mut named = self.named.lock();
        let (began, who_was) = &mut *named;
        if began.is_none_or(|began| began.elapsed() >= QUIET) {
            *began = Some(Instant::now());
            who_was.clear();
        }
        if who_was.len() >= NAMED_MAX || who_was.contains(&who) {
            return None;
        }
        who_was.push(who);
        Some(self.since.swap(0, Ordering::Relaxed))
    }
}

/// The counters of a listener.
#[derive(Debug)]
pub struct ListenerCounters {
    name: String,
    open: AtomicI64,
    accepted: AtomicU64,
    closed: [AtomicU64; Closed::ALL.len()],
    handshakes: [AtomicU64; HandshakeFailure::ALL.len()],
    pauses: [AtomicU64; Pause::ALL.len()],
    streams_refused: AtomicU64,
    answers_unread: AtomicU64,
    closed_notices: [Notice; Closed::ALL.len()],
    pause_notices: [Notice; Pause::ALL.len()],
}

/// What a listener has counted so far, for whoever shows it.
#[derive(Clone, Debug)]
pub struct ListenerReading<'a> {
    /// Its address, as configured.
    pub name: &'a str,
    /// Connections that are open.
    pub open: i64,
    /// Connections that were accepted.
    pub accepted: u64,
    /// By why they ended, in the order of [`Closed::WORDS`].
    pub closed: Vec<(&'static str, u64)>,
    /// Failed handshakes, in the order of [`HandshakeFailure::WORDS`].
    pub handshakes: Vec<(&'static str, u64)>,
    /// Times when nothing was accepted, in the order of [`Pause::WORDS`].
    pub pauses: Vec<(&'static str, u64)>,
    /// Streams of HTTP/2 that were refused.
    pub streams_refused: u64,
    /// Answers that were not taken.
    pub answers_unread: u64,
}

fn add(counters: &[AtomicU64], at: usize) {
    if let Some(counter) = counters.get(at) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

impl ListenerCounters {
    /// At zero, for the listener with this name.
    #[must_use]
    pub fn new(name: String) -> Self {
        Self {
            name,
            open: AtomicI64::new(0),
            accepted: AtomicU64::new(0),
            closed: Default::default(),
            handshakes: Default::default(),
            pauses: Default::default(),
            streams_refused: AtomicU64::new(0),
            answers_unread: AtomicU64::new(0),
            closed_notices: Default::default(),
            pause_notices: Default::default(),
        }
    }

    /// A connection was accepted.
    pub fn accepted(&self) {
        self.accepted.fetch_add(1, Ordering::Relaxed);
        self.open.fetch_add(1, Ordering::Relaxed);
    }

    /// A connection of this address ended. Where a limit closed it, a line says so, in a minute for at most eight addresses
    /// of each limit.
    pub fn closed(&self, why: Closed, address: IpAddr) {
        self.open.fetch_sub(1, Ordering::Relaxed);
        add(&self.closed, why as usize);
        if why.is_limit()
            && let Some(times) =
                self.closed_notices.get(why as usize).and_then(|notice| notice.due(network(address)))
        {
            let (listener, reason) = (&self.name, why.as_str());
            tracing::warn!(listener, reason, %address, times, "a limit closed a connection");
        }
    }

    /// A handshake failed.
    pub fn handshake_failed(&self, why: HandshakeFailure) {
        add(&self.handshakes, why as usize);
    }

    /// Nothing is accepted for a while.
    pub fn paused(&self, why: Pause) {
        add(&self.pauses, why as usize);
        if let Some(times) = self.pause_notices.get(why as usize).and_then(|notice| notice.due(0)) {
            let (listener, reason, open) = (&self.name, why.as_str(), self.open.load(Ordering::Relaxed));
            tracing::warn!(listener, reason, open, times, "no connection is accepted for a while");
        }
    }

    /// A stream of HTTP/2 was refused before it was looked at.
    pub fn stream_refused(&self) {
        self.streams_refused.fetch_add(1, Ordering::Relaxed);
    }

    /// A client did not take an answer of ours in time.
    pub fn answer_unread(&self) {
        self.answers_unread.fetch_add(1, Ordering::Relaxed);
    }

    /// What is counted so far.
    #[must_use]
    pub fn read(&self) -> ListenerReading<'_> {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let words = |words: &[&'static str], counters: &[AtomicU64]| -> Vec<(&'static str, u64)> {
            words.iter().copied().zip(counters.iter().map(read)).collect()
        };
        ListenerReading {
            name: &self.name,
            open: self.open.load(Ordering::Relaxed).max(0),
            accepted: read(&self.accepted),
            closed: words(&Closed::WORDS, &self.closed),
            handshakes: words(&HandshakeFailure::WORDS, &self.handshakes),
            pauses: words(&Pause::WORDS, &self.pauses),
            streams_refused: read(&self.streams_refused),
            answers_unread: read(&self.answers_unread),
        }
    }
}

/// Writes what listeners count.
pub(super) fn write(page: &mut Page, listeners: &[ListenerCounters]) {
    let listeners: Vec<ListenerReading<'_>> = listeners.iter().map(ListenerCounters::read).collect();
    let mut family = page.family(&names::CONNECTIONS);
    for one in &listeners {
        family.value(&[one.name], one.open);
    }
    let mut family = page.family(&names::ACCEPTED);
    for one in &listeners {
        family.value(&[one.name], one.accepted);
    }
    let mut family = page.family(&names::CLOSED);
    for one in &listeners {
        for (word, count) in &one.closed {
            family.value(&[one.name, word], *count);
        }
    }
    let mut family = page.family(&names::HANDSHAKES);
    for one in &listeners {
        for (word, count) in &one.handshakes {
            family.value(&[one.name, word], *count);
        }
    }
    let mut family = page.family(&names::ACCEPT_PAUSES);
    for one in &listeners {
        for (word, count) in &one.pauses {
            family.value(&[one.name, word], *count);
        }
    }
    let mut family = page.family(&names::STREAMS_REFUSED);
    for one in &listeners {
        family.value(&[one.name], one.streams_refused);
    }
    let mut family = page.family(&names::ANSWERS_UNREAD);
    for one in &listeners {
        family.value(&[one.name], one.answers_unread);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_addresses_a_minute_are_named_and_how_often_it_happened() {
        let notice = Notice::default();
        assert_eq!(notice.due(7), Some(1));
        assert_eq!((notice.due(7), notice.due(7)), (None, None));
        assert_eq!(notice.due(8), Some(3), "another address");
        let named = (9..100).filter(|who| notice.due(*who).is_some()).count();
        assert_eq!(named, NAMED_MAX - 2);
        notice.named.lock().0 = Instant::now().checked_sub(QUIET);
        assert_eq!(notice.due(7), Some(86));
    }
}
