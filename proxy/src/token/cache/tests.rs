//! What the cache believes, for how long, and what its entries share.

use std::cell::Cell;
use std::sync::Arc;

use http::HeaderValue;
use portcullis_policy::decision::Generation;
use portcullis_policy::signals::Fact;
use portcullis_policy::{CompiledPolicies, PolicySet};
use serde_json::json;

use super::super::fixtures::{
    EC, ISSUER, RSA, issuer, now, set, token, unused_source, verifier, verifier_with,
};
use super::super::keys::KeyStore;
use super::super::verify::{TokenProblem, Verifier};
use super::{CachedPrincipal, Fingerprints, Lookup, Presented, TokenCache, authenticate};
use crate::refusal::BadToken;

type Answer = Result<Arc<CachedPrincipal>, TokenProblem>;

struct Bench {
    cache: TokenCache,
    /// Hits, rebound ones, misses.
    lookups: Cell<[u64; 3]>,
    may_verify: Cell<bool>,
}

impl Bench {
    fn new() -> Self {
        Self { cache: TokenCache::new(100), lookups: Cell::default(), may_verify: Cell::new(true) }
    }

    fn ask(&self, verifier: &Verifier, generation: u64, token: &str, accepted: &[usize], now: i64) -> Answer {
        let policies = CompiledPolicies::compile(PolicySet::default(), Generation(generation)).unwrap();
        let presented = Presented { token: token.as_bytes(), accepted, now };
        authenticate(
            verifier,
            &self.cache,
            &policies,
            presented,
            || self.may_verify.get(),
            |lookup| {
                let [hits, rebound, misses] = self.lookups.get();
                self.lookups.set(match lookup {
                    Lookup::Hit => [hits + 1, rebound, misses],
                    Lookup::Rebound => [hits, rebound + 1, misses],
                    Lookup::Miss(_) => [hits, rebound, misses + 1],
                });
            },
        )
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
    assert_eq!(bench.cache.len(), 1);
    assert_eq!(bench.lookups.get(), [1, 0, 1]);
}

#[test]
fn people_of_one_standing_share_it_and_nothing_else() {
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
    let of = |caller: &CachedPrincipal| {
        let (token, principal) = (caller.token(), caller.token().principal());
        let device = token.device().and_then(|device| device.device_id.map(str::to_owned));
        (principal.id.to_string(), token.user_name().map(str::to_owned), device, principal.auth_time)
    };
    assert_eq!(
        of(&bert),
        ("bert".into(), Some("bert@example.org".into()), Some("berts".into()), Some(now - 77))
    );
    assert_eq!((of(&anna).0, of(&anna).1), ("anna".into(), Some("anna@example.org".into())));
    let standing = |caller: &CachedPrincipal| Arc::clone(&caller.token().principal().standing);
    assert!(Arc::ptr_eq(&standing(&anna), &standing(&bert)));
    let carl = ask(&|claims| claims["groups"] = json!(["g1", "admins"]));
    assert!(!Arc::ptr_eq(&standing(&anna), &standing(&carl)));
    let header = |caller: &CachedPrincipal| {
        caller.token().groups_header(|groups| {
            let Fact::Known(groups) = groups else { return None };
            HeaderValue::from_str(&groups.join(",")).ok()
        })
    };
    assert_eq!(
        (header(&anna).unwrap(), header(&carl).unwrap()),
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
    assert_eq!((first.scope().generation(), second.scope().generation()), (Generation(1), Generation(2)));
    assert_eq!(bench.lookups.get(), [0, 1, 1]);
    assert!(Arc::ptr_eq(&first.token().principal().standing, &second.token().principal().standing));
    assert_eq!(second.verified_at, now);
    let third = bench.ask(&verifier, 2, &token, &[0], now + 301).unwrap();
    assert_eq!(third.verified_at, now + 301);
}

#[test]
fn a_remembered_token_does_not_pass_for_an_app_of_another_issuer() {
    let main = issuer("main", ISSUER, unused_source());
    let other = issuer("other", "https://other.example", unused_source());
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
    let mut settings = issuer("main", ISSUER, unused_source());
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
    let strange = issuer("strange", "https://strange.example", unused_source());
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
    let lookups = bench.lookups.get();
    assert!(bench.ask(&verifier, 1, &numbered(5), &[0], now + 340).is_ok());
    assert_eq!(bench.lookups.get(), [lookups[0] + 1, lookups[1], lookups[2]], "what stays is remembered");
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

#[test]
fn only_a_token_that_is_not_remembered_asks_whether_it_may_be_verified() {
    let ((verifier, _), bench, token, now) = (verifier(), Bench::new(), token(|_| {}), now());
    bench.may_verify.set(false);
    let refused = bench.ask(&verifier, 1, &token, &[0], now).err();
    assert_eq!(refused, Some(BadToken::NotTried.into()));
    bench.may_verify.set(true);
    assert!(bench.ask(&verifier, 1, &token, &[0], now).is_ok());
    bench.may_verify.set(false);
    assert!(bench.ask(&verifier, 1, &token, &[0], now).is_ok());
    assert!(bench.ask(&verifier, 2, &token, &[0], now).is_ok(), "new policies need no signature");
}

#[test]
fn an_expired_token_is_verified_once_and_no_other_bad_one_is_remembered() {
    let ((verifier, _), bench, now) = (verifier(), Bench::new(), now());
    let expired = token(|claims| claims["exp"] = json!(now - 100));
    let early = token(|claims| claims["nbf"] = json!(now + 100));
    let ask = |token: &str, at: i64| bench.ask(&verifier, 1, token, &[0], at).err();
    assert_eq!(ask(&expired, now), Some(BadToken::Expired.into()));
    assert_eq!(ask(&early, now), Some(BadToken::NotYetValid.into()));
    bench.may_verify.set(false);
    assert_eq!(ask(&expired, now), Some(BadToken::Expired.into()));
    assert_eq!(ask(&expired, now + 86_400), Some(BadToken::Expired.into()));
    assert_eq!(ask(&early, now), Some(BadToken::NotTried.into()));
    // A clock that is set back may find it good, and other keys may not know it.
    assert_eq!(ask(&expired, now - 1), Some(BadToken::NotTried.into()));
    let (other, _) = verifier_with(&issuer("main", ISSUER, unused_source()));
    assert_eq!(bench.ask(&other, 1, &expired, &[0], now).err(), Some(BadToken::NotTried.into()));
}
