//! The decision of Portcullis, and nothing else.
//!
//! Policies modelled on Microsoft Entra Conditional Access are written down as a [`PolicySet`],
//! compiled once into [`CompiledPolicies`], and asked with [`Signals`]. The answer is a [`Decision`];
//! the only [`Permit`] with which an upstream can be reached comes out of it.
//!
//! This crate has no `std`: it can read no clock, no file and no socket, it cannot wait and it cannot
//! log. Time, addresses and attributes come in as data.
#![no_std]

extern crate alloc;

pub mod analyze;
mod compile;
mod decide;
pub mod decision;
pub mod explain;
pub mod model;
mod obstacles;
mod opening;
pub mod path;
pub mod reference;
pub mod remedy;
pub mod rule;
mod scope;
pub mod signals;
pub mod text;
mod tri;
mod value;
mod words;

pub use compile::{CompileError, CompiledPolicies};
pub use decide::{NoObserver, Observer, Reading, SatisfiedRow};
pub use decision::{Decision, Outcome, Permit};
pub use model::PolicySet;
pub use opening::{Opening, Openings};
pub use scope::Scope;
pub use signals::Signals;
