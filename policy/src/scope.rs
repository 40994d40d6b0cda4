//! What a principal fixes: which policies speak of it, and what their grants come to.
//! Bound once per token, stamped with the generation of the policies it was bound to.

use alloc::boxed::Box;

use crate::compile::{CompiledPolicies, Verdicts, has_bit};
use crate::decision::Generation;
use crate::signals::Principal;
use crate::tri::Tri;

/// A principal, bound to one load of the policies.
#[derive(Debug)]
pub struct Scope {
    generation: Generation,
    /// Policies that are, or may be, about the principal.
    possible: Box<[u64]>,
    /// Those of which that is certain; `None` when all of them are.
    certain: Option<Box<[u64]>>,
    /// Those that the principal satisfies whatever the request is, if they apply at all.
    satisfied: Box<[u64]>,
    pub(crate) verdicts: Verdicts,
}

impl Scope {
    pub(crate) fn bind(policies: &CompiledPolicies, principal: &Principal) -> Self {
        let about = policies.subjects.about(principal);
        let verdicts = policies.demands.verdicts(policies.set(), &principal.sign_in);
        Self {
            generation: policies.generation(),
            satisfied: policies.demands.satisfied(&about.possible, &verdicts),
            possible: about.possible,
            certain: about.certain,
            verdicts,
        }
    }

    /// The load of the policies that it belongs to.
    #[must_use]
    pub const fn generation(&self) -> Generation {
        self.generation
    }

    /// A word of the policies that may be about the principal. One that does not exist could be about
    /// anybody.
    #[inline]
    pub(crate) fn possible(&self, word: usize) -> u64 {
        self.possible.get(word).copied().unwrap_or(u64::MAX)
    }

    /// A word of the policies that are certainly about the principal, if they are possible at all.
    #[inline]
    pub(crate) fn certain(&self, word: usize) -> u64 {
        match &self.certain {
            None => u64::MAX,
            Some(certain) => certain.get(word).copied().unwrap_or(0),
        }
    }

    /// A word of the policies that are satisfied whatever the request is, if they apply.
    #[inline]
    pub(crate) fn satisfied(&self, word: usize) -> u64 {
        self.satisfied.get(word).copied().unwrap_or(0)
    }

    /// Whether the principal is assigned to the app whose bit this is.
    pub(crate) fn assigned(&self, bit: u32) -> Tri {
        if !has_bit(&self.possible, bit) {
            return Tri::No;
        }
        if self.certain.as_ref().is_none_or(|certain| has_bit(certain, bit)) { Tri::Yes } else { Tri::Maybe }
    }
}
