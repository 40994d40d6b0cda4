//! What a principal fixes: which policies speak of it, and what their grants come to.
//! Bound once per token, stamped with the generation of the policies it was bound to.

use alloc::boxed::Box;

use crate::compile::{CompiledPolicies, Verdicts, has_bit};
use crate::decision::Generation;
use crate::signals::{Principal, SignIn};
use crate::tri::Tri;

/// A principal, bound to one load of the policies. Principals of whom the policies make the same have equal
/// scopes, so that one can serve them all.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Scope {
    generation: Generation,
    rows: Box<[Row]>,
    /// Policies that are certainly about the principal, if they are possible; `None` when all of them are.
    certain: Option<Box<[u64]>>,
    pub(crate) verdicts: Verdicts,
}

/// Sixty-four policies, side by side what is asked together: a scope is rarely in a near cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Row {
    /// Those that are, or may be, about the principal.
    possible: u64,
    /// Those that the principal satisfies whatever the request is, if they apply at all.
    satisfied: u64,
}

impl CompiledPolicies {
    /// Works out once what the policies say of a principal; to be stored with the verified token.
    ///
    /// # Cost
    /// A look-up for each id that the principal has, and a bit for each policy; allocates. Once per token,
    /// not for every request.
    #[must_use]
    pub fn bind(&self, principal: &Principal) -> Scope {
        let about = self.subjects.about(principal);
        let verdicts = self.demands.verdicts(self.set(), &principal.standing.sign_in);
        let satisfied = self.demands.satisfied(&about.possible, &verdicts);
        let row = |(possible, satisfied): (&u64, u64)| Row { possible: *possible, satisfied };
        Scope {
            generation: self.generation(),
            rows: about.possible.iter().zip(satisfied).map(row).collect(),
            certain: about.certain,
            verdicts,
        }
    }
}

impl CompiledPolicies {
    /// The scope of the same principal after another sign-in.
    pub(crate) fn rebind(&self, scope: &Scope, sign_in: &SignIn) -> Scope {
        let verdicts = self.demands.verdicts(self.set(), sign_in);
        let possible: Box<[u64]> = scope.rows.iter().map(|row| row.possible).collect();
        let satisfied = self.demands.satisfied(&possible, &verdicts);
        let row = |(possible, satisfied): (&u64, u64)| Row { possible: *possible, satisfied };
        Scope {
            generation: scope.generation,
            rows: possible.iter().zip(satisfied).map(row).collect(),
            certain: scope.certain.clone(),
            verdicts,
        }
    }
}

impl Scope {
    /// The load of the policies that it belongs to.
    #[must_use]
    pub const fn generation(&self) -> Generation {
        self.generation
    }

    /// How much memory it holds beside itself, in bytes: grows with the policies.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        size_of_val(&*self.rows)
            + self.certain.as_ref().map_or(0, |certain| size_of_val(&**certain))
            + self.verdicts.heap_bytes()
    }

    /// A word of the policies that may be about the principal. One that does not exist could be about
    /// anybody.
    #[inline]
    pub(crate) fn possible(&self, word: usize) -> u64 {
        self.rows.get(word).map_or(u64::MAX, |row| row.possible)
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
        self.rows.get(word).map_or(0, |row| row.satisfied)
    }

    /// Whether the principal is assigned to the app whose bit this is.
    pub(crate) fn assigned(&self, bit: u32) -> Tri {
        let row = self.rows.get(bit as usize / 64);
        if row.is_none_or(|row| row.possible >> (bit % 64) & 1 == 0) {
            return Tri::No;
        }
        if self.certain.as_ref().is_none_or(|certain| has_bit(certain, bit)) { Tri::Yes } else { Tri::Maybe }
    }
}
