//! Why an attempt at a server failed, in the words of metrics and logs.

use pingora::{Error, ErrorType};

use crate::failure::NetworkFailure;

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
