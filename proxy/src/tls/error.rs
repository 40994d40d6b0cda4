//! Why what a configuration names cannot serve TLS.

use super::clients::TrustError;
use super::pair::PairError;

/// Why a listener cannot serve TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A certificate and its key.
    #[error("{certificate}: {problem}")]
    Pair {
        /// The certificate's file.
        certificate: String,
        /// What is wrong.
        problem: PairError,
    },
    /// Authorities or revocation lists of an app.
    #[error("client certificates of app `{app}`: {problem}")]
    Clients {
        /// The app.
        app: String,
        /// What is wrong.
        problem: TrustError,
    },
    /// What rustls or the machine's random numbers say.
    #[error(transparent)]
    Rustls(#[from] rustls::Error),
}
