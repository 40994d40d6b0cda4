//! What happened, told once at the end of each request: metrics and the decision log.
//!
//! Counters are looked up when a configuration is loaded and kept in [`AppMeters`] and
//! [`PolicyMeters`], so that the request path touches no map and no lock.

mod case;
mod log;
mod metrics;
pub mod names;

pub use case::{Case, CaseDevice, Claim, NamedIds};
pub use log::{AppliedPolicy, DecisionLog, Entry, is_logged};
pub use metrics::{AppMeters, Metrics, Outcome, PolicyMeters};
