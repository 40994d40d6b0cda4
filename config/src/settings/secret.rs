//! What nobody but the proxy may read. `Debug` of these types shows nothing, so that no log and no panic does.

use std::fmt;

/// A secret text: a password, a client secret, a private key in PEM, a URL that may name an account.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Box<str>);

impl Secret {
    /// Keeps a text from being shown.
    #[must_use]
    pub fn new(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// The text, for whoever sends it or computes with it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A key of 256 bits that seals sessions and what belongs to them.
#[derive(Clone, PartialEq, Eq)]
pub struct SealKey(pub [u8; 32]);

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealKey(…)")
    }
}

/// A private key that signs: as an OpenID client, or what an app is told of its user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigningKey {
    /// The signature algorithm: `ES256` (RFC 7518, section 3.4) or `PS256` (section 3.5). The key fits it.
    pub algorithm: String,
    /// The `kid` of its signatures.
    pub kid: Option<String>,
    /// The `x5t#S256` of its signatures: the SHA-256 hash of its certificate, in base64url (RFC 7515, section 4.1.8).
    pub thumbprint: Option<String>,
    /// The key, PKCS#8 in PEM.
    pub pem: Secret,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_is_shown_by_debug() {
        let key = SigningKey {
            algorithm: "ES256".into(),
            kid: Some("one".into()),
            thumbprint: None,
            pem: Secret::new("hush-hush"),
        };
        let shown = format!("{key:?} {:?} {:?}", Secret::new("hush-hush"), SealKey([104; 32]));
        assert!(!shown.contains("hush") && !shown.contains("104"), "{shown}");
    }
}
