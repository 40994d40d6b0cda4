//! Whether the files of a configuration changed.
//!
//! Files are compared by name, size, time and inode. That costs a handful of `stat` calls, follows the symlink
//! swap of a Kubernetes ConfigMap, and misses no rename.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use portcullis_config::Config;
use portcullis_config::settings::KeySource;

/// Each watched path, as it was found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Files {
    watched: BTreeMap<PathBuf, Option<Stamp>>,
    /// The other TOML files of the watched folders: a change elsewhere may include one of them.
    beside: BTreeMap<PathBuf, Option<Stamp>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Stamp {
    File {
        inode: u64,
        bytes: u64,
        modified: (i64, i64),
    },
    /// A folder's size and time change with any file in it, the decision log too: its TOML files are what counts.
    Folder(BTreeSet<PathBuf>),
}

impl Files {
    /// Looks at everything that `config` was read from. Blocks.
    pub(super) fn of(config: &Config) -> Self {
        let mut paths: BTreeSet<&Path> = config.files.iter().map(PathBuf::as_path).collect();
        // A new file in an included folder changes the folder.
        paths.extend(config.files.iter().filter_map(|file| file.parent()));
        paths.extend(config.geo.iter().map(|geo| geo.database.as_path()));
        // A key store looks at its own file, and takes keys up without a reload.
        for issuer in &config.issuers {
            if let KeySource::File(path) = &issuer.keys {
                paths.remove(path.as_path());
            }
        }
        Self::at(paths)
    }

    /// Looks at the same paths once more. Blocks.
    pub(super) fn again(&self) -> Self {
        Self::at(self.watched.keys().map(PathBuf::as_path).collect())
    }

    fn at(paths: BTreeSet<&Path>) -> Self {
        let watched: BTreeMap<_, _> = paths.into_iter().map(|path| (path.to_owned(), stamp(path))).collect();
        let folders = watched.values().filter_map(|found| match found {
            Some(Stamp::Folder(files)) => Some(files),
            _ => None,
        });
        let others = folders.flatten().filter(|path| !watched.contains_key(*path));
        let beside = others.map(|path| (path.clone(), stamp(path))).collect();
        Self { watched, beside }
    }

    /// Whether a watched path is not as `known` has it.
    pub(super) fn differ_from(&self, known: &Self) -> bool {
        self.watched != known.watched
    }

    /// Whether `before` found each of these as it is here: what was read in between is whole.
    pub(super) fn were_so(&self, before: &Self) -> bool {
        self.watched.iter().all(|(path, stamp)| before.stamp_of(path) == Some(stamp))
    }

    /// These files with the stamps that `before` has of them: what changed since then is seen at the next look.
    pub(super) fn with_stamps_of(mut self, before: &Self) -> Self {
        for (path, stamp) in &mut self.watched {
            if let Some(known) = before.stamp_of(path) {
                stamp.clone_from(known);
            }
        }
        self
    }

    fn stamp_of(&self, path: &Path) -> Option<&Option<Stamp>> {
        self.watched.get(path).or_else(|| self.beside.get(path))
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let found = std::fs::metadata(path).ok()?;
    Some(if found.is_dir() {
        let entries = std::fs::read_dir(path).into_iter().flatten().filter_map(Result::ok);
        let paths = entries.map(|entry| entry.path());
        Stamp::Folder(paths.filter(|path| path.extension().is_some_and(|end| end == "toml")).collect())
    } else {
        let modified = (found.mtime(), found.mtime_nsec());
        Stamp::File { inode: found.ino(), bytes: found.size(), modified }
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_is_read_while_it_is_written_is_not_whole() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name);
        fs::write(file("main.toml"), "a").unwrap();
        fs::write(file("new.toml"), "b").unwrap();
        let looked = || Files::at([folder.path(), &file("main.toml")].into());
        let before = looked();
        assert!(looked().were_so(&before) && !before.again().differ_from(&before));
        // A file that a change of another one includes was there before, and is known.
        let included = || Files::at([folder.path(), &file("main.toml"), &file("new.toml")].into());
        assert!(included().were_so(&before));
        // It is written after that look: nothing to reload for, unless it is read.
        fs::write(file("new.toml"), "longer").unwrap();
        assert!(!looked().differ_from(&before) && looked().were_so(&before));
        assert!(!included().were_so(&before));
        assert!(included().with_stamps_of(&before).differ_from(&included()));
        // Truncated, as an editor leaves it for a moment.
        fs::write(file("main.toml"), "").unwrap();
        assert!(looked().differ_from(&before) && !looked().were_so(&before));
        // A folder that nobody looked at before.
        let elsewhere = tempfile::tempdir().unwrap();
        assert!(!Files::at([elsewhere.path()].into()).were_so(&before));
    }
}
