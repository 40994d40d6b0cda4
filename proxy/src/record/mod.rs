//! What happened, recorded once at the end of each request: metrics, the decision log and the access log.
//!
//! Counters are looked up when a configuration is loaded and live in [`AppMetrics`] and
//! [`PolicyCounters`], so that the request path touches no map and no lock, and threads do not contend
//! for a counter.

mod access;
mod app_metrics;
mod challenges;
mod counters;
mod cut;
mod event;
mod exemplars;
mod exposition;
pub mod field;
mod lines;
mod listeners;
mod log;
mod metrics;
pub mod names;
mod outcome;
mod policy_counters;
mod process;
mod scrape;
mod servers;
mod sign_in;
mod sink;
#[cfg(test)]
mod tests;
mod waiting;

pub use access::Access;
pub use app_metrics::{AppMetrics, Ended};
pub use challenges::UserHash;
pub use cut::CutRequests;
pub use event::{Stage, Traffic};
pub use exposition::Format;
pub(crate) use lines::BYTES_MAX as WAITING_BYTES_MAX;
pub use listeners::{Closed, HandshakeFailure, ListenerCounters, ListenerReading, Pause};
pub use log::{AppliedPolicy, DecisionLog, Entry, FrontProxy, SignInFailure};
pub use metrics::{DeskResult, ForwardAuthAnswer, Handover, Metrics};
pub use outcome::Outcome;
pub use policy_counters::{DecisionCounter, PolicyCounters};
pub use scrape::{IssuerReading, PolicyReading, Serving};
pub use servers::{CheckResult, ServerMetrics, ServerReading};
pub use sign_in::{Logout, Refresh, SignInMetrics};
pub use sink::can_log_to;
pub use waiting::{WaitBy, WaitCounters, WaitEnd, WaitRefused};
