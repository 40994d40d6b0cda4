//! Verified tokens, remembered for a short while: a signature costs twenty times what the rest of
//! a request does. An entry is found by a fingerprint of the whole token and believed only while
//! everything that made it true still holds.

use std::fmt;
use std::net::IpAddr;
use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::rand;
use portcullis_policy::decision::Generation;
use portcullis_policy::model::{ClientAppType, CountryCode, Platform};
use portcullis_policy::remedy::Remedies;
use portcullis_policy::signals::{Fact, Principal, Signals, Target};
use portcullis_policy::{CompiledPolicies, Scope};
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::intern::Interner;
use super::verified::{TokenInterners, VerifiedToken};
use super::verify::Verifier;
use super::{TOKEN_BYTES_MAX, TokenProblem};
use crate::refusal::BadToken;

/// How long an entry is believed, in seconds: the longest that claims outlive a change which the
/// keys do not show.
const LIFE_SECS: i64 = 5 * 60;
/// What an entry weighs beside what it shares with others, in bytes.
const ENTRY_BYTES: usize = 512;
/// What a standing that is like no other weighs beside its token's text, in bytes.
const STANDING_BYTES: usize = 576;
/// How many standings, kinds of tokens and scopes are looked for among those that are in use.
const INTERNED: usize = 16 * 1024;
/// What an entry is taken to weigh at least, in bytes: that bounds how many there are.
const ENTRY_BYTES_MIN: u64 = 2048;

/// Somebody known, with what the policies make of them.
#[derive(Debug)]
pub struct Caller<S = Arc<Scope>> {
    remedies: ArcSwapOption<(Situation, Remedies)>,
    token: VerifiedToken,
    scope: S,
    scope_generation: Generation,
    verified_at: i64,
    verifier: u32,
    /// Memory that it alone takes for what the token says, roughly.
    token_bytes: usize,
    /// Memory that it alone takes for its scope.
    scope_bytes: usize,
}

impl<S> Caller<S> {
    /// The verified token.
    #[must_use]
    pub const fn token(&self) -> &VerifiedToken {
        &self.token
    }

    /// The principal, bound to the policies.
    #[must_use]
    pub const fn scope(&self) -> &S {
        &self.scope
    }

    /// The generation of the policies that the scope is bound to.
    #[must_use]
    pub const fn policies_generation(&self) -> Generation {
        self.scope_generation
    }

    /// The remedies that were found last, if the caller was in the same situation then; otherwise found
    /// anew. Who is refused asks again, and a search takes dozens of decisions.
    pub(crate) fn remembered_remedies(
        &self,
        signals: &Signals<'_>,
        find: impl FnOnce() -> Remedies,
    ) -> RememberedRemedies {
        let known = self.remedies.load();
        if let Some(kept) = known.as_ref().filter(|kept| kept.0.is_still(signals)) {
            return RememberedRemedies(Arc::clone(kept));
        }
        let found = Arc::new((Situation::of(signals), find()));
        self.remedies.store(Some(Arc::clone(&found)));
        RememberedRemedies(found)
    }

    /// Whether the token is still as good as when it was verified, for an app that accepts these
    /// issuers.
    fn holds(&self, verifier: &Verifier, accepted: &[usize], now: i64) -> bool {
        accepted.contains(&self.token.issuer_index()) && self.is_believed(verifier, now)
    }

    /// Whether the token is still as good as when it was verified.
    fn is_believed(&self, verifier: &Verifier, now: i64) -> bool {
        let issuer = self.token.issuer_index();
        let age = now.saturating_sub(self.verified_at);
        self.verifier == verifier.instance()
            && (0..LIFE_SECS).contains(&age)
            && self.token.times().are_current(now, verifier.leeway(issuer))
            && verifier.usable_generation(issuer, now) == Some(self.token.key_generation())
    }
}

/// Everything that a search for remedies looks at, beside the policies and the token.
#[derive(Debug)]
struct Situation {
    target: Target,
    method: Box<str>,
    path: Box<str>,
    address: Fact<IpAddr>,
    country: Fact<CountryCode>,
    platform: Fact<Platform>,
    client_app: Fact<ClientAppType>,
    now: i64,
}

impl Situation {
    /// How long what was found is told again, in seconds: an answer may turn on the time.
    const LIFE_SECS: i64 = 5;

    fn of(signals: &Signals<'_>) -> Self {
        let context = signals.context;
        Self {
            target: signals.target,
            method: signals.action.method.into(),
            path: signals.action.path.into(),
            address: context.address,
            country: context.country,
            platform: context.platform,
            client_app: context.client_app,
            now: signals.now,
        }
    }

    fn is_still(&self, signals: &Signals<'_>) -> bool {
        let (age, context) = (signals.now.saturating_sub(self.now), signals.context);
        (0..Self::LIFE_SECS).contains(&age)
            && self.target == signals.target
            && self.address == context.address
            && self.country == context.country
            && self.platform == context.platform
            && self.client_app == context.client_app
            && *self.method == *signals.action.method
            && *self.path == *signals.action.path
    }
}

/// [`Remedies`] that were found for this caller, now or a moment ago.
#[derive(Clone, Debug)]
pub struct RememberedRemedies(Arc<(Situation, Remedies)>);

impl Deref for RememberedRemedies {
    type Target = Remedies;

    fn deref(&self) -> &Remedies {
        &self.0.1
    }
}

/// What stands for a token in the cache: a part of it, or a digest that can be forged, would let one
/// token answer for another.
type Fingerprint = [u8; 16];

/// Makes fingerprints: GMAC (NIST SP 800-38D) of the whole token, under a key of this process that is
/// drawn by chance and never leaves it.
///
/// A universal hash serves, for nobody ever sees a fingerprint: whatever two tokens somebody chooses, they
/// share one with a chance of at most 2^-118 (section 5.2.1 of the same gives the bound, the token's
/// blocks over 2^128). That the nonce is always the same gives away the key's hash only to somebody who has
/// fingerprints. It costs a third of SHA-256 where processors help with that, and a tenth elsewhere.
struct Fingerprints(Option<LessSafeKey>);

impl Fingerprints {
    fn new() -> Self {
        let mut key = [0; 32];
        let drawn = rand::fill(&mut key).and_then(|()| UnboundKey::new(&AES_256_GCM, &key));
        Self(drawn.ok().map(LessSafeKey::new))
    }

    /// `None` when there is no key or a token of no sensible length: then nothing is remembered.
    fn of(&self, token: &[u8]) -> Option<Fingerprint> {
        let nonce = Nonce::assume_unique_for_key([0; NONCE_LEN]);
        let tag = self.0.as_ref()?.seal_in_place_separate_tag(nonce, Aad::from(token), &mut []).ok()?;
        tag.as_ref().try_into().ok()
    }
}

/// A bounded cache of [`Caller`]s.
pub struct TokenCache<S = Arc<Scope>> {
    fingerprints: Fingerprints,
    tokens: TokenInterners,
    scopes: Interner<Scope>,
    entries: Cache<Fingerprint, Arc<Caller<S>>, ByBytes>,
}

impl<S> fmt::Debug for TokenCache<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenCache").field("entries", &self.entries.len()).finish_non_exhaustive()
    }
}

#[derive(Clone, Debug)]
struct ByBytes;

impl<S> Weighter<Fingerprint, Arc<Caller<S>>> for ByBytes {
    fn weight(&self, _: &Fingerprint, caller: &Arc<Caller<S>>) -> u64 {
        ((caller.token_bytes + caller.scope_bytes) as u64).max(ENTRY_BYTES_MIN)
    }
}

impl<S> TokenCache<S> {
    /// A cache for about this many tokens, and for 2 KiB times as many bytes: where each has groups and a scope
    /// like no other's, and these are large, fewer tokens are kept rather than more memory taken.
    #[must_use]
    pub fn new(tokens: usize) -> Self {
        let tokens = tokens.max(1);
        let bytes = (tokens as u64).saturating_mul(ENTRY_BYTES_MIN);
        Self {
            fingerprints: Fingerprints::new(),
            tokens: TokenInterners::new(INTERNED),
            scopes: Interner::new(INTERNED),
            entries: Cache::with_weighter(tokens, bytes, ByBytes),
        }
    }

    /// Forgets tokens that are not believed any more, and with them the policies that they were bound to. Entries
    /// are looked at one at a time, so that no request waits.
    pub fn sweep(&self, verifier: &Verifier, now: i64) {
        for (key, caller) in self.entries.iter() {
            if !caller.is_believed(verifier, now) {
                self.entries.remove_if(&key, |kept| Arc::ptr_eq(kept, &caller));
            }
        }
    }

    /// How many tokens are remembered.
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

/// A token as it came.
#[derive(Clone, Copy, Debug)]
pub struct Presented<'r> {
    /// Its text, as it came.
    pub token: &'r [u8],
    /// The issuers that the app accepts, by position.
    pub accepted: &'r [usize],
    /// Unix seconds.
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

/// Who a token makes known: verified or remembered, and bound to these policies. Never waits. `observe` is called at
/// most once; never for a token that is longer than any is accepted.
///
/// # Errors
/// As [`Verifier::verify`]. Refusals are not remembered.
pub fn authenticate(
    verifier: &Verifier,
    cache: &TokenCache,
    policies: &CompiledPolicies,
    presented: Presented<'_>,
    observe: impl FnOnce(Lookup),
) -> Result<Arc<Caller>, TokenProblem> {
    let bind = |principal: &Principal| {
        let mut scope = Arc::new(policies.bind(principal));
        let is_new = cache.scopes.intern(&mut scope);
        let scope_bytes = if is_new { scope.heap_bytes() } else { 0 };
        (scope, scope_bytes)
    };
    authenticate_bound(verifier, cache, policies.generation(), bind, presented, observe)
}

fn authenticate_bound<S>(
    verifier: &Verifier,
    cache: &TokenCache<S>,
    generation: Generation,
    bind: impl FnOnce(&Principal) -> (S, usize),
    presented: Presented<'_>,
    observe: impl FnOnce(Lookup),
) -> Result<Arc<Caller<S>>, TokenProblem> {
    let Presented { token, accepted, now } = presented;
    // Before the fingerprint: what is never accepted shall cost nothing.
    if token.len() > TOKEN_BYTES_MAX {
        return Err(BadToken::Malformed.into());
    }
    let key = cache.fingerprints.of(token);
    let known = key.as_ref().and_then(|key| cache.entries.get(key));
    let known = known.filter(|caller| caller.holds(verifier, accepted, now));
    let (verified, verified_at, token_bytes) = match known {
        Some(caller) if caller.scope_generation == generation => {
            observe(Lookup::Hit);
            return Ok(caller);
        }
        // New policies: what the token says stays true, what follows from it does not. The time
        // of verification stays too, or reloads would prolong the entry.
        Some(caller) => {
            observe(Lookup::Rebound);
            (caller.token.clone(), caller.verified_at, caller.token_bytes)
        }
        None => {
            let began = Instant::now();
            let verified = std::str::from_utf8(token)
                .map_err(|_| BadToken::Malformed.into())
                .and_then(|text| verifier.verify(text, accepted, now));
            observe(Lookup::Miss(verified.is_ok().then(|| began.elapsed())));
            let mut verified = verified?;
            // Claims read out of a token take about as much as its text.
            let is_new = verified.intern(&cache.tokens);
            let token_bytes = ENTRY_BYTES + if is_new { STANDING_BYTES + token.len() } else { 0 };
            (verified, now, token_bytes)
        }
    };
    let (scope, scope_bytes) = bind(verified.principal());
    let caller = Arc::new(Caller {
        remedies: ArcSwapOption::empty(),
        scope,
        token: verified,
        scope_generation: generation,
        verifier: verifier.instance(),
        verified_at,
        token_bytes,
        scope_bytes,
    });
    if let Some(key) = key {
        cache.entries.insert(key, Arc::clone(&caller));
    }
    Ok(caller)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::Arc;

    use http::HeaderValue;
    use portcullis_policy::Signals;
    use portcullis_policy::decision::Generation;
    use portcullis_policy::remedy::Remedies;
    use portcullis_policy::signals::{Action, AppIndex, ClientContext, Fact, RequestId, Target};
    use serde_json::json;

    use super::super::TokenProblem;
    use super::super::fixtures::{
        EC, ISSUER, RSA, issuer, now, nowhere, set, token, verifier, verifier_with,
    };
    use super::super::keys::KeyStore;
    use super::super::verify::Verifier;
    use super::{Caller, Fingerprints, Lookup, Presented, TokenCache, authenticate_bound};
    use crate::refusal::BadToken;

    type Answer = Result<Arc<Caller<u32>>, TokenProblem>;

    struct Bench {
        cache: TokenCache<u32>,
        bound: Cell<u32>,
        /// Hits, rebound ones, misses.
        lookups: Cell<[u64; 3]>,
    }

    impl Bench {
        fn new() -> Self {
            Self { cache: TokenCache::new(100), bound: Cell::new(0), lookups: Cell::default() }
        }

        fn ask(
            &self,
            verifier: &Verifier,
            generation: u64,
            token: &str,
            accepted: &[usize],
            now: i64,
        ) -> Answer {
            let bind = |_: &_| {
                self.bound.set(self.bound.get() + 1);
                (self.bound.get(), 0)
            };
            let presented = Presented { token: token.as_bytes(), accepted, now };
            authenticate_bound(verifier, &self.cache, Generation(generation), bind, presented, |lookup| {
                let [hits, rebound, misses] = self.lookups.get();
                self.lookups.set(match lookup {
                    Lookup::Hit => [hits + 1, rebound, misses],
                    Lookup::Rebound => [hits, rebound + 1, misses],
                    Lookup::Miss(_) => [hits, rebound, misses + 1],
                });
            })
        }
    }

    #[test]
    fn a_fingerprint_stands_for_every_byte_of_the_token_and_for_this_process_alone() {
        let (ours, theirs) = (Fingerprints::new(), Fingerprints::new());
        let token = "x".repeat(700);
        let fingerprint = ours.of(token.as_bytes()).unwrap();
        assert_eq!(ours.of(token.as_bytes()), Some(fingerprint));
        assert_ne!(theirs.of(token.as_bytes()), Some(fingerprint));
        let mut seen = std::collections::HashSet::from([fingerprint, ours.of(b"").unwrap()]);
        for position in 0..token.len() {
            let mut other = token.clone();
            other.replace_range(position..=position, "y");
            assert!(seen.insert(ours.of(other.as_bytes()).unwrap()), "byte {position}");
            let shorter = "x".repeat(position);
            assert!(position == 0 || seen.insert(ours.of(shorter.as_bytes()).unwrap()), "{position} bytes");
        }
    }

    #[test]
    fn a_remembered_token_is_neither_verified_nor_bound_again() {
        let (verifier, _) = verifier();
        let bench = Bench::new();
        let (token, now) = (token(|_| {}), now());
        let first = bench.ask(&verifier, 1, &token, &[0], now).unwrap();
        let second = bench.ask(&verifier, 1, &token, &[0], now + 1).unwrap();
        assert!(Arc::ptr_eq(&first, &second));
        assert_eq!((bench.cache.len(), bench.bound.get()), (1, 1));
        assert_eq!(bench.lookups.get(), [1, 0, 1]);
    }

    #[test]
    fn people_who_are_alike_share_what_they_have_in_common_and_nothing_else() {
        let (verifier, _) = verifier();
        let (bench, now) = (Bench::new(), now());
        let ask = |change: &dyn Fn(&mut serde_json::Value)| {
            bench.ask(&verifier, 1, &token(|claims| change(claims)), &[0], now).unwrap()
        };
        let anna = ask(&|_| {});
        let bert = ask(&|claims| {
            claims["sub"] = json!("bert");
            claims["preferred_username"] = json!("bert@example.org");
            claims["deviceid"] = json!("berts");
            claims["auth_time"] = json!(now - 77);
        });
        let of = |caller: &Caller<u32>| {
            let (token, principal) = (caller.token(), caller.token().principal());
            let device = token.device().and_then(|device| device.device_id.map(str::to_owned));
            (principal.id.to_string(), token.user_name().map(str::to_owned), device, principal.auth_time)
        };
        assert_eq!(
            of(&bert),
            ("bert".into(), Some("bert@example.org".into()), Some("berts".into()), Some(now - 77))
        );
        assert_eq!((of(&anna).0, of(&anna).1), ("anna".into(), Some("anna@example.org".into())));
        let standing = |caller: &Caller<u32>| Arc::clone(&caller.token().principal().standing);
        assert!(Arc::ptr_eq(&standing(&anna), &standing(&bert)));
        let carl = ask(&|claims| claims["groups"] = json!(["g1", "admins"]));
        assert!(!Arc::ptr_eq(&standing(&anna), &standing(&carl)));
        let told = |caller: &Caller<u32>| {
            caller.token().groups_header(|groups| {
                let Fact::Known(groups) = groups else { return None };
                HeaderValue::from_str(&groups.join(",")).ok()
            })
        };
        assert_eq!(
            (told(&anna).unwrap(), told(&carl).unwrap()),
            (HeaderValue::from_static("g1,g2"), HeaderValue::from_static("g1,admins"))
        );
    }

    #[test]
    fn new_policies_bind_anew_without_prolonging_the_entry() {
        let (verifier, _) = verifier();
        let bench = Bench::new();
        let (token, now) = (token(|_| {}), now());
        let first = bench.ask(&verifier, 1, &token, &[0], now).unwrap();
        let second = bench.ask(&verifier, 2, &token, &[0], now + 200).unwrap();
        assert_eq!(second.policies_generation(), Generation(2));
        assert_eq!(bench.lookups.get(), [0, 1, 1]);
        assert_eq!(*second.scope(), 2);
        assert!(Arc::ptr_eq(&first.token().principal().standing, &second.token().principal().standing));
        assert_eq!(second.verified_at, now);
        let third = bench.ask(&verifier, 2, &token, &[0], now + 301).unwrap();
        assert_eq!(third.verified_at, now + 301);
    }

    #[test]
    fn a_remembered_token_does_not_pass_for_an_app_of_another_issuer() {
        let main = issuer("main", ISSUER, nowhere());
        let other = issuer("other", "https://other.example", nowhere());
        let stores: Vec<_> = [&main, &other].map(|settings| Arc::new(KeyStore::new(settings))).into();
        for store in &stores {
            store.install(Ok(set(&[RSA.jwk("rsa")])), now()).unwrap();
        }
        let verifier = Verifier::new(&[main, other], stores);
        let bench = Bench::new();
        let token = token(|_| {});
        assert!(bench.ask(&verifier, 1, &token, &[0, 1], now()).is_ok());
        for accepted in [&[1][..], &[]] {
            let answer = bench.ask(&verifier, 1, &token, accepted, now());
            assert_eq!(answer.err(), Some(TokenProblem::Bad(BadToken::Issuer)));
        }
    }

    #[test]
    fn remedies_are_told_again_in_the_same_situation_and_for_a_short_while_only() {
        let (verifier, _) = verifier();
        let bench = Bench::new();
        let caller = bench.ask(&verifier, 1, &token(|_| {}), &[0], now()).unwrap();
        let (searches, principal) = (Cell::new(0), caller.token().principal().clone());
        let ask = |path: &str, address: &str, at: i64| {
            let address = Fact::Known(address.parse().unwrap());
            let context = ClientContext { address, ..ClientContext::UNKNOWN };
            let signals = Signals {
                principal: &principal,
                target: Target { app: AppIndex(0), context: None },
                action: Action { method: "GET", path },
                context: &context,
                request_id: RequestId(1),
                now: at,
            };
            caller.remembered_remedies(&signals, || {
                searches.set(searches.get() + 1);
                Remedies::default()
            });
            searches.get()
        };
        assert_eq!((ask("/", "192.0.2.1", 100), ask("/", "192.0.2.1", 104)), (1, 1));
        assert_eq!(ask("/", "192.0.2.1", 105), 2, "an answer may turn on the time");
        assert_eq!(ask("/", "192.0.2.2", 105), 3, "another place");
        assert_eq!(ask("/x", "192.0.2.2", 105), 4, "another path");
        assert_eq!(ask("/x", "192.0.2.2", 104), 5, "a clock that went back");
    }

    #[test]
    fn a_withdrawn_key_kills_its_remembered_tokens() {
        let bench = Bench::new();
        let (verifier, store) = verifier();
        let token = token(|_| {});
        assert!(bench.ask(&verifier, 1, &token, &[0], now()).is_ok());
        store.install(Ok(set(&[EC.jwk("ec")])), now()).unwrap();
        let answer = bench.ask(&verifier, 1, &token, &[0], now());
        assert_eq!(answer.err(), Some(TokenProblem::Bad(BadToken::UnknownKey)));
    }

    #[test]
    fn a_remembered_token_dies_with_its_time_its_keys_and_its_verifier() {
        let mut settings = issuer("main", ISSUER, nowhere());
        settings.stale_max = std::time::Duration::from_secs(100);
        let (verifier, _) = verifier_with(&settings);
        let bench = Bench::new();
        let now = now();
        let brief = token(|claims| claims["exp"] = json!(now + 20));
        assert!(bench.ask(&verifier, 1, &brief, &[0], now).is_ok());
        let answer = bench.ask(&verifier, 1, &brief, &[0], now + 31);
        assert_eq!(answer.err(), Some(TokenProblem::Bad(BadToken::Expired)));
        let lasting = token(|_| {});
        assert!(bench.ask(&verifier, 1, &lasting, &[0], now).is_ok());
        let answer = bench.ask(&verifier, 1, &lasting, &[0], now + 200);
        assert_eq!(answer.err(), Some(TokenProblem::KeysUnavailable));
        // A reloaded configuration may have other issuers at the same positions.
        let strange = issuer("strange", "https://strange.example", nowhere());
        let (reloaded, _) = verifier_with(&strange);
        let answer = bench.ask(&reloaded, 1, &lasting, &[0], now);
        assert_eq!(answer.err(), Some(TokenProblem::Bad(BadToken::Issuer)));
    }

    #[test]
    fn what_is_not_believed_any_more_is_swept_out_and_the_rest_stays() {
        let (verifier, store) = verifier();
        let (bench, now) = (Bench::new(), now());
        let numbered = |number: i64| token(|claims| claims["jti"] = json!(number));
        for number in 0..6 {
            assert!(bench.ask(&verifier, 1, &numbered(number), &[0], now + 40 * number).is_ok());
        }
        bench.cache.sweep(&verifier, now + 299);
        assert_eq!(bench.cache.len(), 6);
        bench.cache.sweep(&verifier, now + 300 + 40);
        assert_eq!(bench.cache.len(), 4, "two are as old as an entry may be");
        let bound = bench.bound.get();
        assert!(bench.ask(&verifier, 1, &numbered(5), &[0], now + 340).is_ok());
        assert_eq!(bench.bound.get(), bound, "what stays is remembered");
        store.install(Ok(set(&[EC.jwk("ec")])), now).unwrap();
        bench.cache.sweep(&verifier, now + 340);
        assert!(bench.cache.is_empty(), "their key was withdrawn");
    }

    #[test]
    fn the_cache_is_bounded() {
        let (verifier, _) = verifier();
        let bench = Bench { cache: TokenCache::new(4), ..Bench::new() };
        for number in 0..20 {
            let token = token(|claims| claims["jti"] = json!(number));
            assert!(bench.ask(&verifier, 1, &token, &[0], now()).is_ok());
        }
        assert!(bench.cache.len() <= 12, "{}", bench.cache.len());
    }
}
