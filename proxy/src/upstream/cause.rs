//! Why an attempt at a server failed, in the words of metrics and logs.

use pingora::{Error, ErrorType};

use crate::failure::NetworkFailure;

/// Why an attempt failed, as pingora says it. Whether an answer had begun is for the caller to know.
pub(crate) fn cause_of(problem: &Error) -> NetworkFailure {
    match problem.root_etype() {
        ErrorType::ConnectRefused => NetworkFailure::Refused,
        ErrorType::ConnectNoRoute => NetworkFailure::Unreachable,
        ErrorType::ConnectTimedout | ErrorType::TLSHandshakeTimedout => NetworkFailure::ConnectTimeout,
        ErrorType::ReadTimedout => NetworkFailure::AnswerTimeout,
        ErrorType::WriteTimedout => NetworkFailure::WriteTimeout,
        ErrorType::TLSHandshakeFailure | ErrorType::InvalidCert | ErrorType::HandshakeError => {
            NetworkFailure::of_handshake_text(&problem.to_string())
        }
        ErrorType::BindError | ErrorType::SocketError | ErrorType::InternalError => NetworkFailure::Local,
        ErrorType::InvalidHTTPHeader | ErrorType::H1Error | ErrorType::H2Error | ErrorType::InvalidH2 => {
            NetworkFailure::Protocol
        }
        _ => NetworkFailure::of_chain(problem.root_cause()).unwrap_or(NetworkFailure::Reset),
    }
}
