//! Verified tokens and the keys that verify them: no other module looks into a token.
//!
//! A token is text until [`Verifier::verify`] has accepted it; then it is a [`VerifiedToken`],
//! which nothing else can make. Keys are fetched in the background ([`KeyStore::run`]): a request
//! never waits for the network, it is refused. [`authenticate`] adds the cache and the binding to
//! the policies.

mod address;
mod cache;
mod cached;
mod claims;
mod discovery;
mod fetch;
mod find;
mod fingerprint;
mod id_token;
mod intern;
mod jwk;
mod keys;
mod logout_token;
mod session_claims;
mod strict;
mod telling;
mod times;
mod trial;
mod verified;
mod verify;

#[cfg(test)]
mod attacks;
#[cfg(test)]
mod claim_values;
#[cfg(test)]
pub(crate) mod fixtures;
#[cfg(test)]
mod key_sets;
#[cfg(test)]
mod outage;

pub use cache::{Lookup, Presented, TokenCache, authenticate, bind_session};
pub use cached::{CachedPrincipal, SignedStatement};
pub(crate) use fetch::{Discovered, Fetcher, body, client, unreachable};
pub use fetch::{FetchError, keys_in_file};
pub(crate) use find::bearer;
pub use find::{TokenLocation, find_token};
pub(crate) use fingerprint::{Fingerprint, Fingerprints};
pub use id_token::{ExpectedIdToken, IdToken, IdTokenProblem};
pub use jwk::{KeyFault, KeySet, KeySetError, UnusedKey};
pub use keys::KeyStore;
pub use logout_token::{LOGOUT_TOKEN_LIFE_SECS, LogoutToken};
pub use session_claims::SessionClaims;
pub(crate) use strict::{StrictObject, without_bom};
pub use telling::SignInTelling;
pub use trial::{Trial, try_issuer};
pub use verified::{Risks, VerifiedToken};
pub use verify::{TOKEN_BYTES_MAX, TokenProblem, Verifier};

/// Claims of a session, as a sign-in would keep them: for tests of what uses sessions.
#[cfg(test)]
pub(crate) fn session_claims(
    claims: &serde_json::Value,
    settings: &portcullis_config::settings::Issuer,
) -> SessionClaims {
    SessionClaims::of(claims.as_object().unwrap(), settings)
}
