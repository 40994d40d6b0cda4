//! How a request ended, in one word.

use crate::refusal::{BadToken, ClientCertificateProblem, Refusal};

portcullis_policy::words! {
    /// How a request ended, for the label `outcome`.
    pub enum Outcome {
        /// Forwarded to the app.
        Granted = "granted",
        /// The user can sign in again or stronger.
        Challenged = "challenged",
        /// A state or a block policy refuses.
        Denied = "denied",
        /// No valid token.
        Unauthenticated = "unauthenticated",
        /// Something that deciding needs did not answer.
        Unavailable = "unavailable",
        /// Ambiguous or for no app.
        Rejected = "rejected",
        /// More than is let in.
        Limited = "limited",
        /// The app did not answer, or a fault of ours.
        Failed = "failed",
        /// An answer of our own that is no refusal: sent to https, or what an app without servers answers.
        Replied = "replied",
        /// Forwarded to the app with nobody behind it: a public path, or a preflight that the app answers.
        Public = "public",
        /// Let in; the client went away before the answer was whole.
        Aborted = "aborted",
    }
}

impl Outcome {
    /// The outcome that a refusal is counted as.
    #[must_use]
    pub const fn of(refusal: &Refusal) -> Self {
        match refusal {
            Refusal::BadRequest(_) | Refusal::NoApp | Refusal::BodyTooLarge | Refusal::BodyTooSlow => {
                Self::Rejected
            }
            Refusal::TooManyRequests(_) | Refusal::BadToken(BadToken::NotTried) => Self::Limited,
            Refusal::NoToken | Refusal::BadToken(_) | Refusal::BadSession(_) => Self::Unauthenticated,
            Refusal::KeysUnavailable | Refusal::SessionsUnavailable | Refusal::Maintenance => {
                Self::Unavailable
            }
            Refusal::ClientCertificate(problem) => match problem {
                ClientCertificateProblem::Unverifiable => Self::Unavailable,
                ClientCertificateProblem::Missing
                | ClientCertificateProblem::Untrusted
                | ClientCertificateProblem::Revoked
                | ClientCertificateProblem::Expired => Self::Denied,
            },
            Refusal::Policy(..) => match refusal.info().status {
                401 => Self::Challenged,
                503 => Self::Unavailable,
                _ => Self::Denied,
            },
            Refusal::SignIn(fault) => match fault.status() {
                403 => Self::Denied,
                400 => Self::Rejected,
                503 => Self::Unavailable,
                _ => Self::Failed,
            },
            Refusal::Internal | Refusal::Upstream { .. } | Refusal::Loop => Self::Failed,
        }
    }
}
