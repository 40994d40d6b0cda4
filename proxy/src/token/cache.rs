//! A cache of verified tokens: a signature costs twenty times what the rest of a request does. An entry is found by a
//! fingerprint of the whole token and used only while everything that made it true still holds.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use portcullis_policy::{CompiledPolicies, Scope};
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::cached::CachedPrincipal;
use super::fingerprint::{Fingerprint, Fingerprints};
use super::intern::Interner;
use super::session_claims::SessionClaims;
use super::verified::{TokenInterners, VerifiedToken};
use super::verify::{TOKEN_BYTES_MAX, TokenProblem, Verifier};
use crate::refusal::BadToken;

/// Memory that an entry takes beside what it shares with others.
const ENTRY_BYTES: usize = 512;
/// Memory of a standing that no other token shares, beside its token's text.
const STANDING_BYTES: usize = 576;
/// How many standings, kinds of tokens and scopes in use are known to the interners.
const INTERNED_MAX: usize = 16 * 1024;
/// The least that an entry counts as: that bounds how many there are.
const ENTRY_BYTES_MIN: u64 = 2048;

/// A bounded cache of [`CachedPrincipal`]s.
pub struct TokenCache {
    fingerprints: Fingerprints,
    tokens: TokenInterners,
    scopes: Interner<Scope>,
    entries: Cache<Fingerprint, Arc<CachedPrincipal>, ByBytes>,
    /// Tokens that were good once. Pages that stay open ask with them for hours.
    expired: Cache<Fingerprint, Expired>,
}

/// A token whose signature was good, and whose time was over.
#[derive(Clone, Copy, Debug)]
struct Expired {
    /// [`Verifier::instance`].
    verifier: u32,
    /// Unix seconds. Before that a clock that is set back may find it good.
    at: i64,
}

/// How many expired tokens are remembered.
const EXPIRED_MAX: usize = 4 * 1024;

impl fmt::Debug for TokenCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenCache").field("entries", &self.entries.len()).finish_non_exhaustive()
    }
}

#[derive(Clone, Debug)]
struct ByBytes;

impl Weighter<Fingerprint, Arc<CachedPrincipal>> for ByBytes {
    fn weight(&self, _: &Fingerprint, principal: &Arc<CachedPrincipal>) -> u64 {
        (principal.own_bytes() as u64).max(ENTRY_BYTES_MIN)
    }
}

impl TokenCache {
    /// A cache for about this many tokens, and for 2 KiB times as many bytes: where each token has large groups and a
    /// large scope that no other has, it holds fewer tokens rather than more memory.
    #[must_use]
    pub fn new(tokens: usize) -> Self {
        let tokens = tokens.max(1);
        let bytes = (tokens as u64).saturating_mul(ENTRY_BYTES_MIN);
        Self {
            fingerprints: Fingerprints::new(),
            tokens: TokenInterners::new(INTERNED_MAX),
            scopes: Interner::new(INTERNED_MAX),
            entries: Cache::with_weighter(tokens, bytes, ByBytes),
            expired: Cache::new(EXPIRED_MAX),
        }
    }

    /// Removes the entries that are no longer valid at this time (Unix seconds), and with them the policies that
    /// they were bound to. One entry at a time, so that no request waits.
    pub fn sweep(&self, verifier: &Verifier, now: i64) {
        for (key, principal) in self.entries.iter() {
            if !principal.is_believed(verifier, now) {
                self.entries.remove_if(&key, |entry| Arc::ptr_eq(entry, &principal));
            }
        }
    }

    /// How many tokens are cached.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// A token as a request presents it.
#[derive(Clone, Copy, Debug)]
pub struct Presented<'r> {
    /// Its text.
    pub token: &'r [u8],
    /// The issuers that the app accepts, by position.
    pub accepted: &'r [usize],
    /// The time of the request, in Unix seconds.
    pub now: i64,
}

/// What the cache knew of a token, for counting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// It was verified before, for the same policies.
    Hit,
    /// It was verified before; its principal is bound to other policies now.
    Rebound,
    /// It was not verified before. With the time that its verification took, if it succeeded.
    Miss(Option<Duration>),
}

/// The principal of a token: verified or cached, and bound to these policies. Never waits. `observe` is called at
/// most once; never for a token that is longer than any is accepted. `may_verify` is asked before a signature is
/// verified, and so not for a token that is cached.
///
/// # Errors
/// As [`Verifier::verify`]; [`BadToken::NotTried`] where `may_verify` says no. Of refusals only [`BadToken::Expired`]
/// is cached, which no later time and no other key makes undone.
pub fn authenticate(
    verifier: &Verifier,
    cache: &TokenCache,
    policies: &CompiledPolicies,
    presented: Presented<'_>,
    may_verify: impl FnOnce() -> bool,
    observe: impl FnOnce(Lookup),
) -> Result<Arc<CachedPrincipal>, TokenProblem> {
    let Presented { token, accepted, now } = presented;
    // Before the fingerprint: a token that is too long must cost nothing.
    if token.len() > TOKEN_BYTES_MAX {
        return Err(BadToken::Malformed.into());
    }
    let key = cache.fingerprints.of(token);
    let known = key.as_ref().and_then(|key| cache.entries.get(key));
    let known = known.filter(|known| known.holds(verifier, accepted, now));
    let (verified, verified_at, token_bytes) = match known {
        Some(known) if known.scope().generation() == policies.generation() => {
            observe(Lookup::Hit);
            return Ok(known);
        }
        // New policies: the token's claims stay true, its scope does not. The time of verification
        // stays too, or reloads would prolong the entry.
        Some(known) => {
            observe(Lookup::Rebound);
            (known.token().clone(), known.verified_at, known.token_bytes)
        }
        None => {
            let instance = verifier.instance();
            let is_expired = |key| {
                let known = cache.expired.get(key);
                known.is_some_and(|known| known.verifier == instance && now >= known.at)
            };
            let refused = if key.as_ref().is_some_and(is_expired) {
                Some(BadToken::Expired)
            } else {
                (!may_verify()).then_some(BadToken::NotTried)
            };
            if let Some(bad) = refused {
                observe(Lookup::Miss(None));
                return Err(bad.into());
            }
            let began = Instant::now();
            let verified = std::str::from_utf8(token)
                .map_err(|_| BadToken::Malformed.into())
                .and_then(|text| verifier.verify(text, accepted, now));
            observe(Lookup::Miss(verified.is_ok().then(|| began.elapsed())));
            if let (Some(key), Err(TokenProblem::Bad(BadToken::Expired))) = (key, &verified) {
                cache.expired.insert(key, Expired { verifier: instance, at: now });
            }
            let mut verified = verified?;
            // Claims read out of a token take about as much as its text.
            let is_new = verified.intern(&cache.tokens);
            (verified, now, ENTRY_BYTES + if is_new { STANDING_BYTES + token.len() } else { 0 })
        }
    };
    let bound = Arc::new(cache.bind(verified, (verifier, policies), (verified_at, token_bytes)));
    if let Some(key) = key {
        cache.entries.insert(key, Arc::clone(&bound));
    }
    Ok(bound)
}

/// The principal of a session, bound to these policies. It shares with those of tokens what is equal, and is not
/// remembered here: sessions are remembered by their cookies.
///
/// # Errors
/// As [`Verifier::read_session`].
pub fn bind_session(
    (verifier, cache, policies): (&Verifier, &TokenCache, &CompiledPolicies),
    claims: &SessionClaims,
    until: i64,
    now: i64,
) -> Result<Arc<CachedPrincipal>, TokenProblem> {
    let mut verified = verifier.read_session(claims, until, now)?;
    let is_new = verified.intern(&cache.tokens);
    let token_bytes = ENTRY_BYTES + if is_new { STANDING_BYTES + claims.text_bytes() } else { 0 };
    Ok(Arc::new(cache.bind(verified, (verifier, policies), (now, token_bytes))))
}

impl TokenCache {
    /// A verified token, bound to these policies; with when it was verified, and its memory.
    fn bind(
        &self,
        verified: VerifiedToken,
        (verifier, policies): (&Verifier, &CompiledPolicies),
        (verified_at, token_bytes): (i64, usize),
    ) -> CachedPrincipal {
        let mut scope = Arc::new(policies.bind(verified.principal()));
        let scope_bytes = if self.scopes.intern(&mut scope) { scope.heap_bytes() } else { 0 };
        CachedPrincipal {
            statements: ArcSwapOption::empty(),
            token: verified,
            scope,
            verified_at,
            verifier: verifier.instance(),
            token_bytes,
            scope_bytes,
        }
    }
}

#[cfg(test)]
mod tests;
