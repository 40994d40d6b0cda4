//! The logout token of a provider (OpenID Connect Back-Channel Logout 1.0, sections 2.4 and 2.6). It looks like an ID
//! token and is none: what is required of one is forbidden to the other.

use serde_json::Value;

use super::claims::audiences;
use super::id_token::{IdTokenProblem, is_id, sid};
use super::verify::{Signed, TrustedIssuer, Verifier};
use crate::refusal::BadToken;

/// The member of `events` that makes a token a logout token.
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
/// The longest `sub` and `jti`, in bytes.
const ID_BYTES_MAX: usize = 512;
/// How old a logout token may be that says nothing of its end, in seconds: as long as its `jti` is remembered.
pub const LOGOUT_TOKEN_LIFE_SECS: i64 = 10 * 60;

/// A logout token that was verified. Whether it was sent before is for the caller to look up, by `jti`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogoutToken {
    /// All sessions of this subject end, unless `sid` is there.
    pub sub: Option<String>,
    /// The session at the provider that ended.
    pub sid: Option<String>,
    /// When it was issued, in Unix seconds.
    pub iat: i64,
    /// Its id; to be remembered until `expires_at`.
    pub jti: String,
    /// When it is over, in Unix seconds, leeway included: `exp` or ten minutes from `iat`, whichever comes first.
    pub expires_at: i64,
}

impl Verifier {
    /// Verifies a logout token of the issuer at this position for this client, as of `now` (Unix seconds). Never waits.
    ///
    /// # Errors
    /// Why nobody is signed out by it.
    pub fn verify_logout_token(
        &self,
        text: &str,
        (issuer, client_id): (usize, &str),
        now: i64,
    ) -> Result<LogoutToken, IdTokenProblem> {
        let is_logout_token = |_: &TrustedIssuer, kind: &str| kind == "logout+jwt";
        let Signed { index, known, claims, .. } = self.read_signed(text, is_logout_token, now)?;
        if index != issuer {
            return Err(BadToken::Issuer.into());
        }
        if !audiences(&claims)?.contains(&client_id) {
            return Err(IdTokenProblem::Audience);
        }
        let events = claims.get("events").and_then(|events| events.get(EVENT));
        // An ID token has a nonce: with one, neither would be the other by mistake.
        if !events.is_some_and(Value::is_object) || claims.contains_key("nonce") {
            return Err(IdTokenProblem::NoLogout);
        }
        let jti = claims.get("jti").and_then(Value::as_str).filter(|jti| is_id(jti, ID_BYTES_MAX));
        let jti = jti.ok_or(IdTokenProblem::NoLogout)?.to_owned();
        let (iat, expires_at) = known.times_of_logout(&claims, LOGOUT_TOKEN_LIFE_SECS, now)?;
        let sub = match claims.get("sub") {
            None => None,
            Some(Value::String(sub)) if is_id(sub, ID_BYTES_MAX) => Some(sub.clone()),
            Some(_) => return Err(IdTokenProblem::Subject),
        };
        let sid = sid(&claims)?;
        if sub.is_none() && sid.is_none() {
            return Err(IdTokenProblem::NoLogout);
        }
        Ok(LogoutToken { sub, sid, iat, jti, expires_at })
    }
}

#[cfg(test)]
mod tests;
