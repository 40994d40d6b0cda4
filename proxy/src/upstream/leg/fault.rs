//! Why an app gave no answer that can be passed on: an error type of our own, so that causes are known and not read out
//! of text.

use std::borrow::Cow;
use std::fmt;
use std::io;

use pingora::Error;

use crate::failure::NetworkFailure;
use crate::upstream::cause::cause_of;

/// Why an exchange with an app failed.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The app has no server whose address is known.
    NoAddress,
    /// No connection was made.
    Connect(Box<Error>),
    /// The connection failed.
    Io(io::Error),
    /// The connection ended before the answer did.
    Closed,
    /// Nothing came or went for too long; which kind of timeout it was.
    Timeout(NetworkFailure),
    /// What came is no answer that can be passed on; why.
    Protocol(Cow<'static, str>),
}

impl Fault {
    /// An answer that breaks a rule.
    pub(crate) const fn protocol(rule: &'static str) -> Self {
        Self::Protocol(Cow::Borrowed(rule))
    }

    /// The cause, as metrics and logs name it.
    pub(crate) fn cause(&self) -> NetworkFailure {
        match self {
            Self::NoAddress => NetworkFailure::Dns,
            Self::Connect(problem) => cause_of(problem),
            Self::Io(problem) => NetworkFailure::of_chain(problem).unwrap_or(NetworkFailure::Reset),
            Self::Closed => NetworkFailure::Reset,
            Self::Timeout(kind) => *kind,
            Self::Protocol(_) => NetworkFailure::Protocol,
        }
    }

    /// Whether the app took too long.
    pub(crate) fn is_timeout(&self) -> bool {
        matches!(
            self.cause(),
            NetworkFailure::Timeout
                | NetworkFailure::ConnectTimeout
                | NetworkFailure::AnswerTimeout
                | NetworkFailure::ReadTimeout
                | NetworkFailure::WriteTimeout
        )
    }

    /// Whether the connection was lost, as an idle one is that the app closes while a request is on its way.
    pub(crate) const fn is_lost(&self) -> bool {
        matches!(self, Self::Io(_) | Self::Closed)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAddress => f.write_str("no upstream of this app has an address"),
            Self::Connect(problem) => problem.fmt(f),
            Self::Io(problem) => problem.fmt(f),
            Self::Closed => f.write_str("the connection ended before the answer did"),
            Self::Timeout(kind) => write!(f, "{} of the app", kind.as_str()),
            Self::Protocol(rule) => f.write_str(rule),
        }
    }
}
