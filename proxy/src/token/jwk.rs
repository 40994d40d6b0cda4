//! Key sets (RFC 7517). A key is bound to exactly one algorithm when it is read, so that no token
//! ever chooses how it is verified.

use std::collections::{HashMap, HashSet};

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::{Map, Value};

use super::strict::StrictObject;

/// Keys that a set may hold; real sets hold fewer than ten.
const KEYS_MAX: usize = 128;

/// The usable keys of one issuer, as one document gave them. Never changes.
#[derive(Debug)]
pub struct KeySet {
    keys: Vec<VerificationKey>,
    by_kid: HashMap<Box<str>, usize>,
    /// Equal for sets with the same keys, whatever their order.
    fingerprint: [u8; 32],
}

/// A public key and the one algorithm that it verifies.
#[derive(Debug)]
pub(super) struct VerificationKey {
    pub(super) algorithm: Algorithm,
    pub(super) key: DecodingKey,
}

/// Why a document is no key set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    /// It is no JSON object with a `keys` array, or a member is repeated.
    #[error("the document is no JWK set")]
    Malformed,
    /// Two keys have one `kid`: which of them is meant cannot be told.
    #[error("the JWK set has two keys with one kid")]
    RepeatedKid,
    /// It has more keys than any real set.
    #[error("the JWK set has too many keys")]
    TooMany,
    /// No key in it can verify a signature that is accepted.
    #[error("the JWK set has no usable key")]
    Empty,
}

impl KeySet {
    /// Reads a JWK set (RFC 7517, section 5). Keys that are symmetric, too weak, not for
    /// signatures, or bound to an algorithm that is not among `algorithms` are left out, as
    /// section 5 asks; a set that is ambiguous is refused as a whole.
    ///
    /// # Errors
    /// [`KeySetError`] when the document is no set, is ambiguous, or has no usable key.
    pub fn parse(document: &[u8], algorithms: &[String]) -> Result<Self, KeySetError> {
        let StrictObject(members) = serde_json::from_slice(document).map_err(|_| KeySetError::Malformed)?;
        let entries = members.get("keys").and_then(Value::as_array).ok_or(KeySetError::Malformed)?;
        if entries.len() > KEYS_MAX {
            return Err(KeySetError::TooMany);
        }
        let mut kids = HashSet::new();
        let mut keys = Vec::new();
        let mut by_kid = HashMap::new();
        let mut lines = Vec::new();
        for entry in entries {
            let Some(jwk) = entry.as_object() else { return Err(KeySetError::Malformed) };
            let kid = match jwk.get("kid") {
                None => None,
                Some(Value::String(kid)) => Some(kid.as_str()),
                Some(_) => return Err(KeySetError::Malformed),
            };
            // Counted over all entries, usable or not: an ambiguity is one either way.
            if kid.is_some_and(|kid| !kids.insert(kid)) {
                return Err(KeySetError::RepeatedKid);
            }
            let Some(bound) = bind(jwk) else { continue };
            let name = algorithm_name(bound.algorithm);
            if !algorithms.iter().any(|accepted| accepted == name) {
                continue;
            }
            let material = ["n", "e", "x", "y"].map(|part| jwk.get(part).and_then(Value::as_str));
            lines.push(serde_json::json!([kid, name, material]).to_string());
            if let Some(kid) = kid {
                by_kid.insert(kid.into(), keys.len());
            }
            keys.push(bound);
        }
        if keys.is_empty() {
            return Err(KeySetError::Empty);
        }
        lines.sort_unstable();
        let digest = digest::digest(&digest::SHA256, lines.join("\n").as_bytes());
        let fingerprint = digest.as_ref().try_into().map_err(|_| KeySetError::Malformed)?;
        Ok(Self { keys, by_kid, fingerprint })
    }

    /// How many keys are usable; at least one.
    #[must_use]
    pub fn count(&self) -> usize {
        self.keys.len()
    }

    /// Whether both sets have the same keys.
    pub(super) fn same_keys(&self, other: &Self) -> bool {
        self.fingerprint == other.fingerprint
    }

    /// The key of this name.
    pub(super) fn named(&self, kid: &str) -> Option<&VerificationKey> {
        self.by_kid.get(kid).and_then(|&position| self.keys.get(position))
    }

    /// The key of this algorithm, if there is exactly one.
    pub(super) fn only(&self, algorithm: Algorithm) -> Option<&VerificationKey> {
        let mut fitting = self.keys.iter().filter(|key| key.algorithm == algorithm);
        match (fitting.next(), fitting.next()) {
            (Some(key), None) => Some(key),
            _ => None,
        }
    }
}

/// The algorithm's name (RFC 7518, section 3.1; RFC 8037, section 3.1); empty for a symmetric
/// one, which no configuration accepts.
pub(super) const fn algorithm_name(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::RS256 => "RS256",
        Algorithm::RS384 => "RS384",
        Algorithm::RS512 => "RS512",
        Algorithm::PS256 => "PS256",
        Algorithm::PS384 => "PS384",
        Algorithm::PS512 => "PS512",
        Algorithm::ES256 => "ES256",
        Algorithm::ES384 => "ES384",
        Algorithm::EdDSA => "EdDSA",
        _ => "",
    }
}

/// The asymmetric algorithm of this name.
pub(super) fn algorithm_named(name: &str) -> Option<Algorithm> {
    [
        Algorithm::RS256,
        Algorithm::RS384,
        Algorithm::RS512,
        Algorithm::PS256,
        Algorithm::PS384,
        Algorithm::PS512,
        Algorithm::ES256,
        Algorithm::ES384,
        Algorithm::EdDSA,
    ]
    .into_iter()
    .find(|&algorithm| algorithm_name(algorithm) == name)
}

/// Reads one key; `None` when it must not verify anything.
fn bind(jwk: &Map<String, Value>) -> Option<VerificationKey> {
    let text = |name: &str| jwk.get(name).and_then(Value::as_str);
    if jwk.get("use").is_some() && text("use") != Some("sig") {
        return None;
    }
    if let Some(operations) = jwk.get("key_ops") {
        operations.as_array()?.iter().find(|operation| operation.as_str() == Some("verify"))?;
    }
    // A published private key is anybody's.
    if jwk.contains_key("d") || jwk.contains_key("k") {
        return None;
    }
    let told = match jwk.get("alg") {
        None => None,
        Some(name) => Some(algorithm_named(name.as_str()?)?),
    };
    match text("kty")? {
        "RSA" => {
            let algorithm = told.unwrap_or(Algorithm::RS256);
            if !algorithm_name(algorithm).starts_with("RS") && !algorithm_name(algorithm).starts_with("PS") {
                return None;
            }
            let modulus = decode(text("n")?)?;
            let exponent = decode(text("e")?)?;
            if !(2048..=8192).contains(&bits(&modulus)) {
                return None;
            }
            // Below 3 or even, an exponent makes signatures that anybody can write.
            if !(2..=33).contains(&bits(&exponent)) || exponent.last().is_none_or(|low| low % 2 == 0) {
                return None;
            }
            Some(VerificationKey {
                algorithm,
                key: DecodingKey::from_rsa_raw_components(&modulus, &exponent),
            })
        }
        "EC" => {
            let (algorithm, length) = match text("crv")? {
                "P-256" => (Algorithm::ES256, 32),
                "P-384" => (Algorithm::ES384, 48),
                _ => return None,
            };
            let (x, y) = (text("x")?, text("y")?);
            let whole = decode(x)?.len() == length && decode(y)?.len() == length;
            if told.is_some_and(|told| told != algorithm) || !whole {
                return None;
            }
            let key = DecodingKey::from_ec_components(x, y).ok()?;
            Some(VerificationKey { algorithm, key })
        }
        "OKP" => {
            let x = text("x")?;
            if text("crv")? != "Ed25519" || decode(x)?.len() != 32 {
                return None;
            }
            if told.is_some_and(|told| told != Algorithm::EdDSA) {
                return None;
            }
            let key = DecodingKey::from_ed_components(x).ok()?;
            Some(VerificationKey { algorithm: Algorithm::EdDSA, key })
        }
        // `oct` would let a public document sign.
        _ => None,
    }
}

fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// The length in bits of a big-endian number.
fn bits(number: &[u8]) -> usize {
    let zeros = number.iter().take_while(|&&byte| byte == 0).count();
    match number.get(zeros) {
        None => 0,
        Some(first) => (number.len() - zeros) * 8 - first.leading_zeros() as usize,
    }
}
