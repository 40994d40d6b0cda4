//! Why a request has no session: for metrics and the log, and for what its sign-in says.

use portcullis_policy::words;

use crate::seal::UnsealError;

words! {
    /// Why a request has no session.
    pub enum NoSession {
        /// It has no cookie of ours.
        Absent = "absent",
        /// The cookie came twice, or is no text.
        Doubled = "doubled",
        /// The cookie is longer than any of ours.
        TooLong = "too-long",
        /// It is no seal of ours: altered, invented, or sealed with a key that is gone.
        Unsealed = "unsealed",
        /// It was sealed by another version.
        OtherVersion = "other-version",
        /// It is of another host.
        OtherHost = "other-host",
        /// It was not used for too long.
        Idle = "idle",
        /// Its time is over.
        Expired = "expired",
        /// It was ended: by a sign-out, by its provider, by an administrator.
        Revoked = "revoked",
        /// The store has none: it was ended, or is long over.
        Gone = "gone",
        /// The configuration reads claims that it does not have, or has its issuer no more.
        Outdated = "outdated",
        /// It was signed in at a provider that the app does not take.
        OtherProvider = "other-provider",
    }
}

impl From<UnsealError> for NoSession {
    fn from(why: UnsealError) -> Self {
        match why {
            UnsealError::OtherVersion => Self::OtherVersion,
            UnsealError::Malformed | UnsealError::UnknownKey | UnsealError::Altered => Self::Unsealed,
        }
    }
}

impl NoSession {
    /// Whether it stays so: ids of sessions do not come back.
    pub(super) const fn is_final(self) -> bool {
        matches!(self, Self::Idle | Self::Expired | Self::Revoked | Self::Gone)
    }

    /// Whether there was a session once, which is over.
    #[must_use]
    pub const fn is_over(self) -> bool {
        match self {
            Self::Idle | Self::Expired | Self::Revoked | Self::Gone | Self::Outdated => true,
            Self::Absent
            | Self::Doubled
            | Self::TooLong
            | Self::Unsealed
            | Self::OtherVersion
            | Self::OtherHost
            | Self::OtherProvider => false,
        }
    }
}

/// How a session was found, for counting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// It was remembered.
    Remembered,
    /// It was read from the cookie or from what the store gave.
    Read,
}
