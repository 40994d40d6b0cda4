//! Equal parts of policies as one value: of ten thousand policies, most have the same few.

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::Arc;

use portcullis_policy::model::{Conditions, Subjects, Targets};

/// One interner for each part that policies have in common.
#[derive(Debug, Default)]
pub(super) struct Interners {
    pub(super) subjects: Interner<Subjects>,
    pub(super) targets: Interner<Targets>,
    pub(super) conditions: Interner<Conditions>,
}

/// Values of one type, each once.
#[derive(Debug)]
pub(super) struct Interner<T>(HashSet<Arc<T>>);

impl<T> Default for Interner<T> {
    fn default() -> Self {
        Self(HashSet::new())
    }
}

impl<T: Eq + Hash> Interner<T> {
    /// The value that equals this one; this one itself if there is none.
    pub(super) fn intern(&mut self, value: T) -> Arc<T> {
        if let Some(same) = self.0.get(&value) {
            return Arc::clone(same);
        }
        let value = Arc::new(value);
        self.0.insert(Arc::clone(&value));
        value
    }
}
