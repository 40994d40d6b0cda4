//! What happened, told once at the end of each request: metrics and the decision log.
//!
//! Counters are found when a configuration is loaded and kept in [`AppMeters`] and
//! [`PolicyTallies`], so that the request path touches no map and no lock, and threads do not fight
//! for a counter.

mod access;
mod app_meters;
mod cells;
mod challenges;
mod event;
mod exemplars;
mod exposition;
pub mod field;
mod lines;
mod log;
mod metrics;
pub mod names;
mod outcome;
mod process;
mod scrape;
mod sink;
mod tallies;
#[cfg(test)]
mod tests;

pub use access::Access;
pub use app_meters::{AppMeters, Ended};
pub use challenges::UserMark;
pub use event::{Stage, Traffic};
pub use exposition::Format;
pub use log::{AppliedPolicy, DecisionLog, Entry, is_logged};
pub use metrics::Metrics;
pub use outcome::Outcome;
pub use scrape::{IssuerReading, PolicyReading, Serving};
pub use sink::can_log_to;
pub use tallies::{PolicyTallies, Tally};
