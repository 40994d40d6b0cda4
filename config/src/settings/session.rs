//! Sessions of browsers that signed in, and what apps are told of them.

use std::path::PathBuf;
use std::time::Duration;

use portcullis_policy::words;

use super::certificates::Authorities;
use super::secret::{SealKey, Secret};

/// Names of our cookies begin with one of these, in any letter case. No cookie of such a name comes from an app or
/// reaches one.
pub const OWN_COOKIES: [&str; 3] = ["__host-http-portcullis", "__host-portcullis", "portcullis-"];

/// Paths of ours on each host: this and all below it. No app has them.
pub const OWN_PATHS: &str = "/.portcullis";

/// Whether a provider may have this name, which stands in paths.
#[must_use]
pub fn is_provider_name(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !text.is_empty() && text.len() <= 32 && text.bytes().all(fits)
}

/// How sessions are sealed, where they are stored, and how long they last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionSettings {
    /// At least one: the first seals, each opens.
    pub keys: Vec<SealKey>,
    /// Where sessions are.
    pub store: SessionStore,
    /// A session without a request for so long ends; whole seconds, at most `absolute`.
    pub idle: Duration,
    /// A session ends so long after its sign-in; whole seconds, at most 400 days.
    pub absolute: Duration,
    /// How long a remembered session serves while the store does not answer.
    pub stale_max: Duration,
    /// Where sign-outs outlive a restart; of the cookie store alone.
    pub journal: Option<PathBuf>,
    /// Whether sessions are refreshed before their access token ends; never with the cookie store.
    pub refresh: bool,
}

/// Where sessions are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionStore {
    /// Sealed in the browser's cookie.
    Cookie,
    /// In a redb database file of this machine.
    Redb(PathBuf),
    /// In Redis or Valkey.
    Redis {
        /// `redis://`, `rediss://` or `unix:///`, without a password.
        url: Secret,
        /// The password.
        password: Option<Secret>,
        /// Whose certificates count; the system's authorities if `None`.
        ca: Option<Authorities>,
    },
}

impl SessionStore {
    /// Whether it is a store at all: where tokens can be, and what can be looked up. The cookie is none.
    #[must_use]
    pub const fn holds_tokens(&self) -> bool {
        match self {
            Self::Cookie => false,
            Self::Redb(_) | Self::Redis { .. } => true,
        }
    }
}

impl SessionSettings {
    /// The keys of `[session]` that only a restart can change, each with its value as text that tells no secret.
    pub(super) fn restart_values(settings: Option<&Self>) -> [(&'static str, String); 2] {
        let store = settings.map(|settings| match &settings.store {
            SessionStore::Cookie => "cookie".to_owned(),
            SessionStore::Redb(path) => format!("redb {}", path.display()),
            SessionStore::Redis { url, .. } => format!("redis {}", url.expose()),
        });
        let journal = settings.and_then(|settings| settings.journal.as_ref());
        [("session.store", format!("{store:?}")), ("session.journal", format!("{journal:?}"))]
    }
}

/// The signed statement that apps receive about who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assertion {
    /// EC keys on P-256 for `ES256`, PKCS#8 in PEM, at least one: the first signs, all are published.
    pub keys: Vec<Secret>,
    /// The header that carries it, lower case.
    pub header: String,
    /// For how long it is valid.
    pub life: Duration,
}

words! {
    /// What an app receives as `Authorization` when a request comes on a session.
    pub enum SessionAuthorization {
        /// Nothing.
        None = "none",
        /// `Bearer` with the session's access token.
        AccessToken = "access-token",
    }
}

/// Whether a cookie's name is one that we keep for ourselves.
#[must_use]
pub fn is_own_cookie(name: &str) -> bool {
    let begins = |own: &str| name.get(..own.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(own));
    OWN_COOKIES.iter().any(|own| begins(own))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_cookies_are_known_in_any_letter_case_and_no_others() {
        for own in ["__Host-Http-portcullis", "__HOST-HTTP-PORTCULLIS-attempt-1", "portcullis-session"] {
            assert!(is_own_cookie(own), "{own}");
        }
        for other in ["__Host-Http-session", "portcullis", "session", "übersicht-portcullis-", "", "p"] {
            assert!(!is_own_cookie(other), "{other}");
        }
    }
}
