//! How challenges end: whether a user who was challenged returns and meets the challenge.
//!
//! A user's open challenge is a number in a small table of their app, so that neither a challenge nor
//! a return takes a lock or grows memory. Expired ones are found and counted at a scrape.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use ahash::RandomState;

/// Users of one app whose challenge can be open at once; of two in one place the later one is followed.
const PLACES: usize = 256;
/// The longest time until a return, in seconds.
const OPEN_SECS_MAX: u32 = 15 * 60;

/// Keyed anew in each process: no attacker can choose user ids that share a place.
static HASH: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// How a challenge ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(super) enum End {
    /// The user returned and was let in.
    Met = 0,
    /// The user did not return in time.
    Abandoned = 1,
    /// Another user's challenge took its place.
    Evicted = 2,
}

impl End {
    pub(super) const WORDS: [&'static str; 3] = ["met", "abandoned", "evicted"];
}

/// The open challenges of one app: 32 bits that stand for the user, 32 of the Unix second.
#[derive(Debug)]
pub(super) struct Challenges(Box<[AtomicU64]>);

/// A user, as a number that means nothing outside this process. Worked out once for each token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserHash(u64);

impl UserHash {
    /// Of the user with this id.
    #[must_use]
    pub fn of(user: &str) -> Self {
        Self(HASH.hash_one(user))
    }

    /// Where the user's challenge is, and what stands for the user there.
    const fn place(self) -> (usize, u64) {
        // Never zero, which is an empty place.
        ((self.0 as usize) % PLACES, (self.0 >> 32) | 1)
    }
}

/// A clock that was set back makes an age of nothing.
const fn age(entry: u64, now: u32) -> u32 {
    now.saturating_sub(entry as u32)
}

impl Challenges {
    pub(super) fn new() -> Self {
        Self(std::iter::repeat_with(AtomicU64::default).take(PLACES).collect())
    }

    /// A user was challenged; returns how the challenge ended whose place this one takes.
    pub(super) fn ask(&self, user: UserHash, now: u32) -> Option<End> {
        let (place, user) = user.place();
        let slot = self.0.get(place)?;
        let former = slot.load(Ordering::Relaxed);
        // Challenged again before the return: still the same challenge.
        let same = former >> 32 == user && age(former, now) <= OPEN_SECS_MAX;
        if same {
            return None;
        }
        match slot.swap((user << 32) | u64::from(now), Ordering::Relaxed) {
            0 => None,
            former if age(former, now) > OPEN_SECS_MAX => Some(End::Abandoned),
            _ => Some(End::Evicted),
        }
    }

    /// A user was let in; returns whether that ended a challenge.
    pub(super) fn meet(&self, user: UserHash, now: u32) -> Option<End> {
        let (place, user) = user.place();
        let slot = self.0.get(place)?;
        let entry = slot.load(Ordering::Relaxed);
        if entry >> 32 != user {
            return None;
        }
        // Of two requests that return at once one counts.
        slot.compare_exchange(entry, 0, Ordering::Relaxed, Ordering::Relaxed).ok()?;
        Some(if age(entry, now) > OPEN_SECS_MAX { End::Abandoned } else { End::Met })
    }

    /// Ends what is too old; returns how many.
    pub(super) fn expire(&self, now: u32) -> u64 {
        let expired = self.0.iter().filter(|slot| {
            let entry = slot.load(Ordering::Relaxed);
            entry != 0
                && age(entry, now) > OPEN_SECS_MAX
                && slot.compare_exchange(entry, 0, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        });
        expired.count() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u32 = 1_800_000_000;

    #[test]
    fn a_user_who_comes_back_with_more_has_met_the_challenge_once() {
        let challenges = Challenges::new();
        assert_eq!(challenges.meet(UserHash::of("alice"), NOW), None, "nothing was asked");
        assert_eq!(challenges.ask(UserHash::of("alice"), NOW), None);
        assert_eq!(challenges.ask(UserHash::of("alice"), NOW + 5), None, "asked again, the same challenge");
        assert_eq!(challenges.meet(UserHash::of("alice"), NOW + 60), Some(End::Met));
        assert_eq!(challenges.meet(UserHash::of("alice"), NOW + 61), None);
        assert_eq!(challenges.expire(NOW + 10_000), 0);
    }

    #[test]
    fn a_user_who_does_not_come_back_in_time_has_abandoned_it() {
        let challenges = Challenges::new();
        challenges.ask(UserHash::of("alice"), NOW);
        assert_eq!(challenges.expire(NOW + OPEN_SECS_MAX), 0);
        assert_eq!(challenges.expire(NOW + OPEN_SECS_MAX + 1), 1);
        challenges.ask(UserHash::of("bob"), NOW);
        assert_eq!(challenges.meet(UserHash::of("bob"), NOW + OPEN_SECS_MAX + 1), Some(End::Abandoned));
        challenges.ask(UserHash::of("carol"), NOW);
        assert_eq!(challenges.ask(UserHash::of("carol"), NOW + OPEN_SECS_MAX + 1), Some(End::Abandoned));
    }

    #[test]
    fn every_challenge_ends_once_however_many_there_are() {
        let challenges = Challenges::new();
        let users: Vec<String> = (0..10_000).map(|number| format!("user-{number}")).collect();
        let evicted =
            users.iter().filter(|user| challenges.ask(UserHash::of(user), NOW) == Some(End::Evicted)).count();
        let met = users
            .iter()
            .filter(|user| challenges.meet(UserHash::of(user), NOW + 1) == Some(End::Met))
            .count();
        assert_eq!(evicted + met, users.len());
        assert!(met >= PLACES - 2, "{met}");
        assert_eq!(challenges.expire(NOW + 10_000), 0);
    }
}
