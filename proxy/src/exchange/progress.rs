//! How far a request has come, and its ends. A client that goes away is an end of its own: it is neither an attack
//! nor a refusal, and what was permitted stays permitted.

use portcullis_policy::Permit;

use crate::record::Stage;
use crate::refusal::Refusal;

/// How far a request has come.
#[derive(Debug)]
pub enum Progress {
    /// Nothing is decided.
    Received,
    /// Refused; the answer is written, or its client is gone.
    Refused(Refusal),
    /// Answered by ourselves, and not refused.
    Replied,
    /// Let in.
    Permitted(Permit),
    /// Let in, and then the client went away before its answer was whole.
    Aborted(Permit, Stage),
}

impl Progress {
    /// The client went away. A refusal stays one: it was decided, read or not.
    pub fn abort(&mut self, stage: Stage) {
        *self = match std::mem::replace(self, Self::Received) {
            Self::Permitted(permit) => Self::Aborted(permit, stage),
            before @ (Self::Received | Self::Refused(_) | Self::Replied | Self::Aborted(..)) => before,
        };
    }
}

/// What is logged as the status of a request whose client left before there was one; nginx's word for it.
pub(super) const CLIENT_CLOSED_REQUEST: u16 = 499;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_stays_one_when_nobody_waits_for_it() {
        let mut progress = Progress::Refused(Refusal::NoToken);
        progress.abort(Stage::BeforeAnswer);
        assert!(matches!(progress, Progress::Refused(Refusal::NoToken)), "{progress:?}");
        let mut progress = Progress::Received;
        progress.abort(Stage::BeforeAnswer);
        assert!(matches!(progress, Progress::Received), "{progress:?}");
    }
}
