//! Why an app gave no answer that can be passed on: an error type of our own, so that causes are known and not read out
//! of text.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::sync::Arc;

use h2::Reason;
use pingora::Error;

use crate::failure::NetworkFailure;
use crate::upstream::cause::{cause_of, words_of};

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
    /// A stream, or a connection, of HTTP/2 was ended early.
    Http2(h2::Error),
    /// The same, and the server has done nothing with the request (RFC 9113, section 8.7).
    Untouched(h2::Error),
    /// A connection that others waited for, too, was not made.
    Shared(Arc<Failure>),
}

/// A fault that several requests have.
#[derive(Debug)]
pub(crate) struct Failure {
    cause: NetworkFailure,
    text: String,
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self { cause: fault.cause(), text: fault.to_string() }
    }
}

impl From<h2::Error> for Fault {
    fn from(problem: h2::Error) -> Self {
        // What the server says of one stream in a GOAWAY is that it is beyond the last that it looks at.
        let is_untouched =
            problem.is_remote() && (problem.is_go_away() || problem.reason() == Some(Reason::REFUSED_STREAM));
        if is_untouched {
            return Self::Untouched(problem);
        }
        if problem.is_io()
            && let Some(problem) = problem.get_io()
        {
            return Self::Io(io::Error::new(problem.kind(), problem.to_string()));
        }
        Self::Http2(problem)
    }
}

/// What it says of a server that it ended a stream or a connection of HTTP/2.
fn cause_of_end(problem: &h2::Error) -> NetworkFailure {
    match problem.reason() {
        Some(Reason::INADEQUATE_SECURITY) => NetworkFailure::TlsOther,
        // We saw it break the rules, or it says that we did.
        _ if problem.is_library() => NetworkFailure::Protocol,
        Some(
            Reason::PROTOCOL_ERROR
            | Reason::FLOW_CONTROL_ERROR
            | Reason::SETTINGS_TIMEOUT
            | Reason::FRAME_SIZE_ERROR
            | Reason::COMPRESSION_ERROR
            | Reason::HTTP_1_1_REQUIRED,
        ) => NetworkFailure::Protocol,
        _ => NetworkFailure::Reset,
    }
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
            Self::Http2(problem) | Self::Untouched(problem) => cause_of_end(problem),
            Self::Shared(failure) => failure.cause,
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
                | NetworkFailure::TotalTimeout
        )
    }

    /// Whether the connection was lost, as an idle one is that the app closes while a request is on its way.
    pub(crate) const fn is_lost(&self) -> bool {
        matches!(self, Self::Io(_) | Self::Closed)
    }

    /// Whether the server has not begun with the request, so that it may be sent again whatever it is.
    pub(crate) const fn is_untouched(&self) -> bool {
        matches!(self, Self::Untouched(_))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAddress => f.write_str("no upstream of this app has an address"),
            Self::Connect(problem) => f.write_str(&words_of(problem)),
            Self::Io(problem) => problem.fmt(f),
            Self::Closed => f.write_str("the connection ended before the answer did"),
            Self::Timeout(kind) => write!(f, "{} of the app", kind.as_str()),
            Self::Protocol(rule) => f.write_str(rule),
            Self::Http2(problem) | Self::Untouched(problem) => problem.fmt(f),
            Self::Shared(failure) => f.write_str(&failure.text),
        }
    }
}
