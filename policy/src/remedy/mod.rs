//! What the user could change: every smallest set of up to three changes that would let a refused request in. Each was
//! decided again; nothing rests on what a user agent says, for that can be forged; and no change stands in for a fact
//! that is unavailable, for then waiting is the answer.

mod axes;
mod candidates;
mod changes;
mod found;
mod problem;
mod search;
mod trials;

pub use candidates::{Candidates, Installation};
pub use found::{
    AHEAD_SECS, Alternative, CHANGES_MAX, Finding, Remedies, Remedy, STEPS_MAX, StrongerMethod, Tried,
};
pub use search::find;
#[doc(hidden)]
pub use trials::{Trial, Trials};
