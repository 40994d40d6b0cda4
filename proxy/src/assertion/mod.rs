//! A short-lived signed statement to apps: this request came through Portcullis, and this is who asks. A header
//! that anybody in the network could write proves nothing; a signature that apps check with public keys does.
//!
//! A JSON Web Token (RFC 7519) by ES256. `README.md` of this folder tells apps how to verify one.

mod claims;
mod key;

#[cfg(test)]
mod tests;

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use portcullis_config::settings::{self, Secret};

pub use claims::Statement;
pub use key::{AssertionKey, AssertionKeyFault};

use crate::token::SignedStatement;
use claims::Claims;

/// Signs assertions with the keys of one configuration.
#[derive(Debug)]
pub struct Assertions {
    /// The first signs. INVARIANT: at least one.
    keys: Vec<AssertionKey>,
    header: HeaderName,
    life_secs: i64,
    key_set: Bytes,
}

/// Why nothing can be signed by a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AssertionFault {
    /// A key, by its position.
    #[error("assertion key {}: {}", .0 + 1, .1)]
    Key(usize, AssertionKeyFault),
    /// The configuration names none.
    #[error("there is no key to sign assertions with")]
    NoKey,
    /// The header's name is none.
    #[error("the name of the assertion's header is no header name")]
    Header,
}

impl Assertions {
    /// Prepares the keys.
    ///
    /// # Errors
    /// When a key is no P-256 key in PKCS#8, or there is none.
    pub fn new(settings: &settings::Assertion) -> Result<Self, AssertionFault> {
        let read = |(at, pem): (usize, &Secret)| {
            AssertionKey::from_pem(pem.expose().as_bytes()).map_err(|fault| AssertionFault::Key(at, fault))
        };
        let keys = settings.keys.iter().enumerate().map(read).collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() {
            return Err(AssertionFault::NoKey);
        }
        Ok(Self {
            header: HeaderName::from_bytes(settings.header.as_bytes()).map_err(|_| AssertionFault::Header)?,
            life_secs: i64::try_from(settings.life.as_secs()).unwrap_or(i64::MAX),
            key_set: Bytes::from(key::key_set(&keys)),
            keys,
        })
    }

    /// The header that carries assertions.
    #[must_use]
    pub const fn header(&self) -> &HeaderName {
        &self.header
    }

    /// The public keys, as a JWK set (RFC 7517, section 5): of each key that is configured, the first first.
    #[must_use]
    pub fn key_set(&self) -> Bytes {
        self.key_set.clone()
    }

    /// The header's value for a request: signed now, or for a former request of the same caller to the same app under
    /// the same host, while half of its life is ahead. `None` when nothing could be signed; the app must then not
    /// be asked.
    ///
    /// # Cost
    /// No lock. An allocation and a signature once in half a life per caller and app; else a comparison.
    #[must_use]
    pub fn value(&self, statement: &Statement<'_>) -> Option<HeaderValue> {
        let now = statement.now;
        let is_such = |known: &SignedStatement| {
            known.app == statement.app
                && (known.signed_at..known.fresh_until).contains(&now)
                && known.session.as_deref() == statement.session
                && claims::is_origin(&known.origin, statement.host, statement.site)
        };
        statement.caller.signed_statement(is_such, || {
            let origin = claims::origin(statement.host, statement.site)?;
            Some(SignedStatement {
                value: self.sign(statement, &origin)?,
                origin,
                app: statement.app,
                session: statement.session.map(Into::into),
                signed_at: now,
                fresh_until: now.saturating_add((self.life_secs / 2).max(1)),
            })
        })
    }

    fn sign(&self, statement: &Statement<'_>, origin: &str) -> Option<HeaderValue> {
        let claims =
            Claims { issuer: origin, expires_at: statement.now.saturating_add(self.life_secs), statement };
        let mut value = HeaderValue::try_from(self.keys.first()?.sign(&claims.to_json()?)?).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}
