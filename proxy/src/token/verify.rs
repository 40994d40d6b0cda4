//! From text to a verified token. Nothing here asks the token how it wants to be verified: it may
//! only name one of its issuer's keys, and the key knows the algorithm.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Validation};
use portcullis_config::settings::Issuer;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::TokenProblem;
use super::claims::VerifiedToken;
use super::jwk::algorithm_named;
use super::keys::KeyStore;
use super::strict::StrictObject;
use crate::refusal::BadToken;

/// The longest token, in bytes.
pub const TOKEN_BYTES_MAX: usize = 16 * 1024;
/// The longest `kid` that is looked up, in bytes.
const KID_BYTES_MAX: usize = 1024;
/// The last second of the year 9999; no honest time lies behind it.
const TIME_MAX: i64 = 253_402_300_799;

/// Verifies tokens of the configured issuers.
#[derive(Debug)]
pub struct Verifier {
    issuers: Vec<Known>,
    instance: u32,
}

/// An issuer with its keys and what is asked of its tokens.
#[derive(Debug)]
struct Known {
    settings: Issuer,
    store: Arc<KeyStore>,
    validations: Vec<(Algorithm, Validation)>,
}

/// What the header says, as far as it is used.
struct Head {
    algorithm: Algorithm,
    kid: Option<String>,
}

/// What is read before the signature was verified: the claim that finds the keys, and nothing else.
#[derive(Deserialize)]
struct Peek {
    iss: String,
}

impl Verifier {
    /// A verifier for these issuers; `stores[i]` has the keys of `issuers[i]`. An issuer without a
    /// store has no tokens that verify.
    #[must_use]
    pub fn new(issuers: &[Issuer], stores: Vec<Arc<KeyStore>>) -> Self {
        static INSTANCES: AtomicU32 = AtomicU32::new(0);
        let issuers = issuers
            .iter()
            .zip(stores)
            .map(|(settings, store)| Known {
                validations: settings
                    .algorithms
                    .iter()
                    .filter_map(|name| algorithm_named(name))
                    .map(|algorithm| (algorithm, validation(settings, algorithm)))
                    .collect(),
                settings: settings.clone(),
                store,
            })
            .collect();
        Self { issuers, instance: INSTANCES.fetch_add(1, Ordering::Relaxed) }
    }

    /// Verifies a token of one of the `accepted` issuers (positions in the configuration), as of
    /// `now` (Unix seconds). RFC 7515, RFC 7519 and RFC 8725. Never waits.
    ///
    /// # Errors
    /// [`TokenProblem::Bad`] when the token must not be believed, and
    /// [`TokenProblem::KeysUnavailable`] when its issuer's keys are not at hand.
    pub fn verify(&self, token: &str, accepted: &[usize], now: i64) -> Result<VerifiedToken, TokenProblem> {
        let (header, payload) = split(token)?;
        let bytes = URL_SAFE_NO_PAD.decode(payload).map_err(|_| BadToken::Malformed)?;
        let (index, known) = self.issuer_of(&bytes)?;
        let head = read_header(header, &known.settings)?;
        let (set, generation) = known.store.usable(now).ok_or_else(|| {
            known.store.request_refresh();
            TokenProblem::KeysUnavailable
        })?;
        let key = match head.kid.as_deref() {
            Some(kid) => set.named(kid).ok_or_else(|| {
                known.store.request_refresh();
                BadToken::UnknownKey
            })?,
            // RFC 7515, section 4.1.4 leaves `kid` optional; guessing among several keys is not.
            None => set.only(head.algorithm).ok_or(BadToken::UnknownKey)?,
        };
        if key.algorithm != head.algorithm {
            return Err(BadToken::Header.into());
        }
        let validation = known
            .validations
            .iter()
            .find_map(|(algorithm, validation)| (*algorithm == key.algorithm).then_some(validation))
            .ok_or(BadToken::Header)?;
        let decoded = jsonwebtoken::decode::<StrictObject>(token, &key.key, validation).map_err(|error| {
            let bad = bad_token(error.kind());
            // Without `kid`, a new key shows itself only by a signature that does not verify.
            if bad == BadToken::Signature && head.kid.is_none() {
                known.store.request_refresh();
            }
            bad
        })?;
        let StrictObject(claims) = decoded.claims;
        let times = check_claims(&claims, &known.settings, now)?;
        // Asked last: before, it would tell strangers which issuers an app accepts.
        if !accepted.contains(&index) {
            return Err(BadToken::Issuer.into());
        }
        VerifiedToken::read(&claims, &known.settings, times, (index, generation), now).map_err(Into::into)
    }

    /// Distinguishes this verifier from any other of this process: positions of issuers and
    /// generations of keys mean something only together with it.
    pub(super) const fn instance(&self) -> u32 {
        self.instance
    }

    /// Generation of the keys of the issuer at this position, unless they are missing or stale.
    pub(super) fn usable_generation(&self, issuer: usize, now: i64) -> Option<u32> {
        self.issuers.get(issuer)?.store.usable_generation(now)
    }

    /// The clock difference forgiven to the issuer at this position, in seconds.
    pub(super) fn leeway(&self, issuer: usize) -> i64 {
        self.issuers.get(issuer).map_or(0, |known| leeway(&known.settings))
    }

    fn issuer_of(&self, payload: &[u8]) -> Result<(usize, &Known), BadToken> {
        // Claims that are an array would deserialize too: serde reads a struct from a sequence.
        if payload.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
            return Err(BadToken::Malformed);
        }
        let Peek { iss } = serde_json::from_slice(payload).map_err(|error| match error.classify() {
            serde_json::error::Category::Data => BadToken::Issuer,
            _ => BadToken::Malformed,
        })?;
        let mut issuers = self.issuers.iter().enumerate();
        issuers.find(|(_, known)| known.settings.issuer == iss).ok_or(BadToken::Issuer)
    }
}

/// When a token is valid, in Unix seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// `exp`
    pub(super) expires_at: i64,
    /// `nbf`; long past when the token has none.
    pub(super) not_before: i64,
    /// `iat` plus the configured longest age; never when there is none.
    pub(super) too_old_at: i64,
}

impl Times {
    /// Whether a token with these is valid at this time (Unix seconds), forgiving so many seconds.
    pub(super) fn are_current(self, now: i64, leeway: i64) -> bool {
        now < self.expires_at.saturating_add(leeway)
            && self.not_before <= now.saturating_add(leeway)
            && now < self.too_old_at.saturating_add(leeway)
    }
}

fn leeway(settings: &Issuer) -> i64 {
    settings.leeway.as_secs().min(30).try_into().unwrap_or(0)
}

fn validation(settings: &Issuer, algorithm: Algorithm) -> Validation {
    let mut validation = Validation::new(algorithm);
    // Required claims also close the library's holes for claims of the wrong type.
    let mut required = vec!["exp", "iss", "aud"];
    if settings.claims.user_id == "sub" {
        required.push("sub");
    }
    validation.set_required_spec_claims(&required);
    validation.set_audience(&settings.audiences);
    validation.set_issuer(&[&settings.issuer]);
    validation.validate_exp = true;
    validation.validate_nbf = true;
    validation.validate_aud = true;
    validation.leeway = settings.leeway.as_secs().min(30);
    validation
}

/// Header and payload of exactly three non-empty parts of the alphabet of base64url. An encrypted
/// token (RFC 7516) has five.
fn split(token: &str) -> Result<(&str, &str), BadToken> {
    let clean = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if token.len() > TOKEN_BYTES_MAX || !token.bytes().all(clean) {
        return Err(BadToken::Malformed);
    }
    let mut parts = token.split('.');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(header), Some(payload), Some(signature), None)
            if !header.is_empty() && !payload.is_empty() && !signature.is_empty() =>
        {
            Ok((header, payload))
        }
        _ => Err(BadToken::Malformed),
    }
}

/// Reads the header. `jku`, `jwk`, `x5u` and `x5c` are not looked at: keys come from the
/// configured source alone.
fn read_header(header: &str, settings: &Issuer) -> Result<Head, BadToken> {
    let bytes = URL_SAFE_NO_PAD.decode(header).map_err(|_| BadToken::Malformed)?;
    let StrictObject(members) = serde_json::from_slice(&bytes).map_err(|_| BadToken::Malformed)?;
    // Nothing that may be critical is understood here (RFC 7515, section 4.1.11), `b64` least of
    // all (RFC 7797); `enc` and `zip` belong to encrypted tokens.
    if ["crit", "b64", "enc", "zip"].iter().any(|name| members.contains_key(*name)) {
        return Err(BadToken::Header);
    }
    let kind = match members.get("typ") {
        None => "jwt".to_owned(),
        Some(Value::String(kind)) => kind.to_ascii_lowercase(),
        Some(_) => return Err(BadToken::Header),
    };
    // RFC 7515, section 4.1.9: the prefix is usually omitted.
    let short = kind.strip_prefix("application/").unwrap_or(&kind);
    let accepted = |kind: &str| settings.types.iter().any(|accepted| accepted == kind);
    if members.contains_key("typ") && !accepted(&kind) && !accepted(short) {
        return Err(BadToken::Header);
    }
    if !members.contains_key("typ") && !accepted("jwt") {
        return Err(BadToken::Header);
    }
    let algorithm =
        members.get("alg").and_then(Value::as_str).and_then(algorithm_named).ok_or(BadToken::Header)?;
    let kid = match members.get("kid") {
        None => None,
        Some(Value::String(kid)) if kid.len() <= KID_BYTES_MAX => Some(kid.clone()),
        Some(_) => return Err(BadToken::Header),
    };
    Ok(Head { algorithm, kid })
}

/// What the library leaves open: exact types, sane ranges, times that lie ahead.
fn check_claims(claims: &Map<String, Value>, settings: &Issuer, now: i64) -> Result<Times, BadToken> {
    if claims.get("iss").and_then(Value::as_str) != Some(settings.issuer.as_str()) {
        return Err(BadToken::Issuer);
    }
    let mine = |audience: &str| settings.audiences.iter().any(|accepted| accepted == audience);
    let meant = match claims.get("aud") {
        Some(Value::String(audience)) => mine(audience),
        Some(Value::Array(audiences)) => {
            let texts: Option<Vec<&str>> = audiences.iter().map(Value::as_str).collect();
            texts.ok_or(BadToken::Claims)?.into_iter().any(mine)
        }
        _ => return Err(BadToken::Claims),
    };
    if !meant {
        return Err(BadToken::Audience);
    }
    if claims.get("sub").is_some_and(|subject| !subject.is_string()) {
        return Err(BadToken::Claims);
    }
    let leeway = leeway(settings);
    let expires_at = time(claims, "exp")?.ok_or(BadToken::Claims)?;
    if now >= expires_at.saturating_add(leeway) {
        return Err(BadToken::Expired);
    }
    let not_before = time(claims, "nbf")?.unwrap_or(i64::MIN);
    if not_before > now.saturating_add(leeway) {
        return Err(BadToken::NotYetValid);
    }
    let issued_at = time(claims, "iat")?;
    if issued_at.is_some_and(|at| at > now.saturating_add(leeway)) {
        return Err(BadToken::NotYetValid);
    }
    let too_old_at = match settings.max_age {
        None => i64::MAX,
        Some(max_age) => {
            let issued_at = issued_at.ok_or(BadToken::Claims)?;
            let span = i64::try_from(max_age.as_secs()).unwrap_or(i64::MAX);
            issued_at.saturating_add(span)
        }
    };
    if now >= too_old_at.saturating_add(leeway) {
        return Err(BadToken::Expired);
    }
    Ok(Times { expires_at, not_before, too_old_at })
}

/// A time claim: an integer between 1970 and 9999, or absent.
fn time(claims: &Map<String, Value>, name: &str) -> Result<Option<i64>, BadToken> {
    match claims.get(name) {
        None => Ok(None),
        Some(value) => {
            value.as_i64().filter(|at| (0..=TIME_MAX).contains(at)).map(Some).ok_or(BadToken::Claims)
        }
    }
}

/// The library's reason in our words. Its texts are not kept: some quote the token.
fn bad_token(kind: &ErrorKind) -> BadToken {
    match kind {
        ErrorKind::InvalidSignature => BadToken::Signature,
        ErrorKind::ExpiredSignature => BadToken::Expired,
        ErrorKind::ImmatureSignature => BadToken::NotYetValid,
        ErrorKind::InvalidIssuer => BadToken::Issuer,
        ErrorKind::InvalidAudience => BadToken::Audience,
        ErrorKind::MissingRequiredClaim(_) | ErrorKind::InvalidClaimFormat(_) | ErrorKind::InvalidSubject => {
            BadToken::Claims
        }
        ErrorKind::InvalidAlgorithm | ErrorKind::InvalidAlgorithmName | ErrorKind::MissingAlgorithm => {
            BadToken::Header
        }
        _ => BadToken::Malformed,
    }
}
