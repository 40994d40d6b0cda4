//! What is asked at the help desk, what it knows, and why it may have no answer.

use std::path::PathBuf;

use portcullis_config::Config;
use portcullis_policy::CompiledPolicies;
use portcullis_policy::remedy::Installation;

use super::query::QueryError;
use super::search::Searched;
use crate::denial::{CODE_LIFE_SECS, Denials, UnsealError};

/// Accounts of one answer at most: more requests with one reference were never seen, but a beginning of four characters
/// may fit many.
pub(super) const ACCOUNTS_MAX: usize = 10;

/// What is looked up, and where.
#[derive(Clone, Copy, Debug)]
pub struct Lookup<'q> {
    /// A reference or its beginning, a request's id, or a support code.
    pub what: &'q str,
    /// The id of the person who says to be the caller.
    pub user: Option<&'q str>,
    /// Logs to look in, newest first; those of the configuration where there is none.
    pub logs: &'q [PathBuf],
    /// What is older than this is not looked at, Unix milliseconds.
    pub since: Option<i64>,
    /// Bytes of logs that are looked at, from their newest end.
    pub bytes_max: u64,
}

/// What is known of the installation.
#[derive(Clone, Copy)]
pub struct Desk<'d> {
    /// The configuration of today.
    pub config: &'d Config,
    /// The same policies, compiled.
    pub policies: &'d CompiledPolicies,
    /// What opens codes and names people.
    pub denials: &'d Denials,
    /// What people could change to.
    pub installation: Installation<'d>,
    /// Unix seconds.
    pub now: i64,
    /// What a process that serves says of its issuers' keys.
    pub keys: Option<&'d str>,
    /// Why the configuration of today cannot be read whole, where that is so: `policies` has none then, and nothing is compared.
    pub broken: Option<&'d str>,
}

impl std::fmt::Debug for Desk<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Desk").finish_non_exhaustive()
    }
}

/// Why nothing was found.
#[derive(Debug, thiserror::Error)]
pub enum LookupError {
    /// It is no reference, id or code.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// A code that this installation did not seal.
    #[error(transparent)]
    Unseal(#[from] UnsealError),
    /// A code that is too old, or of a clock that is ahead.
    #[error("the code is of {at}; codes are answered for {} hours", CODE_LIFE_SECS / 3_600)]
    Stale {
        /// When it was made.
        at: String,
    },
    /// No line fits.
    #[error(
        "no line of the log has this {what}; {searched}; of requests that were not refused the log has those alone that \
         `grants-one-in` chooses"
    )]
    NotFound {
        /// What was looked for.
        what: &'static str,
        /// Where.
        searched: Searched,
    },
    /// There is no log to look in.
    #[error(
        "no log file is known from the configuration; name one with --log FILE, or ask for the support code"
    )]
    NoLog,
    /// A log cannot be read.
    #[error("{}: {problem}", portcullis_config::printable::value(&path.to_string_lossy()))]
    Log {
        /// Which.
        path: PathBuf,
        /// Why.
        problem: std::io::Error,
    },
}
