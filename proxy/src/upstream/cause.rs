//! Why an attempt at a server failed, in the words of metrics and logs.

use pingora::{Error, ErrorType};

use crate::failure::NetworkFailure;

/// What is known of that beyond the cause: the words of whoever failed, without those that pingora puts before.
pub(crate) fn words_of(problem: &Error) -> String {
    problem.root_cause().to_string().trim().to_owned()
}

/// Why no connection was made, as pingora says it.
pub(crate) fn cause_of(problem: &Error) -> NetworkFailure {
    match problem.root_etype() {
        ErrorType::ConnectRefused => NetworkFailure::Refused,
        ErrorType::ConnectNoRoute => NetworkFailure::Unreachable,
        ErrorType::ConnectTimedout | ErrorType::TLSHandshakeTimedout => NetworkFailure::ConnectTimeout,
        ErrorType::TLSHandshakeFailure | ErrorType::InvalidCert | ErrorType::HandshakeError => {
            NetworkFailure::of_handshake_text(&problem.to_string())
        }
        ErrorType::BindError | ErrorType::SocketError | ErrorType::InternalError => NetworkFailure::Local,
        _ => NetworkFailure::of_chain(problem.root_cause()).unwrap_or(NetworkFailure::Reset),
    }
}
