//! Callers that a thread met last, at hand. Who is taken down is put back when the request ends, and meanwhile has
//! no further owner: no count of owners, no lock and no table that all threads write to, and one place in memory
//! to look at instead of three. What is found here is believed no more than what the cache remembers.

use std::cell::RefCell;
use std::ops::Deref;
use std::sync::Arc;

use portcullis_policy::decision::Generation;

use super::cache::{Caller, Fingerprint};

/// How many sets a shelf has; a power of two.
const SETS: usize = 4_096;
/// How many callers of one set are kept: the two that were put back last.
const PLACES: usize = 2;

/// A line of memory.
#[derive(Default)]
#[repr(align(64))]
struct Set([Option<(Fingerprint, Arc<Caller>)>; PLACES]);

const _: () = assert!(size_of::<Set>() == 64);

struct Shelf {
    /// None before the first caller is put back.
    sets: Vec<Set>,
    /// The policies that all of them are bound to: former ones shall not be kept for somebody who may never return.
    generation: Generation,
}

thread_local! {
    static SHELF: RefCell<Shelf> =
        const { RefCell::new(Shelf { sets: Vec::new(), generation: Generation(0) }) };
}

impl Shelf {
    fn set(&mut self, key: &Fingerprint) -> Option<&mut Set> {
        // Any part of a fingerprint is as good as any other.
        let [low, high, ..] = *key;
        self.sets.get_mut(usize::from(u16::from_le_bytes([low, high])) % SETS)
    }
}

/// Takes a caller down.
pub(super) fn take(key: &Fingerprint) -> Option<Arc<Caller>> {
    SHELF.with_borrow_mut(|shelf| {
        let Set(places) = shelf.set(key)?;
        let found = places.iter_mut().find(|place| place.as_ref().is_some_and(|(known, _)| known == key))?;
        found.take().map(|(_, caller)| caller)
    })
}

/// Somebody known, for as long as a request goes.
#[derive(Debug)]
pub struct AtHand {
    key: Option<Fingerprint>,
    caller: Arc<Caller>,
}

impl AtHand {
    /// `None` for a key: not to be put back.
    pub(super) const fn new(key: Option<Fingerprint>, caller: Arc<Caller>) -> Self {
        Self { key, caller }
    }

    /// Puts it back where this thread finds it next time. Who is not put back is only looked for elsewhere.
    pub fn put_back(self) {
        let Some(key) = self.key else { return };
        let generation = self.caller.policies_generation();
        // A thread that ends has no shelf any more.
        let _ = SHELF.try_with(|shelf| {
            let Ok(mut shelf) = shelf.try_borrow_mut() else { return };
            if generation < shelf.generation {
                return;
            }
            if generation > shelf.generation || shelf.sets.is_empty() {
                *shelf = Shelf { sets: (0..SETS).map(|_| Set::default()).collect(), generation };
            }
            let Some(Set(places)) = shelf.set(&key) else { return };
            // In the place of the one that was put back longer ago, unless there is a free one or its own.
            let new = Some((key, self.caller));
            let [first, ..] = places;
            let former = std::mem::replace(first, new);
            let is_kept = former.as_ref().is_some_and(|(known, _)| *known != key);
            if is_kept && let [_, last] = places {
                *last = former;
            }
        });
    }
}

impl Deref for AtHand {
    type Target = Caller;

    fn deref(&self) -> &Caller {
        &self.caller
    }
}

#[cfg(test)]
mod tests {
    use portcullis_policy::{CompiledPolicies, PolicySet};

    use super::super::cache::{Presented, TokenCache, authenticate};
    use super::super::fixtures::{now, token, verifier};
    use super::*;

    fn key(number: u8) -> Fingerprint {
        // All in one set.
        let mut key = [7; 16];
        key[15] = number;
        key
    }

    /// Somebody, bound to this load of the policies.
    fn caller(generation: u64) -> Arc<Caller> {
        let policies = CompiledPolicies::compile(PolicySet::default(), Generation(generation)).unwrap();
        let (verifier, _) = verifier();
        let token = token(|_| {});
        let presented = Presented { token: token.as_bytes(), accepted: &[0], now: now() };
        authenticate(&verifier, &TokenCache::new(10), &policies, presented, |_| {}).unwrap().caller
    }

    #[test]
    fn who_was_put_back_is_found_once_by_its_own_thread() {
        let anna = caller(1);
        AtHand::new(Some(key(1)), Arc::clone(&anna)).put_back();
        std::thread::spawn(|| assert!(take(&key(1)).is_none())).join().unwrap();
        assert!(take(&key(2)).is_none());
        assert!(Arc::ptr_eq(&take(&key(1)).unwrap(), &anna));
        assert!(take(&key(1)).is_none());
        AtHand::new(None, Arc::clone(&anna)).put_back();
        assert_eq!(Arc::strong_count(&anna), 1);
    }

    #[test]
    fn of_one_set_the_last_two_are_kept() {
        let anna = caller(1);
        for number in [1, 2, 2, 3] {
            AtHand::new(Some(key(number)), Arc::clone(&anna)).put_back();
        }
        assert_eq!(Arc::strong_count(&anna), 3);
        assert_eq!([1, 2, 3].map(|number| take(&key(number)).is_some()), [false, true, true]);
        assert_eq!(Arc::strong_count(&anna), 1);
    }

    #[test]
    fn nobody_who_is_bound_to_former_policies_is_kept() {
        let (anna, bert) = (caller(1), caller(2));
        AtHand::new(Some(key(1)), Arc::clone(&anna)).put_back();
        AtHand::new(Some(key(2)), Arc::clone(&bert)).put_back();
        AtHand::new(Some(key(3)), Arc::clone(&anna)).put_back();
        assert_eq!((Arc::strong_count(&anna), Arc::strong_count(&bert)), (1, 2));
        assert_eq!([1, 2, 3].map(|number| take(&key(number)).is_some()), [false, true, false]);
    }
}
