//! One copy of what many tokens have in common. Users of one department, or of one company, have the same groups and
//! the same kind of computer, and the same policies apply to them: a hundred thousand cached tokens need not hold it
//! a hundred thousand times.

use std::hash::Hash;
use std::sync::{Arc, Weak};

use quick_cache::sync::Cache;

/// Finds the copy of a value that is in use. It keeps no value alive.
pub(super) struct Interner<T> {
    known: Cache<u64, Weak<T>>,
    // Keyed at random: an attacker who chooses claims must not choose collisions.
    hashes: ahash::RandomState,
}

impl<T: Hash + PartialEq> Interner<T> {
    /// Knows about this many values at most.
    pub(super) fn new(values: usize) -> Self {
        Self { known: Cache::new(values), hashes: ahash::RandomState::new() }
    }

    /// Replaces an equal value by the copy in use. Returns whether there was none, so that this value is now the copy.
    pub(super) fn intern(&self, value: &mut Arc<T>) -> bool {
        let hash = self.hashes.hash_one(&**value);
        let known = self.known.get(&hash).and_then(|known| known.upgrade());
        // A hash finds, and only equality decides.
        if let Some(known) = known.filter(|known| *known == *value) {
            *value = known;
            return false;
        }
        self.known.insert(hash, Arc::downgrade(value));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All values have one hash.
    #[derive(Debug, PartialEq)]
    struct Colliding(u8);

    impl Hash for Colliding {
        fn hash<H: std::hash::Hasher>(&self, _: &mut H) {}
    }

    #[test]
    fn equal_values_are_one_and_others_are_not() {
        let interner = Interner::new(10);
        let [mut one, mut same, mut other] = ["a", "a", "b"].map(|text| Arc::new(text.to_owned()));
        assert!(interner.intern(&mut one));
        assert!(!interner.intern(&mut same));
        assert!(Arc::ptr_eq(&one, &same));
        assert!(interner.intern(&mut other));
        assert_eq!(*other, "b");
    }

    #[test]
    fn a_value_that_nobody_uses_is_dropped() {
        let interner = Interner::new(10);
        let mut one = Arc::new("a".to_owned());
        assert!(interner.intern(&mut one));
        assert_eq!(Arc::strong_count(&one), 1);
        drop(one);
        assert!(interner.intern(&mut Arc::new("a".to_owned())));
    }

    #[test]
    fn values_whose_hashes_collide_stay_apart() {
        let interner = Interner::new(10);
        let (mut one, mut two) = (Arc::new(Colliding(1)), Arc::new(Colliding(2)));
        assert!(interner.intern(&mut one) && interner.intern(&mut two));
        assert_eq!((one.0, two.0), (1, 2));
    }
}
