//! An issuer of the tests' own: fresh keys in each run, and tokens over any text whatever.

use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

pub(crate) const ISSUER: &str = "https://id.test/tenant";
pub(crate) const AUDIENCE: &str = "api://wiki";

/// The issuer's keys: `ec` and `rsa`.
pub(crate) static EC: LazyLock<EcdsaKeyPair> = LazyLock::new(ec);
/// A key that no document holds.
pub(crate) static STRANGER: LazyLock<EcdsaKeyPair> = LazyLock::new(ec);
pub(crate) static RSA: LazyLock<RsaKeyPair> =
    LazyLock::new(|| RsaKeyPair::generate(KeySize::Rsa2048).unwrap());

fn ec() -> EcdsaKeyPair {
    EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap()
}

pub(crate) fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(crate) fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

/// A public key as a JWK.
pub(crate) fn ec_jwk(pair: &EcdsaKeyPair, kid: &str) -> Value {
    let point = pair.public_key().as_ref();
    json!({"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": kid, "x": b64(&point[1..33]), "y": b64(&point[33..65])})
}

/// The issuer's document.
pub(crate) fn jwks() -> String {
    let public = RSA.public_key();
    let rsa = json!({
        "kty": "RSA", "use": "sig", "alg": "RS256", "kid": "rsa",
        "n": b64(public.modulus().big_endian_without_leading_zero()),
        "e": b64(public.exponent().big_endian_without_leading_zero()),
    });
    json!({ "keys": [ec_jwk(&EC, "ec"), rsa] }).to_string()
}

/// A token over these very texts, signed with ES256.
pub(crate) fn sign(pair: &EcdsaKeyPair, header: &str, payload: &str) -> String {
    let message = format!("{}.{}", b64(header), b64(payload));
    let signature = pair.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
    format!("{message}.{}", b64(signature.as_ref()))
}

/// The same with RS256.
pub(crate) fn sign_rsa(header: &str, payload: &str) -> String {
    let message = format!("{}.{}", b64(header), b64(payload));
    let mut signature = vec![0; RSA.public_modulus_len()];
    RSA.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message.as_bytes(), &mut signature).unwrap();
    format!("{message}.{}", b64(&signature))
}

pub(crate) const HEADER: &str = r#"{"alg":"ES256","typ":"JWT","kid":"ec"}"#;

/// Claims of a good token.
pub(crate) fn claims() -> Value {
    let now = now();
    json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": "anna", "preferred_username": "anna@corp.example",
        "email": "anna@corp.example", "groups": ["staff"], "amr": ["pwd", "mfa"],
        "iat": now - 5, "nbf": now - 5, "auth_time": now - 5, "exp": now + 600,
    })
}

/// A good token, but for what `change` does to its claims.
pub(crate) fn token_with(change: impl FnOnce(&mut Value)) -> String {
    let mut claims = claims();
    change(&mut claims);
    sign(&EC, HEADER, &claims.to_string())
}

/// A good token.
pub(crate) fn token() -> String {
    token_with(|_| {})
}
