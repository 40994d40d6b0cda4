//! The journal's file: held by one process, appended to, and written anew when most of it no longer matters.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::format::{self, Contents, HEADER, Malformed, RECORD_BYTES, Record};

/// A journal larger than this is not read: it would be more revocations than memory takes.
const BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Why a journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalProblem {
    /// Another process has it.
    #[error("another process has it: two processes do not hear of each other's sign-outs")]
    Held,
    /// It cannot be opened, read or written.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It is not what it should be.
    #[error("{0}; sessions that were ended might live again")]
    Malformed(String),
}

impl From<Malformed> for JournalProblem {
    fn from(problem: Malformed) -> Self {
        Self::Malformed(problem.to_string())
    }
}

/// An open journal, held by this process until it is dropped.
#[derive(Debug)]
pub(super) struct JournalFile {
    place: PathBuf,
    file: File,
    /// Records in the file.
    pub(super) records: usize,
}

impl JournalFile {
    /// Opens it, or makes a new one; what a crash cut off is removed.
    pub(super) fn open(place: &Path) -> Result<(Self, Contents), JournalProblem> {
        let mut file = lock(place)?;
        let contents = read(&mut file)?;
        let records = contents.records.len();
        let mut journal = Self { place: place.to_owned(), file, records };
        if contents.torn_bytes > 0 {
            journal.file.set_len(contents.end)?;
        }
        if contents.end == 0 {
            journal.file.seek(SeekFrom::Start(0))?;
            journal.file.write_all(HEADER)?;
            sync_folder(place)?;
        }
        journal.file.sync_all()?;
        journal.file.seek(SeekFrom::End(0))?;
        Ok((journal, contents))
    }

    /// Adds records. They are on disk when this returns.
    pub(super) fn append(&mut self, records: &[Record]) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(records.len() * RECORD_BYTES);
        records.iter().for_each(|record| record.write(&mut bytes));
        self.file.write_all(&bytes)?;
        self.file.sync_data()?;
        self.records += records.len();
        Ok(())
    }

    /// Writes it anew with these records alone. The former one stands until the new one is on disk.
    pub(super) fn rewrite(&mut self, records: &[Record]) -> io::Result<()> {
        let mut name = self.place.as_os_str().to_owned();
        name.push(".new");
        let new = PathBuf::from(name);
        let _ = fs::remove_file(&new);
        let written = self.write_new(&new, records);
        match written {
            Ok(file) => {
                self.file = file;
                self.records = records.len();
                Ok(())
            }
            Err(problem) => {
                let _ = fs::remove_file(&new);
                Err(problem)
            }
        }
    }

    /// From now on writes fail, until it is written anew.
    #[cfg(test)]
    pub(super) fn fill_disk(&mut self) {
        self.file = OpenOptions::new().write(true).open("/dev/full").unwrap();
    }

    fn write_new(&self, new: &Path, records: &[Record]) -> io::Result<File> {
        let mut bytes = HEADER.to_vec();
        records.iter().for_each(|record| record.write(&mut bytes));
        let mut file = options().create_new(true).open(new)?;
        // Before it has the name: whoever opens that finds it held.
        file.lock()?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(new, &self.place)?;
        sync_folder(&self.place)?;
        Ok(file)
    }
}

/// Reads a journal that another process may be writing, to see whether it can be read at all.
pub(super) fn inspect(place: &Path) -> Result<(), JournalProblem> {
    match File::open(place) {
        Ok(mut file) => read(&mut file).map(drop),
        Err(problem) if problem.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(problem) => Err(problem.into()),
    }
}

fn read(file: &mut File) -> Result<Contents, JournalProblem> {
    let mut bytes = Vec::new();
    file.take(BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > BYTES_MAX {
        return Err(JournalProblem::Malformed("it is larger than 256 MiB".to_owned()));
    }
    Ok(format::read(&bytes)?)
}

/// For this user alone: it says when people signed out.
fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    options
}

/// Opens the file at `place` so that no other process has it.
fn lock(place: &Path) -> Result<File, JournalProblem> {
    loop {
        let file = options().create(true).truncate(false).open(place)?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("it is no regular file").into());
        }
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(JournalProblem::Held),
            Err(TryLockError::Error(problem)) => return Err(problem.into()),
        }
        // Another process may have written it anew between the two.
        let (ours, named) = (file.metadata()?, fs::metadata(place));
        if named.is_ok_and(|named| (named.dev(), named.ino()) == (ours.dev(), ours.ino())) {
            return Ok(file);
        }
    }
}

/// So that the name is on disk, too.
fn sync_folder(place: &Path) -> io::Result<()> {
    let folder = place.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}
