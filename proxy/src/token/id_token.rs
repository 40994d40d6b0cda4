//! The ID token of a sign-in (OpenID Connect Core 1.0, sections 2 and 3.1.3.7), and the rules that only it has.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{self, SHA256, SHA384, SHA512, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use serde_json::{Map, Value};

use super::claims::{ClaimReader, audiences};
use super::session_claims::SessionClaims;
use super::strict::StrictObject;
use super::verify::{Signed, TokenProblem, TrustedIssuer, Verifier};
use crate::refusal::BadToken;

/// The longest `sub` (OpenID Connect Core 1.0, section 2) and the longest `sid`, in bytes.
const SUBJECT_BYTES_MAX: usize = 255;
const SID_BYTES_MAX: usize = 512;

/// What an ID token must answer to.
#[derive(Clone, Copy, Debug)]
pub struct ExpectedIdToken<'r> {
    /// Position of the provider's issuer in the configuration.
    pub issuer: usize,
    /// Our id at the provider: the one audience that is accepted.
    pub client_id: &'r str,
    /// The nonce of the attempt. `None` for a token that was refreshed, which has none of its own.
    pub nonce: Option<&'r str>,
    /// The access token that came with it, to be compared with `at_hash` where there is one.
    pub access_token: Option<&'r str>,
}

/// An ID token that was verified. Only [`Verifier::verify_id_token`] makes one.
#[derive(Clone, Debug)]
pub struct IdToken {
    /// What a session keeps of it.
    pub claims: SessionClaims,
    /// The user, as the issuer knows them.
    pub sub: String,
    /// The session at the provider (OpenID Connect Back-Channel Logout 1.0, section 2.1).
    pub sid: Option<String>,
    /// When the user authenticated, in Unix seconds; `None` when that lies in the future, too.
    pub auth_time: Option<i64>,
    /// The authentication context class.
    pub acr: Option<String>,
    /// Satisfied authentication contexts, such as `c1`.
    pub contexts: Vec<String>,
    /// Authentication methods.
    pub methods: Vec<String>,
    /// When it was issued, in Unix seconds.
    pub issued_at: i64,
    /// When it ends, in Unix seconds.
    pub expires_at: i64,
}

/// Why an ID token or a logout token is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdTokenProblem {
    /// As any token may be wrong: form, signature, issuer, times.
    #[error(transparent)]
    Token(#[from] TokenProblem),
    /// It is for another client, or another client had it issued (`aud`, `azp`).
    #[error("the token is for another client")]
    Audience,
    /// It answers another attempt to sign in.
    #[error("the token's nonce is not that of the attempt")]
    Nonce,
    /// It belongs to another access token (`at_hash`).
    #[error("the token's at_hash is not that of the access token")]
    AccessTokenHash,
    /// It has no `sub`, or one that cannot be.
    #[error("the token names no subject")]
    Subject,
    /// Userinfo cannot be read.
    #[error("userinfo cannot be read")]
    Userinfo,
    /// Userinfo is about somebody else.
    #[error("userinfo is not about the token's subject")]
    UserinfoSubject,
    /// A logout token that is none: `events`, `nonce`, `iat`, `jti`, `sub` or `sid` are not as they must be.
    #[error("the token is no logout token")]
    NoLogout,
}

impl From<BadToken> for IdTokenProblem {
    fn from(bad: BadToken) -> Self {
        Self::Token(bad.into())
    }
}

impl Verifier {
    /// Verifies the ID token of a sign-in, as of `now` (Unix seconds). Never waits.
    ///
    /// # Errors
    /// Why nobody is signed in by it; [`TokenProblem::KeysUnavailable`] passes by itself.
    pub fn verify_id_token(
        &self,
        text: &str,
        expected: &ExpectedIdToken<'_>,
        now: i64,
    ) -> Result<IdToken, IdTokenProblem> {
        let is_id_token = |_: &TrustedIssuer, kind: &str| kind == "jwt";
        let signed = self.read_signed(text, is_id_token, now)?;
        if signed.index != expected.issuer {
            return Err(BadToken::Issuer.into());
        }
        let Signed { known, claims, algorithm, .. } = &signed;
        check_audience(claims, expected.client_id)?;
        let times = known.times(claims, now)?;
        let issued_at = times.issued_at.ok_or(BadToken::Claims)?;
        if let Some(nonce) = expected.nonce {
            let stated = claims.get("nonce").and_then(Value::as_str).ok_or(IdTokenProblem::Nonce)?;
            verify_slices_are_equal(stated.as_bytes(), nonce.as_bytes())
                .map_err(|_| IdTokenProblem::Nonce)?;
        }
        if let Some(access_token) = expected.access_token {
            check_access_token(claims, *algorithm, access_token)?;
        }
        let sub = subject(claims)?;
        let names = &known.settings.claims;
        let source = ClaimReader::new(claims);
        let token = IdToken {
            claims: SessionClaims::of(claims, &known.settings),
            sub,
            sid: sid(claims)?,
            auth_time: source
                .time(&names.auth_time)
                .filter(|at| at.up <= now.saturating_add(30))
                .map(|at| at.down),
            acr: source.text(&names.acr),
            contexts: source.contexts(&names.contexts).iter().map(ToString::to_string).collect(),
            methods: source.texts(&names.methods),
            issued_at,
            expires_at: times.times.expires_at,
        };
        // A session that could not be read would be none at the next request, and the user back at the sign-in.
        self.read_session(&token.claims, i64::MAX, now)?;
        Ok(token)
    }

    /// The token with what userinfo says beside it (OpenID Connect Core 1.0, section 5.3). How and when the user signed
    /// in is the token's to say alone, and what both say is as the token has it.
    ///
    /// # Errors
    /// When it is not about the same subject (section 5.3.2), or is no object of JSON: nobody is signed in then.
    pub fn with_userinfo(
        &self,
        mut token: IdToken,
        userinfo: &[u8],
        now: i64,
    ) -> Result<IdToken, IdTokenProblem> {
        let StrictObject(said) = serde_json::from_slice(userinfo).map_err(|_| IdTokenProblem::Userinfo)?;
        if said.get("sub").and_then(Value::as_str) != Some(&token.sub) {
            return Err(IdTokenProblem::UserinfoSubject);
        }
        let known = self.issuer_named(&token.claims.issuer).ok_or(BadToken::Issuer)?.1;
        token.claims.add(&said, &known.settings);
        self.read_session(&token.claims, i64::MAX, now)?;
        Ok(token)
    }
}

impl Verifier {
    /// The claims of a refreshed ID token, for a session that had the `former` ones.
    #[must_use]
    pub fn with_sign_in_of(&self, mut claims: SessionClaims, former: &SessionClaims) -> SessionClaims {
        if let Some((_, known)) = self.issuer_named(&claims.issuer) {
            claims.keep_sign_in_of(former, &known.settings);
        }
        claims
    }
}

/// `aud` and `azp`: of several audiences the others are strangers, so the token must have been issued to us.
fn check_audience(claims: &Map<String, Value>, client_id: &str) -> Result<(), IdTokenProblem> {
    let audiences = audiences(claims)?;
    let party = match claims.get("azp") {
        None => None,
        Some(Value::String(party)) => Some(party.as_str()),
        Some(_) => return Err(BadToken::Claims.into()),
    };
    let is_issued_to_us = party.map_or(audiences.len() == 1, |party| party == client_id);
    if audiences.contains(&client_id) && is_issued_to_us { Ok(()) } else { Err(IdTokenProblem::Audience) }
}

/// `at_hash` (section 3.1.3.6): the first half of the hash of the access token, by the algorithm of the signature.
fn check_access_token(
    claims: &Map<String, Value>,
    algorithm: Algorithm,
    access_token: &str,
) -> Result<(), IdTokenProblem> {
    let stated = match claims.get("at_hash") {
        None => return Ok(()),
        Some(Value::String(stated)) => stated,
        Some(_) => return Err(IdTokenProblem::AccessTokenHash),
    };
    let hash = digest(hash_of(algorithm), access_token.as_bytes());
    let half = hash.as_ref().get(..hash.as_ref().len() / 2).unwrap_or_default();
    let expected = URL_SAFE_NO_PAD.encode(half);
    // Some write the padding.
    let stated = stated.trim_end_matches('=');
    verify_slices_are_equal(stated.as_bytes(), expected.as_bytes())
        .map_err(|_| IdTokenProblem::AccessTokenHash)
}

const fn hash_of(algorithm: Algorithm) -> &'static digest::Algorithm {
    match algorithm {
        Algorithm::HS256 | Algorithm::RS256 | Algorithm::PS256 | Algorithm::ES256 => &SHA256,
        Algorithm::HS384 | Algorithm::RS384 | Algorithm::PS384 | Algorithm::ES384 => &SHA384,
        // Ed25519 hashes with SHA-512 (RFC 8032, section 5.1).
        _ => &SHA512,
    }
}

fn subject(claims: &Map<String, Value>) -> Result<String, IdTokenProblem> {
    let sub = claims.get("sub").and_then(Value::as_str).ok_or(IdTokenProblem::Subject)?;
    if is_id(sub, SUBJECT_BYTES_MAX) { Ok(sub.to_owned()) } else { Err(IdTokenProblem::Subject) }
}

/// `sid`, where there is one.
pub(super) fn sid(claims: &Map<String, Value>) -> Result<Option<String>, BadToken> {
    match claims.get("sid") {
        None => Ok(None),
        Some(Value::String(sid)) if is_id(sid, SID_BYTES_MAX) => Ok(Some(sid.clone())),
        Some(_) => Err(BadToken::Claims),
    }
}

pub(super) fn is_id(text: &str, bytes_max: usize) -> bool {
    !text.is_empty() && text.len() <= bytes_max && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests;
