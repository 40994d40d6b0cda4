//! Placeholder with the interface other rooms rely on.
use crate::decision::{Decision, Generation};
use crate::model::PolicySet;
use crate::signals::{Principal, Signals};

/// Compiled policies.
#[derive(Debug)]
pub struct CompiledPolicies;
/// What a principal fixes.
#[derive(Debug)]
pub struct Scope;
/// Why a set does not compile.
#[derive(Debug)]
pub struct CompileError;

#[allow(clippy::all, clippy::unimplemented, clippy::allow_attributes, reason = "placeholder")]
impl CompiledPolicies {
    /// Compiles.
    ///
    /// # Errors
    /// Every problem found.
    pub fn compile(_set: PolicySet, _generation: Generation) -> Result<Self, alloc::vec::Vec<CompileError>> {
        unimplemented!()
    }
    /// The set it was made of.
    pub fn set(&self) -> &PolicySet {
        unimplemented!()
    }
    /// Which load.
    pub fn generation(&self) -> Generation {
        unimplemented!()
    }
    /// Binds.
    pub fn bind(&self, _principal: &Principal) -> Scope {
        unimplemented!()
    }
    /// Decides.
    pub fn decide(&self, _scope: &Scope, _signals: &Signals<'_>) -> Decision {
        unimplemented!()
    }
}
impl Scope {
    /// Which load it was bound to.
    pub fn generation(&self) -> Generation {
        unimplemented!()
    }
}
