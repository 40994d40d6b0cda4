//! The hand-over of the listening sockets to a successor. The one that serves goes only when the other one serves:
//!
//! ```text
//! successor                                     predecessor
//!   reads the configuration, gets keys
//!   connects; both look whose process it is
//!   Hello           ------------------------->
//!                   <-------------------------  Offer, with all listening sockets
//!   binds what is new, starts everything
//!   Serving         ------------------------->
//!                   <-------------------------  Handed: no time limit counts any more
//!   accepts connections
//!   Accepting       ------------------------->  (until then it serves as if nothing had happened)
//!                   <-------------------------  Draining, again and again; Cut, if it is; the end of the stream is its end
//! ```
//!
//! The messages are lines of JSON on a unix socket; sockets go with empty lines. The socket by which a successor asks
//! is handed over too, so its file stays. A successor that fails or leaves before `Accepting`, or is silent before
//! `Serving`, changes nothing. After `Handed` both accept for a moment, so that there is none in which nobody does.

mod predecessor;
mod successor;
mod wire;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub(super) use predecessor::{Given, Successor, UpgradeSocket, wait_for_successor};
pub(super) use successor::{Predecessor, Taken, ask};

use crate::admin::Left;

/// Both must speak the same. It changes when a message changes so that an older process would misread it.
const PROTOCOL: u32 = 2;

/// How long one successor may take from its connection to `Serving`.
pub(super) const HANDOVER_TIME: Duration = Duration::from_secs(15);
/// How long a successor waits for an answer: longer than another one may be ahead of it.
const ANSWER_TIME: Duration = Duration::from_secs(20);

/// What a successor says first.
#[derive(Debug, Serialize, Deserialize)]
struct Hello {
    protocol: u32,
    version: String,
}

/// What it is answered.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Reply {
    Offer(Offer),
    /// No hand-over, and why.
    Refused(String),
}

/// What is handed over.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Offer {
    protocol: u32,
    version: String,
    pid: u32,
    /// Which process since the first start this is.
    generation: u64,
    /// How many sockets follow: listeners and admin, and last the one by which a successor asks.
    sockets: usize,
    /// The issuers whose tokens can be verified now.
    issuers: Vec<String>,
}

/// How far the successor is.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Ready {
    /// Nothing can fail any more: it can serve.
    Serving,
    /// It accepts connections.
    Accepting,
}

/// What the predecessor says then.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Progress {
    /// The successor may accept connections.
    Handed,
    /// What is left to be finished.
    Draining(Left),
    /// What was cut, for it took longer than `grace`.
    Cut(Left),
}
