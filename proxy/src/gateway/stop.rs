//! Why a request that was let in was not answered to its end. It travels through pingora, which has an error type of its
//! own, to where the client is told.

use std::fmt;

use pingora::prelude::{Error, ErrorType};

use crate::refusal::Refusal;
use crate::upstream::leg::Fault;

/// Why a request ends early.
#[derive(Debug)]
pub(super) enum Stop {
    /// It was judged anew, and may not go on.
    Refused(Refusal),
    /// Its body is larger than its app allows.
    BodyTooLarge,
    /// Its body comes more slowly than its app allows.
    BodyTooSlow,
    /// The client went away, or broke the protocol.
    Client(Box<Error>),
    /// The client took nothing, or sent nothing, for too long.
    ClientSilent,
    /// Both ends of a socket said nothing for too long.
    Silent,
    /// The app gave no answer, or none that can be passed on.
    Upstream(Fault),
    /// A fault of ours.
    Internal(&'static str),
}

impl Stop {
    /// As pingora passes it on.
    pub(super) fn into_error(self) -> Box<Error> {
        Error::because(ErrorType::InternalError, "a request ended early", self)
    }

    /// What came back through pingora.
    pub(super) fn of(error: &Error) -> Option<&Self> {
        error.cause.as_deref()?.downcast_ref()
    }
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Upstream(fault)
    }
}

/// A head that cannot be written as it is: what goes wrong with a client or an app has its own words.
impl From<Box<Error>> for Stop {
    fn from(_: Box<Error>) -> Self {
        Self::Internal("a field of ours cannot be written")
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(_) => f.write_str("no longer permitted"),
            Self::BodyTooLarge => f.write_str("the request body is too large"),
            Self::BodyTooSlow => f.write_str("the request body comes too slowly"),
            Self::Client(problem) => problem.fmt(f),
            Self::ClientSilent => f.write_str("the client was silent for too long"),
            Self::Silent => f.write_str("nobody said anything for too long"),
            Self::Upstream(fault) => fault.fmt(f),
            Self::Internal(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for Stop {}
