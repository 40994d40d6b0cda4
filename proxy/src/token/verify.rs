//! From text to a verified token. The token does not choose how it is verified: it may only name one
//! of its issuer's keys, and the key determines the algorithm.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, crypto};
use portcullis_config::settings::Issuer;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::claims::audiences;
use super::jwk::{NoKey, algorithm_named};
use super::keys::KeyStore;
use super::session_claims::SessionClaims;
use super::strict::StrictObject;
use super::times::{NumericDate, Times};
use super::verified::{Believed, VerifiedToken};
use crate::refusal::{BadToken, Refusal};

/// The longest token, in bytes.
pub const TOKEN_BYTES_MAX: usize = 16 * 1024;
/// The longest `kid` that is looked up, in bytes.
const KID_BYTES_MAX: usize = 1024;

/// Why a token does not identify a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenProblem {
    /// The token is not acceptable.
    #[error("the token is not acceptable: {}", .0.as_str())]
    Bad(BadToken),
    /// The issuer's keys were not fetched yet, or are too old to be trusted.
    #[error("the issuer's keys are not available")]
    KeysUnavailable,
}

impl From<BadToken> for TokenProblem {
    fn from(bad: BadToken) -> Self {
        Self::Bad(bad)
    }
}

impl From<TokenProblem> for Refusal {
    fn from(problem: TokenProblem) -> Self {
        match problem {
            TokenProblem::Bad(bad) => Self::BadToken(bad),
            TokenProblem::KeysUnavailable => Self::KeysUnavailable,
        }
    }
}

/// Verifies tokens of the configured issuers.
#[derive(Debug)]
pub struct Verifier {
    issuers: Vec<TrustedIssuer>,
    instance: u32,
}

/// A configured issuer with its keys and what its tokens must hold.
#[derive(Debug)]
pub(super) struct TrustedIssuer {
    pub(super) settings: Issuer,
    store: Arc<KeyStore>,
}

/// A token whose signature was verified, and nothing else but its issuer and its kind.
pub(super) struct Signed<'v> {
    /// Position of the issuer.
    pub(super) index: usize,
    /// Generation of the keys.
    generation: u32,
    pub(super) known: &'v TrustedIssuer,
    pub(super) algorithm: Algorithm,
    pub(super) claims: Map<String, Value>,
}

/// The times of a token, and when it was issued.
pub(super) struct Dated {
    pub(super) times: Times,
    pub(super) issued_at: Option<i64>,
}

/// The members of the JOSE header that are used (RFC 7515, section 4.1).
struct JoseHeader {
    algorithm: Algorithm,
    kid: Option<String>,
}

/// What is read before the signature was verified: the claim that finds the keys, and nothing else.
#[derive(Deserialize)]
struct UnverifiedClaims {
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
            .map(|(settings, store)| TrustedIssuer { settings: settings.clone(), store })
            .collect();
        Self { issuers, instance: INSTANCES.fetch_add(1, Ordering::Relaxed) }
    }

    /// Verifies a token of one of the `accepted` issuers (positions in the configuration), as of
    /// `now` (Unix seconds). RFC 7515, RFC 7519 and RFC 8725. Never waits.
    ///
    /// # Errors
    /// [`TokenProblem::Bad`] when the token is not valid, and
    /// [`TokenProblem::KeysUnavailable`] when its issuer's keys were not fetched yet or are too old.
    pub fn verify(&self, token: &str, accepted: &[usize], now: i64) -> Result<VerifiedToken, TokenProblem> {
        let is_accepted =
            |known: &TrustedIssuer, kind: &str| known.settings.types.iter().any(|one| one == kind);
        let Signed { index, generation, known, claims, .. } = self.read_signed(token, is_accepted, now)?;
        let times = check_claims(&claims, known, now)?;
        // Checked last: earlier, it would show strangers which issuers an app accepts.
        if !accepted.contains(&index) {
            return Err(BadToken::Issuer.into());
        }
        let issuer = (index, Believed::ByKeys(generation));
        let token = VerifiedToken::read(&claims, &known.settings, times, issuer, now)?;
        known.store.sign_ins().note(token.principal());
        Ok(token)
    }

    /// The claims of a session as a token that was verified: an ID token was, when the session began. It is good until
    /// `until` (Unix seconds), whatever becomes of the keys that signed it.
    ///
    /// # Errors
    /// [`BadToken::Issuer`] when the configuration has no such issuer any more, and [`BadToken::Claims`] when it reads
    /// claims that were not kept: the user has to sign in again.
    pub fn read_session(
        &self,
        claims: &SessionClaims,
        until: i64,
        now: i64,
    ) -> Result<VerifiedToken, TokenProblem> {
        let (index, known) = self.issuer_named(&claims.issuer).ok_or(BadToken::Issuer)?;
        if !claims.are_of(&known.settings) {
            return Err(BadToken::Claims.into());
        }
        let times = Times { expires_at: until, not_before: i64::MIN, too_old_at: i64::MAX };
        let issuer = (index, Believed::BySession);
        let token = VerifiedToken::read(&claims.claims, &known.settings, times, issuer, now)?;
        known.store.sign_ins().note(token.principal());
        Ok(token)
    }

    /// Reads a token and verifies its signature: the one reading of a token. `is_accepted` judges its kind, lower case
    /// and without `application/`; a token that states none is a `jwt`. What its claims must be is for the caller, but
    /// that its issuer is the one whose keys it was verified with.
    pub(super) fn read_signed(
        &self,
        token: &str,
        is_accepted: impl Fn(&TrustedIssuer, &str) -> bool,
        now: i64,
    ) -> Result<Signed<'_>, TokenProblem> {
        let (header, payload) = split(token)?;
        let bytes = URL_SAFE_NO_PAD.decode(payload).map_err(|_| BadToken::Malformed)?;
        let (index, known) = self.issuer_of(&bytes)?;
        let head = read_header(header, |kind| is_accepted(known, kind))?;
        let (set, generation) = known.store.usable(now).ok_or_else(|| {
            known.store.request_refresh();
            TokenProblem::KeysUnavailable
        })?;
        let key = match head.kid.as_deref() {
            Some(kid) => set.named(kid, head.algorithm).map_err(|why| match why {
                NoKey::UnknownKid => {
                    known.store.request_refresh();
                    BadToken::UnknownKey
                }
                NoKey::OtherAlgorithm => BadToken::Header,
            })?,
            // RFC 7515, section 4.1.4 leaves `kid` optional; guessing among several keys is not.
            None => set.only(head.algorithm).ok_or(BadToken::UnknownKey)?,
        };
        let (message, signature) = token.rsplit_once('.').ok_or(BadToken::Malformed)?;
        let is_signed = crypto::verify(signature, message.as_bytes(), &key.key, head.algorithm)
            .map_err(|_| BadToken::Malformed)?;
        if !is_signed {
            // Without `kid`, a new key shows itself only by a signature that does not verify.
            if head.kid.is_none() {
                known.store.request_refresh();
            }
            return Err(BadToken::Signature.into());
        }
        let StrictObject(claims) = serde_json::from_slice(&bytes).map_err(|_| BadToken::Malformed)?;
        if claims.get("iss").and_then(Value::as_str) != Some(known.settings.issuer.as_str()) {
            return Err(BadToken::Issuer.into());
        }
        Ok(Signed { index, generation, known, algorithm: head.algorithm, claims })
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

    /// The `iss` of the issuer of this name.
    #[must_use]
    pub fn iss_of(&self, name: &str) -> Option<&str> {
        self.issuer_named(name).map(|(_, known)| known.settings.issuer.as_str())
    }

    /// The clock difference forgiven to the issuer at this position, in seconds.
    pub(super) fn leeway(&self, issuer: usize) -> i64 {
        self.issuers.get(issuer).map_or(0, |known| leeway(&known.settings))
    }

    /// The issuer of this name, and its position.
    pub(super) fn issuer_named(&self, name: &str) -> Option<(usize, &TrustedIssuer)> {
        self.issuers.iter().enumerate().find(|(_, known)| known.settings.name == name)
    }

    fn issuer_of(&self, payload: &[u8]) -> Result<(usize, &TrustedIssuer), BadToken> {
        // Claims that are an array would deserialize too: serde reads a struct from a sequence.
        if payload.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
            return Err(BadToken::Malformed);
        }
        let UnverifiedClaims { iss } =
            serde_json::from_slice(payload).map_err(|error| match error.classify() {
                serde_json::error::Category::Data => BadToken::Issuer,
                _ => BadToken::Malformed,
            })?;
        let mut issuers = self.issuers.iter().enumerate();
        issuers.find(|(_, known)| known.settings.issuer == iss).ok_or(BadToken::Issuer)
    }
}

fn leeway(settings: &Issuer) -> i64 {
    settings.leeway.as_secs().min(30).try_into().unwrap_or(0)
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
fn read_header(header: &str, is_accepted: impl Fn(&str) -> bool) -> Result<JoseHeader, BadToken> {
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
    if !is_accepted(&kind) && !is_accepted(short) {
        return Err(BadToken::Header);
    }
    let algorithm =
        members.get("alg").and_then(Value::as_str).and_then(algorithm_named).ok_or(BadToken::Header)?;
    let kid = match members.get("kid") {
        None => None,
        Some(Value::String(kid)) if kid.len() <= KID_BYTES_MAX => Some(kid.clone()),
        Some(_) => return Err(BadToken::Header),
    };
    Ok(JoseHeader { algorithm, kid })
}

/// Checks types, ranges, audience and times.
fn check_claims(claims: &Map<String, Value>, known: &TrustedIssuer, now: i64) -> Result<Times, BadToken> {
    let settings = &known.settings;
    let mine = |audience: &str| settings.audiences.iter().any(|accepted| accepted == audience);
    if !audiences(claims)?.into_iter().any(mine) {
        return Err(BadToken::Audience);
    }
    let is_text = claims.get("sub").map(Value::is_string);
    if is_text == Some(false) || (is_text.is_none() && settings.claims.user_id == "sub") {
        return Err(BadToken::Claims);
    }
    Ok(known.times(claims, now)?.times)
}

impl TrustedIssuer {
    /// The times of a token that is valid now. They are rounded to the stricter side.
    pub(super) fn times(&self, claims: &Map<String, Value>, now: i64) -> Result<Dated, BadToken> {
        let leeway = leeway(&self.settings);
        let expires_at = time(claims, "exp")?.ok_or(BadToken::Claims)?.down;
        if now >= expires_at.saturating_add(leeway) {
            return Err(BadToken::Expired);
        }
        let not_before = time(claims, "nbf")?.map_or(i64::MIN, |at| at.up);
        if not_before > now.saturating_add(leeway) {
            return Err(BadToken::NotYetValid);
        }
        let issued_at = time(claims, "iat")?;
        if issued_at.is_some_and(|at| at.up > now.saturating_add(leeway)) {
            return Err(BadToken::NotYetValid);
        }
        let too_old_at = match self.settings.max_age {
            None => i64::MAX,
            Some(max_age) => {
                let issued_at = issued_at.ok_or(BadToken::Claims)?;
                let span = i64::try_from(max_age.as_secs()).unwrap_or(i64::MAX);
                issued_at.down.saturating_add(span)
            }
        };
        if now >= too_old_at.saturating_add(leeway) {
            return Err(BadToken::Expired);
        }
        let times = Times { expires_at, not_before, too_old_at };
        Ok(Dated { times, issued_at: issued_at.map(|at| at.down) })
    }

    /// When a logout token was issued and when it is over, if it is valid now: `exp`, which early providers leave out,
    /// or `life_secs` from `iat`, whichever comes first.
    pub(super) fn times_of_logout(
        &self,
        claims: &Map<String, Value>,
        life_secs: i64,
        now: i64,
    ) -> Result<(i64, i64), BadToken> {
        let leeway = leeway(&self.settings);
        let issued_at = time(claims, "iat")?.ok_or(BadToken::Claims)?;
        if issued_at.up > now.saturating_add(leeway) {
            return Err(BadToken::NotYetValid);
        }
        let latest = issued_at.down.saturating_add(life_secs);
        let expires_at = time(claims, "exp")?.map_or(latest, |at| at.down.min(latest)).saturating_add(leeway);
        if now >= expires_at { Err(BadToken::Expired) } else { Ok((issued_at.down, expires_at)) }
    }
}

/// A time claim, or nothing where it is absent.
fn time(claims: &Map<String, Value>, name: &str) -> Result<Option<NumericDate>, BadToken> {
    claims.get(name).map(|value| NumericDate::read(value).ok_or(BadToken::Claims)).transpose()
}
