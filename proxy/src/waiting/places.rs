//! Who holds a stream. A place is taken when a stream begins and free when it is dropped; between, it can be told to look
//! again, or that it ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};

use ahash::AHashMap;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::handle::{Holder, WaitFor, WaitHandle};

/// Streams of one user for one app: windows that are looked at at once. One more ends the oldest.
const PER_GROUP: usize = 4;
/// Which part of all streams those may have that are known by nothing but an address: a third.
const UNKNOWN_PART: usize = 3;
/// Streams of one network that are known by nothing else.
const UNKNOWN_PER_NETWORK: u32 = 64;

/// One user and one app; of whom is not known, one page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Group([u8; 24]);

impl Group {
    /// That of a page.
    #[must_use]
    pub fn of(handle: &WaitHandle) -> Self {
        let mut bytes = [0; 24];
        let (who, app) = bytes.split_at_mut(16);
        match handle.holder() {
            Some(holder) => who.copy_from_slice(holder.bytes()),
            None => who.copy_from_slice(&handle.request_id().to_le_bytes()),
        }
        app.copy_from_slice(&handle.app());
        Self(bytes)
    }
}

/// Who wants a place.
#[derive(Clone, Copy, Debug)]
pub struct Waiter {
    group: Group,
    holder: Option<Holder>,
    waits_for: WaitFor,
    /// [`network`](crate::limit) of the client's address.
    network: u64,
}

impl Waiter {
    /// A page, and the network of its client.
    #[must_use]
    pub fn new(handle: &WaitHandle, network: u64) -> Self {
        Self { group: Group::of(handle), holder: handle.holder(), waits_for: handle.waits_for(), network }
    }
}

/// No place is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// What a place is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// Something has moved.
    Look,
    /// Sessions have ended or changed: whether the user's own is among them is to be seen.
    Sessions,
    /// The user's session may be another one by now: the cookies of this stream are old.
    ComeAgain,
    /// A further stream of the same user and app has taken its place.
    Replaced,
    /// The process ends.
    Drain,
}

const LOOK: u8 = 1;
const REPLACED: u8 = 2;
const DRAIN: u8 = 4;
const COME_AGAIN: u8 = 8;
const SESSIONS: u8 = 16;

#[derive(Debug)]
struct Seat {
    holder: Option<Holder>,
    waits_for: WaitFor,
    told: AtomicU8,
    changed: Notify,
}

impl Seat {
    fn tell(&self, what: u8) {
        if self.told.fetch_or(what, Ordering::AcqRel) & what == 0 {
            self.changed.notify_one();
        }
    }
}

#[derive(Debug, Default)]
struct Table {
    /// The oldest first.
    groups: AHashMap<Group, Vec<Arc<Seat>>>,
    unknown: usize,
    unknown_by_network: AHashMap<u64, u32>,
}

/// Everybody who waits.
#[derive(Debug, Default)]
pub struct Waiting {
    table: Mutex<Table>,
    count: AtomicUsize,
    draining: AtomicBool,
    /// Somebody waits who did not before.
    begun: Notify,
}

impl Waiting {
    /// A place for this page, of at most `max` in all.
    ///
    /// # Errors
    /// When there is none.
    pub fn take(&'static self, waiter: Waiter, max: usize) -> Result<Place, Full> {
        let mut table = self.table.lock();
        let count = self.count.load(Ordering::Relaxed);
        // Whoever is drained looks here after it has the lock.
        if count >= max || self.draining.load(Ordering::Relaxed) {
            return Err(Full);
        }
        if waiter.holder.is_none() {
            let of_network = table.unknown_by_network.get(&waiter.network).copied().unwrap_or_default();
            if table.unknown >= max.div_ceil(UNKNOWN_PART) || of_network >= UNKNOWN_PER_NETWORK {
                return Err(Full);
            }
            table.unknown += 1;
            *table.unknown_by_network.entry(waiter.network).or_default() += 1;
        }
        let seat = Arc::new(Seat {
            holder: waiter.holder,
            waits_for: waiter.waits_for,
            told: AtomicU8::new(0),
            changed: Notify::new(),
        });
        let group = table.groups.entry(waiter.group).or_default();
        // Those that were told so are on their way out, and count no more.
        let mut staying = group.iter().filter(|seat| seat.told.load(Ordering::Acquire) & REPLACED == 0);
        if staying.clone().count() >= PER_GROUP
            && let Some(oldest) = staying.next()
        {
            oldest.tell(REPLACED);
        }
        group.push(Arc::clone(&seat));
        self.count.store(count + 1, Ordering::Relaxed);
        drop(table);
        if count == 0 {
            self.begun.notify_one();
        }
        Ok(Place { waiting: self, waiter, seat })
    }

    /// How many wait.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Ends when somebody waits.
    pub async fn begun(&self) {
        while self.count() == 0 {
            self.begun.notified().await;
        }
    }

    /// Whether a page waits until keys or sessions can be asked for.
    #[must_use]
    pub fn awaits_source(&self) -> bool {
        self.table.lock().unknown > 0
    }

    /// Whether a page waits for its app to answer.
    #[must_use]
    pub fn awaits_upstream(&self) -> bool {
        self.seats(|seat| seat.waits_for == WaitFor::Upstream).next().is_some()
    }

    /// Says to all that something has moved.
    pub fn wake_all(&self) {
        self.seats(|_| true).for_each(|seat| seat.tell(LOOK));
    }

    /// Says to all who are known that sessions have ended or changed.
    pub fn sessions_moved(&self) {
        self.seats(|seat| seat.holder.is_some()).for_each(|seat| seat.tell(SESSIONS));
    }

    /// Says to the pages of one user that there may be a new session: they ask again, with its cookie.
    pub fn recall(&self, holder: Holder) {
        self.seats(|seat| seat.holder == Some(holder)).for_each(|seat| seat.tell(COME_AGAIN));
    }

    /// The process ends: nobody waits any more.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
        self.seats(|_| true).for_each(|seat| seat.tell(DRAIN));
    }

    fn seats(&self, which: impl Fn(&Seat) -> bool) -> impl Iterator<Item = Arc<Seat>> {
        let table = self.table.lock();
        let seats: Vec<_> = table.groups.values().flatten().filter(|seat| which(seat)).cloned().collect();
        drop(table);
        seats.into_iter()
    }

    fn leave(&self, waiter: &Waiter, seat: &Arc<Seat>) {
        let mut table = self.table.lock();
        if let Some(group) = table.groups.get_mut(&waiter.group) {
            group.retain(|other| !Arc::ptr_eq(other, seat));
            if group.is_empty() {
                table.groups.remove(&waiter.group);
            }
        }
        if waiter.holder.is_none() {
            table.unknown = table.unknown.saturating_sub(1);
            if let Some(count) = table.unknown_by_network.get_mut(&waiter.network) {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    table.unknown_by_network.remove(&waiter.network);
                }
            }
        }
        // Written under the lock alone.
        self.count.store(self.count().saturating_sub(1), Ordering::Relaxed);
    }
}

/// The place of one stream.
#[derive(Debug)]
pub struct Place {
    waiting: &'static Waiting,
    waiter: Waiter,
    seat: Arc<Seat>,
}

impl Place {
    /// What it is told next.
    pub async fn told(&self) -> Told {
        loop {
            let told = self.seat.told.load(Ordering::Acquire);
            if told & DRAIN != 0 {
                return Told::Drain;
            }
            if told & REPLACED != 0 {
                return Told::Replaced;
            }
            if told & COME_AGAIN != 0 {
                return Told::ComeAgain;
            }
            if told & LOOK != 0 {
                // Who looks sees what became of the session, too.
                self.seat.told.fetch_and(!(LOOK | SESSIONS), Ordering::AcqRel);
                return Told::Look;
            }
            if told & SESSIONS != 0 {
                self.seat.told.fetch_and(!SESSIONS, Ordering::AcqRel);
                return Told::Sessions;
            }
            self.seat.changed.notified().await;
        }
    }

    /// How many wait beside it.
    #[must_use]
    pub fn company(&self) -> usize {
        self.waiting.count()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.waiting.leave(&self.waiter, &self.seat);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting() -> &'static Waiting {
        Box::leak(Box::default())
    }

    fn page(user: Option<&str>, app: &str) -> WaitHandle {
        let holder = user.map(|user| Holder::of("https://idp.test", user));
        let waits_for = if user.is_some() { WaitFor::Decision } else { WaitFor::Source };
        let mut id = [0; 16];
        aws_lc_rs::rand::fill(&mut id).unwrap();
        WaitHandle::new(u128::from_le_bytes(id), "/".to_owned(), Some(app), holder, waits_for, 0)
    }

    fn waiter(user: Option<&str>, app: &str) -> Waiter {
        Waiter::new(&page(user, app), 7)
    }

    #[tokio::test]
    async fn a_fifth_stream_of_one_user_and_app_ends_the_oldest() {
        let waiting = waiting();
        let alice = || waiting.take(waiter(Some("alice"), "wiki"), 100).unwrap();
        let first = alice();
        let others: Vec<_> = (0..3).map(|_| alice()).collect();
        let elsewhere = waiting.take(waiter(Some("alice"), "chat"), 100).unwrap();
        let fifth = alice();
        assert_eq!(first.told().await, Told::Replaced);
        waiting.wake_all();
        for place in others.iter().chain([&elsewhere, &fifth]) {
            assert_eq!(place.told().await, Told::Look);
        }
        let sixth = alice();
        assert_eq!(
            others[0].told().await,
            Told::Replaced,
            "the next oldest, though the first has not gone yet"
        );
        drop((first, others, elsewhere, fifth, sixth));
        assert_eq!(waiting.count(), 0);
        assert!(waiting.table.lock().groups.is_empty());
    }

    #[tokio::test]
    async fn one_user_is_recalled_and_no_other() {
        let waiting = waiting();
        let alice = waiting.take(waiter(Some("alice"), "wiki"), 100).unwrap();
        let bob = waiting.take(waiter(Some("bob"), "wiki"), 100).unwrap();
        waiting.recall(Holder::of("https://idp.test", "alice"));
        assert_eq!(alice.told().await, Told::ComeAgain);
        waiting.drain();
        assert_eq!(bob.told().await, Told::Drain);
        assert_eq!(waiting.take(waiter(Some("carol"), "wiki"), 100).unwrap_err(), Full, "it ends");
    }

    #[tokio::test]
    async fn a_page_that_looks_needs_not_be_told_of_sessions_as_well() {
        let waiting = waiting();
        let alice = waiting.take(waiter(Some("alice"), "wiki"), 100).unwrap();
        waiting.sessions_moved();
        assert_eq!(alice.told().await, Told::Sessions);
        waiting.sessions_moved();
        waiting.wake_all();
        assert_eq!(alice.told().await, Told::Look);
        waiting.recall(Holder::of("https://idp.test", "alice"));
        waiting.sessions_moved();
        assert_eq!(alice.told().await, Told::ComeAgain, "whatever else there was");
    }

    #[test]
    fn who_is_not_known_has_a_part_of_all_places_and_of_one_network_a_few() {
        let waiting = waiting();
        let unknown = |max| waiting.take(waiter(None, "wiki"), max);
        let _one = unknown(4).unwrap();
        let _two = unknown(4).unwrap();
        assert_eq!(unknown(4).unwrap_err(), Full, "a third of them");
        let _known = waiting.take(waiter(Some("alice"), "wiki"), 4).unwrap();
        let held: Vec<_> = (2..UNKNOWN_PER_NETWORK).map(|_| unknown(10_000).unwrap()).collect();
        assert_eq!(unknown(10_000).unwrap_err(), Full, "of one network");
        let other = Waiter::new(&page(None, "wiki"), 8);
        assert!(waiting.take(other, 10_000).is_ok());
        drop(held);
        assert!(unknown(10_000).is_ok());
        assert_eq!(waiting.take(waiter(Some("bob"), "wiki"), 3).unwrap_err(), Full);
    }
}
