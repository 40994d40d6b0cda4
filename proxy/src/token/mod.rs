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
mod claim_values;
#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod key_sets;
#[cfg(test)]
mod outage;

pub use cache::{Lookup, Presented, TokenCache, authenticate};
pub use cached::{CachedPrincipal, RememberedRemedies};
pub use fetch::{FetchError, keys_in_file};
pub(crate) use find::bearer;
pub use find::{TokenLocation, find_token};
pub use jwk::{KeyFault, KeySet, KeySetError, UnusedKey};
pub use keys::KeyStore;
pub use trial::{Trial, try_issuer};
pub use verified::{Risks, VerifiedToken};
pub use verify::{TOKEN_BYTES_MAX, TokenProblem, Verifier};
