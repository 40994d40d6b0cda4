//! The database file: held by one process, checked when it is opened, refused when it is not ours.

use std::fs::{self, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;

use ::redb::{Builder, Database, DatabaseError, StorageError};
use arc_swap::ArcSwapOption;

use super::tables::{self, Unusable};
use crate::session::revocation::Notice;

/// The database while it is open.
pub(super) type Shared = Arc<ArcSwapOption<Database>>;

/// Memory for pages of the file.
const CACHE_BYTES: usize = 32 * 1024 * 1024;
/// How every such file begins.
const MAGIC: &[u8] = b"redb\x1A\x0A\xA9\x0D\x0A";

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileProblem {
    /// Another process has it.
    #[error("another process has it")]
    Held,
    /// It is not what it should be.
    #[error("{0}")]
    Foreign(&'static str),
    /// It is damaged.
    #[error("it is damaged: {0}")]
    Damaged(String),
    /// It cannot be opened, read or written.
    #[error("{0}")]
    Io(String),
}

impl From<io::Error> for FileProblem {
    fn from(problem: io::Error) -> Self {
        Self::Io(problem.to_string())
    }
}

impl From<::redb::Error> for FileProblem {
    fn from(problem: ::redb::Error) -> Self {
        match problem {
            ::redb::Error::Corrupted(what) => Self::Damaged(what),
            other => Self::Io(other.to_string()),
        }
    }
}

impl From<StorageError> for FileProblem {
    fn from(problem: StorageError) -> Self {
        ::redb::Error::from(problem).into()
    }
}

impl From<Unusable> for FileProblem {
    fn from(problem: Unusable) -> Self {
        match problem {
            Unusable::Foreign => Self::Foreign("it is a database of another program"),
            Unusable::OtherVersion => Self::Foreign("another version of Portcullis wrote it"),
            Unusable::Failed(problem) => problem.into(),
        }
    }
}

impl From<DatabaseError> for FileProblem {
    fn from(problem: DatabaseError) -> Self {
        match problem {
            DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => Self::Held,
            DatabaseError::UpgradeRequired(_) => Self::Foreign("it is a database of an older format"),
            DatabaseError::Storage(StorageError::Corrupted(what)) => Self::Damaged(what),
            other => Self::Io(other.to_string()),
        }
    }
}

/// Looks whether there is a file of another kind, whoever has it.
pub(super) fn inspect(place: &Path) -> Result<(), FileProblem> {
    let mut start = Vec::new();
    match fs::File::open(place) {
        Ok(file) => file.take(MAGIC.len() as u64).read_to_end(&mut start)?,
        Err(problem) if problem.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(problem) => return Err(problem.into()),
    };
    match start.is_empty() || start == MAGIC {
        true => Ok(()),
        false => Err(FileProblem::Foreign("it is no session database")),
    }
}

/// Opens it, or makes a new one; says what has ended. Every page is checked, which takes a while that grows with the file:
/// a debug build took 2.7 s for 300 MiB, 100,000 sessions of 1,500 bytes.
pub(super) fn open(place: &Path) -> Result<(Database, Vec<Notice>), FileProblem> {
    inspect(place)?;
    // For this user alone: it says who signed in when, if only in digests, and holds sealed tokens.
    drop(OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(place)?);
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(true);
    let database = builder.create(place)?;
    let ended = tables::prepare(&database)?;
    Ok((database, ended))
}
