//! What is kept of a session, wherever it is kept. Times are Unix seconds in 64 bits.

use std::fmt;

use aws_lc_rs::digest::{Context, SHA256};
use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::key::StoreKey;
use crate::clock::Moment;
use crate::token::SessionClaims;

/// The layout of [`SessionRecord`], before it is sealed. One of another version is no session.
const VERSION: u8 = 2;

/// The id of a session: 256 random bits, new at every sign-in and step-up. Who knows it has the session.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SessionId([u8; 32]);

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionId(…)")
    }
}

impl SessionId {
    /// A new one; `None` when no random bytes could be drawn.
    #[must_use]
    pub fn draw() -> Option<Self> {
        let mut id = [0; 32];
        rand::fill(&mut id).ok()?;
        Some(Self(id))
    }

    /// These bytes, from a seal.
    #[must_use]
    pub const fn of(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes, for a seal.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// What the session is known by on our side.
    #[must_use]
    pub fn key(&self) -> StoreKey {
        StoreKey::of(&self.0)
    }

    /// What the session is called in public: in logs, to apps, to its user. It says nothing of the id.
    #[must_use]
    pub fn public_id(&self) -> String {
        let mut context = Context::new(&SHA256);
        context.update(b"portcullis session\0");
        context.update(&self.0);
        URL_SAFE_NO_PAD.encode(context.finish().as_ref().get(..16).unwrap_or_default())
    }
}

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretText(pub String);

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(…)")
    }
}

/// Whether the browser keeps the cookie when it ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Lasting {
    /// It does not.
    #[default]
    BrowserSession,
    /// It does, until the session is over.
    UntilItEnds,
}

/// What distinguishes one demand of a sign-in from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DemandDigest(pub [u8; 16]);

/// The tokens of a session; only stores keep them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredTokens {
    /// As it was received last: the hint for a sign-out at the provider.
    pub id_token: SecretText,
    /// For apps that ask for it.
    pub access_token: Option<SecretText>,
    /// When the access token ends.
    pub access_expires_at: Option<i64>,
    /// To get the next ones.
    pub refresh_token: Option<SecretText>,
}

impl StoredTokens {
    /// How long they are, in bytes.
    pub(super) fn bytes(&self) -> usize {
        let of = |text: &Option<SecretText>| text.as_ref().map_or(0, |text| text.0.len());
        self.id_token.0.len() + of(&self.access_token) + of(&self.refresh_token)
    }
}

/// A session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SessionRecord {
    /// Its id.
    pub id: SessionId,
    /// The host that it is for, lower case, without port.
    pub host: String,
    /// The name of the provider that the user signed in at.
    pub provider: String,
    /// What the ID token and userinfo said.
    pub claims: SessionClaims,
    /// The user, as the issuer knows them.
    pub sub: String,
    /// The session at the provider.
    pub sid: Option<String>,
    /// When the first sign-in was of which this is the continuation: from then the absolute time counts.
    pub created_at: i64,
    /// When it ends at the latest, as was configured when it began. What is configured now may end it sooner, never
    /// later: what was revoked is forgotten then.
    pub ends_at: i64,
    /// When the user came back from the provider last.
    pub signed_in_at: i64,
    /// The same, to compare with what ends sessions. Drawn before the provider was asked for tokens: what ended sessions
    /// while it answered ends this one.
    pub signed_in: Moment,
    /// When it was used last, as far as this record knows.
    pub last_seen_at: i64,
    /// Whether the browser keeps the cookie when it ends.
    pub lasting: Lasting,
    /// What the last step-up asked for: not to be asked for at once again.
    pub answered: Option<DemandDigest>,
    /// Tokens, in a store.
    pub tokens: Option<StoredTokens>,
}

impl SessionRecord {
    /// Its bytes, to be sealed; `None` is a fault of ours.
    #[must_use]
    pub fn to_bytes(&self) -> Option<Vec<u8>> {
        postcard::to_extend(self, vec![VERSION]).ok()
    }

    /// The record of these bytes; `None` for one of another version.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (&VERSION, record) = bytes.split_first()? else { return None };
        // All of it: what is left over was written by somebody else.
        let (record, rest) = postcard::take_from_bytes(record).ok()?;
        rest.is_empty().then_some(record)
    }
}
