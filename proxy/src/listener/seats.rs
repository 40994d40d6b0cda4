//! Who is connected: a seat for each connection, from accept until its socket is closed.

use std::hash::Hash;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use ahash::AHashMap;
use parking_lot::Mutex;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::signal::{Kind, Signal};
use crate::clock;
use crate::limit::{Limits, network};
use crate::record::{Closed, ListenerCounters};

/// The seats of the process.
#[derive(Debug)]
pub struct Seats {
    permits: Arc<Semaphore>,
    /// How many connections of a proxy there may be, where no configuration says so: a tenth is left to others.
    proxy_max: u32,
    /// Connections of clients, by [`network`].
    clients: Counts<u64>,
    /// Connections of those by whom many clients come.
    proxies: Counts<IpAddr>,
    limits: &'static Limits,
    taken: Mutex<AHashMap<u64, Arc<Signal>>>,
    next: AtomicU64,
    draining: AtomicBool,
    emptied: Notify,
}

/// Connections by whose they are.
#[derive(Debug)]
struct Counts<K>(Mutex<AHashMap<K, u32>>);

impl<K: Eq + Hash> Counts<K> {
    fn new() -> Self {
        Self(Mutex::default())
    }

    /// Counts one more; `false` when there are `max` already.
    fn enter(&self, whose: K, max: u32) -> bool {
        let mut counts = self.0.lock();
        let count = counts.entry(whose).or_default();
        let has_room = *count < max;
        *count += u32::from(has_room);
        has_room
    }

    fn leave(&self, whose: &K) {
        let mut counts = self.0.lock();
        if let Some(count) = counts.get_mut(whose) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                counts.remove(whose);
            }
        }
    }

    /// Those of whoever has most.
    fn most(&self) -> u32 {
        self.0.lock().values().copied().max().unwrap_or_default()
    }
}

/// How many connections there are, by what they do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SeatCounts {
    /// All of them.
    pub connections: usize,
    /// Requests under way on connections of HTTP/1.
    pub requests: usize,
    /// Streams under way on connections of HTTP/2.
    pub streams: usize,
    /// Connections that have become WebSockets.
    pub websockets: usize,
}

/// What the one that uses most of a budget uses of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Most {
    /// Connections of one address.
    pub connections_of_address: u32,
    /// Connections of one proxy or balancer.
    pub connections_of_proxy: u32,
    /// Streams of a connection of HTTP/2 on which a request was let in.
    pub streams: u32,
    /// Streams of one on which none was.
    pub streams_before_grant: u32,
    /// Bytes that the client of one connection leaves unread.
    pub unsent: u64,
    /// Frames of HTTP/2 that carry nothing of a request, of one connection; those that were earned back since are counted
    /// until it needs them.
    pub control_frames: u64,
}

impl Seats {
    /// So many seats.
    #[must_use]
    pub fn new(connections_max: usize, limits: &'static Limits) -> Arc<Self> {
        Arc::new(Self {
            permits: Arc::new(Semaphore::new(connections_max.min(Semaphore::MAX_PERMITS))),
            proxy_max: u32::try_from(connections_max - connections_max / 10).unwrap_or(u32::MAX),
            clients: Counts::new(),
            proxies: Counts::new(),
            limits,
            taken: Mutex::default(),
            next: AtomicU64::new(0),
            draining: AtomicBool::new(false),
            emptied: Notify::new(),
        })
    }

    /// Waits until one more connection may be there.
    pub(super) async fn permit(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.permits).acquire_owned().await.ok()
    }

    /// One more connection, if it may be there.
    pub(super) fn permit_now(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.permits).try_acquire_owned().ok()
    }

    /// A connection takes a seat.
    pub(super) fn take(
        self: &Arc<Self>,
        permit: OwnedSemaphorePermit,
        counters: &'static ListenerCounters,
        peer: IpAddr,
    ) -> Seat {
        counters.accepted();
        let signal = Arc::new(Signal::default());
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.taken.lock().insert(number, Arc::clone(&signal));
        // After it is in the table: who drains sees either the mark here or the entry there.
        if self.draining.load(Ordering::SeqCst) {
            signal.drain();
        }
        Seat {
            seats: Arc::clone(self),
            number,
            signal,
            peer,
            client: None,
            proxy: None,
            counters,
            _permit: permit,
        }
    }

    /// How many connections of a proxy there may be, as configured.
    #[must_use]
    pub fn proxy_max(&self, configured: Option<u32>) -> u32 {
        configured.unwrap_or(self.proxy_max)
    }

    /// Says to all connections that the process ends.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
        for signal in self.taken.lock().values() {
            signal.drain();
        }
    }

    /// Cuts all connections; how many they were.
    pub fn cut(&self) -> usize {
        let taken = self.taken.lock();
        taken.values().for_each(|signal| signal.cut());
        taken.len()
    }

    /// Waits until nobody is connected.
    pub async fn emptied(&self) {
        loop {
            let emptied = self.emptied.notified();
            if self.taken.lock().is_empty() {
                return;
            }
            emptied.await;
        }
    }

    /// How many there are.
    #[must_use]
    pub fn counts(&self) -> SeatCounts {
        let mut counts = SeatCounts::default();
        for signal in self.taken.lock().values() {
            counts.connections += 1;
            let under_way = signal.requests() as usize;
            match signal.kind() {
                Kind::Arriving => {}
                Kind::Http1 => counts.requests += under_way,
                Kind::Http2 => counts.streams += under_way,
                Kind::WebSocket => counts.websockets += 1,
            }
        }
        counts
    }

    /// Who uses most of what each may use.
    #[must_use]
    pub fn most(&self) -> Most {
        let mut most = Most {
            connections_of_address: self.clients.most(),
            connections_of_proxy: self.proxies.most(),
            ..Most::default()
        };
        for signal in self.taken.lock().values() {
            most.unsent = most.unsent.max(signal.unsent.load(Ordering::Relaxed));
            most.control_frames = most.control_frames.max(signal.control.load(Ordering::Relaxed));
            if signal.kind() == Kind::Http2 {
                let of_kind =
                    if signal.is_granted() { &mut most.streams } else { &mut most.streams_before_grant };
                *of_kind = signal.requests().max(*of_kind);
            }
        }
        most
    }

    /// Cuts the connection that holds most of what clients leave unread, if that is more than `max` in all.
    pub(super) fn cut_largest(&self, max: u64) {
        self.cut_most(max, |signal| &signal.held, Closed::Unsent);
    }

    /// Cuts the connection that holds most of a head that is not complete, if all such are more than `max`.
    pub(super) fn cut_longest_head(&self, max: u64) {
        self.cut_most(max, |signal| &signal.head, Closed::Heads);
    }

    fn cut_most(&self, max: u64, of: fn(&Signal) -> &AtomicU64, why: Closed) {
        let taken = self.taken.lock();
        let held = |signal: &Arc<Signal>| of(signal).load(Ordering::Relaxed);
        // What was cut a moment ago still counts in the total.
        let others = || taken.values().filter(|signal| !signal.is_cut());
        if others().map(held).sum::<u64>() <= max {
            return;
        }
        if let Some(largest) = others().max_by_key(|signal| held(signal)) {
            largest.ends_for(why);
            largest.cut();
        }
    }

    fn leave(&self, number: u64) {
        let mut taken = self.taken.lock();
        taken.remove(&number);
        if taken.is_empty() {
            drop(taken);
            self.emptied.notify_waiters();
        }
    }
}

/// The time, in Unix milliseconds.
fn now_unix_ms() -> i64 {
    clock::millis(clock::unix_time())
}

/// The seat of one connection; free when it is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    seats: Arc<Seats>,
    number: u64,
    pub(super) signal: Arc<Signal>,
    /// Who is there, for the log.
    peer: IpAddr,
    client: Option<u64>,
    proxy: Option<IpAddr>,
    counters: &'static ListenerCounters,
    _permit: OwnedSemaphorePermit,
}

impl Seat {
    /// Counts the connection as one of this client.
    ///
    /// # Errors
    /// The limit that it is beyond: the client has `max` already, or too many of its were cut.
    pub(super) fn count_client(&mut self, address: IpAddr, max: u32) -> Result<(), Closed> {
        self.peer = address;
        if !self.seats.limits.may_connect(address, now_unix_ms()) {
            return Err(Closed::Cuts);
        }
        let network = network(address);
        if !self.seats.clients.enter(network, max) {
            return Err(Closed::Address);
        }
        self.client = Some(network);
        Ok(())
    }

    /// The client, by [`network`]; `None` where many come by one connection, or nobody knows who it is.
    pub(super) const fn client(&self) -> Option<u64> {
        self.client
    }

    /// Counts the connection as one of this proxy, by whom many clients come.
    ///
    /// # Errors
    /// The limit that it is beyond: the proxy has all that it may.
    pub(super) fn count_proxy(&mut self, address: IpAddr, configured: Option<u32>) -> Result<(), Closed> {
        if !self.seats.proxies.enter(address, self.seats.proxy_max(configured)) {
            return Err(Closed::Proxy);
        }
        self.proxy = Some(address);
        Ok(())
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(client) = &self.client {
            self.seats.clients.leave(client);
            if self.signal.why().is_cut() {
                self.seats.limits.count_cut(self.peer, now_unix_ms());
            }
        }
        if let Some(proxy) = &self.proxy {
            self.seats.proxies.leave(proxy);
        }
        self.counters.closed(self.signal.why(), self.peer);
        self.seats.leave(self.number);
    }
}
