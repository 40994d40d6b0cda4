//! What one request has come to, and how it ended. A client that goes away is an end of its own: it is
//! neither an attack nor a refusal, and what was permitted stays permitted.

use portcullis_policy::Permit;

use crate::refusal::Refusal;

/// How far a request has come.
#[derive(Debug)]
pub enum Progress {
    /// Nothing is decided.
    Received,
    /// Refused; the answer is written, or there is nobody to read it.
    Answered(Refusal),
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
            before @ (Self::Received | Self::Answered(_) | Self::Aborted(..)) => before,
        };
    }
}

/// How far a request was when its client went away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Stage {
    /// It was being sent, or its answer was waited for.
    BeforeAnswer = 0,
    /// Its answer was being sent.
    DuringAnswer = 1,
    /// It had become a WebSocket.
    Socket = 2,
}

impl Stage {
    /// Every stage.
    pub const ALL: [Self; 3] = [Self::BeforeAnswer, Self::DuringAnswer, Self::Socket];

    /// The stage of a request whose client was sent a head with this status, or none.
    #[must_use]
    pub const fn of(status: Option<u16>) -> Self {
        match status {
            Some(101) => Self::Socket,
            Some(200..) => Self::DuringAnswer,
            // An interim answer is none.
            Some(_) | None => Self::BeforeAnswer,
        }
    }

    /// The word for metrics and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BeforeAnswer => "before-answer",
            Self::DuringAnswer => "during-answer",
            Self::Socket => "socket",
        }
    }
}

/// What is logged as the status of a request whose client left before there was one; nginx's word for it.
pub const CLIENT_CLOSED_REQUEST: u16 = 499;

/// What went over the client's connection for one request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Traffic {
    /// The status that the client was sent.
    pub status: Option<u16>,
    /// Bytes of the request's body, or what a WebSocket's client sent.
    pub bytes_in: u64,
    /// Bytes of the answer's body, or what a WebSocket's client was sent.
    pub bytes_out: u64,
    /// A WebSocket or a stream of events: it lasts as long as its client likes.
    pub is_stream: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_was_sent_tells_where_it_left() {
        for (status, stage) in [
            (None, Stage::BeforeAnswer),
            (Some(100), Stage::BeforeAnswer),
            (Some(103), Stage::BeforeAnswer),
            (Some(101), Stage::Socket),
            (Some(200), Stage::DuringAnswer),
            (Some(503), Stage::DuringAnswer),
        ] {
            assert_eq!(Stage::of(status), stage, "{status:?}");
        }
    }

    #[test]
    fn a_refusal_stays_one_when_nobody_waits_for_it() {
        let mut progress = Progress::Answered(Refusal::NoToken);
        progress.abort(Stage::BeforeAnswer);
        assert!(matches!(progress, Progress::Answered(Refusal::NoToken)), "{progress:?}");
        let mut progress = Progress::Received;
        progress.abort(Stage::BeforeAnswer);
        assert!(matches!(progress, Progress::Received), "{progress:?}");
    }
}
