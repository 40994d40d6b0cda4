//! What happened, told once at the end of each request: metrics and the decision log.
//!
//! Counters are found when a configuration is loaded and kept in [`AppMeters`] and
//! [`PolicyTallies`], so that the request path touches no map and no lock, and threads do not fight
//! for a counter.

mod access;
mod cells;
mod challenges;
mod event;
mod exposition;
pub mod field;
mod lines;
mod log;
mod metrics;
pub mod names;
mod process;
mod sink;
mod tallies;

pub use access::Access;
pub use challenges::UserMark;
pub use event::{Stage, Traffic};
pub use exposition::Format;
pub use log::{AppliedPolicy, DecisionLog, Entry, is_logged};
pub use metrics::{AppMeters, Ended, IssuerReading, Metrics, Outcome, PolicyReading, Serving};
pub use sink::can_log_to;
pub use tallies::{PolicyTallies, Tally};
