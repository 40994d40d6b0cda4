//! Why a store could not do what it was asked: an answer of its own, never mistaken for "there is no such session".

use std::pin::Pin;

use portcullis_policy::words;

words! {
    /// What a store was asked to do; a label of `portcullis_session_store_failures_total`.
    pub enum Operation {
        /// To be opened, or reached for the first time.
        Open = "open",
        /// To find a session.
        Get = "get",
        /// To keep a session.
        Put = "put",
        /// To forget a session.
        Remove = "remove",
        /// To note when sessions were last used.
        Seen = "seen",
        /// To let one replica alone refresh a session.
        Lock = "lock",
        /// To end sessions.
        Revoke = "revoke",
        /// To say whether a token is used for the first time.
        FirstUse = "first-use",
        /// To say what other replicas have ended.
        Follow = "follow",
        /// To drop what has expired.
        Sweep = "sweep",
    }
}

words! {
    /// Why it could not.
    pub enum StoreFault {
        /// It cannot be reached.
        Unreachable = "unreachable",
        /// It gave no answer in time.
        Timeout = "timeout",
        /// It refuses: the password, the rights, its memory.
        Refused = "refused",
        /// The disk is full, or fails.
        Disk = "disk",
        /// What it holds cannot be read.
        Unreadable = "unreadable",
        /// It is full.
        Full = "full",
        /// It is not open yet: another process has it, or it is being opened anew.
        NotOpen = "not-open",
        /// This process has handed it over to its successor.
        HandedOver = "handed-over",
    }
}

/// The store did not do it. The caller refuses as "temporary"; it never concludes that there is no session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the session store failed ({}: {})", .operation.as_str(), .fault.as_str())]
pub struct StoreUnavailable {
    /// What was asked.
    pub operation: Operation,
    /// Why it was not done.
    pub fault: StoreFault,
}

/// What a store answers, in a while.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreUnavailable>> + Send + 'a>>;
