//! The end of a request, as metrics and logs record it.

use portcullis_policy::words;

words! {
    /// How far a request was when its client went away.
    pub enum Stage {
        /// The request was being received, or the app's answer awaited.
        BeforeAnswer = "before-answer",
        /// Its answer was being sent.
        DuringAnswer = "during-answer",
        /// It had become a WebSocket.
        Socket = "socket",
    }
}

impl Stage {
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
}

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
    fn what_a_client_was_sent_shows_where_it_left() {
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
}
