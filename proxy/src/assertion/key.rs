//! The keys that sign assertions, and how they are published.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::json;

/// A private key on the curve P-256, and what is known of it in public.
pub struct AssertionKey {
    pair: EcdsaKeyPair,
    /// Its thumbprint (RFC 7638).
    kid: String,
    x: String,
    y: String,
    /// The header of what it signs, as it stands in a token, with the dot behind it.
    token_start: String,
}

impl fmt::Debug for AssertionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AssertionKey").field("kid", &self.kid).finish_non_exhaustive()
    }
}

/// Why a key cannot sign assertions. Says nothing of what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AssertionKeyFault {
    /// No private key in PKCS#8.
    #[error(
        "it is no PEM file with a `PRIVATE KEY` in PKCS#8; \
         `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256` makes one"
    )]
    NoKey,
    /// Another kind of key.
    #[error("its key is not one of the curve P-256, which ES256 signs with")]
    Curve,
}

/// The type of our tokens (RFC 8725, section 3.11): another token can pass for none of them, nor one of them for another.
const TYPE: &str = "portcullis-assertion+jwt";
/// Bytes of a coordinate.
const COORDINATE: usize = 32;

impl AssertionKey {
    /// Reads a key from the text of a PEM file.
    ///
    /// # Errors
    /// When it holds no P-256 key in PKCS#8 (RFC 5208, section 5).
    pub fn from_pem(pem: &[u8]) -> Result<Self, AssertionKeyFault> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem).map_err(|_| AssertionKeyFault::NoKey)?;
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der.secret_pkcs8_der())
            .map_err(|_| AssertionKeyFault::Curve)?;
        // An uncompressed point: 4, x, y (SEC 1, section 2.3.3).
        let point = pair.public_key().as_ref();
        let Some((4, (x, y))) =
            point.split_first().map(|(form, rest)| (*form, rest.split_at(rest.len() / 2)))
        else {
            return Err(AssertionKeyFault::Curve);
        };
        if (x.len(), y.len()) != (COORDINATE, COORDINATE) {
            return Err(AssertionKeyFault::Curve);
        }
        let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
        // The required members in this order and without white space (RFC 7638, section 3).
        let canonical = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        let kid = URL_SAFE_NO_PAD.encode(digest(&SHA256, canonical.as_bytes()));
        let header = format!(r#"{{"alg":"ES256","kid":"{kid}","typ":"{TYPE}"}}"#);
        let token_start = URL_SAFE_NO_PAD.encode(header) + ".";
        Ok(Self { pair, kid, x, y, token_start })
    }

    /// A token of this payload (RFC 7515, section 7.1); `None` when the library cannot sign.
    pub(super) fn sign(&self, payload: &[u8]) -> Option<String> {
        let mut token = String::with_capacity(self.token_start.len() + payload.len() * 4 / 3 + 96);
        token.push_str(&self.token_start);
        URL_SAFE_NO_PAD.encode_string(payload, &mut token);
        let signature = self.pair.sign(&SystemRandom::new(), token.as_bytes()).ok()?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Some(token)
    }
}

/// The public halves as a JWK set.
pub(super) fn key_set(keys: &[AssertionKey]) -> Vec<u8> {
    let public = |key: &AssertionKey| json!({"kty": "EC", "crv": "P-256", "x": key.x, "y": key.y, "kid": key.kid, "use": "sig", "alg": "ES256"});
    let keys: Vec<_> = keys.iter().map(public).collect();
    json!({ "keys": keys }).to_string().into_bytes()
}
