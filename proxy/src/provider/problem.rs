//! Why a provider gave nothing: one word for metric and page, and what the operator can look for.

use std::fmt;

use crate::refusal::SignInFault;

/// Why a request to a provider brought nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderProblem {
    /// In one word.
    pub fault: SignInFault,
    /// What the operator can look for: a status, or the error that the provider named. Fit for a log.
    pub detail: String,
}

impl ProviderProblem {
    pub(super) fn new(fault: SignInFault, detail: impl Into<String>) -> Self {
        Self { fault, detail: detail.into() }
    }

    /// The same without what the provider may have repeated of a secret.
    pub(super) fn without(mut self, secrets: &[&str]) -> Self {
        if secrets.iter().any(|secret| self.detail.contains(secret)) {
            self.detail = "the text repeats a secret".to_owned();
        }
        self
    }

    /// Whether the provider says that the grant is over: no later attempt with it can succeed (RFC 6749, section 5.2,
    /// `invalid_grant`).
    #[must_use]
    pub fn is_grant_over(&self) -> bool {
        self.fault == SignInFault::CodeRefused
    }
}

impl fmt::Display for ProviderProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.fault.as_str(), self.detail)
    }
}
