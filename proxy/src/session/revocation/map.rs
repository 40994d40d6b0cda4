//! Revocations in memory: what a request asks.
//!
//! Each change has a number. A session that was looked up at the present number need not be looked up again; one that
//! was looked up earlier asks for its marks, and usually finds nothing.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use ahash::AHashMap;
use parking_lot::RwLock;

use super::notice::{By, Notice, SessionMarks};
use crate::clock::Moment;
use crate::session::key::Mark;
use crate::session::outage::{Operation, StoreFault, StoreUnavailable};

/// Entries at most, of about 80 bytes each.
const ENTRIES_MAX: usize = 1_000_000;
/// Entries beside these that rest on the word of anybody, and may be invented.
const BY_ANYBODY_MAX: usize = 65_536;
/// How much longer than any session a revocation is kept: clocks of replicas differ.
const SLACK_SECS: i64 = 60 * 60;

/// Which change was the latest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(u64);

impl Version {
    /// Its number, to be kept where many read it.
    pub(in crate::session) const fn number(self) -> u64 {
        self.0
    }

    /// The version of this number.
    pub(in crate::session) const fn of(number: u64) -> Self {
        Self(number)
    }
}

/// Whether sessions are stored, so that they can be looked up again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Records {
    /// In cookies alone: what the map says is all that is known.
    None,
    /// In a store, from which what ends is dropped.
    Stored,
}

/// What a revocation makes of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nothing has ended it.
    Stands,
    /// It has ended.
    Ended,
    /// Something has happened to it since it was looked up: ask the store again. Clocks of replicas differ, the store
    /// does not.
    LookAgain,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    not_before: Moment,
    until: i64,
    version: u64,
    by: By,
}

#[derive(Debug, Default)]
struct Entries {
    by_mark: AHashMap<Mark, Entry>,
    /// How many of them rest on the word of anybody.
    by_anybody: usize,
    /// The latest change that is no longer in the map.
    dropped: u64,
}

/// All revocations that matter.
#[derive(Debug)]
pub struct RevocationMap {
    records: Records,
    entries: RwLock<Entries>,
    version: AtomicU64,
    /// How long a session lives at most.
    absolute_secs: AtomicI64,
    /// Whether a journal is still to be read that may say more.
    awaits_journal: AtomicBool,
}

impl Entries {
    /// Whether there is no room for another one on this word.
    fn is_full(&self, by: By) -> bool {
        match by {
            By::Known => self.by_mark.len() - self.by_anybody >= ENTRIES_MAX,
            By::Anybody => self.by_anybody >= BY_ANYBODY_MAX,
        }
    }
}

impl RevocationMap {
    /// None yet.
    #[must_use]
    pub fn new(records: Records) -> Self {
        Self {
            records,
            entries: RwLock::default(),
            version: AtomicU64::new(0),
            absolute_secs: AtomicI64::new(0),
            awaits_journal: AtomicBool::new(false),
        }
    }

    /// There is a journal, and it was not read yet.
    pub(super) fn await_journal(&self) {
        self.awaits_journal.store(true, Ordering::Release);
    }

    /// The journal was read.
    pub(super) fn has_journal(&self) {
        self.awaits_journal.store(false, Ordering::Release);
    }

    /// Whether everything is here that is known to have ended.
    pub(super) fn is_complete(&self) -> bool {
        !self.awaits_journal.load(Ordering::Acquire)
    }

    /// Sessions may live for `absolute` from now on. Never shortens: older ones may have been allowed more.
    pub fn sessions_live(&self, absolute: Duration) {
        let secs = i64::try_from(absolute.as_secs()).unwrap_or(i64::MAX);
        self.absolute_secs.fetch_max(secs, Ordering::AcqRel);
    }

    /// For how long a revocation matters, in seconds.
    #[must_use]
    pub fn kept_secs(&self) -> i64 {
        self.absolute_secs.load(Ordering::Acquire).saturating_add(SLACK_SECS)
    }

    /// Until when one of this moment matters, Unix seconds.
    #[must_use]
    pub fn kept_until(&self, now: i64) -> i64 {
        now.saturating_add(self.kept_secs())
    }

    /// Takes one up. The same one again changes nothing but the version.
    ///
    /// # Errors
    /// When its room is full, and sessions are in cookies alone.
    pub fn apply(&self, notice: &Notice) -> Result<(), StoreUnavailable> {
        let mut entries = self.entries.write();
        let version = self.version.load(Ordering::Acquire) + 1;
        let before = entries.by_mark.get(&notice.mark).map(|entry| entry.by);
        // What was taken on the word of anybody, and is known now, moves to the other room.
        if before.is_none_or(|before| before != notice.by && notice.by == By::Known)
            && entries.is_full(notice.by)
        {
            match self.records {
                Records::None => {
                    let (operation, fault) = (Operation::Revoke, StoreFault::Full);
                    return Err(StoreUnavailable { operation, fault });
                }
                // The store knows what has ended.
                Records::Stored => {
                    entries.by_mark.clear();
                    entries.by_anybody = 0;
                    entries.dropped = version - 1;
                }
            }
        }
        let Entries { by_mark, by_anybody, .. } = &mut *entries;
        let mut entry = Entry { not_before: notice.not_before, until: notice.until, version, by: notice.by };
        if let Some(before) = by_mark.get(&notice.mark) {
            entry.not_before = entry.not_before.max(before.not_before);
            entry.until = entry.until.max(before.until);
            if before.by == By::Known {
                entry.by = By::Known;
            } else {
                *by_anybody -= 1;
            }
        }
        *by_anybody += usize::from(entry.by == By::Anybody);
        by_mark.insert(notice.mark, entry);
        // While the map is locked: whoever sees the number finds the entry.
        self.version.store(version, Ordering::Release);
        Ok(())
    }

    /// See [`Revocations::version`](super::Revocations::version).
    #[must_use]
    pub fn version(&self) -> Version {
        Version(self.version.load(Ordering::Acquire))
    }

    /// Whether a session stands; `seen` is the version that was read before it was looked up, `None` while it is.
    #[must_use]
    pub fn standing(&self, marks: &SessionMarks, seen: Option<Version>) -> Standing {
        let entries = self.entries.read();
        let is_news =
            |version: u64| self.records == Records::Stored && seen.is_some_and(|seen| version > seen.0);
        let mut standing = if is_news(entries.dropped) { Standing::LookAgain } else { Standing::Stands };
        for entry in marks.marks().filter_map(|mark| entries.by_mark.get(&mark)) {
            if marks.signed_in <= entry.not_before {
                return Standing::Ended;
            }
            if is_news(entry.version) {
                standing = Standing::LookAgain;
            }
        }
        standing
    }

    /// How many are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.read().by_mark.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Those that matter at `now`: what a journal keeps when it is written anew.
    #[must_use]
    pub fn notices(&self, now: i64) -> Vec<Notice> {
        let entries = self.entries.read();
        let alive = entries.by_mark.iter().filter(|(_, entry)| entry.until > now);
        let notice = |(mark, entry): (&Mark, &Entry)| Notice {
            mark: *mark,
            not_before: entry.not_before,
            until: entry.until,
            by: entry.by,
        };
        alive.map(notice).collect()
    }

    /// Drops those that no longer matter.
    pub fn sweep(&self, now: i64) {
        let mut entries = self.entries.write();
        let Entries { by_mark, by_anybody, dropped } = &mut *entries;
        *by_anybody = 0;
        by_mark.retain(|_, entry| {
            let matters = entry.until > now;
            if matters {
                *by_anybody += usize::from(entry.by == By::Anybody);
            } else {
                *dropped = (*dropped).max(entry.version);
            }
            matters
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::key::StoreKey;

    fn marks(sub: &str, sid: Option<&str>, secs: i64) -> SessionMarks {
        SessionMarks::new(StoreKey::of(&[1; 32]), "https://issuer", sub, sid, Moment::of_secs(secs))
    }

    #[test]
    fn a_session_whose_token_named_no_session_ends_with_those_of_its_person_that_named_none() {
        let map = RevocationMap::new(Records::None);
        let mark = Mark::of_unnamed("https://issuer", "anna");
        map.apply(&ended(mark, 10)).unwrap();
        for (sub, sid, standing) in [
            ("anna", None, Standing::Ended),
            ("anna", Some("s1"), Standing::Stands),
            ("bert", None, Standing::Stands),
        ] {
            assert_eq!(map.standing(&marks(sub, sid, 5), None), standing, "{sub} {sid:?}");
        }
    }

    fn ended(mark: Mark, secs: i64) -> Notice {
        Notice { mark, not_before: Moment::of_secs(secs), until: 1_000, by: By::Known }
    }

    fn of_subject(sub: &str, secs: i64) -> Notice {
        ended(Mark::of_subject("https://issuer", sub), secs)
    }

    fn numbered(number: u64) -> Mark {
        let mut mark = [0; 32];
        mark[..8].copy_from_slice(&number.to_be_bytes());
        Mark(mark)
    }

    #[test]
    fn trap_24_a_logout_that_names_a_person_ends_every_session_of_that_person() {
        let map = RevocationMap::new(Records::None);
        let before = map.version();
        map.apply(&of_subject("alice", 100)).unwrap();
        for signed_in_at in [1, 99, 100] {
            for sid in [None, Some("1"), Some("2")] {
                let session = marks("alice", sid, signed_in_at);
                assert_eq!(map.standing(&session, Some(before)), Standing::Ended, "{signed_in_at} {sid:?}");
                assert_eq!(map.standing(&session, None), Standing::Ended, "{signed_in_at} {sid:?}");
            }
        }
        assert_eq!(map.standing(&marks("alice", None, 101), Some(before)), Standing::Stands, "a later one");
        assert_eq!(map.standing(&marks("bob", None, 1), Some(before)), Standing::Stands);
    }

    #[test]
    fn a_logout_that_names_a_session_at_the_provider_ends_no_other() {
        let map = RevocationMap::new(Records::None);
        let mark = Mark::of_session("https://issuer", "1");
        map.apply(&ended(mark, 100)).unwrap();
        assert_eq!(map.standing(&marks("alice", Some("1"), 1), None), Standing::Ended);
        assert_eq!(map.standing(&marks("alice", Some("2"), 1), None), Standing::Stands);
        assert_eq!(map.standing(&marks("alice", None, 1), None), Standing::Stands);
    }

    #[test]
    fn an_older_revocation_takes_nothing_back() {
        let map = RevocationMap::new(Records::None);
        map.apply(&of_subject("alice", 100)).unwrap();
        map.apply(&of_subject("alice", 50)).unwrap();
        assert_eq!(map.standing(&marks("alice", None, 100), None), Standing::Ended);
        assert_eq!(map.len(), 1);
    }

    #[test]
    fn what_happened_after_the_look_up_of_a_stored_session_is_asked_of_the_store() {
        let map = RevocationMap::new(Records::Stored);
        let session = marks("alice", None, 101);
        let before = map.version();
        // The other replica's clock is behind: by the times alone the session would live on.
        map.apply(&of_subject("alice", 100)).unwrap();
        assert_ne!(map.version(), before);
        assert_eq!(map.standing(&session, Some(before)), Standing::LookAgain);
        assert_eq!(map.standing(&session, Some(map.version())), Standing::Stands, "it has been asked");
        assert_eq!(map.standing(&session, None), Standing::Stands, "it is being asked");
        assert_eq!(map.standing(&marks("bob", None, 101), Some(before)), Standing::Stands);
    }

    #[test]
    fn a_stored_session_is_asked_for_when_what_happened_to_it_is_forgotten() {
        let map = RevocationMap::new(Records::Stored);
        let before = map.version();
        map.apply(&of_subject("alice", 100)).unwrap();
        map.sweep(999);
        assert_eq!(map.len(), 1);
        map.sweep(1_000);
        assert!(map.is_empty());
        assert_eq!(map.standing(&marks("alice", None, 101), Some(before)), Standing::LookAgain);
        assert_eq!(map.standing(&marks("alice", None, 101), Some(map.version())), Standing::Stands);
    }

    #[test]
    fn a_full_map_refuses_to_promise_what_only_it_would_know_and_asks_a_store_otherwise() {
        for records in [Records::None, Records::Stored] {
            let map = RevocationMap::new(records);
            let before = map.version();
            for number in 0..ENTRIES_MAX as u64 {
                map.apply(&ended(numbered(number), 1)).unwrap();
            }
            let again = map.apply(&of_subject("alice", 100));
            let session = marks("alice", None, 100);
            match records {
                Records::None => {
                    assert_eq!(again.unwrap_err().fault, StoreFault::Full);
                    assert_eq!(map.len(), ENTRIES_MAX);
                }
                Records::Stored => {
                    again.unwrap();
                    assert_eq!(map.standing(&session, None), Standing::Ended);
                    assert_eq!(map.standing(&marks("bob", None, 1), Some(before)), Standing::LookAgain);
                }
            }
        }
    }

    #[test]
    fn what_anybody_may_have_invented_has_a_room_of_its_own_and_takes_none_of_others() {
        let map = RevocationMap::new(Records::None);
        let by_anybody = |mark| Notice { by: By::Anybody, ..ended(mark, 100) };
        for number in 0..BY_ANYBODY_MAX as u64 {
            map.apply(&by_anybody(numbered(number))).unwrap();
        }
        let one_more = numbered(u64::MAX);
        assert_eq!(map.apply(&by_anybody(one_more)).unwrap_err().fault, StoreFault::Full);
        map.apply(&by_anybody(numbered(7))).unwrap();
        assert_eq!(map.len(), BY_ANYBODY_MAX, "the same one again takes no room");
        map.apply(&ended(one_more, 100)).unwrap();
        map.apply(&of_subject("alice", 100)).unwrap();
        assert_eq!(map.standing(&marks("alice", None, 100), None), Standing::Ended);
        // What turns out to be known leaves its place, and stays known.
        map.apply(&ended(numbered(7), 100)).unwrap();
        map.apply(&by_anybody(numbered(7))).unwrap();
        map.apply(&by_anybody(Mark([9; 32]))).unwrap();
        assert!(map.apply(&by_anybody(Mark([8; 32]))).is_err());
        map.sweep(1_000);
        assert!(map.is_empty());
        map.apply(&by_anybody(Mark([8; 32]))).unwrap();
    }

    #[test]
    fn who_signs_in_after_a_sign_out_of_the_same_second_is_signed_in() {
        let map = RevocationMap::new(Records::None);
        let marks = |signed_in| SessionMarks { signed_in, ..marks("alice", Some("sso"), 0) };
        let before = marks(Moment::now());
        let mark = Mark::of_session("https://issuer", "sso");
        map.apply(&Notice { not_before: Moment::now(), ..ended(mark, 0) }).unwrap();
        let after = marks(Moment::now());
        assert!(after.signed_in.secs() - before.signed_in.secs() <= 1);
        assert_eq!(map.standing(&before, None), Standing::Ended);
        assert_eq!(map.standing(&after, None), Standing::Stands);
    }
}
