//! Verified tokens and the keys that verify them, so that no other room ever looks into a token.
//!
//! A token is text until [`Verifier::verify`] has accepted it; then it is a [`VerifiedToken`],
//! which nothing else can make. Keys come from behind the requests ([`KeyStore::run`]): a request
//! never waits for the network, it is refused. [`authenticate`] adds the cache and the binding to
//! the policies.

mod cache;
mod claims;
mod fetch;
mod find;
mod intern;
mod jwk;
mod keys;
mod strict;
mod times;
mod trial;
mod verified;
mod verify;

#[cfg(test)]
mod attacks;
#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod outage;

pub use cache::{Caller, Lookup, Presented, RememberedRemedies, TokenCache, authenticate};
pub use fetch::{FetchError, keys_in_file};
pub(crate) use find::bearer;
pub use find::{Place, find_token};
pub use jwk::{KeyFault, KeySet, KeySetError, UnusedKey};
pub use keys::{KeyState, KeyStore};
pub use trial::{Trial, try_issuer};
pub use verified::{Risks, VerifiedToken};
pub use verify::{TOKEN_BYTES_MAX, Verifier};

use crate::refusal::{BadToken, Refusal};

/// Why nobody is known by this token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenProblem {
    /// The token is not acceptable.
    #[error("the token is not acceptable: {}", .0.as_str())]
    Bad(BadToken),
    /// The issuer's keys are not at hand, or too old to be trusted.
    #[error("the issuer's keys are not at hand")]
    KeysUnavailable,
}

impl From<BadToken> for TokenProblem {
    fn from(bad: BadToken) -> Self {
        Self::Bad(bad)
    }
}

impl From<TokenProblem> for Refusal {
    fn from(problem: TokenProblem) -> Self {
        match problem {
            TokenProblem::Bad(bad) => Self::BadToken(bad),
            TokenProblem::KeysUnavailable => Self::KeysUnavailable,
        }
    }
}
