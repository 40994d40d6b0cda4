//! What ends sessions, as it is asked for and as it is kept.

use std::time::Duration;

use portcullis_policy::words;

use crate::session::key::{Mark, StoreKey};

/// How much longer than any of its sessions a revocation is kept: clocks of replicas differ.
const SLACK_SECS: i64 = 60 * 60;

words! {
    /// Why sessions end; for logs and metrics.
    pub enum Cause {
        /// The user signed out here.
        SignOut = "sign-out",
        /// A new sign-in of the same browser stands in for the session.
        Replaced = "replaced",
        /// The provider said so (OpenID Connect Back-Channel Logout 1.0).
        BackChannel = "back-channel",
        /// The provider's page said so (OpenID Connect Front-Channel Logout 1.0).
        FrontChannel = "front-channel",
        /// An administrator did.
        Administrator = "administrator",
        /// Another system reported an event (OpenID CAEP 1.0).
        Event = "event",
    }
}

/// Whose sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// This one.
    Here(StoreKey),
    /// All of one session at the provider, by its `sid`.
    Session {
        /// `iss` of its ID token.
        issuer: String,
        /// Its `sid`.
        sid: String,
    },
    /// All of one person, by `sub`.
    Subject {
        /// `iss` of the ID token.
        issuer: String,
        /// Its `sub`.
        sub: String,
    },
}

/// A request to end sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revoked {
    /// Whose.
    pub who: Who,
    /// Sessions that were signed in at this time or before it end, Unix seconds of this machine's clock. A session
    /// that is named by its key ends whatever this says.
    pub not_before: i64,
    /// Why.
    pub cause: Cause,
}

impl Revoked {
    /// What is kept of it, as long as a session may live.
    pub(super) fn notice(&self, now: i64, absolute: Duration) -> Notice {
        let (mark, not_before) = match &self.who {
            Who::Here(key) => (Mark::of_key(*key), i64::MAX),
            Who::Session { issuer, sid } => (Mark::of_session(issuer, sid), self.not_before),
            Who::Subject { issuer, sub } => (Mark::of_subject(issuer, sub), self.not_before),
        };
        Notice { mark, not_before, until: kept_until(now, absolute) }
    }
}

/// Until when a revocation of this moment counts.
pub(crate) fn kept_until(now: i64, absolute: Duration) -> i64 {
    let absolute = i64::try_from(absolute.as_secs()).unwrap_or(i64::MAX);
    now.saturating_add(absolute).saturating_add(SLACK_SECS)
}

/// What is kept and sent of a revocation: nothing that names anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Whose sessions.
    pub mark: Mark,
    /// Those that were signed in at this time or before it end; `i64::MIN` ends none, and says that stored sessions
    /// have changed.
    pub not_before: i64,
    /// When it no longer matters: no session is so old. Unix seconds.
    pub until: i64,
}

/// What of a session a revocation may name. Made once, when the session is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionMarks {
    /// Itself.
    pub here: Mark,
    /// Its person.
    pub subject: Mark,
    /// Its session at the provider.
    pub session: Option<Mark>,
    /// When it was signed in, Unix seconds of our clock.
    pub signed_in_at: i64,
}

impl SessionMarks {
    /// The marks of a session. `issuer`: `iss` of its ID token.
    #[must_use]
    pub fn new(key: StoreKey, issuer: &str, sub: &str, sid: Option<&str>, signed_in_at: i64) -> Self {
        Self {
            here: Mark::of_key(key),
            subject: Mark::of_subject(issuer, sub),
            session: sid.map(|sid| Mark::of_session(issuer, sid)),
            signed_in_at,
        }
    }

    /// All of them.
    pub(crate) fn marks(&self) -> impl Iterator<Item = Mark> {
        [self.here, self.subject].into_iter().chain(self.session)
    }
}
