//! How an address does, in the words that people are shown.

use std::time::Duration;

/// How an address does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It takes requests.
    Up,
    /// Requests failed, and it is left out for so much longer.
    Ejected(Duration),
    /// It was left out, and that is over: the next request tries it, or one is at it.
    OnTrial,
    /// Its checks fail.
    CheckFails,
}

impl Standing {
    /// The word of `/status`.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Ejected(_) => "ejected",
            Self::OnTrial => "on-trial",
            Self::CheckFails => "check-fails",
        }
    }
}
