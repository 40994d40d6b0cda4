//! Whose tokens are accepted, and where the keys are that verify them.

use std::path::PathBuf;
use std::time::Duration;

use portcullis_policy::signals::IssuerEvidence;

use super::certificates::Authorities;
use super::claims::Claims;

/// An issuer of tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    /// Its short name in metrics and logs.
    pub name: String,
    /// The exact `iss`.
    pub issuer: String,
    /// Accepted `aud` values of access tokens. Empty: none is accepted, and browsers sign in at a provider of this
    /// issuer.
    pub audiences: Vec<String>,
    /// Accepted signature algorithms (`RS256`, `ES256`, …); asymmetric only; at least one.
    pub algorithms: Vec<String>,
    /// Accepted `typ` header values, lower case; a token without `typ` is accepted as `jwt`.
    pub types: Vec<String>,
    /// Where its keys are.
    pub keys: KeySource,
    /// Whose certificates count for its key source; the system's authorities if `None`.
    pub ca: Option<Authorities>,
    /// Clock difference that is forgiven; at most 30 s.
    pub leeway: Duration,
    /// The longest that a token may have been issued ago; `None` is no limit beyond `exp`.
    pub max_age: Option<Duration>,
    /// How often keys are fetched anew.
    pub refresh: Duration,
    /// The least time between two fetches for an unknown `kid`.
    pub refresh_min: Duration,
    /// How long the last good keys are used while the source does not answer.
    pub stale_max: Duration,
    /// Which claims say what.
    pub claims: Claims,
    /// What its word is good for.
    pub evidence: IssuerEvidence,
}

/// Where an issuer's keys are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// A JWKS file.
    File(PathBuf),
    /// A JWKS document at this URL (https, or http on loopback).
    Url(String),
    /// OpenID Connect discovery: `{issuer}/.well-known/openid-configuration` at this URL.
    Discovery(String),
}
