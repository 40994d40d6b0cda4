//! Key sets (RFC 7517). A key is bound to the algorithms that it may verify when it is read, so that no token
//! ever chooses how it is verified. A key that cannot be used costs only itself.

use std::collections::HashMap;
use std::fmt;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::Value;

use super::strict::{StrictObject, without_bom};

/// Keys that a set may hold; real sets hold fewer than ten.
const KEYS_MAX: usize = 128;

/// The usable keys of one issuer, as one document gave them. Never changes.
#[derive(Debug)]
pub struct KeySet {
    keys: Vec<VerificationKey>,
    by_kid: HashMap<Box<str>, Vec<usize>>,
    unused: Vec<UnusedKey>,
    /// Equal for sets with the same keys, whatever their order.
    fingerprint: [u8; 32],
}

/// A public key and the algorithms that it verifies.
#[derive(Debug)]
pub(super) struct VerificationKey {
    kid: Option<Box<str>>,
    /// Those of its kind that its issuer's `algorithms` accept; only the one that it names, if it names one.
    algorithms: Vec<Algorithm>,
    pub(super) key: DecodingKey,
    /// The numbers that it consists of.
    material: Box<str>,
}

/// A key that verifies nothing, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnusedKey {
    /// Its `kid`, if it has one.
    pub kid: Option<Box<str>>,
    /// What is wrong with it.
    pub fault: KeyFault,
}

/// Why a key is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyFault {
    /// It is no object, or a member has the wrong type.
    Malformed,
    /// `use` or `key_ops` say that it is for something else, encryption mostly.
    Use,
    /// It is symmetric or private: a published secret is no secret.
    Secret,
    /// Its kind, curve or `alg` is none that can be verified.
    Algorithm,
    /// Its issuer is not accepted with its algorithm.
    NotConfigured,
    /// Too short, or with an exponent that makes signatures forgeable.
    Weak,
    /// Another key has the same `kid` and algorithm: which of them is meant is unclear.
    Ambiguous,
}

impl KeyFault {
    /// Every fault.
    pub const ALL: [Self; 7] = [
        Self::Malformed,
        Self::Use,
        Self::Secret,
        Self::Algorithm,
        Self::NotConfigured,
        Self::Weak,
        Self::Ambiguous,
    ];

    /// The word for logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Use => "other-use",
            Self::Secret => "secret",
            Self::Algorithm => "algorithm",
            Self::NotConfigured => "not-configured",
            Self::Weak => "weak",
            Self::Ambiguous => "ambiguous",
        }
    }
}

/// What is wrong with the first key of a set that has none that is usable.
fn first(fault: Option<KeyFault>) -> String {
    let Some(fault) = fault else { return String::new() };
    let words = match fault {
        KeyFault::Malformed => "malformed: it lacks a member, or one has the wrong form",
        KeyFault::Use => "for something else than to verify signatures, by its `use` or `key_ops`",
        KeyFault::Secret => "secret: publish no `d` and no `k`, and no key of `kty` `oct`",
        KeyFault::Algorithm => "of a `kty`, `crv` or `alg` that verifies nothing here",
        KeyFault::NotConfigured => "for an algorithm that is not among the issuer's `algorithms`",
        KeyFault::Weak => "an RSA key of less than 2048 bits, of more than 8192, or of an unfit exponent",
        KeyFault::Ambiguous => "ambiguous: another has its `kid` and algorithm",
    };
    format!("; the first is {words}")
}

impl fmt::Display for UnusedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The source's text is escaped: it may hold line ends.
        match &self.kid {
            Some(kid) => write!(f, "{kid:.80?}: {}", self.fault.as_str()),
            None => write!(f, "without kid: {}", self.fault.as_str()),
        }
    }
}

/// Why a document is no key set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    /// It is no JSON object with a `keys` array, or a member is repeated.
    #[error("the document is no JWK set, `{{\"keys\": [{{…}}]}}`; a PEM file or a key alone is none")]
    Malformed,
    /// It has more keys than any real set.
    #[error("the JWK set has too many keys")]
    TooMany,
    /// No key in it can verify a signature that is accepted; what is wrong with the first, if it has any.
    #[error("the JWK set has no usable key{}", first(*.0))]
    Empty(Option<KeyFault>),
}

impl KeySet {
    /// Reads a JWK set (RFC 7517, section 5). Keys that are symmetric, too weak, not for
    /// signatures, or bound to an algorithm that is not among `algorithms` are left out, as
    /// section 5 asks. Of two different keys with one `kid` and algorithm neither serves it; the same key twice
    /// is one, and keys of different algorithms may share a `kid` (section 4.5).
    ///
    /// # Errors
    /// [`KeySetError`] when the document is no set or has no usable key.
    pub fn parse(document: &[u8], algorithms: &[String]) -> Result<Self, KeySetError> {
        let StrictObject(members) =
            serde_json::from_slice(without_bom(document)).map_err(|_| KeySetError::Malformed)?;
        let entries = members.get("keys").and_then(Value::as_array).ok_or(KeySetError::Malformed)?;
        if entries.len() > KEYS_MAX {
            return Err(KeySetError::TooMany);
        }
        let accepted: Vec<Algorithm> = algorithms.iter().filter_map(|name| algorithm_named(name)).collect();
        let mut keys: Vec<VerificationKey> = Vec::new();
        let mut unused = Vec::new();
        for entry in entries {
            let kid = entry.get("kid").and_then(Value::as_str).map(Box::from);
            match bind(entry, &accepted) {
                Ok(key) => {
                    let same =
                        keys.iter_mut().find(|known| known.kid == kid && known.material == key.material);
                    match same {
                        Some(known) => {
                            let more = key.algorithms.iter().filter(|one| !known.algorithms.contains(one));
                            let more: Vec<Algorithm> = more.copied().collect();
                            known.algorithms.extend(more);
                        }
                        None => keys.push(VerificationKey { kid, ..key }),
                    }
                }
                Err(fault) => unused.push(UnusedKey { kid, fault }),
            }
        }
        for (position, algorithm) in ambiguous(&keys) {
            if let Some(key) = keys.get_mut(position) {
                key.algorithms.retain(|one| *one != algorithm);
                if key.algorithms.is_empty() {
                    unused.push(UnusedKey { kid: key.kid.clone(), fault: KeyFault::Ambiguous });
                }
            }
        }
        keys.retain(|key| !key.algorithms.is_empty());
        if keys.is_empty() {
            return Err(KeySetError::Empty(unused.first().map(|key| key.fault)));
        }
        let mut by_kid: HashMap<Box<str>, Vec<usize>> = HashMap::new();
        for (position, key) in keys.iter().enumerate() {
            if let Some(kid) = &key.kid {
                by_kid.entry(kid.clone()).or_default().push(position);
            }
        }
        let fingerprint = fingerprint(&keys).ok_or(KeySetError::Malformed)?;
        Ok(Self { keys, by_kid, unused, fingerprint })
    }

    /// How many keys are usable; at least one.
    #[must_use]
    pub fn count(&self) -> usize {
        self.keys.len()
    }

    /// The keys that verify nothing.
    #[must_use]
    pub fn unused(&self) -> &[UnusedKey] {
        &self.unused
    }

    /// Whether both sets have the same keys.
    pub(super) fn same_keys(&self, other: &Self) -> bool {
        self.fingerprint == other.fingerprint
    }

    /// The key of this `kid` that verifies this algorithm.
    ///
    /// # Errors
    /// [`NoKey`]: whether the `kid` is known.
    pub(super) fn named(&self, kid: &str, algorithm: Algorithm) -> Result<&VerificationKey, NoKey> {
        let positions = self.by_kid.get(kid).ok_or(NoKey::UnknownKid)?;
        let mut keys = positions.iter().filter_map(|&position| self.keys.get(position));
        // INVARIANT: no two keys of one name serve one algorithm.
        keys.find(|key| key.algorithms.contains(&algorithm)).ok_or(NoKey::OtherAlgorithm)
    }

    /// The key of this algorithm, if there is exactly one.
    pub(super) fn only(&self, algorithm: Algorithm) -> Option<&VerificationKey> {
        let mut fitting = self.keys.iter().filter(|key| key.algorithms.contains(&algorithm));
        let first = fitting.next()?;
        fitting.all(|other| other.material == first.material).then_some(first)
    }
}

/// Why no key of a `kid` serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoKey {
    /// No key has this `kid`.
    UnknownKid,
    /// No key that has it serves the algorithm.
    OtherAlgorithm,
}

/// Positions of keys that share `kid` and algorithm with another key, and that algorithm.
fn ambiguous(keys: &[VerificationKey]) -> Vec<(usize, Algorithm)> {
    let mut found = Vec::new();
    for (position, key) in keys.iter().enumerate().filter(|(_, key)| key.kid.is_some()) {
        for &algorithm in &key.algorithms {
            let is_shared = keys.iter().enumerate().any(|(index, other)| {
                index != position && other.kid == key.kid && other.algorithms.contains(&algorithm)
            });
            if is_shared {
                found.push((position, algorithm));
            }
        }
    }
    found
}

fn fingerprint(keys: &[VerificationKey]) -> Option<[u8; 32]> {
    let mut lines: Vec<String> = keys
        .iter()
        .map(|key| {
            let mut names: Vec<&str> = key.algorithms.iter().map(|one| algorithm_name(*one)).collect();
            names.sort_unstable();
            serde_json::json!([key.kid, names, key.material]).to_string()
        })
        .collect();
    lines.sort_unstable();
    digest::digest(&digest::SHA256, lines.join("\n").as_bytes()).as_ref().try_into().ok()
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

/// The asymmetric algorithm of this name, or of one of those that name curve and hash as well (RFC 9864).
pub(super) fn algorithm_named(name: &str) -> Option<Algorithm> {
    match name {
        "Ed25519" => return Some(Algorithm::EdDSA),
        "ESP256" => return Some(Algorithm::ES256),
        "ESP384" => return Some(Algorithm::ES384),
        _ => {}
    }
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

/// Reads one key, for algorithms that its issuer is accepted with. A member that is null is absent.
fn bind(entry: &Value, accepted: &[Algorithm]) -> Result<VerificationKey, KeyFault> {
    let jwk = entry.as_object().ok_or(KeyFault::Malformed)?;
    let member = |name: &str| jwk.get(name).filter(|value| !value.is_null());
    let text = |name: &str| match member(name) {
        None => Ok(None),
        Some(value) => value.as_str().map(Some).ok_or(KeyFault::Malformed),
    };
    let required = |name: &str| text(name)?.ok_or(KeyFault::Malformed);
    text("kid")?;
    if text("use")?.is_some_and(|purpose| purpose != "sig") {
        return Err(KeyFault::Use);
    }
    if let Some(operations) = member("key_ops") {
        let operations = operations.as_array().ok_or(KeyFault::Malformed)?;
        if !operations.iter().any(|operation| operation.as_str() == Some("verify")) {
            return Err(KeyFault::Use);
        }
    }
    if member("d").is_some() || member("k").is_some() {
        return Err(KeyFault::Secret);
    }
    let named = match text("alg")? {
        None => None,
        Some(name) => Some(algorithm_named(name).ok_or(KeyFault::Algorithm)?),
    };
    let number = |name: &str| decode(required(name)?).ok_or(KeyFault::Malformed);
    let (possible, key, material): (&[Algorithm], _, _) = match required("kty")? {
        "RSA" => {
            let (modulus, exponent) = (number("n")?, number("e")?);
            // Some writers put a sign octet first; the library would take it for a part of the number.
            let (modulus, exponent) = (significant(&modulus), significant(&exponent));
            // An even exponent or one below 3 makes signatures forgeable.
            let is_odd = exponent.last().is_some_and(|low| low % 2 == 1);
            if !(2048..=8192).contains(&bits(modulus)) || !(2..=33).contains(&bits(exponent)) || !is_odd {
                return Err(KeyFault::Weak);
            }
            let key = DecodingKey::from_rsa_raw_components(modulus, exponent);
            (RSA, key, [modulus, exponent].map(|number| URL_SAFE_NO_PAD.encode(number)).join("."))
        }
        "EC" => {
            let (possible, length): (&[Algorithm], _) = match required("crv")? {
                "P-256" => (&[Algorithm::ES256], 32),
                "P-384" => (&[Algorithm::ES384], 48),
                _ => return Err(KeyFault::Algorithm),
            };
            let (x, y) = (required("x")?, required("y")?);
            if number("x")?.len() != length || number("y")?.len() != length {
                return Err(KeyFault::Malformed);
            }
            let key = DecodingKey::from_ec_components(x, y).map_err(|_| KeyFault::Malformed)?;
            (possible, key, [x, y].join("."))
        }
        "OKP" => {
            if required("crv")? != "Ed25519" {
                return Err(KeyFault::Algorithm);
            }
            let x = required("x")?;
            if number("x")?.len() != 32 {
                return Err(KeyFault::Malformed);
            }
            let key = DecodingKey::from_ed_components(x).map_err(|_| KeyFault::Malformed)?;
            (&[Algorithm::EdDSA], key, x.to_owned())
        }
        // It would let a public document sign.
        "oct" => return Err(KeyFault::Secret),
        _ => return Err(KeyFault::Algorithm),
    };
    if named.is_some_and(|named| !possible.contains(&named)) {
        return Err(KeyFault::Algorithm);
    }
    let serves = |one: &&Algorithm| named.is_none_or(|named| named == **one) && accepted.contains(one);
    let algorithms: Vec<Algorithm> = possible.iter().filter(serves).copied().collect();
    if algorithms.is_empty() {
        return Err(KeyFault::NotConfigured);
    }
    Ok(VerificationKey { kid: None, algorithms, key, material: material.into() })
}

/// What an RSA key can verify; its issuer's settings say which of them it does.
const RSA: &[Algorithm] = &[
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
];

/// A big-endian number without the zeros before it.
fn significant(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|&&byte| byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// The length in bits of a big-endian number without zeros before it.
fn bits(number: &[u8]) -> usize {
    number.first().map_or(0, |first| number.len() * 8 - first.leading_zeros() as usize)
}
