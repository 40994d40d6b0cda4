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
pub(super) struct Files(BTreeMap<PathBuf, Option<Stamp>>);

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
        Self(paths.into_iter().map(|path| (path.to_owned(), stamp(path))).collect())
    }

    /// These files with the stamps that `before` has of them: what changed since then is seen at the next look.
    pub(super) fn with_stamps_of(mut self, before: &Self) -> Self {
        for (path, stamp) in &mut self.0 {
            if let Some(known) = before.0.get(path) {
                stamp.clone_from(known);
            }
        }
        self
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
