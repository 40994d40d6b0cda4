//! What ends sessions, as it is asked for and as it is kept.

use portcullis_policy::words;

use crate::clock::Moment;
use crate::session::key::{Mark, StoreKey};

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
    /// Of one person, by `sub`, those whose ID tokens named no session at the provider: they may rest on any.
    Unnamed {
        /// `iss` of the ID token.
        issuer: String,
        /// Its `sub`.
        sub: String,
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
    /// Whose: those that are signed in at this moment end.
    pub who: Who,
    /// Why.
    pub cause: Cause,
}

impl Revoked {
    /// What is kept of it, until `until`.
    pub(super) fn notice(&self, at: Moment, until: i64) -> Notice {
        // Our own clock, by which sessions say when they were signed in: a provider's may be behind.
        let mark = match &self.who {
            Who::Here(key) => return Notice::ended(*key, until),
            Who::Session { issuer, sid } => Mark::of_session(issuer, sid),
            Who::Unnamed { issuer, sub } => Mark::of_unnamed(issuer, sub),
            Who::Subject { issuer, sub } => Mark::of_subject(issuer, sub),
        };
        Notice { mark, not_before: at, until, by: By::Known }
    }
}

/// On whose word sessions end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// Of somebody whom we know, or of a session that we know.
    Known,
    /// Of anybody, about what may be invented: it has a room of its own, and never takes that of others.
    Anybody,
}

/// What is kept and sent of a revocation: nothing that names anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Whose sessions.
    pub mark: Mark,
    /// Those that were signed in at this moment or before it end; `Moment::FIRST` ends none, and says that stored
    /// sessions have changed.
    pub not_before: Moment,
    /// When it no longer matters: no session is so old. Unix seconds.
    pub until: i64,
    /// On whose word.
    pub by: By,
}

impl Notice {
    /// One session has ended.
    pub(crate) fn ended(key: StoreKey, until: i64) -> Self {
        Self { mark: Mark::of_key(key), not_before: Moment::LAST, until, by: By::Known }
    }

    /// One stored session has changed: it is to be looked up again.
    pub(crate) fn changed(key: StoreKey, until: i64) -> Self {
        Self { mark: Mark::of_key(key), not_before: Moment::FIRST, until, by: By::Known }
    }
}

/// What of a session a revocation may name. Made once, when the session is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionMarks {
    /// Itself.
    pub here: Mark,
    /// Its person.
    pub subject: Mark,
    /// Its session at the provider, or that its ID token named none.
    pub session: Option<Mark>,
    /// When it was signed in, by our clock.
    pub signed_in: Moment,
}

impl SessionMarks {
    /// The marks of a session. `issuer`: `iss` of its ID token.
    #[must_use]
    pub fn new(key: StoreKey, issuer: &str, sub: &str, sid: Option<&str>, signed_in: Moment) -> Self {
        Self {
            here: Mark::of_key(key),
            subject: Mark::of_subject(issuer, sub),
            session: Some(match sid {
                Some(sid) => Mark::of_session(issuer, sid),
                None => Mark::of_unnamed(issuer, sub),
            }),
            signed_in,
        }
    }

    /// All of them.
    pub(crate) fn marks(&self) -> impl Iterator<Item = Mark> {
        [self.here, self.subject].into_iter().chain(self.session)
    }
}
