//! OpenID providers: who signs people in, and how we are known there.

use portcullis_policy::words;

use super::certificates::Authorities;
use super::secret::{Secret, SigningKey};

/// An OpenID provider with whom we are registered as a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provider {
    /// Its short name in paths, metrics and logs: `[a-z0-9-]{1,32}`.
    pub name: String,
    /// Its name for people.
    pub display_name: String,
    /// Who issues its ID tokens, as a position in `Config::issuers`.
    pub issuer: usize,
    /// Our `client_id` there, which is the audience of its ID tokens.
    pub client_id: String,
    /// How we show that we are that client.
    pub client_authentication: ClientAuthentication,
    /// Scopes that a sign-in asks for; `openid` is one of them.
    pub scopes: Vec<String>,
    /// Further parameters of authorization requests; none that we set ourselves.
    pub parameters: Vec<(String, String)>,
    /// Whether authorization requests are pushed (RFC 9126).
    pub pushed_authorization: PushedAuthorization,
    /// Whether claims of the userinfo endpoint are added to those of the ID token.
    pub userinfo: bool,
    /// Whose certificates count for its endpoints, those of its issuer where nothing is said; the system's authorities
    /// if `None`.
    pub ca: Option<Authorities>,
}

/// How a client shows to the token endpoint who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientAuthentication {
    /// By a secret that both know.
    Secret {
        /// The secret.
        secret: Secret,
        /// Where the secret stands in a request.
        method: SecretMethod,
    },
    /// By a signed assertion (`private_key_jwt`, RFC 7523); at least one key, and the first signs.
    PrivateKey(Vec<SigningKey>),
    /// Not at all: PKCE alone binds the code to us.
    Public,
}

words! {
    /// Where a client secret stands in a request (OpenID Connect Core 1.0, section 9).
    pub enum SecretMethod {
        /// In `Authorization: Basic`.
        Basic = "basic",
        /// In the form.
        Post = "post",
    }
}

words! {
    /// Whether authorization requests are pushed to the provider before the browser goes there (RFC 9126).
    pub enum PushedAuthorization {
        /// Where its metadata offers it.
        Auto = "auto",
        /// Always; a provider without it signs nobody in.
        Required = "required",
        /// Not, unless its metadata demands it.
        Never = "never",
    }
}
