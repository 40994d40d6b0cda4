//! Keys, issuers and tokens for the tests of this module, made anew in each run.

use std::sync::{Arc, LazyLock, Once};
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
    RsaEncoding,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_config::settings::{Claims, Issuer, KeySource};
use portcullis_policy::decision::Generation;
use portcullis_policy::signals::IssuerEvidence;
use portcullis_policy::{CompiledPolicies, PolicySet};
use serde_json::{Value, json};

use super::cache::{Presented, TokenCache, authenticate};
use super::cached::CachedPrincipal;
use super::fetch::Document;
use super::keys::KeyStore;
use super::verified::VerifiedToken;
use super::verify::{TokenProblem, Verifier};

pub(super) const ISSUER: &str = "https://id.example/tenant";
pub(super) const AUDIENCE: &str = "api://portcullis";

/// A private key and its public half as a JWK without `kid`.
pub(super) struct TestKey {
    private: Private,
    pub(super) public: Value,
}

enum Private {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

pub(super) static RSA: LazyLock<TestKey> = LazyLock::new(rsa);
pub(super) static RSA_OTHER: LazyLock<TestKey> = LazyLock::new(rsa);
pub(super) static EC: LazyLock<TestKey> = LazyLock::new(|| {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let point = pair.public_key().as_ref();
    let public = json!({"kty": "EC", "crv": "P-256", "x": b64(&point[1..33]), "y": b64(&point[33..65])});
    TestKey { private: Private::Ec(pair), public }
});

pub(super) static ED: LazyLock<TestKey> = LazyLock::new(|| {
    let pair = Ed25519KeyPair::generate().unwrap();
    let public = json!({"kty": "OKP", "crv": "Ed25519", "x": b64(pair.public_key().as_ref())});
    TestKey { private: Private::Ed(pair), public }
});

fn rsa() -> TestKey {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let public = json!({
        "kty": "RSA",
        "use": "sig",
        "n": b64(pair.public_key().modulus().big_endian_without_leading_zero()),
        "e": b64(pair.public_key().exponent().big_endian_without_leading_zero()),
    });
    TestKey { private: Private::Rsa(pair), public }
}

impl TestKey {
    pub(super) fn jwk(&self, kid: &str) -> Value {
        let mut jwk = self.public.clone();
        jwk["kid"] = json!(kid);
        jwk
    }

    /// A token over these very texts.
    pub(super) fn sign(&self, header: &str, payload: &str) -> String {
        self.sign_as(&RSA_PKCS1_SHA256, header, payload)
    }

    /// The same, with another encoding if it is an RSA key.
    pub(super) fn sign_as(&self, encoding: &'static dyn RsaEncoding, header: &str, payload: &str) -> String {
        install();
        let message = format!("{}.{}", b64(header.as_bytes()), b64(payload.as_bytes()));
        let random = SystemRandom::new();
        let signature = match &self.private {
            Private::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(encoding, &random, message.as_bytes(), &mut signature).unwrap();
                signature
            }
            Private::Ec(pair) => pair.sign(&random, message.as_bytes()).unwrap().as_ref().to_vec(),
            Private::Ed(pair) => pair.sign(message.as_bytes()).as_ref().to_vec(),
        };
        format!("{message}.{}", b64(&signature))
    }
}

pub(super) fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    });
}

pub(super) fn b64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(super) use crate::clock::unix_now as now;

pub(super) fn issuer(name: &str, issuer: &str, keys: KeySource) -> Issuer {
    Issuer {
        name: name.into(),
        issuer: issuer.into(),
        audiences: vec![AUDIENCE.into()],
        algorithms: vec!["RS256".into(), "ES256".into()],
        types: vec!["jwt".into(), "at+jwt".into()],
        keys,
        ca: None,
        leeway: Duration::from_secs(10),
        max_age: None,
        refresh: Duration::from_secs(3600),
        refresh_min: Duration::from_secs(30),
        stale_max: Duration::from_secs(7200),
        claims: Claims::default(),
        evidence: IssuerEvidence::ANY,
    }
}

pub(super) fn unused_source() -> KeySource {
    KeySource::Url("https://unused.invalid/".into())
}

pub(super) fn set(keys: &[Value]) -> Document {
    Document { body: json!({ "keys": keys }).to_string().into_bytes(), max_age: None }
}

/// A verifier for one issuer, whose keys are `rsa` and `ec`.
pub(super) fn verifier_with(settings: &Issuer) -> (Verifier, Arc<KeyStore>) {
    let store = Arc::new(KeyStore::new(settings));
    store.install(Ok(set(&[RSA.jwk("rsa"), EC.jwk("ec")])), now()).unwrap();
    (Verifier::new(std::slice::from_ref(settings), vec![Arc::clone(&store)]), store)
}

pub(super) fn verifier() -> (Verifier, Arc<KeyStore>) {
    verifier_with(&issuer("main", ISSUER, unused_source()))
}

/// Claims of a good token, changed by `change`.
pub(super) fn claims(change: impl FnOnce(&mut Value)) -> Value {
    let now = now();
    let mut claims = json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": "anna", "preferred_username": "anna@example.org",
        "iat": now - 60, "nbf": now - 60, "exp": now + 600, "groups": ["g1", "g2"],
    });
    change(&mut claims);
    claims
}

pub(super) const HEADER: &str = r#"{"alg":"RS256","typ":"JWT","kid":"rsa"}"#;

pub(super) fn token(change: impl FnOnce(&mut Value)) -> String {
    RSA.sign(HEADER, &claims(change).to_string())
}

/// Verifies a token with the keys of [`verifier`].
pub(super) fn verify(token: &str) -> Result<VerifiedToken, TokenProblem> {
    verifier().0.verify(token, &[0], now())
}

/// The verified good token with claims that `change` changed.
pub(super) fn read(change: impl FnOnce(&mut Value)) -> VerifiedToken {
    verify(&token(change)).unwrap()
}

/// The holder of the good token with claims that `change` changed, as requests see him.
pub(crate) fn caller(change: impl FnOnce(&mut Value)) -> Arc<CachedPrincipal> {
    let policies = CompiledPolicies::compile(PolicySet::default(), Generation(1)).unwrap();
    let (cache, token) = (TokenCache::new(1), token(change));
    let presented = Presented { token: token.as_bytes(), accepted: &[0], now: now() };
    authenticate(&verifier().0, &cache, &policies, presented, || true, |_| {}).unwrap()
}
